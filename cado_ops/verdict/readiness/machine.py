"""The instance itself: its state, its platform, its claims, and whether its agent answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from cado_ops.due import format_due, is_expired
from cado_ops.model import Instance, ManagedNode
from cado_ops.plan.tagging import ENDED_STATES, claims_of
from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness.facts import InstanceFacts, Unreadable
from cado_ops.verdict.readiness.finding import Finding, Route, Status, missing
from cado_ops.verdict.readiness.requests import document_of

TRIAGE = (Route.TRIAGE,)
ONLINE = "Online"


def ended(instance: Instance) -> Finding | None:
    """The one finding on an instance that is gone, or going: AWS lists it for about an hour."""
    if instance.state not in ENDED_STATES:
        return None
    return Finding(
        "state", Status.BLOCK, f"{instance.state}: it is not there to be acquired any more; its snapshots may be",
        None, (Route.TRIAGE, Route.DISK),
    )  # fmt: skip


def state_finding(instance: Instance) -> Finding:
    match instance.state:
        case "running":
            return Finding("state", Status.OK, "running", None, TRIAGE)
        case "stopped":
            detail = "stopped: no command can be run on it; its disks can be acquired as they are"
        case "pending":
            detail = "pending: it is starting, and its agent registers once it runs"
        case other:
            detail = f"{other}: no command can be run on it"
    return Finding("state", Status.BLOCK, detail, None, TRIAGE)


def platform_finding(instance: Instance) -> Finding:
    kind = instance.detail.instance_type if instance.detail else ""
    windows = instance.platform.startswith("windows")
    name = "Windows" if windows else "macOS" if kind.startswith("mac") else "Linux"
    return Finding("platform", Status.OK, f"{name}: {document_of(instance.platform)}", None, TRIAGE)


def claim_finding(instance: Instance, now: datetime, asker: Asker) -> Finding | None:
    """The cases that claim it, and when they are due. What is due may be untagged at any time."""
    claims = claims_of(instance)
    if not claims:
        return None
    due = sorted(case for case, claim in claims.items() if is_expired(claim, now))
    told = [
        case + (f" until {format_due(claim.due)}" if claim.due else "" if claim.readable else " (no time)")
        for case, claim in sorted(claims.items())
    ]
    detail = f"claimed by {', '.join(told)}"
    if not due:
        return Finding("claims", Status.OK, detail)
    longer = replace(asker, case=due[0], expires=asker.expires or "72h")
    fix = longer.line(
        "tag-instances", instance.instance_id, account=instance.account, region=instance.region, in_case=True
    )
    return Finding(
        "claims", Status.WARN, f"{detail}: due ({', '.join(due)}), and whoever ends what is due takes the tag off",
        fix,
    )  # fmt: skip


def agent_findings(facts: InstanceFacts, asker: Asker) -> Iterator[Finding]:
    """Whether Systems Manager reaches the agent, and by which permissions the agent would get there.

    DescribeInstanceInformation, Systems Manager API reference: nodes that are stopped are left out, so that their
    absence says nothing of an agent.
    """
    there, node = facts.instance, facts.node
    if there.state != "running":
        detail = f"not known while it is {there.state}: Systems Manager lists running nodes alone"
        yield Finding("agent", Status.WARN, detail)
        return
    if isinstance(node, Unreadable):
        yield _unknown("agent", node, facts, asker)
        return
    if node is not None and node.ping_status == ONLINE:
        yield Finding("agent", Status.OK, _told(node), None, TRIAGE)
        return
    if node is not None:
        restart = "restart the agent, or look at its way out to ssm, ssmmessages and ec2messages"
        yield Finding("agent", Status.BLOCK, f"{_told(node)}: {restart}", None, TRIAGE)
        return
    yield _absent(facts, asker)
    yield from _management(facts, asker)


def _told(node: ManagedNode) -> str:
    parts = [node.ping_status]
    if node.last_ping:
        parts.append(f"last ping {format_due(node.last_ping)}")
    if node.agent_version:
        parts.append(
            f"agent {node.agent_version}" + ("" if node.latest_version is not False else ", not the latest")
        )
    return ", ".join(parts)


def _absent(facts: InstanceFacts, asker: Asker) -> Finding:
    hybrid = facts.hybrid
    if isinstance(hybrid, Unreadable):
        return _unknown("agent", hybrid, facts, asker)
    if hybrid is not None:
        detail = (
            f"it seems to be registered as the hybrid node {hybrid.node_id} ({_told(hybrid)}): commands that name "
            "the instance do not reach that; deregister it, and let the agent register as an instance"
        )
        return Finding("agent", Status.BLOCK, detail, None, TRIAGE)
    detail = "running, and not registered with Systems Manager: no agent, or one without permissions or network"
    return Finding("agent", Status.BLOCK, detail, None, TRIAGE)


def _management(facts: InstanceFacts, asker: Asker) -> Iterator[Finding]:
    """By what an agent that is not registered would be let in. No proof by itself: it says where to look."""
    profile = facts.instance.detail.instance_profile if facts.instance.detail else None
    default = facts.default_management
    if profile is not None:
        name = profile.rpartition("/")[2]
        yield Finding(
            "management", Status.OK, f"instance profile {name}; whether it lets the agent in was not read"
        )
    elif isinstance(default, Unreadable):
        yield _unknown("management", default, facts, asker)
    elif default is not None:
        detail = (
            f"no instance profile; Default Host Management ({default.rpartition('/')[2]}) lets agents in "
            "from version 3.2.582.0, with IMDSv2, after up to half an hour"
        )
        yield Finding("management", Status.OK, detail)
    else:
        # Which profile nobody here knows: no command line that could be pasted as it stands.
        detail = (
            "no instance profile, and Default Host Management is off: nothing lets an agent in; associate a "
            "profile whose role has AmazonSSMManagedInstanceCore"
        )
        yield Finding("management", Status.WARN, detail)


def _unknown(check: str, fact: Unreadable, facts: InstanceFacts, asker: Asker) -> Finding:
    routes = TRIAGE if check == "agent" else ()
    return Finding(check, Status.UNKNOWN, missing([fact]), asker.show_operator(facts.instance.account), routes)
