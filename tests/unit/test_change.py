"""A planned change against what stands in AWS now."""

from __future__ import annotations

import pytest

from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import Action, TagChange, Tags, change_of

CASE = CLAIM_PREFIX + "A"
INSTANCE = Instance("1" * 12, "eu-west-1", "i-1", "web", "running", {}, 0)


def change(before: Tags, after: Tags, **more: object) -> TagChange:
    return change_of(INSTANCE, Action.TAG, before, after, **more)


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ({}, Outcome.PLANNED),
        ({"Other": "x"}, Outcome.PLANNED),
        ({SSM_TAG: "True", CASE: "-"}, Outcome.UNCHANGED),
        ({SSM_TAG: "True", CASE: "-", "Other": "x"}, Outcome.UNCHANGED),
        ({SSM_TAG: "True"}, Outcome.PLANNED),
        ({CASE: "-"}, Outcome.PLANNED),
        ({SSM_TAG: "true", CASE: "-"}, Outcome.DRIFTED),
        ({SSM_TAG: "True", CASE: "- keep"}, Outcome.DRIFTED),
        ({SSM_TAG: ""}, Outcome.DRIFTED),
    ],
    ids=[
        "as-seen",
        "as-seen-others",
        "as-wanted",
        "as-wanted-others",
        "half-way-tag",
        "half-way-claim",
        "tag-of-another-value",
        "claim-of-another-value",
        "tag-empty",
    ],
)
def test_compare_when_tags_are_set(live: dict[str, str], expected: Outcome) -> None:
    planned = change({SSM_TAG: None, CASE: None}, {SSM_TAG: "True", CASE: "-"})
    assert planned.compare(live, begun=True) is expected


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ({SSM_TAG: "True", CASE: "-"}, Outcome.PLANNED),
        ({SSM_TAG: "True"}, Outcome.UNCHANGED),
        ({}, Outcome.DRIFTED),
        ({SSM_TAG: "False", CASE: "-"}, Outcome.DRIFTED),
        ({SSM_TAG: "True", CASE: "2026-11-26T18:00:00Z"}, Outcome.DRIFTED),
    ],
)
def test_compare_looks_at_what_the_change_depends_on_too(live: dict[str, str], expected: Outcome) -> None:
    planned = change({SSM_TAG: "True", CASE: "-"}, {SSM_TAG: "True", CASE: None})
    assert planned.compare(live, begun=True) is expected


@pytest.mark.parametrize(
    ("before", "after", "put", "remove"),
    [
        ({"a": None}, {"a": "1"}, {"a": "1"}, {}),
        ({"a": "0"}, {"a": "1"}, {"a": "1"}, {}),
        ({"a": "1"}, {"a": "1"}, {}, {}),
        ({"a": "1"}, {"a": None}, {}, {"a": "1"}),
        ({"a": ""}, {"a": None}, {}, {"a": ""}),
        ({"a": None}, {"a": ""}, {"a": ""}, {}),
        ({"a": None}, {"a": None}, {}, {}),
        ({"a": "1", "b": None, "c": "x"}, {"a": None, "b": "2", "c": "x"}, {"b": "2"}, {"a": "1"}),
    ],
)
def test_put_and_remove(before: Tags, after: Tags, put: dict[str, str], remove: dict[str, str]) -> None:
    planned = change(before, after)
    assert (planned.put, planned.remove) == (put, remove)


def test_a_claim_is_never_set_without_the_tag() -> None:
    """Another case may be taking the tag off at this moment."""
    planned = change({SSM_TAG: "True", CASE: None}, {SSM_TAG: "True", CASE: "-"})
    assert planned.put == {SSM_TAG: "True", CASE: "-"}


def test_a_claim_taken_off_sets_nothing() -> None:
    planned = change({SSM_TAG: "True", CASE: "-"}, {SSM_TAG: "True", CASE: None})
    assert (planned.put, planned.remove) == ({}, {CASE: "-"})


def test_ended_keeps_the_change_and_adds_warnings() -> None:
    planned = change({SSM_TAG: None}, {SSM_TAG: "True"}, warnings=("first",))
    error = ErrorInfo("Code", "words", "hint")
    ended = planned.ended(Outcome.FAILED, error, ("second",))
    assert (ended.outcome, ended.error, ended.warnings) == (Outcome.FAILED, error, ("first", "second"))
    assert (ended.before, ended.after, ended.action) == (planned.before, planned.after, planned.action)
    assert planned.outcome is Outcome.PLANNED


def test_the_item_has_exactly_the_keys_of_the_reference() -> None:
    planned = change({SSM_TAG: "true", CASE: None}, {SSM_TAG: "True", CASE: "-"}, claims=("A",))
    assert planned.cell == Cell("1" * 12, "eu-west-1")
    assert planned.as_item() == {
        "account": "1" * 12,
        "region": "eu-west-1",
        "instance_id": "i-1",
        "name": "web",
        "state": "running",
        "action": "tag",
        "before": "true",
        "after": "True",
        "claims": ["A"],
        "outcome": "planned",
        "warnings": [],
        "error": None,
    }


def test_a_half_made_change_is_gone_on_with_only_if_it_was_begun() -> None:
    before, after = {SSM_TAG: None, CLAIM_PREFIX + "A": None}, {SSM_TAG: "True", CLAIM_PREFIX + "A": "-"}
    planned = TagChange("1" * 12, "eu-west-1", "i-1", "web", "running", Action.TAG, before, after)
    assert planned.compare({SSM_TAG: "True"}) is Outcome.DRIFTED, "somebody else tagged it"
    assert planned.compare({SSM_TAG: "True"}, begun=True) is Outcome.PLANNED
    assert planned.compare({}) is Outcome.PLANNED
