"""Whatever a name, a tag or an error says: tables, csv, JSON, pages and prompts stay what they are."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from cado_ops.model import Caller, ErrorInfo, Failure, LeftOut, Report, Status
from cado_ops.render.plan import prompt_block, render_plan
from cado_ops.render.report import write_report
from cado_ops.render.screen import Screen
from cado_ops.render.summary import show_failures
from cado_ops.visible import sanitize
from tests.hostile_text import HOSTILE, hostile, raw
from tests.unit.html_page import Page
from tests.unit.test_render_case_file import case_run
from tests.unit.test_render_case_file import item as case_item
from tests.unit.test_render_case_file import page as case_page
from tests.unit.test_render_fleet_page import DUE, EU, GRANT, PROD, cell, standing
from tests.unit.test_render_fleet_page import page as fleet_page
from tests.unit.test_render_people import SAMPLES, Terminal, grant, rendered, tagged, widest

few = settings(max_examples=50, deadline=None)
fewer = settings(max_examples=25, deadline=None)
# What only a spreadsheet acts upon is tried with the spreadsheet.
OF_OTHERS = {kind: text for kind, text in HOSTILE.items() if not kind.startswith("formula")}


def items(command: str, text: str) -> list[dict[str, Any]]:
    """Two items that differ in nothing but what others wrote: the first says "web" there, the second ``text``."""

    def one(number: int, said: str) -> dict[str, Any]:
        match command:
            case "tag-instances":
                return tagged(number, name=said, before=said, after=said, claims=[said])
            case "kms list":
                return grant(name=said, grantee_principal=said, key_arn=f"arn:aws:kms:x/{said}", operations=[said])
            case "policy check":
                return {**SAMPLES[command][0], "source": said, "statement": said, "severity": ""}
            case "targets":
                return {**SAMPLES[command][0], "name": said, "reason": said}
        return {**SAMPLES[command][0], "caller": said}

    return [one(1, "web"), one(2, text)]


TABLES = ("tag-instances", "kms list", "policy check", "targets", "runs list")


def in_cells(line: str) -> str:
    """A line with a character for each cell: where columns begin can be counted in it."""
    return "".join(char + "\0" * (cell_len(char) - 1) for char in line if cell_len(char))


def assert_in_columns(out: str) -> None:
    """Before each heading, every line has two blanks: no cell has moved the next one."""
    head, _, *rows = out.splitlines()
    begins = [found.start() for found in re.finditer(r"(?<=  )\S", head)]
    # Numbers stand at the right of their column.
    begins = begins[:-1] if head.endswith("changed") else begins
    for row in map(in_cells, rows):
        assert {row[at - 2 : at].strip(" ") for at in begins if at < len(row)} <= {""}, (head, row)


@fewer
@given(hostile)
def test_a_table_has_its_lines_its_columns_and_its_width(text: str) -> None:
    for command in TABLES:
        for width in (80, 200):
            out, err = rendered(items(command, text), command, width=width)
            assert raw(out + err) == []
            lines = out.splitlines()
            assert (len(lines), err.count("\n")) == (4, 1), command
            assert_in_columns(out)
            assert widest(out) <= width


@fewer
@given(hostile)
def test_on_a_terminal_nothing_has_a_colour_but_what_is_ours(text: str) -> None:
    environ = {"TERM": "xterm-256color"}
    usual, _ = rendered(items("tag-instances", "web"), terminal=True, environ=environ, width=80)
    out, err = rendered(items("tag-instances", text), terminal=True, environ=environ, width=80)
    assert raw(out + err, colours=True) == []
    assert out.count("\n") == usual.count("\n")
    # "-", for what is empty, is dim.
    assert set(re.findall(r"\x1b\[[0-9;]*m", out)) <= {*re.findall(r"\x1b\[[0-9;]*m", usual), "\x1b[2m"}


def everywhere(text: str) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    """A command, its items and its report, with ``text`` wherever AWS, a file or a journal may have put it."""
    error = {"code": text, "message": text, "hint": text}
    info = ErrorInfo(text, text, text)
    wrong = tagged(1, name=text, outcome="failed", error=error, warnings=[text])
    failures = [Failure(text, text, text, info, id=text), Failure(None, None, "observe", info)]
    caller = Caller("1" * 12, text, text)
    yield "tag-instances", [wrong], {"failures": failures, "caller": caller, "notes": [text], "run_id": text}
    finding = {"check": "tag", "status": "block", "detail": text, "fix": text}
    yield "check", [{**SAMPLES["check"][0], "findings": [finding]}], {}
    yield "policy check", [{**SAMPLES["policy check"][0], "message": text, "statement": text, "fix": text}], {}
    yield "explain", [dict.fromkeys(SAMPLES["explain"][0], text)], {}
    yield "runs list", [dict.fromkeys(SAMPLES["runs list"][0], text)], {}


def lines_of(text: str) -> list[int]:
    """How many lines each stream has, of each command."""
    outputs = [output for command, there, more in everywhere(text) for output in rendered(there, command, **more)]
    assert raw("".join(outputs)) == []
    return [output.count("\n") for output in outputs]


def test_what_stands_beneath_a_table_forges_no_line() -> None:
    usual = lines_of("web")
    assert [kind for kind, text in OF_OTHERS.items() if lines_of(text) != usual] == []


def test_a_query_s_answer_shows_keys_and_values_as_one_line_each() -> None:
    for kind, text in OF_OTHERS.items():
        out, _ = rendered(items("tag-instances", text), query="items[].name")
        assert (raw(out), out.count("\n")) == ([], 2), kind
        for query in ("items[].x", "items[].x | [0]"):
            out, _ = rendered([{"x": {text: text}}], query=query)
            # A table has a heading and a line beneath it.
            assert (raw(out), out.count("\n")) == ([], 3 if query.endswith("x") else 1), kind
            assert sanitize(text).strip()[:40] in out, kind


def test_the_plan_and_the_prompt_forge_no_line() -> None:
    def shown(said: str) -> str:
        err = io.StringIO()
        change = tagged(1, name=said, outcome="planned", warnings=[said])
        render_plan([change], command="tag-instances", stderr=err, environ={})
        return err.getvalue() + prompt_block(said, said, {PROD: said}, {"tag": 1}, [said])

    usual = shown("web").count("\n")
    for kind, text in OF_OTHERS.items():
        said = shown(text)
        assert (raw(said), said.count("\n")) == ([], usual), kind


def test_failures_that_say_the_same_are_one_line_however_hostile() -> None:
    for text in HOSTILE.values():
        err = io.StringIO()
        same = [Failure(PROD, region, "observe", ErrorInfo("X", text)) for region in ("a", "b")]
        show_failures(Screen(err, {}), same)
        assert (raw(err.getvalue()), err.getvalue().count("\n")) == ([], 1)


# -- csv, json


def written(there: list[dict[str, Any]], output: str, command: str = "tag-instances", **fields: Any) -> str:
    out = io.StringIO()
    report = Report(command=command, status=Status.SUCCESS, items=there, **fields)
    write_report(report, output=output, stdout=out, stderr=Terminal(), environ={})  # type: ignore[arg-type]
    return out.getvalue()


FORMULA = re.compile(r"[\s\"]*[=+\-@\t\r＝＋－＠﹦﹢﹣﹫−]")


@few
@given(hostile)
def test_no_cell_of_a_csv_is_a_formula_whatever_parts_the_cells(text: str) -> None:
    error = {"code": text, "message": text}
    out = written([tagged(1, name=text, claims=["x", text], warnings=[text], before=text, error=error)], "csv")
    assert raw(out) == []
    assert out.count("\n") == 2
    for delimiter in ",;":
        for row in csv.reader(io.StringIO(out), delimiter=delimiter):
            assert [each for each in row if FORMULA.match(each)] == []
    [row] = csv.DictReader(io.StringIO(out))
    # What is there is the text, made visible, with apostrophes before formulas and nothing else.
    assert row["name"].replace("'", "") == sanitize(text).replace("'", "")


@few
@given(hostile)
def test_json_and_ndjson_round_trip_and_are_a_line_for_each_record(text: str) -> None:
    there = [tagged(1, name=text, warnings=[text], tags={text: text})]
    failures = [Failure(PROD, EU, "observe", ErrorInfo(text, text, text), id=text)]
    whole = written(there, "json", failures=failures)
    lines = written(there, "ndjson", failures=failures)
    assert raw(whole + lines, marks=False) == []
    assert whole.count("\n") == written([tagged(1, name="web", warnings=["web"], tags={"a": "b"})], "json",
                                        failures=[Failure(PROD, EU, "observe", ErrorInfo("a", "b", "c"), id="d")]
                                        ).count("\n")  # fmt: skip
    assert json.loads(whole)["items"] == there
    records = [json.loads(line) for line in lines.split("\n")[:-1]]
    assert [each["type"] for each in records] == ["item", "failure", "summary"]
    assert records[0] == {"type": "item", **there[0]}
    assert records[1]["error"] == {"code": text, "message": text, "hint": text}


# -- pages


@cache
def pages(text: str) -> tuple[Page, Page]:
    error = {"code": text, "message": text, "hint": text}
    run = case_run(
        header={"command": text, "case": text, "argv": [text], "caller": {"arn": text, "endpoint": text}},
        items=[case_item(name=text, claims=[text], warnings=[text], error=error, tags_before={text: text},
                         tags_after={text: "x"})],
        failures=[{"account": text, "region": text, "stage": text, "id": text, "error": error}],
    )  # fmt: skip
    info = ErrorInfo(text, text, text)
    fleet = fleet_page(
        cell(standing(name=text, state=text, tag=text, tagging="otherwise", ssm=text, remarks=(text,)),
             grants=((GRANT, DUE),)),
        failures=[Failure(PROD, "us-east-1", "observe", info, id=text),
                  Failure("4" * 12, None, "assume-role", info)],
        left_out=[LeftOut("5" * 12, "us-west-2", text, text)], names={PROD: text}, chosen=text,
        caller=Caller("1" * 12, text, text),
    )  # fmt: skip
    return case_page(run, case=text), fleet


# What stands alone in its element has nothing beside it that could be moved.
ALONE = ("title", "caption")


_OF_PAGES = (
    "colour", "C1 CSI", "new line", "override", "isolates", "zero width", "tag characters", "half a character",
    "zalgo", "Hebrew", "script", "image", "attribute", "address", "style", "comment", "cdata", "entity",
    "closing cells", "format", "256 wide", "mixed",
)  # fmt: skip


@pytest.mark.parametrize("text", [HOSTILE[kind] for kind in _OF_PAGES], ids=_OF_PAGES)
def test_a_page_has_the_elements_of_a_harmless_one_and_isolates_every_name(text: str) -> None:
    for shown, usual in zip(pages(text), pages("web"), strict=True):
        assert [(tag, sorted(attributes)) for tag, attributes in shown.tags] == [
            (tag, sorted(attributes)) for tag, attributes in usual.tags
        ]
        named = ("aria-label",)
        assert [{k: v for k, v in attributes.items() if k not in named} for _, attributes in shown.tags] == [
            {k: v for k, v in attributes.items() if k not in named} for _, attributes in usual.tags
        ]
        assert raw(shown.html) == []
        assert {inside for inside, said in shown.texts if sanitize(text) in said} <= {"bdi", "code", *ALONE}


def test_a_name_from_right_to_left_takes_no_other_word_of_the_page_with_it() -> None:
    """What stands beside it is in an element of its own, or in none."""
    name = HOSTILE["Hebrew"]
    for shown in pages(name):
        assert f"<code>{name}" not in shown.html, "code says its own direction"
        for inside, said in shown.texts:
            if name in said and inside not in ALONE:
                assert (
                    said.strip()
                    in (
                        name,
                        *(f"{before} {name}" for before in ("Case", "observe:", "assume-role:", PROD, "5" * 12)),
                    )
                    or inside == "code"
                )
