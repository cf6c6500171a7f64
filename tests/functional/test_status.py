"""cado-ops status: the fleet, counted; what could not be read is never a number; and the page of it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cado_ops.sandbox import Sandbox
from tests.functional.conftest import DENIED, EU, IN_PROD, PROD, RESEARCH, ROLE, STAGING, US, Cli, Grants
from tests.unit.html_page import Page, assert_harmless
from tests.unit.test_render_fleet_page import ELEMENTS

COUNTS = ("instances", "tagged", "mistagged", "ssm_online", "disks_ready", "grants", "due")
BOTH = ("--account", PROD, "--region", f"{EU},{US}", *ROLE)


def counts(item: dict[str, Any]) -> tuple[int | None, ...]:
    return tuple(item[name] for name in COUNTS)


def test_the_counts(cli: Cli) -> None:
    result = cli.json("status", *BOTH)
    assert result.code == 0
    (eu, us) = result.json["items"]
    assert list(eu) == ["account", "region", *COUNTS]
    assert (eu["region"], us["region"]) == (EU, US)
    # The terminated one does not count; disks: two windows servers are unencrypted, two are under aws/ebs, and …
    assert counts(eu) == (15, 2, 5, 10, 5, 0, 0)
    assert counts(us) == (7, 1, 0, 5, 3, 0, 0)
    assert result.json["summary"] == {
        "targets": 2, "targets_failed": 0, "targets_left_out": 0, "instances": 22, "tagged": 3, "mistagged": 5,
        "ssm_online": 15, "disks_ready": 8, "grants": 0, "due": 0,
    }  # fmt: skip
    assert cli.json("tag-instances", "--filter", "tag:Team=web", *IN_PROD, "--yes").code == 0
    assert cli.json("status", *IN_PROD).json["items"][0]["tagged"] == 6


def test_grants_make_disks_ready(cli: Cli, grants: Callable[..., Grants]) -> None:
    before = cli.json("status", *IN_PROD).json["items"][0]["disks_ready"]
    # One that somebody made by hand is there before, and is not relied on.
    assert grants().on("acme-data")
    for key, operations in (("acme-data", "ebs-direct"), ("acme-ebs", "Decrypt")):
        assert cli("kms", "grant", "--key", f"alias/{key}", "--operations", operations, "--case", "IR-1", *IN_PROD,
                   "--yes").code == 0  # fmt: skip
    [item] = cli.json("status", *IN_PROD).json["items"]
    assert (item["disks_ready"], item["grants"]) == (before + 2, 2), "db-01 and db-02; Decrypt alone is too little"
    # The grant is to production's role: for one of another name, nothing is ready or known.
    other = cli.json("status", *IN_PROD, "--cado-role", "CadoOperator").json["items"][0]
    assert (other["disks_ready"], other["grants"]) == (before, 2)


def test_of_a_case_and_of_what_is_due(cli: Cli, aws: Any, ids: Any) -> None:
    assert cli("kms", "grant", "--key", "alias/acme-data", "--case", "NEW", *IN_PROD, "--yes").code == 0
    assert cli("kms", "grant", "--key", "alias/acme-ebs", "--case", "OTHER", *IN_PROD, "--yes").code == 0
    old = [{"Key": "cado-ops:case/OLD", "Value": "2020-01-01T00:00:00Z"}]
    new = [{"Key": "cado-ops:case/NEW", "Value": "-"}]
    aws(PROD, EU).create_tags(Resources=[ids()["web-01"]], Tags=old)
    aws(PROD, EU).create_tags(Resources=[ids()["db-01"], ids()["api-03"]], Tags=new)
    [every] = cli.json("status", *IN_PROD).json["items"]
    assert (every["due"], every["grants"]) == (1, 2)
    [of_case] = cli.json("status", *IN_PROD, "--of-case", "NEW").json["items"]
    assert counts(of_case) == (2, 0, 0, 1, 2, 1, 0), "db-01's key is granted, api-03's is aws/ebs and has no agent"
    [due] = cli.json("status", *IN_PROD, "--expired").json["items"]
    assert counts(due) == (1, 0, 0, 1, 1, 0, 1), "web-01's key has the grant of another case"
    [none] = cli.json("status", *IN_PROD, "--of-case", "NOBODY").json["items"]
    assert counts(none) == (0,) * len(COUNTS)


DENY = "not authorized to perform: it"


@pytest.mark.parametrize(
    ("action", "code", "unknown", "stage"),
    [
        ("DescribeInstanceInformation", "AccessDeniedException", {"ssm_online"}, "ssm"),
        ("DescribeVolumes", "UnauthorizedOperation", {"disks_ready"}, "volumes"),
        ("DescribeKey", "AccessDeniedException", {"disks_ready"}, "keys"),
        ("ListRetirableGrants", "AccessDeniedException", {"grants", "disks_ready"}, "grants"),
        ("GetRole", "AccessDenied", {"disks_ready"}, "roles"),
    ],
)
def test_what_may_not_be_read_is_no_number(
    cli: Cli, sandbox: Sandbox, action: str, code: str, unknown: set[str], stage: str, tmp_path: Path
) -> None:
    [before] = cli.json("status", *IN_PROD).json["items"]
    sandbox.intercept = lambda request: request.error(code, DENY, 403) if request.action == action else None
    page = tmp_path / "page.html"
    result = cli.json("status", *IN_PROD, "--html", str(page))
    assert (result.code, result.json["status"]) == (3, "partial")
    [item] = result.json["items"]
    assert {name for name in COUNTS if item[name] is None} == unknown
    assert all(item[name] == before[name] for name in COUNTS if name not in unknown)
    assert {each["stage"] for each in result.json["failures"]} == {stage}
    assert all(each["error"]["hint"] for each in result.json["failures"])
    summary = result.json["summary"]
    assert {name for name in COUNTS if summary[name] is None} == unknown
    assert (summary["targets"], summary["targets_failed"]) == (1, 0)
    shown = Page(page.read_text())
    assert "Not the whole picture" in shown.text
    assert "1 target not known" in shown.text
    assert DENY in shown.text
    assert "?" in cli("status", *IN_PROD).out


def test_a_role_that_is_not_there_is_no_reader_of_disks(cli: Cli) -> None:
    result = cli.json("status", "--account", STAGING, "--region", f"{EU},{US}", *ROLE)
    assert result.code == 3
    assert [item["disks_ready"] for item in result.json["items"]] == [None, None]
    [failure] = result.json["failures"]
    assert (failure["account"], failure["region"], failure["stage"]) == (STAGING, None, "roles")
    hint = failure["error"]["hint"]
    named = cli.json("status", "--account", STAGING, "--region", f"{EU},{US}", *ROLE, *hint.split())
    assert named.code == 0
    assert all(item["disks_ready"] for item in named.json["items"])


def test_an_account_without_cado_has_no_disk_ready(cli: Cli, aws: Any) -> None:
    """That was read, and is no failure."""
    iam = aws(STAGING, EU, "iam")
    for role in iam.list_roles()["Roles"]:
        if "CadoResponse" in role["RoleName"]:
            for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                iam.delete_role_policy(RoleName=role["RoleName"], PolicyName=name)
            iam.delete_role(RoleName=role["RoleName"])
    result = cli.json("status", "--account", STAGING, "--region", EU, *ROLE)
    assert (result.code, result.json["items"][0]["disks_ready"], result.json["failures"]) == (0, 0, [])
    assert "Cado is not set up in that account yet" in result.err


def test_a_typed_cado_role_of_nowhere_is_a_mistake(cli: Cli) -> None:
    result = cli("status", *IN_PROD, "--cado-role", f"arn:aws:iam::{STAGING}:role/CadoResponseRole")
    assert (result.code, result.out) == (2, "")
    assert f"--account {STAGING}" in result.err


def test_failed_and_left_out_targets_have_rows(cli: Cli) -> None:
    result = cli("status", "--org", "--region", "all", *ROLE)
    assert result.code == 3
    rows = [line.split() for line in result.out.splitlines()]
    assert [RESEARCH, "-", "not", "read"] in [row[:4] for row in rows]
    assert [PROD, DENIED, "left", "out"] in [row[:4] for row in rows]
    assert "assume-role: AccessDenied" in result.out
    assert f"{RESEARCH} assume-role AccessDenied" in result.err
    assert "left out: 555555555555: the account is SUSPENDED" in result.err
    read = cli.json("status", "--org", "--region", "all", *ROLE).json
    assert {item["account"] for item in read["items"]}.isdisjoint({RESEARCH, "555555555555"})


def test_the_page(cli: Cli, aws: Any, ids: Any, tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)>"
    aws(PROD, EU).create_tags(Resources=[ids()["web-01"]], Tags=[{"Key": "Name", "Value": bad}])
    path = tmp_path / "fleet.html"
    everywhere = ("--org", "--region", "all", *ROLE)
    result = cli.json("status", *everywhere, "--html", str(path))
    assert result.code == 3
    assert f"page: {path}" in result.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.json["items"] == cli.json("status", *everywhere).json["items"]
    shown = Page(path.read_text(encoding="utf-8"))
    assert_harmless(shown, ELEMENTS)
    assert bad in shown.text
    words = "Acme Research,not read,assume-role,left out,the account is SUSPENDED,near miss,not registered"
    alive = [instance_id for name, instance_id in ids().items() if name not in ("old-web-01", bad)]
    for each in (*alive, *words.split(","), "ConnectionLost", "This is not AWS"):
        assert each in shown.text


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_text("mine"), "is there already"),
        (lambda path: path.symlink_to("nowhere"), "is there already"),
        (lambda path: path.parent.rmdir(), "no folder that you may write to"),
    ],
)
def test_the_page_overwrites_nothing(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, make: Callable[[Path], Any], told: str
) -> None:
    path = tmp_path / "pages" / "fleet.html"
    path.parent.mkdir()
    make(path)
    result = cli.json("status", *IN_PROD, "--html", str(path))
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert not sandbox.calls, "said before anything is read"
    if path.is_file():
        assert path.read_text() == "mine"


def test_the_page_is_a_file(cli: Cli) -> None:
    for given in ("-", ""):
        result = cli("status", *IN_PROD, "--html", given)
        assert (result.code, result.out) == (2, "")
