"""A journal read back: a run whole, and what is wrong with its file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cado_ops.arns import plain, shown
from cado_ops.errors import LocalError, UsageError
from cado_ops.journal.chain import JOURNAL_VERSION, is_beginning, unseal

SUFFIX = ".jsonl"
# A run of a hundred thousand changes writes a tenth of it: a larger file is none, and would only fill the memory.
MAX_JOURNAL = 2**30
# So many lines that are none, and the rest is not looked at: of a run that was changed nothing is believed anyway.
MAX_EDITS = 1000


@dataclass
class RunRecord:
    """A run as its file tells it. ``head`` is the last line's hash, ``torn`` what a crash left of one more.

    A last line that has its hash and lacks its newline is torn as well: its writer never came to know that it was
    on disk, so nothing was done after it.

    ``results`` has the last known result of each (account, region, instance id) that the run began to change:
    {"outcome", "error", "warnings", "tags_after", "request_id"}; a resume adds those that it decided by reading.
    ``begun`` are those with an intent, the last one's time in ``begun_at``; an intent without an outcome leaves the
    outcome ``unknown``.
    """

    path: Path
    header: dict[str, Any] = field(default_factory=dict)
    plan: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    results: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    begun: set[tuple[str, str, str]] = field(default_factory=set)
    accepted: set[tuple[str, str, str]] = field(default_factory=set)
    begun_at: dict[tuple[str, str, str], str] = field(default_factory=dict)
    resumes: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None
    head: str = ""
    lines: int = 0
    torn: bytes = b""
    edits: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    @property
    def touched(self) -> set[tuple[str, str, str]]:
        """What the run changed, or may have changed: not what AWS refused, nor what was never sent."""
        open_ = {key for key in self.begun if self.results[key]["outcome"] == "unknown"}
        return self.accepted | open_

    @property
    def problems(self) -> list[str]:
        """What is wrong with the file: lines that were changed, and a last one that a crash tore."""
        if not self.torn:
            return self.edits
        whole = self.torn.endswith(b'"}') and b',"hash":"' in self.torn[-75:]
        lacks = "lacks its line end alone" if whole else "is torn"
        return [*self.edits, f"line {self.lines + 1} {lacks}: the run was cut off while it was written"]


def read_run(path: Path) -> RunRecord:
    """Reads a run's file whole; what is wrong with it stands in its ``problems``. Raises LocalError, UsageError."""
    run = RunRecord(path)
    changed = False
    for number, line in enumerate(lines_of(path), 1):
        ended = line.endswith(b"\n")
        line = line.removesuffix(b"\n")
        if len(run.edits) >= MAX_EDITS:
            run.edits.append(f"what follows line {number - 1} was not read")
            break
        if not ended and is_beginning(line, run.head):
            run.torn = line
            break
        try:
            if not ended:
                raise ValueError("its line end is not there")
            body = unseal(line, run.head)
        except _MALFORMED as error:
            run.edits.append(f"line {number} was changed: {_told(error)}")
            changed = True
            with suppress(*_MALFORMED):
                _take(run, json.loads(line))
            run.head = line[-66:-2].decode("ascii", "replace")
            continue
        run.head, run.lines = body["hash"], number
        version = body.get("format_version", JOURNAL_VERSION)
        if number == 1 and version != JOURNAL_VERSION:
            raise UsageError(
                f"{path.name} has journal format {shown(version)}; this version reads {JOURNAL_VERSION}"
            )
        try:
            _take(run, body)
        except _MALFORMED as error:
            # A chain that was computed anew over something else.
            run.edits.append(f"line {number} is no record that this version can read: {_told(error)}")
    named = run.header.get("run_id", run.run_id)
    if named != run.run_id and not changed:
        run.edits.append(f"the file has another name than its run, {plain(str(named))[:80]}")
    return run


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a run's file, each with its newline. Raises LocalError where it cannot be read, or is too large.

    One by one: of a file that is no journal, no more is in memory than the line that shows it.
    """
    too_large = LocalError(f"{path} holds more than {MAX_JOURNAL // 2**20} MiB: that is no journal")
    left = MAX_JOURNAL
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_JOURNAL:
                raise too_large
            while line := file.readline(left + 1):
                left -= len(line)
                if left < 0:
                    raise too_large  # it grew meanwhile
                yield line
    except OSError as error:
        raise LocalError(f"the journal {path} cannot be read: {error.strerror}") from error


def content_of(path: Path) -> bytes:
    """The bytes of a run's file. Raises LocalError as `lines_of` does."""
    return b"".join(lines_of(path))


def _told(error: Exception) -> str:
    """What went wrong, on one line of a bounded length: some of it may be the file's own words."""
    return plain(str(error))[:200]


# What reading a line raises that is not what was written.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def _take(run: RunRecord, body: dict[str, Any]) -> None:
    """Adds a record to the run. Raises one of _MALFORMED, having added nothing, where it has not its shape."""
    match body.get("record"):
        case "run":
            run.header = body
        case "plan":
            lines = list(map(_object, body["changes"]))
            if run.resumes:  # of what is planned anew
                anew = {place_of(line): line for line in lines}
                known = {place_of(line) for line in run.plan}
                run.plan = [anew.get(place_of(line), line) for line in run.plan]
                run.plan += [line for place, line in anew.items() if place not in known]
            else:
                run.plan += lines
        case "failure":
            run.failures.append(_object(body["failure"]))
        case "intent":
            unknown = {"outcome": "unknown", "error": None, "warnings": ["no outcome was journaled"]}
            for key in [_key(body, each) for each in body["ids"]]:
                run.begun.add(key)
                run.begun_at[key] = str(body.get("at", ""))
                run.results[key] = unknown
        case "outcome":
            for key, result in [(_key(body, each), _result(told)) for each, told in body["results"].items()]:
                run.results[key] = result
                if key in run.begun and result["outcome"] in ("changed", "unknown"):
                    run.accepted.add(key)
        case "resume":
            # What was open when the run was cut off may have been made, whatever is read of it now.
            run.accepted |= {key for key in run.begun if run.results[key]["outcome"] == "unknown"}
            run.resumes.append(body)
            run.end = None
        case "end":
            _object(body.get("summary", {}))
            run.end = body
        case "recovered":
            pass
        case other:
            run.edits.append(f"a record of the unknown kind {shown(other)}")


def _key(body: dict[str, Any], each: Any) -> tuple[str, str, str]:
    key = (body["account"], body["region"], each)
    if not all(isinstance(part, str) for part in key):
        raise TypeError(f"{shown(key)} names nothing")
    return key


def place_of(line: dict[str, Any]) -> tuple[str, str, str]:
    """What the results of a planned change are kept under. Of an edited line any part may be missing."""
    return str(line.get("account")), str(line.get("region")), str(line.get("id", line.get("instance_id")))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{shown(value, 40)} is no object")
    return value


def _result(value: Any) -> dict[str, Any]:
    result = _object(value)
    if not (isinstance(result["outcome"], str) and isinstance(result["warnings"], list)):
        raise TypeError("it holds no outcome")
    if result["error"] is not None:
        _object(result["error"])
    return result


def begins_well(path: Path) -> bool:
    """Whether the first line, which names the case, is as it was written."""
    try:
        unseal(next(lines_of(path), b"").removesuffix(b"\n"), "")
    except _MALFORMED:
        return False
    return True
