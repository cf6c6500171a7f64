"""The decoded authorization message: STS API reference, "DecodeAuthorizationMessage"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cado_ops.verdict.denial.grammar import policy_type
from cado_ops.verdict.denial.model import UNKNOWN, Told


def parse(text: str) -> Mapping[str, Any] | None:
    """The document in an answer of STS, or None where it is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("context"), dict) else None


def fill(told: Told, document: Mapping[str, Any]) -> Told:
    """The error, with what the document tells; what the plain part of the message said already stays."""
    context = _object(document.get("context"))
    told.action = told.action or _text(context.get("action"))
    told.resource = told.resource or _text(context.get("resource"))
    principal = _text(_object(context.get("principal")).get("arn"))
    if principal and not (told.principal or "").startswith("arn:"):
        told.principal = principal
    explicit = document.get("explicitDeny")
    if told.explicit is None and isinstance(explicit, bool):
        told.explicit = explicit
    matched = [
        each for each in _items(document.get("matchedStatements")) if _text(each.get("effect", "DENY")) != "ALLOW"
    ]
    told.statements = tuple(name for each in matched if (name := _text(each.get("statementId"))))[:10]
    if told.denied_by == UNKNOWN:
        kinds = {policy_type((_text(each.get("sourcePolicyType")) or "").replace("_", " ")) for each in matched}
        told.denied_by = kinds.pop() if len(kinds) == 1 else UNKNOWN
    told.encoded = None
    return told


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> Iterator[Mapping[str, Any]]:
    items = _object(value).get("items")
    yield from (each for each in items if isinstance(each, dict)) if isinstance(items, list) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 2048 else None
