"""The facts about selected instances: read-only, each read once, and many at a time.

A cell (account and region) is read by lists: instances, volumes, nodes, instance types. Then each key and each
Cado role is read once, however many instances share it, and each role is put to AWS's simulator in few calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import FILTER_VALUES, Ec2
from cado_ops.aws.iam import Iam
from cado_ops.aws.kms import Kms
from cado_ops.aws.ssm import Ssm
from cado_ops.fanout import FanOut
from cado_ops.filters import Filter
from cado_ops.model import Caller, Cell, Grant, Instance, ManagedNode, Volume
from cado_ops.observe.attempt import attempt, unreadable
from cado_ops.observe.grant_reader import cell_of
from cado_ops.observe.instances import Found, ids_not_found, select_instances, sweep_selection
from cado_ops.observe.policies import policies_of, policy_document
from cado_ops.observe.roles import find_cado_role, refuse_stray
from cado_ops.observe.simulation import simulate_roles
from cado_ops.observe.sweep import Seen, as_aws_error
from cado_ops.plan.tagging import ENDED_STATES
from cado_ops.policy.document import read_document
from cado_ops.policy.evaluate import Policy
from cado_ops.scope import CadoRoles, Scope, Selection
from cado_ops.verdict.readiness.facts import (
    InstanceFacts,
    KeyFacts,
    RoleFacts,
    Simulation,
    Unreadable,
)

T = TypeVar("T")


@dataclass
class CellFacts:
    """What one cell told. ``hybrid`` and ``default_management`` are asked for where an instance is not listed."""

    found: Found
    nodes: Mapping[str, ManagedNode] | Unreadable = field(default_factory=dict)
    hybrid: Sequence[ManagedNode] | Unreadable = ()
    default_management: str | Unreadable | None = None
    volumes: Mapping[str, Volume] | Unreadable = field(default_factory=dict)
    stores: Mapping[str, int] | Unreadable = field(default_factory=dict)


@dataclass
class ReadinessReader:
    """What `check` reads with. ``simulator``: whether AWS's policy simulator is asked."""

    connection: Connection
    caller: Caller
    scope: Scope
    roles: CadoRoles
    max_concurrency: int
    clock: Callable[[], float]
    on_progress: Callable[[int, int], None]
    simulator: bool = True

    def __post_init__(self) -> None:
        connection = self.connection
        self.ec2, self.ssm = Ec2(connection), Ssm(connection)
        self.kms, self.iam = Kms(connection), Iam(connection)

    def read(self, selection: Selection) -> tuple[Seen[CellFacts], list[InstanceFacts]]:
        """All facts about the selected instances, in order; ids found nowhere are among the failures."""
        seen = sweep_selection(
            self.scope,
            selection,
            self.caller,
            self.connection,
            lambda cell: self._cell(cell, selection),
            max_concurrency=self.max_concurrency,
            clock=self.clock,
            on_progress=self.on_progress,
        )
        refuse_stray(self.roles, seen.accounts, self.scope.exclude_accounts)
        found = [(cell, reading.found) for cell, reading in seen.readings.items()]
        seen.failures += ids_not_found(selection, found, seen.failures, seen.left_out)
        alive = [(cell, each) for cell, reading in found for each in reading.instances if _alive(each)]
        keys = dict.fromkeys(
            volume.key_arn
            for reading in seen.readings.values()
            if not isinstance(reading.volumes, Unreadable)
            for volume in reading.volumes.values()
            if volume.key_arn
        )
        role_facts = self._each({cell.account for cell, _ in alive}, self._role)
        candidates = {each.arn for each in role_facts.values()}
        in_scope = set(seen.accounts.in_scope)
        key_facts = self._each(keys, lambda arn: self._key(arn, in_scope, candidates))
        by_account: dict[str, list[InstanceFacts]] = {}
        for cell, reading in sorted(seen.readings.items()):
            for instance in sorted(reading.found.instances, key=lambda each: each.instance_id):
                role = role_facts.get(cell.account) or RoleFacts(self._expected(cell.account), there=True)
                facts = _facts(instance, reading, role, key_facts)
                by_account.setdefault(cell.account, []).append(facts)
        simulations = simulate_roles(self.iam, by_account, self.max_concurrency) if self.simulator else {}
        return seen, [
            replace(each, simulation=simulations.get(account, Simulation(asked=False)))
            for account in sorted(by_account)
            for each in by_account[account]
        ]

    # --- a cell, by lists

    def _cell(self, cell: Cell, selection: Selection) -> CellFacts:
        found = select_instances(self.ec2, cell, selection, detailed=True)
        alive = [each for each in found.instances if _alive(each)]
        running = [each.instance_id for each in alive if each.state == "running"]
        devices = [device for each in alive if each.detail for device in each.detail.devices]
        types = sorted({each.detail.instance_type for each in alive if each.detail})
        facts = CellFacts(found)
        facts.volumes = attempt("ec2", lambda: self._volumes(cell, [each.volume_id for each in devices]))
        facts.stores = attempt("ec2", lambda: self.ec2.instance_stores(cell, types))
        facts.nodes = attempt("ssm", lambda: {each.node_id: each for each in self.ssm.nodes(cell, running)})
        if isinstance(facts.nodes, Unreadable):
            facts.hybrid = facts.nodes
            return facts
        absent = [each for each in alive if each.state == "running" and each.instance_id not in facts.nodes]
        if absent:
            facts.hybrid = attempt("ssm", lambda: list(self.ssm.hybrid_nodes(cell)))
        if any(each.detail and each.detail.instance_profile is None for each in absent):
            facts.default_management = attempt("ssm", lambda: self.ssm.default_management_role(cell))
        return facts

    def _volumes(self, cell: Cell, ids: Sequence[str]) -> dict[str, Volume]:
        found: dict[str, Volume] = {}
        for start in range(0, len(ids), FILTER_VALUES):
            asked = tuple(ids[start : start + FILTER_VALUES])
            found |= {each.id: each for each in self.ec2.volumes(cell, Filter("volume-id", asked))}
        return found

    # --- a role, once an account

    def _expected(self, account: str) -> str:
        return self.roles.arn(account, self.caller.partition)

    def _role(self, account: str) -> RoleFacts:
        role = attempt("iam", lambda: find_cado_role(self.iam, account, self.roles, self.caller.partition))
        arn = self._expected(account)
        if isinstance(role, Unreadable):
            return RoleFacts(arn, role, role, role)
        if role.error is not None:
            return RoleFacts(role.arn, there=False, instead=role.error.hint)
        policies = attempt("iam", lambda: policies_of(self.iam, account, role.arn))
        known = policies if isinstance(policies, Unreadable) else tuple(Policy(*each) for each in policies)
        if not role.known:
            unread = (
                unreadable("iam", role.unread) if role.unread else Unreadable("iam:GetRole", "it was not asked")
            )
            return RoleFacts(role.arn, unread, known, unread)
        boundary = attempt("iam", lambda: self._boundary(account, role.boundary_arn))
        return RoleFacts(role.arn, there=True, policies=known, boundary=boundary)

    def _boundary(self, account: str, arn: str | None) -> Policy | None:
        if arn is None:
            return None
        policy = self.iam.managed_policy(account, arn)
        return Policy(policy.name, policy_document(policy))

    # --- a key, once

    def _key(self, arn: str, in_scope: set[str], candidates: set[str]) -> KeyFacts:
        cell = cell_of(arn)
        if cell.account not in in_scope:
            why = f"the key is of account {cell.account}, which is not in scope: add --account {cell.account}"
            return KeyFacts(Unreadable("kms:DescribeKey", why, denied=False))
        key = attempt("kms", lambda: self.kms.key(cell, arn))
        if isinstance(key, Unreadable) or key.manager == "AWS":
            return KeyFacts(key)
        policy = attempt("kms", lambda: read_document(self.kms.key_policy(cell, arn), arn))
        grants = attempt("kms", lambda: self._grants(cell, arn, candidates))
        if isinstance(grants, Unreadable):
            return KeyFacts(key, policy, grants)
        return KeyFacts(key, policy, grants[0], grants[1])

    def _grants(self, cell: Cell, arn: str, candidates: set[str]) -> tuple[tuple[Grant, ...], int]:
        """Those whose grantee may be a Cado role (shown by its id while it is new), and how many in all."""
        kept: list[Grant] = []
        total = 0
        for page in self.kms.grants(cell, arn):
            total += len(page)
            for grant in page:
                grantee = grant.grantee_principal or ""
                if grantee in candidates or grantee.startswith("AROA"):
                    kept.append(grant)
        return tuple(kept), total

    def _each(self, jobs: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        fan: FanOut[str, T] = FanOut(work, self.max_concurrency)
        for job in jobs:
            fan.add(job)
        results: dict[str, T] = {}
        for done in fan.results():
            if done.error is not None:
                raise as_aws_error(done.error)
            assert done.value is not None
            results[done.job] = done.value
        return results


def _alive(instance: Instance) -> bool:
    return instance.state not in ENDED_STATES


def _facts(instance: Instance, reading: CellFacts, role: RoleFacts, keys: Mapping[str, KeyFacts]) -> InstanceFacts:
    detail = instance.detail
    mine = {each.volume_id for each in (detail.devices if detail else ())}
    volumes: Mapping[str, Volume] | Unreadable = reading.volumes
    if not isinstance(volumes, Unreadable):
        volumes = {each: volumes[each] for each in sorted(mine & volumes.keys())}
    arns = () if isinstance(volumes, Unreadable) else dict.fromkeys(each.key_arn for each in volumes.values())
    kind = detail.instance_type if detail else ""
    return InstanceFacts(
        instance,
        role,
        node=reading.nodes if isinstance(reading.nodes, Unreadable) else reading.nodes.get(instance.instance_id),
        hybrid=_hybrid_of(instance, reading.hybrid),
        default_management=reading.default_management,
        volumes=volumes,
        instance_store=reading.stores if isinstance(reading.stores, Unreadable) else reading.stores.get(kind),
        keys={arn: keys[arn] for arn in arns if arn is not None},
    )


def _hybrid_of(instance: Instance, nodes: Sequence[ManagedNode] | Unreadable) -> ManagedNode | Unreadable | None:
    """The hybrid node that seems to be this machine: by its source, or its private address."""
    if isinstance(nodes, Unreadable):
        return nodes
    address = instance.detail.private_ip if instance.detail else None
    return next(
        (
            each
            for each in nodes
            if each.node_id.startswith("mi-")
            and (each.source_id == instance.instance_id or (address and each.ip_address == address))
        ),
        None,
    )
