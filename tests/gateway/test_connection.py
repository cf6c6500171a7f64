"""One client for all accounts, and never a request under another account's name."""

from __future__ import annotations

import io
import stat
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from cado_ops import __version__
from cado_ops.aws.connection import FALLBACK_REGION, UnsignedRequestError
from cado_ops.aws.credentials import Roles
from cado_ops.errors import AwsError, Kind, UsageError
from tests.gateway.fake_aws import HOME, HOME_KEY, Answer, Parts, Request, Wire, ec2_error, sts_error, xml

OTHER = "222222222222"
REGIONS = ["eu-west-1", "us-east-1", "ap-southeast-2", "me-south-1"]

pytestmark = pytest.mark.usefixtures("own_keys")


def describe(connection: Any, account: str, region: str = "eu-west-1", value: str = "") -> dict[str, Any]:
    """A call that carries in its parameters whose it should be."""
    filters = [{"Name": "owner-id", "Values": [value or account]}]
    answer: dict[str, Any] = connection.call(account, "ec2", region, "DescribeInstances", {"Filters": filters})
    return answer


def meant_for(request: Request) -> str:
    return str(request.parameters["Filter.1.Value.1"])


class TestWhoSigns:
    def test_no_request_is_signed_for_another_account(self, wire: Wire, parts: Parts) -> None:
        """100 accounts, 32 threads, one client a region: the key in every signature is the account's own."""
        connection = parts.connect()
        accounts = [f"{number:012}" for number in range(100, 200)] + [HOME]
        work = [(account, region) for region in REGIONS for account in accounts]
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda each: describe(connection, *each), work))
        sent = wire.of("DescribeInstances")
        assert len(sent) == len(work)
        for request in sent:
            account = meant_for(request)
            if account == HOME:
                assert (request.key, request.token) == (HOME_KEY, None)
            else:
                assert (request.key, request.token) == (f"ASIA{account}G1", f"token-{account}-1")
        assert Counter((meant_for(request), request.region) for request in sent) == Counter(work)

    def test_one_assume_role_an_account(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        accounts = [f"{number:012}" for number in range(100, 110)]
        together = threading.Barrier(30)

        def work(number: int) -> None:
            together.wait(20)
            for region in REGIONS:
                describe(connection, accounts[number % 10], region)

        with ThreadPoolExecutor(30) as pool:
            list(pool.map(work, range(30)))
        asked = Counter(request.parameters["RoleArn"].split(":")[4] for request in wire.of("AssumeRole"))
        assert asked == dict.fromkeys(accounts, 1)
        assert {request.key for request in wire.of("AssumeRole")} == {HOME_KEY}

    def test_a_request_without_an_identity_is_never_sent(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        describe(connection, HOME)
        client = connection._client("ec2", "eu-west-1")
        wire.requests.clear()
        with pytest.raises(UnsignedRequestError, match="no identity"):
            client.describe_instances()
        assert wire.requests == []

    def test_one_client_a_service_and_region(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        with ThreadPoolExecutor(16) as pool:
            work = [(f"{number:012}", region) for number in range(100, 130) for region in REGIONS[:2]]
            list(pool.map(lambda each: describe(connection, *each), work))
        assert set(connection._clients) == {("sts", "eu-west-1"), ("ec2", "eu-west-1"), ("ec2", "us-east-1")}

    def test_after_a_failed_call_nobodys_credentials_are_left_over(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        wire.reply("DescribeInstances", ec2_error("UnauthorizedOperation", status=403))
        with pytest.raises(AwsError):
            describe(connection, HOME)
        with pytest.raises(UnsignedRequestError, match="no identity"):
            connection._client("ec2", "eu-west-1").describe_instances()


class TestAssumeRole:
    def test_exactly_what_is_asked(self, wire: Wire, parts: Parts) -> None:
        roles = Roles("cado-ops-me-IR-42", role_name="Ops", external_id="e-1", source_identity="me")
        describe(parts.connect(roles), OTHER)
        [request] = wire.of("AssumeRole")
        assert request.parameters == {
            "RoleArn": f"arn:aws:iam::{OTHER}:role/Ops",
            "RoleSessionName": "cado-ops-me-IR-42",
            "ExternalId": "e-1",
            "SourceIdentity": "me",
        }

    def test_without_what_was_not_given(self, wire: Wire, parts: Parts) -> None:
        describe(parts.connect(), OTHER)
        [request] = wire.of("AssumeRole")
        assert set(request.parameters) == {"RoleArn", "RoleSessionName"}

    def test_the_own_account_is_not_assumed_into(self, wire: Wire, parts: Parts) -> None:
        describe(parts.connect(), HOME)
        assert [request.action for request in wire.requests] == ["DescribeInstances"]

    @pytest.mark.parametrize(
        ("partition", "region", "host"),
        [
            ("aws", "eu-west-1", "sts.eu-west-1.amazonaws.com"),
            ("aws", "us-east-1", "sts.us-east-1.amazonaws.com"),
            ("aws", "me-south-1", "sts.me-south-1.amazonaws.com"),
            ("aws-us-gov", "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("aws-cn", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ],
    )
    def test_partitions_and_regional_endpoints(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch, partition: str, region: str, host: str
    ) -> None:
        """Tokens of the global endpoint do not work in opt-in regions."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        wire.caller = f"arn:{partition}:iam::{HOME}:user/me"
        connection = parts.connect(region=None, identify=False)
        caller = connection.identify()
        assert (caller.partition, caller.endpoint) == (partition, None)
        describe(connection, OTHER, region)
        assert {request.host for request in wire.requests if request.service == "sts"} == {host}
        [assume] = wire.of("AssumeRole")
        assert assume.parameters["RoleArn"] == f"arn:{partition}:iam::{OTHER}:role/Ops"

    def test_a_refusal_is_asked_once(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        wire.reply("AssumeRole", sts_error("AccessDenied", "not authorized to perform: sts:AssumeRole"))
        for region in REGIONS:
            with pytest.raises(AwsError) as caught:
                describe(connection, OTHER, region)
            assert (caught.value.operation, caught.value.kind) == ("AssumeRole", Kind.DENIED)
            assert OTHER in (caught.value.hint or "")
        assert len(wire.of("AssumeRole")) == 1
        assert wire.of("DescribeInstances") == []

    def test_the_quota_of_sts_is_left_to_others(self, wire: Wire, parts: Parts) -> None:
        """600 requests a second, for everything in the caller's account."""
        connection = parts.connect()
        for number in range(1800):
            connection.credentials.get(f"{number:012}")
        assert len(wire.of("AssumeRole")) == 1799, "all but the caller's own account"
        assert 3.0 < parts.time < 4.0


class TestRenewal:
    def test_before_the_end(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        describe(connection, OTHER)
        wire.now += timedelta(minutes=54)
        describe(connection, OTHER)
        assert len(wire.of("AssumeRole")) == 1
        wire.now += timedelta(minutes=2)
        describe(connection, OTHER)
        assert [request.key[-2:] for request in wire.of("DescribeInstances")] == ["G1", "G1", "G2"]

    @pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
    def test_once_where_aws_calls_them_expired(self, wire: Wire, parts: Parts, code: str) -> None:
        connection = parts.connect()
        wire.reply("DescribeInstances", ec2_error(code), xml("DescribeInstances"))
        describe(connection, OTHER)
        assert [request.key[-2:] for request in wire.of("DescribeInstances")] == ["G1", "G2"]
        assert len(wire.of("AssumeRole")) == 2
        assert parts.slept == []

    def test_but_not_for_ever(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        wire.reply("DescribeInstances", ec2_error("RequestExpired"))
        with pytest.raises(AwsError) as caught:
            describe(connection, OTHER)
        assert caught.value.code == "RequestExpired"
        assert len(wire.of("DescribeInstances")) == 2

    def test_the_own_ones_are_the_users_to_renew(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        wire.reply("DescribeInstances", ec2_error("ExpiredToken"))
        with pytest.raises(AwsError) as caught:
            describe(connection, HOME)
        assert caught.value.kind is Kind.CREDENTIALS
        assert len(wire.requests) == 1

    def test_many_threads_that_meet_the_end_renew_once(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        describe(connection, OTHER)
        together = threading.Barrier(8, timeout=20)

        def reply(request: Request) -> Any:
            return ec2_error("ExpiredToken") if request.key.endswith("G1") else xml("DescribeInstances")

        wire.replies["DescribeInstances"] = reply

        def work(_: int) -> None:
            together.wait()
            describe(connection, OTHER)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(wire.of("AssumeRole")) == 2


class TestAttempts:
    def test_botocore_tries_nothing_again_by_itself(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        connection = parts.connect()
        for answer in (
            ec2_error("RequestLimitExceeded", status=503),
            ec2_error("InternalError", status=500),
            EndpointConnectionError(endpoint_url="https://x"),
            ReadTimeoutError(endpoint_url="https://x"),
        ):
            wire.requests.clear()
            wire.reply("DescribeInstances", answer)
            with pytest.raises(AwsError):
                describe(connection, HOME)
            assert len(wire.requests) == 1
        assert parts.slept == []

    @pytest.mark.parametrize(("attempts", "expected"), [("3", 3), (" 5 ", 5), ("", 10), (None, 10)])
    def test_aws_max_attempts(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch, attempts: str | None, expected: int
    ) -> None:
        if attempts is not None:
            monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
        connection = parts.connect()
        wire.reply("DescribeInstances", ec2_error("RequestLimitExceeded", status=503))
        with pytest.raises(AwsError) as caught:
            describe(connection, HOME)
        assert caught.value.kind is Kind.THROTTLED
        assert len(wire.requests) == expected
        assert len(parts.slept) == expected - 1

    @pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "²"])
    def test_what_is_no_number_of_attempts(self, parts: Parts, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", text)
        with pytest.raises(UsageError, match="AWS_MAX_ATTEMPTS"):
            parts.connect(identify=False)

    def test_a_lost_answer_is_asked_for_again(self, wire: Wire, parts: Parts) -> None:
        connection = parts.connect()
        lost = ReadTimeoutError(endpoint_url="https://x")
        wire.reply("DescribeInstances", lost, ec2_error("Unavailable", status=503), xml("DescribeInstances"))
        describe(connection, OTHER)
        sent = wire.of("DescribeInstances")
        assert len(sent) == 3
        assert {request.key for request in sent} == {f"ASIA{OTHER}G1"}, "under the same name each time"

    def test_what_is_no_answer_of_aws_is_told_as_such(
        self, wire: Wire, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        connection = parts.connect()
        wire.reply("DescribeInstances", Answer("<html><body>Blocked by your proxy", 200))
        with pytest.raises(AwsError) as caught:
            describe(connection, HOME)
        assert caught.value.kind is Kind.TRANSPORT


class TestCaller:
    def test_identify(self, wire: Wire, parts: Parts) -> None:
        caller = parts.connect(identify=False).identify()
        assert (caller.account, caller.arn, caller.endpoint) == (HOME, f"arn:aws:iam::{HOME}:user/me", None)

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("https://user:secret@aws.corp.example:8443/x", "https://aws.corp.example:8443/x"),
            ("https://amazonaws.com.evil.example", "https://amazonaws.com.evil.example"),
            ("https://evilamazonaws.com", "https://evilamazonaws.com"),
            ("https://vpce-1.ec2.eu-west-1.vpce.amazonaws.com", None),
            ("https://sts.eu-west-1.api.aws", None),
        ],
    )
    @pytest.mark.parametrize("given", ["flag", "AWS_ENDPOINT_URL"])
    def test_a_foreign_endpoint_is_shown_without_its_password(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch, url: str, shown: str | None, given: str
    ) -> None:
        if given == "flag":
            connection = parts.connect(identify=False, endpoint_url=url)
        else:
            monkeypatch.setenv(given, url)
            connection = parts.connect(identify=False)
        endpoint = connection.identify().endpoint
        assert (endpoint.rstrip("/") if endpoint else None) == shown

    @pytest.mark.parametrize("service", ["STS", "EC2", "KMS", "IAM"])
    def test_one_foreign_service_is_enough(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch, service: str
    ) -> None:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:5000")
        assert parts.connect(identify=False).identify().endpoint == "http://127.0.0.1:5000"

    def test_one_that_is_ignored_is_not_shown(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:5000")
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        assert parts.connect(identify=False).identify().endpoint is None

    @pytest.mark.parametrize("service", ["sts", "kms"])
    def test_a_foreign_service_of_the_profile(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str
    ) -> None:
        file = tmp_path / "config"
        file.write_text(
            f"[default]\nservices = mine\n[services mine]\n{service} =\n  endpoint_url = http://127.0.0.1:5000\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
        assert parts.connect(identify=False).identify().endpoint == "http://127.0.0.1:5000"

    @pytest.mark.parametrize("url", ["nonsense", "ftp//x"])
    def test_an_endpoint_that_is_none(self, parts: Parts, url: str) -> None:
        with pytest.raises(UsageError, match="--endpoint-url"):
            parts.connect(endpoint_url=url)

    @pytest.mark.parametrize(
        ("environment", "option", "expected"),
        [
            ({}, "eu-west-1", "eu-west-1"),
            ({}, None, FALLBACK_REGION),
            ({"AWS_DEFAULT_REGION": "eu-west-3"}, None, "eu-west-3"),
            ({"AWS_REGION": "eu-west-3"}, None, "eu-west-3"),
            ({"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-2"}, None, "eu-west-3"),
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, None, "eu-west-2"),
        ],
    )
    def test_the_home_region(
        self,
        parts: Parts,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        option: str | None,
        expected: str,
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert parts.connect(identify=False, region=option).home_region == expected

    def test_the_user_agent_names_the_program(self, parts: Parts) -> None:
        client = parts.connect()._client("ec2", "eu-west-1")
        assert f"cado-ops/{__version__}" in client.meta.config.user_agent_extra


class TestCredentialSources:
    """Each as a user meets it: when the connection is made."""

    @pytest.fixture
    def config(self, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        path = tmp_path / "config"
        path.write_text("")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        monkeypatch.setattr(sys, "stdin", io.StringIO("i-1\n"))
        # botocore's own sessions end by the real clock.
        wire.now = datetime.now(UTC)
        return path

    def problem(self, parts: Parts, **options: Any) -> AwsError:
        with pytest.raises(AwsError) as caught:
            parts.connect(**options)
        assert caught.value.kind is Kind.CREDENTIALS
        assert caught.value.hint
        assert "\n" not in caught.value.message
        return caught.value

    def test_none(self, parts: Parts, config: Path) -> None:
        assert "No AWS credentials" in self.problem(parts).message

    def test_no_such_profile(self, parts: Parts, config: Path) -> None:
        assert "'nope'" in self.problem(parts, profile="nope").message

    def test_half_a_key(self, parts: Parts, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
        assert "AWS_SECRET_ACCESS_KEY" in self.problem(parts).message

    def test_sso_without_a_login(self, parts: Parts, config: Path) -> None:
        config.write_text(
            "[profile p]\nsso_session = s\nsso_account_id = 222222222222\nsso_role_name = R\n"
            "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
        )
        assert self.problem(parts, profile="p").hint == "aws sso login --profile p"

    @pytest.mark.parametrize(
        "command",
        ["exit 3", "echo no-json", "echo '{}'", "echo '{\"Version\": 2}'"],
        ids=["fails", "no-json", "empty", "other-version"],
    )
    def test_a_credential_process_that_gives_none(
        self, parts: Parts, config: Path, tmp_path: Path, command: str
    ) -> None:
        script = tmp_path / "process"
        script.write_text(f"#!/bin/sh\n{command}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        config.write_text(f"[profile p]\ncredential_process = {script}\n")
        self.problem(parts, profile="p")

    def test_a_credential_process_that_is_not_there(self, parts: Parts, config: Path, tmp_path: Path) -> None:
        config.write_text(f"[profile p]\ncredential_process = {tmp_path / 'none'}\n")
        self.problem(parts, profile="p")

    def test_a_configuration_that_cannot_be_read(self, parts: Parts, config: Path) -> None:
        config.write_text("[profile p\nnonsense")
        self.problem(parts, profile="p")

    def test_profiles_that_name_each_other(self, parts: Parts, config: Path) -> None:
        role = f"arn:aws:iam::{OTHER}:role/R"
        config.write_text(
            f"[profile a]\nrole_arn = {role}\nsource_profile = b\n"
            f"[profile b]\nrole_arn = {role}\nsource_profile = a\n"
        )
        assert "not valid" in self.problem(parts, profile="a").message

    ROLE = (
        f"[profile p]\nregion = eu-west-1\nrole_arn = arn:aws:iam::{HOME}:role/R\nsource_profile = base\n{{more}}"
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
    )

    def test_a_profile_with_a_role(self, wire: Wire, parts: Parts, config: Path) -> None:
        config.write_text(self.ROLE.format(more=""))
        connection = parts.connect(profile="p")
        describe(connection, HOME)
        assert wire.of("DescribeInstances")[0].key == f"ASIA{HOME}G1"

    def test_a_profile_whose_role_is_refused(self, wire: Wire, parts: Parts, config: Path) -> None:
        config.write_text(self.ROLE.format(more=""))
        wire.reply("AssumeRole", sts_error("AccessDenied", "not authorized to perform: sts:AssumeRole"))
        with pytest.raises(AwsError) as caught:
            parts.connect(profile="p")
        assert (caught.value.code, caught.value.operation) == ("AccessDenied", "AssumeRole")
        assert caught.value.hint

    def test_mfa_without_a_terminal_is_said_and_nothing_is_read_from_stdin(
        self, wire: Wire, parts: Parts, config: Path
    ) -> None:
        config.write_text(self.ROLE.format(more=f"mfa_serial = arn:aws:iam::{HOME}:mfa/me\n"))
        problem = self.problem(parts, profile="p")
        assert "MFA" in problem.message
        assert "--profile p" in (problem.hint or "")
        assert wire.requests == []
        assert sys.stdin.read() == "i-1\n"

    def test_a_session_that_has_ended_when_it_comes(self, wire: Wire, parts: Parts, config: Path) -> None:
        config.write_text(self.ROLE.format(more=""))
        wire.now -= timedelta(days=1)
        assert "expired" in self.problem(parts, profile="p").message

    def test_mfa_at_a_terminal_is_asked_for_on_stderr(
        self, wire: Wire, parts: Parts, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def answer(question: str, stream: Any = None) -> str:
            asked.append((question, stream))
            return "123456"

        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", answer)
        config.write_text(self.ROLE.format(more=f"mfa_serial = arn:aws:iam::{HOME}:mfa/me\n"))
        parts.connect(profile="p", identify=False)
        [(question, stream)] = asked
        assert "mfa/me" in question
        assert stream is sys.stderr
