"""Runs by the claims that they changed, as far as the journals tell: AWS is not asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cado_ops.due import claim_value, is_expired, parse_claim
from cado_ops.grant_name import parse_grant_name
from cado_ops.journal import RunRecord, place_of
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
        key = place_of(line)
        if key not in touched:
            continue
        result = run.results[key]
        if "key_arn" in line:
            yield from _grant_steps(run, line, key, result)
            continue
        before = _tags(line.get("tags_before"))
        after = _tags(result.get("tags_after") or line.get("tags_after"))
        for tag in before.keys() | after.keys():
            value = after.get(tag)
            if tag.startswith(CLAIM_PREFIX) and before.get(tag) != value and isinstance(value, str | None):
                sure = result["outcome"] == "changed"
                yield _Step(run.begun_at.get(key, ""), run.run_id, (*key, tag), value, sure)


def _grant_steps(
    run: RunRecord, line: dict[str, Any], key: tuple[str, str, str], result: dict[str, Any]
) -> Iterator[_Step]:
    """A grant is its case's claim on a key: its name tells the case, and when it is due."""
    name = parse_grant_name(str(line.get("name")))
    if name is None or name.case is None:
        return
    grant_id = str(result.get("grant_id") or line.get("grant_id") or line.get("name"))
    after = claim_value(name.due, keep=False) if line.get("action") == "create" else None
    place = (key[0], key[1], grant_id, CLAIM_PREFIX + name.case)
    yield _Step(run.begun_at.get(key, ""), run.run_id, place, after, result["outcome"] == "changed")


def _tags(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
