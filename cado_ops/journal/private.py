"""Who may write to journals: nobody but their owner. Who could, could have them say what is to be undone."""

from __future__ import annotations

import os
from pathlib import Path

from cado_ops.errors import LocalError, RefusedError
from cado_ops.shell import as_path, quote

_OTHERS_MAY_WRITE = 0o022
_ROOT = 0


def make_private(folder: Path) -> None:
    """Makes ``folder`` for this user alone; one that others may write to, or own, is refused (LocalError)."""
    is_new = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "posix":
        return
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise LocalError(f"the journal folder {folder} belongs to another user", "choose one with --journal-dir")
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise LocalError(
            f"others may write to the journal folder {folder}", f"chmod 700 {quote(as_path(str(folder)))}"
        )
    if is_new:
        # Whatever the umask took away. One that was there before keeps its mode: it may be anybody's home.
        folder.chmod(0o700)


def check_private(path: Path) -> None:
    """Refuses a run's file, or its folder, that anybody but this user and root may write to (RefusedError).

    For whatever acts on a journal (what is put back, and with which role, stands in it), and whatever shows it or
    hands it over as evidence. Root may write anywhere.
    """
    check_folder(path.parent)
    _check(path, "the journal", "600")


def check_folder(folder: Path) -> None:
    """Refuses a journal folder that anybody but this user and root may write to (RefusedError)."""
    _check(folder, "the journal folder", "700")


def _check(place: Path, what: str, mode: str) -> None:
    if os.name != "posix":
        return
    try:
        status = place.stat()
    except OSError as error:
        raise LocalError(f"{what} {place} cannot be looked at: {error.strerror}") from error
    if status.st_uid not in (os.getuid(), _ROOT):
        raise RefusedError(
            f"{what} {place} belongs to another user", "look at it, and go on from a copy of your own"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise RefusedError(
            f"others may write to {what} {place}", f"look at it, then: chmod {mode} {quote(as_path(str(place)))}"
        )
