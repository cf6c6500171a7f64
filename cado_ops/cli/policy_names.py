"""What policy tighten and policy check both read from the command line."""

from __future__ import annotations

from cado_ops.arns import parse_role_arn, parse_role_name, split_commas
from cado_ops.cli.given import Given
from cado_ops.cli.session import Session
from cado_ops.errors import UsageError
from cado_ops.policy.cado_role import cado_roles
from cado_ops.policy.holders import Holder
from cado_ops.policy.kms_variant import VARIANTS
from cado_ops.policy.source import PolicyFile


def role_named(text: str) -> str:
    """``--role``: a name, with its path where it has one, or an ARN."""
    if text.startswith("arn:"):
        return parse_role_arn(text, "--role", "--role").arn
    role = parse_role_name(text, "--role", "--role")
    return (role.path + role.name).removeprefix("/")


def cado_roles_of(session: Session, file: PolicyFile) -> list[Holder]:
    """Of a template, the roles that are looked at; the others are told on stderr. Raises UsageError, PolicyError.

    ``--cado-role`` names them: a name, an ARN, or the logical id; from the environment or a settings file it may be
    that of another deployment.
    """
    text, source = session.given.merged("cado-role")
    named = [each.rpartition("/")[2] for each in split_commas([text], source)] if text else []
    found = file.holders()
    if source.startswith("--") and not any(each.names & set(named) for each in found):
        raise UsageError(
            f"{source}: {file.where} has no role {', '.join(named)}",
            f"It has {', '.join(each.name for each in found)}.",
        )
    chosen, remarks = cado_roles(found, named, file.default_partitions)
    for remark in remarks:
        session.remark(f"left alone: {remark}")
    if not chosen:
        raise UsageError(
            f"{file.where} has no role that looks like the Cado role",
            "name it: --cado-role with its name or its logical id",
        )
    return chosen


def kms_variant(given: Given) -> str | None:
    name = given.text("kms")
    if name is not None and name not in VARIANTS:
        raise UsageError(f"--kms is {name!r}: it takes {', '.join(VARIANTS)}")
    return name
