"""How far the tag has come in one account and region."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cado_ops.due import is_expired
from cado_ops.model import SSM_TAG, SSM_TAG_VALUE, Cell, Instance
from cado_ops.plan.tagging import ENDED_STATES, claims_of, mistagged


def coverage(cell: Cell, instances: Iterable[Instance], now: datetime) -> dict[str, Any]:
    """The item of ``status``: counts of instances that are neither terminated nor about to be.

    ``due`` counts instances with a claim whose time has come. None: not measured.
    """
    alive = [instance for instance in instances if instance.state not in ENDED_STATES]
    return {
        "account": cell.account,
        "region": cell.region,
        "instances": len(alive),
        "tagged": sum(instance.tags.get(SSM_TAG) == SSM_TAG_VALUE for instance in alive),
        "mistagged": sum(mistagged(instance) for instance in alive),
        "ssm_online": None,
        "disks_ready": None,
        "grants": None,
        "due": sum(any(is_expired(claim, now) for claim in claims_of(instance).values()) for instance in alive),
    }
