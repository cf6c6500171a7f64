"""A trial: one command under one seed's schedule, then the resume and the undo of it, and every promise broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.faults import promises
from tests.faults.bench import Bench, Ran, schedule_of
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


def calm_run(bench: Bench, command: str, seed: int) -> Ran:
    """The same command without faults."""
    ready = bench.prepare(command, seed)
    bench.concurrency, bench.virtual = 1, False
    return bench.run(*ready.argv)


def run_trial(
    bench: Bench, command: str, seed: int, calm: Ran | None = None, schedule: Schedule | None = None
) -> Trial:
    """One trial, under the seed's ``schedule`` or another. ``calm`` is the command's run without faults, to be
    compared with where that is to be done."""
    trial = Trial(command, seed)
    ready = bench.prepare(command, seed)
    bench.concurrency, bench.virtual = (8 if seed % 2 else 1), seed % 8 == 7
    schedule = schedule or schedule_of(seed)
    before, known = Truth.now(), set(bench.journals())
    bench.proxy.load(schedule)
    trial.ran = ran = bench.run(*ready.argv, rng=seed)
    trial.code, trial.faults = ran.code, Counter(bench.proxy.faults)
    hurt = set(bench.proxy.hurt)
    bench.proxy.stop_lying()
    after = Truth.now()
    run_id = ran.envelope["run_id"] if ran.envelope else None
    path = bench.runs / f"{run_id}.jsonl" if run_id else None
    new = [each for each in bench.journals() if each not in known and each != path]
    broken = trial.broken
    broken += [f"a journal that no report names: {each.name}" for each in new]
    broken += promises.says_it_in_order(ran)
    broken += promises.says_what_is(ran, before, after)
    broken += promises.does_nothing_twice(ran)
    broken += promises.journals_what_it_did(ran, path)
    slow = {Fault.SLOW_BEFORE, Fault.SLOW_AFTER} & set(schedule.answers)
    # What a plan is read again for depends on how old it is.
    comparable = command != "apply" and not slow and not bench.virtual and schedule.pages is None
    if calm is not None and comparable and (ran.envelope or {}).get("items"):
        broken += promises.leaves_others_alone(ran, calm, hurt)
    if path is not None:
        _afterwards(bench, trial, ran, ready.start, path.name.removesuffix(".jsonl"))
    elif ran.envelope and not ran.envelope["items"] and before != after:
        broken.append("something was changed, and nothing reported")
    return trial


def _afterwards(bench: Bench, trial: Trial, ran: Ran, start: Truth, run_id: str) -> None:
    """The fault is over: gone on with, or not, and undone."""
    bench.concurrency, bench.virtual = 1, False
    broken = trial.broken
    if ran.code not in (0,) and trial.seed % 3:
        resumed = bench.run("runs", "resume", run_id, "--yes")
        now = Truth.now()
        broken += promises.ends_exact(resumed, "resume")
        broken += [f"resume: {each}" for each in promises.says_it_in_order(resumed)]
        for item in (resumed.envelope or {}).get("items", []):
            if "instance_id" in item and item["outcome"] == "changed":
                tags = now.tags.get((item["account"], item["region"], item["instance_id"]), {})
                if tags.get("CadoResponseSSMEnabled") != item["after"]:
                    broken.append(f"resume: {item['instance_id']} is {tags}")
    undone = bench.run("runs", "undo", run_id, "--yes")
    broken += promises.ends_exact(undone, "undo")
    broken += promises.is_back(Truth.now(), start, "undo")
