"""What policy tighten and policy check both read from the command line."""

from __future__ import annotations

from cado_ops.arns import parse_role_arn, parse_role_name
from cado_ops.cli.given import Given
from cado_ops.errors import UsageError
from cado_ops.policy.kms_variant import VARIANTS


def role_named(text: str) -> str:
    """``--role``: a name, with its path where it has one, or an ARN."""
    if text.startswith("arn:"):
        return parse_role_arn(text, "--role", "--role").arn
    role = parse_role_name(text, "--role", "--role")
    return (role.path + role.name).removeprefix("/")


def kms_variant(given: Given) -> str | None:
    name = given.text("kms")
    if name is not None and name not in VARIANTS:
        raise UsageError(f"--kms is {name!r}: it takes {', '.join(VARIANTS)}")
    return name
