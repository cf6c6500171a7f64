"""EC2: exactly what is sent, page by page, and what is made of the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2, ids_named_missing
from cado_ops.errors import AwsError, Kind
from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, BlockDevice, Cell, Instance, InstanceDetail, Volume
from tests.gateway.fake_aws import Request, Wire, ec2_error, xml

PLACE = ("222222222222", "eu-west-1")
CELL = Cell(*PLACE)
CLAIM = CLAIM_PREFIX + "IR-42"


def described(
    instance_id: str, tags: dict[str, str] | None = None, *, state: str = "running", more: str = ""
) -> str:
    held = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in (tags or {}).items())
    tag_set = f"<tagSet>{held}</tagSet>" if tags is not None else ""
    return (
        f"<item><instanceId>{instance_id}</instanceId><instanceState><name>{state}</name></instanceState>"
        f"{more}{tag_set}</item>"
    )


_TYPE = "<instanceType>m5.large</instanceType>"


def instances_page(*instances: str, token: str = "") -> Any:
    held = "".join(f"<item><instancesSet>{each}</instancesSet></item>" for each in instances)
    return xml("DescribeInstances", f"<reservationSet>{held}</reservationSet>{_next(token)}")


def tags_page(*tags: tuple[str, str, str], token: str = "") -> Any:
    held = "".join(
        f"<item><resourceId>{each}</resourceId><resourceType>instance</resourceType><key>{key}</key>"
        f"<value>{value}</value></item>"
        for each, key, value in tags
    )
    return xml("DescribeTags", f"<tagSet>{held}</tagSet>{_next(token)}")


def _next(token: str) -> str:
    return f"<nextToken>{token}</nextToken>" if token else ""


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def ec2(line: tuple[Wire, Connection]) -> Ec2:
    return Ec2(line[1])


def only(wire: Wire, action: str) -> Request:
    [request] = wire.of(action)
    return request


class TestDescribeInstances:
    def test_all_instances_are_asked_for_by_the_thousand(self, wire: Wire, ec2: Ec2) -> None:
        assert list(ec2.instances(CELL, [])) == []
        request = only(wire, "DescribeInstances")
        assert request.parameters == {"MaxResults": "1000"}
        assert (request.service, request.region) == ("ec2", "eu-west-1")
        assert request.host == "ec2.eu-west-1.amazonaws.com"

    def test_filters(self, wire: Wire, ec2: Ec2) -> None:
        wanted = [Filter("tag:Env", ("prod", "stag*")), Filter("instance-id", ("i-1",))]
        assert list(ec2.instances(CELL, wanted)) == []
        assert only(wire, "DescribeInstances").parameters == {
            "MaxResults": "1000",
            "Filter.1.Name": "tag:Env",
            "Filter.1.Value.1": "prod",
            "Filter.1.Value.2": "stag*",
            "Filter.2.Name": "instance-id",
            "Filter.2.Value.1": "i-1",
        }

    def test_ids_are_never_sent_as_ids(self, wire: Wire, ec2: Ec2) -> None:
        """MaxResults and InstanceIds exclude each other, and one unknown id would fail the whole call."""
        list(ec2.instances(CELL, [Filter("instance-id", ("i-1", "i-2"))]))
        assert not any(name.startswith("InstanceId") for name in only(wire, "DescribeInstances").parameters)

    def test_all_pages_are_read_empty_ones_too(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply(
            "DescribeInstances",
            instances_page(described("i-1"), token="a"),
            instances_page(token="b"),
            instances_page(described("i-2"), described("i-3")),
        )
        filters = [Filter("tag:Env", ("prod",))]
        assert [each.instance_id for each in ec2.instances(CELL, filters)] == ["i-1", "i-2", "i-3"]
        sent = [request.parameters for request in wire.of("DescribeInstances")]
        assert [each.get("NextToken") for each in sent] == [None, "a", "b"]
        assert all(each["Filter.1.Value.1"] == "prod" and each["MaxResults"] == "1000" for each in sent)

    def test_a_page_token_that_comes_twice_is_an_error_not_a_loop(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("DescribeInstances", instances_page(token="same"))
        with pytest.raises(AwsError, match="twice") as caught:
            list(ec2.instances(CELL, []))
        assert (caught.value.code, caught.value.operation) == ("RepeatedPage", "DescribeInstances")

    def test_an_error_on_a_later_page_is_raised(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply(
            "DescribeInstances", instances_page(described("i-1"), token="a"), ec2_error("UnauthorizedOperation")
        )
        with pytest.raises(AwsError):
            list(ec2.instances(CELL, []))

    @pytest.mark.parametrize(
        ("item", "expected"),
        [
            (
                described("i-1"),
                Instance(*PLACE, "i-1", "", "running", {}, 0, "linux"),
            ),
            (described("i-1", {}), Instance(*PLACE, "i-1", "", "running", {}, 0, "linux")),
            (
                described("i-1", {"Name": "web", "Env": "prod"}, state="stopped"),
                Instance(*PLACE, "i-1", "web", "stopped", {}, 2, "linux"),
            ),
            (
                described("i-1", {SSM_TAG: "True", CLAIM: "- keep", SSM_TAG.lower(): "x"}),
                Instance(
                    *PLACE,
                    "i-1",
                    "",
                    "running",
                    {SSM_TAG: "True", CLAIM: "- keep", SSM_TAG.lower(): "x"},
                    3,
                    "linux",
                ),
            ),
            (
                described("i-1", {"aws:autoscaling:groupName": "g", "aws:x": "y", "awsome": "z"}),
                Instance(*PLACE, "i-1", "", "running", {}, 1, "linux"),
            ),
            (
                described("i-1", more="<platform>windows</platform>"),
                Instance(*PLACE, "i-1", "", "running", {}, 0, "windows"),
            ),
            (
                described("i-1", {SSM_TAG: ""}, state="terminated"),
                Instance(*PLACE, "i-1", "", "terminated", {SSM_TAG: ""}, 1, "linux"),
            ),
        ],
        ids=["no-tags", "empty-tags", "name", "ours", "aws-tags", "windows", "empty-value"],
    )
    def test_what_is_kept_of_an_instance(self, wire: Wire, ec2: Ec2, item: str, expected: Instance) -> None:
        wire.reply("DescribeInstances", instances_page(item))
        assert list(ec2.instances(CELL, [])) == [expected]

    def test_detail_is_the_same_call(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("DescribeInstances", instances_page(described("i-1", more=_TYPE)))
        [plain] = ec2.instances(CELL, [])
        [detailed] = ec2.instances(CELL, [], detailed=True)
        assert plain == Instance(*PLACE, "i-1", "", "running", {}, 0, "linux")
        assert detailed.detail == InstanceDetail("m5.large")
        first, second = wire.of("DescribeInstances")
        assert first.parameters == second.parameters == {"MaxResults": "1000"}

    @pytest.mark.parametrize(
        ("tags", "more", "expected"),
        [
            (
                {"aws:autoscaling:groupName": "web"},
                "<instanceLifecycle>spot</instanceLifecycle><rootDeviceType>instance-store</rootDeviceType>"
                "<privateIpAddress>10.0.0.1</privateIpAddress>"
                "<iamInstanceProfile><arn>arn:aws:iam::1:instance-profile/p</arn><id>AIPA</id></iamInstanceProfile>"
                "<blockDeviceMapping>"
                "<item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1</volumeId>"
                "<deleteOnTermination>true</deleteOnTermination></ebs></item>"
                "<item><deviceName>/dev/sdf</deviceName><ebs><volumeId>vol-2</volumeId>"
                "<deleteOnTermination>false</deleteOnTermination></ebs></item>"
                "<item><deviceName>/dev/sdg</deviceName></item>"
                "</blockDeviceMapping>",
                InstanceDetail(
                    "m5.large",
                    "instance-store",
                    (BlockDevice("/dev/xvda", "vol-1", True), BlockDevice("/dev/sdf", "vol-2", False)),
                    lifecycle="spot",
                    instance_profile="arn:aws:iam::1:instance-profile/p",
                    auto_scaling_group="web",
                    private_ip="10.0.0.1",
                ),
            ),
            (
                {"eks:cluster-name": "prod"},
                "<operator><managed>false</managed></operator>",
                InstanceDetail("m5.large", managed_by="EKS"),
            ),
            (
                {"aws:elasticmapreduce:job-flow-id": "j-1"},
                "<operator><managed>true</managed><principal>eks.amazonaws.com</principal></operator>",
                InstanceDetail("m5.large", managed_by="eks.amazonaws.com"),
            ),
            (
                {"my-aws:ecs:thing": "x"},
                "<operator><managed>true</managed></operator>",
                InstanceDetail("m5.large", managed_by="a service"),
            ),
            ({"aws:elasticmapreduce:job-flow-id": "j-1"}, "", InstanceDetail("m5.large", managed_by="EMR")),
            ({"kubernetes.io/cluster/prod": "owned"}, "", InstanceDetail("m5.large", managed_by="Kubernetes")),
            ({"elasticbeanstalk": "x", "my-eks:cluster-name": "x"}, "", InstanceDetail("m5.large")),
        ],
        ids=["all", "eks-tag", "operator-first", "operator-unnamed", "emr", "kubernetes", "no-service"],
    )
    def test_what_is_kept_in_detail(
        self, wire: Wire, ec2: Ec2, tags: dict[str, str], more: str, expected: InstanceDetail
    ) -> None:
        wire.reply("DescribeInstances", instances_page(described("i-1", tags, more=_TYPE + more)))
        [found] = ec2.instances(CELL, [], detailed=True)
        assert found.detail == replace(expected, tags=tags)

    def test_the_probe_asks_for_the_least(self, wire: Wire, ec2: Ec2) -> None:
        assert ec2.probe(CELL)
        assert only(wire, "DescribeInstances").parameters == {"MaxResults": "5"}


def test_regions_are_those_enabled_in_the_account(wire: Wire, ec2: Ec2) -> None:
    names = "".join(f"<item><regionName>{name}</regionName></item>" for name in ("us-east-1", "eu-west-1"))
    wire.reply("DescribeRegions", xml("DescribeRegions", f"<regionInfo>{names}</regionInfo>"))
    assert ec2.regions(CELL.account, "eu-west-1") == ["eu-west-1", "us-east-1"]
    request = only(wire, "DescribeRegions")
    assert request.parameters == {}
    assert CELL.account in request.key


def asked_about(wire: Wire) -> list[list[str]]:
    """The values of the first filter of each DescribeTags."""
    return [
        [value for name, value in request.parameters.items() if name.startswith("Filter.1.Value")]
        for request in wire.of("DescribeTags")
    ]


class TestDescribeTags:
    def test_request(self, wire: Wire, ec2: Ec2) -> None:
        assert ec2.tags(CELL, ["i-1", "i-2"]) == {}
        assert only(wire, "DescribeTags").parameters == {
            "MaxResults": "1000",
            "Filter.1.Name": "resource-id",
            "Filter.1.Value.1": "i-1",
            "Filter.1.Value.2": "i-2",
            "Filter.2.Name": "key",
            "Filter.2.Value.1": SSM_TAG,
            "Filter.2.Value.2": f"{CLAIM_PREFIX}*",
        }

    def test_as_many_as_one_request_may_name(self, wire: Wire, ec2: Ec2) -> None:
        ids = [f"i-{number}" for number in range(198)]
        ec2.tags(CELL, ids)
        assert asked_about(wire) == [ids]

    def test_of_more_the_whole_region_is_asked(self, wire: Wire, ec2: Ec2) -> None:
        """A page has a thousand tags, and a request names 198 instances at most."""
        ids = [f"i-{number}" for number in range(1500)]
        wire.reply(
            "DescribeTags",
            tags_page(*((each, SSM_TAG, "True") for each in ids[:1000]), token="a"),
            tags_page(*((each, SSM_TAG, "True") for each in ids[1000:]), ("i-9999", SSM_TAG, "True")),
        )
        assert ec2.tags(CELL, ids) == {each: {SSM_TAG: "True"} for each in ids}, "and nothing of any other"
        first, second = (request.parameters for request in wire.of("DescribeTags"))
        assert first == {
            "MaxResults": "1000",
            "Filter.1.Name": "resource-type",
            "Filter.1.Value.1": "instance",
            "Filter.2.Name": "key",
            "Filter.2.Value.1": SSM_TAG,
            "Filter.2.Value.2": f"{CLAIM_PREFIX}*",
        }
        assert second == {**first, "NextToken": "a"}

    def test_where_too_many_others_are_tagged_these_are_asked_about(self, wire: Wire, ec2: Ec2) -> None:
        """Where one page more is told of than it takes requests to ask by id."""
        ids = [f"i-{number}" for number in range(401)]
        others = [tags_page((f"i-{each}", SSM_TAG, "True"), token=str(each)) for each in range(9000, 9004)]
        wire.reply("DescribeTags", *others, tags_page(), tags_page(("i-200", SSM_TAG, "True")), tags_page())
        assert ec2.tags(CELL, ids) == {"i-200": {SSM_TAG: "True"}}
        asked = asked_about(wire)
        assert asked[:4] == [["instance"]] * 4
        assert [len(each) for each in asked[4:]] == [198, 198, 5]
        assert [each for some in asked[4:] for each in some] == ids

    def test_pages_are_put_together(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply(
            "DescribeTags",
            tags_page(("i-1", SSM_TAG, "True"), token="a"),
            tags_page(token="b"),
            tags_page(("i-1", CLAIM, "-"), ("i-2", SSM_TAG, "")),
        )
        assert ec2.tags(CELL, ["i-1", "i-2", "i-3"]) == {
            "i-1": {SSM_TAG: "True", CLAIM: "-"},
            "i-2": {SSM_TAG: ""},
        }


class TestWriting:
    def test_create(self, wire: Wire, ec2: Ec2) -> None:
        assert ec2.create_tags(CELL, ["i-1", "i-2"], {SSM_TAG: "True", CLAIM: "-"}) == "r-1"
        assert only(wire, "CreateTags").parameters == {
            "ResourceId.1": "i-1",
            "ResourceId.2": "i-2",
            "Tag.1.Key": SSM_TAG,
            "Tag.1.Value": "True",
            "Tag.2.Key": CLAIM,
            "Tag.2.Value": "-",
        }

    def test_delete_names_key_and_value(self, wire: Wire, ec2: Ec2) -> None:
        assert ec2.delete_tags(CELL, ["i-1"], {SSM_TAG: "True", CLAIM: ""}) == "r-1"
        assert only(wire, "DeleteTags").parameters == {
            "ResourceId.1": "i-1",
            "Tag.1.Key": SSM_TAG,
            "Tag.1.Value": "True",
            "Tag.2.Key": CLAIM,
            "Tag.2.Value": "",
        }

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_delete_without_tags_would_delete_them_all(self, wire: Wire, ec2: Ec2, dry_run: bool) -> None:
        with pytest.raises(ValueError, match="every tag"):
            ec2.delete_tags(CELL, ["i-1"], {}, dry_run=dry_run)
        assert wire.requests == []

    @pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
    def test_a_dry_run_that_would_succeed(self, wire: Wire, ec2: Ec2, action: str) -> None:
        wire.reply(action, ec2_error("DryRunOperation", "Request would have succeeded", 412))
        write = ec2.create_tags if action == "CreateTags" else ec2.delete_tags
        assert write(CELL, ["i-1"], {SSM_TAG: "True"}, dry_run=True) == "r-error"
        request = only(wire, action)
        assert request.parameters["DryRun"] == "true"
        assert (request.parameters["Tag.1.Key"], request.parameters["Tag.1.Value"]) == (SSM_TAG, "True")

    def test_a_dry_run_that_would_not(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("CreateTags", ec2_error("UnauthorizedOperation", "You are not authorized", 403))
        with pytest.raises(AwsError, match="not authorized") as caught:
            ec2.create_tags(CELL, ["i-1"], {SSM_TAG: "True"}, dry_run=True)
        assert caught.value.kind is Kind.DENIED

    def test_without_a_dry_run_its_error_is_an_error(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("CreateTags", ec2_error("DryRunOperation", "Request would have succeeded", 412))
        with pytest.raises(AwsError):
            ec2.create_tags(CELL, ["i-1"], {SSM_TAG: "True"})

    def test_the_request_id_of_a_refusal(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("CreateTags", ec2_error("InvalidID", "The ID 'i-1' is not valid"))
        with pytest.raises(AwsError) as caught:
            ec2.create_tags(CELL, ["i-1"], {SSM_TAG: "True"})
        assert (caught.value.request_id, caught.value.operation) == ("r-error", "CreateTags")


NOT_FOUND = "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (NOT_FOUND, "The instance ID 'i-0123456789abcdef0' does not exist", ["i-0123456789abcdef0"]),
        (NOT_FOUND, "The instance IDs 'i-0a, i-0b' do not exist", ["i-0a", "i-0b"]),
        (NOT_FOUND, "The instance IDs 'i-0a, i-0b, i-0c' do not exist", ["i-0a", "i-0b", "i-0c"]),
        ("InvalidInstanceID.Malformed", 'Invalid id: "i-12"', ["i-12"]),
        ("InvalidID", "The ID 'i-0123456789abcdef0' is not valid", ["i-0123456789abcdef0"]),
        (NOT_FOUND, "No such instance", []),
        ("UnauthorizedOperation", "not authorized on arn:aws:ec2:r:1:instance/i-0a", []),
        ("TagLimitExceeded", "The maximum number of Tags for i-0a is 50", []),
        ("IncorrectInstanceState", "The instance 'i-0a' is not in a valid state", []),
    ],
)
def test_ids_named_missing(code: str, message: str, expected: list[str]) -> None:
    assert ids_named_missing(AwsError(code, message)) == expected


KEY = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def disk(kind: str, each: str, *, key: str = "", encrypted: str = "", attached: tuple[str, ...] = ()) -> str:
    held = "".join(f"<item><instanceId>{one}</instanceId></item>" for one in attached)
    return (
        f"<item><{kind}Id>{each}</{kind}Id>"
        + (f"<encrypted>{encrypted}</encrypted>" if encrypted else "")
        + (f"<kmsKeyId>{key}</kmsKeyId>" if key else "")
        + (f"<attachmentSet>{held}</attachmentSet>" if attached else "")
        + "</item>"
    )


def disks_page(kind: str, *disks: str, token: str = "") -> Any:
    action = f"Describe{kind.title()}s"
    return xml(action, f"<{kind}Set>{''.join(disks)}</{kind}Set>{_next(token)}")


class TestDisks:
    @pytest.mark.parametrize("name", ["volume-id", "attachment.instance-id"])
    def test_volumes_are_asked_for_by_a_filter(self, wire: Wire, ec2: Ec2, name: str) -> None:
        """As ids, one that is not there would fail the whole call."""
        wire.reply("DescribeVolumes", disks_page("volume"))
        assert list(ec2.volumes(CELL, Filter(name, ("a", "b")))) == []
        assert only(wire, "DescribeVolumes").parameters == {
            "MaxResults": "1000",
            "Filter.1.Name": name,
            "Filter.1.Value.1": "a",
            "Filter.1.Value.2": "b",
        }

    def test_snapshots_are_asked_for_by_a_filter_those_of_others_too(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("DescribeSnapshots", disks_page("snapshot"))
        assert list(ec2.snapshots(CELL, Filter("snapshot-id", ("snap-1",)))) == []
        assert only(wire, "DescribeSnapshots").parameters == {
            "MaxResults": "1000",
            "Filter.1.Name": "snapshot-id",
            "Filter.1.Value.1": "snap-1",
        }

    def test_what_is_kept_of_volumes_page_by_page(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply(
            "DescribeVolumes",
            disks_page(
                "volume", disk("volume", "vol-1", encrypted="true", key=KEY, attached=("i-1", "i-2")), token="a"
            ),
            disks_page("volume", token="b"),
            disks_page(
                "volume",
                disk("volume", "vol-2", encrypted="false"),
                disk("volume", "vol-3"),
                disk("volume", "vol-4", encrypted="false", key=KEY),
            ),
        )
        assert list(ec2.volumes(CELL, Filter("volume-id", ("x",)))) == [
            Volume("vol-1", KEY, ("i-1", "i-2")),
            Volume("vol-2", None),
            Volume("vol-3", None),
            Volume("vol-4", None),
        ]
        assert [request.parameters.get("NextToken") for request in wire.of("DescribeVolumes")] == [None, "a", "b"]

    def test_size_and_state_of_a_volume(self, wire: Wire, ec2: Ec2) -> None:
        there = "<item><volumeId>vol-1</volumeId><size>200</size><status>in-use</status></item>"
        wire.reply("DescribeVolumes", disks_page("volume", there))
        found = list(ec2.volumes(CELL, Filter("volume-id", ("vol-1",))))
        assert found == [Volume("vol-1", None, (), 200, "in-use")]

    def test_what_is_kept_of_snapshots(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply(
            "DescribeSnapshots",
            disks_page(
                "snapshot", disk("snapshot", "snap-1", encrypted="true", key=KEY), disk("snapshot", "snap-2")
            ),
        )
        found = list(ec2.snapshots(CELL, Filter("snapshot-id", ("x",))))
        assert found == [Volume("snap-1", KEY), Volume("snap-2", None)]

    @pytest.mark.parametrize("kind", ["volume", "snapshot"])
    def test_one_that_is_encrypted_and_names_no_key_is_not_taken_for_a_plain_one(
        self, wire: Wire, ec2: Ec2, kind: str
    ) -> None:
        wire.reply(f"Describe{kind.title()}s", disks_page(kind, disk(kind, "x-1", encrypted="true")))
        read = ec2.volumes if kind == "volume" else ec2.snapshots
        with pytest.raises(AwsError) as caught:
            list(read(CELL, Filter(f"{kind}-id", ("x-1",))))
        assert caught.value.code == "MalformedResponse"

    def test_an_error_is_never_an_empty_answer(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("DescribeVolumes", ec2_error("UnauthorizedOperation", status=403))
        with pytest.raises(AwsError) as caught:
            list(ec2.volumes(CELL, Filter("volume-id", ("x",))))
        assert caught.value.kind is Kind.DENIED


def types_page(*types: tuple[str, str], token: str = "") -> Any:
    held = "".join(f"<item><instanceType>{name}</instanceType>{stored}</item>" for name, stored in types)
    return xml("DescribeInstanceTypes", f"<instanceTypeSet>{held}</instanceTypeSet>{_next(token)}")


class TestInstanceStores:
    def test_types_are_asked_for_by_a_filter(self, wire: Wire, ec2: Ec2) -> None:
        """As InstanceTypes, one that the region does not have would fail the whole call."""
        none = "<instanceStorageSupported>false</instanceStorageSupported>"
        some = (
            "<instanceStorageSupported>true</instanceStorageSupported>"
            "<instanceStorageInfo><totalSizeInGB>474</totalSizeInGB></instanceStorageInfo>"
        )
        wire.reply("DescribeInstanceTypes", types_page(("m5.large", none), token="a"), types_page(("i3.x", some)))
        assert ec2.instance_stores(CELL, ["m5.large", "i3.x", "x9.tiny"]) == {"m5.large": 0, "i3.x": 474}
        first, second = wire.of("DescribeInstanceTypes")
        assert first.parameters == {
            "MaxResults": "100",
            "Filter.1.Name": "instance-type",
            "Filter.1.Value.1": "m5.large",
            "Filter.1.Value.2": "i3.x",
            "Filter.1.Value.3": "x9.tiny",
        }
        assert second.parameters["NextToken"] == "a"

    def test_no_types_are_no_call(self, wire: Wire, ec2: Ec2) -> None:
        assert ec2.instance_stores(CELL, []) == {}
        assert wire.requests == []

    def test_a_type_that_does_not_tell_is_no_answer(self, wire: Wire, ec2: Ec2) -> None:
        wire.reply("DescribeInstanceTypes", types_page(("m5.large", "")))
        with pytest.raises(AwsError, match="DescribeInstanceTypes"):
            ec2.instance_stores(CELL, ["m5.large"])
