"""Selecting and ending claims: by case, and by due time, whoever made them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, US, Cli

KEY = "CadoResponseSSMEnabled"
PAST, FUTURE = "2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"


@pytest.fixture
def claimed(aws: Any, ids: Any) -> None:
    """Claims that no journal on this machine knows of."""
    known = ids()

    def put(name: str, **tags: str) -> None:
        pairs = [
            {"Key": key.replace("_", "-").replace("case-", "cado-ops:case/"), "Value": v} for key, v in tags.items()
        ]
        aws(PROD, EU).create_tags(Resources=[known[name]], Tags=[*pairs, {"Key": KEY, "Value": "True"}])

    put("web-01", case_OLD=PAST)
    put("web-02", case_OLD=PAST, case_NEW=FUTURE)
    put("web-03", case_OLD=f"{PAST} keep")
    put("db-01", case_NEW="-")
    put("dc-01", case_OLD="who knows")


def test_of_case(cli: Cli, claimed: None, tags: Any) -> None:
    result = cli.json("untag-instances", "--of-case", "OLD", *IN_PROD, "--yes")
    assert result.code == 0
    assert result.json["case"] == "OLD"
    assert {name: item["action"] for name, item in result.items().items()} == {
        "web-01": "untag", "web-02": "release", "web-03": "release", "dc-01": "untag",
    }  # fmt: skip
    left = tags()
    assert KEY not in left["web-01"]
    assert left["web-02"][KEY] == left["web-03"][KEY] == "True"
    assert "cado-ops:case/NEW" in left["web-02"]
    assert not [name for name, pairs in left.items() if "cado-ops:case/OLD" in pairs]


def test_expired(cli: Cli, claimed: None, tags: Any) -> None:
    everywhere = ("--org", "--region", "all", *ROLE)
    result = cli.json("untag-instances", "--expired", "--all", *everywhere, "--yes")
    assert result.code == 3, "one account refuses its role, and that is said"
    assert {name: item["action"] for name, item in result.items().items()} == {
        "web-01": "untag", "web-02": "release", "web-03": "release",
    }  # fmt: skip
    left = tags()
    assert KEY not in left["web-01"]
    assert left["web-02"][KEY] == left["web-03"][KEY] == "True"
    assert left["dc-01"]["cado-ops:case/OLD"] == "who knows", "what cannot be read is never due"
    assert left["db-01"]["cado-ops:case/NEW"] == "-"


def test_expired_of_one_case(cli: Cli, claimed: None) -> None:
    result = cli.json("untag-instances", "--expired", "--of-case", "NEW", *IN_PROD, "--yes")
    assert (result.code, result.json["items"]) == (0, [])


def test_status_by_claim(cli: Cli, claimed: None) -> None:
    assert cli.json("status", *IN_PROD).json["items"][0]["due"] == 3
    (item,) = cli.json("status", "--of-case", "OLD", *IN_PROD).json["items"]
    assert item["instances"] == 4
    (item,) = cli.json("status", "--expired", "--account", PROD, "--region", EU, *ROLE).json["items"]
    assert (item["instances"], item["due"]) == (3, 3)


def test_runs_of_a_case(cli: Cli) -> None:
    web = ("--filter", "tag:Name=web-01", "--account", PROD, "--region", f"{EU},{US}", *ROLE, "--yes")
    first = cli.json("tag-instances", *web, "--case", "IR-42").json["run_id"]
    cli.json("tag-instances", *web, "--case", "IR-43")
    (item,) = cli.json("runs", "list", "--of-case", "IR-42").json["items"]
    assert item["run_id"] == first


def test_runs_of_a_case_that_others_ended(cli: Cli) -> None:
    """Selected by claim: who ended this case's claims belongs to its story, for whomever he worked."""
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    mine = cli.json("tag-instances", *web, "--case", "IR-42", "--expires", "1h").json["run_id"]
    cli.json("tag-instances", *web, "--case", "IR-43")
    ended = cli.json("untag-instances", *web, "--overwrite").json["run_id"]
    back = cli.json("runs", "undo", ended, "--yes").json["run_id"]

    def listed(*argv: str) -> set[str]:
        return {item["run_id"] for item in cli.json("runs", "list", *argv).json["items"]}

    assert listed("--of-case", "IR-42") == {mine, ended, back}
    assert listed("--expired") == set(), "it is not due yet"


def test_runs_whose_claims_are_due(cli: Cli, claimed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the journal alone: claims that no journal here knows are none of its business."""
    assert cli.json("runs", "list", "--expired").json["items"] == []
    released = cli.json("untag-instances", "--expired", *IN_PROD, "--yes").json["run_id"]
    assert cli.json("runs", "list", "--expired").json["items"] == []
    undone = cli.json("runs", "undo", released, "--yes").json["run_id"]
    (item,) = cli.json("runs", "list", "--expired").json["items"]
    assert item["run_id"] == undone, "the undo set them again"
    cli.json("untag-instances", "--expired", *IN_PROD, "--yes")
    assert cli.json("runs", "list", "--expired").json["items"] == []


def test_mistakes(cli: Cli) -> None:
    assert cli("untag-instances", "--of-case", "A", "--case", "B", *IN_PROD).code == 2
    assert cli("untag-instances", "--of-case", "not a case", *IN_PROD).code == 2
    assert cli("tag-instances", "--of-case", "A", *IN_PROD).code == 2, "tagging selects by no claim"


def test_a_case_in_the_settings_narrows_nothing_that_is_due(
    cli: Cli, claimed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CADO_OPS_CASE", "IR-9")
    result = cli.json("untag-instances", "--expired", *IN_PROD, "--yes")
    assert {item["outcome"] for item in result.json["items"]} == {"changed"}


@pytest.mark.parametrize("count", [198, 199, 201])
def test_hundreds_of_ids_in_one_region(cli: Cli, sandbox: Any, count: int) -> None:
    """EC2 counts the values of all filters of a call together: ids, keys and what was asked for."""
    ids = sandbox.add_instances(PROD, US, count, tags={"Env": "mass"})
    where = ("--account", PROD, "--region", US, *ROLE, "--yes", "--max-changes", "999")
    result = cli.json("tag-instances", *ids, "--filter", "tag:Env=mass,other", *where, "--case", "IR-42")
    assert result.code == 0
    assert result.json["summary"]["changed"] == count
    assert not [item for item in result.json["items"] if item["warnings"]], "all of them verified"
    gone = cli.json("untag-instances", *ids, "--of-case", "IR-42", *where)
    assert (gone.code, gone.json["summary"]["changed"]) == (0, count)
