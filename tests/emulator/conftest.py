"""Commands and gateways against ministack, which enforces signatures, sessions, IAM, trust and key policies."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.httpsession import URLLib3Session

from cado_ops.aws import repeat
from cado_ops.aws.connection import Connection
from cado_ops.aws.credentials import Roles
from cado_ops.grant_name import GrantName, digest_of
from cado_ops.grant_operations import FULL
from cado_ops.model import Cell
from tests.emulator.server import Emulator
from tests.functional.conftest import Cli, Result
from tests.sdk import one_loader

HOME, PROD, STAGING = "111111111111", "222222222222", "333333333333"
EU, US = "eu-west-1", "us-east-1"
RESPONDER = f"arn:aws:iam::{HOME}:role/ir/Responder"
EXTERNAL_ID = "acme-ir"
ROLE = ("--role-name", "CadoOperator")
IN_PROD = ("--account", PROD, "--region", EU, *ROLE)
CASE = ("--case", "IR-42", "--yes")
HERE = Cell(PROD, EU)

# What an operator of grants needs. kms:RetireGrant is here for ministack's sake: AWS lets the retiring principal
# retire without it ("Retiring and revoking grants", KMS Developer Guide), and an operator should not have it.
OPERATOR = (
    "kms:DescribeKey",
    "kms:ListAliases",
    "kms:ListKeys",
    "kms:ListGrants",
    "kms:CreateGrant",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "iam:GetRole",
    "iam:ListRoles",
)


def statement(
    effect: str, *actions: str, resource: str | None = "*", principal: str | None = None, when: Any = None
) -> dict[str, Any]:
    """A statement of a policy."""
    made: dict[str, Any] = {"Effect": effect, "Action": list(actions)}
    if resource is not None:
        made["Resource"] = resource
    if principal is not None:
        made["Principal"] = {"AWS": principal}
    if when is not None:
        made["Condition"] = when
    return made


def policy(*statements: dict[str, Any]) -> str:
    """A policy's JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: str, when: Any = None) -> str:
    """A trust policy that lets one principal in."""
    return policy(statement("Allow", "sts:AssumeRole", resource=None, principal=principal, when=when))


def cado_role(account: str = PROD) -> str:
    return f"arn:aws:iam::{account}:role/CadoResponseRole"


def operator_role(account: str = PROD) -> str:
    return f"arn:aws:iam::{account}:role/CadoOperator"


@dataclass
class Organisation:
    """What stands at the emulator, seen and changed as each account's root."""

    emulator: Emulator

    def root(self, service: str, account: str = PROD, region: str = EU) -> Any:
        return self.emulator.root(service, account, region)

    def add_role(self, account: str, name: str, trusts: str, *, path: str = "/", may: str | None = None) -> None:
        iam = self.root("iam", account)
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trusts)
        if may is not None:
            iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=may)

    def deny(self, account: str, role: str, *actions: str) -> None:
        """An explicit deny, which goes before every allow."""
        document = policy(statement("Deny", *actions))
        self.root("iam", account).put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=document)

    def key(self, account: str = PROD, region: str = EU, alias: str | None = None, **more: Any) -> str:
        """A new key's ARN."""
        kms = self.root("kms", account, region)
        arn: str = kms.create_key(**more)["KeyMetadata"]["Arn"]
        if alias is not None:
            kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=arn)
        return arn

    def grants(self, key_arn: str) -> list[dict[str, Any]]:
        """All grants on a key."""
        parts = key_arn.split(":")
        kms = self.root("kms", parts[4], parts[3])
        pages = kms.get_paginator("list_grants").paginate(KeyId=key_arn)
        return [grant for page in pages for grant in page["Grants"]]

    def grant(self, key_arn: str, **more: Any) -> str:
        """A grant made by somebody else: its id."""
        parts = key_arn.split(":")
        terms = {"GranteePrincipal": cado_role(parts[4]), "Operations": list(FULL)} | more
        made: str = self.root("kms", parts[4], parts[3]).create_grant(KeyId=key_arn, **terms)["GrantId"]
        return made

    def responder(self, seconds: int = 3600) -> dict[str, str]:
        """A session of the role that people call as."""
        answer = self.root("sts", HOME).assume_role(
            RoleArn=RESPONDER, RoleSessionName="alice", DurationSeconds=seconds
        )
        keys: dict[str, str] = answer["Credentials"]
        return keys


def only(done: Result) -> dict[str, Any]:
    [item] = done.json["items"]
    return dict(item)


def made_elsewhere(organisation: Organisation, key: str, case: str, due: datetime) -> str:
    """A grant of ours that another machine made: its id."""
    digest = digest_of(key, cado_role(), FULL, {})
    name = str(GrantName(case, due.replace(microsecond=0), digest))
    return organisation.grant(key, Name=name, RetiringPrincipal=operator_role())


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    with one_loader():
        yield


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("ministack"))
    try:
        emulator.start()
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture
def organisation(_server: Emulator, monkeypatch: pytest.MonkeyPatch) -> Organisation:
    """Three accounts with their roles and nothing else, and the environment that leads there."""
    _server.reset()
    made = Organisation(_server)
    assume = policy(statement("Allow", "sts:AssumeRole", resource="arn:aws:iam::*:role/CadoOperator*"))
    made.add_role(HOME, "Responder", trust(f"arn:aws:iam::{HOME}:root"), path="/ir/", may=assume)
    may = policy(statement("Allow", *OPERATOR))
    for account in (PROD, STAGING):
        made.add_role(account, "CadoOperator", trust(RESPONDER), may=may)
        made.add_role(account, "CadoResponseRole", trust(f"arn:aws:iam::{account}:root"))
    asks = trust(RESPONDER, {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}})
    made.add_role(PROD, "CadoOperatorExternal", asks, may=may)
    for name, value in environment(_server.url, made.responder()).items():
        monkeypatch.setenv(name, value)
    return made


def environment(url: str, keys: dict[str, str]) -> dict[str, str]:
    """What leads a process to the emulator, and nowhere else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_REGION": EU,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


@pytest.fixture
def cli(organisation: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    folder = tmp_path / "runs"
    monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(folder))
    return Cli(folder)


@dataclass
class Wire:
    """Every request of this process to the emulator, by its action.

    ``before`` is called before one is sent, ``after`` when it was answered; what they raise, botocore raises.
    """

    actions: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda action: None
    after: Callable[[str], None] = lambda action: None


@pytest.fixture
def wire(organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> Wire:
    there = Wire()
    send = URLLib3Session.send

    def watched(self: URLLib3Session, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target")
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        action = target.decode().rpartition(".")[2] if target else parse_qs(body)["Action"][0]
        there.before(action)
        there.actions.append(action)
        answer = send(self, request)
        there.after(action)
        return answer

    monkeypatch.setattr(URLLib3Session, "send", watched)
    # What is copied from one of botocore's requests would pass by.
    monkeypatch.setattr(repeat, "copy_of", lambda *_: None)
    return there


Connect = Callable[..., Connection]


@pytest.fixture
def connect(organisation: Organisation) -> Connect:
    """A connection of its own, with these of `Roles`' fields. Its clock may be another than the emulator's."""

    def make(*, now: Callable[[], datetime] = lambda: datetime.now(UTC), **roles: Any) -> Connection:
        connection = Connection(
            roles=Roles(**{"session_name": "cado-ops", "role_name": "CadoOperator", **roles}),
            profile=None,
            endpoint_url=None,
            region=EU,
            max_concurrency=4,
            now=now,
            clock=lambda: 0.0,
            sleep=lambda _: None,
            rng=random.Random(1),
            stopped=lambda: False,
        )
        connection.identify()
        return connection

    return make
