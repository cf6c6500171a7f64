"""One session, one client a service and region, shared by all accounts; credentials chosen per request.

A client per account and region is what makes multi-account tools slow. So the clients here hold no credentials
of anybody: `Connection.call` names an identity, and the request is signed with that identity's credentials: by a
``before-sign`` handler where botocore makes it, by `aws.template` where it is a copy of such a one. A request
without an identity is never signed at all.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError
from botocore.parsers import ResponseParserError

from cado_ops import __version__
from cado_ops.aws.credentials import CredentialStore, Identity, Roles
from cado_ops.aws.endpoints import foreign_endpoint
from cado_ops.aws.faults import EXPIRED_CODES, translate
from cado_ops.aws.logs import redact_sdk_logs
from cado_ops.aws.pace import Pace
from cado_ops.aws.repeat import Operation, take_part
from cado_ops.aws.retry import ANSWER_LOST, DEFAULT_ATTEMPTS, Retry
from cado_ops.aws.session import open_session
from cado_ops.aws.throttling import Throttling
from cado_ops.aws.tls import Trust
from cado_ops.errors import AwsError, Kind, UsageError
from cado_ops.model import Caller
from cado_ops.redaction import redacted

CONNECT_SECONDS = 10
READ_SECONDS = 60
# Where neither flag, environment nor profile names a region, STS still needs one to be asked in.
FALLBACK_REGION = "us-east-1"

_signing_credentials: ContextVar[Any] = ContextVar("cado_ops_signing_credentials", default=None)


class MalformedResponse(ResponseParserError):  # type: ignore[misc]
    """An answer with status 200 that is not AWS's, or not the whole of it. Tried again like any that is lost."""


class UnsignedRequestError(Exception):
    """A fault of this program: a request that nobody chose credentials for."""


@contextmanager
def understanding(action: str) -> Iterator[None]:
    """Turns what goes wrong in reading an answer into an AwsError: it was no answer of AWS's, or was cut short."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {redacted(str(error))[:200]}"
        raise AwsError(
            "MalformedResponse",
            f"the answer to {action} could not be understood ({problem})",
            kind=Kind.TRANSPORT,
            operation=action,
            hint="Something between you and AWS may have answered: look at HTTPS_PROXY and the endpoint.",
        ) from error


def _insist_on_aws(answer: Mapping[str, Any], action: str, expects: str | None) -> None:
    """Raises MalformedResponse where an answer is not AWS's.

    The SDK takes whatever a JSON service's body holds, a proxy's login page too, for an empty answer: and an empty
    one is all that says that RetireGrant was done. AWS signs each of its answers with a request id ("Common
    response headers"), and leaves none of its lists out.
    """
    told = answer.get("ResponseMetadata", {})
    if not told.get("RequestId") and "x-amzn-requestid" not in told.get("HTTPHeaders", ()):
        raise MalformedResponse(f"the answer to {action} bears no request id: it is not AWS's")
    if expects is not None and expects not in answer:
        raise MalformedResponse(f"the answer to {action} has no {expects}: it is not AWS's, or was cut short")


def _sign_for_identity(request: Any, operation_name: str, **_: Any) -> None:
    credentials = _signing_credentials.get()
    if credentials is None:
        raise UnsignedRequestError(f"{operation_name} was about to be signed for no identity")
    # A new dictionary: botocore may share the one it put there.
    request.context["signing"] = {
        **request.context.get("signing", {}),
        "request_credentials": credentials,
    }


class Connection:
    """Calls to AWS as any identity in scope, with retries, renewal and errors of our own.

    ``now`` and ``clock`` are the wall and the monotonic clock, ``sleep`` waits (seconds), ``rng`` spreads retries;
    ``stopped`` says that no retry should begin any more; ``waiting`` is entered while one call waits for another to
    assume the role of both. Raises AwsError (kind CREDENTIALS) when made without usable credentials.
    """

    def __init__(
        self,
        *,
        roles: Roles,
        profile: str | None,
        endpoint_url: str | None,
        region: str | None,
        home_region: str | None = None,
        max_concurrency: int,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Any],
        rng: random.Random,
        stopped: Callable[[], bool],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.profile = profile
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._operations: dict[tuple[str, str, str], Operation] = {}
        self._trust = Trust()
        redact_sdk_logs()
        self._session, base = open_session(profile)
        self.region: str | None = self._session.get_config_variable("region")
        self.home_region = home_region or self.region or region or FALLBACK_REGION
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=max_concurrency,
            user_agent_extra=f"cado-ops/{__version__}",
            tcp_keepalive=True,
        )
        self.throttling = Throttling()
        self._pace = Pace(sleep=sleep, clock=clock)
        self._retry = Retry(attempts=_max_attempts(os.environ), sleep=sleep, rng=rng, clock=clock, stopped=stopped)
        self.credentials = CredentialStore(base, roles, self._assume_role, now, waiting)
        self._base = base

    def identify(self) -> Caller:
        """Who calls (STS GetCallerIdentity), and where calls go if not to AWS itself."""
        answer = self._send("sts", self.home_region, "GetCallerIdentity", {}, self._base, account=None)
        with understanding("GetCallerIdentity"):
            self.credentials.home_account = answer["Account"]
            self.credentials.partition = answer["Arn"].split(":")[1]
        return Caller(answer["Account"], answer["Arn"], foreign_endpoint(self._session, self._endpoint_of))

    def call(
        self,
        identity: Identity,
        service: str,
        region: str,
        action: str,
        parameters: Mapping[str, Any],
        *,
        expects: str | None = None,
    ) -> dict[str, Any]:
        """One API call, ``action`` named as AWS names it ("DescribeInstances"). Raises AwsError.

        ``expects`` is a member that every answer of this action has.
        """
        credentials = self._credentials_of(identity, lost=False)
        self._pace.wait(identity, region, action)
        try:
            return self._send(service, region, action, parameters, credentials, account=identity, expects=expects)
        except AwsError as error:
            if error.code not in EXPIRED_CODES or not self.credentials.expired(identity, credentials):
                raise
            lost = error.answer_lost
        # Where there are no new ones, it is open all the same what became of the first request.
        credentials = self._credentials_of(identity, lost=lost)
        try:
            return self._send(service, region, action, parameters, credentials, account=identity, expects=expects)
        except AwsError as error:
            error.answer_lost = error.answer_lost or lost
            raise

    def _credentials_of(self, identity: Identity, *, lost: bool) -> Any:
        """Credentials, or the error of AssumeRole: ``lost`` says whether an answer to the request itself was."""
        try:
            return self.credentials.get(identity)
        except AwsError as error:
            raise error.like(answer_lost=lost) from error

    def pages(
        self,
        identity: Identity,
        service: str,
        region: str,
        action: str,
        parameters: Mapping[str, Any],
        result: str,
        *,
        asks: str = "NextToken",
        tells: str = "NextToken",
    ) -> Iterator[list[dict[str, Any]]]:
        """The lists named ``result`` of every page of an action; pages may be empty.

        ``asks`` and ``tells`` are what the action calls its page token, on the way in and out.
        """
        token: str | None = None
        seen: set[str] = set()
        while True:
            more = {**parameters, asks: token} if token else parameters
            page = self.call(identity, service, region, action, more, expects=result)
            with understanding(action):
                # Without the list it is no answer of AWS's, whatever its status says: a proxy's page, perhaps.
                listed: list[dict[str, Any]] = page[result]
            yield listed
            token = page.get(tells)
            if not token:
                return
            if token in seen:
                raise AwsError("RepeatedPage", f"{action} answered the same page token twice", operation=action)
            seen.add(token)

    def _assume_role(self, parameters: dict[str, Any]) -> dict[str, Any]:
        account = parameters["RoleArn"].split(":")[4]
        # It counts for who calls.
        self._pace.wait(self.credentials.home_account, self.home_region, "AssumeRole")
        answer = self._send("sts", self.home_region, "AssumeRole", parameters, self._base, account=account)
        with understanding("AssumeRole"):
            credentials: dict[str, Any] = answer["Credentials"]
        return credentials

    def _send(
        self,
        service: str,
        region: str,
        action: str,
        parameters: Mapping[str, Any],
        credentials: Any,
        *,
        account: str | None,
        expects: str | None = None,
    ) -> dict[str, Any]:
        operation = self._operation(service, region, action)

        def attempt() -> dict[str, Any]:
            answer = operation(parameters, credentials)
            _insist_on_aws(answer, action, expects)
            return answer

        token = _signing_credentials.set(credentials)
        try:
            with understanding(action):
                return self._retry.run(action, attempt, partial(self.throttling.note, account, region, action))
        except (BotoCoreError, ClientError, ResponseParserError, RuntimeError) as error:
            raise translate(error, action, service=service, profile=self.profile, account=account) from error
        except AwsError as error:
            # Of this program's own making: nobody is there to give an MFA code.
            error.answer_lost = bool(getattr(error, ANSWER_LOST, False))
            raise
        finally:
            _signing_credentials.reset(token)

    def _operation(self, service: str, region: str, action: str) -> Operation:
        operation = self._operations.get((service, region, action))
        if operation is None:
            operation = Operation(self._client(service, region), action)
            # Of two that are made at once, either will do.
            self._operations[service, region, action] = operation
        return operation

    def _client(self, service: str, region: str) -> Any:
        # Making clients from one session is not thread-safe; using them is.
        with self._lock:
            client = self._clients.get((service, region))
            if client is None:
                try:
                    client = self._session.create_client(
                        service,
                        region_name=region,
                        endpoint_url=self._endpoint_url,
                        config=self._config,
                        # Never used: the handler below chooses, or refuses.
                        aws_access_key_id="chosen-per-request",
                        aws_secret_access_key="chosen-per-request",
                    )
                except InvalidRegionError:
                    raise UsageError(f"{region!r}, from the environment or the profile, is no region") from None
                except ValueError as error:
                    where = "--endpoint-url" if self._endpoint_url else "the endpoint of the environment or profile"
                    raise UsageError(f"{where}: {error}") from error
                except BotoCoreError as error:
                    raise translate(error, service, profile=self.profile, account=None) from error
                # Making a client loads more of the SDK.
                redact_sdk_logs()
                self._trust.share(client)
                client.meta.events.register("before-sign", _sign_for_identity)
                client.meta.events.register("before-send", take_part)
                self._clients[service, region] = client
            return client

    def _endpoint_of(self, service: str) -> str:
        url: str = self._client(service, self.home_region).meta.endpoint_url
        return url


def _max_attempts(environ: Mapping[str, str]) -> int:
    text = environ.get("AWS_MAX_ATTEMPTS", "").strip()
    if not text:
        return DEFAULT_ATTEMPTS
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"AWS_MAX_ATTEMPTS is {text!r}: it takes a whole number from 1")
    return int(text)
