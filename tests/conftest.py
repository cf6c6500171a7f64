"""For every test: no network but loopback, no AWS configuration of this machine, a home of its own."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.sdk import without_moto

# Timings are no verdict on a shared machine.
settings.register_profile("cado-ops", deadline=None)
settings.load_profile("cado-ops")

# With moto and a simulated organisation in memory, looking for garbage takes longer than there is garbage to find.
gc.set_threshold(50_000, 20, 50)

if os.environ.get("STOCK_BOTOCORE"):
    # The whole suite without what makes the program fast: STOCK_BOTOCORE=1 scripts/test tests
    from tests.stock import use_stock_botocore

    use_stock_botocore(pytest.MonkeyPatch())


def _loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a unix socket
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _without_moto() -> Iterator[None]:
    with without_moto():
        yield


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if not _loopback(address):
            raise PermissionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "CADO_OPS_", "XDG_")) or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
