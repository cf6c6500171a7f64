"""One bench for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.bench import Bench, bench


@pytest.fixture(scope="package")
def _place() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture
def place(_place: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, with the environment that leads to it, calm and with one thing done at a time."""
    for name, value in _place.environ.items():
        monkeypatch.setenv(name, value)
    _place.concurrency, _place.virtual = 1, False
    return _place
