"""ministack, and one thing more: sessions can be made to end. Runs in ministack's interpreter, not in the tests'.

POST /_test/expire-sessions/ACCOUNT ends all sessions of an account's roles at once. With ministack alone a test
would have to wait for it.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from ministack import app as ministack
from ministack.services import sts

EXPIRE = "/_test/expire-sessions/"

_serve = ministack.app


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope.get("path", "")
    if scope["type"] != "http" or not path.startswith(EXPIRE):
        await _serve(scope, receive, send)
        return
    for session in sts._sessions.values():
        if session["AccountId"] == path.removeprefix(EXPIRE):
            session["Expiration"] = 0.0
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _end_with_the_tests() -> None:
    """Whatever becomes of pytest, even a SIGKILL: its end of stdin closes with it."""
    sys.stdin.buffer.read()
    os._exit(0)


# ministack forgets an ended session as soon as another begins, and then calls its key unknown. AWS goes on calling
# it expired, which matters to whoever is still on the way with it.
sts._evict_expired_sessions = lambda: None
threading.Thread(target=_end_with_the_tests, daemon=True).start()
ministack.app = app
ministack.main()
