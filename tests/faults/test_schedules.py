"""A few of the schedules of scripts/faults, always the same."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from cado_ops.model import SSM_TAG
from tests.faults.bench import Bench, schedule_of
from tests.faults.scenarios import CHECK, HOME, PROD, SCENARIOS
from tests.faults.schedule import Fault, Schedule
from tests.faults.trial import run_trial
from tests.faults.truth import Truth

# Chosen so that between them they meet every kind of fault several times.
SEEDS = {
    "tag-instances": (10, 19, 20, 29, 300038),
    "untag-instances": (19, 26, 30, 37),
    "kms grant": (10, 24, 33, 34),
    "kms retire": (19, 27, 33, 37),
    "apply": (9, 19, 24, 26),
    "runs undo": (5, 10, 35, 42),
    "runs resume": (0, 33, 37, 45),
    CHECK: (19, 24, 26, 42),
}
TRIALS = [(command, seed) for command, seeds in SEEDS.items() for seed in seeds]


def test_every_command_and_every_kind_of_fault_is_tried() -> None:
    assert SEEDS.keys() == SCENARIOS.keys()
    schedules = [schedule_of(seed) for _, seed in TRIALS]
    tried = Counter(fault for each in schedules for fault in each.kinds)
    assert {fault: tried[fault] for fault in Fault if tried[fault] < 3} == {}
    assert {each.unreachable for each in schedules if each.down} == {False, True}


@pytest.mark.parametrize(("command", "seed"), TRIALS)
def test_what_has_to_hold_holds(place: Bench, command: str, seed: int) -> None:
    """scripts/faults --command COMMAND --seed SEED --schedules 1 tells more."""
    assert run_trial(place, command, seed).broken == []


def test_a_resume_that_was_partial_by_what_it_could_not_read_is_closed_by_the_next(place: Bench) -> None:
    """Nothing is left to be done: but the journal said partial, and went on saying so."""
    trial = run_trial(place, "runs resume", 17)
    assert trial.code == 3
    assert trial.broken == []


def test_a_change_of_two_calls_of_which_the_second_is_refused_is_not_told_as_failed(place: Bench) -> None:
    """The value that was there before is put back; then the claim, throttled to the end, is not taken off."""
    assert run_trial(place, "runs undo", 1072).broken == []


def test_a_grant_on_a_page_that_is_left_out_is_asked_for_again_and_made_once(place: Bench) -> None:
    """By its name, KMS makes no second one."""
    trial = run_trial(place, "runs resume", 726)
    assert trial.faults.keys() == {Fault.PAGE_MISSING}
    assert trial.broken == []


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_AFTER])
def test_a_grant_whose_making_stays_open_takes_the_others_place_in_the_end(place: Bench, fault: Fault) -> None:
    """No attempt at CreateGrant is answered: the grant is looked for, and what it was to replace goes then."""
    schedule = Schedule(answers=(fault,), share=1.0, longest=9, actions=frozenset({"CreateGrant"}))
    trial = run_trial(place, "kms grant", 1, schedule=schedule)
    assert trial.broken == []
    told = Counter((item["action"], item["outcome"]) for item in trial.ran.envelope["items"])  # type: ignore[index,union-attr]
    made = ("changed", "changed") if fault is Fault.RESET_AFTER else ("unknown", "skipped")
    assert told == {("create", made[0]): 4, ("retire", made[1]): 4}


@pytest.mark.parametrize("seed", [1, 16])
def test_an_error_that_was_cut_short_after_an_answer_that_was_lost(place: Bench, seed: int) -> None:
    """KMS ended the grant, and its answer was lost; asked again, it knows no such grant, and half of that comes."""
    lost = (Fault.RESET_AFTER, Fault.EMPTY, Fault.TRUNCATED)
    trial = run_trial(place, "kms retire", seed, schedule=Schedule(seed=seed, answers=lost, share=1.0, longest=4))
    assert trial.broken == []
    assert trial.faults.keys() == set(lost)


@pytest.mark.parametrize(("command", "seed"), [("tag-instances", 12), ("kms retire", 44)])
def test_the_same_seed_lies_the_same(place: Bench, command: str, seed: int) -> None:
    first, second = (run_trial(place, command, seed).faults for _ in range(2))
    assert first == second
    assert first


def test_a_throttled_account_keeps_no_other_waiting(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one place in the pool. While the one account waits, the other comes to its end."""
    ready = place.prepare("tag-instances", 0)
    place.proxy.load(Schedule(bucket=(0, 1.0), accounts=frozenset({HOME})))
    others_done = threading.Event()
    wrote = place.proxy._wrote

    def noted(*seen: Any, **more: bool) -> None:
        wrote(*seen, **more)
        if sum(each.account == PROD for each in place.proxy.writes) == 2:
            others_done.set()

    monkeypatch.setattr(place.proxy, "_wrote", noted)
    waited: list[bool] = []

    def sleep(seconds: float) -> None:
        # Of the second part of the command: what was read first has to be there before anything is changed.
        if any(account == HOME and action == "CreateTags" for account, _, action in place.proxy.requests):
            waited.append(others_done.wait(20))

    monkeypatch.setattr(place, "_sleep", sleep)
    assert place.run(*ready.argv).code == 0
    assert place.proxy.faults[Fault.THROTTLED] > 0
    assert set(waited) == {True}, "the other account waited"
    truth = Truth.now()
    assert all(SSM_TAG in truth.tags[each] for each in truth.tags if truth.tags[each].get("Team") == "sec")
