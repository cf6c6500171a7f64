"""The item of ``status``: counts, and no number where one would not be true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cado_ops.model import Cell, Disks, Held, Standing
from cado_ops.verdict.coverage import coverage, totals

CELL = Cell("1" * 12, "eu-west-1")
ONE = Standing("i-1", "web", "running", "True", "tagged", (), "Online", Disks.READY)
PAST, AHEAD = Held("A", "2026-11-23T17:45:00Z", True), Held("B", "2026-11-30T17:45:00Z", False)


def counted(*standings: Standing, grants: int | None = 0) -> dict[str, Any]:
    return coverage(CELL, standings, grants)


def test_an_empty_region() -> None:
    assert counted() == {
        "account": "1" * 12, "region": "eu-west-1", "instances": 0, "tagged": 0, "mistagged": 0, "ssm_online": 0,
        "disks_ready": 0, "grants": 0, "due": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("tagging", "tagged", {"tagged": 2}),
        ("tagging", "mistagged", {"tagged": 1, "mistagged": 1}),
        ("tagging", "untagged", {"tagged": 1}),
        ("tagging", "otherwise", {"tagged": 1}),
        ("ssm", "ConnectionLost", {"ssm_online": 1}),
        ("ssm", "Inactive", {"ssm_online": 1}),
        ("ssm", "not registered", {"ssm_online": 1}),
        ("ssm", "stopped", {"ssm_online": 1}),
        ("ssm", None, {"ssm_online": None}),
        ("disks", Disks.NO_GRANT, {"disks_ready": 1}),
        ("disks", Disks.NOT_READY, {"disks_ready": 1}),
        ("disks", Disks.UNKNOWN, {"disks_ready": 1}),
        ("disks", Disks.UNREAD, {"disks_ready": None}),
        ("claims", (AHEAD,), {"due": 0}),
        ("claims", (AHEAD, PAST), {"due": 1}),
        ("claims", (PAST, PAST), {"due": 1}),
        # A grant that is due is no claim.
        ("grants", (PAST,), {"due": 0}),
    ],
)
def test_one_of_two_differs(field: str, value: Any, expected: dict[str, Any]) -> None:
    item = counted(ONE, replace(ONE, instance_id="i-2", **{field: value}))
    usual = {"instances": 2, "tagged": 2, "mistagged": 0, "ssm_online": 2, "disks_ready": 2, "grants": 0, "due": 0}
    assert {key: item[key] for key in usual} == usual | expected


def test_grants_that_could_not_be_read_are_not_none() -> None:
    assert counted(grants=None)["grants"] is None
    assert counted(grants=3)["grants"] == 3


def test_totals_are_true_or_nothing() -> None:
    whole, part = counted(ONE, grants=2), counted(replace(ONE, ssm=None), grants=1)
    assert totals([whole, part]) == {
        "instances": 2, "tagged": 2, "mistagged": 0, "ssm_online": None, "disks_ready": 2, "grants": 3, "due": 0,
    }  # fmt: skip
    assert set(totals([]).values()) == {0}
