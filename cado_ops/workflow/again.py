"""How things are now that a run changed, or was about to: what undo and resume plan from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.aws.connection import Connection
from cado_ops.aws.kms import Kms
from cado_ops.model import Caller, Cell, Failure, Grant, Instance, InstanceRef, Outcome
from cado_ops.observe.grants import grants_of
from cado_ops.observe.instances import Found
from cado_ops.observe.sweep import Seen, sweep
from cado_ops.observe.targets import Accounts, resolve_accounts
from cado_ops.plan.change import TagChange
from cado_ops.plan.grant_again import resume_grant, undo_grant
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.records import AnyChange
from cado_ops.plan.undo import plan_resume, plan_undo
from cado_ops.scope import Scope, Selection
from cado_ops.workflow.tags import read_instances

Key = tuple[str, str, str]


@dataclass
class Now:
    """What was read. ``undo`` and ``resume`` plan a change from it; one whose target was not read is FAILED."""

    seen: Seen[Any]
    _undo: Callable[[Any], AnyChange]
    _resume: Callable[[Any, bool], AnyChange]

    def unread(self, change: AnyChange) -> Failure | None:
        """Why nothing is known of a change's target."""
        for failure in self.seen.failures:
            if failure.account == change.account and failure.region in (None, change.region):
                return failure
        return None

    def undo(self, change: AnyChange) -> AnyChange:
        lost = self.unread(change)
        return self._undo(change) if lost is None else change.ended(Outcome.FAILED, lost.error)

    def resume(self, change: AnyChange, *, begun: bool) -> AnyChange:
        lost = self.unread(change)
        return self._resume(change, begun) if lost is None else change.ended(Outcome.FAILED, lost.error)


def key_of(change: AnyChange) -> Key:
    """What a journal keeps a change's results under."""
    return change.account, change.region, change.id


def read_now(
    changes: Sequence[AnyChange],
    caller: Caller,
    connection: Connection,
    *,
    max_concurrency: int,
    clock: Callable[[], float],
    on_progress: Callable[[int, int], None],
) -> Now:
    """Reads what the changes of a run are about. The accounts are those of the changes, whatever the scope is."""
    grants = [change for change in changes if isinstance(change, GrantChange)]
    if grants:
        return _grants_now(grants, caller, connection, max_concurrency, clock, on_progress)
    tags = [change for change in changes if isinstance(change, TagChange)]
    refs = tuple(InstanceRef(each.instance_id, each.account, each.region) for each in tags)
    seen: Seen[Found] = Seen(Accounts())
    if refs:
        seen = read_instances(
            Scope(),
            Selection(refs=refs),
            caller,
            connection,
            max_concurrency=max_concurrency,
            clock=clock,
            on_progress=on_progress,
            report_missing=False,
        )
    live: Mapping[Key, Instance] = {
        (cell.account, cell.region, instance.instance_id): instance
        for cell, found in seen.readings.items()
        for instance in found.instances
    }
    return Now(
        seen,
        lambda change: plan_undo(change, live.get(key_of(change))),
        lambda change, begun: plan_resume(change, live.get(key_of(change)), begun=begun),
    )


def _grants_now(
    changes: Sequence[GrantChange],
    caller: Caller,
    connection: Connection,
    max_concurrency: int,
    clock: Callable[[], float],
    on_progress: Callable[[int, int], None],
) -> Now:
    kms = Kms(connection)
    by_cell: dict[Cell, list[GrantChange]] = {}
    for change in changes:
        by_cell.setdefault(change.cell, []).append(change)

    def read(cell: Cell) -> dict[str, list[Grant]]:
        # A change that was skipped has no key, and nothing to be looked at.
        return {change.id: grants_of(kms, cell, change) for change in by_cell[cell] if change.key_arn}

    scope = Scope()
    accounts = resolve_accounts(scope, caller, connection, by_cell, whole_scope=False)
    seen = sweep(
        scope,
        accounts,
        caller,
        connection,
        read,
        max_concurrency=max_concurrency,
        clock=clock,
        extra_cells=by_cell,
        whole_scope=False,
        on_progress=on_progress,
    )

    def live(change: GrantChange) -> list[Grant]:
        return seen.readings[change.cell].get(change.id, [])

    return Now(
        seen,
        lambda change: undo_grant(change, live(change)),
        lambda change, begun: resume_grant(change, live(change), begun=begun),
    )
