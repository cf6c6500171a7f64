"""Measures cado-ops beside its peers, in one run and in turns: `scripts/bench --help`.

Every run is a process of its own, from its start to its end. Its processor time is the kernel's, of all that it
started; its memory is the sum over its processes (proportional set size), looked at twice a second. The fake
AWS keeps the books: a run of the tagging job counts only where every instance was tagged exactly once.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from endpoint import Endpoint, Fleet
from peer_environments import AWSCLI, C7N, Peer, bundle_and_server_certificate

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
RESULTS = Path(__file__).resolve().parent / "results"
# The default of cado-ops.
CONCURRENCY = 48


@dataclass(frozen=True)
class Scenario:
    """One job on one fleet under one kind of weather; ``latency`` in seconds."""

    name: str
    job: str
    fleet: Fleet
    latency: float = 0.0
    tls: bool = False
    throttle: str = "none"

    @property
    def needed(self) -> int:
        """The calls of cado-ops that the job needs where nothing is throttled."""
        cells = self.fleet.accounts * self.fleet.regions
        if self.job == "kms":
            # In each account AssumeRole, and GetRole to tell whose a grant is; of each key a page, for 50 grants.
            return 1 + self.fleet.accounts * 2 + cells * (2 + self.fleet.keys)
        # To read, to tag, and to look once more: a thousand a call.
        return 1 + self.fleet.accounts + cells * 3 * -(-self.fleet.instances // 1000)

    @property
    def latency_limit(self) -> float:
        """Seconds that the needed calls take by latency alone, CONCURRENCY at a time."""
        return self.needed * self.latency / CONCURRENCY


@dataclass(frozen=True)
class Contender:
    """A program to measure. ``command`` gives argv and environment for a scenario, in a folder of the run's own."""

    name: str
    jobs: tuple[str, ...]
    command: Callable[[Scenario, Path], tuple[list[str], dict[str, str]]]
    needs: Peer | None = None


@dataclass
class Run:
    wall: float
    cpu: float
    peak_mib: int
    largest_mib: int
    calls: dict[str, int]
    throttled: dict[str, int]
    endpoint_cpu: float
    problem: str | None = None


@dataclass
class Measured:
    scenario: Scenario
    runs: dict[str, list[Run]] = field(default_factory=dict)


def tagging(accounts: int, regions: int, instances: int = 20, **weather: Any) -> Scenario:
    size = f"{accounts}x{regions}" + (f"x{instances}" if instances != 20 else "")
    fleet = Fleet(accounts, regions, instances=instances)
    return Scenario(_named(f"tag {size}", weather), "tag", fleet, **weather)


def listing(accounts: int, regions: int, keys: int, grants: int, **weather: Any) -> Scenario:
    fleet = Fleet(accounts, regions, keys=keys, grants=grants)
    return Scenario(_named(f"kms {accounts}x{regions}x{keys}x{grants}", weather), "kms", fleet, **weather)


def _named(name: str, weather: Mapping[str, Any]) -> str:
    latency = weather.get("latency", 0.0)
    words = [name, f"{latency * 1000:.0f} ms"]
    words += ["TLS"] if weather.get("tls") else []
    words += [weather["throttle"]] if weather.get("throttle", "none") != "none" else []
    return ", ".join(words)


SLOW = 0.05
SCENARIOS = [
    tagging(10, 4, latency=SLOW),
    tagging(10, 4),
    tagging(10, 4, latency=SLOW, tls=True),
    tagging(100, 4, latency=SLOW),
    tagging(100, 17, latency=SLOW),
    tagging(100, 17),
    tagging(100, 17, latency=SLOW, tls=True),
    tagging(100, 17, latency=SLOW, throttle="aws"),
    tagging(100, 17, latency=SLOW, throttle="busy"),
    tagging(1, 1, 10_000, latency=SLOW),
    listing(1, 1, 200, 50),
    listing(1, 4, 125, 40),
    listing(1, 4, 1250, 40),
    listing(1, 1, 200, 50, latency=SLOW),
    listing(10, 4, 50, 50, latency=SLOW),
    listing(100, 4, 50, 50, latency=SLOW),
]


def _fleet(scenario: Scenario) -> dict[str, str]:
    fleet = scenario.fleet
    return {
        "BENCH_FLEET": json.dumps({"accounts": fleet.account_ids, "regions": fleet.region_names}),
        "BENCH_ACCOUNTS": " ".join(fleet.account_ids),
        "BENCH_REGIONS": " ".join(fleet.region_names),
        "BENCH_AWS": str(AWSCLI.program("aws")),
    }


def cado_ops(scenario: Scenario, folder: Path) -> tuple[list[str], dict[str, str]]:
    fleet = scenario.fleet
    job = {
        "tag": [
            "tag-instances",
            "--all",
            "--yes",
            "--max-changes",
            "1000000",
            "--journal-dir",
            str(folder / "runs"),
        ],
        "kms": ["kms", "list"],
    }[scenario.job]
    where = ["--account", ",".join(fleet.account_ids), "--region", ",".join(fleet.region_names), "--role-name", "R"]
    return [str(Path(sys.executable).with_name("cado-ops")), *job, *where, "-o", "ndjson"], {}


def without_short_ways(scenario: Scenario, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The same program as botocore makes it: what the short ways of docs/performance.md save in all."""
    argv, more = cado_ops(scenario, folder)
    return [sys.executable, str(PEERS / "stock.py"), *argv[1:]], more


def peer_script(*words: str) -> Callable[[Scenario, Path], tuple[list[str], dict[str, str]]]:
    def command(scenario: Scenario, folder: Path) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, str(PEERS / words[0]), *(w.format(job=scenario.job) for w in words[1:])], _fleet(
            scenario
        )

    return command


def awscli(scenario: Scenario, folder: Path) -> tuple[list[str], dict[str, str]]:
    return [str(PEERS / "awscli.sh")], _fleet(scenario)


def c7n_org(scenario: Scenario, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The same job as a policy: every instance without the tag gets it. JSON is YAML."""
    accounts = [
        {"account_id": each, "name": f"a{each}", "regions": scenario.fleet.region_names,
         "role": f"arn:aws:iam::{each}:role/R"}
        for each in scenario.fleet.account_ids
    ]  # fmt: skip
    policy = {
        "name": "tag", "resource": "aws.ec2", "filters": [{"tag:CadoResponseSSMEnabled": "absent"}],
        "actions": [{"type": "tag", "tags": {"CadoResponseSSMEnabled": "True"}}],
    }  # fmt: skip
    (folder / "accounts.json").write_text(json.dumps({"accounts": accounts}))
    (folder / "policy.json").write_text(json.dumps({"policies": [policy]}))
    files = ["-c", str(folder / "accounts.json"), "-u", str(folder / "policy.json"), "-s", str(folder / "out")]
    regions = [word for each in scenario.fleet.region_names for word in ("-r", each)]
    return [str(C7N.program("c7n-org")), "run", *files, *regions, "--cache-period", "0"], {}


CONTENDERS = [
    Contender("cado-ops", ("tag", "kms"), cado_ops),
    Contender("cado-ops, stock", ("tag", "kms"), without_short_ways),
    Contender("floor", ("tag",), peer_script("floor.py")),
    Contender("boto3 threads", ("tag", "kms"), peer_script("boto3_jobs.py", "{job}", "threads")),
    Contender("boto3 sequential", ("tag", "kms"), peer_script("boto3_jobs.py", "{job}", "sequential")),
    Contender("c7n-org", ("tag",), c7n_org, C7N),
    Contender("aws cli loop", ("tag",), awscli, AWSCLI),
]


class _Memory(threading.Thread):
    """The memory of a process and all that it started, while it runs: the most that all of them had at once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self.most, self._ended = pid, 0, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.5):
            self.most = max(self.most, sum(map(_pss, _tree(self._pid))))

    def end(self) -> int:
        self._ended.set()
        self.join()
        return self.most // 1024


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def run_once(contender: Contender, scenario: Scenario, endpoint: Endpoint, bundle: str | None, most: float) -> Run:
    """One process from its start to its end; killed after ``most`` seconds."""
    endpoint.reset()
    before = endpoint.cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        argv, more = contender.command(scenario, folder)
        environ = {"PATH": os.environ["PATH"], "HOME": name, "LANG": "C.UTF-8", **endpoint.environment(), **more}
        if bundle is not None:
            environ["AWS_CA_BUNDLE"] = bundle
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            began = time.monotonic()
            process = subprocess.Popen(
                argv,
                env=environ,
                cwd=name,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            memory = _Memory(process.pid)
            memory.start()
            killer = threading.Timer(most, os.killpg, (process.pid, 9))
            killer.start()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            killer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = memory.end()
        books = endpoint.books()
        words = (folder / "stderr").read_text(errors="replace").strip().splitlines()
        problem = _problem(scenario, process.returncode, books, folder / "stdout", wall >= most)
        if problem and words:
            problem += f" ({words[-1][:200]})"
    return Run(
        wall=round(wall, 3),
        cpu=round(usage.ru_utime + usage.ru_stime, 3),
        peak_mib=max(peak, usage.ru_maxrss // 1024),
        largest_mib=usage.ru_maxrss // 1024,
        calls=books["calls"],
        throttled=books["throttled"],
        endpoint_cpu=round(endpoint.cpu_seconds() - before, 2),
        problem=problem,
    )


def _problem(scenario: Scenario, code: int, books: Mapping[str, Any], output: Path, late: bool) -> str | None:
    if late:
        return "not done in time"
    if code != 0:
        return f"exit {code}"
    if scenario.job == "tag":
        wrong = books["never_tagged"] + books["tagged_more_often"] + books["strays"]
        return f"{wrong} instances are not tagged exactly once by their account" if wrong else None
    fleet = scenario.fleet
    wanted = fleet.accounts * fleet.regions * fleet.keys * fleet.grants
    with output.open("rb") as lines:
        listed = sum(b'"GrantId"' in line or b'"grant_id"' in line for line in lines)
    return None if listed == wanted else f"{listed} grants of {wanted} were listed"


def ceiling(*, tls: bool) -> int:
    """Calls a second that the endpoint answered to the floor without latency: it can do at least that."""
    measured = measure(tagging(20, 17, tls=tls), [each for each in CONTENDERS if each.name == "floor"], 1, 120)
    [run] = measured.runs["floor"]
    return round(sum(run.calls.values()) / run.wall)


def machine() -> dict[str, Any]:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_at_start": [round(each, 1) for each in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    from importlib.metadata import version

    own = {name: version(name) for name in ("cado-ops", "botocore", "boto3", "typer")}
    own["commit"] = _git("rev-parse", "HEAD") + (" and more" if _git("status", "--porcelain", "cado_ops") else "")
    return own | {f"{peer.name} {name}": each for peer in (C7N, AWSCLI) for name, each in peer.versions().items()}


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    ).stdout.strip()


def summary(runs: list[Run]) -> dict[str, Any]:
    done = [each for each in runs if each.problem is None] or runs
    wall, cpu, peak = ([getattr(each, name) for each in done] for name in ("wall", "cpu", "peak_mib"))
    middle = statistics.median
    return {
        "runs": [asdict(each) for each in runs],
        "wall": round(middle(wall), 2), "wall_min": min(wall), "wall_max": max(wall),
        "cpu": round(middle(cpu), 2), "cpu_min": min(cpu), "cpu_max": max(cpu),
        "peak_mib": round(middle(peak)),
        "calls": round(middle(sum(each.calls.values()) for each in done)),
        "throttled": round(middle(sum(each.throttled.values()) for each in done)),
        "problem": next((each.problem for each in runs if each.problem), None),
    }  # fmt: skip


def measure(scenario: Scenario, contenders: list[Contender], rounds: int, most: float) -> Measured:
    """All contenders in turn, round after round, each round begun by another."""
    measured = Measured(scenario)
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as folder:
        bundle, certificate = bundle_and_server_certificate(Path(folder)) if scenario.tls else (None, None)
        with Endpoint(
            scenario.fleet, latency=scenario.latency, throttle=scenario.throttle, tls=certificate
        ) as endpoint:
            for number in range(rounds):
                first = number % len(contenders)
                for contender in (*contenders[first:], *contenders[:first]):
                    earlier = measured.runs.setdefault(contender.name, [])
                    if any(each.problem for each in earlier):
                        continue
                    run = run_once(contender, scenario, endpoint, bundle, most)
                    earlier.append(run)
                    say(
                        f"  {number + 1}/{rounds} {contender.name:<17} {run.wall:8.2f} s wall {run.cpu:8.2f} s cpu "
                        f"{run.peak_mib:6d} MiB {sum(run.calls.values()):7d} calls "
                        f"{sum(run.throttled.values()):5d} throttled {run.problem or ''}"
                    )
    return measured


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def start_up(rounds: int, peers: bool) -> dict[str, dict[str, float]]:
    """Whole processes that only say something, in turns: milliseconds."""
    own = str(Path(sys.executable).with_name("cado-ops"))
    complete = {
        "_CADO_OPS_COMPLETE": "complete_bash",
        "COMP_WORDS": "cado-ops tag-instances --acc",
        "COMP_CWORD": "2",
    }
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "a bare interpreter": ([sys.executable, "-c", "pass"], {}),
        "cado-ops --version": ([own, "--version"], {}),
        "cado-ops --help": ([own, "--help"], {}),
        "cado-ops tag-instances --help": ([own, "tag-instances", "--help"], {}),
        "completion of a command": ([own], complete | {"COMP_WORDS": "cado-ops ta", "COMP_CWORD": "1"}),
        "completion of an option": ([own], complete),
    }
    if peers:
        commands["aws --version"] = ([str(AWSCLI.program("aws")), "--version"], {})
        commands["c7n-org --help"] = ([str(C7N.program("c7n-org")), "--help"], {})
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, (argv, more) in commands.items():
            began = time.monotonic()
            process = subprocess.Popen(
                argv,
                env={"PATH": os.environ["PATH"], "HOME": os.devnull, **more},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            taken[name].append((time.monotonic() - began, usage.ru_utime + usage.ru_stime))
    return {
        name: {
            "wall_ms": round(1000 * statistics.median(wall for wall, _ in each[1:]), 1),
            "cpu_ms": round(1000 * statistics.median(cpu for _, cpu in each[1:]), 1),
            "wall_min_ms": round(1000 * min(wall for wall, _ in each[1:]), 1),
        }
        for name, each in taken.items()
    }


def first_call(rounds: int) -> dict[str, float]:
    """Milliseconds from the start of cado-ops to its first call's arrival."""
    scenario = tagging(1, 1, 1)
    taken = []
    with Endpoint(scenario.fleet) as endpoint:
        for _ in range(rounds + 1):
            endpoint.reset()
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                argv, _ = cado_ops(scenario, Path(name))
                environ = {"PATH": os.environ["PATH"], "HOME": name, **endpoint.environment()}
                began = time.monotonic()
                process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                while not endpoint.any_call():
                    time.sleep(0.001)
                taken.append(time.monotonic() - began)
                process.wait()
    return {
        "wall_ms": round(1000 * statistics.median(taken[1:]), 1),
        "wall_min_ms": round(1000 * min(taken[1:]), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures cado-ops beside c7n-org, boto3, the AWS CLI and a floor, against a fake AWS.",
        epilog="Scenarios: " + "; ".join(each.name for each in SCENARIOS),
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        help="that of this name, else those whose name contains it; all else",
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="these contenders; all else")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="all contenders but these")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender (default 3)")
    parser.add_argument(
        "--most", type=float, default=900, help="seconds after which a run is given up (default 900)"
    )
    parser.add_argument("--no-start-up", action="store_true", help="leave out the start-up times")
    parser.add_argument("--label", default="run", help="the name of the result's file")
    asked = parser.parse_args()
    if any(name not in {each.name for each in CONTENDERS} for name in [*asked.only, *asked.without]):
        parser.error("contenders are: " + ", ".join(each.name for each in CONTENDERS))

    chosen = [
        each
        for each in CONTENDERS
        if (not asked.only or each.name in asked.only) and each.name not in asked.without
    ]
    named = [each for each in SCENARIOS if each.name in asked.scenario]
    scenarios = named or [
        each for each in SCENARIOS if not asked.scenario or any(word in each.name for word in asked.scenario)
    ]
    for peer in {each.needs for each in chosen if each.needs}:
        peer.build(say)
    # As it is once installed: else the first run compiles what was edited.
    compileall.compile_dir(ROOT / "cado_ops", quiet=1)
    result: dict[str, Any] = {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine(),
        "versions": versions(),
        "concurrency": CONCURRENCY,
    }
    for tls in sorted({each.tls for each in scenarios}):
        name = "ceiling_calls_a_second" + (", TLS" if tls else "")
        result[name] = ceiling(tls=tls)
        say(f"the endpoint answers at least {result[name]} calls a second{' over TLS' if tls else ''}")
    if not asked.no_start_up:
        result["start_up"] = start_up(max(5, asked.rounds), peers=C7N.built and AWSCLI.built)
        result["start_up"]["start to first call"] = first_call(max(5, asked.rounds))
        for name, each in result["start_up"].items():
            say(f"  {name:<31} {each['wall_ms']:7.1f} ms wall")
    result["scenarios"] = []
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{asked.label}.json"
    for scenario in scenarios:
        say(scenario.name)
        taking = [each for each in chosen if scenario.job in each.jobs]
        measured = measure(scenario, taking, asked.rounds, asked.most)
        result["scenarios"].append(
            {
                "name": scenario.name,
                "needed_calls": scenario.needed,
                "latency_limit": round(scenario.latency_limit, 2),
                "contenders": {name: summary(runs) for name, runs in measured.runs.items()},
            }
        )
        # After each scenario, so that a run that is cut off leaves what it has.
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
    say(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
