"""Yes, no, or not known and why. What cannot be known must end neither as an allow nor as a denial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """``value`` None is unknown; ``reasons`` say then what would have to be known."""

    value: bool | None
    reasons: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        return self.value is True


YES, NO = Answer(True), Answer(False)


def answer(value: bool) -> Answer:
    return YES if value else NO


def unknown(*reasons: str) -> Answer:
    return Answer(None, tuple(dict.fromkeys(reasons)))


def all_of(answers: Iterable[Answer]) -> Answer:
    """A certain no decides, whatever else is unknown."""
    reasons: list[str] = []
    open_ = False
    for each in answers:
        if each.value is False:
            return NO
        if each.value is None:
            open_ = True
            reasons += each.reasons
    return unknown(*reasons) if open_ else YES


def any_of(answers: Iterable[Answer]) -> Answer:
    """A certain yes decides, whatever else is unknown."""
    return negated(all_of(map(negated, answers)))


def negated(given: Answer) -> Answer:
    return given if given.value is None else answer(not given.value)
