"""Each rule of policy check, with what it must find and what it must let pass."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cado_ops.policy.actions import find
from cado_ops.policy.document import document_from
from cado_ops.policy.library import ssm_default, ssm_tagged, ssm_tagged_documented
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_key import Key, lint_key_policy
from cado_ops.policy.names import Names
from cado_ops.policy.other_ways import OTHER_WAYS
from cado_ops.policy.rules import RULES, Finding, Severity, Subject
from cado_ops.policy.source import read_policy_file
from tests.unit.policies.mutations import tight

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "policy-rules.md"
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
TRUE = {"StringEquals": {TAG: "True"}}
INSTANCES = "arn:aws:ec2:*:*:instance/*"
NODES = "arn:aws:ssm:*:*:managed-instance/*"
DOCUMENT = "arn:aws:ssm:*::document/AWS-RunShellScript"


def check(*statements: dict[str, Any], version: str = "2012-10-17", **more: Any) -> dict[str, list[Finding]]:
    document = document_from({"Version": version, "Statement": list(statements)}, "policy")
    found: dict[str, list[Finding]] = {}
    for each in lint_role(Subject((document,), **more)):
        found.setdefault(each.rule, []).append(each)
    return found


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def tags(condition: Any) -> dict[str, Any]:
    return allow("ec2:CreateTags", Condition=condition)


def modify(attribute: str) -> dict[str, Any]:
    return allow("ec2:ModifyInstanceAttribute", Condition={"StringEquals": {"ec2:Attribute": attribute}})


def send(condition: Any = None, resource: Any = INSTANCES) -> dict[str, Any]:
    return allow("ssm:SendCommand", resource, **({"Condition": condition} if condition else {}))


@pytest.mark.parametrize("other", ["aws:RequestTag/Env", "aws:ResourceTag/CadoResponseSSMEnabled"])
def test_a_sound_condition_on_the_tag_is_not_blamed_for_another(other: str) -> None:
    value = "true" if other.startswith("aws:ResourceTag") else "x"
    found = check(send({"StringEquals": {TAG: "True", other: value}}))
    blamed = [each.message for rule in RULES if rule.startswith("tag-condition") for each in found.get(rule, ())]
    assert not [each for each in blamed if each.startswith(f"StringEquals {TAG}: True")]
    assert bool(blamed) == other.startswith("aws:ResourceTag")


@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        (None, "send-command-untagged"),
        ({"StringEquals": {"ssm:resourceTag/Env": "prod"}}, "send-command-untagged"),
        ({"StringEquals": {"ssm:resourceTag/CadoResponseSSMEnable": "True"}}, "send-command-untagged"),
        ({"StringEqualsIfExists": {TAG: "True"}}, "tag-condition-operator"),
        ({"ForAllValues:StringEquals": {TAG: "True"}}, "tag-condition-operator"),
        ({"ForAllValues:StringLike": {TAG.lower(): "True"}}, "tag-condition-operator"),
        ({"StringNotEquals": {TAG: "False"}}, "tag-condition-operator"),
        ({"Null": {TAG: "false"}}, "tag-condition-operator"),
        ({"StringEqualsIgnoreCase": {TAG: "True"}}, "tag-condition-operator"),
        ({"StringLike": {TAG: "*"}}, "tag-condition-value"),
        ({"StringLike": {TAG: "T*"}}, "tag-condition-value"),
        ({"StringLike": {TAG: "?rue"}}, "tag-condition-value"),
        ({"StringLike": {TAG: ["True", "False"]}}, "tag-condition-value"),
        ({"StringEquals": {TAG: "true"}}, "tag-condition-value"),
        ({"StringLike": {TAG: "TRUE"}}, "tag-condition-value"),
        ({"StringEquals": {TAG: "True "}}, "tag-condition-value"),
        ({"StringEquals": {"aws:RequestTag/CadoResponseSSMEnabled": "True"}}, "tag-condition-key"),
        ({"StringEqualsIfExists": {"aws:RequestTag/CadoResponseSSMEnabled": "True"}}, "tag-condition-key"),
        ({"StringEquals": {"aws:PrincipalTag/CadoResponseSSMEnabled": "True"}}, "tag-condition-key"),
        ({"StringEquals": {"ec2:ResourceTag/CadoResponseSSMEnabled": "True"}}, "tag-condition-key"),
    ],
)  # fmt: skip
def test_conditions_on_the_tag_that_are_wrong(condition: Any, rule: str) -> None:
    found = check(send(condition), send(resource=DOCUMENT))
    assert rule in found
    assert found[rule][0].severity is Severity.ERROR
    assert found[rule][0].statement == "statement 1"


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {TAG: "True"}},
        {"StringLike": {TAG: ["True"]}},
        {"StringEquals": {TAG.upper(): "True"}},
        {"StringEquals": {"aws:ResourceTag/CadoResponseSSMEnabled": "True"}},
        {"StringEquals": {TAG: "True"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"ForAnyValue:StringEquals": {TAG: "True"}},
        {"StringEqualsIfExists": {TAG: "True"}, "Null": {TAG: "false"}},
    ],
)
def test_conditions_on_the_tag_that_are_sound(condition: Any) -> None:
    found = check(send(condition), send(resource=DOCUMENT))
    assert not {rule for rule in found if rule.startswith(("tag-", "send-"))} - {"tag-condition-case"}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"StringEquals": {TAG.lower(): "True"}}, True),
        ({"StringEquals": {"ssm:resourceTag/CADORESPONSESSMENABLED": "True"}}, True),
        ({"StringEquals": {"aws:ResourceTag/cadoResponseSSMEnabled": "True"}}, True),
        ({"StringEquals": {"SSM:ResourceTag/CadoResponseSSMEnabled": "True"}}, False),
        ({"StringEquals": {TAG: "True"}}, False),
        ({"StringEquals": {"ssm:resourceTag/env": "True"}}, False),
    ],
)
def test_the_tag_in_another_case_is_reported(condition: Any, found: bool) -> None:
    assert ("tag-condition-case" in check(send(condition))) is found


def test_a_deny_may_close_what_an_allow_opens() -> None:
    deny = {"Effect": "Deny", "Action": "ssm:SendCommand", "Condition": {"StringNotEquals": {TAG: "True"}},
            "Resource": [INSTANCES, "arn:aws:ssm:*:*:managed-instance/*"]}  # fmt: skip
    assert "send-command-untagged" in check(send())
    assert "send-command-untagged" not in check(send(), deny)
    for hole in (
        {"Condition": {"StringNotEqualsIfExists": {TAG: "True"}, "Bool": {"aws:ViaAWSService": "false"}}},
        {"Condition": {"StringNotLike": {TAG: "T*"}}},
        {"Condition": {"StringEquals": {TAG: "False"}}},
        {"Resource": "arn:aws:ec2:eu-west-1:*:instance/*"},
        {"Action": "ssm:Start*"},
    ):
        assert "send-command-untagged" in check(send(), {**deny, **hole}), hole


@pytest.mark.parametrize(
    "effect", [{"NotAction": "iam:*"}, {"Action": "*"}, {"Action": "ssm:*"}, {"Action": "SSM:sendC*"}]
)
@pytest.mark.parametrize(
    "where", [{"Resource": "*"}, {"NotResource": "arn:aws:s3:::b"}, {"Resource": "arn:aws:ec2:*"}]
)
def test_wildcards_notaction_and_notresource_are_seen_through(effect: Any, where: Any) -> None:
    assert "send-command-untagged" in check({"Effect": "Allow", **effect, **where})


def test_the_documentations_own_policies() -> None:
    """The example of the page leaves the door open; ours does not."""

    def rules(document: Any) -> set[str]:
        return {each.rule for each in lint_role(Subject((document,))) if each.severity is not Severity.INFO}

    assert rules(ssm_default(Names())) == {"send-command-untagged", "no-resources", "read-missing"}
    assert "start-session-open" in rules(ssm_default(Names(), sessions=True))
    assert rules(ssm_tagged_documented(Names())) == {"no-resources", "read-missing"}
    assert rules(ssm_tagged(Names())) == set()
    assert rules(ssm_tagged(Names(), sessions=True)) <= {"session-document-check"}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (allow("ec2:CreateTags"), True),
        (allow("ec2:Create*", INSTANCES), True),
        (allow("ec2:CreateTags", "arn:aws:ec2:*:*:snapshot/*"), False),
        (tags({"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}}), False),
        (tags({"StringLike": {"ec2:CreateAction": "*"}}), False),
        (tags({"StringEqualsIfExists": {"ec2:CreateAction": "CreateSnapshot"}}), True),
        (tags({"StringNotEquals": {"ec2:CreateAction": "RunInstances"}}), True),
        (tags({"ForAllValues:StringEquals": {"aws:TagKeys": ["Name"]}}), False),
        (tags({"ForAnyValue:StringEquals": {"aws:TagKeys": ["Name"]}}), True),
        (tags({"ForAllValues:StringNotEquals": {"aws:TagKeys": TAG[16:]}}), True),
        (tags({"ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": TAG[16:]}}), False),
        (tags({"StringEquals": {"aws:RequestTag/Name": "x"}}), True),
        (tags({"StringLike": {"aws:ResourceTag/Name": "Cado*"}}), True),
        ({"Effect": "Allow", "NotAction": "ec2:DeleteTags", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": ["ec2:*", "ssm:*"], "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "ec2:CreateTags", "NotResource": "arn:aws:ec2:*:*:instance/*"}, False),
        ({"Effect": "Allow", "Action": "ec2:CreateTags", "NotResource": "arn:aws:ec2:*:*:volume/*"}, True),
        # By its value alone: another may be written, and a second spelling may hide it.
        (tags({"StringNotEquals": {"aws:RequestTag/CadoResponseSSMEnabled": "True"}}), True),
        (tags({"StringNotEqualsIgnoreCase": {"aws:RequestTag/CadoResponseSSMEnabled": "True"}}), True),
        (tags({"StringEquals": {"aws:RequestTag/CadoResponseSSMEnabled": "False"}}), True),
        (tags({"StringLike": {"aws:RequestTag/CadoResponseSSMEnabled": "no-*"}}), True),
        (tags({"Null": {"aws:RequestTag/CadoResponseSSMEnabled": "true"}}), False),
        (tags({"StringNotLike": {"aws:RequestTag/CadoResponseSSMEnabled": "*"}}), False),
        # Hybrid nodes.
        (allow("ssm:AddTagsToResource"), True),
        (allow("ssm:Add*", NODES), True),
        (allow("ssm:*", "arn:aws:ssm:*:*:*"), True),
        (allow("ssm:AddTagsToResource", "arn:aws:ssm:*:*:parameter/*"), False),
        (allow("ssm:AddTagsToResource", NODES, Condition={"ForAllValues:StringEquals": {"aws:TagKeys": "A"}}),
         False),
        (allow("ssm:AddTagsToResource", NODES, Condition={"StringEquals": {"ec2:CreateAction": "X"}}), False),
        (allow("ssm:RemoveTagsFromResource"), False),
        ({"Effect": "Allow", "Action": "ssm:AddTagsToResource", "NotResource": INSTANCES}, True),
        ({"Effect": "Allow", "Action": "ssm:AddTagsToResource", "NotResource": NODES}, False),
    ],
)  # fmt: skip
def test_whether_the_role_can_set_the_tag(statement: Any, found: bool) -> None:
    assert ("sets-the-tag" in check(statement)) is found


@pytest.mark.parametrize(
    ("statements", "rules"),
    [
        ([allow("ssm:StartSession")], {"start-session-open", "session-documents", "session-document-check"}),
        ([allow("ssm:StartSession", INSTANCES)], {"start-session-open", "session-document-check"}),
        ([allow("ssm:StartSession", INSTANCES, Condition=TRUE)], {"session-document-check"}),
        ([allow("ssm:StartSession", INSTANCES, Condition=TRUE | {
            "BoolIfExists": {"ssm:SessionDocumentAccessCheck": True}})], set()),
        ([allow("ssm:TerminateSession")], {"terminate-session-open"}),
        ([allow("ssm:TerminateSession", "arn:aws:ssm:*:*:session/${aws:userid}-*")], set()),
        ([allow("ssm:TerminateSession", INSTANCES)], {"no-resources"}),
        ([allow("ssm:Terminate*")], {"terminate-session-open"}),
        ([allow(["ssm:Resume*", "ssm:Terminate*"], "arn:aws:ssm:*:*:*")], {"terminate-session-open"}),
        ([allow("ssm:Terminate*", "arn:aws:ssm:*:*:session/*")], set()),
        ([allow("ssm:Terminate*", INSTANCES)], set()),
        ([allow("ssm:Terminate*"), {**allow("ssm:TerminateSession"), "Effect": "Deny"}], set()),
        ([allow("ssm:DescribeInstanceInformation", INSTANCES)], {"no-resources"}),
        ([allow("ssm:GetCommandInvocation", Condition={"StringEquals": {TAG: "True"}})], {"no-resources"}),
        ([allow("ssm:GetCommandInvocation", Condition={"Bool": {"aws:ViaAWSService": "false"}})], set()),
    ],
)  # fmt: skip
def test_sessions_and_reads(statements: Any, rules: set[str]) -> None:
    found = {rule for rule, each in check(*statements).items() if each[0].severity is not Severity.INFO}
    assert found == rules


ROLE_ = "arn:aws:iam::111111111111:role/CadoResponseRole"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (allow("ssm:CreateAssociation"), True),
        (allow("ssm:StartAutomationExecution", "arn:aws:ssm:*:*:automation-definition/*"), True),
        (allow("ec2-instance-connect:SendSSHPublicKey", INSTANCES), True),
        (allow("ec2:ModifyInstanceAttribute"), True),
        (modify("BlockDeviceMapping"), False),
        (modify("UserData"), True),
        (allow("iam:PutRolePolicy", "arn:aws:iam::111111111111:role/X"), True),
        (allow("iam:DeleteRolePolicy", ROLE_), True),
        (allow("iam:DetachRolePolicy", ROLE_), True),
        (allow("iam:PutRolePermissionsBoundary", ROLE_), True),
        (allow("kms:PutKeyPolicy", "arn:aws:kms:*:111111111111:key/*"), True),
        (allow("ssm:UpdateMaintenanceWindowTask", "arn:aws:ssm:*:*:maintenancewindow/*"), True),
        (allow("ssm:CreateAssociation", INSTANCES), True),
        (allow("ec2-instance-connect:OpenTunnel", "arn:aws:ec2:*:*:instance-connect-endpoint/*"), True),
        (allow("ssm-guiconnect:StartConnection"), True),
        (allow("ssm-guiconnect:StartConnection", INSTANCES), False),
        (allow("iam:PassRole"), True),
        (allow("iam:PassRole", "arn:aws:iam::*:role/*"), True),
        (allow("iam:PassRole", "arn:aws:iam::111111111111:role/CadoWorker"), False),
        (allow("sts:AssumeRole"), True),
        (allow("sts:AssumeRole", "arn:aws:iam::*:role/CadoResponseRole*"), False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        (allow(["iam:GetRole", "ec2:DescribeInstances", "kms:GetKeyPolicy", "ssm:ListDocuments"]), False),
    ],
)  # fmt: skip
def test_other_ways_round(statement: Any, found: bool) -> None:
    assert ("other-way" in check(statement)) is found


def test_many_other_ways_of_one_statement_are_one_finding() -> None:
    [found] = check(allow("iam:*"))["other-way"]
    assert "iam:PutRolePolicy" in found.message
    assert len(check(allow(["iam:PutRolePolicy", "iam:PassRole"]))["other-way"]) == 2


def test_every_other_way_is_an_action_and_stands_in_the_document() -> None:
    assert [each for each in OTHER_WAYS if find(each) is None] == []
    text = DOCS.read_text(encoding="utf-8").partition("## The other ways round")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z0-9-]+:\w+)` \| (.+) \|$", text, re.M)
    assert dict(rows) == OTHER_WAYS


def test_documents() -> None:
    tagged = send({"StringEquals": {TAG: "True"}})
    assert "send-command-documents" in check(tagged, send(resource="arn:aws:ssm:*:*:document/*"))
    assert "send-command-documents" in check(tagged, send(resource="arn:aws:ssm:*:*:document/AWS-*"))
    found = check(tagged, send(resource=DOCUMENT))["documents-missing"]
    assert "AWS-RunPowerShellScript" in found[0].message
    assert "AWS-RunShellScript," not in found[0].message
    both = send({"StringEquals": {TAG: "True"}}, [INSTANCES, DOCUMENT])
    assert "documents-missing" in check(both), "a document has no tag of the instance's"


def test_partitions() -> None:
    gov = send({"StringEquals": {TAG: "True"}}, "arn:aws-us-gov:ec2:*:*:instance/*")
    assert "partition" in check(gov, send(resource=DOCUMENT))
    assert "partition" not in check(gov)
    assert "partition" in check(gov, live_partition="aws")
    assert "partition" not in check(gov, live_partition="aws-us-gov")


def test_keys_and_conditions_that_shut_out() -> None:
    use = allow(["kms:Decrypt", "kms:DescribeKey"])
    grant = allow("kms:CreateGrant", Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}})
    assert "kms-actions-missing" not in check(use, grant, kms="ebs-direct")
    assert "kms:Encrypt" in check(use, grant, kms="full")["kms-actions-missing"][0].message
    assert "create-grant-unbounded" not in check(grant)
    assert "create-grant-unbounded" in check(allow("kms:*"))
    assert "create-grant-unbounded" not in check(
        allow(
            "kms:CreateGrant",
            Condition={"StringEquals": {"kms:GranteePrincipal": "arn:aws:iam::111111111111:role/R"}},
        )
    )

    for condition in (
        {"Bool": {"kms:GrantIsForAWSResource": "false"}},
        {"StringLike": {"kms:GranteePrincipal": "*"}},
        {"StringNotEquals": {"kms:GranteePrincipal": "arn:aws:iam::111111111111:role/R"}},
        {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
    ):
        assert "create-grant-unbounded" in check(allow("kms:CreateGrant", Condition=condition)), condition
    for condition in (
        {"BoolIfExists": {"kms:GrantIsForAWSResource": "true"}},
        {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "DescribeKey"]}},
        {"ArnLike": {"kms:GranteePrincipal": "arn:aws:iam::*:role/CadoResponse*"}},
    ):
        assert "create-grant-unbounded" not in check(allow("kms:CreateGrant", Condition=condition)), condition

    def via(region: str) -> dict[str, Any]:
        return {**use, "Condition": {"StringEquals": {"kms:ViaService": f"ec2.{region}.amazonaws.com"}}}

    assert "shuts-out" in check(via("eu-west-1"), platform_region="us-east-1")
    assert not {"shuts-out", "may-shut-out"} & check(via("eu-west-1"), platform_region="eu-west-1").keys()
    assert "may-shut-out" in check(via("eu-west-1"))
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}}  # fmt: skip
    assert "shuts-out" in check(deny, platform_region="us-east-1")
    assert "shuts-out" not in check(deny, platform_region="eu-west-1")
    org = {**use, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-acmedemo01"}}}
    assert "shuts-out" in check(org, platform_org="o-other00001")
    vpce = {**use, "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}
    assert "may-shut-out" in check(vpce, platform_region="eu-west-1")


@pytest.mark.parametrize(
    ("statement", "rule", "message"),
    [
        ({"Effect": "Allow", "Action": "s3:GetObject"}, "malformed", "neither Resource nor NotResource"),
        (allow([]), "malformed", "empty list"),
        (allow("s3GetObject"), "malformed", "no action"),
        (allow("s3:GetObject", "my-bucket"), "malformed", 'neither an ARN nor "*"'),
        (allow("s3:GetObject", Sid="with blanks"), "malformed", "other characters"),
        (allow("s3:GetObject", Principal="*"), "malformed", "a Principal has no place here"),
        (allow("s3:GetObject", Condition={"StringsEqual": {"a:b": "c"}}), "malformed", "no condition operator"),
        (allow("s3:GetObject", Condition={"NullIfExists": {"a:b": "true"}}), "malformed", "no condition operator"),
        (allow("s3:GetObject", Condition={"StringEquals": {"nokey": "c"}}), "malformed", "no condition key"),
        (allow("s3:GetObject", Condition={"StringEquals": {"a:b": []}}), "malformed", "has no value"),
        (allow("ssm:SendComand"), "unknown-action", "ssm:SendComand"),
        (allow("smm:*"), "unknown-action", "smm:*"),
        (allow("ssm:Sned*"), "unknown-action", "ssm:Sned*"),
    ],
)  # fmt: skip
def test_what_aws_refuses_or_does_not_know(statement: Any, rule: str, message: str) -> None:
    assert message in check(statement)[rule][0].message
    assert check(statement)[rule][0].place == "policy: statement 1" + (
        " (with blanks)" if "Sid" in statement else ""
    )


def test_sids_sizes_and_versions() -> None:
    twice = check(allow("s3:GetObject", Sid="A"), allow("s3:GetObject", Sid="A"))["duplicate-sid"]
    assert [each.statement for each in twice] == ["statement 2 (A)"]
    assert "duplicate-sid" not in check(allow("s3:GetObject"), allow("s3:GetObject"))
    long = [allow("s3:GetObject", f"arn:aws:s3:::{number:>080}/*") for number in range(45)]
    assert "size-managed" in check(*long)
    assert "size" in check(*long, *long)
    variable = allow("s3:GetObject", "arn:aws:s3:::${aws:username}")
    assert "old-version" in check(variable, version="2008-10-17")
    assert "old-version" not in check(variable)


def test_blanks_between_are_not_counted_by_aws() -> None:
    policy = tight()
    for text in (json.dumps(policy), json.dumps(policy, indent=8)):
        [found] = read_policy_file(text, "file").found
        assert len(json.dumps(policy, separators=(",", ":"))) == len(
            json.dumps(found.document.as_json(), separators=(",", ":"))
        )


# --- keys

ACCOUNT, OTHER = "111111111111", "222222222222"
KEY_ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole"
ROOT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}


def check_key(
    *statements: Any, role: str = ROLE, own: Any = None, kms: str | None = None, operator: str | None = None
) -> dict[str, Finding]:
    document = document_from({"Version": "2012-10-17", "Statement": list(statements)}, "key")
    documents = None if own is None else [document_from({"Version": "2012-10-17", "Statement": own}, "role")]
    found = lint_key_policy(
        Subject((document,), kms=kms),
        Key(ACCOUNT, role, documents, operator, KEY_ARN),
    )
    return {each.rule: each for each in found}


ALL = [allow(["kms:Decrypt", "kms:CreateGrant", "kms:DescribeKey"])]


@pytest.mark.parametrize(
    ("statements", "more", "rules"),
    [
        ([ROOT], {"own": ALL}, set()),
        ([ROOT], {"own": []}, {"one-side-missing"}),
        ([ROOT], {}, set()),
        ([{**ROOT, "Principal": {"AWS": ACCOUNT}}], {"own": ALL}, set()),
        ([{**ROOT, "Action": ["kms:Describe*", "kms:List*"]}], {"own": ALL},
         {"key-policy-root", "key-policy-role", "key-policy-grants"}),
        ([ROOT, {**ROOT, "Principal": {"AWS": ROLE}}], {"own": []}, set()),
        ([{**ROOT, "Principal": "*"}], {"own": ALL}, {"key-policy-open", "key-policy-root"}),
        ([ROOT, {**ROOT, "Principal": "*", "Condition": {"StringEquals": {"kms:CallerAccount": ACCOUNT}}}],
         {"own": ALL}, {"may-shut-out"}),
        ([{**ROOT, "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}], {"own": ALL},
         {"key-policy-root", "key-policy-grants"}),
        ([ROOT, {"Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*",
                 "Condition": {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}}], {"own": ALL},
         {"key-policy-grants"}),
        # Of another account: both sides have to allow.
        ([ROOT], {"role": ROLE.replace(ACCOUNT, OTHER), "own": ALL}, {"key-policy-role", "one-side-missing"}),
        ([ROOT, {**ROOT, "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}],
         {"role": ROLE.replace(ACCOUNT, OTHER), "own": ALL}, set()),
        ([ROOT, {**ROOT, "Principal": {"AWS": ROLE.replace(ACCOUNT, OTHER)}}],
         {"role": ROLE.replace(ACCOUNT, OTHER), "own": []}, {"one-side-missing"}),
        ([ROOT, {"Effect": "Allow", "Principal": {"AWS": ROLE.replace(ACCOUNT, OTHER)}, "Action": "kms:CreateGrant",
                 "Resource": "*"}],
         {"role": ROLE.replace(ACCOUNT, OTHER), "own": ALL, "kms": "grant-only"}, set()),
        ([{**ROOT, "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt"}, ROOT], {"own": ALL, "kms": "full"},
         {"one-side-missing"}),
    ],
)  # fmt: skip
def test_key_policies(statements: Any, more: Any, rules: set[str]) -> None:
    assert set(check_key(*statements, **more)) == rules


OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/CadoOperator"
READ_ONLY_ROOT = {**ROOT, "Action": ["kms:Describe*", "kms:Get*"]}


def named(*names: str, **more: Any) -> dict[str, Any]:
    return {**ROOT, "Principal": {"AWS": list(names)}, **more}


@pytest.mark.parametrize(
    ("statements", "operator", "refused"),
    [
        ([READ_ONLY_ROOT, named(ROLE)], OPERATOR, True),
        ([READ_ONLY_ROOT, named(OPERATOR)], OPERATOR, False),
        ([READ_ONLY_ROOT, named(OPERATOR)], None, False),
        ([READ_ONLY_ROOT, named(ROLE)], None, True),
        ([READ_ONLY_ROOT, named(f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoOperator/me")], OPERATOR, False),
        ([READ_ONLY_ROOT, named("arn:aws:iam::222222222222:role/CadoOperator")], None, True),
        ([READ_ONLY_ROOT, named(OPERATOR, Action="kms:CreateGrant")], OPERATOR, False),
        ([READ_ONLY_ROOT, named(OPERATOR, Action="kms:Decrypt")], OPERATOR, True),
        ([READ_ONLY_ROOT, {**ROOT, "Principal": "*", "Condition": {"StringEquals": {
            "kms:CallerAccount": ACCOUNT}}}], OPERATOR, False),
        # As AWS's own keys have it: through a service alone.
        ([READ_ONLY_ROOT, {**ROOT, "Principal": "*", "Condition": {"StringEquals": {
            "kms:CallerAccount": ACCOUNT, "kms:ViaService": "ec2.eu-west-1.amazonaws.com"}}}], OPERATOR, True),
        ([ROOT, named(OPERATOR, Effect="Deny", Action="kms:CreateGrant")], OPERATOR, True),
        ([ROOT, named(ROLE, Effect="Deny", Action="kms:CreateGrant")], OPERATOR, False),
        ([ROOT, {"Effect": "Deny", "NotPrincipal": {"AWS": [OPERATOR, ROOT["Principal"]["AWS"]]}, "Resource": "*",
                 "Action": "kms:CreateGrant"}], OPERATOR, False),
        ([ROOT, {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}],
         OPERATOR, True),
        ([ROOT, {"Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*",
                 "Condition": {"StringNotLike": {"aws:PrincipalArn": OPERATOR}}}], OPERATOR, False),
        ([ROOT, {"Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant", "Resource": "*",
                 "Condition": {"StringNotLike": {"aws:PrincipalArn": ROLE}}}], OPERATOR, True),
    ],
)  # fmt: skip
def test_whether_the_operator_role_can_make_grants(statements: Any, operator: str | None, refused: bool) -> None:
    assert ("key-policy-grants" in check_key(*statements, operator=operator)) is refused


@pytest.mark.parametrize(
    ("statement", "is_open"),
    [
        ({**ROOT, "Principal": "*"}, True),
        ({**ROOT, "Principal": {"AWS": "*"}, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
        ({**ROOT, "Principal": "*", "Condition": {"StringEquals": {
            "kms:ViaService": "s3.eu-west-1.amazonaws.com"}}}, True),
        ({**ROOT, "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({**ROOT, "Principal": "*", "Effect": "Deny"}, False),
        ({"Effect": "Allow", "NotPrincipal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}, True),
    ],
)  # fmt: skip
def test_keys_that_are_open_to_anybody(statement: Any, is_open: bool) -> None:
    assert ("key-policy-open" in check_key(ROOT, statement)) is is_open


def test_what_mends_a_key_policy_renders_the_key_policy() -> None:
    other = ROLE.replace(ACCOUNT, OTHER)
    across = check_key(ROOT, role=other, own=ALL, kms="ebs-direct")
    command = ("policy", "show", "kms-ebs-direct", "--account", ACCOUNT, "--cado-role", other)
    assert across["one-side-missing"].command == command
    inside = check_key(READ_ONLY_ROOT, named(ROLE, Action="kms:Decrypt"), kms="full")
    assert inside["kms-actions-missing"].command == ("policy", "show", "kms-full", "--cado-role", ROLE)
    # Nobody can make the grant that would help.
    closed = check_key(READ_ONLY_ROOT)["key-policy-role"]
    assert closed.command == ("policy", "show", "kms-withheld", "--cado-role", ROLE)
    assert check_key(READ_ONLY_ROOT, named(OPERATOR))["key-policy-role"].command is None


# --- the list of rules


def test_the_document_lists_every_rule_with_its_severity() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", DOCS.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted((name, str(rule.severity)) for name, rule in RULES.items())
    assert len(rows) == len(set(rows))


def test_every_rule_is_used() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("policy", "cli")
        for path in (HERE.parents[1] / "cado_ops" / folder).glob("*.py")
        if path.name != "rules.py"
    )
    assert [name for name in RULES if f'"{name}"' not in sources] == []
