"""Work over many targets at once: a bounded pool, results collected in the caller's thread.

Jobs may be added while results are being taken, so that an account's regions start as soon as that account is
known, and no account waits for another.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[J, R]):
    """A finished job: its result, or the exception that it raised."""

    job: J
    value: R | None
    error: Exception | None


class FanOut(Generic[J, R]):
    """Runs ``work(job)`` for every job added, at most ``max_concurrency`` at a time.

    The threads are daemons: a second Ctrl-C ends the program without waiting for them.
    """

    def __init__(self, work: Callable[[J], R], max_concurrency: int) -> None:
        self._work = work
        self._limit = max_concurrency
        self._waiting: deque[J] = deque()
        self._done: queue.SimpleQueue[Done[J, R] | BaseException] = queue.SimpleQueue()
        self._in_flight = 0

    def add(self, job: J, *, next: bool = False) -> None:
        """Adds a job, to be the ``next`` or the last; to be called from the thread that takes the results."""
        if next:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)

    def results(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Done[J, R]]:
        """Results in order of completion, until no job is left; once ``stopped``, only what is in flight ends."""
        while True:
            while self._waiting and self._in_flight < self._limit and not stopped():
                self._start(self._waiting.popleft())
            if not self._in_flight:
                return
            done = self._done.get()
            self._in_flight -= 1
            if isinstance(done, BaseException):
                raise done
            yield done

    @property
    def never_started(self) -> list[J]:
        """The jobs that a stop left over."""
        return list(self._waiting)

    def _start(self, job: J) -> None:
        self._in_flight += 1
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: J) -> None:
        try:
            self._done.put(Done(job, self._work(job), None))
        except Exception as error:  # noqa: BLE001  handed to the caller's thread, which decides
            self._done.put(Done(job, None, error))
        except BaseException as error:  # noqa: BLE001  ends the caller's loop as well
            self._done.put(error)
