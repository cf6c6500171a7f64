"""500 policies with faults planted in them: check finds each, tighten ends them, and nobody may do more after."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from cado_ops.errors import PolicyError
from cado_ops.policy.document import document_from
from cado_ops.policy.evaluate import Decision
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_key import Key, lint_key_policy
from cado_ops.policy.parts import Wish
from cado_ops.policy.rules import Finding, Severity, Subject
from cado_ops.policy.source import read_policy_file
from cado_ops.policy.tighten import tighten
from cado_ops.policy.yaml_text import write_yaml
from tests.unit.policies.mutations import FAULTS, planted, spoiled, tight
from tests.unit.policies.requests import ACCOUNT, asked, decision

SEEDS = 500
CHUNKS = 10
VARIANTS = (None, None, "full", "grant-only", "withheld", "ebs-direct")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole"
PLATFORM = {"platform_region": "eu-west-1", "platform_org": "o-ours000001"}

# From less to more.
ORDER = (Decision.DENY, Decision.UNKNOWN, Decision.ALLOW)

in_chunks = pytest.mark.parametrize("chunk", range(CHUNKS))


def seeds(chunk: int) -> range:
    return range(chunk, SEEDS, CHUNKS)


def findings(policy: Any, **more: Any) -> list[Finding]:
    document = document_from(policy, "policy") if isinstance(policy, dict) else policy
    return lint_role(Subject((document,), **more))


def wish_of(seed: int) -> Wish:
    return Wish(kms=VARIANTS[seed % len(VARIANTS)], strict=seed % 4 == 0)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_what_is_tight_has_no_fault_and_stays_as_it_is(partition: str) -> None:
    document = document_from(tight(partition), "policy")
    assert findings(document, kms="withheld", **PLATFORM) == []
    assert tighten(document).document == document
    assert tighten(document, Wish(kms="withheld", strict=True)).document == document


@in_chunks
def test_every_planted_fault_is_found(chunk: int) -> None:
    for seed in seeds(chunk):
        policy, faults, _ = planted(seed)
        found = {each.rule for each in findings(policy, **PLATFORM)}
        for fault in faults:
            assert found & set(fault.rules), (seed, fault.rules, found)


def test_every_fault_is_planted_often_enough() -> None:
    counts = dict.fromkeys((fault.plant for fault in FAULTS), 0)
    for seed in range(SEEDS):
        for fault in planted(seed)[1]:
            counts[fault.plant] += 1
    assert min(counts.values()) >= 10, counts


@in_chunks
def test_no_error_is_left_after_tightening(chunk: int) -> None:
    for seed in seeds(chunk):
        policy, faults, _ = planted(seed)
        result = tighten(document_from(policy, "policy"), wish_of(seed))
        left = findings(result.document, platform_region="eu-west-1")
        assert [each for each in left if each.severity is Severity.ERROR] == [], seed
        rules = {each.rule for each in left}
        for fault in faults:
            # A wildcard reaches what is no error by itself; tighten leaves that, and check says so.
            if fault.mended and not any("wild" in other.plant.__name__ for other in faults):
                assert not rules & set(fault.rules) or fault.rules == ("terminate-session-open",), (
                    seed,
                    fault.rules,
                )


@in_chunks
def test_tightening_twice_is_tightening_once(chunk: int) -> None:
    for seed in seeds(chunk):
        wish = wish_of(seed)
        once = tighten(document_from(planted(seed)[0], "policy"), wish)
        twice = tighten(once.document, wish)
        assert twice.document == once.document, seed
        assert twice.repairs == (), seed


@in_chunks
def test_nobody_may_do_more_after(chunk: int) -> None:
    """By the evaluator, which knows nothing of how policies are tightened."""
    for seed in seeds(chunk):
        policy, _, partition = planted(seed)
        rng = random.Random(seed)
        before = document_from(policy, "policy")
        result = tighten(before, wish_of(seed))
        for request in rng.sample(list(asked(partition)), 40):
            if decision(result.document, request, partition) is Decision.DENY:
                continue
            was = decision(before, request, partition)
            assert was is Decision.ALLOW or request[0] in result.repairs, (seed, request, was)


@in_chunks
def test_strict_repairs_nothing(chunk: int) -> None:
    for seed in seeds(chunk):
        result = tighten(document_from(planted(seed)[0], "policy"), Wish(strict=True))
        assert result.repairs == ()


LEFT_ALONE = frozenset(
    [
        *("s3:ListAllMyBuckets", "ec2:CreateSnapshot", "ec2:DescribeInstances", "kms:DescribeKey", "kms:ListKeys"),
        *("iam:PutRolePolicy", "ssm:CreateAssociation", "ssm:StartAutomationExecution"),
    ]
)


@in_chunks
def test_what_has_nothing_to_do_with_it_is_as_allowed_as_before(chunk: int) -> None:
    for seed in seeds(chunk):
        policy, _, partition = planted(seed)
        before = document_from(policy, "policy")
        after = tighten(before, wish_of(seed)).document
        for request in asked(partition):
            if request[0] in LEFT_ALONE:
                assert decision(before, request, partition) is decision(after, request, partition), (seed, request)


@in_chunks
def test_untouched_statements_keep_their_words_their_order_and_their_sids(chunk: int) -> None:
    for seed in seeds(chunk):
        before = document_from(planted(seed)[0], "policy")
        result = tighten(before, Wish(kms=None))
        places = [place for place, _ in result.items if place is not None]
        assert places == sorted(set(places)), seed
        kept = [statement for place, statement in result.items if statement in before.statements]
        order = [before.statements.index(each) for each in kept]
        assert order == sorted(order), seed
        for index, statement in enumerate(before.statements):
            text = str(statement.as_json()).lower()
            if not any(word in text for word in ("ssm:", "createtags", "ec2:create", "notaction", "'*'", "twice")):
                assert (index, statement) in result.items, seed


@in_chunks
def test_odd_policies_break_nothing_and_hold_what_is_said_of_the_others(chunk: int) -> None:
    """Read from a file and written back: functions of a template, wildcards and malformed things in odd places."""
    read = 0
    for seed in range(chunk, 500, CHUNKS):
        data, partition = spoiled(seed)
        text = json.dumps(data) if seed % 2 else write_yaml(data)
        try:
            file = read_policy_file(text, "file")
        except PolicyError:
            continue
        read += 1
        [found] = file.found
        lint_key_policy(Subject((found.document,)), Key(ACCOUNT, ROLE, [found.document]))
        result = tighten(found.document, wish_of(seed))
        [again] = read_policy_file(file.with_statements({found.path: result.items}), "file").found
        assert again.document.statements == result.document.statements, (seed, "what is written is what was meant")
        assert tighten(again.document, wish_of(seed)).document.statements == again.document.statements, seed
        left = {each.rule for each in findings(again.document) if each.severity is Severity.ERROR}
        assert left <= {"malformed"}, seed
        for request in random.Random(seed).sample(list(asked(partition)), 12):
            now, was = (decision(each, request, partition) for each in (again.document, found.document))
            assert ORDER.index(now) <= ORDER.index(was) or request[0] in result.repairs, (seed, request)
    assert read > 10


def test_the_tagged_instance_is_still_reached() -> None:
    """Tighter is easy: it must still work."""
    for partition in ("aws", "aws-us-gov"):
        wide = tight(partition)
        wide["Statement"][2].pop("Condition")
        document = tighten(document_from(wide, "policy")).document
        reached = {
            (resource.rpartition(":")[2].partition("/")[0], tuple(context.values()))
            for action, resource, context in asked(partition)
            if action == "ssm:SendCommand"
            and decision(document, (action, resource, context), partition) is Decision.ALLOW
        }
        assert ("instance", ("True", "True")) in reached
        assert ("document", ()) in reached
        assert all(what == "document" or values == ("True", "True") for what, values in reached)
