"""cado-ops explain: texts in, items and exit codes out; AWS asked for encoded messages alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cado_ops.sandbox import Sandbox
from tests.functional.conftest import DENIED, EU, HOME, PROD, Cli, Terminal

INSTANCE = f"arn:aws:ec2:{EU}:{PROD}:instance/i-0123456789abcdef0"
DENIAL = (
    "An error occurred (AccessDeniedException) when calling the SendCommand operation: User: "
    f"arn:aws:sts::{PROD}:assumed-role/CadoResponseRole/cado is not authorized to perform: ssm:SendCommand on "
    f"resource: {INSTANCE} because no identity-based policy allows the ssm:SendCommand action"
)
FIX = f"cado-ops tag-instances i-0123456789abcdef0 --account {PROD} --region {EU}"
ENCODED = "You are not authorized to perform this operation. Encoded authorization failure message: "
FIELDS = ["kind", "action", "resource", "principal", "denied_by", "explicit", "policy_arn", "cause", "fix"]


@pytest.fixture
def encoded(aws: Callable[..., Any]) -> str:
    """A denial of EC2's in the sandbox, with an encoded message of the account's own."""

    def denied(account: str) -> str:
        with pytest.raises(ClientError) as caught:
            aws(account, DENIED).create_tags(Resources=["i-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
        return str(caught.value)

    return denied(PROD)


def test_a_text_as_argument(cli: Cli) -> None:
    done = cli.json("explain", DENIAL)
    assert done.code == 0
    assert done.json["status"] == "success"
    assert done.json["command"] == "explain"
    assert (done.json["run_id"], done.json["caller"], done.json["failures"]) == (None, None, [])
    assert done.json["summary"] == {"errors": 1, "explained": 1, "unknown": 0}
    [item] = done.json["items"]
    assert list(item) == FIELDS
    assert (item["kind"], item["denied_by"], item["explicit"], item["fix"]) == (
        "missing-tag", "identity-policy", False, FIX,
    )  # fmt: skip


@pytest.mark.parametrize("argv", [(), ("-",)])
def test_a_text_on_stdin(cli: Cli, argv: tuple[str, ...]) -> None:
    done = cli.json("explain", *argv, stdin=DENIAL + "\n")
    assert [item["fix"] for item in done.json["items"]] == [FIX]


def test_no_call_is_made_and_no_credentials_are_needed(
    sandbox: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    done = cli.json("explain", DENIAL)
    assert done.code == 0
    assert sandbox.calls == []


def test_the_fix_can_be_run(cli: Cli, ids: Callable[..., dict[str, str]]) -> None:
    wanted = ids()["web-01"]
    fix = cli.json("explain", DENIAL.replace("i-0123456789abcdef0", wanted)).json["items"][0]["fix"]
    done = cli(*fix.split()[1:], "--role-name", "CadoOperator", "--dry-run", "-o", "json")
    assert done.code == 0
    assert [(item["instance_id"], item["outcome"]) for item in done.json["items"]] == [(wanted, "allowed")]


def test_the_case_goes_into_the_fix(cli: Cli) -> None:
    done = cli.json("explain", DENIAL, "--case", "IR-42")
    assert done.json["case"] == "IR-42"
    assert done.json["items"][0]["fix"] == f"{FIX} --case IR-42"


def test_what_is_not_known(cli: Cli) -> None:
    done = cli.json("explain", "hello world")
    assert done.code == 3
    assert done.json["status"] == "partial"
    assert done.json["summary"] == {"errors": 1, "explained": 0, "unknown": 1}
    [item] = done.json["items"]
    assert (item["kind"], item["fix"]) == ("unknown", None)


def test_one_unknown_among_several(cli: Cli) -> None:
    unknown = "An error occurred (FooException) when calling the SendCommand operation: bar"
    done = cli.json("explain", stdin=f"{DENIAL}\n{unknown}\n{DENIAL}")
    assert done.code == 3
    assert [item["kind"] for item in done.json["items"]] == ["missing-tag", "unknown"]
    assert done.json["summary"] == {"errors": 3, "explained": 1, "unknown": 1}


@pytest.mark.parametrize("argv", [("",), ("  \n ",), ("-",), ()])
def test_nothing_to_explain(cli: Cli, argv: tuple[str, ...]) -> None:
    done = cli("explain", *argv)
    assert (done.code, done.out) == (2, "")
    assert "empty" in done.err


def test_too_much_to_explain(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cado_ops.cli.world.MAX_STDIN", 2**20)
    monkeypatch.setattr("cado_ops.cli.explain.MAX_STDIN", 2**20)
    for done in (cli("explain", stdin="x" * (2**20 + 1)), cli("explain", "x" * (2**20 + 1))):
        assert (done.code, done.out) == (2, "")
        assert "more than 1 MiB" in done.err


def test_at_a_terminal_it_says_what_to_do(cli: Cli) -> None:
    done = cli("explain", stdin=Terminal(DENIAL))
    assert done.code == 0
    assert "Ctrl-D" in done.err


def test_the_table_is_a_list_and_the_fix_is_on_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    done = cli("explain", DENIAL, stdout=Terminal())
    assert any(line.endswith(FIX) for line in done.out.splitlines())
    assert "missing-tag" in done.out
    assert "1 explained" in done.err


def test_csv_and_ndjson(cli: Cli) -> None:
    lines = cli("explain", DENIAL, "-o", "csv").out.splitlines()
    assert lines[0] == ",".join(FIELDS)
    assert len(lines) == 2
    done = cli("explain", DENIAL, "-o", "ndjson")
    assert [line["type"] for line in done.lines] == ["item", "summary"]


def test_nothing_of_the_text_moves_the_cursor(cli: Cli) -> None:
    hostile = DENIAL.replace("cado is", "ca\u202edo\x1b[2J\x9b2J is").replace(INSTANCE, f"{INSTANCE}\u2066\x07")
    for output in ("table", "json", "csv", "ndjson"):
        done = cli("explain", hostile, "-o", output)
        assert done.code == 0
        assert not any(char in done.out + done.err for char in "\x1b\x9b\u202e\u2066\x07")


def test_an_encoded_message_is_decoded_as_the_caller(
    sandbox: Sandbox, cli: Cli, aws: Callable[..., Any], encoded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = aws(HOME, EU, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{PROD}:role/CadoOperator", RoleSessionName="somebody"
    )["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", answer["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", answer["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", answer["SessionToken"])
    sandbox.calls.clear()
    alone = ENCODED + encoded.rpartition(" ")[2]
    done = cli.json("explain", stdin=f"{alone}\n\n{alone}")
    assert done.code == 0
    [item] = done.json["items"]
    assert (item["action"], item["explicit"], item["denied_by"]) == ("ec2:CreateTags", True, "unknown")
    assert item["principal"] == f"arn:aws:sts::{PROD}:assumed-role/CadoOperator/the-test"
    assert "DenyOutsideEnabledRegions" in item["cause"]
    assert item["fix"] is None
    assert done.json["caller"]["account"] == PROD
    assert [call.action for call in sandbox.calls] == ["GetCallerIdentity", "DecodeAuthorizationMessage"]


def test_beside_a_plain_denial_the_decoded_statement_is_named(
    cli: Cli, encoded: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The caller is of another account than the message: said, and the plain part is explained all the same.
    done = cli.json("explain", encoded)
    assert done.code == 0
    [item] = done.json["items"]
    assert (item["kind"], item["action"], item["denied_by"]) == ("scp", "ec2:CreateTags", "scp")
    assert item["policy_arn"].endswith("p-regiondeny")
    assert "STS does not take it" in item["cause"]
    assert "warning: an encoded message" in done.err


def test_offline_asks_nothing(sandbox: Sandbox, cli: Cli) -> None:
    done = cli.json("explain", ENCODED + "abcdefgh12345678", "--offline")
    assert done.code == 0
    assert done.json["items"][0]["kind"] == "encoded"
    assert "--offline" in done.json["items"][0]["cause"]
    assert done.json["items"][0]["fix"].startswith("aws sts decode-authorization-message ")
    assert sandbox.calls == []


def test_offline_from_the_environment(sandbox: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CADO_OPS_OFFLINE", "true")
    assert cli.json("explain", ENCODED + "abcdefgh12345678").code == 0
    assert sandbox.calls == []


def test_without_credentials_it_is_said_and_not_failed(
    sandbox: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    done = cli.json("explain", ENCODED + "abcdefgh12345678")
    assert done.code == 0
    assert "no usable AWS credentials" in done.json["items"][0]["cause"]
    assert sandbox.calls == []


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "InternalFailure"])
def test_where_the_caller_may_not_it_is_said_at_once(sandbox: Sandbox, cli: Cli, code: str) -> None:
    sandbox.intercept = lambda request: (
        request.error(code, "no", 403) if request.action == "DecodeAuthorizationMessage" else None
    )
    done = cli.json("explain", ENCODED + "abcdefgh12345678")
    assert done.code == 0
    assert done.json["items"][0]["kind"] == "encoded"
    assert ("you may not" if code == "AccessDenied" else code) in done.json["items"][0]["cause"]
    assert cli.waits == []
    assert [call.action for call in sandbox.calls].count("DecodeAuthorizationMessage") == 1


def test_settings_of_other_commands_play_no_part(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("CADO_OPS_ROLE_ARN", f"arn:aws:iam::{PROD}:role/CadoOperator")
    monkeypatch.setenv("CADO_OPS_ACCOUNTS_FILE", "no-such-file")
    done = cli.json("explain", ENCODED + "abcdefgh12345678")
    assert done.code == 0
    assert {call.account for call in sandbox.calls} == {HOME}


def test_very_many_encoded_messages(sandbox: Sandbox, cli: Cli) -> None:
    text = "\n\n".join(f"{ENCODED}abcdefgh{number:08}" for number in range(30))
    done = cli.json("explain", stdin=text)
    assert done.code == 0
    assert [call.action for call in sandbox.calls].count("DecodeAuthorizationMessage") == 20
    assert len(done.json["items"]) == 30


def test_one_that_sts_would_not_take(sandbox: Sandbox, cli: Cli) -> None:
    done = cli.json("explain", stdin=ENCODED + "a" * 10_240 + "\n" + "b" * 10_240)
    assert done.code == 0
    assert "longer than" in done.json["items"][0]["cause"]


def test_the_sdk_is_not_loaded_for_a_plain_text() -> None:
    program = (
        "import sys\nfrom cado_ops.cli.app import main\ncode = main(sys.argv[1:])\n"
        "print(code, *sorted({name.partition('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'moto'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "explain", DENIAL, "-o", "json"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"


def test_bytes_that_are_no_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cado_ops", "explain", "-o", "json"],
        input=b"\xff\xfe\x80 " + DENIAL.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"][0]["fix"] == FIX
