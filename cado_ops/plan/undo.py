"""Undo as a plan: what a run changed, turned round, as far as nobody else changed it since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cado_ops.due import parse_claim
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, SSM_TAG_VALUE, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import Action, TagChange, Tags
from cado_ops.plan.tagging import ENDED_STATES, claims_of

# What earlier undos of a run left of each tag: its value, and the undo's run id.
Undone = Mapping[str, Iterable[tuple[str | None, str]]]


def plan_undo(done: TagChange, live: Instance | None, undone: Undone | None = None) -> TagChange:
    """The change that puts back what ``done`` changed, given how the instance is now (None: it is gone).

    Each tag that ``done`` changed must stand as it left it, or as it found it: anything else is somebody's
    later doing, and is left alone (DRIFTED). Another case's claim keeps the SSM tag on; with the last claim it
    goes, whichever run set it, unless that claim says ``keep``. What an earlier undo put back (``undone``) is no
    longer the run's: it is left alone, however much alike what stands there now is.
    """
    change = replace(done, outcome=Outcome.PLANNED, warnings=(), error=None)
    if live is None:
        return _left(change, Outcome.SKIPPED, "the instance is gone: there is nothing to put back")
    change = replace(change, state=live.state, name=live.name or change.name)
    if live.state in ENDED_STATES:
        return _left(change, Outcome.SKIPPED, f"the instance is {live.state}: there is nothing to put back")
    touched = [key for key in done.before if done.before[key] != done.after[key]]
    left = undone or {}
    if _tag_is_anothers(done, live.tags):
        touched.remove(SSM_TAG)
    put_back = {key: run for key in touched for value, run in left.get(key, ()) if value == done.before[key]}
    if put_back and len(put_back) == len(touched):
        return _put_back(done, change, live, put_back)
    touched = [key for key in touched if key not in put_back]
    now = {key: live.tags.get(key) for key in touched}
    changed_since = [key for key in touched if now[key] not in (done.before[key], done.after[key])]
    if changed_since:
        change = replace(change, before=now, after=now)
        return _left(change, Outcome.DRIFTED, f"changed since by somebody else: {', '.join(changed_since)}")
    before: dict[str, str | None] = {SSM_TAG: live.tags.get(SSM_TAG), **now}
    after = before | {key: done.before[key] for key in touched}
    others = claims_of(live).keys() - {key.removeprefix(CLAIM_PREFIX) for key in touched}
    cases = others | {key.removeprefix(CLAIM_PREFIX) for key, value in after.items() if _claims(key, value)}
    # A claim that is put back keeps the tag from going too, though it stood without one before.
    keeping = others if after[SSM_TAG] is not None else cases
    warnings: tuple[str, ...] = ()
    if keeping and before[SSM_TAG] == SSM_TAG_VALUE != after[SSM_TAG]:
        after[SSM_TAG] = before[SSM_TAG]
        warnings = (f"claimed by {', '.join(sorted(keeping))}: the tag stays",)
    restored = [key for key in touched if _claims(key, after[key]) and before[key] is None]
    if restored and after[SSM_TAG] is None and done.before.get(SSM_TAG) == SSM_TAG_VALUE:
        after[SSM_TAG] = SSM_TAG_VALUE
        warnings = (*warnings, "the claim comes back, so the tag does as well")
    if not cases and SSM_TAG not in touched and _ends_claims(before):
        after[SSM_TAG] = None
    return replace(
        change,
        action=action_of(before, after),
        before=before,
        after=after,
        claims=tuple(sorted(cases)),
        outcome=Outcome.UNCHANGED if before == after else Outcome.PLANNED,
        warnings=warnings,
    )


def _tag_is_anothers(done: TagChange, live: Mapping[str, str]) -> bool:
    """Whether the SSM tag that stands is no longer the one that ``done`` put there.

    It put on tag and claim in one call. Where its claim has gone since, the tag went with it, or was left to
    others: one that stands now, though it be the very same, is theirs.
    """
    tag = done.after.get(SSM_TAG)
    if tag is None or done.before.get(SSM_TAG) == tag or live.get(SSM_TAG) != tag:
        return False
    set_by_it = [
        key for key, value in done.after.items() if key.startswith(CLAIM_PREFIX) and value and not done.before[key]
    ]
    return bool(set_by_it) and not any(key in live for key in set_by_it)


def undo_unread(done: TagChange, error: ErrorInfo) -> TagChange:
    """What undoing ``done`` is about, where nothing is known of how the instance is now: FAILED, for a resume."""
    return replace(_turned(done), outcome=Outcome.FAILED, warnings=(), error=error)


def undo_again(wanted: TagChange, live: Instance | None, undone: Undone | None = None) -> TagChange:
    """The plan of an undo, made anew from a fresh reading. ``wanted`` is as `undo_unread` gave it."""
    return plan_undo(_turned(wanted), live, undone)


def plan_resume(planned: TagChange, live: Instance | None, *, begun: bool) -> TagChange:
    """What is still to be done of a change that a run planned, given how the instance is now.

    ``begun``: the run had journaled an intent for it. Then a change that is found done is UNKNOWN, to be looked
    at once more when applied; one that was never begun and is found done is somebody else's: UNCHANGED.
    """
    change = replace(planned, outcome=Outcome.PLANNED, error=None, begun=begun)
    if live is None:
        return change.ended(Outcome.DRIFTED, warnings=("the instance is gone since the plan was made",))
    if live.state in ENDED_STATES:
        return change.ended(Outcome.DRIFTED, warnings=(f"the instance is {live.state} since the plan was made",))
    outcome = change.compare(live.tags, begun=begun)
    if outcome is Outcome.DRIFTED:
        return change.ended(outcome, warnings=("its tags were changed since the plan was made: left alone",))
    if outcome is Outcome.UNCHANGED and begun:
        return replace(change, outcome=Outcome.UNKNOWN)
    return replace(change, outcome=outcome).seen(live.tags)


def action_of(before: Tags, after: Tags) -> Action:
    """What to call the step from one set of tags to another."""
    old, new = before.get(SSM_TAG), after.get(SSM_TAG)
    if old != new:
        if new is None:
            return Action.UNTAG
        return Action.TAG if old is None else Action.RETAG
    changed: Mapping[str, str | None] = {key: value for key, value in after.items() if before[key] != value}
    if not changed:
        return Action.NONE
    return Action.CLAIM if any(value is not None for value in changed.values()) else Action.RELEASE


def _turned(change: TagChange) -> TagChange:
    return replace(change, action=action_of(change.after, change.before), before=change.after, after=change.before)


def _put_back(done: TagChange, change: TagChange, live: Instance, put_back: Mapping[str, str]) -> TagChange:
    now = {key: live.tags.get(key) for key in put_back}
    runs = ", ".join(sorted(set(put_back.values())))
    change = replace(change, before=now, after=now, claims=tuple(sorted(claims_of(live))))
    if all(now[key] == done.before[key] for key in now):
        return _left(change, Outcome.UNCHANGED, f"put back by the undo {runs} already")
    return _left(
        change, Outcome.SKIPPED, f"put back by the undo {runs} already: what stands now is somebody else's"
    )


def _ends_claims(before: Tags) -> bool:
    """Whether there are claims among these, and none of them says that the tag stays without them."""
    found = [parse_claim(key, value) for key, value in before.items() if value is not None]
    ended = [claim for claim in found if claim is not None]
    return bool(ended) and not any(claim.keep for claim in ended)


def _claims(key: str, value: str | None) -> bool:
    return key.startswith(CLAIM_PREFIX) and value is not None


def _left(change: TagChange, outcome: Outcome, reason: str) -> TagChange:
    return replace(change, action=Action.NONE, after=change.before, outcome=outcome, warnings=(reason,))
