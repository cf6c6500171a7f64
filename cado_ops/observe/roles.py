"""The two roles, as KMS has to be told of them: the Cado role of each account, and the operator role."""

from __future__ import annotations

from dataclasses import dataclass, field

from cado_ops.aws.connection import Connection
from cado_ops.aws.iam import Iam
from cado_ops.errors import AwsError, Kind, UsageError
from cado_ops.model import Caller, ErrorInfo
from cado_ops.observe.targets import Accounts
from cado_ops.scope import CadoRoles

# StackSets and Terraform put something before and behind: the name only has to contain one of these.
CADO_WORDS = ("CadoResponse", "DarktraceForensics")


@dataclass(frozen=True)
class CadoRole:
    """The Cado role of an account. ``error`` says that it is not there; ``known``: IAM says that it is.

    ``absent``: nor is any other there that looks like one. ``unread`` is why IAM did not tell. ``boundary_arn`` is
    that of its permissions boundary, where it is known.
    """

    arn: str
    known: bool = False
    error: ErrorInfo | None = None
    absent: bool = False
    boundary_arn: str | None = None
    unread: AwsError | None = field(default=None, compare=False)


def find_cado_role(iam: Iam, account: str, roles: CadoRoles, partition: str) -> CadoRole:
    """Asks IAM for the Cado role that serves ``account``. Where IAM may not be asked, the name is taken as it is.

    A role that is named by ARN in another account is not asked for: it may be out of reach.
    """
    expected = roles.arn(account, partition)
    if expected.split(":")[4] != account:
        return CadoRole(expected)
    name = expected.rpartition("/")[2]
    try:
        found = iam.role(account, name)
    except AwsError as error:
        if error.kind in (Kind.DENIED, Kind.ORG_DENIED):
            return CadoRole(expected, unread=error)
        raise
    named_by_arn = roles.by_account.get(account, roles.default).startswith("arn:")
    if found is not None and (found.arn == expected or not named_by_arn):
        return CadoRole(found.arn, known=True, boundary_arn=found.boundary_arn)
    missing, absent = _missing(iam, account, name, found.arn if found else None)
    return CadoRole(expected, error=missing, absent=absent)


def refuse_stray(roles: CadoRoles, accounts: Accounts, excluded: frozenset[str], more: str = "") -> None:
    """A Cado role that was typed for an account out of scope is a mistake. Raises UsageError."""
    stray = sorted(roles.typed - accounts.in_scope.keys() - excluded)
    if stray and not accounts.failures:
        raise UsageError(
            f"--cado-role {roles.by_account[stray[0]]} is of account {stray[0]}, which is not in scope",
            f"add --account {stray[0]}{more}",
        )


def _missing(iam: Iam, account: str, name: str, found: str | None) -> tuple[ErrorInfo, bool]:
    """What is there instead, and whether that is nothing at all."""
    if found is not None:
        return ErrorInfo(
            "GranteeNotFound", f"the role {name} of {account} is {found}", f"--cado-role {found}"
        ), False
    message = f"account {account} has no role {name}: the Cado role may be called otherwise there"
    try:
        others = iam.roles_named(account, CADO_WORDS)
    except AwsError as error:
        hint = f"--cado-role NAME names it (iam:ListRoles: {error.code})"
        return ErrorInfo("GranteeNotFound", message, hint), False
    if not others:
        nothing = ErrorInfo(
            "GranteeNotFound",
            f"{message}; no role there has {' or '.join(CADO_WORDS)} in its name",
            "--cado-role NAME|ARN names it; or Cado is not set up in that account yet",
        )
        return nothing, True
    hint = f"--cado-role {others[0]}" if len(others) == 1 else f"--cado-role, with one of {', '.join(others)}"
    return ErrorInfo("GranteeNotFound", message, hint), False


@dataclass(frozen=True)
class Operator:
    """Who this program is to KMS in an account: the retiring principal of what it grants. None: nobody."""

    principal: str | None
    remark: str | None = None


def find_operator(iam: Iam, connection: Connection, caller: Caller, account: str, own_role: str | None) -> Operator:
    """The operator role's ARN, path included, as RetiringPrincipal takes it.

    In the caller's own account no role is assumed: there it is the caller's own role, by ``own_role`` (--role-arn)
    or by asking IAM. Raises AwsError where the role's path cannot be known.
    """
    assumed = connection.credentials.role_arn(account)
    if assumed is not None:
        return Operator(assumed)
    kind, _, rest = caller.arn.split(":", 5)[5].partition("/")
    if kind == "user":
        return Operator(
            caller.arn,
            f"you are the IAM user {rest}, no role: you alone can retire what you grant, "
            "others only revoke it; --retiring-principal names a role",
        )
    if kind != "assumed-role":
        return Operator(
            None,
            f"you are {caller.arn}, no role: what you grant has no retiring principal and can only be ended "
            "with --revoke; --retiring-principal names a role",
        )
    name = rest.split("/")[0]
    if own_role is not None and own_role.rpartition("/")[2] == name:
        return Operator(own_role)
    try:
        found = iam.role(account, name)
    except AwsError as error:
        raise AwsError(
            error.code,
            f"the retiring principal is your role {name}, and its path is not known: {error.message}",
            kind=error.kind,
            operation="GetRole",
            hint=f"--role-arn arn:{caller.partition}:iam::{account}:role/PATH/{name}, or allow iam:GetRole on it",
        ) from error
    if found is None:
        raise AwsError("NoSuchEntity", f"IAM knows no role {name} in {account}", kind=Kind.NOT_FOUND)
    return Operator(found.arn)
