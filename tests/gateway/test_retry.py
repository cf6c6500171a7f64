"""The one retry layer: what is tried again and what never, how often, how long, how far apart."""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from cado_ops.aws.retry import DEFAULT_ATTEMPTS, FIRST_WAIT, LONGEST_WAIT, MAX_SECONDS, Again, Retry, classify


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "CreateTags"
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestLimitExceeded", 503),
        ("RequestLimitExceeded", 400),
        ("Throttling", 400),
        ("ThrottlingException", 400),
        ("TooManyRequestsException", 400),
        ("EC2ThrottledException", 400),
        ("SlowDown", 503),
        ("PriorRequestNotComplete", 400),
    ],
)
def test_throttled(code: str, status: int) -> None:
    assert classify("DescribeInstances", client_error(code, status)) is Again.THROTTLED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalError", 500),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
        ("Unavailable", 503),
        ("RequestTimeout", 400),
        ("KMSInternalException", 500),
        ("DependencyTimeoutException", 503),
        ("500", 500),
        ("502", 502),
        ("503", 503),
        ("504", 504),
        ("429", 429),
        ("SomethingNew", 500),
        ("ConcurrentTagAccess", 400),
        ("400", 400),
        ("", 400),
        ("412", 412),
    ],
)
def test_transient(code: str, status: int) -> None:
    assert classify("CreateTags", client_error(code, status)) is Again.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        boto.ConnectionClosedError(endpoint_url="https://x"),
        boto.EndpointConnectionError(endpoint_url="https://x"),
        boto.ConnectTimeoutError(endpoint_url="https://x"),
        boto.ReadTimeoutError(endpoint_url="https://x"),
        boto.ProxyConnectionError(proxy_url="https://x"),
        boto.HTTPClientError(error="x"),
        boto.ResponseStreamingError(error="x"),
        ResponseParserError("no XML"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_transport(error: Exception) -> None:
    assert classify("CreateTags", error) is Again.TRANSIENT


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        ("CreateGrant", "LimitExceededException", 400),
        ("CreateGrant", "LimitExceededException", 503),
        ("CreateTags", "DryRunOperation", 412),
        ("CreateTags", "DryRunOperation", 503),
        ("CreateGrant", "DryRunOperationException", 412),
        ("CreateTags", "UnauthorizedOperation", 403),
        ("DescribeInstances", "UnauthorizedOperation", 403),
        ("AssumeRole", "AccessDenied", 403),
        ("ListAccounts", "AccessDeniedException", 400),
        ("CreateTags", "InvalidInstanceID.NotFound", 400),
        ("CreateTags", "InvalidID", 400),
        ("CreateTags", "TagLimitExceeded", 400),
        ("CreateTags", "InvalidParameterValue", 400),
        ("DescribeInstances", "AuthFailure", 401),
        ("DescribeInstances", "OptInRequired", 401),
        ("DescribeInstances", "ExpiredToken", 400),
        ("DescribeInstances", "RequestExpired", 400),
        ("DescribeInstances", "ConcurrentTagAccess", 400),
        ("CreateTags", "404", 404),
        ("CreateTags", "501", 501),
    ],
)
def test_never(action: str, code: str, status: int) -> None:
    assert classify(action, client_error(code, status)) is Again.NO


@pytest.mark.parametrize(
    "error",
    [
        boto.NoCredentialsError(),
        boto.ParamValidationError(report="x"),
        boto.UnauthorizedSSOTokenError(),
        boto.CredentialRetrievalError(provider="p", error_msg="x"),
        RuntimeError("about to be signed for no identity"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_answer_of_aws(error: Exception) -> None:
    assert classify("CreateTags", error) is Again.NO


THROTTLED = client_error("RequestLimitExceeded", 503)


class Rig:
    """A call that fails ``failures`` times, and a clock that only sleeping moves."""

    def __init__(self, failures: int, error: Exception = THROTTLED, seconds: float = 0.0, **options: Any) -> None:
        self.failures, self.error, self.seconds = failures, error, seconds
        self.calls = 0
        self.time = 0.0
        self.slept: list[float] = []
        self.stop = False
        self.retry = Retry(
            sleep=self.sleep,
            rng=options.pop("rng", random.Random(1)),
            clock=lambda: self.time,
            stopped=lambda: self.stop,
            **options,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def call(self) -> str:
        self.calls += 1
        self.time += self.seconds
        if self.calls <= self.failures:
            raise self.error
        return "answer"

    def run(self) -> str:
        return self.retry.run("CreateTags", self.call)


def test_success_at_once() -> None:
    rig = Rig(0)
    assert rig.run() == "answer"
    assert (rig.calls, rig.slept) == (1, [])


def test_success_at_last() -> None:
    rig = Rig(DEFAULT_ATTEMPTS - 1)
    assert rig.run() == "answer"
    assert (rig.calls, len(rig.slept)) == (DEFAULT_ATTEMPTS, DEFAULT_ATTEMPTS - 1)


@pytest.mark.parametrize("attempts", [1, 2, 5, DEFAULT_ATTEMPTS])
def test_the_number_of_attempts_is_bounded_and_the_last_error_is_raised(attempts: int) -> None:
    rig = Rig(999, attempts=attempts)
    with pytest.raises(ClientError) as caught:
        rig.run()
    assert caught.value is THROTTLED
    assert (rig.calls, len(rig.slept)) == (attempts, attempts - 1)


def test_the_time_is_bounded() -> None:
    rig = Rig(999, seconds=60.0, attempts=50)
    with pytest.raises(ClientError):
        rig.run()
    assert rig.time <= MAX_SECONDS + 60.0 + LONGEST_WAIT
    assert rig.calls <= MAX_SECONDS / 60.0 + 1


def test_a_final_error_is_raised_at_once() -> None:
    error = client_error("UnauthorizedOperation", 403)
    rig = Rig(999, error)
    with pytest.raises(ClientError) as caught:
        rig.run()
    assert caught.value is error
    assert (rig.calls, rig.slept) == (1, [])


def test_a_final_error_after_a_passing_one() -> None:
    answers = [THROTTLED, client_error("InvalidID")]

    def call() -> None:
        raise answers.pop(0)

    with pytest.raises(ClientError, match="InvalidID"):
        Rig(0).retry.run("CreateTags", call)


def test_waits_are_full_jitter_under_a_growing_ceiling() -> None:
    rigs = [Rig(999, rng=random.Random(seed), attempts=12) for seed in range(200)]
    for rig in rigs:
        rig.time = -1e9
        with pytest.raises(ClientError):
            rig.run()
    for attempt in range(1, 8):
        waits = [rig.slept[attempt - 1] for rig in rigs]
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
        assert all(0 <= wait <= ceiling for wait in waits)
        assert min(waits) < ceiling * 0.1, "from nothing"
        assert max(waits) > ceiling * 0.9, "to the ceiling"
    assert max(wait for rig in rigs for wait in rig.slept) <= LONGEST_WAIT


def test_after_a_stop_no_retry_begins() -> None:
    rig = Rig(999)
    rig.stop = True
    with pytest.raises(ClientError):
        rig.run()
    assert (rig.calls, rig.slept) == (1, [])


def test_a_stop_during_the_wait_ends_it_without_another_attempt() -> None:
    rig = Rig(999)

    def sleep(seconds: float) -> None:
        rig.stop = True

    retry = Retry(sleep=sleep, rng=random.Random(1), clock=lambda: 0.0, stopped=lambda: rig.stop)
    with pytest.raises(ClientError) as caught:
        retry.run("CreateTags", rig.call)
    assert caught.value is THROTTLED
    assert rig.calls == 1


def test_one_retry_serves_many_calls_at_once() -> None:
    """Each call counts its own attempts: no quota is shared."""
    rig = Rig(999, attempts=3)
    for _ in range(50):
        with pytest.raises(ClientError):
            rig.run()
    assert rig.calls == 150
