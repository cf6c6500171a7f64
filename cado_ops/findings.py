"""The EC2 instances that security findings name, for ``--from-finding``.

Read are, alone, in lists, in batches (``{"Findings": […]}``) and one after the other (NDJSON):

- GuardDuty findings (GuardDuty API Reference, "Finding"), attack sequences included; the API writes
  ``AccountId``, EventBridge and the export to S3 write ``accountId``;
- Security Hub's ASFF (Security Hub API Reference, "AwsSecurityFinding") and, of the same shape in camel case,
  Inspector's findings (Inspector API Reference, "Finding");
- OCSF (Security Hub User Guide, "AWS extension for OCSF", and Security Lake's export);
- EventBridge events around any of these, and EC2's own (EC2 User Guide, "State change events").

A resource that claims to be an instance and has no readable id is an error: leaving it out silently would
leave an instance untagged that the finding is about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cado_ops.arns import bounded, parse_account_id, parse_instance, parse_region, shown
from cado_ops.errors import UsageError
from cado_ops.model import InstanceRef

MAX_NESTING = 100
_BLANKS = " \t\r\n"
_EXPECTED = "Expected is JSON of GuardDuty, Security Hub (ASFF or OCSF), Inspector or EventBridge, one or many."
# A tuple, not a set: what stands in a finding may be unhashable.
_INSTANCE_TYPES = ("AwsEc2Instance", "AWS_EC2_INSTANCE", "AWS::EC2::Instance", "EC2_INSTANCE")


def instances_in_findings(text: str, where: str) -> list[InstanceRef]:
    """The instances named, in order, each once; with account and region as far as the finding tells them."""
    found: list[InstanceRef] = []
    empty = True
    for line, document in json_documents(text, where):
        empty = False
        found.extend(_in_document(document, f"{where}:{line}"))
    if empty:
        raise UsageError(f"{where}: empty", _EXPECTED)
    if not found:
        raise UsageError(f"{where}: names no EC2 instance")
    return _without_repeats(found)


def json_documents(text: str, where: str) -> Iterator[tuple[int, Any]]:
    """The JSON documents in a text, each with the line it begins on: one, NDJSON, or several in a row."""
    text = bounded(text, where)
    decoder = json.JSONDecoder()
    position, line = 0, 1
    while True:
        start = position
        while start < len(text) and text[start] in _BLANKS:
            start += 1
        line += text.count("\n", position, start)
        if start == len(text):
            return
        try:
            document, position = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise UsageError(f"{where}:{error.lineno}: no valid JSON ({error.msg}, column {error.colno})") from None
        except RecursionError:
            raise _too_deep(where, line) from None
        except ValueError:  # a number of thousands of digits
            raise UsageError(f"{where}:{line}: a number too long to be read") from None
        if _deeper_than(document, MAX_NESTING):
            raise _too_deep(where, line)
        yield line, document
        line += text.count("\n", start, position)


def _too_deep(where: str, line: int) -> UsageError:
    return UsageError(f"{where}:{line}: JSON nested deeper than {MAX_NESTING} levels")


def _deeper_than(document: Any, limit: int) -> bool:
    """Whether lists and objects nest more than ``limit`` times; found level by level, without recursion."""
    level = _containers([document])
    for _ in range(limit):
        if not level:
            return False
        level = _containers(
            child for node in level for child in (node.values() if isinstance(node, dict) else node)
        )
    return bool(level)


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _in_document(node: Any, where: str) -> Iterator[InstanceRef]:
    """The instances of one document, whatever it is. The nesting is bounded, and so is the recursion."""
    if isinstance(node, list):
        for number, each in enumerate(node, 1):
            yield from _in_document(each, f"{where}, element {number}")
    elif not isinstance(node, dict):
        raise UsageError(f"{where}: {shown(node)} is no finding", _EXPECTED)
    elif "detail-type" in node:
        yield from _in_event(node, where)
    elif isinstance(batch := _get(node, "Findings"), list):
        yield from _in_document(batch, where)
    elif _is_finding(node):
        yield from _in_finding(node, where)
    else:
        keys = ", ".join(shown(key, 30) for key in list(node)[:4])
        raise UsageError(f"{where}: no finding of a known form (an object with {keys or 'no keys'})", _EXPECTED)


def _in_event(event: dict[str, Any], where: str) -> Iterator[InstanceRef]:
    """An EventBridge event: instance ARNs in ``resources``, a finding or several in ``detail``, or EC2's
    own detail.

    The event's account and region are not lent to the findings inside: where an organisation collects its
    findings they are those of the collecting account, not the instance's.
    """
    for resource in _items(event.get("resources")):
        if isinstance(resource, str) and ":ec2:" in resource and ":instance/" in resource:
            yield parse_instance(resource, where)
    detail = _object(event, "detail")
    if isinstance(detail.get("instance-id"), str):
        yield _ref(detail["instance-id"], event.get("account"), event.get("region"), where)
    elif isinstance(_get(detail, "Findings"), list) or _is_finding(detail):
        yield from _in_document(detail, where)


def _is_finding(node: dict[str, Any]) -> bool:
    if _is_ocsf(node):
        return True
    if _get(node, "AwsAccountId") is not None:  # ASFF, Inspector
        return isinstance(_get(node, "Resources"), list)
    guardduty = isinstance(_get(node, "Resource"), dict) or isinstance(_get(node, "Service"), dict)
    return guardduty and _get(node, "AccountId") is not None


def _is_ocsf(node: dict[str, Any]) -> bool:
    return "class_uid" in node or "finding_info" in node


def _in_finding(node: dict[str, Any], where: str) -> Iterator[InstanceRef]:
    if _is_ocsf(node):
        yield from _in_ocsf(node, where)
    elif _get(node, "AwsAccountId") is not None:
        yield from _in_asff(node, where)
    else:
        yield from _in_guardduty(node, where)


def _in_guardduty(finding: dict[str, Any], where: str) -> Iterator[InstanceRef]:
    """``Resource.InstanceDetails.InstanceId``; in an attack sequence
    ``Service.Detection.Sequence.Resources``.

    Other resources of a sequence (clusters, images, scaling groups) list instances that merely belong to them
    (``Ec2InstanceUids``): those are not what the finding is about.
    """
    account, region = _get(finding, "AccountId"), _get(finding, "Region")
    if instance := _get(_object(_object(finding, "Resource"), "InstanceDetails"), "InstanceId"):
        yield _ref(instance, account, region, where)
    sequence = _object(_object(_object(finding, "Service"), "Detection"), "Sequence")
    for resource in _objects(sequence, "Resources"):
        if _get(resource, "ResourceType") in _INSTANCE_TYPES:
            yield _ref(
                _get(resource, "Uid"),
                _get(resource, "AccountId") or account,
                _get(resource, "Region") or region,
                where,
            )


def _in_asff(finding: dict[str, Any], where: str) -> Iterator[InstanceRef]:
    """``Resources[]`` with ``Type`` and ``Id``: an ARN from AWS's products, a bare id from some others."""
    for resource in _objects(finding, "Resources"):
        if _get(resource, "Type") in _INSTANCE_TYPES:
            region = _get(resource, "Region") or _get(finding, "Region")
            yield _ref(_get(resource, "Id"), _get(finding, "AwsAccountId"), region, where)


def _in_ocsf(finding: dict[str, Any], where: str) -> Iterator[InstanceRef]:
    """``resources[]`` with ``type``; ``uid`` is the id or the ARN, ``uid_alt`` the ARN where there is one."""
    cloud = _object(finding, "cloud")
    for resource in [*_objects(finding, "resources"), _object(finding, "resource")]:
        if resource.get("type") in _INSTANCE_TYPES:
            alternate = resource.get("uid_alt")
            has_arn = isinstance(alternate, str) and alternate.startswith("arn:")
            owner = _object(_object(resource, "owner"), "account").get("uid")
            yield _ref(
                alternate if has_arn else resource.get("uid"),
                owner or _object(cloud, "account").get("uid"),
                resource.get("region") or cloud.get("region"),
                where,
            )


def _ref(instance: Any, account: Any, region: Any, where: str) -> InstanceRef:
    """A reference from an id or ARN; an ARN's account and region go before the finding's own fields."""
    if not isinstance(instance, str):
        raise UsageError(f"{where}: an EC2 instance without an id ({shown(instance)})")
    ref = parse_instance(instance, where)
    return InstanceRef(
        ref.instance_id,
        ref.account or (parse_account_id(str(account), where) if account else None),
        ref.region or (parse_region(str(region), where) if region else None),
    )


def _without_repeats(refs: Iterable[InstanceRef]) -> list[InstanceRef]:
    """Each instance once; a reference that knows less than another one of the same id is a repeat of it."""
    by_id: dict[str, dict[tuple[str | None, str | None], InstanceRef]] = {}
    for ref in refs:
        by_id.setdefault(ref.instance_id, {}).setdefault((ref.account, ref.region), ref)
    return [ref for known in by_id.values() for ref in _most_telling(known)]


def _most_telling(known: dict[tuple[str | None, str | None], InstanceRef]) -> Iterator[InstanceRef]:
    """Those that no other one covers. By sets: a file may name one instance a hundred thousand times."""
    accounts = {account for account, region in known if region is not None}
    regions = {region for account, region in known if account is not None}
    for (account, region), ref in known.items():
        match account, region:
            case None, None:
                covered = len(known) > 1
            case _, None:
                covered = account in accounts
            case None, _:
                covered = region in regions
            case _:
                covered = False
        if not covered:
            yield ref


def _get(node: dict[str, Any], name: str) -> Any:
    """A field by its API name, in either of the two ways AWS writes it: ``AccountId``, ``accountId``."""
    return node.get(name, node.get(name[0].lower() + name[1:]))


def _object(node: dict[str, Any], name: str) -> dict[str, Any]:
    value = _get(node, name)
    return value if isinstance(value, dict) else {}


def _objects(node: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in _items(_get(node, name)) if isinstance(each, dict)]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
