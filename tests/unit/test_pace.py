"""Within AWS's request quotas: by a clock that only this file moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.aws.pace import QUOTAS, SHARE, Pace

PLACE = ("2" * 12, "eu-west-1")
PACED = sorted(QUOTAS)


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds

    def pace(self) -> Pace:
        return Pace(sleep=self.sleep, clock=lambda: self.now)


class Crowd:
    """Many callers at once: each waits by itself, and time stands still for the others."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sent: list[float] = []
        self._waited = 0.0
        self.pace = Pace(sleep=self._sleep, clock=lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self._waited = seconds

    def ask(self, count: int, action: str, place: tuple[str, str] = PLACE) -> None:
        for _ in range(count):
            self._waited = 0.0
            self.pace.wait(*place, action)
            self.sent.append(self.now + self._waited)


def most_in_a_second(moments: list[float]) -> int:
    """The most that fall into any second, its end not counted; what falls on it by rounding is not either."""
    moments = sorted(moments)
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0 - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("action", PACED)
def test_no_second_ever_sees_more_than_the_quota(action: str) -> None:
    """The burst at the beginning included: everything that the quota gives is counted by AWS, not by us."""
    crowd = Crowd()
    crowd.ask(3 * QUOTAS[action], action)
    assert most_in_a_second(crowd.sent) <= QUOTAS[action]


@pytest.mark.parametrize("action", PACED)
def test_once_the_burst_is_used_no_second_sees_more_than_the_share(action: str) -> None:
    crowd = Crowd()
    crowd.ask(3 * QUOTAS[action], action)
    later = [moment for moment in crowd.sent if moment > 1000.0]
    assert most_in_a_second(later) <= QUOTAS[action] * SHARE
    assert len(later) > 2 * QUOTAS[action] * SHARE


@pytest.mark.parametrize("action", PACED)
def test_a_few_calls_do_not_wait(action: str) -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(5):
        pace.wait(*PLACE, action)
    assert clock.slept == []


@pytest.mark.parametrize("action", PACED)
def test_all_of_the_share_can_be_used(action: str) -> None:
    """One caller, three seconds' worth: no slower than it has to be."""
    clock = Clock()
    pace = clock.pace()
    for _ in range(int(3 * QUOTAS[action] * SHARE)):
        pace.wait(*PLACE, action)
    assert 2.5 < clock.now - 1000.0 <= 3.0


def test_who_has_waited_long_enough_does_not_wait() -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(500):
        pace.wait(*PLACE, "RetireGrant")
        clock.now += 1.0 / (30 * SHARE) + 1e-9
    assert clock.slept == []


def test_idle_time_is_not_saved_up() -> None:
    crowd = Crowd()
    crowd.ask(1, "CreateGrant")
    crowd.now += 3600.0
    crowd.sent.clear()
    crowd.ask(200, "CreateGrant")
    assert most_in_a_second(crowd.sent) <= 50


@pytest.mark.parametrize(
    "other",
    [
        lambda pace: pace.wait("3" * 12, "eu-west-1", "RevokeGrant"),
        lambda pace: pace.wait("2" * 12, "us-east-1", "RevokeGrant"),
        lambda pace: pace.wait("2" * 12, "eu-west-1", "RetireGrant"),
    ],
    ids=["account", "region", "action"],
)
def test_accounts_regions_and_actions_do_not_wait_for_each_other(other: Callable[[Pace], None]) -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(100):
        pace.wait(*PLACE, "RevokeGrant")
    waited = len(clock.slept)
    assert waited > 50
    frozen = Clock(clock.now)
    pace._sleep = frozen.sleep
    other(pace)
    assert frozen.slept == []


@pytest.mark.parametrize("action", ["DescribeInstances", "CreateTags", "GetRole", "ListRoles"])
def test_other_actions_never_wait(action: str) -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(10_000):
        pace.wait(*PLACE, action)
    assert clock.slept == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["CreateGrant", "RetireGrant"]), st.floats(0, 0.2), st.integers(1, 30)),
        max_size=30,
    )
)
def test_whatever_comes_when_the_quota_holds(asked: list[tuple[str, float, int]]) -> None:
    crowds = {action: Crowd() for action in ("CreateGrant", "RetireGrant")}
    for action, later, count in asked:
        for crowd in crowds.values():
            crowd.now += later
        crowds[action].ask(count, action)
    for action, crowd in crowds.items():
        assert most_in_a_second(crowd.sent) <= QUOTAS[action]


def test_turns_come_in_order_of_asking() -> None:
    crowd = Crowd()
    crowd.ask(200, "RetireGrant")
    assert crowd.sent == sorted(crowd.sent)
    assert max(Counter(crowd.sent).values()) == 7
