"""cado-ops runs export: runs as evidence, for machines to verify or for people to read. Asks AWS nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cado_ops import __version__
from cado_ops.cli.documents import write_file, write_out
from cado_ops.cli.options import EXPORT_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import CadoOpsError, UsageError
from cado_ops.journal import (
    RunRecord,
    begins_well,
    check_private,
    content_of,
    find_run,
    is_open,
    place_of,
    read_own_runs,
    read_run,
)
from cado_ops.model import Report, Status
from cado_ops.render.case_file import CaseRun, case_file
from cado_ops.render.text import count, plain
from cado_ops.workflow.run_claims import due_runs, is_of_case

EXPORT_VERSION = 1
FORMATS = ("jsonl", "html")
# What became known of a grant only when it was made.
OF_GRANTS = ("grant_id", "name", "issuing_account", "creation_date")
Key = tuple[str, str, str]

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Run ids, the beginnings of some, or last.", show_default=False),
]


@takes(EXPORT_OPTIONS)
def export_runs(ctx: typer.Context, runs: Runs = None, *, flags: dict[str, Any]) -> int:
    """Runs as a case file: the journal's own lines, which can be verified, or one HTML page, to be printed.

    Put the head that is named for each run on record somewhere else. Asks AWS nothing.

    Example: cado-ops runs export --of-case IR-42 --format html --out IR-42.html
    """
    world: World = ctx.obj
    form = "jsonl" if flags["format"] is None else flags["format"]
    out = flags["out"]

    def body(session: Session) -> Report:
        if form not in FORMATS:
            raise UsageError(f"--format is {form!r}: it takes {', '.join(FORMATS)}")
        folder = session.given.journal_folder()
        of_case = session.given.of_case()
        due_at = world.now() if session.given.flag("expired") else None
        files, complete = _chosen(session, folder, runs or [], of_case, due_at)
        exports = list(map(_read, files))
        make = _jsonl if form == "jsonl" else lambda each: _html(each, of_case, world)
        document = b"".join(make(exports))
        if out is None:
            write_out(world.stdout, document)
        else:
            _write_file(Path(out), document, folder)
        for export in exports:
            _say(session, export)
        return Report(
            "runs export",
            Status.SUCCESS if complete and all(each.verified for each in exports) else Status.PARTIAL,
            summary={"exported": len(exports)},
            notes=["put these heads on record, where nobody who can write to the journal can change them"],
        )

    # What is on stdout is the document, and no report: that is told on stderr alone.
    return run("runs export", flags | {"output": "table"}, replace(world, stdout=io.StringIO()), body)


@dataclass(frozen=True)
class _Export:
    """A run's file: its whole lines as they stand, and what they say."""

    record: RunRecord
    lines: list[bytes]

    @property
    def verified(self) -> bool:
        """A torn line is the mark of a crash: it was never part of the chain."""
        return not self.record.edits


def _chosen(
    session: Session, folder: Path, names: Sequence[str], case: str | None, due_at: datetime | None
) -> tuple[list[Path], bool]:
    """The files to export, and whether they are all that belong together. Raises RefusedError, UsageError."""
    by_claim = case is not None or due_at is not None
    if bool(names) == by_claim:
        raise UsageError("give either runs, or --of-case or --expired", "cado-ops runs list shows which there are")
    if not by_claim:
        return list(dict.fromkeys(find_run(folder, name) for name in names)), True
    complete = True

    def left_out(path: Path, error: CadoOpsError) -> None:
        nonlocal complete
        session.warn(f"{path.name} is left out: {error.message}")
        complete = False

    runs = list(read_own_runs(folder, left_out))
    if due_at is not None:
        chosen = due_runs(runs, due_at, case)
    else:
        assert case is not None
        chosen = [each for each in runs if is_of_case(each, case)]
    taken = {each.run_id for each in chosen}
    for each in runs:
        if each.run_id in taken and case not in (None, each.header.get("case")):
            whose = plain(each.header.get("case")) or "no case"
            session.remark(f"{each.run_id}, of {whose}, changed claims of {case}: it is part of this")
        elif each.run_id not in taken and each.edits:
            why = "it was changed, so its claims are not known"
            if not begins_well(each.path):
                why = "its first line was changed, so its case is not known"
            session.warn(f"{each.path.name}: {why}: left out")
            complete = False
    if not chosen:
        what = f"no run of the case {case}" if due_at is None else "no run with a claim that is due"
        raise UsageError(f"there is {what} in {folder}", "cado-ops runs list shows all runs")
    return [each.path for each in chosen], complete


def _read(path: Path) -> _Export:
    """The run, and the bytes that it was read from. Raises LocalError, RefusedError, UsageError."""
    check_private(path)
    record = read_run(path)
    *lines, last = content_of(path).split(b"\n")
    if last and record.edits and not record.torn:
        # A line whose end was changed: it is shown like any other that was.
        lines.append(last)
    if not record.edits:
        # A run at work may have added some since.
        lines = lines[: record.lines]
    if not lines:
        raise UsageError(f"{path.name} is no journal of a run")
    return _Export(record, lines)


def _jsonl(exports: Sequence[_Export]) -> Iterator[bytes]:
    """A line about each run, then the run's own lines, byte for byte."""
    for export in exports:
        record = export.record
        about = {
            "export": EXPORT_VERSION,
            "run_id": record.run_id,
            "lines": len(export.lines),
            "head": record.head,
            "verified": export.verified,
            "problems": record.problems,
            "torn": record.torn.decode("latin-1") or None,
        }
        yield json.dumps(about).encode() + b"\n"
        yield from (line + b"\n" for line in export.lines)


def _html(exports: Sequence[_Export], case: str | None, world: World) -> Iterator[bytes]:
    made = f"{world.now():%Y-%m-%dT%H:%M:%SZ}"
    for piece in case_file(list(map(_case_run, exports)), case=case, made=made, version=__version__):
        yield piece.encode()


def _case_run(export: _Export) -> CaseRun:
    record = export.record
    end = record.end or {}
    at_work = record.end is None and is_open(record.path)
    return CaseRun(
        run_id=record.run_id,
        status="at work" if at_work else end.get("status", str(Status.INTERRUPTED)),
        head=record.head,
        lines=len(export.lines),
        verified=export.verified,
        problems=record.problems,
        header=record.header,
        end=end,
        resumes=record.resumes,
        recovered=[
            number for number, line in enumerate(export.lines, 1) if line.startswith(b'{"record":"recovered"')
        ],
        items=_items(record, _requests(export.lines)),
        failures=record.failures,
    )


def _items(record: RunRecord, requests: dict[Key, list[str]]) -> list[dict[str, Any]]:
    """The planned changes, each with what became of it. What was edited may have any shape."""
    results = {_names(key): result for key, result in record.results.items() if isinstance(result, dict)}
    items = {place_of(line): line for line in record.plan if isinstance(line, dict)}
    of_grants = any("key_arn" in line for line in items.values())
    # What was done stands even where the plan of it was edited away, or held it not: a duplicate that was ended.
    names = ("account", "region", "grant_id" if of_grants else "instance_id")
    items |= {key: dict(zip(names, key, strict=True)) for key in results if key not in items}
    shown = ("outcome", "error", "warnings", *(OF_GRANTS if of_grants else ("tags_after",)))
    return [
        line
        | {name: value for name, value in results.get(key, {}).items() if name in shown and value is not None}
        | {"requests": requests.get(key, [])}
        for key, line in items.items()
    ]


def _requests(lines: Sequence[bytes]) -> dict[Key, list[str]]:
    """Each instance's calls that AWS answered, with AWS's request id: CloudTrail has them under it.

    A later outcome without one (a second look) takes nothing away.
    """
    found: dict[Key, list[str]] = {}
    calls: dict[tuple[str, str], str] = {}
    for line in lines:
        with suppress(ValueError, RecursionError):
            match json.loads(line):
                # In a cell one call follows the other.
                case {"record": "intent", "account": account, "region": region, "call": call}:
                    calls[str(account), str(region)] = str(call)
                case {"record": "outcome", "account": account, "region": region, "results": {**results}}:
                    cell = (str(account), str(region))
                    for instance_id, result in results.items():
                        if isinstance(result, dict) and result.get("request_id"):
                            told = f"{calls.get(cell, '')} {result['request_id']}".strip()
                            found.setdefault(_names((*cell, instance_id)), []).append(told)
    return found


def _names(key: Iterable[Any]) -> Key:
    account, region, instance_id = map(str, key)
    return account, region, instance_id


def _say(session: Session, export: _Export) -> None:
    record = export.record
    for problem in record.problems:
        session.warn(f"{record.path.name}: {problem}")
    if record.end is None:
        session.warn(f"{record.path.name}: the run has no end: it is still at work, or was cut off")
    verdict = "verified" if export.verified else "NOT verified"
    session.remark(f"run {record.run_id}: {count(len(export.lines), 'line')}, {verdict}, head {record.head}")


def _write_file(path: Path, document: bytes, journal: Path) -> None:
    if path.resolve().parent == journal.resolve():
        raise UsageError(f"--out: {journal} is for the journal alone", "choose another folder")
    write_file(path, document)
