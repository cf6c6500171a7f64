"""kms retire ends what is ours, and nothing else; kms list shows what there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cado_ops.grant_name import GrantName, digest_of
from cado_ops.journal import seal
from tests.functional.conftest import DE, EU, HOME, IN_PROD, PROD, RESEARCH, ROLE, STAGING, US, Cli, Terminal

CADO = f"arn:aws:iam::{PROD}:role/CadoResponseRole"
OPERATOR = f"arn:aws:iam::{PROD}:role/CadoOperator"
STAGING_ROLE = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"


def grant(cli: Cli, *argv: str, where: tuple[str, ...] = IN_PROD) -> dict[str, Any]:
    result = cli.json("kms", "grant", *argv, *where, "--yes")
    assert result.code == 0, result.err
    items: list[dict[str, Any]] = result.json["items"]
    return next(item for item in items if item["action"] == "create")


def retire(cli: Cli, *argv: str, where: tuple[str, ...] = IN_PROD) -> Any:
    return cli.json("kms", "retire", *argv, *where, "--yes")


def made(grants: Any, alias: str, name: str | None, operations: list[str], grantee: str = CADO, **more: Any) -> str:
    """A grant as somebody else, or an earlier version, or a forger might have made it."""
    client = grants().client
    terms = {"KeyId": grants().key(alias), "GranteePrincipal": grantee, "Operations": operations, **more}
    answer: str = client.create_grant(**terms | ({"Name": name} if name else {}))["GrantId"]
    return answer


def test_a_cases_grants_go_and_nothing_else(cli: Cli, grants: Any) -> None:
    before = grants().everything()
    grant(cli, "--key", "alias/acme-data", "--case", "A")
    grant(cli, "--key", "alias/acme-ebs", "--case", "A")
    kept = grant(cli, "--key", "alias/acme-data", "--case", "B")
    result = retire(cli, "--of-case", "A")
    assert (result.code, result.json["case"]) == (0, "A")
    assert [(item["action"], item["outcome"], item["case"]) for item in result.json["items"]] == [
        ("retire", "changed", "A")
    ] * 2
    assert [each["GrantId"] for each in grants().ours("acme-data")] == [kept["grant_id"]]
    retire(cli, kept["grant_id"])
    assert grants().everything() == before
    again = retire(cli, "--of-case", "A")
    assert (again.code, again.json["items"]) == (0, [])
    assert "nothing matches" in again.err
    assert retire(cli, "--of-case", "A", "--fail-empty").code == 3


def test_what_is_due_goes(cli: Cli, grants: Any) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    operations = ["Decrypt", "DescribeKey"]
    digest = digest_of(grants().key("acme-data"), CADO, operations, {})
    due = made(grants, "acme-data", str(GrantName("A", past, digest)), operations, RetiringPrincipal=OPERATOR)
    other = made(grants, "acme-data", str(GrantName("B", past, digest)), operations, RetiringPrincipal=OPERATOR)
    grant(cli, "--key", "alias/acme-data", "--case", "A", "--expires", "72h")
    listed = cli.json("kms", "list", "--expired", *IN_PROD).json
    assert {item["grant_id"] for item in listed["items"]} == {due, other}
    only = retire(cli, "--expired", "--of-case", "A")
    assert [item["grant_id"] for item in only.json["items"]] == [due]
    rest = retire(cli, "--expired")
    assert [item["grant_id"] for item in rest.json["items"]] == [other]
    assert len(grants().ours("acme-data")) == 1


def test_services_strangers_and_forgeries_are_never_touched(cli: Cli, grants: Any) -> None:
    operations = ["Decrypt"]
    wrong = digest_of(grants().key("acme-ebs"), CADO, operations, {})
    service = grants().on("acme-data", "aws:ec2-infrastructure")[0]["GrantId"]
    forged = made(grants, "acme-data", str(GrantName("A", None, wrong)), operations, RetiringPrincipal=OPERATOR)
    stranger = made(grants, "acme-data", None, operations, f"arn:aws:iam::{PROD}:role/CadoOperator")
    before = grants().everything()
    assert retire(cli, "--of-case", "A").json["items"] == []
    result = retire(cli, service, stranger, "--include-platform")
    assert (result.code, result.json["status"]) == (1, "error")
    assert {item["error"]["code"] for item in result.json["items"]} == {"NotOurs"}
    assert {item["action"] for item in result.json["items"]} == {"none"}
    [named] = retire(cli, forged).json["items"]
    assert (named["owner"], named["error"]["code"]) == ("platform", "NotOurs"), "its grantee is the Cado role"
    assert grants().everything() == before


def test_a_platform_grant_only_by_id_and_flag(cli: Cli, grants: Any) -> None:
    [by_hand] = [each for each in grants().on("acme-data") if each.get("Name") == "cado-by-hand"]
    [refused] = retire(cli, by_hand["GrantId"]).json["items"]
    assert (refused["owner"], refused["outcome"]) == ("platform", "failed")
    assert "--include-platform" in refused["error"]["hint"]
    [ended] = retire(cli, by_hand["GrantId"], "--include-platform", "--revoke").json["items"]
    assert (ended["action"], ended["outcome"]) == ("revoke", "changed")
    assert not [each for each in grants().on("acme-data") if each.get("Name") == "cado-by-hand"]
    undone = cli.json("runs", "undo", "last", "--yes")
    assert undone.code == 0
    [back] = [each for each in grants().on("acme-data") if each.get("Name") == "cado-by-hand"]
    assert back["GrantId"] != by_hand["GrantId"]
    assert "under a new id" in undone.json["items"][0]["warnings"][0]


def test_the_beginning_of_an_id_will_do(cli: Cli, grants: Any) -> None:
    item = grant(cli, "--key", "alias/acme-data", "--case", "A")
    table = cli("kms", "list", "--of-case", "A", *IN_PROD)
    assert item["grant_id"] in table.out, "a pipe cuts nothing off"
    screen = cli("kms", "list", "--of-case", "A", *IN_PROD, stdout=Terminal())
    short = item["grant_id"][:12] + "…"
    assert short in screen.out
    service = grants().on("acme-data", "aws:ec2-infrastructure")[0]["GrantId"]
    [refused] = retire(cli, service[:10]).json["items"]
    assert (refused["grant_id"], refused["error"]["code"]) == (service, "NotOurs")
    assert retire(cli, short).json["items"][0]["outcome"] == "changed"
    assert retire(cli, short).json["failures"][0]["stage"] == "select"


def test_a_beginning_that_several_have_ends_none(cli: Cli, grants: Any) -> None:
    from cado_ops.sandbox.backends import backend

    first = grant(cli, "--key", "alias/acme-data", "--case", "A")
    second = grant(cli, "--key", "alias/acme-ebs", "--case", "A")
    twin = first["grant_id"][:20] + second["grant_id"][20:]
    for key in backend("kms", PROD, EU).keys.values():
        if found := key.grants.pop(second["grant_id"], None):
            found.grant_id = twin
            key.grants[twin] = found
    result = retire(cli, twin[:20])
    assert (result.code, result.json["failures"][0]["error"]["code"]) == (1, "Ambiguous")
    assert len(grants().ours("acme-data") + grants().ours("acme-ebs")) == 2


def test_grants_of_a_run(cli: Cli, grants: Any) -> None:
    grant(cli, "--key", "alias/acme-data", "--case", "A")
    run = cli.runs()[-1].stem
    grant(cli, "--key", "alias/acme-ebs", "--case", "A")
    result = retire(cli, "--run", run, where=ROLE)
    assert [item["outcome"] for item in result.json["items"]] == ["changed"]
    assert not grants().ours("acme-data")
    assert grants().ours("acme-ebs")
    gone = retire(cli, "--run", run, where=ROLE)
    assert (gone.code, gone.json["failures"][0]["stage"]) == (1, "select")


@pytest.mark.parametrize(
    "again",
    [
        lambda run: ("kms", "retire", "--run", run, "--yes", *ROLE),
        lambda run: ("runs", "undo", run, "--yes"),
        lambda run: ("runs", "resume", run, "--yes"),
    ],
    ids=["retire", "undo", "resume"],
)
@pytest.mark.parametrize("wrong", [["a", "list"], 7, {}, None])
def test_a_journal_made_anew_over_something_else_is_refused(cli: Cli, grants: Any, again: Any, wrong: Any) -> None:
    """Its chain of hashes is whole: whoever can write the file can compute it."""
    grant(cli, "--key", "alias/acme-data", "--case", "A")
    before = grants().everything()
    [path] = cli.runs()
    lines, head = [], ""
    for line in path.read_bytes().splitlines():
        body = {key: value for key, value in json.loads(line).items() if key != "hash"} | {"prev": head}
        for change in body.get("changes", ()):
            change["key_arn"] = wrong
        sealed, head = seal(body)
        lines.append(sealed)
    path.write_bytes(b"".join(lines))
    refused = cli.json(*again(path.stem))
    assert refused.code == 4, refused.out
    assert refused.json["status"] == "refused"
    assert grants().everything() == before


def test_narrowed_by_a_key_or_an_instance(cli: Cli, grants: Any, ids: Any) -> None:
    grant(cli, "--key", "alias/acme-data", "--case", "A")
    grant(cli, "--key", "alias/acme-ebs", "--case", "A")
    by_key = retire(cli, "--of-case", "A", "--key", "alias/acme-ebs")
    assert len(by_key.json["items"]) == 1
    by_instance = retire(cli, "--of-case", "A", "--instance-id", ids()["db-01"])
    assert len(by_instance.json["items"]) == 1
    assert not grants().ours("acme-data") + grants().ours("acme-ebs")


def test_from_any_machine_across_accounts(cli: Cli, grants: Any, tmp_path: Any, monkeypatch: Any) -> None:
    everywhere = ("--account", f"{HOME},{PROD},{STAGING}", "--region", f"{EU},{US},{DE}", *ROLE)
    listed = tmp_path / "accounts.csv"
    listed.write_text(f"roleArn\n{CADO}\n{STAGING_ROLE}\narn:aws:iam::{HOME}:role/CadoResponseRole\n")
    result = cli.json(
        "kms", "grant", "--key", "alias/acme-ebs", "--case", "A", "--accounts-file", str(listed), "--region",
        f"{EU},{US},{DE}", *ROLE, "--yes",
    )  # fmt: skip
    assert result.code == 0, result.err
    granted = {item["grant_id"] for item in result.json["items"]}
    assert len(granted) > 4
    monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(tmp_path / "another machine"))
    seen = cli.json("kms", "list", "--of-case", "A", *everywhere).json
    assert {item["grant_id"] for item in seen["items"]} == granted
    assert retire(cli, "--of-case", "A", where=everywhere).code == 0
    assert cli.json("kms", "list", "--owner", "ours", *everywhere).json["items"] == []


def test_disabled_and_dying_keys_are_no_hindrance(cli: Cli, grants: Any) -> None:
    item = grant(cli, "--key", "alias/acme-data", "--case", "A")
    grants().client.disable_key(KeyId=item["key_arn"].rpartition("/")[2])
    other = grant(cli, "--key", "alias/acme-ebs", "--case", "A")
    grants().client.schedule_key_deletion(KeyId=other["key_arn"].rpartition("/")[2], PendingWindowInDays=7)
    assert {each["outcome"] for each in retire(cli, "--of-case", "A").json["items"]} == {"changed"}


def test_who_may_not_retire_is_told_how_to_revoke(cli: Cli, grants: Any, sandbox: Any) -> None:
    item = grant(cli, "--key", "alias/acme-data", "--case", "A")

    def deny(request: Any) -> Any:
        if request.action == "RetireGrant":
            return request.error("AccessDeniedException", "User: x is not authorized to perform: kms:RetireGrant")
        return None

    sandbox.intercept = deny
    result = retire(cli, "--of-case", "A")
    [failed] = result.json["items"]
    assert (result.code, failed["outcome"]) == (1, "failed")
    command = failed["error"]["hint"].partition(": ")[2]
    assert command.startswith("cado-ops kms retire ")
    assert command.endswith(f"--revoke --role-arn {OPERATOR}")
    argv = command.split()[1:]
    assert cli.json(*argv, "--yes").json["items"][0]["outcome"] == "changed"
    assert not grants().ours("acme-data")
    assert item["grant_id"] in command


def test_a_grant_that_lingers_is_said(cli: Cli, grants: Any, sandbox: Any) -> None:
    """AWS may show an ended grant for some minutes: what it accepted is done all the same."""
    item = grant(cli, "--key", "alias/acme-data", "--case", "A")
    entry = next(each for each in grants().ours("acme-data") if each["GrantId"] == item["grant_id"])
    entry["CreationDate"] = entry["CreationDate"].timestamp()
    from cado_ops.sandbox.protocol import answer_json

    def linger(request: Any) -> Any:
        if request.action == "ListGrants" and request.params["KeyId"] == item["key_arn"]:
            return answer_json({"Grants": [entry], "Truncated": False})
        return None

    sandbox.intercept = linger
    result = retire(cli, item["grant_id"])
    assert (result.code, result.json["items"][0]["outcome"]) == (0, "changed")
    assert "five minutes" in result.json["items"][0]["warnings"][-1]
    assert 0 < sum(cli.waits) < 60


def test_a_key_that_cannot_be_read_is_a_failure(cli: Cli, grants: Any, sandbox: Any) -> None:
    """Never an empty key: a grant there may be one that was to be ended."""
    grant(cli, "--key", "alias/acme-data", "--case", "A")
    closed = grants().key("acme-ebs")

    def deny(request: Any) -> Any:
        if request.action == "ListGrants" and request.params["KeyId"] == closed:
            return request.error("AccessDeniedException", "User: x is not authorized to perform: kms:ListGrants")
        return None

    sandbox.intercept = deny
    listed = cli.json("kms", "list", "--of-case", "A", *IN_PROD)
    assert (listed.code, listed.json["status"]) == (3, "partial")
    assert [failure["id"] for failure in listed.json["failures"]] == [closed]
    result = retire(cli, "--of-case", "A")
    assert (result.code, result.json["status"]) == (3, "partial")
    assert retire(cli, "--of-case", "A", "--all-or-nothing").code == 4


@pytest.mark.parametrize("argv", [(), ("abc",), ("--of-case", "A", "f" * 64), ("--run", "nothing")])
def test_usage(cli: Cli, argv: tuple[str, ...]) -> None:
    result = cli("kms", "retire", *argv, *IN_PROD, "--yes")
    assert (result.code, result.out) == (2, "")


def test_the_list(cli: Cli, grants: Any) -> None:
    mine = grant(cli, "--key", "alias/acme-data", "--case", "A", "--expires", "72h")
    everything = cli.json("kms", "list", *IN_PROD).json
    owners = {item["owner"] for item in everything["items"]}
    assert owners == {"ours", "platform", "service"}
    assert everything["summary"]["ours"] == 1
    assert {item["outcome"] for item in everything["items"]} == {"listed"}
    bound = next(item for item in everything["items"] if item["owner"] == "service")
    assert bound["serves"][0].startswith("vol-")
    [item] = cli.json("kms", "list", "--owner", "ours", *IN_PROD).json["items"]
    assert item["grant_id"] == mine["grant_id"]
    assert item["expires_at"] == mine["expires_at"]
    two = cli.json("kms", "list", "--owner", "ours,platform", *IN_PROD).json["items"]
    assert {each["owner"] for each in two} == {"ours", "platform"}
    by_key = cli.json("kms", "list", "--key", "alias/acme-ebs", *IN_PROD).json
    assert {each["key_arn"] for each in by_key["items"]} == {grants().key("acme-ebs")}
    assert cli("kms", "list", "--owner", "mine", *IN_PROD).code == 2


def test_the_list_as_it_comes(cli: Cli) -> None:
    lines = cli("kms", "list", *IN_PROD, "-o", "ndjson").lines
    assert [line["type"] for line in lines[:-1]] == ["item"] * (len(lines) - 1)
    assert lines[-1]["summary"]["grants"] == len(lines) - 1 > 5


def test_what_the_operator_role_may_retire(cli: Cli, grants: Any, sandbox: Any) -> None:
    mine = grant(cli, "--key", "alias/acme-data", "--case", "A")
    sandbox.calls.clear()
    [item] = cli.json("kms", "list", "--retirable", *IN_PROD).json["items"]
    assert item["grant_id"] == mine["grant_id"]
    kms = [call.action for call in sandbox.calls if call.service == "kms"]
    assert kms == ["ListRetirableGrants"], "one cheap call"
    at_home = cli.json("kms", "list", "--retirable", "--region", EU)
    assert (at_home.code, at_home.json["items"]) == (0, [])
    assert cli("kms", "list", "--retirable", "--key", "alias/x", *IN_PROD).code == 2


def test_a_grantee_that_is_gone_is_flagged(cli: Cli, grants: Any) -> None:
    from cado_ops.sandbox.backends import backend

    mine = grant(cli, "--key", "alias/acme-data", "--case", "A")
    for key in backend("kms", PROD, EU).keys.values():
        if mine["grant_id"] in key.grants:
            key.grants[mine["grant_id"]].terms["GranteePrincipal"] = "AROAEXAMPLEEXAMPLE123"
    [item] = cli.json("kms", "list", "--of-case", "A", *IN_PROD).json["items"]
    assert (item["owner"], item["grantee_principal"]) == ("ours", "AROAEXAMPLEEXAMPLE123")
    assert "is gone" in item["warnings"][0]
    assert retire(cli, "--of-case", "A").json["items"][0]["outcome"] == "changed"


def test_targets_that_cannot_be_read(cli: Cli) -> None:
    where = ("--account", f"{PROD},{RESEARCH}", "--region", EU, *ROLE)
    for argv in (("kms", "list"), ("kms", "list", "--retirable")):
        listed = cli.json(*argv, *where)
        assert (listed.code, listed.json["summary"]["targets_failed"]) == (3, 1)


def test_aws_managed_keys_are_not_listed(cli: Cli, grants: Any) -> None:
    managed = grants().key("aws/ebs")
    items = cli.json("kms", "list", *IN_PROD).json
    assert managed not in {item["key_arn"] for item in items["items"]}
    assert items["summary"]["keys"] == 4


def test_the_list_is_written_while_it_is_read(cli: Cli, sandbox: Any) -> None:
    """With ndjson no line waits for the last key, and none is kept."""
    import io

    out = io.StringIO()
    written: list[int] = []

    def watch(request: Any) -> Any:
        if request.action == "ListGrants":
            written.append(out.getvalue().count("\n"))
        return None

    sandbox.intercept = watch
    everywhere = ("--account", f"{PROD},{STAGING}", "--region", f"{EU},{US},{DE}", *ROLE)
    result = cli("kms", "list", *everywhere, "-o", "ndjson", "--max-concurrency", "1", stdout=out)
    assert result.code == 0
    assert written == sorted(written)
    assert 0 < written[len(written) // 2] < written[-1] < len(result.lines)


def test_where_the_cado_role_has_another_name_it_is_said(cli: Cli) -> None:
    listed = cli.json("kms", "list", "--owner", "platform", "--account", STAGING, "--region", EU, *ROLE)
    assert "whose grants are its own is not known there" in listed.err
    assert "StackSet-Cado-CadoResponseRole" in listed.err
