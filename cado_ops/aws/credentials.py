"""Credentials by account: one AssumeRole an account, shared by its regions, renewed before it expires.

An `Identity` names whose credentials a request is signed with: an account id (the operator role there, or the
caller's own credentials in the caller's own account) or a role ARN (read-only calls to AWS Organizations).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
    """What is known of one identity: its credentials, or the error that AssumeRole ended in.

    ``lock`` is held while the role is assumed; the store's own, for a moment, where credentials are looked at or
    noted. ``ended`` counts the attempts that came to an end, ``passing`` is what the last of them ended in, where
    that may pass by itself.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    credentials: Any = None
    expires: datetime | None = None
    error: AwsError | None = None
    passing: AwsError | None = None
    ended: int = 0


class CredentialStore:
    """Credentials for each identity, made when first asked for.

    ``assume(parameters)`` calls STS and returns its ``Credentials`` structure; ``base`` are the caller's own
    credentials. A refused AssumeRole is remembered: it is asked once, not once a region. What was throttled to the
    end, or got no answer, may be asked again, but not by each of those that waited for it.

    ``waiting`` is entered while one waits for another to assume the role: that needs no place in a pool.
    """

    def __init__(
        self,
        base: Any,
        roles: Roles,
        assume: Callable[[dict[str, Any]], dict[str, Any]],
        now: Callable[[], datetime],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._base = base
        self._roles = roles
        self._assume = assume
        self._now = now
        self._waiting = waiting
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
            if (usable := self._usable(held)) is not None:
                return usable
            ended = held.ended
        with self._alone(held):
            with self._lock:
                # Another thread may have made them in the meantime.
                if (usable := self._usable(held)) is not None:
                    return usable
            if held.error is not None:
                # Another one: of each request it is noted what became of that.
                raise held.error.like(answer_lost=False)
            if held.passing is not None and held.ended > ended:
                # That attempt ended while this one waited for it: what it has cost need not be spent again.
                raise held.passing.like(answer_lost=False)
            return self._renew(identity, held)

    def expired(self, identity: Identity, used: Any) -> bool:
        """AWS called ``used`` expired: forget them. False where they cannot be renewed from here."""
        if identity == self.home_account:
            return False
        with self._lock:
            held = self._held[identity]
            # Another thread may have renewed them in the meantime, or be about to: it is not waited for.
            if held.credentials is used:
                held.credentials = None
        return True

    @contextmanager
    def _alone(self, held: _Held) -> Iterator[None]:
        """Under the identity's lock; while another holds it, and waits for STS perhaps, this one waits as well."""
        if not held.lock.acquire(blocking=False):
            with self._waiting():
                held.lock.acquire()
        try:
            yield
        finally:
            held.lock.release()

    def role_arn(self, identity: Identity) -> str | None:
        """The role that serves an identity; None in the caller's own account, or where none was named."""
        if identity.startswith("arn:"):
            return identity
        if identity == self.home_account:
            return None
        return self._roles.arn(identity, self.partition)

    def _usable(self, held: _Held) -> Any:
        """The credentials; None where there are none, or they end soon."""
        if held.expires is not None and (held.expires - self._now()).total_seconds() < RENEW_SECONDS:
            return None
        return held.credentials

    def _renew(self, identity: Identity, held: _Held) -> Any:
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
            # What may pass by itself is asked again by who comes later; what was refused is refused for all.
            if error.kind in (Kind.THROTTLED, Kind.TRANSPORT):
                held.passing = error
            else:
                held.error = error
            held.ended += 1
            raise
        credentials = Credentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], method="assume-role"
        )
        with self._lock:
            held.credentials = credentials
            held.expires = answer["Expiration"].astimezone(UTC)
        held.passing = None
        held.ended += 1
        return credentials
