"""TLS with the context that clients share: it trusts whom botocore would trust, and nobody else."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cado_ops.aws import template
from cado_ops.aws.exchange import Answer
from cado_ops.aws.tls import Trust
from cado_ops.errors import AwsError, Kind
from tests.gateway.fake_aws import Parts, Wire, identity
from tests.stock import use_stock_botocore


class Authority:
    """A CA of the test's own, and certificates of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.bundle = folder / f"{name}.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, host: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the server")])
        certificate = self._signed(subject, key, x509.SubjectAlternativeName([x509.DNSName(host)]))
        file = self._folder / f"{host}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def _signed(self, subject: x509.Name, key: Any, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=True)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return builder.sign(self._key, hashes.SHA256())


@contextmanager
def server(certificate: Path) -> Iterator[tuple[str, list[int]]]:
    """An STS over TLS: its URL, and the requests on each connection so far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = identity().body.encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    requests: list[int] = []

    def serve(plain: socket.socket) -> None:
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                requests.append(0)
                mine, waiting = len(requests) - 1, b""
                while received := secure.recv(65536):
                    waiting += received
                    if b"Version=2011-06-15" in waiting:
                        waiting, requests[mine] = b"", requests[mine] + 1
                        secure.sendall(answer)
        except OSError:
            pass  # the client would not have this certificate

    def accept() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}", requests
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def tunnels() -> Iterator[tuple[str, list[str]]]:
    """A proxy: its URL, and the first lines of what it was asked for."""
    asked: list[str] = []

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while received := source.recv(65536):
                target.sendall(received)
            target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        asked.append(head.decode().splitlines()[0])
        host, port = asked[-1].split()[1].split(":")
        with client, socket.create_connection((host, int(port))) as target:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=pass_on, args=(target, client), daemon=True).start()
            pass_on(client, target)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "another")


@pytest.fixture(params=["shared", "stock"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "stock":
        use_stock_botocore(monkeypatch)
    return str(request.param)


@pytest.mark.usefixtures("own_keys")
class TestOverTls:
    def test_the_bundle_is_trusted(
        self, how: str, authorities: tuple[Authority, Authority], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours, _ = authorities
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ours.bundle))
        with server(ours.server("localhost")) as (url, requests):
            connection = Parts(Wire()).connect(endpoint_url=url, identify=False)
            assert connection.identify().account == "000000000001"
            connection.identify()
        assert requests == [2], "the connection is used again"

    def test_through_a_proxys_tunnel(
        self, how: str, authorities: tuple[Authority, Authority], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The proxy sees where the tunnel goes, and nothing of what is said in it."""
        ours, _ = authorities
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ours.bundle))
        copied: list[Answer | None] = []
        exchange = template.exchange

        def counted(*all: Any, **named: Any) -> Answer | None:
            copied.append(exchange(*all, **named))
            return copied[-1]

        monkeypatch.setattr(template, "exchange", counted)
        with server(ours.server("localhost")) as (url, requests), tunnels() as (proxy, asked):
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            connection = Parts(Wire()).connect(endpoint_url=url, identify=False)
            for _ in range(3):
                assert connection.identify().account == "000000000001"
        assert requests == [3]
        assert [each.split()[:2] for each in asked] == [["CONNECT", url[len("https://") :]]]
        assert len(copied) == (2 if how == "shared" and "STOCK_BOTOCORE" not in os.environ else 0)
        assert None not in copied

    @pytest.mark.parametrize(("bundle", "host"), [(1, "localhost"), (0, "elsewhere.example")])
    def test_nobody_else_is(
        self,
        how: str,
        authorities: tuple[Authority, Authority],
        monkeypatch: pytest.MonkeyPatch,
        bundle: int,
        host: str,
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authorities[bundle].bundle))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with server(authorities[0].server(host)) as (url, _):
            connection = Parts(Wire()).connect(endpoint_url=url, identify=False)
            with pytest.raises(AwsError) as problem:
                connection.identify()
        assert problem.value.kind is Kind.TRANSPORT
        assert "SSL validation failed" in problem.value.message

    def test_a_bundle_that_is_not_there(self, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(AwsError) as problem:
            Parts(Wire()).connect(endpoint_url="https://localhost:9", identify=False).identify()
        assert problem.value.kind is Kind.TRANSPORT


def client(**options: Any) -> Any:
    return botocore.session.Session().create_client(
        "sts", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b", **options
    )


@pytest.mark.skipif("STOCK_BOTOCORE" in os.environ, reason="botocore's own way reads it for each connection")
def test_the_bundle_is_read_once(authorities: tuple[Authority, Authority], monkeypatch: pytest.MonkeyPatch):
    ours, _ = authorities
    read: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *arguments: Any, **named: Any) -> None:
        read.append(named or arguments)
        load(self, *arguments, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    trust = Trust()
    with server(ours.server("localhost")) as (url, requests):
        for _ in range(3):
            each = client(verify=str(ours.bundle), endpoint_url=url)
            assert trust.share(each)
            each.get_caller_identity()
    assert len(requests) == 3, "a connection each"
    assert len(read) == 1


def test_what_brings_its_own_certificates_is_left_alone(authorities: tuple[Authority, Authority]):
    ours, _ = authorities
    certificate = str(ours.server("client.example"))
    left = [
        client(verify=False),
        client(verify=str(ours.bundle), config=Config(client_cert=certificate)),
        client(config=Config(proxies_config={"proxy_ca_bundle": str(ours.bundle)})),
        object(),
    ]
    assert [Trust().share(each) for each in left] == [False] * len(left)
