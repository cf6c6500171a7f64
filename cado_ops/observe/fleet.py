"""The fleet of a scope by list calls: instances, SSM's nodes, volumes and grants of each cell, no call an instance.

What one of them cannot tell is a failure of its own; the rest of the cell is read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cado_ops.aws.ec2 import FILTER_VALUES, Ec2
from cado_ops.aws.ssm import Ssm
from cado_ops.errors import AwsError, Kind
from cado_ops.fanout import FanOut
from cado_ops.filters import Filter
from cado_ops.model import (
    Cell,
    ErrorInfo,
    Failure,
    Grant,
    Instance,
    Key,
    LeftOut,
    ManagedNode,
    Owner,
    Part,
    Volume,
)
from cado_ops.observe.grant_reader import GrantReader, cell_of
from cado_ops.observe.instances import select_instances
from cado_ops.observe.roles import refuse_stray
from cado_ops.observe.sweep import as_aws_error, sweep
from cado_ops.observe.targets import failure, resolve_accounts
from cado_ops.plan.ownership import owner_of
from cado_ops.plan.tagging import ENDED_STATES
from cado_ops.scope import Selection
from cado_ops.verdict.standing import NO_ROLE, CellFacts, KeyFacts

T = TypeVar("T")
_ALLOW = "Allow it to the operator role: cado-ops policy show operator --for status"
_NOT_ASKED = ErrorInfo(
    "RoleNotKnown", "the Cado role is of another account than the disks, where it was not looked for"
)
# DescribeVolumes, EC2 API reference: all there is but detached.
_ATTACHED = Filter("attachment.status", ("attached", "attaching", "busy", "detaching"))


@dataclass
class FleetSeen:
    """What was read of a fleet. ``facts``: of each cell that was read; ``names``: the accounts', where known.
    ``remarks`` are for people.

    ``failures`` are those of targets and of parts of them; ``failed_cells`` counts targets alone.
    """

    facts: dict[Cell, CellFacts]
    keys: KeyFacts
    failures: list[Failure]
    left_out: list[LeftOut]
    failed_cells: int
    names: dict[str, str]
    remarks: list[str]

    @property
    def targets(self) -> int:
        return len(self.facts) + self.failed_cells


@dataclass
class _Reading:
    """One cell, before its keys and grants are known."""

    instances: list[Instance]
    nodes: Mapping[str, ManagedNode] | None = field(default_factory=dict)
    volumes: list[Volume] | None = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def read_fleet(reader: GrantReader, selection: Selection) -> FleetSeen:
    """Reads the selected instances of a scope, and what stands for them in SSM, EBS and KMS.

    Calls, for each cell: the pages of DescribeInstances and ListRetirableGrants; where there are instances, those
    of DescribeInstanceInformation and DescribeVolumes; one DescribeKey a distinct key, one GetRole an account.
    """
    ec2, ssm = Ec2(reader.connection), Ssm(reader.connection)
    accounts = resolve_accounts(reader.scope, reader.caller, reader.connection)
    refuse_stray(reader.roles, accounts, reader.scope.exclude_accounts)
    seen = sweep(
        reader.scope,
        accounts,
        reader.caller,
        reader.connection,
        lambda cell: _read(ec2, ssm, cell, selection),
        max_concurrency=reader.max_concurrency,
        clock=reader.clock,
        on_progress=reader.on_progress,
    )
    failures = seen.failures + [each for reading in seen.readings.values() for each in reading.failures]
    reader.prepare(dict.fromkeys(cell.account for cell in seen.readings))
    wanted = {
        volume.key_arn
        for reading in seen.readings.values()
        for volume in reading.volumes or ()
        if volume.key_arn and cell_of(volume.key_arn).account in seen.accounts.in_scope
    }
    jobs: list[_KeyJob | _GrantsJob] = [_KeyJob(arn) for arn in sorted(wanted)]
    jobs += [_GrantsJob(cell) for cell in sorted(seen.readings)]
    keys, grants = _keys_and_grants(reader, jobs, failures)
    by_key: dict[str, list[Grant]] = {}
    for grant in (grant for found in grants.values() for grant in found or ()):
        by_key.setdefault(grant.key_arn, []).append(grant)
    remarks: list[str] = []
    return FleetSeen(
        {
            cell: CellFacts(reading.instances, reading.nodes, reading.volumes, grants[cell])
            for cell, reading in seen.readings.items()
        },
        KeyFacts(
            _cado_roles(
                reader, (cell.account for cell, each in seen.readings.items() if each.instances), failures, remarks
            ),
            keys,
            by_key,
            frozenset(cell for cell, found in grants.items() if found is not None),
        ),
        failures,
        seen.left_out,
        seen.failed_cells,
        {account: each.name for account, each in seen.accounts.in_scope.items() if each.name},
        remarks,
    )


def _read(ec2: Ec2, ssm: Ssm, cell: Cell, selection: Selection) -> _Reading:
    found = select_instances(ec2, cell, selection)
    reading = _Reading([each for each in found.instances if each.state not in ENDED_STATES])
    ids = [each.instance_id for each in reading.instances]
    if not ids:
        return reading
    # Of a whole fleet a listing takes fewer pages; of a few instances, asking for these.
    few = selection.by_claim

    def nodes() -> dict[str, ManagedNode]:
        return {each.node_id: each for each in ssm.nodes(cell, ids if few else None)}

    def volumes() -> list[Volume]:
        asked = [_ATTACHED]
        if few:
            steps = range(0, len(ids), FILTER_VALUES)
            asked = [Filter("attachment.instance-id", tuple(ids[at : at + FILTER_VALUES])) for at in steps]
        there = set(ids)
        everything = (volume for each in asked for volume in ec2.volumes(cell, each))
        return [volume for volume in everything if there.intersection(volume.instances)]

    reading.nodes = _try(nodes, Part.SSM, cell, reading.failures)
    reading.volumes = _try(volumes, Part.VOLUMES, cell, reading.failures)
    return reading


def _try(read: Callable[[], T], part: Part, cell: Cell, failures: list[Failure]) -> T | None:
    """A part of a cell; where it cannot be read, None and a failure. Raises AwsError where nothing can be read."""
    try:
        return read()
    except AwsError as error:
        if error.kind is Kind.CREDENTIALS:
            raise
        failures.append(_part_failure(error, part, cell.account, cell.region))
        return None


def _part_failure(
    error: AwsError, part: Part, account: str, region: str | None = None, id: str | None = None
) -> Failure:
    found = failure(error, part, account, region)
    return replace(found, id=id, error=replace(found.error, hint=found.error.hint or _ALLOW))


@dataclass(frozen=True)
class _KeyJob:
    arn: str


@dataclass(frozen=True)
class _GrantsJob:
    cell: Cell


def _keys_and_grants(
    reader: GrantReader, jobs: Iterable[_KeyJob | _GrantsJob], failures: list[Failure]
) -> tuple[dict[str, Key | None], dict[Cell, list[Grant] | None]]:
    """Each key described, and what this program granted in each cell; None, and a failure, where that cannot be."""
    keys: dict[str, Key | None] = {}
    grants: dict[Cell, list[Grant] | None] = {}

    def work(job: _KeyJob | _GrantsJob) -> Key | list[Grant]:
        if isinstance(job, _KeyJob):
            return reader.kms.key(cell_of(job.arn), job.arn)
        return _grants(reader, job.cell)

    fan: FanOut[_KeyJob | _GrantsJob, Key | list[Grant]] = FanOut(work, reader.max_concurrency)
    for job in jobs:
        fan.add(job)
    for done in fan.results():
        job, value = done.job, done.value
        error = as_aws_error(done.error) if done.error is not None else None
        if isinstance(job, _KeyJob):
            keys[job.arn] = value if isinstance(value, Key) else None
            if error is not None:
                cell = cell_of(job.arn)
                failures.append(_part_failure(error, Part.KEYS, cell.account, cell.region, job.arn))
        else:
            grants[job.cell] = value if isinstance(value, list) else None
            if error is not None:
                failures.append(_part_failure(error, Part.GRANTS, job.cell.account, job.cell.region))
    return keys, grants


def _grants(reader: GrantReader, cell: Cell) -> list[Grant]:
    principal = reader.operator(cell.account).principal
    if principal is None:
        raise AwsError(
            "NoRole",
            f"you are {reader.caller.arn}, no role: what this program granted cannot be found by who may retire it",
            hint="cado-ops kms list finds it, key by key.",
        )
    found = (grant for page in reader.kms.retirable_grants(cell, principal) for grant in page)
    return [grant for grant in found if owner_of(grant, (), {principal}) is Owner.OURS]


def _cado_roles(
    reader: GrantReader, accounts: Iterable[str], failures: list[Failure], remarks: list[str]
) -> dict[str, str | None]:
    """The Cado role of each account; NO_ROLE, and a remark, where nothing there may be it."""
    found: dict[str, str | None] = {}
    for account in dict.fromkeys(accounts):
        try:
            role = reader.cado_role(account)
        except AwsError as error:
            found[account] = None
            failures.append(_part_failure(error, Part.ROLES, account))
            continue
        found[account] = role.arn if role.known else NO_ROLE if role.absent else None
        if role.absent and role.error is not None:
            # Nobody is there to read a disk: that was read, and is no failure.
            remarks.append(f"{role.error.message}: no disk there is ready ({role.error.hint})")
            continue
        if role.unread is not None:
            failures.append(_part_failure(role.unread, Part.ROLES, account, id=role.arn))
        elif not role.known:
            failures.append(Failure(account, None, Part.ROLES, role.error or _NOT_ASKED, role.arn))
    return found
