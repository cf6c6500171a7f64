"""The policies in a file: JSON or YAML, alone, as AWS CLI answers have them, or inside a CloudFormation template.

What is written back is the file as it came in, with the statements that changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cado_ops.errors import PolicyError
from cado_ops.policy.bounds import check_bounds
from cado_ops.policy.document import CURRENT_VERSION, Document, Fault, Statement, Values, document_from
from cado_ops.policy.holders import Holder, holders
from cado_ops.policy.json_text import Path, Position, parse_json
from cado_ops.policy.partitions import Partitions, of_the_deployment, partitions_of
from cado_ops.policy.template import POLICIES, PRINCIPALS, Found, policies_in
from cado_ops.visible import escape_json

if TYPE_CHECKING:
    from cado_ops.policy.yaml_text import ParsedYaml

# aws iam get-role-policy, get-policy-version, get-account-authorization-details answer so.
_WRAPPERS = (("PolicyDocument",), ("PolicyVersion", "Document"), ("Policy",), ("policy",))


@dataclass(frozen=True)
class PolicyFile:
    """A file with policies. ``form`` is json or yaml."""

    where: str
    text: str
    form: str
    data: Any
    found: tuple[Found, ...]
    positions: Mapping[Path, Position]
    yaml: ParsedYaml | None = None

    @property
    def is_template(self) -> bool:
        return any(each.owner for each in self.found)

    def holders(self) -> list[Holder]:
        """Whose the policies of a template are. Raises PolicyError."""
        return holders(self.data, self.where, self.positions)

    @property
    def default_partitions(self) -> Partitions | None:
        """For policies of a template that name no partition: as its others, or that of the deployment."""
        if not self.is_template:
            return None
        found = partitions_of([each.document for each in self.found], of_the_deployment())
        return found if len(found.written) == 1 else of_the_deployment()

    def with_statements(self, changed: Mapping[Path, Sequence[tuple[int | None, Statement]]]) -> str:
        """The text with other statements in the policies at these paths.

        Each statement comes with its number in the old policy, from 0; None is a new one. Without any change it is
        the text that came in, to the letter.
        """
        text, data = self.text, self.data
        parsed = self.yaml
        edited = False
        for found in self.found:
            items = changed.get(found.path)
            old = found.document.statements
            if items is None or [each for _, each in items] == list(old):
                continue
            edited = True
            path = _list_path(data, found.path)
            raw = _listed(data, path)
            made = [(at, raw[at] if at is not None and each == old[at] else each.as_json()) for at, each in items]
            data = _with_statements(data, path, [each for _, each in made])
            if parsed is not None:
                from cado_ops.policy.yaml_text import parse_yaml, replace_items

                text = replace_items(parsed, path, made)
                parsed = parse_yaml(text, self.where)
        if not edited:
            return text
        return text if parsed is not None else escape_json(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def read_policy_file(text: str, where: str, faults: list[Fault] | None = None) -> PolicyFile:
    """Raises PolicyError: one line with the place. With ``faults``, what is wrong within a policy is put there."""
    text = text.removeprefix("\ufeff")
    stripped = text.lstrip()
    if not stripped:
        raise PolicyError(f"{where}: empty, where a policy was expected")
    if stripped[0] in "{[" and not _is_flow_yaml(stripped):
        parsed = parse_json(text, where)
        data, positions, yaml = parsed.data, parsed.positions, None
    else:
        from cado_ops.policy.yaml_text import parse_yaml

        yaml = parse_yaml(text, where)
        data, positions = yaml.data, yaml.positions
    found = tuple(_documents(data, where, positions, faults))
    for each in found:
        check_bounds([each.document], where)
    return PolicyFile(where, text, "json" if yaml is None else "yaml", data, found, positions, yaml)


def _is_flow_yaml(text: str) -> bool:
    """YAML between braces: a name without quotes, or one of its tags. JSON with a mistake stays JSON."""
    after = text[1:].lstrip()
    return bool(after) and (after[0].isalpha() or after[0] in "!&#'")


def _documents(
    data: Any, where: str, positions: Mapping[Path, Position], faults: list[Fault] | None
) -> Iterator[Found]:
    if not isinstance(data, dict):
        raise PolicyError(f"{where}: a policy is an object, and this is none")
    if "Resources" in data and "Statement" not in data:
        found = list(policies_in(data, where, positions, faults))
        if not found:
            raise PolicyError(
                f"{where}: the template has no policy of a role",
                f"Looked for: {', '.join((*PRINCIPALS, *POLICIES))}.",
            )
        yield from found
        return
    path = next((each for each in _WRAPPERS if _at(data, each) is not None), ())
    inner = _at(data, path)
    if isinstance(inner, str) and path:
        # The AWS CLI shows a document as text in some answers: such a file has no places inside.
        yield Found(path, "", document_from(_decoded(inner, where), where, faults=faults))
        return
    yield Found(path, "", document_from(inner, where, positions, path, faults))


def _decoded(text: str, where: str) -> Any:
    return parse_json(unquote(text) if text.startswith("%7B") else text, where).data


def _at(data: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return None
        data = data[step]
    return data


def _list_path(data: Any, path: Path) -> Path:
    """The path of the statements: a policy has them under that name, a branch of Fn::If is them."""
    for step in path:
        data = data[step]
    return (
        (*path, "Statement") if isinstance(data, str) or (isinstance(data, dict) and "Statement" in data) else path
    )


def _listed(data: Any, path: Path) -> list[Any]:
    for step in path:
        data = _decoded(data, "policy") if isinstance(data, str) else data
        data = data[step]
    return data if isinstance(data, list) else [data]


def _with_statements(data: Any, path: Path, statements: list[Any]) -> Any:
    """The data with other statements at the path; a single one that stood without brackets stays so."""
    if not path:
        return statements[0] if not isinstance(data, list) and len(statements) == 1 else statements
    if isinstance(data, str):
        return json.dumps(_with_statements(_decoded(data, "policy"), path, statements))
    step, rest = path[0], path[1:]
    if isinstance(data, dict):
        return {
            name: _with_statements(each, rest, statements) if name == step else each for name, each in data.items()
        }
    return [_with_statements(each, rest, statements) if index == step else each for index, each in enumerate(data)]


def merged(documents: Sequence[tuple[str, Document]]) -> tuple[Document, list[str]]:
    """Several policies of one role as one, their statements in order; and remarks.

    In the old version of the language ``${…}`` is no variable: there it is written so that it is none here either.
    Sids must differ within a policy ("IAM JSON policy elements: Sid"): one that comes again gets a number.
    """
    remarks: list[str] = []
    statements: list[Statement] = []
    used: set[str] = set()
    new_language = any(document.has_variables for _, document in documents)
    for name, document in documents:
        for statement in document.statements:
            if new_language and not document.has_variables:
                statement = _without_variables(statement)
            sid = statement.sid
            if sid is not None and sid in used:
                new = unused(sid, used)
                remarks.append(f"the Sid {sid} of {name} is taken by another policy: it is {new} here")
                statement = replace(statement, sid=new)
            if statement.sid is not None:
                used.add(statement.sid)
            statements.append(statement)
    version = CURRENT_VERSION if new_language or not documents else documents[0][1].version
    return Document(version=version, statements=tuple(statements)), remarks


def _without_variables(statement: Statement) -> Statement:
    """A statement of the old language version in the new one: ``${`` has to stay what it says."""

    def values(given: Values | None) -> Values | None:
        if given is None:
            return None
        return given.with_items(
            each.replace("${", "${$}{") if isinstance(each, str) and "${" in each else each for each in given
        )

    conditions = tuple(replace(each, values=values(each.values) or each.values) for each in statement.conditions)
    return replace(
        statement, resources=values(statement.resources), not_resources=values(statement.not_resources),
        conditions=conditions,
    )  # fmt: skip


def unused(sid: str, used: set[str]) -> str:
    """A Sid like this one that is not taken."""
    number = 2
    while f"{sid}{number}" in used:
        number += 1
    return f"{sid}{number}"
