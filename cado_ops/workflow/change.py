"""The machine under every command that changes AWS: guard, confirm, journal, apply, report.

It knows nothing of tags: what to change comes as changes, how to apply a cell's changes as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, overload

from cado_ops.errors import LocalError
from cado_ops.fanout import FanOut
from cado_ops.journal import JOURNAL_VERSION, Journal
from cado_ops.model import Caller, Cell, ErrorInfo, Failure, LeftOut, Outcome, Report, Status
from cado_ops.plan.records import AnyChange
from cado_ops.verdict.outcome import status_of, summarise
from cado_ops.workflow.interrupts import Interrupts

DEFAULT_MAX_CHANGES = 100
# What a proposal leaves to be done.
OPEN = (Outcome.PLANNED, Outcome.UNKNOWN)

_MADE = (Outcome.CHANGED, Outcome.UNKNOWN)
_BROKEN_OFF = "the journal could not be written on: whether it was changed is to be looked at, cado-ops runs resume"
# A run's changes are all of one kind, and its work takes that kind alone.
CellWork = Callable[[Cell, Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Guards:
    """What stands between a plan and AWS."""

    dry_run: bool = False
    yes: bool = False
    max_changes: int = DEFAULT_MAX_CHANGES
    all_or_nothing: bool = False
    fail_empty: bool = False


@dataclass
class Proposal:
    """What a command found and planned. ``changes`` holds every item selected, those to be left alone too."""

    command: str
    case: str | None
    caller: Caller
    changes: Sequence[AnyChange]
    failures: list[Failure]
    left_out: list[LeftOut]
    targets: int
    targets_failed: int
    account_names: Mapping[str, str | None]
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> list[AnyChange]:
        """What is to be done. UNKNOWN: begun by a run that was cut off, and to be looked at again."""
        return [change for change in self.changes if change.outcome in OPEN]


class Audience(Protocol):
    """Whoever watches: is shown the plan and asked, and takes results as they come."""

    def confirm(self, proposal: Proposal) -> ErrorInfo | None:
        """Shows the plan and asks. None to go on; else why not (no terminal, or the answer was no)."""

    def items(self, changes: Sequence[AnyChange]) -> None: ...

    def phase(self, name: str, total: int) -> None: ...

    def advance(self, count: int) -> None: ...


class _Items(Sequence[dict[str, Any]]):
    """The items of changes, each made when it is asked for: what was streamed is not kept a second time."""

    def __init__(self, changes: Sequence[AnyChange]) -> None:
        self._changes = changes

    def __len__(self) -> int:
        return len(self._changes)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> _Items: ...

    def __getitem__(self, place: int | slice) -> dict[str, Any] | _Items:
        if isinstance(place, slice):
            return _Items(self._changes[place])
        return self._changes[place].as_item()


@dataclass
class Machine:
    """``dry_run`` and ``apply`` work through one cell's changes; ``apply`` is made for a journal.

    ``open_journal`` gives a journal that holds the proposal already.
    """

    audience: Audience
    interrupts: Interrupts
    dry_run: CellWork
    apply: Callable[[Journal], CellWork]
    open_journal: Callable[[Proposal], Journal]
    now: Callable[[], datetime]
    max_concurrency: int

    def run(self, proposal: Proposal, guards: Guards) -> Report:
        """Takes a proposal to its end. Raises LocalError where the journal cannot be opened."""
        if guards.dry_run:
            self.audience.phase("asking AWS (dry run)", len(proposal.planned))
            changes, lost = self._through_cells(proposal, self.dry_run)
            if lost is not None:
                raise lost
            return self._report(proposal, guards, changes, planned=True)
        refusal = _guard(proposal, guards)
        if refusal is None and proposal.planned and not guards.yes:
            refusal = self.audience.confirm(proposal)
        if refusal is not None:
            proposal.failures.append(Failure(None, None, "confirm", refusal))
            report = self._report(proposal, guards, proposal.changes)
            report.status = Status.REFUSED
            return report
        if not proposal.planned:
            return self._report(proposal, guards, proposal.changes)
        return self._apply(proposal, guards)

    def _apply(self, proposal: Proposal, guards: Guards) -> Report:
        journal = self.open_journal(proposal)
        self.audience.phase("changing", len(proposal.planned))
        try:
            with self.interrupts.deferred():
                changes, lost = self._through_cells(proposal, self.apply(journal))
            report = self._report(proposal, guards, changes, run_id=journal.run_id)
            if lost is None:
                write_end(journal, report, self.now())
            elif isinstance(lost, LocalError) and any(each.outcome in _MADE for each in changes):
                # The journal is gone, and what was made until then is not: it is told.
                error = ErrorInfo(type(lost).__name__, lost.message, lost.hint)
                report.failures.append(Failure(None, None, "journal", error))
                report.status = Status.PARTIAL
            else:
                raise lost
        finally:
            journal.close()
        return report

    def _through_cells(self, proposal: Proposal, work: CellWork) -> tuple[list[AnyChange], Exception | None]:
        """All changes, those that were planned with what became of them, in their old order; and what broke it off.

        Of a cell in which it broke off nobody knows what was made: UNKNOWN.
        """
        by_cell: dict[Cell, list[AnyChange]] = {}
        for change in proposal.planned:
            by_cell.setdefault(change.cell, []).append(change)
        fan: FanOut[Cell, list[AnyChange]] = FanOut(lambda cell: work(cell, by_cell[cell]), self.max_concurrency)
        for cell in by_cell:
            fan.add(cell)
        self.audience.items([change for change in proposal.changes if change.outcome not in OPEN])
        ended: dict[tuple[Cell, str], AnyChange] = {}
        lost: Exception | None = None
        for done in fan.results(self.interrupts.stopped):
            if done.error is not None:
                # The journal is gone, or a fault of our own: what is in flight ends, nothing else may begin.
                lost = lost or done.error
                self.interrupts.stop()
                for change in by_cell[done.job]:
                    ended[change.cell, change.id] = change.ended(Outcome.UNKNOWN, None, (_BROKEN_OFF,))
                continue
            for change in done.value or ():
                ended[change.cell, change.id] = change
            self.audience.items(done.value or ())
            self.audience.advance(len(by_cell[done.job]))
        known = {(change.cell, change.id) for change in proposal.changes}
        # What was met on the way and had to be done besides (a duplicate) stands in the report as well.
        met = [change for place, change in ended.items() if place not in known]
        return [*(ended.get((change.cell, change.id), change) for change in proposal.changes), *met], lost

    def _report(
        self,
        proposal: Proposal,
        guards: Guards,
        changes: Sequence[AnyChange],
        *,
        planned: bool = False,
        run_id: str | None = None,
    ) -> Report:
        outcomes = [str(change.outcome) for change in changes]
        status = status_of(
            outcomes,
            proposal.failures,
            targets=proposal.targets,
            targets_failed=proposal.targets_failed,
            planned=planned,
            interrupted=self.interrupts.stopped(),
        )
        report = Report(
            command=proposal.command,
            status=status,
            dry_run=guards.dry_run,
            run_id=run_id,
            case=proposal.case,
            caller=proposal.caller,
            summary=summarise(
                outcomes,
                targets=proposal.targets,
                targets_failed=proposal.targets_failed,
                targets_left_out=len(proposal.left_out),
                planned=len(proposal.planned),
            ),
            items=_Items(changes),
            failures=list(proposal.failures),
        )
        if not changes and status in (Status.SUCCESS, Status.PLANNED) and guards.fail_empty:
            report.status = Status.PARTIAL
        return report


def _guard(proposal: Proposal, guards: Guards) -> ErrorInfo | None:
    """Why a plan may not be carried out at all, whoever confirms it."""
    # What a run that was cut off has done already is only looked at again.
    count = sum(change.outcome is Outcome.PLANNED for change in proposal.changes)
    if count > guards.max_changes:
        return ErrorInfo(
            "TooManyChanges",
            f"{count} changes are planned, and --max-changes is {guards.max_changes}: nothing was changed",
            f"Look at the plan with --dry-run; then --max-changes {count} allows it.",
        )
    return incomplete(proposal, guards)


def incomplete(proposal: Proposal, guards: Guards) -> ErrorInfo | None:
    """Why ``--all-or-nothing`` refuses a proposal; None where it does not."""
    lost = len(proposal.failures) + sum(change.outcome is Outcome.FAILED for change in proposal.changes)
    if guards.all_or_nothing and lost:
        return ErrorInfo(
            "Incomplete",
            f"--all-or-nothing: {lost} {'thing' if lost == 1 else 'things'} failed before the first change",
            "Mend what failed, or exclude it, or run without --all-or-nothing.",
        )
    return None


def write_plan(journal: Journal, proposal: Proposal, now: datetime) -> None:
    """The beginning of a new run's journal: who, where, what for, and the whole plan; and room for what follows.

    Where that cannot be written whole there was no run, and no file is left of it.
    """
    try:
        with journal.at_once():
            _write_plan(journal, proposal, now)
        journal.hold_room()
    except (Exception, KeyboardInterrupt):
        journal.discard()
        raise


def _write_plan(journal: Journal, proposal: Proposal, now: datetime) -> None:
    journal.write(
        "run",
        format_version=JOURNAL_VERSION,
        run_id=journal.run_id,
        command=proposal.command,
        case=proposal.case,
        caller=proposal.caller.as_json(),
        started=stamp(now),
        accounts=sorted({change.account for change in proposal.changes}),
        regions=sorted({change.region for change in proposal.changes}),
        # So that a plan of which a part was lost in a crash is noticed.
        items=len(proposal.changes),
        targets=proposal.targets,
        targets_failed=proposal.targets_failed,
        **proposal.header,
    )
    by_cell: dict[Cell, list[AnyChange]] = {}
    for change in proposal.changes:
        by_cell.setdefault(change.cell, []).append(change)
    for cell, changes in by_cell.items():
        journal.write(
            "plan", account=cell.account, region=cell.region, changes=[each.as_record() for each in changes]
        )
    for failure in proposal.failures:
        journal.write("failure", failure=failure.as_json())


def write_decisions(journal: Journal, planned: Sequence[AnyChange], decided: Sequence[AnyChange]) -> None:
    """What a resume found by reading: changes that it ``planned`` anew, and what became of those it ``decided``."""
    for cell, changes in _by_cell(planned).items():
        journal.write(
            "plan", account=cell.account, region=cell.region, changes=[each.as_record() for each in changes]
        )
    for cell, changes in _by_cell(decided).items():
        results = {
            change.id: {
                "outcome": str(change.outcome),
                "error": change.error.as_json() if change.error else None,
                "warnings": list(change.warnings),
                **change.result(),
                "request_id": None,
            }
            for change in changes
        }
        journal.write("outcome", account=cell.account, region=cell.region, results=results)


def write_end(journal: Journal, report: Report, now: datetime) -> None:
    """How a run ended."""
    journal.write("end", finished=stamp(now), status=str(report.status), summary=report.summary)


def _by_cell(changes: Sequence[AnyChange]) -> dict[Cell, list[AnyChange]]:
    found: dict[Cell, list[AnyChange]] = {}
    for change in changes:
        found.setdefault(change.cell, []).append(change)
    return found


def stamp(moment: datetime) -> str:
    """A UTC time as ISO 8601, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
