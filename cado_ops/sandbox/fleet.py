"""Instances and their volumes, put straight into moto's EC2 backends.

moto's own run_instances looks through all instances for each volume it attaches: 10,000 would take minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from moto.ec2.models import block_device, elastic_block_store, instances
from moto.moto_api._internal import mock_random

from cado_ops.sandbox import acme
from cado_ops.sandbox.acme import MARKS, Machine
from cado_ops.sandbox.backends import backend

AMIS = {"linux": "ami-0ac3e0000000011a8", "windows": "ami-0ac3e0000000022b9"}
# moto declares these abstract and makes them all the same.
_Instance: Any = instances.Instance
_Volume: Any = elastic_block_store.Volume
_VolumeAttachment: Any = elastic_block_store.VolumeAttachment
_EPOCH = datetime(2026, 1, 12, 8, 0, 0)
_STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_TAG_LIMIT = 50


def launch(machine: Machine, tags: Mapping[str, str], key_arn: str | None = None, disks: int = 1) -> Any:
    """Make one instance with ``disks`` volumes, encrypted under ``key_arn`` where one is given.

    Its ids follow from account, region and name alone, whatever else was made before.
    """
    ec2 = backend("ec2", machine.account, machine.region)
    seed = f"{machine.account}/{machine.region}/{machine.name}"
    mock_random.seed(seed)
    zone = machine.region + mock_random.choice("ab")
    private_ip = ".".join(["10", *(str(mock_random.randrange(4, 250)) for _ in range(3))])
    mock_random.seed(seed)  # again, so that the instance's id is the first thing drawn
    instance = _Instance(
        ec2,
        AMIS[machine.platform],
        None,
        [],
        instance_type=machine.instance_type,
        region_name=machine.region,
        placement=zone,
        nics=[],
        private_ip=private_ip,
        key_name=f"acme-{machine.team}",
        metadata_options={"HttpTokens": "required"},
    )
    reservation = instances.Reservation(f"r-{mock_random.getrandbits(68):017x}", owner_id=machine.account)
    reservation.instances.append(instance)
    ec2.reservations[reservation.id] = reservation
    instance.reservation_id = reservation.id
    instance.platform = "windows" if machine.platform == "windows" else None
    instance.virtualization_type = "hvm"
    instance.launch_time = _EPOCH + timedelta(minutes=mock_random.randrange(60 * 24 * 90))
    instance.ssm_agent = machine.agent
    instance.is_spot = machine.name in acme.SPOT
    instance.operated_by = acme.MANAGED.get(machine.name)
    instance.is_hybrid = machine.name in acme.HYBRID
    instance.has_profile = machine.name not in acme.WITHOUT_PROFILE
    ec2.tags[instance.id] = dict(tags)
    set_state(instance, machine.state)
    if machine.state != "terminated":  # AWS lists a terminated instance without disks
        for number in range(disks):
            _attach(ec2, instance, number, key_arn)
    return instance


def set_state(instance: Any, state: str) -> None:
    """Put an instance into a state, without the side effects of starting or ending it."""
    instance._state.name, instance._state.code = state, _STATES[state]
    if state in ("stopping", "stopped", "shutting-down", "terminated"):
        instance.state_reason.code = "Client.UserInitiatedShutdown"
        instance.state_reason.message = "Client.UserInitiatedShutdown: User initiated shutdown"


def machine_tags(machine: Machine) -> dict[str, str]:
    """The tags of a machine of `acme`: its own, and what its mark stands for."""
    tags = {"Name": machine.name, "Env": machine.env, "Team": machine.team, **MARKS[machine.mark]}
    if machine.mark.startswith("full"):
        # Keys that begin with aws: do not count towards the 50.
        for number in range(_TAG_LIMIT - len(tags)):
            tags[f"acme:inventory-{number + 1:02}"] = f"value {number + 1}"
    if machine.mark.startswith("full") or machine.team == "web":
        tags["aws:autoscaling:groupName"] = f"acme-{machine.team}"
    return tags


def _attach(ec2: Any, instance: Any, number: int, key_arn: str | None) -> None:
    device = "/dev/xvda" if number == 0 else f"/dev/sd{'fghijklmnop'[number - 1]}"
    volume = _Volume(
        ec2,
        volume_id=f"vol-{mock_random.getrandbits(68):017x}",
        size=20 if number == 0 else 200,
        zone=ec2.get_zone_by_name(instance.availability_zone),
        encrypted=key_arn is not None,
        kms_key_id=key_arn,
        volume_type="gp3",
        iops=3000,
        throughput=125,
    )
    volume.create_time = instance.launch_time
    volume.attachment = _VolumeAttachment(volume, instance, device, "attached")
    volume.attachment.attach_time = instance.launch_time
    ec2.volumes[volume.id] = volume
    instance.block_device_mapping[device] = block_device.BlockDeviceType(
        volume_id=volume.id,
        status="in-use",
        size=volume.size,
        attach_time=instance.launch_time,
        delete_on_termination=number == 0,
    )
