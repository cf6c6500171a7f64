"""A set of requests that a Cado role might make, and what the evaluator says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cado_ops.model import SSM_TAG
from cado_ops.policy.document import Document, Principal, Statement, Values
from cado_ops.policy.evaluate import Decision, Policies, Policy, evaluate
from cado_ops.policy.request import Request

ACCOUNT = "111111111111"
Asked = tuple[str, str, dict[str, Any]]


def asked(partition: str) -> Iterator[Asked]:
    """Action, resource and all the condition keys that the request has."""

    def arn(service: str, rest: str, account: str = ACCOUNT) -> str:
        return f"arn:{partition}:{service}:eu-west-1:{account}:{rest}"

    instance, hybrid = (
        arn("ec2", "instance/i-0123456789abcdef0"),
        arn("ssm", "managed-instance/mi-0123456789abcdef0"),
    )
    documents = [
        arn("ssm", f"document/{name}", "")
        for name in ("AWS-RunShellScript", "AWS-RunRemoteScript", "AWS-StartPortForwardingSession")
    ]
    documents.append(arn("ssm", "document/SSM-SessionManagerRunShell"))
    tags: list[dict[str, Any]] = [{}]
    for value in ("True", "true", "TRUE", "True ", "False", "Tz", "xrue"):
        tags.append({f"ssm:resourceTag/{SSM_TAG}": value, f"aws:ResourceTag/{SSM_TAG}": value})
    tags.append({"ssm:resourceTag/Env": "prod", "aws:ResourceTag/Env": "prod"})
    tags.append({f"aws:PrincipalTag/{SSM_TAG}": "True"})
    for action in ("ssm:SendCommand", "ssm:StartSession"):
        for resource in (instance, hybrid):
            yield from ((action, resource, tag) for tag in tags)
        for document in documents:
            yield action, document, {}
            yield action, document, {"ssm:SessionDocumentAccessCheck": "true"}
    yield "ssm:StartSession", instance, {**tags[1], "ssm:SessionDocumentAccessCheck": "true"}
    for action in ("ssm:TerminateSession", "ssm:ResumeSession"):
        yield action, arn("ssm", "session/alice-0123456789abcdef0"), {}
    for action in ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:CancelCommand",
                   "ec2:DescribeInstances", "s3:ListAllMyBuckets", "kms:ListKeys"):  # fmt: skip
        yield action, "*", {}
    for keys in ([SSM_TAG], [SSM_TAG.lower()], ["Name"], ["Name", SSM_TAG], ["Name", "Env"]):
        request = {"aws:TagKeys": keys, **{f"aws:RequestTag/{key}": "True" for key in keys}}
        for resource in (instance, arn("ec2", "snapshot/snap-0123456789abcdef0", "")):
            yield "ec2:CreateTags", resource, request
            yield "ec2:CreateTags", resource, {**request, "ec2:CreateAction": "CreateSnapshot"}
        yield "ssm:AddTagsToResource", hybrid, request
    yield "ec2:CreateSnapshot", arn("ec2", "snapshot/snap-0123456789abcdef0", ""), {}
    yield "ec2:ModifyInstanceAttribute", instance, {"ec2:Attribute": "UserData"}
    key = arn("kms", "key/11111111-2222-3333-4444-555555555555")
    for action in ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey", "kms:DescribeKey",
                   "kms:CreateGrant", "kms:RetireGrant", "kms:ScheduleKeyDeletion"):  # fmt: skip
        yield action, key, {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}
        yield action, key, {"kms:GrantIsForAWSResource": "true"}
        yield action, key, {"kms:GrantIsForAWSResource": "false"}
    yield "ssm:CreateAssociation", instance, {}
    yield "ssm:StartAutomationExecution", arn("ssm", "document/Runbook"), {}
    yield "iam:PutRolePolicy", f"arn:{partition}:iam::{ACCOUNT}:role/CadoResponseRole", {}


def decision(document: Document, request: Asked, partition: str) -> Decision:
    """What the evaluator says: everything that the request has is told."""
    action, resource, context = request
    root = Statement(
        principal=Principal.aws(f"arn:{partition}:iam::{ACCOUNT}:root"),
        actions=Values.of("kms:*"),
        resources=Values.of("*"),
    )
    policies = Policies(
        identity=(Policy("the role's", document),),
        resource=Policy("the key's", Document(statements=(root,))) if action.startswith("kms:") else None,
    )
    role = f"arn:{partition}:iam::{ACCOUNT}:role/CadoResponseRole"
    return evaluate(Request(role, action, resource, context, complete=True), policies).decision
