"""cado-ops runs: the journal, read back (list, show, export), and gone on with (undo, resume)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from cado_ops.cli.options import AGAIN_OPTIONS, LIST_OPTIONS, SHOW_OPTIONS, takes
from cado_ops.cli.run_again import resume_run, undo_run
from cado_ops.cli.runs_export import OF_GRANTS, export_runs
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import CadoOpsError, UsageError
from cado_ops.journal import RunRecord, check_private, find_run, place_of, read_own_runs, read_run
from cado_ops.model import Caller, Failure, Report, Status
from cado_ops.plan.shapes import caller_from, failure_from
from cado_ops.verdict.outcome import summarise
from cado_ops.workflow.run_claims import due_runs, is_of_case

app = typer.Typer(
    help="The journal: what was changed, when, by whom, for which case.",
    rich_markup_mode="rich",
)

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run id, the beginning of one, or last.")]


@app.command("list")
@takes(LIST_OPTIONS)
def list_runs(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """All runs on this machine, oldest first. Asks AWS nothing.

    Example: cado-ops runs list -o json
    """

    def body(session: Session) -> Report:
        of_case = session.given.of_case()
        left_out: list[Path] = []

        def leave_out(path: Path, error: CadoOpsError) -> None:
            session.warn(f"{path.name} is left out: {error.message}")
            left_out.append(path)

        runs = list(read_own_runs(session.given.journal_folder(), leave_out))
        if session.given.flag("expired"):
            runs = due_runs(runs, session.world.now(), of_case)
        elif of_case is not None:
            runs = [record for record in runs if is_of_case(record, of_case)]
        for record in runs:
            _say_problems(session, record)
        items = [_run_item(record) for record in runs]
        status = Status.PARTIAL if left_out else Status.SUCCESS
        return Report("runs list", status, summary={"runs": len(items)}, items=items)

    return run("runs list", flags, ctx.obj, body)


@app.command("show")
@takes(SHOW_OPTIONS)
def show_run(ctx: typer.Context, run_name: Run, *, flags: dict[str, Any]) -> int:
    """What one run planned and what became of each item. Asks AWS nothing.

    Example: cado-ops runs show last
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        path = find_run(session.given.journal_folder(), run_name)
        check_private(path)
        record = read_run(path)
        verify = session.given.flag("verify")
        if verify and record.edits:
            # What an edited file says may be anything: it is named, and not shown as if it were so.
            _say_problems(session, record)
            return Report("runs show", Status.PARTIAL, run_id=record.run_id)
        if not record.header:
            raise UsageError(f"{record.path.name} is no journal of a run")
        _say_problems(session, record)
        header = record.header
        items = [_item(record, line) for line in record.plan]
        summary = (record.end or {}).get("summary") or {}
        outcomes = [str(item.get("outcome")) for item in items]
        counted = summarise(
            outcomes,
            targets=summary.get("targets", 0),
            targets_failed=summary.get("targets_failed", 0),
            targets_left_out=summary.get("targets_left_out", 0),
            planned=sum(line.get("outcome") == "planned" for line in record.plan),
        )
        if verify:
            session.remark(f"verified: {record.lines} lines, head {record.head}")
        return Report(
            "runs show",
            Status.SUCCESS,
            run_id=record.run_id,
            case=header.get("case"),
            caller=_caller(header),
            summary=counted,
            items=items,
            failures=_failures(record),
        )

    return run("runs show", flags, world, body)


app.command("undo")(takes(AGAIN_OPTIONS)(undo_run))
app.command("resume")(takes(AGAIN_OPTIONS)(resume_run))
app.command("export")(export_runs)


def _run_item(record: RunRecord) -> dict[str, Any]:
    end = record.end or {}
    caller = _caller(record.header)
    changed = sum(result["outcome"] == "changed" for result in record.results.values())
    return {
        "run_id": record.run_id,
        "command": record.header.get("command"),
        "case": record.header.get("case"),
        "started": record.header.get("started"),
        "finished": end.get("finished"),
        "caller": caller.arn if caller else None,
        "status": end.get("status", str(Status.INTERRUPTED)),
        "changed": changed,
    }


def _item(record: RunRecord, line: dict[str, Any]) -> dict[str, Any]:
    inner = ("id", "after", "constraints") if "key_arn" in line else ("tags_before", "tags_after")
    item = {key: value for key, value in line.items() if key not in inner}
    result = record.results.get(place_of(line), {})
    told = ("outcome", "error", "warnings", *(OF_GRANTS if "key_arn" in line else ()))
    return item | {name: result[name] for name in told if name in result}


def _caller(header: dict[str, Any]) -> Caller | None:
    """Who made the run; None where that was edited away."""
    try:
        return caller_from(**header["caller"])
    except (KeyError, TypeError):
        return None


def _failures(record: RunRecord) -> list[Failure]:
    found = []
    for each in record.failures:
        # One that was edited is named among the problems.
        with suppress(KeyError, TypeError):
            found.append(failure_from(each))
    return found


def _say_problems(session: Session, record: RunRecord) -> None:
    for problem in record.problems:
        session.warn(f"{record.path.name}: {problem}")
    if record.header and record.end is None:
        session.warn(f"{record.path.name}: the run has no end: it is still at work, or was cut off")
