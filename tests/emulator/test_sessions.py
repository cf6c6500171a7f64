"""Sessions: who is let in, and what happens when a session ends in the middle of a run."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell
from tests.emulator.conftest import (
    EU,
    EXTERNAL_ID,
    HERE,
    HOME,
    IN_PROD,
    PROD,
    RESPONDER,
    ROLE,
    STAGING,
    Connect,
    Organisation,
    Wire,
    environment,
    trust,
)
from tests.functional.conftest import Cli

IN_BOTH = ("--account", f"{PROD},{STAGING}", "--region", EU, *ROLE)
EXTERNAL = ("--account", PROD, "--region", EU, "--role-name", "CadoOperatorExternal")


def test_a_role_that_does_not_trust_you_is_one_failure_and_the_rest_goes_on(cli: Cli, organisation: Organisation):
    organisation.key(PROD)
    somebody = trust(f"arn:aws:iam::{HOME}:role/Somebody")
    organisation.root("iam", STAGING).update_assume_role_policy(RoleName="CadoOperator", PolicyDocument=somebody)
    organisation.grant(organisation.key(PROD))
    done = cli.json("kms", "list", *IN_BOTH)
    assert done.code == 3
    [failure] = done.json["failures"]
    assert (failure["account"], failure["region"], failure["stage"]) == (STAGING, EU, "assume-role")
    assert failure["error"]["code"] == "AccessDenied"
    assert "its trust policy does not name you" in failure["error"]["hint"]
    assert [item["account"] for item in done.json["items"]] == [PROD]


def test_a_missing_role_looks_the_same(cli: Cli, organisation: Organisation):
    iam = organisation.root("iam")
    iam.delete_role_policy(RoleName="CadoOperator", PolicyName="may")
    iam.delete_role(RoleName="CadoOperator")
    done = cli.json("kms", "list", *IN_PROD)
    assert done.code == 1
    [failure] = done.json["failures"]
    assert (failure["stage"], failure["error"]["code"]) == ("assume-role", "AccessDenied")
    assert f"the role is missing in {PROD}" in failure["error"]["hint"]


def test_a_caller_who_may_assume_nothing(cli: Cli, organisation: Organisation):
    organisation.root("iam", HOME).delete_role_policy(RoleName="Responder", PolicyName="may")
    done = cli.json("kms", "list", *IN_PROD)
    assert done.code == 1
    [failure] = done.json["failures"]
    assert (failure["stage"], failure["error"]["code"]) == ("assume-role", "AccessDenied")
    assert "your own policy must allow sts:AssumeRole" in failure["error"]["hint"]


@pytest.mark.parametrize("given", [(), ("--external-id", "somebody-elses")], ids=["none", "a wrong one"])
def test_without_the_external_id_nobody_gets_in(cli: Cli, organisation: Organisation, given: tuple[str, ...]):
    key = organisation.key()
    done = cli.json("kms", "grant", "--key", key, *EXTERNAL, *given, "--case", "IR-42", "--yes")
    assert done.code == 1
    [failure] = done.json["failures"]
    assert (failure["stage"], failure["error"]["code"]) == ("assume-role", "AccessDenied")
    assert "--external-id" in failure["error"]["hint"]
    assert organisation.grants(key) == []


def test_with_the_external_id_the_run_goes_through(cli: Cli, organisation: Organisation):
    key = organisation.key()
    done = cli.json(
        "kms", "grant", "--key", key, *EXTERNAL, "--external-id", EXTERNAL_ID, "--case", "IR-42", "--yes"
    )
    assert done.code == 0
    [grant] = organisation.grants(key)
    assert grant["RetiringPrincipal"] == f"arn:aws:iam::{PROD}:role/CadoOperatorExternal"


def test_the_session_carries_who_and_which_case(cli: Cli, organisation: Organisation):
    # A trust policy can ask for the session's name: who gets in has sent it.
    named = trust(RESPONDER, {"StringEquals": {"sts:RoleSessionName": "cado-ops.IR-42.alice"}})
    organisation.root("iam").update_assume_role_policy(RoleName="CadoOperator", PolicyDocument=named)
    assert cli("kms", "list", *IN_PROD, "--session-name", "cado-ops.IR-42.alice").code == 0
    assert cli("kms", "list", *IN_PROD).code == 1
    key = organisation.key()
    assert cli("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-42", "--yes").code == 0
    assert cli("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-43", "--yes").code == 1


def test_a_request_is_signed_as_the_identity_it_is_for_and_no_other(connect: Connect, organisation: Organisation):
    # Both accounts share one client, and ministack checks the signatures: each must only ever see its own keys.
    keys = {account: {organisation.key(account) for _ in range(3)} for account in (PROD, STAGING)}
    connection = connect()
    kms = Kms(connection)

    def read(account: str) -> set[str]:
        return set(kms.customer_keys(Cell(account, EU)))

    with ThreadPoolExecutor(8) as pool:
        for account, seen in zip([PROD, STAGING] * 20, pool.map(read, [PROD, STAGING] * 20), strict=True):
            assert seen == keys[account]


@pytest.mark.parametrize("action", ["DescribeKey", "ListGrants", "CreateGrant"])
def test_a_session_that_ends_while_granting_is_renewed_and_the_run_ends_right(
    cli: Cli, organisation: Organisation, wire: Wire, action: str
):
    keys = [organisation.key() for _ in range(4)]
    once = threading.Lock()

    def end_once(about_to: str) -> None:
        # After the second of its kind: the run is under way. Two may be about to be sent at the same moment.
        if about_to == action and wire.actions.count(action) == 2 and once.acquire(blocking=False):
            organisation.emulator.expire_sessions(PROD)

    wire.before = end_once
    done = cli.json("kms", "grant", "--key", ",".join(keys), *IN_PROD, "--case", "IR-42", "--yes")
    assert (done.code, done.json["status"], done.json["summary"]["changed"]) == (0, "success", 4)
    assert [len(organisation.grants(key)) for key in keys] == [1, 1, 1, 1]
    assert wire.actions.count("AssumeRole") == 2


def test_a_session_that_ends_while_retiring_is_renewed(cli: Cli, organisation: Organisation, wire: Wire):
    keys = [organisation.key() for _ in range(3)]
    cli("kms", "grant", "--key", ",".join(keys), *IN_PROD, "--case", "IR-42", "--yes")
    wire.actions.clear()
    wire.before = lambda action: (
        organisation.emulator.expire_sessions(PROD)
        if action == "RetireGrant" and wire.actions.count(action) == 1
        else None
    )
    done = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes")
    assert (done.code, done.json["summary"]["changed"]) == (0, 3)
    assert [organisation.grants(key) for key in keys] == [[], [], []]
    assert wire.actions.count("AssumeRole") == 2


def test_a_session_that_ends_between_two_pages_loses_none(cli: Cli, organisation: Organisation, wire: Wire):
    key = organisation.key()
    there = {organisation.grant(key, Name=f"n-{number}") for number in range(105)}
    wire.actions.clear()
    wire.before = lambda action: (
        organisation.emulator.expire_sessions(PROD)
        if action == "ListGrants" and wire.actions.count(action) == 1
        else None
    )
    done = cli("kms", "list", *IN_PROD, "-o", "ndjson")
    assert done.code == 0
    assert {line["grant_id"] for line in done.lines if line["type"] == "item"} == there
    assert wire.actions.count("AssumeRole") == 2


def test_many_at_once_with_an_ended_session_renew_it_once(connect: Connect, organisation: Organisation, wire: Wire):
    keys = [organisation.key() for _ in range(16)]
    kms = Kms(connect())
    assert list(kms.customer_keys(HERE))
    wire.actions.clear()
    organisation.emulator.expire_sessions(PROD)
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(lambda key: list(kms.grants(HERE, key)), keys))
    assert read == [[[]]] * 16
    assert wire.actions.count("AssumeRole") == 1


def test_a_session_is_renewed_five_minutes_before_its_end(connect: Connect, organisation: Organisation, wire: Wire):
    key = organisation.key()
    minutes = [0]
    kms = Kms(connect(now=lambda: datetime.now(UTC) + timedelta(minutes=minutes[0])))
    for passed, sessions in ((0, 1), (54, 1), (56, 2)):
        minutes[0] = passed
        assert kms.key(HERE, key).arn == key
        assert wire.actions.count("AssumeRole") == sessions


def test_a_session_that_cannot_be_renewed_ends_what_is_left_and_says_so(
    cli: Cli, organisation: Organisation, wire: Wire
):
    keys = [organisation.key() for _ in range(3)]
    nobody = trust(f"arn:aws:iam::{HOME}:role/Somebody")

    def shut_out(action: str) -> None:
        if action == "CreateGrant" and wire.actions.count(action) == 1:
            iam = organisation.root("iam")
            wire.before = lambda _: None
            iam.update_assume_role_policy(RoleName="CadoOperator", PolicyDocument=nobody)
            organisation.emulator.expire_sessions(PROD)

    wire.before = shut_out
    done = cli.json("kms", "grant", "--key", ",".join(keys), *IN_PROD, "--case", "IR-42", "--yes")
    assert done.code == 3
    outcomes = sorted(item["outcome"] for item in done.json["items"])
    assert outcomes == ["changed", "failed", "failed"]
    failed = [item for item in done.json["items"] if item["outcome"] == "failed"]
    assert {item["error"]["code"] for item in failed} == {"AccessDenied"}
    assert all("trust policy" in item["error"]["hint"] for item in failed)
    assert sum(len(organisation.grants(key)) for key in keys) == 1


def test_own_credentials_that_end_in_a_run_stop_it_and_the_next_run_finishes_it(
    cli: Cli, organisation: Organisation, wire: Wire, monkeypatch: pytest.MonkeyPatch
):
    keys = [organisation.key() for _ in range(3)]

    def end_all(action: str) -> None:
        if action == "CreateGrant" and wire.actions.count(action) == 1:
            organisation.emulator.expire_sessions(PROD)
            organisation.emulator.expire_sessions(HOME)

    wire.before = end_all
    command = ("kms", "grant", "--key", ",".join(keys), *IN_PROD, "--case", "IR-42", "--yes")
    done = cli.json(*command)
    assert done.code == 3
    failed = [item for item in done.json["items"] if item["outcome"] == "failed"]
    assert len(failed) == 2
    assert {item["error"]["code"] for item in failed} == {"ExpiredToken"}
    assert all("renew them" in item["error"]["hint"] for item in failed)

    wire.before = lambda _: None
    for name, value in environment(organisation.emulator.url, organisation.responder()).items():
        monkeypatch.setenv(name, value)
    again = cli.json(*command)
    assert (again.code, again.json["summary"]["changed"], again.json["summary"]["unchanged"]) == (0, 2, 1)
    assert [len(organisation.grants(key)) for key in keys] == [1, 1, 1]


def test_own_credentials_that_have_ended_are_one_line(cli: Cli, organisation: Organisation):
    organisation.emulator.expire_sessions(HOME)
    done = cli.json("kms", "list", *IN_PROD)
    assert done.code == 1
    [failure] = done.json["failures"]
    assert (failure["stage"], failure["error"]["code"]) == ("credentials", "ExpiredToken")
    assert "renew them" in failure["error"]["hint"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
        ("AWS_SESSION_TOKEN", "wrong"),
        ("AWS_ACCESS_KEY_ID", "ASIAUNKNOWN000000"),
    ],
)
def test_wrong_credentials_are_credentials_problems(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    done = cli.json("kms", "list", *IN_PROD)
    assert done.code == 1
    [failure] = done.json["failures"]
    assert failure["stage"] == "credentials"
    assert failure["error"]["hint"].startswith("AWS does not accept the credentials")


def test_no_secret_of_a_session_reaches_the_journal_or_the_output(cli: Cli, organisation: Organisation, wire: Wire):
    key = organisation.key()
    done = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-42", "--yes", "--debug")
    assert done.code == 0
    [run] = cli.runs()
    everything = done.out + done.err + run.read_text()
    for line in run.read_text().splitlines():
        assert json.loads(line)
    mine = organisation.responder()
    assert "SessionToken" not in everything
    assert mine["AccessKeyId"] not in everything


def test_a_gateway_reports_expiry_as_a_credentials_problem_where_it_cannot_renew(
    connect: Connect, organisation: Organisation
):
    connection = connect()
    organisation.emulator.expire_sessions(HOME)
    with pytest.raises(AwsError) as caught:
        Kms(connection).key(Cell(HOME, EU), "alias/any")
    assert (caught.value.code, caught.value.kind) == ("ExpiredTokenException", Kind.CREDENTIALS)
