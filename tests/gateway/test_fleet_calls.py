"""cado-ops status of 20 accounts by 5 regions by 200 instances: no call more than AWS's pages take."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cado_ops.cli.app import main
from cado_ops.cli.world import World
from cado_ops.grant_name import GrantName, digest_of
from tests.gateway.fake_aws import START, Answer, Request, Wire, sts, xml

ACCOUNTS = tuple(f"{number:012}" for number in range(100, 120))
REGIONS = ("eu-west-1", "eu-west-2", "us-east-1", "us-east-2", "us-west-2")
INSTANCES = 200
NODES_A_PAGE = 50
KEYS = ("11111111-aaaa", "22222222-bbbb")


class Fleet:
    """What AWS would answer: every second instance tagged, three quarters with an agent, volumes under aws/ebs.

    Every fourth instance has a second volume under a customer key, which is granted in the first region alone.
    """

    def __init__(self, wire: Wire, instances: int = INSTANCES) -> None:
        self.instances = instances
        for reply in (self.get_role, self.describe_instances, self.describe_volumes, self.describe_key,
                      self.describe_instance_information, self.list_retirable_grants):  # fmt: skip
            wire.replies["".join(word.title() for word in reply.__name__.split("_"))] = reply

    def get_role(self, request: Request) -> Answer:
        role = f"arn:aws:iam::{account(request)}:role/{request.parameters['RoleName']}"
        return sts("GetRole", f"<Role><RoleName>x</RoleName><Arn>{role}</Arn></Role>")

    def describe_instances(self, request: Request) -> Answer:
        assert request.parameters == {"MaxResults": "1000"}
        tag = "<tagSet><item><key>CadoResponseSSMEnabled</key><value>True</value></item></tagSet>"
        items = "".join(
            f"<item><instanceId>{instance_id(number)}</instanceId><instanceState><name>running</name></instanceState>"
            f"{tag if number % 2 else ''}</item>"
            for number in range(self.instances)
        )
        return xml("DescribeInstances", f"<reservationSet><item><instancesSet>{items}</instancesSet></item>"
                   "</reservationSet>")  # fmt: skip

    def describe_volumes(self, request: Request) -> Answer:
        assert request.parameters["MaxResults"] == "1000"
        aws_managed, customer = keys_of(request)
        items = "".join(
            f"<item><volumeId>vol-{number:016x}{disk}</volumeId><encrypted>true</encrypted><kmsKeyId>"
            f"{customer if disk else aws_managed}</kmsKeyId><status>in-use</status><attachmentSet>"
            f"<item><instanceId>{instance_id(number)}</instanceId></item></attachmentSet></item>"
            for number in range(self.instances)
            for disk in ((0,) if number % 4 else (0, 1))
        )
        return xml("DescribeVolumes", f"<volumeSet>{items}</volumeSet>")

    def describe_instance_information(self, request: Request) -> Answer:
        assert request.parameters["MaxResults"] == NODES_A_PAGE
        online = [number for number in range(self.instances) if number % 4 != 3]
        start = int(request.parameters.get("NextToken", 0))
        there = [
            {"InstanceId": instance_id(number), "PingStatus": "Online"}
            for number in online[start : start + NODES_A_PAGE]
        ]
        answer: dict[str, Any] = {"InstanceInformationList": there}
        if start + NODES_A_PAGE < len(online):
            answer["NextToken"] = str(start + NODES_A_PAGE)
        return Answer(json.dumps(answer))

    def describe_key(self, request: Request) -> Answer:
        arn = request.parameters["KeyId"]
        told = {"KeyId": arn, "Arn": arn, "KeyState": "Enabled",
                "KeyManager": "AWS" if arn.endswith(KEYS[0]) else "CUSTOMER"}  # fmt: skip
        return Answer(json.dumps({"KeyMetadata": told}))

    def list_retirable_grants(self, request: Request) -> Answer:
        if request.region != REGIONS[0]:
            return Answer('{"Grants": []}')
        role, arn = f"arn:aws:iam::{account(request)}:role/CadoResponseRole", keys_of(request)[1]
        operations = ("Decrypt", "DescribeKey")
        name = str(GrantName("IR-1", None, digest_of(arn, role, operations, {})))
        grant = {
            "KeyId": arn,
            "GrantId": "f" * 64,
            "Name": name,
            "GranteePrincipal": role,
            "Operations": operations,
        }
        return Answer(json.dumps({"Grants": [grant]}))


def account(request: Request) -> str:
    return request.key.removeprefix("ASIA").partition("G")[0]


def keys_of(request: Request) -> Sequence[str]:
    return [f"arn:aws:kms:{request.region}:{account(request)}:key/{key}" for key in KEYS]


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


def status(accounts: Sequence[str], *argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    world = World(stdin=io.StringIO(), stdout=out, stderr=err, now=lambda: START)
    scope = ("--account", ",".join(accounts), "--region", ",".join(REGIONS), "--role-name", "Ops")
    return main(["status", *scope, "-o", "json", *argv], world), out.getvalue(), err.getvalue()


@pytest.mark.usefixtures("own_keys")
def test_no_call_more_than_the_pages_take(wire: Wire, tmp_path: Path) -> None:
    Fleet(wire)
    page = tmp_path / "fleet.html"
    code, out, err = status(ACCOUNTS, "--html", str(page))
    assert code == 0, err
    cells = len(ACCOUNTS) * len(REGIONS)
    assert Counter(request.action for request in wire.requests) == {
        "GetCallerIdentity": 1,
        "AssumeRole": len(ACCOUNTS),
        "GetRole": len(ACCOUNTS),
        "DescribeInstances": cells,
        "DescribeInstanceInformation": cells * 3,  # 150 nodes
        "DescribeVolumes": cells,
        "ListRetirableGrants": cells,
        "DescribeKey": cells * len(KEYS),
    }
    report = json.loads(out)
    assert len(report["items"]) == cells
    summary = report["summary"]
    assert (summary["instances"], summary["tagged"], summary["ssm_online"]) == (20_000, 10_000, 15_000)
    assert (summary["disks_ready"], summary["grants"]) == (cells * 150 + len(ACCOUNTS) * 50, len(ACCOUNTS))
    size = page.stat().st_size
    assert size / 20_000 < 500, "bytes an instance: it is to be attached to a ticket"
    assert page.read_text().count('<span class="id"><bdi>i-') == 20_000


@pytest.mark.usefixtures("own_keys")
def test_where_nothing_is_nothing_more_is_asked(wire: Wire) -> None:
    Fleet(wire, instances=0)
    code, _, err = status(ACCOUNTS[:2])
    assert code == 0, err
    assert Counter(request.action for request in wire.requests) == {
        "GetCallerIdentity": 1,
        "AssumeRole": 2,
        "GetRole": 2,
        "DescribeInstances": 2 * len(REGIONS),
        "ListRetirableGrants": 2 * len(REGIONS),
    }


@pytest.mark.usefixtures("own_keys")
def test_of_a_few_instances_only_these_are_asked_for(wire: Wire) -> None:
    """However many nodes and volumes there are beside them."""
    fleet = Fleet(wire)

    def claimed(request: Request) -> Answer:
        assert request.parameters["Filter.1.Name"] == "tag-key"
        fleet.instances = 3
        return fleet.describe_instances(Request(**{**vars(request), "parameters": {"MaxResults": "1000"}}))

    def theirs(request: Request) -> Answer:
        [asked] = request.parameters["Filters"]
        assert asked == {"Key": "InstanceIds", "Values": [instance_id(number) for number in range(3)]}
        return fleet.describe_instance_information(request)

    wire.replies |= {"DescribeInstances": claimed, "DescribeInstanceInformation": theirs}
    code, out, err = status(ACCOUNTS[:1], "--of-case", "IR-1")
    assert code == 0, err
    asked = {request.parameters["Filter.1.Name"] for request in wire.of("DescribeVolumes")}
    assert asked == {"attachment.instance-id"}
    assert json.loads(out)["summary"]["ssm_online"] == 3 * len(REGIONS)
