"""Wildcard patterns of IAM (``*`` any run of characters, ``?`` any one), compared with each other.

"IAM JSON policy elements: Resource" and "... Action", IAM User Guide. Nothing here is about single requests: these
say what two patterns have to do with one another, which a rewrite must know of all requests at once.
"""

from __future__ import annotations

import functools


@functools.lru_cache(maxsize=65536)
def overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns."""
    if "*" not in one and "?" not in one and "*" not in other and "?" not in other:
        return one == other
    if not _begin_alike(one, other):
        return False
    # row[j]: some text fits both what is read of one and the first j of other.
    row = _begin(other)
    for char in one:
        new = [row[0] and char == "*"]
        for j, against in enumerate(other, 1):
            if char == "*" or against == "*":
                new.append(row[j] or new[j - 1] or (row[j - 1]))
            else:
                new.append(row[j - 1] and (char == against or "?" in (char, against)))
        row = new
        if True not in row:
            return False
    return row[-1]


def _begin_alike(one: str, other: str) -> bool:
    """Whether what stands before the first ``*`` can be the same: most patterns differ there already."""
    for char, against in zip(one, other, strict=False):
        if "*" in (char, against):
            return True
        if char != against and "?" not in (char, against):
            return False
    return True


@functools.lru_cache(maxsize=65536)
def covers(wide: str, narrow: str) -> bool:
    """Whether every text that fits ``narrow`` fits ``wide``. Errs towards no."""
    row = _begin(wide)
    for char in narrow:
        new = [False]
        for j, against in enumerate(wide, 1):
            if against == "*":
                new.append(row[j] or new[j - 1] or row[j - 1])
            elif against == "?":
                new.append(row[j - 1] and char != "*")
            else:
                new.append(row[j - 1] and char == against)
        row = new
        if True not in row:
            return False
    return row[-1]


def meets(pattern: str, arns: str) -> bool:
    """Whether some ARN of a kind fits a pattern. ``arns`` is the kind: six parts, the last without a colon.

    A pattern of six parts is compared part by part: where a text has five colons, and a pattern five of its own, no
    ``*`` can stand for one.
    """
    if arns.count(":") != 5 or pattern.count(":") < 5:
        return overlap(pattern, arns)
    if pattern.count(":") > 5:
        return False
    return all(map(overlap, pattern.split(":"), arns.split(":")))


def fits(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern. The text has no wildcards: whatever it has is meant as it stands."""
    row = _begin(pattern)
    for char in text:
        new = [False]
        for j, against in enumerate(pattern, 1):
            if against == "*":
                new.append(row[j] or new[j - 1])
            else:
                new.append(row[j - 1] and against in ("?", char))
        row = new
        if True not in row:
            return False
    return row[-1]


def _begin(pattern: str) -> list[bool]:
    """Which beginnings of a pattern fit no character at all."""
    row = [True]
    for char in pattern:
        row.append(row[-1] and char == "*")
    return row
