"""What can go wrong, as exceptions that carry what a person needs: a clear line, and what mends it.

Nothing here knows AWS's SDK. The gateways in ``aws/`` turn its exceptions into `AwsError`.
"""

from __future__ import annotations

from enum import StrEnum


class CadoOpsError(Exception):
    """Base of all errors that are shown as one line and a hint, never as a traceback."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CadoOpsError):
    """The command line, a settings file or an input file is wrong: exit 2, nothing on stdout."""


class PolicyError(UsageError):
    """A policy that cannot be read as one: the message begins with its place (file, line, column, statement)."""


class RefusedError(CadoOpsError):
    """A guard said no before anything was changed: exit 4."""


class LocalError(CadoOpsError):
    """Something on this machine (journal folder, missing extra) prevents the work: exit 1."""


class Kind(StrEnum):
    """What an AWS error means to the caller, as far as the program has to act on it."""

    DENIED = "denied"  # the caller may not
    ORG_DENIED = "org-denied"  # an explicit deny of a service or resource control policy
    CREDENTIALS = "credentials"  # none, expired, not logged in: nothing will work until mended
    THROTTLED = "throttled"
    TRANSPORT = "transport"  # no answer that can be relied on: whether the request took effect is open
    NOT_FOUND = "not-found"
    INVALID = "invalid"  # AWS calls the request itself wrong
    OTHER = "other"


class AwsError(CadoOpsError):
    """A call to AWS that failed for good, after all retries.

    ``code`` is AWS's error code (or the SDK exception's name where no answer came), ``message`` is AWS's own
    words, ``hint`` what to do about it, ``operation`` the API operation ("CreateTags"). ``answer_lost``: an attempt
    before the last got no answer, so that the request may have taken effect.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        kind: Kind = Kind.OTHER,
        operation: str = "",
        request_id: str | None = None,
        answer_lost: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        self.answer_lost = answer_lost
        self.kind = kind
        self.operation = operation
        self.request_id = request_id

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether that is open: no answer came, or there was an attempt before it that got none, and of that a
        refusal tells nothing. Without a session there was no request."""
        return self.answer_lost or (self.kind is Kind.TRANSPORT and self.operation != "AssumeRole")

    def like(self, *, message: str | None = None, answer_lost: bool | None = None) -> AwsError:
        """The same error, said of something else."""
        return AwsError(
            self.code,
            self.message if message is None else message,
            hint=self.hint,
            kind=self.kind,
            operation=self.operation,
            request_id=self.request_id,
            answer_lost=self.answer_lost if answer_lost is None else answer_lost,
        )
