"""Undo and resume of grants as plans: what a run did with a grant, turned round, or what is left of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cado_ops.grant_name import digest_of
from cado_ops.model import ErrorInfo, Grant, Outcome
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import ENDING, GrantChange, on_grant, terms_of
from cado_ops.plan.ownership import is_unique_id


def undo_grant(done: GrantChange, live: Iterable[Grant]) -> GrantChange:
    """The change that takes back what ``done`` did, given the grants that the key has now.

    A grant that was ended is made anew with the same terms: KMS gives it a new id.
    """
    grants = {grant.grant_id: grant for grant in live}
    if done.action is Action.CREATE:
        grant = grants.get(done.grant_id or "") or (done.made(grants) if done.grant_id is None else None)
        if grant is None:
            return _left(done, Outcome.UNCHANGED, "the grant is gone already")
        if not _is_own(grant, done):
            reason = f"the run's grant gave way to {grant.grant_id}, which another run made: left alone"
            return _left(done, Outcome.UNCHANGED, reason)
        return on_grant(grant, Action.RETIRE, owner=done.owner, serves=done.serves)
    again = replace(
        done, id=f"{done.grant_id} again", action=Action.CREATE, grant_id=None, created=None, issuing_account=None,
        # Under a name a repeated call makes no second grant (KMS API reference, CreateGrant).
        name=done.name or f"again/{done.grant_id}", after=None, outcome=Outcome.PLANNED, error=None,
        warnings=(f"granted anew in place of {done.grant_id}: the id is a new one",),
    )  # fmt: skip
    there = grants.get(done.grant_id or "") or again.made(grants)
    if there is not None:
        return _left(again.of_grant(there), Outcome.UNCHANGED, "the grant is there (again)")
    if is_unique_id(done.grantee_principal):
        error = ErrorInfo("GranteeGone", f"the grantee was {done.grantee_principal}: that role is gone, or was")
        return replace(_left(again, Outcome.FAILED, ""), error=error, warnings=())
    return again


def resume_grant(planned: GrantChange, live: Iterable[Grant], *, begun: bool) -> GrantChange:
    """What is still to be done of a change that a run planned, given the grants that the key has now.

    ``begun``: the run had journaled an intent for it. Then a change that is found done is UNKNOWN, to be looked at
    once more when applied; one that was never begun and is found done is somebody else's doing: UNCHANGED.
    """
    change = replace(planned, outcome=Outcome.PLANNED, error=None)
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


def _is_own(grant: Grant, made: GrantChange) -> bool:
    """Whether a run made this grant itself, and did not come upon it as the one to be kept of two."""
    retiring = grant.retiring_principal
    return grant.name == made.name and (retiring == made.retiring_principal or is_unique_id(retiring))


def _terms(grant: Grant | GrantChange) -> tuple[str | None, str]:
    return grant.name, digest_of(*terms_of(grant))


def _left(change: GrantChange, outcome: Outcome, reason: str) -> GrantChange:
    return replace(change, action=Action.NONE, outcome=outcome, error=None, warnings=(reason,))
