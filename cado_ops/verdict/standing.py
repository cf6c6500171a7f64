"""How one instance stands: its tag, its SSM agent, and whether the Cado role can read its disks. Pure.

What is known comes from list calls over a whole account and region, and one DescribeKey a distinct key. Nothing
here says "ready" for want of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cado_ops.due import format_due, is_expired
from cado_ops.grant_name import parse_grant_name
from cado_ops.grant_operations import PROFILES
from cado_ops.model import (
    SSM_TAG,
    SSM_TAG_VALUE,
    Cell,
    Disks,
    Grant,
    Held,
    Instance,
    Key,
    ManagedNode,
    Standing,
    Volume,
)
from cado_ops.plan.tagging import claims_of, mistagged

NOT_REGISTERED = "not registered"
NO_ROLE = ""  # in place of the ARN of a Cado role that is not there
ONLINE = "Online"
# What reading a snapshot's blocks asks for ("Permissions for EBS direct APIs", EBS User Guide).
_READS = frozenset(PROFILES["ebs-direct"])
# "Volume state" (EC2 User Guide): what no snapshot can be made of.
_LOST = ("error", "deleting", "deleted")
# From the one that decides to the one that is decided by all others.
_WORST_FIRST = (Disks.NOT_READY, Disks.NO_GRANT, Disks.UNREAD, Disks.UNKNOWN, Disks.READY)


@dataclass(frozen=True)
class CellFacts:
    """What list calls told of one account and region. None: could not be read.

    ``instances`` are those selected, none of them ended; ``nodes`` are SSM's, by id. ``grants`` are this program's
    that the operator role may retire.
    """

    instances: Sequence[Instance]
    nodes: Mapping[str, ManagedNode] | None = field(default_factory=dict)
    volumes: Sequence[Volume] | None = ()
    grants: Sequence[Grant] | None = ()


@dataclass(frozen=True)
class KeyFacts:
    """What is known of keys, over all accounts and regions that were read.

    ``cado_roles``: by account, the Cado role's ARN; NO_ROLE where there is none, None where that is not
    known. ``keys``: by ARN;
    None where a key could not be described, absent where its account is out of scope. ``grants``: by key ARN, of
    the cells that were ``read``.
    """

    cado_roles: Mapping[str, str | None] = field(default_factory=dict)
    keys: Mapping[str, Key | None] = field(default_factory=dict)
    grants: Mapping[str, Sequence[Grant]] = field(default_factory=dict)
    read: frozenset[Cell] = frozenset()


def standings(facts: CellFacts, keys: KeyFacts, now: datetime) -> list[Standing]:
    """Each instance of a cell, in order of their ids."""
    disks: dict[str, list[Volume]] = {}
    for volume in facts.volumes or ():
        for instance_id in volume.instances:
            disks.setdefault(instance_id, []).append(volume)
    by_id = sorted(facts.instances, key=lambda each: each.instance_id)
    return [
        _standing(each, facts.nodes, None if facts.volumes is None else disks.get(each.instance_id, ()), keys, now)
        for each in by_id
    ]


def _standing(
    instance: Instance,
    nodes: Mapping[str, ManagedNode] | None,
    volumes: Sequence[Volume] | None,
    keys: KeyFacts,
    now: datetime,
) -> Standing:
    role = keys.cado_roles.get(instance.account)
    disks, remarks = _disks(Cell(instance.account, instance.region), volumes, role, keys)
    grants = [
        held_by(grant, now)
        for arn in dict.fromkeys(volume.key_arn for volume in volumes or () if volume.key_arn)
        for grant in keys.grants.get(arn, ())
        if grant.grantee_principal == role
    ]
    return Standing(
        instance.instance_id,
        instance.name,
        instance.state,
        instance.tags.get(SSM_TAG),
        _tagging(instance),
        tuple(
            Held(case, format_due(claim.due) if claim.due else None, is_expired(claim, now))
            for case, claim in sorted(claims_of(instance).items())
        ),
        _ssm(instance, nodes),
        disks,
        remarks,
        tuple(grants),
    )


def held_by(grant: Grant, now: datetime) -> Held:
    """What the name of a grant of ours says."""
    name = parse_grant_name(grant.name)
    due = name.due if name else None
    return Held(
        name.case if name else None,
        format_due(due) if due else None,
        due is not None and due <= now,
        grant.grant_id,
    )


def _tagging(instance: Instance) -> str:
    if instance.tags.get(SSM_TAG) == SSM_TAG_VALUE:
        return "tagged"
    if mistagged(instance):
        return "mistagged"
    return "untagged" if instance.tags.get(SSM_TAG) is None else "otherwise"


def _ssm(instance: Instance, nodes: Mapping[str, ManagedNode] | None) -> str | None:
    """DescribeInstanceInformation leaves out what does not run: that is not the same as no agent."""
    if nodes is None:
        return None
    node = nodes.get(instance.instance_id)
    if node is not None:
        return node.ping_status
    return NOT_REGISTERED if instance.state == "running" else instance.state


def _disks(
    cell: Cell, volumes: Sequence[Volume] | None, role: str | None, keys: KeyFacts
) -> tuple[Disks, tuple[str, ...]]:
    if volumes is None:
        return Disks.UNREAD, ("its volumes could not be read",)
    if not volumes:
        return Disks.NOT_READY, ("it has no EBS volume",)
    if role == NO_ROLE:
        return Disks.NOT_READY, ("its account has no Cado role",)
    verdicts = dict.fromkeys(_volume(cell, volume, role, keys) for volume in volumes)
    worst = min((verdict for verdict, _ in verdicts), key=_WORST_FIRST.index)
    return worst, tuple(why for verdict, why in verdicts if why and verdict is not Disks.READY)


def _volume(cell: Cell, volume: Volume, role: str | None, keys: KeyFacts) -> tuple[Disks, str]:
    if volume.state in _LOST:
        return Disks.NOT_READY, f"{volume.id} is in state {volume.state}"
    if volume.key_arn is None:
        return _readable(role)
    key_id = volume.key_arn.rpartition("/")[2]
    if volume.key_arn not in keys.keys:
        return Disks.UNKNOWN, f"the key {volume.key_arn} is of an account that is not in scope"
    key = keys.keys[volume.key_arn]
    if key is None:
        return Disks.UNREAD, f"the key {key_id} could not be read"
    if key.state != "Enabled":
        return Disks.NOT_READY, f"the key {key_id} is {key.state}"
    if key.manager == "AWS":
        if key.account == cell.account:
            return _readable(role)
        return Disks.NOT_READY, f"AWS manages the key {key_id} for account {key.account} alone"
    if role is None:
        return _readable(role)
    return _granted(key, role, keys)


def _readable(role: str | None) -> tuple[Disks, str]:
    """Nothing stands in the way of the Cado role, if there is one."""
    return (Disks.READY, "") if role else (Disks.UNREAD, "whether the Cado role is there is not known")


def _granted(key: Key, role: str, keys: KeyFacts) -> tuple[Disks, str]:
    key_id = key.arn.rpartition("/")[2]
    grants = [grant for grant in keys.grants.get(key.arn, ()) if grant.grantee_principal == role]
    enough = [grant for grant in grants if _READS.issubset(grant.operations)]
    if any(not any(grant.constraints.values()) for grant in enough):
        return Disks.READY, ""
    if enough:
        return Disks.UNKNOWN, f"the grant on the key {key_id} is bound to an encryption context"
    if key.cell not in keys.read:
        return Disks.UNREAD, f"the grants on the key {key_id} could not be read"
    if grants:
        return Disks.NO_GRANT, f"on the key {key_id} that lets it read: {_missing(grants)}"
    return Disks.NO_GRANT, f"on the key {key_id}"


def _missing(grants: Iterable[Grant]) -> str:
    most = min((sorted(_READS - set(grant.operations)) for grant in grants), key=len)
    return f"{', '.join(most)} is missing"
