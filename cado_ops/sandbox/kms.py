"""KMS grants. moto's are always made anew, for any operations on any key, listed unfiltered and retired twice."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from cado_ops.sandbox import acme, sts
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.grants import (
    PRINCIPAL,
    Grant,
    add_grant,
    check_principal,
    check_terms,
    same_terms,
    terms_of,
)
from cado_ops.sandbox.kms_keys import paged
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_json, is_true

_GRANT_ID = re.compile(r"[0-9a-f]{64}")
_KEY_ARN = re.compile(r"arn:aws[\w-]*:kms:([\w-]+):(\d{12}):key/([\w-]+)")
_KEY_ID = re.compile(r"(?:mrk-)?[0-9a-f-]{32,36}")
_STATE_WORDS = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}


def create_grant(request: RequestInfo) -> Response:
    """The same Name and terms give the same grant again, with another token.

    KMS API reference, CreateGrant; KMS Developer Guide, "Key states".
    """
    params = request.params
    check_terms(params)
    key = _find_key(request)
    if key.key_manager != "CUSTOMER":
        raise _denied(request, key.arn)
    if key.key_state == "Disabled":
        raise AwsFault("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        raise AwsFault(
            "KMSInvalidStateException", f"{key.arn} is {_STATE_WORDS.get(key.key_state, key.key_state)}."
        )
    for name in ("GranteePrincipal", "RetiringPrincipal"):
        if params.get(name):
            check_principal(params[name])
    _stop_dry_run(request)
    terms = terms_of(params)
    grant = None
    if "Name" in terms:
        grant = next((found for found in key.grants.values() if same_terms(found.terms, terms)), None)
    if grant is None:
        grant = add_grant(key, secrets.token_hex(32), terms, datetime.now(UTC).timestamp())
    token = secrets.token_urlsafe(64)
    grant.tokens.add(token)
    return answer_json({"GrantId": grant.grant_id, "GrantToken": token})


def list_grants(request: RequestInfo) -> Response:
    """One key's grants, by grantee or id, in pages.

    KMS API reference, ListGrants.
    """
    key = _find_key(request)
    grant_id = request.params.get("GrantId")
    if grant_id is not None and _GRANT_ID.fullmatch(grant_id) is None:
        raise AwsFault("InvalidGrantIdException", f"Invalid grant ID {grant_id}")
    found = [
        grant
        for grant in key.grants.values()
        if grant_id in (None, grant.grant_id)
        and all(
            request.params.get(name) in (None, grant.terms.get(name))
            for name in ("GranteePrincipal", "GranteeServicePrincipal")
        )
    ]
    return _listing(request, found)


def list_retirable_grants(request: RequestInfo) -> Response:
    """The grants that a principal of the caller's account may retire, on keys of whatever account.

    KMS API reference, ListRetirableGrants.
    """
    principal = request.params.get("RetiringPrincipal", "")
    match = PRINCIPAL.fullmatch(principal)
    if match is None:
        raise AwsFault("InvalidArnException", f"Invalid arn {principal}")
    if match[1] != request.account:
        raise _denied(request, principal)
    return _listing(
        request,
        [grant for grant in _grants_of_region(request) if grant.terms.get("RetiringPrincipal") == principal],
    )


def retire_grant(request: RequestInfo) -> Response:
    """By token, or by the key's ARN and the grant's id; a grant that is gone is an error.

    KMS API reference, RetireGrant: the retiring principal, the grantee if it holds RetireGrant, or the account
    that the grant was made in.
    """
    params = request.params
    token = params.get("GrantToken")
    if token is not None:
        grant = next((found for found in _grants_of_region(request) if token in found.tokens), None)
        if grant is None:
            raise AwsFault("InvalidGrantTokenException", "Invalid grant token.")
    else:
        match = _KEY_ARN.fullmatch(params.get("KeyId", ""))
        if match is None:
            raise AwsFault("InvalidArnException", f"Invalid arn {params.get('KeyId', '')}")
        grant = _find_grant(_key_of_arn(request, match), params.get("GrantId", ""))
    if not _may_retire(request, grant):
        raise _denied(request, grant.key_arn)
    _stop_dry_run(request)
    _remove(request, grant)
    return answer_json({})


def revoke_grant(request: RequestInfo) -> Response:
    """By key and grant id, in the key's own account; a grant that is gone is an error.

    KMS API reference, RevokeGrant.
    """
    grant = _find_grant(_find_key(request), request.params.get("GrantId", ""))
    _stop_dry_run(request)
    _remove(request, grant)
    return answer_json({})


def _find_key(request: RequestInfo) -> Any:
    """The key of a key id or ARN in the caller's account; grants never take an alias."""
    key_id = str(request.params.get("KeyId", ""))
    match = _KEY_ARN.fullmatch(key_id)
    if match is not None:
        if match[2] != request.account:
            raise _denied(request, key_id)
        return _key_of_arn(request, match)
    if _KEY_ID.fullmatch(key_id) is None:
        raise AwsFault("NotFoundException", f"Invalid keyId '{key_id}'")
    arn = f"arn:aws:kms:{request.region}:{request.account}:key/{key_id}"
    found = _KEY_ARN.fullmatch(arn)
    assert found is not None
    return _key_of_arn(request, found)


def _key_of_arn(request: RequestInfo, match: re.Match[str]) -> Any:
    region, account, key_id = match.groups()
    if region != request.region:
        raise AwsFault("NotFoundException", f"Invalid arn {region}")
    key = backend("kms", account, region).keys.get(key_id)
    if key is None:
        raise AwsFault("NotFoundException", f"Key '{match[0]}' does not exist")
    return key


def _find_grant(key: Any, grant_id: str) -> Grant:
    grant: Grant | None = key.grants.get(grant_id)
    if grant is None:
        raise AwsFault("NotFoundException", f"Grant ID {grant_id} not found")
    return grant


def _grants_of_region(request: RequestInfo) -> list[Grant]:
    return [
        grant
        for member in acme.MEMBERS
        for key in backend("kms", member.account, request.region).keys.values()
        for grant in key.grants.values()
    ]


def _may_retire(request: RequestInfo, grant: Grant) -> bool:
    if grant.issuing_account == request.account:
        return True
    session = sts.find_session(request)
    names = {request.arn, session.role_arn if session else None}
    return grant.terms.get("RetiringPrincipal") in names or (
        "RetireGrant" in grant.terms["Operations"] and grant.terms.get("GranteePrincipal") in names
    )


def _remove(request: RequestInfo, grant: Grant) -> None:
    match = _KEY_ARN.fullmatch(grant.key_arn)
    assert match is not None
    del _key_of_arn(request, match).grants[grant.grant_id]


def _listing(request: RequestInfo, grants: list[Grant]) -> Response:
    return paged(request, "Grants", [grant.entry() for grant in grants], 50, 100)


def _denied(request: RequestInfo, resource: str) -> AwsFault:
    return AwsFault(
        "AccessDeniedException",
        f"User: {request.arn} is not authorized to perform: kms:{request.action} on resource: {resource} "
        f"because no resource-based policy allows the kms:{request.action} action",
    )


def _stop_dry_run(request: RequestInfo) -> None:
    """KMS Developer Guide, "Test your permissions": always an error, and nothing done."""
    if is_true(request.params, "DryRun"):
        raise AwsFault(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412
        )


MENDS = {
    ("kms", "CreateGrant"): create_grant,
    ("kms", "ListGrants"): list_grants,
    ("kms", "ListRetirableGrants"): list_retirable_grants,
    ("kms", "RetireGrant"): retire_grant,
    ("kms", "RevokeGrant"): revoke_grant,
}
