"""tag-instances and untag-instances up to their proposal: resolve the scope, read, plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2
from cado_ops.model import Caller, Instance
from cado_ops.observe.instances import Found, ids_not_found, select_instances, sweep_selection
from cado_ops.observe.sweep import Seen
from cado_ops.plan.change import TagChange
from cado_ops.scope import Scope, Selection
from cado_ops.workflow.proposal import Proposal


def read_instances(
    scope: Scope,
    selection: Selection,
    caller: Caller,
    connection: Connection,
    *,
    max_concurrency: int,
    clock: Callable[[], float],
    on_progress: Callable[[int, int], None],
    report_missing: bool = True,
) -> Seen[Found]:
    """Reads the selected instances of all targets; ids found nowhere are among the failures if so wished."""
    ec2 = Ec2(connection)
    seen = sweep_selection(
        scope,
        selection,
        caller,
        connection,
        lambda cell: select_instances(ec2, cell, selection),
        max_concurrency=max_concurrency,
        clock=clock,
        on_progress=on_progress,
    )
    if report_missing:
        seen.failures += ids_not_found(selection, seen.readings.items(), seen.failures, seen.left_out)
    return seen


def propose(
    command: str,
    case: str | None,
    caller: Caller,
    seen: Seen[Found],
    plan: Callable[[Instance], TagChange],
    header: dict[str, Any],
) -> Proposal:
    """The plan for every instance that was read, in a fixed order."""
    changes = [
        plan(instance)
        for _, found in sorted(seen.readings.items())
        for instance in sorted(found.instances, key=lambda each: each.instance_id)
    ]
    return Proposal(
        command=command,
        case=case,
        caller=caller,
        changes=changes,
        failures=seen.failures,
        left_out=seen.left_out,
        targets=seen.targets,
        targets_failed=seen.failed_cells,
        account_names={cell.account: seen.name_of(cell.account) for cell in seen.readings},
        header=header,
    )
