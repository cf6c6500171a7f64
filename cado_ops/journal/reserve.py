"""Room on the disk that is held for what a run will still have to journal."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

# Given back in small pieces: what is free again, any other process may take. Some blocks, for file systems that
# need one or two for themselves.
PIECE = 1 << 14
_CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


class Reserve:
    """A file without a name, as long as the room that is held.

    It takes its room beside the journal and not in it, so that the journal always ends with its last line.
    Having no name, it goes with its process, however that ends. Raises OSError where there is no room.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".reserve-", buffering=0)  # noqa: SIM115
        self._size = 0

    def hold(self, size: int) -> None:
        """Holds ``size`` bytes, or what it holds already if that is more."""
        if size > self._size:
            _allocate(self._file.fileno(), self._size, size - self._size)
            self._size = size

    def release(self, at_least: int) -> bool:
        """Gives back some of it; False where nothing is left."""
        if not self._size:
            return False
        self._size = max(0, self._size - (PIECE + at_least))
        os.ftruncate(self._file.fileno(), self._size)
        # Some file systems have the room free again only when that is on disk.
        with suppress(OSError):
            os.fsync(self._file.fileno())
        return True

    def close(self) -> None:
        self._file.close()


def _allocate(fd: int, start: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, start, size)
        except OSError as error:
            # Some file systems cannot: that says nothing about room.
            if error.errno not in _CANNOT_RESERVE:
                raise
        else:
            return
    os.lseek(fd, start, os.SEEK_SET)
    zeros = bytes(1 << 20)
    while size:
        size -= os.write(fd, zeros[:size])
