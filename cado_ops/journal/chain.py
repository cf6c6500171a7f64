"""The form of a journal's lines: each with its own hash and that of the line before. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

JOURNAL_VERSION = 1

_MARK = b',"hash":"'
_TAIL = len(_MARK) + 64 + len(b'"}')
_SEAL = re.compile(_MARK + rb'[0-9a-f]{64}"\}')


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


def is_beginning(piece: bytes, previous: str) -> bool:
    """Whether a last piece without its newline may be what a crash left of a line: the line's beginning, no more.

    A whole record may be: just its newline is missing. A whole record and anything after it was never written so.
    """
    for found in _SEAL.finditer(piece):
        if found.end() < len(piece) and _opens(piece[: found.end()], previous):
            return False
    return True


def _opens(line: bytes, previous: str) -> bool:
    try:
        unseal(line, previous)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return True
