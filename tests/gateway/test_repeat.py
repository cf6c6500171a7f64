"""Requests copied from one of botocore's: the same on the wire, and only where botocore would send the same."""

from __future__ import annotations

import logging
import os
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cado_ops.aws import repeat, template
from cado_ops.aws.connection import Connection
from cado_ops.errors import AwsError
from tests.gateway.fake_aws import HOME, Answer, Parts, Wire, assumed

ACCOUNT = "222222222222"
REGION = "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2", "DescribeInstances", {"Filters": [{"Name": "tag:Größe", "Values": ["a b", "*&=+%"]}], "MaxResults": 5}),
    ("ec2", "DescribeInstances", {"MaxResults": 1000, "NextToken": "x==/+"}),
    ("ec2", "CreateTags", {"Resources": ["i-1", "i-2"], "Tags": [{"Key": "a", "Value": ""}], "DryRun": False}),
    ("ec2", "CreateTags", {"Resources": ["i-3"], "Tags": [{"Key": "cado-ops/claim/1", "Value": "x y"}]}),
    ("ec2", "DescribeTags", {}),
    ("kms", "ListGrants", {"KeyId": KEY, "Limit": 50}),
    ("kms", "CreateGrant", {"KeyId": KEY, "GranteePrincipal": "r", "Operations": ["Decrypt"], "Name": "größe"}),
    ("kms", "DescribeKey", {"KeyId": KEY}),
]

pytestmark = [
    pytest.mark.usefixtures("own_keys"),
    pytest.mark.skipif("STOCK_BOTOCORE" in os.environ, reason="every request is botocore's then"),
]


def call(connection: Connection, action: str = "DescribeTags", account: str = ACCOUNT, **parameters: Any) -> Any:
    return connection.call(account, "ec2", REGION, action, parameters)


class Recorder:
    """A server on loopback that keeps all it is sent, and says that all is well."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        recorder = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    head = line
                    while (line := self.rfile.readline()) != b"\r\n":
                        head += line
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    assert length is not None
                    body = self.rfile.read(int(length[1]))
                    recorder.requests.append(head + b"\r\n" + body)
                    said = b"{}" if b"X-Amz-Target" in head else b"<R><requestId>r</requestId></R>"
                    if b"AssumeRole" in body:
                        said = assumed(ACCOUNT, datetime(2100, 1, 1, tzinfo=UTC)).body.encode()
                    self.wfile.write(
                        b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nContent-Length: %d\r\n\r\n%s"
                        % (len(said), said)
                    )

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def recording() -> Iterator[Recorder]:
    recorder = Recorder()
    with recorder.server:
        threading.Thread(target=recorder.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield recorder
        recorder.server.shutdown()


def on_the_wire(times: int, copied: list[bytes]) -> list[bytes]:
    """What is sent for each of CALLS, the last of so many times; without what is random in it.

    The last of several is among those that were ``copied``, the first is not.
    """
    with recording() as recorder:
        connection = Parts(Wire()).connect(endpoint_url=recorder.url, identify=False)
        connection.credentials.home_account = HOME
        sent = []
        for account in (ACCOUNT, HOME):
            for service, action, parameters in CALLS:
                for _ in range(times):
                    connection.call(account, service, REGION, action, parameters)
                assert (recorder.requests[-1] in copied) is (times > 1)
                sent.append(recorder.requests[-1].replace(recorder.url[7:].encode(), b"HOST"))
    return [re.sub(rb"(invocation-id: )[0-9a-f-]{36}\r", rb"\1\r", each) for each in sent]


def test_the_bytes_on_the_wire_are_botocores(monkeypatch: pytest.MonkeyPatch):
    copied: list[bytes] = []
    exchange = template.exchange

    def counted(pool: Any, request: bytes, **more: str) -> Any:
        answer = exchange(pool, request, **more)
        copied.extend([request] * (answer is not None))
        return answer

    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    for name in ("cado_ops.aws.template.get_current_datetime", "botocore.auth.get_current_datetime"):
        monkeypatch.setattr(name, lambda *_, **__: noon)
    # Signed, too: the host is.
    monkeypatch.setattr("cado_ops.aws.template._host", lambda _: "HOST")
    monkeypatch.setattr("botocore.auth._host_from_url", lambda _: "HOST")
    monkeypatch.setattr(template, "exchange", counted)
    ours = on_the_wire(3, copied)
    copied.clear()
    monkeypatch.setattr(repeat, "copy_of", lambda *_: None)
    botocores = on_the_wire(1, copied)
    assert copied == []
    for mine, stock in zip(ours, botocores, strict=True):
        assert mine.replace(b"Host: HOST\r\n", b"") == re.sub(rb"Host: \S+\r\n", b"", stock)


@given(some.dictionaries(some.text(min_size=1), some.text() | some.integers() | some.booleans(), max_size=5))
def test_a_form_is_urlencodes(said: dict[str, Any]):
    assert template._form(said) == urlencode(said, doseq=True).encode()


class TestWhatIsCopied:
    def test_all_but_the_first(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        before = wire.copied
        for number in range(5):
            call(connection, Filters=[{"Name": "key", "Values": [str(number)]}])
        assert wire.copied - before == 4
        assert [request.parameters["Filter.1.Value.1"] for request in wire.of("DescribeTags")] == list("01234")

    def test_with_a_session_token_and_without(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        before = wire.copied
        for account in (ACCOUNT, HOME, "333333333333", HOME, ACCOUNT):
            call(connection, account=account)
        # DescribeTags for the second time in an account with a token, and without; and AssumeRole.
        assert wire.copied - before == 3 + 1
        assert [request.token for request in wire.of("DescribeTags")] == [
            f"token-{ACCOUNT}-1", None, "token-333333333333-1", None, f"token-{ACCOUNT}-1",
        ]  # fmt: skip

    def test_not_where_an_answer_is_read_in_another_way(self, wire: Wire, parts: Parts) -> None:
        """IAM's policies come quoted; botocore unquotes them after it has parsed the rest."""
        connection = parts.connect()
        before = wire.copied
        document = "<AssumeRolePolicyDocument>%7B%22a%22%3A1%7D</AssumeRolePolicyDocument>"
        wire.reply(
            "GetRole",
            Answer(f"<GetRoleResponse><GetRoleResult><Role>{document}</Role></GetRoleResult></GetRoleResponse>"),
        )
        for _ in range(5):
            answer = connection.call(ACCOUNT, "iam", "us-east-1", "GetRole", {"RoleName": "R"})
            assert answer["Role"]["AssumeRolePolicyDocument"] == {"a": 1}
        assert wire.copied == before

    @pytest.mark.parametrize("event", template._EVENTS)
    def test_not_where_somebody_takes_part(self, wire: Wire, parts: Parts, event: str) -> None:
        heard: list[str] = []
        connection = parts.connect()
        before = wire.copied
        connection._client("ec2", REGION).meta.events.register(
            f"{event}.ec2.DescribeTags", lambda event_name, **_: heard.append(event_name)
        )
        for _ in range(5):
            call(connection)
        assert wire.copied == before
        # EC2's endpoints are not asked about call by call, and these calls do not fail.
        is_silent = event in ("before-endpoint-resolution", "after-call-error")
        assert len(heard) == (0 if is_silent else 5)

    def test_not_under_an_endpoint_with_a_path(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect(endpoint_url="http://localhost:1/aws")
        before = wire.copied
        for _ in range(5):
            call(connection)
        assert wire.copied == before

    @pytest.mark.parametrize(("proxy", "copied"), [("http://localhost:3128", 0), ("", 4)])
    def test_not_where_a_proxy_is_asked_for_the_whole_url(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch, proxy: str, copied: int
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        connection = parts.connect(endpoint_url="http://aws.example:1")
        before = wire.copied
        for _ in range(5):
            call(connection)
        assert wire.copied - before == copied

    def test_not_while_the_debug_log_is_read(
        self, wire: Wire, parts: Parts, caplog: pytest.LogCaptureFixture
    ) -> None:
        connection = parts.connect()
        for _ in range(2):
            call(connection)
        before = wire.copied
        assert before
        with caplog.at_level(logging.DEBUG, "botocore"):
            call(connection)
        assert wire.copied == before
        assert any("DescribeTags" in record.getMessage() for record in caplog.records)

    def test_parameters_that_botocore_refuses(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        for _ in range(2):
            call(connection)
        sent = len(wire.requests)
        with pytest.raises(AwsError, match="Invalid type for parameter MaxResults"):
            call(connection, MaxResults="many")
        assert len(wire.requests) == sent

    def test_a_token_that_would_begin_another_header(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        for _ in range(2):
            call(connection)
        before = wire.copied
        assert before
        connection.credentials.get(ACCOUNT).token = "token\r\nX-More: 1"
        call(connection)
        assert wire.copied == before


class TestAnotherBotocore:
    """It costs time, and nothing else."""

    @pytest.mark.parametrize(
        "missing",
        [
            "botocore.httpsession.URLLib3Session._get_request_target",
            "botocore.httpsession.URLLib3Session._get_connection_manager",
            "botocore.hooks.EventAliaser._alias_event_name",
        ],
    )
    def test_without_what_is_looked_at(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch, missing: str
    ) -> None:
        looked_at: list[tuple[Any, ...]] = []
        with monkeypatch.context() as patch:
            patch.setattr(repeat, "copy_of", lambda *all: looked_at.append(all))
            call(parts.connect())
        [*_, first] = looked_at
        assert first[1] == "DescribeTags"
        assert template.copy_of(*first) is not None
        monkeypatch.delattr(missing)
        assert template.copy_of(*first) is None

    def test_with_another_session_of_http(self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(template, "URLLib3Session", None)
        self._is_left_alone(wire, parts)

    @pytest.mark.parametrize(
        ("name", "other"),
        [
            ("authorization", lambda *_, **__: "AWS4-HMAC-SHA256 Credential=another"),
            ("_form", lambda said: urlencode({**said, "More": "1"}).encode()),
            ("_host", lambda url: "another.example"),
            ("_KEPT_HEADERS", frozenset({"content-type", "user-agent"})),
            ("_PROTOCOLS", frozenset({"json"})),
        ],
    )
    def test_that_makes_other_requests(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch, name: str, other: Any
    ) -> None:
        monkeypatch.setattr(template, name, other)
        self._is_left_alone(wire, parts)

    def test_it_is_not_looked_at_for_ever(self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[str] = []
        monkeypatch.setattr(repeat, "copy_of", lambda client, action, *_: looks.append(action))
        self._is_left_alone(wire, parts, times=50)
        assert looks.count("DescribeTags") == repeat._LOOKS

    def _is_left_alone(self, wire: Wire, parts: Parts, times: int = 5) -> None:
        connection = parts.connect()
        before = wire.copied
        wire.requests.clear()
        for _ in range(times):
            call(connection)
        assert wire.copied == before
        assert len(wire.of("DescribeTags")) == times
