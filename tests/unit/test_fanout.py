"""Work over many targets: nothing lost, never too much at once, errors in the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from functools import partial

import pytest

from cado_ops import fanout
from cado_ops.fanout import Done, FanOut, waiting


def test_every_job_once() -> None:
    fan: FanOut[int, int] = FanOut(lambda job: job * 2, 8)
    for job in range(100):
        fan.add(job)
    assert sorted((done.job, done.value) for done in fan.results()) == [(job, job * 2) for job in range(100)]


def test_no_job_no_result() -> None:
    assert list(FanOut(str, 4).results()) == []


def test_jobs_added_while_results_are_taken() -> None:
    fan: FanOut[tuple[int, ...], tuple[int, ...]] = FanOut(lambda job: job, 3)
    fan.add(())
    seen = []
    for done in fan.results():
        seen.append(done.job)
        if len(done.job) < 3:
            for branch in range(3):
                fan.add((*done.job, branch))
    assert len(seen) == len(set(seen)) == 1 + 3 + 9 + 27


def test_jobs_are_made_when_their_turn_comes() -> None:
    made: list[int] = []
    done = 0

    def jobs() -> Iterator[int]:
        for job in range(50):
            # Three at work, three that were not taken yet, three to go on with.
            assert job <= done + 9, "made long before there was a place for it"
            made.append(job)
            yield job

    fan: FanOut[int, int] = FanOut(lambda job: job, 3, jobs())
    fan.add(-1)
    for result in fan.results():
        assert result.error is None
        done += 1
        if result.job == 10:
            fan.add(1000, next=True)
    assert done == 52
    assert made == list(range(50))


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_never_more_at_once_than_allowed_and_as_many_as_allowed(limit: int) -> None:
    lock = threading.Lock()
    full = threading.Barrier(limit)
    running = highest = 0

    def work(job: int) -> None:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        full.wait(10)  # all of a round run at the same time, or this breaks
        with lock:
            running -= 1

    fan: FanOut[int, None] = FanOut(work, limit)
    for job in range(limit * 4):
        fan.add(job)
    results = list(fan.results())
    assert [done.error for done in results] == [None] * (limit * 4)
    assert highest == limit


def test_added_jobs_are_begun_before_those_that_are_made() -> None:
    begun: list[str] = []
    fan: FanOut[str, None] = FanOut(begun.append, 1, iter("xyz"))
    for job in "abc":
        fan.add(job)
    for done in fan.results():
        if done.job == "a":
            fan.add("d")
    assert begun == list("abcdxyz")


def test_none_is_made_after_a_stop() -> None:
    made = iter(range(10))
    assert list(FanOut(str, 4, made).results(lambda: True)) == []
    assert next(made) == 0


class TestNoMoreThreads:
    """A container allows only so many, and most are needed when everything waits because it is throttled."""

    def test_the_others_go_on_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start, started = threading.Thread.start, 0

        def refusing(thread: threading.Thread) -> None:
            nonlocal started
            started += 1
            if started > 2:
                raise RuntimeError("can't start new thread")
            start(thread)

        def work(job: int) -> int:
            with waiting():
                return job

        monkeypatch.setattr(threading.Thread, "start", refusing)
        fan: FanOut[int, int] = FanOut(work, 8)
        for job in range(30):
            fan.add(job)
        assert sorted(done.value or 0 for done in fan.results()) == list(range(30))
        assert started > 2

    def test_without_any_it_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refusing(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refusing)
        fan: FanOut[int, int] = FanOut(abs, 8)
        fan.add(1)
        with pytest.raises(RuntimeError, match="can't start"):
            list(fan.results())


def test_a_thread_that_a_job_started_knows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads may take over the context of who starts them (Python 3.14, free-threaded): whose credentials, say."""
    whose: ContextVar[int | None] = ContextVar("whose", default=None)
    start = threading.Thread.start

    def handing_on(thread: threading.Thread) -> None:
        run = copy_context().run
        monkeypatch.setattr(thread, "run", partial(run, thread.run))
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", handing_on)
    seen: list[int | None] = []

    def work(job: int) -> None:
        seen.append(whose.get())
        whose.set(job)
        with waiting():
            pass
        whose.set(None)

    fan: FanOut[int, None] = FanOut(work, 2)
    for job in range(40):
        fan.add(job)
    assert len(list(fan.results())) == 40
    assert set(seen) == {None}


def test_an_error_is_that_jobs_alone() -> None:
    def work(job: int) -> int:
        if job % 3 == 0:
            raise ValueError(job)
        return job

    fan: FanOut[int, int] = FanOut(work, 4)
    for job in range(9):
        fan.add(job)
    results = {done.job: done for done in fan.results()}
    assert len(results) == 9
    for job, done in results.items():
        if job % 3:
            assert done == Done(job, job, None)
        else:
            assert isinstance(done.error, ValueError)
            assert done.value is None


def test_what_is_no_exception_ends_the_callers_loop() -> None:
    def work(job: int) -> None:
        raise KeyboardInterrupt

    fan: FanOut[int, None] = FanOut(work, 1)
    fan.add(1)
    with pytest.raises(KeyboardInterrupt):
        list(fan.results())


def test_after_a_stop_only_what_is_in_flight_ends() -> None:
    stop = threading.Event()
    begun = threading.Barrier(3)

    def work(job: int) -> int:
        begun.wait(10)
        stop.wait(10)
        return job

    def stop_once_begun() -> None:
        begun.wait(10)
        stop.set()

    fan: FanOut[int, int] = FanOut(work, 2)
    for job in range(6):
        fan.add(job)
    helper = threading.Thread(target=stop_once_begun)
    helper.start()
    finished = sorted(done.job for done in fan.results(stop.is_set))
    helper.join()
    assert finished == [0, 1]


def test_a_thread_goes_on_without_the_caller() -> None:
    """Who takes the results may be slow: the places are not empty meanwhile, nor is more done than can be kept."""
    begun = [threading.Event() for _ in range(20)]
    fan: FanOut[int, None] = FanOut(lambda job: begun[job].set(), 2)
    for job in range(20):
        fan.add(job)
    results = fan.results()
    next(results)
    # Not taken yet: the results of two jobs. Then there is room for no more.
    assert begun[2].wait(10)
    for taken in range(1, 20):
        assert not any(each.is_set() for each in begun[taken + 3 :])
        next(results)
    assert list(results) == []


def test_none_is_begun_before_an_error_was_seen() -> None:
    """What an error means, the caller knows: after a lost journal nothing else may be changed."""
    begun: list[int] = []
    both, seen = threading.Barrier(2), threading.Event()

    def work(job: int) -> None:
        begun.append(job)
        both.wait(10)
        if job == 0:
            raise ValueError(job)
        assert seen.wait(10)

    fan: FanOut[int, None] = FanOut(work, 2)
    for job in range(30):
        fan.add(job)
    for done in fan.results(seen.is_set):
        if done.error is not None:
            assert sorted(begun) == [0, 1]
            seen.set()
    assert sorted(begun) == [0, 1]


def test_stopped_from_the_start() -> None:
    begun: list[int] = []
    fan: FanOut[int, None] = FanOut(begun.append, 2)
    fan.add(1)
    assert list(fan.results(lambda: True)) == []
    assert begun == []


def test_results_come_to_the_callers_thread_in_order_of_completion() -> None:
    gates = [threading.Event() for _ in range(3)]

    def work(job: int) -> int:
        gates[job].wait(10)
        return job

    fan: FanOut[int, int] = FanOut(work, 3)
    for job in range(3):
        fan.add(job)
    order = []
    gates[2].set()
    for done in fan.results():
        order.append(done.job)
        if done.job:
            gates[done.job - 1].set()
    assert order == [2, 1, 0]


def test_a_job_that_waits_gives_up_its_place() -> None:
    """With one place, a job that waits for another would wait for ever."""
    second_ran = threading.Event()

    def work(job: str) -> str:
        if job == "throttled":
            with waiting():
                assert second_ran.wait(10)
        else:
            second_ran.set()
        return job

    fan: FanOut[str, str] = FanOut(work, 1)
    fan.add("throttled")
    fan.add("free")
    assert sorted(done.value or "" for done in fan.results()) == ["free", "throttled"]


def test_who_comes_back_may_hold_what_the_others_need() -> None:
    """One job waits under a lock, and those that take its place need that lock."""
    lock = threading.Lock()
    others = threading.Semaphore(0)

    def work(job: str) -> None:
        if job != "first":
            others.release()
        with lock:
            if job == "first":
                with waiting():
                    assert others.acquire(timeout=10)

    fan: FanOut[str, None] = FanOut(work, 1)
    for job in ("first", "second", "third"):
        fan.add(job)
    done: list[Done[str, None]] = []
    taker = threading.Thread(target=lambda: done.extend(fan.results()), daemon=True)
    taker.start()
    taker.join(20)
    assert sorted(each.job for each in done) == ["first", "second", "third"]


def test_none_is_begun_while_those_that_came_back_are_too_many() -> None:
    begun: list[int] = []
    back, end = threading.Event(), threading.Event()

    def work(job: int) -> None:
        begun.append(job)
        if job == 0:
            with waiting():
                assert back.wait(10)
        elif job == 1:
            back.set()
            assert end.wait(10)

    fan: FanOut[int, None] = FanOut(work, 1)
    for job in range(4):
        fan.add(job)
    for done in fan.results():
        if done.job == 0:
            # It came back while the one was at work that had taken its place: that one alone is, now.
            assert begun == [0, 1]
            end.set()
    assert begun == [0, 1, 2, 3]


@pytest.mark.parametrize(("at_least", "in_all"), [(0, 16), (24, 24)])
def test_not_more_wait_than_a_few_times_the_places(
    monkeypatch: pytest.MonkeyPatch, at_least: int, in_all: int
) -> None:
    """Each is a thread."""
    monkeypatch.setattr(fanout, "_WAITING_AT_LEAST", at_least)
    go_on = threading.Event()
    started: list[int] = []

    def work(job: int) -> None:
        started.append(job)
        with waiting():
            if len(started) >= in_all:
                go_on.set()
            assert go_on.wait(10)

    fan: FanOut[int, None] = FanOut(work, 2)
    for job in range(40):
        fan.add(job)
    results = fan.results()
    next(results)
    # 2 places and 8 times as many that wait, or what is allowed in any case; one more for the job that has ended.
    assert len(started) <= in_all + 2
    assert len(list(results)) == 39


@pytest.mark.parametrize("limit", [1, 2])
def test_one_account_in_all_regions_does_not_fill_the_places_to_wait_in(limit: int) -> None:
    """Whoever is throttled is told to run it again with few places: the others must not pay for that."""
    other_done = threading.Event()

    def work(account: str) -> bool:
        if account == "throttled":
            with waiting():
                return other_done.wait(5)
        other_done.set()
        return True

    fan: FanOut[str, bool] = FanOut(work, limit)
    for account in ("throttled",) * 34 + ("other",):
        fan.add(account)
    assert [done.value for done in fan.results()] == [True] * 35


def test_who_waits_when_the_results_are_left_goes_on() -> None:
    entered, done = threading.Event(), threading.Event()

    def work(job: str) -> None:
        if job == "breaks":
            entered.wait(10)
            raise KeyboardInterrupt
        with waiting():
            entered.set()
        done.set()

    fan: FanOut[str, None] = FanOut(work, 2)
    fan.add("waits")
    fan.add("breaks")
    with pytest.raises(KeyboardInterrupt):
        list(fan.results())
    assert done.wait(10)


def test_outside_of_a_job_waiting_is_nothing() -> None:
    with waiting():
        pass


def test_threads_are_used_again_and_end_with_the_results() -> None:
    fan: FanOut[int, threading.Thread] = FanOut(lambda job: threading.current_thread(), 3)
    for job in range(50):
        fan.add(job)
    threads = {done.value for done in fan.results()}
    assert len(threads) <= 3
    for thread in threads:
        assert thread is not None
        thread.join(10)
        assert not thread.is_alive()


def test_threads_end_where_the_caller_wants_no_more_results() -> None:
    go_on = threading.Event()
    seen: list[threading.Thread] = []

    def work(job: int) -> int:
        seen.append(threading.current_thread())
        if job:
            go_on.wait(10)
        return job

    fan: FanOut[int, int] = FanOut(work, 2)
    for job in (0, 1, 2, 3):
        fan.add(job)
    results = fan.results()
    assert next(results).job == 0
    results.close()  # type: ignore[attr-defined]
    go_on.set()
    for thread in seen:
        thread.join(10)
        assert not thread.is_alive()
