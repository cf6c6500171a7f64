"""How changes of tags become calls: what is sent together, what is still to be sent, what would be allowed.

Nothing here changes anything: `workflow.apply` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from cado_ops.aws.ec2 import FILTER_VALUES, Ec2, ids_named_missing
from cado_ops.errors import AwsError, Kind
from cado_ops.filters import Filter
from cado_ops.model import Cell, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import TagChange
from cado_ops.plan.undo import plan_resume
from cado_ops.workflow.batches import send_shrinking

Call = Literal["CreateTags", "DeleteTags"]


def dry_run_tags(ec2: Ec2, cell: Cell, changes: Sequence[TagChange], *, stale: bool = False) -> list[TagChange]:
    """Asks EC2, by DryRun, whether it would allow each change. Proves the permission, not that it would work.

    A ``stale`` plan is read again first, as it would be before it is applied.
    """
    by_id = {change.instance_id: change for change in changes}
    if stale:
        by_id |= read_again(ec2, cell, {e: by for e, by in by_id.items() if by.outcome is Outcome.PLANNED})
    refused: dict[str, AwsError] = {}
    for call, tags, ids in calls_of(change for change in by_id.values() if change.outcome is Outcome.PLANNED):
        asked = [each for each in ids if each not in refused]
        refused |= send_shrinking(asked, sender(ec2, cell, call, tags, dry_run=True), ids_named_missing).refused

    def verdict(change: TagChange) -> TagChange:
        if change.outcome is Outcome.UNKNOWN:
            # Made by a run before, as it seems, and only to be looked at; or not to be read.
            return change.ended(Outcome.FAILED if change.error else Outcome.ALLOWED, change.error)
        if change.outcome is not Outcome.PLANNED:
            return change
        error = refused.get(change.instance_id)
        if error is None:
            return change.ended(Outcome.ALLOWED)
        denied = error.kind in (Kind.DENIED, Kind.ORG_DENIED)
        return change.ended(Outcome.DENIED if denied else Outcome.FAILED, ErrorInfo.of(error))

    return [verdict(by_id[change.instance_id]) for change in changes]


def read_again(ec2: Ec2, cell: Cell, by_id: Mapping[str, TagChange]) -> dict[str, TagChange]:
    """The plan is older than it should be: the same changes, those ended that no longer stand as planned."""
    try:
        live = {instance.instance_id: instance for instance in instances_of(ec2, cell, list(by_id))}
    except AwsError as error:
        info = ErrorInfo.of(error)
        return {each: by.ended(Outcome.UNKNOWN if by.begun else Outcome.FAILED, info) for each, by in by_id.items()}
    return {each: plan_resume(change, live.get(each), begun=change.begun) for each, change in by_id.items()}


def instances_of(ec2: Ec2, cell: Cell, ids: Sequence[str]) -> list[Instance]:
    """Those of the instances that are there."""
    found: list[Instance] = []
    for start in range(0, len(ids), FILTER_VALUES):
        found += ec2.instances(cell, [Filter("instance-id", tuple(ids[start : start + FILTER_VALUES]))])
    return found


def calls_of(changes: Iterable[TagChange]) -> list[tuple[Call, dict[str, str], list[str]]]:
    """The calls that make the changes. What is set comes first."""
    return grouped((change.instance_id, change.left_to_put, change.left_to_remove) for change in changes)


def grouped(
    wanted: Iterable[tuple[str, Mapping[str, str], Mapping[str, str]]],
) -> list[tuple[Call, dict[str, str], list[str]]]:
    """(id, put, remove) to calls: instances that need the same tags share one."""
    groups: dict[tuple[Call, tuple[tuple[str, str], ...]], list[str]] = {}
    for instance_id, put, remove in wanted:
        calls: tuple[tuple[Call, Mapping[str, str]], ...] = (("CreateTags", put), ("DeleteTags", remove))
        for call, tags in calls:
            if tags:
                groups.setdefault((call, tuple(sorted(tags.items()))), []).append(instance_id)
    return [(call, dict(tags), ids) for (call, tags), ids in sorted(groups.items(), key=lambda group: group[0])]


def sender(
    ec2: Ec2, cell: Cell, call: Call, tags: Mapping[str, str], *, dry_run: bool = False
) -> Callable[[list[str]], str | None]:
    """Makes the call for some instances; gives its request id."""
    write = ec2.create_tags if call == "CreateTags" else ec2.delete_tags
    return lambda ids: write(cell, ids, tags, dry_run=dry_run)
