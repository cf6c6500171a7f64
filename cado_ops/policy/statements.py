"""Statements against a request: which of them match, and what they allow or deny together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cado_ops.policy.answer import NO, YES, Answer, all_of, any_of, negated, unknown
from cado_ops.policy.conditions import all_hold
from cado_ops.policy.document import ALLOW, DENY, Document, Intrinsic, Place, Statement, Value, Values
from cado_ops.policy.matching import action_matches, expand, not_deployed, resource_matches
from cado_ops.policy.principals import Level, named
from cado_ops.policy.request import Request

Source = tuple[str, Place]


@dataclass(slots=True)
class Match:
    """What several policies of a kind say together. ``allows`` is by how directly a resource policy names him."""

    allow: Answer = NO
    deny: Answer = NO
    allowed_by: Source | None = None
    denied_by: Source | None = None
    allows: dict[Level, Answer] = field(default_factory=lambda: dict.fromkeys(Level, NO))


def judge(
    policies: Iterable[tuple[str, Document | None, str]], request: Request, principals: bool = False
) -> Match:
    """``policies`` are names, documents and, where there is no document, why. ``principals``: they name who."""
    found = Match()
    allows: list[Answer] = []
    denies: list[Answer] = []
    by_level: dict[Level, list[Answer]] = {level: [] for level in Level}
    for name, document, problem in policies:
        if document is None:
            open_ = unknown(f"{name}: {problem}")
            allows.append(open_)
            denies.append(open_)
            for level in Level:
                by_level[level].append(open_)
            continue
        for statement in document.statements:
            matched = match(statement, request, variables=document.has_variables)
            who = named(statement, request) if principals and statement.whole is None else dict.fromkeys(Level, YES)
            reached = any_of(all_of([matched, each]) for each in who.values())
            if _may_be(statement, DENY):
                denies.append(_as(statement, DENY, reached))
                if denies[-1].certain and found.denied_by is None:
                    found.denied_by = name, statement.place
            if _may_be(statement, ALLOW):
                allows.append(_as(statement, ALLOW, reached))
                if allows[-1].certain and found.allowed_by is None:
                    found.allowed_by = name, statement.place
                for level, each in who.items():
                    by_level[level].append(_as(statement, ALLOW, all_of([matched, each])))
    found.allow, found.deny = any_of(allows), any_of(denies)
    found.allows = {level: any_of(each) for level, each in by_level.items()}
    return found


def match(statement: Statement, request: Request, *, variables: bool) -> Answer:
    """Whether action, resource and conditions fit. The principal is `principals`' part."""
    if statement.whole is not None:
        return not_deployed(statement.whole)
    action = _element(
        statement.actions, statement.not_actions, lambda pattern: action_matches(pattern, request.action)
    )
    # What does not fit needs no look at the rest, which costs more.
    if action.value is False:
        return NO
    resource = _resources(statement, request, variables=variables)
    if resource.value is False:
        return NO
    return all_of([action, resource, all_hold(statement.conditions, request.told, variables=variables)])


def _resources(statement: Statement, request: Request, *, variables: bool) -> Answer:
    if statement.resources is None and statement.not_resources is None:
        return YES  # a trust policy is about its role

    others = statement.not_resources is not None

    def matches(pattern: Value) -> Answer:
        if others and isinstance(pattern, str):
            missing = expand(pattern, request.told, variables=variables).missing
            if missing:
                return unknown(f"{missing} has no value, and what NotResource then leaves out is not documented")
        return resource_matches(
            pattern, request.checked_resource, request.told, variables=variables, told=request.resource_is_told
        )

    return _element(statement.resources, statement.not_resources, matches)


def _element(values: Values | None, others: Values | None, matches: Callable[[Value], Answer]) -> Answer:
    """Of Action and NotAction, or Resource and NotResource."""
    if values is not None:
        return any_of(matches(each) for each in values)
    return negated(any_of(matches(each) for each in others or ()))


def _may_be(statement: Statement, effect: str) -> bool:
    return isinstance(statement.effect, Intrinsic) or statement.effect == effect


def _as(statement: Statement, effect: str, reached: Answer) -> Answer:
    """A statement whose effect is known on deployment only decides nothing for certain."""
    if isinstance(statement.effect, Intrinsic):
        return all_of([reached, not_deployed(statement.effect)])
    return reached
