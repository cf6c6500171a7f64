"""Which role serves which account, and whose credentials are held how long."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cado_ops.aws.credentials import RENEW_SECONDS, CredentialStore, Roles
from cado_ops.errors import AwsError, Kind, UsageError

BASE = object()
HOME, OTHER = "1" * 12, "2" * 12
ORG_ROLE = f"arn:aws:iam::{OTHER}:role/OrgReader"


class Sts:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 17, 45, tzinfo=UTC)
        self.asked: list[dict[str, Any]] = []
        self.error: AwsError | None = None

    def assume(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(parameters)
        if self.error is not None:
            raise self.error
        return {
            "AccessKeyId": f"ASIA{len(self.asked)}",
            "SecretAccessKey": "s",
            "SessionToken": "t",
            "Expiration": self.now + timedelta(hours=1),
        }

    def store(self, roles: Roles) -> CredentialStore:
        store = CredentialStore(BASE, roles, self.assume, lambda: self.now)
        store.home_account = HOME
        return store


@pytest.fixture
def sts() -> Sts:
    return Sts()


@pytest.mark.parametrize(
    ("roles", "partition", "expected"),
    [
        (Roles("s"), "aws", None),
        (Roles("s", role_name="Ops"), "aws", f"arn:aws:iam::{OTHER}:role/Ops"),
        (Roles("s", role_name="path/to/Ops"), "aws", f"arn:aws:iam::{OTHER}:role/path/to/Ops"),
        (Roles("s", role_name="Ops"), "aws-us-gov", f"arn:aws-us-gov:iam::{OTHER}:role/Ops"),
        (Roles("s", role_name="Ops"), "aws-cn", f"arn:aws-cn:iam::{OTHER}:role/Ops"),
        (Roles("s", role_name="Ops", role_arns={OTHER: "arn:own"}), "aws", "arn:own"),
        (Roles("s", role_arns={HOME: "arn:own"}), "aws", None),
    ],
)
def test_the_role_of_an_account(sts: Sts, roles: Roles, partition: str, expected: str | None) -> None:
    store = sts.store(roles)
    store.partition = partition
    assert store.role_arn(OTHER) == expected


def test_the_own_account_needs_no_role(sts: Sts) -> None:
    store = sts.store(Roles("s", role_name="Ops", role_arns={HOME: f"arn:aws:iam::{HOME}:role/Ops"}))
    assert store.get(HOME) is BASE
    assert store.role_arn(HOME) is None
    assert sts.asked == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        ({"external_id": "e-1"}, {"ExternalId": "e-1"}),
        ({"source_identity": "me"}, {"SourceIdentity": "me"}),
        ({"external_id": "e-1", "source_identity": "me"}, {"ExternalId": "e-1", "SourceIdentity": "me"}),
    ],
)
def test_exactly_what_is_asked_of_sts(sts: Sts, more: dict[str, str], expected: dict[str, str]) -> None:
    sts.store(Roles("cado-ops-me-IR-42", role_name="Ops", **more)).get(OTHER)  # type: ignore[arg-type]
    role = f"arn:aws:iam::{OTHER}:role/Ops"
    assert sts.asked == [{"RoleArn": role, "RoleSessionName": "cado-ops-me-IR-42", **expected}]


def test_a_role_arn_is_an_identity_of_its_own(sts: Sts) -> None:
    store = sts.store(Roles("s", role_name="Ops"))
    assert store.get(ORG_ROLE) is not store.get(OTHER)
    assert [each["RoleArn"] for each in sts.asked] == [ORG_ROLE, f"arn:aws:iam::{OTHER}:role/Ops"]


def test_an_account_without_a_role_names_the_options(sts: Sts) -> None:
    with pytest.raises(UsageError) as caught:
        sts.store(Roles("s")).get(OTHER)
    assert "--role-name" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("left", "renewed"), [(3600.0, False), (RENEW_SECONDS, False), (RENEW_SECONDS - 1, True), (-10.0, True)]
)
def test_renewed_before_the_end(sts: Sts, left: float, renewed: bool) -> None:
    store = sts.store(Roles("s", role_name="Ops"))
    first = store.get(OTHER)
    sts.now += timedelta(seconds=3600.0 - left)
    assert (store.get(OTHER) is not first) is renewed
    assert len(sts.asked) == (2 if renewed else 1)


def test_a_refusal_is_remembered(sts: Sts) -> None:
    store = sts.store(Roles("s", role_name="Ops"))
    sts.error = AwsError("AccessDenied", "words", kind=Kind.DENIED)
    for _ in range(3):
        with pytest.raises(AwsError) as caught:
            store.get(OTHER)
        assert caught.value is sts.error
    assert len(sts.asked) == 1


@pytest.mark.parametrize("kind", [Kind.THROTTLED, Kind.TRANSPORT])
def test_what_may_pass_is_asked_again(sts: Sts, kind: Kind) -> None:
    store = sts.store(Roles("s", role_name="Ops"))
    sts.error = AwsError("Code", "words", kind=kind)
    with pytest.raises(AwsError):
        store.get(OTHER)
    sts.error = None
    assert store.get(OTHER).access_key == "ASIA2"


def test_many_threads_one_question(sts: Sts) -> None:
    store = sts.store(Roles("s", role_name="Ops"))
    together = threading.Barrier(16)
    got: list[Any] = []

    def work() -> None:
        together.wait(10)
        got.append(store.get(OTHER))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sts.asked) == 1
    assert len(got) == 16
    assert len({id(each) for each in got}) == 1


class TestExpired:
    def test_the_own_credentials_cannot_be_renewed_from_here(self, sts: Sts) -> None:
        assert sts.store(Roles("s")).expired(HOME, BASE) is False

    def test_assumed_ones_are_forgotten(self, sts: Sts) -> None:
        store = sts.store(Roles("s", role_name="Ops"))
        used = store.get(OTHER)
        assert store.expired(OTHER, used) is True
        assert store.get(OTHER) is not used

    def test_what_another_thread_renewed_already_stays(self, sts: Sts) -> None:
        store = sts.store(Roles("s", role_name="Ops"))
        used = store.get(OTHER)
        store.expired(OTHER, used)
        fresh = store.get(OTHER)
        assert store.expired(OTHER, used) is True
        assert store.get(OTHER) is fresh
        assert len(sts.asked) == 2
