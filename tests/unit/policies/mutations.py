"""Policies with faults planted in them, by seed: what `check` must find, and what `tighten` must end.

Each fault changes a policy that is tight, or adds to it, and says which rule has to find it.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cado_ops.model import SSM_TAG

TAG = f"ssm:resourceTag/{SSM_TAG}"
Statement = dict[str, Any]
Policy = dict[str, Any]


def tight(partition: str = "aws") -> Policy:
    """A policy as it should be, of eight statements in the manner of the vendor's."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Buckets", "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
            {
                "Sid": "Reads",
                "Effect": "Allow",
                "Action": ["ec2:DescribeInstances", "ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"],
                "Resource": "*",
            },
            {
                "Sid": "Tagged",
                "Effect": "Allow",
                "Action": ["ssm:SendCommand"],
                "Resource": [f"arn:{partition}:ec2:*:*:instance/*"],
                "Condition": {"StringEquals": {TAG: "True"}},
            },
            {
                "Sid": "Run",
                "Effect": "Allow",
                "Action": ["ssm:SendCommand"],
                "Resource": [
                    f"arn:{partition}:ssm:*::document/AWS-RunShellScript",
                    f"arn:{partition}:ssm:*::document/AWS-RunPowerShellScript",
                ],
            },
            {
                "Sid": "Snapshots",
                "Effect": "Allow",
                "Action": ["ec2:CreateSnapshot", "ec2:DeleteSnapshot"],
                "Resource": "*",
                "Condition": {"StringEquals": {"ec2:Region": ["eu-west-1", "us-east-1"]}},
            },
            {
                "Sid": "SnapshotTags",
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": "*",
                "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}},
            },
            {
                "Sid": "Keys",
                "Effect": "Allow",
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
            },
            {
                "Sid": "Grants",
                "Effect": "Allow",
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ],
    }


def by_sid(policy: Policy, sid: str) -> Statement:
    [found] = [each for each in policy["Statement"] if each.get("Sid") == sid]
    statement: Statement = found
    return statement


def add(policy: Policy, rng: random.Random, **statement: Any) -> None:
    made = {"Sid": f"Planted{len(policy['Statement'])}", "Effect": "Allow", "Resource": "*", **statement}
    policy["Statement"].insert(rng.randrange(len(policy["Statement"]) + 1), made)


def _tag_condition(condition: Any) -> Callable[[Policy, random.Random, str], None]:
    def plant(policy: Policy, rng: random.Random, partition: str) -> None:
        by_sid(policy, "Tagged")["Condition"] = condition(rng) if callable(condition) else copy.deepcopy(condition)

    return plant


def _wide_send(policy: Policy, rng: random.Random, partition: str) -> None:
    kind = rng.randrange(6)
    if kind == 0:
        del by_sid(policy, "Tagged")["Condition"]
    elif kind == 1:
        add(policy, rng, Action=["ssm:SendCommand", "s3:ListBucket"])
    elif kind == 2:
        resources = [f"arn:{partition}:ec2:*:*:instance/*", f"arn:{partition}:ssm:*::document/AWS-RunShellScript"]
        add(policy, rng, Action=["ssm:SendCommand", "ssm:DescribeInstanceInformation"], Resource=resources)
    elif kind == 3:
        add(policy, rng, Action=rng.choice(["ssm:*", "ssm:Send*", "SSM:sendcommand", "*", "ssm:S??dCommand"]))
    elif kind == 4:
        left = {"Sid": "NotThese", "Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}
        policy["Statement"].append(left)
    else:
        policy["Statement"].append(
            {"Effect": "Allow", "Action": "ssm:SendCommand", "NotResource": f"arn:{partition}:s3:::secret"}
        )


def _other_tag(policy: Policy, rng: random.Random, partition: str) -> None:
    by_sid(policy, "Tagged")["Condition"] = {"StringEquals": {"ssm:resourceTag/Env": rng.choice(["prod", "dev"])}}


def _wrong_key(policy: Policy, rng: random.Random, partition: str) -> None:
    key = rng.choice(["aws:RequestTag", "aws:PrincipalTag", "ec2:ResourceTag"])
    by_sid(policy, "Tagged")["Condition"] = {
        rng.choice(["StringEquals", "StringLike"]): {f"{key}/{SSM_TAG}": "True"}
    }


def _wrong_value(rng: random.Random) -> Any:
    value = rng.choice(["*", "T*", "?rue", "true", "TRUE", "True ", ["True", "False"], ["True", "*"], "False"])
    return {"StringLike": {TAG: value}}


def _wrong_operator(rng: random.Random) -> Any:
    return rng.choice(
        [
            {"StringEqualsIfExists": {TAG: "True"}},
            {"StringLikeIfExists": {TAG: ["True"]}},
            {"ForAllValues:StringEquals": {TAG: "True"}},
            {"ForAllValues:StringLike": {TAG: ["True"]}},
            {"StringNotEquals": {TAG: "False"}},
            {"StringEqualsIgnoreCaseIfExists": {TAG: "true"}},
            {"Null": {TAG: "false"}},
        ]
    )


def _documents(policy: Policy, rng: random.Random, partition: str) -> None:
    pattern = rng.choice(
        [f"arn:{partition}:ssm:*:*:document/*", f"arn:{partition}:ssm:eu-west-1::document/*", "*",
         f"arn:{partition}:ssm:*"]
    )  # fmt: skip
    by_sid(policy, "Run")["Resource"] = pattern


def _start_session(policy: Policy, rng: random.Random, partition: str) -> None:
    kind = rng.randrange(3)
    if kind == 0:
        by_sid(policy, "Reads")["Action"] += ["ssm:StartSession"]
    elif kind == 1:
        add(policy, rng, Action="ssm:StartSession", Resource=[f"arn:{partition}:ec2:*:*:instance/*"])
    else:
        add(policy, rng, Action="ssm:Start*")


def _terminate_session(policy: Policy, rng: random.Random, partition: str) -> None:
    if rng.random() < 0.7:
        by_sid(policy, "Reads")["Action"] += [rng.choice(["ssm:TerminateSession", "ssm:ResumeSession"])]
    else:
        add(policy, rng, Action=rng.choice(["ssm:Terminate*", "ssm:ResumeSessio?"]))


def _no_resources(policy: Policy, rng: random.Random, partition: str) -> None:
    action = rng.choice(["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"])
    by_sid(policy, rng.choice(["Tagged", "Run"]))["Action"] += [action]
    if rng.random() < 0.5:
        by_sid(policy, "Reads")["Action"].remove(action)


def _read_missing(policy: Policy, rng: random.Random, partition: str) -> None:
    by_sid(policy, "Reads")["Action"].remove(
        rng.choice(["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"])
    )


def _documents_missing(policy: Policy, rng: random.Random, partition: str) -> None:
    if rng.random() < 0.5:
        policy["Statement"].remove(by_sid(policy, "Run"))
    else:
        by_sid(policy, "Run")["Resource"].pop(rng.randrange(2))


def _other_way(policy: Policy, rng: random.Random, partition: str) -> None:
    action = rng.choice(
        ["ssm:CreateAssociation", "ssm:StartAutomationExecution", "ec2-instance-connect:SendSSHPublicKey",
         "ec2:ModifyInstanceAttribute", "ec2:Modify*", "ec2-instance-connect:*", "iam:PutRolePolicy",
         "iam:DeleteRolePolicy", "iam:Detach*", "iam:PutRolePermissionsBoundary", "kms:PutKeyPolicy",
         "ssm:UpdateMaintenanceWindowTask", "iam:PassRole"]
    )  # fmt: skip
    add(policy, rng, Action=[action])


def _sets_the_tag(policy: Policy, rng: random.Random, partition: str) -> None:
    kind = rng.randrange(11)
    statement = by_sid(policy, "SnapshotTags")
    if kind == 0:
        del statement["Condition"]
    elif kind == 1:
        add(policy, rng, Action=["ec2:Create*", "ec2:StopInstances"])
    elif kind == 2:
        policy["Statement"].append(
            {"Sid": "NotTags", "Effect": "Allow", "NotAction": "ec2:DeleteTags", "Resource": "*"}
        )
    elif kind == 3:
        snapshots = f"arn:{partition}:ec2:*:*:snapshot/*"
        policy["Statement"].append({"Effect": "Allow", "Action": "ec2:CreateTags", "NotResource": snapshots})
    elif kind == 4:
        statement["Condition"] = {"StringEqualsIfExists": {"ec2:CreateAction": "CreateSnapshot"}}
    elif kind == 5:
        statement["Condition"] = {"ForAllValues:StringNotEquals": {"aws:TagKeys": SSM_TAG}}
    elif kind == 6:
        statement["Condition"] = {"ForAnyValue:StringNotEquals": {"aws:TagKeys": [SSM_TAG, SSM_TAG.lower()]}}
    elif kind == 7:
        statement["Condition"] = {"StringNotEquals": {f"aws:RequestTag/{SSM_TAG}": "True"}}
    elif kind == 8:
        add(policy, rng, Action=rng.choice(["ssm:AddTagsToResource", "ssm:Add*"]))
    elif kind == 9:
        nodes = f"arn:{partition}:ssm:*:*:managed-instance/mi-*"
        add(policy, rng, Action=["ssm:AddTagsToResource", "s3:ListBucket"], Resource=nodes)
    else:
        left = {"Effect": "Allow", "NotAction": ["ec2:*", "ssm:S*", "kms:*", "iam:*", "sts:*"]}
        policy["Statement"].append({**left, "NotResource": f"arn:{partition}:s3:::secret"})


def _other_case(policy: Policy, rng: random.Random, partition: str) -> None:
    key = rng.choice([TAG.lower(), f"aws:ResourceTag/{SSM_TAG.upper()}", "ssm:resourceTag/cadoResponseSSMEnabled"])
    by_sid(policy, "Tagged")["Condition"] = {"StringEquals": {key: "True"}}


def _create_grant(policy: Policy, rng: random.Random, partition: str) -> None:
    if rng.random() < 0.3:
        del by_sid(policy, "Grants")["Condition"]
    elif rng.random() < 0.3:
        condition = {"Bool": {"kms:GrantIsForAWSResource": "false"}, "StringLike": {"kms:GranteePrincipal": "*"}}
        by_sid(policy, "Grants")["Condition"] = condition
    else:
        add(policy, rng, Action=rng.choice(["kms:*", "kms:Create*", "kms:CreateGrant"]))


def _partition(policy: Policy, rng: random.Random, partition: str) -> None:
    other = rng.choice([each for each in ("aws", "aws-us-gov", "aws-cn") if each != partition])
    run = by_sid(policy, "Run")
    run["Resource"] = [each.replace(f"arn:{partition}:", f"arn:{other}:") for each in run["Resource"]]


def _region(policy: Policy, rng: random.Random, partition: str) -> None:
    condition = rng.choice(
        [
            {"StringEquals": {"kms:ViaService": "ec2.ap-southeast-2.amazonaws.com"}},
            {"StringEquals": {"aws:RequestedRegion": ["ap-southeast-2"]}},
            {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}},
            {"StringEquals": {"aws:PrincipalOrgID": "o-other00001"}},
        ]
    )
    by_sid(policy, "Keys")["Condition"] = condition


def _network(policy: Policy, rng: random.Random, partition: str) -> None:
    by_sid(policy, "Keys")["Condition"] = {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}


def _duplicate_sid(policy: Policy, rng: random.Random, partition: str) -> None:
    one, other = rng.sample(range(len(policy["Statement"])), 2)
    policy["Statement"][one]["Sid"] = policy["Statement"][other]["Sid"] = "Twice"


def _unknown_action(policy: Policy, rng: random.Random, partition: str) -> None:
    by_sid(policy, "Reads")["Action"] += [rng.choice(["ssm:SendComand", "ec2:DescribeInstanses", "kmss:Decrypt"])]


@dataclass(frozen=True)
class Fault:
    """``rules``: any of them has to find it. ``mended``: tighten ends all findings of these rules."""

    plant: Callable[[Policy, random.Random, str], None]
    rules: tuple[str, ...]
    mended: bool = True


FAULTS = (
    Fault(_wide_send, ("send-command-untagged",)),
    Fault(_other_tag, ("send-command-untagged",)),
    Fault(_wrong_key, ("tag-condition-key",)),
    Fault(_tag_condition(_wrong_value), ("tag-condition-value",)),
    Fault(_tag_condition(_wrong_operator), ("tag-condition-operator",)),
    Fault(_other_case, ("tag-condition-case",), mended=False),
    Fault(_documents, ("send-command-documents",)),
    Fault(_start_session, ("start-session-open",)),
    Fault(_terminate_session, ("terminate-session-open",)),
    Fault(_no_resources, ("no-resources",)),
    Fault(_sets_the_tag, ("sets-the-tag",)),
    Fault(_duplicate_sid, ("duplicate-sid",)),
    Fault(_read_missing, ("read-missing",), mended=False),
    Fault(_documents_missing, ("documents-missing",), mended=False),
    Fault(_other_way, ("other-way",), mended=False),
    Fault(_create_grant, ("create-grant-unbounded",), mended=False),
    Fault(_partition, ("partition",), mended=False),
    Fault(_region, ("shuts-out",), mended=False),
    Fault(_network, ("may-shut-out",), mended=False),
    Fault(_unknown_action, ("unknown-action",), mended=False),
)


def planted(seed: int) -> tuple[Policy, list[Fault], str]:
    """A policy with one to three faults that do not undo each other, and its partition."""
    rng = random.Random(seed)
    partition = rng.choice(["aws", "aws", "aws", "aws-us-gov", "aws-cn"])
    policy = tight(partition)
    chosen: list[Fault] = []
    touched: set[str] = set()
    for fault in rng.sample(FAULTS, rng.randint(1, 3)):
        before = copy.deepcopy(policy)
        if _touches(fault) & touched:
            continue
        touched |= _touches(fault)
        fault.plant(policy, rng, partition)
        assert json.dumps(before) != json.dumps(policy)
        chosen.append(fault)
    return policy, chosen, partition


def _touches(fault: Fault) -> set[str]:
    """The statements that a fault is planted in: two in one could cover each other up."""
    pair, reads = {"Tagged", "Run"}, {"Reads"}
    of = {
        _wide_send: pair | reads,
        _documents: pair,
        _documents_missing: pair,
        _partition: pair,
        _no_resources: pair | reads,
        _read_missing: reads,
        _start_session: reads,
        _terminate_session: reads,
        _unknown_action: reads,
        _sets_the_tag: {"Tags"} | reads,
        _create_grant: {"Grants"},
        _region: {"Keys"},
        _network: {"Keys"},
        # Renames statements that others look for.
        _duplicate_sid: {"Tags", "Grants", "Keys"} | pair | reads,
    }
    return of.get(fault.plant, {"Tagged"})


ODD: tuple[Any, ...] = (
    *({"Ref": "X"}, {"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}, {"Fn::Sub": ["${a}", {"a": "b"}]}),
    *({"Fn::If": ["C", "*", {"Ref": "AWS::NoValue"}]}, {"Fn::GetAtt": ["A", "Arn"]}, None, 5, True, [], {}, ""),
    *("*", "arn:aws:*", "arn:*:ec2:*:*:instance/*", "${aws:username}", "arn:aws:ssm:*:*:*", "arn:aws:ec2:*:*:*/*"),
    *("ssm:*", "*:SendCommand", "kms:*", "?sm:Send*", "arn:aws:ssm:us-east-1:*:document/AWS-*"),
)


def spoiled(seed: int) -> tuple[Any, str]:
    """A policy with planted faults and odd things in odd places, and its partition. Many are malformed."""
    policy, _, partition = planted(seed % 500)
    rng = random.Random(seed)
    return _spoil(policy, rng, rng.choice((0.01, 0.03, 0.08))), partition


def _spoil(data: Any, rng: random.Random, chance: float) -> Any:
    if rng.random() < chance:
        return rng.choice(ODD)
    if isinstance(data, dict):
        made = {name: _spoil(value, rng, chance) for name, value in data.items()}
        if made and rng.random() < chance:
            made.pop(rng.choice(list(made)))
        for name in ("Action", "Resource"):
            if name in made and rng.random() < chance:
                made[f"Not{name}"] = made.pop(name)
        return made
    if isinstance(data, list):
        return [
            *(_spoil(each, rng, chance) for each in data),
            *([rng.choice(ODD)] if rng.random() < chance else []),
        ]
    return data


# --- policies for several partitions

# How a policy names its partition: by a function of its template, by a wildcard, or by ARNs of each.
FORMS = ("sub", "join", "parameter", "star", "wildcard", "two")
TWO = ("aws", "aws-cn")


def in_form(data: Any, form: str) -> Any:
    """A policy whose ARNs begin with ``arn:aws:``, for several partitions."""
    if isinstance(data, dict):
        return {name: in_form(each, form) for name, each in data.items()}
    if isinstance(data, list):
        made = [in_form(each, form) for each in data]
        # Of two, each ARN is a list.
        return [one for each in made for one in (each if isinstance(each, list) else [each])]
    if not (isinstance(data, str) and data.startswith("arn:aws:")):
        return data
    rest = data.removeprefix("arn:aws:")
    match form:
        case "sub":
            return {"Fn::Sub": f"arn:${{AWS::Partition}}:{rest}"}
        case "join":
            return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f":{rest}"]]}
        case "parameter":
            return {"Fn::Sub": f"arn:${{Partition}}:{rest}"}
        case "two":
            return [f"arn:{each}:{rest}" for each in TWO]
    return f"arn:{'*' if form == 'star' else 'aws*'}:{rest}"


def partitions_of_form(form: str) -> tuple[str, ...]:
    return TWO if form == "two" else ("aws", "aws-us-gov", "aws-cn", "aws-iso")


def deployed(data: Any, partition: str) -> Any:
    """What a template's functions make of it there."""
    if isinstance(data, list):
        return [deployed(each, partition) for each in data]
    if not isinstance(data, dict):
        return data
    match data:
        case {"Fn::Sub": str(text)}:
            return text.replace("${AWS::Partition}", partition).replace("${Partition}", partition)
        case {"Fn::Join": ["", [*pieces]]}:
            return "".join(partition if isinstance(each, dict) else each for each in pieces)
    return {name: deployed(each, partition) for name, each in data.items()}


def of_several_partitions(seed: int) -> tuple[Policy, str, str, str]:
    """A policy that is closed in all of its partitions but one: the policy, its form, the rule, the open one."""
    rng = random.Random(seed)
    form = FORMS[seed % len(FORMS)]
    policy = in_form(tight(), form)
    within = partitions_of_form(form)
    open_ = rng.choice(within)
    action, rule, kinds = rng.choice(
        [
            ("ssm:SendCommand", "send-command-untagged", ("ec2:*:*:instance/*", "ssm:*:*:managed-instance/*")),
            ("ssm:StartSession", "start-session-open", ("ec2:*:*:instance/*", "ssm:*:*:managed-instance/*")),
            ("ec2:CreateTags", "sets-the-tag", ("ec2:*:*:instance/*",)),
        ]
    )
    wide = rng.choice([action, action.partition(":")[0] + ":*", action[:-2] + "*"])
    tag = {"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": SSM_TAG}}
    add(policy, rng, Action=wide)
    policy["Statement"].append(
        {
            "Sid": "ClosedElsewhere",
            "Effect": "Deny",
            "Action": action,
            "Resource": [f"arn:{name}:{kind}" for name in within if name != open_ for kind in kinds],
            "Condition": tag if rule == "sets-the-tag" else {"StringNotEquals": {TAG: "True"}},
        }
    )
    return policy, form, rule, open_


# --- templates


def templated(seed: int) -> tuple[Any, list[Fault], str]:
    """A template with planted faults in one branch of a condition, the faults, and that branch in words."""
    policy, faults, partition = planted(seed)
    rng = random.Random(seed)
    policy = in_form(json.loads(json.dumps(policy).replace(f'"arn:{partition}:', '"arn:aws:')), "sub")
    holds = rng.random() < 0.5
    fine = in_form(tight(), "sub")

    def either(faulty: Any, sound: Any) -> Any:
        return {"Fn::If": ["Wide", *((faulty, sound) if holds else (sound, faulty))]}

    def inline(document: Any) -> Any:
        return {"PolicyName": "Cado", "PolicyDocument": document}

    role: dict[str, Any] = {"RoleName": "CadoResponseRole"}
    resources: dict[str, Any] = {"Cado": {"Type": "AWS::IAM::Role", "Properties": role}}
    match rng.randrange(6):
        case 0:
            role["Policies"] = either([inline(policy)], [inline(fine)])
        case 1:
            role["Policies"] = [either(inline(policy), inline(fine))]
        case 2:
            role["Policies"] = [inline(either(policy, fine))]
        case 3:
            statements = either(policy["Statement"], fine["Statement"])
            role["Policies"] = [inline({"Version": "2012-10-17", "Statement": statements})]
        case 4:
            role["ManagedPolicyArns"] = [either({"Ref": "Faulty"}, {"Ref": "Sound"})]
            for name, document in (("Faulty", policy), ("Sound", fine)):
                resources[name] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        case _:
            for name, document in (("Faulty", policy), ("Sound", fine)):
                resources[name] = {
                    "Type": "AWS::IAM::Policy",
                    "Properties": {
                        "PolicyName": name,
                        "PolicyDocument": document,
                        "Roles": either(
                            *(
                                ([{"Ref": "Cado"}], ["Other"])
                                if name == "Faulty"
                                else (["Other"], [{"Ref": "Cado"}])
                            )
                        ),
                    },
                }
    return {"Resources": resources}, faults, "if Wide" if holds else "unless Wide"
