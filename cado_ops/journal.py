"""The journal: one append-only file a run, intent before act, outcome after, each line on disk before it counts.

A line is a JSON object that ends in its own SHA-256; the hash covers everything before it, and ``prev``, the hash
of the line before. So a single changed byte is found. It proves nothing against somebody who can rewrite the
whole file: for that, keep the last hash ("head") somewhere else.

Records, in order: ``run`` (who, where, what for), ``plan`` (the changes of one cell), ``failure`` (a target that
was not read), then for each call an ``intent`` before it and an ``outcome`` after it, and one more ``outcome``
where a second look at AWS says otherwise; last ``end``. A file without ``end`` is a run that was cut off; what has
an intent and no outcome is unknown. A ``resume`` goes on from there, up to another ``end``; a line that a crash
tore is kept in a ``recovered`` record.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cado_ops.errors import LocalError, RefusedError, UsageError

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

JOURNAL_VERSION = 1
SUFFIX = ".jsonl"
# Before the first change there must be room for the outcomes too: an intent that fits and an outcome that does not
# would leave the run unknown.
RESERVED_BYTES = 1 << 20

_MARK = b',"hash":"'
_TAIL = len(_MARK) + 64 + len(b'"}')


class Journal:
    """Writes one run's file. Safe to use from many threads; every `write` is on disk when it returns.

    While it is open no other process can open it: two resumes of one run, or a resume beside the run itself, are
    refused. Raises LocalError where the file cannot be made or written.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self.run_id = run_id
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
    def reopen(cls, path: Path) -> tuple[Journal, RunRecord]:
        """Opens a run's file to go on with it, and reads it, under the lock.

        A torn last line is cut off and kept as a ``recovered`` record. Raises RefusedError where another process
        has the file, or where a line was changed: nothing is built on a journal that cannot be believed.
        """
        journal = cls.__new__(cls)
        journal.path, journal.run_id = path, path.name.removesuffix(SUFFIX)
        journal._lock = threading.Lock()
        try:
            journal._fd = fd = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
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
            body = {"record": record, "n": self._lines + 1, "prev": self._head, **fields}
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


@dataclass
class RunRecord:
    """A run as its file tells it. ``head`` is the last line's hash, ``torn`` what a crash left of one more.

    ``results`` has the last known result of each (account, region, instance id) that the run began to change:
    {"outcome", "error", "warnings", "tags_after", "request_id"}. ``begun`` are those with an intent; an intent
    without an outcome leaves the outcome ``unknown``.
    """

    path: Path
    header: dict[str, Any] = field(default_factory=dict)
    plan: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    results: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    begun: set[tuple[str, str, str]] = field(default_factory=set)
    resumes: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None
    head: str = ""
    lines: int = 0
    torn: bytes = b""
    edits: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    @property
    def problems(self) -> list[str]:
        """What is wrong with the file: lines that were changed, and a last one that a crash tore."""
        torn = [f"line {self.lines + 1} is torn: the run was cut off while it was written"] if self.torn else []
        return self.edits + torn


def seal(body: dict[str, Any]) -> tuple[bytes, str]:
    """A record's line, with its hash as the last key, and that hash."""
    raw = json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()[:-1]
    head = hashlib.sha256(raw).hexdigest()
    return raw + _MARK + head.encode() + b'"}\n', head


def unseal(line: bytes, previous: str) -> dict[str, Any]:
    """The record of a line without its newline. Raises ValueError where the line was changed."""
    raw, mark, tail = line[:-_TAIL], line[-_TAIL : -_TAIL + len(_MARK)], line[-66:]
    if mark != _MARK or tail[-2:] != b'"}' or hashlib.sha256(raw).hexdigest().encode() != tail[:-2]:
        raise ValueError("its hash does not match")
    body: dict[str, Any] = json.loads(line)
    if body["prev"] != previous:
        raise ValueError("it does not follow the line before")
    return body


def read_run(path: Path) -> RunRecord:
    """Reads a run's file whole; what is wrong with it stands in its ``problems``. Raises LocalError, UsageError."""
    run = RunRecord(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise LocalError(f"the journal {path} cannot be read: {error.strerror}") from error
    run.torn = lines[-1]
    changed = False
    for number, line in enumerate(lines[:-1], 1):
        try:
            body = unseal(line, run.head)
        except (ValueError, KeyError, TypeError) as error:
            run.edits.append(f"line {number} was changed: {error}")
            changed = True
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                body = json.loads(line)
                if isinstance(body, dict):
                    _take(run, body)
            run.head = line[-66:-2].decode("ascii", "replace")
            continue
        run.head, run.lines = body["hash"], number
        _take(run, body)
    version = run.header.get("format_version")
    if version is not None and version != JOURNAL_VERSION and not changed:
        raise UsageError(f"{path.name} has journal format {version}; this version reads {JOURNAL_VERSION}")
    return run


def _take(run: RunRecord, body: dict[str, Any]) -> None:
    match body.get("record"):
        case "run":
            run.header = body
        case "plan":
            run.plan += body["changes"]
        case "failure":
            run.failures.append(body["failure"])
        case "intent":
            unknown = {"outcome": "unknown", "error": None, "warnings": ["no outcome was journaled"]}
            for instance_id in body["ids"]:
                key = (body["account"], body["region"], instance_id)
                run.begun.add(key)
                run.results[key] = unknown
        case "outcome":
            for instance_id, result in body["results"].items():
                run.results[body["account"], body["region"], instance_id] = result
        case "resume":
            run.resumes.append(body)
            run.end = None
        case "end":
            run.end = body
        case "recovered":
            pass
        case other:
            run.edits.append(f"a record of the unknown kind {other!r}")


def run_files(folder: Path) -> list[Path]:
    """The files of all runs, oldest first; none where the folder is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))


def find_run(folder: Path, name: str) -> Path:
    """The file of the run that ``name`` means: ``last``, a run id, or a prefix that only one has.

    Raises UsageError.
    """
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


def new_run_id(now: datetime, random_hex: Callable[[], str]) -> str:
    """A run id such as 20261123T174501Z-7f3a9c: sorts by time, six hex digits against collisions."""
    return f"{now:%Y%m%dT%H%M%SZ}-{random_hex()}"


def make_private(folder: Path) -> None:
    """Makes ``folder`` for this user alone; one that others may write to, or own, is refused (LocalError)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "posix":
        return
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise LocalError(f"the journal folder {folder} belongs to another user", "choose one with --journal-dir")
    if status.st_mode & 0o022:
        raise LocalError(f"others may write to the journal folder {folder}", f"chmod 700 {folder}")
    folder.chmod(0o700)


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
