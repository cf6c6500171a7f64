"""EC2: regions, instances, disks, tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.fields import Cut, Fields, with_fields
from cado_ops.errors import AwsError
from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, BlockDevice, Cell, Instance, InstanceDetail, Volume

# DescribeInstances, EC2 API reference: MaxResults 5 to 1,000, and at most 200 filter values a call, all filters
# together.
PAGE = 1000
FILTER_VALUES = 200
# DescribeInstanceTypes, EC2 API reference: MaxResults 5 to 100.
TYPES_A_PAGE = 100
# What the services that run instances write on them ("Tag your Amazon EKS resources" in its guide, and
# the like in those of the others): a key or its beginning, and the service.
_TAGS_OF_SERVICES = (
    ("aws:eks:cluster-name", "EKS"),
    ("eks:cluster-name", "EKS"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("aws:elasticmapreduce:", "EMR"),
    ("elasticbeanstalk:", "Elastic Beanstalk"),
    ("AmazonECSManaged", "ECS"),
    ("aws:ecs:", "ECS"),
    ("aws:batch:", "AWS Batch"),
    ("AWSBatch", "AWS Batch"),
    ("aws:cloud9:", "Cloud9"),
)

# All that `_instance` reads of an instance without its detail: a twentieth of it.
INSTANCE_FIELDS: Fields = {
    "NextToken": {},
    "Reservations": {
        "Instances": {"InstanceId": {}, "State": {"Name": {}}, "Platform": {}, "Tags": {"Key": {}, "Value": {}}}
    },
}

# Four tenths of what is told of an instance, and nothing of that is read.
INSTANCE_CUT = Cut((b"networkInterfaceSet", b"blockDeviceMapping"), beside=b"<instanceId>")
TAG_FIELDS: Fields = {"NextToken": {}, "Tags": {"ResourceId": {}, "Key": {}, "Value": {}}}
_OUR_KEYS = (SSM_TAG, CLAIM_PREFIX + "*")

_NAMED_IDS = re.compile(r"The instance IDs? '([^']*)' do(?:es)? not exist")
_ID = re.compile(r"i-[0-9a-f]+")


class Ec2:
    """The EC2 calls that this program makes. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def regions(self, account: str, asked_in: str) -> list[str]:
        """The regions enabled in ``account`` (DescribeRegions without AllRegions), asked in one region."""
        answer = self._connection.call(account, "ec2", asked_in, "DescribeRegions", {})
        with understanding("DescribeRegions"):
            return sorted(region["RegionName"] for region in answer["Regions"])

    def instances(self, cell: Cell, filters: Sequence[Filter], *, detailed: bool = False) -> Iterator[Instance]:
        """Instances that match all filters. Ids are asked for as a filter: an unknown id then matches nothing.

        Their detail costs no call, only memory: a fleet of thousands is read without.
        """
        parameters: dict[str, Any] = {"MaxResults": PAGE}
        if filters:
            parameters["Filters"] = [{"Name": f.name, "Values": list(f.values)} for f in filters]
        pages = self._pages(cell, "DescribeInstances", parameters, "Reservations")
        for page in pages if detailed else with_fields(INSTANCE_FIELDS, pages, INSTANCE_CUT):
            with understanding("DescribeInstances"):
                instances = [
                    _instance(cell, each, detailed=detailed)
                    for reservation in page
                    for each in reservation["Instances"]
                ]
            yield from instances
            # A parsed page is tens of megabytes: it must be gone before the next one is read.
            page.clear()

    def volumes(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        """Volumes by id, or by the instances that they are attached to: one filter, of up to FILTER_VALUES."""
        for page in self._disks(cell, "DescribeVolumes", asked, "Volumes"):
            with understanding("DescribeVolumes"):
                yield from [
                    Volume(
                        volume["VolumeId"],
                        _key_arn(volume),
                        tuple(each["InstanceId"] for each in volume.get("Attachments", ()) if "InstanceId" in each),
                        volume.get("Size"),
                        volume.get("State"),
                    )
                    for volume in page
                ]

    def snapshots(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        """Snapshots by id, those shared with the account too."""
        for page in self._disks(cell, "DescribeSnapshots", asked, "Snapshots"):
            with understanding("DescribeSnapshots"):
                yield from [Volume(snapshot["SnapshotId"], _key_arn(snapshot)) for snapshot in page]

    def instance_stores(self, cell: Cell, types: Sequence[str]) -> dict[str, int]:
        """The GB of instance store that each instance type has, 0 for none; a type unknown there is absent."""
        found: dict[str, int] = {}
        for start in range(0, len(types), FILTER_VALUES):
            parameters = {
                "MaxResults": TYPES_A_PAGE,
                "Filters": [{"Name": "instance-type", "Values": list(types[start : start + FILTER_VALUES])}],
            }
            for page in self._pages(cell, "DescribeInstanceTypes", parameters, "InstanceTypes"):
                with understanding("DescribeInstanceTypes"):
                    for each in page:
                        stored = each.get("InstanceStorageInfo", {}) if each["InstanceStorageSupported"] else {}
                        found[each["InstanceType"]] = stored.get("TotalSizeInGB", 0)
        return found

    def probe(self, cell: Cell) -> bool:
        """Asks for the least that shows that instances may be read in ``cell``; True, or AwsError."""
        self._connection.call(cell.account, "ec2", cell.region, "DescribeInstances", {"MaxResults": 5})
        return True

    def tags(self, cell: Cell, instance_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """The SSM tag and the claims that the instances have now; an instance without any is absent."""
        step = FILTER_VALUES - len(_OUR_KEYS)
        asked = [
            Filter("resource-id", tuple(instance_ids[start : start + step]))
            for start in range(0, len(instance_ids), step)
        ]
        if len(asked) > 1:
            # A page has 1,000 tags, and a request names 198 instances at most: of so many, all that are tagged in
            # the region are read, unless these are lost in a crowd of others.
            pages = self._our_tags(cell, Filter("resource-type", ("instance",)))
            read = list(islice(pages, len(asked)))
            if next(pages, None) is None:
                wanted = {*instance_ids}
                return _by_instance(tag for page in read for tag in page if tag[0] in wanted)
        return _by_instance(tag for some in asked for page in self._our_tags(cell, some) for tag in page)

    def _our_tags(self, cell: Cell, asked: Filter) -> Iterator[list[tuple[str, str, str]]]:
        """Pages of them: instance, key, value."""
        parameters = {
            "MaxResults": PAGE,
            "Filters": [
                {"Name": asked.name, "Values": list(asked.values)},
                {"Name": "key", "Values": list(_OUR_KEYS)},
            ],
        }
        for page in with_fields(TAG_FIELDS, self._pages(cell, "DescribeTags", parameters, "Tags")):
            with understanding("DescribeTags"):
                told = [(tag["ResourceId"], tag["Key"], tag["Value"]) for tag in page]
            yield told

    def create_tags(
        self, cell: Cell, instance_ids: Sequence[str], tags: Mapping[str, str], *, dry_run: bool = False
    ) -> str | None:
        """Sets ``tags`` on all instances or, where AWS refuses one of them, on none. Returns the request id."""
        return self._write(cell, "CreateTags", instance_ids, tags, dry_run)

    def delete_tags(
        self, cell: Cell, instance_ids: Sequence[str], tags: Mapping[str, str], *, dry_run: bool = False
    ) -> str | None:
        """Removes exactly these pairs. Without any, EC2 would remove every tag there is: refused here."""
        if not tags:
            raise ValueError("DeleteTags without Tags deletes every tag of an instance")
        return self._write(cell, "DeleteTags", instance_ids, tags, dry_run)

    def _write(
        self, cell: Cell, action: str, instance_ids: Sequence[str], tags: Mapping[str, str], dry_run: bool
    ) -> str | None:
        parameters: dict[str, Any] = {
            "Resources": list(instance_ids),
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        if dry_run:
            parameters["DryRun"] = True
        try:
            answer = self._connection.call(cell.account, "ec2", cell.region, action, parameters)
        except AwsError as error:
            # "Testing permissions", EC2 API reference: a dry run that would have succeeded is this error.
            if dry_run and error.code == "DryRunOperation":
                return error.request_id
            raise
        request_id: str | None = answer.get("ResponseMetadata", {}).get("RequestId")
        return request_id

    def _disks(self, cell: Cell, action: str, asked: Filter, result: str) -> Iterator[list[dict[str, Any]]]:
        parameters = {"MaxResults": PAGE, "Filters": [{"Name": asked.name, "Values": list(asked.values)}]}
        return self._pages(cell, action, parameters, result)

    def _pages(
        self, cell: Cell, action: str, parameters: Mapping[str, Any], result: str
    ) -> Iterator[list[dict[str, Any]]]:
        return self._connection.pages(cell.account, "ec2", cell.region, action, parameters, result)


def ids_named_missing(error: AwsError) -> list[str]:
    """The instance ids that an InvalidInstanceID.NotFound names; empty for any other error."""
    if error.code not in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "InvalidID"):
        return []
    named = _NAMED_IDS.search(error.message)
    return _ID.findall(named.group(1) if named else error.message)


def _by_instance(tags: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for instance_id, key, value in tags:
        found.setdefault(instance_id, {})[key] = value
    return found


def _key_arn(disk: Mapping[str, Any]) -> str | None:
    """The key of a volume or snapshot. One that is encrypted and names none cannot be judged: a fault, not None."""
    arn: str | None = disk["KmsKeyId"] if disk.get("Encrypted") else None
    return arn


def _instance(cell: Cell, described: Mapping[str, Any], *, detailed: bool) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
    ours = {
        key: value for key, value in tags.items() if key.lower() == SSM_TAG.lower() or key.startswith(CLAIM_PREFIX)
    }
    return Instance(
        account=cell.account,
        region=cell.region,
        instance_id=described["InstanceId"],
        name=tags.get("Name", ""),
        state=described["State"]["Name"],
        tags=ours,
        tag_count=sum(not key.startswith("aws:") for key in tags),
        platform=described.get("Platform") or "linux",
        detail=_detail(described, tags) if detailed else None,
    )


def _detail(described: Mapping[str, Any], tags: Mapping[str, str]) -> InstanceDetail:
    return InstanceDetail(
        instance_type=described["InstanceType"],
        root_device_type=described.get("RootDeviceType") or "ebs",
        devices=tuple(
            BlockDevice(each["DeviceName"], each["Ebs"]["VolumeId"], bool(each["Ebs"].get("DeleteOnTermination")))
            for each in described.get("BlockDeviceMappings", ())
            if "Ebs" in each
        ),
        lifecycle=described.get("InstanceLifecycle"),
        instance_profile=(described.get("IamInstanceProfile") or {}).get("Arn"),
        auto_scaling_group=tags.get("aws:autoscaling:groupName"),
        managed_by=_managed_by(described, tags),
        private_ip=described.get("PrivateIpAddress"),
        tags=tags,
    )


def _managed_by(described: Mapping[str, Any], tags: Mapping[str, str]) -> str | None:
    operator = described.get("Operator") or {}
    if operator.get("Managed"):
        # "Amazon EC2 managed instances", EC2 User Guide: only that service may change or end it.
        principal: str = operator.get("Principal") or "a service"
        return principal
    return next((name for key, name in _TAGS_OF_SERVICES if any(tag.startswith(key) for tag in tags)), None)
