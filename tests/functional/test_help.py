"""--help, --version and completion: what they say, and how little they load."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cado_ops import __version__
from cado_ops.cli.app import main
from cado_ops.cli.commands import COMMANDS
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
