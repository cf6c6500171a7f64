"""--save-plan and apply: exactly what was saved, or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cado_ops.journal import read_run
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, Cli, Terminal

WEB = ("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--case", "IR-42")


@pytest.fixture
def plan(cli: Cli, tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    result = cli.json(*WEB, "--save-plan", str(file))
    assert (result.code, result.json["status"], result.json["run_id"]) == (0, "planned", None)
    return file


def reseal(file: Path, **changes: Any) -> None:
    """Edits a plan as somebody would who knows how the digest is made."""
    from cado_ops.plan.planfile import _digest

    body = json.loads(file.read_text())
    del body["digest"]
    body |= changes
    file.write_text(json.dumps(body | {"digest": _digest(body)}))


def test_save_and_apply(cli: Cli, plan: Path, tags: Any) -> None:
    assert plan.stat().st_mode & 0o777 == 0o600
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]
    assert not cli.runs()
    result = cli.json("apply", str(plan), "--yes")
    assert (result.code, result.json["status"], result.json["command"]) == (0, "success", "apply")
    assert result.json["case"] == "IR-42"
    assert result.json["summary"]["changed"] == 4
    assert tags()["web-04"]["CadoResponseSSMEnabled"] == "True"
    run = read_run(cli.runs()[0])
    assert run.header["plan"]["digest"] == json.loads(plan.read_text())["digest"]
    assert run.header["plan"]["caller"]["account"] == "111111111111", "both people are journaled"
    assert cli.json("runs", "undo", "last", "--yes").code == 0
    assert tags()["web-04"]["CadoResponseSSMEnabled"] == "true"


def test_apply_asks_and_keeps_the_guards(cli: Cli, plan: Path, tags: Any) -> None:
    assert cli.json("apply", str(plan)).code == 4
    assert cli.json("apply", str(plan), "--yes", "--max-changes", "1").code == 4
    dry = cli.json("apply", str(plan), "--dry-run")
    assert (dry.code, dry.json["summary"]["allowed"]) == (0, 4)
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]
    assert cli.json("apply", str(plan), stdin=Terminal("y\n"), stderr=Terminal()).code == 0


def test_applying_twice(cli: Cli, plan: Path) -> None:
    cli.json("apply", str(plan), "--yes")
    reseal(plan, created="2026-01-01T00:00:00Z")
    again = cli.json("apply", str(plan), "--yes")
    assert again.code == 0
    assert again.json["summary"]["unchanged"] == 4


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace("web-01", "web-02"), "changed after it was saved"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 2'), "plan format 2"),
        (lambda text: text[:-40], "cut short"),
        (lambda text: "{}", "no saved plan"),
        (lambda text: "[" * 100_000, "no saved plan"),
    ],
    ids=["edited", "version", "cut", "other json", "nested"],
)
def test_what_is_not_the_plan_that_was_saved_is_refused(
    cli: Cli, plan: Path, tags: Any, edit: Any, says: str
) -> None:
    plan.write_text(edit(plan.read_text()))
    result = cli.json("apply", str(plan), "--yes")
    assert (result.code, result.json["status"]) == (4, "refused")
    assert says in result.json["failures"][0]["error"]["message"]
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]


def test_another_account_or_endpoint_is_refused(cli: Cli, plan: Path) -> None:
    body = json.loads(plan.read_text())
    reseal(plan, caller=body["caller"] | {"account": "999999999999"})
    assert cli.json("apply", str(plan), "--yes").code == 4
    reseal(plan, caller=body["caller"] | {"endpoint": None})
    refused = cli.json("apply", str(plan), "--yes")
    assert refused.code == 4
    assert "AWS" in refused.json["failures"][0]["error"]["message"]


def test_another_identity_of_the_same_account_may_apply_it(cli: Cli, plan: Path) -> None:
    body = json.loads(plan.read_text())
    reseal(plan, caller=body["caller"] | {"arn": "arn:aws:sts::111111111111:assumed-role/Responder/bob"})
    assert cli.json("apply", str(plan), "--yes").code == 0
    run = read_run(cli.runs()[0])
    assert run.header["plan"]["caller"]["arn"].endswith("/bob")
    assert run.header["caller"]["arn"].endswith("/alice")


def test_drift_is_told_item_by_item(cli: Cli, plan: Path, aws: Any, ids: Any, tags: Any) -> None:
    old = datetime.now(UTC) - timedelta(seconds=61)
    reseal(plan, created=f"{old:%Y-%m-%dT%H:%M:%SZ}")
    known, key = ids(), "CadoResponseSSMEnabled"
    aws(PROD, EU).create_tags(Resources=[known["web-01"]], Tags=[{"Key": key, "Value": "False"}])
    result = cli.json("apply", str(plan), "--yes")
    assert result.code == 3
    assert {name: item["outcome"] for name, item in result.items().items() if item["action"] != "none"} == {
        "web-01": "drifted", "web-02": "changed", "web-03": "changed", "web-04": "changed",
    }  # fmt: skip
    assert tags()["web-01"][key] == "False"


def test_a_dry_run_of_an_old_plan_tells_what_drifted(cli: Cli, plan: Path, aws: Any, ids: Any, tags: Any) -> None:
    """As apply would say it; of a plan that is fresh, it is not read again."""
    known, key = ids(), "CadoResponseSSMEnabled"
    aws(PROD, EU).create_tags(Resources=[known["web-01"]], Tags=[{"Key": key, "Value": "False"}])
    cli.json("tag-instances", known["web-02"], *IN_PROD, "--case", "IR-42", "--yes")
    before = tags()
    fresh = cli.json("apply", str(plan), "--dry-run")
    assert (fresh.code, fresh.json["summary"]["allowed"]) == (0, 4)
    old = datetime.now(UTC) - timedelta(seconds=61)
    reseal(plan, created=f"{old:%Y-%m-%dT%H:%M:%SZ}")
    dry = cli.json("apply", str(plan), "--dry-run")
    assert {name: item["outcome"] for name, item in dry.items().items() if item["action"] != "none"} == {
        "web-01": "drifted", "web-02": "unchanged", "web-03": "allowed", "web-04": "allowed",
    }  # fmt: skip
    assert (dry.code, dry.json["status"], dry.json["run_id"]) == (3, "partial", None)
    assert tags() == before
    applied = cli.json("apply", str(plan), "--yes")
    assert applied.items()["web-01"]["outcome"] == "drifted"


def test_a_fresh_plan_needs_no_second_reading(cli: Cli, plan: Path, sandbox: Any) -> None:
    sandbox.calls.clear()
    cli.json("apply", str(plan), "--yes")
    assert "DescribeInstances" not in {call.action for call in sandbox.calls}


def test_failed_targets_are_kept(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    accounts = ("--account", f"{PROD},444444444444", "--region", EU, *ROLE)
    saved = cli.json("tag-instances", "--filter", "tag:Name=web-01", *accounts, "--save-plan", str(file))
    assert (saved.code, saved.json["status"]) == (3, "partial")
    applied = cli.json("apply", str(file), "--yes")
    assert (applied.code, applied.json["status"]) == (3, "partial")
    assert applied.json["failures"][0]["account"] == "444444444444"
    assert applied.json["summary"]["targets_failed"] == 1


def test_a_file_that_is_no_plan_is_never_overwritten(cli: Cli, plan: Path, tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    result = cli(*WEB, "--save-plan", str(precious))
    assert (result.code, result.out) == (2, "")
    assert precious.read_text() == "years of work"
    assert cli(*WEB, "--save-plan", str(plan)).code == 0, "an older plan may be"


def test_usage(cli: Cli, plan: Path) -> None:
    assert cli("apply", "/no/such/file", "--yes").code == 2
    assert cli("apply", "-", stdin=plan.read_text()).code == 2
    assert cli("apply", "-", "--yes", stdin=plan.read_text()).code == 0
    assert cli(*WEB, "--save-plan", str(plan), "--dry-run").code == 2
    plan.chmod(0o666)
    assert cli("apply", str(plan), "--yes").code == 4
