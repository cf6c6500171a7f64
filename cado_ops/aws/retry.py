"""The one retry layer: what is tried again, how often, how long.

botocore's own retries are switched off (`connection.py`): its retry quota belongs to the client, and a client here
is shared by all accounts, so that one throttled account would leave the others no retries at all.

The classes of errors follow botocore's standard mode (botocore.retries.standard) and the pages "Query API request
rate" (EC2) and "Throttling AWS KMS requests"; `RULES` adds what only this domain knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import tenacity
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    HTTPClientError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

T = TypeVar("T")

DEFAULT_ATTEMPTS = 10
# The attribute of an exception that says: an attempt before it got no answer.
ANSWER_LOST = "cado_ops_answer_lost"
MAX_SECONDS = 180.0
FIRST_WAIT = 0.2
LONGEST_WAIT = 20.0


class Again(StrEnum):
    """Whether a failed attempt is worth another."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    NO = "no"


THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "KMSInternalException",
        "DependencyTimeoutException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
    }
)
TRANSIENT_STATUS = frozenset({500, 502, 503, 504})
# The status of the errors of AWS's JSON services, 412 that of a dry run's answer. Without a code, AWS said which
# error it is, and it was lost on the way.
CUT_SHORT_STATUS = frozenset({400, 412})

# (action, code): what the general classes get wrong, or cannot know. An action of None means every action.
RULES: dict[tuple[str | None, str], Again] = {
    # A grant quota of 50,000 a key, not throttling, though botocore's standard mode retries it.
    (None, "LimitExceededException"): Again.NO,
    # "Tags are being modified by another request": EC2 asks to try again.
    ("CreateTags", "ConcurrentTagAccess"): Again.TRANSIENT,
    ("DeleteTags", "ConcurrentTagAccess"): Again.TRANSIENT,
    # A dry run answers by an error; whatever the HTTP status, that is the answer.
    (None, "DryRunOperation"): Again.NO,
    (None, "DryRunOperationException"): Again.NO,
}


def classify(action: str, error: BaseException) -> Again:
    """Whether ``action`` ("CreateTags"), having failed with ``error``, should be tried again."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        rule = RULES.get((action, code)) or RULES.get((None, code))
        if rule is not None:
            return rule
        if code in THROTTLING_CODES:
            return Again.THROTTLED
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in TRANSIENT_CODES or status in TRANSIENT_STATUS or status == 429:
            return Again.TRANSIENT
        if names_no_error(error) and status in CUT_SHORT_STATUS:
            return Again.TRANSIENT
        return Again.NO
    transport = (
        ConnectionError,
        ConnectionClosedError,
        HTTPClientError,
        ResponseParserError,
        ResponseStreamingError,
    )
    return Again.TRANSIENT if isinstance(error, transport) else Again.NO


def names_no_error(error: ClientError) -> bool:
    """Whether an error is none of AWS's: its text was lost or cut short, or is somebody's in between.

    Every error of AWS has a code ("Common errors" in each API reference). Where a JSON service's has none, botocore
    puts the HTTP status in its place.
    """
    code = str(error.response.get("Error", {}).get("Code") or "")
    return not code or code.isdecimal()


def _is_fault(error: ClientError) -> bool:
    """Whether AWS's answer says that something broke on its side, wherever it then stood with the request.

    What EC2 throttles it refuses before it looks at it, with status 503.
    """
    if error.response.get("Error", {}).get("Code") in THROTTLING_CODES:
        return False
    return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)


class Retry:
    """Runs a call until it succeeds, fails for good, or the bounds are reached; then the last error is raised.

    Every call that is sent through this layer is idempotent: reads, tags set to a value, tags removed by key and
    value, grants made under a name. So an answer that was lost may be asked for again. Where that makes a
    difference (what was ended already cannot be ended again), the error bears the mark ANSWER_LOST.
    """

    def __init__(
        self,
        *,
        attempts: int = DEFAULT_ATTEMPTS,
        sleep: Callable[[float], Any],
        rng: random.Random,
        clock: Callable[[], float],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._attempts = max(1, attempts)
        self._sleep = sleep
        self._rng = rng
        self._clock = clock
        self._stopped = stopped

    def run(
        self, action: str, call: Callable[[], T], throttled: Callable[[float], Any] = lambda seconds: None
    ) -> T:
        """``throttled`` is told of each wait (seconds) that AWS asked for by throttling."""
        started = self._clock()
        failed: list[BaseException] = []
        try:
            # Nearly all calls are made once: what it takes to make them again is made when it is needed.
            return call()
        except Exception as error:  # noqa: BLE001  raised by the first attempt below
            first: Exception | None = error

        def attempt() -> T:
            nonlocal first
            if first is not None:
                error, first = first, None
                failed.append(error)
                raise error
            if self._stopped():
                raise failed[-1]  # the stop came during the wait
            try:
                return call()
            except Exception as error:
                if any(not isinstance(each, ClientError) or _is_fault(each) for each in failed):
                    setattr(error, ANSWER_LOST, True)
                failed.append(error)
                raise

        def wait(state: tenacity.RetryCallState) -> float:
            # Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): callers spread out at once.
            ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
            return self._rng.uniform(0, ceiling)

        def stop(state: tenacity.RetryCallState) -> bool:
            return (
                state.attempt_number >= self._attempts or self._clock() - started >= MAX_SECONDS or self._stopped()
            )

        def tell(state: tenacity.RetryCallState) -> None:
            if state.next_action is not None and classify(action, failed[-1]) is Again.THROTTLED:
                throttled(state.next_action.sleep)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: classify(action, error) is not Again.NO),
            wait=wait,
            stop=stop,
            before_sleep=tell,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)
