"""The kms commands up to their proposals: resolve the scope, read keys and grants, plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.errors import AwsError, RefusedError
from cado_ops.fanout import FanOut
from cado_ops.model import Cell, ErrorInfo, Failure, Key, Outcome
from cado_ops.observe.grant_reader import GrantReader, cell_of, foreign_key
from cado_ops.observe.keys import KeysFound, KeyUse
from cado_ops.observe.roles import CadoRole
from cado_ops.observe.sweep import Seen, as_aws_error
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.granting import GrantWish, plan_grant
from cado_ops.plan.retiring import GRANT_ID_DIGITS, RetireWish, plan_retire
from cado_ops.scope import KeySelection


def propose_grants(
    reader: GrantReader,
    selection: KeySelection,
    wish: GrantWish,
    grantee: str | None,
    *,
    external: bool,
) -> tuple[Seen[KeysFound], list[GrantChange]]:
    """What kms grant is to do. ``grantee`` is a role's ARN, in place of the Cado role of each instance's account.

    Raises RefusedError where a grantee is of an account that is not in scope, unless ``external``.
    """
    seen = reader.selected(selection)
    in_scope = set(seen.accounts.in_scope)
    changes: list[GrantChange] = []
    wanted: dict[tuple[str, str], list[str]] = {}
    for cell, found in sorted(seen.readings.items()):
        for use in found.uses:
            if use.key_arn is None:
                changes.append(_no_key(cell, use))
            else:
                # One grantee for all disks of a key: one grant, wherever they are.
                account = cell_of(use.key_arn).account if grantee else cell.account
                disks = wanted.setdefault((use.key_arn, account), [])
                disks += [use.disk] if use.disk else []
    reader.prepare(account for _, account in wanted)
    described = {arn: key for found in seen.readings.values() for arn, key in found.keys.items()}
    roles = {account: _grantee(reader, account, grantee) for _, account in wanted}
    # Two accounts may share a Cado role: one grant for both.
    shared: dict[tuple[str, str], tuple[str, set[str]]] = {}
    for (arn, account), disks in wanted.items():
        shared.setdefault((arn, roles[account].arn), (account, set()))[1].update(disks)
    jobs = [
        _GrantJob(arn, account, tuple(sorted(disks)), described.get(arn))
        for (arn, _), (account, disks) in shared.items()
    ]
    strangers = sorted({role.arn for role in roles.values() if role.arn.split(":")[4] not in in_scope})
    if strangers and not external:
        raise RefusedError(
            f"the grantee {strangers[0]} is of an account that is not in scope",
            "add --external-grantee if that is meant, or --account with its account",
        )
    owner = reader.ownership(sorted(in_scope))

    def plan(job: _GrantJob) -> list[GrantChange]:
        cell = cell_of(job.key_arn)
        role = roles[job.account]
        blank = _blank(cell, job, role)
        if cell.account not in in_scope:
            return [blank.ended(Outcome.FAILED, foreign_key(cell, job.key_arn))]
        try:
            key = job.key or reader.kms.key(cell, job.key_arn)
            if role.error is not None and key.manager != "AWS":
                return [blank.ended(Outcome.FAILED, role.error)]
            operator = reader.operator(cell.account)
            pages = reader.kms.grants(cell, key.arn, grantee=role.arn) if key.manager != "AWS" else iter(())
            grants = [grant for page in pages for grant in page]
        except AwsError as error:
            return [blank.ended(Outcome.FAILED, ErrorInfo.of(error))]
        return plan_grant(key, role.arn, job.serves, grants, wish, operator.principal, owner)

    fan: FanOut[_GrantJob, list[GrantChange]] = FanOut(plan, reader.max_concurrency)
    for job in jobs:
        fan.add(job)
    for done in fan.results():
        if done.error is not None:
            error = as_aws_error(done.error)
            blank = _blank(cell_of(done.job.key_arn), done.job, roles[done.job.account])
            changes.append(blank.ended(Outcome.FAILED, ErrorInfo.of(error)))
        changes += done.value or []
    return seen, _in_order(changes)


def propose_retirements(
    reader: GrantReader,
    selection: KeySelection,
    wish: RetireWish,
    keys_of: Mapping[str, str] | None = None,
) -> tuple[Seen[KeysFound], list[GrantChange]]:
    """What kms retire is to end. Grants that were named and are nowhere are among the failures.

    ``keys_of`` has the keys of those that a run made, by id or name: what is on none of the keys selected is not
    missed.
    """
    if not (wish.ids or wish.grant_names or wish.by_name):
        # A run that granted nothing, say: no key has to be read for that.
        return reader.sweep(KeySelection(), lambda cell: KeysFound()), []
    seen = reader.keys(selection)
    owner = reader.ownership(sorted(seen.accounts.in_scope))
    whole = [each for each in wish.ids if len(each) == GRANT_ID_DIGITS]
    only = whole[0] if len(wish.ids) == len(whole) == 1 and not wish.grant_names else None
    looked_at = {use.key_arn for found in seen.readings.values() for use in found.uses}
    changes: list[GrantChange] = []
    for page in reader.walk(seen, grant_id=only):
        for grant in page.grants:
            change = plan_retire(grant, owner(grant), wish, reader.operator_if_known(grant.account))
            if change is not None:
                changes.append(change)
    unread = len({each.id or (each.account, each.region) for each in seen.failures})
    for each in sorted(wish.ids | wish.grant_names):
        meant = [
            change
            for change in changes
            if change.name == each or (change.grant_id and change.grant_id.startswith(each))
        ]
        if not meant and each in (keys_of or {}) and (keys_of or {})[each] not in looked_at:
            continue  # narrowed away
        if not meant:
            message = f"grant {each} is on none of the keys that were read"
            if unread:
                message += f"; {unread} could not be read"
            error = ErrorInfo("NotFound", message, "It may have been ended already: cado-ops kms list")
            seen.failures.append(Failure(None, None, "select", error, each))
        elif len(meant) > 1 and each in wish.ids:
            error = ErrorInfo(
                "Ambiguous", f"{len(meant)} grants begin with {each}: none is ended", "Give more digits."
            )
            seen.failures.append(Failure(None, None, "select", error, each))
            changes = [change for change in changes if change not in meant]
    return seen, _in_order(changes)


@dataclass(frozen=True)
class _GrantJob:
    key_arn: str
    account: str
    serves: tuple[str, ...]
    key: Key | None


def _grantee(reader: GrantReader, account: str, grantee: str | None) -> CadoRole:
    if grantee is not None:
        return CadoRole(grantee)
    try:
        return reader.cado_role(account)
    except AwsError as error:
        arn = reader.roles.arn(account, reader.caller.partition)
        return CadoRole(arn, error=ErrorInfo.of(error))


def _no_key(cell: Cell, use: KeyUse) -> GrantChange:
    reason = use.reason or "there is no key"
    disks = (use.disk,) if use.disk else ()
    change = GrantChange(cell.account, cell.region, use.disk or reason, Action.NONE, serves=disks)
    return change.ended(Outcome.SKIPPED, warnings=(reason,))


def _blank(cell: Cell, job: _GrantJob, role: CadoRole) -> GrantChange:
    return GrantChange(
        cell.account,
        cell.region,
        f"{job.key_arn} for {role.arn}",
        Action.NONE,
        key_arn=job.key_arn,
        grantee_principal=role.arn,
        serves=job.serves,
    )


def _in_order(changes: Sequence[GrantChange]) -> list[GrantChange]:
    def place(change: GrantChange) -> tuple[Any, ...]:
        return change.cell, change.key_arn or "", change.after or change.id, change.after is not None, change.id

    unique = {(change.cell, change.id): change for change in sorted(changes, key=place)}
    return list(unique.values())
