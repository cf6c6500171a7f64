"""How things are now that a run changed, or was about to: what undo and resume plan from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cado_ops.aws.connection import Connection
from cado_ops.aws.kms import Kms
from cado_ops.model import Caller, Cell, ErrorInfo, Failure, Grant, Instance, InstanceRef, Outcome
from cado_ops.observe.grants import grants_of
from cado_ops.observe.instances import Found
from cado_ops.observe.sweep import Seen, sweep
from cado_ops.observe.targets import Accounts, resolve_accounts
from cado_ops.plan.change import TagChange
from cado_ops.plan.grant_again import in_turn, resume_grant, undo_grant, undo_grant_again, undo_grant_unread
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.records import AnyChange, Key, key_of
from cado_ops.plan.undo import plan_resume, plan_undo, undo_again, undo_unread
from cado_ops.scope import Scope, Selection
from cado_ops.workflow.tags import read_instances


@dataclass
class Now:
    """What was read. Plans made from it of what could not be read are FAILED, for a resume to make again."""

    seen: Seen[Any]
    craft: Craft

    def read_at(self, cell: Cell) -> float:
        """When it was read, by the clock. Of what could not be, nothing is old: it is only looked at."""
        return self.seen.read_at.get(cell, math.inf)

    def unread(self, change: AnyChange) -> Failure | None:
        """Why nothing is known of a change's target."""
        for failure in self.seen.failures:
            if failure.account == change.account and failure.region in (None, change.region):
                return failure
        return None

    def undo(self, change: AnyChange, undone: Any) -> AnyChange:
        """The change that takes ``change`` back. ``undone``: what earlier undos left of it (`workflow.undone`)."""
        lost = self.unread(change)
        return self.craft.undo(change, undone) if lost is None else self.craft.undo_unread(change, lost.error)

    def in_turn(self, changes: Sequence[AnyChange]) -> list[AnyChange]:
        """The changes of an undo, those that wait for others told so."""
        return list(self.craft.in_turn(changes))

    def undo_again(self, change: AnyChange, undone: Any) -> AnyChange:
        """The plan of an undo that could not read before."""
        lost = self.unread(change)
        return self.craft.undo_again(change, undone) if lost is None else change.ended(Outcome.FAILED, lost.error)

    def resume(self, change: AnyChange, *, begun: bool) -> AnyChange:
        """What is left to be done of a change; ``begun``: a part of it may have been made."""
        lost = self.unread(change)
        if lost is not None:
            return change.ended(Outcome.UNKNOWN if begun else Outcome.FAILED, lost.error)
        return self.craft.resume(change, begun)


class Craft(Protocol):
    """How one kind of change is planned from what is there now."""

    def undo(self, change: Any, undone: Any) -> AnyChange: ...

    def undo_unread(self, change: Any, error: ErrorInfo) -> AnyChange: ...

    def undo_again(self, change: Any, undone: Any) -> AnyChange: ...

    def resume(self, change: Any, begun: bool) -> AnyChange: ...

    def in_turn(self, changes: Sequence[Any]) -> Sequence[AnyChange]: ...


@dataclass(frozen=True)
class _Tags:
    live: Mapping[Key, Instance]

    def undo(self, change: TagChange, undone: Any) -> AnyChange:
        return plan_undo(change, self.live.get(key_of(change)), undone)

    def undo_unread(self, change: TagChange, error: ErrorInfo) -> AnyChange:
        return undo_unread(change, error)

    def undo_again(self, change: TagChange, undone: Any) -> AnyChange:
        return undo_again(change, self.live.get(key_of(change)), undone)

    def resume(self, change: TagChange, begun: bool) -> AnyChange:
        return plan_resume(change, self.live.get(key_of(change)), begun=begun)

    def in_turn(self, changes: Sequence[TagChange]) -> Sequence[AnyChange]:
        return changes


@dataclass(frozen=True)
class _Grants:
    live: Mapping[Key, Sequence[Grant]]

    def undo(self, change: GrantChange, undone: Any) -> AnyChange:
        return undo_grant(change, self.live.get(key_of(change), ()), undone)

    def undo_unread(self, change: GrantChange, error: ErrorInfo) -> AnyChange:
        return undo_grant_unread(change, error)

    def undo_again(self, change: GrantChange, undone: Any) -> AnyChange:
        return undo_grant_again(change, self.live.get(key_of(change), ()), undone)

    def resume(self, change: GrantChange, begun: bool) -> AnyChange:
        return resume_grant(change, self.live.get(key_of(change), ()), begun=begun)

    def in_turn(self, changes: Sequence[GrantChange]) -> Sequence[AnyChange]:
        return in_turn(changes)


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
    return Now(seen, _Tags(live))


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

    live = {
        (cell.account, cell.region, each): found
        for cell, by_id in seen.readings.items()
        for each, found in by_id.items()
    }
    return Now(seen, _Grants(live))
