"""How AWS's requests and answers look on the wire, as far as the sandbox speaks them.

Three dialects: EC2's own XML, the query XML of STS and IAM, and JSON (KMS, SSM, Organizations).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

T = TypeVar("T")

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer."""

_JSON_SERVICES = frozenset({"kms", "organizations", "ssm"})
_XML_NAMESPACES = {
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
_REQUEST_ID = "5a4d0b0c-0000-4000-8000-5a4db0c5a4d0"


class AwsFault(Exception):
    """An error as AWS answers it; `encode_fault` puts it into the service's dialect."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Call(NamedTuple):
    """One request as `Sandbox.calls` records it. ``account`` is None for credentials nobody knows."""

    service: str
    action: str
    account: str | None
    region: str
    access_key: str


@dataclass(slots=True)
class RequestInfo:
    """One request to the sandbox.

    ``params`` are the body's: flat names and text for the query dialects (``Filter.1.Name``), JSON otherwise.
    ``account`` and ``arn`` say who calls, once the credentials are looked up.
    """

    service: str
    action: str
    region: str
    access_key: str
    session_token: str | None
    params: dict[str, Any]
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    account: str | None = None
    arn: str = ""

    def error(self, code: str, message: str, status: int = 400) -> Response:
        """The answer for an AWS error, in the dialect of the request's service."""
        return encode_fault(self.service, AwsFault(code, message, status))


def parse_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> RequestInfo:
    """Read service, region and access key from the signature, action and parameters from the body.

    The signature itself is not checked: the sandbox tells callers apart, it does not authenticate them.
    """
    access_key, region, service = "", "us-east-1", ""
    authorization = headers.get("authorization", "")
    if "Credential=" in authorization:
        scope = authorization.split("Credential=", 1)[1].split(",", 1)[0].split("/")
        if len(scope) == 5:
            access_key, _, region, service, _ = scope
    query = target.partition("?")[2]
    params: dict[str, Any] = {}
    amz_target = headers.get("x-amz-target")
    if amz_target:
        action = amz_target.rpartition(".")[2]
        try:
            params = json.loads(body or b"{}")
        except ValueError:
            params = {}
    else:
        params = dict(parse_qsl(body.decode("utf-8", "replace") or query, keep_blank_values=True))
        action = str(params.get("Action", ""))
    return RequestInfo(
        service=service,
        action=action,
        region=region,
        access_key=access_key,
        session_token=headers.get("x-amz-security-token"),
        params=params,
        method=method,
        path=target,
        headers=headers,
        body=body,
    )


def encode_fault(service: str, fault: AwsFault) -> Response:
    """An error in the dialect of ``service``."""
    code, message = escape(fault.code), escape(fault.message)
    if service in _JSON_SERVICES:
        return answer_json({"__type": fault.code, "message": fault.message}, fault.status)
    if service == "ec2":
        xml = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{_REQUEST_ID}</RequestID></Response>"
        )
    else:
        kind = "Sender" if fault.status < 500 else "Receiver"
        xml = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>"
        )
    return _xml(fault.status, xml)


def answer_json(value: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON service's answer."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": _REQUEST_ID}
    return status, headers, json.dumps(value).encode()


def answer_ec2(action: str, inner: str) -> Response:
    """EC2's answer around ``inner``, which is XML already."""
    return _xml(
        200,
        f'<{action}Response xmlns="{_XML_NAMESPACES["ec2"]}"><requestId>{_REQUEST_ID}</requestId>'
        f"{inner}</{action}Response>",
    )


def answer_query(service: str, action: str, inner: str) -> Response:
    """An answer of STS or IAM around ``inner``, which is XML already."""
    return _xml(
        200,
        f'<{action}Response xmlns="{_XML_NAMESPACES[service]}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>",
    )


def _xml(status: int, text: str) -> Response:
    headers = {"Content-Type": "text/xml;charset=UTF-8", "x-amzn-RequestId": _REQUEST_ID}
    return status, headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


def listed(params: Mapping[str, Any], name: str) -> list[str]:
    """The values of a flattened list: ``InstanceId.1``, ``InstanceId.2`` and so on."""
    values: list[str] = []
    while (key := f"{name}.{len(values) + 1}") in params:
        values.append(str(params[key]))
    return values


def records(params: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    """The members of a flattened list of structures: ``Tag.1.Key``, ``Tag.1.Value`` and so on."""
    found: dict[int, dict[str, str]] = {}
    prefix = name + "."
    for key, value in params.items():
        if key.startswith(prefix):
            number, _, member = key[len(prefix) :].partition(".")
            if number.isdigit():
                found.setdefault(int(number), {})[member] = str(value)
    return [found[number] for number in sorted(found)]


def is_true(params: Mapping[str, Any], name: str) -> bool:
    """Whether a boolean parameter is set, in any dialect."""
    return str(params.get(name, "")).lower() == "true"


def page(items: Sequence[T], token: str | None, size: int, fault: AwsFault) -> tuple[Sequence[T], str | None]:
    """One page of ``items`` and the token of the next; a token not made here raises ``fault``."""
    start = 0
    if token:
        prefix, _, number = token.partition("-")
        if prefix != "page" or not number.isdigit():
            raise fault
        start = int(number)
    end = start + size
    return items[start:end], f"page-{end}" if end < len(items) else None
