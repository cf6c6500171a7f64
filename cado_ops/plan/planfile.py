"""Plans saved to a file, to be looked at and applied later, by the same or by another person. Pure.

The file is JSON with a digest over everything else in it. The digest finds accidents and careless edits; whoever
means to can compute another one. `cado-ops apply` therefore also shows the plan, and asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cado_ops.arns import shown
from cado_ops.errors import RefusedError
from cado_ops.model import Caller, Failure
from cado_ops.plan.records import AnyChange
from cado_ops.plan.shapes import (
    caller_from,
    change_in,
    count_in,
    failure_from,
    list_in,
    object_in,
    roles_from,
    text_in,
    text_or_none,
)

PLAN_VERSION = 1
KIND = "cado-ops plan"


@dataclass(frozen=True)
class SavedPlan:
    """A plan as it was saved. ``roles`` are the parameters of `aws.credentials.Roles`; ``created`` is UTC."""

    command: str
    case: str | None
    created: datetime
    caller: Caller
    roles: dict[str, Any]
    home_region: str
    targets: int
    targets_failed: int
    account_names: dict[str, str | None]
    changes: Sequence[AnyChange]
    failures: list[Failure]
    digest: str = ""


def dump_plan(plan: SavedPlan) -> str:
    """The file's text."""
    body = {
        "kind": KIND,
        "format_version": PLAN_VERSION,
        "command": plan.command,
        "case": plan.case,
        "created": f"{plan.created:%Y-%m-%dT%H:%M:%SZ}",
        "caller": plan.caller.as_json(),
        "roles": plan.roles,
        "home_region": plan.home_region,
        "targets": plan.targets,
        "targets_failed": plan.targets_failed,
        "account_names": plan.account_names,
        "changes": [change.as_record() for change in plan.changes],
        "failures": [failure.as_json() for failure in plan.failures],
    }
    return json.dumps(body | {"digest": _digest(body)}, indent=2) + "\n"


def load_plan(text: str, where: str) -> SavedPlan:
    """Reads a saved plan. Raises RefusedError where it is none, was edited, or has another format version."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError(f"{where} is no saved plan, or was cut short: it is not JSON") from None
    if not isinstance(body, dict) or body.get("kind") != KIND:
        raise RefusedError(f"{where} is no saved plan", "cado-ops tag-instances … --save-plan FILE makes one")
    version = body.get("format_version")
    if type(version) is not int or version != PLAN_VERSION:
        raise RefusedError(
            f"{where} has plan format {shown(version)}; this version of cado-ops reads {PLAN_VERSION}",
            "make the plan again with this version",
        )
    digest = body.pop("digest", None)
    try:
        edited = digest != _digest(body)
    except RecursionError:  # its reader goes deeper than its writer
        edited = True
    if edited:
        raise RefusedError(f"{where} was changed after it was saved", "make the plan again")
    try:
        return SavedPlan(
            command=text_in(body["command"]),
            case=text_or_none(body["case"]),
            created=datetime.strptime(body["created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            caller=caller_from(**body["caller"]),
            roles=roles_from(body["roles"]),
            home_region=text_in(body["home_region"]),
            targets=count_in(body["targets"]),
            targets_failed=count_in(body["targets_failed"]),
            account_names={key: text_or_none(name) for key, name in object_in(body["account_names"]).items()},
            changes=[change_in(change) for change in list_in(body["changes"])],
            failures=[failure_from(failure) for failure in list_in(body["failures"])],
            digest=digest,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{where} is no plan that this version can read: {shown(str(error), 200)}") from error


def _digest(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
