"""How far the tag, the SSM agent and the keys have come in one account and region. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cado_ops.model import Cell, Disks, Standing
from cado_ops.verdict.standing import ONLINE

COUNTS = ("instances", "tagged", "mistagged", "ssm_online", "disks_ready", "grants", "due")


def coverage(cell: Cell, standings: Collection[Standing], grants: int | None) -> dict[str, Any]:
    """The item of ``status``: counts of instances that are neither terminated nor about to be.

    ``grants`` counts grants; ``due`` counts instances with a claim whose time has come. None: what could not be
    read, so that no number would be true.
    """
    return {
        "account": cell.account,
        "region": cell.region,
        "instances": len(standings),
        "tagged": sum(each.tagging == "tagged" for each in standings),
        "mistagged": sum(each.tagging == "mistagged" for each in standings),
        "ssm_online": None
        if any(each.ssm is None for each in standings)
        else sum(each.ssm == ONLINE for each in standings),
        "disks_ready": None
        if any(each.disks is Disks.UNREAD for each in standings)
        else sum(each.disks is Disks.READY for each in standings),
        "grants": grants,
        "due": sum(each.due for each in standings),
    }


def totals(items: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """The counts of all cells together; None where a cell's is not known."""
    items = list(items)
    return {
        name: None if any(item[name] is None for item in items) else sum(item[name] for item in items)
        for name in COUNTS
    }
