"""Every command of docs/runbooks, in order, as it stands there: so that they cannot rot."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.functional.conftest import Cli, Terminal

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
NAMES = sorted(path.name for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")


def commands(name: str) -> list[str]:
    text = (RUNBOOKS / name).read_text(encoding="utf-8")
    return [line for block in BLOCK.findall(text) for line in block.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_holds(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At a terminal, where every question is answered with yes."""
    monkeypatch.chdir(tmp_path)
    if name == "clean-up.md":
        for earlier in ("tag-a-fleet.md", "encrypted-disk.md"):
            play(cli, earlier, monkeypatch)
        monkeypatch.delenv("CADO_OPS_CASE")
        monkeypatch.delenv("CADO_OPS_CADO_ROLE")
    assert play(cli, name, monkeypatch) >= 4


def play(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch) -> int:
    done = 0
    for line in commands(name):
        expected = int(found[1]) if (found := EXIT.search(line)) else 0
        first, *argv = shlex.split(line, comments=True)
        if first == "export":
            variable, _, value = argv[0].partition("=")
            monkeypatch.setenv(variable, value)
            continue
        assert first == "cado-ops", line
        result = cli(*argv, stdin=Terminal("yes\n"), stderr=Terminal())
        assert result.code == expected, f"{name}: {line}\n{result.out}\n{result.err}"
        done += 1
    return done


def test_every_runbook_is_named_in_the_list_of_them() -> None:
    listed = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(([a-z-]+\.md)\)", listed) == [
        "triage-one-instance.md", "encrypted-disk.md", "tag-a-fleet.md", "clean-up.md", "a-denial.md",
    ]  # fmt: skip
    assert sorted(re.findall(r"\]\(([a-z-]+\.md)\)", listed)) == NAMES
