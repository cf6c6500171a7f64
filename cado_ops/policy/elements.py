"""The pieces that statements are made of: values, principals, conditions, places. Hashable, unchangeable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A value that only the template's deployment will know, as the JSON text of it: hashable, unchangeable."""

    text: str

    @classmethod
    def of(cls, data: Any) -> Self:
        return cls(json.dumps(data))

    @property
    def data(self) -> Any:
        return json.loads(self.text)

    def __str__(self) -> str:
        return self.text


class Written(str):
    """A value of a condition that was written without quotes (``true``, ``10``), which AWS takes as the string."""

    raw: bool | int | float

    @classmethod
    def of(cls, raw: bool | int | float) -> Self:
        value = cls(str(raw).lower() if isinstance(raw, bool) else json.dumps(raw))
        value.raw = raw
        return value


Value = str | Intrinsic


@dataclass(frozen=True, slots=True)
class Values:
    """One value or a list of them; ``single`` is how it was written, and makes no difference to what it means."""

    items: tuple[Value, ...] = ()
    single: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, *items: Value) -> Self:
        """As a person would write it: a single one without brackets."""
        return cls(items, single=len(items) == 1)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, value: object) -> bool:
        return value in self.items

    @property
    def strings(self) -> tuple[str, ...]:
        return tuple(each for each in self.items if isinstance(each, str))

    @property
    def intrinsics(self) -> tuple[Intrinsic, ...]:
        return tuple(each for each in self.items if isinstance(each, Intrinsic))

    def with_items(self, items: Iterable[Value]) -> Self:
        """Others in the same form; a list stays a list, and several never stand without brackets."""
        items = tuple(items)
        return type(self)(items, self.single and len(items) == 1)

    def as_json(self) -> Any:
        plain = [raw(each) for each in self.items]
        return plain[0] if self.single and len(plain) == 1 else plain


@dataclass(frozen=True, slots=True)
class Principal:
    """Who: ``"*"`` (``everyone``), or names by kind (AWS, Service, Federated, CanonicalUser), or an intrinsic."""

    entries: tuple[tuple[str, Values], ...] = ()
    everyone: bool = False
    whole: Intrinsic | None = None

    @classmethod
    def aws(cls, *names: Value) -> Self:
        return cls((("AWS", Values.of(*names)),))

    def of(self, kind: str) -> tuple[Value, ...]:
        """The names of a kind."""
        return tuple(each for name, values in self.entries if name == kind for each in values)

    def as_json(self) -> Any:
        if self.whole is not None:
            return self.whole.data
        return "*" if self.everyone else {kind: values.as_json() for kind, values in self.entries}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. Several in a statement must all hold; one's values are alternatives.

    Where a template has an intrinsic instead of the whole block, ``operator`` and ``key`` are empty; instead of an
    operator's keys, ``key`` is.
    """

    operator: str
    key: str
    values: Values


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands: ``policy.json:12:7: statement 3 (Sid)``. Numbers are counted from 1.

    ``policy`` is its policy's name, where a file holds several.
    """

    where: str
    line: int | None = None
    column: int | None = None
    statement: int | None = None
    sid: str | None = None
    policy: str = ""

    def __str__(self) -> str:
        numbers = ":".join(str(each) for each in (self.where, self.line, self.column) if each is not None)
        return f"{numbers}: {self.name}" if self.name else numbers

    @property
    def name(self) -> str:
        """The statement without the file: its policy, its number, and its Sid where it has one."""
        sid = f" ({self.sid})" if self.sid else ""
        return ".".join(filter(None, (self.policy, f"statement {self.statement}{sid}" if self.statement else "")))


NOWHERE = Place("policy")


def raw(value: Value) -> Any:
    if isinstance(value, Intrinsic):
        return value.data
    return value.raw if isinstance(value, Written) else value
