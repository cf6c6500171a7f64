"""A request sent, and its answer read, on a connection that is open already.

Connections are opened by botocore and urllib3: names, TLS, whom to trust, proxies and what goes wrong there are
theirs. What is left is to send some bytes and to have the standard library read the answer. botocore and urllib3
take four times as long for that.
"""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError, SSLError
from urllib3.exceptions import HTTPError

# What sending says where the other side has closed; EPROTOTYPE is macOS's word for it at times.
_CLOSED = (errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE)
# Whoever sends these may have meant to go on: "103 Early Hints" comes before the answer.
_WITHOUT_BODY = (*range(100, 200), 204, 304)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``body`` is all of it."""

    status: int
    headers: HTTPMessage
    body: bytes


def exchange(pool: Any, request: bytes, *, method: str, url: str) -> Answer | None:
    """What the server of a urllib3 pool answers to a whole request, head and body.

    None where no connection is open: then nothing was sent. Raises botocore's ReadTimeoutError, SSLError,
    ConnectionClosedError and HTTPClientError, as botocore does; ``url`` is for their messages. It waits as long as
    botocore has told the connection to.
    """
    try:
        connection = pool._get_conn()
    except HTTPError:
        return None  # closed: that, too, is for botocore to say
    try:
        if connection.sock is None:
            return None
        try:
            return _on(connection, request, method)
        except BaseException:
            # Whatever it was, nobody knows what will be read from it next.
            connection.close()
            raise
    except TimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from error
    except ssl.SSLError as error:
        raise SSLError(endpoint_url=url, error=error) from error
    except (OSError, HTTPException) as error:
        raise ConnectionClosedError(endpoint_url=url, error=error) from error
    except Exception as error:
        # http.client says so of lengths that are none.
        raise HTTPClientError(error=error) from error
    finally:
        pool._put_conn(connection)


def _on(connection: Any, request: bytes, method: str) -> Answer:
    is_sent = True
    try:
        connection.sock.sendall(request)
    except OSError as error:
        # A server may answer and close before it has read everything: that answer counts, if there is one.
        if error.errno not in _CLOSED:
            raise
        is_sent = False
    response = HTTPResponse(connection.sock, method=method)
    with response:
        response.begin()
        _insist_on_one_length(response.headers)
        answer = Answer(response.status, response.headers, response.read())
        if not is_sent or response.will_close or response.status in _WITHOUT_BODY:
            connection.close()
    return answer


def _insist_on_one_length(headers: HTTPMessage) -> None:
    """Where it is not certain where an answer ends, what is left of it would be taken for the next one's."""
    encodings = [each.strip().lower() for each in headers.get_all("transfer-encoding", [])]
    if len(set(headers.get_all("content-length", []))) > 1 or encodings not in ([], ["chunked"]):
        raise HTTPException("an answer of more than one length")
