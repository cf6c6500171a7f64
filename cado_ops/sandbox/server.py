"""The sandbox's HTTP server, on loopback only, and `Sandbox`, its handle."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cado_ops.sandbox.environment import Environment, build_environment
from cado_ops.sandbox.protocol import Call, RequestInfo, Response

if TYPE_CHECKING:
    from cado_ops.sandbox.app import Application

_HOST = "127.0.0.1"


class SandboxExtraMissing(ImportError):
    """The packages of the ``sandbox`` extra are not installed."""

    def __init__(self) -> None:
        super().__init__("the sandbox needs the extra: pip install 'cado-ops[sandbox]'")


def require_extra() -> None:
    """Raise `SandboxExtraMissing` unless the packages of the ``sandbox`` extra are there."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("moto", "flask", "flask_cors", "werkzeug")):
        raise SandboxExtraMissing


class Sandbox:
    """A simulated AWS organisation, served on 127.0.0.1 for as long as the context lasts.

    >>> with Sandbox() as sandbox:
    ...     client = boto3.client("ec2", endpoint_url=sandbox.endpoint_url, ...)

    It tells callers apart by their access keys and does not enforce IAM. All sandboxes of one process share one
    organisation: what one changes or resets, the others see.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._server: _Server | None = None
        self._folder: Path | None = None
        self._app: Application | None = None

    def __enter__(self) -> Sandbox:
        require_extra()
        try:
            from cado_ops.sandbox.app import Application

            self._app = Application()
            self._server = _Server((_HOST, self._port), _handler(self._app))
            self._folder = Path(tempfile.mkdtemp(prefix="cado-ops-sandbox-"))
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._release()

    def _release(self) -> None:
        if self._server is not None:
            self._server.server_close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._server = self._folder = self._app = None

    @property
    def endpoint_url(self) -> str:
        """Where it listens, for AWS_ENDPOINT_URL or a client's ``endpoint_url``."""
        if self._server is None:
            raise RuntimeError("the sandbox is not running")
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def environment(self, inherited: Mapping[str, str] | None = None) -> Environment:
        """What to set (None: unset) so that every AWS tool talks to the sandbox, as the operator."""
        url = self.endpoint_url
        assert self._folder is not None
        return build_environment(url, self._folder, inherited)

    def reset(self) -> None:
        """Back to the seeded world: no session but the operator's, no recorded calls, no intercept."""
        self._running().reset()

    @property
    def calls(self) -> list[Call]:
        """Every request since the start, the last reset or ``calls.clear()``, refused ones included."""
        return self._running().calls

    @property
    def intercept(self) -> Callable[[RequestInfo], Response | None] | None:
        """Called with each request before anything else; what it returns is the answer, None goes on.

        `RequestInfo.error` makes an AWS error in the right dialect, to throttle or deny. It may sleep.
        """
        return self._running().intercept

    @intercept.setter
    def intercept(self, function: Callable[[RequestInfo], Response | None] | None) -> None:
        self._running().intercept = function

    def add_instances(
        self,
        account: str,
        region: str,
        count: int = 1,
        *,
        tags: Mapping[str, str] | None = None,
        state: str = "running",
        agent: str = "online",
        platform: str = "linux",
        prefix: str = "extra",
    ) -> list[str]:
        """Add running instances, named ``prefix-00001`` and so on, and return their ids. 10,000 take seconds."""
        from cado_ops.sandbox import world
        from cado_ops.sandbox.acme import Machine
        from cado_ops.sandbox.fleet import launch

        self._running()
        names = [f"{prefix}-{number + 1:05}" for number in range(count)]
        with world.LOCK:
            world.touch()
            return [
                launch(
                    Machine(account, region, name, "t3.micro", platform, state, agent, "plain", "-", "dev", "load"),
                    {"Name": name, "Env": "dev", "Team": "load", **(tags or {})},
                ).id
                for name in names
            ]

    def set_state(self, account: str, region: str, instance_id: str, state: str) -> None:
        """Put an instance into a state, as if someone else had stopped or ended it meanwhile."""
        from cado_ops.sandbox import world
        from cado_ops.sandbox.ec2_instances import find_instance
        from cado_ops.sandbox.fleet import set_state

        self._running()
        with world.LOCK:
            world.touch()
            set_state(find_instance(account, region, instance_id), state)

    def expire_sessions(self, account: str | None = None) -> None:
        """Let the assumed sessions (of one account) expire now; the operator's own stays."""
        from cado_ops.sandbox import sts

        self._running()
        sts.expire_sessions(account)

    def _running(self) -> Application:
        if self._app is None:
            raise RuntimeError("the sandbox is not running")
        return self._app


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _handler(app: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keep-alive: werkzeug's own server closes after each answer
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer_headers, content = app.answer(self.command, self.path, headers, body)
            self.send_response_only(status)
            for name, value in answer_headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()

        do_GET = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """No access log."""

    return Handler
