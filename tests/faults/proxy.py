"""A proxy that lies: real HTTP between a client and the sandbox, wrong in the ways that a `Schedule` says.

It stands in the sandbox's own process and hands requests on to it there: a second hop would prove nothing more.

It knows of an account what it sees: which keys AssumeRole gave out. What it holds back (changes that are seen late)
takes its effect after so many reads, never by the clock: nothing here waits longer than a client that hangs up.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cado_ops.sandbox.protocol import RequestInfo, answer_ec2, answer_json, listed, parse_request, records
from tests.faults.schedule import Asked, Fault, Schedule

WRITES = {"CreateTags", "DeleteTags", "CreateGrant", "RetireGrant", "RevokeGrant"}
# Without these nothing of an account can be asked.
SESSIONS = ("AssumeRole", "GetCallerIdentity")
READS = {"ec2": ("DescribeTags", "DescribeInstances"), "kms": ("ListGrants", "ListRetirableGrants")}
THROTTLES = {
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "sts": ("Throttling", "Rate exceeded", 400),
    "iam": ("Throttling", "Rate exceeded", 400),
    "organizations": ("TooManyRequestsException", "Too many requests", 400),
}
THROTTLE = ("ThrottlingException", "Rate exceeded", 400)
PORTAL = b"<!DOCTYPE html><html><head><title>Login</title></head><body><p>Please log in.</body></html>"
_PAGED = ("DescribeInstances", "DescribeTags", "DescribeVolumes", "DescribeSnapshots")
_TOKEN = re.compile(rb'(<nextToken>|"NextMarker": ?")page-(\d+)')

Body = tuple[int, dict[str, str], bytes]


@dataclass(slots=True)
class Seen:
    """One request that changes something. ``effect``: AWS did it; ``told``: the client got a true answer.

    ``tags`` are those that it sets or removes, ``made`` is the grant that AWS made for it.
    """

    account: str
    region: str
    action: str
    subjects: tuple[str, ...]
    tags: frozenset[tuple[str, str]]
    effect: bool
    told: bool
    made: str | None = None


@dataclass
class _Held:
    """Changes that were accepted and are not seen yet, and after how many reads they are."""

    requests: list[tuple[RequestInfo, bytes]] = field(default_factory=list)
    hidden: dict[str, int] = field(default_factory=dict)
    reads_left: int = 0


class Proxy:
    """Serves on loopback for as long as the context lasts. ``upstream`` answers (method, target, headers, body)."""

    def __init__(
        self, upstream: Callable[[str, str, Mapping[str, str], bytes], Body], home: str, home_key: str
    ) -> None:
        self._upstream = upstream
        self._home, self._home_key = home, home_key
        self._lock = threading.RLock()
        # Called whenever AWS may have changed something, and before, with what the change is about.
        self.after_write: Callable[[], None] = lambda: None
        self.before_write: Callable[[Asked, tuple[str, ...]], None] = lambda asked, subjects: None
        # What each thread answers.
        self._mine = threading.local()
        self.load(Schedule())

    def load(self, schedule: Schedule) -> None:
        """Forgets everything, and lies by this schedule from now on."""
        with self._lock:
            self.schedule = schedule
            self.keys: dict[str, str] = {self._home_key: self._home}
            self.faults: Counter[Fault] = Counter()
            # What met a fault: (account, region).
            self.hurt: set[tuple[str, str]] = set()
            # What cannot be seen whole; the region is "" where it is all of the account.
            self.blind: set[tuple[str, str]] = set()
            # Where a page was left out, so that nobody can know what was on it.
            self.skipped: set[tuple[str, str]] = set()
            self.requests: Counter[tuple[str, str, str]] = Counter()
            self.writes: list[Seen] = []
            # The same, of all commands.
            self.history: list[Seen] = []
            self._asked: Counter[tuple[str, ...]] = Counter()
            self._tokens: dict[tuple[str, str, str], float] = {}
            self._used: Counter[str] = Counter()
            self._dead_keys: set[str] = set()
            self._died: Counter[str] = Counter()
            self._dead_ids: Counter[str] = Counter()
            self._turned: set[tuple[str, ...]] = set()
            self._held: defaultdict[tuple[str, str, str], _Held] = defaultdict(_Held)

    def forget_requests(self) -> None:
        """A new command begins: its requests are counted from here."""
        with self._lock:
            self.requests.clear()
            self.writes.clear()
            self.blind.clear()
            self.skipped.clear()

    def stop_lying(self) -> None:
        """From here on every answer is a good one, and what was held back is seen."""
        with self._lock:
            self.schedule = Schedule()
            self._dead_keys.clear()
            for held in self._held.values():
                self._release(held)
                held.hidden.clear()

    # ------------------------------------------------------------------ one request

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Body, Fault | None]:
        """The answer to a request, and what is to be done to it on the wire."""
        request = parse_request(method, target, headers, body)
        with self._lock:
            request.account = self.keys.get(request.access_key, "")
            account = request.account
            if request.action == "AssumeRole":
                account = (str(request.params.get("RoleArn", "")).split(":") + [""] * 5)[4]
            content = _content_of(request)
            place = (account, request.region, request.action, content)
            asked = Asked(*place, self._asked[place])
            self._asked[place] += 1
            self._mine.asked, self._mine.seen = asked, None
            self.requests[account, request.region, request.action] += 1
            refusal = self._refusal(request, asked)
            wrong = None if refusal else self.schedule.answer(asked)
        if wrong is not None:
            self._note(wrong, asked)
        if refusal is not None:
            gone = request.region == self.schedule.down and self.schedule.unreachable
            gone = gone and request.service not in ("sts", "iam")
            self._wrote(request, told=not gone)
            return refusal, Fault.RESET_BEFORE if gone else None
        if wrong is Fault.SERVER_ERROR:
            status = self.schedule.status(asked)
            self._wrote(request, told=False)
            return _server_error(request, status), None
        if wrong in (Fault.RESET_BEFORE, Fault.SLOW_BEFORE):
            self._wrote(request, told=False)
            return (200, {}, b""), wrong
        if wrong is Fault.WRONG_TYPE:
            self._wrote(request, told=False)
            return (200, {"Content-Type": "text/html"}, PORTAL), None
        answer = self._forward(request, asked)
        self._wrote(request, answer, told=wrong is None)
        if wrong is Fault.EMPTY:
            return (answer[0], answer[1], b""), None
        if wrong is Fault.TRUNCATED and self.schedule.status(asked) == 500:
            # Cut short by somebody who then counted again: the length is right, and the text ends in the middle.
            return (answer[0], answer[1], answer[2][: len(answer[2]) // 2]), None
        return answer, wrong

    def _refusal(self, request: RequestInfo, asked: Asked) -> Body | None:
        """An error that AWS gives before it looks at what is asked for."""
        schedule, key = self.schedule, request.access_key
        if schedule.down is not None and request.region == schedule.down and request.service not in ("sts", "iam"):
            self._note(Fault.REGION_DOWN, asked)
            return _server_error(request, 503)
        if request.action == "AssumeRole" and asked.account in schedule.refused:
            self._note(Fault.ROLE_REFUSED, asked)
            text = f"User: {request.arn} is not authorized to perform: sts:AssumeRole on resource: a role"
            return request.error("AccessDenied", text, 403)
        after = schedule.expiring.get(request.account or "")
        if after is not None:
            self._used[key] += 1
            if self._used[key] > after and (not self._died[request.account or ""] or key in self._dead_keys):
                self._died[request.account or ""] += 1
                self._dead_keys.add(key)
        if key in self._dead_keys:
            self._note(Fault.EXPIRED, asked)
            return _expired(request)
        if (
            schedule.bucket is not None
            and schedule.concerns(asked.account)
            and request.action != "GetCallerIdentity"
        ):
            size, refill = schedule.bucket
            place = (asked.account, asked.region, asked.action)
            left = self._tokens.get(place, float(size))
            if left < 1:
                # A client that is refused waits: that is time for new tokens.
                self._tokens[place] = min(max(1.0, size), left + refill)
                self._note(Fault.THROTTLED, asked)
                return request.error(*THROTTLES.get(request.service, THROTTLE))
            self._tokens[place] = left - 1
        if schedule.dead and request.action in ("CreateTags", "DeleteTags") and not _is_dry(request):
            gone = [each for each in _subjects(request) if schedule.is_dead(each)]
            gone = [each for each in gone if self._dead_ids[each] < schedule.dead_times]
            if gone:
                self._dead_ids.update(gone)
                self._note(Fault.DEAD_ID, asked)
                many = f"s '{', '.join(gone)}' do" if len(gone) > 1 else f" '{gone[0]}' does"
                return request.error("InvalidInstanceID.NotFound", f"The instance ID{many} not exist")
        return None

    def _note(self, fault: Fault, asked: Asked) -> None:
        with self._lock:
            self.faults[fault] += 1
            self.hurt.add((asked.account, asked.region))
            if asked.action in SESSIONS or fault is Fault.EXPIRED:
                self.blind.add((asked.account, ""))
            elif asked.action not in WRITES or fault is Fault.LATE:
                self.blind.add((asked.account, asked.region))

    def not_heard(self) -> None:
        """The client hung up before this thread's answer: on a busy machine one with little patience does."""
        with self._lock:
            asked = self._mine.asked
            self.blind.add((asked.account, "" if asked.action in SESSIONS else asked.region))
            if self._mine.seen is not None:
                self._mine.seen.told = False

    def _wrote(self, request: RequestInfo, answer: Body | None = None, *, told: bool) -> None:
        if request.action in WRITES and not _is_dry(request):
            effect = answer is not None and answer[0] == 200
            made = None
            if answer is not None and effect and request.action == "CreateGrant":
                made = json.loads(answer[2])["GrantId"]
            tags = frozenset((tag["Key"], tag.get("Value", "")) for tag in records(request.params, "Tag"))
            seen = Seen(
                request.account or "", request.region, request.action, _subjects(request), tags, effect, told, made
            )
            self._mine.seen = seen
            with self._lock:
                self.writes.append(seen)
                self.history.append(seen)

    # ------------------------------------------------------------------ what is seen late, and pages

    def _forward(self, request: RequestInfo, asked: Asked) -> Body:
        with self._lock:
            held = self._held[asked.account, asked.region, request.service]
        if request.action in WRITES and not _is_dry(request):
            self.before_write(asked, _subjects(request))
            return self._write(request, asked, held)
        if request.action in READS.get(request.service, ()):
            with self._lock:
                if held.requests:
                    held.reads_left -= 1
                    if held.reads_left < 0:
                        self._release(held)
        answer = self._send(request, self._smaller_pages(request))
        if request.action == "AssumeRole" and answer[0] == 200:
            given = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", answer[2])
            assert given is not None
            with self._lock:
                self.keys[given[1].decode()] = asked.account
        if request.action in ("ListGrants", "ListRetirableGrants") and answer[0] == 200:
            answer = self._hide(answer, held)
        return self._turn_pages(request, asked, answer)

    def _write(self, request: RequestInfo, asked: Asked, held: _Held) -> Body:
        late = self.schedule.lag and self.schedule.concerns(asked.account)
        with self._lock:
            if request.action != "CreateGrant" and late:
                dry = self._send(request, _with(request, DryRun=True))
                if b"DryRunOperation" not in dry[2]:
                    return dry
                if not held.requests:
                    held.reads_left = self.schedule.lag
                held.requests.append((request, request.body))
                self._note(Fault.LATE, asked)
                if request.service == "kms":
                    return answer_json({})
                return answer_ec2(request.action, "<return>true</return>")
            if request.service == "ec2":
                self._release(held)  # what EC2 does, it does in order
            answer = self._send(request, request.body)
            self.after_write()
            if request.action == "CreateGrant" and late and answer[0] == 200:
                held.hidden.setdefault(json.loads(answer[2])["GrantId"], self.schedule.lag)
                self._note(Fault.LATE, asked)
            return answer

    def _release(self, held: _Held) -> None:
        for request, body in held.requests:
            self._send(request, body)
            self.after_write()
        held.requests.clear()

    def _hide(self, answer: Body, held: _Held) -> Body:
        with self._lock:
            hidden = {each for each, left in held.hidden.items() if left > 0}
            for each in hidden:
                held.hidden[each] -= 1
        if not hidden:
            return answer
        told = json.loads(answer[2])
        told["Grants"] = [each for each in told["Grants"] if each["GrantId"] not in hidden]
        return answer[0], answer[1], json.dumps(told).encode()

    def _smaller_pages(self, request: RequestInfo) -> bytes:
        size = self.schedule.pages
        if size is None:
            return request.body
        if request.action in _PAGED and "MaxResults" in request.params:
            return _with(request, MaxResults=max(5, size))
        if request.service == "kms" and "Limit" in request.params:
            return _with(request, Limit=size)
        return request.body

    def _turn_pages(self, request: RequestInfo, asked: Asked, answer: Body) -> Body:
        wrong = self.schedule.page(asked) if answer[0] == 200 else None
        found = _TOKEN.search(answer[2]) if wrong else None
        place = (asked.account, asked.region, asked.action)
        if wrong is None or found is None or place in self._turned:
            return answer
        with self._lock:
            self._turned.add(place)
            if wrong is Fault.PAGE_MISSING:
                self.skipped.add((asked.account, asked.region))
        size = max(5, self.schedule.pages or 0) if request.service == "ec2" else self.schedule.pages or 1
        start = max(0, int(found[2]) + (size if wrong is Fault.PAGE_MISSING else -size))
        self._note(wrong, asked)
        return answer[0], answer[1], _TOKEN.sub(lambda m: m[1] + f"page-{start}".encode(), answer[2], count=1)

    # ------------------------------------------------------------------ wire

    def _send(self, request: RequestInfo, body: bytes) -> Body:
        return self._upstream(request.method, request.path, request.headers, body)

    def __enter__(self) -> Proxy:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def _content_of(request: RequestInfo) -> str:
    params = {key: value for key, value in request.params.items() if key not in ("RoleSessionName", "Version")}
    return json.dumps(params, sort_keys=True)


def _is_dry(request: RequestInfo) -> bool:
    return str(request.params.get("DryRun", "")).lower() == "true"


def _subjects(request: RequestInfo) -> tuple[str, ...]:
    """What a write is about: instance ids, or a key and a grant's name or id."""
    if request.service == "ec2":
        return tuple(listed(request.params, "ResourceId"))
    params = request.params
    return str(params.get("KeyId")), str(params.get("GrantId") or params.get("Name"))


def _with(request: RequestInfo, **more: Any) -> bytes:
    """The request's body with other parameters."""
    if request.headers.get("x-amz-target"):
        return json.dumps({**request.params, **more}).encode()
    pairs = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    pairs |= {name: str(value).lower() for name, value in more.items()}
    return urlencode(pairs).encode()


def _server_error(request: RequestInfo, status: int) -> Body:
    if status == 502:
        return 502, {"Content-Type": "text/html"}, b"<html><body>502 Bad Gateway</body></html>"
    json_codes = {500: "KMSInternalException", 503: "ServiceUnavailableException"}
    codes = {500: "InternalError", 503: "Unavailable" if request.service == "ec2" else "ServiceUnavailable"}
    code = (json_codes if request.headers.get("x-amz-target") else codes)[status]
    return request.error(code, "An internal error has occurred", status)


def _expired(request: RequestInfo) -> Body:
    if request.service == "ec2":
        return request.error("RequestExpired", "Request has expired.")
    text = "The security token included in the request is expired"
    if request.service in ("sts", "iam"):
        return request.error("ExpiredToken", text, 403)
    return request.error("ExpiredTokenException", text)


def _pieces(content: bytes) -> list[bytes]:
    step = max(1, len(content) // 3)
    return [content[start : start + step] for start in range(0, len(content), step)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            (status, answer_headers, content), wrong = proxy.answer(self.command, self.path, headers, body)
            if wrong in (Fault.RESET_BEFORE, Fault.RESET_AFTER):
                self._reset()
                return
            if wrong in (Fault.SLOW_BEFORE, Fault.SLOW_AFTER):
                # Until the client has had enough.
                select.select([self.connection], [], [], 10)
                self._reset()
                return
            if wrong is Fault.SLOW:
                self._trickle()
            if self._hung_up():
                proxy.not_heard()
            self.send_response_only(status)
            for name, value in answer_headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if wrong is Fault.TRUNCATED:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self._reset(rudely=False)
                return
            for piece in _pieces(content) if wrong is Fault.SLOW else (content,):
                self.wfile.write(piece)
                self.wfile.flush()
                if wrong is Fault.SLOW:
                    self._trickle()

        do_GET = do_POST

        def _trickle(self) -> None:
            """Waits a moment, or until the client has had enough."""
            select.select([self.connection], [], [], 0.005)

        def _hung_up(self) -> bool:
            try:
                return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

        def _reset(self, *, rudely: bool = True) -> None:
            self.close_connection = True
            if rudely:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """No access log."""

    return Handler
