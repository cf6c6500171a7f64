"""What the readers of `hostile_readers` take, to be damaged: one of each kind of document."""

from __future__ import annotations

import json
from typing import Any

from cado_ops.cli.options import ALL_OPTIONS
from cado_ops.journal import seal
from cado_ops.model import Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import on_grant
from tests.unit import test_planfile
from tests.unit.grant_samples import a_grant, name_of
from tests.unit.hostile import as_json

RUN = "20261123T174501Z-7f3a9c"


def sealed_run(bodies: Any) -> bytes:
    """A journal whose chain of hashes fits, as anybody can make one who means to."""
    content, head = b"", ""
    for body in bodies if isinstance(bodies, list) else [bodies]:
        if isinstance(body, dict):
            line, head = seal({key: each for key, each in body.items() if key != "hash"} | {"prev": head})
            content += line
        else:
            content += as_json(body).encode() + b"\n"
    return content


def sealed_plan(body: Any) -> bytes:
    return (test_planfile.sealed(body) if isinstance(body, dict) else as_json(body)).encode()


def result(**more: Any) -> dict[str, Any]:
    return {"outcome": "changed", "error": None, "warnings": ["w"], "request_id": "r-1", **more}


GRANT = on_grant(a_grant(name=name_of()), Action.RETIRE, owner=Owner.OURS)
TAGS = test_planfile.PLAN.changes[0].as_record()
_CALLER = {"account": "1" * 12, "arn": "arn:aws:sts::111111111111:assumed-role/ops/me", "endpoint": None}
_ERROR = {"code": "AccessDenied", "message": "no", "hint": None}


def run(change: dict[str, Any], key: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"account": change["account"], "region": change["region"]}
    return [
        {"record": "run", "format_version": 1, "run_id": RUN, "command": "tag-instances", "case": "IR-42",
         "started": "2026-11-23T17:45:01Z", "caller": _CALLER, "roles": test_planfile.PLAN.roles,
         "home_region": "eu-west-1", "targets": 1, "targets_failed": 0, "items": 1, "argv": ["tag-instances"]},
        {"record": "plan", **place, "changes": [change]},
        {"record": "failure", "failure": {**place, "stage": "observe", "id": None, "error": _ERROR}},
        {"record": "intent", **place, "call": "CreateTags", "at": "2026-11-23T17:45:02.000Z", "ids": [key]},
        {"record": "outcome", **place, "results": {key: result}},
        {"record": "resume", "caller": _CALLER, "at": "2026-11-23T17:46:02.000Z"},
        {"record": "recovered", "torn": "{"},
        {"record": "end", "status": "success", "finished": "2026-11-23T17:45:03Z",
         "summary": {"targets": 1, "targets_failed": 0, "targets_left_out": 0, "changed": 1}},
    ]  # fmt: skip


_STATEMENT = {
    "Sid": "Send", "Effect": "Allow", "Action": ["ssm:SendCommand", "ec2:Describe*"],
    "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*::document/AWS-RunShellScript"],
    "Condition": {"StringEquals": {"ssm:resourceTag/CadoResponseSSMEnabled": ["True"]}, "Bool": {"aws:x": True}},
}  # fmt: skip
_WIDE = {**_STATEMENT, "Sid": "B", "Resource": "*"}
_POLICY = {"Version": "2012-10-17", "Id": "x", "Statement": [_STATEMENT, _WIDE]}
_EITHER = {"Fn::If": ["A", [_STATEMENT], {"Fn::If": ["B", _STATEMENT, {"Ref": "AWS::NoValue"}]}]}
_KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:role/CadoResponseRole"},
        "Action": "kms:*", "Resource": "*",
    },
}  # fmt: skip
_TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Resources": {
        "CadoResponseRole": {
            "Type": "AWS::IAM::Role", "Condition": "Wanted",
            "Properties": {
                "RoleName": "CadoResponseRole", "ManagedPolicyArns": [{"Ref": "More"}],
                "Policies": [{"PolicyName": "p", "PolicyDocument": _POLICY}, {"Ref": "AWS::NoValue"}],
            },
        },
        "More": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Roles": [{"Ref": "CadoResponseRole"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": _EITHER,
                },
            },
        },
    },
}  # fmt: skip
POLICIES = (_POLICY, _KEY_POLICY, _TEMPLATE, {"PolicyDocument": _POLICY}, {"Policy": json.dumps(_POLICY)})

DENIED = (
    "An error occurred (UnauthorizedOperation) when calling the CreateTags operation: You are not authorized to "
    "perform this operation. User: arn:aws:sts::111111111111:assumed-role/ops/me is not authorized to perform: "
    "ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:111111111111:instance/i-0123456789abcdef0 because no "
    "identity-based policy allows the ec2:CreateTags action. Encoded authorization failure message: abcDEF0123-_"
)
EVENT = {
    "eventName": "CreateTags", "eventSource": "ec2.amazonaws.com", "errorCode": "Client.UnauthorizedOperation",
    "errorMessage": DENIED, "userIdentity": {"arn": "arn:aws:iam::111111111111:user/a", "type": "IAMUser"},
    "requestParameters": {"resourcesSet": {"items": [{"resourceId": "i-0123456789abcdef0"}]}}, "resources": [],
}  # fmt: skip
DECODED = {
    "allowed": False, "explicitDeny": True,
    "matchedStatements": {"items": [{"statementId": "S", "effect": "DENY", "sourcePolicyType": "SCP"}]},
    "context": {"principal": {"arn": "arn:aws:iam::111111111111:user/a"}, "action": "ec2:X", "resource": "*"},
}  # fmt: skip

TOML = b'region = ["eu-west-1", "all"]\nrole_name = "CadoOperator"\ncase = "IR-42"\nmax_concurrency = 8\n'
TOML += b'output = "json"\naccount = "111111111111"\ncado-role = "arn:aws:iam::111111111111:role/R"\n'
EVERY_SETTING = "".join(f'{each.name} = "x"\n' for each in ALL_OPTIONS if not each.setting.flag_only).encode()
