"""Service models cut down to the operations that this program calls.

botocore reads a service's whole model before the first call: EC2's has 700 operations. Loading the part that is
used instead saves a tenth of a second before the first call to EC2, and half of that again with the list of all
endpoints (docs/performance.md, "What pays"). `scripts/models` cuts it out of the botocore that is installed into
``models/``.

A piece that was cut from another botocore than the installed one is not used: then botocore's own is read and cut
here, which costs time and nothing else. Every other service's is botocore's own, and so is everything where a
user has models of his own (AWS_DATA_PATH, ~/.aws/models).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.loaders import Loader

# What the gateways call, by service. A gateway that calls something else fails a test, which names
# `scripts/models`.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "ec2": (
        "CreateTags",
        "DeleteTags",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeRegions",
        "DescribeSnapshots",
        "DescribeTags",
        "DescribeVolumes",
    ),
    "iam": (
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListRolePolicies",
        "ListRoles",
        "SimulatePrincipalPolicy",
    ),
    "kms": (
        "CreateGrant",
        "DescribeKey",
        "GetKeyPolicy",
        "ListAliases",
        "ListGrants",
        "ListKeys",
        "ListRetirableGrants",
        "RetireGrant",
        "RevokeGrant",
    ),
    "organizations": (
        "DescribeAccount",
        "ListAccounts",
        "ListAccountsForParent",
        "ListOrganizationalUnitsForParent",
    ),
    "ssm": ("DescribeInstanceInformation", "GetServiceSetting"),
    # AssumeRoleWithWebIdentity is botocore's own, for profiles.
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "DecodeAuthorizationMessage", "GetCallerIdentity"),
}
# What botocore asks for where a profile signs in by SSO, by the names that its list of endpoints has.
_SIGN_IN = ("oidc", "portal.sso", "signin", "sso")
ENDPOINTS = "endpoints"

_FOLDER = Path(__file__).with_name("models")


def cut_model(model: Mapping[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """A service model with these operations alone, the shapes that they need, and nothing that is only read by
    people.

    Operations that this botocore does not have are left out.
    """
    kept = {name: each for name, each in model["operations"].items() if name in operations}
    needed: set[str] = set()
    waiting = [_shapes_in(kept)]
    while waiting:
        for name in waiting.pop():
            if name not in needed:
                needed.add(name)
                waiting.append(_shapes_in(model["shapes"][name]))
    shapes = {name: shape for name, shape in model["shapes"].items() if name in needed}
    whole = {**model, "operations": kept, "shapes": shapes}
    plain: dict[str, Any] = _without_documentation(whole)
    return plain


def cut_endpoints(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """The list of endpoints with the services alone that this program, or a profile's sign-in, calls."""
    wanted = {*OPERATIONS, *_SIGN_IN}
    partitions = [
        {**each, "services": {name: of for name, of in each["services"].items() if name in wanted}}
        for each in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _shapes_in(part: Any) -> list[str]:
    """The shapes that a part of a model refers to."""
    if isinstance(part, Mapping):
        named = [part["shape"]] if isinstance(part.get("shape"), str) else []
        return named + [name for each in part.values() for name in _shapes_in(each)]
    if isinstance(part, list):
        return [name for each in part for name in _shapes_in(each)]
    return []


def _without_documentation(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {
            key: _without_documentation(value)
            for key, value in part.items()
            # A member may be called documentation as well; its value is no text.
            if not (key in ("documentation", "examples") and isinstance(value, (str, list)))
        }
    if isinstance(part, list):
        return [_without_documentation(each) for each in part]
    return part


class CutLoader(Loader):  # type: ignore[misc]
    """botocore's loader, with the pieces above in place of the whole."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        if service_name not in OPERATIONS:
            return super().load_service_model(service_name, type_name, api_version)
        # The method above begins with a walk through the folders of all 400 services, to see whether there is
        # this one.
        version = api_version or self.determine_latest_version(service_name, type_name)
        name = f"{service_name}/{version}/{type_name}"
        if type_name != "service-2":
            return self.load_data(name)
        return piece(service_name, name) or cut_model(
            super().load_service_model(service_name, type_name, version), OPERATIONS[service_name]
        )

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        if name != ENDPOINTS:
            found: tuple[Any, str] = super().load_data_with_path(name)
            return found
        cut = piece(ENDPOINTS, ENDPOINTS)
        if cut is not None:
            return cut, str(Path(self.BUILTIN_DATA_PATH, ENDPOINTS))
        whole, path = super().load_data_with_path(name)
        return cut_endpoints(whole), path


@cache
def piece(kept_as: str, name: str) -> dict[str, Any] | None:
    """What `scripts/models` cut out of botocore's data ``name``; None where the installed botocore's is another."""
    try:
        kept = json.loads((_FOLDER / f"{kept_as}.json").read_bytes())
        cut: dict[str, Any] = kept["cut"]
        return cut if kept["of"] == fingerprint(name) else None
    except (OSError, ValueError, KeyError):
        return None


def fingerprint(name: str) -> str | None:
    """The SHA-256 of the file that botocore keeps some data in, with its name; None where there is no such file."""
    for suffix in (".json.gz", ".json"):
        try:
            held = Path(Loader.BUILTIN_DATA_PATH, name + suffix).read_bytes()
        except OSError:
            continue
        return f"{name}{suffix} {hashlib.sha256(held).hexdigest()}"
    return None


def use_cut_models(core: botocore.session.Session) -> None:
    """Has a session load the pieces; not where the user has models of his own, which come first."""
    if core.get_config_variable("data_path") is None and not Path(Loader.CUSTOMER_DATA_PATH).exists():
        core.register_component("data_loader", CutLoader())
