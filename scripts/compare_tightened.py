"""Asks an independent simulator whether anybody may do more after `policy tighten` than before.

    .venv/bin/python scripts/compare_tightened.py [--seeds N] [--each N]

The policies are those of tests/unit/policies/mutations.py, with faults planted in them; the requests are drawn from
tests/unit/policies/requests.py. The simulator is that of compare_policies.py, and how it is run as well. The result
of the last run stands in docs/policy-rules.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from compare_policies import ANSWERS, Case, install, simulated  # noqa: E402

from cado_ops.policy.document import document_from  # noqa: E402
from cado_ops.policy.parts import Wish  # noqa: E402
from cado_ops.policy.tighten import tighten  # noqa: E402
from tests.unit.policies.mutations import planted  # noqa: E402
from tests.unit.policies.requests import ACCOUNT, asked, decision  # noqa: E402

VARIANTS = (None, None, "full", "grant-only", "withheld", "ebs-direct")


def case_of(policy: Any, request: Any, partition: str) -> Case:
    """One question: the role's policy alone, and a key that leaves it to IAM."""
    action, resource, context = request
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:{partition}:iam::{ACCOUNT}:root"}, "Action": "kms:*",
            "Resource": "*"}  # fmt: skip
    told = {
        "principal": f"arn:{partition}:iam::{ACCOUNT}:role/CadoResponseRole",
        "session": None,
        "action": action,
        "resource": resource,
        "account": ACCOUNT,
        "context": context | _of_the_region(action, resource),
    }
    key = {"Version": "2012-10-17", "Statement": [root]} if action.startswith("kms:") and resource != "*" else None
    return Case(told, [policy], resource=key)


def _plain(answer: Any) -> Any:
    return ANSWERS.get(answer.get("result"), answer) if isinstance(answer, dict) else answer


def _of_the_region(action: str, resource: str) -> dict[str, str]:
    """Keys that follow from the rest: the evaluator knows them by itself, the simulator has to be told."""
    if resource.count(":") < 5 or not resource.split(":")[3]:
        return {}
    region = resource.split(":")[3]
    return {"aws:RequestedRegion": region} | ({"ec2:Region": region} if action.startswith("ec2:") else {})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--each", type=int, default=20, help="requests for each policy")
    options = parser.parse_args(arguments)
    version = install()
    questions: list[tuple[int, Any, tuple[str, ...], str, str]] = []
    cases: list[Case] = []
    for seed in range(options.seeds):
        policy, _, partition = planted(seed)
        rng = random.Random(seed)
        before = document_from(policy, "policy")
        result = tighten(before, Wish(kms=VARIANTS[seed % len(VARIANTS)], strict=seed % 4 == 0))
        for request in rng.sample(list(asked(partition)), options.each):
            was, now = (str(decision(document, request, partition)) for document in (before, result.document))
            questions.append((seed, request, result.repairs, was, now))
            cases += [
                case_of(policy, request, partition),
                case_of(result.document.as_json(), request, partition),
            ]
    # A key that AWS does not publish for the action is ignored there, as it is here.
    answers = list(map(_plain, simulated(cases)))
    counts: Counter[str] = Counter()
    wider = []
    for number, (seed, request, repairs, was, now) in enumerate(questions):
        before_, after = answers[2 * number], answers[2 * number + 1]
        counts[f"before {before_}, after {after}" if isinstance(before_, str) else "not simulated"] += 1
        if not isinstance(before_, str) or not isinstance(after, str):
            wider.append((seed, request, before_, after))
            continue
        if after == "allow" and before_ != "allow" and request[0] not in repairs:
            wider.append((seed, request, before_, after))
        if (was, now) != (before_.partition("-")[0], after.partition("-")[0]):
            counts["the evaluator says otherwise"] += 1
            wider.append((seed, request, f"{before_} ({was} here)", f"{after} ({now} here)"))
    print(f"iam-simulate {version}, {options.seeds} policies, {len(questions)} requests, each before and after")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    print(f"  allowed after and not before, or answered otherwise: {len(wider)}")
    for each in wider[:5]:
        print(json.dumps(each))
    return 1 if wider else 0


if __name__ == "__main__":
    sys.exit(main())
