"""Journals written: by one process at a time, each line on disk before it counts."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cado_ops.errors import LocalError, RefusedError
from cado_ops.journal.chain import seal
from cado_ops.journal.private import check_private, make_private
from cado_ops.journal.record import SUFFIX, RunRecord, read_run

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

# Before the first change there must be room for the outcomes too: an intent that fits and an outcome that does not
# would leave the run unknown.
RESERVED_BYTES = 1 << 20


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """Writes one run's file. Safe to use from many threads; every `write` is on disk when it returns.

    While it is open no other process can open it: two resumes of one run, or a resume beside the run itself, are
    refused. ``now`` (UTC) dates each record. Raises LocalError where the file cannot be made or written.
    """

    def __init__(self, folder: Path, run_id: str, now: Callable[[], datetime] = _utc_now) -> None:
        self.run_id = run_id
        self._now = now
        self.path = folder / (run_id + SUFFIX)
        self._lock = threading.Lock()
        self._head = ""
        self._lines = 0
        self._fd: int | None = None
        try:
            make_private(folder)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            take_lock(self._fd, run_id)
            _reserve(self._fd)
            _sync_folder(folder)
        except OSError as error:
            if self._fd is not None:
                self.close()
                self.path.unlink(missing_ok=True)
            raise _unwritable(self.path, error) from error

    @classmethod
    def reopen(cls, path: Path, now: Callable[[], datetime] = _utc_now) -> tuple[Journal, RunRecord]:
        """Opens a run's file to go on with it, and reads it, under the lock.

        A torn last line is cut off and kept as a ``recovered`` record. Raises RefusedError where another process
        has the file, where others may write to it, or where a line was changed: nothing is built on a journal that
        cannot be believed.
        """
        journal = cls.__new__(cls)
        journal.path, journal.run_id = path, path.name.removesuffix(SUFFIX)
        journal._now, journal._lock = now, threading.Lock()
        try:
            journal._fd = fd = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            check_private(path)
            take_lock(fd, journal.run_id)
            run = read_run(path)
            if run.edits:
                raise RefusedError(f"{path.name} cannot be gone on with: {run.edits[0]}")
            journal._head, journal._lines = run.head, run.lines
            if run.torn:
                os.ftruncate(fd, path.stat().st_size - len(run.torn))
                journal.write("recovered", torn=run.torn.decode("latin-1"))
        except OSError as error:
            journal.close()
            raise _unwritable(path, error) from error
        except BaseException:
            journal.close()
            raise
        return journal, run

    def write(self, record: str, **fields: Any) -> None:
        """Appends one record and waits until it is on disk."""
        with self._lock:
            if self._fd is None:
                raise LocalError(f"the journal {self.path} is closed")
            at = f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}"
            body = {"record": record, "n": self._lines + 1, "at": at, "prev": self._head, **fields}
            line, head = seal(body)
            size = os.fstat(self._fd).st_size
            try:
                _write_all(self._fd, line)
                os.fsync(self._fd)
            except OSError as error:
                # Half a line would spoil what may still come: the outcomes of calls in flight.
                with suppress(OSError):
                    os.ftruncate(self._fd, size)
                raise _unwritable(self.path, error) from error
            self._lines += 1
            self._head = head

    def close(self) -> None:
        """Closes the file and gives up its lock; the journal takes no more records."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            # The number may be another file's soon.
            self._fd = None


def take_lock(fd: int, run_id: str) -> None:
    """Locks an open journal until it is closed or the process ends, however. Raises RefusedError."""
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RefusedError(
            f"the run {run_id} is still at work, or is being resumed", "wait for it, or end that process"
        ) from None


def is_open(path: Path) -> bool:
    """Whether some process is at work on this run."""
    fd = os.open(path, os.O_RDONLY)
    try:
        take_lock(fd, path.name)
    except RefusedError:
        return True
    finally:
        os.close(fd)
    return False


def new_run_id(now: datetime, random_hex: Callable[[], str]) -> str:
    """A run id such as 20261123T174501Z-7f3a9c: sorts by time, six hex digits against collisions."""
    return f"{now:%Y%m%dT%H%M%SZ}-{random_hex()}"


def _reserve(fd: int) -> None:
    """Fails now, before any change, where the disk is full."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(fd, 0, RESERVED_BYTES)
        os.ftruncate(fd, 0)
    except OSError as error:
        # Some file systems cannot reserve: that says nothing about room.
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync_folder(folder: Path) -> None:
    """The new file's name must survive a power loss as well."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritable(path: Path, error: OSError) -> LocalError:
    return LocalError(
        f"the journal cannot be written ({path}: {error.strerror}), and nothing is changed without one",
        "free some room, or choose another folder with --journal-dir",
    )
