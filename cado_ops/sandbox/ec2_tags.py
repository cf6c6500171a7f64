"""CreateTags, DeleteTags and DescribeTags as EC2 answers them.

moto tags instances that do not exist, and deletes nothing when no tags are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.ec2_filters import Filter, matches, read_filters, read_page
from cado_ops.sandbox.ec2_instances import check_instance_ids
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_ec2, is_true, listed, records

_TAG_LIMIT = 50
_RESOURCE_LIMIT = 1000
_TAG_FILTERS = frozenset({"key", "value", "resource-id", "resource-type"})


def create_tags(request: RequestInfo) -> Response:
    """All or nothing: one bad id, or one resource over its 50 tags, and nothing is tagged.

    EC2 API reference, CreateTags; EC2 User Guide, "Tag restrictions".
    """
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in records(request.params, "Tag")}
    if not tags:
        raise AwsFault("MissingParameter", "The request must contain the parameter tagSet")
    for key, value in tags.items():
        _check_tag(key, value)
    resources = _check_resources(request)
    store = _store(request)
    for resource in resources:
        keys = {*store.get(resource, {}), *tags}
        if sum(not key.startswith("aws:") for key in keys) > _TAG_LIMIT:
            raise AwsFault("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    stop_dry_run(request)
    for resource in resources:
        store[resource].update(tags)
    return answer_ec2("CreateTags", "<return>true</return>")


def delete_tags(request: RequestInfo) -> Response:
    """Without tags every user tag goes; a key alone takes any value, a value only itself (empty included).

    EC2 API reference, DeleteTags.
    """
    resources = _check_resources(request)
    stop_dry_run(request)
    wanted = records(request.params, "Tag")
    store = _store(request)
    for resource in resources:
        present = store.get(resource, {})
        if wanted:
            doomed = [
                tag["Key"]
                for tag in wanted
                if tag["Key"] in present and ("Value" not in tag or tag["Value"] == present[tag["Key"]])
            ]
        else:
            doomed = list(present)
        for key in doomed:
            if not key.startswith("aws:"):
                present.pop(key, None)
    return answer_ec2("DeleteTags", "<return>true</return>")


def describe_tags(request: RequestInfo) -> Response:
    """With filters and pages; moto knows no pages.

    EC2 API reference, DescribeTags.
    """
    filters = read_filters(request, lambda name: name in _TAG_FILTERS or name.startswith("tag:"))
    found = [
        f"<item><key>{escape(key)}</key><resourceId>{resource}</resourceId>"
        f"<resourceType>{_resource_type(resource)}</resourceType><value>{escape(value)}</value></item>"
        for resource, tags in sorted(_store(request).items())
        for key, value in sorted(tags.items())
        if _tag_matches(filters, resource, key, value)
    ]
    stop_dry_run(request)
    items, token = read_page(request, found)
    next_token = f"<nextToken>{token}</nextToken>" if token else ""
    return answer_ec2("DescribeTags", f"<tagSet>{''.join(items)}</tagSet>{next_token}")


def stop_dry_run(request: RequestInfo) -> None:
    """DryRun changes nothing and always ends in an error, this one if the call would have worked.

    EC2 API reference, "Common query parameters". Called last: a bad request fails on its own account.
    """
    if is_true(request.params, "DryRun"):
        raise AwsFault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _check_tag(key: str, value: str) -> None:
    if key.lower().startswith("aws:"):
        raise AwsFault("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    if not 1 <= len(key) <= 128:
        raise AwsFault("InvalidParameterValue", f"Tag key exceeds the maximum length of 128 characters: '{key}'")
    if len(value) > 256:
        raise AwsFault("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters.")


def _check_resources(request: RequestInfo) -> list[str]:
    resources = listed(request.params, "ResourceId")
    if not resources:
        raise AwsFault("MissingParameter", "The request must contain the parameter resourceIdSet")
    if len(resources) > _RESOURCE_LIMIT:
        raise AwsFault(
            "InvalidParameterValue", f"The number of resources exceeds the maximum of {_RESOURCE_LIMIT} per call."
        )
    known = EC2_PREFIX_TO_RESOURCE
    for resource in resources:
        if "-" not in resource or get_prefix(resource) not in known:
            raise AwsFault("InvalidID", f"The ID '{resource}' is not valid")
    check_instance_ids(request, [resource for resource in resources if resource.startswith("i-")])
    ec2 = backend("ec2", request.account, request.region)
    for resource in resources:
        if resource.startswith("vol-") and resource not in ec2.volumes:
            raise AwsFault("InvalidVolume.NotFound", f"The volume '{resource}' does not exist.")
    ec2.do_resources_exist([resource for resource in resources if not resource.startswith(("i-", "vol-"))])
    return resources


def _store(request: RequestInfo) -> Any:
    return backend("ec2", request.account, request.region).tags


def _resource_type(resource: str) -> str:
    return str(EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource), ""))


def _tag_matches(filters: Iterable[Filter], resource: str, key: str, value: str) -> bool:
    facts = {"key": key, "value": value, "resource-id": resource, "resource-type": _resource_type(resource)}
    for name, pattern in filters:
        if name.startswith("tag:"):
            if key != name[4:] or not matches(pattern, [value]):
                return False
        elif not matches(pattern, [facts[name]]):
            return False
    return True


MENDS = {
    ("ec2", "CreateTags"): create_tags,
    ("ec2", "DeleteTags"): delete_tags,
    ("ec2", "DescribeTags"): describe_tags,
}
