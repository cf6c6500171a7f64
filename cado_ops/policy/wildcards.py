"""Wildcards against a text, in bounded time.

A regular expression with many ``*`` tries every way of sharing a text among them: one line of a policy can mean
years. Where there are more ways than a moment takes, all are followed at once, character by character.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property

# Ways of sharing the text among the stars; below, Python's own matcher is the faster one.
_WAYS = 1_000_000


class Wildcards:
    """``pieces`` are regular expressions, each of one character or any number of one kind: ``a``, ``.``, ``.*``."""

    def __init__(self, pieces: Sequence[str], flags: int = 0) -> None:
        self._pieces = tuple(pieces)
        self._flags = flags | re.DOTALL
        self._stars = sum(map(_is_star, pieces))

    def fits(self, text: str) -> bool:
        """Whether the whole text is so."""
        if math.comb(len(text) + self._stars, self._stars) <= _WAYS:
            return self._pattern.fullmatch(text) is not None
        return self._follow(text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(self._pieces), self._flags)

    def _follow(self, text: str) -> bool:
        """The set of pieces that may come next, as the bits of a number."""
        stars = 0
        by_kind: dict[str, int] = {}
        for place, piece in enumerate(self._pieces):
            is_star = _is_star(piece)
            stars |= is_star << place
            kind = piece[:-1] if is_star else piece
            by_kind[kind] = by_kind.get(kind, 0) | 1 << place
        taken: dict[str, int] = {}
        at = _past(1, stars)
        for char in text:
            if char not in taken:
                kinds = (bits for kind, bits in by_kind.items() if re.fullmatch(kind, char, self._flags))
                taken[char] = sum(kinds)
            going = at & taken[char]
            at = _past((going & stars) | (going & ~stars) << 1, stars)
            if not at:
                return False
        return bool(at >> len(self._pieces) & 1)


def _is_star(piece: str) -> bool:
    return piece.endswith("*") and piece != r"\*"


def _past(at: int, stars: int) -> int:
    """A star may stand for nothing at all."""
    while (more := at | (at & stars) << 1) != at:
        at = more
    return at
