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
    """How it all ended: what stands in EC2, what each responder was told, and one order that led there."""

    world: World
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
            yield End(now, tuple(step for step in steps if isinstance(step, list)), order)
        for number, step in enumerate(steps):
            if isinstance(step, list):
                continue
            then, answer = step.on(now)
            place = (then, (*heard[:number], (*heard[number], answer), *heard[number + 1 :]))
            if merge and place in seen:
                continue
            seen.add(place)
            waiting.append((place, (*order, f"{responders[number].name}: {step.call} {dict(step.tags) or ''}")))
