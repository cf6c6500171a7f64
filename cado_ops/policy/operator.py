"""What this program's own role needs, command by command: its policy, its trust, its guard.

tests/functional/test_policy_operator.py records what each command calls, and holds these documents against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cado_ops.model import CLAIM_PREFIX, SSM_TAG
from cado_ops.policy.document import DENY, Condition, Document, Principal, Statement, Value, Values
from cado_ops.policy.library import allow
from cado_ops.policy.names import OWN_ACCOUNT, Names

# What each command calls in an account that it works in. kms:RetireGrant is left out on purpose: the retiring
# principal needs no allow for its own grants, and an identity of the issuing account that has the action by IAM may
# retire any grant, EBS's included.
_FIND = ("ec2:DescribeInstances", "ec2:DescribeRegions")
_TAGS = (*_FIND, "ec2:DescribeTags")
_KEYS = (
    *("ec2:DescribeInstances", "ec2:DescribeRegions", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
    *("kms:DescribeKey", "kms:ListGrants"),
)
_KEY_SWEEP = ("kms:ListAliases", "kms:ListKeys")
_ROLES = ("iam:GetRole", "iam:ListRoles")
_POLICIES = (
    *(*_ROLES, "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRolePolicy"),
    *("iam:ListAttachedRolePolicies", "iam:ListRolePolicies"),
)
NEEDS: dict[str, tuple[str, ...]] = {
    "status": (
        *(*_FIND, *_ROLES, "ec2:DescribeVolumes", "ssm:DescribeInstanceInformation"),
        *("kms:DescribeKey", "kms:ListRetirableGrants"),
    ),
    "check": (
        *(*_FIND, "ec2:DescribeInstanceTypes", "ec2:DescribeVolumes", *_POLICIES, "iam:SimulatePrincipalPolicy"),
        *("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"),
        *("ssm:DescribeInstanceInformation", "ssm:GetServiceSetting"),
    ),
    "targets": _FIND,  # it tries whether each target can be read
    "tag-instances": (*_TAGS, "ec2:CreateTags"),
    "untag-instances": (*_TAGS, "ec2:CreateTags", "ec2:DeleteTags"),
    "kms grant": (*_KEYS, *_ROLES, "kms:CreateGrant"),
    "kms list": (*_KEYS, *_KEY_SWEEP, *_ROLES, "kms:ListRetirableGrants"),
    "kms retire": (*_KEYS, *_KEY_SWEEP, *_ROLES),
    "policy tighten": _POLICIES,
    "policy check": (
        *(*_POLICIES, "iam:SimulatePrincipalPolicy"),
        *("ec2:DescribeRegions", "kms:DescribeKey", "kms:GetKeyPolicy"),
    ),
    "kms retire --revoke": (*_KEYS, *_KEY_SWEEP, *_ROLES, "kms:RevokeGrant"),
}
# What goes on with other commands' work needs what they need, and what puts it back.
_CHANGES = ("tag-instances", "untag-instances", "kms grant", "kms retire")
for _again in ("apply", "runs undo", "runs resume"):
    NEEDS[_again] = tuple(dict.fromkeys(action for name in _CHANGES for action in NEEDS[name]))
# Without --for. Revoking is left to those who ask for it: retiring is enough, and needs no permission.
DEFAULT_COMMANDS = tuple(name for name in NEEDS if name != "kms retire --revoke")

_WRITES_TAGS = ("ec2:CreateTags", "ec2:DeleteTags")
_OWN_STATEMENT = (*_WRITES_TAGS, "kms:CreateGrant", "kms:RevokeGrant")


def operator(names: Names, commands: Iterable[str], operations: tuple[str, ...]) -> Document:
    """The operator role's policy in each account, for these commands; ``operations`` bind the grants it makes."""
    needed = tuple(dict.fromkeys(action for name in commands for action in NEEDS[name]))
    reads = tuple(sorted(action for action in needed if action not in _OWN_STATEMENT))
    tags = tuple(action for action in _WRITES_TAGS if action in needed)
    # A region that a call names is the one it is made in: IAM's calls are made elsewhere and would be shut out.
    statements = [allow("Read", reads)]
    if tags:
        statements.append(_our_tags(names, tags))
    if "kms:CreateGrant" in needed:
        statements.append(_our_grants(names, operations))
    if "kms:RevokeGrant" in needed:
        statements.append(allow("RevokeGrants", ("kms:RevokeGrant",), _keys(names), *_own_account(names)))
    return Document(statements=tuple(statements))


def _our_tags(names: Names, actions: tuple[str, ...]) -> Statement:
    return allow(
        "OnlyOurTagsOnlyOnInstances", actions, names.instances,
        Condition("ForAllValues:StringLike", "aws:TagKeys", Values((SSM_TAG, f"{CLAIM_PREFIX}*"))),
        # ForAllValues is true when the request names no key at all, and DeleteTags without tags removes every tag.
        Condition("Null", "aws:TagKeys", Values.of("false")),
    )  # fmt: skip


def _our_grants(names: Names, operations: tuple[str, ...]) -> Statement:
    return allow(
        "GrantToTheCadoRoleAlone", ("kms:CreateGrant",), _keys(names), *_own_account(names),
        Condition("StringEquals", "kms:GranteePrincipal", Values.of(names.cado_role_arn)),
        Condition("StringEquals", "kms:RetiringPrincipal", Values.of(names.operator_role_arn)),
        Condition("ForAllValues:StringEquals", "kms:GrantOperations", Values(operations)),
        Condition("Null", "kms:GrantOperations", Values.of("false")),
    )  # fmt: skip


def _keys(names: Names) -> tuple[str, ...]:
    return names.regional("kms", "*" if names.account == OWN_ACCOUNT else names.account, "key/*")


def _own_account(names: Names) -> tuple[Condition, ...]:
    """A key's ARN takes no variable for its account ("before the fifth colon"): then a condition says it."""
    mine = Condition("StringEquals", "aws:ResourceAccount", Values.of(OWN_ACCOUNT))
    return (mine,) if names.account == OWN_ACCOUNT else ()


def operator_trust(
    principals: tuple[str, ...], external_id: str | None = None, *, source_identity: bool = False
) -> Document:
    """Who may assume the operator role, and with which external id."""
    actions = ("sts:AssumeRole", *(("sts:SetSourceIdentity",) if source_identity else ()))
    conditions = (Condition("StringEquals", "sts:ExternalId", Values.of(external_id)),) if external_id else ()
    statement = allow("AssumeTheOperator", actions, (), *conditions, principal=Principal.aws(*principals))
    return Document(statements=(replace(statement, resources=None),))


def operator_caller(names: Names, *, source_identity: bool = False) -> Document:
    """What the caller needs, in the account of its credentials."""
    return Document(
        statements=(
            allow(
                "AssumeTheOperator",
                ("sts:AssumeRole", *(("sts:SetSourceIdentity",) if source_identity else ())),
                (names.role(names.operator_role, "*"),),
            ),
            allow(
                "FindTheAccounts",
                (
                    "organizations:DescribeAccount",
                    "organizations:ListAccounts",
                    "organizations:ListAccountsForParent",
                    "organizations:ListOrganizationalUnitsForParent",
                ),
            ),
        )
    )


def tag_guard(names: Names) -> Document:
    """A service control policy: nobody but the operator role writes or deletes the tag.

    Tag keys are compared whatever their case: EC2 keeps ``cadoresponsessmenabled`` as a key of its own, and IAM
    does not define which of the two a condition sees. Tags given with RunInstances are authorised as CreateTags.
    Hybrid nodes have theirs from Systems Manager, or from the activation that they are registered with.
    """
    others = Condition("ArnNotLike", "aws:PrincipalArn", Values.of(names.role(names.operator_role, "*")))
    ours = Condition("ForAnyValue:StringEqualsIgnoreCase", "aws:TagKeys", Values.of(SSM_TAG))
    nodes = names.regional("ssm", names.accounts, "managed-instance/*")
    return Document(
        statements=(
            _deny(
                "OnlyTheOperatorSetsTheTag", (*_WRITES_TAGS, "ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"),
                (*names.instances, *nodes), ours, others,
            ),
            # It knows no resources, and gives its tags to every node that registers with it.
            _deny("NobodyElseActivatesNodesWithTheTag", ("ssm:CreateActivation",), ("*",), ours, others),
            # DeleteTags without tags deletes them all, and names no key.
            _deny(
                "NobodyElseDeletesAllTags", ("ec2:DeleteTags",), names.instances,
                Condition("Null", "aws:TagKeys", Values.of("true")),
                others,
            ),
        )
    )  # fmt: skip


def _deny(sid: str, actions: tuple[Value, ...], resources: tuple[str, ...], *conditions: Condition) -> Statement:
    return Statement(
        sid=sid, effect=DENY, actions=Values.of(*actions), resources=Values.of(*resources), conditions=conditions
    )


# What a person should know who is about to paste it.
REMARKS: dict[str, tuple[str, ...]] = {
    "operator": (
        "kms:RetireGrant is left out on purpose: the retiring principal needs no allow for its own grants",
    ),
    "operator-caller": (
        "the second statement serves --org and --ou, in the management account or a delegated administrator's",
    ),
    "tag-guard": (
        "service control policies bind neither the management account nor service-linked roles: auto scaling, for "
        "one, can set the tag whatever this says",
        "whoever may make a role of the operator's name and path in a member account becomes the exception: guard "
        "iam:CreateRole and iam:UpdateAssumeRolePolicy for it as well",
        "instances that carry the tag keep it; launches that set it, from launch templates too, fail for others",
        "that a DeleteTags without tags sends no aws:TagKeys has not been tried against AWS",
    ),
}
