"""cado-ops runs undo and runs resume: what the journal knows, carried on with.

Accounts, regions, roles and external id come from the journal; the credentials are those of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cado_ops.arns import shown
from cado_ops.cli.changing import carry_out, guards_of, header_of, next_after
from cado_ops.cli.session import Session, run
from cado_ops.errors import CadoOpsError, RefusedError, UsageError
from cado_ops.journal import (
    Journal,
    RunRecord,
    begins_well,
    check_private,
    find_run,
    held,
    is_open,
    place_of,
    read_run,
    read_runs,
)
from cado_ops.model import Caller, Cell, ErrorInfo, Outcome, Report, Status
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.records import AnyChange, Key, change_from, key_of
from cado_ops.plan.shapes import check_run, failure_from
from cado_ops.workflow.proposal import OPEN, Guards, Proposal
from cado_ops.workflow.records import stamp, write_decisions, write_end
from cado_ops.workflow.undone import still_undone, undos_of

if TYPE_CHECKING:
    from cado_ops.observe.sweep import Seen
    from cado_ops.workflow.again import Now

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run id, the beginning of one, or last.")]


def undo_run(ctx: typer.Context, run_name: Run, *, flags: dict[str, Any]) -> int:
    """Put back exactly what a run changed, and leave alone what somebody changed since.

    The undo is a run of its own, and can be undone.

    Example: cado-ops runs undo last --dry-run
    """

    def body(session: Session) -> Report:
        guards = guards_of(session)
        path = find_run(session.given.journal_folder(), run_name)
        check_private(path)
        # Until this is done nobody goes on with the run, or undoes it as well.
        with held(path):
            return _undo(session, guards, _trusted(session, path))

    return run("runs undo", flags, ctx.obj, body)


def _undo(session: Session, guards: Guards, record: RunRecord) -> Report:
    undone = still_undone(record, _undos(session, record))
    session.command = "runs undo"
    caller = _same_caller(session, record)
    done = [change for key, change in _planned(record).items() if key in record.touched]
    done = [change.with_result(record.results[key_of(change)]) for change in done]
    now = _now(session, done)
    changes = now.in_turn([now.undo(change, undone.get(key_of(change))) for change in done])
    header = header_of(session, record.header["roles"]) | {"undoes": record.run_id}
    proposal = _proposal(session, caller, record, changes, now.seen, header)
    if not changes:
        session.warn(f"the run {record.run_id} changed nothing")
    report = carry_out(session, proposal, guards, now.read_at)
    report.notes += next_after(session, report)
    return report


def resume_run(ctx: typer.Context, run_name: Run, *, flags: dict[str, Any]) -> int:
    """Go on with a run that was cut off, under the same run id: nothing is done twice.

    What was begun and has no known outcome is looked at again; what failed is tried again.

    Example: cado-ops runs resume last
    """

    def body(session: Session) -> Report:
        guards = guards_of(session)
        path = find_run(session.given.journal_folder(), run_name)
        _trusted(session, path)
        # From here on nobody else can resume it; nothing is written before it is confirmed.
        journal, record = Journal.reopen(path, session.world.now)
        try:
            return _resume(session, guards, journal, record)
        finally:
            journal.close()

    return run("runs resume", flags, ctx.obj, body)


def _resume(session: Session, guards: Guards, journal: Journal, record: RunRecord) -> Report:
    if record.torn:
        session.warn(f"{record.path.name}: the last line was torn by a crash; a resume keeps it as a remark")
    undos = _undos(session, record)
    if still_undone(record, undos):
        raise RefusedError(
            f"the run {record.run_id} was undone by {undos[-1].run_id}: there is nothing to go on with",
            "run its command again, or undo the undo",
        )
    caller = _same_caller(session, record)
    planned = _planned(record)
    # What was skipped waited for another change, which was not made.
    settled = (Outcome.CHANGED, Outcome.UNCHANGED, Outcome.DRIFTED)
    before = {key: _with_result(record, change) for key, change in planned.items()}
    # What an undo could not read when it was planned is planned now.
    undoes = record.header.get("undoes")
    unplanned = {key for key, change in planned.items() if undoes and change.outcome is Outcome.FAILED}
    todo = {
        key: planned[key]
        for key, change in before.items()
        if key in unplanned or (planned[key].outcome is Outcome.PLANNED and change.outcome not in settled)
    }
    # A run that was cut off may not have seen what another case did at the same time (`plan.claims`).
    unseen = [key for key, change in before.items() if change.outcome is Outcome.CHANGED and record.end is None]
    undone = _undone_before(session, record) if unplanned else {}
    now = _now(session, [planned[key] for key in (*todo, *unseen)])

    def again(key: Key) -> AnyChange:
        change = before[key] if key in unseen else todo.get(key)
        if change is None or (key in unseen and now.unread(change)):
            return before[key]
        if key in unplanned:
            return now.undo_again(change, undone.get(key))
        planned_again = now.resume(change, begun=key in record.touched)
        if key in unseen and planned_again.outcome is not Outcome.UNKNOWN:
            return before[key]  # what became of it since is somebody else's doing
        return planned_again

    changes = {key: again(key) for key in planned}
    proposal = _proposal(session, caller, record, list(changes.values()), now.seen, {})
    # The targets that could not be read when the run was planned are still not read; but for those of an undo.
    asked = {planned[key].cell for key in unplanned}
    failures = [failure_from(each) for each in record.failures]
    still = [each for each in failures if Cell(each.account or "", each.region or "") not in asked]
    proposal.targets = record.header["targets"]
    proposal.targets_failed = record.header["targets_failed"] - len(failures) + len(still) + now.seen.failed_cells
    proposal.failures[:0] = still
    session.run_id = record.run_id
    if not proposal.planned:
        session.remark(f"the run {record.run_id} left nothing to be done")

    decided = [changes[key] for key in todo if changes[key].outcome not in OPEN]
    planned_now = [changes[key] for key in unplanned if now.unread(changes[key]) is None]

    def reopened(proposal: Proposal) -> Journal:
        journal.hold_room()
        argv = header_of(session, {})["argv"]
        journal.write("resume", started=stamp(session.world.now()), caller=caller.as_json(), argv=argv)
        write_decisions(journal, planned_now, decided)
        return journal

    report = carry_out(session, proposal, guards, now.read_at, reopened)
    ended = record.end.get("status") if record.end else Status.INTERRUPTED
    # A resume before this one may have been partial by what it could not read, and nothing else.
    closes = ended == Status.INTERRUPTED or (report.status is Status.SUCCESS and ended != Status.SUCCESS)
    if not guards.dry_run and not proposal.planned and (decided or closes):
        # Nothing is left to be done, and that is the end of the run.
        write_end(reopened(proposal), report, session.world.now())
    report.run_id = record.run_id
    report.notes += next_after(session, report)
    return report


def _undos(session: Session, run: RunRecord, but: str | None = None) -> list[RunRecord]:
    """The undos of a run that the folder knows, and theirs. Raises RefusedError where one cannot be believed.

    So cannot one whose first line, which says what it undoes, was changed, if it is about the same things. ``but``
    is the id of the undo that is gone on with: it is no other.
    """

    def left_out(path: Path, error: CadoOpsError) -> None:
        session.warn(f"{path.name}: whether it undid the run is not known: {error.message}")

    records = list(read_runs(session.given.journal_folder(), left_out))
    found = [each for each in undos_of(run.run_id, records) if each.run_id != but]
    about = {place_of(line) for line in run.plan}
    doubtful = [
        each
        for each in records
        if each.edits and not begins_well(each.path) and about & {place_of(line) for line in each.plan}
    ]
    for each in (*found, *doubtful):
        check_private(each.path)
        if not each.edits:
            _check(each)
        else:
            raise RefusedError(
                f"{each.path.name} undid the run {run.run_id}, or may have, and was changed: "
                "what it put back is not known",
                f"cado-ops runs show {each.run_id} --verify; without that file nothing counts as put back",
            )
        if is_open(each.path):
            raise RefusedError(f"{each.run_id}, which undoes the run {run.run_id}, is still at work", "wait for it")
    return found


def _undone_before(session: Session, undo: RunRecord) -> dict[Key, Any]:
    """What other undos of the same run have put back. Raises RefusedError where that cannot be believed."""
    path = undo.path.with_name(f"{undo.header['undoes']}{undo.path.suffix}")
    run = _believed(path) if path.is_file() else RunRecord(path)
    return still_undone(run, _undos(session, run, but=undo.run_id))


def _believed(path: Path) -> RunRecord:
    """The run's record. Raises RefusedError where its file cannot be believed, UsageError where it is none."""
    check_private(path)
    record = read_run(path)
    if record.edits:
        raise RefusedError(
            f"{record.path.name}: {record.edits[0]}: nothing is changed by a journal that cannot be believed",
            f"cado-ops runs show {record.run_id} --verify",
        )
    if not record.header:
        raise UsageError(f"{record.path.name} is no journal of a run")
    _check(record)
    return record


def _trusted(session: Session, path: Path) -> RunRecord:
    """The record of the run that is gone on with. Raises RefusedError, UsageError."""
    record = _believed(path)
    # A duplicate that a grant met is planned only then: there may be more.
    items = record.header.get("items")
    if isinstance(items, int) and len(record.plan) < items:
        raise RefusedError(
            f"the run {record.run_id} was cut off while its plan was written: it changed nothing",
            "run its command again: cado-ops runs list shows which it was",
        )
    session.case = record.header.get("case")
    session.recorded_roles = record.header["roles"]
    session.recorded_home_region = record.header["home_region"]
    return record


def _check(record: RunRecord) -> None:
    """Raises RefusedError where the journal's chain is whole, and what it holds is not what is written to one."""
    try:
        check_run(record.header, record.plan, record.failures, record.results)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            f"{record.path.name} is no journal that this version can go on with: {shown(str(error), 200)}"
        ) from error


def _same_caller(session: Session, record: RunRecord) -> Caller:
    return session.must_be(Caller(**record.header["caller"]))


def _planned(record: RunRecord) -> dict[Key, AnyChange]:
    changes = (change_from(line) for line in record.plan)
    return {key_of(change): change for change in changes}


def _with_result(record: RunRecord, change: AnyChange) -> AnyChange:
    """The change with what the journal says became of it."""
    result = record.results.get(key_of(change))
    if result is None:
        return change
    error = result["error"]
    return replace(
        # Of a grant, which one it became; of tags, what was meant stands.
        change.with_result(result) if isinstance(change, GrantChange) else change,
        outcome=Outcome(result["outcome"]),
        error=None if error is None else ErrorInfo(**error),
        warnings=tuple(result["warnings"]),
    )


def _now(session: Session, changes: Sequence[AnyChange]) -> Now:
    """How the things that the changes are about are now."""
    from cado_ops.workflow.again import read_now

    session.progress.phase("reading", None)
    return read_now(
        changes,
        session.identified(),
        session.connection,
        max_concurrency=session.max_concurrency,
        clock=session.world.clock,
        on_progress=session.reading,
    )


def _proposal(
    session: Session,
    caller: Caller,
    record: RunRecord,
    changes: list[AnyChange],
    seen: Seen[Any],
    header: dict[str, Any],
) -> Proposal:
    return Proposal(
        command=session.command,
        case=record.header.get("case"),
        caller=caller,
        changes=changes,
        failures=list(seen.failures),
        left_out=[],
        targets=seen.targets,
        targets_failed=seen.failed_cells,
        account_names={},
        header=header,
    )
