"""One read-only pass over all targets: account by account, region by region, none waiting for another.

What is read in a cell is up to the command (`read`): instances, a probe, and later grants or facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2
from cado_ops.errors import AwsError, CadoOpsError
from cado_ops.fanout import FanOut
from cado_ops.model import Account, Caller, Cell, ErrorInfo, Failure, LeftOut
from cado_ops.observe.targets import (
    POLICY_DENIES,
    Accounts,
    denied_region,
    failure,
    left_out_region,
    regions_named,
    resolve_regions,
)
from cado_ops.redaction import redacted
from cado_ops.scope import Scope

T = TypeVar("T")


@dataclass
class Seen(Generic[T]):
    """What a sweep found: a reading for each cell that could be read, and every cell that could not.

    ``read_at`` are monotonic seconds. ``failed_cells`` counts targets (an account whose regions could not even
    be listed is one).
    """

    accounts: Accounts
    readings: dict[Cell, T] = field(default_factory=dict)
    read_at: dict[Cell, float] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    failed_cells: int = 0

    @property
    def targets(self) -> int:
        """The targets that should have been read."""
        return len(self.readings) + self.failed_cells

    def name_of(self, account: str) -> str | None:
        known = self.accounts.in_scope.get(account)
        return known.name if known else None


@dataclass(frozen=True)
class _AccountJob:
    account: Account
    whole_scope: bool
    extra: tuple[Cell, ...]


@dataclass(frozen=True)
class _CellJob:
    cell: Cell


@dataclass(frozen=True)
class _Cells:
    cells: list[Cell]
    left_out: list[LeftOut]


def sweep(
    scope: Scope,
    accounts: Accounts,
    caller: Caller,
    connection: Connection,
    read: Callable[[Cell], T],
    *,
    max_concurrency: int,
    clock: Callable[[], float],
    extra_cells: Iterable[Cell] = (),
    whole_scope: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Seen[T]:
    """Reads every cell. ``extra_cells`` (from instance ARNs) are read whatever the scope's regions are.

    With ``whole_scope`` False only they are. ``on_progress(done, total)`` counts cells. Raises UsageError where
    the scope has no region at all.
    """
    ec2 = Ec2(connection)
    seen: Seen[T] = Seen(accounts, left_out=list(accounts.left_out), failures=list(accounts.failures))
    seen.failed_cells = len(accounts.failures)
    extra: dict[str, list[Cell]] = {}
    for cell in extra_cells:
        extra.setdefault(cell.account, []).append(cell)
    if whole_scope:
        regions_named(scope, connection.region)

    def work(job: _AccountJob | _CellJob) -> _Cells | T:
        if isinstance(job, _CellJob):
            return read(job.cell)
        return _cells_of(job, scope, connection, ec2)

    fan: FanOut[_AccountJob | _CellJob, _Cells | T] = FanOut(work, max_concurrency)
    in_whole = _accounts_of_scope(scope, accounts, caller, whole_scope)
    for account_id, account in sorted(accounts.in_scope.items()):
        fan.add(_AccountJob(account, account_id in in_whole, tuple(extra.get(account_id, ()))))
    done = total = 0
    for result in fan.results():
        job = result.job
        if result.error is not None:
            _note_failure(seen, scope, connection, job, as_aws_error(result.error))
        elif isinstance(job, _AccountJob):
            assert isinstance(result.value, _Cells)
            seen.left_out += result.value.left_out
            for cell in result.value.cells:
                fan.add(_CellJob(cell))
            total += len(result.value.cells)
        else:
            assert result.value is not None
            assert not isinstance(result.value, _Cells)
            seen.readings[job.cell] = result.value
            seen.read_at[job.cell] = clock()
        if isinstance(job, _CellJob):
            done += 1
        on_progress(done, total)
    _note_closed_accounts(seen)
    return seen


def as_aws_error(error: Exception) -> AwsError:
    """What ends one cell must not end the others: a fault of ours is that cell's failure, and said."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, CadoOpsError):
        raise error
    return AwsError(
        "InternalError",
        f"this is a fault in cado-ops: {type(error).__name__}: {redacted(str(error))}",
        hint="Run it with --debug and report what it prints.",
    )


def _note_closed_accounts(seen: Seen[T]) -> None:
    """An account of which organisation policies deny every region was not read: that is no empty answer."""
    known = {cell.account for cell in seen.readings} | {failure.account for failure in seen.failures}
    closed = {left.account: left for left in seen.left_out if left.region and left.reason.startswith(POLICY_DENIES)}
    for account, left in sorted(closed.items()):
        if account not in known:
            error = ErrorInfo("AllRegionsDenied", left.reason, "Name regions that the account may use: --region.")
            seen.failures.append(Failure(account, None, "observe", error))
            seen.failed_cells += 1


def _accounts_of_scope(scope: Scope, accounts: Accounts, caller: Caller, whole_scope: bool) -> set[str]:
    """The accounts whose regions are all read: not those that came in by an instance ARN alone."""
    if not whole_scope:
        return set()
    if scope.default:
        return {caller.account}
    if scope.org or scope.ous:
        return set(accounts.in_scope)
    return {account.account_id for account in scope.accounts}


def _cells_of(job: _AccountJob, scope: Scope, connection: Connection, ec2: Ec2) -> _Cells:
    # First of all, so that a refused role is one failure of the account, before its regions queue up.
    connection.credentials.get(job.account.account_id)
    account = job.account
    left_out = [
        LeftOut(account.account_id, cell.region, "--exclude-region", account.name)
        for cell in job.extra
        if cell.region in scope.exclude_regions
    ]
    cells = {cell for cell in job.extra if cell.region not in scope.exclude_regions}
    if job.whole_scope:
        regions = resolve_regions(scope, account, ec2, connection.region, connection.home_region)
        left_out += [left for left in regions.left_out if left not in left_out]
        cells |= {Cell(account.account_id, region) for region in regions.regions}
    return _Cells(sorted(cells), left_out)


def _note_failure(
    seen: Seen[T], scope: Scope, connection: Connection, job: _AccountJob | _CellJob, error: AwsError
) -> None:
    if isinstance(job, _CellJob):
        cell = job.cell
        if denied_region(error, scope, cell.region):
            seen.left_out.append(left_out_region(cell, error, seen.name_of(cell.account)))
            return
        seen.failures.append(failure(error, "observe", cell.account, cell.region))
        seen.failed_cells += 1
        return
    account_id = job.account.account_id
    stage = "assume-role" if error.operation == "AssumeRole" else "regions"
    regions = {cell.region for cell in job.extra}
    if job.whole_scope and not scope.all_regions:
        regions |= set(regions_named(scope, connection.region)) - scope.exclude_regions
    # Where the regions are not even known, the account counts as one target.
    places: list[str | None] = [*sorted(regions)] or [None]
    for region in places:
        seen.failures.append(failure(error, stage, account_id, region))
        seen.failed_cells += 1
