"""The one place that changes AWS, against an EC2 held in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from cado_ops.errors import AwsError, Kind, LocalError
from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, Instance, Outcome
from cado_ops.plan.change import Action, TagChange, change_of
from cado_ops.plan.tagging import TagWish, UntagWish, plan_tag, plan_untag
from cado_ops.plan.undo import plan_resume
from cado_ops.workflow.apply import FRESH_SECONDS, SETTLE_WAITS, TagApplier
from cado_ops.workflow.tag_calls import dry_run_tags

CELL = Cell("1" * 12, "eu-west-1")
SSM = {SSM_TAG: "True"}
CLAIM, OTHER = CLAIM_PREFIX + "A", CLAIM_PREFIX + "B"
DENIED = AwsError("UnauthorizedOperation", "You are not authorized", kind=Kind.DENIED, request_id="r-denied")
LOST = AwsError("ReadTimeoutError", "Read timeout", hint="Look at the network", kind=Kind.TRANSPORT)


def not_found(*ids: str) -> AwsError:
    message = (
        f"The instance ID '{ids[0]}' does not exist"
        if len(ids) == 1
        else f"The instance IDs '{', '.join(ids)}' do not exist"
    )
    return AwsError("InvalidInstanceID.NotFound", message, kind=Kind.NOT_FOUND, request_id="r-404")


Fault = AwsError | Callable[["World", str, Sequence[str]], None]


class World:
    """An EC2, a journal and a clock that share one log of what happened, in order."""

    def __init__(self, tags: Mapping[str, Mapping[str, str]]) -> None:
        self.tags_of = {each: dict(held) for each, held in tags.items()}
        self.states = dict.fromkeys(tags, "running")
        self.log: list[tuple[str, Any]] = []
        self.time = 1000.0
        self.stop = False
        self.stale_reads = 0  # this many DescribeTags still show the state before the last write
        self._stale = {each: dict(held) for each, held in self.tags_of.items()}
        self.faults: dict[str, list[Fault | None]] = {}

    # The gateway.

    def instances(self, cell: Cell, filters: Sequence[Filter]) -> Iterator[Instance]:
        [asked] = filters
        assert asked.name == "instance-id"
        self._call("DescribeInstances", asked.values)
        for each in asked.values:
            if each in self.tags_of:
                yield self.instance(each)

    def tags(self, cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        self._call("DescribeTags", ids)
        source = self.tags_of
        if self.stale_reads:
            self.stale_reads -= 1
            source = self._stale
        return {each: dict(source[each]) for each in ids if source.get(each)}

    def create_tags(self, cell: Cell, ids: Sequence[str], tags: Mapping[str, str], *, dry_run: bool = False) -> str:
        return self._write("CreateTags", ids, tags, dry_run)

    def delete_tags(self, cell: Cell, ids: Sequence[str], tags: Mapping[str, str], *, dry_run: bool = False) -> str:
        return self._write("DeleteTags", ids, tags, dry_run)

    def _write(self, call: str, ids: Sequence[str], tags: Mapping[str, str], dry_run: bool) -> str:
        assert tags
        self._call(call, ids)
        gone = [each for each in ids if each not in self.tags_of]
        if gone:
            raise not_found(*gone)
        if not dry_run:
            self.take(call, ids, tags)
        return f"r-{len(self.log)}"

    def take(self, call: str, ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self._stale = {each: dict(held) for each, held in self.tags_of.items()}
        for each in ids:
            for key, value in tags.items():
                if call == "CreateTags":
                    self.tags_of[each][key] = value
                elif self.tags_of[each].get(key) == value:
                    del self.tags_of[each][key]

    def _call(self, call: str, ids: Sequence[str]) -> None:
        self.log.append((call, list(ids)))
        queue = self.faults.get(call, [])
        fault = queue.pop(0) if queue else None
        if isinstance(fault, AwsError):
            raise fault
        if fault is not None:
            fault(self, call, ids)

    # The journal.

    def write(self, record: str, **fields: Any) -> None:
        json.dumps(fields)
        self.log.append((record, fields))

    # What the tests use.

    def instance(self, each: str) -> Instance:
        held = self.tags_of[each]
        return Instance(CELL.account, CELL.region, each, "", self.states[each], dict(held), len(held))

    def plan(self, wish: TagWish | UntagWish | None = None) -> list[TagChange]:
        wish = wish or TagWish()
        there = [self.instance(each) for each in self.tags_of]
        if isinstance(wish, TagWish):
            return [plan_tag(each, wish) for each in there]
        return [plan_untag(each, wish) for each in there]

    def sleep(self, seconds: float) -> None:
        self.log.append(("sleep", seconds))
        self.time += seconds

    def apply(self, changes: Sequence[TagChange], *, age: float = 0.0) -> dict[str, TagChange]:
        applier = TagApplier(self, self, self.sleep, lambda: self.time, lambda: self.stop)  # type: ignore[arg-type]
        ended = applier.apply_cell(CELL, changes, self.time - age)
        assert [change.instance_id for change in ended] == [change.instance_id for change in changes]
        return {change.instance_id: change for change in ended}

    def steps(self) -> list[str]:
        return [step for step, _ in self.log]

    def journaled(self) -> dict[str, str]:
        """The last outcome of each instance, as the journal tells it."""
        found: dict[str, str] = {}
        for record, fields in self.log:
            if record == "intent":
                found |= dict.fromkeys(fields["ids"], "unknown")
            if record == "outcome":
                found |= {each: result["outcome"] for each, result in fields["results"].items()}
        return found


def world(count: int = 3, tags: Mapping[str, str] | None = None) -> World:
    return World({f"i-{number}": tags or {} for number in range(count)})


def outcomes(ended: Mapping[str, TagChange]) -> dict[str, Outcome]:
    return {each: change.outcome for each, change in ended.items()}


def everything(outcome: Outcome, count: int = 3) -> dict[str, Outcome]:
    return {f"i-{number}": outcome for number in range(count)}


def put_and_remove(there: World) -> TagChange:
    before, after = {SSM_TAG: None, CLAIM: "-"}, {SSM_TAG: "True", CLAIM: None}
    return change_of(there.instance("i-0"), Action.TAG, before, after)


class TestTheOrderOfThings:
    def test_intent_before_the_call_and_outcome_after_it(self) -> None:
        there = world()
        ended = there.apply(there.plan())
        assert there.steps() == ["intent", "CreateTags", "outcome", "DescribeTags"]
        assert outcomes(ended) == everything(Outcome.CHANGED)
        assert there.tags_of == {"i-0": SSM, "i-1": SSM, "i-2": SSM}

    def test_what_is_journaled(self) -> None:
        there = world(2)
        there.apply(there.plan())
        [intent] = [fields for record, fields in there.log if record == "intent"]
        assert intent == {
            "account": CELL.account,
            "region": CELL.region,
            "call": "CreateTags",
            "tags": SSM,
            "ids": ["i-0", "i-1"],
        }
        [outcome] = [fields for record, fields in there.log if record == "outcome"]
        assert outcome["results"]["i-0"] == {
            "outcome": "changed",
            "error": None,
            "warnings": [],
            "tags_after": SSM,
            "request_id": "r-2",
        }

    def test_without_a_journal_nothing_is_sent(self) -> None:
        there = world()

        def full(record: str, **_: Any) -> None:
            raise LocalError("No space left on device")

        there.write = full  # type: ignore[method-assign]
        with pytest.raises(LocalError):
            there.apply(there.plan())
        assert "CreateTags" not in there.steps()

    def test_instances_that_need_the_same_tags_share_a_call(self) -> None:
        there = World({"i-0": {}, "i-1": SSM, "i-2": {}, "i-3": SSM})
        ended = there.apply(there.plan(TagWish("A")))
        writes = [ids for step, ids in there.log if step == "CreateTags"]
        assert sorted(writes) == [["i-0", "i-2"], ["i-1", "i-3"]]
        assert set(outcomes(ended).values()) == {Outcome.CHANGED}
        assert there.tags_of["i-1"] == {**SSM, CLAIM_PREFIX + "A": "- keep"}

    def test_untagging_sends_the_pair_that_was_seen(self) -> None:
        there = World({"i-0": {SSM_TAG: "true"}, "i-1": SSM})
        ended = there.apply(there.plan(UntagWish()))
        assert outcomes(ended) == everything(Outcome.CHANGED, 2)
        assert there.tags_of == {"i-0": {}, "i-1": {}}
        intents = [fields["tags"] for record, fields in there.log if record == "intent"]
        assert sorted(intents, key=str) == [SSM, {SSM_TAG: "true"}]

    def test_what_is_set_comes_before_what_is_removed(self) -> None:
        there = World({"i-0": {CLAIM: "-"}})
        assert outcomes(there.apply([put_and_remove(there)])) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": SSM}
        assert there.steps() == [
            "intent",
            "CreateTags",
            "outcome",
            "intent",
            "DeleteTags",
            "outcome",
            "DescribeTags",
        ]

    def test_no_second_call_for_what_the_first_one_refused(self) -> None:
        there = World({"i-0": {CLAIM: "-"}})
        there.faults["CreateTags"] = [DENIED]
        assert outcomes(there.apply([put_and_remove(there)])) == {"i-0": Outcome.FAILED}
        assert "DeleteTags" not in there.steps()


class TestStalePlans:
    def test_a_fresh_plan_is_not_read_again(self) -> None:
        there = world()
        there.apply(there.plan(), age=FRESH_SECONDS)
        assert "DescribeInstances" not in there.steps()

    def test_an_old_plan_is_read_again_before_anything_is_sent(self) -> None:
        there = world()
        changes = there.plan()
        ended = there.apply(changes, age=FRESH_SECONDS + 0.1)
        assert there.steps()[:3] == ["DescribeInstances", "intent", "CreateTags"]
        assert outcomes(ended) == everything(Outcome.CHANGED)

    def test_what_became_of_each_instance_in_the_meantime(self) -> None:
        there = world(6)
        changes = there.plan()
        there.tags_of["i-1"][SSM_TAG] = "True"
        there.tags_of["i-2"][SSM_TAG] = "False"
        there.states["i-3"] = "terminated"
        there.states["i-4"] = "shutting-down"
        del there.tags_of["i-5"]
        ended = there.apply(changes, age=61)
        assert outcomes(ended) == {
            "i-0": Outcome.CHANGED,
            "i-1": Outcome.UNCHANGED,
            "i-2": Outcome.DRIFTED,
            "i-3": Outcome.DRIFTED,
            "i-4": Outcome.DRIFTED,
            "i-5": Outcome.DRIFTED,
        }
        assert [ids for step, ids in there.log if step == "CreateTags"] == [["i-0"]]
        assert all(ended[each].warnings for each in ("i-2", "i-3", "i-4", "i-5"))
        assert there.tags_of["i-2"] == {SSM_TAG: "False"}
        assert there.journaled() == {each: str(outcome) for each, outcome in outcomes(ended).items()}

    def test_a_claim_that_came_in_the_meantime_keeps_the_tag(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "-"}})
        changes = there.plan(UntagWish("A"))
        assert changes[0].action is Action.UNTAG
        there.tags_of["i-0"][OTHER] = "-"
        assert outcomes(there.apply(changes, age=61)) == {"i-0": Outcome.CHANGED}
        assert there.tags_of["i-0"] == {**SSM, OTHER: "-"}

    def test_a_claim_that_was_prolonged_in_the_meantime_stays(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "2026-11-26T18:00:00Z"}})
        changes = there.plan(UntagWish("A"))
        there.tags_of["i-0"][CLAIM] = "2026-11-28T18:00:00Z"
        assert outcomes(there.apply(changes, age=61)) == {"i-0": Outcome.DRIFTED}
        assert there.tags_of["i-0"] == {**SSM, CLAIM: "2026-11-28T18:00:00Z"}

    def test_where_it_cannot_be_read_again_nothing_is_sent(self) -> None:
        there = world()
        there.faults["DescribeInstances"] = [DENIED]
        ended = there.apply(there.plan(), age=61)
        assert outcomes(ended) == everything(Outcome.FAILED)
        assert {change.error.code for change in ended.values() if change.error} == {"UnauthorizedOperation"}
        assert "intent" not in there.steps()
        assert there.journaled() == dict.fromkeys(ended, "failed")

    def test_it_asks_for_at_most_200_at_a_time(self) -> None:
        there = world(450)
        there.apply(there.plan(), age=61)
        reads = [len(ids) for step, ids in there.log if step == "DescribeInstances"]
        assert reads == [200, 200, 50]


class TestRefusals:
    def test_one_refused_instance_is_that_instance_alone(self) -> None:
        there = world(8)

        def guard(where: World, call: str, ids: Sequence[str]) -> None:
            if "i-5" in ids:
                raise DENIED

        there.faults["CreateTags"] = [guard] * 20
        ended = there.apply(there.plan())
        assert outcomes(ended) == {**everything(Outcome.CHANGED, 8), "i-5": Outcome.FAILED}
        error = ended["i-5"].error
        assert error is not None
        assert (error.code, error.message) == ("UnauthorizedOperation", "You are not authorized")

    def test_the_request_id_of_a_refusal_is_journaled(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [DENIED]
        there.apply(there.plan())
        [outcome] = [fields for record, fields in there.log if record == "outcome"]
        assert outcome["results"]["i-0"]["request_id"] == "r-denied"
        assert outcome["results"]["i-0"]["error"]["code"] == "UnauthorizedOperation"

    def test_an_instance_that_does_not_exist_fails_at_once(self) -> None:
        there = world(3)
        changes = there.plan()
        del there.tags_of["i-1"]
        ended = there.apply(changes)
        assert outcomes(ended) == {**everything(Outcome.CHANGED), "i-1": Outcome.FAILED}
        assert "sleep" not in there.steps()

    def test_a_new_instance_is_tried_again_until_it_can_be_tagged(self) -> None:
        there = world(3)

        def not_yet(where: World, call: str, ids: Sequence[str]) -> None:
            if "i-1" in ids:
                raise not_found("i-1")

        there.faults["CreateTags"] = [not_yet, None, not_yet, None]
        ended = there.apply(there.plan())
        assert outcomes(ended) == everything(Outcome.CHANGED)
        assert [seconds for step, seconds in there.log if step == "sleep"] == list(SETTLE_WAITS[:2])
        assert set(there.journaled().values()) == {"changed"}

    def test_a_new_instance_that_never_can_be_tagged_fails(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [not_found("i-0")] * 99
        ended = there.apply(there.plan())
        assert outcomes(ended) == {"i-0": Outcome.FAILED}
        assert [seconds for step, seconds in there.log if step == "sleep"] == list(SETTLE_WAITS)

    def test_a_terminated_instance_that_is_still_listed_is_not_tried_again(self) -> None:
        there = world(1)
        changes = there.plan()
        there.states["i-0"] = "terminated"
        there.faults["CreateTags"] = [not_found("i-0")] * 99
        assert outcomes(there.apply(changes)) == {"i-0": Outcome.FAILED}
        assert there.steps().count("CreateTags") == 1


class TestLostAnswers:
    def test_it_took_effect(self) -> None:
        there = world()

        def taken(where: World, call: str, ids: Sequence[str]) -> None:
            where.take(call, ids, SSM)
            raise LOST

        there.faults["CreateTags"] = [taken]
        ended = there.apply(there.plan())
        assert outcomes(ended) == everything(Outcome.CHANGED)
        assert {change.error for change in ended.values()} == {None}
        assert set(there.journaled().values()) == {"changed"}
        assert there.steps().count("outcome") == 2, "unknown first, then what was seen"

    def test_it_is_not_seen(self) -> None:
        there = world()
        there.faults["CreateTags"] = [LOST]
        ended = there.apply(there.plan())
        assert outcomes(ended) == everything(Outcome.UNKNOWN)
        assert set(there.journaled().values()) == {"unknown"}
        assert there.steps().count("CreateTags") == 1

    @pytest.mark.parametrize("behind", [1, 3])
    def test_one_look_at_a_part_that_is_behind_proves_nothing(self, behind: int) -> None:
        """The tag was put on a moment ago: where that is not known yet, it looks taken off."""
        there = World({"i-0": {**SSM, CLAIM: "-"}})
        there.faults["DeleteTags"] = [LOST]
        there._stale = {"i-0": {}}
        reads = there.tags

        def by_turns(cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
            nonlocal behind
            behind, there.stale_reads = behind - 1, behind % 2 if behind > 0 else 0
            return reads(cell, ids)

        there.tags = by_turns  # type: ignore[method-assign]
        assert outcomes(there.apply(there.plan(UntagWish("A")))) == {"i-0": Outcome.UNKNOWN}

    def test_the_words_of_the_lost_answer_are_kept(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [LOST]
        change = there.apply(there.plan())["i-0"]
        assert change.error is not None
        assert (change.error.code, change.error.hint) == ("ReadTimeoutError", "Look at the network")
        assert change.warnings

    def test_before_a_refusal(self) -> None:
        """The first attempt set the tags and its answer was lost; the second met a policy that is new."""
        there = world(3)
        refused = AwsError("UnauthorizedOperation", "words", kind=Kind.DENIED, answer_lost=True)

        def taken(world: World, call: Any, ids: Sequence[str]) -> None:
            world.take(call, ids, SSM)
            raise refused

        there.faults["CreateTags"] = [taken, *[DENIED] * 9]
        assert outcomes(there.apply(there.plan())) == everything(Outcome.CHANGED, 3)

    def test_before_an_instance_showed(self) -> None:
        """The first attempt set the tag and its answer was lost; then EC2 knew no such instance, then refused."""
        there = world(1)

        def taken(world: World, call: Any, ids: Sequence[str]) -> None:
            world.take(call, ids, SSM)
            raise not_found("i-0").like(answer_lost=True)

        there.faults["CreateTags"] = [taken, DENIED]
        assert outcomes(there.apply(there.plan())) == everything(Outcome.CHANGED, 1)

    def test_of_an_instance_that_is_gone_nothing_is_open(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [not_found("i-0").like(answer_lost=True)]
        plan = there.plan()
        there.states["i-0"] = "terminated"
        assert outcomes(there.apply(plan)) == everything(Outcome.FAILED, 1)

    def test_it_cannot_be_looked_at(self) -> None:
        there = world(1)
        there.faults |= {"CreateTags": [LOST], "DescribeTags": [DENIED]}
        change = there.apply(there.plan())["i-0"]
        assert change.outcome is Outcome.UNKNOWN
        assert change.error is not None
        assert change.error.code == "ReadTimeoutError"


class TestVerification:
    @pytest.mark.parametrize("reads", range(len(SETTLE_WAITS) + 1))
    def test_a_tag_that_shows_late(self, reads: int) -> None:
        there = world(2)
        there.stale_reads = reads
        ended = there.apply(there.plan())
        assert outcomes(ended) == everything(Outcome.CHANGED, 2)
        assert [seconds for step, seconds in there.log if step == "sleep"] == list(SETTLE_WAITS[:reads])
        assert all(change.warnings == () for change in ended.values())

    @pytest.mark.parametrize("wish", [TagWish(), UntagWish()], ids=["tag", "untag"])
    def test_one_that_never_shows_is_unknown(self, wish: TagWish | UntagWish) -> None:
        there = world(1, {} if isinstance(wish, TagWish) else SSM)
        there.stale_reads = 99
        change = there.apply(there.plan(wish))["i-0"]
        assert change.outcome is Outcome.UNKNOWN
        assert "cado-ops status" in change.warnings[-1]
        assert there.journaled() == {"i-0": "unknown"}

    def test_only_what_does_not_show_yet_is_looked_at_again(self) -> None:
        there = world(3)
        shown = there.tags

        def late(cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
            found = shown(cell, ids)
            if len(ids) == 3:
                found.pop("i-1")
            return found

        there.tags = late  # type: ignore[method-assign]
        assert outcomes(there.apply(there.plan())) == everything(Outcome.CHANGED)
        assert [ids for step, ids in there.log if step == "DescribeTags"] == [["i-0", "i-1", "i-2"], ["i-1"]]

    def test_where_it_may_not_look_the_change_counts_with_a_warning(self) -> None:
        there = world(2)
        there.faults["DescribeTags"] = [DENIED]
        ended = there.apply(there.plan())
        assert outcomes(ended) == everything(Outcome.CHANGED, 2)
        assert all("UnauthorizedOperation" in change.warnings[-1] for change in ended.values())
        assert there.journaled() == {"i-0": "changed", "i-1": "changed"}

    def test_somebody_else_wrote_at_the_same_time(self) -> None:
        there = world(2)

        def other(where: World, call: str, ids: Sequence[str]) -> None:
            where.tags_of["i-0"][SSM_TAG] = "False"

        there.faults["DescribeTags"] = [other]
        ended = there.apply(there.plan())
        assert outcomes(ended) == {"i-0": Outcome.DRIFTED, "i-1": Outcome.CHANGED}
        assert ended["i-0"].warnings
        assert there.tags_of["i-0"] == {SSM_TAG: "False"}
        assert there.journaled() == {"i-0": "drifted", "i-1": "changed"}

    def test_what_was_refused_is_not_looked_at(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [DENIED]
        there.apply(there.plan())
        assert "DescribeTags" not in there.steps()


class TestTwoCasesAtOnce:
    """Two responders, one instance, no lock: whoever was first, the tag is there as long as a claim is."""

    def test_another_case_claims_while_the_last_claim_goes(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "-"}})

        def claimed(where: World, call: str, ids: Sequence[str]) -> None:
            where.tags_of["i-0"] |= {**SSM, OTHER: "-"}

        there.faults["DeleteTags"] = [claimed]
        change = there.apply(there.plan(UntagWish("A")))["i-0"]
        assert (change.outcome, change.action, change.claims) == (Outcome.CHANGED, Action.RELEASE, ("B",))
        assert change.warnings
        assert there.tags_of == {"i-0": {**SSM, OTHER: "-"}}
        assert there.steps().count("intent") == 2, "the second call is journaled like the first"

    def test_both_go_and_each_leaves_the_tag_to_the_other(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "-", OTHER: "-"}})

        def other_goes(where: World, call: str, ids: Sequence[str]) -> None:
            del where.tags_of["i-0"][OTHER]

        there.faults["DeleteTags"] = [other_goes]
        change = there.apply(there.plan(UntagWish("A")))["i-0"]
        assert (change.outcome, change.action) == (Outcome.CHANGED, Action.UNTAG)
        assert there.tags_of == {"i-0": {}}

    def test_the_other_one_goes_and_takes_the_tag_along(self) -> None:
        """Nothing is wrong then: no claim is left, and no tag."""
        there = World({"i-0": {**SSM, CLAIM: "-", OTHER: "-"}})

        def other_goes(where: World, call: str, ids: Sequence[str]) -> None:
            where.tags_of["i-0"].clear()

        there.faults["DescribeTags"] = [other_goes]
        assert outcomes(there.apply(there.plan(UntagWish("A")))) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": {}}

    def test_a_tag_that_stood_before_any_claim_stays(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "- keep", OTHER: "-"}})

        def other_goes(where: World, call: str, ids: Sequence[str]) -> None:
            del where.tags_of["i-0"][OTHER]

        there.faults["DeleteTags"] = [other_goes]
        assert outcomes(there.apply(there.plan(UntagWish("A")))) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": SSM}

    def test_it_is_settled_after_a_stop_too(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "-"}})

        def claimed(where: World, call: str, ids: Sequence[str]) -> None:
            where.tags_of["i-0"] |= {**SSM, OTHER: "-"}
            where.stop = True

        there.faults["DeleteTags"] = [claimed]
        assert outcomes(there.apply(there.plan(UntagWish("A")))) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": {**SSM, OTHER: "-"}}

    def test_what_never_shows_is_unknown_though_another_is_settled_at_the_last_look(self) -> None:
        there = World({"i-0": {**SSM, CLAIM: "-"}, "i-1": {**SSM, CLAIM: "-"}})
        looks = 0

        def look(cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
            nonlocal looks
            looks += 1
            old = {**SSM, CLAIM: "-"}
            return {"i-0": {OTHER: "-"} if looks > len(SETTLE_WAITS) else old, "i-1": old}

        there.tags = look  # type: ignore[method-assign]
        ended = there.apply(there.plan(UntagWish("A")))
        assert ended["i-1"].outcome is Outcome.UNKNOWN


class TestStopping:
    def test_before_anything_nothing_is_sent_or_journaled(self) -> None:
        there = world()
        there.stop = True
        ended = there.apply(there.plan(), age=61)
        assert outcomes(ended) == everything(Outcome.PLANNED)
        assert there.log == []

    def test_what_is_in_flight_is_finished_journaled_and_looked_at_once(self) -> None:
        there = world(1100)

        def interrupt(where: World, call: str, ids: Sequence[str]) -> None:
            where.stop = True

        there.faults["CreateTags"] = [interrupt]
        ended = there.apply(there.plan())
        by_outcome = [change.outcome for change in ended.values()]
        assert by_outcome == [Outcome.CHANGED] * 1000 + [Outcome.PLANNED] * 100
        assert there.steps().count("CreateTags") == 1
        assert "sleep" not in there.steps()
        assert there.journaled()["i-0"] == "changed"
        assert there.journaled()["i-1050"] == "planned", "an intent that was never sent is no unknown"


class TestDryRun:
    def test_all_allowed_and_nothing_changed(self) -> None:
        there = world()
        changes = there.plan(TagWish("A"))
        ended = dry_run_tags(there, CELL, changes)  # type: ignore[arg-type]
        assert [change.outcome for change in ended] == [Outcome.ALLOWED] * 3
        assert there.tags_of == {"i-0": {}, "i-1": {}, "i-2": {}}
        assert there.steps() == ["CreateTags"]

    def test_all_denied(self) -> None:
        there = world()
        there.faults["CreateTags"] = [DENIED] * 9
        ended = dry_run_tags(there, CELL, there.plan())  # type: ignore[arg-type]
        assert [change.outcome for change in ended] == [Outcome.DENIED] * 3
        assert {change.error.code for change in ended if change.error} == {"UnauthorizedOperation"}

    def test_mixed(self) -> None:
        there = world(4)
        changes = there.plan()
        del there.tags_of["i-3"]

        def guard(where: World, call: str, ids: Sequence[str]) -> None:
            if "i-1" in ids:
                raise DENIED

        there.faults["CreateTags"] = [guard] * 9
        ended = {change.instance_id: change for change in dry_run_tags(there, CELL, changes)}  # type: ignore[arg-type]
        assert outcomes(ended) == {
            "i-0": Outcome.ALLOWED,
            "i-1": Outcome.DENIED,
            "i-2": Outcome.ALLOWED,
            "i-3": Outcome.FAILED,
        }

    def test_an_organisations_deny_is_a_denial(self) -> None:
        there = world(1)
        there.faults["CreateTags"] = [AwsError("UnauthorizedOperation", "explicit deny", kind=Kind.ORG_DENIED)]
        ended = dry_run_tags(there, CELL, there.plan())  # type: ignore[arg-type]
        assert [change.outcome for change in ended] == [Outcome.DENIED]

    def test_untagging_asks_about_untagging(self) -> None:
        there = world(1, SSM)
        dry_run_tags(there, CELL, there.plan(UntagWish()))  # type: ignore[arg-type]
        assert there.steps() == ["DeleteTags"]
        assert there.tags_of == {"i-0": SSM}

    def test_a_stale_plan_is_read_again_first(self) -> None:
        """It must not be said to be allowed where applying it would find it drifted."""
        there = World({"i-1": {}, "i-2": {}, "i-3": {}, "i-4": {}})
        changes = there.plan()
        there.tags_of["i-1"] = {SSM_TAG: "False"}
        there.tags_of["i-2"] = dict(SSM)
        there.states["i-3"] = "terminated"
        ended = {each.instance_id: each for each in dry_run_tags(there, CELL, changes, stale=True)}  # type: ignore[arg-type]
        assert [str(ended[each].outcome) for each in ended] == ["drifted", "unchanged", "drifted", "allowed"]
        assert there.log == [("DescribeInstances", ["i-1", "i-2", "i-3", "i-4"]), ("CreateTags", ["i-4"])]

    def test_a_stale_plan_that_cannot_be_read_again_is_not_asked_about(self) -> None:
        there = World({"i-1": {}})
        there.faults["DescribeInstances"] = [DENIED]
        [ended] = dry_run_tags(there, CELL, there.plan(), stale=True)  # type: ignore[arg-type]
        assert (ended.outcome, ended.error and ended.error.code) == (Outcome.FAILED, DENIED.code)
        assert there.steps() == ["DescribeInstances"]


class TestAHalfMadeChange:
    """A run was cut off between its two calls, or the second was refused: a resume makes what is missing."""

    @staticmethod
    def half_made() -> tuple[World, TagChange]:
        there = World({"i-0": {CLAIM: "-"}})
        planned = put_and_remove(there)
        there.tags_of["i-0"] |= SSM
        return there, plan_resume(planned, there.instance("i-0"), begun=True)

    def test_what_stands_is_not_made_again(self) -> None:
        there, resumed = self.half_made()
        assert outcomes(there.apply([resumed])) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": SSM}
        assert there.steps() == ["intent", "DeleteTags", "outcome", "DescribeTags"]

    def test_what_is_gone_is_not_removed_again(self) -> None:
        there = World({"i-0": {SSM_TAG: "False", CLAIM: "-", OTHER: "-"}})
        after = {SSM_TAG: "True", CLAIM: None, OTHER: None}
        planned = change_of(there.instance("i-0"), Action.RETAG, there.tags_of["i-0"], after)
        there.tags_of["i-0"] = {SSM_TAG: "False", OTHER: "-"}
        resumed = plan_resume(planned, there.instance("i-0"), begun=True)
        assert outcomes(there.apply([resumed])) == {"i-0": Outcome.CHANGED}
        removed = [
            fields["tags"] for step, fields in there.log if step == "intent" and fields["call"] == "DeleteTags"
        ]
        assert removed == [{OTHER: "-"}]

    def test_a_claim_is_still_never_set_without_its_tag(self) -> None:
        """One of the tags of a call stands, by whomever: the call is made whole."""
        there = World({"i-0": {}})
        planned = there.plan(TagWish("A"))[0]
        there.tags_of["i-0"] = dict(SSM)
        resumed = plan_resume(planned, there.instance("i-0"), begun=True)
        there.apply([resumed])
        assert [fields["tags"] for step, fields in there.log if step == "intent"] == [{**SSM, CLAIM: "-"}]

    def test_what_somebody_takes_back_meanwhile_is_not_told_as_late(self) -> None:
        there, resumed = self.half_made()
        there.faults["DeleteTags"] = [lambda where, call, ids: where.tags_of["i-0"].pop(SSM_TAG)]
        ended = there.apply([resumed])["i-0"]
        assert ended.outcome is Outcome.DRIFTED
        assert ended.warnings == ("somebody changed the tag at the same time",)
        assert there.tags_of == {"i-0": {}}

    def test_refused_once_more_it_is_still_half_made(self) -> None:
        there, resumed = self.half_made()
        there.faults["DeleteTags"] = [DENIED]
        ended = there.apply([resumed])
        assert outcomes(ended) == {"i-0": Outcome.UNKNOWN}
        assert ended["i-0"].error is not None
        assert ended["i-0"].error.code == DENIED.code
        assert there.journaled() == {"i-0": "unknown"}

    def test_however_old_the_plan_is(self) -> None:
        there, resumed = self.half_made()
        there.apply([resumed], age=FRESH_SECONDS + 1)
        assert [step for step in there.steps() if step.endswith("Tags")] == ["DeleteTags", "DescribeTags"]

    def test_what_stood_and_went_since_is_made_again(self) -> None:
        there, resumed = self.half_made()
        del there.tags_of["i-0"][SSM_TAG]
        assert outcomes(there.apply([resumed], age=FRESH_SECONDS + 1)) == {"i-0": Outcome.CHANGED}
        assert there.tags_of == {"i-0": SSM}

    def test_where_it_cannot_be_read_again_it_is_still_half_made(self) -> None:
        there, resumed = self.half_made()
        there.faults["DescribeInstances"] = [DENIED]
        there.faults["DescribeTags"] = [DENIED]
        assert outcomes(there.apply([resumed], age=FRESH_SECONDS + 1)) == {"i-0": Outcome.UNKNOWN}
        assert there.journaled() == {"i-0": "unknown"}
        assert "DeleteTags" not in there.steps()

    def test_one_that_is_found_whole_is_this_runs(self) -> None:
        there, resumed = self.half_made()
        del there.tags_of["i-0"][CLAIM]
        assert outcomes(there.apply([resumed], age=FRESH_SECONDS + 1)) == {"i-0": Outcome.CHANGED}
        assert "DeleteTags" not in there.steps()

    @pytest.mark.parametrize(("made", "outcome"), [(True, Outcome.CHANGED), (False, Outcome.UNKNOWN)])
    def test_refused_where_an_earlier_run_got_no_answer(self, made: bool, outcome: Outcome) -> None:
        """The reading that the resume was planned from was behind, perhaps: so it is looked for once more."""
        there = world(1)
        resumed = plan_resume(there.plan()[0], there.instance("i-0"), begun=True)
        there.tags_of["i-0"] = dict(SSM) if made else {}
        there.faults["CreateTags"] = [DENIED]
        assert outcomes(there.apply([resumed])) == {"i-0": outcome}
        assert there.journaled() == {"i-0": str(outcome)}

    @pytest.mark.parametrize("begun", [False, True])
    def test_a_stop_before_the_call(self, begun: bool) -> None:
        there = world(1)
        there.stop = True
        resumed = plan_resume(there.plan()[0], there.instance("i-0"), begun=begun)
        assert outcomes(there.apply([resumed])) == {"i-0": Outcome.UNKNOWN if begun else Outcome.PLANNED}

    def test_a_dry_run_calls_nothing_for_what_is_only_looked_at(self) -> None:
        there, resumed = self.half_made()
        del there.tags_of["i-0"][CLAIM]
        whole = plan_resume(resumed, there.instance("i-0"), begun=True)
        assert whole.outcome is Outcome.UNKNOWN
        for change, stale in ((whole, False), (whole, True), (resumed, True)):
            there.log.clear()
            [told] = dry_run_tags(there, CELL, [change], stale=stale)  # type: ignore[arg-type]
            assert told.outcome is Outcome.ALLOWED
            assert "DeleteTags" not in there.steps()

    def test_a_dry_run_of_what_cannot_be_read(self) -> None:
        there, resumed = self.half_made()
        there.faults["DescribeInstances"] = [DENIED]
        [told] = dry_run_tags(there, CELL, [resumed], stale=True)  # type: ignore[arg-type]
        assert (told.outcome, told.error and told.error.code) == (Outcome.FAILED, DENIED.code)
        assert there.steps() == ["DescribeInstances"]

    def test_a_dry_run_asks_about_what_is_left(self) -> None:
        there, resumed = self.half_made()
        dry_run_tags(there, CELL, [resumed])  # type: ignore[arg-type]
        assert there.steps() == ["DeleteTags"]
