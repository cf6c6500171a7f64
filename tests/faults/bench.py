"""One command under one schedule: the world made ready, the command run in this process, and what it said."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cado_ops.aws import connection as connection_module
from cado_ops.aws.connection import Connection
from cado_ops.aws.credentials import CredentialStore
from cado_ops.cli.app import main
from cado_ops.cli.world import World as Surroundings
from cado_ops.sandbox import Sandbox, world
from cado_ops.sandbox import kms as sandbox_kms
from cado_ops.sandbox.environment import OPERATOR_ACCESS_KEY
from tests.faults.proxy import Proxy, Seen
from tests.faults.scenarios import EU, HOME, PROD, SCENARIOS, US, VARIANTS
from tests.faults.schedule import Asked, Fault, Schedule
from tests.faults.truth import Held, Truth, held
from tests.sdk import one_loader, without_moto

ATTEMPTS = 4
# How long a command waits for an answer. Where none is to come, that is waited away; elsewhere a busy machine must
# not be taken for a fault.
IMPATIENT, PATIENT = 0.2, 30.0


@dataclass
class Ran:
    """What a command said: exit code, streams, and (in JSON) its envelope; what it sent, and what it met.

    ``blind``: the places where it could not see all that is so, for a read failed there, or a change showed late.
    ``bare``: the keys and cases that had a grant when it began, and at some moment had none. ``unannounced``: what
    was changed before its journal said that it would be. ``skipped``: where AWS left out a page.
    """

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    envelope: dict[str, Any] | None
    requests: Counter[tuple[str, str, str]]
    writes: list[Seen]
    waited: dict[str, float]
    blind: frozenset[tuple[str, str]] = frozenset()
    bare: frozenset[Held] = frozenset()
    unannounced: tuple[str, ...] = ()
    skipped: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Checkpoint:
    """A world made ready for a command: AWS's state, the journal's files, the command line, what was before.

    ``sent`` is what was sent until then to make changes.
    """

    argv: tuple[str, ...]
    start: Truth
    backends: Mapping[tuple[str, str, str], bytes]
    files: Mapping[str, bytes]
    sent: tuple[Seen, ...]


class SeededIds:
    """Stands in for `secrets`: grants get the same ids every time, for what goes wrong is told by what is asked."""

    def __init__(self) -> None:
        self.rng = random.Random(0)

    def token_hex(self, size: int) -> str:
        return self.rng.randbytes(size).hex()

    def token_urlsafe(self, size: int) -> str:
        return base64.urlsafe_b64encode(self.rng.randbytes(size)).decode().rstrip("=")


@dataclass
class Bench:
    """A sandbox, a proxy before it, and an environment that leads to the proxy."""

    sandbox: Sandbox
    proxy: Proxy
    folder: Path
    environ: Mapping[str, str]
    ids: SeededIds
    waits: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    concurrency: int = 1
    virtual: bool = False
    _ready: dict[tuple[str, int], Checkpoint] = field(default_factory=dict)
    _calm: dict[tuple[str, int], Ran] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def reset(self) -> None:
        """A fresh world, no journal, no lies."""
        self.sandbox.reset()
        self.ids.rng.seed("before")
        self.proxy.load(Schedule())
        shutil.rmtree(self.runs, ignore_errors=True)

    def prepare(self, command: str, seed: int) -> Checkpoint:
        """The world as it is before ``command``; what was made ready once is only put back."""
        variant = seed % VARIANTS
        if (command, variant) not in self._ready:
            self.reset()
            self.concurrency, self.virtual = 1, False
            start, argv = SCENARIOS[command](self, variant)
            with world.LOCK:
                frozen = {where: world._freeze(live) for where, live in world._live_backends()}
            files = {path.name: path.read_bytes() for path in (*self.runs.glob("*"), *self.folder.glob("*.json"))}
            sent = tuple(self.proxy.history)
            self._ready[command, variant] = Checkpoint(argv, start, frozen, files, sent)
        ready = self._ready[command, variant]
        self.reset()
        with world.LOCK:
            world.touch()
            for where, live in list(world._live_backends()):
                if where[0] in ("ec2", "kms"):
                    live.__dict__ = world._thaw(ready.backends[where])
        # None of those that are there already.
        self.ids.rng.seed("after")
        self.runs.mkdir(mode=0o700)
        for name, content in ready.files.items():
            path = self.folder / name if name.endswith(".json") else self.runs / name
            path.write_bytes(content)
            path.chmod(0o600)
        return ready

    def calm(self, command: str, seed: int) -> Ran:
        """The same command without faults."""
        variant = seed % VARIANTS
        if (command, variant) not in self._calm:
            ready = self.prepare(command, seed)
            self.concurrency, self.virtual = 1, False
            self._calm[command, variant] = self.run(*ready.argv)
        return self._calm[command, variant]

    def run(self, *argv: str, rng: int = 1, now: datetime | None = None) -> Ran:
        """Runs a command line, as if it were ``now``; waits are counted, not waited."""
        out, err = io.StringIO(), io.StringIO()
        self.waits.clear()
        self.proxy.forget_requests()
        bare: set[Held] = set()
        at_first = held()
        self.proxy.after_write = lambda: bare.update(at_first - held())
        unannounced: list[str] = []

        written = {path: path.stat().st_size for path in self.runs.glob("*.jsonl")}

        def announced(asked: Asked, subjects: tuple[str, ...]) -> None:
            lacking = self._without_an_intent(written, asked, subjects)
            unannounced.extend(f"{asked.action} of {each}" for each in lacking)

        self.proxy.before_write = announced
        slow = {Fault.SLOW_BEFORE, Fault.SLOW_AFTER} & set(self.proxy.schedule.answers)
        connection_module.READ_SECONDS = IMPATIENT if slow else PATIENT  # type: ignore[assignment]
        around = Surroundings(
            stdin=io.StringIO(), stdout=out, stderr=err, sleep=self._sleep, rng=random.Random(rng)
        )
        if now is not None:
            moment = now
            around.now = lambda: moment
        if self.virtual:
            around.clock = lambda: time.monotonic() + sum(list(self.waits.values()))
        words = (*argv, "-o", "json", "--max-concurrency", str(self.concurrency))
        code = main(list(words), around)
        try:
            envelope = json.loads(out.getvalue())
        except ValueError:
            envelope = None
        proxy = self.proxy
        return Ran(
            argv,
            code,
            out.getvalue(),
            err.getvalue(),
            envelope,
            Counter(proxy.requests),
            list(proxy.writes),
            dict(self.waits),
            frozenset(proxy.blind),
            frozenset(bare),
            tuple(unannounced),
            frozenset(proxy.skipped),
        )

    def _without_an_intent(self, written: Mapping[Path, int], asked: Asked, subjects: tuple[str, ...]) -> list[str]:
        """Those of the subjects that no journal has an intent of, beyond what was ``written`` when it began."""
        found: set[Any] = set()
        for path in self.runs.glob("*.jsonl"):
            # The last line may be at work.
            lines = path.read_bytes()[written.get(path, 0) :].split(b"\n")[:-1]
            for record in (json.loads(line) for line in lines if b'"intent"' in line):
                place = (asked.account, asked.region, asked.action)
                if (record.get("account"), record.get("region"), record.get("call")) == place:
                    found |= {*record["ids"], *(record.get(name) for name in ("grant_id", "name"))}
        # Of a grant the first subject is its key, which is in the intents of others too.
        return [each for each in subjects[1 if asked.action.endswith("Grant") else 0 :] if each not in found]

    def _sleep(self, seconds: float) -> None:
        self.waits[getattr(_working_for, "account", "")] += seconds

    def journals(self) -> list[Path]:
        return sorted(self.runs.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    def must(self, *argv: str, now: datetime | None = None) -> Ran:
        """Runs a command that has to succeed: what a scenario begins with."""
        ran = self.run(*argv, now=now)
        assert ran.code == 0, f"{' '.join(argv)}: {ran.code} {ran.err}"
        return ran


# Whose call a thread is at: that is whose time it waits away.
_working_for = threading.local()


@contextmanager
def bench() -> Iterator[Bench]:
    """Everything set up, in this process's environment, and taken down again."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(one_loader())
        stack.enter_context(without_moto())
        sandbox = stack.enter_context(Sandbox())
        proxy = stack.enter_context(Proxy(sandbox._running().answer, HOME, OPERATOR_ACCESS_KEY))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cado-ops-faults-")))
        for name in [each for each in os.environ if each.startswith(("AWS_", "CADO_OPS_"))]:
            patch.delenv(name)
        environ = {name: value for name, value in sandbox.environment().items() if value is not None}
        environ |= {"AWS_ENDPOINT_URL": proxy.url, "AWS_MAX_ATTEMPTS": str(ATTEMPTS), "HOME": str(folder)}
        environ |= {"CADO_OPS_JOURNAL_DIR": str(folder / "runs")}
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(connection_module, "READ_SECONDS", PATIENT)
        call = Connection.call

        def noted(self: Connection, identity: str, *more: Any, **named: Any) -> Any:
            _working_for.account = identity
            return call(self, identity, *more, **named)

        patch.setattr(Connection, "call", noted)
        get = CredentialStore.get

        def noted_too(self: CredentialStore, identity: str) -> Any:
            # An account's role is assumed before its first call.
            _working_for.account = identity
            return get(self, identity)

        patch.setattr(CredentialStore, "get", noted_too)
        ids = SeededIds()
        patch.setattr(sandbox_kms, "secrets", ids)
        yield Bench(sandbox, proxy, folder, environ, ids)


def schedule_of(seed: int) -> Schedule:
    """The schedule of a seed for these commands."""
    return Schedule.of(seed, accounts=(HOME, PROD), regions=(EU, US), home=HOME)
