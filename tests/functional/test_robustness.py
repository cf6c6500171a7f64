"""What must not be lost: an answer that is none, a reader that is gone, an option that is empty."""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest

from cado_ops.journal import read_run
from tests.functional.conftest import EU, HOME, IN_PROD, PROD, ROLE, STAGING, US, Cli, Terminal

WEB = ("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD)
HTML = (200, {"Content-Type": "text/html"}, b"<html><body>Login</body></html>")


@pytest.mark.parametrize(
    "option", ["--save-plan", "--journal-dir", "--case", "--role-name", "--profile", "--filter"]
)
def test_an_empty_value_is_a_mistake(cli: Cli, tags: Any, option: str) -> None:
    """An unset variable in a script: --save-plan "$FILE" must not become a run."""
    result = cli(*WEB, "--yes", option, "")
    assert (result.code, result.out) == (2, "")
    assert f"{option} is empty" in result.err
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]


@pytest.mark.parametrize("command", ["undo", "resume", "show"])
def test_an_empty_run_names_none(cli: Cli, tags: Any, command: str) -> None:
    cli.json(*WEB, "--yes")
    yes = () if command == "show" else ("--yes",)
    assert cli("runs", command, "", *yes).code == 2
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


class Gone(io.StringIO):
    """A stdout whose reader leaves after some lines."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._left = lines

    def write(self, text: str) -> int:
        if self._left <= 0:
            raise BrokenPipeError(32, "Broken pipe")
        self._left -= text.count("\n")
        return super().write(text)


@pytest.mark.parametrize("output", ["ndjson", "json", "table", "csv"])
def test_a_reader_that_leaves_stops_no_run(cli: Cli, tags: Any, output: str) -> None:
    out = Gone(1 if output == "ndjson" else 0)
    result = cli(*WEB, "--yes", "-o", output, stdout=out)
    assert result.code == 1
    (path,) = cli.runs()
    run = read_run(path)
    assert run.end is not None, "the run came to its end, and says so"
    assert {each["outcome"] for each in run.results.values()} == {"changed"}
    assert run.run_id in result.err
    assert "Traceback" not in result.err
    assert tags()["web-02"]["CadoResponseSSMEnabled"] == "True"


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeRegions", "AssumeRole"])
def test_a_page_of_a_proxy_is_no_empty_answer(cli: Cli, sandbox: Any, action: str) -> None:
    """One account's answers are a login page: it fails, and the others go on."""

    def portal(request: Any) -> Any:
        hit = request.account == STAGING or STAGING in str(request.params.get("RoleArn"))
        return HTML if request.action == action and hit else None

    sandbox.intercept = portal
    where = ("--account", f"{PROD},{STAGING}", "--region", "all", *ROLE)
    result = cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--yes")
    assert (result.code, result.json["status"]) == (3, "partial")
    assert {failure["account"] for failure in result.json["failures"]} == {STAGING}
    assert result.json["summary"]["changed"] > 3
    assert "fault in cado-ops" not in result.out


def test_an_organisations_deny_of_one_instance_spares_the_others(cli: Cli, sandbox: Any, ids: Any) -> None:
    denied = ids()["web-01"]

    def deny(request: Any) -> Any:
        if request.action == "CreateTags" and denied in request.params.values():
            words = "You are not authorized: with an explicit deny in a service control policy"
            return request.error("UnauthorizedOperation", words, 403)
        return None

    sandbox.intercept = deny
    outcomes = {name: item["outcome"] for name, item in cli.json(*WEB, "--yes").items().items()}
    assert outcomes == {"web-01": "failed", "web-02": "changed", "web-03": "unchanged", "web-04": "changed"}


def test_a_unit_that_cannot_be_read_hides_no_other(cli: Cli) -> None:
    units = ("--ou", "ou-acme-typo0001", "--ou", "ou-acme-prod0001")
    result = cli.json("targets", *units, "--region", EU, *ROLE)
    assert result.code == 3
    assert [item["account"] for item in result.json["items"] if item["included"]] == [PROD]
    assert [(failure["stage"], failure["id"]) for failure in result.json["failures"]] == [
        ("organizations", "ou-acme-typo0001")
    ]


def _everything_denied(request: Any) -> Any:
    if request.action == "DescribeInstances":
        words = "You are not authorized: with an explicit deny in a service control policy"
        return request.error("UnauthorizedOperation", words, 403)
    return None


def test_an_account_with_every_region_denied_was_not_read(cli: Cli, sandbox: Any) -> None:
    sandbox.intercept = _everything_denied
    result = cli.json("status", "--account", PROD, "--region", "all", *ROLE)
    assert (result.code, result.json["status"]) == (1, "error")
    assert result.json["failures"][0]["error"]["code"] == "AllRegionsDenied"


def test_a_home_region_that_is_denied_does_not_hide_the_others(
    cli: Cli, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(request: Any) -> Any:
        if request.action == "DescribeRegions" and request.region == EU:
            words = "You are not authorized: with an explicit deny in a service control policy"
            return request.error("UnauthorizedOperation", words, 403)
        return None

    sandbox.intercept = deny
    result = cli.json("status", "--account", PROD, "--region", "all", *ROLE)
    assert result.code == 0
    assert len(result.json["items"]) == 3


def test_undo_goes_to_the_region_of_the_run(cli: Cli, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    cli.json(*WEB, "--yes", "--session-name", "incident-7")
    asked = []

    def note(request: Any) -> None:
        asked.append((request.service, request.region, request.arn.rsplit("/", 1)[-1]))

    sandbox.intercept = note
    monkeypatch.setenv("CADO_OPS_ACCOUNTS_FILE", "-")
    result = cli.json("runs", "undo", "last", stdin=Terminal("y\n"), stderr=Terminal())
    assert result.code == 0, result.err
    assert {region for service, region, _ in asked if service in ("sts", "ec2")} == {EU}
    assert "incident-7" in {session for service, _, session in asked if service == "ec2"}


def test_a_finished_run_leaves_nothing_to_read(cli: Cli, sandbox: Any) -> None:
    cli.json(*WEB, "--yes")
    sandbox.calls.clear()
    assert cli.json("runs", "resume", "last", "--yes").code == 0
    assert {call.action for call in sandbox.calls} == {"GetCallerIdentity"}


def test_a_filter_of_ids_beside_ids(cli: Cli, ids: Any, sandbox: Any) -> None:
    """EC2 does not document what it makes of one filter name given twice: it is never asked."""
    known = ids()
    asked: list[list[str]] = []

    def note(request: Any) -> None:
        names = [
            value for key, value in request.params.items() if key.startswith("Filter.") and key.endswith(".Name")
        ]
        asked.append(names)

    sandbox.intercept = note
    both = (known["web-01"], known["web-02"])
    left = cli.json("tag-instances", *both, "--exclude", f"instance-id={known['web-02']}", *IN_PROD, "--dry-run")
    assert set(left.items()) == {"web-01"}
    kept = cli.json("tag-instances", *both, "--filter", f"instance-id={known['web-02']}", *IN_PROD, "--dry-run")
    assert set(kept.items()) == {"web-02"}
    assert all(len(names) == len(set(names)) for names in asked)
    assert known["web-01"] in kept.err, "what was named and does not match is said"


def test_alternating_page_tokens_end(cli: Cli, sandbox: Any) -> None:
    count = itertools.count()

    def loop(request: Any) -> Any:
        if request.action != "DescribeInstances":
            return None
        token = "AB"[next(count) % 2]
        body = f"<DescribeInstancesResponse><reservationSet/><nextToken>{token}</nextToken>"
        body += "</DescribeInstancesResponse>"
        return 200, {"Content-Type": "text/xml", "x-amzn-RequestId": "r-1"}, body.encode()

    sandbox.intercept = loop
    result = cli.json("status", *IN_PROD)
    assert (result.code, result.json["failures"][0]["error"]["code"]) == (1, "RepeatedPage")
    assert next(count) < 10


@pytest.mark.parametrize(
    "argv",
    [
        ("arn:aws-cn:ec2:eu-west-1:222222222222:instance/i-5026248791a2893ce", *ROLE),
        ("--all", "--account", PROD, "--role-arn", f"arn:aws-us-gov:iam::{PROD}:role/CadoOperator"),
        ("--all", "--org", "--org-role-arn", f"arn:aws-cn:iam::{HOME}:role/CadoOperator", *ROLE),
    ],
    ids=["instance", "role", "org role"],
)
def test_another_partition_is_a_mistake(cli: Cli, argv: tuple[str, ...]) -> None:
    result = cli("tag-instances", *argv, "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert "partition" in result.err


def test_saving_a_plan_keeps_the_guards(cli: Cli, tmp_path: Any) -> None:
    file = tmp_path / "plan.json"
    where = ("--account", f"{PROD},444444444444", "--region", f"{EU},{US}", *ROLE)
    some = ("tag-instances", "--filter", "tag:Name=web-01", *where)
    refused = cli.json(*some, "--all-or-nothing", "--save-plan", str(file))
    assert (refused.code, refused.json["status"]) == (4, "refused")
    assert not file.exists()
    nothing = cli.json(
        "tag-instances", "--filter", "tag:Name=nobody", *IN_PROD, "--save-plan", str(file), "--fail-empty"
    )
    assert nothing.code == 3
    unread = ("tag-instances", "--all", "--account", "444444444444", "--region", EU, *ROLE)
    assert cli.json(*unread, "--save-plan", str(file)).code == 1


def test_runs_alone_is_wrong_usage(cli: Cli) -> None:
    result = cli("runs")
    assert (result.code, result.out) == (2, "")
    assert "ommand" in result.err


def test_an_early_end_has_the_whole_envelope(cli: Cli, sandbox: Any) -> None:
    sandbox.intercept = lambda request: request.error("ExpiredToken", "expired", 403)
    report = cli.json(*WEB, "--dry-run").json
    assert report["dry_run"] is True
    assert report["summary"]["changed"] == 0
