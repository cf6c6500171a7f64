"""Whether AWS would take a document as a policy of a certain kind: sizes, Sids, elements, names.

`document.document_from` tells what has not the shape of a policy. What stands here can be read, and is a line
each, with its place: "IAM and AWS STS quotas", "Quotas for AWS Organizations", "IAM JSON policy elements: Sid".
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cado_ops.arns import shown
from cado_ops.policy import actions
from cado_ops.policy.conditions import parse_operator
from cado_ops.policy.document import ALLOW, CURRENT_VERSION, Document, Place, Statement
from cado_ops.policy.matching import glob


class Attached(StrEnum):
    """What a policy is attached to, as far as AWS's limits differ."""

    MANAGED = "managed policy"
    ROLE_INLINE = "inline policies of a role"
    USER_INLINE = "inline policies of a user"
    GROUP_INLINE = "inline policies of a group"
    SESSION = "session policy"
    TRUST = "trust policy"
    KEY = "key policy"
    SCP = "service control policy"
    RCP = "resource control policy"


@dataclass(frozen=True, slots=True)
class Limit:
    """``counts_blanks``: IAM leaves white space out of the count; KMS and Organizations count what they get."""

    size: int
    counts_blanks: bool
    page: str


_IAM = "IAM and AWS STS quotas"
_ORGANIZATIONS = "Quotas for AWS Organizations"
LIMITS = {
    Attached.MANAGED: Limit(6_144, False, _IAM),
    # Of all inline policies of the role, user or group together.
    Attached.ROLE_INLINE: Limit(10_240, False, _IAM),
    Attached.USER_INLINE: Limit(2_048, False, _IAM),
    Attached.GROUP_INLINE: Limit(5_120, False, _IAM),
    Attached.SESSION: Limit(2_048, True, "AssumeRole, parameter Policy"),
    # The default; it can be raised to 8,192.
    Attached.TRUST: Limit(2_048, False, _IAM),
    Attached.KEY: Limit(32_768, True, "KMS quotas: key policy document size"),
    # Doubled on 15 May 2026. The console takes white space out before it saves, the API does not.
    Attached.SCP: Limit(10_240, True, _ORGANIZATIONS),
    Attached.RCP: Limit(5_120, True, _ORGANIZATIONS),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that AWS refuses, or that cannot mean what was meant. ``str`` is the one line.

    ``rule`` is the name that `policy check` has for it; ``statement`` None: it is about the policy as a whole.
    """

    rule: str
    place: Place
    message: str
    hint: str | None = None
    statement: Statement | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def counted(text: str, *, blanks: bool) -> int:
    """The size of a policy's text as AWS counts it: "IAM does not count white space"; KMS counts what it gets."""
    return len(text.encode()) if blanks else len(re.sub(r"\s", "", text))


def size_problem(text: str, attached: Attached, place: Place) -> Problem | None:
    """Whether a policy's text (several, put together: inline policies share a limit) is too long."""
    limit = LIMITS[attached]
    size = counted(text, blanks=limit.counts_blanks)
    if size <= limit.size:
        return None
    without = "" if limit.counts_blanks else ", white space left out"
    where = f"all {attached} together" if attached in _TOGETHER else f"a {attached}"
    message = f"{size:,} characters{without}: AWS takes {limit.size:,} in {where}"
    return Problem("size", place, message, f'"{limit.page}"')


def text_of(document: Document) -> str:
    """A document's text without white space between its elements, as it is best sent."""
    return json.dumps(document.as_json(), separators=(",", ":"), ensure_ascii=False)


def problems(document: Document, attached: Attached) -> list[Problem]:
    """Everything that AWS would refuse in it, in its own order; the size is `size_problem`'s."""
    if not document.statements:
        return [Problem("malformed", document.place, "the policy has no statement")]
    found = list(_sids(document.statements, attached))
    for statement in document.statements:
        if statement.whole is None:
            found += _elements(statement, attached)
            found += _actions(statement)
            found += _resources(statement)
            found += _conditions(statement)
            found += _variables(statement, document)
    return sorted(found, key=lambda each: each.place.statement or 0)


def _of(statement: Statement, message: str, hint: str | None = None, rule: str = "malformed") -> Problem:
    return Problem(rule, statement.place, message, hint, statement)


def _sids(statements: Sequence[Statement], attached: Attached) -> Iterator[Problem]:
    """ "IAM JSON policy elements: Sid": unique within the policy, of letters and digits in IAM's own policies."""
    seen: dict[str, Place] = {}
    free = attached in (Attached.KEY, Attached.TRUST)
    for statement in statements:
        if not statement.sid:
            continue
        if statement.sid in seen:
            first = seen[statement.sid]
            where = f" in line {first.line}" if first.line else ""
            message = f"the Sid {statement.sid} stands twice: first in statement {first.statement}{where}"
            yield _of(statement, message, rule="duplicate-sid")
        seen.setdefault(statement.sid, statement.place)
        if not free and not re.fullmatch("[A-Za-z0-9]*", statement.sid):
            message = f"the Sid {shown(statement.sid)} has other characters than letters and digits"
            yield _of(statement, message)


_TOGETHER = (Attached.ROLE_INLINE, Attached.USER_INLINE, Attached.GROUP_INLINE)
_OF_RESOURCES = (Attached.KEY, Attached.TRUST, Attached.RCP)


def _elements(statement: Statement, attached: Attached) -> Iterator[Problem]:
    has_principal = statement.principal is not None or statement.not_principal is not None
    if attached in _OF_RESOURCES and not has_principal:
        yield _of(statement, f"a {attached} has to name a Principal in each statement")
    if attached not in _OF_RESOURCES and has_principal:
        yield _of(statement, "a Principal has no place here: it is whatever the policy is attached to")
    has_resource = statement.resources is not None or statement.not_resources is not None
    if attached is Attached.TRUST and has_resource:
        yield _of(statement, "a trust policy has no Resource: it is about its role")
    # KMS takes a key policy's statement without it, and means the key.
    if attached not in (Attached.TRUST, Attached.KEY) and not has_resource:
        yield _of(statement, "the statement has neither Resource nor NotResource")
    if attached is Attached.RCP and statement.effect == ALLOW:
        yield _of(statement, "a resource control policy of yours can only Deny")
    named = {
        "Action": statement.actions, "NotAction": statement.not_actions,
        "Resource": statement.resources, "NotResource": statement.not_resources,
    }  # fmt: skip
    for name, values in named.items():
        if values is not None and not len(values):
            yield _of(statement, f"{name} is an empty list")


_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*+|arn:.*|\$\{.*", re.DOTALL)


def _actions(statement: Statement) -> Iterator[Problem]:
    for values in (statement.actions, statement.not_actions):
        for pattern in values.strings if values is not None else ():
            if not _ACTION.fullmatch(pattern):
                yield _of(statement, f"{shown(pattern)} is no action (SERVICE:NAME)")
            elif (told := _unknown(pattern)) is not None:
                yield _of(statement, *told, rule="unknown-action")


def _unknown(pattern: str) -> tuple[str, str | None] | None:
    """What to say of an action that AWS does not publish, and what may have been meant."""
    service, _, name = pattern.partition(":")
    if set(service) & set("*?"):
        return None
    if service.lower() not in actions.services():
        close = difflib.get_close_matches(service.lower(), actions.services(), n=1)
        hint = f"Did you mean {close[0]}?" if close else None
        return f"AWS publishes no service {shown(service)} (in {pattern})", hint
    known = actions.names(service.lower())
    if any(glob(name, each, ignore_case=True) for each in known):
        return None
    if "*" in name or "?" in name:
        return f"{pattern} matches no action that AWS publishes", None
    close = difflib.get_close_matches(name, known, n=1)
    return f"AWS publishes no action {pattern}", f"Did you mean {service}:{close[0]}?" if close else None


def _resources(statement: Statement) -> Iterator[Problem]:
    for name, values in (("Resource", statement.resources), ("NotResource", statement.not_resources)):
        for text in values.strings if values is not None else ():
            if not _RESOURCE.fullmatch(text):
                yield _of(statement, f'{name} {shown(text)} is neither an ARN nor "*"')


_ORDERS = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
_SPELLED = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
    *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
    *(f"{family}{order}" for family in ("Numeric", "Date") for order in _ORDERS),
)


def _conditions(statement: Statement) -> Iterator[Problem]:
    for condition in statement.conditions:
        name = condition.operator
        if not name or not condition.key:
            continue  # a template's function
        if name.lower() != "null" and parse_operator(name) is None:
            close = difflib.get_close_matches(name, _SPELLED, n=1)
            hint = f"Did you mean {close[0]}?" if close else None
            yield _of(statement, f"{shown(name)} is no condition operator", hint)
        if ":" not in condition.key:
            yield _of(statement, f"{shown(condition.key)} is no condition key (service:name)")
        if not len(condition.values):
            yield _of(statement, f"{name} {condition.key} has no value")


def _variables(statement: Statement, document: Document) -> Iterator[Problem]:
    """ "IAM policy elements: Variables and tags": where they may stand, and in which version."""
    in_resources = [
        each
        for values in (statement.resources, statement.not_resources)
        for each in (values.strings if values is not None else ())
        if "${" in each
    ]
    in_conditions = [each for one in statement.conditions for each in one.values.strings if "${" in each]
    if not document.has_variables and (in_resources or in_conditions):
        pattern = (in_resources or in_conditions)[0]
        yield _of(statement, f"{pattern}: variables need the Version {CURRENT_VERSION}", rule="old-version")
    elif document.has_variables:
        for pattern in in_resources:
            if "${" in "".join(pattern.split(":", 5)[:5]):
                yield _of(statement, f"{pattern}: AWS takes no variable before the fifth colon")
