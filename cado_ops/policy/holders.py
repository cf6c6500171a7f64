"""Whose the policies of a template are: all that a role has, in every way that the template's conditions can fall.

"AWS::IAM::Role" (ManagedPolicyArns) and "AWS::IAM::ManagedPolicy" (Roles), CloudFormation Template reference.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cado_ops.errors import PolicyError
from cado_ops.policy.bounds import check_bounds
from cado_ops.policy.document import Document, document_from, is_if
from cado_ops.policy.json_text import Path
from cado_ops.policy.template import NO_VALUE, POLICIES, PRINCIPALS, REFUSED, Positions, Way, resources_in

# All ways in which the conditions can fall are looked at: more of them than this are too many.
MAX_CONDITIONS = 8
# Values looked at: each role's policies in each way, and each role beside each policy. A role in a way counts for
# no less than _EACH_WAY. A small file can mean hours of it, some seconds are allowed.
MAX_WORK = 2_000_000
_EACH_WAY = 100


@dataclass(frozen=True)
class Piece:
    """One policy that a role has: ``owner`` is the resource that holds it, ``kind`` that resource's type."""

    owner: str
    kind: str
    document: Document


@dataclass(frozen=True)
class Held:
    """All that a role has where the conditions fall in one ``way``. ``unread``: managed policies by name alone."""

    way: Way
    pieces: tuple[Piece, ...]
    unread: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(each.document for each in self.pieces)


@dataclass(frozen=True)
class Holder:
    """A role, user or group of the template, or one that policies of it are attached to.

    ``name`` is its logical id, or what its policies call it; ``called`` its own name, where it is told. ``owners``
    are the resources that hold its policies.
    """

    name: str
    called: str | None
    owners: tuple[str, ...]
    held: tuple[Held, ...]

    @property
    def names(self) -> set[str]:
        """All by which it can be named."""
        return {self.name, *self.owners[:1], *([self.called] if self.called else [])}


def holders(data: Mapping[str, Any], where: str, positions: Positions) -> list[Holder]:
    """Whoever has policies, with all of them together. Raises PolicyError."""
    template = _Template(resources_in(data, where), where, positions)
    inside = [name for name, each in template.resources.items() if each["Type"] in PRINCIPALS]
    found = [_holder(template, name) for name in inside]
    taken = {owner for each in found for owner in each.owners}
    # Policies of roles that are not in the template; those of one role together, and those of none alone.
    outside: dict[str, list[str]] = {}
    for name, resource in template.resources.items():
        if resource["Type"] not in POLICIES:
            continue
        entries = _attached_to(resource["Properties"])
        if not entries and name not in taken:
            found.append(Holder(name, None, (name,), template.all_held([name])))
        for entry in entries:
            if not any(template.is_named([entry], each) for each in inside):
                outside.setdefault(json.dumps(entry), []).append(name)
    for key, owners in outside.items():
        called = _shown(json.loads(key))
        found.append(Holder(called, called, tuple(owners), template.all_held(owners)))
    return found


def _holder(template: _Template, name: str) -> Holder:
    template.spend(
        len(template.resources) * (1 + len(_flat(template.resources[name]["Properties"].get("ManagedPolicyArns"))))
    )
    candidates = [
        each
        for each, resource in template.resources.items()
        if resource["Type"] in POLICIES and template.is_attached(each, name, None)
    ]
    owners = [name, *candidates]
    # Where the role is not made, there is nothing to be said of it.
    given = template.resources[name].get("Condition")
    held = []
    for way in _ways(template, owners, {given: True} if isinstance(given, str) else {}):
        there = [name, *(each for each in candidates if template.is_attached(each, name, way))]
        held.append(Held(way, template.pieces(there, way), tuple(template.unread(name, way))))
    return Holder(name, template.own_name(name), tuple(owners), tuple(held))


def _ways(template: _Template, owners: Sequence[str], fixed: Mapping[str, bool]) -> list[Way]:
    names = sorted({name for owner in owners for name in template.conditions_of(owner)} - set(fixed))
    if len(names) > MAX_CONDITIONS:
        raise PolicyError(
            f"{template.where}: {len(names)} conditions decide what {owners[0]} may do: more than {MAX_CONDITIONS}",
            REFUSED,
        )
    template.spend(2 ** len(names) * (_EACH_WAY + sum(map(template.size_of, owners))))
    return [
        (*fixed.items(), *zip(names, values, strict=True))
        for values in itertools.product((True, False), repeat=len(names))
    ]


def _attached_to(properties: Mapping[str, Any]) -> list[Any]:
    """The roles, users and groups that a policy names, its conditions aside."""
    found: list[Any] = []
    for name in (*PRINCIPALS.values(), *map(_name_of, PRINCIPALS)):
        found += _flat(properties.get(name))
    return found


def _flat(data: Any) -> list[Any]:
    """All that may stand in a list, whatever decides on it."""
    if isinstance(data, list):
        return [one for each in data for one in _flat(each)]
    if is_if(data):
        return [one for each in data["Fn::If"][1:] for one in _flat(each)]
    return [] if data in (None, NO_VALUE) else [data]


@dataclass(frozen=True)
class _Template:
    resources: Mapping[str, dict[str, Any]]
    where: str
    positions: Positions
    sizes: dict[str, int] = field(default_factory=dict)
    spent: list[int] = field(default_factory=lambda: [0])

    def spend(self, work: int) -> None:
        """Raises PolicyError where more is to be looked at than any deployed template has."""
        self.spent[0] += work
        if self.spent[0] > MAX_WORK:
            raise PolicyError(
                f"{self.where}: its roles, policies and conditions fit together in too many ways", REFUSED
            )

    def size_of(self, owner: str) -> int:
        if owner not in self.sizes:
            self.sizes[owner] = _count(self.resources[owner]["Properties"])
        return self.sizes[owner]

    def conditions_of(self, owner: str) -> Iterator[str]:
        """Those that decide on the resource, and on what it says of policies."""
        resource = self.resources[owner]
        if isinstance(resource.get("Condition"), str):
            yield resource["Condition"]
        properties = resource["Properties"]
        for name in (
            "Policies",
            "ManagedPolicyArns",
            "PolicyDocument",
            *PRINCIPALS.values(),
            *map(_name_of, PRINCIPALS),
        ):
            yield from _conditions_in(properties.get(name))

    def is_there(self, owner: str, way: Way) -> bool:
        condition = self.resources[owner].get("Condition")
        return not isinstance(condition, str) or dict(way).get(condition, True)

    def is_attached(self, policy: str, name: str, way: Way | None) -> bool:
        """Whether a policy is the role's where the conditions fall that way; None: in any."""
        if way is not None and not self.is_there(policy, way):
            return False
        own, its = self.resources[name]["Properties"], self.resources[policy]["Properties"]
        if way is not None:
            own, its = resolved(own, way), resolved(its, way)
        listed = _flat(own.get("ManagedPolicyArns"))
        return self.is_named(_attached_to(its), name) or any(_is_of(each, policy) for each in listed)

    def is_named(self, entries: Sequence[Any], name: str) -> bool:
        """Whether a policy that is attached to these is attached to this one."""
        own = self.resources[name]["Properties"].get(_name_of(self.resources[name]["Type"]))
        return {"Ref": name} in entries or (own is not None and own in entries)

    def own_name(self, name: str) -> str | None:
        """What the role is called, as far as it is text."""
        own = self.resources[name]["Properties"].get(_name_of(self.resources[name]["Type"]))
        return own if own is None or isinstance(own, str) else _shown(own)

    def unread(self, name: str, way: Way) -> Iterator[str]:
        for each in _flat(resolved(self.resources[name]["Properties"].get("ManagedPolicyArns"), way)):
            if not any(_is_of(each, policy) for policy in self.resources):
                yield each if isinstance(each, str) else _shown(each)

    def all_held(self, owners: Sequence[str]) -> tuple[Held, ...]:
        return tuple(Held(way, self.pieces(owners, way)) for way in _ways(self, owners, {}))

    def pieces(self, owners: Sequence[str], way: Way) -> tuple[Piece, ...]:
        pieces = tuple(
            Piece(owner, self.resources[owner]["Type"], document)
            for owner in owners
            if self.is_there(owner, way)
            for document in _resolved_documents(self, owner, way)
        )
        check_bounds([each.document for each in pieces], self.where)
        return pieces


def _count(data: Any) -> int:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return 1 + sum(map(_count, inner))


def _name_of(kind: str) -> str:
    return f"{PRINCIPALS[kind][:-1]}Name"


def _is_of(entry: Any, policy: str) -> bool:
    """Whether an ARN is that of a managed policy of the template."""
    return entry in ({"Ref": policy}, {"Fn::GetAtt": [policy, "PolicyArn"]}, {"Fn::GetAtt": f"{policy}.PolicyArn"})


def _shown(data: Any) -> str:
    value = next(iter(data.values())) if isinstance(data, dict) and len(data) == 1 else data
    return value if isinstance(value, str) else json.dumps(data)


def _conditions_in(data: Any) -> Iterator[str]:
    if is_if(data):
        yield data["Fn::If"][0]
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _conditions_in(each)


def _resolved_documents(template: _Template, owner: str, way: Way) -> Iterator[Document]:
    resource = template.resources[owner]
    base: Path = ("Resources", owner, "Properties")
    kept: dict[Path, Path] = {}
    properties = resolved(resource["Properties"], way, base, base, kept)
    positions = {path: template.positions[old] for path, old in kept.items() if old in template.positions}
    listed = [(owner, base, properties)] if resource["Type"] in POLICIES else [
        (f"{owner}.Policies[{_number(kept, (*base, 'Policies', index), index)}]", (*base, "Policies", index), each)
        for index, each in enumerate(properties.get("Policies") or ())
    ]  # fmt: skip
    for name, path, policy in listed:
        if not isinstance(policy, dict) or "PolicyDocument" not in policy:
            continue
        path = (*path, "PolicyDocument")
        if isinstance(policy["PolicyDocument"], dict) and "Statement" not in policy["PolicyDocument"]:
            continue  # its statements are AWS::NoValue: without a condition, it would not have been read
        document = document_from(policy["PolicyDocument"], template.where, positions, path)
        yield _placed(document, name, kept, (*path, "Statement"))


def _number(kept: Mapping[Path, Path], path: Path, index: int) -> int:
    """The number that an item has in the template, where others before it may have been left out."""
    old = kept.get(path, path)
    # What comes after the list's own name, branches aside.
    rest = old[len(old) - old[::-1].index(path[-2]) :]
    while rest[:1] == ("Fn::If",):
        rest = rest[2:]
    return rest[0] if rest and isinstance(rest[0], int) else index


def _placed(document: Document, name: str, kept: Mapping[Path, Path], path: Path) -> Document:
    """Statements numbered as they are in the template, and called by their policy's name as well."""
    statements = tuple(
        replace(
            each,
            place=replace(
                each.place,
                policy=name,
                statement=each.place.statement and _number(kept, (*path, index), index) + 1,
            ),
        )
        for index, each in enumerate(document.statements)
    )
    return replace(document, statements=statements, place=replace(document.place, policy=name))


def resolved(data: Any, way: Way, path: Path = (), old: Path = (), kept: dict[Path, Path] | None = None) -> Any:
    """The data where the conditions fall that way; ``kept`` gets where each piece stood."""
    falls = dict(way)
    while is_if(data) and data["Fn::If"][0] in falls:
        index = 1 if falls[data["Fn::If"][0]] else 2
        data, old = data["Fn::If"][index], (*old, "Fn::If", index)
    if kept is not None:
        kept[path] = old
    if isinstance(data, dict):
        made = {name: resolved(each, way, (*path, name), (*old, name), kept) for name, each in data.items()}
        return {name: each for name, each in made.items() if each != NO_VALUE}
    if isinstance(data, list):
        items: list[Any] = []
        for index, each in enumerate(data):
            item = resolved(each, way, (*path, len(items)), (*old, index), kept)
            if item == NO_VALUE:
                continue
            items.append(item)
        return items
    return data
