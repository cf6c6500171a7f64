"""How many steps a regular expression takes: a backtracking matcher that counts, and texts that hurt most.

Python's own matcher tells no steps, and a timer would only tell how busy the machine is. This one walks the tree
that Python parses a pattern into, as Python's does: every alternative and every length of a repeat counts.
"""

from __future__ import annotations

import re
import re._constants as c  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Then = Callable[[int], bool]


class TooManySteps(Exception):
    """The bound was passed."""


class Counter:
    """Searches a pattern at every position of a text, as `re.finditer` does where nothing matches."""

    def __init__(self, pattern: re.Pattern[str], text: str, bound: int) -> None:
        self._tree = parser.parse(pattern.pattern, pattern.flags)
        self._text = text.lower() if pattern.flags & re.IGNORECASE else text
        self._fold = bool(pattern.flags & re.IGNORECASE)
        self._bound = bound
        self.steps = 0

    def search_everywhere(self) -> int:
        at = 0
        while at <= len(self._text):
            ends: list[int] = []

            def ended(where: int, ends: list[int] = ends) -> bool:
                ends.append(where)
                return True

            self._sequence(list(self._tree), 0, at, ended)
            at = max(ends[0], at + 1) if ends else at + 1
        return self.steps

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._bound:
            raise TooManySteps(self.steps)

    def _sequence(self, nodes: list[Any], index: int, at: int, then: Then) -> bool:
        if index == len(nodes):
            return then(at)
        return self._node(nodes[index], at, lambda where: self._sequence(nodes, index + 1, where, then))

    def _node(self, node: Any, at: int, then: Then) -> bool:
        self._step()
        kind, value = node
        if kind in (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY):
            return at < len(self._text) and self._fits(node, self._text[at]) and then(at + 1)
        if kind is c.AT:
            return self._at(value, at) and then(at)
        if kind is c.SUBPATTERN:
            return self._sequence(list(value[3]), 0, at, then)
        if kind is c.BRANCH:
            return any(self._sequence(list(branch), 0, at, then) for branch in value[1])
        if kind in (c.MAX_REPEAT, c.MIN_REPEAT):
            return self._repeat(value, at, then, 0, greedy=kind is c.MAX_REPEAT)
        if kind is c.POSSESSIVE_REPEAT:
            least, most, body = value
            count = 0
            while count < most:
                ends: list[int] = []
                if not self._sequence(list(body), 0, at, lambda where, ends=ends: bool(ends.append(where)) or True):
                    break
                if ends[0] == at:
                    break
                at, count = ends[0], count + 1
            return count >= least and then(at)
        if kind in (c.ASSERT, c.ASSERT_NOT):
            direction, body = value
            found = self._look(list(body), at, direction)
            return found is (kind is c.ASSERT) and then(at)
        if kind is c.GROUPREF:
            return then(at)
        raise NotImplementedError(kind)

    def _look(self, body: list[Any], at: int, direction: int) -> bool:
        if direction > 0:
            return self._sequence(body, 0, at, lambda _: True)
        width = max(1, sum(1 for _ in body))
        starts = range(max(0, at - width), at + 1)
        return any(self._sequence(body, 0, start, lambda end: end == at) for start in starts)

    def _repeat(self, value: Any, at: int, then: Then, count: int, *, greedy: bool) -> bool:
        least, most, body = value
        # Without recursion for what is one character wide, or a text of some thousand would be too deep.
        if len(body) == 1 and body[0][0] in (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY):
            reach = at
            while reach - at < most and reach < len(self._text) and self._fits(body[0], self._text[reach]):
                self._step()
                reach += 1
            ends: Any = range(at + least, reach + 1)
            for end in reversed(ends) if greedy else ends:
                self._step()
                if then(end):
                    return True
            return False

        def again(where: int) -> bool:
            return where > at and self._repeat(value, where, then, count + 1, greedy=greedy)

        more = count < most
        if greedy and more and self._sequence(list(body), 0, at, again):
            return True
        if count >= least and then(at):
            return True
        return not greedy and more and self._sequence(list(body), 0, at, again)

    def _fits(self, node: Any, char: str) -> bool:
        kind, value = node
        if kind is c.ANY:
            return char != "\n"
        if kind is c.LITERAL:
            return self._same(value, char)
        if kind is c.NOT_LITERAL:
            return not self._same(value, char)
        negated = bool(value) and value[0][0] is c.NEGATE
        return any(self._member(each, char) for each in value) is not negated

    def _same(self, code: int, char: str) -> bool:
        return (chr(code).lower() if self._fold else chr(code)) == char

    def _member(self, node: Any, char: str) -> bool:
        kind, value = node
        if kind is c.NEGATE:
            return False
        if kind is c.RANGE:
            low, high = value
            return low <= ord(char) <= high or (self._fold and low <= ord(char.upper()) <= high)
        if kind is c.CATEGORY:
            return re.fullmatch(_CATEGORIES[value], char) is not None
        return self._same(value, char)

    def _at(self, where: Any, at: int) -> bool:
        word = lambda place: 0 <= place < len(self._text) and re.fullmatch(r"\w", self._text[place]) is not None  # noqa: E731
        if where is c.AT_BOUNDARY:
            return word(at - 1) != word(at)
        if where is c.AT_END:
            return at == len(self._text)
        return at == 0 or (where is c.AT_BEGINNING and self._text[at - 1] == "\n")


_CATEGORIES = {
    c.CATEGORY_SPACE: r"\s", c.CATEGORY_NOT_SPACE: r"\S", c.CATEGORY_WORD: r"\w", c.CATEGORY_NOT_WORD: r"\W",
    c.CATEGORY_DIGIT: r"\d", c.CATEGORY_NOT_DIGIT: r"\D",
}  # fmt: skip


def attacks(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Texts that match as far as they can and then do not: each beginning of the pattern, spun out and repeated."""
    nodes = list(parser.parse(pattern.pattern, pattern.flags))
    # The longest beginnings first: they have the most to give back.
    for upto in range(len(nodes), 0, -1):
        for filler in ("a", " ", "[", "0"):
            piece = "".join(_example(node, filler) for node in nodes[:upto])
            if piece:
                yield (piece * (length // len(piece) + 1))[:length]
                yield (piece + filler * length)[:length]


def _example(node: Any, filler: str) -> str:
    kind, value = node
    if kind is c.LITERAL:
        return chr(value)
    if kind is c.IN:
        return next((char for char in (filler, *" aA0-_/.[\n") if _in(value, char)), "x")
    if kind is c.SUBPATTERN:
        return "".join(_example(each, filler) for each in value[3])
    if kind is c.BRANCH:
        return max(("".join(_example(each, filler) for each in branch) for branch in value[1]), key=len)
    if kind in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        least, most, body = value
        return "".join(_example(each, filler) for each in body) * min(most, max(least, 120))
    if kind in (c.ANY, c.NOT_LITERAL):
        return filler
    return ""


def _in(members: Any, char: str) -> bool:
    negated = bool(members) and members[0][0] is c.NEGATE
    found = False
    for kind, value in members:
        if kind is c.LITERAL:
            found = found or chr(value) == char
        elif kind is c.RANGE:
            found = found or value[0] <= ord(char) <= value[1]
        elif kind is c.CATEGORY:
            found = found or re.fullmatch(_CATEGORIES[value], char) is not None
    return found is not negated


def can_be_slow(pattern: re.Pattern[str]) -> bool:
    """Whether there is anything in it whose length is not fixed."""
    return _varies(parser.parse(pattern.pattern, pattern.flags))


def _varies(nodes: Any) -> bool:
    for kind, value in nodes:
        if kind in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            if value[1] - value[0] > 1 or _varies(value[2]):
                return True
        elif (kind is c.SUBPATTERN and _varies(value[3])) or (
            kind is c.BRANCH and any(_varies(branch) for branch in value[1])
        ):
            return True
    return False


def calls_of(act: Callable[[], object]) -> int:
    """How many calls, of Python's functions and of C's, something takes."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count
