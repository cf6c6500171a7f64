"""A few dozen schedules of scripts/faults, always the same; and that the promises can be broken."""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cado_ops.model import SSM_TAG
from tests.faults import promises
from tests.faults.bench import HOME, PROD, SCENARIOS, Bench, Ran
from tests.faults.schedule import Fault, Schedule
from tests.faults.trial import calm_run, run_trial
from tests.faults.truth import Truth

# Three seeds for each command, all different.
TRIALS = [(command, 3 * number + each) for number, command in enumerate(SCENARIOS) for each in range(3)]


@pytest.mark.parametrize(("command", "seed"), TRIALS)
def test_what_has_to_hold_holds(place: Bench, command: str, seed: int) -> None:
    """scripts/faults --command COMMAND --seed SEED --schedules 1 tells more."""
    calm = calm_run(place, command, seed) if command == "tag-instances" else None
    assert run_trial(place, command, seed, calm).broken == []


@pytest.mark.parametrize("seed", [1, 16])
def test_an_error_that_was_cut_short_after_an_answer_that_was_lost(place: Bench, seed: int) -> None:
    """KMS ended the grant, and its answer was lost; asked again, it knows no such grant, and half of that comes."""
    lost = (Fault.RESET_AFTER, Fault.EMPTY, Fault.TRUNCATED)
    trial = run_trial(place, "kms retire", seed, schedule=Schedule(seed=seed, answers=lost, share=1.0, longest=4))
    assert trial.broken == []
    assert trial.faults.keys() == set(lost)


@pytest.mark.parametrize(("command", "seed"), [("tag-instances", 12), ("kms retire", 20)])
def test_the_same_seed_lies_the_same(place: Bench, command: str, seed: int) -> None:
    first, second = (run_trial(place, command, seed).faults for _ in range(2))
    assert first == second
    assert first


@pytest.fixture(scope="module")
def _once(_place: Bench) -> tuple[Ran, Truth, Truth, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _place.environ.items():
            patch.setenv(name, value)
        ready = _place.prepare("tag-instances", 1)
        before = Truth.now()
        ran = _place.run(*ready.argv)
    return ran, before, Truth.now(), _place.journals()[-1].read_bytes()


class TestThePromisesCanBeBroken:
    @pytest.fixture
    def tagged(self, _once: tuple[Ran, Truth, Truth, bytes]) -> tuple[Ran, Truth, Truth]:
        ran, before, after, _ = _once
        return deepcopy(ran), before, after

    @pytest.fixture
    def journal(self, _once: tuple[Ran, Truth, Truth, bytes], tmp_path: Path) -> Path:
        ran = _once[0]
        assert ran.envelope is not None
        path = tmp_path / f"{ran.envelope['run_id']}.jsonl"
        path.write_bytes(_once[3])
        return path

    def test_a_calm_run_breaks_none(self, journal: Path, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran, before, after = tagged
        assert [*promises.says_it_in_order(ran), *promises.says_what_is(ran, before, after)] == []
        assert [*promises.does_nothing_twice(ran), *promises.journals_what_it_did(ran, journal)] == []

    @pytest.mark.parametrize("outcome", ["unchanged", "failed", "skipped", "drifted"])
    def test_another_outcome(self, tagged: tuple[Ran, Truth, Truth], outcome: str) -> None:
        ran, before, after = tagged
        assert ran.envelope is not None
        ran.envelope["items"][0]["outcome"] = outcome
        assert list(promises.says_what_is(ran, before, after))
        assert list(promises.says_it_in_order(ran))

    def test_what_is_not_told_of(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran, before, after = tagged
        assert ran.envelope is not None
        del ran.envelope["items"][0]
        assert list(promises.says_what_is(ran, before, after))

    def test_what_did_not_happen(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran, before, _ = tagged
        assert len(list(promises.says_what_is(ran, before, before))) == 12

    def test_another_tag(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran, before, after = tagged
        tags = {place: pairs | {"Name": "x"} for place, pairs in after.tags.items()}
        assert list(promises.says_what_is(ran, before, replace(after, tags=tags)))

    @pytest.mark.parametrize("code", [1, 3, 130])
    def test_another_exit_code(self, tagged: tuple[Ran, Truth, Truth], code: int) -> None:
        assert list(promises.says_it_in_order(replace(tagged[0], code=code)))

    def test_a_call_made_twice(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran = tagged[0]
        assert list(promises.does_nothing_twice(replace(ran, writes=[*ran.writes, ran.writes[0]])))

    def test_a_call_without_an_intent(self, journal: Path, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran = tagged[0]
        stray = replace(ran.writes[0], subjects=("i-0123",))
        assert list(promises.journals_what_it_did(replace(ran, writes=[stray]), journal))
        assert list(promises.journals_what_it_did(ran, None))

    def test_what_was_not_put_back(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        _, before, after = tagged
        assert len(list(promises.is_back(after, before, "undo"))) == 12

    def test_an_account_that_was_asked_more(self, tagged: tuple[Ran, Truth, Truth]) -> None:
        ran = tagged[0]
        more = ran.requests + ran.requests
        assert list(promises.leaves_others_alone(replace(ran, requests=more), ran, {(HOME, "eu-west-1")}))
        late = replace(ran, waited={PROD: 60.0})
        assert list(promises.leaves_others_alone(late, ran, set()))


def test_a_throttled_account_keeps_no_other_waiting(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one place in the pool. While the one account waits, the other comes to its end."""
    ready = place.prepare("tag-instances", 0)
    place.proxy.load(Schedule(bucket=(0, 1.0), accounts=frozenset({HOME})))
    others_done = threading.Event()
    wrote = place.proxy._wrote

    def noted(request: Any, content: str, **more: bool) -> None:
        wrote(request, content, **more)
        if sum(each.account == PROD for each in place.proxy.writes) == 2:
            others_done.set()

    monkeypatch.setattr(place.proxy, "_wrote", noted)
    waited: list[bool] = []

    def sleep(seconds: float) -> None:
        # Of the second part of the command: what was read first has to be there before anything is changed.
        if any(each.account == PROD for each in place.proxy.writes) or others_done.is_set():
            waited.append(others_done.wait(20))

    monkeypatch.setattr(place, "_sleep", sleep)
    assert place.run(*ready.argv).code == 0
    assert place.proxy.faults[Fault.THROTTLED] > 0
    assert False not in waited, "the other account waited"
    truth = Truth.now()
    assert all(SSM_TAG in truth.tags[each] for each in truth.tags if truth.tags[each].get("Team") == "sec")
