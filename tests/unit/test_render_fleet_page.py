"""The fleet's page: all is on it, nothing runs but our script, what was not read is not shown as nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.model import Caller, Disks, ErrorInfo, Failure, Grant, Held, LeftOut, Standing
from cado_ops.render.fleet_list import FleetCell
from cado_ops.render.fleet_page import OPEN_AT_FIRST, Fleet, fleet_page
from tests.unit.html_page import Page, assert_harmless

ELEMENTS = {
    "script", "details", "summary", "form", "label", "input", "fieldset", "legend", "button", "small", "b", "dl",
    "dt", "dd", "tfoot", "svg", "rect", "path",
}  # fmt: skip
PROD, LAB = "2" * 12, "4" * 12
EU, US = "eu-west-1", "us-east-1"
DUE = Held("IR-7", "2026-11-20T12:00:00Z", True)
GRANT = Grant(
    PROD, EU, f"arn:aws:kms:{EU}:{PROD}:key/aaaa", "f" * 64, None, f"arn:aws:iam::{PROD}:role/Cado", ("Decrypt",)
)


def standing(**fields: Any) -> Standing:
    usual: dict[str, Any] = {
        "instance_id": "i-0123456789abcdef0", "name": "web-01", "state": "running", "tag": "True",
        "tagging": "tagged", "claims": (), "ssm": "Online", "disks": Disks.READY,
    }  # fmt: skip
    return Standing(**(usual | fields))


def cell(
    *standings: Standing, region: str = EU, grants: tuple[tuple[Grant, Held], ...] = (), **counts: Any
) -> FleetCell:
    number = len(standings)
    item: dict[str, Any] = {
        "account": PROD, "region": region, "instances": number, "tagged": number, "mistagged": 0,
        "ssm_online": number, "disks_ready": number, "grants": len(grants), "due": 0,
    }  # fmt: skip
    return FleetCell(item | counts, standings, grants)


def page(*cells: FleetCell, **fields: Any) -> Page:
    summary: Mapping[str, int | None] = {
        "targets": len(cells), "targets_failed": 0, "targets_left_out": 0,
        "instances": sum(each.item["instances"] for each in cells),
    }  # fmt: skip
    usual: dict[str, Any] = {
        "cells": cells, "failures": (), "left_out": (), "summary": summary | fields.pop("summary", {}),
        "caller": Caller("1" * 12, "arn:aws:sts::111111111111:assumed-role/ops/me"), "made": "2026-11-24T08:00:00Z",
        "version": "9.9", "names": {PROD: "Production"},
    }  # fmt: skip
    return Page("".join(fleet_page(Fleet(**(usual | fields)))))


def row_of(shown: Page, words: str) -> str:
    [row] = [row for row in re.findall(r"<tr.*?</tr>", shown.html, re.DOTALL) if words in row]
    return row


def test_it_loads_nothing_and_runs_its_own_script_alone() -> None:
    shown = page(cell(standing()))
    assert_harmless(shown, ELEMENTS)
    [policy] = [each["content"] for each in shown.of("meta") if "http-equiv" in each]
    hashes = {}
    for tag in ("style", "script"):
        [source] = [text for inside, text in shown.texts if inside == tag]
        hashes[tag] = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_all_of_an_instance_is_there() -> None:
    one = standing(
        tag="true", tagging="mistagged", claims=(DUE, Held("IR-8", None, False)), ssm="ConnectionLost",
        disks=Disks.NO_GRANT, remarks=("on the key aaaa",), grants=(Held("IR-9", "2027-01-01T00:00:00Z", False),),
    )  # fmt: skip
    shown = page(cell(one, mistagged=1, tagged=0, due=1), names={PROD: "Production"})
    row = Page(row_of(shown, "i-0123456789abcdef0")).text
    for told in ("web-01", "running", "true", "near miss", "IR-7 2026-11-20T12:00:00Z due", "IR-8 no end",
                 "ConnectionLost", "no grant", "on the key aaaa", "IR-9 2027-01-01T00:00:00Z"):  # fmt: skip
        assert told in row
    assert "222222222222 Production, eu-west-1" in shown.text
    assert "1 instance, 0 tagged, 1 online in SSM, 1 with disks ready, 1 mis-tagged, 1 due" in shown.text


@pytest.mark.parametrize(
    ("fields", "told", "marks"),
    [
        ({}, "True", ""),
        ({"tag": None, "tagging": "untagged"}, "–", "untagged"),
        ({"tag": None, "tagging": "mistagged"}, "the key differs in case", "untagged mistagged"),
        ({"tag": "", "tagging": "otherwise"}, "empty set on purpose", "untagged"),
        ({"tag": "False", "tagging": "otherwise"}, "False set on purpose", "untagged"),
        ({"ssm": None}, "?", "offline"),
        ({"ssm": "not registered"}, "not registered", "offline"),
        ({"ssm": "stopped", "state": "stopped"}, "stopped", "offline"),
        ({"disks": Disks.NOT_READY, "remarks": ("it has no EBS volume",)}, "it has no EBS volume", "disks"),
        ({"disks": Disks.UNKNOWN, "remarks": ("why",)}, "unknown", "disks"),
        ({"disks": Disks.UNREAD, "remarks": ("why",)}, "not read", "disks"),
        ({"claims": (DUE,)}, "due", "due"),
    ],
)
def test_what_the_filters_go_by(fields: dict[str, Any], told: str, marks: str) -> None:
    row = row_of(page(cell(standing(**fields))), "i-0123456789abcdef0")
    assert told in Page(row).text
    assert re.findall('data-is="(.*?)"', row) == ([marks] if marks else [])


def test_the_grants_of_a_cell() -> None:
    shown = page(cell(grants=((GRANT, DUE),)))
    row = Page(row_of(shown, "f" * 64)).text
    for told in (GRANT.key_arn, GRANT.grantee_principal, "Decrypt", "IR-7", "2026-11-20T12:00:00Z due"):
        assert str(told) in row


def test_what_could_not_be_read_is_said_everywhere() -> None:
    denied = ErrorInfo("AccessDenied", "no", "ask for it")
    unread = [
        Failure(LAB, None, "assume-role", denied),
        Failure(PROD, US, "observe", denied),
        Failure(PROD, EU, "ssm", ErrorInfo("Throttled", "later")),
    ]
    aside = [LeftOut("5" * 12, None, "the account is SUSPENDED", "Old"), LeftOut(PROD, "zz-1", "--exclude-region")]
    shown = page(
        cell(standing(ssm=None), ssm_online=None), failures=unread, left_out=aside,
        summary={"targets": 3, "targets_failed": 2, "targets_left_out": 2},
    )  # fmt: skip
    assert "Not the whole picture: 1 target read, 2 could not be read; 3 failures in all, 2 left out" in shown.text
    picture = re.search(r'<table class="matrix">.*?</table>', shown.html, re.DOTALL)
    assert picture is not None
    rows = {re.search(r"\d{12}|all accounts", row)[0]: Page(row).text  # type: ignore[index]
            for row in re.findall(r"<tr>.*?</tr>", picture[0], re.DOTALL)[1:]}  # fmt: skip
    assert "not readassume-role: AccessDenied" in rows[LAB]
    assert "left outthe account is SUSPENDED" in rows["5" * 12]
    assert "Old" in rows["5" * 12]
    for told in ("1 instance", "SSM?", "not readobserve: AccessDenied", "left out--exclude-region", "≥ 1 instance"):
        assert told in rows[PROD]
    assert "≥ 1 instance" in rows["all accounts"]
    assert "Not read, ssm: Throttled: later" in shown.text
    assert "hint: ask for it" in shown.text
    assert "SSM online?of 11 target not known" in shown.text
    assert "Instances≥ 1" in shown.text


def test_a_part_that_could_not_be_read_makes_no_other_number_a_least_one() -> None:
    failure = Failure(PROD, None, "roles", ErrorInfo("GranteeNotFound", "no"))
    shown = page(cell(standing(disks=Disks.UNREAD), disks_ready=None), failures=[failure])
    assert "≥" not in shown.text
    assert "1 target read; 1 failure in all" in shown.text


def test_a_whole_picture_says_so() -> None:
    text = page(cell(standing())).text
    assert "Complete: 1 target read." in text
    assert "could not be read" not in text.replace("? could not be read", "")
    nothing = page(cell())
    assert_harmless(nothing, ELEMENTS)
    assert "None in what could be read." in nothing.text


@pytest.mark.parametrize(
    ("tagged", "told"), [(0, "0 % of 300"), (1, "0 % of 300"), (299, "99 % of 300"), (300, "100 % of 300")]
)
def test_only_all_of_them_are_all(tagged: int, told: str) -> None:
    shown = page(cell(instances=300, tagged=tagged, ssm_online=0, disks_ready=None))
    assert f"Tagged{tagged}{told}" in shown.text
    assert ("bar all" in re.sub('(?s)class="legend".*?</p>', "", shown.html)) is (tagged == 300)


def test_each_number_of_the_picture_leads_to_its_list() -> None:
    shown = page(cell(standing()), cell(region=US), cell(region="zz-1", grants=((GRANT, DUE),)))
    ids = {each.get("id") for _, each in shown.tags}
    links = {(each["href"] or "")[1:] for each in shown.of("a")}
    assert links <= ids
    assert {f"in-{PROD}-{EU}", f"in-{PROD}-zz-1"} <= links
    assert f"in-{PROD}-{US}" not in links, "there is nothing in it"


def test_few_are_open_and_many_are_closed() -> None:
    few, many = (page(cell(*[standing()] * number)) for number in (OPEN_AT_FIRST, OPEN_AT_FIRST + 1))
    assert ["open" in each for shown in (few, many) for each in shown.of("details")] == [True, False]


def test_it_says_where_it_comes_from() -> None:
    shown = page(
        cell(), caller=Caller("1" * 12, "arn:me", "http://127.0.0.1:1"), chosen="instances claimed by IR-1"
    )
    for told in ("2026-11-24T08:00:00Z", "cado-ops 9.9", "arn:me", "This is not AWS", "http://127.0.0.1:1",
                 "Only instances claimed by IR-1"):  # fmt: skip
        assert told in shown.text


def test_tables_are_tables() -> None:
    """Each has a caption and headings with a scope; where it scrolls, a name and the keyboard."""
    shown = page(cell(standing(), grants=((GRANT, DUE),)), left_out=[LeftOut(PROD, US, "why")],
                 failures=[Failure(LAB, None, "assume-role", ErrorInfo("A", "b"))])  # fmt: skip
    assert len(shown.of("caption")) == len(shown.of("table")) == 5
    assert all(each.get("scope") in ("row", "col") for each in shown.of("th"))
    assert all(each.get("aria-label") and each.get("tabindex") == "0" for each in shown.of("div")
               if each.get("class") == "wide")  # fmt: skip
    assert all(each.get("aria-hidden") == "true" for each in shown.of("svg")), "its number stands beside it"


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_place(one: str, other: str) -> None:
    bad = standing(
        instance_id=one, name=other, state=one, tag=other, tagging="otherwise", ssm=one, remarks=(other,),
        claims=(Held(one, other, True),), disks=Disks.UNKNOWN,
    )  # fmt: skip
    shown = page(
        cell(bad, region=one, grants=((GRANT, Held(one, other, False)),)),
        failures=[Failure(one, other, one, ErrorInfo(one, other, one), other)],
        left_out=[LeftOut(other, one, one)],
        names={PROD: one}, chosen=other, caller=Caller(one, other, one), made=one,
    )  # fmt: skip
    assert_harmless(shown, ELEMENTS)
