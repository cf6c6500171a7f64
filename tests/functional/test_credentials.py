"""Credential problems: one clear line each, and the command that mends it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import IN_PROD, Cli


def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, credentials: str = "") -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text(text)
    (tmp_path / "credentials").write_text(credentials)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


SSO = """
[profile acme]
sso_session = acme
sso_account_id = 111111111111
sso_role_name = Responder
region = eu-west-1
[sso-session acme]
sso_start_url = https://acme.awsapps.example/start
sso_region = eu-west-1
"""
MFA = """
[profile acme]
role_arn = arn:aws:iam::111111111111:role/Responder
source_profile = base
mfa_serial = arn:aws:iam::111111111111:mfa/alice
region = eu-west-1
[profile base]
region = eu-west-1
"""
PROCESS = """
[profile acme]
credential_process = /bin/false
region = eu-west-1
"""
KEYS = "[base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret\n"


@pytest.mark.parametrize(
    ("config", "credentials", "argv", "says", "mends"),
    [
        ("", "", (), "No AWS credentials", "aws configure sso"),
        ("", "", ("--profile", "nobody"), "nobody", "aws configure list-profiles"),
        (SSO, "", ("--profile", "acme"), "not logged in", "aws sso login --profile acme"),
        (MFA, KEYS, ("--profile", "acme"), "MFA", "aws sts get-caller-identity --profile acme"),
        (PROCESS, "", ("--profile", "acme"), "could not be had", "--profile acme"),
        ("", "[default]\naws_access_key_id = x\n", (), "incomplete", "aws configure"),
    ],
    ids=["none", "unknown profile", "sso", "mfa", "process", "partial"],
)
def test_credential_problems(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    credentials: str,
    argv: tuple[str, ...],
    says: str,
    mends: str,
) -> None:
    _config(tmp_path, monkeypatch, config, credentials)
    result = cli.json("tag-instances", "--all", "--region", "eu-west-1", *argv)
    assert (result.code, result.json["status"]) == (1, "error")
    (failure,) = result.json["failures"]
    assert failure["stage"] == "credentials"
    assert says in failure["error"]["message"]
    assert mends in failure["error"]["hint"]
    assert says in result.err, "and on stderr, for whoever sits there"
    assert "Traceback" not in result.err


def test_expired_credentials(cli: Cli, sandbox: Any) -> None:
    def expire(request: Any) -> Any:
        if request.action == "GetCallerIdentity":
            return request.error("ExpiredToken", "The security token included in the request is expired", 403)
        return None

    sandbox.intercept = expire
    result = cli.json("tag-instances", "--all")
    assert result.code == 1
    (failure,) = result.json["failures"]
    assert (failure["stage"], failure["error"]["code"]) == ("credentials", "ExpiredToken")
    assert "aws sso login" in failure["error"]["hint"]


def test_a_session_that_expires_in_the_middle_is_renewed(cli: Cli, sandbox: Any) -> None:
    """The account's sessions end between reading and tagging: the role is assumed again, the run goes on."""
    expired: list[bool] = []

    def expire(request: Any) -> None:
        if request.action == "CreateTags" and not expired:
            expired.append(True)
            sandbox.expire_sessions("222222222222")

    sandbox.intercept = expire
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes")
    assert result.code == 0, result.out
    assert result.json["summary"]["changed"] == 3


def test_throttling_is_waited_out(cli: Cli, sandbox: Any) -> None:
    refused = [4]

    def throttle(request: Any) -> Any:
        if request.action == "CreateTags" and refused[0]:
            refused[0] -= 1
            return request.error("RequestLimitExceeded", "Request limit exceeded.", 503)
        return None

    sandbox.intercept = throttle
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes")
    assert result.code == 0
    assert len(cli.waits) == 4
    assert all(0 <= wait <= 20 for wait in cli.waits)


def test_attempts_are_bounded(cli: Cli, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")

    def throttle(request: Any) -> Any:
        if request.action == "DescribeInstances":
            return request.error("RequestLimitExceeded", "Request limit exceeded.", 503)
        return None

    sandbox.intercept = throttle
    sandbox.calls.clear()
    result = cli.json("status", *IN_PROD)
    assert result.code == 1
    assert sum(call.action == "DescribeInstances" for call in sandbox.calls) == 3
    assert result.json["failures"][0]["error"]["code"] == "RequestLimitExceeded"
    assert "--max-concurrency" in result.json["failures"][0]["error"]["hint"]


def test_a_lost_answer_is_looked_at(cli: Cli, sandbox: Any, tags: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer to CreateTags is a 500, though the first request took effect."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    first: list[bool] = []

    def lose(request: Any) -> Any:
        if request.action == "CreateTags":
            if first:
                return request.error("InternalError", "An internal error has occurred", 500)
            first.append(True)
        return None

    sandbox.intercept = lose
    result = cli.json("tag-instances", "--filter", "tag:Name=web-01,web-04", *IN_PROD, "--yes")
    assert result.code in (0, 3)
    for name, item in result.items().items():
        done = (
            tags()[name]["CadoResponseSSMEnabled"] == "True" if "CadoResponseSSMEnabled" in tags()[name] else False
        )
        assert (item["outcome"] == "changed") is done


def test_profile_with_a_role_and_credential_process(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    keys = {
        "Version": 1,
        "AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
        "SessionToken": os.environ["AWS_SESSION_TOKEN"],
    }
    script = tmp_path / "process"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(keys)}'\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    _config(
        tmp_path,
        monkeypatch,
        f"[profile base]\ncredential_process = {script}\nregion = eu-central-1\n"
        "[profile prod]\nrole_arn = arn:aws:iam::222222222222:role/CadoOperator\nsource_profile = base\n"
        "region = us-east-1\n",
    )
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    base = cli.json("targets", "--profile", "base").json
    assert (base["items"][0]["account"], base["items"][0]["region"]) == ("111111111111", "eu-central-1")
    prod = cli.json("targets", "--profile", "prod").json
    assert (prod["items"][0]["account"], prod["items"][0]["region"]) == ("222222222222", "us-east-1")


def test_no_region(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    result = cli("targets")
    assert result.code == 2
    assert "--region" in result.err
    assert cli("targets", "--region", "eu-west-1").code == 0


def test_aws_region_goes_before_aws_default_region(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert cli.json("targets").json["items"][0]["region"] == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    assert cli.json("targets").json["items"][0]["region"] == "us-east-1"


def test_a_region_that_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "not a region")
    result = cli("targets")
    assert result.code == 2
    assert "not a region" in result.err


def test_an_endpoint_that_does_not_answer(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    result = cli.json("targets", "--endpoint-url", "http://127.0.0.1:9")
    assert result.code == 1
    assert "EndpointConnectionError" in result.out
    assert cli("targets", "--endpoint-url", "nonsense").code == 2
