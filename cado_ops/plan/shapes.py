"""What plan files and journals hold, checked: a digest or a hash that fits says nothing of what is in a file. Pure.

A wrong type is found here, not half-way through a run. All raise KeyError, TypeError or ValueError where something
is not what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cado_ops.arns import shown
from cado_ops.model import Caller, ErrorInfo, Failure, Outcome
from cado_ops.plan.records import AnyChange, Key, change_from, check_scope_of, key_of


def failure_from(data: dict[str, Any]) -> Failure:
    """A failure as `Failure.as_json` gave it."""
    account, region, each = (text_or_none(data[key]) for key in ("account", "region", "id"))
    return Failure(account, region, text_in(data["stage"]), error_from(**data["error"]), each)


def change_in(record: Any) -> AnyChange:
    """A change that does no more than what is shown of it."""
    change = change_from(record)
    for key in ("claims", "warnings", "operations", "serves"):
        list_in(record.get(key, []))
    if change.error is not None:
        error_from(**record["error"])
    check_scope_of(change)
    return change


def caller_from(account: Any, arn: Any, endpoint: Any) -> Caller:
    return Caller(text_in(account), text_in(arn), text_or_none(endpoint))


def error_from(code: Any, message: Any, hint: Any) -> ErrorInfo:
    return ErrorInfo(text_in(code), text_in(message), text_or_none(hint))


def roles_from(value: Any) -> dict[str, Any]:
    roles = object_in(value)
    wrong = roles.keys() ^ {"role_name", "role_arns", "external_id", "session_name", "source_identity"}
    if wrong:
        raise ValueError(f"the roles lack, or should lack, {shown(sorted(wrong))}")
    for arn in object_in(roles["role_arns"]).values():
        text_in(arn)
    for key in roles.keys() - {"role_arns"}:
        text_or_none(roles[key])
    return roles


def text_in(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} is no text")
    return value


def text_or_none(value: Any) -> str | None:
    return None if value is None else text_in(value)


def count_in(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{shown(value)} is no number of targets")
    return value


def list_in(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{shown(value)} is no list")
    return value


def object_in(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{shown(value)} is no object")
    return value


def check_run(
    header: Mapping[str, Any],
    plan: Iterable[Any],
    failures: Iterable[Any],
    results: Mapping[Key, Mapping[str, Any]],
) -> None:
    """Whether a journal can be gone on with, or undone: all that is taken from it is what it should be."""
    caller_from(**header["caller"])
    roles_from(header["roles"])
    text_in(header["home_region"])
    text_or_none(header.get("case"))
    for name in ("targets", "targets_failed", "items"):
        count_in(header[name])
    if (undoes := text_or_none(header.get("undoes"))) is not None and not undoes.replace("-", "").isalnum():
        raise ValueError(f"{shown(undoes)} is no run")
    for failure in failures:
        failure_from(failure)
    for change in map(change_from, plan):
        result = results.get(key_of(change))
        if result is None:
            continue
        Outcome(result["outcome"])
        change.with_result(result)
        for key in ("grant_id", "name", "issuing_account", "creation_date"):
            text_or_none(result.get(key))
        for key, tag in object_in(result.get("tags_after") or {}).items():
            text_in(key)
            text_or_none(tag)
        for warning in list_in(result["warnings"]):
            text_in(warning)
        if result["error"] is not None:
            error_from(**result["error"])
