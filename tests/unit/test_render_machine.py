"""json, ndjson, csv and --query: what scripts get."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import UsageError
from cado_ops.model import Caller, ErrorInfo, Failure, Report, Status
from cado_ops.render.machine import NdjsonStream, sorted_envelope
from cado_ops.render.query import check_query
from cado_ops.render.report import write_report
from cado_ops.visible import sanitize

HOSTILE = "a\x1b[31m\n\r\t\x00\x9b\u202e\u2028\ud800=日本"


def item(**fields: Any) -> dict[str, Any]:
    return {
        "account": "111111111111", "region": "eu-west-1", "instance_id": "i-0123456789abcdef0", "name": "web",
        "state": "running", "action": "tag", "before": None, "after": "True", "claims": [], "outcome": "changed",
        "warnings": [], "error": None, **fields,
    }  # fmt: skip


def failure(account: str | None = "222222222222", region: str | None = "eu-west-1", **fields: Any) -> Failure:
    return Failure(account, region, "assume-role", ErrorInfo("AccessDenied", "no", "mend it"), **fields)


def report(items: list[dict[str, Any]], command: str = "tag-instances", **fields: Any) -> Report:
    return Report(command=command, status=fields.pop("status", Status.SUCCESS), items=items, **fields)


def rendered(what: Report, output: str, query: str | None = None) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    write_report(what, output=output, query=query, stdout=out, stderr=err, environ={})  # type: ignore[arg-type]
    return out.getvalue(), err.getvalue()


# -- json


def test_json_is_the_envelope_sorted_by_account_region_and_id() -> None:
    items = [
        item(account="222222222222"),
        item(region="us-east-1"),
        item(instance_id="i-0b"),
        item(instance_id="i-0a"),
    ]
    failures = [failure("3" * 12), failure(None, None), failure("2" * 12, "us-east-1"), failure("2" * 12)]
    out, err = rendered(report(items, failures=failures, caller=Caller("1" * 12, "arn:aws:iam::1:user/x")), "json")
    data = json.loads(out)
    assert list(data) == [
        "format_version", "command", "status", "dry_run", "run_id", "case", "caller", "summary", "items",
        "failures",
    ]  # fmt: skip
    assert [(each["account"], each["region"], each["instance_id"]) for each in data["items"]] == [
        ("111111111111", "eu-west-1", "i-0a"),
        ("111111111111", "eu-west-1", "i-0b"),
        ("111111111111", "us-east-1", "i-0123456789abcdef0"),
        ("222222222222", "eu-west-1", "i-0123456789abcdef0"),
    ]
    assert [(each["account"], each["region"]) for each in data["failures"]] == [
        (None, None), ("2" * 12, "eu-west-1"), ("2" * 12, "us-east-1"), ("3" * 12, "eu-west-1"),
    ]  # fmt: skip
    assert out.startswith('{\n  "format_version": 1,')
    assert err == ""


def test_grants_are_sorted_by_key_and_grant() -> None:
    pairs = [("b", "x"), ("a", "y"), ("a", None), ("a", "x")]
    grants = [{"account": "1", "region": "r", "key_arn": key, "grant_id": grant} for key, grant in pairs]
    found = sorted_envelope(report(grants, "kms list"))["items"]
    assert [(each["key_arn"], each["grant_id"]) for each in found] == [
        ("a", None), ("a", "x"), ("a", "y"), ("b", "x"),
    ]  # fmt: skip


def test_json_keeps_every_character_and_writes_no_dangerous_one() -> None:
    out, _ = rendered(report([item(name=HOSTILE)]), "json")
    assert json.loads(out)["items"][0]["name"] == HOSTILE
    assert "日本" in out
    assert sanitize(out.replace("\n", "")) == out.replace("\n", "")


def test_json_on_a_stream_that_is_not_unicode() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    write_report(report([item(name=HOSTILE)]), output="json", stdout=stream, stderr=io.StringIO(), environ={})
    assert json.loads(raw.getvalue())["items"][0]["name"] == HOSTILE


@given(st.text(st.characters(codec=None)) | st.from_regex(r"[\x00-\x9f\ud800-\udfff]*", fullmatch=True))
def test_json_round_trip(name: str) -> None:
    out, _ = rendered(report([item(name=name)]), "json")
    assert json.loads(out)["items"][0]["name"] == name


# -- ndjson


class Slow(io.StringIO):
    """Remembers what was flushed when."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def test_ndjson_keeps_the_order_of_completion_and_flushes_what_is_known() -> None:
    stream = Slow()
    lines = NdjsonStream(stream)
    lines.items([item(instance_id="i-9")])
    lines.items([])
    lines.failure(failure())
    lines.items([item(instance_id="i-1", name=HOSTILE)])
    lines.finish(report([item()], run_id="r", summary={"changed": 2}))
    assert [text.count("\n") for text in stream.flushed] == [1, 2, 3, 4]
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["type"] for row in rows] == ["item", "failure", "item", "summary"]
    assert [row.get("instance_id") for row in rows] == ["i-9", None, "i-1", None]
    assert rows[1]["error"]["code"] == "AccessDenied"
    assert list(rows[3]) == [
        "type", "format_version", "command", "status", "dry_run", "run_id", "case", "caller", "summary",
    ]  # fmt: skip


def test_what_is_known_together_is_written_together_and_never_as_one_large_text() -> None:
    stream = Slow()
    NdjsonStream(stream).items(item(instance_id=f"i-{number}") for number in range(1200))
    assert [text.count("\n") for text in stream.flushed] == [500, 1000, 1200]
    assert [json.loads(line)["instance_id"] for line in stream.getvalue().splitlines()] == [
        f"i-{number}" for number in range(1200)
    ]


def test_a_whole_report_as_ndjson() -> None:
    out, err = rendered(report([item(instance_id="i-9"), item(instance_id="i-1")], failures=[failure()]), "ndjson")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row.get("instance_id", row["type"]) for row in rows] == ["i-9", "i-1", "failure", "summary"]
    assert err == ""


# -- csv


def table_of(what: Report) -> list[dict[str, str]]:
    out, _ = rendered(what, "csv")
    assert "\r" not in out
    return list(csv.DictReader(io.StringIO(out)))


COLUMNS = {
    "tag-instances": "account,region,instance_id,name,state,action,before,after,claims,outcome,warnings,error",
    "kms list": "account,region,key_arn,grant_id,name,grantee_principal,retiring_principal,issuing_account,"
    "operations,creation_date,case,expires_at,owner,serves,action,outcome,warnings,error",
    "check": "account,region,instance_id,triage,disk,findings",
    "explain": "kind,action,resource,principal,denied_by,explicit,policy_arn,cause,fix",
    "policy check": "account,source,rule,severity,statement,message,fix",
    "targets": "account,name,region,role_arn,included,reason",
    "status": "account,region,instances,tagged,mistagged,ssm_online,disks_ready,grants,due",
    "runs list": "run_id,command,case,started,finished,caller,status,changed",
}
SAME = {"untag-instances": "tag-instances", "kms grant": "kms list", "kms retire": "kms list",
        "apply": "tag-instances", "runs show": "tag-instances",
        "runs undo": "tag-instances", "runs resume": "tag-instances"}  # fmt: skip


@pytest.mark.parametrize("command", [*COLUMNS, *SAME])
def test_csv_header_is_fixed_and_always_there(command: str) -> None:
    out, _ = rendered(report([], command), "csv")
    assert out == COLUMNS[SAME.get(command, command)] + "\n"


def test_a_run_of_grants_has_the_columns_of_grants() -> None:
    out, _ = rendered(report([{"account": "1", "key_arn": "k"}], "runs undo"), "csv")
    assert out.splitlines()[0] == COLUMNS["kms list"]


def test_csv_cells() -> None:
    [row] = table_of(
        report([item(claims=["IR-1", "IR-2"], error={"code": "Denied", "message": "no", "hint": "x"}, name=True)])
    )
    assert row["claims"] == "IR-1;IR-2"
    assert row["error"] == "Denied: no"
    assert row["before"] == ""
    assert row["name"] == "true"
    finding = {"check": "ssm", "status": "block", "detail": "offline", "fix": "start it"}
    [row] = table_of(
        report([{**item(), "routes": {"triage": "ready", "disk": "blocked"}, "findings": [finding]}], "check")
    )
    assert (row["triage"], row["disk"]) == ("ready", "blocked")
    assert row["findings"] == "block ssm: offline (fix: start it)"


def test_csv_tells_failures_and_the_summary_on_stderr() -> None:
    out, err = rendered(report([item()], failures=[failure()], notes=["cado-ops runs undo last"]), "csv")
    assert "AccessDenied" not in out
    assert "failed: 222222222222 (eu-west-1) assume-role AccessDenied: no\n  hint: mend it\n" in err
    assert err.endswith("next: cado-ops runs undo last\n")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1",
        "\xa0=1",
        "\ufeff=1",
        "＝1",
        "＠x",
        "\n-1",
        "\u200b+1",
    ],
)
def test_csv_has_no_formulas(text: str) -> None:
    [row] = table_of(report([item(name=text, claims=["x", text])]))
    assert row["name"].startswith("'")
    assert row["claims"].startswith("x;'")


def test_csv_has_no_formula_where_semicolons_part_cells() -> None:
    [row] = table_of(report([item(name="x; =cmd")]))
    assert row["name"] == "x;' =cmd"


@given(st.text(st.characters(codec=None)))
def test_any_text_is_one_harmless_cell(name: str) -> None:
    out, _ = rendered(report([item(name=name)]), "csv")
    assert out.count("\n") == 2
    cell = table_of(report([item(name=name)]))[0]["name"]
    assert cell.removeprefix("'") == sanitize(name).removeprefix("'") or ";" in name
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


# -- query


def test_query_of_json() -> None:
    out, _ = rendered(report([item(instance_id="i-2"), item(instance_id="i-1")]), "json", "items[].instance_id")
    assert json.loads(out) == ["i-1", "i-2"]
    assert rendered(report([]), "json", "nothing")[0] == "null\n"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("items[", "at character 7"),
        ("items[?a=b]", "at character 9"),
        ("items[*].a.]", "at character 12"),
        ("'abc", "at character 1"),
        ("", "at character 1"),
        ("   ", "at character"),
        ("items[].{a: foo(@)}", "no function 'foo'"),
        ("sort_by(items)", "takes 2 arguments, not 1"),
        ("not_null()", "takes 1 or more arguments, not 0"),
        ("a\x1b[31m", "\\x1b"),
        ("(" * 5000, ""),
    ],
)
def test_bad_expressions_are_found_beforehand(expression: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_query(expression, "json")
    assert says in caught.value.message
    assert caught.value.message == sanitize(caught.value.message)


@pytest.mark.parametrize("output", ["csv", "ndjson"])
def test_query_needs_json_or_table(output: str) -> None:
    with pytest.raises(UsageError, match=output):
        check_query("items", output)
    check_query(None, output)


@pytest.mark.parametrize("expression", ["items", "merge(a, b, c)", "sort_by(items, &name)[0]", "not_null(a, b)"])
def test_good_expressions_pass(expression: str) -> None:
    check_query(expression, "json")
    check_query(expression, "table")


@pytest.mark.parametrize("expression", ["length(dry_run)", "items[::0]"])
@pytest.mark.parametrize("output", ["json", "table"])
def test_a_query_that_does_not_fit_the_data_loses_nothing(expression: str, output: str) -> None:
    check_query(expression, output)
    out, err = rendered(report([item()]), output, expression)
    assert "i-0123456789abcdef0" in out
    assert "all of it is shown" in err


# -- rooms


@pytest.mark.parametrize(
    "module", ["machine", "query", "report", "plan", "progress", "text", "columns", "grouping"]
)
def test_rich_is_not_imported_where_it_is_not_needed(module: str) -> None:
    code = f"import sys, cado_ops.render.{module}; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.text(st.characters(codec=None)))
def test_sanitize_leaves_one_printable_line_and_is_stable(text: str) -> None:
    safe = sanitize(text)
    assert len(safe.splitlines()) <= 1
    safe.encode()
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in safe)
    assert not set(safe) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert sanitize(safe) == safe


def test_sanitize_makes_visible() -> None:
    assert sanitize("a\x1b[0m\n\u202e\ud800é") == "a\\x1b[0m\\n\\u202e\\ud800é"
