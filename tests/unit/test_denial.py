"""What `explain` says of an error, message by message: real ones, and those that only look alike."""

# ruff: noqa: E501  AWS's messages are longer than a line

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from cado_ops.policy.document import document_from
from cado_ops.policy.tighten import tighten
from cado_ops.verdict.denial import explain, read

FIXTURE = Path(__file__).resolve().parents[1] / "data" / "denials.jsonl"
LINES = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]

A, B = "111111111111", "222222222222"
CADO = f"arn:aws:sts::{A}:assumed-role/CadoResponseRole/session"
USER = f"arn:aws:iam::{A}:user/responder"
KEY = f"arn:aws:kms:eu-west-1:{A}:key/11111111-2222-3333-4444-555555555555"
INSTANCE = f"arn:aws:ec2:eu-west-1:{A}:instance/i-0123456789abcdef0"
GRANT = f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1"
TAG = f"cado-ops tag-instances i-0123456789abcdef0 --account {A} --region eu-west-1"


def one(text: str, case: str | None = None) -> dict[str, Any]:
    items = explain(read(text), case)
    assert len(items) == 1, [each.kind for each in items]
    return items[0].as_item()


def parts(text: str) -> tuple[Any, ...]:
    item = one(text)
    return tuple(item[name] for name in ("kind", "action", "resource", "principal", "denied_by", "explicit"))


# The lines of the fixture, in order: kind, action, resource, principal, denied_by, explicit, policy_arn, fix.
# Of an encoded message the fix is checked below.
_SCP = "arn:aws:organizations::666666666666:policy/o-zmj0qsgu0z/service_control_policy/p-6v4y751d"
_RESPONDER = "arn:aws:iam::{}:user/responder"
_MI = "arn:aws:ssm:ap-northeast-1:111111111111:managed-instance/mi-05f208d396178669e"
_NOTHING = (None, None, None, "unknown", None, None, None)
EXPECTED: list[tuple[Any, ...]] = [
    ("encoded", *_NOTHING),
    ("encoded", *_NOTHING),
    ("role-refused", "sts:AssumeRole", f"arn:aws:iam::{A}:role/stratus-red-team-ec2-get-password-data-role",
     _RESPONDER.format(A), "unknown", None, None, None),
    ("not-allowed", "organizations:LeaveOrganization", "*",
     f"arn:aws:sts::{A}:assumed-role/stratus-red-team-leave-org-role/aws-go-sdk-1688990515440126480",
     "identity-policy", False, None, None),
    ("not-enabled", *_NOTHING),
    ("not-enabled", *_NOTHING),
    ("not-enabled", *_NOTHING),
    ("not-enabled", *_NOTHING),
    ("unknown", *_NOTHING),
    ("protected", *_NOTHING),
    ("protected", *_NOTHING),
    ("protected", None, "i-000b2f5125402eb55", None, "unknown", None, None, None),
    ("protected", None, "i-0a3e363a5366795dd", None, "unknown", None, None, None),
    ("protected", None, "i-017fc9a2a33b853fe", None, "unknown", None, None, None),
    ("missing-tag", "ssm:SendCommand", "arn:aws:ec2:eu-west-2:333333333333:instance/i-07a7797becf4fdac4",
     _RESPONDER.format("333333333333"), "identity-policy", False, None,
     "cado-ops tag-instances i-07a7797becf4fdac4 --account 333333333333 --region eu-west-2"),
    ("missing-tag", "ssm:SendCommand", "i-xxx", "xxx", "identity-policy", False, None, None),
    ("quarantined", "ec2:RunInstances", "arn:aws:ec2:ap-south-1:444444444444:instance/*",
     _RESPONDER.format("444444444444"), "identity-policy", True,
     "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", None),
    ("scp", "s3:GetBucketObjectLockConfiguration", "arn:aws:s3:::practica-devops-00-jose-alejandro",
     "arn:aws:sts::555555555555:assumed-role/voclabs/responder", "scp", True, _SCP, None),
    ("scp", "ec2:DescribeRegions", None, "-----", "scp", True, None, None),
    ("grant-not-allowed", "kms:CreateGrant",
     "arn:aws:kms:ap-southeast-2:777777777777:key/5c466b7d-7ad6-4c88-9fe6-bb787707c55a",
     "arn:aws:sts::777777777777:assumed-role/admin-role/botocore-session-1632399481", "unknown", None, None, None),
    ("grant-missing", *_NOTHING),
    ("resource-policy", "s3:PutObject", None, _RESPONDER.format("888888888888"), "resource-policy", True, None, None),
    ("grant-missing", "kms:GenerateDataKey", None,
     "arn:aws:sts::999999999999:assumed-role/AWSReservedSSO_PermSetName_0123456789abcdef/abcde",
     "identity-policy", False, None, None),
    ("vpc-endpoint-policy", "ssm:UpdateInstanceInformation", _MI,
     f"arn:aws:sts::{A}:assumed-role/SSMActivationServiceRole/mi-05f208d396178669e", "vpc-endpoint-policy", False,
     None, None),
    ("trust-refused", "sts:AssumeRole", None, _RESPONDER.format("777777777777"), "trust-policy", False, None, None),
    ("permissions-boundary", "iam:CreatePolicy", "policy platform-team-mbergo-policy", _RESPONDER.format(B),
     "permissions-boundary", False, None, None),
    ("not-allowed", "iam:GetRole", "role fe-lab-ssm-role", _RESPONDER.format("333333333333"), "identity-policy",
     False, None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    list(zip(LINES, EXPECTED, strict=True)),
    ids=[f"{number}-{expected[0]}" for number, expected in enumerate(EXPECTED, 1)],
)
def test_the_real_messages(line: dict[str, Any], expected: tuple[Any, ...]):
    item = one(line["message"])
    fix = expected[-1]
    if expected[0] == "encoded":
        fix = item["fix"]
        assert shlex.split(fix)[:3] == ["aws", "sts", "decode-authorization-message"]
        assert fix.endswith(line["message"].rpartition(" ")[2])
    names = ("kind", "action", "resource", "principal", "denied_by", "explicit", "policy_arn")
    assert tuple(item[name] for name in names) == expected[:-1]
    assert item["fix"] == fix
    assert item["cause"]


def test_with_its_code_a_bare_refusal_is_known_for_one():
    line = next(line for line in LINES if line["message"] == "not authorized")
    assert parts(json.dumps(line)) == ("denied", None, None, None, "unknown", None)
    assert parts("An error occurred (AccessDeniedException) when calling the GetFoo operation: not authorized")[
        0
    ] == ("denied")


def sentence(action: str, rest: str, who: str = CADO) -> str:
    return f"User: {who} is not authorized to perform: {action} {rest}"


_KMS_HIDES = (
    "because the resource does not exist in this Region, no resource-based policies allow access, or a "
    "resource-based policy explicitly denies access"
)
_RCP = f"arn:aws:organizations::{A}:policy/o-exampleorgid/resource_control_policy/p-examplepolicyid"
_ENDPOINT = f"arn:aws:ec2:eu-west-1:{A}:vpc-endpoint/vpce-0123456789abcdef0"

# kind, denied_by, explicit, policy_arn, fix
DENIALS: list[tuple[str, tuple[Any, ...]]] = [
    # IAM User Guide, "Access denied error message examples".
    (sentence("codecommit:ListRepositories",
              "because no service control policy allows the codecommit:ListRespositories action"),
     ("scp", "scp", False, None, None)),
    (sentence("codecommit:ListRepositories", "with an explicit deny in a service control policy"),
     ("scp", "scp", True, None, None)),
    (sentence("secretsmanager:GetSecretValue", f"on resource: arn:aws:secretsmanager:us-east-1:{A}:secret:* with an "
              "explicit deny in a resource control policy"), ("rcp", "rcp", True, None, None)),
    (sentence("kms:Decrypt", f"on resource: {KEY} with an explicit deny in a resource control policy: {_RCP}"),
     ("rcp", "rcp", True, _RCP, None)),
    (sentence("codecommit:ListRepositories",
              "because no VPC endpoint policy allows the codecommit:ListRepositories action"),
     ("vpc-endpoint-policy", "vpc-endpoint-policy", False, None, None)),
    (sentence("codedeploy:ListDeployments", f"on resource: arn:aws:codedeploy:us-east-1:{A}:deploymentgroup:* with an "
              "explicit deny in a VPC endpoint policy"), ("vpc-endpoint-policy", "vpc-endpoint-policy", True, None, None)),
    (sentence("kms:Decrypt", f"on resource: {KEY} with an explicit deny in a VPC endpoint policy: {_ENDPOINT}"),
     ("vpc-endpoint-policy", "vpc-endpoint-policy", True, _ENDPOINT, None)),
    (sentence("SNS:Publish", f"on resource: arn:aws:sns:us-east-1:{B}:topic with an explicit deny in a VPC endpoint "
              "policy transitively through a service control policy"),
     ("vpc-endpoint-policy", "vpc-endpoint-policy", True, None, None)),
    (sentence("sagemaker:ListModels", "with an explicit deny in a permissions boundary"),
     ("permissions-boundary", "permissions-boundary", True, None, None)),
    (sentence("ec2:RunInstances", f"on resource: arn:aws:ec2:eu-west-1:{A}:instance/* with an explicit deny in a "
              f"permissions boundary: arn:aws:iam::{A}:policy/limit. Encoded authorization failure message: abcd1234"),
     ("permissions-boundary", "permissions-boundary", True, f"arn:aws:iam::{A}:policy/limit", None)),
    (sentence("s3:ListBucket", 'on resource: "arn:aws:s3:::bucket" because no session policy allows the s3:ListBucket '
              "action (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 1)"),
     ("session-policy", "session-policy", False, None, None)),
    (sentence("sso:PutPolicy", "with an explicit deny in a session policy"),
     ("session-policy", "session-policy", True, None, None)),
    (sentence("sts:AssumeRole", "with an explicit deny in the role trust policy"),
     ("trust-refused", "trust-policy", True, None, None)),
    (sentence("sts:AssumeRole", f"on resource: arn:aws:iam::{B}:role/CadoOperator because no identity-based policy "
              "allows the sts:AssumeRole action"), ("role-refused", "identity-policy", False, None, None)),
    (sentence("secretsmanager:GetSecretValue", f"on resource: arn:aws:secretsmanager:us-east-1:{A}:secret:x because no "
              "resource-based policy allows the secretsmanager:GetSecretValue action"),
     ("resource-policy", "resource-policy", False, None, None)),
    (sentence("s3:GetObject", 'on resource: "arn:aws:s3:::bucket/an object, with blanks" with an explicit deny in an '
              f"identity-based policy, with policy ARN: arn:aws:iam::{A}:policy/Deny"),
     ("explicit-deny", "identity-policy", True, f"arn:aws:iam::{A}:policy/Deny", None)),
    (sentence("ec2:StopInstances", "with an explicit deny"), ("explicit-deny", "unknown", True, None, None)),
    (sentence("ec2:StopInstances", "with an explicit deny in a policy of a new kind"),
     ("explicit-deny", "unknown", True, None, None)),
    # The tag, and what looks like it.
    (sentence("ssm:SendCommand", f"on resource: {INSTANCE} because no identity-based policy allows the ssm:SendCommand "
              "action"), ("missing-tag", "identity-policy", False, None, TAG)),
    (sentence("ssm:SendCommand", f"on resource: {INSTANCE}"), ("missing-tag", "unknown", None, None, TAG)),
    (sentence("ssm:StartSession", f"on resource: {INSTANCE} because no identity-based policy allows the "
              "ssm:StartSession action"), ("missing-tag", "identity-policy", False, None, TAG)),
    (sentence("ssm:SendCommand", "on resource: i-0123456789abcdef0 because no identity-based policy allows the "
              "ssm:SendCommand action"),
     ("missing-tag", "identity-policy", False, None, f"cado-ops tag-instances i-0123456789abcdef0 --account {A}")),
    (sentence("ssm:SendCommand", f"on resource: arn:aws-us-gov:ec2:us-gov-west-1:{A}:instance/i-0123456789abcdef0 "
              "because no identity-based policy allows the ssm:SendCommand action"),
     ("missing-tag", "identity-policy", False, None,
      f"cado-ops tag-instances i-0123456789abcdef0 --account {A} --region us-gov-west-1")),
    (sentence("ssm:SendCommand", f"on resource: {INSTANCE} with an explicit deny in an identity-based policy"),
     ("explicit-deny", "identity-policy", True, None, None)),
    (sentence("ssm:SendCommand", f"on resource: {INSTANCE} with an explicit deny in a service control policy"),
     ("scp", "scp", True, None, None)),
    (sentence("ssm:SendCommand", f"on resource: {INSTANCE} because no permissions boundary allows the ssm:SendCommand "
              "action"), ("permissions-boundary", "permissions-boundary", False, None, None)),
    (sentence("ssm:SendCommand", "on resource: arn:aws:ssm:us-east-1::document/AWS-RunShellScript because no "
              "identity-based policy allows the ssm:SendCommand action"),
     ("document-not-allowed", "identity-policy", False, None, None)),
    (sentence("ssm:StartSession", f"on resource: arn:aws:ssm:us-east-1:{A}:document/SSM-SessionManagerRunShell because "
              "no identity-based policy allows the ssm:StartSession action"),
     ("document-not-allowed", "identity-policy", False, None, None)),
    (sentence("ssm:SendCommand", f"on resource: {_MI} because no identity-based policy allows the ssm:SendCommand "
              "action"), ("not-allowed", "identity-policy", False, None, None)),
    (sentence("ssm:SendCommand", f"on resource: arn:aws:ec2:eu-west-1:{A}:instance/* because no identity-based policy "
              "allows the ssm:SendCommand action"), ("not-allowed", "identity-policy", False, None, None)),
    (sentence("ssm:SendCommand", ""), ("denied", "unknown", None, None, None)),
    (sentence("ssm:GetCommandInvocation", "on resource: * because no identity-based policy allows the "
              "ssm:GetCommandInvocation action"), ("not-allowed", "identity-policy", False, None, None)),
    # KMS.
    (sentence("kms:Decrypt", f"on resource: {KEY} because no identity-based policy allows the kms:Decrypt action"),
     ("grant-missing", "identity-policy", False, None, GRANT)),
    (sentence("kms:DescribeKey", f"on resource: {KEY} because no resource-based policy allows the kms:DescribeKey "
              "action."), ("grant-missing", "resource-policy", False, None, GRANT)),
    (sentence("kms:Decrypt", f"on resource: {KEY} {_KMS_HIDES}"), ("grant-missing", "unknown", None, None, GRANT)),
    (sentence("kms:Decrypt", f"on the resource associated with this ciphertext {_KMS_HIDES}"),
     ("grant-missing", "unknown", None, None, None)),
    (sentence("kms:Decrypt", "on the resource associated with this ciphertext because no identity-based policy allows "
              "the kms:Decrypt action"), ("grant-missing", "identity-policy", False, None, None)),
    (sentence("kms:Decrypt", f"on resource: {KEY} with an explicit deny in a resource-based policy"),
     ("key-policy", "resource-policy", True, None, None)),
    (sentence("kms:Decrypt", f"on resource: arn:aws:kms:eu-west-1:{A}:alias/aws/ebs {_KMS_HIDES}"),
     ("aws-managed-key", "unknown", None, None, None)),
    (sentence("kms:CreateGrant", f"on this resource {_KMS_HIDES}"), ("grant-not-allowed", "unknown", None, None, None)),
    (sentence("kms:CreateGrant", f"on resource: {KEY} because no identity-based policy allows the kms:CreateGrant "
              "action"), ("grant-not-allowed", "identity-policy", False, None, GRANT)),
    (sentence("kms:CreateGrant", f"on resource: {KEY} because no identity-based policy allows the kms:CreateGrant "
              "action", USER), ("grant-not-allowed", "identity-policy", False, None, None)),
    (sentence("kms:RetireGrant", f"on resource: {KEY}"), ("not-allowed", "unknown", None, None, None)),
    (sentence("ebs:ListSnapshotBlocks", "on resource: arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0 because no "
              "identity-based policy allows the ebs:ListSnapshotBlocks action"),
     ("not-allowed", "identity-policy", False, None, None)),
    ("Not authorized to perform sts:AssumeRoleWithWebIdentity", ("role-refused", "unknown", None, None, None)),
    ("You are not authorized to perform this operation.", ("denied", "unknown", None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), DENIALS, ids=[f"{n}-{row[1][0]}" for n, row in enumerate(DENIALS)])
def test_denials(text: str, expected: tuple[Any, ...]):
    item = one(text)
    assert tuple(item[name] for name in ("kind", "denied_by", "explicit", "policy_arn", "fix")) == expected


@pytest.mark.parametrize("text", [text for text, expected in DENIALS if "User: " in text])
def test_the_parts_of_a_denial(text: str):
    item = one(text)
    assert item["principal"] in (CADO, USER)
    assert item["action"] in text


# What stands beside the sentence, and what becomes of the resource and the principal then.
PARTS = [
    ("User is not authorized to perform: ssm:StartSession", None, None),
    ("User: anonymous is not authorized to perform: ssm:StartSession", "anonymous", None),
    (f"{CADO} is not authorized to perform: s3:ListBucket", CADO, None),
    ("User xxxxxxx is not authorized to perform: kms:Decrypt on this resource", "xxxxxxx", None),
    ("User: .../user/worker is not authorized to perform: ec2:RunInstances on resource: *", ".../user/worker", "*"),
    (sentence("iam:ListUsers", "on resource: user someone."), CADO, "user someone"),
    (sentence("iam:ListInstanceProfiles", f"on resource: arn:aws:iam::{A}:instance-profile/ because no "
              "identity-based policy allows the iam:ListInstanceProfiles action"), CADO,
     f"arn:aws:iam::{A}:instance-profile/"),
    (sentence("sqs:ListQueues", f"on resource: arn:aws:sqs:us-east-1:{A}: because no permissions boundary allows the "
              "sqs:ListQueues action"), CADO, f"arn:aws:sqs:us-east-1:{A}:"),
    (sentence("ec2:RunInstances", f"on resource: arn:aws:ec2:us-east-1:{A}:instance/*.\nEncoded authorization "
              "failure message: 8f3Kd9x2QpL12345"), CADO, f"arn:aws:ec2:us-east-1:{A}:instance/*"),
    (sentence("s3:GetObject", 'on "arn:aws:s3:::bucket/key" because no identity-based policy allows it'), CADO,
     "arn:aws:s3:::bucket/key"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "principal", "resource"), PARTS)
def test_who_and_on_what(text: str, principal: str | None, resource: str | None):
    item = one(text)
    assert (item["principal"], item["resource"]) == (principal, resource)


CONSOLE = [
    # AWS Management Console: the box that "Access denied" opens, copied in several ways.
    (f"Access denied to ssm:SendCommand\nYou don't have permission to ssm:SendCommand. To request access, copy the "
     "following text and send it to your AWS administrator. Learn more about troubleshooting access denied errors.\n"
     f"User: {USER}\nAction: ssm:SendCommand\nOn resource(s): {INSTANCE}\nContext: no identity-based policy allows the "
     "action", ("missing-tag", "ssm:SendCommand", INSTANCE, USER, "identity-policy", False)),
    (f"User: {CADO}\nService: iam\nAction: GetAccountSummary\nOn resource(s): *\nContext: no identity-based policy "
     "allows the iam:GetAccountSummary action",
     ("not-allowed", "iam:GetAccountSummary", "*", CADO, "identity-policy", False)),
    (f"User: {USER}Action: servicecatalog:ListApplicationsOn resource(s): arn:aws:servicecatalog:ap-south-2:{A}:"
     "/applications/*Context: no identity-based policy allows the action",
     ("not-allowed", "servicecatalog:ListApplications", f"arn:aws:servicecatalog:ap-south-2:{A}:/applications/*", USER,
      "identity-policy", False)),
    (f"User: {USER}\nAction: iam:GetRole\nContext: an identity-based policy explicitly denies the action",
     ("explicit-deny", "iam:GetRole", None, USER, "identity-policy", True)),
    (f"User: {USER}\nAction: ec2:DescribeInstances\nContext: a service control policy explicitly denies the action",
     ("scp", "ec2:DescribeInstances", None, USER, "scp", True)),
    (f"User: [{USER}]\nService: [s3]\nAction: [ListBuckets]\nOn resource(s): [arn:aws:s3:::bucket]\nContext: [no "
     "session policy allows the s3:ListBuckets action.]",
     ("session-policy", "s3:ListBuckets", "arn:aws:s3:::bucket", USER, "session-policy", False)),
    ("AccessDenied\nAction: access-analyzer:ListPolicyGenerations\nContext: no permissions boundary allows the action",
     ("permissions-boundary", "access-analyzer:ListPolicyGenerations", None, None, "permissions-boundary", False)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CONSOLE)
def test_the_box_of_the_console(text: str, expected: tuple[Any, ...]):
    assert parts(text) == expected


def test_several_instances_without_an_agent():
    ids = [f"i-{number:017x}" for number in range(1, 51)]
    item = one(f"Instances [[{', '.join(ids)}]] not in a valid state for account {A}")
    assert (item["kind"], item["resource"]) == ("agent-offline", ", ".join(ids))
    assert item["fix"] == f"cado-ops check {' '.join(ids)} --account {A}"
    cut = one(f"Instances [[i-xxx]] not in a valid state for account {A}")
    assert (cut["resource"], cut["fix"]) == (None, None)


def test_what_each_kind_says_here():
    causes = {one(text)["kind"]: one(text)["cause"] for text, _ in DENIALS}
    assert "management account" in causes["scp"]
    assert "management account" in causes["rcp"]
    assert "IAM administrators" in causes["permissions-boundary"]
    assert "assume" in causes["session-policy"]
    assert "endpoint" in causes["vpc-endpoint-policy"]
    assert "CadoResponseSSMEnabled=True" in causes["missing-tag"]
    assert "without the tag's condition" in causes["document-not-allowed"]
    assert "aws/ebs" in causes["grant-not-allowed"]
    assert "the same whether" in causes["role-refused"]


def test_a_case_goes_into_the_commands():
    assert one(DENIALS[18][0], "IR-42")["fix"] == f"{TAG} --case IR-42"
    grant = sentence(
        "kms:Decrypt", f"on resource: {KEY} because no identity-based policy allows the kms:Decrypt action"
    )
    assert one(grant, "IR-42")["fix"] == f"{GRANT} --case IR-42"


def test_a_key_of_another_account():
    text = sentence("kms:Decrypt", f"on resource: {KEY.replace(A, B)} because no resource-based policy allows the "
                    "kms:Decrypt action")  # fmt: skip
    item = one(text)
    assert item["fix"] == (
        f"cado-ops kms grant --key {KEY.replace(A, B)} --account {B} --region eu-west-1 "
        f"--grantee arn:aws:iam::{A}:role/CadoResponseRole"
    )
    assert "own policies" in item["cause"]


def test_nobody_but_the_cado_role_is_ever_proposed_as_grantee():
    stranger = f"arn:aws:sts::{B}:assumed-role/Attacker/x"
    item = one(sentence("kms:Decrypt", f"on resource: {KEY} {_KMS_HIDES}", stranger))
    assert item["fix"] is None
    assert "--external-grantee" not in json.dumps(item)


def test_fixes_hold_nothing_but_ids():
    hostile = f"arn:aws:ec2:eu-west-1:{A}:instance/i-0123456789abcdef0;reboot"
    assert one(sentence("ssm:SendCommand", f"on resource: {hostile} because no identity-based policy allows the x"))[
        "fix"
    ] is None  # fmt: skip
    item = one(sentence("kms:Decrypt", f"on resource: arn:aws:kms:eu-west-1:{A}:key/$(reboot) {_KMS_HIDES}"))
    assert item["fix"] is None


@pytest.mark.parametrize("action", ["ssm:SendCommand", "ssm:StartSession"])
def test_a_deny_on_an_instance_may_be_the_one_that_tighten_writes(action):
    wide = {"Effect": "Allow", "Action": f"{action[:-1]}*", "Resource": "*"}
    sids = [each.sid for each in tighten(document_from({"Statement": wide}, "policy")).document.statements]
    cause = one(sentence(action, f"on resource: {INSTANCE} with an explicit deny in an identity-based policy"))[
        "cause"
    ]
    [named] = [each for each in sids if each and f"{each}, which cado-ops policy tighten writes" in cause]
    assert named.endswith("WithoutTheTag")
    assert "cado-ops tag-instances mends it" in cause
    assert "neither a tag" not in cause
    elsewhere = "on resource: arn:aws:ssm:us-east-1::document/X with an explicit deny in an identity-based policy"
    assert "neither a tag" in one(sentence(action, elsewhere))["cause"]


def test_kinds_are_those_of_the_reference():
    reference = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    seen = {expected[0] for expected in EXPECTED} | {row[1][0] for row in DENIALS}
    assert [kind for kind in sorted(seen) if f"`{kind}`" not in reference] == []
