"""What may end the instance or its disks before they are acquired: warnings, whatever the routes say."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness.facts import InstanceFacts, Unreadable
from cado_ops.verdict.readiness.finding import Finding, Status, missing


def evidence_findings(facts: InstanceFacts, asker: Asker) -> Iterator[Finding]:
    there, detail = facts.instance, facts.instance.detail
    if detail is None:
        return
    place = {"account": there.account, "region": there.region}
    if detail.auto_scaling_group:
        group = detail.auto_scaling_group
        fix = asker.aws(
            # With =, because a group's name may begin with a dash.
            "autoscaling", "set-instance-protection", f"--auto-scaling-group-name={group}", "--instance-ids",
            there.instance_id, "--protected-from-scale-in", **place,
        )  # fmt: skip
        yield Finding("auto-scaling", Status.WARN, f"the auto scaling group {group} may end it at any time", fix)
    if detail.lifecycle == "spot":
        yield Finding("spot", Status.WARN, "a spot instance: EC2 may end it at two minutes' notice")
    elif detail.lifecycle:
        yield Finding("spot", Status.WARN, f"a {detail.lifecycle} instance: EC2 ends it when its time is over")
    if detail.managed_by:
        yield Finding("managed", Status.WARN, f"managed by {detail.managed_by}, which may replace it")
    lost = [each for each in detail.devices if each.delete_on_termination]
    if lost:
        kept = [{"DeviceName": each.device, "Ebs": {"DeleteOnTermination": False}} for each in lost]
        fix = asker.aws(
            "ec2", "modify-instance-attribute", "--instance-id", there.instance_id, "--block-device-mappings",
            json.dumps(kept, separators=(",", ":")), **place,
        )  # fmt: skip
        names = ", ".join(f"{each.volume_id} ({each.device})" for each in lost)
        yield Finding("delete-on-termination", Status.WARN, f"ends with the instance: {names}", fix)
    store = facts.instance_store
    if isinstance(store, Unreadable):
        fix = asker.show_operator(there.account)
        yield Finding("instance-store", Status.UNKNOWN, missing([store]), fix)
    elif detail.root_device_type == "instance-store":
        yield Finding("instance-store", Status.WARN, "its root is on an instance store: no snapshot reaches that")
    elif store is None:
        yield Finding("instance-store", Status.WARN, f"EC2 does not tell whether {detail.instance_type} has one")
    elif store:
        told = f"{detail.instance_type} has an instance store of {store} GB"
        yield Finding("instance-store", Status.WARN, f"{told}: no snapshot reaches it, and a stop empties it")
