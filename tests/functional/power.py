"""Power lost in the middle of a run."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cado_ops.journal import Journal, seal

if TYPE_CHECKING:
    from tests.functional.conftest import Cli


class PowerLoss(BaseException):
    """Ends everything at once, as kill -9 does: nothing more is written."""


def arm(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Loses power at the n-th record, before it is written, or half-way (torn)."""
    write = Journal.write

    def at(step: int, torn: bool) -> None:
        count = itertools.count(1)

        def lossy(self: Journal, record: str, **fields: Any) -> None:
            if next(count) == step:
                monkeypatch.setattr(Journal, "write", write)
                if torn:
                    body = {"record": record, "n": self._lines + 1, "prev": self._head, **fields}
                    line, _ = seal(body)
                    assert self._fd is not None
                    os.write(self._fd, line[: len(line) // 2])
                raise PowerLoss
            write(self, record, **fields)

        monkeypatch.setattr(Journal, "write", lossy)

    return at


def cut_off(cli: Cli, argv: tuple[str, ...]) -> tuple[bool, Path | None]:
    """Whether the command was cut off, and the file of the run that it began."""
    known = set(cli.runs())
    try:
        cli.json(*argv)
    except PowerLoss:
        return True, next(iter(set(cli.runs()) - known), None)
    return False, None
