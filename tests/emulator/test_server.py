"""The emulator itself: alone on loopback, gone when it should be, and never silently missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.emulator import server
from tests.emulator.conftest import HOME, Organisation
from tests.emulator.server import Emulator, EmulatorError


def test_a_reset_forgets_everything(organisation: Organisation):
    organisation.key()
    organisation.emulator.reset()
    assert organisation.root("kms").list_keys()["Keys"] == []
    assert organisation.root("iam", HOME).list_roles()["Roles"] == []


def test_it_ends_with_the_process_that_started_it(tmp_path: Path):
    program = (
        "import pathlib, sys, time\n"
        "from tests.emulator.server import Emulator\n"
        "emulator = Emulator(pathlib.Path(sys.argv[1]))\n"
        "emulator.start()\n"
        "print(emulator._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    until = time.monotonic() + server.STOP_SECONDS
    while _is_alive(pid):
        assert time.monotonic() < until, "the server outlives what started it"
        time.sleep(0.01)


def test_what_does_not_start_is_an_error_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no such emulator')")
    monkeypatch.setattr(server, "SERVE", broken)
    with pytest.raises(EmulatorError, match="no such emulator"):
        Emulator(tmp_path).start()


def test_what_is_not_installed_is_an_error_that_says_how(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "prefix", os.devnull)
    with pytest.raises(EmulatorError, match="scripts/test"):
        server.interpreter()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Without a parent that waits for it, what has ended may stay as a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z " not in stat.read_text()
