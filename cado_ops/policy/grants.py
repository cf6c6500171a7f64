"""What a KMS grant allows. "Grants in AWS KMS" and "Creating grants", KMS Developer Guide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cado_ops.model import Grant
from cado_ops.policy.answer import NO, YES, Answer, all_of, answer, any_of, unknown
from cado_ops.policy.request import Request

_CONTEXT = "kms:encryptioncontext:"
# "Using grant constraints": they are about cryptographic operations, which have an encryption context.
_WITHOUT_CONTEXT = ("DescribeKey", "RetireGrant", "GetPublicKey")


def granted(request: Request, grants: Iterable[Grant], *, across: bool = False) -> Answer:
    """Whether a grant lets the caller do it. ``across``: the key is another account's."""
    return any_of(_grants(each, request, across=across) for each in grants)


def _grants(grant: Grant, request: Request, *, across: bool) -> Answer:
    if grant.key_arn != request.checked_resource:
        return NO
    operation = request.action.partition(":")[2]
    if operation.lower() == "retiregrant" and grant.retiring_principal == request.principal:
        # "Retiring and revoking grants": the retiring principal needs no policy for that.
        return YES
    mine = next((each for each in grant.operations if each.lower() == operation.lower()), None)
    if mine is None:
        return NO
    parts = [_grantee(grant, request)]
    if across and grant.issuing_account != request.principal_account:
        parts.append(
            unknown("whether the grant of another account suffices without an IAM policy is not documented")
        )
    if mine == "CreateGrant":
        parts.append(_within(grant, request))
    if mine not in _WITHOUT_CONTEXT:
        parts.append(_constraints(grant.constraints, request))
    return all_of(parts)


def _grantee(grant: Grant, request: Request) -> Answer:
    grantee = grant.grantee_principal or grant.grantee_service
    if grantee in (request.principal, request.session):
        return YES
    if grantee is not None and grantee.startswith("AROA") and request.is_role:
        return unknown(f"whose id {grantee} is")
    return NO


def _within(grant: Grant, request: Request) -> Answer:
    """A grant made by way of a grant may give no more than that one does."""
    told = request.told("kms:GrantOperations")
    if told.values is None:
        return unknown(told.reason)
    return answer(set(told.values) <= set(grant.operations))


def _constraints(constraints: Mapping[str, object], request: Request) -> Answer:
    parts = []
    for name, wanted in constraints.items():
        if name in ("EncryptionContextSubset", "EncryptionContextEquals") and isinstance(wanted, Mapping):
            parts += [_has(request, str(key), str(value)) for key, value in wanted.items()]
            if name == "EncryptionContextEquals":
                parts.append(_no_more(request, wanted))
        else:
            parts.append(unknown(f"the grant's constraint {name}"))
    return all_of(parts)


def _has(request: Request, key: str, value: str) -> Answer:
    told = request.told(_CONTEXT + key)
    return unknown(told.reason) if told.values is None else answer(told.values == (value,))


def _no_more(request: Request, wanted: Mapping[object, object]) -> Answer:
    told = request.told("kms:EncryptionContextKeys")
    return unknown(told.reason) if told.values is None else answer(set(told.values) == {str(key) for key in wanted})
