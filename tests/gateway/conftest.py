"""Connections to the AWS of fake_aws.py."""

from __future__ import annotations

import os
from pathlib import Path

import botocore.session
import pytest
from botocore.loaders import Loader

from cado_ops.aws.connection import Connection
from tests.gateway.fake_aws import HOME_KEY, Parts, Wire
from tests.stock import use_stock_botocore

# The service models of botocore, read once for all sessions: half a second each test otherwise.
MODELS = Loader()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    there = Wire()
    monkeypatch.setattr(botocore.session, "create_loader", lambda *_: MODELS)
    there.play(monkeypatch)
    return there


@pytest.fixture
def own_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The caller's own keys in the environment, and no configuration file."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", HOME_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def parts(wire: Wire) -> Parts:
    return Parts(wire)


@pytest.fixture(scope="session", params=[False, True], ids=["short ways", "stock botocore"])
def _stock(request: pytest.FixtureRequest) -> bool:
    """With what makes calls cheaper, and without."""
    without: bool = request.param
    return without


@pytest.fixture(scope="session")
def _shared(_stock: bool) -> tuple[Wire, Parts, Connection]:
    there = Wire()
    shared = Parts(there)
    with pytest.MonkeyPatch.context() as patch:
        if _stock:
            use_stock_botocore(patch)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        there.play(patch)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", HOME_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        connection = shared.connect()
    return there, shared, connection


@pytest.fixture
def line(
    _shared: tuple[Wire, Parts, Connection], _stock: bool, monkeypatch: pytest.MonkeyPatch
) -> tuple[Wire, Connection]:
    """One connection for all tests that need none of their own (making one takes a while), cleared for each."""
    there, shared, connection = _shared
    if _stock:
        use_stock_botocore(monkeypatch)
    there.requests.clear()
    there.replies.clear()
    shared.slept.clear()
    there.play(monkeypatch)
    return there, connection
