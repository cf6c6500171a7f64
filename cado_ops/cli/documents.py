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


def write_file(path: Path, document: bytes) -> None:
    """A new file for this user alone."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        raise UsageError(f"--out: {path} is there already", "choose another name") from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> LocalError:
    return LocalError(f"--out: {path} cannot be written: {getattr(error, 'strerror', None) or error}")
