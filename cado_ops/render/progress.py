"""How far the work is: a bar on a terminal, a line now and then elsewhere. Always stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from cado_ops.render.text import is_terminal, write
from cado_ops.visible import sanitize

if TYPE_CHECKING:
    import rich.progress

_PATIENCE = 5.0  # seconds without a word
_PAUSE = 10.0  # seconds between lines


class Progress:
    """Counts what is done in one phase after another. To be used from one thread only.

    Close it before anything else is written to the terminal, or use it as a context manager.
    """

    def __init__(
        self,
        stderr: TextIO,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
    ) -> None:
        self._stderr = stderr
        self._environ = environ
        self._clock = clock
        self._quiet = quiet
        self._started = clock()
        self._spoke = float("-inf")
        self._name = ""
        self._done = 0
        self._total: int | None = None
        self._bar: rich.progress.Progress | None = None
        self._has_bar = not quiet and is_terminal(stderr) and environ.get("TERM") != "dumb"

    def phase(self, name: str, total: int | None = None) -> None:
        """Begins something new, of which there is so much (None: nobody knows)."""
        self._name, self._done, self._total = sanitize(name), 0, total
        if self._has_bar:
            bar = self._bar = self._bar or self._start()
            for task in bar.task_ids:
                bar.remove_task(task)
            bar.add_task(self._name, total=total)
        else:
            self._say()

    def advance(self, n: int = 1) -> None:
        self._done += n
        self._update()

    def grow(self, total: int) -> None:
        """There is so much in all, as it turns out."""
        self._total = total
        self._update()

    def close(self) -> None:
        """Takes the bar off the screen; a new phase may bring it back."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _update(self) -> None:
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.update(task, completed=self._done, total=self._total)
        else:
            self._say()

    def _say(self) -> None:
        now = self._clock()
        if self._quiet or self._has_bar or now - self._started < _PATIENCE or now - self._spoke < _PAUSE:
            return
        self._spoke = now
        of = "" if self._total is None else f" of {self._total}"
        write(self._stderr, f"{self._name}: {self._done}{of}\n")

    def _start(self) -> rich.progress.Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(
            file=self._stderr,
            force_terminal=True,
            no_color=bool(self._environ.get("NO_COLOR")),
            legacy_windows=False,
            highlight=False,
            _environ=self._environ,
        )
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=self._clock,
        )
        bar.start()
        return bar
