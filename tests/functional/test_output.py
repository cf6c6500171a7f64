"""What comes out: formats, widths, streams."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, STAGING, US, Cli, Terminal

ENVELOPE = [
    "format_version", "command", "status", "dry_run", "run_id", "case", "caller", "summary", "items", "failures",
]  # fmt: skip
SUMMARY = {
    "targets", "targets_failed", "targets_left_out", "selected", "planned", "changed", "unchanged", "skipped",
    "drifted", "failed", "unknown", "allowed", "denied",
}  # fmt: skip
TAG_ITEM = [
    "account", "region", "instance_id", "name", "state", "action", "before", "after", "claims", "outcome",
    "warnings", "error",
]  # fmt: skip
WEB = ("--filter", "tag:Team=web", "--account", f"{PROD},{STAGING}", "--region", f"{EU},{US}", *ROLE)


def test_the_envelope(cli: Cli) -> None:
    report = cli.json("tag-instances", *WEB, "--case", "IR-42", "--yes").json
    assert list(report) == ENVELOPE
    assert set(report["summary"]) == SUMMARY
    assert report["format_version"] == 1
    assert report["case"] == "IR-42"
    assert report["run_id"]
    assert set(report["caller"]) == {"account", "arn", "endpoint"}
    assert all(list(item) == TAG_ITEM for item in report["items"])
    keys = [(item["account"], item["region"], item["instance_id"]) for item in report["items"]]
    assert keys == sorted(keys)
    summary = report["summary"]
    assert (
        summary["selected"]
        == len(report["items"])
        == summary["changed"] + summary["unchanged"] + summary["skipped"]
    )


def test_failures_in_the_envelope(cli: Cli) -> None:
    result = cli.json(
        "tag-instances", "--all", "--account", "444444444444", "--region", f"{EU},{US}", *ROLE, "--yes"
    )
    assert (result.code, result.json["status"]) == (1, "error")
    assert [list(failure) for failure in result.json["failures"]] == [
        ["account", "region", "stage", "id", "error"]
    ] * 2
    assert list(result.json["failures"][0]["error"]) == ["code", "message", "hint"]
    assert result.json["summary"]["targets_failed"] == result.json["summary"]["targets"] == 2


def test_ndjson(cli: Cli) -> None:
    lines = cli("tag-instances", *WEB, "--yes", "-o", "ndjson").lines
    assert [line["type"] for line in lines] == ["item"] * (len(lines) - 1) + ["summary"]
    assert lines[-1]["summary"]["selected"] == len(lines) - 1
    assert lines[-1]["status"] == "success"
    ids = [line["instance_id"] for line in lines[:-1]]
    assert len(ids) == len(set(ids)), "each item once"
    refused = cli("untag-instances", *WEB, "-o", "ndjson")
    assert refused.code == 4
    assert [line["type"] for line in refused.lines].count("item") == lines[-1]["summary"]["selected"]
    assert refused.lines[-1]["status"] == "refused"


def test_ndjson_failures(cli: Cli) -> None:
    command = ("tag-instances", "--filter", "tag:Name=web-01", "--account", f"{PROD},444444444444", "--region", EU)
    lines = cli(*command, *ROLE, "--yes", "-o", "ndjson").lines
    assert [line["type"] for line in lines] == ["failure", "item", "summary"]


def test_csv(cli: Cli) -> None:
    result = cli("tag-instances", *WEB, "--case", "IR-42", "--yes", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert list(rows[0]) == TAG_ITEM
    assert {row["claims"] for row in rows if row["outcome"] == "changed"} == {"IR-42"}
    assert "success: " in result.err


def test_query(cli: Cli) -> None:
    result = cli(
        "tag-instances", *WEB, "--dry-run", "-o", "json", "--query", "items[?action=='tag'].name | sort(@)"
    )
    assert "web-01" in result.json  # type: ignore[operator]
    table = cli("tag-instances", *WEB, "--dry-run", "--query", "items[].{name: name, state: state}")
    assert "web-01" in table.out
    assert "tagged" not in table.out


@pytest.mark.parametrize("width", [80, 200])
def test_table_widths(cli: Cli, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    result = cli("tag-instances", *WEB, "--case", "IR-42", "--dry-run")
    lines = result.out.splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(f"web-0{n}" in result.out for n in (1, 2, 3))
    assert PROD in result.out
    assert "\x1b" not in result.out + result.err
    assert "next: cado-ops tag-instances" in result.err
    assert "--dry-run" not in result.err.split("next: ")[1]


def test_stdout_is_data_only(cli: Cli) -> None:
    result = cli("tag-instances", *WEB, "--yes")
    assert "success: " in result.err
    assert "success: " not in result.out
    assert "next: cado-ops runs undo" in result.err


def test_a_refused_plan_is_shown_once(cli: Cli) -> None:
    result = cli("tag-instances", *WEB, stdin=Terminal("n\n"), stderr=Terminal())
    assert result.code == 4
    assert len(re.findall(r"(?<![\w-])web-01\b", result.err)) == 1
    assert result.out == ""
    piped = cli("tag-instances", *WEB)
    assert "web-01" in piped.out


def test_an_unexpected_error_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("boom")

    monkeypatch.setattr("cado_ops.observe.fleet.sweep", fail)
    result = cli.json("status", *IN_PROD)
    assert (result.code, result.json["status"]) == (1, "error")
    assert "Traceback" not in result.err
    assert "Traceback" in cli.json("status", *IN_PROD, "--debug").err
