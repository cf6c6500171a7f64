"""Runs selected by the claims that they changed, from their journals alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cado_ops.journal import RunRecord
from cado_ops.model import CLAIM_PREFIX, SSM_TAG
from cado_ops.workflow.run_claims import due_runs, is_of_case

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
PAST, DUE, FUTURE = "2026-11-24T18:00:00Z", "2026-11-26T18:00:00Z", "2026-11-26T18:00:01Z"
ACCOUNT, REGION = "1" * 12, "eu-west-1"


def run(
    number: int,
    before: str | None,
    after: str | None,
    *,
    case: str = "A",
    outcome: str = "changed",
    made_for: str | None = None,
    each: str = "i-1",
    at: int | None = None,
    settled: Any = None,
) -> RunRecord:
    """A run that took a claim from one value to another."""
    key, tag = (ACCOUNT, REGION, each), CLAIM_PREFIX + case
    tags: dict[str, Any] = {SSM_TAG: "True", tag: after}
    result = {"outcome": outcome, "error": None, "warnings": [], "tags_after": settled or tags}
    record = RunRecord(Path(f"run-{number}.jsonl"), header={"case": made_for}, results={key: result})
    record.plan = [
        {"account": ACCOUNT, "region": REGION, "instance_id": each, "tags_before": {SSM_TAG: "True", tag: before},
         "tags_after": tags}
    ]  # fmt: skip
    record.begun = {key}
    record.begun_at = {key: f"2026-11-20T00:00:{at or number:02}.000000Z"}
    record.accepted = {key} if outcome == "changed" else set()
    return record


@pytest.mark.parametrize(
    ("made_for", "case", "outcome", "expected"),
    [
        ("A", "B", "changed", True),
        ("B", "A", "changed", True),
        (None, "A", "changed", True),
        (None, "A", "unknown", True),
        (None, "A", "failed", False),
        (None, "B", "changed", False),
        ("AA", "AA", "changed", False),
    ],
)
def test_of_case(made_for: str | None, case: str, outcome: str, expected: bool) -> None:
    assert is_of_case(run(1, "-", None, case=case, outcome=outcome, made_for=made_for), "A") is expected


def test_a_claim_that_only_stood_by_is_none_that_was_changed() -> None:
    assert not is_of_case(run(1, "-", "-"), "A")


def test_what_the_outcome_says_goes_before_the_plan() -> None:
    assert not is_of_case(run(1, "-", None, settled={SSM_TAG: None, CLAIM_PREFIX + "A": "-"}), "A")


@pytest.mark.parametrize("tags", [7, [], None, {CLAIM_PREFIX + "A": 7}])
def test_an_edited_plan_changes_no_claims(tags: Any) -> None:
    record = run(1, "-", None, settled={SSM_TAG: None})
    record.plan[0] |= {"tags_before": tags, "tags_after": tags}
    record.results[ACCOUNT, REGION, "i-1"]["tags_after"] = tags
    assert is_of_case(record, "A") is False


def due(*runs: RunRecord, case: str | None = None) -> list[str]:
    return [each.run_id for each in due_runs(runs, NOW, case)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PAST, True),
        (DUE, True),
        (f"{PAST} keep", True),
        (FUTURE, False),
        ("-", False),
        ("- keep", False),
        ("?", False),
    ],
)
def test_due(value: str, expected: bool) -> None:
    assert due(run(1, None, value)) == (["run-1"] if expected else [])


@pytest.mark.parametrize("outcome", ["unknown", "failed", "drifted"])
def test_a_claim_that_may_have_been_set_is_there(outcome: str) -> None:
    assert due(run(1, None, PAST, outcome=outcome)) == (["run-1"] if outcome == "unknown" else [])


def test_a_claim_that_a_later_run_ended() -> None:
    assert due(run(1, None, PAST), run(2, PAST, None)) == []
    assert due(run(1, None, PAST), run(2, PAST, None), run(3, None, PAST)) == ["run-3"]


@pytest.mark.parametrize("outcome", ["unknown", "failed"])
def test_a_claim_that_may_not_have_been_ended_is_there(outcome: str) -> None:
    assert due(run(1, None, PAST), run(2, PAST, None, outcome=outcome)) == ["run-1"]


def test_a_claim_that_was_prolonged_is_the_later_runs() -> None:
    assert due(run(1, None, PAST), run(2, PAST, FUTURE)) == []
    assert due(run(1, None, PAST), run(2, PAST, DUE)) == ["run-2"]
    assert due(run(1, None, PAST), run(2, PAST, FUTURE, outcome="unknown")) == ["run-1"]


def test_the_time_of_the_call_decides_what_is_later() -> None:
    """A run that was resumed did its work after one that began later."""
    assert due(run(1, None, PAST, at=9), run(2, PAST, None)) == ["run-1"]


def test_each_instance_and_case_for_itself() -> None:
    runs = (run(1, None, PAST), run(2, None, PAST, each="i-2"), run(3, PAST, None, each="i-2"))
    other = run(4, None, PAST, case="B")
    assert due(*runs, other) == ["run-1", "run-4"]
    assert due(*runs, other, case="B") == ["run-4"]
    assert due(*runs, other, case="C") == []
