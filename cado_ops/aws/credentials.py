"""Credentials by account: one AssumeRole an account, shared by its regions, renewed before it expires.

An `Identity` names whose credentials a request is signed with: an account id (the operator role there, or the
caller's own credentials in the caller's own account) or a role ARN (read-only calls to AWS Organizations).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import Credentials

from cado_ops.errors import AwsError, Kind, UsageError

Identity = str

# Renewed this long before the end, so that a request already on its way never meets it.
RENEW_SECONDS = 300.0


@dataclass(frozen=True)
class Roles:
    """Which operator role serves which account, and how it is assumed (STS AssumeRole's parameters)."""

    session_name: str
    role_name: str | None = None
    role_arns: Mapping[str, str] = field(default_factory=dict)
    external_id: str | None = None
    source_identity: str | None = None

    def arn(self, account: str, partition: str) -> str | None:
        """The operator role's ARN in ``account``, or None where none was named."""
        if account in self.role_arns:
            return self.role_arns[account]
        if self.role_name is None:
            return None
        return f"arn:{partition}:iam::{account}:role/{self.role_name}"


@dataclass
class _Held:
    """What is known of one identity: its credentials, or the error that AssumeRole ended in."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    credentials: Any = None
    expires: datetime | None = None
    error: AwsError | None = None


class CredentialStore:
    """Credentials for each identity, made when first asked for.

    ``assume(role_arn, parameters)`` calls STS and returns its ``Credentials`` structure; ``base`` are the caller's
    own credentials. A refused AssumeRole is remembered: it is asked once, not once a region.
    """

    def __init__(
        self,
        base: Any,
        roles: Roles,
        assume: Callable[[dict[str, Any]], dict[str, Any]],
        now: Callable[[], datetime],
    ) -> None:
        self._base = base
        self._roles = roles
        self._assume = assume
        self._now = now
        self.session_name = roles.session_name
        self._held: dict[Identity, _Held] = {}
        self._lock = threading.Lock()
        self.home_account = ""
        self.partition = "aws"

    def get(self, identity: Identity) -> Any:
        """botocore credentials to sign with. Raises AwsError where the role cannot be assumed."""
        if identity == self.home_account:
            return self._base
        with self._lock:
            held = self._held.setdefault(identity, _Held())
        with held.lock:
            if held.error is not None:
                raise held.error
            if held.credentials is None or self._ends_soon(held):
                self._renew(identity, held)
            return held.credentials

    def expired(self, identity: Identity, used: Any) -> bool:
        """AWS called ``used`` expired: forget them. False where they cannot be renewed from here."""
        if identity == self.home_account:
            return False
        with self._lock:
            held = self._held[identity]
        with held.lock:
            # Another thread may have renewed them in the meantime.
            if held.credentials is used:
                held.credentials = None
        return True

    def role_arn(self, identity: Identity) -> str | None:
        """The role that serves an identity; None in the caller's own account, or where none was named."""
        if identity.startswith("arn:"):
            return identity
        if identity == self.home_account:
            return None
        return self._roles.arn(identity, self.partition)

    def _ends_soon(self, held: _Held) -> bool:
        return held.expires is not None and (held.expires - self._now()).total_seconds() < RENEW_SECONDS

    def _renew(self, identity: Identity, held: _Held) -> None:
        role_arn = self.role_arn(identity)
        if role_arn is None:
            raise UsageError(
                f"account {identity} is not your own, and no role was named for it",
                f"add --role-name NAME, or --role-arn arn:{self.partition}:iam::{identity}:role/NAME",
            )
        parameters: dict[str, Any] = {"RoleArn": role_arn, "RoleSessionName": self.session_name}
        if self._roles.external_id is not None:
            parameters["ExternalId"] = self._roles.external_id
        if self._roles.source_identity is not None:
            parameters["SourceIdentity"] = self._roles.source_identity
        try:
            answer = self._assume(parameters)
        except AwsError as error:
            # What may pass by itself is asked again by the next region; what was refused is refused for all.
            if error.kind not in (Kind.THROTTLED, Kind.TRANSPORT):
                held.error = error
            raise
        held.credentials = Credentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], method="assume-role"
        )
        held.expires = answer["Expiration"].astimezone(UTC)
