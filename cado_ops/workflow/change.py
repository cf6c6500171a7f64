"""The machine under every command that changes AWS: guard, confirm, journal, apply, report.

It knows nothing of tags: what to change comes as changes, how to apply a cell's changes as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, overload

from cado_ops.errors import LocalError
from cado_ops.fanout import FanOut
from cado_ops.journal import Journal
from cado_ops.model import Cell, ErrorInfo, Failure, Outcome, Report, Status
from cado_ops.plan.records import AnyChange, Key, changes_by_cell, key_of
from cado_ops.verdict.outcome import status_of, summarise
from cado_ops.workflow.interrupts import Interrupts
from cado_ops.workflow.proposal import OPEN, Guards, Proposal, refusal_of
from cado_ops.workflow.records import write_end

_MADE = (Outcome.CHANGED, Outcome.UNKNOWN)
_BROKEN_OFF = "the journal could not be written on: whether it was changed is to be looked at, cado-ops runs resume"
# A run's changes are all of one kind, and its work takes that kind alone.
CellWork = Callable[[Cell, Sequence[Any]], list[Any]]


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
        refusal = refusal_of(proposal, guards)
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
        by_cell = changes_by_cell(proposal.planned)
        fan: FanOut[Cell, list[AnyChange]] = FanOut(lambda cell: work(cell, by_cell[cell]), self.max_concurrency)
        for cell in by_cell:
            fan.add(cell)
        self.audience.items([change for change in proposal.changes if change.outcome not in OPEN])
        ended: dict[Key, AnyChange] = {}
        lost: Exception | None = None
        for done in fan.results(self.interrupts.stopped):
            if done.error is not None:
                # The journal is gone, or a fault of our own: what is in flight ends, nothing else may begin.
                lost = lost or done.error
                self.interrupts.stop()
                for change in by_cell[done.job]:
                    ended[key_of(change)] = change.ended(Outcome.UNKNOWN, None, (_BROKEN_OFF,))
                continue
            ended.update((key_of(change), change) for change in done.value or ())
            self.audience.items(done.value or ())
            self.audience.advance(len(by_cell[done.job]))
        in_order = [ended.get(key_of(change), change) for change in proposal.changes]
        # What was met on the way and had to be done besides (a duplicate) stands in the report as well.
        known = {key_of(change) for change in proposal.changes}
        return [*in_order, *(change for key, change in ended.items() if key not in known)], lost

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
