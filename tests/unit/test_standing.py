"""How one instance stands, from what list calls tell: nothing is ready for want of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cado_ops.grant_name import GrantName
from cado_ops.model import (
    CLAIM_PREFIX,
    SSM_TAG,
    Cell,
    Disks,
    Grant,
    Held,
    Instance,
    Key,
    ManagedNode,
    Standing,
    Volume,
)  # fmt: skip
from cado_ops.verdict.standing import NO_ROLE, CellFacts, KeyFacts, standings

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
HERE, THERE = "1" * 12, "2" * 12
CELL = Cell(HERE, "eu-west-1")
ROLE = f"arn:aws:iam::{HERE}:role/CadoResponseRole"
KEY = f"arn:aws:kms:eu-west-1:{HERE}:key/aaaa"
OTHER = f"arn:aws:kms:eu-west-1:{HERE}:key/bbbb"
FOREIGN = f"arn:aws:kms:eu-west-1:{THERE}:key/cccc"


def instance(tags: Mapping[str, str] = {}, state: str = "running") -> Instance:
    return Instance(CELL.account, CELL.region, "i-1", "web", state, dict(tags), len(tags))


def key(arn: str = KEY, **fields: Any) -> Key:
    account, region = arn.split(":")[4], arn.split(":")[3]
    return Key(account, region, arn, fields.pop("manager", "CUSTOMER"), fields.pop("state", "Enabled"), "", "")


def grant(
    arn: str = KEY, grantee: str = ROLE, operations: tuple[str, ...] = ("Decrypt", "DescribeKey"), **more: Any
) -> Grant:
    name = GrantName("IR-1", more.pop("due", None), "0" * 64)
    return Grant(arn.split(":")[4], "eu-west-1", arn, "f" * 64, str(name), grantee, operations, **more)


def facts(**fields: Any) -> CellFacts:
    usual: dict[str, Any] = {"instances": [instance()], "volumes": [volume()]}
    return CellFacts(**(usual | fields))


def volume(arn: str | None = None, **fields: Any) -> Volume:
    return Volume(fields.pop("id", "vol-1"), arn, ("i-1",), **fields)


def known(*keys: Key | None, grants: tuple[Grant, ...] = (), role: str | None = ROLE, **fields: Any) -> KeyFacts:
    by_key: dict[str, list[Grant]] = {}
    for each in grants:
        by_key.setdefault(each.key_arn, []).append(each)
    usual: dict[str, Any] = {
        "cado_roles": {HERE: role}, "keys": {each.arn: each for each in keys if each}, "grants": by_key,
        "read": frozenset({CELL, Cell(THERE, "eu-west-1")}),
    }  # fmt: skip
    return KeyFacts(**(usual | fields))


def one(cell: CellFacts, keys: KeyFacts | None = None) -> Standing:
    [found] = standings(cell, keys or known(), NOW)
    return found


@pytest.mark.parametrize(
    ("tags", "tag", "tagging"),
    [
        ({}, None, "untagged"),
        ({SSM_TAG: "True"}, "True", "tagged"),
        ({SSM_TAG: "true"}, "true", "mistagged"),
        ({SSM_TAG: "True "}, "True ", "mistagged"),
        ({SSM_TAG.lower(): "True"}, None, "mistagged"),
        ({SSM_TAG: "True", SSM_TAG.lower(): "False"}, "True", "tagged"),
        ({SSM_TAG: "False"}, "False", "otherwise"),
        ({SSM_TAG: ""}, "", "otherwise"),
    ],
)
def test_the_tag(tags: dict[str, str], tag: str | None, tagging: str) -> None:
    found = one(facts(instances=[instance(tags)]))
    assert (found.tag, found.tagging) == (tag, tagging)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("-", Held("A", None, False)),
        ("-  keep", Held("A", None, False)),
        ("2026-11-26T17:59:59Z", Held("A", "2026-11-26T17:59:59Z", True)),
        ("2026-11-26T18:00:00Z keep", Held("A", "2026-11-26T18:00:00Z", True)),
        ("2026-11-26T18:00:01Z", Held("A", "2026-11-26T18:00:01Z", False)),
        ("soon", Held("A", None, False)),
    ],
)
def test_claims(value: str, held: Held) -> None:
    found = one(facts(instances=[instance({CLAIM_PREFIX + "A": value})]))
    assert found.claims == (held,)
    assert found.due is held.past


@pytest.mark.parametrize(
    ("nodes", "state", "ssm"),
    [
        ({"i-1": "Online"}, "running", "Online"),
        ({"i-1": "ConnectionLost"}, "running", "ConnectionLost"),
        ({"i-1": "Inactive"}, "running", "Inactive"),
        ({"i-2": "Online"}, "running", "not registered"),
        ({}, "stopped", "stopped"),
        ({}, "pending", "pending"),
        (None, "running", None),
        (None, "stopped", None),
    ],
)
def test_the_agent(nodes: dict[str, str] | None, state: str, ssm: str | None) -> None:
    told = None if nodes is None else {each: ManagedNode(each, ping) for each, ping in nodes.items()}
    assert one(facts(instances=[instance(state=state)], nodes=told)).ssm == ssm


ENOUGH = grant()
BOUND = grant(constraints={"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}})
FREE = grant(constraints={"EncryptionContextSubset": {}})


DISKS: dict[str, tuple[list[Volume] | None, KeyFacts, Disks]] = {
    "unencrypted": ([volume()], known(), Disks.READY),
    "no role known": ([volume()], known(role=None), Disks.UNREAD),
    "in error": ([volume(state="error")], known(), Disks.NOT_READY),
    "going": ([volume(state="deleting")], known(), Disks.NOT_READY),
    "in use": ([volume(state="in-use")], known(), Disks.READY),
    "no volume": ([], known(), Disks.NOT_READY),
    "volumes unread": (None, known(), Disks.UNREAD),
    "aws/ebs": ([volume(KEY)], known(key(manager="AWS")), Disks.READY),
    "aws/ebs, no role known": ([volume(KEY)], known(key(manager="AWS"), role=None), Disks.UNREAD),
    "aws/ebs of elsewhere": ([volume(FOREIGN)], known(key(FOREIGN, manager="AWS")), Disks.NOT_READY),
    "no grant": ([volume(KEY)], known(key()), Disks.NO_GRANT),
    "granted": ([volume(KEY)], known(key(), grants=(ENOUGH,)), Disks.READY),
    "granted, no role known": ([volume(KEY)], known(key(), grants=(ENOUGH,), role=None), Disks.UNREAD),
    "due, and still there": ([volume(KEY)], known(key(), grants=(grant(due=NOW),)), Disks.READY),
    "to another": ([volume(KEY)], known(key(), grants=(grant(grantee=ROLE + "2"),)), Disks.NO_GRANT),
    "on another key": ([volume(KEY)], known(key(), grants=(grant(OTHER),)), Disks.NO_GRANT),
    "too little": ([volume(KEY)], known(key(), grants=(grant(operations=("Decrypt",)),)), Disks.NO_GRANT),
    "bound": ([volume(KEY)], known(key(), grants=(BOUND,)), Disks.UNKNOWN),
    "bound, and not": ([volume(KEY)], known(key(), grants=(BOUND, ENOUGH)), Disks.READY),
    "bound to nothing": ([volume(KEY)], known(key(), grants=(FREE,)), Disks.READY),
    "grants unread": ([volume(KEY)], known(key(), read=frozenset()), Disks.UNREAD),
    "found elsewhere": ([volume(KEY)], known(key(), grants=(ENOUGH,), read=frozenset()), Disks.READY),
    "key unread": ([volume(KEY)], known(keys={KEY: None}), Disks.UNREAD),
    "key unread, granted": ([volume(KEY)], known(keys={KEY: None}, grants=(ENOUGH,)), Disks.UNREAD),
    "key out of scope": ([volume(FOREIGN)], known(), Disks.UNKNOWN),
    "across": ([volume(FOREIGN)], known(key(FOREIGN), grants=(grant(FOREIGN),)), Disks.READY),
    "across, no grant": ([volume(FOREIGN)], known(key(FOREIGN)), Disks.NO_GRANT),
    **{
        state: ([volume(KEY)], known(key(state=state), grants=(ENOUGH,)), Disks.NOT_READY)
        for state in ("Disabled", "PendingDeletion", "PendingImport", "Unavailable", "Creating")
    },
}


@pytest.mark.parametrize(("volumes", "keys", "expected"), DISKS.values(), ids=DISKS)
def test_disks(volumes: list[Volume] | None, keys: KeyFacts, expected: Disks) -> None:
    found = one(facts(volumes=volumes), keys)
    assert found.disks is expected
    assert bool(found.remarks) is (expected is not Disks.READY)


# One volume each: what the instance is by the other one.
READY, NO_GRANT, UNKNOWN = volume(id="vol-r"), volume(OTHER, id="vol-n"), volume(FOREIGN, id="vol-u")
UNREAD, BROKEN = volume(KEY, id="vol-k"), volume(state="error", id="vol-e")


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ((READY, READY), Disks.READY),
        ((READY, UNKNOWN), Disks.UNKNOWN),
        ((READY, UNREAD), Disks.UNREAD),
        ((UNKNOWN, UNREAD), Disks.UNREAD),
        ((UNREAD, NO_GRANT), Disks.NO_GRANT),
        ((READY, NO_GRANT, UNKNOWN), Disks.NO_GRANT),
        ((UNREAD, NO_GRANT, BROKEN), Disks.NOT_READY),
    ],
)
def test_the_worst_disk_decides(volumes: tuple[Volume, ...], expected: Disks) -> None:
    keys = known(keys={KEY: None, OTHER: key(OTHER)})
    for order in (volumes, volumes[::-1]):
        assert one(facts(volumes=order), keys).disks is expected


def test_a_disk_of_another_instance_counts_not() -> None:
    assert one(facts(volumes=[replace(volume(), instances=("i-2",))])).disks is Disks.NOT_READY
    assert one(facts(volumes=[replace(volume(), instances=("i-2", "i-1"))])).disks is Disks.READY


def test_grants_stand_with_the_instance_whose_key_they_are_on() -> None:
    due, open_ended = grant(due=NOW), grant(operations=("Decrypt",))
    keys = known(key(), grants=(due, open_ended, grant(grantee=ROLE + "2"), grant(OTHER)))
    found = one(facts(volumes=[volume(KEY), volume(KEY, id="vol-2")]), keys)
    assert found.grants == (
        Held("IR-1", "2026-11-26T18:00:00Z", True, "f" * 64), Held("IR-1", None, False, "f" * 64)
    )  # fmt: skip
    assert not found.due


def test_instances_come_by_their_ids() -> None:
    there = [replace(instance(), instance_id=each) for each in ("i-2", "i-10", "i-1")]
    assert [each.instance_id for each in standings(facts(instances=there), known(), NOW)] == ["i-1", "i-10", "i-2"]


@pytest.mark.parametrize("arn", [None, "arn:aws:kms:eu-west-1:222222222222:key/0"])
def test_without_a_cado_role_no_disk_is_ready(arn: str | None) -> None:
    found = one(facts(volumes=[volume(arn)]), known(role=NO_ROLE))
    assert (found.disks, found.remarks) == (Disks.NOT_READY, ("its account has no Cado role",))
