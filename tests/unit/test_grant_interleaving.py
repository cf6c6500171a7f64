"""Two and three processes that grant for the same case at the same moment: every order of their calls.

KMS has no lock: a name and its terms make one grant, but another due time or another retiring principal makes a
second one, which has to be found and ended afterwards. As in test_interleaving.py, a process is a function of the
answers it got, so that the whole tree of orders is walked by running each one again up to its next call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from cado_ops.errors import AwsError, Kind
from cado_ops.grant_operations import FULL
from cado_ops.model import Grant, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.granting import GrantWish, due_of, plan_grant
from cado_ops.plan.ownership import owner_of
from cado_ops.plan.retiring import RetireWish, plan_retire
from cado_ops.workflow.apply import FRESH_SECONDS
from cado_ops.workflow.apply_grants import GrantApplier
from tests.unit.grant_samples import (
    CADO,
    CELL,
    CREATED,
    EARLY,
    LATE,
    NOW,
    OPS,
    OTHER_OPS,
    a_grant,
    a_key,
    grant_id,
    our_grant,
)


@dataclass(frozen=True)
class Entry:
    """One grant in KMS: its number, which is also its age, its name and who may retire it."""

    number: int
    name: str
    retiring: str | None

    def grant(self, *, same_age: bool) -> Grant:
        created = CREATED if same_age else CREATED + timedelta(seconds=self.number)
        return a_grant(self.number, name=self.name, retiring_principal=self.retiring, created=created)


# The number of the next grant, and the grants.
World = tuple[int, tuple[Entry, ...]]


@dataclass(frozen=True)
class Step:
    """One call to KMS: what it is about, and on whose behalf."""

    call: str
    what: Any
    who: str | None = None

    def on(self, world: World) -> tuple[World, Any]:
        number, there = world
        if self.call == "CreateGrant":
            for each in there:
                if (each.name, each.retiring) == (self.what, self.who):
                    return world, each.number
            return (number + 1, (*there, Entry(number, self.what, self.who))), number
        if self.call == "RetireGrant":
            for each in there:
                if grant_id(each.number) == self.what:
                    if each.retiring != self.who:
                        return world, "denied"
                    return (number, tuple(other for other in there if other != each)), "done"
            return world, "gone"
        return world, there


class NextCall(BaseException):
    """A process came to a call whose answer it does not know yet."""

    def __init__(self, step: Step) -> None:
        self.step = step


@dataclass
class Answers:
    """The KMS of a process that is run again: it gives the answers of last time, then stops the run."""

    answers: Iterator[Any]
    me: str | None
    same_age: bool

    def grants(self, cell: Any, key_arn: str, *, grantee: Any = None, grant_id: str | None = None) -> Any:
        there = [each.grant(same_age=self.same_age) for each in self._next(Step("ListGrants", grant_id))]
        yield [each for each in there if grant_id in (None, each.grant_id)]

    def create_grant(self, cell: Any, *, name: str, retiring_principal: str | None, **_: Any) -> Any:
        return grant_id(self._next(Step("CreateGrant", name, retiring_principal))), "token", "request-id"

    def retire_grant(self, cell: Any, key_arn: str, each: str, **_: Any) -> str:
        answer = self._next(Step("RetireGrant", each, self.me))
        if answer == "denied":
            raise AwsError("AccessDeniedException", "no", kind=Kind.DENIED)
        if answer == "gone":
            raise AwsError("NotFoundException", "no such grant", kind=Kind.NOT_FOUND)
        return "request-id"

    def revoke_grant(self, *_: Any, **__: Any) -> str:
        raise AwsError("AccessDeniedException", "no", kind=Kind.DENIED)

    def _next(self, step: Step) -> Any:
        for answer in self.answers:
            return answer
        raise NextCall(step)


class Paper:
    """A journal that nobody reads."""

    def write(self, record: str, **fields: Any) -> None: ...


@dataclass
class Process:
    """One kms grant, or kms retire --of-case: read, planned and applied; ``slow``: the prompt was left open."""

    due: datetime | None = None
    me: str | None = OPS
    retires: bool = False
    slow: bool = False
    same_age: bool = False
    known: dict[tuple[Any, ...], Step | list[GrantChange]] = field(default_factory=dict)

    def after(self, answers: tuple[Any, ...]) -> Step | list[GrantChange]:
        if answers not in self.known:
            try:
                self.known[answers] = self._run(Answers(iter(answers), self.me, self.same_age))
            except NextCall as next_call:
                self.known[answers] = next_call.step
        return self.known[answers]

    def _run(self, kms: Answers) -> list[GrantChange]:
        there = [grant for page in kms.grants(CELL, "") for grant in page]
        changes = self._plan(there)
        planned = [change for change in changes if change.outcome is Outcome.PLANNED]
        age = FRESH_SECONDS + 1 if self.slow else 0.0
        applier = GrantApplier(
            kms,  # type: ignore[arg-type]
            Paper(),  # type: ignore[arg-type]
            lambda _: None,
            lambda: age,
            lambda: False,
            lambda _: "",
        )
        done = {change.id: change for change in applier.apply_cell(CELL, planned, 0.0)}
        return [done.get(change.id, change) for change in changes]

    def _plan(self, there: Sequence[Grant]) -> list[GrantChange]:
        def owner(grant: Grant) -> Owner:
            return owner_of(grant, {CADO}, {OPS, OTHER_OPS})

        if self.retires:
            wish = RetireWish(of_case="IR-42")
            return [change for each in there if (change := plan_retire(each, owner(each), wish, self.me))]
        return plan_grant(a_key(), CADO, (), there, GrantWish(FULL, "IR-42", self.due), self.me, owner)


@dataclass(frozen=True)
class End:
    world: World
    told: tuple[list[GrantChange], ...]
    order: tuple[str, ...]

    @property
    def grants(self) -> list[Grant]:
        return [each.grant(same_age=False) for each in self.world[1]]


def all_ends(world: World, processes: Sequence[Process]) -> Iterator[End]:
    """Every end that any order of the processes' calls leads to; what looks alike to all is gone on with once."""
    start: tuple[World, tuple[tuple[Any, ...], ...]] = (world, ((),) * len(processes))
    waiting: list[tuple[Any, tuple[str, ...]]] = [(start, ())]
    seen = {start}
    while waiting:
        (now, heard), order = waiting.pop()
        steps = [process.after(heard[number]) for number, process in enumerate(processes)]
        if all(isinstance(step, list) for step in steps):
            yield End(now, tuple(step for step in steps if isinstance(step, list)), order)
        for number, step in enumerate(steps):
            if isinstance(step, list):
                continue
            then, answer = step.on(now)
            place = (then, (*heard[:number], (*heard[number], answer), *heard[number + 1 :]))
            if place not in seen:
                seen.add(place)
                waiting.append((place, (*order, f"{number}: {step.call}")))


def world(*entries: tuple[datetime | None, str | None]) -> World:
    there = tuple(
        Entry(number, our_grant(due=due).name or "", retiring) for number, (due, retiring) in enumerate(entries, 1)
    )
    return len(there) + 1, there


STARTS = {
    "nothing": world(),
    "one that is due early": world((EARLY, OPS)),
    "two": world((EARLY, OPS), (NOW, OPS)),
    "one without an end": world((None, OPS)),
}
DUES = (None, NOW, LATE)
# With both orders of the due times, the fourth would be the same again.
SLOW = ((False, False), (False, True), (True, True))


def shown(dues: Sequence[datetime | None]) -> str:
    return " ".join(f"{due:%d}" if due else "-" for due in dues)


def latest(dues: Sequence[datetime | None]) -> datetime | None:
    return None if None in dues else max(due for due in dues if due is not None)


def wanted(start: World, dues: Sequence[datetime | None]) -> set[datetime | None]:
    """The due times that one grant may have in the end, whoever came first: never earlier than anybody asked for.

    Who asks for no end is content with one that is due: it is told, and no grant is ended for it.
    """
    there = [due_of(each.grant(same_age=False)) for each in start[1]]
    all_dues = [*there, *dues]
    with_end = [due for due in all_dues if due is not None]
    return {latest(all_dues)} | ({max(with_end)} if with_end and None in dues and None not in there else set())


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dues", list(product(DUES, repeat=2)), ids=shown)
def test_two_processes_leave_one_grant_and_the_one_that_lasts_longest(
    start: str, dues: tuple[datetime | None, ...]
) -> None:
    count = 0
    for slow in SLOW:
        processes = [Process(due, slow=late) for due, late in zip(dues, slow, strict=True)]
        for end in all_ends(STARTS[start], processes):
            count += 1
            [grant] = end.grants
            assert due_of(grant) in wanted(STARTS[start], dues), end
            for told in end.told:
                assert {change.outcome for change in told} <= {Outcome.CHANGED, Outcome.UNCHANGED}, end
    assert count >= len(SLOW)


@pytest.mark.parametrize("dues", [(LATE, LATE, LATE), (NOW, LATE, LATE)], ids=shown)
def test_three_processes_leave_one_grant(dues: tuple[datetime, ...]) -> None:
    for end in all_ends(world(), [Process(due) for due in dues]):
        [grant] = end.grants
        assert due_of(grant) == LATE, end


@pytest.mark.parametrize("due", DUES)
def test_identical_processes_make_one_grant_and_end_none(due: datetime | None) -> None:
    """That is KMS's doing: the same name and terms are the same grant."""
    for end in all_ends(world(), [Process(due), Process(due)]):
        assert end.world[0] == 2, end
        for [told] in end.told:
            assert (told.grant_id, told.warnings) == (grant_id(1), ()), end


@pytest.mark.parametrize("same_age", [False, True], ids=["by age", "by id"])
@pytest.mark.parametrize("dues", list(product(DUES, repeat=2)), ids=shown)
def test_of_two_operator_roles_each_ends_only_its_own_and_what_remains_is_said(
    dues: tuple[datetime | None, ...], same_age: bool
) -> None:
    """The grant to be kept is never ended; of two that remain, whoever looked last was told of the other."""
    for slow in SLOW:
        processes = [
            Process(due, me, slow=late, same_age=same_age)
            for due, me, late in zip(dues, (OPS, OTHER_OPS), slow, strict=True)
        ]
        for end in all_ends(world(), processes):
            assert {due_of(each) for each in end.grants} & wanted(world(), dues), end
            if len(end.grants) == 1:
                continue
            [_, _] = end.grants
            warnings = [
                warning for told in end.told for change in told for warning in change.warnings
                if "is for the same case too" in warning or "no longer needed" in warning
            ]  # fmt: skip
            assert warnings, end


@pytest.mark.parametrize("dues", [(LATE, LATE), (NOW, LATE)], ids=shown)
def test_run_once_more_each_role_ends_what_is_its_own(dues: tuple[datetime, datetime]) -> None:
    """Where two remain, the next run of the role whose grant is the lesser one ends it."""
    for end in all_ends(world(), [Process(dues[0], OPS), Process(dues[1], OTHER_OPS)]):
        now = end.world
        for me in (OPS, OTHER_OPS):
            [then] = all_ends(now, [Process(None, me)])
            now = then.world
        [grant] = [each.grant(same_age=False) for each in now[1]]
        assert due_of(grant) == LATE, end


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("slow", [False, True])
def test_a_grant_and_a_retirement_of_the_case_end_in_one_grant_or_none(start: str, slow: bool) -> None:
    for end in all_ends(STARTS[start], [Process(LATE, slow=slow), Process(retires=True)]):
        assert len(end.grants) <= 1, end


def test_the_tree_is_not_just_one_order() -> None:
    orders = {end.order for end in all_ends(world(), [Process(NOW), Process(LATE)])}
    assert len(orders) >= 3
    assert any(change.action is Action.CREATE for end in all_ends(world(), [Process()]) for change in end.told[0])
