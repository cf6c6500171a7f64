"""Ctrl-C and SIGTERM: outside of changes they end the program at once; within, what is in flight is finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Turns the two signals into KeyboardInterrupt, or, inside `deferred`, the first of them into a flag."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._deferring = False

    def stopped(self) -> bool:
        """Whether nothing new may be started."""
        return self._stop.is_set()

    def sleep(self, seconds: float) -> None:
        """Waits, but no longer than until a stop."""
        self._stop.wait(seconds)

    def stop(self) -> None:
        """Asks for a stop, as the first signal does."""
        self._stop.set()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The handlers, put back as they were afterwards. Only the main thread may set them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While changes are made: the first signal stops what has not begun, the second stops everything."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferring or self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
