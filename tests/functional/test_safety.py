"""Whose files are believed, what is read unasked, and where secrets end up."""

from __future__ import annotations

import io
import json
import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cado_ops.redaction import MARK
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, Cli, Result, Terminal

TAG = ("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD)
GRANT = ("kms", "grant", "--key", "alias/acme-data", "--case", "IR-7", *IN_PROD)
root_only = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root gives files away")


def given_away(path: Path) -> None:
    os.chown(path, 12345, 12345)


def open_to_others(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o022)


SPOILED = [pytest.param(given_away, id="another's", marks=root_only), pytest.param(open_to_others, id="writable")]


@pytest.mark.parametrize("spoil", SPOILED)
class TestFilesOfOthers:
    def test_a_plan(self, cli: Cli, tmp_path: Path, tags: Any, spoil: Callable[[Path], None]) -> None:
        plan = tmp_path / "a plan; rm -rf x.json"
        assert cli.json(*TAG, "--save-plan", str(plan)).code == 0
        spoil(plan)
        refused = cli.json("apply", str(plan), "--yes")
        assert (refused.code, refused.json["status"]) == (4, "refused")
        hint = refused.json["failures"][0]["error"]["hint"]
        assert "copy of your own" in hint or shlex.quote(str(plan)) in hint, "it can be pasted"
        assert "CadoResponseSSMEnabled" not in tags()["web-01"]

    @pytest.mark.parametrize("what", ["file", "folder"])
    @pytest.mark.parametrize("command", ["undo", "resume"])
    def test_a_journal(self, cli: Cli, tags: Any, spoil: Callable[[Path], None], command: str, what: str) -> None:
        cli.json(*TAG, "--yes")
        spoil(cli.runs()[0] if what == "file" else cli.journal)
        assert cli.json("runs", command, "last", "--yes").code in (1, 4)
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"

    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_a_journal_is_no_evidence(
        self, cli: Cli, tmp_path: Path, spoil: Callable[[Path], None], what: str
    ) -> None:
        """What is shown or handed over is what this user's runs wrote, and nobody else."""
        good = cli.json(*TAG, "--case", "IR-7", "--yes").json["run_id"]
        bad = cli.json("untag-instances", *TAG[1:], "--case", "IR-7", "--yes").json["run_id"]
        spoil(cli.journal / f"{bad}.jsonl" if what == "file" else cli.journal)
        shown = cli.json("runs", "show", bad)
        assert (shown.code, shown.json["status"], shown.json["items"]) == (4, "refused", [])
        assert cli("runs", "show", bad, "--verify").code == 4
        out = tmp_path / "export"
        for form in ("jsonl", "html"):
            named = cli("runs", "export", good, bad, "--format", form, "--out", str(out))
            assert (named.code, named.out, out.exists()) == (4, "", False)
        listed = cli.json("runs", "list")
        of_case = cli("runs", "export", "--of-case", "IR-7")
        if what == "folder":
            assert (listed.code, listed.json["items"]) == (4, [])
            assert (of_case.code, of_case.out) == (4, "")
            return
        assert (listed.code, listed.json["status"]) == (3, "partial")
        assert [item["run_id"] for item in listed.json["items"]] == [good]
        assert f"{bad}.jsonl is left out" in listed.err
        assert of_case.code == 3, "it may be a run of the case"
        assert f"{bad}.jsonl is left out" in of_case.err
        assert (good in of_case.out, bad in of_case.out) == (True, False)

    def test_a_journal_folder_takes_no_new_run(self, cli: Cli, tags: Any, spoil: Callable[[Path], None]) -> None:
        folder = cli.journal.with_name("a folder; rm x")
        folder.mkdir()
        spoil(folder)
        refused = cli.json(*TAG, "--journal-dir", str(folder), "--yes")
        assert refused.code == 1
        hint = refused.json["failures"][0]["error"]["hint"]
        assert "--journal-dir" in hint or shlex.quote(str(folder)) in hint
        assert "CadoResponseSSMEnabled" not in tags()["web-01"], "what is not journaled is not done"

    def test_settings(self, cli: Cli, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
        settings = tmp_path / "settings.toml"
        settings.write_text('role-name = "Other"\n')
        spoil(settings)
        refused = cli(*TAG, "--config", str(settings), "--yes")
        assert (refused.code, refused.out) == (2, "")
        assert "Other" not in refused.err


def test_nothing_in_the_current_folder_is_read(
    cli: Cli, tmp_path: Path, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence folders come from anywhere. That no module of theirs is run, test_installed.py looks at."""
    trap = tmp_path / "evidence"
    trap.mkdir()
    settings = 'role-name = "Trap"\nmax-changes = 0\nendpoint-url = "http://127.0.0.1:9"\n'
    for name in ("config.toml", "cado-ops.toml", ".cado-ops.toml", "pyproject.toml"):
        (trap / name).write_text(settings)
    (trap / "cado-ops").mkdir()
    (trap / "cado-ops" / "config.toml").write_text(settings)
    (trap / ".aws").mkdir()
    for name in ("config", "credentials"):
        (trap / ".aws" / name).write_text("[default]\nendpoint_url = http://127.0.0.1:9\nregion = us-west-2\n")
    for name in (".env", ".boto", "boto.cfg", "plan.json", "accounts.csv"):
        (trap / name).write_text("AWS_ENDPOINT_URL=http://127.0.0.1:9\n")
    monkeypatch.chdir(trap)
    opened: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and watching and isinstance(arguments[0], str):
            opened.append(str(Path(arguments[0]).absolute()))

    watching = True
    sys.addaudithook(hook)
    try:
        result = cli.json(*TAG, "--yes")
        cli("runs", "list")
        cli("runs", "undo", "last", "--yes")
    finally:
        watching = False
    assert result.code == 0, result.err
    assert opened, "the hook sees what is opened"
    assert [path for path in opened if path.startswith(str(trap))] == []


# ------------------------------------------------------------------ canaries

SECRET = "canary-secret-access-key-0123456789abcdef"
DENIAL = (
    f"An error occurred (AccessDenied) when calling the CreateTags operation: User: arn:aws:sts::{PROD}:"
    f"assumed-role/CadoOperator/me is not authorized to perform: ec2:CreateTags on resource: "
    f"arn:aws:ec2:{EU}:{PROD}:instance/i-0123456789abcdef0"
)
CLOUDTRAIL = {"eventName": "CreateTags", "errorCode": "AccessDenied", "errorMessage": DENIAL, "awsRegion": EU}


class Canaries:
    """Secrets that a run comes to know: the caller's own, the sessions' that were assumed, the grants' tokens."""

    def __init__(self) -> None:
        self.all = {SECRET}

    def watch(self, sandbox: Any) -> None:
        """Notes every secret that the sandbox hands out."""
        application = sandbox._running()
        answer = application.answer

        def noting(*request: Any) -> Any:
            status, headers, body = answer(*request)
            for begin, end in ((b"<SecretAccessKey>", b"<"), (b"<SessionToken>", b"<"), (b'"GrantToken": "', b'"')):
                for part in body.split(begin)[1:]:
                    self.all.add(part.split(end)[0].decode())
            return status, headers, body

        application.answer = noting

    def in_text(self, text: str) -> list[str]:
        return [each for each in self.all if each in text]


@pytest.fixture
def canaries(cli: Cli, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    found = Canaries()
    # The session's token tells the sandbox who calls.
    found.all.add(os.environ["AWS_SESSION_TOKEN"])
    application = sandbox._running()
    before = application.answer
    found.watch(sandbox)
    yield found
    application.answer = before


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_no_secret_is_anywhere_after_everything(
    cli: Cli, sandbox: Any, canaries: Canaries, log: io.StringIO, tmp_path: Path
) -> None:
    """Every kind of output of every step of a case, with --debug, good answers and bad ones."""
    said: list[Result] = []

    def run(*argv: str, **more: Any) -> Result:
        said.append(cli(*argv, "--debug", **more))
        return said[-1]

    names = ("plan.json", "grants.json", "case.html", "case.jsonl", "fleet.html")
    plan, grant_plan, page, lines, fleet = written = [tmp_path / name for name in names]
    for output in ("table", "json", "ndjson", "csv"):
        run(*TAG, "--case", "IR-7", "--yes", "-o", output)
        run(*GRANT, "--yes", "-o", output)
        run("kms", "list", *IN_PROD, "-o", output)
        run("status", *IN_PROD, "-o", output)
        run("targets", *IN_PROD, "-o", output)
        run("runs", "list", "-o", output)
        run("runs", "show", "last", "-o", output)
        run("kms", "retire", "--of-case", "IR-7", *IN_PROD, "--yes", "-o", output)
        run("runs", "undo", "last", "--yes", "-o", output)
    run(*TAG, "--save-plan", str(plan))
    run("apply", str(plan), "--yes")
    run(*GRANT, "--save-plan", str(grant_plan))
    run(*TAG, stdin=Terminal("n\n"), stderr=Terminal())
    run("runs", "export", "last", "--format", "html", "--out", str(page))
    run("runs", "export", "last", "--out", str(lines))
    run("runs", "export", "last")
    run("status", *IN_PROD, "--html", str(fleet))
    run("check", "--filter", "tag:Name=web-03", *IN_PROD, "--no-simulator", "--fix", "--yes", "-o", "json")
    run("explain", f"AWS_SESSION_TOKEN={SECRET}\n{DENIAL}")
    run("explain", json.dumps({**CLOUDTRAIL, "responseElements": {"sessionToken": SECRET}}), "-o", "json")
    run("policy", "show", "operator")
    run("policy", "check", "--role", "CadoResponseRole", "--no-simulator", *IN_PROD, "-o", "json")
    run("policy", "tighten", "--role", "CadoResponseRole", *IN_PROD[:2], *ROLE)
    # A grant that was refused, made by the resume, and ended by its run.
    sandbox.intercept = lambda request: (
        request.error("AccessDeniedException", "no", 400) if request.action == "CreateGrant" else None
    )
    run("kms", "grant", "--key", "alias/acme-data", "--case", "IR-8", *IN_PROD, "--yes")
    sandbox.intercept = None
    resumed = run("runs", "resume", "last", "--yes", "-o", "json")
    assert resumed.json["summary"]["changed"] == 1
    ended = run("kms", "retire", "--run", resumed.json["run_id"], *ROLE, "--yes", "-o", "json")
    assert ended.json["summary"]["changed"] == 1
    # And now the worst: answers cut in the middle of a secret, and faults with whole answers in them.
    for action in ("AssumeRole", "CreateGrant", "GetCallerIdentity", "DescribeInstances"):
        sandbox.intercept = _spoiling(action)
        run(*TAG, "--yes", "-o", "json")
        run(*GRANT, "--yes", "-o", "json")
    sandbox.intercept = None
    assert len(canaries.all) > 20, "sessions were made, and grants"
    assert "CreateGrant" in log.getvalue()
    assert MARK in log.getvalue()
    for result in said:
        assert canaries.in_text(result.out + result.err) == []
    assert canaries.in_text(log.getvalue()) == []
    files = [*_files(cli.journal), *_files(tmp_path), *_files(Path(os.environ["HOME"]))]
    assert {*written, *cli.runs()} <= set(files)
    for path in files:
        assert canaries.in_text(path.read_text(errors="replace")) == [], path.name


def test_a_token_is_shown_where_it_was_asked_for_and_nowhere_else(
    cli: Cli, canaries: Canaries, log: io.StringIO
) -> None:
    shown = cli.json(*GRANT, "--show-tokens", "--yes")
    token = shown.json["items"][0]["grant_token"]
    assert canaries.in_text(shown.out) == [token]
    assert canaries.in_text(shown.err + log.getvalue()) == []
    assert all(token not in path.read_text() for path in cli.runs())


def _spoiling(action: str) -> Callable[[Any], Any]:
    secret = SECRET

    def spoil(request: Any) -> Any:
        if request.action != action:
            return None
        if request.headers.get("x-amz-target"):
            body = json.dumps({"GrantToken": secret, "SessionToken": secret})[:-9]
        else:
            body = (
                f"<{action}Response><Credentials><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{secret}"
            )
        return 200, {"Content-Type": "text/xml", "x-amzn-RequestId": "r-1"}, body.encode()

    return spoil


def test_the_account_and_region_of_the_canaries_are_there(cli: Cli) -> None:
    """What is no secret is told: an output that says nothing would hold no canary either."""
    said = cli(*TAG, "--yes", "-o", "csv").out
    assert PROD in said
    assert EU in said
