"""AWS's and botocore's exceptions as one clear line, and what mends each."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from cado_ops.aws.ec2 import Ec2
from cado_ops.aws.faults import credential_problem, kind_of, translate
from cado_ops.aws.retry import ANSWER_LOST
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell
from tests.gateway.fake_aws import Parts, Wire, ec2_error


def client_error(code: str, message: str = "words", status: int = 400, action: str = "CreateTags") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
    }
    return ClientError(response, action)


def translated(error: Exception, action: str = "CreateTags", profile: str | None = None) -> AwsError:
    return translate(error, action, profile=profile, account="2" * 12)


CREDENTIALS = [
    (boto.ProfileNotFound(profile="nope"), "no profile 'nope'", "aws configure list-profiles"),
    (boto.NoCredentialsError(), "No AWS credentials were found", "aws configure sso"),
    (
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        "AWS_SECRET_ACCESS_KEY",
        "aws configure",
    ),
    (boto.UnauthorizedSSOTokenError(), "not logged in to AWS SSO", "aws sso login"),
    (boto.SSOTokenLoadError(error_msg="Token for x does not exist"), "not logged in to AWS SSO", "aws sso login"),
    (boto.TokenRetrievalError(provider="sso", error_msg="expired"), "not logged in to AWS SSO", "aws sso login"),
    (
        boto.CredentialRetrievalError(provider="custom-process", error_msg="exit code 3"),
        "exit code 3",
        "aws sts get-caller-identity",
    ),
    (
        boto.InfiniteLoopConfigError(source_profile="a", visited_profiles=["a", "b"]),
        "not valid",
        "~/.aws/config",
    ),
    (boto.InvalidConfigError(error_msg="source_profile is missing"), "source_profile is missing", "~/.aws/config"),
    (boto.ConfigParseError(path="~/.aws/config"), "not valid", "~/.aws/config"),
    (boto.NoRegionError(), "No region", "--region"),
    (boto.RefreshWithMFAUnsupportedError(), "MFA", "aws sts get-caller-identity"),
]


@pytest.mark.parametrize(
    ("error", "message", "hint"), CREDENTIALS, ids=[type(error).__name__ for error, _, _ in CREDENTIALS]
)
def test_every_way_in_which_credentials_cannot_be_had(error: BotoCoreError, message: str, hint: str) -> None:
    problem = translated(error)
    assert message in problem.message
    assert "\n" not in problem.message
    assert hint in (problem.hint or "")
    assert problem.kind is Kind.CREDENTIALS


@pytest.mark.parametrize(
    "error",
    [
        boto.UnauthorizedSSOTokenError(),
        boto.NoCredentialsError(),
        boto.PartialCredentialsError(provider="env", cred_var="X"),
        boto.CredentialRetrievalError(provider="p", error_msg="x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_hint_names_the_profile(error: BotoCoreError) -> None:
    problem = credential_problem(error, "prod")
    assert problem is not None
    assert "--profile prod" in (problem.hint or "")


@pytest.mark.parametrize("name", ["LoginRefreshRequired", "LoginTokenLoadError"])
def test_a_session_of_aws_login_that_has_ended(name: str) -> None:
    error = getattr(boto, name, None)
    if error is None:
        pytest.skip("this botocore knows no aws login")
    problem = translated(error(error_msg="x"), profile="prod")
    assert problem.kind is Kind.CREDENTIALS
    assert "aws login --profile prod" in (problem.hint or "")


def test_a_profile_with_a_blank_in_its_name_can_be_pasted() -> None:
    problem = credential_problem(boto.UnauthorizedSSOTokenError(), "my prod; id")
    assert problem is not None
    assert shlex.split(problem.hint or "") == ["aws", "sso", "login", "--profile", "my prod; id"]


def test_other_errors_are_no_credential_problem() -> None:
    assert credential_problem(boto.ParamValidationError(report="x"), None) is None
    assert credential_problem(ValueError("x"), None) is None


USER = "User: arn:aws:sts::222222222222:assumed-role/Ops/me is not authorized to perform: "


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("AccessDenied", f"{USER}sts:AssumeRole on resource: x", Kind.DENIED),
        (
            "AccessDeniedException",
            f"{USER}ssm:SendCommand on resource: i-1 because no identity-based policy allows it",
            Kind.DENIED,
        ),
        ("UnauthorizedOperation", "You are not authorized to perform this operation.", Kind.DENIED),
        (
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. Encoded authorization failure message: AbCd",
            Kind.DENIED,
        ),
        *[
            (
                "AccessDeniedException",
                f"{USER}ec2:CreateTags because no {source} allows the ec2:CreateTags action",
                kind,
            )
            for source, kind in [
                ("session policy", Kind.DENIED),
                ("permissions boundary", Kind.DENIED),
                ("resource-based policy", Kind.DENIED),
                ("VPC endpoint policy", Kind.DENIED),
                ("role trust policy", Kind.DENIED),
            ]
        ],
        *[
            ("UnauthorizedOperation", f"{USER}ec2:CreateTags with an explicit deny in {source}", kind)
            for source, kind in [
                ("a service control policy", Kind.ORG_DENIED),
                ("a service control policy: arn:aws:organizations::1:policy/o-1/p-1", Kind.ORG_DENIED),
                ("a resource control policy", Kind.ORG_DENIED),
                ("an identity-based policy", Kind.DENIED),
                ("a permissions boundary", Kind.DENIED),
                ("a session policy", Kind.DENIED),
                ("a VPC endpoint policy", Kind.DENIED),
                ("a resource-based policy", Kind.DENIED),
            ]
        ],
        ("ExpiredToken", "The security token included in the request is expired", Kind.CREDENTIALS),
        ("ExpiredTokenException", "words", Kind.CREDENTIALS),
        ("RequestExpired", "Request has expired.", Kind.CREDENTIALS),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", Kind.CREDENTIALS),
        ("UnrecognizedClientException", "words", Kind.CREDENTIALS),
        ("SignatureDoesNotMatch", "words", Kind.CREDENTIALS),
        ("AuthFailure", "words", Kind.CREDENTIALS),
        ("RequestLimitExceeded", "Request limit exceeded.", Kind.THROTTLED),
        ("ThrottlingException", "Rate exceeded", Kind.THROTTLED),
        ("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", Kind.NOT_FOUND),
        ("InvalidID", "The ID 'i-1' is not valid", Kind.NOT_FOUND),
        ("NotFoundException", "words", Kind.NOT_FOUND),
        ("InvalidParameterValue", "words", Kind.INVALID),
        ("ValidationException", "words", Kind.INVALID),
        ("MissingParameter", "words", Kind.INVALID),
        ("TagLimitExceeded", "words", Kind.OTHER),
        ("LimitExceededException", "words", Kind.OTHER),
        ("OptInRequired", "words", Kind.OTHER),
    ],
)
def test_kind(code: str, message: str, kind: Kind) -> None:
    assert kind_of(code, message) is kind


def test_awss_own_words_come_through() -> None:
    message = f"{USER}ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:222222222222:instance/i-1"
    error = translated(client_error("UnauthorizedOperation", message, 403))
    assert (error.code, error.message, error.operation) == ("UnauthorizedOperation", message, "CreateTags")
    assert error.request_id == "r-1"


@pytest.mark.parametrize(
    ("error", "action", "hint"),
    [
        (client_error("AccessDenied"), "AssumeRole", "--external-id"),
        (client_error("AccessDenied"), "AssumeRole", "222222222222"),
        (client_error("RegionDisabledException"), "AssumeRole", "AWS_REGION"),
        (
            client_error("UnauthorizedOperation", "explicit deny in a service control policy"),
            "CreateTags",
            "organisation",
        ),
        (client_error("RequestLimitExceeded", status=503), "CreateTags", "--max-concurrency"),
        (client_error("ExpiredToken"), "DescribeInstances", "run the same command again"),
        (client_error("InvalidClientTokenId"), "GetCallerIdentity", "aws sts get-caller-identity"),
        (client_error("OptInRequired"), "DescribeInstances", "--exclude-region"),
    ],
)
def test_hints(error: ClientError, action: str, hint: str) -> None:
    assert hint in (translated(error, action).hint or "")


@pytest.mark.parametrize(
    ("service", "action"),
    [("ec2", "CreateTags"), ("organizations", "ListAccounts"), ("kms", "CreateGrant"), ("iam", "GetRole")],
)
def test_a_denial_names_the_permission(service: str, action: str) -> None:
    error = translate(client_error("AccessDeniedException"), action, service=service, profile=None, account=None)
    assert f"{service}:{action}" in (error.hint or "")


@pytest.mark.parametrize(
    ("action", "by_key"), [("CreateGrant", True), ("ListKeys", False), ("ListRetirableGrants", False)]
)
def test_a_denial_points_at_the_key_policy_where_there_is_a_key(action: str, by_key: bool) -> None:
    error = client_error("AccessDeniedException")
    hint = translate(error, action, service="kms", profile=None, account=None).hint
    assert ("key's policy" in (hint or "")) is by_key


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_error("InternalError", status=500), "InternalError"),
        (client_error("ServiceUnavailable", status=503), "ServiceUnavailable"),
        (client_error("502", status=502), "502"),
        (client_error("400", status=400), "400"),
        (client_error("412", status=412), "412"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), "ReadTimeoutError"),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), "ConnectTimeoutError"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), "EndpointConnectionError"),
        (boto.ConnectionClosedError(endpoint_url="https://x"), "ConnectionClosedError"),
        (boto.SSLError(endpoint_url="https://x", error="x"), "SSLError"),
        (boto.ProxyConnectionError(proxy_url="https://x"), "ProxyConnectionError"),
        (boto.HTTPClientError(error="x"), "HTTPClientError"),
        (ResponseParserError("<html>"), "ResponseParserError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_answer_that_can_be_relied_on(error: Exception, code: str) -> None:
    problem = translated(error)
    assert (problem.kind, problem.code, problem.operation) == (Kind.TRANSPORT, code, "CreateTags")


@pytest.mark.parametrize(("code", "status"), [("TagLimitExceeded", 400), ("SomethingNew", 400), ("404", 404)])
def test_a_plain_refusal_is_an_answer(code: str, status: int) -> None:
    assert translated(client_error(code, status=status)).kind is Kind.OTHER


def test_a_throttled_503_is_throttled() -> None:
    assert translated(client_error("RequestLimitExceeded", status=503)).kind is Kind.THROTTLED


def test_a_refusal_by_somebody_else_says_nothing_of_an_attempt_whose_answer_was_lost() -> None:
    error = client_error("404", status=404)
    setattr(error, ANSWER_LOST, True)
    problem = translated(error)
    assert (problem.kind, problem.code, problem.answer_lost) == (Kind.TRANSPORT, "404", True)
    assert "HTTP status 404, names no error of AWS's" in problem.message


@pytest.mark.usefixtures("own_keys")
@pytest.mark.parametrize("then", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_what_ec2_throttled_was_no_answer_that_was_lost(wire: Wire, parts: Parts, then: str) -> None:
    """It answers with status 503, and has not looked at the request."""
    throttled = ec2_error("RequestLimitExceeded", "Request limit exceeded.", status=503)
    last = throttled if then == "RequestLimitExceeded" else ec2_error(then, status=403)
    wire.reply("CreateTags", throttled, throttled, last)
    with pytest.raises(AwsError) as caught:
        Ec2(parts.connect()).create_tags(Cell("222222222222", "eu-west-1"), ["i-1"], {"a": "b"})
    assert (caught.value.code, caught.value.answer_lost) == (then, False)


@pytest.mark.parametrize(
    "error",
    [
        boto.CredentialRetrievalError(provider="sso", error_msg="no"),
        boto.UnauthorizedSSOTokenError(),
        boto.NoCredentialsError(),
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        boto.ReadTimeoutError(endpoint_url="https://x"),
        boto.BotoCoreError(),
        client_error("AccessDenied", status=403),
    ],
    ids=lambda error: type(error).__name__,
)
def test_that_an_answer_was_lost_before_is_kept_whatever_came_then(error: Exception) -> None:
    assert not translated(error).answer_lost
    setattr(error, ANSWER_LOST, True)
    assert translated(error).answer_lost


def test_an_answer_without_a_body() -> None:
    error = translated(ClientError({}, "CreateTags"))  # type: ignore[typeddict-item]
    assert (error.code, error.kind) == ("Unknown", Kind.OTHER)
    assert error.message
