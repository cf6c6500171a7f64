"""What happens to one request: who calls, may this region be called at all, a mend's answer or moto's."""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from cado_ops.sandbox import (
    acme,
    ec2_disks,
    ec2_instances,
    ec2_tags,
    encoded,
    kms,
    kms_keys,
    organizations,
    simulate,
    ssm,
    sts,
    world,
)
from cado_ops.sandbox.backends import BACKENDS
from cado_ops.sandbox.protocol import AwsFault, Call, RequestInfo, Response, encode_fault, parse_request

Intercept = Callable[[RequestInfo], Response | None]
Mend = Callable[[RequestInfo], Response | None]

# A mend that returns None hands the request on to moto.
MENDS: dict[tuple[str, str], Mend] = {
    **ec2_disks.MENDS,
    **ec2_instances.MENDS,
    **ec2_tags.MENDS,
    **kms.MENDS,
    **kms_keys.MENDS,
    **organizations.MENDS,
    **simulate.MENDS,
    **ssm.MENDS,
    **sts.MENDS,
}
_READING = ("Assume", "Decode", "Describe", "Get", "List", "Simulate")
# What the region-deny policies of real organisations leave out: services without regions, and STS.
_GLOBAL_SERVICES = frozenset({"iam", "organizations", "sts"})


class Application:
    """Answers requests; holds what tests look at and reach in with."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.intercept: Intercept | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.reset()

    def reset(self) -> None:
        """A fresh world: as seeded, no sessions but the operator's, nothing recorded, nothing intercepted."""
        with world.LOCK:
            world.restore()
            sts.forget_sessions()
        self.calls.clear()
        self.intercept = None

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """One request in, one answer out; never an exception."""
        request = parse_request(method, target, headers, body)
        session = sts.find_session(request)
        if session is not None:
            request.account, request.arn = session.account, session.arn
        call = Call(request.service, request.action, request.account, request.region, request.access_key)
        self.calls.append(call)
        intercept = self.intercept
        try:
            intercepted = intercept(request) if intercept else None  # outside the lock: it may sleep
            if intercepted is not None:
                return intercepted
            with world.LOCK:
                sts.check_credentials(request, session)
                check_region(request)
                return self._serve(request)
        except AwsFault as fault:
            return encode_fault(request.service, fault)
        except Exception as error:  # noqa: BLE001 - the boundary: a client must get an answer AWS could give
            traceback.print_exc()
            return request.error("InternalFailure", f"The sandbox failed: {error!r}", 500)

    def _serve(self, request: RequestInfo) -> Response:
        if not request.action.startswith(_READING):
            world.touch()
        mend = MENDS.get((request.service, request.action))
        answer = mend(request) if mend else None
        return answer if answer is not None else self._ask_moto(request)

    def _ask_moto(self, request: RequestInfo) -> Response:
        missing = f"The sandbox does not simulate {request.service}:{request.action}."
        code = "InvalidAction" if request.service in ("ec2", "iam", "sts") else "UnknownOperationException"
        if request.service not in BACKENDS:
            raise AwsFault(code, missing)
        head: list[Any] = []
        environ = _wsgi_environ(request)
        try:
            chunks = self._moto(environ, lambda status, headers, exc_info=None: head.extend((status, headers)))
        except NotImplementedError as error:
            raise AwsFault(code, missing) from error
        status, headers = int(head[0].split()[0]), dict(head[1])
        content = b"".join(chunks)
        if status == 404 and headers.get("Content-Type", "").startswith("text/html"):
            raise AwsFault(code, missing)
        return status, headers, content


def check_region(request: RequestInfo) -> None:
    """AWS refuses credentials in a region that is not enabled, and the organisation's SCP denies one more.

    IAM User Guide, "Troubleshoot access denied error messages"; an SCP does not bind the management account.
    """
    if request.service in _GLOBAL_SERVICES:
        return
    if request.region not in acme.REGIONS:
        raise sts.unknown_credentials(request.service)
    if request.region != acme.DENIED_REGION or request.account == acme.MANAGEMENT:
        return
    text = (
        f"User: {request.arn} is not authorized to perform: {request.service}:{request.action} "
        f"with an explicit deny in a service control policy: {acme.REGION_DENY_POLICY}"
    )
    if request.service == "ec2":
        whole = f"You are not authorized to perform this operation. {text}{encoded.failure(request)}"
        raise AwsFault("UnauthorizedOperation", whole, 403)
    raise AwsFault("AccessDeniedException", text)


def _wsgi_environ(request: RequestInfo) -> dict[str, Any]:
    path, _, query = request.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    # moto prefers a region named in the user agent to the signed one, and guesses the account.
    environ["HTTP_USER_AGENT"] = "sandbox"
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = request.account or ""
    return environ
