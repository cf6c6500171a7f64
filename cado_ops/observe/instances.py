"""The instances that a selection means, in one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import FILTER_VALUES, Ec2
from cado_ops.due import is_expired
from cado_ops.errors import UsageError
from cado_ops.filters import Filter, rounds
from cado_ops.model import Caller, Cell, ErrorInfo, Failure, Instance, LeftOut
from cado_ops.observe.sweep import Seen, sweep
from cado_ops.observe.targets import resolve_accounts, unreadable
from cado_ops.plan.tagging import claims_of
from cado_ops.scope import Scope, Selection

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """``instances``: what was selected. ``exists``: the ids asked for that are there, selected or not."""

    instances: list[Instance]
    exists: frozenset[str]


def cells_named(selection: Selection) -> list[Cell]:
    """The cells that instance ARNs name, each once."""
    return sorted({Cell(ref.account, ref.region) for ref in selection.refs if ref.account and ref.region})


def sweep_selection(
    scope: Scope,
    selection: Selection,
    caller: Caller,
    connection: Connection,
    read: Callable[[Cell], T],
    *,
    max_concurrency: int,
    clock: Callable[[], float],
    on_progress: Callable[[int, int], None],
) -> Seen[T]:
    """Reads the cells in which selected instances may be. Raises UsageError."""
    for ref in selection.refs:
        if ref.partition not in (None, caller.partition):
            raise UsageError(
                f"{ref.instance_id} is of partition {ref.partition}, and you are in {caller.partition}"
            )
    named = cells_named(selection)
    # The scope's accounts count unless ARNs say it all; then only the accounts of the ARNs do.
    accounts = resolve_accounts(scope, caller, connection, named, whole_scope=selection.needs_scope)
    return sweep(
        scope,
        accounts,
        caller,
        connection,
        read,
        max_concurrency=max_concurrency,
        clock=clock,
        extra_cells=named,
        whole_scope=selection.needs_scope,
        on_progress=on_progress,
    )


def select_instances(ec2: Ec2, cell: Cell, selection: Selection, *, detailed: bool = False) -> Found:
    """Reads the selected instances of one cell. Raises AwsError.

    Ids and filters must both hold; an id that is there and does not match the filters is no failure.
    """
    if not selection.refs:
        return Found(_matching(ec2, cell, selection, [], detailed=detailed), frozenset())
    wanted = list(
        dict.fromkeys(
            ref.instance_id
            for ref in selection.refs
            if ref.account is None or ref.region is None or Cell(ref.account, ref.region) == cell
        )
    )
    exists: set[str] = set()
    instances: list[Instance] = []
    # The values of all filters of a call count together.
    most = max(_values(selection.conditions), *map(_values, selection.excludes), 0)
    step = max(1, FILTER_VALUES - most)
    for start in range(0, len(wanted), step):
        by_id = Filter("instance-id", tuple(wanted[start : start + step]))
        # Looked at once more here: not every server filters, and what nobody named must not be changed.
        there = _distinct(
            each for each in _read(ec2, cell, [by_id], detailed=detailed) if each.instance_id in by_id.values
        )
        exists |= {instance.instance_id for instance in there}
        if not there or not (selection.conditions or selection.excludes):
            instances += there
        else:
            instances += [
                each
                for each in _matching(ec2, cell, selection, [by_id], detailed=detailed)
                if each.instance_id in by_id.values
            ]
    return Found(instances, frozenset(exists))


def ids_not_found(
    selection: Selection,
    found: Iterable[tuple[Cell, Found]],
    failures: Sequence[Failure],
    left_out: Sequence[LeftOut],
) -> list[Failure]:
    """A failure of stage ``select`` for each id that no target has, saying which targets could not be read."""
    exists: set[str] = set()
    read: set[Cell] = set()
    for cell, reading in found:
        read.add(cell)
        exists |= reading.exists
    missing: list[Failure] = []
    unread = [failure for failure in failures if failure.stage != "select"]
    for ref in dict.fromkeys(selection.refs):
        if ref.instance_id in exists:
            continue
        if ref.account and ref.region:
            if Cell(ref.account, ref.region) not in read:
                # Its cell failed, or was left out: for a failure, that failure already says it.
                excluded = any(
                    left.account == ref.account and left.region in (None, ref.region) for left in left_out
                )
                if not excluded:
                    continue
                message = f"{ref.instance_id} is in {ref.account}/{ref.region}, which is left out of the scope"
            else:
                message = f"{ref.instance_id} is not in {ref.account}/{ref.region}"
        else:
            message = f"{ref.instance_id} is in none of the targets that were read ({len(read)})"
            if unread:
                message += f"; not read: {unreadable(unread)}"
        hint = "Look at the account and region (cado-ops targets), or whether it was terminated over an hour ago."
        error = ErrorInfo("InstanceNotFound", message, hint)
        missing.append(Failure(ref.account, ref.region, "select", error, ref.instance_id))
    return missing


def _values(filters: Iterable[Filter]) -> int:
    return sum(len(each.values) for each in filters)


def _read(ec2: Ec2, cell: Cell, filters: Sequence[Filter], *, detailed: bool) -> Iterator[Instance]:
    # What asks for no detail may be a stand-in that knows none.
    return ec2.instances(cell, filters, detailed=True) if detailed else ec2.instances(cell, filters)


def _matching(
    ec2: Ec2, cell: Cell, selection: Selection, base: list[Filter], *, detailed: bool = False
) -> list[Instance]:
    kept: dict[str, Instance] | None = None
    for filters in rounds([*base, *selection.conditions]) or [[]]:
        matched = {i.instance_id: i for i in _read(ec2, cell, filters, detailed=detailed)}
        kept = matched if kept is None else {key: kept[key] for key in kept if key in matched}
        if not kept:
            return []
    assert kept is not None
    for group in selection.excludes:
        out: set[str] | None = None
        for filters in rounds([*base, *group]):
            matched_ids = {i.instance_id for i in ec2.instances(cell, filters)}
            out = matched_ids if out is None else out & matched_ids
        kept = {key: instance for key, instance in kept.items() if key not in (out or ())}
    return [instance for instance in kept.values() if _claimed(instance, selection)]


def _claimed(instance: Instance, selection: Selection) -> bool:
    """EC2 finds a claim by its key; whether it is due stands in the value."""
    if selection.expired_at is None:
        return True
    return any(
        is_expired(claim, selection.expired_at)
        for claim in claims_of(instance).values()
        if selection.of_case in (None, claim.case)
    )


def _distinct(instances: Iterable[Instance]) -> list[Instance]:
    return list({instance.instance_id: instance for instance in instances}.values())
