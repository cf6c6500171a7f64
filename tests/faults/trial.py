"""A trial: one command under one seed's schedule, then the resume and the undo of it, and every promise broken."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import promises
from tests.faults.bench import Bench, Ran, schedule_of
from tests.faults.proxy import Seen
from tests.faults.scenarios import CHECK
from tests.faults.schedule import Fault, Schedule
from tests.faults.truth import Truth


@dataclass
class Trial:
    command: str
    seed: int
    faults: Counter[Fault] = field(default_factory=Counter)
    code: int = 0
    broken: list[str] = field(default_factory=list)
    ran: Ran | None = None


@dataclass(frozen=True)
class Conduct:
    """How a trial goes about it: how much at a time, whether waits count as time, whether the run is gone on with.

    By chance, so that no beginning of a command, which go by the seed's remainder, is tried in one way alone.
    """

    concurrency: int
    virtual: bool
    resumed: bool

    @classmethod
    def of(cls, seed: int) -> Conduct:
        rng = random.Random(f"how {seed}")
        return cls(rng.choice((1, 8)), rng.random() < 1 / 8, rng.random() < 2 / 3)


def run_trial(bench: Bench, command: str, seed: int, schedule: Schedule | None = None) -> Trial:
    """One trial, under the seed's ``schedule`` or another."""
    trial = Trial(command, seed)
    calm = bench.calm(command, seed)
    ready = bench.prepare(command, seed)
    conduct = Conduct.of(seed)
    bench.concurrency, bench.virtual = conduct.concurrency, conduct.virtual
    schedule = schedule or schedule_of(seed)
    before, known = Truth.now(), set(bench.journals())
    open_ = promises.open_in(known)
    bench.proxy.load(schedule)
    trial.ran = ran = bench.run(*ready.argv, rng=seed)
    trial.code, trial.faults = ran.code, Counter(bench.proxy.faults)
    hurt = set(bench.proxy.hurt)
    bench.proxy.stop_lying()
    after = Truth.now()
    new = [each for each in bench.journals() if each not in known]
    # `check --fix` makes a run of each kind of change, and can name but one as its own.
    paths = new if command == CHECK else _named_by(bench, ran)
    trial.broken += [f"a journal that no report names: {each.name}" for each in new if each not in paths]
    trial.broken += _broken(ran, paths, before, after, ready.sent, open_)
    if command == CHECK:
        trial.broken += promises.finds_what_is(ran, after)
    slow = {Fault.SLOW_BEFORE, Fault.SLOW_AFTER} & set(schedule.answers)
    comparable = not slow and not bench.virtual and schedule.pages is None
    if command == "tag-instances" and comparable and (ran.envelope or {}).get("items"):
        trial.broken += promises.leaves_others_alone(ran, calm, hurt)
    if Fault.PAGE_MISSING not in trial.faults:
        trial.broken += promises.leaves_nothing_out(ran, calm, grants=Fault.LATE not in trial.faults)
    if paths:
        sent = [*ready.sent, *ran.writes]
        _afterwards(bench, trial, paths, ready.start, sent, resumed=conduct.resumed and ran.code != 0)
    elif before != after:
        trial.broken.append("something was changed, and there is no run")
    return trial


def _afterwards(
    bench: Bench, trial: Trial, paths: list[Path], start: Truth, sent: list[Seen], *, resumed: bool
) -> None:
    """The fault is over: gone on with, or not, and undone."""
    bench.concurrency, bench.virtual = 1, False
    then = [("resume", path) for path in paths] if resumed else []
    for what, path in [*then, *(("undo", path) for path in reversed(paths))]:
        before = Truth.now()
        ran = bench.run("runs", what, path.name.removesuffix(".jsonl"), "--yes")
        trial.broken += promises.ends_exact(ran, what)
        trial.broken += [
            f"{what}: {each}" for each in _broken(ran, _named_by(bench, ran), before, Truth.now(), sent)
        ]
        sent = [*sent, *ran.writes]
        if what == "resume":
            trial.broken += promises.does_all_that_was_planned(path, Truth.now())
    trial.broken += promises.is_back(Truth.now(), start, "undo")


def _named_by(bench: Bench, ran: Ran) -> list[Path]:
    run_id = ran.envelope["run_id"] if ran.envelope else None
    return [bench.runs / f"{run_id}.jsonl"] if run_id else []


def _broken(
    ran: Ran,
    paths: list[Path],
    before: Truth,
    after: Truth,
    sent: Sequence[Seen],
    open_: frozenset[Any] = frozenset(),
) -> Iterator[str]:
    """What a command broke of the promises that every one makes."""
    told = promises.told_by(ran, paths)
    yield from promises.says_it_in_order(ran, told)
    yield from promises.says_what_is(told, before, after)
    yield from promises.knows_what_can_be_known(ran, told, after, sent, open_)
    yield from promises.never_without(ran, told, before, after)
    yield from promises.does_nothing_twice(ran, sent)
    yield from promises.journals_what_it_did(ran, paths)
