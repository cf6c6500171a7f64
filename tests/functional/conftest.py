"""Commands through `main(argv)`, in this process, against a sandbox over HTTP."""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import Credentials

from cado_ops.cli.app import main
from cado_ops.cli.commands import LazyGroup
from cado_ops.cli.world import World
from cado_ops.model import SSM_TAG
from cado_ops.sandbox import Sandbox
from tests.functional.power import arm
from tests.sdk import one_loader

PROD, STAGING, RESEARCH, CLOSED, HOME = (f"{digit}" * 12 for digit in "23451")
EU, US, DE, DENIED = "eu-west-1", "us-east-1", "eu-central-1", "ap-southeast-2"
ROLE = ("--role-name", "CadoOperator")
IN_PROD = ("--account", PROD, "--region", EU, *ROLE)


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def items(self) -> dict[str, dict[str, Any]]:
        """The items by the instance's name."""
        return {item["name"]: item for item in self.json["items"]}


@dataclass
class Cli:
    """Runs command lines. ``waits`` collects what would have been slept."""

    journal: Path
    waits: list[float] = field(default_factory=list)
    clock: Callable[[], float] | None = None

    def __call__(
        self,
        *argv: str,
        stdin: str | io.StringIO = "",
        stdout: io.StringIO | None = None,
        stderr: io.StringIO | None = None,
    ) -> Result:
        out, err = stdout or io.StringIO(), stderr or io.StringIO()
        world = World(
            stdin=stdin if isinstance(stdin, io.StringIO) else io.StringIO(stdin),
            stdout=out,
            stderr=err,
            sleep=self.waits.append,
            rng=random.Random(1),
        )
        if self.clock is not None:
            world.clock = self.clock
        code = main(list(argv), world)
        return Result(code, out.getvalue(), err.getvalue())

    def json(self, *argv: str, **more: Any) -> Result:
        return self(*argv, "-o", "json", **more)

    def runs(self) -> list[Path]:
        return sorted(self.journal.glob("*.jsonl"))


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    with one_loader():
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_made_once() -> Iterator[None]:
    """typer makes a command's options anew for every command line: that is a sixth of what one costs here."""
    made: dict[str, Any] = {}
    make = LazyGroup.get_command

    def once(self: LazyGroup, ctx: Any, cmd_name: str) -> Any:
        if self.listing:
            return make(self, ctx, cmd_name)
        if cmd_name not in made:
            made[cmd_name] = make(self, ctx, cmd_name)
        return made[cmd_name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LazyGroup, "get_command", once)
        yield


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A fresh organisation, with the environment that leads to it."""
    _server.reset()
    _server.intercept = None
    _server.calls.clear()
    for name, value in _server.environment().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("CADO_OPS_CONFIG")  # the tests have settings files of their own
    return _server


@pytest.fixture
def cli(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    folder = tmp_path / "runs"
    monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(folder))
    return Cli(folder)


@pytest.fixture(scope="session")
def _clients() -> dict[tuple[str, ...], Any]:
    """The clients of ``aws``: to make one costs as much as a command, so they outlive the organisation."""
    return {}


@pytest.fixture
def aws(
    sandbox: Sandbox, _clients: dict[tuple[str, ...], Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """AWS as the test itself sees it: a client for an account, a region and a service (EC2)."""
    sessions: dict[str, Credentials] = {}
    reset = sandbox.reset

    def forget() -> None:
        sessions.clear()  # the organisation forgets them, too
        reset()

    monkeypatch.setattr(sandbox, "reset", forget)

    def client(account: str, region: str, service: str = "ec2") -> Any:
        if account != HOME and account not in sessions:
            answer = client(HOME, "us-east-1", "sts").assume_role(
                RoleArn=f"arn:aws:iam::{account}:role/CadoOperator", RoleSessionName="the-test"
            )["Credentials"]
            sessions[account] = Credentials(
                answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
            )
        if (account, region, service) not in _clients:
            _clients[account, region, service] = boto3.client(service, region_name=region)
        made = _clients[account, region, service]
        if account != HOME:
            made._request_signer._credentials = sessions[account]
        return made

    return client


@pytest.fixture
def tags(aws: Callable[..., Any]) -> Callable[..., dict[str, dict[str, str]]]:
    """All tags of an account and region's instances, by name; ``key`` alone where one is given."""

    def read(account: str = PROD, region: str = EU) -> dict[str, dict[str, str]]:
        # DescribeTags: a tenth of the answer that DescribeInstances gives.
        found: dict[str, dict[str, str]] = {}
        for page in (
            aws(account, region)
            .get_paginator("describe_tags")
            .paginate(Filters=[{"Name": "resource-type", "Values": ["instance"]}])
        ):
            for tag in page["Tags"]:
                found.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
        return {pairs.get("Name", instance): pairs for instance, pairs in found.items()}

    return read


@pytest.fixture
def ids(aws: Callable[..., Any]) -> Callable[..., dict[str, str]]:
    """Instance ids by name."""

    def read(account: str = PROD, region: str = EU) -> dict[str, str]:
        found = {}
        for reservation in aws(account, region).describe_instances()["Reservations"]:
            for instance in reservation["Instances"]:
                pairs = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                found[pairs["Name"]] = instance["InstanceId"]
        return found

    return read


@dataclass
class Grants:
    """Keys and grants of one account and region, as KMS shows them."""

    client: Any

    def key(self, alias: str) -> str:
        arn: str = self.client.describe_key(KeyId=f"alias/{alias}")["KeyMetadata"]["Arn"]
        return arn

    def on(self, alias: str, grantee: str = "CadoResponseRole") -> list[dict[str, Any]]:
        """The grants on a key whose grantee is the Cado role (or contains another word), oldest first."""
        found = self.client.list_grants(KeyId=self.key(alias), Limit=100)["Grants"]
        return [grant for grant in found if grantee in grant.get("GranteePrincipal", "")]

    def ours(self, alias: str) -> list[dict[str, Any]]:
        return [grant for grant in self.on(alias) if grant.get("Name", "").startswith("cado-ops/")]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All grants of all keys, without what changes when one is made anew."""
        found = {}
        for key in self.client.list_keys(Limit=1000)["Keys"]:
            grants = self.client.list_grants(KeyId=key["KeyArn"], Limit=100)["Grants"]
            found[key["KeyArn"]] = sorted(
                ({k: v for k, v in grant.items() if k not in ("GrantId", "CreationDate")} for grant in grants),
                key=str,
            )
        return found


@pytest.fixture
def grants(aws: Callable[..., Any]) -> Callable[..., Grants]:
    return lambda account=PROD, region=EU: Grants(aws(account, region, "kms"))


def ssm(pairs: dict[str, str]) -> str | None:
    return pairs.get(SSM_TAG)


@pytest.fixture
def lose_power(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Arms it: power is lost at the n-th record, before it is written, or half-way (torn)."""
    return arm(monkeypatch)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged in this process, at its most talkative."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    top = logging.getLogger()
    before = top.level
    top.addHandler(handler)
    top.setLevel(logging.DEBUG)
    yield written
    top.removeHandler(handler)
    top.setLevel(before)
