"""Denials that are nobody's in particular: what is not allowed, and what AWS does not say."""

from __future__ import annotations

from cado_ops.verdict.denial.model import UNKNOWN, Told
from cado_ops.verdict.denial.words import named

# Kind, cause and fix.
Meaning = tuple[str, str, str | None]

# Actions without resource types or condition keys (Service Authorization Reference, "AWS Systems Manager").
_STAR_ONLY = ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations")


def not_allowed_or_plain(told: Told) -> Meaning:
    """Where AWS names the kind of policy, that one lacks an allow; otherwise nothing is known."""
    if told.denied_by == UNKNOWN:
        return "denied", plain(told), None
    return "not-allowed", not_allowed(told), None


def not_allowed(told: Told) -> str:
    action = named(told.action or "it")
    cause = f"No policy of the caller allows {action}. Who manages the role's or user's policies has to add it."
    if told.action in _STAR_ONLY:
        cause += (
            f" {action} works on the resource * only: in a statement that names instances, as in Cado's "
            "published policy, it allows nothing. It has to stand in a statement of its own, on *."
        )
    elif (told.action or "").startswith("ebs:"):
        cause += (
            " Cado's disk acquisition reads snapshots block by block (EBS direct) and needs it on the snapshot."
        )
    elif told.action in ("ec2:CreateTags", "ec2:DeleteTags"):
        cause += (
            " If the caller is the operator role, it needs it for tag-instances and untag-instances; the Cado "
            "role should not have it, because whoever may set the tag is not bound by it."
        )
    return cause


def plain(told: Told) -> str:
    what = f"{named(told.action)} was denied" if told.action else "AWS denied the request"
    return (
        f"{what}, and AWS does not say by which kind of policy: it may be the caller's own, the resource's, a "
        "boundary, the session's, an endpoint's or the organisation's. CloudTrail in that account and region "
        "often says more than the answer did."
    )
