"""Tables, summaries, plans and progress: what people get."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cado_ops.model import Caller, ErrorInfo, Failure, Report, Status
from cado_ops.render.plan import plan_counts, prompt_block, render_plan
from cado_ops.render.progress import Progress
from cado_ops.render.report import write_report

ACCOUNT, REGION, INSTANCE = "111111111111", "ap-southeast-1", "i-0123456789abcdef0"
KEY, GRANT = "1234abcd-12ab-34cd-56ef-1234567890ab", "0c237476b39f8bc4" * 4
ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/me"
SUMMARY = {
    "targets": 8, "targets_failed": 1, "targets_left_out": 1, "selected": 43, "planned": 38, "changed": 37,
    "unchanged": 3, "skipped": 2, "drifted": 0, "failed": 1, "unknown": 0, "allowed": 0, "denied": 0,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tagged(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "account": ACCOUNT, "region": REGION, "instance_id": f"i-{number:017x}", "name": "web", "state": "running",
        "action": "tag", "before": None, "after": "True", "claims": ["IR-42"], "outcome": "changed",
        "warnings": [], "error": None, **fields,
    }  # fmt: skip


def grant(**fields: Any) -> dict[str, Any]:
    return {
        "account": ACCOUNT, "region": REGION, "key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY}",
        "grant_id": GRANT, "name": "cado-ops/IR-42/-/ab", "grantee_principal": f"arn:aws:iam::{ACCOUNT}:role/Cado",
        "retiring_principal": None, "issuing_account": None, "operations": ["Decrypt", "DescribeKey"],
        "creation_date": None, "case": "IR-42", "expires_at": None, "owner": "ours", "serves": [], "action": "none",
        "outcome": "listed", "warnings": [], "error": None, **fields,
    }  # fmt: skip


SAMPLES: dict[str, list[dict[str, Any]]] = {
    "tag-instances": [
        tagged(1), tagged(2, action="retag", before="true", name="a very long name " * 9),
        tagged(3, action="none", outcome="skipped", before="no " * 30, after="no " * 30, warnings=["on purpose"]),
    ],
    "kms list": [grant(), grant(owner="service")],
    "check": [{
        "account": ACCOUNT, "region": REGION, "instance_id": INSTANCE,
        "routes": {"triage": "ready", "disk": "blocked"},
        "findings": [
            {"check": "ssm", "status": "ok", "detail": "online", "fix": None},
            {"check": "kms-key", "status": "block", "detail": "may not decrypt", "fix": "cado-ops kms grant"},
        ],
    }],
    "explain": [{
        "kind": "access-denied", "action": "kms:CreateGrant", "resource": None, "principal": None,
        "denied_by": "scp", "explicit": True, "policy_arn": None, "cause": "many words " * 20, "fix": "short",
    }],
    "policy check": [{
        "account": ACCOUNT, "source": f"arn:aws:iam::{ACCOUNT}:role/{'R' * 60}", "rule": "star",
        "severity": "error", "statement": "S", "message": "too wide", "fix": None,
    }],
    "targets": [{
        "account": ACCOUNT, "name": "n" * 60, "region": REGION, "role_arn": f"arn:aws:iam::{ACCOUNT}:role/ops",
        "included": False, "reason": "denied by an organisation policy, " * 4,
    }],
    "status": [{
        "account": ACCOUNT, "region": REGION, "instances": 12000, "tagged": 37, "mistagged": 1, "ssm_online": 30,
        "disks_ready": None, "grants": 4, "due": None,
    }],
    "runs list": [{
        "run_id": "20261123T174501Z-7f3a9c", "command": "untag-instances", "case": "IR-42",
        "started": "2026-11-23T17:45:01Z", "finished": None, "caller": ARN, "status": "success", "changed": 12,
    }],
}  # fmt: skip


def rendered(
    items: list[dict[str, Any]],
    command: str = "tag-instances",
    *,
    terminal: bool = False,
    environ: Mapping[str, str] | None = None,
    width: int | None = None,
    query: str | None = None,
    **fields: Any,
) -> tuple[str, str]:
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    report = Report(command=command, status=fields.pop("status", Status.SUCCESS), items=items, **fields)
    write_report(report, output="table", query=query, stdout=out, stderr=err, environ=environ or {}, width=width)
    return out.getvalue(), err.getvalue()


def widest(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def failures() -> list[Failure]:
    error = ErrorInfo("AccessDenied", "not authorized", "check the trust policy")
    return [Failure("4" * 12, region, "assume-role", error) for region in ("us-east-1", "eu-west-1")]


# -- width


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("command", SAMPLES)
def test_nothing_is_wider_than_the_screen(command: str, width: int) -> None:
    out, err = rendered(SAMPLES[command], command, width=width, failures=failures(), summary=SUMMARY)
    limit = max(width, 74) if command in ("kms list", "policy check") else width
    assert widest(out) <= limit  # a grant id or an ARN that is wider than the screen stays whole all the same
    assert widest(err) <= width


@pytest.mark.parametrize("width", [60, 80, 200, None])
@pytest.mark.parametrize("terminal", [True, False])
def test_ids_are_whole_at_any_width(width: int | None, terminal: bool) -> None:
    for command in SAMPLES:
        out, _ = rendered(SAMPLES[command], command, width=width, terminal=terminal, environ={"NO_COLOR": "1"})
        for item in SAMPLES[command]:
            for key in ("account", "region", "instance_id", "run_id"):
                assert str(item.get(key, "")) in out
            # As much of a grant's id as kms retire needs.
            assert (item.get("grant_id") or "")[:12] in out


def test_80_columns() -> None:
    out, _ = rendered(SAMPLES["tag-instances"], width=80)
    assert out.splitlines()[0].split() == ["account", "region", "instance", "name", "change", "outcome"]
    assert "-→True" in out
    assert "true→True" in out
    assert re.search("  a v[a-z ]+…  true→True", out)


def test_200_columns_show_more() -> None:
    out, _ = rendered(SAMPLES["tag-instances"], width=200)
    assert out.splitlines()[0].split() == [
        "account", "region", "instance", "name", "state", "action", "change", "claims", "outcome",
    ]  # fmt: skip


def test_a_pipe_cuts_nothing_off() -> None:
    out, _ = rendered(SAMPLES["tag-instances"])
    assert "…" not in out
    assert ("a very long name " * 9).strip() in out
    assert rendered(SAMPLES["tag-instances"], environ={"COLUMNS": "80"})[0].count("…") > 0
    grants, _ = rendered(SAMPLES["kms list"], "kms list")
    assert [line for line in grants.splitlines() if GRANT in line and KEY in line and ACCOUNT in line]


def test_columns_without_anything_in_them_are_left_out() -> None:
    header = rendered([tagged(name="", claims=[])], width=200)[0].splitlines()[0].split()
    assert "name" not in header
    assert "claims" not in header
    assert rendered(SAMPLES["status"], "status", width=80)[0].splitlines()[2].split()[-1] == "?"  # not known


# -- control characters, colour, markup


def test_no_escapes_in_a_pipe_whatever_the_environment_asks() -> None:
    environ = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    bad = [tagged(1, outcome="failed", name="\x1b[31mred", error={"code": "X", "message": "\x1b]0;title\x07"})]
    for text in rendered(bad, environ=environ, failures=failures(), status=Status.ERROR):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_no_color(environ: dict[str, str]) -> None:
    for text in rendered(SAMPLES["tag-instances"], terminal=True, environ=environ, width=80):
        assert "\x1b" not in text


def test_colour_on_a_terminal() -> None:
    out, err = rendered(
        [tagged(outcome="failed")], terminal=True, environ={"TERM": "xterm"}, status=Status.ERROR, width=80
    )
    assert "\x1b[1;31mfailed" in out
    assert "\x1b[1;31merror" in err
    _, err = rendered([tagged()], terminal=True, environ={"TERM": "xterm"}, status=Status.PARTIAL, width=80)
    assert "\x1b[33mpartial" in err


def test_data_is_no_markup() -> None:
    out, err = rendered([tagged(name="[bold]x[/] :smile:")], notes=["[red]y[/]"])
    assert "[bold]x[/] :smile:" in out
    assert "next: [red]y[/]" in err


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec=None), max_size=40), min_size=1, max_size=3))
def test_any_name_leaves_the_table_in_shape(names: list[str]) -> None:
    out, _ = rendered([tagged(number, name=name) for number, name in enumerate(names)], width=80)
    lines = out.splitlines()
    assert len(lines) == 2 + len(names)
    assert all(line.startswith(ACCOUNT) and line.endswith("changed") for line in lines[2:])
    assert widest(out) <= 80


# -- long lists


def many(number: int) -> list[dict[str, Any]]:
    return [
        tagged(n, account=f"{n % 3:012}", region=("eu-west-1", "us-east-1")[n % 2],
               outcome=("changed", "unchanged")[n % 5 == 0], action=("tag", "none")[n % 5 == 0])
        for n in range(number)
    ]  # fmt: skip


def test_up_to_forty_items_are_shown_one_by_one() -> None:
    assert len(rendered(many(40))[0].splitlines()) == 42
    assert len(rendered(many(41))[0].splitlines()) == 2 + 12


def test_ten_thousand_items_are_counted_quickly() -> None:
    items = many(10_000)
    wrong = {"outcome": "failed", "error": {"code": "Denied", "message": "no", "hint": "ask"}}
    items += [tagged(20_000 + n, **wrong) for n in range(60)]
    items += [tagged(30_000 + n, warnings=[f"warning of its own {n}"]) for n in range(60)]
    began = time.perf_counter()
    out, _ = rendered(items, width=80)
    assert time.perf_counter() - began < 2
    header, _, *rows = out.split("\n\n")[0].splitlines()
    assert header.split() == ["account", "region", "action", "outcome", "count"]
    assert sum(int(row.split()[-1]) for row in rows) == 10_120
    assert rows == sorted(rows)
    assert out.count("i-") == 50
    assert out.count("… and 35 more: -o json shows all") == 2
    assert out.index("failed Denied: no") < out.index("warning: warning of its own 0")
    assert widest(out) <= 80


def test_very_many_groups_are_put_together_by_region() -> None:
    status = [
        {**SAMPLES["status"][0], "account": f"{n // 20:012}", "region": f"r-{n % 20}", "instances": 1}
        for n in range(200)
    ]
    out, _ = rendered(status, "status", width=80)
    assert len(out.splitlines()) == 12
    assert out.splitlines()[2].split()[:5] == ["0" * 12, "20", "regions", "20", "740"]
    assert out.splitlines()[2].split()[-1] == "?"


def test_a_sum_over_what_is_partly_unknown_is_a_least_one() -> None:
    status = [
        {
            **SAMPLES["status"][0],
            "account": f"{n // 20:012}",
            "region": f"r-{n % 20}",
            "grants": None if n % 20 else 4,
        }
        for n in range(200)
    ]
    out, _ = rendered(status, "status", width=80)
    assert out.splitlines()[2].split()[-2:] == ["4+", "?"]


def test_targets_without_an_item_have_rows_of_their_own() -> None:
    gaps = [
        {"account": "4" * 12, "region": None, "gap": "not read", "reason": "assume-role: AccessDenied"},
        {"account": ACCOUNT, "region": "zz-1", "gap": "left out", "reason": "--exclude-region"},
    ]
    for width, reasons in ((80, False), (120, True)):
        out, _ = rendered(SAMPLES["status"], "status", width=width, gaps=gaps)
        assert widest(out) <= width
        mine, left_out, not_read = out.splitlines()[2:]
        assert mine.split()[2] == "12000"
        assert "left out" in left_out
        assert left_out.split()[:2] == [ACCOUNT, "zz-1"]
        assert not_read.split()[:4] == ["4" * 12, "-", "not", "read"]
        assert ("assume-role: AccessDenied" in not_read) is reasons
    many = [{**SAMPLES["status"][0], "account": f"{n // 20:012}", "region": f"r-{n % 20}"} for n in range(200)]
    out, _ = rendered(many, "status", width=80, gaps=gaps)
    assert sum("not read" in line or "left out" in line for line in out.splitlines()) == 2
    assert widest(out) <= 80


@pytest.mark.parametrize("command", SAMPLES)
def test_every_command_has_its_long_list(command: str) -> None:
    out, _ = rendered(SAMPLES[command] * 50, command, width=80)
    assert widest(out) <= 80
    assert len(out.splitlines()) < (60 if command not in ("runs list", "explain") else 10_000)


# -- remarks, failures, summary


def test_equal_remarks_are_said_once() -> None:
    items = [tagged(n, warnings=["claimed by IR-7"]) for n in range(2)]
    out, _ = rendered(items, width=80)
    assert out.count("claimed by IR-7") == 1
    assert f"  {ACCOUNT} {REGION} i-00000000000000000, i-00000000000000001\n" in out


def test_what_mends_a_finding_is_one_line() -> None:
    fix = "cado-ops kms grant " + "--instance-id i-0123456789abcdef0 " * 5
    item = {**SAMPLES["check"][0], "findings": [{"check": "k", "status": "block", "detail": "d", "fix": fix}]}
    assert f"  fix: {fix.strip()}\n" in rendered([item], "check", width=80)[0]


def test_failures_are_grouped_by_what_they_say() -> None:
    _, err = rendered([], failures=[*failures(), Failure(None, None, "select", ErrorInfo("NotFound", "x"), "i-1")])
    assert err.splitlines()[:3] == [
        "failed: select i-1 NotFound: x",
        "failed: 444444444444 (eu-west-1, us-east-1) assume-role AccessDenied: not authorized",
        "  hint: check the trust policy",
    ]


def test_many_failures_are_cut() -> None:
    several = [Failure(f"{n:012}", "eu-west-1", "read", ErrorInfo("Denied", f"no {n}")) for n in range(300)]
    _, err = rendered([], failures=several)
    assert err.count("failed:") == 25
    assert "… and 275 failures more: -o json shows all" in err


def test_summary_line() -> None:
    run, caller = "20261123T174501Z-7f3a9c", Caller(ACCOUNT, ARN, "http://127.0.0.1:5000")
    _, err = rendered([tagged()], summary=SUMMARY, run_id=run, caller=caller, status=Status.PARTIAL)
    assert err == (
        "partial: 37 changed, 3 unchanged, 2 skipped, 1 failed · 8 targets, 1 failed, 1 left out"
        f" · run {run} · endpoint http://127.0.0.1:5000 (not AWS)\n"
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": Status.PLANNED, "dry_run": True, "summary": {"planned": 4, "allowed": 4}},
         "planned: 4 planned, 4 allowed · dry run, nothing was changed"),
        ({"status": Status.REFUSED, "summary": {"planned": 4}}, "refused: 4 planned, nothing was changed"),
        ({"status": Status.INTERRUPTED, "summary": {"planned": 4, "changed": 1}},
         "interrupted: 4 planned, 1 changed"),
        ({"summary": {"targets": 1, "selected": 0}}, "success: nothing selected · 1 target"),
        ({}, "success: nothing to show"),
        ({"notes": ["warning: nothing matched", "next: x", "cado-ops y"]},
         "success: nothing to show\nwarning: nothing matched\nnext: x\nnext: cado-ops y"),
    ],
)  # fmt: skip
def test_summary_of(fields: dict[str, Any], says: str) -> None:
    out, err = rendered([], **fields)
    assert out == ""
    assert err == says + "\n"


# -- query


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("items[].{id: instance_id, n: name}", ["id                   n", "─" * 24, "i-00000000000000000  web"]),
        ("items[].[instance_id, name]", ["i-00000000000000000  web"]),
        ("items[].instance_id", ["i-00000000000000000"]),
        ("length(items)", ["1"]),
        ("dry_run", ["false"]),
        ("nothing", ["-"]),
        ("items[?name=='x']", []),
        ("{a: status, b: summary.x}", ["a  success", "b  7"]),
    ],
)
def test_query_as_a_table(query: str, lines: list[str]) -> None:
    assert rendered([tagged()], query=query, summary={"x": 7})[0].splitlines() == lines


# -- plan


def test_a_plan_shows_what_would_be_done() -> None:
    items = [
        tagged(1, outcome="planned"),
        tagged(2, outcome="planned", action="retag", before="true"),
        tagged(3, outcome="skipped", action="none", warnings=["on purpose"]),
    ]
    err = io.StringIO()
    render_plan(items, command="tag-instances", stderr=err, environ={}, width=80)
    lines = err.getvalue().splitlines()
    assert lines[0] == "plan: 1 to tag, 1 to retag, 1 skipped · 1 account"
    assert [line.split()[-1] for line in lines[3:6]] == ["tag", "retag", "skipped"]
    assert "warning: on purpose" in lines
    assert plan_counts(items) == {"tag": 1, "retag": 1}
    render_plan([], command="tag-instances", stderr=err, environ={})
    assert "plan: nothing to do" in err.getvalue()


def test_a_long_plan_of_grants_tells_who_gets_them() -> None:
    err = io.StringIO()
    items = [grant(grant_id=None, action="create", outcome="planned") for _ in range(60)]
    render_plan(items, command="kms grant", stderr=err, environ={}, width=80)
    assert "plan: 60 to create" in err.getvalue()
    assert f"{ACCOUNT}:role/Cado" in err.getvalue()
    assert widest(err.getvalue()) <= 80


def test_prompt_block() -> None:
    accounts = {f"{n:012}": ("prod\x1b" if n == 0 else None) for n in range(12)}
    lines = prompt_block(ARN, "http://127.0.0.1:5000", accounts, {"tag": 3, "retag": 0}).splitlines()
    assert lines[:4] == [
        f"caller    {ARN}",
        "endpoint  http://127.0.0.1:5000 (not AWS)",
        "accounts  12",
        "          000000000000 prod\\x1b",
    ]
    assert lines[-2:] == ["          … and 2 more", "changes   tag 3"]
    assert "endpoint" not in prompt_block(ARN, None, accounts, {})


# -- progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_says_nothing_about_quick_work() -> None:
    err, clock = io.StringIO(), Clock()
    with Progress(err, {}, clock) as progress:
        progress.phase("reading", 10)
        for _ in range(10):
            clock.now += 0.4
            progress.advance()
    assert err.getvalue() == ""


def test_progress_without_a_terminal_is_a_line_now_and_then() -> None:
    err, clock = io.StringIO(), Clock()
    with Progress(err, {"FORCE_COLOR": "1"}, clock) as progress:
        progress.phase("reading\n", 10)
        for _ in range(30):
            clock.now += 1
            progress.advance()
            progress.grow(40)
        clock.now += 10
        progress.phase("tagging")
    assert err.getvalue().splitlines() == [
        "reading\\n: 5 of 40", "reading\\n: 15 of 40", "reading\\n: 25 of 40", "tagging: 0",
    ]  # fmt: skip


def test_quiet_progress() -> None:
    for err in (io.StringIO(), Terminal()):
        clock = Clock()
        with Progress(err, {"TERM": "xterm"}, clock, quiet=True) as progress:
            progress.phase("reading")
            clock.now += 60
            progress.advance()
        assert err.getvalue() == ""


def test_progress_on_a_terminal_is_a_bar_that_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    err = Terminal()
    with Progress(err, {"TERM": "xterm", "COLUMNS": "80"}, Clock()) as progress:
        progress.phase("reading [bold]", 2)
        progress.advance()
        progress.grow(3)
        progress.phase("tagging", 1)
        progress.advance()
        print("out")  # noqa: T201
    assert "reading [bold]" in err.getvalue()
    assert "tagging" in err.getvalue()
    assert err.getvalue().endswith("\x1b[1A\x1b[2K")
    assert capsys.readouterr().out == "out\n"
