"""Changes read back from journals and plan files, of whichever kind they are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cado_ops.arns import shown
from cado_ops.grant_name import digest_of, parse_grant_name
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, Owner
from cado_ops.plan.change import Action, TagChange, from_record
from cado_ops.plan.grant_change import ENDING, GrantChange, grant_change_from, terms_of
from cado_ops.plan.ownership import is_services, is_unique_id

AnyChange = TagChange | GrantChange
# Account, region and id of a change: what the journal keeps its results under.
Key = tuple[str, str, str]


def key_of(change: AnyChange) -> Key:
    """What a journal keeps a change's results under."""
    return change.account, change.region, change.id


def changes_by_cell(changes: Iterable[AnyChange]) -> dict[Cell, list[AnyChange]]:
    """The changes of each account and region, in their order."""
    found: dict[tuple[str, str], list[AnyChange]] = {}
    for change in changes:
        found.setdefault((change.account, change.region), []).append(change)
    return {Cell(*place): some for place, some in found.items()}


def change_from(record: Any) -> AnyChange:
    """A change as its ``as_record`` wrote it. Raises ValueError where it is none."""
    if not isinstance(record, Mapping) or "key_arn" not in record:
        return from_record(record)
    try:
        return grant_change_from(record)
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"no change: {problem}") from problem


def check_scope_of(change: AnyChange) -> None:
    """Raises ValueError where a change, read from a file, would do more than what is shown of it."""
    if isinstance(change, TagChange):
        foreign = [key for key in change.before if key != SSM_TAG and not key.startswith(CLAIM_PREFIX)]
        if foreign or SSM_TAG not in change.before:
            raise ValueError(f"a change must be of {SSM_TAG} and claims, not of {shown(foreign)}")
        return
    if change.action is Action.NONE:
        return
    if change.action not in (Action.CREATE, *ENDING):
        raise ValueError(f"{change.action} is nothing to be done with a grant")
    parts = (change.key_arn or "").split(":")
    if len(parts) != 6 or parts[2] != "kms" or Cell(parts[4], parts[3]) != change.cell:
        raise ValueError(f"the key {shown(change.key_arn)} is not in {change.account}/{change.region}")
    if change.action in ENDING:
        _check_ending(change)
    elif not (change.name and change.grantee_principal and change.operations):
        raise ValueError("a grant that is to be made has a name, a grantee and operations")
    elif (name := parse_grant_name(change.name)) is not None and name.digest != digest_of(*terms_of(change)):
        raise ValueError(f"the name {shown(change.name, 160)} is not that of the grant's terms")


def _check_ending(change: GrantChange) -> None:
    """No planner ends what is not ours or, where that was asked for, the platform's."""
    if not change.grant_id:
        raise ValueError("a grant that is to be ended has an id")
    name = parse_grant_name(change.name)
    ours = name is not None and (
        name.digest == digest_of(*terms_of(change)) or is_unique_id(change.grantee_principal)
    )
    if is_services(change.grantee_principal) or not (
        change.owner is Owner.PLATFORM or (change.owner is Owner.OURS and ours)
    ):
        raise ValueError(f"the grant {shown(change.grant_id, 80)} is not ours: it is never ended")
