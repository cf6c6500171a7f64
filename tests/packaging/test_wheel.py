"""What people install: the source archive, the wheel made from it, and the wheel alone in a fresh environment.

Works offline. The fresh environment is what pipx makes: the wheel and the packages that it asks for, no extras.
Those packages are linked from the environment that the tests run in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cado_ops import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from it (not from the working copy)."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@dataclass
class Installed:
    """The wheel in an environment of its own, with an empty home."""

    bin: Path
    home: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.home,
            env=_environment(self.home),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    home = folder / "home"
    home.mkdir()
    _check(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"), home=folder)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", str(binaries / "python"))
    _check(*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel), home=folder)
    inside = _check(str(binaries / "python"), "-c", "import site; print(site.getsitepackages()[0])", home=folder)
    for name in sorted(_needed("cado-ops")):
        _link(name, Path(inside.stdout.strip()))
    return Installed(binaries, home)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"cado_ops", f"cado_ops-{__version__}.dist-info"}
    assert "cado_ops/py.typed" in names
    assert f"cado_ops-{__version__}.dist-info/licenses/LICENSE" in names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cado_ops").rglob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}


def test_the_wheel_says_what_it_is(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(archive.read(f"cado_ops-{__version__}.dist-info/METADATA").decode())
    assert metadata["Name"] == "cado-ops"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"sandbox", "dev"} <= set(metadata.get_all("Provides-Extra"))


def test_the_source_archive_holds_what_the_tests_need(dist: Path):
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "pyproject.toml",
        "requirements.txt",
    } <= names
    assert {"scripts/test", "scripts/demo", "scripts/environment.sh", "docs/reference.md"} <= names
    assert "tests/packaging/test_wheel.py" in names
    assert not [name for name in names if re.search(r"__pycache__|\.venv|\.cache|\.hypothesis", name)]


def test_the_command_runs_with_what_the_wheel_asks_for(installed: Installed):
    done = installed.run("cado-ops", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cado-ops {__version__}\n", "")
    # Loads everything but the sandbox, and ends where there are no credentials.
    done = installed.run("cado-ops", "status", "--region", "eu-west-1")
    assert done.returncode == 1
    assert "No AWS credentials were found." in done.stderr
    assert "Traceback" not in done.stderr
    assert list(installed.home.iterdir()) == []


def test_the_module_runs_too(installed: Installed):
    assert installed.run("python", "-m", "cado_ops", "--version").stdout == f"cado-ops {__version__}\n"


@pytest.mark.parametrize("arguments", [("sandbox",), ("sandbox", "--", "true")])
def test_without_the_extra_the_sandbox_says_one_line(installed: Installed, arguments: tuple[str, ...]):
    done = installed.run("cado-ops", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cado-ops: the sandbox needs the extra: pip install 'cado-ops[sandbox]'\n"


def _needed(root: str) -> set[str]:
    """The packages that ``root`` needs without extras, by name, itself left out."""
    needed: set[str] = set()
    waiting = [(root, frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker and not any(requirement.marker.evaluate(each) for each in wanted):
                continue
            each = (requirement.name, frozenset(requirement.extras))
            needed.add(requirement.name)
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return needed


def _link(name: str, into: Path) -> None:
    """Links an installed package's top-level files and folders into another environment."""
    found = distribution(name)
    assert found.files is not None
    for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
        target = into / top
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(top))).resolve())


def _environment(home: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "LANG", "SYSTEMROOT")}
    return kept | {
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _check(*command: str, home: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, env=_environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
