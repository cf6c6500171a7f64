"""scripts/faults: every command that changes something, under many schedules of faults; then a table."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.faults.bench import Bench, bench
from tests.faults.scenarios import SCENARIOS
from tests.faults.schedule import Fault
from tests.faults.trial import run_trial

# What one process does before it gives account of itself.
PIECE = 6


@dataclass
class Tally:
    """What became of some trials."""

    trials: Counter[str] = field(default_factory=Counter)
    exits: Counter[tuple[str, int]] = field(default_factory=Counter)
    schedules: Counter[Fault] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    broken: list[tuple[str, int, list[str]]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("trials", "exits", "schedules", "faults"):
            getattr(self, name).update(getattr(other, name))
        self.broken += other.broken


@cache
def _place() -> Bench:
    """The bench of this process, for as long as it lives."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(bench())


def piece(command: str, first: int, count: int) -> Tally:
    """The trials of a command for some seeds."""
    tally = Tally()
    for seed in range(first, first + count):
        trial = run_trial(_place(), command, seed)
        tally.trials[command] += 1
        tally.exits[command, trial.code] += 1
        tally.faults.update(trial.faults)
        tally.schedules.update(set(trial.faults))
        if trial.broken:
            tally.broken.append((command, seed, trial.broken))
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="for each command (1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--command", action="append", choices=list(SCENARIOS), help="only this one; repeatable")
    parser.add_argument(
        "--processes",
        type=int,
        default=2 * (os.cpu_count() or 1),
        help="twice the processors, for half of the time a trial waits for answers that do not come",
    )
    parser.add_argument("--json", type=Path, help="writes the figures to a file as well")
    given = parser.parse_args()
    started = time.monotonic()
    # A shell's background jobs are deaf to it, and what was done until then is to be told.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    commands = given.command or list(SCENARIOS)
    last = given.seed + given.schedules
    # All commands take turns, so that what is broken off has tried them all.
    jobs = [
        (command, first, min(PIECE, last - first))
        for first in range(given.seed, last, PIECE)
        for command in commands
    ]
    total = Tally()
    with ProcessPoolExecutor(given.processes) as pool:
        running = [pool.submit(piece, *job) for job in jobs]
        try:
            for done in as_completed(running):
                total.add(done.result())
                for command, seed, lines in done.result().broken:
                    print(f"{command} --seed {seed}:", *lines, sep="\n  ", flush=True)
                count = total.trials.total()
                print(f"{count} of {len(commands) * given.schedules}", end="\r", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            # What was done until then counts.
            pool.shutdown(wait=False, cancel_futures=True)
        except BaseException:
            # A mistake of the trials themselves: nothing is gained by the others.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    show(total, time.monotonic() - started)
    if given.json:
        given.json.write_text(json.dumps(figures(total), indent=2) + "\n")
    return 1 if total.broken else 0


def show(total: Tally, seconds: float) -> None:
    """The table."""
    codes = sorted({code for _, code in total.exits})
    print(
        f"\n{'command':<18}{'schedules':>10}"
        + "".join(f"{f'exit {code}':>9}" for code in codes)
        + f"{'violations':>12}"
    )
    for command, count in total.trials.items():
        bad = sum(each[0] == command for each in total.broken)
        row = "".join(f"{total.exits[command, code]:>9}" for code in codes)
        print(f"{command:<18}{count:>10}{row}{bad:>12}")
    print(f"\n{'fault':<34}{'schedules':>10}{'times':>10}")
    for fault in Fault:
        print(f"{fault:<34}{total.schedules[fault]:>10}{total.faults[fault]:>10}")
    trials, faults, broken = total.trials.total(), total.faults.total(), len(total.broken)
    print(f"\n{trials} schedules, {faults} faults, {broken} violations, {seconds:.0f} s")


def figures(total: Tally) -> dict[str, object]:
    return {
        "schedules": dict(total.trials),
        "exits": {f"{command}: {code}": count for (command, code), count in sorted(total.exits.items())},
        "faults": {str(fault): total.faults[fault] for fault in Fault},
        "schedules_with": {str(fault): total.schedules[fault] for fault in Fault},
        "violations": [{"command": each[0], "seed": each[1], "broken": each[2]} for each in total.broken],
    }


if __name__ == "__main__":
    sys.exit(main())
