"""Values as text for people, and streams that may be no terminal and may not speak UTF-8."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TextIO

from cado_ops.visible import sanitize

_PLAIN = str.maketrans({"─": "-", "…": "~", "→": ">", "·": "|"})


def plain(value: Any) -> str:
    """A JSON-like value as one safe line for people."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)}={plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return sanitize(str(value))


def ago(moment: str, now: datetime) -> str:
    """A time of an item (ISO 8601), as people say it: ``3 d ago``, ``in 5 h``; what is no time stays as it is."""
    try:
        seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    except (TypeError, ValueError):
        return plain(moment)
    size = abs(seconds)
    # Two days are told in hours: a due time of 36 h is neither one day nor two.
    for unit, length, least in (("d", 86400, 172800), ("h", 3600, 7200), ("min", 60, 60)):
        if size >= least:
            words = f"{size / length:.0f} {unit}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"


def cut(things: Iterable[str], limit: int) -> list[str]:
    """The first ``limit`` of the things, and how many there are besides."""
    everything = list(things)
    more = len(everything) - limit
    return everything if more <= 0 else [*everything[:limit], f"… and {more} more"]


def count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def speaks_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def room(stream: TextIO, environ: Mapping[str, str], width: int | None) -> int | None:
    """How many columns there are; None where nobody said (a pipe): then nothing has to be cut off."""
    columns = environ.get("COLUMNS", "")
    if width is not None:
        return width
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def write(stream: TextIO, text: str) -> None:
    """Writes and flushes; a stream that lacks a character gets a stand-in, never an exception."""
    if not speaks_unicode(stream):
        text = text.translate(_PLAIN).encode(stream.encoding, "backslashreplace").decode(stream.encoding)
    stream.write(text)
    stream.flush()
