"""Runs by the claims that they changed, as far as the journals tell: AWS is not asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cado_ops.due import is_expired, parse_claim
from cado_ops.journal import RunRecord
from cado_ops.model import CLAIM_PREFIX

Place = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Step:
    """A run's change of one claim. ``sure`` is False where it may have been made, and may not."""

    at: str
    run_id: str
    place: Place
    after: str | None
    sure: bool


def is_of_case(run: RunRecord, case: str) -> bool:
    """Whether the run was made for the case, or changed a claim of it for whomever it was made."""
    return run.header.get("case") == case or any(step.place[3] == CLAIM_PREFIX + case for step in _steps(run))


def due_runs(runs: Sequence[RunRecord], now: datetime, case: str | None = None) -> list[RunRecord]:
    """The runs that set a claim (of ``case``) which is due, and which no later run ended or gave another time.

    What may have been done counts for the claim: one that may have been set is there, and so is one that may have
    been ended.
    """
    standing: dict[Place, list[tuple[str, str]]] = {}
    for step in sorted((step for run in runs for step in _steps(run)), key=lambda step: step.at):
        before = [] if step.sure else standing.get(step.place, [])
        standing[step.place] = before if step.after is None else [*before, (step.run_id, step.after)]
    due: set[str] = set()
    for place, claims in standing.items():
        for run_id, value in claims:
            claim = parse_claim(place[3], value)
            if claim is not None and case in (None, claim.case) and is_expired(claim, now):
                due.add(run_id)
    return [run for run in runs if run.run_id in due]


def _steps(run: RunRecord) -> Iterator[_Step]:
    """What the run did, or may have done, with claims. What was edited may have any shape."""
    touched = run.touched
    for line in run.plan:
        key = (str(line.get("account")), str(line.get("region")), str(line.get("instance_id")))
        if key not in touched:
            continue
        result = run.results[key]
        before = _tags(line.get("tags_before"))
        after = _tags(result.get("tags_after") or line.get("tags_after"))
        for tag in before.keys() | after.keys():
            value = after.get(tag)
            if tag.startswith(CLAIM_PREFIX) and before.get(tag) != value and isinstance(value, str | None):
                sure = result["outcome"] == "changed"
                yield _Step(run.begun_at.get(key, ""), run.run_id, (*key, tag), value, sure)


def _tags(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
