"""The case file: one page that loads nothing, whatever the names in it say."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.render.case_file import CaseRun, case_file
from tests.unit.html_page import Page, assert_harmless

RUN = "20261123T174501Z-7f3a9c"
HEAD = "e3d90f6e50106d42ecb561485bba95555e349f6b99ad749afe1adbc437d2a258"


def item(**fields: Any) -> dict[str, Any]:
    return {
        "account": "222222222222", "region": "eu-west-1", "instance_id": "i-0123456789abcdef0", "name": "web-01",
        "state": "running", "action": "tag", "claims": ["IR-42"], "outcome": "changed", "warnings": [],
        "error": None, "tags_before": {"CadoResponseSSMEnabled": None},
        "tags_after": {"CadoResponseSSMEnabled": "True"}, "requests": ["CreateTags 11-22"], **fields,
    }  # fmt: skip


def case_run(**fields: Any) -> CaseRun:
    header = {
        "command": "tag-instances", "case": "IR-42", "started": "2026-11-23T17:45:01Z",
        "caller": {"account": "1" * 12, "arn": "arn:aws:sts::111111111111:assumed-role/ops/me", "endpoint": None},
        "argv": ["tag-instances", "--filter", "tag:Name=a b"], "roles": {"role_name": "Op", "role_arns": {}},
    }  # fmt: skip
    usual: dict[str, Any] = {
        "run_id": RUN, "status": "success", "head": HEAD, "lines": 6, "verified": True, "header": header,
        "end": {"finished": "2026-11-23T17:45:09Z"}, "items": [item()],
    }  # fmt: skip
    return CaseRun(**(usual | fields))


def page(*runs: CaseRun, case: str | None = "IR-42") -> Page:
    return Page("".join(case_file(runs or (case_run(),), case=case, made="2026-11-24T08:00:00Z", version="9.9")))


def test_it_loads_nothing_and_says_so() -> None:
    shown = page()
    assert_harmless(shown)
    [policy] = [each["content"] for each in shown.of("meta") if "http-equiv" in each]
    [style] = [text for tag, text in shown.texts if tag == "style"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "unsafe" not in policy


def test_everything_that_is_known_of_a_run_is_there() -> None:
    run = case_run(
        problems=["line 7 is torn"], recovered=[5], lines=6,
        resumes=[{"started": "2026-11-23T18:00:00Z", "caller": {"arn": "arn:second"}, "argv": ["runs", "resume"]}],
        items=[item(outcome="failed", warnings=["look out"], requests=["CreateTags 11-22", "DeleteTags 33-44"],
                    error={"code": "TagLimitExceeded", "message": "50 tags", "hint": "remove one"})],
        failures=[{"account": "4" * 12, "region": None, "stage": "assume-role", "id": None,
                   "error": {"code": "AccessDenied", "message": "no", "hint": "ask"}}],
    )  # fmt: skip
    text = page(run).text
    for told in (
        "Case IR-42", RUN, HEAD, "tag-instances", "arn:aws:sts::111111111111:assumed-role/ops/me",
        "cado-ops tag-instances --filter 'tag:Name=a b'", "2026-11-23T17:45:01Z", "2026-11-23T17:45:09Z",
        "verified", "line 7 is torn", "in line 5", "6 lines", "2026-11-23T18:00:00Z by arn:second", "runs resume",
        "i-0123456789abcdef0", "web-01", "CadoResponseSSMEnabled: none → True", "failed", "look out",
        "CreateTags 11-22", "DeleteTags 33-44", "TagLimitExceeded: 50 tags", "hint: remove one", "assume-role",
        "4" * 12, "AccessDenied: no", "hint: ask", "2026-11-24T08:00:00Z", "cado-ops 9.9",
    ):  # fmt: skip
        assert told in text, told


def test_whose_plan_was_applied_and_what_is_undone() -> None:
    header = {"command": "apply", "plan": {"command": "tag-instances", "digest": "d1", "caller": {"arn": "arn:a"}}}
    assert "of tag-instances, made by arn:a, digest d1" in page(case_run(header=header)).text
    assert "Undoes run20261111T" in page(case_run(header={"undoes": "20261111T000000Z-aaaaaa"})).text


def test_an_endpoint_that_is_not_aws_is_told() -> None:
    caller = {"account": "1" * 12, "arn": "arn:a", "endpoint": "http://127.0.0.1:5000"}
    shown = page(case_run(header={"caller": caller}))
    assert "http://127.0.0.1:5000 (not AWS itself)" in shown.text
    assert_harmless(shown)
    assert "EndpointAWS" in page().text


def test_blanks_nothing_and_what_stays_can_be_told_apart() -> None:
    before = {"CadoResponseSSMEnabled": "True ", "cado-ops:case/A": "", "cado-ops:case/B": "-"}
    after = {"CadoResponseSSMEnabled": "True", "cado-ops:case/A": None, "cado-ops:case/B": "-"}
    shown = page(case_run(items=[item(tags_before=before, tags_after=after)]))
    assert '<code dir="ltr">True </code> → <code dir="ltr">True</code>' in shown.html
    assert '<code dir="ltr">cado-ops:case/A</code>: <em>empty</em> → <em>none</em>' in shown.html
    assert '<code dir="ltr">cado-ops:case/B</code>: <code dir="ltr">-</code> (stays)' in shown.html
    assert re.search(r"code \{[^}]*white-space: pre-wrap", shown.html)


def test_a_broken_chain_is_told_at_the_top_and_at_the_run() -> None:
    shown = page(case_run(), case_run(verified=False, problems=["line 3 was changed: <its> hash"]))
    summary, *_, run = shown.text.split("\nRun ")
    assert "1 run cannot be believed" in summary
    assert "BROKEN" in run
    assert "line 3 was changed: <its> hash" in run
    assert "whole in every run" in page().text
    assert "BROKEN" not in page().text


def test_several_runs_have_a_summary_that_leads_to_them() -> None:
    others = ["20261124T000000Z-bbbbbb", "20261125T000000Z-cccccc"]
    shown = page(case_run(), *(case_run(run_id=each, items=[item(outcome="drifted")]) for each in others))
    places = {attributes["id"] for _, attributes in shown.tags if attributes.get("id")}
    assert [(each["href"] or "")[1:] in places for each in shown.of("a")] == [True, True, True]
    assert "3 runs, 1 account, 1 instance, 1 changed, 2 drifted" in shown.text
    found = [shown.text.index(f"\nRun {each}") for each in (RUN, *others)]
    assert found == sorted(found)


def test_items_are_sorted_by_account_region_and_id() -> None:
    items = [
        item(account="3" * 12, name="c"),
        item(region="us-east-1", name="b"),
        item(instance_id="i-0", name="a"),
    ]
    names = re.findall(r"<td><bdi>([abc])</bdi></td>", page(case_run(items=items)).html)
    assert names == ["a", "b", "c"]


def test_it_can_be_read_aloud_printed_and_at_night() -> None:
    shown = page(case_run(failures=[{"stage": "observe"}]))
    assert shown.html.startswith("<!DOCTYPE html>")
    assert shown.of("html") == [{"lang": "en"}]
    assert all(each.get("scope") in ("col", "row") for each in shown.of("th"))
    assert len(shown.of("caption")) == len(shown.of("table")) == 4
    assert [tag for tag, _ in shown.tags if tag in ("h1", "h2", "h3")] == ["h1", "h2", "h2", "h3", "h3", "h2"]
    labels = [each["aria-label"] for each in shown.of("div") if "role" in each]
    assert len(labels) == len(set(labels)) == 3
    assert len(shown.of("title")) == 1
    assert "@media print" in shown.html
    assert "prefers-color-scheme: dark" in shown.html


HOSTILE = (
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "\u202egpj.exe", "\x1b[31mred", "x" * 256,
    '" onclick="alert(1)', "&lt;b&gt;", "a\nb\r\tc", "\ud800", "--><!--", "{title}", "\x9b2J",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_stays_text_wherever_it_comes_from(name: str) -> None:
    error = {"code": name, "message": name, "hint": name}
    run = case_run(
        run_id=name, status=name, head=name, problems=[name],
        header={
            "command": name, "case": name, "started": name, "undoes": name, "argv": [name],
            "caller": {"account": name, "arn": name, "endpoint": name},
            "roles": {"role_name": name, "role_arns": {"1": name}},
            "plan": {"command": name, "digest": name, "caller": {"arn": name}},
        },
        end={"finished": name},
        resumes=[{"started": name, "caller": {"arn": name}, "argv": [name]}],
        items=[item(**dict.fromkeys(("account", "region", "instance_id", "name", "action", "outcome"), name),
                    claims=[name], warnings=[name], requests=[name], error=error, tags_before={name: name},
                    tags_after={name: None})],
        failures=[{"account": name, "region": name, "stage": name, "id": name, "error": error}],
    )  # fmt: skip
    shown = page(run, case=name)
    assert_harmless(shown)
    visible = {
        "\u202egpj.exe": "\\u202egpj.exe", "\x1b[31mred": "\\x1b[31mred", "a\nb\r\tc": "a\\nb\\r\\tc",
        "\ud800": "\\ud800", "\x9b2J": "\\x9b2J",
    }.get(name, name)  # fmt: skip
    assert shown.text.count(visible) >= 35
    assert len(shown.of("style")) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from([*item(), "command", "case", "caller", "argv", "roles", "plan", "undoes", "started"]), JSON
)


@given(FIELDS, FIELDS, st.lists(JSON, max_size=2), st.lists(FIELDS, max_size=2), st.lists(JSON, max_size=2))
def test_what_is_left_of_an_edited_journal_is_shown_whatever_its_shape(
    header: Any, end: Any, resumes: Any, items: Any, failures: Any
) -> None:
    run = case_run(verified=False, header=header, end=end, resumes=resumes, items=items, failures=failures)
    assert_harmless(page(run))
