"""May the Cado role do what acquisition needs? Its policies evaluated here, AWS's simulator beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cado_ops.arns import ACCOUNT_ID, PARTITION, ROLE_NAME, ROLE_PATH
from cado_ops.model import SSM_TAG, SSM_TAG_VALUE, Instance
from cado_ops.plan.tagging import TagWish, mistagged, plan_tag
from cado_ops.policy.evaluate import Decision, Policies, Policy, Verdict, evaluate
from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness.facts import InstanceFacts, RoleFacts, Simulation, Unreadable
from cado_ops.verdict.readiness.finding import Finding, Mend, Route, Status, missing
from cado_ops.verdict.readiness.requests import (
    Need,
    as_it_is,
    as_tagged,
    blocks_in,
    command_on,
    command_with,
    document_of,
    session_on,
    session_with,
    snapshots_of,
)

BOTH = (Route.TRIAGE, Route.DISK)
TRIAGE, DISK = (Route.TRIAGE,), (Route.DISK,)
ROLE_ARN = rf"arn:{PARTITION}:iam::{ACCOUNT_ID}:role{ROLE_PATH}{ROLE_NAME}"
_SIMULATE = "iam:SimulatePrincipalPolicy"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is made of one need: ``why`` in words, where it is not allowed for certain.

    ``missing``: nothing forbids it, and nothing allows it either. ``elsewhere``: no policy of the role is why.
    """

    status: Status
    why: str = ""
    missing: bool = False
    elsewhere: bool = False


def policies_of(role: RoleFacts) -> Policies:
    """The role's own side. What could not be read is a policy without a document: what it decides is unknown."""
    if isinstance(role.policies, Unreadable):
        identity: tuple[Policy, ...] = (Policy("the role's policies", None, str(role.policies)),)
    else:
        identity = role.policies
    if isinstance(role.boundary, Unreadable):
        return Policies(identity, boundary=(Policy("the role's boundary", None, str(role.boundary)),))
    return Policies(identity, boundary=(role.boundary,) if role.boundary is not None else None)


def with_simulator(verdict: Verdict, need: Need, simulation: Simulation) -> Answer:
    """Our verdict, and AWS's: only where both allow is it allowed. AWS alone knows the organisation's policies."""
    answer = simulation.answers.get(need.place)
    if answer is not None and answer.by_organization is False:
        # A key that the policy asks for and that was not told may be why.
        if answer.missing:
            why = f"an organisation policy (SCP) may deny it: it depends on {', '.join(answer.missing)}"
            return Answer(Status.UNKNOWN, f"{need.action}: {why}")
        return Answer(Status.BLOCK, f"{need.action}: an organisation policy (SCP) denies it", elsewhere=True)
    if verdict.decision is Decision.DENY:
        return Answer(Status.BLOCK, f"{need.action}: {_denied(verdict)}", missing=not verdict.explicit)
    # For a key the simulator knows neither its policy nor its grants.
    comparable = answer is not None and not answer.missing and not need.action.startswith("kms:")
    if answer is not None and comparable and answer.decision != "allowed":
        return Answer(Status.BLOCK, f"{need.action}: AWS's simulator says {answer.decision}")
    if verdict.decision is Decision.UNKNOWN:
        return Answer(Status.UNKNOWN, f"{need.action}: {'; '.join(verdict.reasons)}")
    if simulation.problem is not None:
        return Answer(Status.UNKNOWN, f"whether an organisation policy denies it: {simulation.problem}")
    if simulation.asked and answer is None:
        return Answer(Status.UNKNOWN, f"{need.action}: AWS's simulator gave no answer ({_SIMULATE})")
    return Answer(Status.OK)


def _denied(verdict: Verdict) -> str:
    kind = str(verdict.kind).replace("-", " ") if verdict.kind else "policy"
    named = f" ({verdict.policy})" if verdict.policy else ""
    return f"an explicit deny in its {kind}{named}" if verdict.explicit else f"no {kind} of it allows that"


def all_of(answers: Sequence[Answer]) -> Answer:
    """The worst, with the words of all that are as bad."""
    worst = min(answers, key=lambda each: list(Status).index(each.status))
    alike = [each for each in answers if each.status is worst.status]
    return Answer(
        worst.status,
        "; ".join(dict.fromkeys(each.why for each in alike if each.why)),
        any(each.missing for each in answers),
        all(each.elsewhere for each in alike),
    )


@dataclass(frozen=True)
class Judge:
    """Needs of one instance's role, judged."""

    facts: InstanceFacts

    def verdict(self, need: Need) -> Verdict:
        return evaluate(need.request(self.facts.role.arn), policies_of(self.facts.role))

    def answer(self, *needs: Need) -> Answer:
        return all_of([with_simulator(self.verdict(each), each, self.facts.simulation) for each in needs])


def role_findings(facts: InstanceFacts, asker: Asker) -> Iterator[Finding]:
    """The role itself, and what it may do. Without a role there is nothing more to be said."""
    role, there, where = facts.role, facts.instance, facts.partition
    if role.there is False:
        yield _missing_role(facts, asker)
        return
    if isinstance(role.there, Unreadable):
        yield _unknown("cado-role", missing([role.there]), BOTH, facts, asker)
    else:
        yield Finding("cado-role", Status.OK, role.arn, None, BOTH)
    judge = Judge(facts)
    tagged = command_on(facts.arn, as_tagged(there))
    commands = judge.answer(tagged, command_with(where, there.region, there.platform))
    what = f"Run Command with {document_of(there.platform)}"
    yield _permission("send-command", what, commands, TRIAGE, facts, asker)
    now = [judge.verdict(command_on(facts.arn, tags)) for tags in as_it_is(there)]
    yield _tag(facts, asker, now, judge.verdict(tagged))
    yield _sessions(facts, asker, judge)
    snapshots = judge.answer(*snapshots_of(where, there.account, there.region, facts.volume_ids))
    yield _permission("create-snapshot", "snapshots of its volumes", snapshots, DISK, facts, asker)
    blocks = judge.answer(*blocks_in(where, there.region))
    yield _permission("read-snapshot", "blocks of snapshots (EBS direct)", blocks, DISK, facts, asker)


def _missing_role(facts: InstanceFacts, asker: Asker) -> Finding:
    role, there = facts.role, facts.instance
    option, _, other = (role.instead or "").partition(" ")
    detail = f"account {there.account} has no role {role.arn.rpartition('/')[2]}"
    if option == "--cado-role" and re.fullmatch(ROLE_ARN, other):
        line = asker.line(
            "check",
            there.instance_id,
            "--cado-role",
            other,
            account=there.account,
            region=there.region,
            in_case=True,
        )
        return Finding("cado-role", Status.BLOCK, f"{detail}; one is called {other}", line, BOTH)
    return Finding("cado-role", Status.BLOCK, f"{detail}; {role.instead}" if role.instead else detail, None, BOTH)


def _tag(facts: InstanceFacts, asker: Asker, now: Sequence[Verdict], once_tagged: Verdict) -> Finding:
    """The tag, and whether the role's policy makes it matter: send-command is judged as if it were right."""
    there = facts.instance
    value, twins = there.tags.get(SSM_TAG), _twins(there)
    exact = value == SSM_TAG_VALUE
    on_purpose = value is not None and not exact and not mistagged(there)
    words = ("tag-instances", there.instance_id, *(("--overwrite",) if on_purpose else ()))
    fix: str | None = asker.line(*words, account=there.account, region=there.region, in_case=True)
    mend: Mend | None = None if on_purpose else Mend.TAG
    shown = _shown(value, twins)
    full = plan_tag(there, TagWish(case=asker.case)).error
    if full is not None:
        shown, fix, mend = f"{shown}; {full.message}", None, None
    if exact:
        mend = None
        fix = _drop(there, twins, asker) if twins else None
    if all(each.allowed for each in now):
        if exact:
            return Finding("tag", Status.OK, shown, None, TRIAGE)
        return Finding("tag", Status.WARN, f"{shown}; the role reaches the instance all the same", fix, TRIAGE)
    open_ = [each for each in (*now, once_tagged) if each.decision is Decision.UNKNOWN]
    if open_:
        why = f"{shown}; whether the role's policy asks for it is not known: {'; '.join(open_[0].reasons)}"
        return Finding("tag", Status.UNKNOWN, why, fix, TRIAGE, mend)
    if not once_tagged.allowed:
        # It would not help: what stands in the way is told by send-command.
        return Finding("tag", Status.OK if exact else Status.WARN, shown, fix, TRIAGE)
    status = Status.UNKNOWN if any(each.allowed for each in now) else Status.BLOCK
    return Finding("tag", status, shown, fix, TRIAGE, mend)


def _twins(there: Instance) -> list[str]:
    return sorted(key for key in there.tags if key.lower() == SSM_TAG.lower() and key != SSM_TAG)


def _shown(value: str | None, twins: Sequence[str]) -> str:
    """The tag in words."""
    if value is None:
        told = f"{SSM_TAG} is not there"
    elif value == SSM_TAG_VALUE:
        told = f"{SSM_TAG}={value}"
    elif value.strip().lower() == SSM_TAG_VALUE.lower():
        told = f"{SSM_TAG} is {value!r}, which is not the same as {SSM_TAG_VALUE}"
    else:
        told = f"{SSM_TAG} is {value!r}: set on purpose"
    differs = "differs from it only in case, and which one IAM sees is not defined"
    return f"{told}; {twins[0]} {differs}" if twins else told


def _drop(there: Instance, twins: Sequence[str], asker: Asker) -> str:
    """What takes a second key off again: tag-instances leaves it alone."""
    # As JSON: in the CLI's shorthand a comma in a value would begin another pair.
    pairs = json.dumps([{"Key": key, "Value": there.tags[key]} for key in twins], separators=(",", ":"))
    return asker.aws(
        "ec2", "delete-tags", "--resources", there.instance_id, "--tags", pairs,
        account=there.account, region=there.region,
    )  # fmt: skip


def _sessions(facts: InstanceFacts, asker: Asker, judge: Judge) -> Finding:
    """Whether the role may open a shell. Nothing that Cado needs: what an open one means for the tag is told."""
    there, role = facts.instance, facts.role
    unchecked = judge.verdict(session_on(there, facts.arn, checked=False))
    checked = judge.verdict(session_on(there, facts.arn, checked=True))
    document = judge.verdict(session_with(facts.partition, there.account, there.region))
    if unchecked.allowed or (checked.allowed and document.allowed):
        if there.tags.get(SSM_TAG) == SSM_TAG_VALUE:
            return Finding("session-manager", Status.OK, "open: the role may start a shell of Session Manager here")
        fix = asker.line("policy", "tighten", "--role", role.arn, account=there.account)
        return Finding(
            "session-manager", Status.WARN,
            "open: the role may start a shell here without the tag, which is then no boundary", fix,
        )  # fmt: skip
    open_ = [each for each in (unchecked, checked, document) if each.decision is Decision.UNKNOWN]
    if open_ and not (checked.decision is Decision.DENY and unchecked.decision is Decision.DENY):
        return _unknown("session-manager", f"not known: {'; '.join(open_[0].reasons)}", (), facts, asker)
    return Finding("session-manager", Status.OK, "closed: the role may start no shell of Session Manager here")


def _permission(
    check: str, what: str, answer: Answer, routes: tuple[Route, ...], facts: InstanceFacts, asker: Asker
) -> Finding:
    if answer.status is Status.OK:
        asked = "" if facts.simulation.asked else "; organisation policies were not asked for"
        return Finding(check, Status.OK, f"the role may: {what}{asked}", None, routes)
    if answer.status is Status.UNKNOWN:
        return _unknown(check, f"{what}, not known: {answer.why}", routes, facts, asker)
    fix = asker.line("policy", "check", "--role", facts.role.arn, account=facts.instance.account)
    told = f"the role may not: {what}: {answer.why}"
    return Finding(check, Status.BLOCK, told, None if answer.elsewhere else fix, routes)


def _unknown(check: str, detail: str, routes: tuple[Route, ...], facts: InstanceFacts, asker: Asker) -> Finding:
    return Finding(check, Status.UNKNOWN, detail, asker.show_operator(facts.instance.account), routes)
