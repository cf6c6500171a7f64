"""A Cado role's policy, tightened: nothing that was denied is allowed after, but for the repairs listed by name.

An Allow is split into parts, each of which allows no more than the whole did; what cannot be split is closed by a
Deny at the end. What has nothing to do with it keeps its words, its place and its Sid. docs/policy-rules.md says
why each thing is as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from cado_ops.model import SSM_TAG
from cado_ops.policy import known
from cado_ops.policy.branches import possible
from cado_ops.policy.document import ALLOW, DENY, Document, Statement, Values
from cado_ops.policy.guards import guards_for, tagging
from cado_ops.policy.kms_variant import limit_to_variant
from cado_ops.policy.pairs import send_command, sessions, start_session
from cado_ops.policy.parts import TAG_WRITERS, Part, Wish, Work, name_of, with_condition, without_actions
from cado_ops.policy.reach import (
    NO_TAGS,
    REQUEST_TAG,
    TAG_KEYS,
    TAG_PREFIXES,
    Ask,
    may_allow,
    names_action,
    surely_allows,
)
from cado_ops.policy.source import unused

# Of other services nothing is repaired: what this program does not reason about it does not allow either.
_REPAIRED_SERVICES = ("ssm", "ec2", "kms")


@dataclass(frozen=True)
class Tightened:
    """The statements, each with its number in the old policy (None: new), and what has to be said.

    ``repairs`` are the read-only actions that are allowed now and were not.
    """

    items: tuple[tuple[int | None, Statement], ...]
    document: Document
    remarks: tuple[str, ...]
    repairs: tuple[str, ...]


def tighten(document: Document, wish: Wish | None = None) -> Tightened:
    """A policy that is tight comes back as it is."""
    wish = wish or Wish()
    work = Work(document, wish)
    _drop(work)
    _unique_sids(work)
    repairs: dict[str, None] = {}
    steps: tuple[Callable[[Work, Part], Iterator[Part]], ...] = (
        lambda work, part: _no_resources(work, part, repairs),
        send_command,
        start_session,
        sessions,
        _create_tags,
        _kms,
    )
    for part in work.parts:
        if not _is_plain(part.statement):
            work.say(f"{name_of(part.statement)}: a template's function makes it, or its conditions: left as it is")
    for step in steps:
        # Each step sees what the steps before it left of the other statements.
        work.parts = [
            new
            for part in work.parts
            for new in (
                step(work, part) if part.statement.effect == ALLOW and _is_plain(part.statement) else (part,)
            )
        ]
    _guard(work)
    return _result(work, tuple(repairs))


def _result(work: Work, repairs: tuple[str, ...]) -> Tightened:
    taken: set[int] = set()
    items: list[tuple[int | None, Statement]] = []
    for part in work.parts:
        # An old statement's place goes to the first of its parts.
        place = part.origin if part.origin not in taken else None
        if place is not None:
            taken.add(place)
        items.append((place, part.statement))
    statements = tuple(statement for _, statement in items)
    single = work.old.single and len(statements) == 1
    return Tightened(
        tuple(items), replace(work.old, statements=statements, single=single), tuple(work.remarks), repairs
    )


def _is_plain(statement: Statement) -> bool:
    """Whether it can be edited: where a template makes conditions, none can be added to them."""
    made = any(not each.operator or not each.key for each in statement.conditions)
    return statement.whole is None and statement.effect in (ALLOW, DENY) and not made


def _drop(work: Work) -> None:
    for part in work.parts:
        if part.statement.sid in work.wish.drop_sids:
            is_deny = part.statement.effect != ALLOW
            work.say(
                f"{name_of(part.statement)}: dropped" + ("; it is a Deny, so more is allowed" if is_deny else "")
            )
    work.parts = [part for part in work.parts if part.statement.sid not in work.wish.drop_sids]


def _unique_sids(work: Work) -> None:
    """Sids must differ within a policy ("IAM JSON policy elements: Sid"): AWS takes none where they do not."""
    seen: set[str] = set()
    parts: list[Part] = []
    for part in work.parts:
        sid = part.statement.sid
        if sid and sid in seen and _is_plain(part.statement):
            new = unused(sid, work.sids)
            work.sids.add(new)
            work.say(f"{name_of(part.statement)}: the Sid stands twice, which AWS refuses: the second is {new}")
            part = replace(part, statement=replace(part.statement, sid=new))
        seen.add(part.statement.sid or "")
        parts.append(part)
    work.parts = parts


def _no_resources(work: Work, part: Part, repairs: dict[str, None]) -> Iterator[Part]:
    """What knows no resources works on ``"*"`` alone: on ARNs, or under a tag's condition, it grants nothing.

    Service Authorization Reference: an action without resource types.
    """
    statement = part.statement
    dead = [each for each in (statement.actions or Values()).strings if _is_dead_read(work, each, statement)]
    if not dead:
        yield part
        return
    rest = without_actions(statement, dead)
    if rest is not None:
        yield replace(part, statement=rest)
    missing = [each for each in dead if known.canonical(each) not in repairs and not _is_granted(work, each)]
    if not missing or work.wish.strict:
        why = "--strict allows nothing new" if missing else "granted elsewhere"
        work.say(f"{name_of(statement)}: {', '.join(dead)} knows no resources, granted nothing, and goes ({why})")
        return
    repairs |= dict.fromkeys(map(known.canonical, missing))
    sid = statement.sid if rest is None else work.sid(statement, "OnAnything")
    conditions = tuple(each for each in statement.conditions if not _is_of_a_resource(each.key))
    repaired = Statement(sid=sid, actions=Values.of(*missing), resources=Values.of("*"), conditions=conditions)
    work.say(
        f"{name_of(statement)}: {', '.join(missing)} knows no resources and granted nothing there: now on *, "
        f"in {sid or 'a statement of its own'}"
    )
    yield replace(part, statement=repaired)


def _is_dead_read(work: Work, action: str, statement: Statement) -> bool:
    if known.split_action(action)[0] not in _REPAIRED_SERVICES or set(action) & set("*?"):
        return False
    if not known.knows_no_resources(action) or not known.is_read_only(action):
        return False
    # On "*" no partition is named.
    return not may_allow(statement, Ask(action, "*", NO_TAGS), work.places[0].partition)


def _is_granted(work: Work, action: str) -> bool:
    """Whether a statement surely allows the action on anything: what a template fills in may be something else."""
    return any(surely_allows(each.statement, Ask(action, "*"), work.places[0].partition) for each in work.parts)


def _is_of_a_resource(key: str) -> bool:
    """Whether a condition key tells of a resource or of its tags: an action without resources never has it."""
    key = key.lower()
    of_tags = key.startswith((*TAG_PREFIXES, REQUEST_TAG)) or key == TAG_KEYS
    return of_tags or key.startswith(("ssm:", "ec2:", "kms:", "aws:resource"))


def _create_tags(work: Work, part: Part) -> Iterator[Part]:
    """Any tag but ours, however its case is written: the names of condition keys know no case."""
    statement = part.statement
    stated = [statement, *work.denies]
    named = [
        each
        for each in TAG_WRITERS
        if names_action(statement, each) and work.may(statement, partial(tagging, action=each, statements=stated))
    ]
    if not named:
        yield part
        return
    rest = without_actions(statement, named)
    if rest is not None:
        yield replace(part, statement=rest)
    sid = statement.sid if rest is None else work.sid(statement, "OtherTags")
    made = replace(statement, sid=sid, actions=Values.of(*named))
    made = with_condition(made, "ForAllValues:StringNotEqualsIgnoreCase", "aws:TagKeys", SSM_TAG)
    # ForAllValues is true where there is no key at all.
    made = with_condition(made, "Null", "aws:TagKeys", "false")
    yield replace(part, statement=made)


def _kms(work: Work, part: Part) -> Iterator[Part]:
    if work.wish.kms is None:
        yield part
        return

    def is_dead(action: str) -> bool:
        return _is_dead_read(work, action, part.statement)

    for suffix, statement in limit_to_variant(part.statement, work.wish.kms, work.say, is_dead):
        sid = work.sid(part.statement, suffix) if suffix else part.statement.sid
        yield replace(part, statement=replace(statement, sid=sid))


def _guard(work: Work) -> None:
    document = replace(work.old, statements=tuple(possible(part.statement for part in work.parts)))
    for guard in guards_for(document, work.partitions, work.wish):
        sid = work.sid(replace(guard, sid=""), str(guard.sid))
        work.say(f"{sid}: a Deny for what wildcards, NotAction, NotResource or a template leave open")
        work.parts.append(Part(replace(guard, sid=sid), None))
