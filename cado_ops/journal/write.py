"""Journals written: by one process at a time, each line on disk before it counts."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cado_ops.errors import LocalError, RefusedError
from cado_ops.journal.chain import seal
from cado_ops.journal.private import check_private, make_private
from cado_ops.journal.record import SUFFIX, RunRecord, read_run
from cado_ops.journal.reserve import Reserve

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

# Before the first change there must be room for all that follows: an intent that fits and an outcome that does not
# would leave the run unknown. A change takes some 500 bytes in the plan; its intents and outcomes, the longest of
# AWS's errors among them, stay below this many times that.
RESERVED_BYTES = 1 << 20
RESERVED_TIMES = 8
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

# On Windows a text file's line ends would be turned into two bytes, and no hash would match.
BINARY = getattr(os, "O_BINARY", 0)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """Writes one run's file. Safe to use from many threads; every `write` is on disk when it returns, but for those
    `at_once`.

    While it is open no other process can open it: two resumes of one run, or a resume beside the run itself, are
    refused. It holds room on the disk for what is to come (`hold_room`), and takes it where the disk is full.
    ``now`` (UTC) dates each record. Raises LocalError where the file cannot be made or written.
    """

    # Of the class, so that both ways of making one begin with them.
    _fd: int | None = None
    _head = ""
    _lines = 0
    _torn = b""
    _whole = 0
    _begun = False
    _waits = True
    _reserve: Reserve | None = None
    _failure: LocalError | None = None

    def __init__(self, folder: Path, run_id: str, now: Callable[[], datetime] = _utc_now) -> None:
        self.run_id = run_id
        self._now = now
        self.path = folder / (run_id + SUFFIX)
        self._lock = threading.Lock()
        try:
            make_private(folder)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | BINARY, 0o600)
            take_lock(self._fd, run_id)
            self._hold(RESERVED_BYTES)
            _sync_folder(folder)
        except OSError as error:
            if self._fd is not None:
                self.discard()
            raise self._unwritable(error) from error

    @classmethod
    def reopen(cls, path: Path, now: Callable[[], datetime] = _utc_now) -> tuple[Journal, RunRecord]:
        """Opens a run's file to go on with it, and reads it, under the lock.

        Nothing is changed in it before the first `write`, which cuts off a torn last line and keeps it as a
        ``recovered`` record. Raises RefusedError where another process has the file, where others may write to it,
        or where a line was changed: nothing is built on a journal that cannot be believed.
        """
        journal = cls.__new__(cls)
        journal.path, journal.run_id = path, path.name.removesuffix(SUFFIX)
        journal._now, journal._lock = now, threading.Lock()
        try:
            journal._fd = fd = os.open(path, os.O_RDWR | os.O_APPEND | BINARY)
        except OSError as error:
            raise journal._unwritable(error) from error
        try:
            check_private(path)
            take_lock(fd, journal.run_id)
            run = read_run(path)
            if run.edits:
                raise RefusedError(f"{path.name} cannot be gone on with: {run.edits[0]}")
            journal._head, journal._lines = run.head, run.lines
            journal._torn, journal._begun = run.torn, bool(run.begun)
            journal._whole = os.fstat(fd).st_size - len(run.torn)
        except BaseException:
            journal.close()
            raise
        return journal, run

    def hold_room(self) -> None:
        """Holds room for what is to follow on the plan that was written, until `close`. Raises LocalError."""
        with self._lock:
            try:
                self._hold(RESERVED_BYTES + RESERVED_TIMES * self.path.stat().st_size)
            except OSError as error:
                raise self._unwritable(error) from error

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is written within is on disk at its end, all of it by one wait. Raises LocalError.

        For a plan: nothing is begun before all of it is there, and a wait a record takes seconds where they are
        thousands.
        """
        self._waits = False
        try:
            yield
        finally:
            self._waits = True
        with self._lock:
            try:
                if self._fd is not None:
                    os.fsync(self._fd)
            except OSError as error:
                self._failure = self._unwritable(error)
                raise self._failure from error

    def write(self, record: str, **fields: Any) -> None:
        """Appends one record and waits until it is on disk.

        After one that could not be written no intent is taken any more: outcomes of what is in flight are.
        """
        with self._lock:
            if self._fd is None:
                raise LocalError(f"the journal {self.path} is closed")
            if self._failure is not None and record == "intent":
                raise self._failure
            if self._torn:
                try:
                    os.ftruncate(self._fd, self._whole)
                except OSError as error:
                    raise self._unwritable(error) from error
                self._append(self._fd, "recovered", {"torn": self._torn.decode("latin-1")})
                self._torn = b""
            self._append(self._fd, record, fields)
            self._begun = self._begun or record == "intent"

    def _append(self, fd: int, record: str, fields: dict[str, Any]) -> None:
        at = f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}"
        line, head = seal({"record": record, "n": self._lines + 1, "at": at, "prev": self._head, **fields})
        size = os.fstat(fd).st_size
        while True:
            try:
                _write_all(fd, line)
                if self._waits:
                    os.fsync(fd)
                break
            except OSError as error:
                # Half a line would spoil what may still come: the outcomes of calls in flight.
                with suppress(OSError):
                    os.ftruncate(fd, size)
                if error.errno in _NO_ROOM and self._reserve is not None and self._reserve.release(len(line)):
                    continue
                self._failure = self._unwritable(error)
                raise self._failure from error
        self._lines += 1
        self._head = head

    def _hold(self, size: int) -> None:
        if self._reserve is None:
            self._reserve = Reserve(self.path.parent)
        self._reserve.hold(size)

    def discard(self) -> None:
        """Closes the file, and removes it where no intent is in it: a run that never began to change anything."""
        begun = self._begun
        self.close()
        if not begun:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file and gives up its lock and its room; the journal takes no more records."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            # The number may be another file's soon.
            self._fd = None
            if self._reserve is not None:
                self._reserve.close()
                self._reserve = None

    def _unwritable(self, error: OSError) -> LocalError:
        what = f"the journal cannot be written ({self.path}: {error.strerror})"
        rest = ", and nothing is changed without one"
        if self._begun:
            rest = ": changes may have been made, and no more are made without one"
        is_new = not (self._begun or self._whole)
        return LocalError(
            what + rest,
            "free some room, or choose another folder with --journal-dir"
            if is_new
            else f"free some room, then go on: cado-ops runs resume {self.run_id}",
        )


def take_lock(fd: int, run_id: str, *, shared: bool = False) -> None:
    """Locks an open journal until it is closed or the process ends, however. Raises RefusedError, LocalError.

    Beside a ``shared`` lock, which a file that is open for reading takes, there may be others of its kind.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RefusedError(
            f"the run {run_id} is still at work, or is being resumed or undone", "wait for it, or end that process"
        ) from None
    except OSError as error:
        raise LocalError(f"the journal of {run_id} cannot be locked: {error.strerror}") from error


def is_open(path: Path) -> bool:
    """Whether some process is at work on this run."""
    fd = os.open(path, os.O_RDONLY | BINARY)
    try:
        take_lock(fd, path.name, shared=True)
    except RefusedError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps every other process from going on with this run, or undoing it, meanwhile. Raises RefusedError."""
    try:
        fd = os.open(path, os.O_RDWR | BINARY)
    except OSError as error:
        raise LocalError(f"the journal {path} cannot be opened: {error.strerror}") from error
    try:
        take_lock(fd, path.name.removesuffix(SUFFIX))
        yield
    finally:
        os.close(fd)


def new_run_id(now: datetime, random_hex: Callable[[], str]) -> str:
    """A run id such as 20261123T174501Z-7f3a9c: sorts by time, six hex digits against collisions."""
    return f"{now:%Y%m%dT%H%M%SZ}-{random_hex()}"


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
