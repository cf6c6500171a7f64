"""The item of ``status``."""

from __future__ import annotations

from datetime import UTC, datetime

from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, Instance
from cado_ops.verdict.coverage import coverage

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
CELL = Cell("1" * 12, "eu-west-1")


def instance(tags: dict[str, str], state: str = "running") -> Instance:
    return Instance(CELL.account, CELL.region, "i-1", "", state, tags, len(tags))


def test_an_empty_region() -> None:
    assert coverage(CELL, [], NOW) == {
        "account": "1" * 12,
        "region": "eu-west-1",
        "instances": 0,
        "tagged": 0,
        "mistagged": 0,
        "ssm_online": None,
        "disks_ready": None,
        "grants": None,
        "due": 0,
    }


def test_counts() -> None:
    there = [
        instance({}),
        instance({SSM_TAG: "True"}),
        instance({SSM_TAG: "True"}, "stopped"),
        instance({SSM_TAG: "true"}),
        instance({SSM_TAG.upper(): "True"}),
        instance({SSM_TAG: "False"}),
        instance({SSM_TAG: "True"}, "terminated"),
        instance({SSM_TAG: "true"}, "shutting-down"),
    ]
    item = coverage(CELL, there, NOW)
    assert (item["instances"], item["tagged"], item["mistagged"]) == (6, 2, 2)


def test_due_counts_instances_not_claims() -> None:
    past, now, ahead = "2026-11-26T17:59:59Z", "2026-11-26T18:00:00Z", "2026-11-26T18:00:01Z"
    there = [
        instance({CLAIM_PREFIX + "A": past, CLAIM_PREFIX + "B": f"{past} keep"}),
        instance({CLAIM_PREFIX + "A": now}),
        instance({CLAIM_PREFIX + "A": ahead}),
        instance({CLAIM_PREFIX + "A": ahead, CLAIM_PREFIX + "B": past}),
        instance({CLAIM_PREFIX + "A": "-"}),
        instance({CLAIM_PREFIX + "A": "soon"}),
        instance({CLAIM_PREFIX + "A": past}, "terminated"),
    ]
    assert coverage(CELL, there, NOW)["due"] == 3
