"""What others do under the same faults: the AWS CLI in a loop, and c7n-org. scripts/faults-peers; then a table.

Each starts from the same world, for the same servers, under the same schedule; what it says is its exit code, and
what is so is looked up in the sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cado_ops.model import SSM_TAG
from tests.faults.bench import Bench, bench
from tests.faults.scenarios import EU, GRANT, HOME, PROD, TAG, US
from tests.faults.schedule import Fault, Schedule
from tests.faults.truth import Truth

TOOLS = Path(os.environ.get("PEERS", ".cache/peers")) / "bin"
WANTED, GRANTS = 12, 4
SECONDS = 300

# As one writes it: stop at the first mistake, and trust the tool's own retries.
LOOP = f"""
set -eu
for account in {HOME} {PROD}; do
  if [ $account != {HOME} ]; then
    session=$(aws sts assume-role --role-arn arn:aws:iam::$account:role/CadoOperator --role-session-name loop \
      --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
    read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN <<EOT
$session
EOT
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  fi
  for region in {EU} {US}; do
    ids=$(aws ec2 describe-instances --region $region --filters Name=tag:Team,Values=web,sec \
      Name=instance-state-name,Values=running,stopped,pending \
      --query 'Reservations[].Instances[].InstanceId' --output text)
    aws ec2 create-tags --region $region --resources $ids --tags Key={SSM_TAG},Value=True
    key=$(aws kms describe-key --region $region --key-id alias/acme-data --query KeyMetadata.Arn --output text)
    aws kms create-grant --region $region --key-id $key --operations Decrypt DescribeKey \
      --grantee-principal arn:aws:iam::$account:role/CadoResponseRole > /dev/null
  done
done
"""
# And as one writes it who wants to get as far as possible.
GOES_ON = LOOP.replace("set -eu", "set -u")

POLICY = f"""
policies:
  - name: tag
    resource: aws.ec2
    filters:
      - type: value
        key: "tag:Team"
        op: in
        value: [web, sec]
      - type: value
        key: State.Name
        op: in
        value: [running, stopped, pending]
    actions:
      - type: tag
        key: {SSM_TAG}
        value: "True"
"""
ACCOUNTS = f"""
accounts:
  - account_id: "{HOME}"
    name: home
    role: arn:aws:iam::{HOME}:role/CadoOperator
    regions: [{EU}, {US}]
  - account_id: "{PROD}"
    name: prod
    role: arn:aws:iam::{PROD}:role/CadoOperator
    regions: [{EU}, {US}]
"""

NOBODY = Schedule()
SCHEDULES: dict[str, Schedule] = {
    "no fault": NOBODY,
    "one region down": Schedule(down=US),
    "AssumeRole refused": Schedule(refused=frozenset({PROD})),
    "token expires": Schedule(expiring={PROD: 2}),
    "dead ids": Schedule(seed=1, dead=0.3, dead_times=1000),
    "reset after the effect": Schedule(seed=3, answers=(Fault.RESET_AFTER,), share=1.0, longest=1),
    "500, 502, 503": Schedule(seed=4, answers=(Fault.SERVER_ERROR,), share=1.0, longest=2),
    "body cut short": Schedule(seed=5, answers=(Fault.TRUNCATED,), share=1.0, longest=1),
    "a web page": Schedule(seed=6, answers=(Fault.WRONG_TYPE,), share=1.0, longest=1),
    "throttled": Schedule(seed=9, bucket=(1, 0.5)),
}


@dataclass
class Done:
    """``exit`` is "none" where it came to no end in time; ``twice`` counts grants beyond the first of a kind."""

    exit: int | str
    tagged: int
    granted: int
    twice: int


def run_peer(place: Bench, tool: str, schedule: Schedule, folder: Path) -> Done:
    place.reset()
    before = Truth.now()
    place.proxy.load(schedule)
    code: int | str
    if tool == "cado-ops":
        tagged = place.run(*TAG, "--case", "IR-7", "--yes")
        granted = place.run(*GRANT, "--case", "IR-7", "--yes")
        code = tagged.code if tagged.code == granted.code else f"{tagged.code}, {granted.code}"
    else:
        environ = {**os.environ, **place.environ, "PATH": f"{TOOLS.absolute()}:{os.environ['PATH']}"}
        # Their own defaults: how often they try again is part of what they are.
        environ.pop("AWS_MAX_ATTEMPTS", None)
        argv = {
            "aws, set -e": ["bash", "-c", LOOP],
            "aws, goes on": ["bash", "-c", GOES_ON],
            "c7n-org": ["c7n-org", "run", "-c", "accounts.yml", "-s", "out", "-u", "policy.yml"],
        }[tool]
        try:
            ended = subprocess.run(
                argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            code = ended.returncode
        except subprocess.TimeoutExpired:
            code = "none"
    place.proxy.stop_lying()
    after = Truth.now()
    tagged_now = sum(
        pairs.get(SSM_TAG) == "True"
        for pairs in after.tags.values()
        if pairs.get("Team") in ("web", "sec")
        and not pairs.get("Name", "").startswith(("old-", "stg-"))
        and pairs.get("Name", "") in _names(before)
    )
    made = Counter(
        (key, grant.get("Name")) for (key, each), grant in after.grants.items() if (key, each) not in before.grants
    )
    return Done(code, tagged_now, len(made), made.total() - len(made))


def _names(before: Truth) -> set[str]:
    """The servers that are meant: those of the two accounts and regions."""
    return {
        pairs.get("Name", "")
        for (account, region, _), pairs in before.tags.items()
        if account in (HOME, PROD) and region in (EU, US)
    }


def main() -> int:
    tools = sys.argv[1:] or ["cado-ops", "aws, set -e", "aws, goes on", "c7n-org"]
    say = partial(print, flush=True)
    say("| fault | tool | exit | tagged | grants | grants made twice |")
    say("| --- | --- | --- | --- | --- | --- |")
    with bench() as place:
        (place.folder / "policy.yml").write_text(POLICY)
        (place.folder / "accounts.yml").write_text(ACCOUNTS)
        for name, schedule in SCHEDULES.items():
            for tool in tools:
                done = run_peer(place, tool, schedule, place.folder)
                grants = "-" if tool == "c7n-org" else f"{done.granted} of {GRANTS}"
                twice = "-" if tool == "c7n-org" else str(done.twice)
                say(f"| {name} | {tool} | {done.exit} | {done.tagged} of {WANTED} | {grants} | {twice} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
