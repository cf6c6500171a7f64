"""Policies in files: JSON, YAML and templates come back as they came in, with what changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import PolicyError
from cado_ops.policy.document import Intrinsic, Statement, Values, document_from
from cado_ops.policy.parts import Wish
from cado_ops.policy.source import PolicyFile, merged, read_policy_file
from cado_ops.policy.tighten import tighten
from cado_ops.policy.yaml_text import parse_yaml, write_yaml

TEMPLATE = """\
# The role, as we deploy it.
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Suffix: {Type: String, Default: "x"}
Conditions:
  WithSessions: !Equals [!Ref Suffix, x]
Resources:
  CadoRole:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub "CadoResponseRole-${Suffix}"  # must contain CadoResponse
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Principal: {AWS: !GetAtt Platform.Arn}, Action: sts:AssumeRole}
      Policies:
        - PolicyName: Triage
          PolicyDocument:
            Version: 2012-10-17
            Statement:
              # wide
              - Sid: Triage
                Effect: Allow
                Action: [ssm:SendCommand, 'ssm:GetCommandInvocation']
                Resource:
                  - !Sub arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:instance/*
                  - Fn::Sub: arn:${AWS::Partition}:ssm:*::document/AWS-RunShellScript

              # read only
              - Sid: Look
                Effect: Allow   # harmless
                Action: "ec2:Describe*"
                Resource: '*'
              - !If [WithSessions, {Effect: Allow, Action: ssm:StartSession, Resource: "*"}, !Ref AWS::NoValue]
  Bucket:
    Type: AWS::S3::BucketPolicy
    Properties:
      PolicyDocument: {Statement: []}
  More:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ssm:SendCommand, Resource: "*"}]}
Outputs:
  Arn: {Value: !GetAtt CadoRole.Arn}
"""


def tightened(text: str, wish: Wish | None = None) -> str:
    file = read_policy_file(text, "file")
    return file.with_statements({each.path: tighten(each.document, wish).items for each in file.found})


def test_a_template_keeps_everything_but_the_statements_that_change() -> None:
    file = read_policy_file(TEMPLATE, "template.yaml")
    assert [each.name for each in file.found] == ["CadoRole.Policies[0]", "More"]
    assert file.is_template
    made = tightened(TEMPLATE)
    before, after = TEMPLATE.splitlines(), made.splitlines()
    gone = [line for line in before if line not in after]
    assert [line.strip()[:40] for line in gone] == [
        "- Sid: Triage",
        "Action: [ssm:SendCommand, 'ssm:GetComman",
        "- !Sub arn:${AWS::Partition}:ec2:*:${AWS",
        "- Fn::Sub: arn:${AWS::Partition}:ssm:*::",
        'PolicyDocument: {Version: "2012-10-17", ',
    ]
    for line in ("# The role, as we deploy it.", "              # wide", "              # read only",
                 "                Effect: Allow   # harmless",
                 "              - !If [WithSessions, {Effect: Allow, Action: ssm:StartSession, Resource: \"*\"}, "
                 "!Ref AWS::NoValue]"):  # fmt: skip
        assert line in after, line


def test_intrinsics_come_back_in_the_form_they_had() -> None:
    made = tightened(TEMPLATE)
    assert "!Sub 'arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:instance/*'" in made
    assert "Fn::Sub: arn:${AWS::Partition}:ssm:*::document/AWS-RunShellScript" in made
    [triage, _] = read_policy_file(made, "made").found
    tagged = triage.document.statements[0]
    assert tagged.sid == "TriageTagged"
    assert tagged.resources is not None
    [entry] = tagged.resources.intrinsics
    assert entry == Intrinsic.of({"Fn::Sub": "arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:instance/*"})


def test_tightening_a_template_twice_changes_nothing_more() -> None:
    once = tightened(TEMPLATE)
    assert once != TEMPLATE
    assert tightened(once) == once


def test_a_statement_that_a_condition_makes_is_left_and_said() -> None:
    file = read_policy_file(TEMPLATE, "template.yaml")
    result = tighten(file.found[0].document)
    assert any("a template's function makes it" in remark for remark in result.remarks)
    assert any(statement.whole is not None for _, statement in result.items)


@pytest.mark.parametrize("text", [TEMPLATE, '{\n "Version": "2012-10-17", "Statement": []}\n'])
def test_without_a_change_the_text_is_the_same_to_the_letter(text: str) -> None:
    file = read_policy_file(text, "file")
    items = {each.path: list(enumerate(each.document.statements)) for each in file.found}
    assert file.with_statements(items) == text  # type: ignore[arg-type]


def edited(text: str, *, drop: int | None = None, add: bool = False, change: int | None = None) -> PolicyFile:
    """The file read again after an edit."""
    file = read_policy_file(text, "file")
    [found] = file.found
    items: list[tuple[int | None, Statement]] = []
    for number, statement in enumerate(found.document.statements):
        if number == drop:
            continue
        items.append((number, replace(statement, sid="Changed") if number == change else statement))
    if add:
        items.append(
            (None, Statement(sid="Added", effect="Deny", actions=Values.of("a:*"), resources=Values.of("*")))
        )
    made = file.with_statements({found.path: items})
    [again] = read_policy_file(made, "made").found
    assert again.document.statements == tuple(each for _, each in items), made
    return read_policy_file(made, "made")


FORMS = {
    "indented": "Version: '2012-10-17'\nStatement:\n  - Effect: Allow\n    Action: a:b\n    Resource: '*'\n"
    "  # two\n  - Effect: Allow\n    Action:\n      - c:d\n    Resource: '*'  # all\n\n# end\n",
    "flat": "Version: '2012-10-17'\nStatement:\n- Effect: Allow\n  Action: a:b\n  Resource: '*'\n- Effect: Allow\n"
    "  Action:\n  - c:d\n  Resource: '*'",
    "flow": 'Version: "2012-10-17"\nStatement: [{Effect: Allow, Action: "a:b", Resource: "*"},\n'
    ' {Effect: Allow, Action: "c:d", Resource: "*"}]\n# end\n',
    "anchors": "Version: '2012-10-17'\nStatement:\n- Effect: Allow\n  Action: a:b\n  Resource: &all ['*']\n"
    "- Effect: Allow\n  Action: c:d\n  Resource: *all\n",
    "block text": "Version: '2012-10-17'\nStatement:\n- Effect: Allow\n  Action: a:b\n  Resource: |-\n    *\n"
    "- Effect: Allow\n  Action: c:d\n  Resource: >-\n    *\n",
    "dash alone": "Version: '2012-10-17'\nStatement:\n-\n  Effect: Allow\n  Action: a:b\n  Resource: '*'\n-\n"
    "  Effect: Allow\n  Action: c:d\n  Resource: '*'\n",
    "windows": "Version: '2012-10-17'\r\nStatement:\r\n- Effect: Allow\r\n  Action: a:b\r\n  Resource: '*'\r\n"
    "- Effect: Allow\r\n  Action: c:d\r\n  Resource: '*'\r\n",
    "json": '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*"},\n'
    '{"Effect": "Allow", "Action": ["c:d"], "Resource": "*"}]}',
    "answer of the AWS CLI": '{"RoleName": "R", "PolicyName": "P", "PolicyDocument": {"Version": "2012-10-17",'
    '"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*"},'
    '{"Effect": "Allow", "Action": "c:d", "Resource": "*"}]}}',
    "text in an answer": json.dumps({"Policy": '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Action": "a:b", "Resource": "*"}, {"Effect": "Allow", "Action": "c:d", "Resource": "*"}]}'}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_edited(form: str) -> None:
    text = FORMS[form]
    edited(text, add=True)
    edited(text, drop=0)
    edited(text, drop=1)
    edited(text, change=0)
    edited(text, change=1, add=True)
    edited(text, drop=0, change=1, add=True)


def test_comments_outside_of_a_change_stay() -> None:
    made = edited(FORMS["indented"], change=0, add=True).text
    assert "  # two\n  - Effect: Allow\n" in made
    assert made.endswith("\n# end\n")


def test_a_single_statement_without_brackets() -> None:
    text = "Version: '2012-10-17'\nStatement:\n  Effect: Allow\n  Action: ssm:SendCommand\n  Resource: '*'\n"
    made = tightened(text)
    [found] = read_policy_file(made, "made").found
    assert len(found.document.statements) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a: b: c", "file:1:5: no valid YAML"),
        ("- a\n", "a policy is an object"),
        ("Version: 1\n---\nVersion: 2\n", "several YAML documents"),
        ("Statement: &a [*a]\n", "an anchor that holds itself"),
        ("Statement: []\nStatement: []\n", "file:2:1: 'Statement' stands twice"),
        ("<<: {a: b}\n", "merge"),
        ("Resources: {}\n", "no policy of a role"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "aliases counted"),
        ("Statement:\n- Effect: Allow\n  Action: 5\n  Resource: '*'\n", "file:3:11: statement 1: Action has 5"),
        ('{"Statement": [}', "file:1:16"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy_file(text, "file")
    assert message in caught.value.message
    assert caught.value.message.startswith("file")
    assert "\n" not in caught.value.message


def test_dates_and_words_of_yaml_are_the_text_that_aws_takes() -> None:
    parsed = parse_yaml("Version: 2012-10-17\nA: yes\nB: 010\nC: 12345678901\nD: '1'\n", "file")
    assert parsed.data["Version"] == "2012-10-17"
    assert parsed.data["A"] is True
    assert parsed.data["D"] == "1"


def test_what_is_written_reads_the_same() -> None:
    data = {"a": ["*", "true", "2012-10-17", "010", "", "a: b", "- x", "#", "ä", "on", "null", "'", '"', "a\nb"],
            "b": {"Fn::Sub": "x${y}"}, "c": True, "d": {"Fn::GetAtt": ["A", "B.C"]}}  # fmt: skip
    assert parse_yaml(write_yaml(data), "made").data == data
    short = {json.dumps(data["b"]): "!Sub", json.dumps(data["d"]): "!GetAtt"}
    text = write_yaml(data, short)
    assert "!GetAtt" in text
    assert "!Sub" in text
    assert parse_yaml(text, "made").data == data


_texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn")), max_size=8)
_data = st.recursive(
    st.one_of(_texts, st.booleans(), st.sampled_from(["2012-10-17", "010", "*", "- a", "#", "~", "1e3", "!Sub x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(_texts, _data, max_size=3))
def test_any_data_comes_back(data: Any) -> None:
    data = {"Statement": data}
    assert parse_yaml(write_yaml(data), "made").data == data


def test_several_policies_as_one() -> None:
    def policy(sid: str, version: str = "2012-10-17", resource: str = "*") -> object:
        return document_from(
            {
                "Version": version,
                "Statement": {"Sid": sid, "Effect": "Allow", "Action": "a:b", "Resource": resource},
            },
            "policy",
        )

    document, remarks = merged([("One", policy("A")), ("Two", policy("A")), ("Three", policy("B"))])  # type: ignore[list-item]
    assert [each.sid for each in document.statements] == ["A", "A2", "B"]
    assert remarks == ["the Sid A of Two is taken by another policy: it is A2 here"]
    # In the old version ${…} is no variable: it must not become one.
    old = policy("C", "2008-10-17", "arn:aws:s3:::${aws:username}")
    document, _ = merged([("One", policy("A")), ("Old", old)])  # type: ignore[list-item]
    assert document.statements[1].resources == Values.of("arn:aws:s3:::${$}{aws:username}")
