"""KMS: which grant would mend an error, and when none would."""

from __future__ import annotations

from cado_ops.scope import DEFAULT_CADO_ROLE
from cado_ops.shell import quote
from cado_ops.verdict.denial import fixes
from cado_ops.verdict.denial.known_acquisition import GRANT
from cado_ops.verdict.denial.model import Told
from cado_ops.verdict.denial.plain import Meaning, not_allowed_or_plain
from cado_ops.verdict.denial.words import is_cado_role, role_of

# What a grant can give (KMS Developer Guide, "Grant operations"), as far as acquisition needs it.
GRANTABLE = frozenset(
    {
        "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt",
        "ReEncryptFrom", "ReEncryptTo",
    }
)  # fmt: skip

_OF_OPERATOR = ("kms:ListGrants", "kms:RetireGrant", "kms:RevokeGrant", "kms:ListRetirableGrants")


def is_aws_alias(resource: str | None) -> bool:
    return resource is not None and "alias/aws/" in resource


def grant_for(told: Told, case: str | None) -> tuple[str | None, str]:
    """The command for a grant on the key that the error names, or None; and a remark for people."""
    resource = told.resource
    if is_aws_alias(resource):
        return (
            None,
            " The key is one that AWS manages: nobody can grant it, and inside its account nobody needs to.",
        )
    key = fixes.key(resource)
    if key is None and (disk := fixes.disk(resource)) is not None:
        return fixes.grant_command(disk, disk.id, told.region, told.account, case), (
            " The key is found by the disk. If it is aws/ebs, which AWS manages, nothing is granted."
        )
    if key is None or resource is None:
        return None, (
            " The text does not name the key. cado-ops kms grant finds it by the disk: with --instance-id, "
            "--volume-id or --snapshot-id, --account and --region."
        )
    command = fixes.grant_command(key, resource, told.region, told.account, case)
    caller = fixes.arn(told.principal)
    if key.account and caller and caller.account and caller.account != key.account:
        return _across(told, command, caller)
    name = role_of(told.principal) if is_cado_role(told.principal) else None
    if name is not None and name != DEFAULT_CADO_ROLE:
        return f"{command} --cado-role {quote(name)}", ""
    if name is None and caller is not None:
        # A grant to the Cado role would let another one in, and mend nothing for this caller.
        return None, f" The caller is no Cado role: if the Cado role was meant to use the key, {command}"
    return command, " If the Cado role is called otherwise than CadoResponseRole, add --cado-role NAME."


def _across(told: Told, command: str, caller: fixes.Arn) -> tuple[str | None, str]:
    remark = (
        f" The caller is of account {caller.account} and the key is not: there the caller's own policies have "
        "to allow the action as well."
    )
    if not is_cado_role(told.principal):
        return (
            None,
            remark + " If the caller is your Cado role, grant it with cado-ops kms grant --grantee ROLE-ARN.",
        )
    role = f"arn:{caller.partition}:iam::{caller.account}:role/{role_of(told.principal)}"
    # Whoever pastes it is asked before anything is granted, and a grantee out of scope is refused.
    return f"{command} --grantee {quote(role)}", remark + " If the role has a path, put it into --grantee."


def by_grant(told: Told, name: str, case: str | None) -> Meaning:
    if is_aws_alias(told.resource):
        return (
            "aws-managed-key",
            "The key is one that AWS manages: nobody can make grants on it, nor change its policy. "
            "Inside its own account it works without; from another account it cannot be used.",
            None,
        )
    if name == "CreateGrant":
        return _create_grant(told, case)
    if told.action in _OF_OPERATOR:
        cause = (
            "No policy that counts for the caller allows it. The operator role needs it, the Cado role does not."
        )
        if name == "RetireGrant":
            cause += " Retiring needs no permission at all where the caller is the grant's retiring principal."
        return "not-allowed", cause, None
    if name not in GRANTABLE:
        return not_allowed_or_plain(told)
    fix, remark = grant_for(told, case)
    if told.denied_by == "resource-policy":
        cause = (
            "The key's policy neither allows the caller nor leaves that to the IAM policies of its account, and "
            "no grant does. A grant to the Cado role mends it, made by somebody whom the key's policy lets make "
            "grants; or who owns the key changes its policy."
        )
    elif told.denied_by == "identity-policy":
        cause = (
            "The caller may not use this key: none of its policies allows it, and no grant does. A grant to the "
            "Cado role mends it."
        )
    elif told.because:
        cause = (
            "KMS hides why: the key is not there, is in another region, or its policy does not let the caller "
            "use it. Where it is a disk's key, the Cado role needs a grant; where the key's policy denies "
            "explicitly, no grant helps."
        )
    else:
        cause = (
            "The caller may not use this key; AWS does not say by which policy. Where none denies it "
            "explicitly, a grant to the Cado role mends it."
        )
    return GRANT, cause + remark, fix


def _create_grant(told: Told, case: str | None) -> Meaning:
    cause = (
        "The caller may not make grants on this key. If AWS manages the key (aws/ebs and its like), nobody may, "
        "and the disk needs none inside its account: cado-ops kms grant tells which it is. On a customer "
        "managed key the caller needs kms:CreateGrant from its own policy or the key's, and some key policies "
        "allow it only for AWS services (kms:GrantIsForAWSResource)."
    )
    fix = None
    if is_cado_role(told.principal):
        fix, remark = grant_for(told, case)
        cause += (
            " The caller is the Cado role: a grant by the operator role that includes CreateGrant mends it."
            + remark
        )
    else:
        cause += " Who owns the key, or manages the caller's policies, has to allow it."
    return "grant-not-allowed", cause, fix
