"""What a KMS grant is, and which terms KMS takes for one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.protocol import AwsFault

PRINCIPAL = re.compile(r"arn:aws[\w-]*:(?:iam|sts)::(\d{12}):(.+)")

_OPERATIONS = frozenset(
    {
        *(
            "Decrypt",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncryptFrom",
            "ReEncryptTo",
        ),
        *("Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair"),
        *("GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "DeriveSharedSecret"),
        *("Encapsulate", "Decapsulate"),
    }
)
_CONSTRAINTS = frozenset({"EncryptionContextSubset", "EncryptionContextEquals", "SourceArn"})
_NAME = re.compile(r"[a-zA-Z0-9:/_-]{1,256}")
# What makes two requests the same grant, and an entry of ListGrants.
_TERMS = (
    "Name",
    "GranteePrincipal",
    "GranteeServicePrincipal",
    "RetiringPrincipal",
    "RetiringServicePrincipal",
    "Operations",
    "Constraints",
)


@dataclass(slots=True)
class Grant:
    """One grant, kept in moto's ``key.grants`` by its id. ``tokens``: every CreateGrant gives another."""

    key_arn: str
    grant_id: str
    terms: dict[str, Any]
    created: float
    tokens: set[str] = field(default_factory=set)

    @property
    def issuing_account(self) -> str:
        """The account whose key it is on; the sandbox takes grants from there only."""
        return self.key_arn.split(":")[4]

    def entry(self) -> dict[str, Any]:
        """As ListGrants shows it."""
        return {
            "KeyId": self.key_arn,
            "GrantId": self.grant_id,
            "CreationDate": self.created,
            "IssuingAccount": f"arn:aws:iam::{self.issuing_account}:root",
            **self.terms,
        }


def add_grant(key: Any, grant_id: str, params: dict[str, Any], created: float) -> Grant:
    """Put a grant on one of moto's keys."""
    grant = Grant(key.arn, grant_id, terms_of(params), created)
    key.grants[grant_id] = grant
    return grant


def terms_of(params: dict[str, Any]) -> dict[str, Any]:
    """The terms among a request's parameters, those left empty left out."""
    return {name: params[name] for name in _TERMS if params.get(name)}


def same_terms(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of terms are one grant; the order of the operations does not matter."""
    return _comparable(one) == _comparable(other)


def check_terms(params: dict[str, Any]) -> None:
    """Refuse operations, names and constraints that KMS does not know."""
    operations = params.get("Operations") or []
    if not operations or not _OPERATIONS.issuperset(operations):
        raise AwsFault(
            "ValidationException",
            f"1 validation error detected: Value '[{', '.join(operations)}]' at 'operations' failed to satisfy "
            "constraint: Member must satisfy constraint: [Member must satisfy enum value set: "
            f"[{', '.join(sorted(_OPERATIONS))}]]",
        )
    name = params.get("Name")
    if name is not None and _NAME.fullmatch(name) is None:
        raise AwsFault(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        )
    if not _CONSTRAINTS.issuperset(params.get("Constraints") or {}):
        raise AwsFault("ValidationException", "Unknown grant constraint.")
    if not params.get("GranteePrincipal") and not params.get("GranteeServicePrincipal"):
        raise AwsFault("ValidationException", "Grantee principal is required.")


def check_principal(arn: str) -> None:
    """A role or user has to exist; of accounts that the sandbox does not play, any is taken."""
    match = PRINCIPAL.fullmatch(arn)
    fault = AwsFault("InvalidArnException", f"ARN does not refer to a valid principal: {arn}")
    if match is None:
        raise fault
    account, resource = match[1], match[2]
    if account not in {member.account for member in acme.MEMBERS} or resource == "root":
        return
    kind, _, rest = resource.partition("/")
    iam = backend("iam", account)
    if kind == "role":
        known = any(role.arn == arn for role in iam.roles.values())
    elif kind == "assumed-role":
        known = any(role.name == rest.split("/")[0] for role in iam.roles.values())
    else:
        known = any(user.arn == arn for user in iam.users.values())
    if not known:
        raise fault


def _comparable(terms: dict[str, Any]) -> dict[str, Any]:
    return {**terms, "Operations": set(terms.get("Operations", ()))}
