"""Work over many targets at once: a bounded pool, results collected in the caller's thread.

Jobs may be added while results are being taken, so that an account's regions start as soon as that account is
known, and no account waits for another. A job that only waits, because AWS throttles it, say, or because another
assumes the role that it needs, gives up its place meanwhile (`waiting`): it slows none but itself.
"""

from __future__ import annotations

import contextvars
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
    fan._pause()
    try:
        yield
    finally:
        fan._resume()


class FanOut(Generic[J, R]):
    """Runs ``work(job)`` for every job added, at most ``max_concurrency`` at a time.

    ``jobs`` are begun after those that were added, each made when its turn is near: there may be millions.
    Jobs that have waited are more than that for a while: then none is begun.

    A thread goes on with the next job by itself, for the caller is busy with results; but not while as many results
    as may be at work have not been taken, nor before the caller has seen an error, after which it may want to stop.
    The threads are daemons: a second Ctrl-C ends the program without waiting for them.
    """

    def __init__(self, work: Callable[[J], R], max_concurrency: int, jobs: Iterable[J] = ()) -> None:
        self._work = work
        self._limit = max_concurrency
        self._to_be_made = iter(jobs)
        self._done: queue.SimpleQueue[Done[J, R] | BaseException] = queue.SimpleQueue()
        # Jobs, or None to end, for the threads that have found none.
        self._next: queue.SimpleQueue[tuple[J] | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        # What follows is changed under the lock alone.
        self._waiting: deque[J] = deque()
        self._made: deque[J] = deque()
        self._at_work = self._paused = self._idle = 0
        self._unseen = self._errors_unseen = 0
        self._stopped: Callable[[], bool] = lambda: False

    def add(self, job: J, *, next: bool = False) -> None:
        """Adds a job, to be the ``next`` or the last; to be called from the thread that takes the results."""
        with self._lock:
            if next:
                self._waiting.appendleft(job)
            else:
                self._waiting.append(job)

    def results(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Done[J, R]]:
        """Results in order of completion, until no job is left; once ``stopped``, only what is in flight ends.

        ``stopped`` is asked from any thread; it must neither raise nor wait. To be taken once.
        """
        self._stopped = stopped
        try:
            yield from self._results()
        finally:
            with self._lock:
                # Those still at work, where the caller wants no more, end after their job.
                self._stopped = lambda: True
                threads = self._idle + self._at_work + self._paused
            for _ in range(threads):
                self._next.put(None)

    def _results(self) -> Iterator[Done[J, R]]:
        while True:
            self._begin()
            self._make_jobs()
            with self._lock:
                if not self._at_work + self._paused + self._unseen:
                    return
            done = self._done.get()
            if isinstance(done, BaseException):
                raise done
            with self._lock:
                self._unseen -= 1
            yield done
            if done.error is not None:
                with self._lock:
                    self._errors_unseen -= 1

    def _make_jobs(self) -> None:
        # Not under the lock: whoever makes them may take a while.
        while len(self._waiting) + len(self._made) < self._limit and not self._stopped():
            made = list(islice(self._to_be_made, 1))
            if not made:
                return
            with self._lock:
                self._made += made
            self._begin()

    def _begin(self) -> None:
        """Has as many jobs begun as may be."""
        with self._lock:
            while (job := self._take()) is not None:
                self._next.put(job)
                if self._idle:
                    self._idle -= 1
                elif not self._start():
                    return

    def _start(self) -> bool:
        """Begins one more thread. False where there can be none: then a job has to wait. Under the lock."""
        # In a context of its own, too: this may be the thread of a job.
        run = contextvars.Context().run
        try:
            threading.Thread(target=run, args=(self._run_all,), daemon=True).start()
        except RuntimeError:
            self._at_work -= 1
            waits = self._next.get()
            assert waits is not None
            self._waiting.appendleft(*waits)
            if not self._at_work + self._paused + self._unseen:
                raise
            return False  # when one of these is done, it is tried again
        return True

    def _take(self) -> tuple[J] | None:
        """The next job, now at work; None where none may be begun. Under the lock."""
        in_all = max(self._limit * _WAITING_TIMES, _WAITING_AT_LEAST)
        there = self._waiting or self._made
        if (
            not there
            or self._at_work >= self._limit
            or self._at_work + self._paused >= in_all
            or self._unseen >= self._limit
            or self._errors_unseen
            or self._stopped()
        ):
            return None
        self._at_work += 1
        return (there.popleft(),)

    def _pause(self) -> None:
        with self._lock:
            self._at_work -= 1
            self._paused += 1
        self._begin()

    def _resume(self) -> None:
        with self._lock:
            self._at_work += 1
            self._paused -= 1

    def _run_all(self) -> None:
        _of_thread.fan = self
        next_one = self._next.get()
        while next_one is not None:
            done = self._outcome(*next_one)
            # What a job leaves behind must not be held by a thread that waits for another.
            del next_one
            with self._lock:
                self._at_work -= 1
                self._unseen += 1
                self._errors_unseen += isinstance(done, BaseException) or done.error is not None
                next_one = self._take()
                self._idle += next_one is None
            self._done.put(done)
            del done
            next_one = next_one or self._next.get()

    def _outcome(self, job: J) -> Done[J, R] | BaseException:
        try:
            return Done(job, self._work(job), None)
        except Exception as error:  # noqa: BLE001  handed to the caller's thread, which decides
            return Done(job, None, error)
        except BaseException as error:  # noqa: BLE001  ends the caller's loop as well
            return error
