"""Which grants kms retire ends, and which it never does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cado_ops.grant_name import parse_grant_name
from cado_ops.model import ErrorInfo, Grant, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange, on_grant
from cado_ops.plan.ownership import is_unique_id

# KMS API Reference, "GrantListEntry".
GRANT_ID_DIGITS = 64
_NOT_OURS = {
    Owner.SERVICE: "it is held by an AWS service: ending it would break what runs. It is never touched here",
    Owner.OTHER: "somebody else made it, for somebody else: it is never touched here",
    Owner.PLATFORM: "somebody else made it for the Cado role",
}


@dataclass(frozen=True, slots=True)
class RetireWish:
    """What kms retire was asked for: grants by id or its beginning, a case's, those due at ``expired_at``.

    A case and a time together: both must hold.
    """

    ids: frozenset[str] = frozenset()
    # Of a run whose grants have no known ids: their names, which are ours alone.
    grant_names: frozenset[str] = frozenset()
    of_case: str | None = None
    expired_at: datetime | None = None
    revoke: bool = False
    include_platform: bool = False

    @property
    def by_name(self) -> bool:
        """Whether grants are selected by what their names say, so that all grants have to be read."""
        return self.of_case is not None or self.expired_at is not None

    def names(self, grant: Grant) -> bool:
        """Whether a grant is among those named one by one."""
        return grant.name in self.grant_names or any(grant.grant_id.startswith(each) for each in self.ids)

    def selects(self, grant: Grant) -> bool:
        """Whether the name of a grant of ours is among those asked for."""
        name = parse_grant_name(grant.name)
        if name is None or not self.by_name:
            return False
        if self.of_case is not None and name.case != self.of_case:
            return False
        return self.expired_at is None or (name.due is not None and name.due <= self.expired_at)


def plan_retire(grant: Grant, owner: Owner, wish: RetireWish, retiring_principal: str | None) -> GrantChange | None:
    """The change that ends ``grant``, why it is not ended though it was named, or None: not selected.

    ``retiring_principal`` is who the caller is to KMS there.
    """
    named = wish.names(grant)
    if owner is Owner.OURS:
        if not named and not wish.selects(grant):
            return None
    elif not named:
        return None
    elif owner is not Owner.PLATFORM or not wish.include_platform:
        hint = "--include-platform ends it all the same" if owner is Owner.PLATFORM else None
        refused = on_grant(grant, Action.NONE, owner=owner)
        return refused.ended(Outcome.FAILED, ErrorInfo("NotOurs", _NOT_OURS[owner], hint))
    action = Action.REVOKE if wish.revoke else Action.RETIRE
    warnings = remarks_on(grant)
    if not wish.revoke and grant.retiring_principal != retiring_principal:
        warnings = (*warnings, f"to be retired by {grant.retiring_principal or 'nobody in particular'}, not by you")
    return on_grant(grant, action, owner=owner, warnings=warnings)


def remarks_on(grant: Grant) -> tuple[str, ...]:
    """What is odd about a grant."""
    if is_unique_id(grant.grantee_principal):
        return (f"the grantee is shown as {grant.grantee_principal}: the role was just made, or is gone",)
    return ()
