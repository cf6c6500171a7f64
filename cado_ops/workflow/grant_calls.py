"""How changes of grants become calls: one for each, what is still to be done, what would be allowed.

Nothing here changes anything but `send`, which `workflow.apply_grants` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell, ErrorInfo, Grant, Outcome
from cado_ops.observe.grants import grant_of, grants_of, is_gone
from cado_ops.plan.change import Action
from cado_ops.plan.grant_again import resume_grant
from cado_ops.plan.grant_change import ENDING, GrantChange


def dry_run_grants(
    kms: Kms,
    cell: Cell,
    changes: Sequence[GrantChange],
    revoke_command: Callable[[GrantChange], str],
    *,
    stale: bool = False,
) -> list[GrantChange]:
    """Asks KMS, by DryRun, whether it would allow each change. It is billed, and stands in CloudTrail.

    A ``stale`` plan is read again first, as it would be before it is applied.
    """

    def verdict(change: GrantChange) -> GrantChange:
        if stale and change.outcome is Outcome.PLANNED:
            change = read_again(kms, cell, change)
        if change.outcome is Outcome.UNKNOWN:
            # Made by a run before, as it seems, and only to be looked at; or not to be read.
            return change.ended(Outcome.FAILED if change.error else Outcome.ALLOWED, change.error)
        if change.outcome is not Outcome.PLANNED:
            return change
        try:
            send(kms, cell, change, dry_run=True)
        except AwsError as error:
            if change.action in ENDING and is_gone(error):
                return change.ended(Outcome.UNCHANGED, warnings=("the grant is gone already",))
            denied = error.kind in (Kind.DENIED, Kind.ORG_DENIED)
            info = with_revocation(kms, cell, change, error, revoke_command)
            return change.ended(Outcome.DENIED if denied else Outcome.FAILED, info)
        return change.ended(Outcome.ALLOWED)

    return [verdict(change) for change in changes]


def grants_there(kms: Kms, cell: Cell, change: GrantChange) -> list[Grant]:
    """The grants that KMS lists of what a change is about."""
    look = grant_of if change.action in ENDING else grants_of
    return look(kms, cell, change)


def read_again(kms: Kms, cell: Cell, change: GrantChange) -> GrantChange:
    """The plan is older than it should be: what is still to be done of the change."""
    try:
        live = grants_there(kms, cell, change)
    except AwsError as error:
        return change.ended(Outcome.UNKNOWN if change.begun else Outcome.FAILED, ErrorInfo.of(error))
    return resume_grant(change, live, begun=change.begun)


def with_revocation(
    kms: Kms, cell: Cell, change: GrantChange, error: AwsError, revoke_command: Callable[[GrantChange], str]
) -> ErrorInfo:
    """The error; where the grant may not be retired, and may be revoked, with the command for that."""
    info = ErrorInfo.of(error)
    if change.action is not Action.RETIRE or error.kind is not Kind.DENIED:
        return info
    try:
        kms.revoke_grant(cell, change.key_arn or "", change.grant_id or "", dry_run=True)
    except AwsError:
        return info
    return replace(info, hint=f"You may not retire it, but revoke it: {revoke_command(change)}")


def send(
    kms: Kms, cell: Cell, change: GrantChange, *, dry_run: bool = False
) -> tuple[str | None, str | None, str | None]:
    """The change's one call: grant id, token, request id."""
    assert change.key_arn is not None
    if change.action is Action.CREATE:
        return kms.create_grant(
            cell,
            key_arn=change.key_arn,
            name=change.name,
            grantee=change.grantee_principal or "",
            retiring_principal=change.retiring_principal,
            operations=change.operations,
            constraints=change.constraints,
            dry_run=dry_run,
        )
    end = kms.retire_grant if change.action is Action.RETIRE else kms.revoke_grant
    return None, None, end(cell, change.key_arn, change.grant_id or "", dry_run=dry_run)
