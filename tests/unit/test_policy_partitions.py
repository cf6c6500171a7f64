"""Policies for several partitions: judged in each, closed in each, and written as they were."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from cado_ops.policy.document import Document, document_from
from cado_ops.policy.evaluate import Decision
from cado_ops.policy.lint import lint_role
from cado_ops.policy.partitions import Form, Partitions, of_the_deployment, partitions_of
from cado_ops.policy.parts import Wish
from cado_ops.policy.rules import Finding, Severity, Subject
from cado_ops.policy.tighten import tighten
from tests.unit.policies.mutations import (
    FORMS,
    deployed,
    in_form,
    of_several_partitions,
    partitions_of_form,
    planted,
    tight,
)
from tests.unit.policies.requests import asked, decision

TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
SUB = {"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}
# Each of the six forms four times.
SEEDS = 24


def read(policy: Any) -> Document:
    return document_from(policy, "policy")


def policy(*statements: dict[str, Any]) -> Document:
    return read({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(resource: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": "ssm:SendCommand", "Resource": resource,
            "Condition": {"StringNotEquals": {TAG: "True"}}}  # fmt: skip


def findings(document: Document) -> list[Finding]:
    return lint_role(Subject((document,)))


def errors(document: Document) -> list[str]:
    return [each.rule for each in findings(document) if each.severity is Severity.ERROR]


def nobody_may_do_more(before: Document, after: Document, repairs: tuple[str, ...], form: str, seed: int) -> None:
    for partition in random.Random(seed).sample(partitions_of_form(form), 2):
        was, now = (read(deployed(each.as_json(), partition)) for each in (before, after))
        for request in random.Random(seed).sample(list(asked(partition)), 20):
            if decision(now, request, partition) is not Decision.DENY:
                before_ = decision(was, request, partition)
                assert before_ is Decision.ALLOW or request[0] in repairs, (seed, form, partition, request)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_tight_in_every_partition_stays_as_it_is(form: str) -> None:
    document = read(in_form(tight(), form))
    assert errors(document) == []
    assert tighten(document, Wish(kms="withheld")).document == document


@pytest.mark.parametrize("chunk", range(4))
def test_what_is_open_in_one_partition_is_found_and_closed(chunk: int) -> None:
    for seed in range(chunk, SEEDS, 4):
        made, form, rule, open_ = of_several_partitions(seed)
        before = read(made)
        found = [each for each in findings(before) if each.rule == rule]
        assert found, (seed, form, rule, open_)
        assert found[0].message.startswith(f"in {open_}: "), (seed, found)
        result = tighten(before)
        assert errors(result.document) == [], (seed, form)
        assert tighten(result.document).document == result.document, (seed, form)
        nobody_may_do_more(before, result.document, result.repairs, form, seed)
        for partition in partitions_of_form(form):
            there = read(deployed(result.document.as_json(), partition))
            left = lint_role(Subject((there,), live_partition=partition))
            assert [each for each in left if each.severity is Severity.ERROR] == [], (seed, form, partition)


@pytest.mark.parametrize("chunk", range(4))
def test_planted_faults_are_found_and_closed_in_every_form(chunk: int) -> None:
    for seed in range(chunk, SEEDS, 4):
        made, faults, partition = planted(seed)
        form = FORMS[seed // 4 % len(FORMS)]
        text = json.dumps(made).replace(f'"arn:{partition}:', '"arn:aws:')
        before = read(in_form(json.loads(text), form))
        rules = {
            each.rule for each in lint_role(Subject((before,), platform_region="eu-west-1", platform_org="o-1"))
        }
        for fault in faults:
            assert rules & set(fault.rules) or fault.rules == ("partition",), (seed, form, fault.rules)
        result = tighten(before)
        assert errors(result.document) == [], (seed, form)
        assert tighten(result.document).document == result.document, (seed, form)
        nobody_may_do_more(before, result.document, result.repairs, form, seed)


@pytest.mark.parametrize(
    ("statements", "judged", "written"),
    [
        ([allow("ssm:*")], ["aws"], ["aws"]),
        ([allow("ssm:*", "arn:aws-cn:ec2:*:*:instance/*")], ["aws-cn"], ["aws-cn"]),
        ([allow("ssm:*"), deny("arn:aws-us-gov:ec2:*:*:instance/*")], ["aws-us-gov"], ["aws-us-gov"]),
        ([allow("ssm:*", ["arn:aws:s3:::a", "arn:aws-cn:s3:::a"])], ["aws", "aws-cn"], ["aws", "aws-cn"]),
        ([allow("ssm:*", "arn:aws-cn:s3:::a"), deny("arn:aws:ec2:*:*:instance/*")], ["aws-cn"], ["aws-cn"]),
        ([allow("ssm:*", SUB)], ["aws"], ["${AWS::Partition}"]),
        ([allow("ssm:*", SUB), deny("arn:aws:*:*:*:*")], ["aws", "aws-us-gov"], ["${AWS::Partition}"]),
        ([allow("ssm:*", {"Fn::If": ["C", SUB, {"Ref": "AWS::NoValue"}]})], ["aws"], ["${AWS::Partition}"]),
        ([{"Fn::If": ["C", allow("ssm:*", SUB), {"Ref": "AWS::NoValue"}]}], ["aws"], ["${AWS::Partition}"]),
        ([allow("ssm:*", "arn:*:ec2:*:*:instance/*"), deny("arn:aws-us-gov:ec2:*:*:instance/*")],
         ["aws", "aws-us-gov"], ["*"]),
        ([allow("ssm:*", "arn:aws-iso*:ec2:*:*:instance/*")], ["aws", "aws-iso"], ["*"]),
        ([allow("ssm:*", "arn:*")], ["aws"], ["aws"]),
    ],
)  # fmt: skip
def test_in_which_partitions(statements: Any, judged: list[str], written: list[str]) -> None:
    found = partitions_of([policy(*statements)])
    assert (list(found.judged), [each.text for each in found.written]) == (judged, written)


def test_what_names_none_follows_the_rest_of_its_template() -> None:
    wide = policy(allow("ssm:*"))
    assert partitions_of([wide], of_the_deployment()) == of_the_deployment()
    named = policy(allow("ssm:*", "arn:aws-cn:s3:::a"))
    assert partitions_of([named], of_the_deployment()) == Partitions(("aws-cn",), (Form("aws-cn"),))


def test_the_pair_and_the_guards_are_written_as_the_policy_writes_its_own() -> None:
    result = tighten(
        policy(allow("ssm:SendCommand"), allow(["ssm:GetCommandInvocation", "ssm:Start*"], SUB, Sid="S"))
    )
    tagged, run, kept, *guards = (each.as_json() for each in result.document.statements)
    assert tagged["Resource"] == SUB
    assert run["Resource"][0] == {"Fn::Sub": "arn:${AWS::Partition}:ssm:*::document/AWS-RunShellScript"}
    assert kept["Sid"] == "S"
    text = json.dumps([tagged, run, *guards])
    assert text.count('{"Fn::Sub": "arn:${AWS::Partition}:') == text.count("arn:")
    assert "DenyStartSessionWithoutTheTag" in text
    two = tighten(policy(allow("ssm:*", ["arn:aws:s3:::a", "arn:aws-cn:s3:::a", "*"])))
    guard = two.document.statements[1].as_json()
    assert [each.split(":")[1] for each in guard["Resource"]] == ["aws", "aws", "aws-cn", "aws-cn"]
    star = tighten(policy(allow("ssm:SendCommand", ["arn:*:s3:::a", "*"])))
    assert "arn:*:ec2:*:*:instance/*" in json.dumps(star.document.as_json())


def test_what_is_open_in_one_partition_says_in_which() -> None:
    closed = deny(["arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*:*:managed-instance/*"])
    found = [
        each
        for each in findings(policy(allow("ssm:SendCommand", SUB), closed))
        if each.rule == "send-command-untagged"
    ]
    assert found[0].message.startswith("in aws-us-gov: ssm:SendCommand is allowed on instances without")
    everywhere = [
        each for each in findings(policy(allow("ssm:SendCommand", SUB))) if each.rule == "send-command-untagged"
    ]
    assert everywhere[0].message.startswith("ssm:SendCommand")
