"""Ctrl-C and SIGTERM, in and out of changes."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from cado_ops.workflow.interrupts import Interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@BOTH
def test_outside_of_changes_it_ends_at_once(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with pytest.raises(KeyboardInterrupt), interrupts.installed():
        signal.raise_signal(number)
    assert not interrupts.stopped()


@BOTH
def test_within_changes_the_first_is_a_flag(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.deferred():
        signal.raise_signal(number)
        assert interrupts.stopped()
    assert interrupts.stopped(), "and stays one: the report says interrupted"


@BOTH
def test_the_second_ends_at_once(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.installed(), interrupts.deferred():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_after_changes_it_ends_at_once_again() -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        with interrupts.deferred():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_an_error_within_changes_ends_the_deferral() -> None:
    interrupts = Interrupts()
    with interrupts.installed():
        with pytest.raises(ValueError, match="x"), interrupts.deferred():
            raise ValueError("x")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_are_put_back_whatever_happens() -> None:
    before = handlers()
    with pytest.raises(ValueError, match="x"), Interrupts().installed():
        raise ValueError("x")
    assert handlers() == before


def test_the_handlers_are_set_while_they_are_wanted() -> None:
    before = handlers()
    with Interrupts().installed():
        assert not set(handlers()) & set(before)
    assert handlers() == before


def test_in_another_thread_no_handler_is_touched() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with Interrupts().installed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_stop_ends_every_sleep() -> None:
    interrupts = Interrupts()
    sleepers = [threading.Thread(target=interrupts.sleep, args=(60,)) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()
    interrupts.stop()
    for sleeper in sleepers:
        sleeper.join(10)
    assert not any(sleeper.is_alive() for sleeper in sleepers)
    interrupts.sleep(60)
