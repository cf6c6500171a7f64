"""Build the organisation of `acme` in moto's backends, keep a copy, and go back to it.

moto's state is global to the process, so there is one world in a process, whatever number of servers.
"""

from __future__ import annotations

import io
import json
import pickle
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest import mock

from moto.core.base_backend import BaseBackend
from moto.kms import models as kms_models
from moto.moto_api._internal import mock_random
from moto.organizations import models as organizations_models
from moto.organizations import utils as organizations_utils

from cado_ops.sandbox import acme, policies
from cado_ops.sandbox.backends import BACKENDS, backend
from cado_ops.sandbox.fleet import launch, machine_tags
from cado_ops.sandbox.grants import add_grant

_CREATED = datetime(2025, 3, 4, 9, 30)
_snapshot: dict[tuple[str, str, str], bytes] = {}
_touched = True

LOCK = threading.RLock()
"""To hold while reading or changing the world: moto's backends are not made for threads."""


def touch() -> None:
    """Say that the world is about to be changed, so that `restore` has something to do."""
    global _touched
    _touched = True


def restore() -> None:
    """Put every backend into its seeded state; the first call builds it."""
    global _touched
    if not _touched:
        return
    _touched = False
    if not _snapshot:
        for backends in BACKENDS.values():
            backends.clear()
        _build()
        for where, live in _live_backends():
            _snapshot[where] = _freeze(live)
        return
    for where, live in list(_live_backends()):
        if where in _snapshot:
            live.__dict__ = _thaw(_snapshot[where])
        else:
            service, account, region = where
            dict.__delitem__(BACKENDS[service][account], region)


def key_arn(account: str, region: str, alias: str) -> str | None:
    """The ARN of the key with this alias; None for "plain", which is no key."""
    for key in backend("kms", account, region).keys.values():
        if f"alias/{alias}" in key.aliases:
            return str(key.arn)
    return None


def _live_backends() -> Iterator[tuple[tuple[str, str, str], Any]]:
    for service, backends in BACKENDS.items():
        for account, region, live in backends.iter_backends():
            yield (service, account, region), live


class _Freezer(pickle.Pickler):
    """Pickles one backend's state; other backends and itself stay references."""

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, BaseBackend):
            service = type(value).__module__.split(".")[1]
            return service, value.account_id, value.region_name
        return None


class _Thawer(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        service, account, region = pid
        return BACKENDS[service][account][region]


def _freeze(live: Any) -> bytes:
    stream = io.BytesIO()
    _Freezer(stream, pickle.HIGHEST_PROTOCOL).dump(live.__dict__)
    return stream.getvalue()


def _thaw(frozen: bytes) -> dict[str, Any]:
    state: dict[str, Any] = _Thawer(io.BytesIO(frozen)).load()
    return state


def _build() -> None:
    mock_random.seed("acme")
    _build_organization()
    for member in acme.MEMBERS:
        _build_roles(member)
    cells = sorted({(machine.account, machine.region) for machine in acme.MACHINES})
    for account, region in cells:
        _build_keys(account, region)
        mock_random.seed(f"{account}/{region}")
        backend("ec2", account, region)  # touched, so that the default network has the same ids every time
    for machine in acme.MACHINES:
        launch(
            machine,
            machine_tags(machine),
            key_arn(machine.account, machine.region, machine.disk),
            disks=2 if machine.team == "data" else 1,
        )
    for account, region in cells:
        _build_grants(account, region)


def _build_organization() -> None:
    organization = backend("organizations", acme.MANAGEMENT)
    with mock.patch.multiple(
        organizations_utils,
        make_random_account_id=lambda: acme.MANAGEMENT,
        make_random_org_id=lambda: acme.ORGANIZATION_ID,
        make_random_root_id=lambda: acme.ROOT_ID,
    ):
        organization.create_organization("us-east-1", FeatureSet="ALL")
    unit_ids = {"Root": acme.ROOT_ID}
    for name, unit_id, parent in acme.UNITS:
        with mock.patch.object(organizations_utils, "make_random_ou_id", lambda _root, made=unit_id: made):
            organization.create_organizational_unit(Name=name, ParentId=unit_ids[parent])
        unit_ids[name] = unit_id
    management = organization.accounts[0]
    management.name, management.email = acme.MEMBERS[0].name, "aws+security@acme.example"
    for member in acme.MEMBERS[1:]:
        with mock.patch.object(organizations_utils, "make_random_account_id", lambda made=member.account: made):
            email = f"aws+{member.name.split()[1].lower()}@acme.example"
            account = organizations_models.FakeAccount(organization.org, AccountName=member.name, Email=email)
        account.parent_id = unit_ids[member.unit]
        account.status = account.state = member.state
        account.joined_method = "CREATED"
        organization.accounts.append(account)
        organizations_models.organizations_backends.master_accounts[member.account] = (acme.MANAGEMENT, "aws")
    for number, account in enumerate(organization.accounts):
        account.create_time = _CREATED.replace(day=4 + number)


def _build_roles(member: acme.Member) -> None:
    mock_random.seed(f"{member.account}/roles")
    iam = backend("iam", member.account)
    trusted = f"arn:aws:iam::{acme.MANAGEMENT}:root"
    if member.account == acme.RESEARCH:  # the account that lets nobody in
        trusted = f"arn:aws:iam::{acme.RESEARCH}:role/BreakGlass"
    roles = {
        acme.OPERATOR_ROLE: (policies.trust(trusted), policies.OPERATOR),
        member.cado_role: (policies.trust(f"arn:aws:iam::{acme.MANAGEMENT}:root"), policies.cado(member.account)),
    }
    if member.account == acme.MANAGEMENT:
        roles[acme.RESPONDER_ROLE] = (policies.trust(trusted), policies.RESPONDER)
    if member.account == acme.PRODUCTION:
        roles[acme.EXTERNAL_ROLE] = (policies.trust(trusted, acme.EXTERNAL_ID), policies.OPERATOR)
    for name, (trust, permissions) in roles.items():
        role = iam.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(trust),
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        role.create_date = _CREATED
        role.put_policy(f"{name}Policy", json.dumps(permissions))


def _build_keys(account: str, region: str) -> None:
    kms = backend("kms", account, region)
    for alias, state, manager, description in acme.KEYS:
        mock_random.seed(f"{account}/{region}/{alias}")
        # moto makes an RSA key pair, slowly, for symmetric keys too, which never use it.
        with mock.patch.object(kms_models, "generate_private_key", return_value=None):
            key = kms.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", description, None)
        key.creation_date = _CREATED.timestamp()
        key.key_manager = manager
        key.key_state = state
        key.enabled = state == "Enabled"
        if state == "PendingDeletion":
            key.deletion_date = datetime(2030, 1, 1)
        if (account, region, alias) == acme.NAMES_CADO:
            key.policy = json.dumps(policies.key_for(account, "CadoResponseRole"))
        kms.create_alias(key.id, f"alias/{alias}")


def _build_grants(account: str, region: str) -> None:
    """Grants that were there before: EBS's for each attached volume, and one somebody made by hand for Cado."""
    mock_random.seed(f"{account}/{region}/grants")
    infrastructure = f"arn:aws:sts::{account}:assumed-role/aws:ec2-infrastructure"
    keys = {key.arn: key for key in backend("kms", account, region).keys.values()}
    for volume in backend("ec2", account, region).volumes.values():
        key = keys.get(volume.kms_key_id)
        if key is None or key.key_manager != "CUSTOMER" or volume.attachment.instance.state != "running":
            continue
        terms = {
            "Name": str(mock_random.uuid4()),
            "GranteePrincipal": f"{infrastructure}/{volume.attachment.instance.id}",
            "RetiringServicePrincipal": f"ec2.{region}.amazonaws.com",
            "Operations": ["Decrypt"],
            "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": volume.id}},
        }
        add_grant(key, _grant_id(), terms, _CREATED.timestamp())
    if (account, region) == (acme.PRODUCTION, "eu-west-1"):
        by_hand = {
            "Name": "cado-by-hand",
            "GranteePrincipal": f"arn:aws:iam::{account}:role/CadoResponseRole",
            "Operations": ["Decrypt", "DescribeKey", "CreateGrant"],
        }
        data_key = next(key for key in keys.values() if "alias/acme-data" in key.aliases)
        add_grant(data_key, _grant_id(), by_hand, _CREATED.timestamp())


def _grant_id() -> str:
    return f"{mock_random.getrandbits(256):064x}"
