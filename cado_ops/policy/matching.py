"""Patterns of policies: wildcards, variables, ARNs.

"IAM JSON policy elements: Resource" (wildcards), "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cado_ops.policy.answer import NO, YES, Answer, answer, unknown
from cado_ops.policy.document import Intrinsic, Value
from cado_ops.policy.wildcards import Wildcards

# ${key}, ${key, 'default'}, and ${*}, ${?}, ${$} for the characters themselves.
_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)'\s*)?\}")
_SPECIAL = ("*", "?", "$")


@dataclass(frozen=True, slots=True)
class Told:
    """What the request says of a key: ``values``; none: the key is not there; None: not known, and ``reason``."""

    values: tuple[str, ...] | None
    reason: str = ""


Lookup = Callable[[str], Told]


@lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> Wildcards:
    pieces = [{"*": ".*", "?": "."}.get(each) or re.escape(each) for each in re.sub(r"\*+", "*", pattern)]
    return Wildcards(pieces, re.IGNORECASE if ignore_case else 0)


def glob(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """``*`` is any characters, ``?`` is one."""
    return _compiled(pattern, ignore_case).fits(value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A value of a policy, its variables put in: plain text, ``*`` and ``?``, and gaps that are not known.

    ``missing`` is the name of a variable that has no value: "There is no equal or like value" for it then.
    """

    pieces: tuple[tuple[str, bool], ...] = ()  # text, and whether its * and ? are wildcards
    missing: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    def equals(self, value: str, *, ignore_case: bool = False) -> Answer:
        """Letter by letter: wildcards are no wildcards here."""
        if self.missing:
            return NO
        if self.reasons:
            return self._perhaps(value, wild=False, ignore_case=ignore_case)
        same = self.text.lower() == value.lower() if ignore_case else self.text == value
        return answer(same)

    def like(self, value: str, *, any_text: str = ".*", one: str = ".") -> Answer:
        if self.missing:
            return NO
        if self.reasons:
            return self._perhaps(value, wild=True)
        return answer(_regex(self.pieces, any_text, one).fits(value))

    def _perhaps(self, value: str, *, wild: bool, ignore_case: bool = False) -> Answer:
        """With a gap: certain only where nothing that could stand in it would fit."""
        pieces = tuple((text, is_wild and (wild or text == _GAP)) for text, is_wild in self.pieces)
        fits = _regex(pieces, ".*", ".", re.IGNORECASE if ignore_case else 0).fits(value)
        return unknown(*self.reasons) if fits else NO


_GAP = "\ue002"


@lru_cache(maxsize=4096)
def _regex(pieces: tuple[tuple[str, bool], ...], any_text: str, one: str, flags: int = 0) -> Wildcards:
    made: list[str] = []
    for text, wild in pieces:
        if not wild:
            made += map(re.escape, text)
            continue
        text = re.sub(r"\*+", "*", text)
        made += [{"*": any_text, "?": one, _GAP: ".*"}.get(each) or re.escape(each) for each in text]
    return Wildcards(made, flags)


def expand(value: str, lookup: Lookup, *, variables: bool) -> Pattern:
    """A policy's text as a pattern. Without ``variables`` (the old version) ``${…}`` is plain text."""
    pieces: list[tuple[str, bool]] = []
    missing, reasons = "", []
    end = 0
    for match in _VARIABLE.finditer(value) if variables else ():
        pieces.append((value[end : match.start()], True))
        end = match.end()
        name, default = match[1].strip(), match[2]
        if name in _SPECIAL:
            pieces.append((name, False))
            continue
        told = lookup(name)
        if told.values is None:
            pieces.append((_GAP, True))
            reasons.append(told.reason)
        elif told.values == ("",):
            pieces.append((_GAP, True))
            reasons.append(f"{name} is empty, and whether that counts as a value is not documented")
        elif len(told.values) == 1:
            pieces.append((told.values[0], False))
        elif told.values:
            # "You can use any single-valued context key": what another would give is not documented.
            pieces.append((_GAP, True))
            reasons.append(f"{name} has several values, and a variable takes one")
        elif default is not None:
            pieces.append((default, False))
        else:
            missing = name
    pieces.append((value[end:], True))
    return Pattern(tuple(each for each in pieces if each[0]), missing, tuple(reasons))


def not_deployed(value: Intrinsic) -> Answer:
    shown = value.text if len(value.text) <= 60 else value.text[:59] + "…"
    return unknown(f"{shown} is known on deployment only")


def action_matches(pattern: Value, action: str) -> Answer:
    """Actions have no case, and no variables."""
    if isinstance(pattern, Intrinsic):
        return not_deployed(pattern)
    return answer(glob(pattern, action, ignore_case=True))


def resource_matches(pattern: Value, resource: str, lookup: Lookup, *, variables: bool, told: bool) -> Answer:
    """Whether a pattern of Resource covers the resource; not ``told``: some resource, and only ``*`` covers any."""
    if isinstance(pattern, Intrinsic):
        return not_deployed(pattern)
    if pattern == "*":
        return YES
    expanded = expand(pattern, lookup, variables=variables)
    if variables and "${" in "".join(pattern.split(":", 5)[:5]):
        expanded = expand(pattern, _before_the_resource, variables=True)
    if not told:
        return NO if expanded.missing else unknown("the request does not tell the resource")
    if resource == "*":
        return answer(not expanded.pieces or re.fullmatch(r"\*+", expanded.text) is not None)
    return arn_segments(expanded, resource)


def _before_the_resource(name: str) -> Told:
    """ "You can't use a variable to replace parts of the ARN before the fifth colon"."""
    return Told(
        None, f"${{{name}}} stands in a resource's ARN before the fifth colon, where AWS takes no variables"
    )


def arn_segments(pattern: Pattern, arn: str) -> Answer:
    """Wildcards stay within their segment between colons, but for one that ends a segment.

    "If the * wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon
    boundaries."
    """
    if pattern.missing or pattern.reasons:
        return pattern.like(arn)
    return answer(_segmented(pattern.pieces).fits(arn))


@lru_cache(maxsize=4096)
def _segmented(pieces: tuple[tuple[str, bool], ...]) -> Wildcards:
    flat = [(each, wild) for text, wild in pieces for each in text]
    made = []
    for index, (each, wild) in enumerate(flat):
        following = flat[index + 1][0] if index + 1 < len(flat) else ":"
        if wild and each == "*":
            made.append(".*" if following == ":" else "[^:]*")
        elif wild and each == "?":
            made.append("[^:]")
        else:
            made.append(re.escape(each))
    return Wildcards(made)


def arn_like(pattern: Pattern, value: str) -> Answer:
    """ArnLike and ArnEquals: six parts, each compared for itself ("ARN condition operators")."""
    parts = value.split(":", 5)
    if pattern.missing or len(parts) < 6 or parts[0] != "arn":
        return NO
    if pattern.reasons:
        return pattern.like(value)
    # Cut where the pattern itself has colons; values that were put in have none that count.
    cut: list[list[tuple[str, bool]]] = [[]]
    for text, wild in pattern.pieces:
        for each in text:
            if each == ":" and len(cut) < 6:
                cut.append([])
            else:
                cut[-1].append((each, wild))
    if len(cut) < 6:
        return NO
    return answer(all(_regex(tuple(mine), ".*", ".").fits(part) for mine, part in zip(cut, parts, strict=True)))
