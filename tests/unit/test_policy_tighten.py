"""What tighten makes of single statements, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cado_ops.policy.document import document_from
from cado_ops.policy.evaluate import Decision
from cado_ops.policy.lint import lint_role
from cado_ops.policy.parts import Wish
from cado_ops.policy.rules import Severity, Subject
from cado_ops.policy.source import read_policy_file
from cado_ops.policy.tighten import Tightened, tighten
from tests.unit.policies.requests import asked, decision

POLICIES = Path(__file__).resolve().parent / "policies"
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
INSTANCES, HYBRID = "arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*:*:managed-instance/*"
SHELL, POWERSHELL = (f"arn:aws:ssm:*::document/AWS-Run{kind}Script" for kind in ("Shell", "PowerShell"))
SESSIONS = "arn:aws:ssm:*:*:session/*"
TRUE = {"StringEquals": {TAG: "True"}}
CHECKED = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def made(*statements: dict[str, Any], **wish: Any) -> Tightened:
    return tighten(document_from({"Version": "2012-10-17", "Statement": list(statements)}, "policy"), Wish(**wish))


def as_json(result: Tightened) -> list[Any]:
    return [each.as_json() for each in result.document.statements]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # In place, where there is nothing to be told apart.
        (allow("ssm:SendCommand", INSTANCES), [allow("ssm:SendCommand", INSTANCES, Condition=TRUE)]),
        (allow("ssm:SendCommand"), [allow("ssm:SendCommand", INSTANCES, Condition=TRUE),
                                    allow("ssm:SendCommand", [SHELL, POWERSHELL])]),
        (allow("ssm:SendCommand", [INSTANCES, HYBRID]),
         [allow("ssm:SendCommand", [INSTANCES, HYBRID], Condition=TRUE)]),
        (allow("ssm:SendCommand", "arn:aws:ec2:eu-west-1:*:instance/*"),
         [allow("ssm:SendCommand", "arn:aws:ec2:eu-west-1:*:instance/*", Condition=TRUE)]),
        # Conditions that were there stay, and hold as well.
        (allow("ssm:SendCommand", INSTANCES, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
         [allow("ssm:SendCommand", INSTANCES, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}} | TRUE)]),
        (allow("ssm:SendCommand", INSTANCES, Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
         [allow("ssm:SendCommand", INSTANCES,
                Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1", TAG: "True"}})]),
        # Unsound ones on the tag give way.
        (allow("ssm:SendCommand", INSTANCES, Condition={"StringLikeIfExists": {TAG: ["T*"]}}),
         [allow("ssm:SendCommand", INSTANCES, Condition=TRUE)]),
        (allow("ssm:SendCommand", INSTANCES,
               Condition={"ForAllValues:StringEquals": {TAG.lower(): ["True", "False"]}}),
         [allow("ssm:SendCommand", INSTANCES, Condition=TRUE)]),
        # Those that never hold for True cannot be mended without allowing more.
        (allow("ssm:SendCommand", INSTANCES, Condition={"StringEquals": {TAG: "true"}}), []),
        (allow("ssm:SendCommand", INSTANCES,
               Condition={"StringEquals": {"aws:RequestTag/CadoResponseSSMEnabled": "True"}}), []),
        # Documents that are named stay, whichever they are; of a pattern, those that were asked for.
        (allow("ssm:SendCommand", "arn:aws:ssm:*:*:document/Mine"),
         [allow("ssm:SendCommand", "arn:aws:ssm:*:*:document/Mine")]),
        (allow("ssm:SendCommand", "arn:aws:ssm:eu-west-1:*:document/*"),
         [allow("ssm:SendCommand", [f"arn:aws:ssm:eu-west-1:*:document/AWS-Run{kind}Script"
                                    for kind in ("Shell", "PowerShell")])]),
        # Nothing that StartSession was not allowed before: no document, so no statement for one.
        (allow("ssm:StartSession", INSTANCES), [allow("ssm:StartSession", INSTANCES, Condition=TRUE | CHECKED)]),
        (allow("ssm:StartSession"), [
            allow("ssm:StartSession", INSTANCES, Condition=TRUE | CHECKED),
            allow("ssm:StartSession", "arn:aws:ssm:*::document/AWS-StartPortForwardingSession",
               Condition=CHECKED)]),
        (allow("ssm:StartSession", INSTANCES, Condition=TRUE),
         [allow("ssm:StartSession", INSTANCES, Condition=TRUE | CHECKED)]),
        (allow("ssm:TerminateSession"), [allow("ssm:TerminateSession", SESSIONS)]),
        (allow("ssm:TerminateSession", "arn:aws:ssm:*:*:session/${aws:userid}-*"),
         [allow("ssm:TerminateSession", "arn:aws:ssm:*:*:session/${aws:userid}-*")]),
        (allow("ssm:TerminateSession", INSTANCES), []),
        (allow("ssm:GetCommandInvocation", INSTANCES), [allow("ssm:GetCommandInvocation")]),
        (allow("ssm:GetCommandInvocation", Condition=TRUE), [allow("ssm:GetCommandInvocation")]),
        # A write that knows no resources is no repair.
        (allow("ssm:CancelCommand", INSTANCES), [allow("ssm:CancelCommand", INSTANCES)]),
        (allow("ec2:CreateTags"), [allow("ec2:CreateTags", Condition={
            "ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": "CadoResponseSSMEnabled"},
            "Null": {"aws:TagKeys": "false"}})]),
        (allow("ec2:CreateTags",
               Condition={"ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": ["Owner"]}}),
         [allow("ec2:CreateTags", Condition={
             "ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": ["Owner", "CadoResponseSSMEnabled"]},
             "Null": {"aws:TagKeys": "false"}})]),
    ],
)  # fmt: skip
def test_a_statement(statement: Any, expected: list[Any]) -> None:
    assert as_json(made(statement)) == expected


def test_the_partition_is_that_of_the_policy() -> None:
    gov = allow(["ssm:SendCommand"], "arn:aws-us-gov:ec2:*:*:instance/*")
    text = str(as_json(made(gov, allow(["ssm:StartSession", "ssm:TerminateSession"]))))
    assert "arn:aws-us-gov:ssm:*:*:session/*" in text
    assert "arn:aws:" not in text
    assert "arn:aws-cn:ec2" in str(as_json(made(allow("ssm:SendCommand"), partition="aws-cn")))


@pytest.mark.parametrize(
    "open_",
    [
        {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"},
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ssm:SendCommand", "NotResource": "arn:aws:s3:::b"},
        {"Effect": "Allow", "Action": ["ssm:SendCommand"], "Resource": {"Ref": "Targets"}},
        # No condition can be added to conditions that a template makes.
        {**allow("ssm:SendCommand"), "Condition": {"Fn::If": ["C", TRUE, {"Ref": "AWS::NoValue"}]}},
        {**allow("ssm:SendCommand"), "Condition": {"StringEquals": {"Fn::If": ["C", {}, {"Ref": "AWS::NoValue"}]}}},
    ],
)
def test_what_cannot_be_split_is_closed_by_a_deny(open_: Any) -> None:
    result = made(open_, {"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    assert as_json(result)[0] == open_, "it stays as it is"
    guard = next(each for each in as_json(result) if each.get("Sid") == "DenySendCommandWithoutTheTag")
    assert guard["Condition"] == {"StringNotEquals": {TAG: "True"}}
    assert guard["Resource"] == [INSTANCES, HYBRID]
    errors = [each for each in lint_role(Subject((result.document,))) if each.severity is Severity.ERROR]
    assert errors == []


def test_a_dead_condition_on_resources_that_cannot_be_told_apart() -> None:
    dead = {"Effect": "Allow", "Action": ["ssm:SendCommand", "s3:GetObject"], "NotResource": "arn:aws:s3:::b",
            "Condition": {"StringEquals": {TAG: "true"}}}  # fmt: skip
    assert as_json(made(dead)) == [{**dead, "Action": ["s3:GetObject"]}]


def test_a_template_that_fills_in_the_partition_is_understood() -> None:
    """${AWS::Partition} is no reason for a Deny: it is an instance, whatever the partition."""
    instances = {"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}
    assert as_json(made(allow("ssm:SendCommand", instances))) == [
        allow("ssm:SendCommand", instances, Condition=TRUE)
    ]


USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
FOR_SERVICES = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize(
    ("variant", "before", "after"),
    [
        ("full", allow([*USE, "kms:CreateGrant"]), [allow([*USE, "kms:CreateGrant"])]),
        ("grant-only", allow([*USE, "kms:CreateGrant", "kms:DescribeKey"]),
         [allow(["kms:CreateGrant", "kms:DescribeKey"])]),
        ("withheld", allow([*USE, "kms:CreateGrant"]),
         [allow(USE), allow("kms:CreateGrant", Condition=FOR_SERVICES)]),
        ("ebs-direct", allow([*USE, "kms:CreateGrant", "kms:DescribeKey"]),
         [allow(["kms:Decrypt", "kms:DescribeKey"]), allow("kms:CreateGrant", Condition=FOR_SERVICES)]),
        ("ebs-direct", allow("kms:Encrypt"), []),
        ("withheld", allow(["kms:Decrypt", "s3:GetObject"]), [allow(["kms:Decrypt", "s3:GetObject"])]),
        ("ebs-direct", allow("kms:*"), [allow(["kms:Decrypt", "kms:Describe*", "kms:Get*", "kms:List*"]),
                                        allow("kms:CreateGrant", Condition=FOR_SERVICES)]),
        ("full", allow("kms:Re*"), [allow("kms:ReEncrypt*")]),
        ("grant-only", allow("kms:*Grant"), [allow("kms:CreateGrant")]),
        ("withheld", allow("kms:CreateGrant", Condition={"Bool": {"kms:GrantIsForAWSResource": True}}),
         [allow("kms:CreateGrant", Condition={"Bool": {"kms:GrantIsForAWSResource": True}})]),
        ("full", allow("kms:ScheduleKeyDeletion"), [allow("kms:ScheduleKeyDeletion")]),
    ],
)  # fmt: skip
def test_kms_variants(variant: str, before: Any, after: list[Any]) -> None:
    """Never an action that the policy did not have; what the variant is not about stays where it is named."""
    assert as_json(made(before, kms=variant)) == after
    assert as_json(made(before)) == [before], "without --kms, KMS is left alone"


@pytest.mark.parametrize("strict", [False, True])
def test_a_kms_wildcard_leaves_no_reading_action_that_grants_nothing(strict: bool) -> None:
    """By name it would be repaired the next time."""
    once = made(allow("kms:*Key*", "arn:aws:kms:eu-west-1:111111111111:key/abc"), kms="withheld", strict=strict)
    assert "kms:GetKeyPolicy" in str(as_json(once))
    assert "kms:ListKeys" not in str(as_json(once))
    twice = tighten(once.document, Wish(kms="withheld", strict=strict))
    assert (twice.document, twice.repairs) == (once.document, ())
    assert "kms:ListKeys" in str(as_json(made(allow("kms:*Key*"), kms="withheld", strict=strict)))


@pytest.mark.parametrize("denied", ["*i*", "a*", "*0*", "Z*"])
def test_a_deny_of_some_documents_is_none_of_all(denied: str) -> None:
    deny = {"Effect": "Deny", "Action": "ssm:*", "Resource": f"arn:aws:ssm:*:*:document/{denied}"}
    statements = [deny, allow("ssm:*Session", "arn:aws:ssm:*:*:*/*")]
    before = document_from({"Version": "2012-10-17", "Statement": statements}, "policy")
    assert "session-documents" in {each.rule for each in lint_role(Subject((before,)))}
    assert "DenyStartSessionWithOtherDocuments" in str(as_json(made(*statements)))


def test_a_statement_that_still_allows_documents_is_no_error_once_a_deny_closes_the_rest() -> None:
    once = made(allow("ssm:SendCommand", "arn:aws:ssm:*:*:*", Condition={"StringEqualsIfExists": {TAG: "Owner"}}))
    assert "DenySendCommandWithoutTheTag" in str(as_json(once))
    assert [each for each in lint_role(Subject((once.document,))) if each.severity is Severity.ERROR] == []


SPELLED = "ssm:ResourceTag/CadoResponseSSMEnabled"


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        # Both of "false" and "true" have to hold: neither may take the other's place.
        (allow("ssm:StartSession", INSTANCES,
               Condition={"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "false"}}),
         {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "false"}, "StringEquals": {TAG: "True"},
          "StringEqualsIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}),
        # One key in two spellings.
        (allow("ssm:SendCommand", INSTANCES,
               Condition={"StringEquals": {TAG: ["False", "${aws:PrincipalTag/x}"],
                                           SPELLED: ["true", "${aws:PrincipalTag/x}"]}}),
         {"StringEquals": {TAG: ["False", "${aws:PrincipalTag/x}"], SPELLED: ["true", "${aws:PrincipalTag/x}"]},
          "StringLike": {TAG: "True"}}),
        (allow("ec2:CreateTags",
               Condition={"ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": "a", "aws:tagkeys": "b"}}),
         {"ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": ["a", "CadoResponseSSMEnabled"],
                                                     "aws:tagkeys": "b"}, "Null": {"aws:TagKeys": "false"}}),
    ],
)  # fmt: skip
def test_conditions_that_are_there_stay_beside_the_new_one(statement: Any, condition: Any) -> None:
    once = made(statement)
    assert as_json(once) == [{**statement, "Condition": condition}]
    again = document_from(once.document.as_json(), "policy")
    assert again.statements == once.document.statements
    assert tighten(again).document.statements == again.statements


def test_sids_and_places() -> None:
    wide = allow(["ec2:CreateSnapshot", "ssm:StartSession", "ec2:CreateTags"], Sid="All")
    last = allow("s3:GetObject", Sid="Last")
    result = made(allow("s3:ListBucket", Sid="AllOtherTags"), wide, last)
    assert [(place, each.sid) for place, each in result.items] == [
        (0, "AllOtherTags"),
        (1, "All"),
        (None, "AllOtherTags2"),
        (None, "AllSessionTagged"),
        (None, "AllSessionDocuments"),
        (2, "Last"),
    ]


def test_dropped_statements_are_said() -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    result = made(allow("s3:GetObject", Sid="A"), deny, drop_sids=("A", "No"))
    assert as_json(result) == []
    assert result.remarks == ("A: dropped", "No: dropped; it is a Deny, so more is allowed")


def test_repairs_are_listed_and_not_made_twice() -> None:
    statements = [allow(["ssm:sendcommand", "ssm:describeinstanceinformation"], INSTANCES, Sid="A"),
                  allow("ssm:DescribeInstanceInformation", SHELL, Sid="B")]  # fmt: skip
    result = made(*statements)
    assert result.repairs == ("ssm:DescribeInstanceInformation",)
    assert str(as_json(result)).lower().count("describeinstanceinformation") == 1
    strict = made(*statements, strict=True)
    assert strict.repairs == ()
    assert "describeinstanceinformation" not in str(as_json(strict)).lower()
    granted = made(*statements, allow("ssm:Describe*"))
    assert granted.repairs == (), "it is granted elsewhere"


@pytest.mark.parametrize(
    ("more", "is_certain"),
    [
        (allow("ssm:Describe*"), True),
        (allow({"Ref": "Action"}), False),
        (allow(["s3:GetObject", {"Fn::If": ["C", "ssm:*", "s3:*"]}]), False),
        (allow("ssm:*", {"Ref": "Where"}), False),
        (allow("ssm:*", {"Fn::Sub": "${Where}"}), False),
        (allow("ssm:*", ["*", {"Ref": "Where"}]), True),
        ({"Fn::If": ["C", allow("ssm:*"), {"Ref": "AWS::NoValue"}]}, False),
        ({**allow("ssm:*"), "Effect": {"Ref": "Effect"}}, False),
        ({"Effect": "Allow", "NotAction": [{"Ref": "No"}], "Resource": "*"}, False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        (allow("ssm:*", Condition={"Bool": {"aws:ViaAWSService": "false"}}), False),
    ],
)
def test_what_a_template_fills_in_is_no_certain_grant(more: Any, is_certain: bool) -> None:
    """A repair is left out where the action is granted elsewhere, and what is not known grants nothing."""
    result = made(allow("ssm:DescribeInstanceInformation", INSTANCES, Sid="A"), more)
    assert result.repairs == (() if is_certain else ("ssm:DescribeInstanceInformation",))


@pytest.mark.parametrize(
    "name", ["cross-account.yaml", "acquisition.yaml", "documented-wide.json", "documented-tagged.json"]
)
def test_policies_like_the_vendors(name: str) -> None:
    [found] = read_policy_file((POLICIES / name).read_text(), name).found
    before = found.document
    for wish in (Wish(), Wish(kms="ebs-direct", strict=True)):
        result = tighten(before, wish)
        left = lint_role(Subject((result.document,)))
        assert [each for each in left if each.severity is Severity.ERROR] == []
        for request in asked("aws"):
            if decision(result.document, request, "aws") is not Decision.DENY:
                allowed = decision(before, request, "aws") is Decision.ALLOW
                assert allowed or request[0] in result.repairs, request
        if "tagged" not in name:
            tagged_alone = {
                tuple(context.values())
                for action, resource, context in asked("aws")
                if action == "ssm:SendCommand" and "instance/" in resource
                and decision(result.document, (action, resource, context), "aws") is Decision.ALLOW
            }  # fmt: skip
            assert tagged_alone == {("True", "True")}
