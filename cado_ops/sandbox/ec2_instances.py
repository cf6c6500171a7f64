"""DescribeInstances and DescribeRegions as EC2 answers them.

moto pages by reservation, accepts contradictory parameters and takes 3 ms to write one instance as XML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.ec2_filters import Filter, matches, read_filters, read_page
from cado_ops.sandbox.ec2_xml import render_instance
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_ec2, is_true, listed

_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")

# Filter name to the values an instance has for it.
_FILTERS: dict[str, Callable[[Any], list[str | None]]] = {
    "architecture": lambda instance: [instance.architecture],
    "availability-zone": lambda instance: [instance.availability_zone],
    "block-device-mapping.volume-id": lambda instance: [
        device.volume_id for device in instance.block_device_mapping.values()
    ],
    "hypervisor": lambda instance: [instance.hypervisor],
    "image-id": lambda instance: [instance.image_id],
    "instance-id": lambda instance: [instance.id],
    "instance-state-code": lambda instance: [str(instance.state_code)],
    "instance-state-name": lambda instance: [instance.state],
    "instance-type": lambda instance: [instance.instance_type],
    "ip-address": lambda instance: [instance.public_ip],
    "key-name": lambda instance: [instance.key_name],
    "launch-time": lambda instance: [f"{instance.launch_time:%Y-%m-%dT%H:%M:%S}.000Z"],
    "monitoring-state": lambda instance: [instance.monitoring_state],
    "owner-id": lambda instance: [instance.owner_id],
    "platform": lambda instance: [instance.platform],
    "private-dns-name": lambda instance: [instance.private_dns_name],
    "private-ip-address": lambda instance: [instance.private_ip],
    "reservation-id": lambda instance: [getattr(instance, "reservation_id", None)],
    "root-device-type": lambda instance: [instance.root_device_type],
    "subnet-id": lambda instance: [instance.subnet_id],
    "tenancy": lambda instance: [instance.placement.tenancy],
    "virtualization-type": lambda instance: [instance.virtualization_type],
    "vpc-id": lambda instance: [instance.vpc_id],
}


def describe_instances(request: RequestInfo) -> Response:
    """Filters are and-ed, their values or-ed; pages count instances; terminated ones are listed too.

    EC2 API reference, DescribeInstances.
    """
    ids = listed(request.params, "InstanceId")
    if ids and "MaxResults" in request.params:
        raise AwsFault(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    check_instance_ids(request, ids)
    filters = read_filters(request, _is_known_filter)
    wanted = set(ids)
    ec2 = backend("ec2", request.account, request.region)
    chosen: dict[str, tuple[Any, Any]] = {}
    for reservation in ec2.reservations.values():
        for instance in reservation.instances:
            tags = ec2.tags.get(instance.id, {})
            if (not wanted or instance.id in wanted) and _instance_matches(filters, instance, tags):
                chosen[instance.id] = (reservation, instance)
    if is_true(request.params, "DryRun"):
        raise AwsFault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    members, token = read_page(request, list(chosen))
    next_token = f"<nextToken>{token}</nextToken>" if token else ""
    return answer_ec2(
        "DescribeInstances", f"<reservationSet>{_reservations(chosen, members)}</reservationSet>{next_token}"
    )


def check_instance_ids(request: RequestInfo, ids: list[str]) -> None:
    """Every id must be well formed and belong to this account and region; the message names those that do not.

    EC2 User Guide, "Error codes for the Amazon EC2 API".
    """
    for instance_id in ids:
        if _INSTANCE_ID.fullmatch(instance_id) is None:
            raise AwsFault("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    if not ids:
        return
    reservations = backend("ec2", request.account, request.region).reservations.values()
    present = {instance.id for reservation in reservations for instance in reservation.instances}
    absent = [instance_id for instance_id in dict.fromkeys(ids) if instance_id not in present]
    if len(absent) == 1:
        raise AwsFault("InvalidInstanceID.NotFound", f"The instance ID '{absent[0]}' does not exist")
    if absent:
        raise AwsFault("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(absent)}' do not exist")


def find_instance(account: str, region: str, instance_id: str) -> Any:
    """The instance with this id; KeyError if there is none."""
    for reservation in backend("ec2", account, region).reservations.values():
        for instance in reservation.instances:
            if instance.id == instance_id:
                return instance
    raise KeyError(instance_id)


def describe_regions(request: RequestInfo) -> Response:
    """Lists the enabled regions only, unless asked for all.

    EC2 API reference, DescribeRegions. moto lists every region of the partition as enabled.
    """
    regions = dict.fromkeys(acme.REGIONS, "opt-in-not-required")
    if is_true(request.params, "AllRegions"):
        regions["af-south-1"] = "not-opted-in"
    names = listed(request.params, "RegionName")
    for name in names:
        if name not in regions:
            raise AwsFault("InvalidParameterValue", f"Invalid region provided: {name}")
    filters = read_filters(request, {"region-name", "opt-in-status", "endpoint"}.__contains__)
    items = []
    for name, status in sorted(regions.items()):
        endpoint = f"ec2.{name}.amazonaws.com"
        facts = {"region-name": name, "opt-in-status": status, "endpoint": endpoint}
        if (not names or name in names) and all(matches(pattern, [facts[key]]) for key, pattern in filters):
            items.append(
                f"<item><regionName>{name}</regionName><regionEndpoint>{endpoint}</regionEndpoint>"
                f"<optInStatus>{status}</optInStatus></item>"
            )
    return answer_ec2("DescribeRegions", f"<regionInfo>{''.join(items)}</regionInfo>")


def _is_known_filter(name: str) -> bool:
    return name in _FILTERS or name in ("tag-key", "tag-value") or name.startswith("tag:")


def _instance_matches(filters: list[Filter], instance: Any, tags: dict[str, str]) -> bool:
    for name, pattern in filters:
        values: list[str | None]
        if name.startswith("tag:"):
            values = [tags.get(name[4:])]
        elif name == "tag-key":
            values = list(tags)
        elif name == "tag-value":
            values = list(tags.values())
        else:
            values = _FILTERS[name](instance)
        if not matches(pattern, values):
            return False
    return True


def _reservations(chosen: dict[str, tuple[Any, Any]], members: Any) -> str:
    grouped: dict[str, tuple[Any, list[str]]] = {}
    for instance_id in members:
        reservation, instance = chosen[instance_id]
        grouped.setdefault(reservation.id, (reservation, []))[1].append(render_instance(instance))
    return "".join(
        f"<item><reservationId>{reservation.id}</reservationId><ownerId>{reservation.owner_id}</ownerId>"
        f"<groupSet/><instancesSet>{''.join(instances)}</instancesSet></item>"
        for reservation, instances in grouped.values()
    )


MENDS = {
    ("ec2", "DescribeInstances"): describe_instances,
    ("ec2", "DescribeRegions"): describe_regions,
}
