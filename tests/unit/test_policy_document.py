"""Policies as plain data: everything that is read is given back, and what is wrong is said with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import PolicyError, UsageError
from cado_ops.policy.document import (
    Condition,
    Intrinsic,
    Principal,
    Values,
    document_from,
    is_intrinsic,
    read_document,
)
from cado_ops.policy.json_text import MAX_DEPTH, MAX_TEXT, parse_json

WIDE = {
    "Version": "2012-10-17",
    "Id": "wide",
    "Statement": [
        {
            "Sid": "RequiredForTriageAndRunCommand",
            "Effect": "Allow",
            "Action": ["ssm:SendCommand", "ssm:DescribeInstanceInformation"],
            "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*::document/AWS-RunShellScript"],
        },
        {
            "Effect": "Deny",
            "NotPrincipal": {"AWS": "arn:aws:iam::111111111111:root", "Service": ["ec2.amazonaws.com"]},
            "NotAction": "kms:*",
            "NotResource": "*",
            "Condition": {
                "Bool": {"aws:SecureTransport": False, "aws:MultiFactorAuthPresent": ["true"]},
                "NumericLessThan": {"aws:MultiFactorAuthAge": 3600, "ec2:VolumeSize": [1.5, "2"]},
            },
        },
    ],
}
SUB = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}


def read(data: Any) -> Any:
    return read_document(json.dumps(data, indent=2), "policy.json")


def message(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        read_document(text, "policy.json")
    assert isinstance(caught.value, UsageError)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_policy_is_given_back_as_it_was() -> None:
    assert json.dumps(read(WIDE).as_json()) == json.dumps(WIDE)


def test_single_values_and_lists_are_the_same_to_a_reader() -> None:
    [first, second] = read(WIDE).statements
    assert tuple(first.actions) == ("ssm:SendCommand", "ssm:DescribeInstanceInformation")
    assert tuple(second.not_actions) == ("kms:*",)
    assert Values.of("kms:*") == Values(("kms:*",), single=False)
    assert (first.not_actions, first.principal) == (None, None)
    assert second.not_principal.of("Service") == ("ec2.amazonaws.com",)


def test_values_without_quotes_are_strings_to_a_reader_and_stay_as_they_were() -> None:
    conditions = read(WIDE).statements[1].conditions
    assert conditions[0] == Condition("Bool", "aws:SecureTransport", Values.of("false"))
    assert [tuple(each.values) for each in conditions] == [("false",), ("true",), ("3600",), ("1.5", "2")]


def test_one_statement_without_brackets() -> None:
    data = {"Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}}
    document = read(data)
    assert document.as_json() == data
    assert (document.version, document.has_variables) == (None, False)
    assert str(document.statements[0].place) == "policy.json:2:16: statement 1"


def test_statements_know_their_place() -> None:
    document = read_document('{"Version": "2012-10-17",\n "Statement": [\n  {"Sid": "A", "Effect": "Allow", '
                             '"Action": "*", "Resource": "*"},\n\n    {"Effect": "Deny", "Action": "*", '
                             '"Resource": []}]}', "p.json")  # fmt: skip
    assert [str(each.place) for each in document.statements] == [
        "p.json:3:3: statement 1 (A)",
        "p.json:5:5: statement 2",
    ]
    assert tuple(document.statements[1].resources) == ()


def test_intrinsics_pass_through_untouched() -> None:
    data = {
        "Version": "2012-10-17",
        "Statement": [
            {"Fn::If": ["Wide", {"Effect": "Allow"}, {"Ref": "AWS::NoValue"}]},
            {
                "Effect": {"Ref": "Effect"},
                "Principal": {"AWS": [SUB, "*"]},
                "Action": "kms:*",
                "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:kms:*"}, "*"],
                "Condition": {"StringEquals": {"aws:PrincipalArn": SUB}, "StringLike": {"Fn::If": ["A", {}, {}]}},
            },
            {"Effect": "Allow", "Principal": SUB, "Action": SUB, "Resource": SUB, "Condition": {"Ref": "Block"}},
        ],
    }
    document = read(data)
    assert document.as_json() == data
    first, second, third = document.statements
    assert first.whole == Intrinsic.of(data["Statement"][0])  # type: ignore[index]
    assert second.principal.of("AWS") == (Intrinsic.of(SUB), "*")
    assert second.resources.strings == ("*",)
    assert [each.key for each in second.conditions] == ["aws:PrincipalArn", ""]
    assert third.principal == Principal(whole=Intrinsic.of(SUB))
    assert third.conditions == (Condition("", "", Values.of(Intrinsic.of({"Ref": "Block"}))),)
    assert len({Intrinsic.of(SUB), Intrinsic.of(SUB)}) == 1, "they can be compared and kept in sets"


@pytest.mark.parametrize("data", [{"Ref": "A", "B": 1}, {}, {"Sub": 1}, "Ref", ["Ref"], None])
def test_what_is_no_intrinsic(data: Any) -> None:
    assert not is_intrinsic(data)


def test_data_read_elsewhere_brings_its_own_places() -> None:
    positions = {("Resources", "Role", "Statement", 0): (12, 9)}
    data = {"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
    document = document_from(data, "role.yaml", positions, ("Resources", "Role"))
    assert str(document.statements[0].place) == "role.yaml:12:9: statement 1 (A)"
    assert str(document_from(data, "the role's inline policy P").statements[0].place) == (
        "the role's inline policy P: statement 1 (A)"
    )


def test_a_list_stays_a_list() -> None:
    assert Values(("a", "b")).with_items(["a"]).as_json() == ["a"]
    assert Values.of("a").with_items(["b"]).as_json() == "b"
    assert Values.of("a").with_items(["a", "b"]).as_json() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "policy.json: empty, where a policy in JSON was expected"),
        ("  \n", "policy.json: empty"),
        ("[]", "policy.json:1:1: a policy is an object"),
        ("{", "policy.json:1:2: expected a name in double quotes"),
        ('{"Statement": [', "policy.json:1:16: the JSON ends too early"),
        ('{"Statement": [] ', "policy.json:1:18: the JSON ends too early"),
        ('{"Statement":\n [],\n}', "policy.json:2:4: a comma before the closing }"),
        ('{"Statement": [1,]}', "policy.json:1:17: a comma before the closing ]"),
        ('{"Statement": []} x', "policy.json:1:19: more text after the end"),
        ('{"Statement" []}', "policy.json:1:14: expected : after 'Statement'"),
        ('{"Statement": [1 2]}', "policy.json:1:18: expected , or ]"),
        ('{"Statement": NaN}', "policy.json:1:15: 'NaN}' is no JSON"),
        ('{"Statement": 1e999}', "policy.json:1:15: the number 1e999 is too large"),
        ('{"Statement": "a\nb"}', "policy.json:1:17: invalid control character"),
        ('{"Statement": "\\x"}', "policy.json:1:16: invalid \\escape"),
        ('{"Statement": "\\ud800"}', "policy.json:1:15: half a surrogate pair"),
        (
            '{"Version": "2012-10-17",\n"Statement": [],\n"Statement": []}',
            "policy.json:3:1: 'Statement' stands twice",
        ),
        ('{"Statement": [{"Effect": "Allow", "Effect": "Deny"}]}', "policy.json:1:36: 'Effect' stands twice"),
        ("[" * (MAX_DEPTH + 2), f"policy.json:1:{MAX_DEPTH + 2}: nested deeper than"),
        ('{"a": ' * 100_000, "nested deeper than"),
        ("{" + " " * MAX_TEXT, "policy.json: longer than 1024 KiB"),
        ('{"Version": "2012-10-17"}', 'policy.json:1:1: the policy has no "Statement"'),
        ('{"Version": "2012-10-18", "Statement": []}', "policy.json:1:13: the Version is '2012-10-18'"),
        ('{"Version": 1, "Statement": []}', "policy.json:1:13: the Version is 1"),
        ('{"Id": 1, "Statement": []}', "policy.json:1:8: Id is 1: it takes a string"),
        ('{"statement": []}', "policy.json:1:15: a policy has no element 'statement'"),
        ('{"Statement": "x"}', "policy.json:1:15: a statement is an object"),
        ('{"Statement": [\n"x"]}', "policy.json:2:1: statement 1: a statement is an object"),
        ('{"Statement": [{}]}', "statement 1: the statement has neither Action nor NotAction"),
        ('{"Statement": [{"Action": "*"}]}', 'policy.json:1:16: statement 1: the statement has no "Effect"'),
        (
            '{"Statement": [{"Action": "*", "Effect": "allow"}]}',
            "policy.json:1:42: statement 1: the Effect is 'allow'",
        ),
        ('{"Statement": [{"Action": "*", "NotAction": "*"}]}', "Action or NotAction, not both"),
        (
            '{"Statement": [{"Actions": "*"}]}',
            "policy.json:1:28: statement 1: a statement has no element 'Actions'",
        ),
        ('{"Statement": [{"Effect": "Deny", "Action": 1}]}', "policy.json:1:45: statement 1: Action has 1 where"),
        (
            '{"Statement": [{"Effect": "Deny", "Action": ["a", null]}]}',
            "policy.json:1:51: statement 1: Action has None",
        ),
        (
            '{"Statement": [{"Effect": "Deny", "Action": {"Sub": "a"}}]}',
            "statement 1: Action has {'Sub': 'a'} where",
        ),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Principal": "me"}]}', "Principal is 'me'"),
        (
            '{"Statement": [{"Effect": "Deny", "Action": "*", "Principal": {"Aws": "*"}}]}',
            "Principal has no kind 'Aws'",
        ),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Principal": {}}]}', "Principal is {}"),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Condition": []}]}', "Condition is an object"),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Condition": {"Bool": "x"}}]}', "'Bool' is an object"),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Condition": {"Bool": {"a": {}}}}]}', "a has {} where"),
    ],
)
def test_what_is_malformed_is_one_line_with_its_place(text: str, expected: str) -> None:
    assert expected.lower() in message(text).lower()


def test_element_names_in_another_case_are_hinted_at() -> None:
    with pytest.raises(PolicyError) as caught:
        read_document('{"statement": []}', "policy.json")
    assert caught.value.hint == "Write it as Statement."


def test_a_byte_order_mark_is_no_part_of_it() -> None:
    assert read_document("\ufeff" + json.dumps(WIDE), "p").as_json() == WIDE


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(plain_data, st.sampled_from([None, 2]), st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(data: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert parse_json(text, "x").data == json.loads(text)


@given(st.text(alphabet='{}[]",:\\ truefalsn0123456789.-+eE\n\t', max_size=40))
def test_what_the_standard_library_refuses_is_refused(text: str) -> None:
    def constant(name: str) -> Any:
        raise ValueError(name)

    def unequal(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    try:
        expected = json.loads(text, parse_constant=constant, object_pairs_hook=unequal)
    except ValueError:
        with pytest.raises(PolicyError):
            parse_json(text, "x")
    else:
        if abs(expected) < float("inf") if isinstance(expected, float) else True:
            assert parse_json(text, "x").data == expected
