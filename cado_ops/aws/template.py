"""What all requests of one operation in a region have in common: taken from the first, which botocore made.

A request is only copied where it is plain (a POST to "/", in a protocol that says everything in the body), where
nothing takes part in the call that is not known here, and where this module, given the same parameters and date,
makes the very body and signature that botocore made. So another botocore can cost speed, and nothing else.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.exceptions import ParamValidationError

from cado_ops.aws.exchange import Answer, exchange
from cado_ops.aws.sigv4 import ALGORITHM, Scope, authorization

try:
    from botocore.awsrequest import AWSResponse
    from botocore.compat import get_current_datetime
    from botocore.httpsession import URLLib3Session
except ImportError:  # another botocore: its own way is taken
    URLLib3Session = None

_PROTOCOLS = frozenset({"ec2", "json", "query"})
# Of each request anew; every other header of the first one stands in all.
_OWN_HEADERS = ("x-amz-date", "x-amz-security-token", "authorization", "amz-sdk-invocation-id", "content-length")
_KEPT_HEADERS = frozenset({"content-type", "user-agent", "x-amz-target", "amz-sdk-request"})
# What botocore, and this program, have registered for a call of these services. That which changes a request is
# seen in the first one; the rest is there for other operations, or for retries, which are switched off.
_EVENTS = (
    *("provide-client-params", "before-parameter-build", "before-endpoint-resolution", "before-call"),
    *("request-created", "choose-signer", "before-sign", "before-send", "before-parse", "response-received"),
    *("needs-retry", "after-call", "after-call-error"),
)
_KNOWN_HANDLERS = frozenset(
    {
        "MaxAttemptsSeeder.seed_max_attempts",
        "ParameterAlias.alias_parameter_in_call",
        "RequestSigner.handler",
        "RetryHandler.needs_retry",
        "RetryQuotaChecker.release_retry_quota",
        "UserAgentString.rebuild_and_replace_user_agent_handler",
        "_handle_request_validation_mode_member",
        "_set_auth_scheme_preference_signer",
        "_sign_for_identity",
        "add_recursion_detection_header",
        "add_retry_headers",
        "generate_idempotent_uuid",
        "inject_api_version_header_if_needed",
        "set_operation_specific_signer",
        "take_part",
    }
)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
_SIGNED = re.compile(rf"{ALGORITHM} Credential=\S+/\d+/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), ")


class Template:
    """What all requests of an operation have in common, and how their answers are read."""

    def __init__(self, client: Any, action: str, request: Any) -> None:
        """Raises whatever it may where the request is none that can be copied."""
        self._url = request.url
        self._method = request.method
        self._model = client.meta.service_model.operation_model(action)
        self._serializer = client._serializer
        self._host = _host(self._url)
        self._headers = [(name, _text(value)) for name, value in request.headers.items()]
        signed = _SIGNED.match(dict(self._headers)["Authorization"])
        if signed is None:
            raise ValueError("signed in another way")
        region, service, names = signed.groups()
        self._scope, self._signed_names = Scope(region, service), names.split(";")
        self._pool = _pool(client, self._url)
        protocol = client.meta.service_model.resolved_protocol
        self._parser = client._endpoint._response_parser_factory.create_parser(protocol)
        others = {name.lower() for name, _ in self._headers} - {*_OWN_HEADERS, *_KEPT_HEADERS}
        if others or request.method != "POST" or protocol not in _PROTOCOLS or _is_special(self._model):
            raise ValueError("more than a plain request")

    def send(self, parameters: Mapping[str, Any], frozen: Any) -> Answer | None:
        """The answer; None where botocore has to ask: no connection is open, or the parameters are none."""
        named = f"{frozen.access_key}{frozen.token}"
        if not (named.isascii() and named.isprintable()):
            return None  # what cannot stand in a header, or would begin another, http.client refuses
        try:
            body = self.body(parameters)
        except ParamValidationError:
            return None
        moment = get_current_datetime().strftime("%Y%m%dT%H%M%SZ")
        return exchange(self._pool, self.head(body, frozen, moment) + body, method=self._method, url=self._url)

    def read(self, answer: Answer) -> dict[str, Any]:
        """What a successful answer says, as botocore's client gives it."""
        told = {"headers": answer.headers, "status_code": answer.status, "body": answer.body, "context": {}}
        parsed: dict[str, Any] = self._parser.parse(told, self._model.output_shape)
        parsed["ResponseMetadata"]["RetryAttempts"] = 0
        return parsed

    def as_botocores(self, answer: Answer) -> Any:
        """The answer as botocore has it from urllib3."""
        return AWSResponse(self._url, answer.status, dict(answer.headers.items()), _Body(answer.body))

    def body(self, parameters: Mapping[str, Any]) -> bytes:
        """Raises botocore's ParamValidationError."""
        said = self._serializer.serialize_to_request(parameters, self._model)["body"]
        return said if isinstance(said, bytes) else _form(said)

    def head(self, body: bytes, frozen: Any, moment: str) -> bytes:
        """The request up to its body, signed with botocore's frozen credentials for a moment of X-Amz-Date."""
        own = {
            "x-amz-date": moment,
            "x-amz-security-token": frozen.token,
            "amz-sdk-invocation-id": str(uuid.uuid4()),
            "content-length": str(len(body)),
        }
        said = {name.lower(): value for name, value in self._headers} | own | {"host": self._host}
        own["authorization"] = authorization(
            self._scope, moment, frozen.access_key, frozen.secret_key,
            method=self._method, path="/", headers=[(name, said[name]) for name in self._signed_names], body=body,
        )  # fmt: skip
        lines = [f"{name}: {own.get(name.lower(), value)}\r\n" for name, value in self._headers]
        first = f"{self._method} / HTTP/1.1\r\nHost: {self._host}\r\nAccept-Encoding: identity\r\n"
        return f"{first}{''.join(lines)}\r\n".encode("latin-1")


def copy_of(client: Any, action: str, request: Any, parameters: Mapping[str, Any], frozen: Any) -> Template | None:
    """A template of the request that botocore made of these parameters and credentials; None where it is none."""
    # What goes wrong here may be anything, with another botocore; and the answer to a call must not be lost by it.
    with suppress(Exception):
        if set(_handlers(client, action)) <= _KNOWN_HANDLERS and type(_session(client)) is URLLib3Session:
            template = Template(client, action, request)
            headers = {name.lower(): _text(value) for name, value in request.headers.items()}
            body = template.body(parameters)
            head = template.head(body, frozen, headers["x-amz-date"]).decode("latin-1")
            signed = f"\r\nAuthorization: {headers['authorization']}\r\n"
            if body.decode() == _text(request.body) and signed in head:
                return template
    return None


def _handlers(client: Any, action: str) -> Iterator[str]:
    """The names of all that takes part in a call."""
    events = client.meta.events
    service = client.meta.service_model.service_id.hyphenize()
    for event in _EVENTS:
        name = events._alias_event_name(f"{event}.{service}.{action}")
        for handler in events._emitter._handlers.prefix_search(name):
            yield getattr(handler, "__qualname__", repr(handler))


def _session(client: Any) -> Any:
    return client._endpoint.http_session


def _pool(client: Any, url: str) -> Any:
    """urllib3's pool of connections to where the request goes, through a proxy's tunnel perhaps."""
    session = _session(client)
    proxy = session._proxy_config.proxy_url_for(url)
    if session._get_request_target(url, proxy) != "/":
        raise ValueError("a path, or a proxy that is asked in another way")
    return session._get_connection_manager(url, proxy).connection_from_url(url)


def _is_special(model: Any) -> bool:
    """Whether more than its parameters make up a request of this operation, or more than its body an answer."""
    return bool(
        model.idempotent_members
        or model.context_parameters
        or model.operation_context_parameters
        or model.endpoint
        or model.http_checksum
        or model.request_compression
        or model.has_streaming_input
        or model.has_streaming_output
        or model.has_event_stream_input
        or model.has_event_stream_output
    )


def _host(url: str) -> str:
    """The header Host, as botocore signs it and http.client sends it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def _form(said: Mapping[str, Any]) -> bytes:
    """The body of a form, as urlencode makes it; where nothing needs quoting, without looking at each value."""
    if _PLAIN.fullmatch("".join([f"{name}{value}" for name, value in said.items()])):
        return "&".join([f"{name}={value}" for name, value in said.items()]).encode()
    return urlencode(said, doseq=True).encode()


class _Body:
    """The part of urllib3's answers that botocore reads the body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
