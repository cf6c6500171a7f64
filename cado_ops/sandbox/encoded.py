"""Encoded authorization messages, as EC2 puts them into its denials: made and read by the sandbox alone."""

from __future__ import annotations

import base64
import json
import zlib

from cado_ops.sandbox.protocol import RequestInfo

# DecodeAuthorizationMessage, STS API reference.
MAX_ENCODED = 10_240
_MARK = "sandbox-message"
_STATEMENT = "DenyOutsideEnabledRegions"


def failure(request: RequestInfo) -> str:
    """What follows EC2's denial, which has such a message where it is no read that was denied."""
    if request.action.startswith("Describe"):
        return ""
    return f". Encoded authorization failure message: {encode(request)}"


def encode(request: RequestInfo) -> str:
    """The message for a request that the organisation's region deny has stopped."""
    document = {
        "allowed": False,
        "explicitDeny": True,
        "matchedStatements": {"items": [{"statementId": _STATEMENT, "effect": "DENY"}]},
        "failures": {"items": []},
        "context": {
            "principal": {"arn": request.arn},
            "action": f"{request.service}:{request.action}",
            "resource": f"arn:aws:ec2:{request.region}:{request.account}:*",
            "conditions": {
                "items": [{"key": "aws:RequestedRegion", "values": {"items": [{"value": request.region}]}}]
            },
        },
    }
    return _pack(str(request.account), json.dumps(document, separators=(",", ":")))


def decode(message: str) -> tuple[str | None, str]:
    """The account that a message was made for, and what it says; (None, "") where the sandbox did not make it."""
    try:
        packed = base64.urlsafe_b64decode(message.encode("ascii") + b"=" * (-len(message) % 4))
        mark, account, document = zlib.decompress(packed).decode().split("\n", 2)
    except (ValueError, zlib.error):
        return None, ""
    return (account, document) if mark == _MARK else (None, "")


def _pack(account: str, document: str) -> str:
    packed = zlib.compress("\n".join((_MARK, account, document)).encode())
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")
