"""The documents name what there is, their links lead somewhere, and their JSON and TOML can be read."""

from __future__ import annotations

import io
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cado_ops.cli.app import main
from cado_ops.cli.commands import COMMANDS
from cado_ops.cli.options import ALL_OPTIONS
from cado_ops.cli.policy_show import NAMES
from cado_ops.cli.settings import load
from cado_ops.cli.world import World
from cado_ops.model import Outcome, Status
from cado_ops.render.columns import layout
from cado_ops.verdict.denial.known_acquisition import STATUSES
from cado_ops.verdict.denial.lookup import KNOWN

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_name
def test_links_lead_to_files(page: Path):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings: letters, digits, - and _, in small; of a second like it, with -1."""
    found: list[str] = []
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for heading in re.findall(r"^#+ +(.*?) *$", text, re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.append(name)
    like = [found[:number].count(name) for number, name in enumerate(found)]
    return {f"{name}-{count}" if count else name for name, count in zip(found, like, strict=True)}


@by_name
def test_links_lead_to_headings(page: Path):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]*)\)", page.read_text(encoding="utf-8"))
    inside = [(page.parent / target if target else page, anchor) for target, anchor in links if "://" not in target]
    assert [anchor for target, anchor in inside if anchor not in anchors(target)] == []


@by_name
def test_blocks_can_be_read(page: Path):
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.M):
        if language == "json":
            json.loads(block)
        if language == "toml":
            tomllib.loads(block)


def test_the_settings_in_the_documents_are_settings(tmp_path: Path):
    for number, page in enumerate(PAGES):
        for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.M):
            file = tmp_path / f"{number}.toml"
            file.write_text(block)
            assert load([each.setting for each in ALL_OPTIONS], {}, file, explicit=True).file


def test_the_reference_has_every_command():
    listed = set(re.findall(r"`cado-ops ([a-z][a-z-]*)", REFERENCE))
    assert set(COMMANDS) <= listed
    assert listed - set(COMMANDS) == set()


def test_the_reference_has_every_option():
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", REFERENCE))
    assert {each.setting.flag for each in ALL_OPTIONS} - named == set()


def test_the_reference_names_no_option_that_is_not_there():
    known = {each.setting.flag for each in ALL_OPTIONS} | {"--help", "--version", "--install-completion"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", REFERENCE)) - known == set()


@pytest.mark.parametrize("command", ["tag-instances", "status", "check", "targets", "runs list", "explain"])
def test_the_reference_has_every_field(command: str):
    rows = [line for line in REFERENCE.splitlines() if line.startswith("|") and f"`{command}`" in line]
    fields = layout(command, []).fields
    assert any(all(f"`{name}`" in row for name in fields) for row in rows)


def test_the_reference_has_every_outcome_and_status():
    assert [word for word in (*Outcome, *Status) if f"`{word}`" not in REFERENCE] == []


def test_the_reference_has_every_kind_of_error():
    [table] = re.findall(r"^\| about \| `kind` \|\n(.*?)\n\n", REFERENCE, re.DOTALL | re.M)
    named = set(re.findall(r"`([a-z-]+)`", table))
    assert ({known.kind for known in KNOWN} | {kind for kind, _ in STATUSES.values()}) - named == set()
    code = "".join(path.read_text() for path in (ROOT / "cado_ops" / "verdict" / "denial").glob("*.py"))
    # What stands there and is no kind of a table's is said somewhere else in the code.
    assert [kind for kind in sorted(named) if f'"{kind}"' not in code] == []


def test_flags_only_are_named_as_such():
    [line] = [line for line in REFERENCE.splitlines() if line.startswith("- Flags only")]
    assert [each.setting.flag for each in ALL_OPTIONS if each.setting.flag_only
            and f"`{each.setting.flag}`" not in line] == []  # fmt: skip


SHOWN = re.findall(
    r"^```\ncado-ops (policy show [^\n]*)\n```\n\n```json\n(.*?)^```",
    (ROOT / "docs" / "operator-policy.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.parametrize(("command", "document"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_policies_in_the_documents_are_what_is_rendered(command: str, document: str):
    out = io.StringIO()
    assert main(shlex.split(command), World(stdout=out, stderr=io.StringIO())) == 0
    assert out.getvalue() == document


def test_every_policy_of_the_operator_is_documented():
    shown = {command.split()[2] for command, _ in SHOWN}
    assert shown == {"operator", "operator-trust", "operator-caller", "tag-guard"}
    blocks = (ROOT / "docs" / "operator-policy.md").read_text(encoding="utf-8").count("```json")
    assert blocks == len(SHOWN), "none is written by hand"


def test_the_reference_has_every_policy():
    assert [name for name in NAMES if f"| `{name}` |" not in REFERENCE] == []
