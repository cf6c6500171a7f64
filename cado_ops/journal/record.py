"""A journal read back: a run whole, and what is wrong with its file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cado_ops.errors import LocalError, UsageError
from cado_ops.journal.chain import JOURNAL_VERSION, unseal

SUFFIX = ".jsonl"


@dataclass
class RunRecord:
    """A run as its file tells it. ``head`` is the last line's hash, ``torn`` what a crash left of one more.

    ``results`` has the last known result of each (account, region, instance id) that the run began to change:
    {"outcome", "error", "warnings", "tags_after", "request_id"}. ``begun`` are those with an intent; an intent
    without an outcome leaves the outcome ``unknown``.
    """

    path: Path
    header: dict[str, Any] = field(default_factory=dict)
    plan: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    results: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    begun: set[tuple[str, str, str]] = field(default_factory=set)
    accepted: set[tuple[str, str, str]] = field(default_factory=set)
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
        torn = [f"line {self.lines + 1} is torn: the run was cut off while it was written"] if self.torn else []
        return self.edits + torn


def read_run(path: Path) -> RunRecord:
    """Reads a run's file whole; what is wrong with it stands in its ``problems``. Raises LocalError, UsageError."""
    run = RunRecord(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise LocalError(f"the journal {path} cannot be read: {error.strerror}") from error
    run.torn = lines[-1]
    changed = False
    for number, line in enumerate(lines[:-1], 1):
        try:
            body = unseal(line, run.head)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            run.edits.append(f"line {number} was changed: {error}")
            changed = True
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                body = json.loads(line)
                if isinstance(body, dict):
                    _take(run, body)
            run.head = line[-66:-2].decode("ascii", "replace")
            continue
        run.head, run.lines = body["hash"], number
        _take(run, body)
    named = run.header.get("run_id", run.run_id)
    if named != run.run_id and not changed:
        run.edits.append(f"the file has another name than its run, {named}")
    version = run.header.get("format_version")
    if version is not None and version != JOURNAL_VERSION and not changed:
        raise UsageError(f"{path.name} has journal format {version}; this version reads {JOURNAL_VERSION}")
    return run


def _take(run: RunRecord, body: dict[str, Any]) -> None:
    match body.get("record"):
        case "run":
            run.header = body
        case "plan":
            run.plan += body["changes"]
        case "failure":
            run.failures.append(body["failure"])
        case "intent":
            unknown = {"outcome": "unknown", "error": None, "warnings": ["no outcome was journaled"]}
            for instance_id in body["ids"]:
                key = (body["account"], body["region"], instance_id)
                run.begun.add(key)
                run.results[key] = unknown
        case "outcome":
            for instance_id, result in body["results"].items():
                key = (body["account"], body["region"], instance_id)
                run.results[key] = result
                if key in run.begun and result["outcome"] in ("changed", "unknown"):
                    run.accepted.add(key)
        case "resume":
            run.resumes.append(body)
            run.end = None
        case "end":
            run.end = body
        case "recovered":
            pass
        case other:
            run.edits.append(f"a record of the unknown kind {other!r}")
