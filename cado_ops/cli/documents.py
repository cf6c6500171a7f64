"""A document as a command's answer: on stdout and nothing else, or in a new file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from cado_ops.errors import LocalError, UsageError


def write_out(stream: TextIO, document: bytes) -> None:
    """As bytes where the stream has any: what is hashed must not pass through line ends and encodings."""
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(document.decode("utf-8", "surrogateescape"))
        return
    stream.flush()
    binary.write(document)
    binary.flush()


def must_be_new(path: Path, option: str) -> None:
    """Says what `write_file` would say, before anything is done that takes long. Raises UsageError."""
    if str(path) == "-":
        raise UsageError(f"{option} takes a file: stdout has the report")
    if os.path.lexists(path):
        raise _there(path, option)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: {path.parent} is no folder that you may write to", "choose another one")


def write_file(path: Path, document: bytes, option: str = "--out") -> None:
    """A new file for this user alone."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        raise _there(path, option) from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error, option) from error
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error, option) from error


def _there(path: Path, option: str) -> UsageError:
    return UsageError(f"{option}: {path} is there already", "choose another name")


def _unwritable(path: Path, error: Exception, option: str) -> LocalError:
    return LocalError(f"{option}: {path} cannot be written: {getattr(error, 'strerror', None) or error}")
