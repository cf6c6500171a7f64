"""policy check of a file: everything that can be told of it, each with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cado_ops.policy.document import Document
from cado_ops.policy.lint_file import lint_file
from cado_ops.policy.lint_key import Key, account_told_by
from cado_ops.policy.rules import Finding

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole"
SEND = {"Sid": "Send", "Effect": "Allow", "Action": "ssm:SendCommand", "Resource": "*"}
KMS = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}


def key_of(document: Document) -> Key | None:
    account = account_told_by(document)
    return Key(account, ROLE) if account else None


def check(data: Any, indent: int | None = 1) -> list[Finding]:
    text = data if isinstance(data, str) else json.dumps(data, indent=indent)
    return lint_file(text, "p.json", {}, key_of)


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def told(data: Any, rule: str) -> list[str]:
    return [each.message for each in check(data) if each.rule == rule]


def test_all_faults_are_told_each_with_its_place() -> None:
    text = """{"Version": "2012-10-18", "Foo": 1, "Statement": [
      {"Sid": "A", "Effect": "allow", "Action": "ssm:SendCommand", "Resource": "*"},
      {"Sid": "A", "Action": ["ssm:SendComand", 5], "NotAction": "x:y", "Resource": "bucket"},
      7,
      {"Effect": "Allow", "action": "s3:GetObject", "Resource": "*", "Principal": "me"},
      {"Effect": "Allow", "Action": "s3:Get", "Resource": "*",
       "Condition": {"StringEqual": {"a:b": "c"}, "Bool": 1}}
    ]}"""
    found = check(text)
    messages = "\n".join(each.message for each in found if each.rule == "malformed")
    for wanted in (
        "p.json:1:13: the Version is '2012-10-18'",
        "p.json:1:34: a policy has no element 'Foo'",
        "p.json:2:30: statement 1 (A): the Effect is 'allow'",
        'p.json:3:7: statement 2 (A): the statement has no "Effect"',
        "p.json:3:7: statement 2 (A): a statement has Action or NotAction, not both",
        "p.json:3:49: statement 2 (A): Action has 5 where a string was expected",
        "line 3: Resource 'bucket' is neither an ARN",
        "p.json:4:7: statement 3: a statement is an object",
        "p.json:5:37: statement 4: a statement has no element 'action' (Write it as Action.)",
        "p.json:5:7: statement 4: the statement has neither Action nor NotAction",
        "statement 4: Principal is 'me'",
        "line 6: 'StringEqual' is no condition operator (Did you mean StringEquals?)",
        "statement 5: 'Bool' is an object: keys, and values for each",
    ):
        assert wanted in messages, wanted
    assert [each.statement for each in found if each.rule == "duplicate-sid"] == ["statement 2 (A)"]
    assert any("ssm:SendComand (Did you mean ssm:SendCommand?)" in each.message for each in found)
    assert all("\n" not in each.message for each in found)
    assert all(each.command == () for each in found), "tighten takes no malformed policy"


def test_of_a_malformed_policy_nothing_is_called_missing_and_sound_statements_are_judged() -> None:
    rules = {each.rule for each in check(policy({**SEND, "Effect": "allow"}, 5))}
    assert rules == {"malformed"}
    rules = {(each.rule, each.statement) for each in check(policy(SEND, 5))}
    assert ("send-command-untagged", "statement 1 (Send)") in rules
    assert not {rule for rule, _ in rules} & {"read-missing", "send-command-missing"}


def test_a_stray_principal_in_a_roles_policy_is_a_finding() -> None:
    for statements in ([{**SEND, "Principal": "*"}], [SEND, {**SEND, "Sid": "X", "Principal": {"AWS": ROLE}}]):
        found = check(policy(*statements))
        assert any(each.rule == "malformed" and "a Principal has no place here" in each.message for each in found)
        assert "send-command-untagged" in {each.rule for each in found}


def test_a_key_policy_that_does_not_tell_whose_it_is() -> None:
    found = {each.rule: each for each in check(policy({**KMS, "Principal": "*"}))}
    assert found["key-policy-open"]
    assert "--cado-role" in found["not-judged"].message
    # A role that is named tells the account as well as its root does.
    assert "not-judged" not in {each.rule for each in check(policy({**KMS, "Principal": {"AWS": ROLE}}))}


def test_one_statement_without_its_principal_leaves_a_key_policy_what_it_is() -> None:
    [message] = told(policy(KMS, {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}), "malformed")
    assert "a key policy has to name a Principal" in message


def test_a_trust_policy_is_said_to_be_one() -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}
    assert [each.rule for each in check(policy(trust))] == ["not-judged"]


def bulk(characters: int, action: str = "s3:GetObject") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": [f"arn:aws:s3:::{'x' * 80}"] * (characters // 95)}


def template(kind: str, *policies: Any) -> dict[str, Any]:
    if kind == "AWS::IAM::ManagedPolicy":
        return {"Resources": {"R": {"Type": kind, "Properties": {"PolicyDocument": policies[0]}}}}
    inline = [{"PolicyName": f"P{number}", "PolicyDocument": each} for number, each in enumerate(policies)]
    return {"Resources": {"R": {"Type": kind, "Properties": {"Policies": inline}}}}


@pytest.mark.parametrize(
    ("data", "rules", "limit"),
    [
        (policy(bulk(6_500)), {"size-managed"}, "6,144"),
        (policy(bulk(11_000)), {"size"}, "10,240"),
        (template("AWS::IAM::ManagedPolicy", policy(bulk(6_500))), {"size"}, "6,144"),
        (template("AWS::IAM::Role", policy(bulk(6_500))), set(), ""),
        (template("AWS::IAM::Role", policy(bulk(6_000)), policy(bulk(6_000))), {"size"}, "10,240"),
        (template("AWS::IAM::User", policy(bulk(2_500))), {"size"}, "2,048"),
        (template("AWS::IAM::Group", policy(bulk(2_500)), policy(bulk(2_900))), {"size"}, "5,120"),
    ],
)
def test_sizes_by_what_the_policy_is_attached_to(data: Any, rules: set[str], limit: str) -> None:
    found = [each for each in check(data) if each.rule.startswith("size")]
    assert {each.rule for each in found} == rules
    assert len(found) == len(rules)
    assert all(limit in each.message for each in found)


def test_blanks_count_for_keys_alone() -> None:
    spread = json.dumps(policy(bulk(5_900)), indent=400)
    assert len(spread) > 10_240
    assert not [each for each in check(spread) if each.rule.startswith("size")]
    key = json.dumps(policy({**KMS, "Resource": ["*"] * 400}), indent=100)
    assert "32,768" in told(key, "size")[0]
    assert told(policy(KMS), "size") == []
