"""STS, and the credentials of every request: who a key belongs to, and whether it still holds.

moto lets any caller assume any role, existing or not, and never lets a session expire.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.encoded import MAX_ENCODED, decode
from cado_ops.sandbox.environment import OPERATOR_ACCESS_KEY, OPERATOR_SESSION_TOKEN
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_query

_ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):role/(?:[\w+=,.@/-]*/)?([\w+=,.@-]+)")
_CONSTRAINTS = (
    # parameter, shortest, longest, pattern (AssumeRole, API reference)
    ("RoleSessionName", 2, 64, r"[\w+=,.@-]*"),
    ("ExternalId", 2, 1224, r"[\w+=,.@:\/-]*"),
)


@dataclass(slots=True)
class Session:
    """Who a set of credentials is. ``expires`` and ``token`` are None for a user's long-lived keys."""

    account: str
    arn: str
    user_id: str
    role_arn: str | None = None
    token: str | None = None
    expires: datetime | None = None


_OPERATOR = Session(
    acme.MANAGEMENT,
    acme.RESPONDER_ARN,
    "AROASANDBOXRESPONDER0:alice",
    role_arn=f"arn:aws:iam::{acme.MANAGEMENT}:role/{acme.RESPONDER_ROLE}",
    token=OPERATOR_SESSION_TOKEN,
)
_sessions: dict[str, Session] = {OPERATOR_ACCESS_KEY: _OPERATOR}


def forget_sessions() -> None:
    """Leave the operator's session only."""
    _sessions.clear()
    _sessions[OPERATOR_ACCESS_KEY] = _OPERATOR


def expire_sessions(account: str | None) -> None:
    """Let assumed sessions, of one account or all, have expired a moment ago."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    for session in list(_sessions.values()):
        if session is not _OPERATOR and account in (None, session.account):
            session.expires = past


def find_session(request: RequestInfo) -> Session | None:
    """Whose access key it is: a session's, or a user's made with CreateAccessKey."""
    session = _sessions.get(request.access_key)
    if session is not None:
        return session
    for member in acme.MEMBERS:
        iam = backend("iam", member.account)
        if request.access_key in iam.access_keys:
            user = iam.get_user_from_access_key_id(request.access_key)
            if user is not None:
                return Session(member.account, user.arn, user.id)
    return None


def check_credentials(request: RequestInfo, session: Session | None) -> None:
    """Refuse unknown, mismatched and expired credentials, in the words of each service.

    EC2 User Guide, "Error codes for the Amazon EC2 API"; STS API reference, "Common errors".
    """
    if session is None or session.token != request.session_token:
        raise unknown_credentials(request.service)
    if session.expires is None or datetime.now(UTC) < session.expires:
        return
    if request.service == "ec2":
        raise AwsFault("RequestExpired", "Request has expired.")
    if request.service in ("sts", "iam"):
        raise AwsFault("ExpiredToken", "The security token included in the request is expired", 403)
    raise AwsFault("ExpiredTokenException", "The security token included in the request is expired")


def unknown_credentials(service: str) -> AwsFault:
    """What a service says to credentials that it does not know."""
    if service == "ec2":
        return AwsFault("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    code = "InvalidClientTokenId" if service in ("sts", "iam") else "UnrecognizedClientException"
    return AwsFault(code, "The security token included in the request is invalid.", 403)


def get_caller_identity(request: RequestInfo) -> Response:
    """moto answers for a user named moto where it does not know the key."""
    session = find_session(request)
    assert session is not None
    return answer_query(
        "sts",
        "GetCallerIdentity",
        f"<Arn>{escape(session.arn)}</Arn><UserId>{escape(session.user_id)}</UserId>"
        f"<Account>{session.account}</Account>",
    )


def assume_role(request: RequestInfo) -> Response:
    """A session of a role that exists and trusts the caller; anything else is the same AccessDenied.

    STS API reference, AssumeRole; IAM User Guide, "Roles terms and concepts" (role chaining: one hour).
    """
    params = request.params
    _check_constraints(params)
    role_arn, name = str(params.get("RoleArn", "")), str(params.get("RoleSessionName", ""))
    match = _ROLE_ARN.fullmatch(role_arn)
    if match is None:
        raise AwsFault("ValidationError", f"{role_arn} is invalid")
    caller = find_session(request)
    assert caller is not None
    role = _find_role(match[1], role_arn)
    if role is None or not _trusts(role, caller, params.get("ExternalId")):
        raise AwsFault(
            "AccessDenied",
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            403,
        )
    seconds = _duration(params, caller, role)
    access_key = "ASIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
    session = Session(
        account=match[1],
        arn=f"arn:aws:sts::{match[1]}:assumed-role/{match[2]}/{name}",
        user_id=f"{role.id}:{name}",
        role_arn=role_arn,
        token=secrets.token_urlsafe(48),
        expires=datetime.now(UTC) + timedelta(seconds=seconds),
    )
    _sessions[access_key] = session
    assert session.expires is not None
    return answer_query(
        "sts",
        "AssumeRole",
        f"<AssumedRoleUser><AssumedRoleId>{escape(session.user_id)}</AssumedRoleId>"
        f"<Arn>{escape(session.arn)}</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{access_key}</AccessKeyId>"
        f"<SecretAccessKey>{secrets.token_hex(20)}</SecretAccessKey>"
        f"<SessionToken>{session.token}</SessionToken>"
        f"<Expiration>{session.expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>",
    )


def decode_authorization_message(request: RequestInfo) -> Response:
    """What an encoded message of the sandbox's own says, to a caller of the account that it was made for.

    STS API reference, DecodeAuthorizationMessage. moto has no such action.
    """
    message = str(request.params.get("EncodedMessage", ""))
    if not 1 <= len(message) <= MAX_ENCODED:
        raise _constraint(message[:40], "EncodedMessage", f"Member must have length between 1 and {MAX_ENCODED}")
    account, document = decode(message)
    if account is None or account != request.account:
        raise AwsFault(
            "InvalidAuthorizationMessageException", "Message is invalid: it cannot be decoded for this account."
        )
    return answer_query("sts", "DecodeAuthorizationMessage", f"<DecodedMessage>{escape(document)}</DecodedMessage>")


def _check_constraints(params: dict[str, Any]) -> None:
    for name, shortest, longest, pattern in _CONSTRAINTS:
        value = params.get(name)
        if value is None:
            continue
        if len(value) < shortest:
            problem = f"Member must have length greater than or equal to {shortest}"
        elif len(value) > longest:
            problem = f"Member must have length less than or equal to {longest}"
        elif re.fullmatch(pattern, value, re.ASCII) is None:
            problem = f"Member must satisfy regular expression pattern: {pattern}"
        else:
            continue
        raise _constraint(value, name, problem)


def _constraint(value: object, name: str, problem: str) -> AwsFault:
    field = name[0].lower() + name[1:]
    return AwsFault(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {problem}",
    )


def _duration(params: dict[str, Any], caller: Session, role: Any) -> int:
    seconds = int(params.get("DurationSeconds", 3600))
    if seconds < 900:
        raise _constraint(seconds, "DurationSeconds", "Member must have value greater than or equal to 900")
    if seconds > 43200:
        raise _constraint(seconds, "DurationSeconds", "Member must have value less than or equal to 43200")
    if seconds > 3600 and caller.role_arn is not None:
        raise AwsFault(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        )
    if seconds > int(role.max_session_duration or 3600):
        raise AwsFault(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return seconds


def _find_role(account: str, role_arn: str) -> Any:
    member = next((member for member in acme.MEMBERS if member.account == account), None)
    if member is None or member.state != "ACTIVE":
        return None
    roles = backend("iam", account).roles.values()
    return next((role for role in roles if role.arn == role_arn), None)


def _trusts(role: Any, caller: Session, external_id: str | None) -> bool:
    """Whether the trust policy names the caller, and its external id where it asks for one."""
    names = {"*", caller.account, f"arn:aws:iam::{caller.account}:root", caller.arn, caller.role_arn}
    for statement in _many(json.loads(role.assume_role_policy_document)["Statement"]):
        principal = statement.get("Principal", {})
        trusted = _many(principal.get("AWS", []) if isinstance(principal, dict) else principal)
        actions = _many(statement.get("Action", []))
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        if (
            statement.get("Effect") == "Allow"
            and names.intersection(trusted)
            and {"sts:AssumeRole", "sts:*", "*"}.intersection(actions)
            and (wanted is None or external_id in _many(wanted))
        ):
            return True
    return False


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


MENDS = {
    ("sts", "GetCallerIdentity"): get_caller_identity,
    ("sts", "AssumeRole"): assume_role,
    ("sts", "DecodeAuthorizationMessage"): decode_authorization_message,
}
