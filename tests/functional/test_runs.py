"""The journal: intent before act, and what `runs list` and `runs show` make of it."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from cado_ops.journal import read_run
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, US, Cli

WEB = ("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes")


def test_intent_is_on_disk_before_the_call_and_the_outcome_after(cli: Cli, sandbox: Any) -> None:
    at_the_call: list[list[str]] = []

    def look(request: Any) -> None:
        if request.action == "CreateTags":
            (path,) = cli.runs()
            at_the_call.append([json.loads(line)["record"] for line in path.read_text().splitlines()])

    sandbox.intercept = look
    cli.json(*WEB, "--case", "IR-42")
    assert at_the_call
    for n, seen in enumerate(at_the_call):
        assert seen[-1] == "intent"
        assert seen[:2] == ["run", "plan"]
        assert seen.count("outcome") == n
    records = [json.loads(line) for line in cli.runs()[0].read_text().splitlines()]
    assert records[-1]["record"] == "end"
    assert sum(r["record"] == "intent" for r in records) == sum(r["record"] == "outcome" for r in records)


def test_what_the_journal_holds(cli: Cli) -> None:
    result = cli.json(*WEB, "--case", "IR-42", "--external-id", "some-id")
    (path,) = cli.runs()
    run = read_run(path)
    assert run.problems == []
    assert run.run_id == result.json["run_id"]
    assert run.header["caller"]["arn"] == "arn:aws:sts::111111111111:assumed-role/Responder/alice"
    assert run.header["case"] == "IR-42"
    assert run.header["argv"][0] == "tag-instances"
    assert run.header["roles"]["role_name"] == "CadoOperator"
    assert run.header["started"].endswith("Z")
    assert (run.header["accounts"], run.header["regions"]) == ([PROD], [EU])
    assert all(json.loads(line)["at"].endswith("Z") for line in path.read_text().splitlines())
    assert len(run.plan) == 4, "the whole plan, not only what was done"
    by_name = {line["name"]: line for line in run.plan}
    assert by_name["web-04"]["tags_before"] == {"CadoResponseSSMEnabled": "true", "cado-ops:case/IR-42": None}
    assert by_name["web-04"]["tags_after"]["CadoResponseSSMEnabled"] == "True"
    assert all(result["request_id"] for result in run.results.values())
    assert run.end is not None
    assert run.end["status"] == "success"
    text = path.read_text()
    assert not [
        os.environ[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if os.environ[name] in text
    ]


def test_a_password_in_an_endpoint_is_not_journaled(cli: Cli, sandbox: Any) -> None:
    url = sandbox.endpoint_url.replace("://", "://somebody:hunter2@")
    result = cli.json(*WEB, "--endpoint-url", url)
    assert result.code == 0, result.out
    text = cli.runs()[0].read_text()
    assert "hunter2" not in text + result.out + result.err


def test_the_journal_is_private(cli: Cli) -> None:
    cli.json(*WEB)
    assert cli.journal.stat().st_mode & 0o777 == 0o700
    assert cli.runs()[0].stat().st_mode & 0o777 == 0o600


def test_list_and_show(cli: Cli, sandbox: Any) -> None:
    first = cli.json(*WEB, "--case", "IR-42").json["run_id"]
    second = cli.json("untag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes", "--case", "IR-42")
    sandbox.calls.clear()
    listed = cli.json("runs", "list").json["items"]
    assert sandbox.calls == [], "the journal is read without AWS"
    assert list(listed[0]) == [
        "run_id", "command", "case", "started", "finished", "caller", "status", "changed",
    ]  # fmt: skip
    assert {each["run_id"] for each in listed} == {first, second.json["run_id"]}
    shown = cli.json("runs", "show", first)
    assert shown.code == 0
    assert shown.json["run_id"] == first
    assert shown.json["case"] == "IR-42"
    assert {item["name"]: item["outcome"] for item in shown.json["items"]}["web-01"] == "changed"
    # By its id: there may be several runs of one second.
    assert cli.json("runs", "show", "last").json["run_id"] == second.json["run_id"]
    assert cli.json("runs", "show", first[:20]).json["run_id"] == first
    assert "web-01" in cli("runs", "show", first).out
    assert first in cli("runs", "list").out


def test_no_runs_yet(cli: Cli) -> None:
    result = cli.json("runs", "list")
    assert (result.code, result.json["items"]) == (0, [])


def test_an_edited_journal_is_noticed(cli: Cli) -> None:
    cli.json(*WEB)
    (path,) = cli.runs()
    path.write_text(path.read_text().replace("web-01", "web-99"))
    result = cli("runs", "show", "last")
    assert "was changed" in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_is_in_flight_and_starts_nothing_new(
    cli: Cli, sandbox: Any, tags: Any, number: signal.Signals
) -> None:
    """One worker; the signal comes while the first cell's call is on its way."""
    sent: list[str] = []

    def interrupt(request: Any) -> None:
        if request.action == "CreateTags" and not sent:
            os.kill(os.getpid(), number)
        if request.action == "CreateTags":
            sent.append(request.region)

    sandbox.intercept = interrupt
    result = cli.json(
        "tag-instances", "--filter", "tag:Team=web", "--account", PROD, "--region", f"{EU},{US},eu-central-1",
        *ROLE, "--yes", "--max-concurrency", "1",
    )  # fmt: skip
    assert (result.code, result.json["status"]) == (130, "interrupted")
    done = [item for item in result.json["items"] if item["outcome"] == "changed"]
    never = [item for item in result.json["items"] if item["outcome"] == "planned"]
    assert done
    assert never
    regions = {item["region"] for item in done}
    assert len(regions) == 1
    (path,) = cli.runs()
    run = read_run(path)
    assert run.end is not None
    assert run.end["status"] == "interrupted"
    assert {key[2] for key, each in run.results.items() if each["outcome"] == "changed"} == {
        item["instance_id"] for item in done
    }
    for item in done + never:
        tagged = tags(item["account"], item["region"])[item["name"]].get("CadoResponseSSMEnabled") == "True"
        assert tagged is (item in done)
    assert cli.json("runs", "list").json["items"][0]["status"] == "interrupted"


def test_an_interrupt_before_the_first_change_ends_at_once(cli: Cli, sandbox: Any) -> None:
    def interrupt(request: Any) -> None:
        if request.action == "DescribeInstances":
            os.kill(os.getpid(), signal.SIGINT)

    sandbox.intercept = interrupt
    result = cli.json(*WEB)
    assert (result.code, result.json["status"], result.json["run_id"]) == (130, "interrupted", None)
    assert not cli.runs()
