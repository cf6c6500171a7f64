"""Statements that a template's Fn::If decides on: both branches, as statements.

"Condition functions", CloudFormation User Guide. A statement in whose place another function stands is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from cado_ops.errors import PolicyError
from cado_ops.policy.document import DENY, Document, Statement, document_from, is_if, is_intrinsic


def alternatives(statement: Statement) -> Iterator[Statement]:
    """What may stand there on deployment: the statement itself, or those of each branch."""
    if statement.whole is None:
        yield statement
        return
    for data in _branches(statement.whole.data):
        try:
            [made] = document_from({"Statement": [data]}, statement.place.where).statements
        except PolicyError:
            continue
        yield replace(made, place=statement.place)


def possible(statements: Iterable[Statement]) -> list[Statement]:
    """All that may be allowed, and of what is denied only what surely is."""
    return [
        each
        for statement in statements
        for each in alternatives(statement)
        if statement.whole is None or each.effect != DENY
    ]


def possible_in(document: Document) -> Document:
    return replace(document, statements=tuple(possible(document.statements)))


def _branches(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        for each in data:
            yield from _branches(each)
    elif is_if(data):
        for branch in data["Fn::If"][1:]:
            yield from _branches(branch)
    elif not is_intrinsic(data):
        yield data
