"""The words of this program: plain data that every other room speaks.

Shapes follow docs/reference.md; nothing here does anything but hold and convert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from cado_ops.errors import AwsError

SSM_TAG = "CadoResponseSSMEnabled"
SSM_TAG_VALUE = "True"
CLAIM_PREFIX = "cado-ops:case/"
FORMAT_VERSION = 1


class Outcome(StrEnum):
    """What became of one item."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DRIFTED = "drifted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ALLOWED = "allowed"
    DENIED = "denied"
    LISTED = "listed"
    PLANNED = "planned"  # planned, and nothing tried yet


class Status(StrEnum):
    """What became of a whole command."""

    SUCCESS = "success"
    PLANNED = "planned"
    PARTIAL = "partial"
    ERROR = "error"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as the envelope shows it."""

    code: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: AwsError) -> ErrorInfo:
        """What AWS said, as it is shown."""
        return cls(error.code, error.message, error.hint)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One account and one region: what a regional AWS call works in."""

    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Account:
    """An account in scope. ``cado_role_arn`` is set where an accounts file named it."""

    account_id: str
    name: str | None = None
    cado_role_arn: str | None = None


class Part(StrEnum):
    """The stages in which a part of a target cannot be read, while the rest of it was."""

    SSM = "ssm"
    VOLUMES = "volumes"
    KEYS = "keys"
    GRANTS = "grants"
    ROLES = "roles"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be read or done, with AWS's own words. Never the same as an empty answer."""

    account: str | None
    region: str | None
    stage: str
    error: ErrorInfo
    id: str | None = None

    @property
    def of_part(self) -> bool:
        """Whether the target as such was read."""
        return self.stage in list(Part)

    def as_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "region": self.region,
            "stage": self.stage,
            "id": self.id,
            "error": self.error.as_json(),
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that the scope does not cover, on purpose, and why."""

    account: str
    region: str | None
    reason: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: STS's answer, and the endpoint where it is not AWS itself."""

    account: str
    arn: str
    endpoint: str | None = None

    @property
    def partition(self) -> str:
        return self.arn.split(":")[1]

    def as_json(self) -> dict[str, Any]:
        return {"account": self.account, "arn": self.arn, "endpoint": self.endpoint}


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """An instance that the user named; account and region are None for a bare id (searched in all targets)."""

    instance_id: str
    account: str | None = None
    region: str | None = None
    # Of an ARN; says nothing about which instance it is.
    partition: str | None = field(default=None, compare=False)


class Kind(StrEnum):
    """What a name of AWS's stands for, where a command takes several kinds."""

    INSTANCE = "instance"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """A key, or what leads to one, as the user named it: ``id`` is an id or, of a key, an alias (alias/…) as well.

    ``account`` and ``region`` are None where the name does not tell them: then it is searched for.
    """

    kind: Kind
    id: str
    account: str | None = None
    region: str | None = None
    # Of an ARN; says nothing about which resource it is.
    partition: str | None = field(default=None, compare=False)

    def may_be_in(self, cell: Cell) -> bool:
        return self.account in (None, cell.account) and self.region in (None, cell.region)


@dataclass(frozen=True, slots=True)
class Volume:
    """One EBS volume or snapshot: what encrypts it (a key's ARN), or None. ``instances`` it is attached to.

    ``size`` is in GiB, ``state`` that of a volume (``in-use``); None where it was not told.
    """

    id: str
    key_arn: str | None
    instances: tuple[str, ...] = ()
    size: int | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One EBS volume as an instance has it. ``delete_on_termination``: it ends with the instance."""

    device: str
    volume_id: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class InstanceDetail:
    """What more DescribeInstances tells of an instance, for those who ask whether Cado can acquire it.

    ``lifecycle`` is ``spot``, ``scheduled``, ``capacity-block`` or None (on demand). ``root_device_type`` is
    ``ebs`` or ``instance-store``. ``devices`` are its EBS volumes; instance store volumes stand nowhere but in
    the instance's type. ``managed_by`` is the service that operates it, or that put its tag on it. ``tags``: all.
    """

    instance_type: str
    root_device_type: str = "ebs"
    devices: tuple[BlockDevice, ...] = ()
    lifecycle: str | None = None
    instance_profile: str | None = None
    auto_scaling_group: str | None = None
    managed_by: str | None = None
    private_ip: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManagedNode:
    """One node of Systems Manager. ``node_id`` is an instance's (i-…), or mi-… of a node that an activation made.

    ``ping_status`` is Online, ConnectionLost or Inactive; ``resource_type`` EC2Instance or ManagedInstance.
    """

    node_id: str
    ping_status: str
    last_ping: datetime | None = None
    agent_version: str | None = None
    latest_version: bool | None = None
    platform_type: str | None = None
    resource_type: str | None = None
    source_id: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One EC2 instance, cut down to what the program works with.

    ``tags`` holds only the tags that matter here: keys equal to the SSM tag's whatever their case, and claims.
    ``tag_count`` counts all user tags (keys that begin with ``aws:`` do not count, as in EC2's quota).
    ``detail`` is there where it was asked for.
    """

    account: str
    region: str
    instance_id: str
    name: str
    state: str
    tags: Mapping[str, str]
    tag_count: int
    platform: str = "linux"
    detail: InstanceDetail | None = None


class Owner(StrEnum):
    """Whose a KMS grant is."""

    OURS = "ours"  # made by this program: its name has our form, and the hash in it is that of its terms
    PLATFORM = "platform"  # somebody else made it for the Cado role
    SERVICE = "service"  # held by an AWS service: ending it breaks what runs
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Key:
    """One KMS key, as DescribeKey tells of it. ``manager`` is AWS or CUSTOMER; ``replicas`` are the other
    regions of a multi-region key."""

    account: str
    region: str
    arn: str
    manager: str
    state: str
    spec: str
    usage: str
    multi_region: bool = False
    replicas: tuple[str, ...] = ()

    @property
    def cell(self) -> Cell:
        return Cell(self.account, self.region)


@dataclass(frozen=True, slots=True)
class Grant:
    """One KMS grant, as ListGrants tells of it. ``operations`` are sorted; ``issuing_account`` is an account id.

    ``grantee_principal`` may be an id (AROA…) where the role was just made, or is gone; a service's grant may have
    none.
    """

    account: str
    region: str
    key_arn: str
    grant_id: str
    name: str | None
    grantee_principal: str | None
    operations: tuple[str, ...]
    retiring_principal: str | None = None
    issuing_account: str | None = None
    constraints: Mapping[str, Any] = field(default_factory=dict)
    created: datetime | None = None
    grantee_service: str | None = None

    @property
    def cell(self) -> Cell:
        return Cell(self.account, self.region)


class Disks(StrEnum):
    """Whether the Cado role can read all EBS volumes of an instance, as far as list calls show."""

    READY = "ready"
    UNKNOWN = "unknown"  # nothing that was read can tell
    UNREAD = "not read"  # what would tell could not be read
    NO_GRANT = "no grant"  # of this program: a policy may allow the key all the same
    NOT_READY = "not ready"


@dataclass(frozen=True, slots=True)
class Held:
    """For which case something is held, and until when: ``due`` is ISO 8601 in UTC, None without an end.

    ``past``: its time has come. ``name`` is what holds: a grant's id; empty for a claim, which is the instance's.
    """

    case: str | None
    due: str | None
    past: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one instance stands. ``tag`` is the SSM tag's value; ``tagging``: tagged, mistagged, otherwise, untagged.

    ``ssm`` is the agent's PingStatus, "not registered", or None: could not be read. ``remarks`` say why its disks
    are not ready; ``grants`` are those of its keys to the Cado role.
    """

    instance_id: str
    name: str
    state: str
    tag: str | None
    tagging: str
    claims: tuple[Held, ...]
    ssm: str | None
    disks: Disks
    remarks: tuple[str, ...] = ()
    grants: tuple[Held, ...] = ()

    @property
    def due(self) -> bool:
        return any(claim.past for claim in self.claims)


@dataclass(slots=True)
class Report:
    """What a command answers: the envelope of docs/reference.md, before it is rendered.

    ``items`` are dictionaries with the keys of the command's item; ``notes`` are lines for people (stderr). In
    ``summary``, None is not known. ``gaps`` are targets without an item, as tables show them: ``account``,
    ``region``, ``gap`` (what it is) and ``reason``.
    ``throttling`` is where AWS throttled: the envelope has it only then.
    """

    command: str
    status: Status
    dry_run: bool = False
    run_id: str | None = None
    case: str | None = None
    caller: Caller | None = None
    summary: Mapping[str, int | None] = field(default_factory=dict)
    items: Sequence[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    throttling: list[dict[str, Any]] = field(default_factory=list)

    def envelope(self) -> dict[str, Any]:
        """The whole as JSON-ready data, without the items and failures filled in by the caller's order."""
        return {
            "format_version": FORMAT_VERSION,
            "command": self.command,
            "status": str(self.status),
            "dry_run": self.dry_run,
            "run_id": self.run_id,
            "case": self.case,
            "caller": self.caller.as_json() if self.caller else None,
            "summary": self.summary,
            **({"throttling": self.throttling} if self.throttling else {}),
            "items": self.items,
            "failures": [failure.as_json() for failure in self.failures],
        }
