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
from cado_ops.model import Caller, ErrorInfo, Failure
from cado_ops.plan.records import AnyChange, change_from, check_scope_of

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
            command=_text(body["command"]),
            case=_text_or_none(body["case"]),
            created=datetime.strptime(body["created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            caller=_caller(**body["caller"]),
            roles=_roles(body["roles"]),
            home_region=_text(body["home_region"]),
            targets=_count(body["targets"]),
            targets_failed=_count(body["targets_failed"]),
            account_names={key: _text_or_none(name) for key, name in _object(body["account_names"]).items()},
            changes=[_change(change) for change in _list(body["changes"])],
            failures=[failure_from(failure) for failure in _list(body["failures"])],
            digest=digest,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{where} is no plan that this version can read: {shown(str(error), 200)}") from error


def failure_from(data: dict[str, Any]) -> Failure:
    """A failure as `Failure.as_json` gave it. Raises KeyError or TypeError where it is none."""
    account, region, each = (_text_or_none(data[key]) for key in ("account", "region", "id"))
    return Failure(account, region, _text(data["stage"]), _error(**data["error"]), each)


# A digest that fits says nothing of what is in a file: a wrong type is found here, not half-way through a run.


def _change(record: Any) -> AnyChange:
    change = change_from(record)
    for key in ("claims", "warnings", "operations", "serves"):
        _list(record.get(key, []))
    if change.error is not None:
        _error(**record["error"])
    check_scope_of(change)
    return change


def _caller(account: Any, arn: Any, endpoint: Any) -> Caller:
    return Caller(_text(account), _text(arn), _text_or_none(endpoint))


def _error(code: Any, message: Any, hint: Any) -> ErrorInfo:
    return ErrorInfo(_text(code), _text(message), _text_or_none(hint))


def _roles(value: Any) -> dict[str, Any]:
    roles = _object(value)
    wrong = roles.keys() ^ {"role_name", "role_arns", "external_id", "session_name", "source_identity"}
    if wrong:
        raise ValueError(f"the roles lack, or should lack, {shown(sorted(wrong))}")
    for arn in _object(roles["role_arns"]).values():
        _text(arn)
    for key in roles.keys() - {"role_arns"}:
        _text_or_none(roles[key])
    return roles


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{shown(value)} is no number of targets")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{shown(value)} is no list")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{shown(value)} is no object")
    return value


def _digest(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
