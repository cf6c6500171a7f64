"""Requests made like the first of their kind, without all that botocore goes through for each.

What a request is made of is the same for every call of an operation in a region: URL, headers, which of them are
signed, and for which scope. Of a call that costs botocore and urllib3 a millisecond, most goes into finding that
out again (docs/performance.md, "What pays"). So botocore makes the first request; those after it get a body,
credentials and a date of their own (`aws.template`). What is no success, botocore reads: its answer is handed to it
as if it had asked.

Where a request cannot be copied, with another botocore say, or while somebody reads the SDK's debug log, all calls
are botocore's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from cado_ops.aws.template import Template, copy_of

# What botocore says of a call, and what would be missing where it is copied.
_LOGS = [
    *(logging.getLogger(f"botocore.{name}") for name in ("auth", "client", "endpoint", "hooks", "parsers")),
    logging.getLogger("urllib3.connectionpool"),
]
# So often it is looked whether a request can be copied: where credentials were renewed meanwhile, it seems not so.
_LOOKS = 3


@dataclass
class _Call:
    """A call of botocore's that is under way: the request that it is about to send, and an answer to hand to it."""

    request: Any = None
    answer: Any = None


_call: ContextVar[_Call | None] = ContextVar("cado_ops_call", default=None)


def take_part(request: Any, **_: Any) -> Any:
    """The handler of ``before-send`` that every client of `Operation` needs."""
    call = _call.get()
    if call is None:
        return None
    call.request = request
    return call.answer


class Operation:
    """One operation of a botocore client, which has `take_part` registered. Safe to use from many threads."""

    def __init__(self, client: Any, action: str) -> None:
        self._client = client
        self._action = action
        self._method = getattr(client, xform_name(action))
        # With a session token in the request, and without.
        self._templates: dict[bool, Template] = {}
        self._looks = 0

    def __call__(self, parameters: Mapping[str, Any], credentials: Any) -> dict[str, Any]:
        """The answer, as the client's method gives it. Raises what that raises."""
        template = None
        if not any(log.isEnabledFor(logging.DEBUG) for log in _LOGS):
            frozen = credentials.get_frozen_credentials()
            template = self._templates.get(bool(frozen.token))
            if template is None and self._looks < _LOOKS:
                return self._first(parameters, frozen)
        answer = template.send(parameters, frozen) if template else None
        if template is None or answer is None:
            told: dict[str, Any] = self._method(**parameters)
            return told
        if answer.status == 200:
            return template.read(answer)
        return self._botocores(parameters, _Call(answer=template.as_botocores(answer)))

    def _first(self, parameters: Mapping[str, Any], frozen: Any) -> dict[str, Any]:
        call = _Call()
        try:
            return self._botocores(parameters, call)
        finally:
            if call.request is not None:
                self._looks += 1
                template = copy_of(self._client, self._action, call.request, parameters, frozen)
                if template is not None:
                    self._templates[bool(frozen.token)] = template
                    self._looks = 0

    def _botocores(self, parameters: Mapping[str, Any], call: _Call) -> dict[str, Any]:
        token = _call.set(call)
        try:
            told: dict[str, Any] = self._method(**parameters)
            return told
        finally:
            _call.reset(token)
