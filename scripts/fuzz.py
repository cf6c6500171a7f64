"""The property of tests/unit/test_hostile_input.py with far more examples: scripts/fuzz."""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.unit.hostile_readers import READERS, files, was_read


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Hostile input for every reader.")
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}; default: all")
    parser.add_argument("--examples", type=int, default=2_000, metavar="N", help="for each reader")
    parser.add_argument("--seed", type=int, help="default: another one each time; it is shown")
    given_options = parser.parse_args()
    if unknown := set(given_options.readers) - set(READERS):
        parser.error(f"no reader {', '.join(sorted(unknown))}: there is {', '.join(READERS)}")
    begin = random.SystemRandom().randrange(10**6) if given_options.seed is None else given_options.seed
    print(f"seed {begin}\n{'reader':<14}{'inputs':>8}{'taken':>8}{'refused':>9}{'seconds':>9}", flush=True)
    broken = [name for name in given_options.readers or READERS if not _holds(name, given_options.examples, begin)]
    if broken:
        print(f"broken: {', '.join(broken)}")
    return 1 if broken else 0


def _holds(name: str, examples: int, begin: int) -> bool:
    """Whether nothing breaks the reader. What did is kept in .cache/fuzz, and is the first that is tried again."""
    reader, count, started = READERS[name], Counter[bool](), time.monotonic()
    kept = DirectoryBasedExampleDatabase(Path(".cache", "fuzz"))
    with files() as put:

        @seed(begin)
        @settings(
            max_examples=examples, deadline=None, database=kept, print_blob=False,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(reader.inputs())
        def any_input_is_taken_or_refused(content: bytes) -> None:
            count[was_read(reader, put(reader, content))] += 1

        try:
            any_input_is_taken_or_refused()
        except Exception:  # noqa: BLE001  any is what is looked for
            traceback.print_exc()
            return False
        finally:
            seconds = time.monotonic() - started
            print(f"{name:<14}{count.total():>8}{count[True]:>8}{count[False]:>9}{seconds:>9.1f}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
