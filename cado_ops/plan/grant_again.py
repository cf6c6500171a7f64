"""Undo and resume of grants as plans: what a run did with a grant, turned round, or what is left of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cado_ops.grant_name import digest_of
from cado_ops.model import ErrorInfo, Grant, Outcome
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import ENDING, GrantChange, on_grant, terms_of
from cado_ops.plan.ownership import is_unique_id

# What the id of a change that makes a grant anew ends in; before it stands the id of the one that was ended.
AGAIN = " again"


def undo_grant(done: GrantChange, live: Iterable[Grant], undone: str | None = None) -> GrantChange:
    """The change that takes back what ``done`` did, given the grants that the key has now.

    A grant that was ended is made anew with the same terms: KMS gives it a new id. ``undone`` is the run that took
    it back before: what became of it since is somebody else's doing.
    """
    if undone is not None:
        return _left(done, Outcome.UNCHANGED, f"taken back by the undo {undone} already")
    grants = {grant.grant_id: grant for grant in live}
    if done.action is Action.CREATE:
        if done.outcome is Outcome.UNCHANGED:
            reason = f"the run's grant gave way to {done.grant_id}, which another run made: left alone"
            return _left(done, Outcome.UNCHANGED, reason)
        grant = grants.get(done.grant_id or "") or (done.made(grants) if done.grant_id is None else None)
        if grant is None and done.grant_id is not None:
            # KMS may take five minutes to list a grant: whether it is there is for RetireGrant to say.
            return replace(
                done, id=done.grant_id, action=Action.RETIRE, after=None, outcome=Outcome.PLANNED, warnings=(),
                error=None,
            )  # fmt: skip
        if grant is None:
            return _left(done, Outcome.UNCHANGED, "the grant is gone already")
        if not _is_own(grant, done):
            reason = f"the run's grant gave way to {grant.grant_id}, which another run made: left alone"
            return _left(done, Outcome.UNCHANGED, reason)
        return on_grant(grant, Action.RETIRE, owner=done.owner, serves=done.serves)
    again = _anew(done)
    if done.outcome is Outcome.CHANGED:
        # What the run ended, and KMS accepted, may still be listed for five minutes: that is not there again.
        grants.pop(done.grant_id or "", None)
    there = grants.get(done.grant_id or "") or again.made(grants)
    if there is not None:
        return _left(again.of_grant(there), Outcome.UNCHANGED, "the grant is there (again)")
    if is_unique_id(done.grantee_principal):
        error = ErrorInfo("GranteeGone", f"the grantee was {done.grantee_principal}: that role is gone, or was")
        return replace(_left(again, Outcome.FAILED, ""), error=error, warnings=())
    return again


def undo_grant_unread(done: GrantChange, error: ErrorInfo) -> GrantChange:
    """What undoing ``done`` is about, where nothing is known of the grants there are now: FAILED, for a resume."""
    if done.action is Action.CREATE:
        wanted = replace(done, id=done.grant_id or done.id, action=Action.RETIRE, after=None)
    else:
        wanted = _anew(done)
    return replace(wanted, outcome=Outcome.FAILED, warnings=(), error=error)


def undo_grant_again(wanted: GrantChange, live: Iterable[Grant], undone: str | None = None) -> GrantChange:
    """The plan of an undo, made anew from a fresh reading. ``wanted`` is as `undo_grant_unread` gave it."""
    wanted = replace(wanted, error=None, warnings=())
    if undone is not None:
        return _left(wanted, Outcome.UNCHANGED, f"taken back by the undo {undone} already")
    grants = {grant.grant_id: grant for grant in live}
    if wanted.action is Action.RETIRE and wanted.grant_id is None and (made := wanted.made(grants)):
        # Whether it was made was open; its id is known only now.
        return replace(wanted.of_grant(made), outcome=Outcome.PLANNED)
    return resume_grant(wanted, grants.values(), begun=False)


def resume_grant(planned: GrantChange, live: Iterable[Grant], *, begun: bool) -> GrantChange:
    """What is still to be done of a change that a run planned, given the grants that the key has now.

    ``begun``: the run had journaled an intent for it. Then a change that is found done is UNKNOWN, to be looked at
    once more when applied; one that was never begun and is found done is somebody else's doing: UNCHANGED.
    """
    change = replace(planned, outcome=Outcome.PLANNED, error=None, begun=begun)
    grants = {grant.grant_id: grant for grant in live}
    if change.action is Action.CREATE:
        made = change.made(grants)
        if made is None:
            return change
        change = change.of_grant(made)
    elif change.action in ENDING and change.grant_id in grants:
        if _terms(grants[change.grant_id]) == _terms(change):
            return change
        return change.ended(Outcome.DRIFTED, warnings=("the grant is another one than was planned: left alone",))
    return replace(change, outcome=Outcome.UNKNOWN if begun else Outcome.UNCHANGED)


def _anew(ended: GrantChange) -> GrantChange:
    """A grant that was ended, made once more."""
    return replace(
        ended, id=ended.grant_id + AGAIN if ended.grant_id else ended.id, action=Action.CREATE, grant_id=None,
        # Under a name a repeated call makes no second grant (KMS API reference, CreateGrant).
        name=ended.name or f"again/{ended.grant_id}", created=None, issuing_account=None, after=None,
        outcome=Outcome.PLANNED, error=None,
        warnings=(f"it takes the place of {ended.grant_id}, under a new id",),
    )  # fmt: skip


def in_turn(changes: Sequence[GrantChange]) -> list[GrantChange]:
    """The changes of an undo, where a grant is ended only after the one that it had replaced was made anew."""
    anew = {(*terms_of(change)[:2], digest_of(*terms_of(change))): change for change in changes if _plans(change)}

    def turn(change: GrantChange) -> GrantChange:
        first = anew.get((*terms_of(change)[:2], digest_of(*terms_of(change))))
        if change.action in ENDING and first is not None and first.case == change.case:
            return replace(change, after=first.id)
        return change

    return [turn(change) for change in changes]


def _plans(change: GrantChange) -> bool:
    return change.action is Action.CREATE and change.outcome in (Outcome.PLANNED, Outcome.FAILED)


def _is_own(grant: Grant, made: GrantChange) -> bool:
    """Whether a run made this grant itself, and did not come upon it as the one to be kept of two."""
    retiring = grant.retiring_principal
    return grant.name == made.name and (retiring == made.retiring_principal or is_unique_id(retiring))


def _terms(grant: Grant | GrantChange) -> tuple[str | None, str]:
    return grant.name, digest_of(*terms_of(grant))


def _left(change: GrantChange, outcome: Outcome, reason: str) -> GrantChange:
    return replace(change, action=Action.NONE, outcome=outcome, error=None, warnings=(reason,))
