"""--help, --version and completion: what they say, and how little they load."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from cado_ops import __version__
from cado_ops.cli import front_page
from cado_ops.cli.app import main
from cado_ops.cli.commands import app
from cado_ops.cli.front_page import COMMANDS
from cado_ops.cli.options import ALL_OPTIONS

NAMES = [
    "tag-instances",
    "untag-instances",
    "status",
    "targets",
    "check",
    "explain",
    "kms",
    "kms grant",
    "kms list",
    "kms retire",
    "policy",
    "policy show",
    "runs",
    "runs list",
    "runs show",
    "runs undo",
    "runs resume",
    "runs export",
    "policy tighten",
    "policy check",
    "apply",
    "sandbox",
]


def _help(*argv: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*argv, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _help(*name.split(), capsys=capsys, monkeypatch=monkeypatch)
    assert f"cado-ops {name}" in text
    if name not in ("kms", "policy", "runs"):
        assert "Example:" in text


def test_the_list_of_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = _help(capsys=capsys, monkeypatch=monkeypatch)
    assert all(name in text for name in COMMANDS)
    assert main([]) == 0, "alone, the program explains itself"


def test_options_are_grouped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = _help("tag-instances", capsys=capsys, monkeypatch=monkeypatch)
    panels = ["Which instances", "Where: accounts and regions", "Roles", "Case", "Safety", "Output"]
    assert [panel for panel in panels if panel in text] == panels
    assert "--no-yes" not in text
    assert "INSTANCE" in text


def test_what_must_be_a_flag_is_one() -> None:
    flags_only = {each.name for each in ALL_OPTIONS if each.setting.flag_only}
    assert {"yes", "all", "overwrite", "endpoint-url", "filter", "exclude", "from-finding"} <= flags_only


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cado-ops {__version__}\n"


LOADED = """
import sys
from cado_ops.cli.app import main
main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "argv",
    [
        ["--version"],
        ["--help"],
        ["tag-instances", "--help"],
        ["runs", "list", "--help"],
        ["policy", "check", "--help"],
    ],
)
def test_help_loads_neither_aws_nor_moto(argv: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *argv], capture_output=True, text=True, check=True, env={**os.environ}
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"boto3", "botocore", "moto", "flask", "werkzeug", "tenacity"}
    if argv == ["--version"]:
        assert not loaded & {"typer", "rich"}


COUNTED = """
import sys
before = set(sys.modules)
from cado_ops.cli.app import main
main(sys.argv[1:])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("argv", "most"),
    [
        (["--version"], 4),
        # typing and textwrap come with some thirty of the standard library.
        (["--help"], 35),
        ([], 35),
    ],
)
def test_what_is_answered_at_once_loads_next_to_nothing(argv: list[str], most: int) -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED, *argv], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert len(loaded) <= most, loaded
    own = [name for name in loaded if name.startswith("cado_ops.cli.")]
    assert set(own) <= {"cado_ops.cli.app", "cado_ops.cli.front_page", "cado_ops.cli.help_text"}
    assert not {name.partition(".")[0] for name in loaded} & {"typer", "rich", "dataclasses", "inspect"}


def test_the_front_page_has_the_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    root = typer.main.get_command(app)
    there = [option for parameter in root.params for option in parameter.opts]
    assert sorted([*there, "--help"]) == sorted(name for name, _ in front_page.OPTIONS)
    assert main(["--help"]) == main([]) == 0
    page = capsys.readouterr().out
    assert page[: len(page) // 2] == page[len(page) // 2 :] == front_page.front_page(width=80)


def test_an_example_can_be_pasted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["tag-instances", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [example] = [line for line in lines if line.startswith("Example:")]
    assert example.endswith("--dry-run")
    assert max(len(line) for line in lines if line != example) <= 60


def test_completion_of_commands_loads_none_of_them() -> None:
    environ = {**os.environ, "_CADO_OPS_COMPLETE": "complete_bash", "COMP_WORDS": "cado-ops ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cado_ops"],
        capture_output=True, text=True, env=environ, check=False,
    )  # fmt: skip
    assert done.stdout.split() == list(COMMANDS)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cado_ops.cli.tag_instances" not in loaded
    assert "cado_ops.cli.session" not in loaded


def test_completion() -> None:
    environ = {
        **os.environ,
        "_CADO_OPS_COMPLETE": "complete_bash",
        "COMP_WORDS": "cado-ops tag-instances --acc",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cado_ops"], capture_output=True, text=True, env=environ, check=False
    )
    assert done.stdout.split() == ["--account", "--accounts-file"]
