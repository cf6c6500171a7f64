"""runs undo: exactly back, as far as nobody else changed it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cado_ops.journal import Journal, read_run, seal
from cado_ops.model import ErrorInfo
from cado_ops.plan.change import from_record
from cado_ops.plan.undo import undo_unread
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, STAGING, Cli, Terminal
from tests.functional.power import cut_off

ALL_PROD = ("--filter", "tag:Env=prod", *IN_PROD, "--yes")
CLAIM = "cado-ops:case/IR-42"


def sealed_anew(whole: bytes, old: bytes, new: bytes) -> bytes:
    """A journal that says something else, with a chain that fits."""
    assert old in whole
    lines, head = [], ""
    for line in whole.replace(old, new).splitlines():
        body = {key: value for key, value in json.loads(line).items() if key != "hash"}
        sealed, head = seal(body | {"prev": head})
        lines.append(sealed)
    return b"".join(lines)


def undo(cli: Cli, *argv: str, run: str = "last") -> Any:
    return cli.json("runs", "undo", run, "--yes", *argv)


@pytest.mark.parametrize(
    "commands",
    [
        [("tag-instances",)],
        [("tag-instances", "--case", "IR-42")],
        [("tag-instances", "--overwrite")],
        [("untag-instances",)],
        [("tag-instances", "--case", "IR-42", "--expires", "72h"), ("untag-instances", "--case", "IR-42")],
        [("tag-instances", "--case", "A"), ("tag-instances", "--case", "B"), ("untag-instances", "--case", "A")],
        [("tag-instances", "--case", "A"), ("untag-instances", "--overwrite"), ("tag-instances", "--case", "B")],
    ],
    ids=lambda commands: " then ".join(" ".join(each) for each in commands),
)
def test_undoing_backwards_restores_every_tag(cli: Cli, tags: Any, commands: list[tuple[str, ...]]) -> None:
    before = tags()
    runs = [cli.json(*command, *ALL_PROD).json["run_id"] for command in commands]
    assert tags() != before
    for run in reversed(runs):
        result = undo(cli, run=run)
        assert result.code == 0, result.out
    assert tags() == before


def test_undo_of_an_undo(cli: Cli, tags: Any) -> None:
    first = cli.json("tag-instances", *ALL_PROD, "--case", "IR-42").json["run_id"]
    tagged = tags()
    second = undo(cli, run=first).json
    assert second["command"] == "runs undo"
    assert second["case"] == "IR-42"
    third = undo(cli, run=second["run_id"])
    assert third.code == 0
    assert tags() == tagged


def test_what_somebody_changed_since_is_left_alone(cli: Cli, tags: Any, aws: Any, ids: Any) -> None:
    web = ("--filter", "tag:Name=web-*", *IN_PROD, "--yes")
    run = cli.json("tag-instances", *web).json["run_id"]
    known = ids()
    aws(PROD, EU).create_tags(
        Resources=[known["web-01"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "False"}]
    )
    aws(PROD, EU).delete_tags(
        Resources=[known["web-02"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "True"}]
    )
    result = undo(cli, run=run)
    assert (result.code, result.json["status"]) == (3, "partial")
    outcomes = {name: item["outcome"] for name, item in result.items().items()}
    assert outcomes == {"web-01": "drifted", "web-02": "unchanged", "web-04": "changed"}
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "False"
    assert tags()["web-04"]["CadoResponseSSMEnabled"] == "true", "the former value, near miss or not"


def test_another_case_keeps_the_tag(cli: Cli, tags: Any) -> None:
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    first = cli.json("tag-instances", *web, "--case", "IR-42").json["run_id"]
    cli.json("tag-instances", *web, "--case", "IR-43")
    item = undo(cli, run=first).items()["web-01"]
    assert (item["action"], item["claims"], item["outcome"]) == ("release", ["IR-43"], "changed")
    assert "claimed by IR-43" in item["warnings"][0]
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
    assert cli.json("untag-instances", *web, "--case", "IR-43").items()["web-01"]["action"] == "untag"


def test_undo_asks_and_keeps_the_guards(cli: Cli, tags: Any) -> None:
    cli.json("tag-instances", *ALL_PROD)
    tagged = tags()
    assert cli.json("runs", "undo", "last").code == 4
    assert cli.json("runs", "undo", "last", "--yes", "--max-changes", "2").code == 4
    dry = cli.json("runs", "undo", "last", "--dry-run")
    assert (dry.code, dry.json["status"]) == (0, "planned")
    assert dry.json["summary"]["allowed"] > 5
    assert tags() == tagged
    no = cli.json("runs", "undo", "last", stdin=Terminal("n\n"), stderr=Terminal())
    assert no.code == 4


def test_undo_needs_only_the_run(cli: Cli, tags: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Role and external id come from the journal, from several accounts; not from the settings of now."""
    before = tags(PROD), tags(STAGING)
    role = f"arn:aws:iam::{PROD}:role/CadoOperatorExternal"
    result = cli.json(
        "tag-instances", "--filter", "tag:Team=web", "--account", f"{PROD},{STAGING}", "--region", EU,
        "--role-arn", role, *ROLE, "--external-id", "acme-ir", "--yes",
    )  # fmt: skip
    assert result.code == 0
    monkeypatch.setenv("CADO_OPS_ROLE_NAME", "NoSuchRole")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert undo(cli).code == 0
    assert (tags(PROD), tags(STAGING)) == before


def test_an_account_that_cannot_be_read_is_a_failure(cli: Cli, sandbox: Any) -> None:
    cli.json(
        "tag-instances",
        "--filter",
        "tag:Team=web",
        "--account",
        f"{PROD},{STAGING}",
        "--region",
        EU,
        *ROLE,
        "--yes",
    )

    def deny(request: Any) -> Any:
        if request.action == "AssumeRole" and STAGING in request.params["RoleArn"]:
            return request.error("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole", 403)
        return None

    sandbox.intercept = deny
    result = undo(cli)
    assert result.code == 3
    assert {item["outcome"] for item in result.json["items"] if item["account"] == STAGING} == {"failed"}
    assert {item["outcome"] for item in result.json["items"] if item["account"] == PROD} == {"changed"}


def test_an_undo_that_could_not_read_an_account_is_resumed_to_reach_it(cli: Cli, sandbox: Any, tags: Any) -> None:
    before = tags(STAGING)
    where = ("--account", f"{PROD},{STAGING}", "--region", EU, *ROLE, "--yes")
    cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--case", "IR-42")

    def deny(request: Any) -> Any:
        if request.action == "AssumeRole" and STAGING in request.params["RoleArn"]:
            return request.error("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole", 403)
        return None

    sandbox.intercept = deny
    cut = undo(cli)
    unread = [item for item in cut.json["items"] if item["account"] == STAGING]
    assert {item["outcome"] for item in unread} == {"failed"}
    assert ("True", None) in {(item["before"], item["after"]) for item in unread}, "what the undo is about"
    run_id = cut.json["run_id"]
    sandbox.intercept = None
    # Meanwhile another case came: what the undo wanted is planned from what is read now.
    cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--case", "IR-43")
    dry = cli.json("runs", "resume", run_id, "--dry-run")
    assert dry.json["summary"]["allowed"] == len(unread)
    resumed = cli.json("runs", "resume", run_id, "--yes")
    assert resumed.code == 0, resumed.out
    assert resumed.json["run_id"] == run_id
    assert {item["action"] for item in resumed.json["items"] if item["account"] == STAGING} == {"release"}
    shown = cli.json("runs", "show", run_id).json["items"]
    assert {(item["action"], item["outcome"]) for item in shown if item["account"] == STAGING} == {
        ("release", "changed")
    }
    assert cli("runs", "show", run_id, "--verify").code == 0
    assert not [name for name, pairs in tags(STAGING).items() if CLAIM in pairs]
    cli.json("untag-instances", "--all", *where, "--case", "IR-43")
    assert tags(STAGING) == before


class TestUndoneBefore:
    """What an undo put back is no longer the run's, however much alike what somebody else then set."""

    WEB = ("--filter", "tag:Name=web-01,web-02", *IN_PROD, "--yes")

    def test_somebody_elses_identical_tag_stays(self, cli: Cli, tags: Any) -> None:
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        put_back = undo(cli, run=first).json["run_id"]
        cli.json("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, "--yes")
        again = undo(cli, run=first)
        assert {name: item["outcome"] for name, item in again.items().items()} == {
            "web-01": "skipped", "web-02": "unchanged",
        }  # fmt: skip
        assert all(put_back in item["warnings"][0] for item in again.json["items"])
        assert (again.code, again.json["run_id"]) == (0, None)
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"

    def test_what_the_undo_could_not_reach_is_undone_all_the_same(
        self, cli: Cli, sandbox: Any, tags: Any, ids: Any
    ) -> None:
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        web_02 = ids()["web-02"]
        sandbox.intercept = lambda request: (
            request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
            if request.action == "DeleteTags" and web_02 in request.params.values()
            else None
        )
        assert {name: item["outcome"] for name, item in undo(cli, run=first).items().items()} == {
            "web-01": "changed", "web-02": "failed",
        }  # fmt: skip
        sandbox.intercept = None
        cli.json("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, "--yes")
        assert {name: item["outcome"] for name, item in undo(cli, run=first).items().items()} == {
            "web-01": "skipped", "web-02": "changed",
        }  # fmt: skip
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
        assert "CadoResponseSSMEnabled" not in tags()["web-02"]

    def test_an_undo_that_is_resumed_knows_the_others(self, cli: Cli, sandbox: Any, tags: Any) -> None:
        """What it could not read was put back by another undo meanwhile, and set again by somebody."""
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        sandbox.intercept = lambda request: (
            request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
            if request.action == "DescribeInstances"
            else None
        )
        assert cli.json("runs", "undo", first, "--yes").json["run_id"] is None, "nothing could be done at all"
        sandbox.intercept = None
        (path,) = cli.runs()
        # The same undo as of a run of two accounts, of which only one was read.
        unread = self.unread_undo(cli, path)
        assert undo(cli, run=first).code == 0
        cli.json("tag-instances", *self.WEB)
        resumed = cli.json("runs", "resume", unread, "--yes")
        assert {item["outcome"] for item in resumed.json["items"]} == {"skipped"}
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"

    def test_an_undo_that_is_resumed_believes_no_doubtful_journal(self, cli: Cli, tags: Any) -> None:
        """It goes by the run that it undoes and by the other undos: where one may be forged, it does nothing."""
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        (path,) = cli.runs()
        unread = self.unread_undo(cli, path)
        other = cli.journal / f"{undo(cli, run=first).json['run_id']}.jsonl"
        cli.json("tag-instances", *self.WEB)
        for doubtful in (path, other):
            whole = doubtful.read_bytes()
            doubtful.chmod(0o622)
            assert self.refused(cli, unread) == doubtful.stem, "others may write to it"
            doubtful.chmod(0o600)
            doubtful.write_bytes(whole.replace(b'"outcome":"changed"', b'"outcome":"failed!"'))
            assert self.refused(cli, unread) == doubtful.stem, "it was changed"
            doubtful.write_bytes(sealed_anew(whole, b'"warnings":[]', b'"warnings":{}'))
            assert self.refused(cli, unread) == doubtful.stem, "it is none that this version wrote"
            doubtful.write_bytes(whole)
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
        resumed = cli.json("runs", "resume", unread, "--yes")
        assert {item["outcome"] for item in resumed.json["items"]} == {"skipped"}

    @staticmethod
    def refused(cli: Cli, run: str) -> str:
        """The run whose journal a resume was refused for."""
        result = cli.json("runs", "resume", run, "--yes")
        assert (result.code, result.json["status"]) == (4, "refused"), result.out
        [named] = re.findall(r"\w+-\w+(?=\.jsonl)", result.json["failures"][0]["error"]["message"])
        return str(named)

    @staticmethod
    def unread_undo(cli: Cli, path: Any) -> str:
        """An undo that was cut off right after its plan, having read nothing."""
        run = read_run(path)
        run_id = f"{run.run_id[:-6]}ffffff"
        journal = Journal(cli.journal, run_id)
        of_the_line = ("record", "n", "at", "prev", "hash")
        header = {key: value for key, value in run.header.items() if key not in of_the_line}
        journal.write("run", **header | {"run_id": run_id, "command": "runs undo", "undoes": run.run_id})
        error = ErrorInfo("AccessDenied", "words")
        changes = [undo_unread(from_record(line), error).as_record() for line in run.plan]
        journal.write("plan", account=PROD, region=EU, changes=changes)
        journal.close()
        return run_id

    def test_an_undo_that_was_undone_does_not_count(self, cli: Cli, tags: Any) -> None:
        before = tags()
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        put_back = undo(cli, run=first).json["run_id"]
        assert undo(cli, run=put_back).code == 0
        again = undo(cli, run=first)
        assert {item["outcome"] for item in again.json["items"]} == {"changed"}
        assert tags() == before

    def test_an_undo_that_was_edited_is_not_believed(self, cli: Cli, tags: Any) -> None:
        first = cli.json("tag-instances", *self.WEB).json["run_id"]
        put_back = undo(cli, run=first).json["run_id"]
        cli.json("tag-instances", *self.WEB)
        path = cli.journal / f"{put_back}.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"outcome":"changed"', b'"outcome":"failed!"'))
        refused = undo(cli, run=first)
        assert (refused.code, refused.json["status"]) == (4, "refused")
        assert put_back in refused.json["failures"][0]["error"]["message"]
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


def test_a_terminated_instance_has_nothing_to_put_back(cli: Cli, sandbox: Any, ids: Any) -> None:
    cli.json("tag-instances", "--filter", "tag:Name=web-01,web-02", *IN_PROD, "--yes")
    sandbox.set_state(PROD, EU, ids()["web-01"], "terminated")
    result = undo(cli)
    assert result.code == 0
    assert result.items()["web-01"]["outcome"] == "skipped"
    assert result.items()["web-02"]["outcome"] == "changed"


def test_another_account_or_endpoint_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, sandbox: Any) -> None:
    cli.json("tag-instances", *ALL_PROD)
    (path,) = cli.runs()
    other = undo(cli, "--endpoint-url", sandbox.endpoint_url.replace("127.0.0.1", "localhost"))
    assert (other.code, other.json["status"]) == (4, "refused")
    assert "localhost" in other.json["failures"][0]["error"]["message"]

    def somebody_else(request: Any) -> Any:
        if request.action == "GetCallerIdentity":
            body = (
                '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                "<Arn>arn:aws:sts::999999999999:assumed-role/R/bob</Arn><UserId>AROA:bob</UserId>"
                "<Account>999999999999</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
            return 200, {"Content-Type": "text/xml", "x-amzn-RequestId": "r-1"}, body.encode()
        return None

    sandbox.intercept = somebody_else
    foreign = undo(cli)
    assert (foreign.code, foreign.json["status"]) == (4, "refused")
    assert "999999999999" in foreign.json["failures"][0]["error"]["message"]
    assert path.exists()


def test_an_edited_journal_is_not_acted_on(cli: Cli, tags: Any) -> None:
    cli.json("tag-instances", "--filter", "tag:Name=web-04", *IN_PROD, "--yes")
    (path,) = cli.runs()
    path.write_text(path.read_text().replace('"before":"true"', '"before":"evil"'))
    for command in ("undo", "resume"):
        result = cli.json("runs", command, "last", "--yes")
        assert (result.code, result.json["status"]) == (4, "refused")
    assert tags()["web-04"]["CadoResponseSSMEnabled"] == "True"


@pytest.mark.parametrize("command", ["undo", "resume"])
def test_a_journal_that_others_may_write_to_is_not_acted_on(cli: Cli, tags: Any, command: str) -> None:
    cli.json("tag-instances", "--filter", "tag:Name=web-04", *IN_PROD, "--yes")
    (path,) = cli.runs()
    for which, mode in ((path, 0o660), (cli.journal, 0o777)):
        which.chmod(mode)
        result = cli.json("runs", command, "last", "--yes")
        assert (result.code, result.json["status"]) == (4, "refused")
        assert "chmod" in result.json["failures"][0]["error"]["hint"]
        which.chmod(0o700)
    assert tags()["web-04"]["CadoResponseSSMEnabled"] == "True"


def test_verify(cli: Cli) -> None:
    cli.json("tag-instances", "--filter", "tag:Name=web-04", *IN_PROD, "--yes")
    good = cli("runs", "show", "last", "--verify")
    assert good.code == 0
    assert "verified" in good.err
    (path,) = cli.runs()
    whole = path.read_text()
    for old, new in (("web-04", "web-05"), ('{"record":"run"', '["record":"run"'), ('"outcome":', '"outcnme":')):
        path.write_text(whole.replace(old, new))
        assert cli("runs", "show", "last", "--verify").code == 3


def test_a_run_that_was_refused_has_nothing_to_undo(cli: Cli, sandbox: Any, tags: Any) -> None:
    """Somebody else tags the instance afterwards: neither undo nor resume takes that for its own."""
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    sandbox.intercept = lambda request: (
        request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        if request.action == "CreateTags"
        else None
    )
    refused = cli.json("tag-instances", *web).json["run_id"]
    sandbox.intercept = None
    cli.json("tag-instances", *web)
    undone = undo(cli, run=refused)
    assert (undone.code, undone.json["items"]) == (0, [])
    resumed = cli.json("runs", "resume", refused, "--yes")
    assert resumed.items()["web-01"]["outcome"] == "unchanged"
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


def test_a_claim_that_comes_back_brings_the_tag(cli: Cli, tags: Any) -> None:
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    cli.json("tag-instances", *web, "--case", "A")
    cli.json("tag-instances", *web, "--case", "B")
    release = cli.json("untag-instances", *web, "--case", "A").json["run_id"]
    cli.json("untag-instances", *web, "--case", "B")
    assert undo(cli, run=release).code == 0
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


def test_a_tag_set_after_the_runs_own_claim_has_gone_is_somebody_elses(
    cli: Cli, tags: Any, aws: Any, ids: Any
) -> None:
    web = ("--filter", "tag:Name=web-01", *IN_PROD, "--yes")
    run = cli.json("tag-instances", *web, "--case", "C").json["run_id"]
    cli.json("untag-instances", *web, "--case", "C")
    aws(PROD, EU).create_tags(
        Resources=[ids()["web-01"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "True"}]
    )
    assert undo(cli, run=run).items()["web-01"]["outcome"] == "unchanged"
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


def test_nobody_goes_on_with_a_run_or_undoes_it_while_it_is_being_undone(cli: Cli, tags: Any) -> None:
    from cado_ops.journal import held

    run = cli.json("tag-instances", *ALL_PROD).json["run_id"]
    tagged = tags()
    with held(cli.runs()[0]):
        assert undo(cli, run=run).code == 4
        assert cli.json("runs", "resume", run, "--yes").code == 4
    assert tags() == tagged
    assert undo(cli, run=run).code == 0


def test_a_run_that_was_undone_is_not_gone_on_with(cli: Cli, tags: Any, lose_power: Any) -> None:
    """It would say changed of what the undo took away."""
    lose_power(5, False)
    was_cut, path = cut_off(cli, ("tag-instances", *ALL_PROD, "--case", "IR-42"))
    assert was_cut
    assert path is not None
    run = path.stem
    before = undo(cli, run=run)
    assert before.code in (0, 3)
    refused = cli.json("runs", "resume", run, "--yes")
    assert (refused.code, "was undone by" in refused.err) == (4, True)


def test_an_undo_whose_first_line_was_edited_is_not_passed_over(cli: Cli, tags: Any) -> None:
    run = cli.json("tag-instances", *ALL_PROD).json["run_id"]
    known = set(cli.runs())
    undo(cli, run=run)
    [path] = set(cli.runs()) - known
    path.write_bytes(path.read_bytes().replace(b'"undoes"', b'"undoez"', 1))
    refused = undo(cli, run=run)
    assert (refused.code, "what it put back is not known" in refused.err) == (4, True)
