"""A request sent, and its answer read, on a connection that is open already.

Connections are opened by botocore and urllib3: names, TLS, whom to trust, proxies and what goes wrong there are
theirs. What is left is to send some bytes and to have the standard library read the answer. botocore and urllib3
take four times as long for that.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError, SSLError


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``body`` is all of it."""

    status: int
    headers: HTTPMessage
    body: bytes


def exchange(pool: Any, request: bytes, *, method: str, url: str) -> Answer | None:
    """What the server of a urllib3 pool answers to a whole request, head and body.

    None where no connection is open: then nothing was sent. Raises botocore's ReadTimeoutError, SSLError and
    ConnectionClosedError, as botocore does; ``url`` is for their messages. It waits as long as botocore has told
    the connection to.
    """
    connection = pool._get_conn()
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
    finally:
        pool._put_conn(connection)


def _on(connection: Any, request: bytes, method: str) -> Answer:
    # A server may answer and close before it has read everything: that answer counts, if there is one.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sock.sendall(request)
    response = HTTPResponse(connection.sock, method=method)
    with response:
        response.begin()
        answer = Answer(response.status, response.headers, response.read())
        if response.will_close:
            connection.close()
    return answer
