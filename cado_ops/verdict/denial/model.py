"""What one error of a text tells, before anybody says what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """An error that AWS documents, and what it means here. ``codes`` alone are enough to know it by.

    ``phrases`` are regular expressions; a blank in them is any white space. Their groups ``instance``, ``key``,
    ``account``, ``region``, ``resource`` and ``document`` are taken over.
    """

    kind: str
    cause: str
    codes: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a message, in the JSON that holds it: an event of CloudTrail, a line of a log."""

    code: str | None = None
    action: str | None = None
    principal: str | None = None
    resource: str | None = None
    account: str | None = None
    region: str | None = None
    vpc_endpoint: str | None = None


NOTHING = Around()


@dataclass(slots=True)
class Told:
    """One error. What the text does not say is None; ``denied_by`` is ``unknown`` then.

    ``denial``: it has AWS's sentence "is not authorized to perform". ``generic``: a sentence that only says no.
    ``status``: a status of Run Command. ``decoded`` says what became of the encoded message, for people.
    """

    code: str | None = None
    operation: str | None = None
    action: str | None = None
    principal: str | None = None
    resource: str | None = None
    denied_by: str = UNKNOWN
    explicit: bool | None = None
    policy_arn: str | None = None
    because: str | None = None
    denial: bool = False
    generic: bool = False
    known: Known | None = None
    status: str | None = None
    encoded: str | None = None
    decoded: str | None = None
    statements: tuple[str, ...] = ()
    account: str | None = None
    region: str | None = None
    vpc_endpoint: str | None = None
    document: str | None = None

    @property
    def content(self) -> bool:
        """Whether it says more than a code."""
        return self.denial or self.generic or self.known is not None or self.status is not None

    def surrounded(self, around: Around) -> Told:
        """The same, with what it leaves open taken from around it."""
        self.code = self.code or around.code
        self.action = self.action or around.action
        self.principal = _better(self.principal, around.principal)
        self.resource = self.resource or around.resource
        self.account = self.account or around.account
        self.region = self.region or around.region
        self.vpc_endpoint = self.vpc_endpoint or around.vpc_endpoint
        return self


def _better(told: str | None, around: str | None) -> str | None:
    """A name that was cut or blotted out in the message is whole in the event."""
    if around and (told is None or (not told.startswith("arn:") and around.startswith("arn:"))):
        return around
    return told


@dataclass(frozen=True, slots=True)
class Explanation:
    """The item of ``explain``, as docs/reference.md has it."""

    kind: str
    cause: str
    action: str | None = None
    resource: str | None = None
    principal: str | None = None
    denied_by: str = UNKNOWN
    explicit: bool | None = None
    policy_arn: str | None = None
    fix: str | None = None

    @classmethod
    def of(cls, told: Told, kind: str, cause: str, fix: str | None = None) -> Self:
        """What ``told`` says of itself, with what it means."""
        return cls(
            kind=kind,
            cause=" ".join(cause.split()),
            action=told.action,
            resource=told.resource,
            principal=told.principal,
            denied_by=told.denied_by,
            explicit=told.explicit,
            policy_arn=told.policy_arn,
            fix=fix,
        )

    def as_item(self) -> dict[str, str | bool | None]:
        return {
            "kind": self.kind,
            "action": self.action,
            "resource": self.resource,
            "principal": self.principal,
            "denied_by": self.denied_by,
            "explicit": self.explicit,
            "policy_arn": self.policy_arn,
            "cause": self.cause,
            "fix": self.fix,
        }
