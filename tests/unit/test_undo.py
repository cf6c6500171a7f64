"""Undo and resume as plans: what a run changed comes back exactly, and what anybody else changed stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import Action, TagChange, Tags, change_of
from cado_ops.plan.tagging import TagWish, UntagWish, claims_of, plan_tag, plan_untag
from cado_ops.plan.undo import Undone, action_of, plan_resume, plan_undo, undo_again, undo_unread
from cado_ops.workflow.apply import TagApplier

CELL = Cell("1" * 12, "eu-west-1")
DUES = (None, *(datetime(2026, 11, day, 18, tzinfo=UTC) for day in (24, 26, 28)))
NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
SSM = {SSM_TAG: "True"}
A, B = CLAIM_PREFIX + "A", CLAIM_PREFIX + "B"
OUTSIDER = "somebody else's"

Held = Mapping[str, str]
Plan = Callable[[Instance], TagChange]


def instance(tags: Held, each: str = "i-0", state: str = "running") -> Instance:
    return Instance(CELL.account, CELL.region, each, "web", state, dict(tags), len(tags))


class Cloud:
    """An EC2 with these instances, and a journal that nobody reads; changes go through the one that makes them."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self.held = {each: dict(tags) for each, tags in held.items()}

    def instances(self, cell: Cell, filters: Sequence[Filter]) -> Iterator[Instance]:
        raise AssertionError("a fresh plan is not read again")

    def tags(self, cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return {each: dict(self.held[each]) for each in ids if self.held[each]}

    def create_tags(self, cell: Cell, ids: Sequence[str], tags: Held, *, dry_run: bool = False) -> str:
        for each in ids:
            self.held[each] |= tags
        return "request-id"

    def delete_tags(self, cell: Cell, ids: Sequence[str], tags: Held, *, dry_run: bool = False) -> str:
        assert tags
        for each in ids:
            for key, value in tags.items():
                if self.held[each].get(key) == value:
                    del self.held[each][key]
        return "request-id"

    def write(self, record: str, **fields: object) -> None: ...

    def snapshot(self) -> dict[str, dict[str, str]]:
        return {each: dict(tags) for each, tags in self.held.items()}

    def run(self, plan: Plan) -> list[TagChange]:
        """Reads, plans and applies, as a run does; all changes, with what became of them."""
        return self.apply([plan(instance(tags, each)) for each, tags in self.held.items()])

    def apply(self, changes: Sequence[TagChange]) -> list[TagChange]:
        planned = [change for change in changes if change.outcome is Outcome.PLANNED]
        applier = TagApplier(self, self, lambda _: None, lambda: 0.0, lambda: False)  # type: ignore[arg-type]
        ended = {change.instance_id: change for change in applier.apply_cell(CELL, planned, 0.0)}
        return [ended.get(change.instance_id, change) for change in changes]

    def undo(self, done: Sequence[TagChange]) -> list[TagChange]:
        """Undoes what a run did; what it did nothing to is no part of it, as in the journal."""
        begun = [change for change in done if change.outcome is Outcome.CHANGED]
        return self.apply([plan_undo(change, self.instance(change.instance_id)) for change in begun])

    def instance(self, each: str) -> Instance | None:
        return instance(self.held[each], each) if each in self.held else None


def by_id(changes: Sequence[TagChange]) -> dict[str, TagChange]:
    return {change.instance_id: change for change in changes}


VALUES = st.sampled_from(["True", "True", "true", "TRUE ", "False", "", "yes"])
CLAIM_VALUES = st.sampled_from(["-", "-", "- keep", "2026-11-24T18:00:00Z", "2026-11-26T18:00:00Z keep", "?", ""])
CASES = st.sampled_from("ABC")
TAGS = st.builds(
    lambda ssm, more, claims: ssm | more | {CLAIM_PREFIX + case: value for case, value in claims.items()},
    st.one_of(st.just({}), VALUES.map(lambda value: {SSM_TAG: value})),
    st.sampled_from([{}, {}, {SSM_TAG.lower(): "True"}, {CLAIM_PREFIX + "no case": "-"}]),
    st.dictionaries(st.sampled_from("ABCD"), CLAIM_VALUES, max_size=3),
)
CLOUDS = st.lists(TAGS, min_size=1, max_size=3).map(
    lambda each: {f"i-{number}": tags for number, tags in enumerate(each)}
)
TAG = st.builds(
    lambda case, due, overwrite: TagWish(case, due if case else None, overwrite),
    st.none() | CASES,
    st.sampled_from(DUES),
    st.booleans(),
)
UNTAG = st.builds(UntagWish, st.none() | CASES, st.none() | st.just(NOW), st.booleans())
RUNS = st.lists(TAG | UNTAG, min_size=1, max_size=5)


def planner(wish: TagWish | UntagWish) -> Plan:
    if isinstance(wish, TagWish):
        return lambda each: plan_tag(each, wish)
    return lambda each: plan_untag(each, wish)


def tag_that_stays(changes: Sequence[TagChange]) -> set[str]:
    """The instances whose SSM tag an undo left, for another case claims them; it must have said so."""
    return {change.instance_id for change in changes if any("the tag stays" in each for each in change.warnings)}


class TestAnySequenceOfRuns:
    @given(CLOUDS, RUNS)
    def test_undone_in_reverse_all_is_as_it_was(
        self, held: dict[str, Held], wishes: list[TagWish | UntagWish]
    ) -> None:
        """But for a claim without an effective tag, which no run leaves behind: it gets the tag for good."""
        cloud = Cloud(held)
        befores, runs = [], []
        for wish in wishes:
            befores.append(cloud.snapshot())
            runs.append(cloud.run(planner(wish)))
        stays: set[str] = set()
        for before, done in zip(reversed(befores), reversed(runs), strict=True):
            undone = cloud.undo(done)
            stays |= tag_that_stays(undone)
            assert {change.outcome for change in undone} <= {Outcome.CHANGED, Outcome.UNCHANGED}
            for each, tags in before.items():
                if each not in stays:
                    assert cloud.held[each] == tags
                    continue
                assert claims_of(instance(tags)), "only a claim keeps the tag"
                assert cloud.held[each] == {**tags, SSM_TAG: "True"}
        assert all(held[each].get(SSM_TAG) != "True" for each in stays)

    @given(CLOUDS, RUNS)
    def test_undo_of_the_undo_does_it_again(self, held: dict[str, Held], wishes: list[TagWish | UntagWish]) -> None:
        cloud = Cloud(held)
        for wish in wishes:
            done = cloud.run(planner(wish))
            after = cloud.snapshot()
            undone = cloud.undo(done)
            between = cloud.snapshot()
            redone = cloud.undo(undone)
            assert not any(change.outcome is Outcome.DRIFTED for change in (*undone, *redone))
            assert cloud.held == after
            cloud.undo(redone)
            assert cloud.held == between, "and undone once more"
            cloud.held = after

    @given(CLOUDS, RUNS)
    def test_undone_twice_is_undone_once(self, held: dict[str, Held], wishes: list[TagWish | UntagWish]) -> None:
        cloud = Cloud(held)
        for wish in wishes:
            done = cloud.run(planner(wish))
        cloud.undo(done)
        once = cloud.snapshot()
        again = cloud.undo(done)
        assert {change.outcome for change in again} <= {Outcome.UNCHANGED}
        assert cloud.held == once


class TestSomebodyElse:
    """What anybody else changed since is left exactly as it is, instance by instance; the rest is put back."""

    @given(CLOUDS, TAG | UNTAG, st.data())
    def test_a_tag_changed_since_is_drifted_and_left(
        self, held: dict[str, Held], wish: TagWish | UntagWish, data: st.DataObject
    ) -> None:
        cloud = Cloud(held)
        done = cloud.run(planner(wish))
        touched = {
            change.instance_id: [key for key in change.before if change.before[key] != change.after[key]]
            for change in done
            if change.outcome is Outcome.CHANGED
        }
        assume(touched)
        meddled = data.draw(st.sets(st.sampled_from(sorted(touched)), min_size=1))
        for each in meddled:
            key = data.draw(st.sampled_from(touched[each]))
            change = by_id(done)[each]
            value = data.draw(st.sampled_from([None, "True", "False", "-", OUTSIDER]))
            assume(value not in (change.before[key], change.after[key]))
            cloud.held[each].pop(key, None)
            if value is not None:
                cloud.held[each][key] = value
        met = cloud.snapshot()
        undone = by_id(cloud.undo(done))
        assert undone.keys() == touched.keys()
        assert {each for each, change in undone.items() if change.outcome is Outcome.DRIFTED} == meddled
        for each in held:
            if each in meddled:
                assert cloud.held[each] == met[each]
                assert (undone[each].put, undone[each].remove, undone[each].action) == ({}, {}, Action.NONE)
                assert "somebody else" in undone[each].warnings[-1]
            elif each in tag_that_stays(list(undone.values())):
                assert cloud.held[each] == {**held[each], SSM_TAG: "True"}
            else:
                assert cloud.held[each] == held[each]

    @given(CLOUDS, TAG | UNTAG, st.data())
    def test_a_claim_made_since_keeps_its_tag(
        self, held: dict[str, Held], wish: TagWish | UntagWish, data: st.DataObject
    ) -> None:
        cloud = Cloud(held)
        done = cloud.run(planner(wish))
        late = data.draw(st.sets(st.sampled_from(sorted(held)), min_size=1))
        for change in cloud.run(lambda each: plan_tag(each, TagWish("LATE"))):
            if change.instance_id not in late:
                cloud.undo([change])
        met = cloud.snapshot()
        undone = by_id(cloud.undo(done))
        for each in late & undone.keys():
            if undone[each].outcome is Outcome.DRIFTED:
                assert cloud.held[each] == met[each]
                continue
            claimed = CLAIM_PREFIX + "LATE" in met[each]
            was = {key: value for key, value in held[each].items() if key != SSM_TAG}
            now = {key: value for key, value in cloud.held[each].items() if key != SSM_TAG}
            now.pop(CLAIM_PREFIX + "LATE", None)
            assert now == was, "its claims and all other tags are as they were"
            if claimed:
                assert cloud.held[each].get(SSM_TAG) == "True"

    @given(TAGS, TAG | UNTAG, st.dictionaries(st.sampled_from(["Name", "Env", SSM_TAG.upper()]), st.just("x")))
    def test_other_tags_do_not_matter(self, tags: Held, wish: TagWish | UntagWish, more: dict[str, str]) -> None:
        cloud = Cloud({"i-0": tags})
        done = cloud.run(planner(wish))
        cloud.held["i-0"] |= more
        undone = cloud.undo(done)
        assert Outcome.DRIFTED not in {change.outcome for change in undone}
        if not tag_that_stays(undone):
            assert cloud.held["i-0"] == {**tags, **more}


def change(before: Tags, after: Tags, **more: object) -> TagChange:
    return change_of(instance({}), action_of(before, after), before, after, **more)


TAGGED = change({SSM_TAG: None}, {SSM_TAG: "True"})
RETAGGED = change({SSM_TAG: "true"}, {SSM_TAG: "True"})
CLAIMED = change({SSM_TAG: None, A: None}, {SSM_TAG: "True", A: "-"})
JOINED = change({SSM_TAG: "True", B: None}, {SSM_TAG: "True", B: "-"})
JOINED_KEPT = change({SSM_TAG: "True", B: None}, {SSM_TAG: "True", B: "- keep"})
UNTAGGED = change({SSM_TAG: "True", A: "-"}, {SSM_TAG: None, A: None})
RELEASED = change({SSM_TAG: "True", A: "-"}, {SSM_TAG: "True", A: None})
MENDED = change({SSM_TAG: None, A: "-"}, {SSM_TAG: "True", A: "2026-11-26T18:00:00Z"})
PROLONGED = change({SSM_TAG: "True", A: "-"}, {SSM_TAG: "True", A: "2026-11-26T18:00:00Z"})


class TestPlanUndo:
    @pytest.mark.parametrize(
        ("done", "live", "action", "wanted", "claims"),
        [
            (TAGGED, SSM, Action.UNTAG, {}, ()),
            (RETAGGED, SSM, Action.RETAG, {SSM_TAG: "true"}, ()),
            (CLAIMED, {**SSM, A: "-"}, Action.UNTAG, {}, ()),
            (CLAIMED, {A: "-"}, Action.RELEASE, {}, ()),
            (CLAIMED, SSM, Action.NONE, SSM, ()),
            (CLAIMED, {**SSM, A: "-", B: "-"}, Action.RELEASE, {**SSM, B: "-"}, ("B",)),
            (TAGGED, {**SSM, B: "-"}, Action.NONE, {**SSM, B: "-"}, ("B",)),
            (JOINED, {**SSM, A: "-", B: "-"}, Action.RELEASE, {**SSM, A: "-"}, ("A",)),
            (JOINED, {**SSM, B: "-"}, Action.UNTAG, {}, ()),
            (JOINED_KEPT, {**SSM, B: "- keep"}, Action.RELEASE, SSM, ()),
            (UNTAGGED, {}, Action.TAG, {**SSM, A: "-"}, ("A",)),
            (UNTAGGED, SSM, Action.CLAIM, {**SSM, A: "-"}, ("A",)),
            (RELEASED, SSM, Action.CLAIM, {**SSM, A: "-"}, ("A",)),
            (RELEASED, {**SSM, B: "-"}, Action.CLAIM, {**SSM, A: "-", B: "-"}, ("A", "B")),
            (PROLONGED, {**SSM, A: "2026-11-26T18:00:00Z"}, Action.CLAIM, {**SSM, A: "-"}, ("A",)),
            (MENDED, {**SSM, A: "2026-11-26T18:00:00Z"}, Action.CLAIM, {**SSM, A: "-"}, ("A",)),
            (MENDED, {**SSM, A: "-"}, Action.NONE, {**SSM, A: "-"}, ("A",)),
        ],
        ids=[
            "tag",
            "retag",
            "claim-and-tag",
            "claim-and-tag-half-undone",
            "claim-gone-so-the-tag-is-anothers",
            "another-claims",
            "another-claims-what-had-no-case",
            "one-of-two",
            "the-last-whoever-tagged",
            "the-last-that-keeps",
            "untag",
            "untag-and-tagged-since",
            "release",
            "release-beside-another",
            "prolong",
            "a-claim-that-had-lost-its-tag",
            "a-claim-that-had-lost-its-tag-again",
        ],
    )
    def test_what_it_puts_back(
        self, done: TagChange, live: Held, action: Action, wanted: Held, claims: tuple[str, ...]
    ) -> None:
        undo = plan_undo(done, instance(live))
        assert (undo.action, undo.claims) == (action, claims)
        assert undo.outcome is (Outcome.UNCHANGED if action is Action.NONE else Outcome.PLANNED)
        assert undo.before.keys() == undo.after.keys()
        assert all(live.get(key) == value for key, value in undo.before.items())
        assert {key: value for key, value in {**live, **undo.after}.items() if value is not None} == wanted

    @pytest.mark.parametrize(
        ("done", "undone", "live", "outcome", "wanted"),
        [
            (TAGGED, {SSM_TAG: [(None, "U")]}, SSM, Outcome.SKIPPED, SSM),
            (TAGGED, {SSM_TAG: [(None, "U")]}, {}, Outcome.UNCHANGED, {}),
            (TAGGED, {SSM_TAG: [("True", "U")]}, SSM, Outcome.PLANNED, {}),
            (TAGGED, {A: [(None, "U")]}, SSM, Outcome.PLANNED, {}),
            (CLAIMED, {SSM_TAG: [("True", "U"), (None, "V")], A: [(None, "U")]}, {**SSM, A: "-"}, Outcome.SKIPPED,
             {**SSM, A: "-"}),
            (CLAIMED, {SSM_TAG: [("True", "U")], A: [(None, "U")]}, SSM, Outcome.UNCHANGED, SSM),
            (CLAIMED, {SSM_TAG: [("True", "U")], A: [(None, "U")]}, {**SSM, A: "-"}, Outcome.UNCHANGED,
             {**SSM, A: "-"}),
            (UNTAGGED, {SSM_TAG: [("True", "U")], A: [("-", "U")]}, {}, Outcome.SKIPPED, {}),
        ],
        ids=[
            "somebody tagged again",
            "nobody did",
            "the undo left the tag",
            "another tag",
            "two undos",
            "left to others, and theirs",
            "a claim made again keeps the rest",
            "untagged again",
        ],
    )  # fmt: skip
    def test_what_an_earlier_undo_put_back_is_no_longer_the_runs(
        self, done: TagChange, undone: Undone, live: Held, outcome: Outcome, wanted: Held
    ) -> None:
        undo = plan_undo(done, instance(live), undone)
        assert undo.outcome is outcome
        assert {key: value for key, value in {**live, **undo.after}.items() if value is not None} == wanted
        if outcome is Outcome.SKIPPED:
            assert "undo" in undo.warnings[0]
            assert "somebody else" in undo.warnings[0]
            assert (undo.put, undo.remove, undo.action) == ({}, {}, Action.NONE)

    @given(CLOUDS, TAG | UNTAG)
    def test_what_could_not_be_read_is_planned_as_if_it_had_been(
        self, held: dict[str, Held], wish: TagWish | UntagWish
    ) -> None:
        cloud = Cloud(held)
        for done in cloud.run(planner(wish)):
            if done.outcome is not Outcome.CHANGED:
                continue
            wanted = undo_unread(done, ErrorInfo("AccessDenied", "words"))
            assert (wanted.outcome, wanted.error) == (Outcome.FAILED, ErrorInfo("AccessDenied", "words"))
            assert (wanted.before, wanted.after) == (done.after, done.before)
            live = cloud.instance(done.instance_id)
            assert undo_again(wanted, live) == plan_undo(done, live)

    @pytest.mark.parametrize("done", [TAGGED, CLAIMED, UNTAGGED, RELEASED, PROLONGED])
    def test_what_is_undone_already_is_unchanged(self, done: TagChange) -> None:
        live = {key: value for key, value in done.before.items() if value is not None}
        undo = plan_undo(done, instance(live))
        assert (undo.outcome, undo.action, undo.put, undo.remove) == (Outcome.UNCHANGED, Action.NONE, {}, {})

    @pytest.mark.parametrize(
        ("done", "live", "named"),
        [
            (TAGGED, {SSM_TAG: "False"}, {SSM_TAG}),
            (TAGGED, {SSM_TAG: "true"}, {SSM_TAG}),
            (RETAGGED, {}, {SSM_TAG}),
            (CLAIMED, {**SSM, A: "2026-11-26T18:00:00Z"}, {A}),
            (CLAIMED, {SSM_TAG: "no", A: "-"}, {SSM_TAG}),
            (CLAIMED, {SSM_TAG: "no", A: "?"}, {SSM_TAG, A}),
            (UNTAGGED, {**SSM, A: "- keep"}, {A}),
            (RELEASED, {**SSM, A: "2026-11-26T18:00:00Z"}, {A}),
            (PROLONGED, SSM, {A}),
        ],
    )
    def test_what_somebody_changed_since_is_left(self, done: TagChange, live: Held, named: set[str]) -> None:
        undo = plan_undo(done, instance(live))
        assert (undo.outcome, undo.action, undo.put, undo.remove) == (Outcome.DRIFTED, Action.NONE, {}, {})
        [warning] = undo.warnings
        assert all((key in warning) is (key in named) for key in done.before)
        assert all(live.get(key) == value for key, value in undo.before.items())

    @pytest.mark.parametrize("state", ["terminated", "shutting-down", None])
    @pytest.mark.parametrize("done", [TAGGED, UNTAGGED])
    def test_an_instance_that_is_gone_is_skipped(self, done: TagChange, state: str | None) -> None:
        undo = plan_undo(done, None if state is None else instance(SSM, state=state))
        assert (undo.outcome, undo.action, undo.put, undo.remove) == (Outcome.SKIPPED, Action.NONE, {}, {})
        assert (state or "gone") in undo.warnings[0]

    def test_what_became_of_the_first_run_is_forgotten(self) -> None:
        """An error or a warning of the run is none of the undo; state and name are those of now."""
        done = TAGGED.ended(Outcome.UNKNOWN, ErrorInfo("Timeout", "no answer"), ("look again",))
        undo = plan_undo(done, instance(SSM, state="stopped"))
        assert (undo.error, undo.warnings, undo.state, undo.name) == (None, (), "stopped", "web")
        unnamed = Instance(CELL.account, CELL.region, "i-0", "", "running", SSM, 1)
        assert plan_undo(done, unnamed).name == "web", "a name taken off since is still known"


class TestPlanResume:
    """``begun``: an intent for it was journaled before the run was cut off."""

    @pytest.mark.parametrize(
        ("planned", "live", "begun", "outcome"),
        [
            (CLAIMED, {}, False, Outcome.PLANNED),
            (CLAIMED, {}, True, Outcome.PLANNED),
            (CLAIMED, SSM, False, Outcome.DRIFTED),
            (CLAIMED, SSM, True, Outcome.PLANNED),
            (CLAIMED, {A: "-"}, True, Outcome.PLANNED),
            (CLAIMED, {**SSM, A: "-"}, False, Outcome.UNCHANGED),
            (CLAIMED, {**SSM, A: "-"}, True, Outcome.UNKNOWN),
            (CLAIMED, {**SSM, A: "-", B: "-"}, True, Outcome.UNKNOWN),
            (CLAIMED, {SSM_TAG: "False"}, False, Outcome.DRIFTED),
            (CLAIMED, {SSM_TAG: "False", A: "-"}, True, Outcome.DRIFTED),
            (CLAIMED, {**SSM, A: "- keep"}, True, Outcome.DRIFTED),
            (JOINED, {B: "-"}, True, Outcome.DRIFTED),
            (JOINED, {}, False, Outcome.DRIFTED),
            (UNTAGGED, {**SSM, A: "-"}, False, Outcome.PLANNED),
            (UNTAGGED, {A: "-"}, True, Outcome.PLANNED),
            (UNTAGGED, {}, False, Outcome.UNCHANGED),
            (UNTAGGED, {}, True, Outcome.UNKNOWN),
            (UNTAGGED, {B: "-"}, True, Outcome.UNKNOWN),
            (UNTAGGED, {**SSM, A: "2026-11-26T18:00:00Z"}, True, Outcome.DRIFTED),
        ],
    )
    def test_against_what_stands_now(self, planned: TagChange, live: Held, begun: bool, outcome: Outcome) -> None:
        again = plan_resume(planned, instance(live), begun=begun)
        assert again.outcome is outcome
        assert (again.before, again.after) == (planned.before, planned.after), "exactly the plan of the run"
        assert again.action is planned.action
        assert bool(again.warnings) is (outcome is Outcome.DRIFTED)

    @pytest.mark.parametrize("begun", [False, True])
    @pytest.mark.parametrize("state", ["terminated", "shutting-down", None])
    def test_an_instance_that_is_gone_is_drifted(self, state: str | None, begun: bool) -> None:
        live = None if state is None else instance(SSM, state=state)
        again = plan_resume(TAGGED, live, begun=begun)
        assert (again.outcome, again.action) == (Outcome.DRIFTED, TAGGED.action)
        assert (state or "gone") in again.warnings[0]

    def test_what_failed_is_tried_again_without_its_error(self) -> None:
        failed = TAGGED.ended(Outcome.FAILED, ErrorInfo("Throttling", "slow down"))
        again = plan_resume(failed, instance({}), begun=True)
        assert (again.outcome, again.error) == (Outcome.PLANNED, None)

    @given(CLOUDS, TAG | UNTAG, st.data())
    @settings(max_examples=60)
    def test_cut_off_anywhere_and_resumed_it_ends_the_same(
        self, held: dict[str, Held], wish: TagWish | UntagWish, data: st.DataObject
    ) -> None:
        """Some instances were done, some were not: those are done now, and nothing is done twice."""
        whole = Cloud(held)
        planned = [planner(wish)(instance(tags, each)) for each, tags in held.items()]
        whole.apply(planned)
        cut = Cloud(held)
        todo = [each for each in planned if each.outcome is Outcome.PLANNED]
        made = data.draw(st.lists(st.sampled_from(todo), unique_by=id)) if todo else []
        cut.apply(made)
        resumed = [plan_resume(each, cut.instance(each.instance_id), begun=each in made) for each in todo]
        assert {each.instance_id for each in resumed if each.outcome is Outcome.UNKNOWN} == {
            each.instance_id for each in made
        }
        cut.apply(resumed)
        assert cut.held == whole.held


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ({SSM_TAG: None}, {SSM_TAG: "True"}, Action.TAG),
        ({SSM_TAG: "true"}, {SSM_TAG: "True"}, Action.RETAG),
        ({SSM_TAG: "True"}, {SSM_TAG: None}, Action.UNTAG),
        ({SSM_TAG: "True", A: "-"}, {SSM_TAG: None, A: None}, Action.UNTAG),
        ({SSM_TAG: "True", A: None}, {SSM_TAG: "True", A: "-"}, Action.CLAIM),
        ({SSM_TAG: "True", A: "-", B: None}, {SSM_TAG: "True", A: None, B: "-"}, Action.CLAIM),
        ({SSM_TAG: "True", A: "-"}, {SSM_TAG: "True", A: None}, Action.RELEASE),
        ({SSM_TAG: "True", A: "-"}, {SSM_TAG: "True", A: "-"}, Action.NONE),
        ({A: None}, {A: "-"}, Action.CLAIM),
        ({}, {}, Action.NONE),
    ],
)
def test_what_a_step_is_called(before: Tags, after: Tags, action: Action) -> None:
    assert action_of(before, after) is action
