"""Which role serves which account, and whose credentials are held how long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cado_ops.aws.credentials import RENEW_SECONDS, CredentialStore, Roles
from cado_ops.errors import AwsError, Kind, UsageError
from cado_ops.fanout import FanOut, waiting

BASE = object()
HOME, OTHER, THIRD = "1" * 12, "2" * 12, "3" * 12
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

    def store(
        self,
        roles: Roles,
        assume: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        lending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> CredentialStore:
        store = CredentialStore(BASE, roles, assume or self.assume, lambda: self.now, lending)
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
        error = caught.value
        assert (error.code, error.message, error.kind) == ("AccessDenied", "words", Kind.DENIED)
    assert len(sts.asked) == 1


def test_what_became_of_one_request_is_not_said_of_another(sts: Sts) -> None:
    """Both meet the same refusal; an answer was lost to the first of them alone."""
    store = sts.store(Roles("s", role_name="Ops"))
    sts.error = AwsError("Code", "words", hint="do", kind=Kind.DENIED, operation="AssumeRole", request_id="r")
    with pytest.raises(AwsError) as first:
        store.get(OTHER)
    first.value.answer_lost = True
    with pytest.raises(AwsError) as second:
        store.get(OTHER)
    assert second.value.answer_lost is False
    assert (second.value.hint, second.value.operation, second.value.request_id) == ("do", "AssumeRole", "r")


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


def test_an_account_that_waits_for_its_role_keeps_no_other_waiting(sts: Sts) -> None:
    """STS throttles the one: its regions, more than there are places, wait for it; the other comes to its end."""
    other_done = threading.Event()
    in_time: list[bool] = []

    def assume(parameters: dict[str, Any]) -> dict[str, Any]:
        if OTHER in parameters["RoleArn"]:
            with waiting():  # as the retry layer's sleep does
                in_time.append(other_done.wait(5))
        return sts.assume(parameters)

    store = sts.store(Roles("s", role_name="Ops"), assume, waiting)

    def work(account: str) -> str:
        key: str = store.get(account).access_key
        if account == THIRD:
            other_done.set()
        return key

    fan: FanOut[str, str] = FanOut(work, 8)
    for account in (OTHER,) * 17 + (THIRD,):
        fan.add(account)
    done = list(fan.results())
    assert in_time == [True], "one AssumeRole, which the other account did not wait for"
    assert [each.error for each in done] == [None] * 18
    assert len({each.value for each in done}) == 2


@pytest.mark.parametrize("kind", [Kind.THROTTLED, Kind.TRANSPORT])
def test_who_waited_for_an_attempt_shares_what_it_ended_in(sts: Sts, kind: Kind) -> None:
    """It has lasted minutes perhaps: seventeen regions must not spend them one after the other."""
    came = threading.Semaphore(0)
    attempts: list[bool] = []

    @contextmanager
    def lending() -> Iterator[None]:
        came.release()
        yield

    def assume(parameters: dict[str, Any]) -> dict[str, Any]:
        if not attempts:
            attempts.append(all(came.acquire(timeout=5) for _ in range(16)))
        return sts.assume(parameters)

    store = sts.store(Roles("s", role_name="Ops"), assume, lending)
    sts.error = AwsError("Code", "words", kind=kind, operation="AssumeRole")
    ended: list[AwsError] = []

    def work() -> None:
        try:
            store.get(OTHER)
        except AwsError as error:
            ended.append(error)

    threads = [threading.Thread(target=work) for _ in range(17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (attempts, len(sts.asked)) == ([True], 1)
    assert [(each.code, each.kind, each.operation) for each in ended] == [("Code", kind, "AssumeRole")] * 17
    assert len({id(each) for each in ended}) == 17, "what becomes of each is its own"
    sts.error = None
    assert store.get(OTHER).access_key == "ASIA2", "who comes later asks again"


class TestExpired:
    def test_the_own_credentials_cannot_be_renewed_from_here(self, sts: Sts) -> None:
        assert sts.store(Roles("s")).expired(HOME, BASE) is False

    def test_assumed_ones_are_forgotten(self, sts: Sts) -> None:
        store = sts.store(Roles("s", role_name="Ops"))
        used = store.get(OTHER)
        assert store.expired(OTHER, used) is True
        assert store.get(OTHER) is not used

    def test_a_renewal_on_its_way_is_not_waited_for(self, sts: Sts) -> None:
        """What AWS called expired meanwhile waits with the others, for the same attempt."""
        told: list[bool] = []

        def assume(parameters: dict[str, Any]) -> dict[str, Any]:
            if sts.asked:
                late = threading.Thread(target=store.expired, args=(OTHER, used), daemon=True)
                late.start()
                late.join(5)
                told.append(not late.is_alive())
            return sts.assume(parameters)

        store = sts.store(Roles("s", role_name="Ops"), assume)
        used = store.get(OTHER)
        store.expired(OTHER, used)
        fresh = store.get(OTHER)
        assert told == [True]
        assert store.get(OTHER) is fresh

    def test_what_another_thread_renewed_already_stays(self, sts: Sts) -> None:
        store = sts.store(Roles("s", role_name="Ops"))
        used = store.get(OTHER)
        store.expired(OTHER, used)
        fresh = store.get(OTHER)
        assert store.expired(OTHER, used) is True
        assert store.get(OTHER) is fresh
        assert len(sts.asked) == 2
