"""What is known of an instance that may have to be acquired. Plain data, gathered once (`observe.readiness`).

Each fact is known, or `Unreadable` with the action that failed: what could not be read is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cado_ops.model import Grant, Instance, Key, ManagedNode, Volume
from cado_ops.policy.document import Document
from cado_ops.policy.evaluate import Policy


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fact that AWS did not tell: ``action`` is what was asked, as IAM names it (ssm:GetServiceSetting)."""

    action: str
    why: str
    denied: bool = True

    def __str__(self) -> str:
        return f"{self.action} is not allowed" if self.denied else f"{self.action} failed ({self.why})"


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The Cado role that serves an account. ``instead`` says what there is, where it is not there.

    ``boundary`` None: it has none.
    """

    arn: str
    there: bool | Unreadable
    policies: tuple[Policy, ...] | Unreadable = ()
    boundary: Policy | Unreadable | None = None
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key that encrypts a disk. ``policy`` is None for keys that AWS manages: it was not asked for.

    ``grants`` are those whose grantee may be the Cado role; ``grant_count`` counts all there are.
    """

    key: Key | Unreadable
    policy: Document | Unreadable | None = None
    grants: tuple[Grant, ...] | Unreadable = ()
    grant_count: int = 0


@dataclass(frozen=True, slots=True)
class Simulated:
    """AWS's own answer to one action on one resource: ``allowed``, ``explicitDeny`` or ``implicitDeny``.

    ``by_organization`` False: an organisation policy is why. ``missing`` are condition keys that were not told.
    """

    decision: str
    by_organization: bool | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulation:
    """AWS's simulator on one role: answers by action and resource. ``asked`` False: the user did not want it."""

    answers: Mapping[tuple[str, str], Simulated] = field(default_factory=dict)
    problem: Unreadable | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """``instance`` has its detail. ``volumes`` by id; ``keys`` by ARN, those of the volumes.

    ``node`` None: Systems Manager does not list it. ``hybrid`` is a node of an activation that seems to be the same
    machine. ``default_management`` is the role of Default Host Management, None where that is off. Of an instance
    that is listed, the last two are not asked for.
    """

    instance: Instance
    role: RoleFacts
    node: ManagedNode | Unreadable | None = None
    hybrid: ManagedNode | Unreadable | None = None
    default_management: str | Unreadable | None = None
    volumes: Mapping[str, Volume] | Unreadable = field(default_factory=dict)
    instance_store: int | Unreadable | None = 0
    keys: Mapping[str, KeyFacts] = field(default_factory=dict)
    simulation: Simulation = Simulation()

    @property
    def arn(self) -> str:
        there = self.instance
        return f"arn:{self.partition}:ec2:{there.region}:{there.account}:instance/{there.instance_id}"

    @property
    def partition(self) -> str:
        return self.role.arn.split(":")[1]

    @property
    def volume_ids(self) -> tuple[str, ...]:
        """Its EBS volumes, which the instance itself tells."""
        return tuple(each.volume_id for each in (self.instance.detail.devices if self.instance.detail else ()))
