"""Systems Manager: exactly what is sent, page by page, and what is made of the answers and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.ssm import Ssm
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell, ManagedNode
from tests.gateway.fake_aws import Answer, Request, Wire

CELL = Cell("222222222222", "eu-west-1")
NODE = ManagedNode("i-1", "Online")


def answer(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(json.dumps(body), status)


def error(code: str, message: str = "words") -> Answer:
    return answer({"__type": code, "message": message}, 400)


def page(*nodes: dict[str, Any], token: str | None = None) -> Answer:
    return answer({"InstanceInformationList": list(nodes)} | ({"NextToken": token} if token else {}))


def told(node_id: str, **more: Any) -> dict[str, Any]:
    return {"InstanceId": node_id, "PingStatus": "Online"} | more


def setting(value: str) -> Answer:
    return answer({"ServiceSetting": {"SettingId": "x", "SettingValue": value, "Status": "Default"}})


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def ssm(line: tuple[Wire, Connection]) -> Ssm:
    return Ssm(line[1])


def asked(wire: Wire) -> list[Request]:
    return wire.of("DescribeInstanceInformation")


class TestNodes:
    def test_all_are_asked_for_by_fifty(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page())
        assert list(ssm.nodes(CELL)) == []
        [request] = asked(wire)
        assert request.parameters == {"MaxResults": 50}
        assert (request.service, request.host) == ("ssm", "ssm.eu-west-1.amazonaws.com")

    def test_those_of_instances_are_asked_for_by_a_filter(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page(told("i-1"), told("i-9")))
        assert list(ssm.nodes(CELL, ["i-1", "i-2"])) == [NODE], "and looked at once more here"
        [request] = asked(wire)
        assert request.parameters == {
            "MaxResults": 50,
            "Filters": [{"Key": "InstanceIds", "Values": ["i-1", "i-2"]}],
        }

    def test_no_instances_are_no_call(self, wire: Wire, ssm: Ssm) -> None:
        assert list(ssm.nodes(CELL, [])) == []
        assert wire.requests == []

    def test_at_most_a_hundred_ids_a_request(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page())
        ids = [f"i-{number}" for number in range(201)]
        assert list(ssm.nodes(CELL, ids)) == []
        sent = [request.parameters["Filters"][0]["Values"] for request in asked(wire)]
        assert [len(each) for each in sent] == [100, 100, 1]
        assert [each for some in sent for each in some] == ids

    def test_all_pages_are_read_empty_ones_too(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page(told("i-1"), token="a"), page(token="b"), page(told("mi-2")))
        assert [node.node_id for node in ssm.nodes(CELL)] == ["i-1", "mi-2"]
        assert [request.parameters.get("NextToken") for request in asked(wire)] == [None, "a", "b"]

    def test_an_id_that_ssm_refuses_does_not_hide_the_others(self, wire: Wire, ssm: Ssm) -> None:
        def reply(request: Request) -> Answer:
            values = request.parameters["Filters"][0]["Values"] if "Filters" in request.parameters else []
            return error("InvalidInstanceId") if "i-100" in values else page(*map(told, ("i-0", "i-105", "i-x")))

        wire.replies["DescribeInstanceInformation"] = reply
        found = [node.node_id for node in ssm.nodes(CELL, [f"i-{number}" for number in range(110)])]
        assert found == ["i-0", "i-105"]
        assert [len(request.parameters) for request in asked(wire)] == [2, 2, 1]

    @pytest.mark.parametrize("ids", [None, ["i-1"]])
    def test_a_denial_is_never_an_empty_answer(self, wire: Wire, ssm: Ssm, ids: list[str] | None) -> None:
        wire.reply("DescribeInstanceInformation", error("AccessDeniedException"))
        with pytest.raises(AwsError) as caught:
            list(ssm.nodes(CELL, ids))
        assert (caught.value.kind, caught.value.operation) == (Kind.DENIED, "DescribeInstanceInformation")

    def test_hybrid_nodes(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page(told("mi-1")))
        assert [node.node_id for node in ssm.hybrid_nodes(CELL)] == ["mi-1"]
        [request] = asked(wire)
        assert request.parameters == {
            "MaxResults": 50,
            "Filters": [{"Key": "ResourceType", "Values": ["ManagedInstance"]}],
        }

    def test_what_is_kept_of_a_node(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply(
            "DescribeInstanceInformation",
            page(
                told(
                    "mi-1",
                    PingStatus="ConnectionLost",
                    LastPingDateTime=1795455901.0,
                    AgentVersion="3.3.1.0",
                    IsLatestVersion=False,
                    PlatformType="MacOS",
                    ResourceType="ManagedInstance",
                    SourceId="i-5",
                    IPAddress="10.0.0.1",
                )
            ),
        )
        when = datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC)
        expected = ManagedNode(
            "mi-1", "ConnectionLost", when, "3.3.1.0", False, "MacOS", "ManagedInstance", "i-5", "10.0.0.1"
        )
        assert list(ssm.nodes(CELL)) == [expected]

    def test_a_node_without_a_status_is_no_answer(self, wire: Wire, ssm: Ssm) -> None:
        wire.reply("DescribeInstanceInformation", page({"InstanceId": "i-1"}))
        with pytest.raises(AwsError, match="DescribeInstanceInformation"):
            list(ssm.nodes(CELL))


class TestDefaultHostManagement:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("$None", None),
            ("", None),
            ("service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole",) * 2,
        ],
    )
    def test_its_role(self, wire: Wire, ssm: Ssm, value: str, expected: str | None) -> None:
        wire.reply("GetServiceSetting", setting(value))
        assert ssm.default_management_role(CELL) == expected
        [request] = wire.of("GetServiceSetting")
        assert request.parameters == {"SettingId": "/ssm/managed-instance/default-ec2-instance-management-role"}

    @pytest.mark.parametrize("reply", [error("AccessDeniedException"), answer({})])
    def test_what_is_no_answer_is_not_off(self, wire: Wire, ssm: Ssm, reply: Answer) -> None:
        wire.reply("GetServiceSetting", reply)
        call: Callable[[Cell], Any] = ssm.default_management_role
        with pytest.raises(AwsError):
            call(CELL)
