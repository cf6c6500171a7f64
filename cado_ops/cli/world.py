"""What a command finds around it: streams, environment, clocks, chance. Passed in, so that tests can choose."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from cado_ops.errors import UsageError

# Larger inputs are a mistake (a wrong file), and would only fill the memory.
MAX_STDIN = 16 * 1024 * 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


def open_at_once(path: str | Path) -> TextIO:
    """A file as UTF-8 text. Of a pipe that nobody has open to write to, nothing is read: no waiting for somebody.

    What is written to a pipe is waited for, as it is on stdin. Raises OSError, ValueError.
    """
    return open(path, encoding="utf-8", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    if not hasattr(os, "O_NONBLOCK"):
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "that is no path"


@dataclass
class World:
    """``now`` is the wall clock (UTC), ``clock`` a monotonic one in seconds."""

    argv: Sequence[str] = ()
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], datetime] = _utc_now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = None
    rng: random.Random = field(default_factory=random.SystemRandom)
    stdin_reader: str | None = None

    def read_stdin(self, reader: str) -> str:
        """All of stdin, for one ``reader`` (an option or argument). Raises UsageError at a second one."""
        if self.stdin_reader is not None:
            raise UsageError(f"- (stdin) is used twice: by {self.stdin_reader} and by {reader}")
        self.stdin_reader = reader
        if self.stdin is None:  # closed by whoever started the program
            raise UsageError(f"{reader}: stdin is closed")
        try:
            text = self.stdin.read(MAX_STDIN + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{reader}: cannot read stdin: {_reason(error)}") from error
        if len(text) > MAX_STDIN:
            raise UsageError(f"{reader}: stdin holds more than {MAX_STDIN // 2**20} MiB")
        if not text.strip():
            raise UsageError(f"{reader}: stdin is empty")
        return text

    def read_file(
        self, path: str, reader: str, check: Callable[[os.stat_result], None] = lambda status: None
    ) -> str:
        """A file's text, or stdin's for ``-``. Raises UsageError.

        ``check`` is shown whose file it is before it is read; what is checked is the very file that is read.
        """
        if path == "-":
            return self.read_stdin(reader)
        try:
            with open_at_once(path) as file:
                check(os.fstat(file.fileno()))
                text = file.read(MAX_STDIN + 1)
        except (OSError, ValueError) as error:
            raise UsageError(f"{reader}: cannot read {path!r}: {_reason(error)}") from error
        if len(text) > MAX_STDIN:
            raise UsageError(f"{reader}: {path!r} holds more than {MAX_STDIN // 2**20} MiB")
        return text
