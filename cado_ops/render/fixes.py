"""Command lines to be pasted, put together where they differ only in an id. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from cado_ops import shell

_ID = re.compile("(?:i|vol)-[0-9a-f]+")
# An id in words, with what is told of it alone: "vol-0123 (20 GiB): " at the beginning, a key's, a hybrid node's.
_TOLD_FIRST = re.compile(r"^vol-[0-9a-f]+(?: \(\d+ GiB\))?: ")
_TOLD = re.compile(
    r"\b(?:(?:i|vol|mi)-[0-9a-f]{8,}|(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))\b"
)
# What takes several values after its name; SetInstanceProtection takes no more than 50 (EC2 Auto Scaling API).
_LISTS = ("--instance-ids", "--resources")
_AT_ONCE = 50


def without_ids(text: str) -> str:
    """Words of which only the ids tell that they are about two things: the same for both."""
    return _TOLD.sub("…", _TOLD_FIRST.sub("", text))


def verb(line: str) -> str | None:
    """What a command line does, without to what: its words before the id. None where there is no id, or several."""
    parsed = _parsed(line)
    return None if parsed is None else " ".join(parsed[0])


def joined(lines: Iterable[str]) -> list[str]:
    """The command lines, in order; those that differ only in an id of an instance or a volume have become one.

    Whatever is not understood stays as it is. A command that takes one id alone is told in a loop of the shell.
    """
    groups: dict[object, tuple[str, dict[str, None]]] = {}
    for line in lines:
        parsed = _parsed(line)
        alike = line if parsed is None else (parsed[0], parsed[2])
        _, ids = groups.setdefault(alike, (line, {}))
        ids[line if parsed is None else parsed[1]] = None
    return [each for line, ids in groups.values() for each in _lines(line, tuple(ids))]


def _parsed(line: str) -> tuple[tuple[str, ...], str, tuple[str, ...]] | None:
    if "$'" in line:  # which shlex does not know
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    places = [place for place, word in enumerate(words) if _ID.fullmatch(word)]
    if len(places) != 1:
        return None
    place = places[0]
    return tuple(words[:place]), words[place], tuple(words[place + 1 :])


def _lines(line: str, ids: Sequence[str]) -> list[str]:
    parsed = _parsed(line)
    if parsed is None or len(ids) == 1:
        return [line]
    before, _, after = parsed
    option = before[-1]
    pieces = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    if not option.startswith("--") or option in _LISTS:
        return [shell.join((*before, *piece, *after)) for piece in pieces]
    if before[0] == "cado-ops":
        named = [[word for each in piece for word in (option, each)] for piece in pieces]
        return [shell.join((*before[:-1], *piece, *after)) for piece in named]
    return [f'for id in {shell.join(ids)}; do {shell.join(before)} "$id" {shell.join(after)}; done']
