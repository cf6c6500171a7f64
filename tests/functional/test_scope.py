"""Accounts, regions and roles: what the scope options mean, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import CLOSED, DE, DENIED, EU, HOME, IN_PROD, PROD, RESEARCH, ROLE, STAGING, US, Cli


def cells(result: Any, included: bool = True) -> set[tuple[str, str | None]]:
    return {(i["account"], i["region"]) for i in result.json["items"] if i["included"] is included}


def test_the_default_is_the_callers_account_and_the_profiles_region(cli: Cli, sandbox: Any) -> None:
    result = cli.json("targets")
    assert cells(result) == {(HOME, EU)}
    assert result.json["items"][0]["role_arn"] is None
    assert "AssumeRole" not in {call.action for call in sandbox.calls}
    assert result.json["caller"]["arn"] == "arn:aws:sts::111111111111:assumed-role/Responder/alice"
    assert result.json["caller"]["endpoint"].startswith("http://127.0.0.1:")


def test_accounts_and_regions_by_flags(cli: Cli, sandbox: Any) -> None:
    result = cli.json(
        "targets", "--account", f"{PROD},{HOME}", "--account", STAGING, "--region", f"{EU},{US}", *ROLE
    )
    assert result.code == 0
    assert cells(result) == {(account, region) for account in (PROD, HOME, STAGING) for region in (EU, US)}
    assert "DescribeRegions" not in {call.action for call in sandbox.calls}
    assumed = [call for call in sandbox.calls if call.action == "AssumeRole"]
    assert len(assumed) == 2, "one AssumeRole an account"


def test_the_organisation(cli: Cli) -> None:
    result = cli.json("targets", "--org", "--region", EU, *ROLE)
    assert result.code == 3
    assert cells(result) == {(HOME, EU), (PROD, EU), (STAGING, EU)}
    assert cells(result, included=False) == {(RESEARCH, EU), (CLOSED, None)}
    reasons = {item["account"]: item["reason"] for item in result.json["items"]}
    assert "SUSPENDED" in reasons[CLOSED]
    names = {item["account"]: item["name"] for item in result.json["items"]}
    assert names[PROD] == "Acme Production"
    (failure,) = result.json["failures"]
    assert (failure["account"], failure["region"], failure["stage"]) == (RESEARCH, EU, "assume-role")
    assert failure["error"]["code"] == "AccessDenied"
    assert "--external-id" in failure["error"]["hint"]


def test_organisational_units_are_nested(cli: Cli) -> None:
    result = cli.json("targets", "--ou", "ou-acme-workload", "--region", EU, *ROLE)
    assert cells(result) == {(PROD, EU), (STAGING, EU)}
    assert cells(cli.json("targets", "--ou", "ou-acme-prod0001", "--region", EU, *ROLE)) == {(PROD, EU)}


def test_the_organisation_is_read_through_its_own_role(cli: Cli, sandbox: Any) -> None:
    role = f"arn:aws:iam::{HOME}:role/CadoOperator"
    arns = {}

    def note(request: Any) -> None:
        arns[request.action] = request.arn

    sandbox.intercept = note
    result = cli.json("targets", "--org", "--org-role-arn", role, "--region", EU, *ROLE)
    assert cells(result) == {(HOME, EU), (PROD, EU), (STAGING, EU)}
    assert arns["ListAccounts"].startswith(f"arn:aws:sts::{HOME}:assumed-role/CadoOperator/")


def test_a_member_account_may_not_list_the_organisation(cli: Cli) -> None:
    role = f"arn:aws:iam::{PROD}:role/CadoOperator"
    result = cli.json("targets", "--org", "--org-role-arn", role, "--region", EU, *ROLE)
    assert (result.code, result.json["status"]) == (1, "error")
    (failure,) = result.json["failures"]
    assert (failure["account"], failure["stage"]) == (PROD, "organizations")
    assert "--org-role-arn" in failure["error"]["hint"]


def test_all_regions_are_asked_of_each_account_and_denied_ones_left_out(cli: Cli) -> None:
    result = cli.json("targets", "--account", f"{HOME},{PROD}", "--region", "all", *ROLE)
    assert result.code == 0
    assert cells(result) == {(HOME, r) for r in (EU, US, DE, DENIED)} | {(PROD, r) for r in (EU, US, DE)}
    (left,) = [item for item in result.json["items"] if not item["included"]]
    assert (left["account"], left["region"]) == (PROD, DENIED)
    assert "organisation policy" in left["reason"]
    assert result.json["summary"]["targets_left_out"] == 1


def test_a_named_region_that_is_denied_fails(cli: Cli) -> None:
    result = cli.json("targets", "--account", PROD, "--region", f"{EU},{DENIED}", *ROLE)
    assert result.code == 3
    (failure,) = result.json["failures"]
    assert (failure["region"], failure["error"]["code"]) == (DENIED, "UnauthorizedOperation")


def test_excludes(cli: Cli) -> None:
    result = cli.json(
        "targets", "--account", f"{PROD},{STAGING}", "--exclude-account", STAGING, "--region", "all",
        "--exclude-region", f"{US},{DENIED}", *ROLE,
    )  # fmt: skip
    assert cells(result) == {(PROD, EU), (PROD, DE)}
    assert cells(result, included=False) == {(STAGING, None), (PROD, US), (PROD, DENIED)}


def test_an_accounts_file_of_ids_and_arns(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "accounts.txt"
    file.write_text(f"# production\n{PROD}\narn:aws:iam::{STAGING}:role/Anything\n")
    assert cells(cli.json("targets", "--accounts-file", str(file), *ROLE)) == {(PROD, EU), (STAGING, EU)}
    assert cells(cli.json("targets", "--accounts-file", "-", *ROLE, stdin=f"{PROD}\n")) == {(PROD, EU)}


def test_cados_csv_names_the_cado_role_which_is_never_assumed(cli: Cli, tmp_path: Path, sandbox: Any) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(f"roleArn,alias\narn:aws:iam::{PROD}:role/CadoResponseRole,Prod\n")
    result = cli.json("targets", "--accounts-file", str(file), *ROLE)
    assert cells(result) == {(PROD, EU)}
    assert result.json["items"][0]["role_arn"].endswith("role/CadoOperator")
    assert result.json["items"][0]["name"] == "Prod"


def test_the_external_id(cli: Cli) -> None:
    command = ("targets", "--account", PROD, "--role-name", "CadoOperatorExternal")
    refused = cli.json(*command)
    assert (refused.code, refused.json["failures"][0]["stage"]) == (1, "assume-role")
    assert cli.json(*command, "--external-id", "acme-ir").code == 0


def test_a_role_arn_serves_its_own_account(cli: Cli) -> None:
    role = f"arn:aws:iam::{PROD}:role/CadoOperatorExternal"
    result = cli.json(
        "targets", "--account", f"{PROD},{STAGING}", "--role-arn", role, *ROLE, "--external-id", "acme-ir"
    )
    roles = {item["account"]: item["role_arn"] for item in result.json["items"]}
    assert roles == {PROD: role, STAGING: f"arn:aws:iam::{STAGING}:role/CadoOperator"}
    assert result.code == 0


def test_a_role_of_ones_own_account_is_not_assumed_and_that_is_said(cli: Cli, sandbox: Any) -> None:
    result = cli.json("targets", "--role-arn", f"arn:aws:iam::{HOME}:role/CadoOperator")
    assert result.code == 0
    assert "AssumeRole" not in {call.action for call in sandbox.calls}
    assert "your own account" in result.err


def test_the_session_says_who_and_which_case(cli: Cli, sandbox: Any) -> None:
    names = set()

    def note(request: Any) -> None:
        if request.account == PROD:
            names.add(request.arn.rsplit("/", 1)[-1])

    sandbox.intercept = note
    cli.json("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, "--case", "IR-42", "--dry-run")
    cli.json("targets", "--account", PROD, *ROLE, "--session-name", "my-session")
    assert names == {"cado-ops.IR-42.alice", "my-session"}


def test_an_instance_arn_names_its_own_account_and_region(cli: Cli, ids: Any, sandbox: Any) -> None:
    arn = f"arn:aws:ec2:{US}:{PROD}:instance/{ids(PROD, US)['web-us-01']}"
    sandbox.calls.clear()
    result = cli.json("tag-instances", arn, *ROLE, "--yes")
    assert result.code == 0
    assert result.items()["web-us-01"]["outcome"] == "changed"
    assert {(c.account, c.region) for c in sandbox.calls if c.service == "ec2"} == {(PROD, US)}
    other = arn.replace(f":{US}:", f":{EU}:")
    missing = cli.json("tag-instances", other, *ROLE, "--yes")
    assert missing.code == 1
    assert missing.json["failures"][0]["id"] == arn.rsplit("/", 1)[-1]


def test_arns_and_ids_together(cli: Cli, ids: Any) -> None:
    arn = f"arn:aws:ec2:{US}:{PROD}:instance/{ids(PROD, US)['web-us-01']}"
    result = cli.json("tag-instances", arn, ids(STAGING, EU)["stg-web-01"], "--account", STAGING, *ROLE, "--yes")
    assert result.code == 0
    assert {name: item["outcome"] for name, item in result.items().items()} == {
        "web-us-01": "changed", "stg-web-01": "changed",
    }  # fmt: skip


def test_settings_from_the_environment_and_a_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config" / "cado-ops"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'role_name = "CadoOperator"\naccount = ["{STAGING}"]\nregion = "{US}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert cells(cli.json("targets")) == {(STAGING, US)}
    monkeypatch.setenv("CADO_OPS_ACCOUNT", f"{PROD},{STAGING}")
    assert cells(cli.json("targets")) == {(PROD, US), (STAGING, US)}
    assert cells(cli.json("targets", "--account", PROD, "--region", EU)) == {(PROD, EU)}
    monkeypatch.setenv("CADO_OPS_ORG", "true")
    assert cells(cli.json("targets", "--account", PROD)) == {(PROD, US)}, "a flag is never widened from below"


def test_yes_and_all_come_from_flags_only(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CADO_OPS_YES", "1")
    result = cli.json("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD)
    assert result.code == 4
    assert "CADO_OPS_YES" in result.err
    config = tmp_path / "c.toml"
    config.write_text("yes = true\n")
    assert cli("targets", "--config", str(config)).code == 2


def test_findings(cli: Cli, ids: Any, tmp_path: Path) -> None:
    web, db = ids()["web-01"], ids()["db-01"]
    guardduty = {
        "SchemaVersion": "2.0", "AccountId": PROD, "Region": EU, "Id": "f1", "Type": "CryptoCurrency:EC2/Bitcoin",
        "Resource": {"ResourceType": "Instance", "InstanceDetails": {"InstanceId": web}},
    }  # fmt: skip
    hub = {
        "SchemaVersion": "2018-10-08", "Id": "f2", "AwsAccountId": PROD, "Region": EU, "ProductArn": "arn:aws:x",
        "Resources": [{"Type": "AwsEc2Instance", "Id": f"arn:aws:ec2:{EU}:{PROD}:instance/{db}", "Region": EU}],
    }  # fmt: skip
    event = {"version": "0", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "account": PROD,
             "region": EU, "detail": guardduty}  # fmt: skip
    file = tmp_path / "findings.json"
    file.write_text(json.dumps({"Findings": [hub]}))
    stdin = json.dumps(event)
    result = cli.json(
        "tag-instances", "--from-finding", str(file), "--from-finding", "-", *ROLE, "--yes", stdin=stdin
    )
    assert result.code == 0, result.err + result.out
    assert {name: item["outcome"] for name, item in result.items().items()} == {
        "web-01": "changed",
        "db-01": "changed",
    }


def test_stdin_of_ids(cli: Cli, ids: Any) -> None:
    known = ids()
    stdin = f"{known['web-01']}\n{known['web-02']},{known['web-01']}\n"
    result = cli.json("tag-instances", "-", *IN_PROD, "--yes", stdin=stdin)
    assert set(result.items()) == {"web-01", "web-02"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--filter", "tag:Team=api", "--filter", "tag:Env=prod"], {"api-01", "api-02", "api-03"}),
        (["--filter", "Name=tag:Name,Values=web-01,web-02"], {"web-01", "web-02"}),
        (["--filter", '{"Name": "instance-type", "Values": ["m6i.*"]}'], {"api-01", "api-02", "api-03"}),
        (["--filter", "tag:Name=web-*", "--filter", "tag:Name=*-01"], {"web-01"}),
        (["--filter", "tag:Name=web-*", "--exclude", "tag:Name=*-01,*-02"], {"web-03", "web-04"}),
        (["--filter", "tag:Team=api", "--exclude", "tag:Name=api-01", "--exclude", "tag:Name=api-02"], {"api-03"}),
        (["--filter", "instance-state-name=stopped"], {"batch-01", "batch-02"}),
    ],
)
def test_filters(cli: Cli, options: list[str], names: set[str]) -> None:
    result = cli.json("tag-instances", *options, *IN_PROD, "--dry-run")
    assert set(result.items()) == names


def test_filter_from_a_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "filter.json"
    file.write_text('[{"Name": "tag:Team", "Values": ["web"]}, {"Name": "tag:Name", "Values": ["web-0?"]}]')
    result = cli.json("tag-instances", "--filter", f"file://{file}", *IN_PROD, "--dry-run")
    assert set(result.items()) == {"web-01", "web-02", "web-03", "web-04"}


def test_ids_and_filters_must_both_hold(cli: Cli, ids: Any) -> None:
    known = ids()
    chosen = (known["web-01"], known["db-01"])
    result = cli.json("tag-instances", *chosen, "--filter", "tag:Team=web", *IN_PROD, "--dry-run")
    assert set(result.items()) == {"web-01"}
    assert result.json["failures"] == [], "an id that is there and does not match is no failure"
