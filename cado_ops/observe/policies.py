"""Roles and keys in scope, with the policies that are on them: read-only. IAM is global, so a role is read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cado_ops.aws.connection import Connection
from cado_ops.aws.iam import Iam, RolePolicy, Simulated
from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind, PolicyError, UsageError
from cado_ops.fanout import FanOut
from cado_ops.model import Caller, Cell, Failure, LeftOut
from cado_ops.observe.roles import find_cado_role
from cado_ops.observe.sweep import as_aws_error
from cado_ops.observe.targets import failure, resolve_accounts
from cado_ops.policy.document import Document, document_from, read_document
from cado_ops.policy.probes import Probe
from cado_ops.scope import CadoRoles, Scope


@dataclass(frozen=True)
class RolePolicies:
    """A role with all its policies, the inline ones first. ``boundary`` is its permissions boundary."""

    account: str
    arn: str
    policies: tuple[tuple[str, Document], ...]
    boundary: Document | None = None

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(document for _, document in self.policies)


@dataclass
class RolesRead:
    """What was read, by account, and every account that could not be."""

    roles: dict[str, RolePolicies] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    failed: int = 0

    @property
    def targets(self) -> int:
        return len(self.roles) + self.failed


def read_roles(
    scope: Scope,
    caller: Caller,
    connection: Connection,
    named: str,
    *,
    max_concurrency: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> RolesRead:
    """The role of this name in every account in scope; an ARN names its account. Raises UsageError.

    Where an accounts file names the Cado role of an account, that one is read.
    """
    account = named.split(":")[4] if named.startswith("arn:") else None
    if account is not None and named.split(":")[1] != caller.partition:
        raise UsageError(f"{named} is of another partition than you, who are in {caller.partition}")
    cells = [Cell(account, "")] if account else []
    accounts = resolve_accounts(scope, caller, connection, cells, whole_scope=account is None)
    read = RolesRead(
        failures=list(accounts.failures), left_out=list(accounts.left_out), failed=len(accounts.failures)
    )
    iam = Iam(connection)
    # Cado's own list says what the role is called in each of its accounts.
    of_list = {each.account_id: each.cado_role_arn for each in scope.accounts if each.cado_role_arn}
    roles = CadoRoles(named, {} if account else of_list)

    def work(account: str) -> RolePolicies:
        return read_role(iam, account, roles, caller.partition)

    fan: FanOut[str, RolePolicies] = FanOut(work, max_concurrency)
    for each in sorted(accounts.in_scope):
        fan.add(each)
    for done, result in enumerate(fan.results(), 1):
        if result.value is not None:
            read.roles[result.job] = result.value
        elif result.error is not None:
            error = as_aws_error(result.error)
            stage = "assume-role" if error.operation == "AssumeRole" else "observe"
            read.failures.append(failure(error, stage, result.job))
            read.failed += 1
        on_progress(done, len(accounts.in_scope))
    return read


def read_role(iam: Iam, account: str, roles: CadoRoles, partition: str) -> RolePolicies:
    """A role's policies and its boundary. Raises AwsError; a role that is not there is one."""
    role = find_cado_role(iam, account, roles, partition)
    if role.error is not None:
        hint = role.error.hint.replace("--cado-role", "--role") if role.error.hint else None
        raise AwsError("NoSuchEntity", role.error.message, hint=hint, kind=Kind.NOT_FOUND)
    if role.unread is not None:
        raise role.unread
    boundary = iam.managed_policy(account, role.boundary_arn) if role.boundary_arn else None
    return RolePolicies(
        account, role.arn, policies_of(iam, account, role.arn), policy_document(boundary) if boundary else None
    )


def policies_of(iam: Iam, account: str, role_arn: str) -> tuple[tuple[str, Document], ...]:
    """All policies of a role, by name, the inline ones first. Raises AwsError."""
    name = role_arn.rpartition("/")[2]
    return tuple((each.name, policy_document(each)) for each in iam.role_policies(account, name))


def policy_document(policy: RolePolicy) -> Document:
    """IAM took the policy: if it cannot be read here, that is said, and never passed over."""
    try:
        return document_from(policy.document, policy.name)
    except PolicyError as error:
        raise AwsError("MalformedPolicy", error.message, hint=error.hint) from error


def simulate(
    iam: Iam, role: RolePolicies, asked: Sequence[Probe]
) -> tuple[list[tuple[Probe, Simulated]], AwsError | None]:
    """AWS's own answers; the error that ended the asking, if any."""
    answers: list[tuple[Probe, Simulated]] = []
    for probe in asked:
        try:
            answer = iam.simulate(role.account, role.arn, probe.action, probe.resource, probe.context)
        except AwsError as error:
            return answers, error
        answers.append((probe, answer))
    return answers, None


@dataclass(frozen=True)
class KeyPolicy:
    """A key's policy, read or refused."""

    arn: str
    document: Document


def read_key_policies(
    kms: Kms, keys: Mapping[str, Cell], max_concurrency: int
) -> tuple[list[KeyPolicy], list[Failure]]:
    """The policies of keys; every key that could not be read is a failure."""

    def work(arn: str) -> KeyPolicy:
        try:
            return KeyPolicy(arn, read_document(kms.key_policy(keys[arn], arn), arn))
        except PolicyError as error:
            raise AwsError("MalformedPolicy", error.message, hint=error.hint) from error

    read: list[KeyPolicy] = []
    failures: list[Failure] = []
    fan: FanOut[str, KeyPolicy] = FanOut(work, max_concurrency)
    for arn in keys:
        fan.add(arn)
    for result in fan.results():
        if result.value is not None:
            read.append(result.value)
        elif result.error is not None:
            error, cell = as_aws_error(result.error), keys[result.job]
            failures.append(replace(failure(error, "observe", cell.account, cell.region), id=result.job))
    return sorted(read, key=lambda each: each.arn), failures
