"""A policy as plain data: what stands in it, in its own order, and where.

"IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language", IAM User Guide. The reader takes
what has the shape of a policy; whether AWS would take it as a policy of a certain kind is `validity`'s question.

Templates hold values that are no strings yet (``{"Fn::Sub": …}``). They pass through untouched as `Intrinsic`:
whatever depends on one is unknown to the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cado_ops.arns import shown
from cado_ops.errors import PolicyError
from cado_ops.policy.elements import NOWHERE, Condition, Intrinsic, Place, Principal, Value, Values, Written, raw
from cado_ops.policy.json_text import Path, Position, parse_json

__all__ = [
    "ALLOW", "CURRENT_VERSION", "DENY", "Condition", "Document", "Intrinsic", "Place", "Principal", "Statement",
    "Value", "Values", "Written", "document_from", "is_if", "is_intrinsic", "read_document",
]  # fmt: skip

# Policy variables are variables only in a policy of this version ("IAM JSON policy elements: Version").
CURRENT_VERSION = "2012-10-17"
VERSIONS = (CURRENT_VERSION, "2008-10-17")
ALLOW, DENY = "Allow", "Deny"

_DOCUMENT = ("Version", "Id", "Statement")
_STATEMENT = (
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"),
    "Condition",
)
PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. None is an element that is not there, unlike an empty list.

    ``whole`` is set where a template has an intrinsic in the statement's place: nothing else is known of it then.
    """

    sid: str | None = None
    effect: Value = ALLOW
    principal: Principal | None = None
    not_principal: Principal | None = None
    actions: Values | None = None
    not_actions: Values | None = None
    resources: Values | None = None
    not_resources: Values | None = None
    conditions: tuple[Condition, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)
    whole: Intrinsic | None = None

    def as_json(self) -> Any:
        if self.whole is not None:
            return self.whole.data
        named = {
            "Principal": self.principal,
            "NotPrincipal": self.not_principal,
            "Action": self.actions,
            "NotAction": self.not_actions,
            "Resource": self.resources,
            "NotResource": self.not_resources,
        }
        made: dict[str, Any] = {"Sid": self.sid} if self.sid is not None else {}
        made["Effect"] = raw(self.effect)
        made |= {name: each.as_json() for name, each in named.items() if each is not None}
        if self.conditions:
            made["Condition"] = _conditions_as_json(self.conditions)
        return made


@dataclass(frozen=True, slots=True)
class Document:
    """A policy. ``version`` None means the old version; ``single``: one statement without brackets."""

    version: str | None = CURRENT_VERSION
    id: str | None = None
    statements: tuple[Statement, ...] = ()
    single: bool = field(default=False, compare=False)
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def has_variables(self) -> bool:
        """Whether ``${…}`` is a variable in it, or just these characters."""
        return self.version == CURRENT_VERSION

    def as_json(self) -> dict[str, Any]:
        """The policy as it was read, its elements in the order in which AWS's documentation has them."""
        made: dict[str, Any] = {"Version": self.version} if self.version is not None else {}
        if self.id is not None:
            made["Id"] = self.id
        statements = [each.as_json() for each in self.statements]
        made["Statement"] = statements[0] if self.single and len(statements) == 1 else statements
        return made


def read_document(text: str, where: str) -> Document:
    """A policy from its JSON. ``where`` names it in messages. Raises PolicyError: one line with the place."""
    parsed = parse_json(text, where)
    return document_from(parsed.data, where, parsed.positions)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a document that has not the shape of a policy, and where. ``str`` is the one line.

    ``policy`` is the path to the policy, in a file that holds several.
    """

    place: Place
    message: str
    hint: str | None = None
    policy: Path = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def document_from(
    data: Any,
    where: str,
    positions: Mapping[Path, Position] | None = None,
    path: Path = (),
    faults: list[Fault] | None = None,
) -> Document:
    """A policy from data that was read already: of a template, or of AWS's answer.

    ``positions`` gives lines and columns by path, where they are known; ``path`` is the policy's own path in them.
    With ``faults`` all of them are put there, and what can be read is; without, the first one raises PolicyError.
    """
    return _Reader(where, positions or {}, path, faults).document(data)


def is_intrinsic(data: Any) -> bool:
    """Whether it is a function of CloudFormation, ``{"Ref": …}`` or ``{"Fn::…": …}`` ("Intrinsic functions")."""
    if not isinstance(data, dict) or len(data) != 1:
        return False
    [name] = data
    return isinstance(name, str) and (name == "Ref" or name.startswith("Fn::"))


def is_if(data: Any) -> bool:
    """Whether it is a Fn::If as CloudFormation takes it: a condition's name, and a value for each way it falls."""
    return is_intrinsic(data) and (
        isinstance(given := data.get("Fn::If"), list) and len(given) == 3 and isinstance(given[0], str)
    )


class _Reader:
    def __init__(
        self, where: str, positions: Mapping[Path, Position], root: Path, faults: list[Fault] | None
    ) -> None:
        self.where = where
        self.positions = positions
        self.root = root
        self.faults = faults
        self.sid: str | None = None

    def place(self, path: Path, sid: str | None = None) -> Place:
        line, column = self.positions.get(self.root + path, (None, None))
        number = None
        if len(path) > 1 and path[0] == "Statement":
            # A single statement may stand without brackets.
            number = path[1] + 1 if isinstance(path[1], int) else 1
        return Place(self.where, line, column, number, sid)

    def fault(self, path: Path, message: str, hint: str | None = None) -> None:
        """Notes it, or raises where nobody collects them."""
        fault = Fault(self.place(path, self.sid), message, hint, self.root)
        if self.faults is None:
            raise PolicyError(str(fault), hint)
        self.faults.append(fault)

    def document(self, data: Any) -> Document:
        if not isinstance(data, dict):
            self.fault((), "a policy is an object in braces: {…}")
            return Document(place=self.place(()))
        self.names(data, _DOCUMENT, (), "a policy")
        if "Statement" not in data:
            self.fault((), 'the policy has no "Statement"')
        version = data.get("Version")
        if version is not None and version not in VERSIONS:
            self.fault(("Version",), f"the Version is {shown(version)}", f"AWS knows {' and '.join(VERSIONS)}.")
            version = CURRENT_VERSION
        document_id = self.text_or_none(data, "Id", ())
        listed = data.get("Statement", [])
        single = not isinstance(listed, list)
        read = [
            self.statement(each, ("Statement", index)) for index, each in enumerate([listed] if single else listed)
        ]
        return Document(
            version, document_id, tuple(each for each in read if each is not None), single, self.place(())
        )

    def statement(self, data: Any, path: Path) -> Statement | None:
        self.sid = _sid(data)
        try:
            return self._statement(data, path)
        finally:
            self.sid = None

    def _statement(self, data: Any, path: Path) -> Statement | None:
        if self.root + path not in self.positions and path[1] == 0:
            # A single statement without brackets has no place in a list.
            path_of_element: Path = ("Statement",)
            place = Place(*_line(self.place(path_of_element)), statement=1, sid=_sid(data))
        else:
            path_of_element = path
            place = self.place(path, _sid(data))
        if is_intrinsic(data):
            return Statement(effect=Intrinsic.of(data), place=place, whole=Intrinsic.of(data))
        if not isinstance(data, dict):
            self.fault(path_of_element, "a statement is an object in braces: {…}")
            return None
        self.names(data, _STATEMENT, path_of_element, "a statement")
        sid = self.text_or_none(data, "Sid", path_of_element)
        for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
            if one in data and other in data:
                self.fault(path_of_element, f"a statement has {one} or {other}, not both")
        if "Action" not in data and "NotAction" not in data:
            self.fault(path_of_element, "the statement has neither Action nor NotAction")
        return Statement(
            sid=sid,
            effect=self.effect(data, path_of_element),
            principal=self.principal(data, "Principal", path_of_element),
            not_principal=self.principal(data, "NotPrincipal", path_of_element),
            actions=self.values(data, "Action", path_of_element),
            not_actions=self.values(data, "NotAction", path_of_element),
            resources=self.values(data, "Resource", path_of_element),
            not_resources=self.values(data, "NotResource", path_of_element),
            conditions=self.conditions(data, path_of_element),
            place=place,
        )

    def names(self, data: dict[Any, Any], known: Sequence[str], path: Path, what: str) -> None:
        for name in data:
            if name in known:
                continue
            at = (*path, name) if (*self.root, *path, name) in self.positions else path
            right = {each.lower(): each for each in known}.get(str(name).lower())
            hint = f"Write it as {right}." if right else f"It may have {', '.join(known)}."
            self.fault(at, f"{what} has no element {shown(name)}", hint)

    def text_or_none(self, data: dict[str, Any], name: str, path: Path) -> str | None:
        value = data.get(name)
        if name in data and not isinstance(value, str):
            self.fault((*path, name), f"{name} is {shown(value)}: it takes a string")
            return None
        return value

    def effect(self, data: dict[str, Any], path: Path) -> Value:
        """One that is wrong is left empty: neither Allow nor Deny."""
        if "Effect" not in data:
            self.fault(path, 'the statement has no "Effect"')
            return ""
        effect = data["Effect"]
        if is_intrinsic(effect):
            return Intrinsic.of(effect)
        if effect not in (ALLOW, DENY):
            self.fault((*path, "Effect"), f"the Effect is {shown(effect)}: it is Allow or Deny, written so")
            return ""
        return str(effect)

    def principal(self, data: dict[str, Any], name: str, path: Path) -> Principal | None:
        if name not in data:
            return None
        path = (*path, name)
        value = data[name]
        if value == "*":
            return Principal(everyone=True)
        if is_intrinsic(value):
            return Principal(whole=Intrinsic.of(value))
        if not isinstance(value, dict) or not value:
            self.fault(path, f'{name} is {shown(value)}: it is "*" or an object such as {{"AWS": "…"}}')
            return Principal()
        for kind in value:
            if kind not in PRINCIPAL_KINDS:
                self.fault(path, f"{name} has no kind {shown(kind)}", f"It has {', '.join(PRINCIPAL_KINDS)}.")
        return Principal(tuple((kind, self.listed(each, (*path, kind))) for kind, each in value.items()))

    def values(self, data: dict[str, Any], name: str, path: Path) -> Values | None:
        return self.listed(data[name], (*path, name)) if name in data else None

    def listed(self, value: Any, path: Path, *, bare: bool = False) -> Values:
        if isinstance(value, list):
            return Values(tuple(self.item(each, (*path, number), bare) for number, each in enumerate(value)))
        return Values((self.item(value, path, bare),), single=True)

    def item(self, value: Any, path: Path, bare: bool) -> Value:
        if isinstance(value, str):
            return value
        if is_intrinsic(value):
            return Intrinsic.of(value)
        if bare and isinstance(value, bool | int | float):
            return Written.of(value)
        name = next((each for each in reversed(path) if isinstance(each, str)), "")
        self.fault(path, f"{name} has {shown(value)} where a string was expected")
        # It may mean anything, as what a template decides on may.
        return Intrinsic.of(value)

    def conditions(self, data: dict[str, Any], path: Path) -> tuple[Condition, ...]:
        block = data.get("Condition", {})
        path = (*path, "Condition")
        if is_intrinsic(block):
            return (Condition("", "", Values.of(Intrinsic.of(block))),)
        if not isinstance(block, dict):
            self.fault(path, "Condition is an object: an operator, and for it keys and values")
            return ()
        found: list[Condition] = []
        for operator, keys in block.items():
            at = (*path, operator)
            if not operator:
                self.fault(path, "an operator of Condition has no name")
                continue
            if is_intrinsic(keys):
                found.append(Condition(operator, "", Values.of(Intrinsic.of(keys))))
                continue
            if not isinstance(keys, dict):
                self.fault(at, f"{shown(operator)} is an object: keys, and values for each")
                continue
            if "" in keys:
                self.fault(at, f"a key of {shown(operator)} has no name")
            found += [
                Condition(operator, key, self.listed(each, (*at, key), bare=True))
                for key, each in keys.items()
                if key
            ]
        return tuple(found)


def _line(place: Place) -> tuple[str, int | None, int | None]:
    return place.where, place.line, place.column


def _sid(data: Any) -> str | None:
    sid = data.get("Sid") if isinstance(data, dict) else None
    return sid if isinstance(sid, str) else None


def _conditions_as_json(conditions: Iterable[Condition]) -> Any:
    made: dict[str, Any] = {}
    for each in conditions:
        if not each.operator:
            return each.values.as_json()
        if not each.key:
            made[each.operator] = each.values.as_json()
        else:
            made.setdefault(each.operator, {})[each.key] = each.values.as_json()
    return made
