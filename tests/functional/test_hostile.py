"""An organisation whose intruder names everything: no command's output, log, journal or page obeys it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cado_ops.sandbox import RequestInfo, Sandbox
from cado_ops.sandbox.protocol import AwsFault, answer_json, encode_fault
from cado_ops.visible import sanitize
from tests.functional.conftest import EU, HOME, IN_PROD, PROD, ROLE, STAGING, Cli, Result, Terminal
from tests.hostile_text import HOSTILE, raw
from tests.unit.html_page import Page, assert_harmless
from tests.unit.test_render_fleet_page import ELEMENTS
from tests.unit.test_visible import words_of


def in_xml(text: str) -> str:
    """What of it an answer in XML can carry (XML 1.0, Char)."""
    return re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


MESSAGE = " ".join(each for each in HOSTILE.values() if len(each) < 256)
OF_EC2 = in_xml(MESSAGE)
# As instances may be called, one for each that there is.
NAMES = [
    in_xml(HOSTILE[kind])[:250]
    for kind in (
        "C1 CSI", "C1 OSC", "new line", "override", "isolates", "zero width", "tag characters", "family", "zalgo",
        "rich markup", "formula", "formula next cell quoted", "script", "command", "256 wide", "mixed",
    )
]  # fmt: skip


def assert_nothing_acts(result: Result, *, of_json: bool = False) -> None:
    for text in (result.out, result.err):
        assert raw(text, marks=not of_json) == []
    # A forged line would begin with a word of ours, or of somebody's shell.
    assert "\nsuccess: 120 changed" not in result.out + result.err
    assert "\nid\n" not in result.out + result.err
    assert "Traceback" not in result.err


@pytest.fixture(autouse=True)
def _no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test plays the terminal: whatever moves its cursor came from a name."""
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def named(aws: Callable[..., Any]) -> dict[str, str]:
    """Production, renamed: the names by instance."""
    ec2 = aws(PROD, EU)
    found = [each["InstanceId"] for some in ec2.describe_instances()["Reservations"] for each in some["Instances"]]
    given = dict(zip(sorted(found), NAMES, strict=False))
    for instance, name in given.items():
        pairs = {"Name": name, name.strip()[:100] or "x": name}
        tags = [{"Key": key, "Value": value} for key, value in pairs.items()]
        # One has as many tags as EC2 allows, and keeps its name alone.
        full = len(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance]}])["Tags"]) > 40
        ec2.create_tags(Resources=[instance], Tags=tags[:1] if full else tags)
    return given


def accounts_called(name: str) -> Callable[[RequestInfo], Any]:
    def intercept(request: RequestInfo) -> Any:
        if request.action != "ListAccounts":
            return None
        accounts = [
            {"Id": each, "Arn": f"arn:aws:organizations::{HOME}:account/o-1/{each}", "Name": name, "Email": name,
             "Status": "ACTIVE", "State": "ACTIVE"}
            for each in (PROD, STAGING)
        ]  # fmt: skip
        return answer_json({"Accounts": accounts})

    return intercept


def test_names_in_tables_plans_and_the_journal(
    cli: Cli, sandbox: Sandbox, named: dict[str, str], monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    command = ("tag-instances", "--all", *IN_PROD, "--case", "IR-42")
    for width in ("80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        dry = cli(*command, "--dry-run")
        assert_nothing_acts(dry)
        assert [line.split()[2] for line in dry.out.split("\n")[2 : 2 + len(named)]] == list(named)

    terminal = cli(*command, stdin=Terminal("y\n"), stderr=Terminal())
    assert_nothing_acts(terminal)
    assert "Go on? [y/N]" in terminal.err
    shown, listed = cli("runs", "show", "last"), cli("runs", "list")
    assert_nothing_acts(shown)
    assert_nothing_acts(listed)
    [run] = cli.runs()
    lines = run.read_bytes().split(b"\n")[:-1]
    assert all(isinstance(json.loads(line), dict) and line.isascii() for line in lines)
    page = cli("runs", "export", "last", "--format", "html")
    assert_harmless(Page(page.out))
    assert raw(page.out + page.err) == []
    assert raw(log.getvalue()) == []


def test_names_in_files_for_machines_are_exact_or_made_visible(cli: Cli, named: dict[str, str]) -> None:
    command = ("tag-instances", "--all", *IN_PROD, "--dry-run")
    whole = cli.json(*command)
    lines = cli(*command, "-o", "ndjson")
    assert {item["instance_id"]: item["name"] for item in whole.json["items"]} == named
    records = [json.loads(line) for line in lines.out.split("\n")[:-1]]
    assert {each["instance_id"]: each["name"] for each in records if each["type"] == "item"} == named
    for result in (whole, lines):
        assert_nothing_acts(result, of_json=True)
    table = cli(*command, "-o", "csv")
    assert_nothing_acts(table)
    rows = list(csv.DictReader(io.StringIO(table.out)))
    assert {row["instance_id"]: row["name"].replace("'", "") for row in rows} == {
        instance: sanitize(name).replace("'", "") for instance, name in named.items()
    }


def test_accounts_called_by_an_intruder(cli: Cli, sandbox: Sandbox) -> None:
    sandbox.intercept = accounts_called(HOSTILE["mixed"])
    for output in ("table", "csv"):
        result = cli("targets", "--org", "--region", EU, *ROLE, "-o", output)
        assert result.code == 0
        assert_nothing_acts(result)
    asked = cli(
        "tag-instances", "--filter", "tag:Team=web", "--org", "--region", EU, *ROLE,
        stdin=Terminal("n\n"), stderr=Terminal(),
    )  # fmt: skip
    assert asked.code == 4
    assert_nothing_acts(asked)
    assert f"          {PROD} {sanitize(HOSTILE['mixed'])}\n" in asked.err


def test_check_and_status_of_what_an_intruder_named(
    cli: Cli, sandbox: Sandbox, named: dict[str, str], tmp_path: Path
) -> None:
    for output in ("table", "csv"):
        assert_nothing_acts(cli("check", *list(named)[:4], *IN_PROD, "-o", output))
    file = tmp_path / "fleet.html"
    assert_nothing_acts(cli("status", *IN_PROD, "--html", str(file)))
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert_harmless(page, ELEMENTS)
    assert raw(text) == []
    # The terminated one is not among them.
    assert sum(sanitize(name) in page.text for name in named.values()) == len(named) - 1


IN_ALL = ("tag-instances", "--all", *IN_PROD, "--yes")


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("DescribeInstances", IN_ALL),
        ("CreateTags", ("tag-instances", "--filter", "tag:Team=web", *IN_PROD, "--yes")),
        ("ListKeys", ("kms", "list", *IN_PROD)),
        ("DescribeInstanceInformation", ("status", *IN_PROD)),
        ("AssumeRole", ("targets", "--account", PROD, "--region", "all", *ROLE)),
        ("GetCallerIdentity", ("targets", "--debug")),
    ],
)
def test_what_aws_says_is_one_line_in_every_output(
    cli: Cli, sandbox: Sandbox, log: io.StringIO, action: str, command: tuple[str, ...]
) -> None:
    def intercept(request: RequestInfo) -> Any:
        if request.action != action:
            return None
        said = MESSAGE if request.service in ("kms", "ssm") else OF_EC2
        return encode_fault(request.service, AwsFault("AccessDeniedException", said, 400))

    sandbox.intercept = intercept
    for output in ("table", "csv", "json", "ndjson") if command == IN_ALL else ("table",):
        result = cli(*command, "-o", output)
        assert result.code in (1, 3)
        if "--debug" in command:
            # The frames of ours, and what was raised, a line each.
            result.err = result.err.replace("Traceback (most recent call last):", "")
        assert_nothing_acts(result, of_json="json" in output)
    assert raw(log.getvalue()) == []


@pytest.mark.parametrize("form", [None, "json", "cloudformation", "terraform"])
def test_a_policy_that_came_by_mail_hides_nothing(cli: Cli, form: str | None) -> None:
    # Half a character is none, and is refused.
    values = [re.sub("[\ud800-\udfff]", "", text) for text in HOSTILE.values()]
    statement = {
        "Effect": "Allow", "Action": ["ssm:SendCommand", "s3:GetObject"], "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/x": values}},
    }  # fmt: skip
    stdin = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)
    result = cli("policy", "tighten", "-", *(("--format", form) if form else ()), stdin=stdin)
    assert result.code == 0, result.err
    assert_nothing_acts(result, of_json=True)
    if form in (None, "json"):
        conditions = [each["Condition"]["StringEquals"] for each in json.loads(result.out)["Statement"]]
        assert all(each["aws:PrincipalTag/x"] == values for each in conditions)
    if form == "terraform":
        # "Strings and Templates", the escapes of Terraform's language.
        assert set(re.findall(r"\\(.)", result.out)) <= set('nrt"\\uU')
    if form is not None:
        return
    again = cli("policy", "tighten", "-", stdin=stdin.replace("ssm:SendCommand", "s3:ListBucket"))
    assert "nothing to tighten" in again.err
    assert_nothing_acts(again, of_json=True)
    assert_nothing_acts(cli("policy", "check", "-", stdin=stdin))


@pytest.mark.skipif(os.name != "posix", reason="such names are of POSIX")
@pytest.mark.parametrize("name", ["-plan.json", "a\nb'\u202e.json", "\udcff \x1b[201~.json"], ids=ascii)
def test_a_file_of_any_name_can_be_pasted_from_what_comes_next(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, f"--save-plan={name}")
    assert_nothing_acts(result)
    line = result.err.partition("next: ")[2].rstrip("\n")
    words = words_of(line)
    assert words[:2] == ["cado-ops", "apply"]
    assert cli(*words[1:], "--yes").code == 0, "the line works as it stands"


def test_explain_reads_anything_and_shows_it_harmless(cli: Cli) -> None:
    denial = (
        f"User: arn:aws:sts::{PROD}:assumed-role/CadoResponseRole{HOSTILE['command']}/x is not authorized to "
        f"perform: kms:Decrypt on resource: arn:aws:kms:{EU}:{PROD}:key/{HOSTILE['zero width']} because no "
        f"identity-based policy allows the kms:Decrypt action {MESSAGE}"
    )
    for text in (denial, MESSAGE, HOSTILE["mixed"]):
        assert_nothing_acts(cli("explain", "--offline", "-", stdin=text))
    assert_nothing_acts(cli.json("explain", "--offline", "-", stdin=denial), of_json=True)
