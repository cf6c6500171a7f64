"""Systems Manager: which instances have an agent that answers. Nothing here runs anything on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from cado_ops.aws.connection import Connection, understanding
from cado_ops.errors import AwsError
from cado_ops.model import Cell, ManagedNode

# DescribeInstanceInformation, Systems Manager API reference: MaxResults 5 to 50, up to 100 values a filter.
PAGE = 50
FILTER_VALUES = 100
_MANAGEMENT_ROLE = "/ssm/managed-instance/default-ec2-instance-management-role"


class Ssm:
    """The Systems Manager calls that this program makes. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def nodes(self, cell: Cell, instance_ids: Sequence[str] | None = None) -> Iterator[ManagedNode]:
        """The nodes that are registered, all of a region or those of some instances; stopped ones are left out.

        DescribeInstanceInformation: hybrid nodes (mi-…) are among all, and never among those of instances.
        """
        if instance_ids is None:
            yield from self._listed(cell, ())
            return
        for start in range(0, len(instance_ids), FILTER_VALUES):
            some = list(instance_ids[start : start + FILTER_VALUES])
            try:
                yield from [
                    node
                    for node in self._listed(cell, [{"Key": "InstanceIds", "Values": some}])
                    if node.node_id in some
                ]
            except AwsError as error:
                # "If you specify a node ID that isn't valid or a node that you don't own, you receive an error":
                # it says which nowhere, and not that the others are not there.
                if error.code != "InvalidInstanceId":
                    raise
                wanted = set(instance_ids[start:])
                yield from [node for node in self._listed(cell, ()) if node.node_id in wanted]
                return

    def hybrid_nodes(self, cell: Cell) -> Iterator[ManagedNode]:
        """The nodes that hybrid activations made (mi-…): machines elsewhere, and instances set up that way."""
        return self._listed(cell, [{"Key": "ResourceType", "Values": ["ManagedInstance"]}])

    def default_management_role(self, cell: Cell) -> str | None:
        """The role of Default Host Management in a region; None where it is off (GetServiceSetting)."""
        answer = self._connection.call(
            cell.account, "ssm", cell.region, "GetServiceSetting", {"SettingId": _MANAGEMENT_ROLE}
        )
        with understanding("GetServiceSetting"):
            role: str = answer["ServiceSetting"]["SettingValue"]
        return None if role in ("", "$None") else role

    def _listed(self, cell: Cell, filters: Sequence[Mapping[str, Any]]) -> Iterator[ManagedNode]:
        parameters: dict[str, Any] = {"MaxResults": PAGE}
        if filters:
            parameters["Filters"] = list(filters)
        pages = self._connection.pages(
            cell.account, "ssm", cell.region, "DescribeInstanceInformation", parameters, "InstanceInformationList"
        )
        for page in pages:
            with understanding("DescribeInstanceInformation"):
                nodes = [_node(each) for each in page]
            yield from nodes


def _node(told: Mapping[str, Any]) -> ManagedNode:
    last = told.get("LastPingDateTime")
    return ManagedNode(
        node_id=told["InstanceId"],
        ping_status=told["PingStatus"],
        last_ping=last.astimezone(UTC) if last else None,
        agent_version=told.get("AgentVersion"),
        latest_version=told.get("IsLatestVersion"),
        platform_type=told.get("PlatformType"),
        resource_type=told.get("ResourceType"),
        source_id=told.get("SourceId"),
        ip_address=told.get("IPAddress"),
    )
