"""The ways round a closed SendCommand: to a shell, to code on an instance, or to more permissions.

Service Authorization Reference, of each service. docs/policy-rules.md has the same list for people, and a test
compares them.
"""

from __future__ import annotations

from collections.abc import Iterator

from cado_ops.policy import known
from cado_ops.policy.document import Statement
from cado_ops.policy.reach import Ask, open_in
from cado_ops.policy.rules import Finding, Subject, finding

OTHER_WAYS: dict[str, str] = {
    "ssm:CreateAssociation": "runs a document on instances, again and again",
    "ssm:CreateAssociationBatch": "runs a document on instances, again and again",
    "ssm:UpdateAssociation": "changes what an association runs",
    "ssm:StartAutomationExecution": "runs commands on instances through a runbook",
    "ssm:StartChangeRequestExecution": "runs a runbook through a change request",
    "ssm:RegisterTaskWithMaintenanceWindow": "runs commands on instances in a maintenance window",
    "ssm:UpdateMaintenanceWindowTask": "changes what a maintenance window runs",
    "ssm:RegisterTargetWithMaintenanceWindow": "puts instances under a maintenance window's tasks",
    "ssm:UpdateMaintenanceWindowTarget": "puts instances under a maintenance window's tasks",
    "ssm:UpdateDocument": "changes what a document runs, for all who use it",
    "ssm:UpdateDocumentDefaultVersion": "changes what a document runs, for all who use it",
    "ssm:StartAccessRequest": "asks for just-in-time access to nodes",
    "ssm-guiconnect:StartConnection": "opens a remote desktop through Systems Manager",
    "ec2-instance-connect:SendSSHPublicKey": "lets an SSH key in",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey": "opens the serial console",
    "ec2-instance-connect:OpenTunnel": "opens a tunnel to an instance",
    "ec2:ModifyInstanceAttribute": "replaces the user data, which runs at the next start",
    "ec2:CreateReplaceRootVolumeTask": "replaces the root volume, and what runs on it",
    "iam:PutRolePolicy": "writes permissions of a role, its own too",
    "iam:DeleteRolePolicy": "takes a policy from a role, one that denies too",
    "iam:AttachRolePolicy": "gives a role permissions, itself too",
    "iam:DetachRolePolicy": "takes a policy from a role, one that denies too",
    "iam:CreatePolicyVersion": "rewrites a managed policy, its own too",
    "iam:SetDefaultPolicyVersion": "puts another version of a managed policy in force",
    "iam:PutRolePermissionsBoundary": "replaces a permissions boundary",
    "iam:DeleteRolePermissionsBoundary": "lifts a permissions boundary",
    "iam:UpdateAssumeRolePolicy": "lets others into a role",
    "iam:PassRole": "hands any role to a service, with all that the role may do",
    "iam:PutUserPolicy": "writes permissions of a user",
    "iam:AttachUserPolicy": "gives a user permissions",
    "iam:PutGroupPolicy": "writes permissions of a group",
    "iam:AttachGroupPolicy": "gives a group permissions",
    "iam:AddUserToGroup": "gives a user the permissions of a group",
    "iam:CreateAccessKey": "makes credentials of a user",
    "iam:CreateLoginProfile": "makes a password for a user",
    "iam:UpdateLoginProfile": "changes a user's password",
    "sts:AssumeRole": "becomes any role that lets it in",
    "kms:PutKeyPolicy": "rewrites a key's policy, and so who may use the key",
}
# These are harmless where the roles that they are about are named: only any role at all counts.
_OF_ANY_ROLE = ("iam:PassRole", "sts:AssumeRole")
_ANY_ROLE = "a-role-that-nobody-named"
# A statement with more of them (ssm:*, say) has them in one finding.
_ONE_BY_ONE = 3


def other_ways(subject: Subject) -> Iterator[Finding]:
    found: dict[int, tuple[Statement, list[str]]] = {}
    for action in OTHER_WAYS:
        for statement in _open(subject, action):
            found.setdefault(id(statement), (statement, []))[1].append(action)
    for statement, actions in found.values():
        if len(actions) > _ONE_BY_ONE:
            yield finding("other-way", statement, f"{len(actions)} other ways: {', '.join(actions)}")
            continue
        for action in actions:
            yield finding("other-way", statement, f"{action} {OTHER_WAYS[action]}")


def _open(subject: Subject, action: str) -> list[Statement]:
    found = {
        id(each): each
        for resource in _resources(subject.partition, action)
        for each in open_in(subject.documents, Ask(action, resource, _facts(action)), subject.partition)
    }
    return list(found.values())


def _resources(partition: str, action: str) -> list[str]:
    """ARN patterns of what the action is about; ``*`` for one that knows no resources."""
    if action in _OF_ANY_ROLE:
        return [f"arn:{partition}:iam::*:role/{_ANY_ROLE}"]
    patterns = known.arn_patterns(action)
    return [each.replace("arn:*:", f"arn:{partition}:", 1) for each in patterns] or ["*"]


def _facts(action: str) -> dict[str, tuple[str, ...] | None]:
    if action == "ec2:ModifyInstanceAttribute":
        # "Actions, resources, and condition keys for Amazon EC2": ec2:Attribute names what is modified.
        return {"ec2:attribute": ("UserData",), "ec2:attribute/": None}
    return {}
