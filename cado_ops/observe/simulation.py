"""AWS's policy simulator on the Cado roles: all that check wants to know of a role, in few calls.

SimulatePrincipalPolicy, IAM API reference. It fills in no condition key by itself: what is not told counts as not
there, and a policy that denies all regions but some would deny every request that tells no region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cado_ops.aws.iam import Iam
from cado_ops.fanout import FanOut
from cado_ops.observe.attempt import attempt
from cado_ops.observe.sweep import as_aws_error
from cado_ops.plan.tagging import ENDED_STATES
from cado_ops.policy.evaluate import Policy
from cado_ops.policy.parts import SEND
from cado_ops.verdict.readiness.facts import InstanceFacts, RoleFacts, Simulated, Simulation, Unreadable
from cado_ops.verdict.readiness.requests import Need, to_simulate

# More resources than this are asked for in several calls.
RESOURCES_A_CALL = 50
_TAG_PREFIXES = ("ssm:resourcetag/", "aws:resourcetag/")


@dataclass(frozen=True)
class Call:
    """One call: each of ``actions`` on each of ``resources``."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Mapping[str, Sequence[str]]


def simulate_roles(
    iam: Iam, by_account: Mapping[str, Sequence[InstanceFacts]], max_concurrency: int
) -> dict[str, Simulation]:
    """AWS's answers, by account; all calls of all roles at once. Of a role that is not there nothing is asked."""
    answers: dict[str, dict[tuple[str, str], Simulated]] = {account: {} for account in by_account}
    problems: dict[str, Unreadable] = {}

    def work(job: tuple[str, str, Call]) -> dict[tuple[str, str], Simulated] | Unreadable:
        account, role_arn, call = job
        told = attempt(
            "iam", lambda: iam.simulate_all(account, role_arn, call.actions, call.resources, call.context)
        )
        if isinstance(told, Unreadable):
            return told
        return {
            place: Simulated(each.decision, each.by_organization, untold(place[0], each.missing))
            for place, each in told.items()
        }

    fan: FanOut[tuple[str, str, Call], dict[tuple[str, str], Simulated] | Unreadable] = FanOut(
        work, max_concurrency
    )
    for account, instances in by_account.items():
        alive = [each for each in instances if each.instance.state not in ENDED_STATES]
        if alive and alive[0].role.there is not False:
            tags = asked_tags(alive[0].role)
            needs = [
                need
                for each in alive
                for need in to_simulate(each.instance, each.arn, each.partition, each.keys, tags)
            ]
            for call in calls_for(needs):
                fan.add((account, alive[0].role.arn, call))
    for done in fan.results():
        if done.error is not None:
            raise as_aws_error(done.error)
        account = done.job[0]
        if isinstance(done.value, Unreadable):
            problems.setdefault(account, done.value)
        else:
            answers[account] |= done.value or {}
    return {account: Simulation(answers[account], problems.get(account)) for account in by_account}


def calls_for(needs: Iterable[Need]) -> list[Call]:
    """The calls that ask for these needs, and for nothing that is not needed.

    Needs that differ in nothing but the resource share a call, and so do actions on the same resources.
    """
    resources: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, None]] = {}
    for need in needs:
        context = {**need.context, "aws:RequestedRegion": need.resource.split(":")[3]}
        resources.setdefault((need.action, tuple(sorted(context.items()))), {})[need.resource] = None
    actions: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], list[str]] = {}
    for (action, told), found in resources.items():
        actions.setdefault((tuple(found), told), []).append(action)
    return [
        Call(tuple(together), places[start : start + RESOURCES_A_CALL], {key: [value] for key, value in told})
        for (places, told), together in actions.items()
        for start in range(0, len(places), RESOURCES_A_CALL)
    ]


def untold(action: str, missing: Iterable[str]) -> tuple[str, ...]:
    """Of the keys that policies ask for and that were not told, those which the request may have all the same.

    AWS names the keys of all statements. An instance's tags are told as far as it has them, and what else is asked
    for has no tags that Systems Manager would show.
    """
    known = _TAG_PREFIXES if action == SEND else _TAG_PREFIXES[:1]
    return tuple(key for key in missing if not key.lower().startswith(known))


def asked_tags(role: RoleFacts) -> list[str] | None:
    """The tags of instances that a role's policies have conditions on; None where they could not be read."""
    if isinstance(role.policies, Unreadable) or isinstance(role.boundary, Unreadable):
        return None
    policies, boundary = role.policies, (role.boundary,) if isinstance(role.boundary, Policy) else ()
    keys = {
        condition.key.lower()
        for policy in (*policies, *boundary)
        if policy.document is not None
        for statement in policy.document.statements
        for condition in statement.conditions
    }
    return sorted({key.partition("/")[2] for key in keys if key.startswith(_TAG_PREFIXES)})
