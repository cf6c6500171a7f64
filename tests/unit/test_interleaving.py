"""Responders with different cases on the same instances at the same time: every interleaving of their calls.

EC2 has no lock and no condition on a tag, so what holds between two responders must hold whatever the order of
their calls. A responder is a function of the answers it got; so the whole tree of orders is walked by running each
one again up to its next call, and places that look alike to everybody are walked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import pytest

from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, Instance, Outcome
from cado_ops.plan.change import TagChange
from cado_ops.plan.tagging import TagWish, UntagWish, claims_of, plan_tag, plan_untag
from cado_ops.plan.undo import plan_undo
from cado_ops.workflow.apply import FRESH_SECONDS, TagApplier

CELL = Cell("1" * 12, "eu-west-1")
EARLY, LATE = datetime(2026, 11, 24, 18, tzinfo=UTC), datetime(2026, 11, 28, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
EARLY_TEXT, LATE_TEXT = "2026-11-24T18:00:00Z", "2026-11-28T18:00:00Z"

Tags = Mapping[str, str]
# What stands in EC2, and what an answer shows of it: instance ids, each with its tags, all sorted.
World = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
Planner = Callable[[Instance], TagChange]


# A responder, and how far it got.


@dataclass(frozen=True)
class Step:
    """One call to EC2."""

    call: str
    ids: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()

    def on(self, world: World) -> tuple[World, Any]:
        """What stands in EC2 after this call, and the call's answer."""
        if self.call == "read":
            return world, tuple(pair for pair in world if pair[0] in self.ids)
        there = {each: dict(tags) for each, tags in world}
        for each, (key, value) in product(self.ids, self.tags):
            if self.call == "CreateTags":
                there[each][key] = value
            elif there[each].get(key) == value:
                del there[each][key]
        return frozen(there), "request-id"

    def __str__(self) -> str:
        return " ".join((self.call, *(f"{key}={value}" for key, value in self.tags)))


class NextCall(BaseException):
    """A responder came to a call whose answer it does not know yet."""

    def __init__(self, step: Step) -> None:
        self.step = step


class Answers:
    """The EC2 of a responder who is run again: it gives the answers of last time, then stops the run."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self._answers = iter(answers)

    def instances(self, cell: Cell, filters: Sequence[Filter]) -> list[Instance]:
        [asked] = filters
        return [instance(each, dict(tags)) for each, tags in self._next(Step("read", asked.values))]

    def tags(self, cell: Cell, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        return {each: dict(tags) for each, tags in self._next(Step("read", tuple(ids))) if tags}

    def create_tags(self, cell: Cell, ids: Sequence[str], tags: Tags, *, dry_run: bool = False) -> str:
        return str(self._next(Step("CreateTags", tuple(ids), tuple(sorted(tags.items())))))

    def delete_tags(self, cell: Cell, ids: Sequence[str], tags: Tags, *, dry_run: bool = False) -> str:
        assert tags, "that would delete every tag"
        return str(self._next(Step("DeleteTags", tuple(ids), tuple(sorted(tags.items())))))

    def _next(self, step: Step) -> Any:
        for answer in self._answers:
            return answer
        raise NextCall(step)


class Paper:
    """A journal that nobody reads."""

    def write(self, record: str, **fields: Any) -> None: ...


@dataclass
class Responder:
    """One process: its commands one after the other, each read, planned and applied.

    ``slow``: whoever was asked took long to say yes, so that the plan is read again before it is applied.
    """

    name: str
    commands: Sequence[Planner]
    ids: tuple[str, ...] = ("i-0",)
    slow: bool = False
    known: dict[tuple[Any, ...], Step | list[TagChange]] = field(default_factory=dict)

    def after(self, answers: tuple[Any, ...]) -> Step | list[TagChange]:
        """The next call after these answers; what became of the last command where it was the last call."""
        if answers not in self.known:
            try:
                self.known[answers] = self._run(Answers(answers))
            except NextCall as next_call:
                self.known[answers] = next_call.step
        return self.known[answers]

    def _run(self, ec2: Answers) -> list[TagChange]:
        changes: list[TagChange] = []
        age = FRESH_SECONDS + 1 if self.slow else 0.0
        for command in self.commands:
            changes = [command(each) for each in ec2.instances(CELL, [Filter("instance-id", self.ids)])]
            planned = [change for change in changes if change.outcome is Outcome.PLANNED]
            applier = TagApplier(ec2, Paper(), lambda _: None, lambda: age, lambda: False)  # type: ignore[arg-type]
            done = (
                {change.instance_id: change for change in applier.apply_cell(CELL, planned, 0.0)} if planned else {}
            )
            changes = [done.get(change.instance_id, change) for change in changes]
        return changes


@dataclass(frozen=True)
class End:
    """How it all ended: what stands in EC2, what each responder heard and was told, and one way there."""

    world: World
    heard: tuple[tuple[Any, ...], ...]
    told: tuple[list[TagChange], ...]
    order: tuple[str, ...]

    def tags(self, each: str = "i-0") -> dict[str, str]:
        return dict(dict(self.world)[each])


def all_ends(world: World, responders: Sequence[Responder], *, merge: bool = True) -> Iterator[End]:
    """Every end that any order of the responders' calls leads to.

    ``merge``: what led to the same place, for everybody, is gone on with once.
    """
    start: tuple[World, tuple[tuple[Any, ...], ...]] = (world, ((),) * len(responders))
    waiting: list[tuple[Any, tuple[str, ...]]] = [(start, ())]
    seen = {start}
    while waiting:
        (now, heard), order = waiting.pop()
        steps = [responder.after(heard[number]) for number, responder in enumerate(responders)]
        if all(isinstance(step, list) for step in steps):
            yield End(now, heard, tuple(step for step in steps if isinstance(step, list)), order)
        for number, step in enumerate(steps):
            if isinstance(step, list):
                continue
            then, answer = step.on(now)
            place = (then, (*heard[:number], (*heard[number], answer), *heard[number + 1 :]))
            if merge and place in seen:
                continue
            seen.add(place)
            waiting.append((place, (*order, f"{responders[number].name}: {step}")))


def frozen(there: Mapping[str, Tags]) -> World:
    return tuple((each, tuple(sorted(tags.items()))) for each, tags in sorted(there.items()))


def instance(each: str, tags: Tags) -> Instance:
    return Instance(CELL.account, CELL.region, each, "", "running", dict(tags), len(tags))


# What can be asked for, and what may stand when it is.


def claim(case: str) -> str:
    return CLAIM_PREFIX + case


def tag(case: str | None, due: datetime | None = None) -> Planner:
    return lambda each: plan_tag(each, TagWish(case, due))


def untag(case: str | None, *, overwrite: bool = False) -> Planner:
    return lambda each: plan_untag(each, UntagWish(case, overwrite=overwrite))


def untag_expired(each: Instance) -> TagChange:
    return plan_untag(each, UntagWish(None, NOW))


def undo(done: TagChange) -> Planner:
    return lambda each: plan_undo(done, each)


KINDS = {"tag": tag, "untag": untag}
PAIRS = tuple(product(KINDS, repeat=2))
SSM = {SSM_TAG: "True"}
LEFT_ALONE = (Outcome.DRIFTED, Outcome.UNCHANGED, Outcome.SKIPPED)


def states(cases: str, values: Sequence[str] = ("-", "- keep")) -> Iterator[dict[str, str]]:
    """All that can stand: the tag in every kind of value, and any claims, those too that no run leaves behind."""
    for value, claims in product((None, "True", "true", "False"), product((None, *values), repeat=len(cases))):
        tags = {claim(case): held for case, held in zip(cases, claims, strict=True) if held is not None}
        yield tags if value is None else {SSM_TAG: value, **tags}


def sound_states(cases: str) -> Iterator[dict[str, str]]:
    """What runs leave behind: a claim never without the tag, and ``keep`` for all of them or for none."""
    yield from ({}, SSM, {SSM_TAG: "true"})
    for count in range(1, len(cases) + 1):
        for there, value in product(combinations(cases, count), ("-", "- keep")):
            yield SSM | {claim(case): value for case in there}


def meant_to_stay(tags: Tags) -> bool:
    """Whether the tag of a sound state outlives all claims."""
    held = claims_of(instance("", tags)).values()
    return SSM_TAG in tags and (not held or any(each.keep for each in held))


def cases_in(tags: Tags) -> set[str]:
    return set(claims_of(instance("", tags)))


# What must hold.


def one_after_the_other(tags: Tags, responders: Sequence[Responder]) -> set[World]:
    """Where the same commands lead if each is finished before the next one begins, in any order."""
    ends: set[World] = set()

    def go_on(world: World, left: Sequence[Sequence[Planner]]) -> None:
        if not any(left):
            ends.add(world)
        for number, (first, *rest) in ((number, each) for number, each in enumerate(left) if each):
            [end] = all_ends(world, [Responder("alone", [first])])
            go_on(end.world, [*left[:number], rest, *left[number + 1 :]])

    go_on(frozen({"i-0": tags}), [responder.commands for responder in responders])
    return ends


def ended_elsewhere(tags: Tags, responders: Sequence[Responder]) -> list[tuple[End, set[World]]]:
    """The ends that are none of `one_after_the_other`, with those that would be.

    A slow responder who found the instance drifted and left it alone counts as never having come.
    """
    allowed: dict[tuple[str, ...], set[World]] = {}
    wrong = []
    for end in all_ends(frozen({"i-0": tags}), responders):
        came = []
        for responder, heard, told in zip(responders, end.heard, end.told, strict=True):
            if not responder.slow or "request-id" in heard:
                came.append(responder)
            else:
                assert all(change.outcome in LEFT_ALONE for change in told), end
        names = tuple(each.name for each in came)
        if names not in allowed:
            allowed[names] = one_after_the_other(tags, came)
        if end.world not in allowed[names]:
            wrong.append((end, allowed[names]))
    return wrong


def keeps_too_long(end: End, allowed: set[World]) -> bool:
    """The one known exception, see `test_the_one_known_exception`.

    All is as it should be, but for a claim that says ``keep`` where the tag is not meant to stay.
    """
    now = end.tags()
    plain = {key: value.removesuffix(" keep") for key, value in now.items()}
    return now != plain and frozen({"i-0": plain}) in allowed


def shown(tags: Tags) -> str:
    return ",".join(f"{key.removeprefix(CLAIM_PREFIX)}={value}" for key, value in tags.items()) or "nothing"


class TestTwoCases:
    """Two responders with a case each."""

    @pytest.mark.parametrize("slow", list(product((False, True), repeat=2)), ids=str)
    @pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
    def test_it_ends_as_if_one_had_waited_for_the_other(
        self, kinds: tuple[str, str], slow: tuple[bool, bool]
    ) -> None:
        """From every state, also from those that no run leaves behind."""
        for tags in states("ABC"):
            responders = [
                Responder(case, [KINDS[kind](case)], slow=waits)
                for case, kind, waits in zip("AB", kinds, slow, strict=True)
            ]
            assert ended_elsewhere(tags, responders) == [], shown(tags)

    @pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
    def test_no_claim_is_lost_and_the_tag_is_there_as_long_as_a_claim_is(self, kinds: tuple[str, str]) -> None:
        """The same, said without running anything one after the other."""
        for tags in sound_states("ABC"):
            responders = [Responder(case, [KINDS[kind](case)]) for case, kind in zip("AB", kinds, strict=True)]
            tagged = {case for case, kind in zip("AB", kinds, strict=True) if kind == "tag"}
            for end in all_ends(frozen({"i-0": tags}), responders):
                assert cases_in(end.tags()) == cases_in(tags) - set("AB") | tagged, (shown(tags), end)
                if cases_in(end.tags()) or (tags.get(SSM_TAG) == "True" and meant_to_stay(tags)):
                    assert end.tags()[SSM_TAG] == "True", (shown(tags), end)
                else:
                    assert end.tags().get(SSM_TAG) == (tags[SSM_TAG] if meant_to_stay(tags) else None), (tags, end)

    @pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
    def test_nobody_is_told_of_a_change_that_is_not_there(self, kinds: tuple[str, str]) -> None:
        for tags in states("ABC"):
            responders = [Responder(case, [KINDS[kind](case)]) for case, kind in zip("AB", kinds, strict=True)]
            for end in all_ends(frozen({"i-0": tags}), responders):
                for case, kind, [told] in zip("AB", kinds, end.told, strict=True):
                    if told.outcome in (Outcome.CHANGED, Outcome.UNCHANGED):
                        assert (case in cases_in(end.tags())) is (kind == "tag"), (shown(tags), end)

    @pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
    def test_instances_that_share_calls(self, kinds: tuple[str, str]) -> None:
        """What a responder does for one instance takes nothing away from the other."""
        for both in combinations(sound_states("AB"), 2):
            there = dict(zip(("i-0", "i-1"), both, strict=True))
            commands = [KINDS[kind](case) for case, kind in zip("AB", kinds, strict=True)]
            allowed = {
                each: {
                    tags
                    for [(_, tags)] in one_after_the_other(held, [Responder("", [command]) for command in commands])
                }
                for each, held in there.items()
            }
            responders = [
                Responder(name, [command], ("i-0", "i-1")) for name, command in zip("AB", commands, strict=True)
            ]
            for end in all_ends(frozen(there), responders):
                assert all(tags in allowed[each] for each, tags in end.world), (there, end)


class TestMoreThanTwo:
    @pytest.mark.parametrize("kinds", list(product(KINDS, repeat=3)), ids=" ".join)
    def test_three_cases(self, kinds: tuple[str, ...]) -> None:
        for tags in sound_states("ABC"):
            responders = [Responder(case, [KINDS[kind](case)]) for case, kind in zip("ABC", kinds, strict=True)]
            wrong = ended_elsewhere(tags, responders)
            assert all(keeps_too_long(*each) for each in wrong), (shown(tags), wrong)
            # Only where the last two claims go at the same time, and a third case comes.
            leaving = {claim(case): "-" for case, kind in zip("ABC", kinds, strict=True) if kind == "untag"}
            assert bool(wrong) is (len(leaving) == 2 and tags == SSM | leaving)

    @pytest.mark.parametrize("orders", list(product(("tag untag", "untag tag"), repeat=2)), ids=", ".join)
    def test_two_that_come_and_go(self, orders: tuple[str, str]) -> None:
        for tags in (*sound_states("AB"), {claim("A"): "-"}, {SSM_TAG: "true", claim("B"): "-"}):
            responders = [
                Responder(case, [KINDS[kind](case) for kind in order.split()])
                for case, order in zip("AB", orders, strict=True)
            ]
            wrong = ended_elsewhere(tags, responders)
            assert all(keeps_too_long(*each) for each in wrong), (shown(tags), wrong)
            if orders == ("tag untag", "tag untag"):
                assert wrong == []

    def test_the_one_known_exception(self) -> None:
        """Two claims go together; between the last claim and the tag somebody comes, and sees the tag unclaimed.

        Nothing tells that moment from a tag that stood there always, so the claim says ``keep``. No claim is
        lost and no access is cut off; the tag stays when that case goes. EC2 offers nothing to do it in one step.
        """
        world = frozen({"i-0": SSM | {claim("A"): "-", claim("B"): "-"}})
        responders = [Responder("A", [untag("A")]), Responder("B", [untag("B")]), Responder("C", [tag("C")])]
        ends = {end.world: end for end in all_ends(world, responders)}
        usual, known = SSM | {claim("C"): "-"}, SSM | {claim("C"): "- keep"}
        assert ends.keys() == {frozen({"i-0": usual}), frozen({"i-0": known})}
        order = ends[frozen({"i-0": known})].order
        seen = order.index("C: read")
        gone = [number for number, step in enumerate(order) if "DeleteTags" in step and "case/" in step]
        assert len(gone) == 2
        assert max(gone) < seen, "C looked after both claims were gone"
        assert not any("DeleteTags" in step and SSM_TAG in step for step in order[:seen]), "and before the tag was"


class TestOtherCommands:
    @pytest.mark.parametrize("first", ["", "expired", "all"])
    def test_a_claim_that_is_prolonged_while_it_is_ended_has_its_tag(self, first: str) -> None:
        """The removal names the value it saw, so the claim stays; what went with it comes back."""
        ending = {"": untag("A"), "expired": untag_expired, "all": untag(None, overwrite=True)}[first]
        tags = SSM | {claim("A"): EARLY_TEXT}
        responders = [Responder("ends", [ending]), Responder("prolongs", [tag("A", LATE)])]
        ends = {end.world: end for end in all_ends(frozen({"i-0": tags}), responders)}
        assert frozen({"i-0": SSM | {claim("A"): LATE_TEXT}}) in ends
        for end in ends.values():
            assert (end.tags().get(SSM_TAG) == "True") is bool(cases_in(end.tags())), end
            if cases_in(end.tags()):
                assert end.tags()[claim("A")].startswith(LATE_TEXT), end

    @pytest.mark.parametrize("other", ["expired", "tag A", "tag B", "untag A", "untag B", "tag", "untag"])
    def test_what_is_due_is_ended_at_the_same_time(self, other: str) -> None:
        kind, _, case = other.partition(" ")
        command = untag_expired if kind == "expired" else KINDS[kind](case or None)
        for tags in (each for end in (EARLY_TEXT, LATE_TEXT) for each in due_states(end)):
            responders = [Responder("expired", [untag_expired]), Responder(other, [command])]
            assert ended_elsewhere(tags, responders) == [], shown(tags)

    @pytest.mark.parametrize(("value", "due"), [(None, None), *product((None, "true", "False"), [LATE])])
    @pytest.mark.parametrize("ending", ["expired", "all"])
    def test_a_claim_without_its_tag_is_tagged_again_while_it_is_ended(
        self, value: str | None, ending: str, due: datetime | None
    ) -> None:
        """What a run does not leave behind: the tag comes with the claim that it is for, or not at all.

        With a near miss, and the claim not prolonged, the tag may be left without the claim: the removal names the
        near miss, and nothing tells the ``True`` that took its place from one that was set without any case.
        """
        command = untag_expired if ending == "expired" else untag(None, overwrite=True)
        ssm = {} if value is None else {SSM_TAG: value}
        again: Planner = lambda each: plan_tag(each, TagWish("A", due, overwrite=True))  # noqa: E731
        responders = [Responder("ends", [command]), Responder("again", [again])]
        for end in all_ends(frozen({"i-0": ssm | {claim("A"): EARLY_TEXT}}), responders):
            assert (end.tags().get(SSM_TAG) == "True") is bool(cases_in(end.tags())), end

    @pytest.mark.parametrize("case", ["A", "B"])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_the_tag_is_taken_off_without_a_case(self, kind: str, case: str, overwrite: bool) -> None:
        """A claim that comes in between has its tag; it may say ``keep``, for the tag stood when it was seen."""
        for tags in sound_states("AB"):
            responders = [
                Responder("untag", [untag(None, overwrite=overwrite)]),
                Responder(case, [KINDS[kind](case)]),
            ]
            for wrong in ended_elsewhere(tags, responders):
                assert overwrite, (shown(tags), wrong)
                assert keeps_too_long(*wrong), (shown(tags), wrong)

    @pytest.mark.parametrize("other", ["undo", "tag B", "untag B", "tag C"])
    @pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
    def test_undo(self, kinds: tuple[str, str], other: str) -> None:
        """A's run and then B's changed something; A's is undone while B's is undone too, or somebody else comes."""
        tried = 0
        for tags in sound_states("AB"):
            done: list[TagChange] = []
            now = dict(tags)
            for case, kind in zip("AB", kinds, strict=True):
                done.append(KINDS[kind](case)(instance("i-0", now)))
                now = {key: value for key, value in {**now, **done[-1].after}.items() if value is not None}
            if any(change.outcome is not Outcome.PLANNED for change in done):
                continue
            tried += 1
            kind, _, case = other.partition(" ")
            command = undo(done[1]) if kind == "undo" else KINDS[kind](case)
            responders = [Responder("undo A", [undo(done[0])]), Responder(other, [command])]
            assert ended_elsewhere(now, responders) == [], (shown(tags), shown(now))
        assert tried


def due_states(text: str) -> Iterator[dict[str, str]]:
    yield from ({}, SSM)
    for first, second, keep in product((None, "-", text), (None, "-", text), ("", " keep")):
        claims = {claim(case): held + keep for case, held in (("A", first), ("B", second)) if held}
        if claims:
            yield SSM | claims


class TestAlone:
    """Nobody else is there; what a second look sees must not look like somebody else."""

    @pytest.mark.parametrize(
        "command", [untag(None), untag("A"), tag(None), tag("A")], ids=("untag", "untag A", "tag", "tag A")
    )
    def test_a_tag_that_only_looks_like_a_claim_holds_nothing(self, command: Planner) -> None:
        no_claim = {CLAIM_PREFIX + "no case": "-"}
        for tags in sound_states("A"):
            [plain] = all_ends(frozen({"i-0": tags}), [Responder("", [command])])
            [end] = all_ends(frozen({"i-0": tags | no_claim}), [Responder("", [command])])
            assert end.tags() == plain.tags() | no_claim, shown(tags)


class TestTheScheduler:
    def test_merging_leaves_no_end_out(self) -> None:
        for kinds in PAIRS:
            world = frozen({"i-0": SSM | {claim("A"): "-", claim("B"): "-"}})
            responders = [Responder(case, [KINDS[kind](case)]) for case, kind in zip("AB", kinds, strict=True)]
            every = list(all_ends(world, responders, merge=False))
            assert {end.world for end in all_ends(world, responders)} == {end.world for end in every}
            assert len({end.order for end in every}) == len(every)

    def test_without_a_second_look_it_would_find_what_goes_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cado_ops.workflow.apply.settle", lambda change, live: None)
        both = SSM | {claim("A"): "-", claim("B"): "-"}
        assert ended_elsewhere(both, [Responder("A", [untag("A")]), Responder("B", [untag("B")])])
        alone = SSM | {claim("A"): "-"}
        assert ended_elsewhere(alone, [Responder("A", [untag("A")]), Responder("B", [tag("B")])])
