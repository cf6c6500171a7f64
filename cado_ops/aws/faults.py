"""AWS's and botocore's exceptions, turned into the program's own, with a hint that mends."""

from __future__ import annotations

import re
from typing import Any

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from cado_ops.aws.retry import ANSWER_LOST, CUT_SHORT_STATUS, THROTTLING_CODES, names_no_error
from cado_ops.errors import AwsError, Kind
from cado_ops.redaction import redacted
from cado_ops.shell import quote

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
BAD_CREDENTIAL_CODES = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
DENIED_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized"}
)
# "Troubleshoot access denied error messages", IAM User Guide.
_ORG_DENY = re.compile(r"explicit deny in a (service|resource) control policy")

_NETWORK = "Look at the network, HTTPS_PROXY, NO_PROXY and AWS_CA_BUNDLE; then run it again."
# "AWS KMS permissions", KMS Developer Guide: actions on the account, in which no key policy has a part.
_KEYLESS = frozenset({"ListAliases", "ListKeys", "ListRetirableGrants"})


def kind_of(code: str, message: str) -> Kind:
    """What an AWS error code, with its message, means to this program."""
    if code in DENIED_CODES:
        return Kind.ORG_DENIED if _ORG_DENY.search(message) else Kind.DENIED
    if code in THROTTLING_CODES:
        return Kind.THROTTLED
    if code in EXPIRED_CODES or code in BAD_CREDENTIAL_CODES:
        return Kind.CREDENTIALS
    if "NotFound" in code or code == "InvalidID":
        return Kind.NOT_FOUND
    if code.startswith(("InvalidParameter", "Malformed", "Validation", "MissingParameter", "UnknownParameter")):
        return Kind.INVALID
    return Kind.OTHER


def translate(
    error: BaseException, action: str, *, service: str = "sts", profile: str | None, account: str | None
) -> AwsError:
    """The program's error for a botocore exception of ``action``, whatever that exception is."""
    problem = _translated(error, action, service=service, profile=profile, account=account)
    problem.answer_lost = bool(getattr(error, ANSWER_LOST, False))
    return problem


def _translated(
    error: BaseException, action: str, *, service: str, profile: str | None, account: str | None
) -> AwsError:
    if isinstance(error, ClientError):
        return _from_client_error(error, action, service=service, profile=profile, account=account)
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError, ResponseParserError)):
        return AwsError(
            type(error).__name__,
            # An answer that cannot be parsed stands whole in the SDK's message, with all that is secret in it.
            redacted(str(error))[:500],
            kind=Kind.TRANSPORT,
            operation=action,
            hint=_NETWORK,
        )
    if isinstance(error, RuntimeError):
        # "Credentials were refreshed, but the refreshed credentials are still expired."
        return AwsError(
            "RuntimeError", redacted(str(error)), hint=_mend("ExpiredToken", profile), kind=Kind.CREDENTIALS
        )
    credentials = credential_problem(error, profile)
    if credentials is not None:
        return credentials
    return AwsError(type(error).__name__, redacted(str(error)), operation=action)


def _from_client_error(
    error: ClientError, action: str, *, service: str, profile: str | None, account: str | None
) -> AwsError:
    body: dict[str, Any] = dict(error.response.get("Error", {}))
    code = str(body.get("Code") or "Unknown")
    message = str(body.get("Message") or error)
    kind = kind_of(code, message)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 and kind is Kind.OTHER:
        # The request may have taken effect all the same.
        kind = Kind.TRANSPORT
    hint = _hint(action, code, kind, service=service, profile=profile, account=account)
    if names_no_error(error) and (status in CUT_SHORT_STATUS or getattr(error, ANSWER_LOST, False)):
        # Then it says nothing of an attempt before it, either.
        kind, hint = Kind.TRANSPORT, _NETWORK
        said = redacted(str(body.get("Message") or ""))[:200]
        message = f"the answer to {action}, HTTP status {status}, names no error of AWS's" + (said and f": {said}")
    return AwsError(
        code,
        message,
        kind=kind,
        hint=hint,
        operation=action,
        request_id=error.response.get("ResponseMetadata", {}).get("RequestId"),
    )


def _hint(
    action: str, code: str, kind: Kind, *, service: str, profile: str | None, account: str | None
) -> str | None:
    if action == "AssumeRole" and kind is Kind.DENIED:
        return (
            f"AWS answers the same whether the role is missing in {account}, its trust policy does not name you, "
            "or it wants another --external-id or MFA; your own policy must allow sts:AssumeRole on it too."
        )
    if action == "AssumeRole" and code == "RegionDisabledException":
        return "STS is off for that region in the account: choose another home region with AWS_REGION."
    if kind is Kind.ORG_DENIED:
        return "An organisation policy forbids it: only who manages the organisation can change that."
    if kind is Kind.DENIED:
        if service == "kms" and action not in _KEYLESS:
            return (
                f"The operator role needs kms:{action}, and the key's policy has to leave that to IAM or allow it."
            )
        return f"The operator role needs the permission {service}:{action}."
    if kind is Kind.THROTTLED:
        return "AWS throttled every attempt: run it again later, or with a smaller --max-concurrency."
    if kind is Kind.CREDENTIALS:
        return _mend(code, profile)
    if code == "OptInRequired":
        return "The account is not signed up for EC2 in that region: name other regions, or --exclude-region."
    if service == "kms" and code == "LimitExceededException":
        return "The key has as many grants as KMS allows (50,000): cado-ops kms list --key KEY shows whose."
    return None


def _mend(code: str, profile: str | None) -> str:
    option = f" --profile {quote(profile)}" if profile else ""
    if code in EXPIRED_CODES:
        return (
            f"The credentials have expired: renew them (aws sso login{option}, or new temporary keys), "
            "then run the same command again."
        )
    elsewhere = " Where it is one region alone, that region is not enabled in the account."
    return f"AWS does not accept the credentials: see who you are with `aws sts get-caller-identity{option}`." + (
        elsewhere if code == "AuthFailure" else ""
    )


def credential_problem(error: BaseException, profile: str | None) -> AwsError | None:
    """The one clear line for each way in which credentials cannot be had; None if ``error`` is something else."""
    option = f" --profile {quote(profile)}" if profile else ""

    def problem(message: str, hint: str) -> AwsError:
        return AwsError(type(error).__name__, message, hint=hint, kind=Kind.CREDENTIALS)

    match error:
        case boto.ProfileNotFound():
            return problem(
                f"There is no profile {profile or error.kwargs.get('profile')!r} in your AWS configuration.",
                "See which there are: aws configure list-profiles",
            )
        case boto.UnauthorizedSSOTokenError() | boto.SSOTokenLoadError() | boto.TokenRetrievalError():
            return problem("You are not logged in to AWS SSO, or the login has expired.", f"aws sso login{option}")
        case boto.LoginRefreshRequired() | boto.LoginTokenLoadError():
            return problem("You are not logged in to AWS, or the login has expired.", f"aws login{option}")
        case boto.NoCredentialsError():
            return problem(
                "No AWS credentials were found.",
                f"aws configure sso{option}, or set AWS_PROFILE, or --profile NAME",
            )
        case boto.PartialCredentialsError():
            return problem(
                f"The AWS credentials are incomplete ({redacted(str(error))}).", f"aws configure{option}"
            )
        case boto.CredentialRetrievalError():
            return problem(
                f"The credentials could not be had: {redacted(str(error)).rstrip(': ')}",
                f"Try the source by itself: aws sts get-caller-identity{option}",
            )
        case boto.InfiniteLoopConfigError() | boto.InvalidConfigError() | boto.ConfigParseError():
            return problem(
                f"Your AWS configuration is not valid: {redacted(str(error))}",
                "Mend ~/.aws/config (or AWS_CONFIG_FILE).",
            )
        case boto.NoRegionError():
            return problem("No region is set.", "Name one: --region, AWS_REGION, or region in the profile")
        case BotoCoreError() if "MFA" in str(error) or "mfa" in str(error):
            return problem("MFA is needed, and there is no terminal to ask for the code.", _mfa_hint(option))
        case _:
            return None


def _mfa_hint(option: str) -> str:
    return f"Run it in a terminal once, or get a session first: aws sts get-caller-identity{option}"
