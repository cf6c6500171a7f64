"""JSON that remembers where it stands: plain data, and the line and column of each piece of it.

The standard library's decoder tells a place only when it fails, takes NaN, and lets the last of two equal keys win.
A policy's reader has to say *where* a statement is wrong, and must not guess which of two keys was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from cado_ops.arns import shown
from cado_ops.errors import PolicyError

# The largest policy that AWS takes has 20,480 characters; templates around them, and indentation, need more.
MAX_TEXT = 1024 * 1024
# A policy nests five deep; intrinsic functions of CloudFormation may nest further.
MAX_DEPTH = 40
MAX_NUMBER = 40  # characters
# Aliases of YAML repeat what they name: a few lines can mean more than fits any memory.
MAX_NODES = 100_000
TOO_MANY = f"more than {MAX_NODES} values, aliases counted: no policy is that long"

Path = tuple[str | int, ...]
# Line and column, counted from 1.
Position = tuple[int, int]

_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Plain data, and where each piece begins, by the path to it: ``("Statement", 0, "Action")``."""

    data: Any
    positions: Mapping[Path, Position]


def parse_json(text: str, where: str) -> Parsed:
    """The text as data with places. Raises PolicyError: one line, ``where:line:column`` in front."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_TEXT:
        raise PolicyError(f"{where}: longer than {MAX_TEXT // 1024} KiB, which no policy should be")
    reader = _Reader(text, where)
    start = reader.skip(0)
    if start == len(text):
        raise PolicyError(f"{where}: empty, where a policy in JSON was expected")
    data, end = reader.value(start, ())
    end = reader.skip(end)
    if end != len(text):
        raise reader.error(end, "more text after the end of the JSON")
    return Parsed(data, reader.positions)


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.positions: dict[Path, Position] = {}
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._line = 0

    def skip(self, index: int) -> int:
        match = _BLANKS.match(self.text, index)
        assert match is not None
        return match.end()

    def position(self, index: int) -> Position:
        # Asked in rising order while reading, so the search goes on from the last line.
        if index < self._line_starts[self._line]:
            self._line = 0
        while self._line + 1 < len(self._line_starts) and self._line_starts[self._line + 1] <= index:
            self._line += 1
        return self._line + 1, index - self._line_starts[self._line] + 1

    def error(self, index: int, message: str, hint: str | None = None) -> PolicyError:
        line, column = self.position(index)
        return PolicyError(f"{self.where}:{line}:{column}: {message}", hint)

    def value(self, index: int, path: Path) -> tuple[Any, int]:
        self.positions[path] = self.position(index)
        if len(path) > MAX_DEPTH:
            raise self.error(index, f"nested deeper than {MAX_DEPTH} levels, which no policy should be")
        if len(self.positions) > MAX_NODES:
            raise self.error(index, TOO_MANY)
        match self.text[index : index + 1]:
            case "":
                raise self.error(index, "the JSON ends too early")
            case "{":
                return self.object(index, path)
            case "[":
                return self.array(index, path)
            case '"':
                return self.string(index)
        if number := _NUMBER.match(self.text, index):
            return self.number(number[0], index), number.end()
        for word, value in _WORDS.items():
            if self.text.startswith(word, index):
                return value, index + len(word)
        raise self.error(index, f"{shown(self.text[index : index + 12])} is no JSON", _hint(self.text, index))

    def number(self, text: str, index: int) -> int | float:
        if len(text) > MAX_NUMBER:
            raise self.error(index, f"a number of more than {MAX_NUMBER} characters")
        value = json.loads(text)
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise self.error(index, f"the number {text} is too large")
        assert isinstance(value, int | float)
        return value

    def string(self, index: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self.text, index + 1, True)
        except json.JSONDecodeError as error:
            raise self.error(error.pos, error.msg[0].lower() + error.msg[1:].removesuffix(" at")) from None
        if any("\ud800" <= each <= "\udfff" for each in value):
            raise self.error(index, "half a surrogate pair, which is no character")
        return value, end

    def object(self, index: int, path: Path) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        index = self.skip(index + 1)
        if self.text.startswith("}", index):
            return found, index + 1
        while True:
            if not self.text.startswith('"', index):
                raise self.error(index, "expected a name in double quotes", _hint(self.text, index))
            start = index
            name, index = self.string(index)
            if name in found:
                raise self.error(start, f"{shown(name)} stands twice in the same object")
            index = self.skip(index)
            if not self.text.startswith(":", index):
                raise self.error(index, f"expected : after {shown(name)}")
            found[name], index = self.value(self.skip(index + 1), (*path, name))
            index, ended = self.after(index, "}")
            if ended:
                return found, index

    def array(self, index: int, path: Path) -> tuple[list[Any], int]:
        found: list[Any] = []
        index = self.skip(index + 1)
        if self.text.startswith("]", index):
            return found, index + 1
        while True:
            value, index = self.value(index, (*path, len(found)))
            found.append(value)
            index, ended = self.after(index, "]")
            if ended:
                return found, index

    def after(self, index: int, end: str) -> tuple[int, bool]:
        """Past the comma or the end that follows a piece, and which of them it was."""
        index = self.skip(index)
        if self.text.startswith(end, index):
            return index + 1, True
        if self.text.startswith(",", index):
            following = self.skip(index + 1)
            if self.text[following : following + 1] in ("}", "]"):
                raise self.error(index, f"a comma before the closing {self.text[following]}")
            return following, False
        if index >= len(self.text):
            raise self.error(index, "the JSON ends too early")
        raise self.error(index, f"expected , or {end}")


def _hint(text: str, index: int) -> str | None:
    following = text[index : index + 2]
    if following in ("//", "/*") or following.startswith("#"):
        return "JSON has no comments."
    if following.startswith(("'", "\u201c", "\u201d", "\u2018")):
        return 'Strings stand in straight double quotes: "…".'
    return None
