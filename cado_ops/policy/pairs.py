"""SendCommand, StartSession and the actions on sessions, each on the resources that it is about.

"Restricting Run Command access based on tags", "Restrict access to ... Session Manager" and "Enforce a session
document permission check", Systems Manager User Guide: a tag's condition fits the instance alone, so the documents
stand in a statement of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy.document import Condition, Intrinsic, Statement, Value, Values
from cado_ops.policy.filled import text_of, widest
from cado_ops.policy.library import RUN_DOCUMENTS, TAG_KEY
from cado_ops.policy.parts import (
    SEND,
    START,
    Part,
    Work,
    name_of,
    values,
    with_condition,
    without_actions,
)
from cado_ops.policy.patterns import covers
from cado_ops.policy.reach import Ask, Place, holds, is_on_our_tag, may_allow, names_action, tagged, wrong_values

DOCUMENT_CHECK = "ssm:SessionDocumentAccessCheck"
SESSION_ACTIONS = ("ssm:TerminateSession", "ssm:ResumeSession")


def send_command(work: Work, part: Part) -> Iterator[Part]:
    yield from _pair(work, part, SEND, work.wish.documents, ("Tagged", "Run"))


def start_session(work: Work, part: Part) -> Iterator[Part]:
    yield from _pair(work, part, START, work.wish.session_documents, ("SessionTagged", "SessionDocuments"))


@dataclass
class _Sorted:
    """A statement's resources by what they are: what an action is aimed at, documents, and anything else."""

    targets: list[Value] = field(default_factory=list)
    documents: list[Value] = field(default_factory=list)
    others: list[Value] = field(default_factory=list)

    @property
    def all(self) -> list[Value]:
        return [*self.targets, *self.documents, *self.others]


def _pair(
    work: Work, part: Part, action: str, documents: Sequence[str], suffixes: tuple[str, str]
) -> Iterator[Part]:
    """The tagged pair: instances bound to the tag, and the documents named in a statement of their own."""
    statement = part.statement
    found = _sort(work, statement, action, documents) if names_action(statement, action) else None
    if found is None:
        yield from _whole(work, part, action)
        return
    tight = not found.targets or not _reaches_untagged(
        work, replace(statement, resources=values(found.targets)), action
    )
    unchecked = action == START and bool(found.targets) and not has_document_check(statement)
    same = set(found.all) == set(statement.resources or ())
    dead = bool(found.targets) and _shuts_the_tag_out(statement, action)
    if tight and same and not unchecked and not dead:
        yield part
        return
    leg = replace(statement, actions=Values.of(action))
    legs: list[tuple[str, Statement]] = []
    if tight and same and not dead:
        legs.append((suffixes[0], _checked(leg)))
    else:
        if found.others:
            legs.append(("Other", replace(leg, resources=values(found.others))))
        if found.targets:
            bound = replace(leg, resources=values(found.targets))
            bound = bound if tight else _bound(bound, action)
            if _reaches_tagged(work, bound, action):
                legs.append((suffixes[0], _checked(bound) if unchecked else bound))
        if found.documents:
            run = replace(leg, resources=values(found.documents))
            legs.append((suffixes[1], _checked(run) if unchecked else run))
        elif found.targets:
            work.say(
                f"{name_of(statement)}: it allowed {action} with none of {', '.join(documents)}, so there is no "
                "statement for documents; adding one would allow more"
            )
    rest = without_actions(statement, [action])
    if rest is not None:
        yield replace(part, statement=rest)
    for suffix, each in legs:
        sid = statement.sid if rest is None and len(legs) == 1 else work.sid(statement, suffix)
        yield replace(part, statement=replace(each, sid=sid))


def _whole(work: Work, part: Part, action: str) -> Iterator[Part]:
    """Resources that cannot be told apart: only what is dead on all of them can go."""
    statement = part.statement
    dead = names_action(statement, action) and all(
        any(holds(each, Ask(action, "*", tagged(value))) is False for each in _on_tag(statement))
        for value in (SSM_TAG_VALUE, None)
    )
    if not dead:
        yield part
        return
    work.say(f"{name_of(statement)}: its conditions on {SSM_TAG} never hold, so nothing is left of {action}")
    rest = without_actions(statement, [action])
    if rest is not None:
        yield replace(part, statement=rest)


def _on_tag(statement: Statement) -> list[Condition]:
    return [each for each in statement.conditions if is_on_our_tag(each.key)]


def _sort(work: Work, statement: Statement, action: str, documents: Sequence[str]) -> _Sorted | None:
    """None where the resources cannot be told apart: then a Deny has to close them."""
    if statement.resources is None:
        return None
    found = _Sorted()
    for entry in statement.resources:
        is_target = work.meets(entry, lambda place: place.targets)
        is_document = work.meets(entry, lambda place: (place.documents,))
        if is_target and is_document:
            instances = work.parts_of(entry, lambda place: (place.instances,))
            if not instances:
                return None
            found.targets += instances
            found.documents += work.parts_of(entry, lambda place: map(place.document, documents))
        elif is_target:
            found.targets.append(entry)
        elif is_document:
            found.documents += _documents(work, entry, documents, action)
        else:
            found.others.append(entry)
    return found


def _documents(work: Work, entry: Value, names: Sequence[str], action: str) -> list[Value]:
    """A document that is named stays; of a pattern, those that are named in ``names``."""
    text = text_of(entry) or "*"
    start, _, name = text.rpartition(":document/")
    if start and not set("*?$") & set(name):
        # Documents of the type Command open no session.
        return [] if action == START and name in RUN_DOCUMENTS else [entry]
    if widest(start, work.places[0].partition).count(":") != 4:
        return work.parts_of(entry, lambda place: map(place.document, names))
    made = [f"{start}:document/{each}" for each in names]
    return [
        Intrinsic.of({"Fn::Sub": each}) if isinstance(entry, Intrinsic) else each
        for each in made
        if covers(text, each)
    ]


def _reaches_untagged(work: Work, statement: Statement, action: str) -> bool:
    return work.may(
        statement,
        lambda place: (
            Ask(action, target, tagged(value))
            for target in place.targets
            for value in wrong_values([statement, *work.denies])
        ),
    )


def _reaches_tagged(work: Work, statement: Statement, action: str) -> bool:
    """Whether any instance is left: one condition may ask for what the other forbids."""
    right = tagged(SSM_TAG_VALUE)
    for place in work.places:
        if any(may_allow(statement, Ask(action, target, right), place.partition) for target in place.targets):
            return True
    work.say(
        f"{name_of(statement)}: its conditions let no instance with {SSM_TAG}={SSM_TAG_VALUE} through, so nothing "
        f"is left of {action}; to allow it anew: cado-ops policy show ssm-tagged"
    )
    return False


def _shuts_the_tag_out(statement: Statement, action: str) -> bool:
    """Whether a condition on the tag lets no instance through that carries it as it should."""
    ask = Ask(action, "*", tagged(SSM_TAG_VALUE))
    return any(holds(each, ask) is False for each in _on_tag(statement))


def _bound(statement: Statement, action: str) -> Statement:
    """Bound to the tag. Conditions on it that ask for less give way; whatever else they ask stays."""
    ask = Ask(action, "*", tagged(SSM_TAG_VALUE))
    kept = tuple(
        each for each in statement.conditions if not (is_on_our_tag(each.key) and holds(each, ask) is True)
    )
    return with_condition(replace(statement, conditions=kept), "StringEquals", TAG_KEY, SSM_TAG_VALUE)


def has_document_check(statement: Statement) -> bool:
    return any(
        each.key.lower() == DOCUMENT_CHECK.lower()
        and each.operator.lower() in ("bool", "boolifexists")
        and {value.lower() for value in each.values.strings} == {"true"}
        for each in statement.conditions
    )


def _checked(statement: Statement) -> Statement:
    return with_condition(statement, "BoolIfExists", DOCUMENT_CHECK, "true")


def sessions(work: Work, part: Part) -> Iterator[Part]:
    """TerminateSession and ResumeSession know the ARNs of sessions, and no others."""
    statement = part.statement
    named = [each for each in SESSION_ACTIONS if names_action(statement, each)]
    if not named or statement.resources is None:
        yield part
        return
    kept: list[Value] = []
    for entry in statement.resources:
        if work.within(entry, _sessions):
            kept.append(entry)
        elif made := work.parts_of(entry, _sessions):
            kept += made
        elif work.meets(entry, _sessions):
            yield part
            return
    bare = replace(statement, resources=values(kept))
    dead = not kept or not any(
        may_allow(bare, Ask(named[0], place.sessions, tagged(None)), place.partition) for place in work.places
    )
    if not dead and set(kept) == set(statement.resources):
        yield part
        return
    rest = without_actions(statement, named)
    if rest is not None:
        yield replace(part, statement=rest)
    if dead:
        work.say(
            f"{name_of(statement)}: {', '.join(named)} works on sessions' ARNs alone, and granted nothing there"
        )
        return
    sid = statement.sid if rest is None else work.sid(statement, "Sessions")
    yield replace(part, statement=replace(statement, sid=sid, actions=Values.of(*named), resources=values(kept)))


def _sessions(place: Place) -> tuple[str, ...]:
    return (place.sessions,)
