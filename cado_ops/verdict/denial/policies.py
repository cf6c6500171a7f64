"""Denials: which kind of policy said no, what that means here, and who can mend it."""

from __future__ import annotations

from cado_ops.verdict.denial import fixes
from cado_ops.verdict.denial.keys import by_grant
from cado_ops.verdict.denial.model import UNKNOWN, Explanation, Told
from cado_ops.verdict.denial.plain import Meaning, not_allowed, plain
from cado_ops.verdict.denial.ssm import TAG, TAGGED, run_command
from cado_ops.verdict.denial.words import named

# What the SSM agent itself asks (Systems Manager User Guide, "Reference: ec2messages, ssmmessages").
_OF_AGENT = ("ssm:UpdateInstanceInformation", "ssm:RegisterManagedInstance", "ssmmessages:", "ec2messages:")

_WHO = {
    "scp": (
        "A service control policy of the organisation denies it: no policy of the account's own can allow it. "
        "Only the organisation's management account, or an administrator delegated to, can change it or take "
        "the account out from under it."
    ),
    "rcp": (
        "A resource control policy of the organisation that owns the resource denies it, whoever asks: no "
        "policy of the account's own can allow it. Only that organisation's management account, or an "
        "administrator delegated to, can change it."
    ),
    "permissions-boundary": (
        "The caller's permissions boundary does not leave room for it, whatever the caller's policies allow. "
        "Who set the boundary (the account's IAM administrators, or the platform team whose template made the "
        "role) has to widen it; more permissions on the role itself change nothing."
    ),
    "session-policy": (
        "The session's own policy, given when the role was assumed, does not leave room for it, whatever the "
        "role's policies allow. Who assumes the role (the platform, a broker, a permission set) has to pass a "
        "wider one, or none; the role's policies need no change."
    ),
    "vpc-endpoint-policy": (
        "The request went through a VPC endpoint, and that endpoint's policy does not let it pass. Who runs the "
        "network has to widen the endpoint's policy, or let the request go another way; the caller's "
        "permissions need no change."
    ),
    "trust-policy": (
        "The role's trust policy does not let the caller assume it: it names somebody else, or asks for another "
        "external id, for MFA, for a source identity or session tags. Who owns the role has to change its trust "
        "policy, or the caller gives what it asks for (--external-id, --source-identity)."
    ),
}  # fmt: skip


def by_policy(told: Told, case: str | None) -> Explanation:
    """The explanation of a denial."""
    kind, cause, fix = _meaning(told, case)
    if (told.action or "").startswith(_OF_AGENT):
        cause += (
            " It is the SSM agent of an instance that was denied: until that is mended, the instance does not "
            "come online for Run Command and sessions."
        )
    if told.statements:
        cause += f" The statements that matched: {', '.join(map(named, told.statements))}."
    if told.decoded:
        cause += f" {told.decoded}"
    if told.vpc_endpoint and told.denied_by in ("vpc-endpoint-policy", UNKNOWN):
        cause += f" The request came through the endpoint {named(told.vpc_endpoint)}."
    return Explanation.of(told, kind, cause, fix)


def _meaning(told: Told, case: str | None) -> Meaning:
    if "AWSCompromisedKeyQuarantine" in (told.policy_arn or ""):
        return (
            "quarantined",
            "AWS itself has put these credentials into quarantine, because it found them exposed (in a public "
            "repository, say). Treat them as stolen: make new ones, delete these, look in CloudTrail for what "
            "was done with them, and only then have the policy detached from the user. Nothing here should work "
            "with them.",
            None,
        )
    if told.denied_by in _WHO:
        return _by_others(told)
    service, _, name = (told.action or "").partition(":")
    if told.explicit:
        return _explicit(told)
    if service == "sts" and name.startswith("AssumeRole"):
        return (
            "role-refused",
            _NOT_ALLOWED_TO_ASSUME if told.denied_by == "identity-policy" else _ROLE_REFUSED,
            None,
        )
    if service == "sts" and name in _OF_SESSIONS:
        return "role-refused", f"{_OF_SESSIONS[name]} {_BOTH_SIDES}", None
    if service == "kms":
        return by_grant(told, name, case)
    if told.denied_by == "resource-policy":
        return "resource-policy", _RESOURCE_POLICY + _which(told), None
    if told.because:
        return "denied", f"AWS gives as its reason: {named(told.because, 240)}.", None
    if told.action in TAGGED:
        return run_command(told, case)
    if told.denied_by == "identity-policy":
        return "not-allowed", not_allowed(told), None
    return "denied", plain(told), None


_ROLE_REFUSED = (
    "AWS answers the same whether the role is not there, its trust policy does not name the caller, it asks for "
    "another external id (--external-id) or MFA, or the caller's own policies do not allow sts:AssumeRole on "
    "it. Look at the role's name and path and its account first, then at its trust policy, then at the caller's "
    "policies."
)
_NOT_ALLOWED_TO_ASSUME = (
    "The caller's own policies do not allow sts:AssumeRole on that role: who manages them has to add it, with the "
    "role's whole ARN, its path included (cado-ops policy show operator-caller has it for this program). Whether "
    "the role is there, and its trust policy lets the caller in, is another question, not yet asked."
)
_OF_SESSIONS = {
    "TagSession": "The session was to carry tags (as EKS and IAM Identity Center have it), and may not.",
    "SetSourceIdentity": "The session was to carry a source identity (--source-identity), and may not.",
}
_BOTH_SIDES = (
    "The role's trust policy has to allow it beside sts:AssumeRole, and the caller's policies as well; or the role "
    "is assumed without."
)
_RESOURCE_POLICY = (
    "The resource's own policy does not allow it, and for this caller it would have to: across accounts both "
    "sides must allow. Who owns the resource has to change that policy; neither a tag nor a grant helps."
)


def _by_others(told: Told) -> Meaning:
    kind = "trust-refused" if told.denied_by == "trust-policy" else told.denied_by
    cause = _WHO[told.denied_by]
    if told.explicit is False and told.denied_by == "scp":
        cause = cause.replace("denies it", "does not allow it", 1)
    if told.because:
        cause += f" AWS adds: {named(told.because)}."
    if told.policy_arn:
        cause += f" The policy is {named(told.policy_arn, 240)}."
    if told.denied_by == "scp" and (told.action or "").lower() in ("ec2:describeregions", "ec2:describeinstances"):
        cause += " Where it closes single regions, leave those out: --exclude-region."
    return kind, cause, None


def _which(told: Told) -> str:
    return f" It is {named(told.policy_arn, 240)}." if told.policy_arn else ""


def _explicit(told: Told) -> Meaning:
    policy = _which(told)
    if told.denied_by == "resource-policy":
        kms = (told.action or "").startswith("kms:")
        what = "The key's policy" if kms else "The resource's own policy"
        more = " No grant helps against it." if kms else ""
        cause = (
            f"{what} has a statement that denies it, which no allow outweighs.{more} Its owner has to change that."
        )
        return "key-policy" if kms else "resource-policy", cause + policy, None
    if told.denied_by == "identity-policy":
        cause = (
            "A policy of the caller itself (of the user, its groups or the role) has a statement that denies "
            "it, which no allow outweighs"
        )
        if told.action in TAGGED and (fixes.instance(told.resource) or (told.resource or "").startswith("i-")):
            # What policy tighten adds where it cannot take a statement apart.
            sid = f"Deny{told.action.partition(':')[2]}WithoutTheTag"
            cause += (
                f". Where that is {sid}, which cado-ops policy tighten writes, it denies instances without "
                f"the tag {TAG}, and cado-ops tag-instances mends it; cado-ops check tells whether the instance "
                "carries it. Where it is another, the account's IAM administrators have to change that policy."
            )
        else:
            cause += (
                ": neither a tag nor a grant helps. The account's IAM administrators have to change that policy."
            )
        return "explicit-deny", cause + policy, None
    return (
        "explicit-deny",
        "A statement denies it, which no allow outweighs; AWS does not say in which kind of policy. It may be "
        "one of the "
        "caller's, of the resource's, or of the organisation's." + policy,
        None,
    )
