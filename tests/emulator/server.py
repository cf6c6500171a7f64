"""ministack, an emulator of AWS that shares no code with the sandbox's moto: started, reset, stopped."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

SERVE = Path(__file__).with_name("serve.py")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
# A port is free when it is asked for, and may be taken when the server comes to it.
PORTS_TRIED = 3

# Loopback needs no proxy, whatever this machine's environment says.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
_CONFIG = Config(retries={"total_max_attempts": 1}, proxies={})
_session = boto3.session.Session(
    aws_access_key_id="unused", aws_secret_access_key="unused", region_name="eu-west-1"
)


class EmulatorError(Exception):
    """The emulator is not there, or did not start."""


def interpreter() -> str:
    """The Python that has ministack: scripts/test keeps it in an environment of its own."""
    own = Path(sys.prefix) / "emulator" / "bin" / "python"
    if own.exists():
        return str(own)
    if importlib.util.find_spec("ministack") is not None:
        return sys.executable
    raise EmulatorError("ministack is not installed: scripts/test does it, or pip install --group emulator")


class Emulator:
    """One ministack on loopback, with an environment of its own and nothing kept on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "log.txt"
        self.url = ""
        self._roots: dict[tuple[str, str, str], Any] = {}

    def start(self) -> None:
        """Starts it on a free port. Raises EmulatorError, with what it printed."""
        python = interpreter()
        for _ in range(PORTS_TRIED):
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [python, str(SERVE)],
                    cwd=self._folder,
                    env=self._environment(port),
                    # Never written to: it closes with this process, and the server ends.
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C at the terminal is for pytest, which then stops the server.
                    start_new_session=True,
                )
            if self._is_ready():
                return
            self.stop()
        raise EmulatorError(f"ministack did not start:\n{self._log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """Ends it, and whatever it started."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            assert process.stdin is not None
            process.stdin.close()

    def reset(self) -> None:
        """Forgets everything: keys, grants, roles, sessions, instances."""
        self._post("/_ministack/reset")

    def expire_sessions(self, account: str) -> None:
        """Ends the sessions of an account's roles, here and now."""
        self._post(f"/_test/expire-sessions/{account}")

    def _post(self, path: str) -> None:
        with _open(urllib.request.Request(self.url + path, method="POST"), timeout=10) as answer:
            assert answer.status in (200, 204)

    def root(self, service: str, account: str, region: str = "eu-west-1") -> Any:
        """A client that may do anything in an account: to ministack, an account's number is its root's key."""
        if (service, account, region) not in self._roots:
            self._roots[service, account, region] = _session.client(
                service,
                region_name=region,
                endpoint_url=self.url,
                config=_CONFIG,
                aws_access_key_id=account,
                aws_secret_access_key="test",
            )
        return self._roots[service, account, region]

    def _environment(self, port: int) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.defpath,
            "HOME": folder,
            "TMPDIR": folder,
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # Signatures, sessions, trust policies, IAM and key policies are enforced.
            "AUTH": "true",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(self._folder / "state"),
            "S3_DATA_DIR": str(self._folder / "s3"),
            "LOG_LEVEL": "WARNING",
            # No other servers beside it, and no look at this machine's containers.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
        }

    def _is_ready(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with _open(f"{self.url}/_ministack/ready", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
