"""`policy check` of a template: all policies of a role together, in every way that its conditions can fall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cado_ops.policy.holders import Held, Holder, Piece
from cado_ops.policy.lint import lint_reach
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.rules import Finding, Subject, finding
from cado_ops.policy.template import Way, said
from cado_ops.policy.validity import Attached, text_of

_ATTACHED = {
    "AWS::IAM::ManagedPolicy": Attached.MANAGED,
    "AWS::IAM::Role": Attached.ROLE_INLINE,
    "AWS::IAM::RolePolicy": Attached.ROLE_INLINE,
    "AWS::IAM::User": Attached.USER_INLINE,
    "AWS::IAM::UserPolicy": Attached.USER_INLINE,
    "AWS::IAM::Group": Attached.GROUP_INLINE,
    "AWS::IAM::GroupPolicy": Attached.GROUP_INLINE,
}


def lint_holder(holder: Holder, subject: Subject) -> Iterator[Finding]:
    """``subject`` says what is known besides, and has no documents. What some branches alone have says in which."""
    ways: dict[Finding, list[Way]] = {}
    seen: dict[Any, list[Finding]] = {}
    for held in holder.held:
        # With the places: statements that say the same are equal wherever they stand.
        key = tuple((piece, tuple(one.place for one in piece.document.statements)) for piece in held.pieces)
        if key not in seen:
            seen[key] = list(_found(held, subject))
        for each in dict.fromkeys((*seen[key], *_unread(held))):
            ways.setdefault(each, []).append(held.way)
    everywhere = [held.way for held in holder.held]
    for each, these in ways.items():
        branch = _branch(these, everywhere)
        yield replace(
            each,
            statement=each.statement or holder.name,
            message=f"{branch}: {each.message}" if branch else each.message,
        )


def _found(held: Held, subject: Subject) -> Iterator[Finding]:
    for piece in held.pieces:
        attached = _ATTACHED.get(piece.kind)
        here = replace(subject, documents=(piece.document,), partition="", attached=attached)
        yield from lint_shape(replace(here, text=_counted(held, piece, attached)))
    yield from lint_reach(replace(subject, documents=held.documents, partition=""))


def _counted(held: Held, piece: Piece, attached: Attached | None) -> str | None:
    """What AWS counts the size of: the inline policies of one role together, told with the first of them."""
    if attached in (None, Attached.MANAGED):
        return None
    together = [each for each in held.pieces if _ATTACHED.get(each.kind) is attached]
    return "".join(text_of(each.document) for each in together) if together[0] is piece else ""


def _unread(held: Held) -> Iterator[Finding]:
    for each in held.unread:
        message = f"{each} is attached; policy check --role reads it of the deployed role"
        yield finding("managed-not-read", None, message)


def _branch(these: list[Way], everywhere: list[Way]) -> str:
    """In words, in which of the ways: ``if A, unless B``; nothing where it is in all."""
    if len(these) == len(everywhere):
        return ""
    always = [each for each in these[0] if all(each in way for way in these)]
    if sum(all(each in way for each in always) for way in everywhere) == len(these):
        fixed = [each for each in everywhere[0] if all(each in way for way in everywhere)]
        return said(tuple(each for each in always if each not in fixed))
    return f"where the conditions fall in some ways ({said(these[0])})"
