"""docs/reference.md, "Outcome, status, exit", row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.model import ErrorInfo, Failure, Outcome, Status
from cado_ops.verdict.outcome import EXIT, USAGE_EXIT, status_of, summarise


def failure(stage: str) -> Failure:
    return Failure("1" * 12, "eu-west-1", stage, ErrorInfo("Code", "words"), "i-1" if stage == "select" else None)


def verdict(
    outcomes: str,
    *,
    targets: int = 2,
    failed: int = 0,
    lost: int = 0,
    planned: bool = False,
    interrupted: bool = False,
) -> Status:
    failures = [failure("observe")] * failed + [failure("select")] * lost
    return status_of(
        outcomes.split(),
        failures,
        targets=targets,
        targets_failed=failed,
        planned=planned,
        interrupted=interrupted,
    )


@pytest.mark.parametrize(
    "outcomes",
    ["", "changed", "unchanged", "skipped", "listed", "changed changed unchanged skipped", "unchanged skipped"],
)
def test_success(outcomes: str) -> None:
    assert verdict(outcomes) is Status.SUCCESS


@pytest.mark.parametrize(
    "outcomes", ["", "allowed", "allowed unchanged skipped", "unchanged", "skipped", "planned"]
)
def test_planned(outcomes: str) -> None:
    assert verdict(outcomes, planned=True) is Status.PLANNED


@pytest.mark.parametrize("bad", ["failed", "drifted", "unknown", "denied"])
@pytest.mark.parametrize("good", ["changed", "unchanged", "skipped", "allowed", "listed"])
@pytest.mark.parametrize("planned", [False, True])
def test_partial_where_some_is_done_and_some_is_not(good: str, bad: str, planned: bool) -> None:
    assert verdict(f"{good} {bad}", planned=planned) is Status.PARTIAL


@pytest.mark.parametrize(
    ("outcomes", "targets", "failed", "lost"),
    [
        ("changed", 2, 1, 0),
        ("skipped", 2, 1, 0),
        ("", 2, 1, 0),
        ("changed", 2, 0, 1),
        ("unchanged", 1, 0, 1),
        ("changed failed", 3, 1, 1),
    ],
    ids=["target", "target-skipped", "target-nothing-to-do", "id", "id-unchanged", "all-three"],
)
def test_partial_where_a_target_or_an_id_is_missing(outcomes: str, targets: int, failed: int, lost: int) -> None:
    assert verdict(outcomes, targets=targets, failed=failed, lost=lost) is Status.PARTIAL


@pytest.mark.parametrize(
    ("outcomes", "targets", "failed", "lost"),
    [
        ("", 1, 1, 0),
        ("", 3, 3, 0),
        ("failed", 1, 0, 0),
        ("failed unknown drifted denied", 1, 0, 0),
        ("failed", 2, 1, 0),
        ("", 1, 0, 1),
        ("failed", 1, 0, 1),
        ("", 1, 1, 1),
    ],
)
@pytest.mark.parametrize("planned", [False, True])
def test_error_where_nothing_could_be_done(
    outcomes: str, targets: int, failed: int, lost: int, planned: bool
) -> None:
    assert verdict(outcomes, targets=targets, failed=failed, lost=lost, planned=planned) is Status.ERROR


def a_key(number: int) -> Failure:
    """A key that could not be read, in a target that could."""
    return Failure("1" * 12, "eu-west-1", "observe", ErrorInfo("AccessDeniedException", "words"), f"key-{number}")


@pytest.mark.parametrize("outcomes", ["changed", "unchanged", "skipped", "listed", "allowed", "listed failed"])
@pytest.mark.parametrize("planned", [False, True])
def test_partial_where_a_key_could_not_be_read(outcomes: str, planned: bool) -> None:
    """The target was read, so that it does not count among the failed ones; the exit code says it all the same."""
    status = status_of(outcomes.split(), [a_key(1), a_key(2)], targets=1, targets_failed=0, planned=planned)
    assert status is Status.PARTIAL


@pytest.mark.parametrize("stage", ["observe", "assume-role", "regions"])
def test_a_failed_target_is_counted_once_and_by_its_number(stage: str) -> None:
    lost = Failure("1" * 12, "eu-west-1", stage, ErrorInfo("Code", "words"))
    assert status_of(["changed"], [lost], targets=2, targets_failed=0) is Status.SUCCESS
    assert status_of(["changed"], [lost], targets=2, targets_failed=1) is Status.PARTIAL
    assert status_of([], [lost], targets=1, targets_failed=1) is Status.ERROR


def test_a_key_that_could_not_be_read_beside_others_with_nothing_to_do() -> None:
    """Every hour's kms retire --expired: one closed key is no reason to call all of it failed."""
    assert status_of([], [a_key(1)], targets=1, targets_failed=0) is Status.PARTIAL
    assert status_of(["failed"], [a_key(1)], targets=1, targets_failed=0) is Status.ERROR


@given(
    st.lists(st.sampled_from([str(outcome) for outcome in Outcome])),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
def test_interrupted_whatever_else(outcomes: list[str], read: int, failed: int, planned: bool) -> None:
    status = verdict(" ".join(outcomes), targets=read + failed, failed=failed, planned=planned, interrupted=True)
    assert status is Status.INTERRUPTED


@given(
    st.lists(st.sampled_from([str(outcome) for outcome in Outcome])),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_exit_0_only_if_nothing_is_bad(outcomes: list[str], read: int, failed: int, lost: int) -> None:
    status = verdict(" ".join(outcomes), targets=read + failed, failed=failed, lost=lost)
    bad = bool({"failed", "drifted", "unknown", "denied"} & set(outcomes)) or failed > 0 or lost > 0
    assert (EXIT[status] == 0) is not bad


def test_exit_codes() -> None:
    assert {str(status): code for status, code in EXIT.items()} == {
        "success": 0,
        "planned": 0,
        "partial": 3,
        "error": 1,
        "refused": 4,
        "interrupted": 130,
    }
    assert set(EXIT) == set(Status)
    assert USAGE_EXIT == 2


def test_the_summary_counts_every_outcome_of_the_envelope() -> None:
    outcomes = ["changed", "changed", "unchanged", "skipped", "failed", "drifted", "unknown", "allowed", "denied"]
    summary = summarise(outcomes, targets=4, targets_failed=1, targets_left_out=2, planned=6)
    assert summary == {
        "targets": 4,
        "targets_failed": 1,
        "targets_left_out": 2,
        "selected": 9,
        "planned": 6,
        "changed": 2,
        "unchanged": 1,
        "skipped": 1,
        "drifted": 1,
        "failed": 1,
        "unknown": 1,
        "allowed": 1,
        "denied": 1,
    }
    assert set(summarise([], targets=0, targets_failed=0, targets_left_out=0, planned=0).values()) == {0}


@pytest.mark.parametrize("rest", ["", " failed", " unknown unknown", " failed unchanged"])
def test_a_resume_that_can_read_nothing_any_more_tells_of_what_was_done(rest: str) -> None:
    """What its run changed before stands among the items: that is no run in which nothing could be done."""
    assert verdict(f"changed{rest}", targets=2, failed=2) is Status.PARTIAL
