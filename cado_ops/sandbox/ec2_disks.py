"""DescribeVolumes and DescribeSnapshots as EC2 answers them.

moto has no pages for them, lists its images' own snapshots in every account, and forgets the key of a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.ec2_filters import matches, read_filters, read_page
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_ec2, listed

Values = Mapping[str, Callable[[Any], list[str | None]]]

_COMMON: Values = {
    "encrypted": lambda disk: [str(bool(_key_of(disk))).lower()],
    "status": lambda disk: [disk.status],
}
_VOLUME_FILTERS: Values = {
    **_COMMON,
    "attachment.instance-id": lambda volume: [_instance_of(volume)],
    "attachment.status": lambda volume: ["attached" if _instance_of(volume) else None],
    "availability-zone": lambda volume: [volume.zone.name],
    "volume-id": lambda volume: [volume.id],
}
_SNAPSHOT_FILTERS: Values = {
    **_COMMON,
    "owner-id": lambda snapshot: [snapshot.owner_id],
    "snapshot-id": lambda snapshot: [snapshot.id],
    "volume-id": lambda snapshot: [snapshot.volume.id],
}


def describe_volumes(request: RequestInfo) -> Response:
    """EC2 API reference, DescribeVolumes."""
    volumes = backend("ec2", request.account, request.region).volumes
    wanted = _named(request, "VolumeId", volumes, "InvalidVolume.NotFound", "volume")
    items, token = _chosen(request, wanted, _VOLUME_FILTERS)
    inner = "".join(
        f"<item><volumeId>{volume.id}</volumeId><size>{volume.size}</size><status>{volume.status}</status>"
        f"<volumeType>{volume.volume_type}</volumeType><availabilityZone>{volume.zone.name}</availabilityZone>"
        f"{_encryption(volume)}<attachmentSet>{_attachment(volume)}</attachmentSet></item>"
        for volume in items
    )
    return answer_ec2("DescribeVolumes", f"<volumeSet>{inner}</volumeSet>{token}")


def describe_snapshots(request: RequestInfo) -> Response:
    """The account's own. EC2 API reference, DescribeSnapshots."""
    everything = backend("ec2", request.account, request.region).snapshots
    own = {each: snapshot for each, snapshot in everything.items() if snapshot.owner_id == request.account}
    wanted = _named(request, "SnapshotId", own, "InvalidSnapshot.NotFound", "snapshot")
    items, token = _chosen(request, wanted, _SNAPSHOT_FILTERS)
    inner = "".join(
        f"<item><snapshotId>{snapshot.id}</snapshotId><volumeId>{snapshot.volume.id}</volumeId>"
        f"<status>{snapshot.status}</status><ownerId>{snapshot.owner_id}</ownerId>"
        f"<volumeSize>{snapshot.volume.size}</volumeSize>{_encryption(snapshot)}</item>"
        for snapshot in items
    )
    return answer_ec2("DescribeSnapshots", f"<snapshotSet>{inner}</snapshotSet>{token}")


def _named(
    request: RequestInfo, parameter: str, there: Mapping[str, Any], code: str, kind: str
) -> Mapping[str, Any]:
    """All, or those named by id: one that is not there is an error."""
    ids = listed(request.params, parameter)
    for each in ids:
        if each not in there:
            raise AwsFault(code, f"The {kind} '{each}' does not exist.")
    return {each: there[each] for each in ids} or there


def _chosen(request: RequestInfo, disks: Mapping[str, Any], known: Values) -> tuple[list[Any], str]:
    filters = read_filters(request, known.__contains__)
    chosen = [
        each
        for each, disk in disks.items()
        if all(matches(pattern, known[name](disk)) for name, pattern in filters)
    ]
    members, token = read_page(request, chosen)
    return [disks[each] for each in members], f"<nextToken>{token}</nextToken>" if token else ""


def _encryption(disk: Any) -> str:
    key = _key_of(disk)
    return f"<encrypted>true</encrypted><kmsKeyId>{key}</kmsKeyId>" if key else "<encrypted>false</encrypted>"


def _key_of(disk: Any) -> str | None:
    """A snapshot has the key of the volume that it was made from."""
    own: str | None = disk.kms_key_id
    return own or (disk.volume.kms_key_id if hasattr(disk, "volume") else None)


def _instance_of(volume: Any) -> str | None:
    return volume.attachment.instance.id if volume.attachment else None


def _attachment(volume: Any) -> str:
    instance = _instance_of(volume)
    if instance is None:
        return ""
    return (
        f"<item><volumeId>{volume.id}</volumeId><instanceId>{instance}</instanceId>"
        f"<device>{volume.attachment.device}</device><status>attached</status></item>"
    )


MENDS = {("ec2", "DescribeVolumes"): describe_volumes, ("ec2", "DescribeSnapshots"): describe_snapshots}
