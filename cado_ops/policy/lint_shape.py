"""What AWS refuses, or takes to mean something else than was written: form, size, names, partitions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from cado_ops.policy import actions, known
from cado_ops.policy.conditions import parse_operator
from cado_ops.policy.document import ALLOW, DENY, Condition, Document, Statement, Values
from cado_ops.policy.rules import Finding, Subject, finding

# "IAM and AWS STS quotas": characters, blanks outside of strings not counted. Inline: of all a role's together.
INLINE_LIMIT = 10_240
MANAGED_LIMIT = 6_144
# "Key policies in AWS KMS": bytes, blanks counted.
KEY_LIMIT = 32_768

_SID = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*+|arn:.*|\$\{.*", re.DOTALL)
_PARTITION = re.compile(r"arn:([^:$*?]+):")


def size_of(document: Document) -> int:
    """The characters that IAM counts."""
    return len(json.dumps(document.as_json(), separators=(",", ":"), ensure_ascii=False))


def lint_shape(subject: Subject, *, is_key_policy: bool = False) -> Iterator[Finding]:
    for document in subject.documents:
        yield from _document(document, is_key_policy=is_key_policy)
        for statement in document.statements:
            if statement.whole is not None or statement.effect not in (ALLOW, DENY):
                yield finding("not-judged", statement, "a template's function stands in the place of the statement")
                continue
            yield from _statement(statement, is_key_policy=is_key_policy)
            yield from _actions(statement)
            for condition in statement.conditions:
                yield from _condition(statement, condition)
    yield from _partitions(subject)


def _document(document: Document, *, is_key_policy: bool) -> Iterator[Finding]:
    if not document.statements:
        yield finding("malformed", None, "the policy has no statement", document)
    if not document.has_variables:
        text = json.dumps(document.as_json())
        if "${" in text:
            yield finding(
                "old-version",
                None,
                f"Version is {document.version or 'missing'}, and ${{…}} stands in it",
                document,
            )
    sids = Counter(each.sid for each in document.statements if each.sid)
    seen: set[str] = set()
    for statement in document.statements:
        if statement.sid and sids[statement.sid] > 1:
            if statement.sid in seen:
                yield finding(
                    "duplicate-sid", statement, f"the Sid {statement.sid} stands {sids[statement.sid]} times"
                )
            seen.add(statement.sid)
    size, limit = size_of(document), KEY_LIMIT if is_key_policy else INLINE_LIMIT
    if size > limit:
        yield finding("size", None, f"{size:,} characters, and AWS takes {limit:,}", document)
    elif size > MANAGED_LIMIT and not is_key_policy:
        yield finding(
            "size-managed", None, f"{size:,} characters; a managed policy has {MANAGED_LIMIT:,}", document
        )


def _statement(statement: Statement, *, is_key_policy: bool) -> Iterator[Finding]:
    if statement.sid and not is_key_policy and not _SID.fullmatch(statement.sid):
        yield finding("malformed", statement, f"the Sid {statement.sid!r} has other characters than A-Z, a-z, 0-9")
    if statement.resources is None and statement.not_resources is None and not is_key_policy:
        yield finding("malformed", statement, "the statement has neither Resource nor NotResource")
    has_principal = statement.principal is not None or statement.not_principal is not None
    if has_principal and not is_key_policy:
        yield finding("malformed", statement, "a role's policy has no Principal: the principal is the role")
    if not has_principal and is_key_policy:
        yield finding("malformed", statement, "a key's policy has to say Principal")
    named = {
        "Action": statement.actions, "NotAction": statement.not_actions,
        "Resource": statement.resources, "NotResource": statement.not_resources,
    }  # fmt: skip
    for name, values in named.items():
        if values is not None and not len(values):
            yield finding("malformed", statement, f"{name} is an empty list")
    for name in ("Resource", "NotResource"):
        for text in (named[name] or Values()).strings:
            if not _RESOURCE.fullmatch(text):
                yield finding("malformed", statement, f'{name} {text!r} is neither an ARN nor "*"')


def _actions(statement: Statement) -> Iterator[Finding]:
    for values in (statement.actions, statement.not_actions):
        for action in (values or Values()).strings:
            if not _ACTION.fullmatch(action):
                yield finding("malformed", statement, f"{action!r} is no action (service:Name)")
            elif action != "*" and not _exists(action):
                yield finding("unknown-action", statement, f"AWS publishes no action {action}")


def _exists(action: str) -> bool:
    service, name = known.split_action(action)
    if set(service) & set("*?"):
        return True
    return (name == "*" and bool(actions.names(service))) or bool(known.expand(action))


def _condition(statement: Statement, condition: Condition) -> Iterator[Finding]:
    if not condition.operator or not condition.key:
        yield finding("not-judged", statement, "a template's function stands in the place of conditions")
        return
    if not _is_operator(condition.operator):
        yield finding("malformed", statement, f"{condition.operator} is no condition operator")
    if ":" not in condition.key:
        yield finding("malformed", statement, f"{condition.key!r} is no condition key (service:name)")
    if not len(condition.values):
        yield finding("malformed", statement, f"{condition.operator} {condition.key} has no value")


def _is_operator(name: str) -> bool:
    return name.lower() == "null" or parse_operator(name) is not None


def _partitions(subject: Subject) -> Iterator[Finding]:
    found: dict[str, Statement] = {}
    for statement in subject.statements:
        for values in (statement.resources, statement.not_resources):
            for text in (values or Values()).strings:
                if match := _PARTITION.match(text):
                    found.setdefault(match[1], statement)
    for name, statement in found.items():
        if subject.live_partition is not None and name != subject.live_partition:
            yield finding(
                "partition", statement, f"arn:{name}: means nothing here, the partition is {subject.live_partition}"
            )
    if subject.live_partition is None and len(found) > 1:
        last = list(found.values())[-1]
        yield finding("partition", last, f"ARNs of several partitions: {', '.join(found)}; a role lives in one")
