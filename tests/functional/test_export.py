"""runs export: what is handed over is what stands in the journal, and can be verified without this program."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cado_ops.cli.app import main
from cado_ops.cli.world import World
from cado_ops.journal import Journal, read_run, run_files, seal, unseal
from tests.functional.conftest import IN_PROD, Cli, Result
from tests.unit.html_page import Page, assert_harmless
from tests.unit.test_render_case_file import HOSTILE

WEB = ("--filter", "tag:Name=web-*", *IN_PROD, "--yes")
EVIDENCE = Path(__file__).resolve().parents[2] / "docs" / "evidence.md"
PLACE = {"account": "2" * 12, "region": "eu-west-1"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A journal without any AWS."""
    monkeypatch.setenv("CADO_OPS_JOURNAL_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return Cli(tmp_path / "runs")


def journal(cli: Cli, run_id: str, case: str | None = "IR-42", name: str = "web-01", **more: Any) -> Path:
    """A run of one instance, as `tag-instances` would leave it."""
    written = Journal(cli.journal, run_id)
    caller = {"account": "1" * 12, "arn": "arn:aws:sts::111111111111:assumed-role/ops/me", "endpoint": None}
    written.write(
        "run", format_version=1, run_id=run_id, command="tag-instances", case=case, caller=caller,
        started="2026-11-23T17:45:01Z", items=1, argv=["tag-instances", "i-1"], roles={}, home_region="eu-west-1",
    )  # fmt: skip
    after = more.pop("after", {})
    before: dict[str, Any] = {"CadoResponseSSMEnabled": None, **dict.fromkeys(after), **more.pop("before", {})}
    after = dict.fromkeys(before) | {"CadoResponseSSMEnabled": "True"} | after
    line: dict[str, Any] = {
        **PLACE, "instance_id": "i-1", "name": name, "state": "running", "action": "tag", "before": None,
        "after": "True", "claims": [], "outcome": "planned", "warnings": [], "error": None, "tags_before": before,
        "tags_after": after,
    }  # fmt: skip
    written.write("plan", **PLACE, changes=[line])
    written.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
    result: dict[str, Any] = {"outcome": "changed", "error": None, "warnings": [], "tags_after": after}
    written.write("outcome", **PLACE, results={"i-1": result | {"outcome": "unknown", "request_id": "req-1"}})
    written.write("outcome", **PLACE, results={"i-1": result | {"request_id": None}})
    if more.get("end", True):
        written.write("end", finished="2026-11-23T17:45:09Z", status="success", summary={})
    written.close()
    return written.path


def runs_in(result: Result) -> list[tuple[dict[str, Any], list[bytes]]]:
    """An export taken apart: what is said of each run, and its lines."""
    rest = iter(result.out.encode("utf-8", "surrogateescape").split(b"\n")[:-1])
    return [(about, [next(rest) for _ in range(about["lines"])]) for about in map(json.loads, rest)]


def verified_head(lines: list[bytes]) -> str:
    head = ""
    for line in lines:
        head = unseal(line, head)["hash"]
    return head


ONE, TWO, THREE = (f"20261123T17450{n}Z-aaaaa{n}" for n in (1, 2, 3))


def test_a_real_run_and_its_undo_verified_from_the_export_alone(cli: Cli, sandbox: Any) -> None:
    cli.json("tag-instances", *WEB, "--case", "IR-42")
    cli.json("tag-instances", *WEB, "--case", "IR-43")
    cli.json("runs", "undo", "last", "--yes")
    sandbox.calls.clear()
    result = cli("runs", "export", "--of-case", "IR-42")
    assert sandbox.calls == [], "the journal is read without AWS"
    assert result.code == 0, result.err
    ours = [path for path in run_files(cli.journal) if read_run(path).header["case"] == "IR-42"]
    exported = runs_in(result)
    assert [about["run_id"] for about, _ in exported] == [path.stem for path in ours]
    for (about, lines), path in zip(exported, ours, strict=True):
        assert b"".join(line + b"\n" for line in lines) == path.read_bytes()
        assert list(about) == ["export", "run_id", "lines", "head", "verified", "problems", "torn"]
        assert (about["export"], about["verified"], about["problems"], about["torn"]) == (1, True, [], None)
        assert verified_head(lines) == about["head"] == read_run(path).head
        assert about["head"] in result.err
    html = cli("runs", "export", "last", "--format", "html")
    assert html.code == 0
    shown = Page(html.out)
    assert_harmless(shown)
    run = read_run(run_files(cli.journal)[-1])
    assert run.head in shown.text
    assert run.head in html.err
    for key, each in run.results.items():
        assert key[2] in shown.text
        assert each["outcome"] in shown.text


def test_the_runs_that_are_named_in_their_order_each_once(offline: Cli) -> None:
    for run_id in (ONE, TWO, THREE):
        journal(offline, run_id)
    result = offline("runs", "export", "last", ONE, THREE)
    assert result.code == 0
    assert [about["run_id"] for about, _ in runs_in(result)] == [THREE, ONE]


def test_all_runs_of_a_case_together_oldest_first(offline: Cli) -> None:
    for run_id, case in ((THREE, "IR-42"), (ONE, "IR-42"), (TWO, "IR-43")):
        journal(offline, run_id, case)
    result = offline("runs", "export", "--of-case", "IR-42")
    assert [about["run_id"] for about, _ in runs_in(result)] == [ONE, THREE]
    shown = Page(offline("runs", "export", "--of-case", "IR-42", "--format", "html").out)
    assert "Case IR-42" in shown.text
    assert "2 runs" in shown.text
    assert 0 < shown.text.index(f"\nRun {ONE}") < shown.text.index(f"\nRun {THREE}")
    assert TWO not in shown.text


def test_a_run_for_others_that_changed_the_cases_claims_is_part_of_it(offline: Cli) -> None:
    journal(offline, ONE)
    journal(offline, TWO, None, before={"cado-ops:case/IR-42": "-"})
    journal(offline, THREE, None, before={"cado-ops:case/IR-43": "-"})
    result = offline("runs", "export", "--of-case", "IR-42")
    assert result.code == 0
    assert [about["run_id"] for about, _ in runs_in(result)] == [ONE, TWO]
    assert f"{TWO}, of no case, changed claims of IR-42" in result.err
    listed = offline.json("runs", "list", "--of-case", "IR-42")
    assert [item["run_id"] for item in listed.json["items"]] == [ONE, TWO]
    assert THREE not in result.err


def test_runs_with_claims_that_are_due(offline: Cli) -> None:
    past, future = "2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"
    journal(offline, ONE, after={"cado-ops:case/IR-42": past})
    journal(offline, TWO, "IR-43", after={"cado-ops:case/IR-43": past, "cado-ops:case/IR-44": future})
    journal(offline, THREE, "IR-44")

    def listed(*argv: str) -> list[str]:
        return [item["run_id"] for item in offline.json("runs", "list", "--expired", *argv).json["items"]]

    assert listed() == [ONE, TWO]
    assert listed("--of-case", "IR-43") == [TWO]
    assert listed("--of-case", "IR-44") == []
    assert [about["run_id"] for about, _ in runs_in(offline("runs", "export", "--expired"))] == [ONE, TWO]
    nothing = offline("runs", "export", "--expired", "--of-case", "IR-44")
    assert (nothing.code, nothing.out) == (2, "")
    assert "due" in nothing.err
    assert offline("runs", "export", ONE, "--expired").code == 2
    ended = journal(offline, "20261123T174509Z-aaaaa9", None, before={"cado-ops:case/IR-42": past})
    assert listed() == [TWO], "a later run ended it"
    ended.write_bytes(ended.read_bytes()[:-9] + b"edited!!\n")
    told = offline("runs", "export", "--expired")
    assert told.code == 3
    assert f"{ended.name}: it was changed, so its claims are not known" in told.err


@pytest.mark.parametrize("form", ["jsonl", "html"])
def test_an_edited_line_is_told_and_the_document_written_all_the_same(offline: Cli, form: str) -> None:
    journal(offline, ONE)
    path = journal(offline, TWO)
    path.write_bytes(path.read_bytes().replace(b"web-01", b"web-99"))
    result = offline("runs", "export", ONE, TWO, "--format", form)
    assert result.code == 3
    assert "line 2 was changed" in result.err
    assert f"run {TWO}: 6 lines, NOT verified" in result.err
    if form == "jsonl":
        (good, _), (bad, lines) = runs_in(result)
        assert (good["verified"], good["problems"]) == (True, [])
        assert (bad["verified"], bad["lines"]) == (False, 6)
        assert bad["problems"] == ["line 2 was changed: its hash does not match"]
        assert b"".join(line + b"\n" for line in lines) == path.read_bytes(), "as it stands"
        with pytest.raises(ValueError, match="hash"):
            verified_head(lines)
    else:
        shown = Page(result.out)
        assert "BROKEN" in shown.text
        assert "line 2 was changed" in shown.text
        assert "web-99" in shown.text


@pytest.mark.parametrize("spoiled", [b"", b"garbage", b"\xff\xfe\x00", b"[]", b'{"record":"plan","changes":"ab"}'])
@pytest.mark.parametrize("number", range(6))
def test_a_spoiled_line_stops_nothing(offline: Cli, number: int, spoiled: bytes) -> None:
    path = journal(offline, ONE)
    lines = path.read_bytes().split(b"\n")
    lines[number] = spoiled
    path.write_bytes(b"\n".join(lines))
    result = offline("runs", "export", "last")
    assert result.code == 3
    [(about, exported)] = runs_in(result)
    assert exported == lines[:-1]
    assert about["verified"] is False
    page = offline("runs", "export", "last", "--format", "html")
    assert page.code == 3
    assert_harmless(Page(page.out))


@pytest.mark.parametrize("edit", [(b"IR-42", b"IR-43"), (b'{"record":"run"', b'{"record":"rnu"')])
def test_a_run_whose_case_was_edited_away_is_missed(offline: Cli, edit: tuple[bytes, bytes]) -> None:
    journal(offline, ONE)
    path = journal(offline, TWO)
    path.write_bytes(path.read_bytes().replace(*edit))
    result = offline("runs", "export", "--of-case", "IR-42")
    assert result.code == 3
    assert [about["run_id"] for about, _ in runs_in(result)] == [ONE]
    assert f"{TWO}.jsonl: its first line was changed, so its case is not known" in result.err


@pytest.mark.parametrize(
    "edit",
    [
        (b'"outcome":"changed"', b'"outcnme":"changed"'),
        (b'"caller":{', b'"caller":7,"x":{'),
        (b'"summary":{}', b'"summary":7'),
        (b'"changes":[', b'"changes":[7,'),
        (b'"format_version":1', b'"format_version":2'),
    ],
)
@pytest.mark.parametrize("newer", [False, True])
def test_one_bad_file_costs_no_other(offline: Cli, edit: tuple[bytes, bytes], newer: bool) -> None:
    """What reads all journals warns of the bad one, and goes on."""
    journal(offline, ONE)
    bad = journal(offline, TWO)
    assert edit[0] in bad.read_bytes()
    bad.write_bytes(bad.read_bytes().replace(*edit))
    if newer:
        bad.unlink()
        written = Journal(offline.journal, TWO)
        written.write("run", format_version=2, run_id=TWO, command="new", case="IR-42")
        written.close()
    listed = offline.json("runs", "list")
    assert listed.code == (3 if newer else 0), listed.err
    assert ONE in {item["run_id"] for item in listed.json["items"]}
    assert f"{TWO}.jsonl" in listed.err
    exported = offline("runs", "export", "--of-case", "IR-42")
    assert exported.code == 3, "it may be a run of the case"
    assert f"{TWO}.jsonl" in exported.err
    assert (ONE, True) in [(about["run_id"], about["verified"]) for about, _ in runs_in(exported)]
    if not newer:
        assert offline.json("runs", "show", TWO).code == 0
        assert offline.json("runs", "show", TWO, "--verify").code == 3


def test_a_line_end_that_was_written_over_is_shown(offline: Cli) -> None:
    path = journal(offline, ONE)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert offline("runs", "show", ONE, "--verify").code == 3
    result = offline("runs", "export", ONE)
    [(about, lines)] = runs_in(result)
    assert (result.code, about["verified"], about["torn"]) == (3, False, None)
    assert lines[-1] == path.read_bytes().splitlines()[-1]


def test_what_was_done_stands_even_where_its_plan_was_edited_away(offline: Cli) -> None:
    path = journal(offline, ONE)
    path.write_bytes(path.read_bytes().replace(b'"changes":[{', b'"chances":[{'))
    shown = Page(offline("runs", "export", "last", "--format", "html").out)
    assert "i-1" in shown.text
    assert "CreateTags req-1" in shown.text


def test_a_torn_line_is_no_edit(offline: Cli) -> None:
    path = journal(offline, ONE, end=False)
    path.write_bytes(path.read_bytes() + b'{"record":"end","n":6,"pr\xff')
    result = offline("runs", "export", "last")
    assert result.code == 0
    [(about, lines)] = runs_in(result)
    assert len(lines) == 5
    assert about["verified"] is True
    assert about["torn"] == '{"record":"end","n":6,"pr\xff'
    assert "torn" in about["problems"][0]
    assert "torn" in result.err
    assert "no end" in result.err
    shown = Page(offline("runs", "export", "last", "--format", "html").out)
    assert "Statusinterrupted" in shown.text
    assert "line 6 is torn" in shown.text


def test_a_resumed_run(offline: Cli) -> None:
    path = journal(offline, ONE, end=False)
    path.write_bytes(path.read_bytes() + b'{"rec')
    again, _ = Journal.reopen(path)
    assert "Statusat work" in Page(offline("runs", "export", "last", "--format", "html").out).text
    again.write("resume", started="2026-11-23T18:00:00Z", caller={"arn": "arn:second"}, argv=["runs", "resume"])
    again.write("end", finished="2026-11-23T18:00:09Z", status="success", summary={})
    again.close()
    result = offline("runs", "export", "last")
    assert result.code == 0
    [(about, lines)] = runs_in(result)
    assert verified_head(lines) == about["head"]
    shown = Page(offline("runs", "export", "last", "--format", "html").out)
    assert "2026-11-23T18:00:00Z by arn:second" in shown.text
    assert "kept in line 6" in shown.text
    assert "Statussuccess" in shown.text


def test_what_a_run_at_work_writes_meanwhile_is_left_out(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal(offline, ONE, end=False)
    at_work, before = Journal.reopen(path)

    def read_slowly(path: Path) -> Any:
        record = read_run(path)
        at_work.write("intent", **PLACE, call="DeleteTags", tags={}, ids=["i-1"])
        return record

    monkeypatch.setattr("cado_ops.cli.runs_export.read_run", read_slowly)
    result = offline("runs", "export", ONE)
    at_work.close()
    assert result.code == 0
    [(about, lines)] = runs_in(result)
    assert len(lines) == before.lines
    assert verified_head(lines) == about["head"] == before.head


def test_a_request_id_outlives_the_second_look(offline: Cli) -> None:
    journal(offline, ONE)
    shown = Page(offline("runs", "export", "last", "--format", "html").out)
    assert "CreateTags req-1" in shown.text
    assert "changed" in shown.text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_text(offline: Cli, name: str) -> None:
    path = journal(offline, ONE, name=name)
    html = offline("runs", "export", "last", "--format", "html")
    assert html.code == 0
    assert_harmless(Page(html.out))
    html.out.encode()
    lines = offline("runs", "export", "last")
    assert lines.out.isascii()
    assert lines.out.encode().endswith(path.read_bytes())


@POSIX
@pytest.mark.parametrize("form", ["jsonl", "html"])
def test_out_writes_a_new_private_file(offline: Cli, tmp_path: Path, form: str) -> None:
    journal(offline, ONE)
    file = tmp_path / f"case.{form}"
    umask = os.umask(0)
    try:
        result = offline("runs", "export", "last", "--format", form, "--out", str(file))
    finally:
        os.umask(umask)
    assert (result.code, result.out) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_run(offline.runs()[0]).head in result.err
    assert read_run(offline.runs()[0]).head in file.read_text()
    before = file.read_bytes()
    again = offline("runs", "export", "last", "--format", form, "--out", str(file))
    assert (again.code, again.out) == (2, "")
    assert "is there already" in again.err
    assert file.read_bytes() == before


@POSIX
def test_out_follows_no_link(offline: Cli, tmp_path: Path) -> None:
    journal(offline, ONE)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert offline("runs", "export", "last", "--out", str(link)).code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_out_in_the_journals_folder_would_be_taken_for_a_run(offline: Cli) -> None:
    journal(offline, ONE)
    result = offline("runs", "export", "last", "--out", str(offline.journal / "zz.jsonl"))
    assert (result.code, result.out) == (2, "")
    assert len(offline.runs()) == 1


def test_out_where_nothing_can_be_written(offline: Cli, tmp_path: Path) -> None:
    journal(offline, ONE)
    result = offline("runs", "export", "last", "--out", str(tmp_path / "no" / "file"))
    assert (result.code, result.out) == (1, "")
    assert "cannot be written" in result.err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((), "either runs, or --of-case or --expired"),
        (("last", "--of-case", "IR-42"), "either runs, or --of-case or --expired"),
        (("2030",), "there is no run '2030'"),
        (("2026",), "2 runs begin with"),
        (("--of-case", "IR-99"), "no run of the case IR-99"),
        (("--of-case", "not a case"), "--of-case"),
        (("last", "--format", "pdf"), "it takes jsonl, html"),
        (("last", "--format", ""), "--format is empty"),
        (("last", "--out", ""), "--out is empty"),
        (("last", "-o", "json"), "-o"),
    ],
)
def test_wrong_usage_is_exit_2_and_an_empty_stdout(offline: Cli, argv: tuple[str, ...], told: str) -> None:
    journal(offline, ONE)
    journal(offline, TWO)
    result = offline("runs", "export", *argv)
    assert (result.code, result.out) == (2, "")
    assert told in result.err


def test_a_file_without_a_whole_line_is_no_run(offline: Cli) -> None:
    journal(offline, ONE)
    (offline.journal / f"{TWO}.jsonl").write_bytes(b'{"record":"run","n":1')
    assert offline("runs", "export", "last").code == 2
    result = offline("runs", "export", "--of-case", "IR-42")
    assert result.code == 0, "it was cut off before it changed anything"
    assert len(runs_in(result)) == 1


def test_settings_for_reports_change_no_document(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    journal(offline, ONE)
    plain = offline("runs", "export", "last")
    monkeypatch.setenv("CADO_OPS_OUTPUT", "json")
    assert offline("runs", "export", "last") == plain


def test_bytes_go_to_stdout_as_they_are(offline: Cli) -> None:
    """A stream with an encoding and line ends of its own changes nothing."""
    path = journal(offline, ONE)
    raw = path.read_bytes().replace(b"web-01", b"web-\xff\xfe")
    path.write_bytes(raw)
    out = io.BytesIO()
    world = World(stdout=io.TextIOWrapper(out, encoding="ascii", newline="\r\n"), stderr=io.StringIO())
    assert main(["runs", "export", "last"], world) == 3
    assert out.getvalue().endswith(b"\n" + raw)
    assert b"\r" not in out.getvalue()


def test_it_asks_aws_nothing_and_does_not_load_its_sdk(offline: Cli) -> None:
    journal(offline, ONE)
    program = (
        "import sys\nfrom cado_ops.cli.app import main\n"
        "code = main(['runs', 'export', 'last', '--format', 'html'])\n"
        "sys.exit(code or bool({'boto3', 'botocore', 'moto'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


class TestTheDocumentsSnippet:
    """docs/evidence.md: how anybody verifies an export without this program."""

    @pytest.fixture
    def verify(self, tmp_path: Path) -> Any:
        [snippet] = re.findall(r"^```python\n(.*?)^```", EVIDENCE.read_text(encoding="utf-8"), re.DOTALL | re.M)
        assert "cado_ops" not in snippet
        (tmp_path / "verify.py").write_text(snippet)

        def run(document: bytes) -> subprocess.CompletedProcess[str]:
            (tmp_path / "export.jsonl").write_bytes(document)
            command = [sys.executable, "-I", "verify.py", "export.jsonl"]
            return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

        return run

    @pytest.fixture
    def export(self, offline: Cli) -> bytes:
        for run_id in (ONE, TWO):
            journal(offline, run_id)
        return offline("runs", "export", ONE, TWO).out.encode()

    def test_it_prints_the_heads(self, offline: Cli, export: bytes, verify: Any) -> None:
        done = verify(export)
        assert done.returncode == 0, done.stderr
        heads = [f"{path.stem} {read_run(path).head}" for path in offline.runs()]
        assert done.stdout.splitlines() == heads

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"web-01", b"web-99"), (b"req-1", b"req-2"), (b'"n":3,', b'"n":4,'), (b"success", b"error")],
    )
    def test_it_finds_an_edit(self, export: bytes, verify: Any, old: bytes, new: bytes) -> None:
        done = verify(export.replace(old, new, 1))
        assert done.returncode == 1
        assert f"{ONE}: line" in done.stderr

    @pytest.mark.parametrize("number", range(1, 7))
    def test_it_finds_a_line_taken_out(self, export: bytes, verify: Any, number: int) -> None:
        lines = export.split(b"\n")
        first = json.loads(lines[0])
        lines[0] = json.dumps(first | {"lines": first["lines"] - 1}).encode()
        del lines[number]
        assert verify(b"\n".join(lines)).returncode == 1

    def test_it_finds_a_cut(self, export: bytes, verify: Any) -> None:
        assert verify(export[: export.rindex(b'{"record":"end"')]).returncode == 1

    def test_it_finds_a_line_sealed_anew_in_the_middle(self, export: bytes, verify: Any) -> None:
        lines = export.split(b"\n")
        body = {key: value for key, value in json.loads(lines[2]).items() if key != "hash"}
        lines[2] = seal(body | {"region": "us-east-1"})[0].rstrip(b"\n")
        assert "line 3 was changed" in verify(b"\n".join(lines)).stderr


def test_the_line_before_each_run_in_the_docs_is_the_one_that_is_written(offline: Cli) -> None:
    journal(offline, ONE)
    [(about, _)] = runs_in(offline("runs", "export", "last"))
    [shown] = re.findall(r"^```json\n(.*?)^```", EVIDENCE.read_text(encoding="utf-8"), re.DOTALL | re.M)
    assert list(json.loads(shown)) == list(about)
