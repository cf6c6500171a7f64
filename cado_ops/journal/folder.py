"""The journals of a folder: all of them in their order, and the one that a name means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cado_ops.errors import CadoOpsError, UsageError
from cado_ops.journal.private import check_folder, check_private
from cado_ops.journal.record import SUFFIX, RunRecord, read_run

_RUN_FILE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]+\.jsonl")
# 20261123T174501Z, at the beginning of a run id.
_STAMP = 16


def run_files(folder: Path) -> list[Path]:
    """The files of all runs, oldest first; none where the folder is not there.

    Runs of the same second are ordered by when they were last written to.
    """
    if not folder.is_dir():
        return []
    files = [path for path in folder.iterdir() if _RUN_FILE.fullmatch(path.name) and path.is_file()]
    return sorted(files, key=lambda path: (path.name[:_STAMP], path.stat().st_mtime_ns, path.name))


def read_runs(folder: Path, left_out: Callable[[Path, CadoOpsError], None]) -> Iterator[RunRecord]:
    """All runs, oldest first. One that cannot be read costs none of the others: it is told to ``left_out``."""
    for path in run_files(folder):
        try:
            yield read_run(path)
        except CadoOpsError as error:
            left_out(path, error)


def read_own_runs(folder: Path, left_out: Callable[[Path, CadoOpsError], None]) -> Iterator[RunRecord]:
    """All runs that nobody else can have written, oldest first; the others, too, are told to ``left_out``.

    Raises RefusedError where others may write to the whole folder.
    """
    if folder.is_dir():
        check_folder(folder)
    for path in run_files(folder):
        try:
            check_private(path)
            yield read_run(path)
        except CadoOpsError as error:
            left_out(path, error)


def find_run(folder: Path, name: str) -> Path:
    """The file of the run that ``name`` means: ``last``, a run id, or a prefix that only one has.

    Raises UsageError.
    """
    if not name:
        raise UsageError("RUN is empty", "name a run: cado-ops runs list shows which there are")
    files = run_files(folder)
    if name == "last" and files:
        return files[-1]
    matching = [path for path in files if path.name.startswith(name)]
    exact = [path for path in matching if path.name == name + SUFFIX]
    if exact or len(matching) == 1:
        return (exact or matching)[0]
    if matching:
        raise UsageError(f"{len(matching)} runs begin with {name!r}", "give more of the run id: cado-ops runs list")
    raise UsageError(f"there is no run {name!r} in {folder}", "cado-ops runs list shows which there are")
