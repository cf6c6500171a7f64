"""AWS's simulator, asked in as few calls as the needs allow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cado_ops.observe.simulation import RESOURCES_A_CALL, Call, asked_tags, calls_for, untold
from cado_ops.policy.document import read_document
from cado_ops.policy.evaluate import Policy
from cado_ops.verdict.readiness.facts import RoleFacts, Unreadable
from cado_ops.verdict.readiness.requests import Need

X, Y, FAR = (f"arn:aws:ec2:{region}:1:volume/{name}" for region, name in (("r-1", "x"), ("r-1", "y"), ("r-2", "z")))
HERE = {"aws:RequestedRegion": ["r-1"]}


def test_needs_that_differ_in_the_resource_share_a_call() -> None:
    assert calls_for([Need("a:b", X), Need("a:b", Y), Need("a:b", X)]) == [Call(("a:b",), (X, Y), HERE)]


def test_actions_on_the_same_resources_share_one() -> None:
    needs = [Need("a:b", X), Need("a:c", X)]
    assert calls_for(needs) == [Call(("a:b", "a:c"), (X,), HERE)]


def test_nothing_is_asked_that_nobody_needs() -> None:
    """Each action of a call is asked for each of its resources."""
    assert calls_for([Need("a:b", X), Need("a:c", Y)]) == [Call(("a:b",), (X,), HERE), Call(("a:c",), (Y,), HERE)]


def test_another_context_is_another_call_and_so_is_another_region() -> None:
    calls = calls_for([Need("a:b", X, {"k": "1"}), Need("a:b", X, {"k": "2"}), Need("a:b", FAR)])
    assert [call.context for call in calls] == [
        {**HERE, "k": ["1"]},
        {**HERE, "k": ["2"]},
        {"aws:RequestedRegion": ["r-2"]},
    ]


def test_very_many_resources_are_several_calls() -> None:
    needs = [Need("a:b", f"{X}{number}") for number in range(RESOURCES_A_CALL + 1)]
    assert [len(call.resources) for call in calls_for(needs)] == [RESOURCES_A_CALL, 1]


def test_the_tags_that_policies_ask_for() -> None:
    conditions = {
        "StringLike": {"ssm:resourceTag/A": "x"},
        "Null": {"aws:ResourceTag/b": "true", "aws:TagKeys": "true"},
    }
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": conditions}
    document = read_document(json.dumps({"Version": "2012-10-17", "Statement": statement}), "test")
    role = RoleFacts("arn", there=True, policies=(Policy("P", document),), boundary=Policy("B", None))
    assert asked_tags(role) == ["a", "b"]
    unread = Unreadable("iam:GetRolePolicy", "no")
    assert asked_tags(replace(role, policies=unread)) is None, "it may be any of them"
    assert asked_tags(replace(role, boundary=unread)) is None


@pytest.mark.parametrize(
    ("action", "expected"),
    [("ssm:SendCommand", ("aws:SourceIp",)), ("ec2:CreateSnapshot", ("aws:ResourceTag/b", "aws:SourceIp"))],
)
def test_tags_that_are_not_told_are_not_there(action: str, expected: tuple[str, ...]) -> None:
    """Those of volumes were not read."""
    assert untold(action, ("ssm:resourceTag/A", "aws:ResourceTag/b", "aws:SourceIp")) == expected
