"""What tagging and untagging means for one instance. Pure: docs/reference.md, "Tags and cases", as functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cado_ops.due import Claim, claim_value, format_due, is_expired, parse_claim
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, SSM_TAG_VALUE, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import Action, TagChange, Tags, change_of

# "Tag your Amazon EC2 resources", EC2 User Guide: keys that begin with aws: do not count.
TAG_LIMIT = 50
# Never touched: they are gone, or going.
ENDED_STATES = frozenset({"terminated", "shutting-down"})


@dataclass(frozen=True, slots=True)
class TagWish:
    """What tag-instances was asked for: under which case, due when, and whether a value set on purpose may go."""

    case: str | None = None
    due: datetime | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class UntagWish:
    """What untag-instances was asked for: to end one case's claim, the claims due at ``expired_at``, or both.

    Without either: to take the SSM tag off, whoever put it there.
    """

    case: str | None = None
    expired_at: datetime | None = None
    overwrite: bool = False

    @property
    def by_claim(self) -> bool:
        return self.case is not None or self.expired_at is not None

    def ends(self, claim: Claim) -> bool:
        """Whether this claim is one of those to be ended."""
        if self.case is not None and claim.case != self.case:
            return False
        return self.expired_at is None or is_expired(claim, self.expired_at)


def plan_tag(instance: Instance, wish: TagWish) -> TagChange:
    """The change that makes ``instance`` reachable over SSM, and claims it for the case if there is one."""
    value = instance.tags.get(SSM_TAG)
    claims = claims_of(instance)
    warnings = _twin_keys(instance)
    if instance.state in ENDED_STATES:
        return _left(instance, Outcome.SKIPPED, (*warnings, f"the instance is {instance.state}"))
    if value is not None and not _near_miss(value) and value != SSM_TAG_VALUE and not wish.overwrite:
        reason = f"{SSM_TAG} is {value!r}: set on purpose, so left alone; --overwrite replaces it"
        return _left(instance, Outcome.SKIPPED, (*warnings, reason))
    before: dict[str, str | None] = {SSM_TAG: value}
    after: dict[str, str | None] = {SSM_TAG: SSM_TAG_VALUE}
    if wish.case is not None:
        key = CLAIM_PREFIX + wish.case
        before[key] = instance.tags.get(key)
        after[key], remarks = _claim(wish, value, claims)
        warnings = (*warnings, *remarks)
    if before == after:
        return _left(instance, Outcome.UNCHANGED, warnings)
    action = Action.CLAIM
    if value != SSM_TAG_VALUE:
        action = Action.RETAG if value is not None else Action.TAG
    full = _over_limit(instance, before, after)
    return change_of(
        instance,
        action,
        before,
        after,
        claims=_cases_after(claims, after),
        warnings=warnings,
        outcome=Outcome.FAILED if full else Outcome.PLANNED,
        error=full,
    )


def plan_untag(instance: Instance, wish: UntagWish) -> TagChange:
    """The change that takes the SSM tag off, or only a case's claim where others still hold the instance."""
    value = instance.tags.get(SSM_TAG)
    claims = claims_of(instance)
    warnings = _twin_keys(instance)
    if instance.state in ENDED_STATES:
        return _left(instance, Outcome.SKIPPED, (*warnings, f"the instance is {instance.state}"))
    if wish.by_claim:
        return _release(instance, wish, value, claims, warnings)
    if claims and not wish.overwrite:
        cases = ", ".join(sorted(claims))
        reason = f"claimed by {cases}: left alone; name the case with --case, or --overwrite to end them all"
        return _left(instance, Outcome.SKIPPED, (*warnings, reason))
    before: dict[str, str | None] = {SSM_TAG: value}
    before |= {CLAIM_PREFIX + case: claim.raw for case, claim in claims.items()}
    after: dict[str, str | None] = dict.fromkeys(before)
    if before == after:
        return _left(instance, Outcome.UNCHANGED, warnings)
    return change_of(instance, Action.UNTAG, before, after, warnings=warnings)


def claims_of(instance: Instance) -> dict[str, Claim]:
    """The cases that claim an instance, each with its claim."""
    found = (parse_claim(key, value) for key, value in instance.tags.items())
    return {claim.case: claim for claim in found if claim is not None}


def _release(
    instance: Instance,
    wish: UntagWish,
    value: str | None,
    claims: Mapping[str, Claim],
    warnings: tuple[str, ...],
) -> TagChange:
    ending = {case: claim for case, claim in claims.items() if wish.ends(claim)}
    if not ending:
        if value is not None and wish.case is not None:
            warnings = (*warnings, f"{SSM_TAG} stands, and {wish.case} has no claim on it: left alone")
        return _left(instance, Outcome.UNCHANGED, warnings)
    before: dict[str, str | None] = {CLAIM_PREFIX + case: claim.raw for case, claim in ending.items()}
    after: dict[str, str | None] = dict.fromkeys(before)
    action = Action.RELEASE
    before[SSM_TAG] = after[SSM_TAG] = value
    keep = any(claim.keep for claim in ending.values())
    if len(ending) == len(claims) and not keep and value is not None:
        after[SSM_TAG] = None
        action = Action.UNTAG
    return change_of(instance, action, before, after, claims=_cases_after(claims, after), warnings=warnings)


def _claim(wish: TagWish, value: str | None, claims: Mapping[str, Claim]) -> tuple[str, tuple[str, ...]]:
    """The claim's value, with remarks. Whoever tagged the instance before any claim meant the tag to stay."""
    assert wish.case is not None
    mine = claims.get(wish.case)
    if mine is None:
        stood = value is not None and (value == SSM_TAG_VALUE or _near_miss(value))
        keep = (stood and not claims) or any(other.keep for other in claims.values())
        return claim_value(wish.due, keep), ()
    if wish.due is None:
        return mine.raw, ()
    if mine.due is not None and wish.due < mine.due:
        remark = f"{wish.case} has it until {format_due(mine.due)} already: the earlier due time is not taken"
        return mine.raw, (remark,)
    return claim_value(wish.due, mine.keep), ()


def _left(instance: Instance, outcome: Outcome, warnings: tuple[str, ...]) -> TagChange:
    tags: Tags = {SSM_TAG: instance.tags.get(SSM_TAG)}
    cases = tuple(sorted(claims_of(instance)))
    return change_of(instance, Action.NONE, tags, tags, claims=cases, outcome=outcome, warnings=warnings)


def _near_miss(value: str) -> bool:
    """StringLike compares values case-sensitively: these were meant, and do not match."""
    return value != SSM_TAG_VALUE and value.strip().lower() == SSM_TAG_VALUE.lower()


def mistagged(instance: Instance) -> bool:
    """Whether the SSM tag is there in a form that the Cado role's condition does not match."""
    value = instance.tags.get(SSM_TAG)
    return (value is not None and _near_miss(value)) or (value is None and bool(_twin_keys(instance)))


def _twin_keys(instance: Instance) -> tuple[str, ...]:
    """Condition keys' names ignore case, EC2's tag keys do not: with both, which one counts is not defined."""
    return tuple(
        f"a second key, {key}={value!r}, differs only in case: IAM does not define which of the two counts"
        for key, value in sorted(instance.tags.items())
        if key != SSM_TAG and key.lower() == SSM_TAG.lower()
    )


def _cases_after(claims: Mapping[str, Claim], after: Tags) -> tuple[str, ...]:
    cases = set(claims)
    for key, value in after.items():
        if key.startswith(CLAIM_PREFIX):
            case = key.removeprefix(CLAIM_PREFIX)
            cases = cases - {case} if value is None else cases | {case}
    return tuple(sorted(cases))


def _over_limit(instance: Instance, before: Tags, after: Tags) -> ErrorInfo | None:
    added = sum(value is not None and before[key] is None for key, value in after.items())
    if instance.tag_count + added <= TAG_LIMIT or not added:
        return None
    return ErrorInfo(
        "TagLimitExceeded",
        f"the instance has {instance.tag_count} tags and needs {added} more: EC2 allows {TAG_LIMIT}",
        "Remove a tag that nobody needs, then run this again.",
    )
