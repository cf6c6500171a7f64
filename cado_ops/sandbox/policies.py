"""The IAM policies of the seeded roles: one account each for the ways Cado's role is found in the wild."""

from __future__ import annotations

from typing import Any

from cado_ops.sandbox import acme

Document = dict[str, Any]

_TRIAGE = ["ssm:SendCommand", "ssm:DescribeInstanceInformation", "ssm:StartSession", "ssm:TerminateSession"]
_DOCUMENTS = [
    "arn:aws:ssm:*::document/AWS-RunShellScript",
    "arn:aws:ssm:*::document/AWS-RunPowerShellScript",
]
_INSTANCES = "arn:aws:ec2:*:*:instance/*"

RESPONDER: Document = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::*:role/{acme.OPERATOR_ROLE}*"},
        {"Effect": "Allow", "Action": ["organizations:List*", "organizations:Describe*"], "Resource": "*"},
    ],
}
OPERATOR: Document = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeRegions",
                "ec2:DescribeTags",
                "ec2:DescribeVolumes",
                "ec2:DescribeSnapshots",
                "ec2:CreateTags",
                "ec2:DeleteTags",
                "iam:GetPolicy",
                "iam:GetPolicyVersion",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:ListRoles",
                "iam:SimulatePrincipalPolicy",
                "kms:ListKeys",
                "kms:ListAliases",
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:ListGrants",
                "kms:ListRetirableGrants",
                "kms:CreateGrant",
                "kms:RevokeGrant",
                "ssm:DescribeInstanceInformation",
                "ssm:GetServiceSetting",
            ],
            "Resource": "*",
        }
    ],
}


def key_for(account: str, role: str) -> Document:
    """A key's policy that leaves the key to IAM of its account, and lets one role decrypt."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "AllowCado",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:role/{role}"},
                "Action": ["kms:Decrypt", "kms:DescribeKey"],
                "Resource": "*",
            },
        ],
    }


def trust(principal: str, external_id: str | None = None) -> Document:
    """A trust policy for one principal, with an external id where one is asked for."""
    statement: Document = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return {"Version": "2012-10-17", "Statement": [statement]}


def cado(account: str) -> Document:
    """The policy of Cado's role: tightened to tagged instances in production, wide in the other accounts."""
    if account == acme.PRODUCTION:
        triage: list[Document] = [
            {
                "Sid": "RequiredForTriageAndRunCommandTagged",
                "Effect": "Allow",
                "Action": _TRIAGE[:2],
                "Resource": [_INSTANCES],
                "Condition": {"StringLike": {"ssm:resourceTag/CadoResponseSSMEnabled": ["True"]}},
            },
            {
                "Sid": "RequiredForTriageAndRunCommandRun",
                "Effect": "Allow",
                "Action": _TRIAGE[:2],
                "Resource": _DOCUMENTS,
            },
        ]
    else:
        triage = [
            {
                "Sid": "RequiredForTriageAndRunCommand",
                "Effect": "Allow",
                "Action": _TRIAGE,
                "Resource": [_INSTANCES, *_DOCUMENTS],
            }
        ]
    acquisition: Document = {
        "Sid": "RequiredForAcquisition",
        "Effect": "Allow",
        "Action": [
            "ec2:CreateSnapshot",
            "ec2:DeleteSnapshot",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
            "ebs:GetSnapshotBlock",
            "ebs:ListSnapshotBlocks",
            "ssm:GetCommandInvocation",
        ],
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [*triage, acquisition]}
