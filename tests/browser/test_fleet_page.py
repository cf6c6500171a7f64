"""The fleet's page as a person meets it: with a mouse, a keyboard or a screen reader, and on paper."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from cado_ops.render.fleet_page import OPEN_AT_FIRST, Fleet
from tests.browser.conftest import EU, HOSTILE, LAB, PROD, US, Shown, fleet, standing

pytestmark = pytest.mark.xdist_group("browser")  # one browser, in whatever process

# "Contrast (Minimum)", WCAG 2.2: 4.5 to 1 for text of this size. Returns what falls short.
CONTRAST = """
const light = (color) => {
  const parts = color.match(/[\\d.]+/g).map(Number);
  const [r, g, b] = parts.map((part) => part / 255).map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const color = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$|^transparent$/.test(color)) return color;
  }
  return "rgb(255, 255, 255)";
};
const bad = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest("script, .skip, .spoken")) continue;
  const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < 4.5) bad.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent}`);
}
return bad;
"""


def test_it_asks_for_nothing_but_itself(shown: Shown) -> None:
    assert shown.driver.title == "Fleet status 2026-11-24T08:00:00Z"
    assert shown.one("h1").is_displayed()
    assert shown.requests() == [shown.url]
    assert shown.told() == []


def test_its_policy_is_in_force(shown: Shown) -> None:
    """What the page itself does not hold cannot run, load or be styled."""
    shown.run("""
        const markup = "<img src='http://127.0.0.1:9/x'><p style='color: red'>x</p>";
        document.body.insertAdjacentHTML("beforeend", markup);
        const script = document.createElement("script");
        script.textContent = "document.title = 'hit'";
        document.body.append(script);
    """)
    assert len([each for each in shown.told() if "Content Security Policy" in each]) == 3
    assert shown.driver.title != "hit"


def test_markup_stays_text(shown: Shown) -> None:
    assert shown.names() == ["web-10", "web-9", "–", HOSTILE]
    assert shown.all("img") == []
    assert len(shown.all("script")) == 1
    assert shown.driver.title != "hit"
    assert f"Production {HOSTILE}" in shown.one(f"#in-{PROD}-{EU} h3").text


def test_sorting(shown: Shown) -> None:
    head = shown.all(f"#in-{PROD}-{EU} table.instances thead th")[1]
    assert head.get_attribute("aria-sort") == "none"
    button = head.find_element("css selector", "button")
    button.click()
    # As people count, and what has no name comes last.
    assert shown.names() == [HOSTILE, "web-9", "web-10", "–"]
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    assert shown.names() == ["web-10", "web-9", HOSTILE, "–"]
    assert head.get_attribute("aria-sort") == "descending"
    shown.all(f"#in-{PROD}-{EU} table.instances thead button")[5].click()
    assert shown.names()[0] == "web-9", "by the agent"
    assert head.get_attribute("aria-sort") == "none"
    assert shown.names(US) == ["db-01", "db-02"], "each list by itself"


def test_search(shown: Shown) -> None:
    found = shown.one("#found")
    assert found.text == "7 rows"
    find = shown.one("#find")
    find.send_keys("Production WEB-")
    assert shown.names() == ["web-10", "web-9"]
    assert not shown.one(f"#in-{PROD}-{US}").is_displayed()
    assert found.text == "2 of 7 rows, in 1 of 2 lists"
    assert found.get_attribute("role") == "status", "a screen reader is told"
    find.clear()
    find.send_keys("f" * 64)
    assert found.text == "1 of 7 rows, in 1 of 2 lists"
    assert shown.names() == []
    assert shown.one("table.grants tbody tr").is_displayed()
    find.clear()
    find.send_keys("nowhere")
    assert found.text == "0 of 7 rows, in 0 of 2 lists"
    find.clear()
    find.send_keys(" ")
    assert len(shown.names() + shown.names(US)) == 6


@pytest.mark.parametrize(
    ("marks", "names"),
    [
        (["untagged"], [HOSTILE, "db-01", "db-02"]),
        (["mistagged"], ["db-02"]),
        (["offline"], ["web-9", "db-01"]),
        (["disks"], [HOSTILE, "db-01", "db-02"]),
        (["due"], ["web-10"]),
        (["untagged", "offline"], ["db-01"]),
    ],
)
def test_filters(shown: Shown, marks: list[str], names: list[str]) -> None:
    for mark in marks:
        shown.one(f"input[value={mark}]").click()
    assert shown.names() + shown.names(US) == names


def test_a_number_of_the_picture_leads_to_its_list(shown: Shown) -> None:
    shown.one("#close").click()
    assert not any(each.get_attribute("open") for each in shown.all("details"))
    shown.one(f".matrix a[href='#in-{PROD}-{US}']").click()
    assert shown.names(US) == ["db-01", "db-02"]
    assert shown.focused().startswith(f"{PROD} Production")
    assert shown.names() == [], "the others stay closed"
    assert "not read" in shown.one(".matrix td.unread").text
    assert LAB in shown.one("table.matrix").text


def test_many_lists_are_closed_at_first_and_open_for_what_is_found(show: Callable[[Fleet], Shown]) -> None:
    many = fleet()
    more = tuple(standing(100 + number, f"more-{number}") for number in range(OPEN_AT_FIRST))
    shown = show(replace(many, cells=[replace(many.cells[0], standings=more), many.cells[1]]))
    assert shown.names() == []
    shown.one("#find").send_keys("more-7")
    assert shown.names() == ["more-7"]
    shown.one("#find").clear()
    shown.one("#find").send_keys("x\ue003")
    assert shown.names() == [], "closed again"


def test_the_keyboard_alone(shown: Shown) -> None:
    tab, enter, space = "\ue004", "\ue007", "\ue00d"
    shown.press(tab)
    assert shown.focused() == "Skip to the instances"
    assert shown.one(".skip").is_displayed(), "seen when it has the focus"
    shown.press(enter)
    shown.press(tab)
    shown.press("web")
    assert shown.names() == ["web-10", "web-9"]
    shown.press(tab, space)
    assert shown.one("input[value=untagged]").is_selected()
    shown.press(space)
    for _ in range(30):
        shown.press(tab)
        if shown.focused() == "name":
            break
    outline = shown.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is seen"
    shown.press(enter)
    assert shown.names() == ["web-9", "web-10"]
    shown.press(space)
    assert shown.names() == ["web-10", "web-9"]


def test_what_a_screen_reader_gets(shown: Shown) -> None:
    nodes = [node for node in shown.cdp("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]

    def named(role: str) -> list[str]:
        return [node.get("name", {}).get("value", "") for node in nodes if node["role"]["value"] == role]

    assert named("searchbox") == ["Search"]
    assert len(named("table")) == 6
    for role in ("table", "button", "link", "checkbox", "heading", "region", "columnheader", "rowheader"):
        assert named(role), role
        assert all(named(role)), f"each {role} has a name"
    assert {"navigation", "search", "main", "banner"} & {node["role"]["value"] for node in nodes} >= {
        "search",
        "main",
    }
    levels = shown.run("return [...document.querySelectorAll('h1,h2,h3')].map((each) => +each.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(shown: Shown, scheme: str) -> None:
    shown.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    paper = shown.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]
    assert shown.run(CONTRAST) == []


def test_a_narrow_screen_scrolls_tables_and_not_the_page(shown: Shown) -> None:
    shown.cdp("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
    assert shown.run("return document.documentElement.scrollWidth") <= 360
    assert shown.one("#find").is_displayed()


def test_on_paper(shown: Shown) -> None:
    shown.one("#close").click()
    shown.one("#find").send_keys("db-")
    shown.one("#close").click()
    shown.run(
        "addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('[open]').length })"
    )
    pdf = base64.b64decode(shown.driver.print_page())
    assert pdf.startswith(b"%PDF")
    assert shown.run("return window.printed") == 2, "what was closed is printed all the same"
    assert shown.all("details[open]") == [], "and closed again"
    shown.cdp("Emulation.setEmulatedMedia", media="print")
    assert not shown.one("#find").is_displayed()
    assert shown.one("#found").is_displayed(), "that it is not all is said"
    assert shown.told() == []


def test_without_its_script_all_of_it_is_there(shown: Shown) -> None:
    shown.cdp("Emulation.setScriptExecutionDisabled", value=True)
    shown.driver.get(shown.url + "#x")
    shown.driver.refresh()
    assert not shown.one(".tools").is_displayed()
    assert shown.all("th button") == []
    assert shown.names() == ["web-10", "web-9", "–", HOSTILE]
    assert shown.requests().count(shown.url) >= 1


def test_nothing_in_scope(show: Callable[[Fleet], Shown]) -> None:
    shown = show(replace(fleet(), cells=[]))
    assert "None in what could be read." in shown.one("main").text
    assert shown.all(".tools") == []
    assert shown.told() == []
