"""A request and its answer on a connection that is open: what counts as an answer, and what becomes of the rest."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import pytest
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError, SSLError
from urllib3 import HTTPConnectionPool
from urllib3.util import Timeout

from cado_ops.aws.exchange import exchange
from cado_ops.aws.retry import Again, classify

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nX-Amzn-RequestId: r\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
URL = "http://x/"


class Server:
    """Answers each request with the next of some answers, byte for byte, and closes after the last."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.ended = threading.Event()
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection, suppress(OSError):
            while self._answers and (received := self._request(connection)):
                self.requests.append(received)
                connection.sendall(self._answers.pop(0))
        self.ended.set()

    def _request(self, connection: socket.socket) -> bytes:
        received = b""
        while not received.endswith((b"body", b"\r\n\r\n")):
            more = connection.recv(4096)
            if not more:
                return b""
            received += more
        return received

    def close(self) -> None:
        self._listening.close()


@contextmanager
def answering(*answers: bytes, read: float = 20) -> Iterator[tuple[HTTPConnectionPool, Server]]:
    """A pool with one connection that is open, for one request has been answered."""
    server = Server(OK, *answers)
    with HTTPConnectionPool("127.0.0.1", server.port, timeout=Timeout(connect=20, read=read)) as pool:
        pool.urlopen("POST", "/", preload_content=True)
        yield pool, server
    server.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, (200, b"ok")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"")),
        (b"HTTP/1.1 503 Slow Down\r\nContent-Length: 3\r\n\r\nno!", (503, b"no!")),
        (CHUNKED + b"2\r\nin\r\n7;x=y\r\n pieces\r\n0\r\n\r\n", (200, b"in pieces")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
        # Cut short, but no more so than for botocore: it is who reads it that will not have it.
        (b"HTTP/1.1 200 OK\r\nContent-Le", (200, b"")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000, (200, b"x" * 300_000)),
    ],
)  # fmt: skip
def test_an_answer(answer: bytes, expected: tuple[int, bytes]):
    with answering(answer) as (pool, server):
        told = exchange(pool, REQUEST, method="POST", url=URL)
        assert told is not None
        assert (told.status, told.body) == expected
        assert server.requests[1:] == [REQUEST]


def test_one_after_the_other_on_the_same_connection():
    with answering(OK, OK, OK) as (pool, server):
        for _ in range(3):
            told = exchange(pool, REQUEST, method="POST", url=URL)
            assert told is not None
            assert told.headers["x-amzn-requestid"] == "r"
    assert server.requests[1:] == [REQUEST] * 3
    assert pool.num_connections == 1


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTT",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        CHUNKED + b"5\r\nhalf",
        CHUNKED + b"no number\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 never OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-More: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_answer_closes_the_connection(cut: bytes):
    with answering(cut) as (pool, _):
        with pytest.raises(ConnectionClosedError, match="http://x/"):
            exchange(pool, REQUEST, method="POST", url=URL)
        assert exchange(pool, REQUEST, method="POST", url=URL) is None


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"-5\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_lengths_that_are_none_are_a_lost_answer(answer: bytes):
    """It is asked for again, on another connection."""
    with answering(answer, b"") as (pool, _):
        with pytest.raises((HTTPClientError, ConnectionClosedError)) as problem:
            exchange(pool, REQUEST, method="POST", url=URL)
        assert classify("CreateTags", problem.value) is Again.TRANSIENT
        assert exchange(pool, REQUEST, method="POST", url=URL) is None


@pytest.mark.parametrize(
    "line", ["103 Early Hints", "101 Switching Protocols", "204 No Content", "304 Not Modified"]
)
def test_what_may_come_after_an_answer_is_nobodys(line: str):
    with answering(f"HTTP/1.1 {line}\r\n\r\n".encode(), OK) as (pool, server):
        told = exchange(pool, REQUEST, method="POST", url=URL)
        assert told is not None
        assert (told.status, told.body) == (int(line[:3]), b"")
        assert exchange(pool, REQUEST, method="POST", url=URL) is None
    assert len(server.requests) == 2


def test_no_answer_in_time():
    with answering(OK[:-1], b"", read=0.05) as (pool, _):
        with pytest.raises(ReadTimeoutError, match="http://x/"):
            exchange(pool, REQUEST, method="POST", url=URL)
        assert exchange(pool, REQUEST, method="POST", url=URL) is None


def test_a_server_that_closes_after_its_answer_is_not_asked_again():
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with answering(last, OK) as (pool, server):
        told = exchange(pool, REQUEST, method="POST", url=URL)
        assert told is not None
        assert exchange(pool, REQUEST, method="POST", url=URL) is None
    assert len(server.requests) == 2


def test_a_connection_that_was_closed_meanwhile():
    with answering() as (pool, server):
        assert server.ended.wait(20)
        assert exchange(pool, REQUEST, method="POST", url=URL) is None


def test_where_none_is_open_nothing_is_sent():
    with HTTPConnectionPool("127.0.0.1", 9) as pool:
        assert exchange(pool, REQUEST, method="POST", url=URL) is None
        assert pool.pool is not None
        assert pool.pool.qsize() == 1, "its place is given back"


def test_an_interruption_closes_the_connection(monkeypatch: pytest.MonkeyPatch):
    with answering(OK) as (pool, _):
        monkeypatch.setattr("cado_ops.aws.exchange.HTTPResponse", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            exchange(pool, REQUEST, method="POST", url=URL)
        assert exchange(pool, REQUEST, method="POST", url=URL) is None


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


class Socket:
    """One that fails to send in some way, and has an answer to be read all the same."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def sendall(self, _: bytes) -> None:
        raise self._error

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(OK)


class Pool:
    """One connection, as urllib3 has it."""

    def __init__(self, sock: Socket) -> None:
        self.sock: Socket | None = sock
        self.put: list[Pool] = []

    def _get_conn(self) -> Pool:
        return self

    def _put_conn(self, connection: Pool) -> None:
        self.put.append(connection)

    def close(self) -> None:
        self.sock = None


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE])
def test_an_answer_that_came_before_all_was_sent(number: int):
    pool = Pool(Socket(OSError(number, "closed")))
    told = exchange(pool, REQUEST, method="POST", url=URL)
    assert told is not None
    assert told.body == b"ok"
    assert pool.sock is None, "half a request was sent on it"
    assert pool.put == [pool]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ssl.SSLError("bad record"), SSLError),
        (TimeoutError("slow"), ReadTimeoutError),
        (OSError(errno.ENETDOWN, "down"), ConnectionClosedError),
    ],
)
def test_what_cannot_be_sent(error: OSError, expected: type[Exception]):
    pool = Pool(Socket(error))
    with pytest.raises(expected):
        exchange(pool, REQUEST, method="POST", url=URL)
    assert pool.sock is None
    assert pool.put == [pool]


def test_a_pool_that_is_closed():
    with answering(OK) as (pool, server):
        pool.close()
        assert exchange(pool, REQUEST, method="POST", url=URL) is None
    assert len(server.requests) == 1
