"""The policies of a CloudFormation template, where they stand.

"AWS::IAM::Role, Policy, ManagedPolicy, RolePolicy", Template reference, and "Condition functions", CloudFormation
User Guide. Where another function than Fn::If decides which policies there are, the template is refused: what was
not read is not empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cado_ops.errors import PolicyError
from cado_ops.policy.document import Document, Fault, document_from, is_if, is_intrinsic
from cado_ops.policy.json_text import Path, Position

# Whose policies are meant, by the property of a policy that names them.
PRINCIPALS = {"AWS::IAM::Role": "Roles", "AWS::IAM::User": "Users", "AWS::IAM::Group": "Groups"}
POLICIES = (
    *("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy"),
    "AWS::IAM::GroupPolicy",
)
NO_VALUE = {"Ref": "AWS::NoValue"}
REFUSED = "give it without that function, or the deployed role by --role"
Positions = Mapping[Path, Position]
# The name of a condition, and how it falls.
Way = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Found:
    """One policy of a file: what can be tightened in place.

    ``path`` is the policy's own in the data, or, where Fn::If stands in the place of its statements, that of a
    branch. ``name`` and ``owner`` (the logical id of the resource that holds it) are empty outside of templates.
    """

    path: Path
    name: str
    document: Document
    owner: str = ""


def policies_in(
    template: Mapping[str, Any], where: str, positions: Positions, faults: list[Fault] | None = None
) -> Iterator[Found]:
    """Every place where policies stand. Raises PolicyError; with ``faults`` what is malformed is put there."""
    for owner, resource in resources_in(template, where).items():
        properties: dict[str, Any] = resource["Properties"]
        base: Path = ("Resources", owner, "Properties")
        if resource["Type"] in POLICIES:
            document = properties.get("PolicyDocument")
            yield from _in_document(document, (*base, "PolicyDocument"), owner, owner, where, positions, faults)
            continue
        for path, way, listed in _branches(properties.get("Policies", NO_VALUE), (*base, "Policies"), owner, where):
            if not isinstance(listed, list):
                raise PolicyError(f"{where}: Policies of {owner} is a list")
            for index, each in enumerate(listed):
                for inner, more, policy in _branches(each, (*path, index), owner, where):
                    if isinstance(policy, dict) and "PolicyDocument" in policy:
                        name = f"{owner}.Policies[{index}]{told(way + more)}"
                        yield from _in_document(policy["PolicyDocument"], (*inner, "PolicyDocument"), name, owner,
                                                where, positions, faults)  # fmt: skip


def told(way: Way) -> str:
    """``" (if A, unless B)"``; nothing where no condition decides."""
    return f" ({said(way)})" if way else ""


def said(way: Way) -> str:
    return ", ".join(f"{'if' if holds else 'unless'} {name}" for name, holds in way)


def _in_document(
    data: Any, path: Path, name: str, owner: str, where: str, positions: Positions, faults: list[Fault] | None
) -> Iterator[Found]:
    for at, way, document in _branches(NO_VALUE if data is None else data, path, owner, where):
        if not isinstance(document, dict):
            raise PolicyError(f"{where}: PolicyDocument of {owner} is an object")
        statements = document.get("Statement")
        if not is_if(statements):
            yield Found(at, name + told(way), document_from(document, where, positions, at, faults), owner)
            continue
        for inner, more, branch in _branches(statements, (*at, "Statement"), owner, where):
            moved = _Moved(positions, (*at, "Statement"), inner)
            made = document_from({**document, "Statement": branch}, where, moved, at, faults)
            yield Found(inner, name + told(way + more), made, owner)


class _Moved(Mapping[Path, Position]):
    """Positions, with what stands in a branch of Fn::If found where its statements are read from."""

    def __init__(self, positions: Positions, read: Path, stands: Path) -> None:
        self._positions, self._read, self._stands = positions, read, stands

    def __getitem__(self, path: Path) -> Position:
        inside = path[: len(self._read)] == self._read
        moved = (*self._stands, *path[len(self._read) :]) if inside else path
        return self._positions[moved] if moved in self._positions else self._positions[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)


def resources_in(template: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    resources = template["Resources"]
    if not isinstance(resources, dict):
        raise PolicyError(f"{where}: Resources is an object")
    for name, each in resources.items():
        if name.startswith("Fn::") and "AWS::IAM::" in json.dumps(each):
            raise PolicyError(f"{where}: {name} decides on deployment which policies there are", REFUSED)
    return {
        name: each
        for name, each in resources.items()
        if isinstance(each, dict)
        and each.get("Type") in (*PRINCIPALS, *POLICIES)
        and isinstance(each.get("Properties"), dict)
    }


def _branches(data: Any, path: Path, owner: str, where: str) -> Iterator[tuple[Path, Way, Any]]:
    """What may stand there, each with its path and the way in which the conditions fall then."""
    if is_if(data):
        name, *branches = data["Fn::If"]
        for index, branch in enumerate(branches, 1):
            for inner, way, value in _branches(branch, (*path, "Fn::If", index), owner, where):
                yield inner, ((name, index == 1), *way), value
    elif data == NO_VALUE:
        return
    elif is_intrinsic(data):
        raise PolicyError(
            f"{where}: in {owner}, {next(iter(data))} decides on deployment which policies there are", REFUSED
        )
    else:
        yield path, (), data
