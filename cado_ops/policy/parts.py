"""Statements taken apart: what every rule of `tighten` does it with, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cado_ops.policy.document import ALLOW, Condition, Document, Statement, Value, Values
from cado_ops.policy.filled import text_of, widest
from cado_ops.policy.library import RUN_DOCUMENTS, SESSION_DOCUMENTS
from cado_ops.policy.partitions import Partitions, partitions_of
from cado_ops.policy.patterns import covers, meets
from cado_ops.policy.reach import Ask, Place, may_allow, surely_denies
from cado_ops.policy.source import unused

SEND, START, CREATE_TAGS = "ssm:SendCommand", "ssm:StartSession", "ec2:CreateTags"
# Hybrid nodes (mi-…) have their tags from Systems Manager ("AddTagsToResource", resource type ManagedInstance).
ADD_TAGS = "ssm:AddTagsToResource"
TAG_WRITERS = (CREATE_TAGS, ADD_TAGS)


@dataclass(frozen=True)
class Wish:
    """What is asked for. ``kms``: a variant's name; None leaves KMS alone.

    ``partition`` is the account's, where there is one; None: the policy's, or ``default`` where that names none.
    ``beside`` are other policies of the same role: what they name, a Deny in this one must not close.
    ``strict``: nothing at all may be allowed that was not, read-only actions included.
    """

    documents: tuple[str, ...] = RUN_DOCUMENTS
    session_documents: tuple[str, ...] = SESSION_DOCUMENTS
    kms: str | None = None
    drop_sids: tuple[str, ...] = ()
    strict: bool = False
    partition: str | None = None
    default: Partitions | None = None
    beside: tuple[Document, ...] = ()


@dataclass(frozen=True)
class Part:
    """A statement, or what was made of one; ``origin`` is its number in the old policy, None for our own."""

    statement: Statement
    origin: int | None


@dataclass
class Work:
    """The state of one tightening: what is asked for, the parts so far, the Sids taken, what has to be said."""

    old: Document
    wish: Wish
    parts: list[Part] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partitions = (
            Partitions.only(self.wish.partition)
            if self.wish.partition
            else partitions_of([self.old], self.wish.default)
        )
        self.places = self.partitions.places
        self.sids = {each.sid for each in self.old.statements if each.sid is not None}
        self.parts = [Part(each, number) for number, each in enumerate(self.old.statements)]

    def say(self, remark: str) -> None:
        if remark not in self.remarks:
            self.remarks.append(remark)

    def sid(self, statement: Statement, suffix: str) -> str | None:
        """A Sid for a part of a statement; none where that has none."""
        if statement.sid is None:
            return None
        sid = statement.sid + suffix
        sid = unused(sid, self.sids) if sid in self.sids else sid
        self.sids.add(sid)
        return sid

    @property
    def denies(self) -> list[Statement]:
        return [each.statement for each in self.parts if each.statement.effect != ALLOW]

    def may(self, statement: Statement, asks: Callable[[Place], Iterable[Ask]]) -> bool:
        """Whether a statement could allow any of these in any partition, the policy's own Denies considered."""
        denies = self.denies
        return any(
            may_allow(statement, ask, place.partition)
            and not any(surely_denies(each, ask, place.partition) for each in denies)
            for place in self.places
            for ask in asks(place)
        )

    def meets(self, entry: Value, kinds: Callable[[Place], Iterable[str]]) -> bool:
        """Whether a resource could be of one of these kinds, in any partition."""
        return any(meets(widest(entry, place.partition), each) for place in self.places for each in kinds(place))

    def within(self, entry: Value, kinds: Callable[[Place], Iterable[str]]) -> bool:
        """Whether a resource is of one of these kinds, whatever it is."""
        return any(covers(each, widest(entry, place.partition)) for place in self.places for each in kinds(place))

    def parts_of(self, entry: Value, make: Callable[[Place], Iterable[str]]) -> list[Value]:
        """Of these ARNs, those that a resource means whatever is filled in: variables compare as their names."""
        wide = text_of(entry)
        return [
            each for each in self.partitions.arns(make) if wide is not None and covers(wide, text_of(each) or "*")
        ]


def name_of(statement: Statement) -> str:
    """What a person calls it: its Sid, or its number."""
    return statement.sid or statement.place.name or "a statement"


def values(items: Sequence[Value]) -> Values:
    return Values(tuple(dict.fromkeys(items)), single=len(items) == 1)


def without_actions(statement: Statement, actions: Iterable[str]) -> Statement | None:
    """The statement without the actions that it names so; None where none is left."""
    gone = {each.lower() for each in actions}
    assert statement.actions is not None
    left = [each for each in statement.actions if not (isinstance(each, str) and each.lower() in gone)]
    return replace(statement, actions=statement.actions.with_items(left)) if left else None


# Operators that mean the same of such values: a policy has room for two of them on one key.
_OTHER_NAMES = {"StringEquals": "StringLike", "Bool": "StringEquals", "BoolIfExists": "StringEqualsIfExists"}


def with_condition(statement: Statement, operator: str, key: str, value: str) -> Statement:
    """The statement with one more condition; all must hold, so it allows no more than before.

    Beside values that are there already: of a negated operator none may match, so that another narrows it; of
    others any may, so that the new one replaces them where it is among them, and what is left is narrower.
    """
    same = [
        each
        for each in statement.conditions
        if each.operator.lower() == operator.lower() and each.key.lower() == key.lower()
    ]
    if not same:
        made = Condition(operator, key, Values.of(value))
        at = max((n for n, each in enumerate(statement.conditions, 1) if each.operator == operator), default=None)
        conditions = list(statement.conditions)
        conditions.insert(len(conditions) if at is None else at, made)
        return replace(statement, conditions=tuple(conditions))
    # More than one where the keys differ in case: all of them must hold.
    old = next((each for each in same if value in each.values.strings), None)
    if "Not" in operator:
        if old is not None:
            return statement
        old = same[0]
        made = replace(old, values=Values((*old.values, value)))
    elif old is not None:
        if any(each.values.items == (value,) for each in same):
            return statement
        made = replace(old, values=Values.of(value))
    else:
        # It never holds with the others: all have to stand, under two names of the same operator.
        other = _OTHER_NAMES.get(operator, operator)
        return statement if other == operator else with_condition(statement, other, key, value)
    return replace(statement, conditions=tuple(made if each is old else each for each in statement.conditions))
