"""Cut off at every journaled step, then resumed, or undone: the end state is exact, journal and AWS agree."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cado_ops.errors import LocalError
from cado_ops.journal import Journal, read_run
from cado_ops.sandbox import apply_environment
from tests.functional.conftest import IN_PROD, Cli
from tests.functional.power import PowerLoss, cut_off

WEB = ("--filter", "tag:Name=web-*", *IN_PROD)
TAG = ("tag-instances", *WEB, "--case", "IR-42", "--yes")
UNTAG = ("untag-instances", *WEB, "--case", "IR-42", "--yes")
# More records than any of the commands writes: the last ones are complete runs.
STEPS = range(1, 10)


def prepare(cli: Cli, command: str, tmp_path: Path) -> tuple[str, ...]:
    """Brings the world to where the command has something to do, and gives its arguments."""
    plan = tmp_path / "plan.json"
    if command == "tag":
        return TAG
    if command == "apply":
        cli.json(*TAG[:-1], "--save-plan", str(plan))
        return ("apply", str(plan), "--yes")
    cli.json(*TAG)
    if command == "undo":
        # By its id: there may be several runs of one second.
        return ("runs", "undo", cli.runs()[0].name.removesuffix(".jsonl"), "--yes")
    return UNTAG


# How a torn line is read does not depend on the command; once each for a run and for the undo of one is enough.
COMMANDS = [("tag", False), ("untag", False), ("undo", False), ("apply", False), ("tag", True), ("undo", True)]


@pytest.mark.parametrize(("command", "torn"), COMMANDS)
def test_cut_off_and_resumed(
    cli: Cli, sandbox: Any, tags: Any, lose_power: Any, tmp_path: Path, command: str, torn: bool
) -> None:
    argv = prepare(cli, command, tmp_path)
    cli.json(*argv)
    wanted = tags()
    reached = 0
    for step in STEPS:
        sandbox.reset()
        for path in cli.runs():
            path.unlink()
        argv = prepare(cli, command, tmp_path)
        before = tags()
        lose_power(step, torn)
        was_cut, path = cut_off(cli, argv)
        if not was_cut:
            break
        assert path is not None
        reached += 1
        run = read_run(path)
        resumed = cli.json("runs", "resume", run.run_id, "--yes")
        if not run.header or len(run.plan) < run.header["items"]:
            assert resumed.code in (2, 4), "no whole plan: nothing was begun, so nothing is gone on with"
            assert tags() == before
            continue
        assert resumed.code == 0, f"step {step}: {resumed.out}{resumed.err}"
        assert tags() == wanted, f"step {step}"
        assert resumed.json["run_id"] == run.run_id
        again = read_run(path)
        assert again.problems == []
        assert all(result["outcome"] == "changed" for result in again.results.values())
        shown = cli.json("runs", "show", run.run_id).json["items"]
        assert {item["outcome"] for item in shown} == {"changed"}
        assert cli.json("runs", "undo", run.run_id, "--yes").code == 0
        assert tags() == before, f"step {step}: the undo of a resumed run"
    assert reached >= 5


@pytest.mark.parametrize(("command", "torn"), COMMANDS)
def test_cut_off_and_undone(
    cli: Cli, sandbox: Any, tags: Any, lose_power: Any, tmp_path: Path, command: str, torn: bool
) -> None:
    for step in STEPS:
        sandbox.reset()
        for path in cli.runs():
            path.unlink()
        argv = prepare(cli, command, tmp_path)
        before = tags()
        lose_power(step, torn)
        was_cut, path = cut_off(cli, argv)
        if not was_cut:
            break
        assert path is not None
        run = read_run(path)
        undone = cli.json("runs", "undo", run.run_id, "--yes")
        whole = run.header and len(run.plan) == run.header["items"]
        assert undone.code == 0 if whole else undone.code in (2, 4), f"step {step}: {undone.out}"
        assert tags() == before, f"step {step}"


def test_cut_off_twice(cli: Cli, tags: Any, lose_power: Any) -> None:
    """The resume is cut off as well, and resumed."""
    lose_power(4, False)
    _, path = cut_off(cli, TAG)
    assert path is not None
    name = path.name.removesuffix(".jsonl")
    lose_power(2, True)
    with pytest.raises(PowerLoss):
        cli.json("runs", "resume", name, "--yes")
    last = cli.json("runs", "resume", name, "--yes")
    assert last.code == 0
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
    run = read_run(path)
    assert len(run.resumes) == 2
    assert run.problems == []
    assert cli.json("runs", "undo", name, "--yes").code == 0
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]


def test_nothing_is_done_twice(cli: Cli, sandbox: Any, lose_power: Any) -> None:
    lose_power(5, False)
    _, path = cut_off(cli, TAG)
    assert path is not None
    sandbox.calls.clear()
    cli.json("runs", "resume", "last", "--yes")
    assert sum(call.action == "CreateTags" for call in sandbox.calls) == 1, "the second batch alone"
    sandbox.calls.clear()
    again = cli.json("runs", "resume", "last", "--yes")
    assert again.code == 0
    assert not [call for call in sandbox.calls if call.action in ("CreateTags", "DeleteTags")]
    assert "nothing to be done" in again.err


def test_what_somebody_else_did_meanwhile_is_left_alone(
    cli: Cli, aws: Any, ids: Any, tags: Any, lose_power: Any
) -> None:
    lose_power(3, False)
    cut_off(cli, TAG)
    aws("222222222222", "eu-west-1").create_tags(
        Resources=[ids()["web-01"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "False"}]
    )
    resumed = cli.json("runs", "resume", "last", "--yes")
    assert resumed.code == 3
    assert resumed.items()["web-01"]["outcome"] == "drifted"
    assert resumed.items()["web-02"]["outcome"] == "changed"
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "False"


def test_what_a_resume_decides_by_reading_is_journaled(
    cli: Cli, sandbox: Any, aws: Any, ids: Any, lose_power: Any
) -> None:
    """Nothing is left to be done: changed by others, gone, tagged already. That is told, and the end of the run."""
    lose_power(3, False)
    _, path = cut_off(cli, TAG)
    assert path is not None
    known, ec2 = ids(), aws("222222222222", "eu-west-1")
    ec2.create_tags(Resources=[known["web-01"]], Tags=[{"Key": "CadoResponseSSMEnabled", "Value": "False"}])
    cli.json(*TAG[:1], known["web-02"], *TAG[3:])
    for name in ("web-03", "web-04"):
        sandbox.set_state("222222222222", "eu-west-1", known[name], "terminated")
    name, cut = path.name.removesuffix(".jsonl"), path.read_bytes()
    assert cli.json("runs", "resume", name, "--dry-run").code == 3
    assert path.read_bytes() == cut
    resumed = cli.json("runs", "resume", name, "--yes")
    wanted = {"web-01": "drifted", "web-02": "unchanged", "web-03": "drifted", "web-04": "drifted"}
    assert {name: item["outcome"] for name, item in resumed.items().items()} == wanted
    shown = cli.json("runs", "show", name).items()
    assert {name: item["outcome"] for name, item in shown.items()} == wanted
    assert "terminated" in shown["web-03"]["warnings"][-1]
    (listed,) = [item for item in cli.json("runs", "list").json["items"] if item["run_id"] == name]
    assert (listed["status"], listed["changed"]) == ("partial", 0)
    assert listed["finished"]
    assert cli("runs", "show", name, "--verify").code == 0
    content = path.read_bytes()
    again = cli.json("runs", "resume", name, "--yes")
    assert again.json["summary"]["drifted"] == 3
    assert path.read_bytes() == content, "all is decided: the head on record stays the head"
    assert cli.json("runs", "undo", name, "--yes").json["items"] == [], "nothing of it is the run's doing"


def test_what_could_not_be_read_is_journaled_and_tried_by_the_next_resume(
    cli: Cli, sandbox: Any, lose_power: Any
) -> None:
    lose_power(3, False)
    _, path = cut_off(cli, TAG)
    assert path is not None
    sandbox.intercept = lambda request: (
        request.error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        if request.action == "DescribeInstances"
        else None
    )
    assert cli.json("runs", "resume", "last", "--yes").json["summary"]["failed"] == 4
    sandbox.intercept = None
    assert {item["outcome"] for item in cli.json("runs", "show", "last").json["items"]} == {"failed"}
    assert cli.json("runs", "list").json["items"][0]["status"] == "error"
    assert cli.json("runs", "resume", "last", "--yes").json["summary"]["changed"] == 4


def test_a_run_that_lost_only_its_end_gets_one(cli: Cli, sandbox: Any, tags: Any) -> None:
    cli.json(*UNTAG[:3], *IN_PROD, "--yes")
    (path,) = cli.runs()
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"record":"end"' in lines[-1]
    path.write_bytes(b"".join(lines[:-1]))
    before, content = tags(), path.read_bytes()
    assert cli.json("runs", "resume", "last", "--dry-run").code == 0
    assert path.read_bytes() == content, "not even that there is nothing to do"
    resumed = cli.json("runs", "resume", "last", "--yes", "--max-changes", "0")
    assert (resumed.code, resumed.json["status"]) == (0, "success"), "looking again is no change"
    assert cli.json("runs", "list").json["items"][0]["status"] == "success"
    assert tags() == before


@pytest.mark.parametrize("answer", [("--dry-run",), ("--max-changes", "0", "--yes"), ()])
def test_a_resume_that_is_not_carried_out_changes_nothing_on_disk(
    cli: Cli, tags: Any, lose_power: Any, answer: tuple[str, ...]
) -> None:
    lose_power(4, True)
    _, path = cut_off(cli, TAG)
    assert path is not None
    before, content = tags(), path.read_bytes()
    assert not content.endswith(b"\n"), "its last line is torn"
    result = cli.json("runs", "resume", "last", *answer)
    assert result.code == (0 if answer == ("--dry-run",) else 4), result.out
    assert "torn" in result.err
    assert (path.read_bytes(), tags()) == (content, before)
    assert [each.name for each in cli.journal.iterdir()] == [path.name]
    assert cli.json("runs", "resume", "last", "--yes").code == 0
    assert b'"record":"recovered"' in path.read_bytes()


def test_a_resume_asks_again(cli: Cli, tags: Any, lose_power: Any) -> None:
    lose_power(3, False)
    cut_off(cli, TAG)
    assert cli.json("runs", "resume", "last").code == 4
    assert cli.json("runs", "resume", "last", "--yes", "--max-changes", "1").code == 4
    assert "CadoResponseSSMEnabled" not in tags()["web-01"]
    assert cli.json("runs", "resume", "last", "--yes").code == 0


def test_expired_credentials_then_resume(cli: Cli, sandbox: Any, tags: Any) -> None:
    def expire(request: Any) -> Any:
        if request.action in ("CreateTags", "AssumeRole"):
            return request.error("ExpiredToken", "The security token included in the request is expired", 400)
        return None

    seen: list[str] = []

    def expire_late(request: Any) -> Any:
        seen.append(request.action)
        return expire(request) if "DescribeInstances" in seen else None

    sandbox.intercept = expire_late
    cut = cli.json(*TAG)
    assert (cut.code, cut.json["status"]) == (1, "error")
    assert {item["outcome"] for item in cut.json["items"]} == {"failed"}
    sandbox.intercept = None
    resumed = cli.json("runs", "resume", cut.json["run_id"], "--yes")
    assert resumed.code == 0
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"


def test_a_disk_that_fills_up_in_the_middle(
    cli: Cli, sandbox: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the room that was held is used up: nothing more is begun, and the way on is named."""
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if data.startswith(b'{"record":'):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    sent: list[str] = []

    def fill(request: Any) -> None:
        if request.action == "CreateTags":
            sent.append(request.action)
            monkeypatch.setattr(os, "write", full)

    sandbox.intercept = fill
    cut = cli.json(*TAG)
    [failure] = cut.json["failures"]
    error = failure["error"]
    assert (cut.code, sent, failure["stage"]) == (3, ["CreateTags"], "journal")
    assert cut.json["summary"]["unknown"] == 4, "what may have been made is told"
    assert "changes may have been made" in error["message"]
    assert error["hint"].endswith(f"cado-ops runs resume {cut.json['run_id']}")
    still_full = cli.json("runs", "resume", "last", "--yes")
    assert still_full.code == 1
    assert "cado-ops runs resume" in still_full.json["failures"][0]["error"]["hint"]
    sandbox.intercept = None
    monkeypatch.setattr(os, "write", write)
    assert cli.json("runs", "resume", "last", "--yes").json["summary"]["changed"] == 4
    assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
    assert cli("runs", "show", "last", "--verify").code == 0


def test_a_disk_without_room_for_the_plan_leaves_no_run(
    cli: Cli, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal) -> None:
        raise LocalError("No space left on device")

    monkeypatch.setattr(Journal, "hold_room", full)
    before = tags()
    assert cli.json(*TAG).code == 1
    assert (cli.json("runs", "list").json["items"], tags()) == ([], before)


def test_an_interrupted_run_is_resumed(cli: Cli, sandbox: Any, tags: Any) -> None:
    def interrupt(request: Any) -> None:
        if request.action == "CreateTags":
            sandbox.intercept = None
            os.kill(os.getpid(), signal.SIGINT)

    sandbox.intercept = interrupt
    cut = cli.json(*TAG)
    assert cut.code == 130
    assert f"cado-ops runs resume {cut.json['run_id']}" in cli("runs", "list").out or cut.json["run_id"]
    resumed = cli.json("runs", "resume", cut.json["run_id"], "--yes")
    assert (resumed.code, resumed.json["summary"]["changed"]) == (0, 4)


def test_a_run_that_is_at_work_can_be_neither_resumed_nor_undone(cli: Cli, lose_power: Any) -> None:
    lose_power(4, False)
    _, path = cut_off(cli, TAG)
    assert path is not None
    journal, _ = Journal.reopen(path)
    try:
        for command in ("resume", "undo"):
            result = cli.json("runs", command, "last", "--yes")
            assert (result.code, result.json["status"]) == (4, "refused")
            assert "still at work" in result.json["failures"][0]["error"]["message"]
    finally:
        journal.close()
    assert cli.json("runs", "resume", "last", "--yes").code == 0


@pytest.mark.parametrize("moment", ["CreateTags", "DescribeTags"])
def test_kill_9_for_real(cli: Cli, sandbox: Any, tags: Any, tmp_path: Path, moment: str) -> None:
    """Another process, killed while a call is on its way, and its journal resumed from this one."""
    reached, killed = threading.Event(), threading.Event()

    def hold(request: Any) -> None:
        if request.action == moment:
            reached.set()
            killed.wait(30)

    sandbox.intercept = hold
    environ = apply_environment(sandbox.environment(), {**os.environ, "CADO_OPS_JOURNAL_DIR": str(cli.journal)})
    child = subprocess.Popen([sys.executable, "-m", "cado_ops", *TAG], env=environ, stderr=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL)  # fmt: skip
    assert reached.wait(30)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    sandbox.intercept = None
    killed.set()
    # The request that was on its way still takes effect, a moment later.
    assert any("CadoResponseSSMEnabled" in tags()["web-01"] for _ in range(1000))
    resumed = cli.json("runs", "resume", "last", "--yes")
    assert resumed.code == 0, resumed.out
    assert {item["outcome"] for item in resumed.json["items"]} == {"changed"}
    assert all(json.loads(line) for line in cli.runs()[0].read_text().splitlines())
    assert tags()["web-02"]["CadoResponseSSMEnabled"] == "True"
    assert cli.json("runs", "undo", "last", "--yes").code == 0
    assert "CadoResponseSSMEnabled" not in tags()["web-02"]
