"""SSM's view of the fleet; moto has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_json, page

_AGENT_VERSION = "3.3.2299.0"
_MANAGEMENT_ROLE = "/ssm/managed-instance/default-ec2-instance-management-role"
_PLATFORMS = {
    "windows": ("Windows", "Microsoft Windows Server 2022 Datacenter", "10.0.20348"),
    None: ("Linux", "Amazon Linux", "2023"),
}
_FILTERS = {
    "InstanceIds": "InstanceId",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "AgentVersion": "AgentVersion",
    "ResourceType": "ResourceType",
}


def describe_instance_information(request: RequestInfo) -> Response:
    """The instances with an agent, as long as they run: stopped and terminated ones are left out.

    Systems Manager API reference, DescribeInstanceInformation.
    """
    found = [node for node in _nodes(request) if _is_wanted(request, node)]
    size = int(request.params.get("MaxResults") or 10)  # AWS answers ten a page when not asked for more
    if not 5 <= size <= 50:
        raise AwsFault("ValidationException", f"MaxResults must be between 5 and 50, not {size}")
    fault = AwsFault("InvalidNextToken", "The specified token is not valid.")
    nodes, token = page(found, request.params.get("NextToken"), size, fault)
    answer: dict[str, Any] = {"InstanceInformationList": list(nodes)}
    if token:
        answer["NextToken"] = token
    return answer_json(answer)


def get_service_setting(request: RequestInfo) -> Response:
    """Default Host Management alone. Systems Manager API reference, GetServiceSetting."""
    setting = str(request.params.get("SettingId", ""))
    if setting != _MANAGEMENT_ROLE:
        raise AwsFault("ServiceSettingNotFound", f"The sandbox knows {_MANAGEMENT_ROLE} alone.")
    role = acme.DEFAULT_MANAGEMENT.get((str(request.account), request.region))
    told = {
        "SettingId": setting,
        "SettingValue": role or "$None",
        "LastModifiedUser": "System",
        "ARN": f"arn:aws:ssm:{request.region}:{request.account}:servicesetting{setting}",
        "Status": "Customized" if role else "Default",
    }
    return answer_json({"ServiceSetting": told})


def _nodes(request: RequestInfo) -> list[dict[str, Any]]:
    now = datetime.now(UTC).replace(microsecond=0)
    nodes = []
    for reservation in backend("ec2", request.account, request.region).reservations.values():
        for instance in reservation.instances:
            agent = getattr(instance, "ssm_agent", "none")
            hybrid = getattr(instance, "is_hybrid", False)
            if (agent == "none" and not hybrid) or instance.state not in ("running", "pending"):
                continue
            kind, name, version = _PLATFORMS[instance.platform]
            online = agent == "online" or hybrid
            ping = now if online else now - timedelta(days=3)
            nodes.append(
                {
                    "InstanceId": f"m{instance.id}" if hybrid else instance.id,
                    "PingStatus": "Online" if online else "ConnectionLost",
                    "LastPingDateTime": ping.timestamp(),
                    "AgentVersion": _AGENT_VERSION,
                    "IsLatestVersion": True,
                    "PlatformType": kind,
                    "PlatformName": name,
                    "PlatformVersion": version,
                    "ResourceType": "ManagedInstance" if hybrid else "EC2Instance",
                    "IPAddress": instance.private_ip,
                    "ComputerName": instance.private_dns_name,
                    **({} if hybrid else {"SourceId": instance.id, "SourceType": "AWS::EC2::Instance"}),
                }
            )
    return nodes


def _is_wanted(request: RequestInfo, node: dict[str, Any]) -> bool:
    for item in request.params.get("Filters") or []:
        if not _keeps(item.get("Key", ""), item.get("Values", []), node):
            return False
    return all(
        _keeps(item.get("key", ""), item.get("valueSet", []), node)
        for item in request.params.get("InstanceInformationFilterList") or []
    )


def _keeps(key: str, values: list[str], node: dict[str, Any]) -> bool:
    if key not in _FILTERS:
        raise AwsFault("InvalidFilterKey", f"The specified key is not valid: {key}")
    return node[_FILTERS[key]] in values


MENDS = {
    ("ssm", "DescribeInstanceInformation"): describe_instance_information,
    ("ssm", "GetServiceSetting"): get_service_setting,
}
