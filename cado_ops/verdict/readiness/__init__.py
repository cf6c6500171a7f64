"""Can Cado acquire this instance? From facts to findings to a verdict for each route. Pure.

Every combination of facts has a row in tests/unit/test_readiness.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness.disks import disk_findings
from cado_ops.verdict.readiness.evidence import evidence_findings
from cado_ops.verdict.readiness.facts import InstanceFacts
from cado_ops.verdict.readiness.finding import Finding, Readiness, worst_first
from cado_ops.verdict.readiness.machine import (
    agent_findings,
    claim_finding,
    ended,
    platform_finding,
    state_finding,
)
from cado_ops.verdict.readiness.permissions import role_findings


def judge(facts: InstanceFacts, now: datetime, asker: Asker) -> Readiness:
    """The verdict on one instance at ``now`` (UTC); fixes are command lines of ``asker``."""
    there = facts.instance
    findings = worst_first(_findings(facts, now, asker))
    return Readiness(there.account, there.region, there.instance_id, findings)


def _findings(facts: InstanceFacts, now: datetime, asker: Asker) -> Iterator[Finding]:
    gone = ended(facts.instance)
    if gone is not None:
        yield gone
        return
    yield state_finding(facts.instance)
    yield platform_finding(facts.instance)
    claim = claim_finding(facts.instance, now, asker)
    if claim is not None:
        yield claim
    yield from agent_findings(facts, asker)
    yield from role_findings(facts, asker)
    yield from disk_findings(facts, now, asker)
    yield from evidence_findings(facts, asker)
