"""What policy tighten and policy check both read from the command line."""

from __future__ import annotations

from cado_ops.arns import parse_role_arn, parse_role_name
from cado_ops.cli.given import Given
from cado_ops.cli.session import Session
from cado_ops.errors import UsageError
from cado_ops.policy.kms_variant import VARIANTS


def role_named(text: str) -> str:
    """``--role``: a name, with its path where it has one, or an ARN."""
    if text.startswith("arn:"):
        return parse_role_arn(text, "--role", "--role").arn
    role = parse_role_name(text, "--role", "--role")
    return (role.path + role.name).removeprefix("/")


def warn_of_partitions(session: Session, text: str) -> None:
    """A policy is judged for one partition: what a template leaves to the deployment is said, not passed over."""
    if "AWS::Partition" in text:
        session.warn(
            "the template leaves the partition to its deployment, and is judged here for one: where it is deployed "
            "in another, look at the deployed role with policy check --role"
        )


def kms_variant(given: Given) -> str | None:
    name = given.text("kms")
    if name is not None and name not in VARIANTS:
        raise UsageError(f"--kms is {name!r}: it takes {', '.join(VARIANTS)}")
    return name
