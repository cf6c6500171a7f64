"""docs/reference.md, "Tags and cases": what tagging and untagging means for one instance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Instance, Outcome
from cado_ops.plan.change import Action, TagChange
from cado_ops.plan.tagging import TagWish, UntagWish, claims_of, mistagged, plan_tag, plan_untag

TWIN = SSM_TAG.lower()
EARLY, DUE, LATE = (datetime(2026, 11, day, 18, tzinfo=UTC) for day in (24, 26, 28))
EARLY_TEXT, DUE_TEXT, LATE_TEXT = (f"2026-11-{day}T18:00:00Z" for day in (24, 26, 28))


def claim(case: str) -> str:
    return CLAIM_PREFIX + case


def instance(tags: Mapping[str, str] | None = None, *, state: str = "running", others: int = 0) -> Instance:
    """An instance with ``tags``, and ``others`` user tags that do not matter here."""
    tags = dict(tags or {})
    return Instance("1" * 12, "eu-west-1", "i-1", "web", state, tags, len(tags) + others)


def applied(before: Instance, change: TagChange) -> Instance:
    """The instance once the change is made."""
    tags = {key: value for key, value in (dict(before.tags) | dict(change.after)).items() if value is not None}
    return instance(tags, state=before.state, others=before.tag_count - len(before.tags))


SSM = {SSM_TAG: "True"}


class TestTagWithoutCase:
    @pytest.mark.parametrize(
        ("value", "action", "outcome"),
        [
            (None, Action.TAG, Outcome.PLANNED),
            ("True", Action.NONE, Outcome.UNCHANGED),
            ("true", Action.RETAG, Outcome.PLANNED),
            ("TRUE", Action.RETAG, Outcome.PLANNED),
            ("tRuE", Action.RETAG, Outcome.PLANNED),
            ("True ", Action.RETAG, Outcome.PLANNED),
            (" True", Action.RETAG, Outcome.PLANNED),
            (" true", Action.RETAG, Outcome.PLANNED),
            ("\tTRUE\n", Action.RETAG, Outcome.PLANNED),
            ("False", Action.NONE, Outcome.SKIPPED),
            ("false", Action.NONE, Outcome.SKIPPED),
            ("", Action.NONE, Outcome.SKIPPED),
            (" ", Action.NONE, Outcome.SKIPPED),
            ("yes", Action.NONE, Outcome.SKIPPED),
            ("1", Action.NONE, Outcome.SKIPPED),
            ("True!", Action.NONE, Outcome.SKIPPED),
            ("T rue", Action.NONE, Outcome.SKIPPED),
        ],
        ids=repr,
    )
    def test_value(self, value: str | None, action: Action, outcome: Outcome) -> None:
        change = plan_tag(instance({} if value is None else {SSM_TAG: value}), TagWish())
        assert (change.action, change.outcome) == (action, outcome)
        assert change.before[SSM_TAG] == value
        planned = outcome is Outcome.PLANNED
        assert change.after[SSM_TAG] == ("True" if planned else value)
        assert change.put == (SSM if planned else {})
        assert change.remove == {}

    @pytest.mark.parametrize("value", ["False", "", "yes", "False "])
    def test_a_value_set_on_purpose_is_left_with_a_warning_that_names_the_way(self, value: str) -> None:
        change = plan_tag(instance({SSM_TAG: value}), TagWish())
        assert change.outcome is Outcome.SKIPPED
        [warning] = change.warnings
        assert repr(value) in warning
        assert "--overwrite" in warning

    @pytest.mark.parametrize("value", ["False", "", "yes"])
    def test_overwrite_replaces_a_value_set_on_purpose(self, value: str) -> None:
        change = plan_tag(instance({SSM_TAG: value}), TagWish(overwrite=True))
        assert (change.action, change.outcome, change.put) == (Action.RETAG, Outcome.PLANNED, SSM)

    def test_a_near_miss_needs_no_overwrite_and_no_warning(self) -> None:
        assert plan_tag(instance({SSM_TAG: "true"}), TagWish()).warnings == ()

    def test_claims_of_others_do_not_matter_without_a_case(self) -> None:
        change = plan_tag(instance({claim("OTHER"): "-"}), TagWish())
        assert (change.action, change.put, change.claims) == (Action.TAG, SSM, ("OTHER",))


@pytest.mark.parametrize("tags", [{TWIN: "True"}, {TWIN: "True", **SSM}, {TWIN.upper(): "no", **SSM}])
@pytest.mark.parametrize("plan", ["tag", "untag"])
def test_a_key_that_differs_only_in_case_is_reported(tags: dict[str, str], plan: str) -> None:
    twin = next(key for key in tags if key != SSM_TAG)
    there = instance(tags)
    change = plan_tag(there, TagWish()) if plan == "tag" else plan_untag(there, UntagWish())
    assert [twin in warning for warning in change.warnings] == [True]
    assert set(change.before) == {SSM_TAG}, "the twin itself is not touched"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, False),
        (SSM, False),
        ({SSM_TAG: "true"}, True),
        ({SSM_TAG: "True "}, True),
        ({SSM_TAG: "False"}, False),
        ({TWIN: "True"}, True),
        ({TWIN: "True", **SSM}, False),
    ],
)
def test_mistagged(tags: dict[str, str], expected: bool) -> None:
    assert mistagged(instance(tags)) is expected


@pytest.mark.parametrize("state", ["terminated", "shutting-down"])
@pytest.mark.parametrize("tags", [{}, SSM, {claim("A"): "-", **SSM}], ids=["bare", "tagged", "claimed"])
@pytest.mark.parametrize(
    "plan",
    [
        lambda there: plan_tag(there, TagWish()),
        lambda there: plan_tag(there, TagWish("A", DUE, overwrite=True)),
        lambda there: plan_untag(there, UntagWish()),
        lambda there: plan_untag(there, UntagWish("A", overwrite=True)),
    ],
    ids=["tag", "tag-overwrite", "untag", "untag-overwrite"],
)
def test_what_has_ended_is_never_touched(plan: Any, tags: dict[str, str], state: str) -> None:
    change = plan(instance(tags, state=state))
    assert (change.outcome, change.action, change.put, change.remove) == (Outcome.SKIPPED, Action.NONE, {}, {})
    assert state in change.warnings[-1]


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
def test_every_other_state_is_tagged(state: str) -> None:
    assert plan_tag(instance(state=state), TagWish()).outcome is Outcome.PLANNED


class TestTagLimit:
    """50 user tags; what is overwritten needs no room (domain facts, EC2)."""

    @pytest.mark.parametrize(
        ("tags", "others", "wish", "full"),
        [
            ({}, 49, TagWish(), False),
            ({}, 50, TagWish(), True),
            ({}, 48, TagWish("A"), False),
            ({}, 49, TagWish("A"), True),
            ({SSM_TAG: "true"}, 49, TagWish(), False),
            ({SSM_TAG: "true"}, 49, TagWish("A"), True),
            ({SSM_TAG: "False"}, 49, TagWish(overwrite=True), False),
            (SSM, 48, TagWish("A"), False),
            (SSM, 49, TagWish("A"), True),
            ({**SSM, claim("A"): "-"}, 48, TagWish("A", DUE), False),
        ],
    )
    def test_limit(self, tags: dict[str, str], others: int, wish: TagWish, full: bool) -> None:
        change = plan_tag(instance(tags, others=others), wish)
        assert change.outcome is (Outcome.FAILED if full else Outcome.PLANNED)
        if full:
            assert change.error is not None
            assert change.error.code == "TagLimitExceeded"
            assert change.error.hint

    def test_an_instance_that_is_full_and_already_tagged_is_unchanged(self) -> None:
        assert plan_tag(instance(SSM, others=49), TagWish()).outcome is Outcome.UNCHANGED


class TestClaiming:
    @pytest.mark.parametrize(
        ("tags", "due", "value"),
        [
            ({}, None, "-"),
            ({}, DUE, DUE_TEXT),
            (SSM, None, "- keep"),
            (SSM, DUE, f"{DUE_TEXT} keep"),
            ({SSM_TAG: "true"}, None, "- keep"),
            ({**SSM, claim("B"): "- keep"}, None, "- keep"),
            ({**SSM, claim("B"): f"{EARLY_TEXT} keep"}, DUE, f"{DUE_TEXT} keep"),
            ({**SSM, claim("B"): "-"}, None, "-"),
            ({**SSM, claim("B"): EARLY_TEXT}, DUE, DUE_TEXT),
            ({**SSM, claim("B"): "-", claim("C"): "- keep"}, None, "- keep"),
        ],
        ids=[
            "bare",
            "bare-due",
            "stood",
            "stood-due",
            "stood-as-near-miss",
            "beside-keep",
            "beside-keep-due",
            "beside-claim",
            "beside-claim-due",
            "beside-both",
        ],
    )
    def test_a_new_claim(self, tags: dict[str, str], due: datetime | None, value: str) -> None:
        change = plan_tag(instance(tags), TagWish("A", due))
        assert change.outcome is Outcome.PLANNED
        assert change.before[claim("A")] is None
        assert change.after[claim("A")] == value
        assert change.put[claim("A")] == value
        assert change.claims == tuple(sorted({"A", *claims_of(instance(tags))}))

    @pytest.mark.parametrize(
        ("held", "due", "value", "said"),
        [
            (DUE_TEXT, None, DUE_TEXT, False),
            (DUE_TEXT, DUE, DUE_TEXT, False),
            (DUE_TEXT, LATE, LATE_TEXT, False),
            (DUE_TEXT, EARLY, DUE_TEXT, True),
            (f"{DUE_TEXT} keep", LATE, f"{LATE_TEXT} keep", False),
            (f"{DUE_TEXT} keep", EARLY, f"{DUE_TEXT} keep", True),
            ("-", DUE, DUE_TEXT, False),
            ("- keep", DUE, f"{DUE_TEXT} keep", False),
            ("garbage", None, "garbage", False),
            ("garbage", DUE, DUE_TEXT, False),
        ],
    )
    def test_a_claim_held_already(self, held: str, due: datetime | None, value: str, said: bool) -> None:
        change = plan_tag(instance({**SSM, claim("A"): held}), TagWish("A", due))
        if held == value:
            assert (change.outcome, change.action) == (Outcome.UNCHANGED, Action.NONE)
        else:
            assert (change.outcome, change.action) == (Outcome.PLANNED, Action.CLAIM)
            assert change.put == {**SSM, claim("A"): value}
        assert any(DUE_TEXT in warning for warning in change.warnings) is said

    @pytest.mark.parametrize(
        ("tags", "action", "put"),
        [
            ({}, Action.TAG, {**SSM, claim("A"): "-"}),
            ({SSM_TAG: "true"}, Action.RETAG, {**SSM, claim("A"): "- keep"}),
            (SSM, Action.CLAIM, {**SSM, claim("A"): "- keep"}),
            ({claim("A"): "-"}, Action.TAG, {**SSM, claim("A"): "-"}),
            ({SSM_TAG: "TRUE", claim("A"): "-"}, Action.RETAG, {**SSM, claim("A"): "-"}),
        ],
        ids=["bare", "near-miss", "stood", "claimed", "claimed-near-miss"],
    )
    def test_the_action_and_what_is_sent(self, tags: dict[str, str], action: Action, put: dict[str, str]) -> None:
        """A claim never goes without the SSM tag, whether that stood or not."""
        change = plan_tag(instance(tags), TagWish("A"))
        assert (change.action, change.put) == (action, put)

    def test_a_value_set_on_purpose_is_not_claimed_either(self) -> None:
        change = plan_tag(instance({SSM_TAG: "False"}), TagWish("A"))
        assert (change.outcome, change.put, change.claims) == (Outcome.SKIPPED, {}, ())


class TestUntagWithoutCase:
    @pytest.mark.parametrize("value", ["True", "true", "False", "", "whatever"])
    def test_the_key_goes_whatever_its_value(self, value: str) -> None:
        change = plan_untag(instance({SSM_TAG: value}), UntagWish())
        assert (change.action, change.outcome) == (Action.UNTAG, Outcome.PLANNED)
        assert (change.put, change.remove) == ({}, {SSM_TAG: value})
        assert change.as_item()["before"] == value
        assert change.as_item()["after"] is None

    def test_without_the_tag_nothing_changes(self) -> None:
        change = plan_untag(instance(), UntagWish())
        assert (change.action, change.outcome) == (Action.NONE, Outcome.UNCHANGED)

    @pytest.mark.parametrize("value", ["-", "- keep", DUE_TEXT, "garbage"])
    def test_a_claimed_instance_is_skipped_and_the_cases_are_named(self, value: str) -> None:
        tags = {**SSM, claim("B"): value, claim("A"): "-"}
        change = plan_untag(instance(tags), UntagWish())
        assert (change.outcome, change.action, change.claims) == (Outcome.SKIPPED, Action.NONE, ("A", "B"))
        assert "A, B" in change.warnings[-1]
        assert "--overwrite" in change.warnings[-1]

    def test_overwrite_ends_all_claims(self) -> None:
        tags = {**SSM, claim("A"): "- keep", claim("B"): DUE_TEXT}
        change = plan_untag(instance(tags), UntagWish(overwrite=True))
        assert (change.action, change.remove, change.claims) == (Action.UNTAG, tags, ())

    def test_overwrite_ends_a_claim_whose_tag_is_gone(self) -> None:
        change = plan_untag(instance({claim("A"): "-"}), UntagWish(overwrite=True))
        assert (change.outcome, change.remove) == (Outcome.PLANNED, {claim("A"): "-"})

    def test_a_tag_that_only_looks_like_a_claim_holds_nothing(self) -> None:
        change = plan_untag(instance({**SSM, CLAIM_PREFIX + "not a case": "-"}), UntagWish())
        assert change.remove == SSM


class TestUntagWithCase:
    @pytest.mark.parametrize(
        ("tags", "action", "gone"),
        [
            ({**SSM, claim("A"): "-"}, Action.UNTAG, {SSM_TAG, claim("A")}),
            ({**SSM, claim("A"): DUE_TEXT}, Action.UNTAG, {SSM_TAG, claim("A")}),
            ({SSM_TAG: "true", claim("A"): "-"}, Action.UNTAG, {SSM_TAG, claim("A")}),
            ({**SSM, claim("A"): "- keep"}, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): f"{DUE_TEXT} keep"}, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): "-", claim("B"): "-"}, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): "-", claim("B"): "- keep"}, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): "- keep", claim("B"): "-"}, Action.RELEASE, {claim("A")}),
            ({claim("A"): "-"}, Action.RELEASE, {claim("A")}),
        ],
        ids=[
            "last",
            "last-due",
            "last-near-miss",
            "keep",
            "keep-due",
            "others",
            "others-keep",
            "keep-others",
            "tag-gone",
        ],
    )
    def test_its_claim_goes_and_the_tag_only_with_the_last(
        self, tags: dict[str, str], action: Action, gone: set[str]
    ) -> None:
        change = plan_untag(instance(tags), UntagWish("A"))
        assert (change.outcome, change.action, set(change.remove)) == (Outcome.PLANNED, action, gone)
        assert change.put == {}
        assert change.claims == tuple(sorted({"A", "B"} & set(claims_of(instance(tags))) - {"A"}))

    @pytest.mark.parametrize("tags", [{**SSM, claim("A"): "-", claim("B"): "-"}, {**SSM, claim("A"): "- keep"}])
    def test_overwrite_does_not_widen_a_case(self, tags: dict[str, str]) -> None:
        change = plan_untag(instance(tags), UntagWish("A", overwrite=True))
        assert set(change.remove) == {claim("A")}

    def test_without_a_claim_of_the_case_the_tag_stays_and_that_is_said(self) -> None:
        change = plan_untag(instance(SSM), UntagWish("A"))
        assert (change.outcome, change.remove) == (Outcome.UNCHANGED, {})
        assert "A" in change.warnings[-1]

    def test_with_nothing_there_nothing_is_said(self) -> None:
        change = plan_untag(instance(), UntagWish("A"))
        assert (change.outcome, change.warnings) == (Outcome.UNCHANGED, ())


class TestUntagExpired:
    """``expired_at`` lies after EARLY and at DUE; LATE is still ahead."""

    @pytest.mark.parametrize(
        ("tags", "case", "action", "gone"),
        [
            ({**SSM, claim("A"): EARLY_TEXT}, None, Action.UNTAG, {SSM_TAG, claim("A")}),
            ({**SSM, claim("A"): DUE_TEXT}, None, Action.UNTAG, {SSM_TAG, claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): DUE_TEXT}, None, Action.UNTAG, None),
            ({**SSM, claim("A"): f"{EARLY_TEXT} keep"}, None, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): f"{DUE_TEXT} keep"}, None, Action.RELEASE, "claims"),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): LATE_TEXT}, None, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): "-"}, None, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): "soon"}, None, Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT, claim("B"): EARLY_TEXT}, "A", Action.RELEASE, {claim("A")}),
            ({**SSM, claim("A"): EARLY_TEXT}, "A", Action.UNTAG, {SSM_TAG, claim("A")}),
        ],
        ids=[
            "past",
            "now",
            "all",
            "keep",
            "one-keeps",
            "one-ahead",
            "one-without-end",
            "one-unreadable",
            "of-case",
            "of-case-last",
        ],
    )
    def test_what_is_due_goes(
        self, tags: dict[str, str], case: str | None, action: Action, gone: set[str] | str | None
    ) -> None:
        change = plan_untag(instance(tags), UntagWish(case, DUE))
        if gone is None:
            gone = set(tags)
        elif gone == "claims":
            gone = set(tags) - {SSM_TAG}
        assert (change.outcome, change.action, set(change.remove), change.put) == (
            Outcome.PLANNED,
            action,
            gone,
            {},
        )

    @pytest.mark.parametrize(
        ("tags", "case"),
        [
            ({**SSM, claim("A"): LATE_TEXT}, None),
            ({**SSM, claim("A"): "-"}, None),
            ({**SSM, claim("A"): "soon"}, None),
            (SSM, None),
            ({}, None),
            ({**SSM, claim("A"): LATE_TEXT}, "A"),
            ({**SSM, claim("B"): EARLY_TEXT}, "A"),
        ],
        ids=["ahead", "without-end", "unreadable", "unclaimed", "bare", "of-case-ahead", "of-another-case"],
    )
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_what_is_not_due_stays(self, tags: dict[str, str], case: str | None, overwrite: bool) -> None:
        change = plan_untag(instance(tags), UntagWish(case, DUE, overwrite))
        assert (change.outcome, change.remove) == (Outcome.UNCHANGED, {})


VALUES = st.sampled_from(["True", "true", "TRUE ", "False", "", "yes"])
CLAIM_VALUES = st.sampled_from(["-", "- keep", EARLY_TEXT, DUE_TEXT, f"{LATE_TEXT} keep", "2026-11-26T18:00Z", "?"])
CASES = st.sampled_from(["A", "B", "C"])
TAGS = st.builds(
    lambda ssm, twin, claims: ssm | twin | {claim(case): value for case, value in claims.items()},
    st.one_of(st.just({}), st.builds(lambda value: {SSM_TAG: value}, VALUES)),
    st.sampled_from([{}, {}, {TWIN: "True"}]),
    st.dictionaries(CASES, CLAIM_VALUES, max_size=3),
)
INSTANCES = st.builds(
    lambda tags, state, others: instance(tags, state=state, others=others),
    TAGS,
    st.sampled_from(["running", "stopped", "pending", "terminated"]),
    st.integers(0, 50),
)
DUES = st.sampled_from([None, EARLY, DUE, LATE])
TAG_WISHES = st.builds(
    lambda case, due, overwrite: TagWish(case, due if case else None, overwrite),
    st.none() | CASES,
    DUES,
    st.booleans(),
)
UNTAG_WISHES = st.builds(UntagWish, st.none() | CASES, st.none() | st.just(DUE), st.booleans())


def check_shape(before: Instance, change: TagChange) -> None:
    assert change.before.keys() == change.after.keys()
    assert SSM_TAG in change.before
    assert not change.put.keys() & change.remove.keys()
    assert all(before.tags.get(key) == value for key, value in change.before.items())
    if change.outcome is Outcome.PLANNED:
        assert change.put or change.remove
        assert change.action is not Action.NONE
    else:
        assert change.action is Action.NONE or change.outcome is Outcome.FAILED
    if change.outcome is Outcome.SKIPPED:
        assert change.warnings, "what is skipped says why"


@given(INSTANCES, TAG_WISHES)
def test_tagging_twice_changes_nothing_more(before: Instance, wish: TagWish) -> None:
    change = plan_tag(before, wish)
    check_shape(before, change)
    if change.outcome is not Outcome.PLANNED:
        return
    again = plan_tag(applied(before, change), wish)
    assert again.outcome is Outcome.UNCHANGED
    assert again.claims == change.claims


@given(INSTANCES, UNTAG_WISHES)
def test_untagging_twice_changes_nothing_more(before: Instance, wish: UntagWish) -> None:
    change = plan_untag(before, wish)
    check_shape(before, change)
    if change.outcome is not Outcome.PLANNED:
        return
    again = plan_untag(applied(before, change), wish)
    assert again.outcome is Outcome.UNCHANGED
    assert again.claims == change.claims


CLAIMED = st.builds(
    lambda claims: SSM | {claim(case): value for case, value in claims.items()},
    st.dictionaries(CASES, CLAIM_VALUES, max_size=3),
)


@given(CLAIMED | st.sampled_from([{}, {TWIN: "True"}]), DUES)
def test_untagging_a_case_takes_back_what_tagging_did(tags: dict[str, str], due: datetime | None) -> None:
    """Whoever had the tag before has it still; an instance without it is as it was."""
    before = instance(tags)
    change = plan_tag(before, TagWish("MINE", due))
    assert change.outcome is Outcome.PLANNED
    tagged = applied(before, change)
    back = plan_untag(tagged, UntagWish("MINE"))
    assert back.outcome is Outcome.PLANNED
    assert applied(tagged, back).tags == before.tags


@given(st.permutations(["A", "B", "C"]), st.permutations(["A", "B", "C"]), st.booleans())
def test_cases_come_and_go_in_any_order(come: list[str], go: list[str], tagged_before: bool) -> None:
    there = first = instance(SSM if tagged_before else {})
    for case in come:
        there = applied(there, plan_tag(there, TagWish(case)))
    for case in go:
        assert there.tags[SSM_TAG] == "True"
        there = applied(there, plan_untag(there, UntagWish(case)))
    assert there.tags == first.tags
