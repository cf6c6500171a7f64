"""Work over many targets at once: a bounded pool, results collected in the caller's thread.

Jobs may be added while results are being taken, so that an account's regions start as soon as that account is
known, and no account waits for another. A job that only waits, because AWS throttles it, say, or because another
assumes the role that it needs, gives up its place meanwhile (`waiting`): it slows none but itself.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[J, R]):
    """A finished job: its result, or the exception that it raised."""

    job: J
    value: R | None
    error: Exception | None


class _Pause:
    """A job gives up its place."""


class _Back:
    """A job goes on."""


# So many jobs may wait for each that may work: each holds a thread. And so many in any case: an account has some 17
# to 34 regions, and with few places it alone would fill eight times those.
_WAITING_TIMES = 8
_WAITING_AT_LEAST = 256
_of_thread = threading.local()


@contextmanager
def waiting() -> Iterator[None]:
    """While a job waits, another may work in its place; afterwards it goes on at once. Else it does nothing.

    It may hold what those need that took its place (the lock under which an account's role is assumed): were it to
    wait for a place, and they for it, nothing would ever go on.
    """
    fan: FanOut[Any, Any] | None = getattr(_of_thread, "fan", None)
    if fan is None:
        yield
        return
    fan._leave()
    try:
        yield
    finally:
        fan._return()


class FanOut(Generic[J, R]):
    """Runs ``work(job)`` for every job added, at most ``max_concurrency`` at a time.

    ``jobs`` are begun after those that were added, each made when its turn comes: there may be millions.
    Jobs that have waited are more than that for a while: then none is begun.

    A thread does one job after another, for as long as results are taken. The threads are daemons: a second Ctrl-C
    ends the program without waiting for them.
    """

    def __init__(self, work: Callable[[J], R], max_concurrency: int, jobs: Iterable[J] = ()) -> None:
        self._work = work
        self._limit = max_concurrency
        self._waiting: deque[J] = deque()
        self._to_be_made = iter(jobs)
        self._done: queue.SimpleQueue[Done[J, R] | BaseException | _Pause | _Back] = queue.SimpleQueue()
        self._in_flight = 0
        self._paused = 0
        # Jobs, or None to end, for the threads that have ended their last job.
        self._next: queue.SimpleQueue[tuple[J] | None] = queue.SimpleQueue()
        self._idle = 0

    def add(self, job: J, *, next: bool = False) -> None:
        """Adds a job, to be the ``next`` or the last; to be called from the thread that takes the results."""
        if next:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)

    def results(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Done[J, R]]:
        """Results in order of completion, until no job is left; once ``stopped``, only what is in flight ends.

        To be taken once.
        """
        try:
            yield from self._results(stopped)
        finally:
            # Also for those still at work where the caller wants no more: they end after their job.
            for _ in range(self._idle + self._in_flight + self._paused):
                self._next.put(None)

    def _results(self, stopped: Callable[[], bool]) -> Iterator[Done[J, R]]:
        while True:
            while self._has_place() and not stopped() and self._has_job():
                self._start(self._waiting.popleft())
            if not self._in_flight and not self._paused:
                return
            done = self._done.get()
            if isinstance(done, _Pause | _Back):
                step = 1 if isinstance(done, _Back) else -1
                self._in_flight += step
                self._paused -= step
                continue
            self._in_flight -= 1
            self._idle += 1
            if isinstance(done, BaseException):
                raise done
            yield done

    def _has_job(self) -> bool:
        if not self._waiting:
            self._waiting.extend(islice(self._to_be_made, 1))
        return bool(self._waiting)

    def _has_place(self) -> bool:
        in_all = max(self._limit * _WAITING_TIMES, _WAITING_AT_LEAST)
        return self._in_flight < self._limit and self._in_flight + self._paused < in_all

    def _leave(self) -> None:
        self._done.put(_Pause())

    def _return(self) -> None:
        self._done.put(_Back())

    def _start(self, job: J) -> None:
        self._in_flight += 1
        if self._idle:
            self._idle -= 1
            self._next.put((job,))
        else:
            threading.Thread(target=self._run_all, args=(job,), daemon=True).start()

    def _run_all(self, job: J) -> None:
        _of_thread.fan = self
        next_one: tuple[J] | None = (job,)
        while next_one is not None:
            self._run(*next_one)
            # What a job leaves behind must not be held by a thread that waits for another.
            del next_one
            next_one = self._next.get()

    def _run(self, job: J) -> None:
        try:
            self._done.put(Done(job, self._work(job), None))
        except Exception as error:  # noqa: BLE001  handed to the caller's thread, which decides
            self._done.put(Done(job, None, error))
        except BaseException as error:  # noqa: BLE001  ends the caller's loop as well
            self._done.put(error)
