"""The two ways to start a sandbox: around one command, or in the foreground for others to use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from cado_ops.sandbox.environment import apply_environment, format_environment
from cado_ops.sandbox.server import Sandbox

NOTICE = "sandbox: a simulated AWS on this machine; it does not enforce IAM, so what works here may be denied there"


def run(command: Sequence[str] = (), *, stderr: TextIO | None = None) -> int:
    """Run one command (or ``$SHELL``) in a fresh sandbox, end the sandbox, and return the exit code.

    Ctrl-C goes to the command, as it would without a sandbox around it. A command that cannot be started
    gives 127 or 126, one ended by a signal 128 and its number, as in a shell.
    """
    stderr = stderr or sys.stderr
    arguments = list(command) or [os.environ.get("SHELL") or "/bin/sh"]
    with Sandbox() as sandbox:
        print(NOTICE, file=stderr, flush=True)
        try:
            child = subprocess.Popen(arguments, env=apply_environment(sandbox.environment()))
        except OSError as error:
            print(f"sandbox: {arguments[0]}: {error.strerror}", file=stderr)
            return 127 if isinstance(error, FileNotFoundError) else 126
        with _Signals(child):
            code = child.wait()
    return code if code >= 0 else 128 - code


def serve(
    port: int = 0,
    *,
    shell: str = "sh",
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Serve in the foreground until Ctrl-C or SIGTERM; print what to set, for a ``shell`` or as ``json``."""
    stdout, stderr = stdout or sys.stdout, stderr or sys.stderr
    ended = threading.Event()
    with Sandbox(port) as sandbox, _Signals(ended):
        print(format_environment(sandbox.environment(), shell), file=stdout, flush=True)
        print(NOTICE, file=stderr)
        print(f"sandbox: {sandbox.endpoint_url}, until Ctrl-C", file=stderr, flush=True)
        while not ended.wait(0.2):
            pass
    return 0


class _Signals:
    """Hands Ctrl-C and SIGTERM over: to a child (which has had its own Ctrl-C already), or to an event.

    Handlers can be set in the main thread only; elsewhere the signals keep their meaning.
    """

    def __init__(self, target: subprocess.Popen[bytes] | threading.Event) -> None:
        self._target = target
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: object) -> None:
        if isinstance(self._target, threading.Event):
            self._target.set()
        elif number == signal.SIGTERM:
            self._target.terminate()
