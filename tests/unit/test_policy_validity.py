"""What AWS would refuse: one line each, with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cado_ops.policy.document import document_from, read_document
from cado_ops.policy.elements import Place
from cado_ops.policy.validity import LIMITS, Attached, problems, size_problem, text_of


def lines(statements: list[dict[str, Any]], attached: Attached = Attached.MANAGED) -> list[str]:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)
    return [str(each) for each in problems(read_document(text, "p.json"), attached)]


def one(**changed: Any) -> list[dict[str, Any]]:
    made = {"Sid": "A", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"} | changed
    return [{name: value for name, value in made.items() if value is not None}]


def test_nothing_to_find() -> None:
    good = [*one(), *one(Sid="B", Action=["KMS:decrypt", "kms:*", "*", "ec2:Describe*"], Effect="Deny")]
    assert lines(good) == []


@pytest.mark.parametrize(
    ("statements", "attached", "expected"),
    [
        (
            one() + one(),
            Attached.MANAGED,
            "p.json:10:3: statement 2 (A): the Sid A stands twice",
        ),
        (one(Sid="a b"), Attached.MANAGED, "the Sid 'a b' has other characters"),
        (
            one(Action="kms:Decript"),
            Attached.MANAGED,
            "statement 1 (A): AWS publishes no action kms:Decript",
        ),
        (one(Action="kmss:Decrypt"), Attached.MANAGED, "AWS publishes no service 'kmss'"),
        (one(Action="kms:Decript*"), Attached.MANAGED, "matches no action"),
        (one(Action=None, NotAction=["kms:Decript"]), Attached.MANAGED, "AWS publishes no action"),
        (one(Action="Decrypt"), Attached.MANAGED, "'Decrypt' is no action"),
        (one(Resource=None), Attached.MANAGED, "neither Resource nor NotResource"),
        (one(Principal="*"), Attached.MANAGED, "a Principal has no place here"),
        (one(), Attached.KEY, "a key policy has to name a Principal"),
        (one(Principal="*"), Attached.TRUST, "a trust policy has no Resource"),
        (one(Principal="*"), Attached.RCP, "can only Deny"),
        (
            one(Condition={"StringLikes": {"aws:userid": "x"}}),
            Attached.SCP,
            "'StringLikes' is no condition operator",
        ),
        (one(Resource="arn:aws:kms:*:${aws:PrincipalAccount}:key/*"), Attached.MANAGED, "before the fifth colon"),
    ],
)
def test_problems(statements: list[dict[str, Any]], attached: Attached, expected: str) -> None:
    [line] = lines(statements, attached)
    assert expected in line
    assert line.startswith("p.json:")
    assert "\n" not in line


def test_hints_name_what_was_meant() -> None:
    data = {
        "Statement": one(Action=["kms:Decript", "kmss:Decrypt"], Condition={"StringEqual": {"aws:userid": "x"}})
    }
    found = problems(document_from(data, "p"), Attached.MANAGED)
    hints = [each.hint for each in found]
    assert hints == ["Did you mean kms:Decrypt?", "Did you mean kms?", "Did you mean StringEquals?"]


def test_variables_need_the_version() -> None:
    data = {"Statement": one(Resource="arn:aws:s3:::b/${aws:userid}")}
    [problem] = problems(document_from(data, "p"), Attached.MANAGED)
    assert "Version 2012-10-17" in problem.message


def test_what_a_template_will_know_is_no_problem() -> None:
    sub = {"Fn::Sub": "kms:${What}"}
    assert (
        problems(document_from({"Statement": [{"Fn::If": ["A", 1, 2]}, *one(Action=sub)]}, "p"), Attached.MANAGED)
        == []
    )


@pytest.mark.parametrize("attached", list(Attached))
def test_sizes_as_aws_counts(attached: Attached) -> None:
    """ "IAM doesn't count white space": Organizations, KMS and STS do."""
    limit = LIMITS[attached]
    assert size_problem("x" * limit.size, attached, Place("p")) is None
    found = size_problem("x" * (limit.size + 1), attached, Place("p"))
    assert found is not None
    assert f"{limit.size + 1:,} characters" in str(found)
    spaced = size_problem(" \n" + "x" * limit.size, attached, Place("p"))
    assert (spaced is not None) is limit.counts_blanks


def test_the_limits_are_those_of_the_pages() -> None:
    assert {each: limit.size for each, limit in LIMITS.items()} == {
        "managed policy": 6144,
        "inline policies of a role": 10240,
        "inline policies of a user": 2048,
        "inline policies of a group": 5120,
        "session policy": 2048,
        "trust policy": 2048,
        "key policy": 32768,
        "service control policy": 10240,
        "resource control policy": 5120,
    }


def test_the_text_that_is_counted_is_the_shortest() -> None:
    assert text_of(document_from({"Statement": one()[0]}, "p")) == (
        '{"Statement":{"Sid":"A","Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}}'
    )
