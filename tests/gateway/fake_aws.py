"""AWS below the HTTP layer: requests are built, signed and parsed as ever, and no byte leaves the process.

Whoever built it, each request's signature is checked by botocore's signer.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse, HeadersDict
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from cado_ops.aws import exchange, template
from cado_ops.aws.connection import Connection
from cado_ops.aws.credentials import Roles

HOME = "000000000001"
HOME_KEY = "AKIAHOME"
ASSUMED_SECRET = "s"
# Of the keys that no role was assumed for.
SECRETS = {HOME_KEY: "secret"}
START = datetime(2026, 11, 23, 17, 45, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """What was sent: the API call, and under whose key it was signed."""

    service: str
    region: str
    action: str
    parameters: Mapping[str, Any]
    key: str
    token: str | None
    host: str


@dataclass(frozen=True)
class Answer:
    body: str
    status: int = 200
    # Without a request id it is not AWS's.
    headers: Mapping[str, str] = field(default_factory=lambda: {"x-amzn-RequestId": "r-1"})


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body


def xml(action: str, inner: str = "") -> Answer:
    return Answer(f"<{action}Response><requestId>r-1</requestId>{inner}</{action}Response>")


def sts(action: str, inner: str) -> Answer:
    return Answer(
        f"<{action}Response><{action}Result>{inner}</{action}Result>"
        f"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{action}Response>"
    )


def ec2_error(code: str, message: str = "words", status: int = 400) -> Answer:
    body = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        "<RequestID>r-error</RequestID></Response>"
    )
    return Answer(body, status)


def sts_error(code: str, message: str = "words", status: int = 403) -> Answer:
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>r-error</RequestId></ErrorResponse>"
    )
    return Answer(body, status)


def assumed(account: str, expires: datetime, generation: int = 1, partition: str = "aws") -> Answer:
    return sts(
        "AssumeRole",
        f"<Credentials><AccessKeyId>ASIA{account}G{generation}</AccessKeyId><SecretAccessKey>{ASSUMED_SECRET}</SecretAccessKey>"
        f"<SessionToken>token-{account}-{generation}</SessionToken>"
        f"<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
        f"<AssumedRoleUser><AssumedRoleId>AROAX:s</AssumedRoleId>"
        f"<Arn>arn:{partition}:sts::{account}:assumed-role/Ops/s</Arn></AssumedRoleUser>",
    )


def identity(arn: str = f"arn:aws:iam::{HOME}:user/me") -> Answer:
    account = arn.split(":")[4]
    return sts("GetCallerIdentity", f"<Arn>{arn}</Arn><UserId>U</UserId><Account>{account}</Account>")


Reply = Callable[[Request], Answer | BaseException]


@dataclass
class Wire:
    """The other end: remembers every request, and answers as ``replies`` say, by action.

    STS answers by itself unless told otherwise: every role can be assumed, for an hour of `now`.
    """

    requests: list[Request] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)
    now: datetime = START
    caller: str = f"arn:aws:iam::{HOME}:user/me"
    generations: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Requests that were not made by botocore.
    copied: int = 0

    def reply(self, action: str, *answers: Answer | BaseException) -> None:
        """Answers ``action`` with these, one after the other; the last one for good."""
        queue = list(answers)
        self.replies[action] = lambda request: queue.pop(0) if len(queue) > 1 else queue[0]

    def of(self, action: str) -> list[Request]:
        return [request for request in self.requests if request.action == action]

    def send(self, _session: Any, prepared: Any) -> AWSResponse:
        """In place of botocore's sending of a request."""
        answer = self._take(prepared)
        return AWSResponse(prepared.url, answer.status, HeadersDict(answer.headers), _Raw(answer.body.encode()))

    def exchange(self, _pool: Any, request: bytes, *, method: str, url: str) -> exchange.Answer:
        """In place of `aws.exchange`: a request that was copied from one of botocore's."""
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first == f"{method} / HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines)
        assert headers.pop("Host") == urlsplit(url).netloc
        assert headers.pop("Accept-Encoding") == "identity"
        assert headers["Content-Length"] == str(len(body))
        answer = self._take(AWSPreparedRequest(method, url, HeadersDict(headers), body, False))
        with self.lock:
            self.copied += 1
        told = HTTPMessage()
        for name, value in answer.headers.items():
            told[name] = value
        return exchange.Answer(answer.status, told, answer.body.encode())

    def play(self, patch: pytest.MonkeyPatch) -> None:
        """Has every connection end here."""
        patch.setattr(URLLib3Session, "send", lambda session, prepared: self.send(session, prepared))
        patch.setattr(template, "exchange", self.exchange)

    def _take(self, prepared: Any) -> Answer:
        request = _parse(prepared)
        with self.lock:
            self.requests.append(request)
            answer = self._answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _answer(self, request: Request) -> Answer | BaseException:
        reply = self.replies.get(request.action)
        if reply is not None:
            return reply(request)
        if request.action == "GetCallerIdentity":
            return identity(self.caller)
        if request.action == "AssumeRole":
            account = request.parameters["RoleArn"].split(":")[4]
            self.generations[account] = self.generations.get(account, 0) + 1
            return assumed(account, self.now + timedelta(hours=1), self.generations[account])
        empty = {"DescribeInstances": "<reservationSet/>", "DescribeTags": "<tagSet/>"}
        return xml(request.action, empty.get(request.action, ""))


def _parse(prepared: Any) -> Request:
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in prepared.headers.items()
    }
    scope = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", headers["authorization"])
    assert scope is not None
    body = prepared.body.decode() if isinstance(prepared.body, bytes) else prepared.body
    assert headers["authorization"].endswith(_signature(prepared.url, headers, body, scope))
    if "x-amz-target" in headers:
        action = headers["x-amz-target"].partition(".")[2]
        parameters = json.loads(body)
    else:
        parameters = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))
        action = parameters.pop("Action")
        parameters.pop("Version")
    return Request(
        service=scope[3],
        region=scope[2],
        action=action,
        parameters=parameters,
        key=scope[1],
        token=headers.get("x-amz-security-token"),
        host=urlsplit(prepared.url).hostname or "",
    )


def _signature(url: str, headers: Mapping[str, str], body: str, scope: re.Match[str]) -> str:
    """What botocore signs such a request with, in the name of whose key it bears."""
    key, region, service = scope.groups()
    secret = SECRETS.get(key, ASSUMED_SECRET)
    signer = SigV4Auth(Credentials(key, secret, headers.get("x-amz-security-token")), service, region)
    signed = re.search(r"SignedHeaders=([^,]+),", headers["authorization"])
    assert signed is not None
    kept = {name: value for name, value in headers.items() if name in signed[1].split(";")}
    request = AWSRequest("POST", url, kept, body.encode())
    request.context["timestamp"] = headers["x-amz-date"]
    signature: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return signature


@dataclass
class Parts:
    """What a Connection is given: a clock that only tests and sleeps move."""

    wire: Wire
    slept: list[float] = field(default_factory=list)
    time: float = 0.0
    stopped: bool = False

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def connect(self, roles: Roles | None = None, *, identify: bool = True, **options: Any) -> Connection:
        settings: dict[str, Any] = {
            "profile": None,
            "endpoint_url": None,
            "region": "eu-west-1",
            "max_concurrency": 32,
            "now": lambda: self.wire.now,
            "clock": lambda: self.time,
            "sleep": self.sleep,
            "rng": random.Random(7),
            "stopped": lambda: self.stopped,
        }
        connection = Connection(roles=roles or Roles("cado-ops", role_name="Ops"), **(settings | options))
        if identify:
            connection.identify()
        self.wire.requests.clear()
        return connection
