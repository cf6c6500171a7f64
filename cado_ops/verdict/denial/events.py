"""JSON in a pasted text: events of CloudTrail, answers of AWS, lines of a log, each with what stands around it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cado_ops.verdict.denial.lookup import CODES, COMMON, bare
from cado_ops.verdict.denial.model import NOTHING, Around

_DEPTH = 12
_NODES = 200_000
# What is decoded in vain (a brace that begins no JSON) may cost so many characters for each of the text's.
_WASTE = 4
# What fails to be decoded counts its lines from the beginning of what it was given: that has to be near.
_WINDOW = 64 * 1024
_CODE_KEYS = ("errorcode", "code", "__type", "error_code", "errortype")
_MESSAGE_KEYS = ("errormessage", "message", "msg", "error_message", "statemessage")
_decoder = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """One text to be read, and what stands around it. ``decoded``: it is a decoded authorization message."""

    text: str
    around: Around = NOTHING
    decoded: Mapping[str, Any] | None = None
    status: str | None = None


def pieces(text: str) -> list[Piece]:
    """The text cut into its JSON and what stands between, in order."""
    found: list[Piece] = []
    plain = 0
    nodes = [_NODES]
    for start, end, value in _documents(text):
        if text[plain:start].strip():
            found.append(Piece(text[plain:start]))
        found += _walk(value, NOTHING, _DEPTH, nodes)
        plain = end
    if text[plain:].strip():
        found.append(Piece(text[plain:]))
    return found


def _documents(text: str) -> Iterator[tuple[int, int, Any]]:
    """Every JSON object or list of objects, and where it stands. What decodes to nothing is plain text."""
    budget = _WASTE * len(text) + 10_000
    at = text.find("{")
    rest, base = text, 0  # rest is text[base:]
    while at >= 0 and budget > 0:
        starts = [at]
        if text[max(0, at - 200) : at].rstrip().endswith("["):
            starts.insert(0, text.rindex("[", 0, at))
        for start in starts:
            if start - base > _WINDOW:
                rest, base = text[start:], start
            try:
                value, end = _decoder.raw_decode(rest, start - base)
            except json.JSONDecodeError as error:
                budget -= error.pos + base - start + 20
            except (RecursionError, ValueError):
                return  # deeper than any log, or a number of thousands of digits
            else:
                end += base
                yield start, end, value
                break
        else:
            end = at + 1
        at = text.find("{", end)


def _walk(value: Any, around: Around, depth: int, nodes: list[int]) -> Iterator[Piece]:
    nodes[0] -= 1
    if depth == 0 or nodes[0] <= 0:
        return
    if isinstance(value, str):
        if len(value) >= 4:
            yield from _string(value, around, depth)
    elif isinstance(value, list):
        for each in value:
            yield from _walk(each, around, depth - 1, nodes)
    elif isinstance(value, dict):
        yield from _object(value, around, depth, nodes)


def _string(value: str, around: Around, depth: int) -> Iterator[Piece]:
    if "{" in value and '"' in value and depth > 2:
        for piece in pieces(value):
            yield replace(piece, around=_within(piece.around, around))
    else:
        yield Piece(value, around)


def _object(value: dict[str, Any], around: Around, depth: int, nodes: list[int]) -> Iterator[Piece]:
    around = _within(_around(value), around)
    if "explicitDeny" in value and "context" in value:
        yield Piece("", around, decoded=value)
        return
    lower = {key.lower(): key for key in value}
    status = value.get("StatusDetails")
    if isinstance(status, str):
        yield Piece(status, around, status=status)
    code = next(
        (value[lower[key]] for key in _CODE_KEYS if key in lower and isinstance(value[lower[key]], str)), None
    )
    message_key = next(
        (lower[key] for key in _MESSAGE_KEYS if key in lower and isinstance(value[lower[key]], str)), None
    )
    skip: set[str] = set()
    if code is not None and "errorcode" not in lower and "__type" not in lower and "event" not in lower:
        # An API of anybody's answers with a code and a message.
        own = CODES if "Message" in value else CODES - COMMON
        code = code if bare(code) in own else None
    if code is not None and " " not in code.strip() and (message_key or "errorcode" in lower):
        skip = {key for key in (message_key, *(lower[each] for each in _CODE_KEYS if each in lower)) if key}
        # EBS direct says more in its reason than in its code.
        reason = value.get("Reason")
        code = reason if isinstance(reason, str) and reason in CODES else code
        text = value[message_key] if message_key else ""
        coded = replace(around, code=bare(code))
        yield from _string(text, coded, depth) if text.strip() else (Piece("", coded),)
    if _is_event(value):
        # What was asked and answered is no text of an error.
        return
    for key, each in value.items():
        if key not in skip and not (isinstance(each, str) and key == "StatusDetails"):
            yield from _walk(each, around, depth - 1, nodes)


def _is_event(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("eventSource"), str) and isinstance(value.get("eventName"), str)


def _within(own: Around, outer: Around) -> Around:
    return Around(
        *(mine if mine is not None else theirs for mine, theirs in zip(_fields(own), _fields(outer), strict=True))
    )


def _fields(around: Around) -> tuple[str | None, ...]:
    return tuple(getattr(around, name) for name in Around.__slots__)


def _around(value: Mapping[str, Any]) -> Around:
    """What an object tells about the message in it. Names of CloudTrail's, and those that logs commonly use."""
    if _is_event(value):
        return _of_event(value)
    return Around(
        action=_action(value.get("event")),
        resource=_first(
            value, "InstanceId", "instanceId", "instance_id", "KeyId", "keyId", "KmsKeyId", "VolumeId", "SnapshotId"
        ),
        account=_account(_first(value, "accountId", "account_id", "account", "recipientAccountId", "AccountId")),
        region=_first(value, "awsRegion", "region", "aws_region", "Region"),
    )


def _of_event(value: Mapping[str, Any]) -> Around:
    """CloudTrail User Guide, "CloudTrail record contents"."""
    service = value["eventSource"].partition(".")[0]
    service = {"monitoring": "cloudwatch"}.get(service, service)
    identity = value.get("userIdentity")
    identity = identity if isinstance(identity, dict) else {}
    return Around(
        action=_action(f"{service}:{value['eventName']}"),
        principal=_text(identity.get("arn")) or _text(identity.get("invokedBy")),
        resource=_of_request(value),
        account=_account(_text(value.get("recipientAccountId")) or _text(identity.get("accountId"))),
        region=_text(value.get("awsRegion")),
        vpc_endpoint=_text(value.get("vpcEndpointId")),
    )


def _of_request(event: Mapping[str, Any]) -> str | None:
    """The one resource that a request was about; None where there were several."""
    listed = event.get("resources")
    arns = (
        [each.get("ARN") or each.get("arn") for each in listed if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )
    if len(arns) == 1 and isinstance(arns[0], str):
        return arns[0]
    asked = event.get("requestParameters")
    if not isinstance(asked, dict):
        return None
    instances = asked.get("instanceIds")
    if isinstance(instances, list) and len(instances) == 1 and isinstance(instances[0], str):
        return instances[0]
    return _first(asked, "roleArn", "keyId", "target", "instanceId", "snapshotId", "volumeId", "sourceSnapshotId")


def _first(value: Mapping[str, Any], *names: str) -> str | None:
    return next((found for name in names if (found := _text(value.get(name)))), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 2048 else None


def _account(value: str | None) -> str | None:
    return value if value and len(value) == 12 and value.isascii() and value.isdigit() else None


def _action(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > 120:
        return None
    service, _, name = value.partition(":")
    good = name[:1].isalpha() and name.isascii() and name.isalnum() and service.replace("-", "").isalnum()
    return value if good else None
