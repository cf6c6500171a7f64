"""What is secret goes out of a text; what is not stays."""

from __future__ import annotations

import json

import pytest

from cado_ops.redaction import MARK, redacted

SECRET = "AQpAM2RhZ+x/y=="


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"GrantId": "ab", "GrantToken": SECRET}),
        json.dumps({"GrantToken": SECRET}, separators=(",", ":")),
        repr(json.dumps({"GrantId": "ab", "GrantToken": SECRET}).encode()),
        repr({"GrantToken": SECRET}),
        json.dumps(json.dumps({"GrantToken": SECRET})),
        repr({"X-Amz-Security-Token": SECRET.encode(), "Host": "kms"}),
        repr({"GrantTokens": ["first", SECRET]}),
        f'{{"GrantToken":"{SECRET}',
        f"<Credentials><SecretAccessKey>{SECRET}</SecretAccessKey></Credentials>",
        f"<SessionToken>{SECRET}",
        f"x-amz-security-token:{SECRET}\nx-amz-date:20261124T000000Z",
        f"X-Amz-Security-Token: {SECRET}",
        f"Action=AssumeRole&TokenCode={SECRET}&Version=2011-06-15",
        f"https://sts.amazonaws.com/?X-Amz-Security-Token={SECRET}&X-Amz-Date=1",
        json.dumps({"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": SECRET, "SessionToken": SECRET}}),
        f"aws_secret_access_key = {SECRET}".replace(" = ", "="),
        f"WebIdentityToken={SECRET}&RoleArn=x",
        json.dumps({"AccessKeyId": "ASIA", "Token": SECRET, "Expiration": "2026"}),
        repr(json.dumps({"Token": SECRET}).encode()),
        f'{{"AccessKeyId":"ASIA","Token":"{SECRET}',
    ],
)
def test_secrets_go(text: str) -> None:
    assert SECRET in text.replace("\\", "") or SECRET in text
    shown = redacted(text)
    assert SECRET not in shown
    assert MARK in shown


@pytest.mark.parametrize(
    "text",
    [
        "InvalidGrantTokenException: Invalid grant token.",
        "The security token included in the request is expired",
        "An error occurred (ExpiredTokenException) when calling the CreateGrant operation",
        '{"NextToken": "page-2", "GrantId": "0c23"}',
        "--show-tokens",
        "arn:aws:iam::111111111111:role/SecretKeyRotation",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    text = json.dumps({"GrantId": "ab", "GrantToken": SECRET, "KeyId": "k"})
    assert json.loads(redacted(text)) == {"GrantId": "ab", "GrantToken": MARK, "KeyId": "k"}
