"""--help, --version and completion: what they say, and how little they load."""

from __future__ import annotations

import os
import random
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._completion_classes import BashComplete

from cado_ops import __version__
from cado_ops.cli import front_page
from cado_ops.cli.app import main
from cado_ops.cli.commands import app
from cado_ops.cli.completion import candidates, completion
from cado_ops.cli.front_page import COMMANDS
from cado_ops.cli.options import ALL_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
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
        (["--version"], 5),
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


WORDS = [
    "tag-instances", "status", "kms", "grant", "list", "runs", "undo", "policy", "show", "--account", "--all",
    "--yes", "-o", "--output", "--region", "eu-west-1", "json", "last", "i-0123", "--help", "nonsense",
    "--nonsense", "--", "--region=x", "-", "--f", "--a", "ta", "l", "", "--out", "--version",
]  # fmt: skip


@pytest.fixture(scope="module")
def typers() -> Any:
    """What typer itself would complete."""
    command = typer.main.get_command(app)

    def names(words: list[str], incomplete: str) -> list[str]:
        shell = BashComplete(command, {}, "cado-ops", "_CADO_OPS_COMPLETE")
        return [item.value for item in shell.get_completions([*words], incomplete)]

    return names


def test_completion_is_what_typer_would_say(typers: Any) -> None:
    rng = random.Random(8)
    lines = [rng.choices(WORDS, k=rng.randrange(1, 6)) for _ in range(400)]
    lines += [["kms", "grant", "--key"], ["tag-instances", "-o"], ["tag-instances", "--yes", "--"], ["policy", ""]]
    understood = 0
    for *words, incomplete in lines:
        found = candidates(words, incomplete)
        if found is not None:
            understood += 1
            assert [name for name, _ in found] == typers(words, incomplete), (words, incomplete)
    assert understood > 100


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_completed(name: str, typers: Any) -> None:
    assert [flag for flag, _ in candidates(name.split(), "-") or ()] == typers(name.split(), "-")


def test_the_table_of_completion_is_made_of_the_commands() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "completion.py"))
    assert script["FILE"].read_text() == script["made"](), "run scripts/completion"


@pytest.mark.parametrize(
    ("environ", "out"),
    [
        ({"COMP_WORDS": "cado-ops kms ", "COMP_CWORD": "2", "SHELL_": "bash"}, "grant\nlist\nretire\n"),
        ({"COMP_WORDS": "cado-ops tag-instances --acc", "COMP_CWORD": "2", "SHELL_": "bash"},
         "--account\n--accounts-file\n"),
        ({"_TYPER_COMPLETE_ARGS": "cado-ops target", "SHELL_": "zsh"},
         """_arguments '*: :(("targets":"The accounts and regions that the options mean."))'\n"""),
        ({"_TYPER_COMPLETE_ARGS": "cado-ops apply x ", "SHELL_": "zsh"}, "_files\n"),
        ({"_TYPER_COMPLETE_ARGS": "cado-ops target", "SHELL_": "fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
         "targets\tThe accounts and regions that the options mean.\n"),
    ],
)  # fmt: skip
def test_completion(environ: dict[str, str], out: str) -> None:
    shell = environ.pop("SHELL_")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cado_ops"], capture_output=True, text=True, check=False,
        env={**os.environ, **environ, "_CADO_OPS_COMPLETE": f"complete_{shell}"},
    )  # fmt: skip
    assert done.stdout == out
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "cado_ops" in loaded
    assert not loaded & {"typer", "rich", "dataclasses", "inspect"}


def test_fish_is_told_whether_there_is_anything() -> None:
    asked = {"_CADO_OPS_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert completion(asked | {"_TYPER_COMPLETE_ARGS": "cado-ops "}) == ("", 0)
    assert completion(asked | {"_TYPER_COMPLETE_ARGS": "cado-ops apply x"}) == ("", 1)


def test_what_is_not_understood_is_left_to_typer() -> None:
    assert completion({"_CADO_OPS_COMPLETE": "source_bash"}) is None
    assert completion({"_CADO_OPS_COMPLETE": "complete_bash"}) is None
    powershell = {"_CADO_OPS_COMPLETE": "complete_powershell", "_TYPER_COMPLETE_ARGS": "cado-ops "}
    assert completion(powershell) is None
    done = subprocess.run(
        [sys.executable, "-m", "cado_ops"], capture_output=True, text=True, check=False,
        env={**os.environ, **powershell, "_TYPER_COMPLETE_WORD_TO_COMPLETE": ""},
    )  # fmt: skip
    assert "tag-instances:::" in done.stdout
