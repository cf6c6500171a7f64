"""One fact read, or why it could not be: what `check` and its like know things by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cado_ops.errors import AwsError, Kind, PolicyError
from cado_ops.verdict.readiness.facts import Unreadable

T = TypeVar("T")


def attempt(service: str, read: Callable[[], T]) -> T | Unreadable:
    """A fact, or why it is none. Raises AwsError where the credentials are no good: then nothing can be read."""
    try:
        return read()
    except PolicyError as error:
        return Unreadable(f"{service}: a policy", error.message, denied=False)
    except AwsError as error:
        if error.kind is Kind.CREDENTIALS:
            raise
        return unreadable(service, error)


def unreadable(service: str, error: AwsError) -> Unreadable:
    """The action that failed, as IAM names it."""
    if error.operation == "AssumeRole":
        service = "sts"
    action = f"{service}:{error.operation}" if error.operation else service
    return Unreadable(action, f"{error.code}: {error.message}", error.kind in (Kind.DENIED, Kind.ORG_DENIED))
