"""Grant tokens, keys and sessions stand in nothing that somebody may read, however much is logged."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest

from cado_ops.redaction import MARK
from tests.functional.conftest import IN_PROD, Cli

GRANT = ("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD, "--yes")


def test_boto3s_own_debug_log_shows_no_secret(cli: Cli, log: io.StringIO) -> None:
    shown = cli.json(*GRANT, "--show-tokens")
    token = shown.json["items"][0]["grant_token"]
    log = log.getvalue()
    assert "CreateGrant" in log, "it is a talkative log"
    assert "GrantToken" in log
    assert MARK in log
    assert token not in log
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in log
    if os.environ.get("AWS_SESSION_TOKEN"):
        assert os.environ["AWS_SESSION_TOKEN"] not in log
    assert "<SecretAccessKey>" in log, "the answer to AssumeRole is in it"
    for part in log.split("<SecretAccessKey>")[1:]:
        assert part.startswith(MARK)
    for part in log.split("<SessionToken>")[1:]:
        assert part.startswith(MARK)


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_answer_that_was_cut_short_shows_no_secret(cli: Cli, sandbox: Any, debug: tuple[str, ...]) -> None:
    """botocore puts an answer that it cannot parse into its exception, secrets and all."""
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

    def cut_short(request: Any) -> Any:
        if request.action == "AssumeRole":
            body = f"<AssumeRoleResponse><Credentials><SecretAccessKey>{secret}</SecretAccessKey><Sess"
            return 200, {"Content-Type": "text/xml"}, body.encode()
        return None

    sandbox.intercept = cut_short
    result = cli.json(*GRANT, *debug)
    assert result.code == 1
    assert "ResponseParserError" in result.out + result.err
    assert secret not in result.out + result.err


def test_an_answer_with_a_token_that_is_no_answer(cli: Cli, sandbox: Any) -> None:
    def odd(request: Any) -> Any:
        if request.action == "CreateGrant":
            answer = {"GrantToken": "AQpAM2RhZEXAMPLE", "Unexpected": True}
            headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "r-1"}
            return 200, headers, json.dumps(answer).encode()
        return None

    sandbox.intercept = odd
    result = cli.json(*GRANT, "--debug")
    assert result.json["items"][0]["outcome"] == "unknown"
    assert "AQpAM2RhZEXAMPLE" not in result.out + result.err
    assert all("AQpAM2RhZEXAMPLE" not in path.read_text() for path in cli.runs())
