"""Grants cut off at every journaled step, resumed, undone, made from two machines: it ends as was asked for."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from cado_ops.cli.app import main
from cado_ops.cli.world import World
from cado_ops.journal import read_run
from cado_ops.sandbox.protocol import answer_json
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, US, Cli
from tests.functional.power import cut_off

KEY = ("--key", "alias/acme-data", *IN_PROD)
KEYS = ("--key", "alias/acme-ebs", *KEY)
GRANT = ("kms", "grant", *KEY, "--case", "A", "--expires", "2030-01-01T00:00Z", "--yes")
PROLONG = ("kms", "grant", *KEY, "--case", "A", "--expires", "2030-02-01T00:00Z", "--yes")
RETIRE = ("kms", "retire", "--of-case", "A", *IN_PROD, "--yes")
STEPS = range(1, 20)
COMMANDS = ("grant", "prolong", "retire", "undo of grant", "undo of retire", "apply")


def prepare(cli: Cli, command: str, tmp_path: Path) -> tuple[str, ...]:
    """Brings the world to where the command has something to do, and gives its arguments."""
    if command == "grant":
        return GRANT
    if command == "apply":
        plan = str(tmp_path / "plan.json")
        cli.json(*GRANT[:-1], "--save-plan", plan)
        return ("apply", plan, "--yes")
    run = cli.json(*GRANT).json["run_id"]
    if command == "prolong":
        return PROLONG
    if command == "retire":
        return RETIRE
    if command == "undo of retire":
        run = cli.json(*RETIRE).json["run_id"]
    return ("runs", "undo", run, "--yes")


@pytest.mark.parametrize(
    ("command", "torn"), [*((each, False) for each in COMMANDS), ("prolong", True), ("undo of retire", True)]
)
def test_cut_off_and_resumed(
    cli: Cli, sandbox: Any, grants: Any, lose_power: Any, tmp_path: Path, command: str, torn: bool
) -> None:
    cli.json(*prepare(cli, command, tmp_path))
    wanted = grants().everything()
    reached = 0
    for step in STEPS:
        sandbox.reset()
        for path in cli.runs():
            path.unlink()
        argv = prepare(cli, command, tmp_path)
        before = grants().everything()
        lose_power(step, torn)
        was_cut, path = cut_off(cli, argv)
        if not was_cut:
            break
        if path is None:
            assert grants().everything() == before, "nothing is changed without a journal"
            continue
        reached += 1
        run = read_run(path)
        resumed = cli.json("runs", "resume", run.run_id, "--yes")
        if not run.header or len(run.plan) < run.header["items"]:
            assert resumed.code in (2, 4), "no whole plan: nothing was begun, so nothing is gone on with"
            assert grants().everything() == before
            continue
        assert resumed.code == 0, f"step {step}: {resumed.out}{resumed.err}"
        assert grants().everything() == wanted, f"step {step}"
        assert resumed.json["run_id"] == run.run_id
        shown = cli.json("runs", "show", run.run_id).json["items"]
        assert {item["outcome"] for item in shown} == {"changed"}, f"step {step}"
        undone = cli.json("runs", "undo", run.run_id, "--yes")
        assert undone.code == 0, f"step {step}: {undone.out}"
        assert grants().everything() == before, f"step {step}: the undo of a resumed run"
    assert reached >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_cut_off_and_undone(
    cli: Cli, sandbox: Any, grants: Any, lose_power: Any, tmp_path: Path, command: str
) -> None:
    for step in STEPS:
        sandbox.reset()
        for path in cli.runs():
            path.unlink()
        argv = prepare(cli, command, tmp_path)
        before = grants().everything()
        lose_power(step, False)
        was_cut, path = cut_off(cli, argv)
        if not was_cut:
            break
        if path is None:
            continue
        undone = cli.json("runs", "undo", path.stem, "--yes")
        assert undone.code in (0, 2, 4), f"step {step}: {undone.out}"
        assert grants().everything() == before, f"step {step}"


def test_cut_off_and_run_again_from_another_machine(
    cli: Cli, sandbox: Any, grants: Any, lose_power: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That machine has no journal of the first: what is in AWS is enough."""
    reached = 0
    for step in STEPS:
        sandbox.reset()
        monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(tmp_path / f"one {step}"))
        lose_power(step, False)
        was_cut, _ = cut_off(cli, GRANT)
        if not was_cut:
            break
        reached += 1
        monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(tmp_path / f"another {step}"))
        again = cli.json(*GRANT)
        assert again.code == 0
        assert len(grants().ours("acme-data")) == 1
        assert cli.json(*RETIRE).code == 0
        assert not grants().ours("acme-data")
    assert reached > 3


def test_from_two_machines_at_the_same_moment(
    cli: Cli, grants: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both have looked, and seen nothing, before either grants: same name, same terms, one grant."""
    met = threading.Barrier(2, timeout=20)
    waited: set[str] = set()

    def meet(request: Any) -> Any:
        if request.action == "CreateGrant" and threading.current_thread().name not in waited:
            waited.add(threading.current_thread().name)
            if len(waited) <= 2:
                met.wait()
        return None

    sandbox.intercept = meet
    codes: list[int] = []
    one_key = ("kms", "grant", "--key", "alias/acme-data", *IN_PROD, "--case", "A", "--expires", "72h", "--yes")

    def machine(name: str) -> None:
        world = World(stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO(), sleep=lambda seconds: None)
        codes.append(main([*one_key, "--journal-dir", str(tmp_path / name), "-o", "json"], world))

    threads = [threading.Thread(target=machine, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sandbox.intercept = None
    assert codes == [0, 0]
    assert len(grants().ours("acme-data")) == 1


def test_two_due_times_at_the_same_moment(cli: Cli, grants: Any, sandbox: Any, tmp_path: Path) -> None:
    """The latest is kept, whoever made it; the other is ended by whoever sees both."""
    met = threading.Barrier(2, timeout=20)
    first: set[str] = set()
    lock = threading.Lock()

    def meet(request: Any) -> Any:
        if request.action == "CreateGrant":
            with lock:
                new = request.params["Name"] not in first
                first.add(request.params["Name"])
            if new:
                met.wait()
        return None

    sandbox.intercept = meet
    codes: dict[str, int] = {}

    def machine(due: str) -> None:
        world = World(stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO(), sleep=lambda seconds: None)
        argv = ["kms", "grant", "--key", "alias/acme-data", *IN_PROD, "--case", "A", "--expires", due, "--yes"]
        codes[due] = main([*argv, "--journal-dir", str(tmp_path / due[:7]), "-o", "json"], world)

    threads = [threading.Thread(target=machine, args=(due,)) for due in ("2030-01-01T00:00Z", "2030-02-01T00:00Z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sandbox.intercept = None
    assert set(codes.values()) == {0}
    [left] = grants().ours("acme-data")
    assert "2030-02-01" in left["Name"]


def test_undo_takes_what_the_run_made_and_no_more(cli: Cli, grants: Any) -> None:
    before = grants().everything()
    run = cli.json(*GRANT).json["run_id"]
    other = cli.json("kms", "grant", "--key", "alias/acme-data", "--case", "B", *IN_PROD, "--yes").json["items"][0]
    undone = cli.json("runs", "undo", run, "--yes")
    assert (undone.code, {item["action"] for item in undone.json["items"]}) == (0, {"retire"})
    assert [each["GrantId"] for each in grants().ours("acme-data")] == [other["grant_id"]]
    back = cli.json("runs", "undo", undone.json["run_id"], "--yes")
    assert (back.code, {item["action"] for item in back.json["items"]}) == (0, {"create"})
    assert all("under a new id" in item["warnings"][0] for item in back.json["items"])
    again = cli.json("runs", "undo", back.json["run_id"], "--yes")
    assert again.code == 0
    cli.json("kms", "retire", "--of-case", "B", *IN_PROD, "--yes")
    assert grants().everything() == before


def test_undo_of_a_grant_that_is_gone(cli: Cli, grants: Any) -> None:
    run = cli.json(*GRANT).json["run_id"]
    cli.json(*RETIRE)
    undone = cli.json("runs", "undo", run, "--yes")
    assert (undone.code, {item["outcome"] for item in undone.json["items"]}) == (0, {"unchanged"})
    assert cli.json("runs", "undo", run, "--dry-run").code == 0


def test_a_run_leaves_alone_what_was_there_before(cli: Cli, grants: Any) -> None:
    """Another run's grant is not this run's to end."""
    cli.json(*GRANT)
    cli.json("kms", "grant", *KEYS, "--case", "A", "--yes")
    two = ("kms", "grant", "--key", "alias/acme-data", "--key", "alias/acme-ebs", "--operations", "ebs-direct")
    run = cli.json(*two, *IN_PROD, "--case", "A", "--yes").json["run_id"]
    before = grants().everything()
    assert cli.json("kms", "grant", *KEYS, "--case", "A", "--yes").json["run_id"] is None
    cli.json("runs", "undo", run, "--yes")
    assert len(grants().ours("acme-data")) == 1
    assert grants().everything() != before


def test_runs_show_and_export(cli: Cli, tmp_path: Path) -> None:
    made = cli.json(*GRANT).json
    shown = cli.json("runs", "show", made["run_id"]).json
    assert sorted(shown["items"], key=str) == sorted(made["items"], key=str), "to the letter, grant ids included"
    table = cli("runs", "show", made["run_id"])
    assert made["items"][0]["grant_id"] in table.out
    page = tmp_path / "case.html"
    assert cli("runs", "export", "--of-case", "A", "--format", "html", "--out", str(page)).code == 0
    text = page.read_text()
    for item in made["items"]:
        assert item["grant_id"] in text
        assert item["key_arn"] in text
        assert item["name"] in text
    assert "CreateGrant" in text
    lines = cli("runs", "export", "--of-case", "A").out
    assert made["items"][0]["grant_id"] in lines


def test_undo_where_kms_does_not_list_the_grant_yet(cli: Cli, grants: Any, sandbox: Any) -> None:
    """A grant may take five minutes to show; its id is in the journal, and RetireGrant knows it."""
    from cado_ops.sandbox.protocol import answer_json

    def late(request: Any) -> Any:
        return answer_json({"Grants": [], "Truncated": False}) if request.action == "ListGrants" else None

    run = cli.json(*GRANT).json["run_id"]
    sandbox.intercept = late
    undone = cli.json("runs", "undo", run, "--yes")
    sandbox.intercept = None
    assert [item["outcome"] for item in undone.json["items"]] == ["changed"]
    assert not grants().ours("acme-data")


def test_the_grants_of_a_run_that_lost_power_are_retired(cli: Cli, grants: Any, lose_power: Any) -> None:
    for step in STEPS:
        lose_power(step, False)
        was_cut, path = cut_off(cli, GRANT)
        assert was_cut
        if grants().ours("acme-data"):
            break
    assert path is not None
    retired = cli.json("kms", "retire", "--run", path.stem, "--yes", "--role-name", "CadoOperator")
    assert [item["outcome"] for item in retired.json["items"]] == ["changed"]
    assert not grants().ours("acme-data")


def test_a_run_narrowed_by_a_key_misses_nothing_else(cli: Cli, grants: Any) -> None:
    run = cli.json("kms", "grant", *KEYS, "--case", "A", "--yes").json["run_id"]
    retired = cli.json("kms", "retire", "--run", run, *KEY, "--yes")
    assert (retired.code, len(retired.json["items"]), retired.json["failures"]) == (0, 1, [])
    assert len(grants().ours("acme-ebs")) == 1


def test_undo_of_a_prolongation_keeps_the_grant_there_is_where_the_old_one_cannot_come_back(
    cli: Cli, grants: Any, sandbox: Any
) -> None:
    cli.json(*GRANT)
    run = cli.json(*PROLONG).json["run_id"]

    def deny(request: Any) -> Any:
        if request.action == "CreateGrant":
            return request.error("AccessDeniedException", "User: x is not authorized to perform: kms:CreateGrant")
        return None

    sandbox.intercept = deny
    undone = cli.json("runs", "undo", run, "--yes")
    outcomes = {item["action"]: item["outcome"] for item in undone.json["items"]}
    assert outcomes == {"create": "failed", "retire": "skipped"}
    sandbox.intercept = None
    assert len(grants().ours("acme-data")) == 1


def test_a_duplicate_that_was_ended_is_told_and_comes_back_by_undo(cli: Cli, grants: Any, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    cli.json(*PROLONG[:-1], "--save-plan", plan)
    cli.json(*GRANT)
    applied = cli.json("apply", plan, "--yes")
    assert sorted((item["action"], item["outcome"]) for item in applied.json["items"]) == [
        ("create", "changed"),
        ("retire", "changed"),
    ]
    assert applied.json["summary"]["changed"] == 2
    shown = cli.json("runs", "show", applied.json["run_id"]).json
    assert {item["action"] for item in shown["items"]} == {"create", "retire"}
    undone = cli.json("runs", "undo", applied.json["run_id"], "--yes")
    assert undone.code == 0, undone.out
    [left] = grants().ours("acme-data")
    assert "2030-01-01" in left["Name"]


def test_an_undo_that_could_not_look_for_a_grant_whose_making_stayed_open_is_gone_on_with(
    cli: Cli, sandbox: Any, grants: Any
) -> None:
    """Its record has no grant's id: that is found by name and terms, once the key can be read."""
    before = grants().everything()
    where = ("--account", PROD, "--region", f"{EU},{US}", *ROLE)

    def lose(request: Any) -> Any:
        if request.action == "CreateGrant" and request.region == EU:
            return request.error("KMSInternalException", "An internal error has occurred", 500)
        return None

    sandbox.intercept = lose
    granted = cli.json("kms", "grant", "--key", "alias/acme-data", *where, "--case", "A", "--yes")
    assert sorted(item["outcome"] for item in granted.json["items"]) == ["changed", "unknown"]

    def deny(request: Any) -> Any:
        if request.action == "ListGrants" and request.region == EU:
            return request.error("AccessDeniedException", "User: x is not authorized to perform: kms:ListGrants")
        return None

    sandbox.intercept = deny
    undone = cli.json("runs", "undo", granted.json["run_id"], "--yes")
    assert sorted(item["outcome"] for item in undone.json["items"]) == ["changed", "failed"]
    sandbox.intercept = None
    resumed = cli.json("runs", "resume", undone.json["run_id"], "--yes")
    assert resumed.code == 0, resumed.out
    assert cli.json("runs", "undo", granted.json["run_id"], "--yes").code == 0
    assert grants().everything() == before


def test_a_grant_whose_making_stayed_open_and_that_was_undone_does_not_come_back_by_resume(
    cli: Cli, sandbox: Any, grants: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KMS made it, its answer was lost, and it did not list it in time; the undo found it by its name."""
    before = grants().everything()

    def lose(request: Any) -> Any:
        if request.action == "CreateGrant":
            sandbox.intercept = None
            answered = sandbox._running().answer(request.method, request.path, request.headers, request.body)
            assert answered[0] == 200
            sandbox.intercept = hide
            return request.error("KMSInternalException", "An internal error has occurred", 500)
        return None

    def hide(request: Any) -> Any:
        if request.action == "CreateGrant":
            return request.error("KMSInternalException", "An internal error has occurred", 500)
        return answer_json({"Grants": [], "Truncated": False}) if request.action == "ListGrants" else None

    sandbox.intercept = lose
    granted = cli.json(*GRANT)
    assert [item["outcome"] for item in granted.json["items"]] == ["unknown"]
    sandbox.intercept = None
    assert len(grants().ours("acme-data")) == 1
    undone = cli.json("runs", "undo", granted.json["run_id"], "--yes")
    assert [item["outcome"] for item in undone.json["items"]] == ["changed"]
    assert grants().everything() == before
    cli.json("runs", "resume", granted.json["run_id"], "--yes")
    assert grants().everything() == before
