"""ListKeys and ListAliases with pages; moto gives everything at once, and aliases of keys that do not exist."""

from __future__ import annotations

from typing import Any

from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_json, page


def list_keys(request: RequestInfo) -> Response:
    """KMS API reference, ListKeys: 100 a page when not asked otherwise, up to 1,000."""
    keys = backend("kms", request.account, request.region).keys.values()
    return paged(request, "Keys", [{"KeyId": key.id, "KeyArn": key.arn} for key in keys], 100, 1000)


def list_aliases(request: RequestInfo) -> Response:
    """KMS API reference, ListAliases: 50 a page when not asked otherwise, up to 100."""
    wanted = str(request.params.get("KeyId") or "").rpartition("/")[2]
    aliases = [
        {"AliasName": alias.alias_name, "AliasArn": alias.alias_arn, "TargetKeyId": key.id}
        for key in backend("kms", request.account, request.region).keys.values()
        for alias in key.aliases.values()
        if not wanted or wanted == key.id
    ]
    return paged(request, "Aliases", aliases, 50, 100)


def paged(request: RequestInfo, name: str, items: list[Any], default: int, most: int) -> Response:
    """A KMS listing: Limit and Marker in, Truncated and NextMarker out."""
    limit = int(request.params.get("Limit", default))
    if not 1 <= limit <= most:
        raise AwsFault(
            "ValidationException",
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            f"Member must have value between 1 and {most}",
        )
    fault = AwsFault("InvalidMarkerException", "Invalid marker.")
    members, marker = page(items, request.params.get("Marker"), limit, fault)
    answer: dict[str, Any] = {name: list(members), "Truncated": marker is not None}
    if marker:
        answer["NextMarker"] = marker
    return answer_json(answer)


MENDS = {("kms", "ListKeys"): list_keys, ("kms", "ListAliases"): list_aliases}
