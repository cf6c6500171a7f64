"""tag-instances and untag-instances, end to end: every state of an instance and of its tags."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.functional.conftest import DE, EU, IN_PROD, PROD, ROLE, STAGING, US, Cli, Terminal

CLAIM = "cado-ops:case/IR-42"


def test_tags_by_filter_in_three_accounts(cli: Cli, tags: Any) -> None:
    accounts = ("--account", f"111111111111,{PROD}", "--account", STAGING)
    regions = ("--region", f"{EU},{US}", "--region", DE)
    result = cli.json("tag-instances", "--filter", "tag:Team=web", *accounts, *regions, *ROLE, "--yes")
    assert result.code == 0
    envelope = result.json
    assert envelope["status"] == "success"
    assert envelope["summary"]["targets"] == 9
    changed = [item for item in envelope["items"] if item["outcome"] == "changed"]
    assert len(changed) == envelope["summary"]["changed"] > 5
    assert {item["account"] for item in changed} == {PROD, STAGING}
    for item in changed:
        assert tags(item["account"], item["region"])[item["name"]]["CadoResponseSSMEnabled"] == "True"
    assert "CadoResponseSSMEnabled" not in tags(PROD, EU)["db-01"]


@pytest.mark.parametrize(
    ("name", "action", "before", "outcome"),
    [
        ("web-01", "tag", None, "changed"),
        ("web-03", "none", "True", "unchanged"),
        ("web-04", "retag", "true", "changed"),
        ("api-01", "retag", "TRUE", "changed"),
        ("api-02", "retag", "True ", "changed"),
        ("batch-02", "none", "False", "skipped"),
        ("batch-01", "tag", None, "changed"),
        ("new-web-05", "tag", None, "changed"),
        ("old-web-01", "none", None, "skipped"),
        ("db-02", "tag", None, "failed"),
        ("db-03", "retag", "true", "changed"),
        ("dc-01", "tag", None, "changed"),
        ("dc-02", "none", "True", "unchanged"),
    ],
)
def test_every_kind_of_instance(
    cli: Cli, tags: Any, name: str, action: str, before: str | None, outcome: str
) -> None:
    item = cli.json("tag-instances", "--filter", f"tag:Name={name}", *IN_PROD, "--yes").items()[name]
    assert (item["action"], item["before"], item["outcome"]) == (action, before, outcome)
    now = tags()[name].get("CadoResponseSSMEnabled")
    assert now == ("True" if outcome in ("changed", "unchanged") else before)
    assert item["after"] == ("True" if action != "none" else before)


def test_all_reports_what_it_leaves_alone(cli: Cli) -> None:
    result = cli.json("tag-instances", "--all", *IN_PROD, "--yes")
    assert result.code == 3
    assert result.json["status"] == "partial"
    items = result.items()
    assert items["db-02"]["error"]["code"] == "TagLimitExceeded"
    assert any("set on purpose" in warning for warning in items["batch-02"]["warnings"])
    assert any("differs only in case" in warning for warning in items["dc-02"]["warnings"])
    assert any("terminated" in warning for warning in items["old-web-01"]["warnings"])


def test_overwrite_replaces_what_was_set_on_purpose(cli: Cli, tags: Any) -> None:
    result = cli.json("tag-instances", "--filter", "tag:Name=batch-02", *IN_PROD, "--overwrite", "--yes")
    assert result.items()["batch-02"]["action"] == "retag"
    assert tags()["batch-02"]["CadoResponseSSMEnabled"] == "True"


def test_untag_takes_the_key_off_whatever_its_value(cli: Cli, tags: Any) -> None:
    result = cli.json("untag-instances", "--filter", "tag:Team=data,web,api", *IN_PROD, "--yes")
    assert result.code == 0
    items = result.items()
    assert (items["batch-02"]["action"], items["batch-02"]["before"]) == ("untag", "False")
    assert items["web-01"]["outcome"] == "unchanged"
    assert items["old-web-01"]["outcome"] == "skipped"
    left = tags()
    assert all("CadoResponseSSMEnabled" not in left[name] for name in ("batch-02", "web-03", "web-04"))
    assert left["web-03"]["Env"] == "prod", "no other tag may go"


def test_twice_is_once(cli: Cli) -> None:
    command = ("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes")
    assert cli.json(*command).json["summary"]["changed"] == 3
    again = cli.json(*command)
    assert again.code == 0
    assert again.json["summary"]["unchanged"] == 4
    assert again.json["run_id"] is None, "nothing was changed, so nothing is journaled"
    assert len(cli.runs()) == 1


def test_a_case_claims_and_only_the_last_claim_takes_the_tag(cli: Cli, tags: Any) -> None:
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    cli.json("tag-instances", *web, "--case", "IR-42", "--expires", "72h")
    item = cli.json("tag-instances", *web, "--case", "IR-43").items()["web-01"]
    assert (item["action"], item["claims"]) == ("claim", ["IR-42", "IR-43"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:(00|15|30|45):00Z", tags()["web-01"][CLAIM])
    skipped = cli.json("untag-instances", *web).items()["web-01"]
    assert skipped["outcome"] == "skipped"
    assert "IR-42, IR-43" in skipped["warnings"][0]
    released = cli.json("untag-instances", *web, "--case", "IR-42").items()["web-01"]
    assert (released["action"], released["claims"]) == ("release", ["IR-43"])
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
    assert cli.json("untag-instances", *web, "--case", "IR-43").items()["web-01"]["action"] == "untag"
    assert not {"CadoResponseSSMEnabled", CLAIM, "cado-ops:case/IR-43"} & tags()["web-01"].keys()


def test_a_tag_that_stood_before_the_case_stays(cli: Cli, tags: Any) -> None:
    web = ("--filter", "tag:Name=web-03", *IN_PROD, "--yes", "--case", "IR-42")
    cli.json("tag-instances", *web)
    assert tags()["web-03"][CLAIM] == "- keep"
    assert cli.json("untag-instances", *web).items()["web-03"]["action"] == "release"
    assert tags()["web-03"]["CadoResponseSSMEnabled"] == "True"
    assert CLAIM not in tags()["web-03"]


def test_ids_and_dead_ids_in_one_batch(cli: Cli, ids: Any, sandbox: Any, tags: Any) -> None:
    """An instance that goes between reading and tagging fails alone; the rest of its batch is tagged."""
    known = ids()
    doomed = known["web-02"]

    def vanish(request: Any) -> Any:
        # EC2 refuses the whole call while the dead id is in it.
        if request.action == "CreateTags" and doomed in request.params.values():
            return request.error("InvalidInstanceID.NotFound", f"The instance ID '{doomed}' does not exist", 400)
        return None

    sandbox.intercept = vanish
    result = cli.json("tag-instances", known["web-01"], doomed, known["db-01"], *IN_PROD, "--yes")
    assert result.code == 3
    items = result.items()
    assert items["web-02"]["outcome"] == "failed"
    assert items["web-02"]["error"]["code"] == "InvalidInstanceID.NotFound"
    assert {items["web-01"]["outcome"], items["db-01"]["outcome"]} == {"changed"}
    assert tags()["db-01"]["CadoResponseSSMEnabled"] == "True"


def test_one_instance_that_may_not_be_tagged_fails_alone(cli: Cli, ids: Any, sandbox: Any) -> None:
    known = ids()

    def deny(request: Any) -> Any:
        if request.action == "CreateTags" and known["db-01"] in request.params.values():
            return request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        return None

    sandbox.intercept = deny
    result = cli.json("tag-instances", "--filter", "tag:Name=web-01,web-02,db-01,api-03,dc-01", *IN_PROD, "--yes")
    outcomes = {name: item["outcome"] for name, item in result.items().items()}
    assert outcomes == {
        "web-01": "changed", "web-02": "changed", "api-03": "changed", "dc-01": "changed", "db-01": "failed",
    }  # fmt: skip
    assert "ec2:CreateTags" in result.items()["db-01"]["error"]["hint"]


def test_an_id_in_no_target_is_a_failure(cli: Cli, ids: Any) -> None:
    result = cli.json("tag-instances", ids()["web-01"], "i-0123456789abcdef0", *IN_PROD, "--yes")
    assert result.code == 3
    (failure,) = result.json["failures"]
    assert (failure["stage"], failure["id"]) == ("select", "i-0123456789abcdef0")
    assert result.json["summary"]["changed"] == 1
    alone = cli.json("tag-instances", "i-0123456789abcdef0", *IN_PROD, "--yes")
    assert (alone.code, alone.json["status"]) == (1, "error")


def test_an_id_that_may_be_in_an_unreadable_target_says_so(cli: Cli) -> None:
    accounts = ("--account", f"{PROD},444444444444", "--region", EU, *ROLE)
    result = cli.json("tag-instances", "i-0123456789abcdef0", *accounts, "--yes")
    lost = [each for each in result.json["failures"] if each["stage"] == "select"]
    assert "not read: 444444444444/eu-west-1" in lost[0]["error"]["message"]


def test_dry_run_asks_aws_and_changes_nothing(cli: Cli, tags: Any, sandbox: Any) -> None:
    before = tags()
    sandbox.calls.clear()
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--dry-run")
    assert (result.code, result.json["status"], result.json["dry_run"]) == (0, "planned", True)
    assert result.json["summary"]["allowed"] == 3
    assert result.json["run_id"] is None
    assert any(call.action == "CreateTags" for call in sandbox.calls), "AWS itself is asked"
    assert tags() == before
    assert not cli.runs()


def test_dry_run_names_what_aws_would_deny(cli: Cli, sandbox: Any, ids: Any) -> None:
    denied = ids()["web-01"]

    def deny(request: Any) -> Any:
        if request.action == "CreateTags" and denied in request.params.values():
            return request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        return None

    sandbox.intercept = deny
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--dry-run")
    assert (result.code, result.json["status"]) == (3, "partial")
    assert result.items()["web-01"]["outcome"] == "denied"
    assert result.items()["web-02"]["outcome"] == "allowed"


def test_without_a_terminal_and_without_yes_nothing_happens(cli: Cli, tags: Any) -> None:
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD)
    assert (result.code, result.json["status"]) == (4, "refused")
    assert result.json["failures"][0]["error"]["code"] == "NotConfirmed"
    assert len(result.json["items"]) == 4, "the plan is shown"
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]
    assert not cli.runs()
    nothing = cli.json("tag-instances", "--filter", "tag:Name=web-03", *IN_PROD)
    assert nothing.code == 0, "nothing would change, so nobody has to be asked"


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 4), ("\n", 4), ("", 4)])
def test_the_question(cli: Cli, answer: str, code: int) -> None:
    result = cli.json(
        "tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, stdin=Terminal(answer), stderr=Terminal()
    )
    assert result.code == code
    assert result.json["summary"]["changed"] == (3 if code == 0 else 0)
    assert "Go on? [y/N]" in result.err
    assert "222222222222 Acme Production" in result.err
    assert "arn:aws:sts::111111111111:assumed-role/Responder/alice" in result.err
    assert "http://127.0.0.1" in result.err
    assert "not AWS" in result.err


def test_more_changes_than_allowed_are_refused(cli: Cli, tags: Any) -> None:
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, "--yes", "--max-changes", "2")
    assert (result.code, result.json["status"]) == (4, "refused")
    assert "--max-changes 3" in result.json["failures"][0]["error"]["hint"]
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]


def test_all_or_nothing(cli: Cli, tags: Any) -> None:
    command = ("tag-instances", "--filter", "tag:Name=web-01", "--account", f"{PROD},444444444444", "--region", EU)
    result = cli.json(*command, *ROLE, "--yes", "--all-or-nothing")
    assert result.code == 4
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]
    result = cli.json(*command, *ROLE, "--yes")
    assert result.code == 3
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True", "one account's failure stops no other"


def test_matching_nothing(cli: Cli) -> None:
    command = ("tag-instances", "--filter", "tag:Env=nowhere", *IN_PROD, "--yes")
    result = cli.json(*command)
    assert (result.code, result.json["status"], result.json["items"]) == (0, "success", [])
    assert "nothing matches" in result.err
    assert cli.json(*command, "--fail-empty").code == 3


def test_the_journal_cannot_be_written(cli: Cli, tags: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = cli.json(
        "tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, "--yes", "--journal-dir", str(blocked / "runs")
    )
    assert (result.code, result.json["status"]) == (1, "error")
    assert "--journal-dir" in result.json["failures"][0]["error"]["hint"]
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]


def test_a_plan_that_grew_old_at_the_prompt_is_read_again(cli: Cli, aws: Any, ids: Any, tags: Any) -> None:
    """While the question stood, somebody else removed an instance's reason to be tagged."""
    known = ids()
    late = [False]

    class Slow(Terminal):
        def readline(self, *args: Any) -> str:  # type: ignore[override]
            late[0] = True
            pairs = [{"Key": "CadoResponseSSMEnabled", "Value": "False"}]
            aws(PROD, EU).create_tags(Resources=[known["web-01"]], Tags=pairs)
            aws(PROD, EU).create_tags(
                Resources=[known["web-02"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "True"}]
            )
            return "y\n"

    cli.clock = lambda: 100.0 if late[0] else 0.0
    result = cli.json("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD, stdin=Slow(), stderr=Terminal())
    items = result.items()
    assert result.code == 3
    assert items["web-01"]["outcome"] == "drifted"
    assert items["web-02"]["outcome"] == "unchanged"
    assert items["web-04"]["outcome"] == "changed"
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "False"
