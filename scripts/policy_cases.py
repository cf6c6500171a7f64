"""Generated policies and requests for scripts/compare_policies.py, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.policy.document import document_from
from cado_ops.policy.evaluate import Policies, Policy, Verdict, evaluate
from cado_ops.policy.request import Request

HOME, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{HOME}:role/CadoResponseRole"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/CadoResponseRole/platform"
USER = f"arn:aws:iam::{HOME}:user/Alice"
INSTANCE = "arn:aws:ec2:eu-west-1:{}:instance/i-0123456789abcdef0"
DOCUMENT = "arn:aws:ssm:eu-west-1::document/AWS-RunShellScript"
KEY = "arn:aws:kms:eu-west-1:{}:key/11111111-2222-3333-4444-555555555555"
TARGET = "arn:aws:iam::{}:role/CadoOperator"

# The actions that this program reasons about, with what they are asked on.
ASKED: dict[str, Sequence[str]] = {
    "ssm:SendCommand": (INSTANCE, DOCUMENT),
    "ssm:StartSession": (INSTANCE, DOCUMENT),
    "ssm:TerminateSession": ("arn:aws:ssm:eu-west-1:{}:session/platform-0abc",),
    "ssm:DescribeInstanceInformation": ("*",),
    "ssm:GetCommandInvocation": ("*",),
    "ec2:CreateTags": (INSTANCE, "arn:aws:ec2:eu-west-1:{}:volume/vol-0123456789abcdef0"),
    "ec2:DeleteTags": (INSTANCE,),
    "ec2:DescribeInstances": ("*",),
    "kms:Decrypt": (KEY,),
    "kms:ReEncryptFrom": (KEY,),
    "kms:GenerateDataKeyWithoutPlaintext": (KEY,),
    "kms:CreateGrant": (KEY,),
    "kms:ListGrants": (KEY,),
    "kms:RevokeGrant": (KEY,),
    "kms:ListKeys": ("*",),
    "iam:GetRole": (TARGET,),
    "sts:AssumeRole": (TARGET,),
}
TAG = "CadoResponseSSMEnabled"
# Keys by action, with values that requests and policies draw from. Several at once only where the key has many.
STRINGS = ["True", "true", "TRUE", "prod", "", "True ", "staging", "${*}", "a*b"]
SHARED: dict[str, Sequence[str]] = {
    "aws:PrincipalTag/Team": STRINGS,
    "aws:SourceIp": ["10.0.0.7", "10.1.0.7", "2001:db8::7", "203.0.113.9"],
    "aws:CurrentTime": ["2026-11-24T12:00:00Z", "2025-01-01T00:00:00Z", "2027-06-01T00:00:00Z"],
    "aws:EpochTime": ["1764000000", "1700000000", "1900000000"],
    "aws:MultiFactorAuthAge": ["10", "3600", "36000"],
    "aws:SecureTransport": ["true", "false"],
    "aws:RequestedRegion": ["eu-west-1"],
    "aws:PrincipalOrgID": ["o-aaaaaaaaaa", "o-bbbbbbbbbb"],
    "aws:userid": ["AROAAAAAAAAAAAAAAAAA:platform"],
}
OWN: dict[str, dict[str, Sequence[str]]] = {
    "ssm:SendCommand": {f"ssm:resourceTag/{TAG}": STRINGS, "aws:ResourceTag/Env": STRINGS},
    "ssm:StartSession": {f"ssm:resourceTag/{TAG}": STRINGS, "ssm:SessionDocumentAccessCheck": ["true", "false"]},
    "ec2:CreateTags": {"ec2:CreateAction": ["CreateSnapshot", "RunInstances"], "aws:RequestTag/Env": STRINGS},
    "kms:CreateGrant": {
        "kms:GranteePrincipal": [ROLE, USER], "kms:RetiringPrincipal": [ROLE, TARGET.format(HOME)],
        "kms:GrantIsForAWSResource": ["true", "false"], "kms:ViaService": ["ec2.eu-west-1.amazonaws.com"],
    },
    "kms:Decrypt": {"kms:ViaService": ["ec2.eu-west-1.amazonaws.com", "ec2.us-east-1.amazonaws.com"]},
    "sts:AssumeRole": {"sts:ExternalId": ["choose-one", "another"], "sts:RoleSessionName": ["cado-ops.IR-42.me"]},
}  # fmt: skip
MANY: dict[str, dict[str, Sequence[str]]] = {
    "ec2:CreateTags": {"aws:TagKeys": [TAG, TAG.lower(), "cado-ops:case/IR-42", "Env"]},
    "ec2:DeleteTags": {"aws:TagKeys": [TAG, TAG.lower(), "cado-ops:case/IR-42", "Env"]},
    "kms:CreateGrant": {"kms:GrantOperations": ["Decrypt", "DescribeKey", "CreateGrant", "Encrypt"]},
}
PATTERNS = ("True", "T*", "*", "?rue", "cado-ops:case/*", "*.eu-west-1.*", "prod", "${aws:PrincipalTag/Team}",
            "${aws:PrincipalTag/Team, 'prod'}", "${aws:PrincipalTag/Nobody}", "${*}", "a*b")  # fmt: skip
STRING_OPERATORS = ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase",
                    "StringNotEqualsIgnoreCase")  # fmt: skip
ANY_OPERATOR = ("StringLike", "NumericLessThan", "ArnLike", "DateLessThan", "IpAddress", "Bool")
ORDERS = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")


EVERYTHING: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
# Attached to everything, and not to be detached ("Resource control policies").
FULL_RCP = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


@dataclass
class Case:
    """One question, as both sides take it."""

    request: dict[str, Any]
    identity: list[Any]
    boundary: Any = None
    session: Any = None
    scps: Any = None
    rcps: Any = None
    resource: Any = None

    def for_simulator(self) -> dict[str, Any]:
        def named(kind: str, found: Any) -> list[Any]:
            return [{"name": f"{kind}{index}", "policy": each} for index, each in enumerate(found)]

        def level(found: Any) -> list[Any]:
            return [
                {"orgIdentifier": f"level-{number}", "policies": named("p", policies)}
                for number, policies in enumerate(found or [])
            ]  # fmt: skip

        account = self.request["account"]
        # runSimulation adds it by itself.
        full = [FULL_RCP] if self.request["resource"] == DOCUMENT else []
        made: dict[str, Any] = {
            "request": {
                "principal": self.request["session"] or self.request["principal"],
                "action": self.request["action"],
                "resource": {"resource": self.request["resource"], "accountId": account},
                "contextVariables": self.request["context"],
            },
            "identityPolicies": named("i", self.identity),
            "serviceControlPolicies": level(self.scps),
            "resourceControlPolicies": level([[*full, *policies] for policies in self.rcps or []]),
        }
        if self.resource is not None:
            made["resourcePolicy"] = self.resource
        if self.boundary is not None:
            made["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": self.boundary}]
        if self.session is not None:
            made["sessionPolicy"] = self.session
        return made

    def ours(self) -> Verdict:
        def policy(name: str, data: Any) -> Policy:
            return Policy(name, document_from(data, name))

        def levels(found: Any) -> tuple[tuple[Policy, ...], ...]:
            return tuple(tuple(policy("level", each) for each in policies) for policies in found or [])

        request = Request(
            self.request["principal"],
            self.request["action"],
            self.request["resource"],
            self.request["context"],
            # These follow from the rest; here only what both sides are told counts.
            absent=[key for key in ("aws:RequestedRegion", "ec2:Region") if key not in self.request["context"]],
            complete=True,
            session=self.request["session"],
            resource_account=self.request["account"],
        )
        return evaluate(
            request,
            Policies(
                identity=tuple(policy("identity", each) for each in self.identity),
                boundary=(policy("boundary", self.boundary),) if self.boundary is not None else None,
                session=(policy("session", self.session),) if self.session is not None else None,
                scps=levels(self.scps),
                rcps=levels(self.rcps),
                resource=policy("resource", self.resource) if self.resource is not None else None,
            ),
        )


class Maker:
    """Cases from a seed. Most policies are near the request, so that most verdicts hang on a detail."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def case(self) -> Case:
        action = self.random.choice(list(ASKED))
        own_key = self.random.choice(ASKED[action])
        account = OTHER if "{}" in own_key and self.chance(0.2) else HOME
        resource = own_key.format(account)
        by_user = self.chance(0.2)
        principal = USER if by_user else ROLE
        context = self.context(action, principal, account)
        request = {
            "principal": principal, "session": None if by_user else SESSION, "action": action, "resource": resource,
            "account": account, "context": context,
        }  # fmt: skip
        case = Case(request, [self.policy(request) for _ in range(self.random.choice((0, 1, 1, 2)))])
        if self.chance(0.2):
            case.boundary = self.policy(request)
        if not by_user and resource != DOCUMENT and self.chance(0.2):
            case.session = self.policy(request)
        if self.chance(0.25):
            near = self.policy(request)
            case.scps = [[EVERYTHING], [EVERYTHING, near] if self.chance(0.7) else [near]]
        if self.chance(0.15):
            case.rcps = [[self.policy(request, rcp=True)]]
        if (action.startswith("kms:") and resource != "*") or action == "sts:AssumeRole":
            case.resource = self.policy(request, principals=True, trust=action == "sts:AssumeRole")
        return case

    def context(self, action: str, principal: str, account: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "aws:PrincipalArn": principal,
            "aws:PrincipalAccount": HOME,
            "aws:PrincipalType": "User" if principal == USER else "AssumedRole",
            "aws:PrincipalIsAWSService": "false",
            "aws:ResourceAccount": account,
        }
        if principal == USER:
            found["aws:username"] = "Alice"
        for key, values in {**SHARED, **OWN.get(action, {})}.items():
            if self.chance(0.55):
                found[key] = self.random.choice(values)
        for key, values in MANY.get(action, {}).items():
            if self.chance(0.8):
                found[key] = self.random.sample(values, self.random.randint(1, len(values)))
        return found

    def policy(
        self, request: dict[str, Any], *, principals: bool = False, trust: bool = False, rcp: bool = False
    ) -> Any:
        statements = [
            self.statement(request, principals=principals, trust=trust, rcp=rcp)
            for _ in range(self.random.choice((1, 1, 2, 3)))
        ]
        version = "2008-10-17" if not rcp and self.chance(0.05) else "2012-10-17"
        return {"Version": version, "Statement": statements if self.chance(0.9) else statements[0]}

    def statement(self, request: dict[str, Any], *, principals: bool, trust: bool, rcp: bool) -> Any:
        made: dict[str, Any] = {"Effect": "Deny" if rcp or self.chance(0.25) else "Allow"}
        if principals:
            made.update(self.principal(request, made["Effect"]))
        elif rcp:
            made["Principal"] = "*"
        made["NotAction" if not rcp and self.chance(0.12) else "Action"] = self.actions(request["action"], rcp=rcp)
        if not trust:
            made["NotResource" if self.chance(0.1) else "Resource"] = self.resources(request["resource"])
        if self.chance(0.6):
            made["Condition"] = self.conditions(request)
        return made

    def actions(self, action: str, *, rcp: bool) -> Any:
        service, name = action.split(":")
        near = [
            action, action, action.lower(), f"{service}:*", f"{service}:{name[:3]}*", "*",
            f"{service.upper()}:{name.upper()}", f"{service}:{name[:-1]}?", f"{service}:{name}Extra",
            self.random.choice(list(ASKED)),
        ]  # fmt: skip
        # An RCP names no action "*".
        return self.some([each for each in near if each != "*"] if rcp else near)

    def resources(self, resource: str) -> Any:
        if resource == "*":
            return self.some(["*", "*", INSTANCE.format(HOME), "arn:aws:*"])
        parts = resource.split(":", 5)
        kind = parts[5].split("/")[0]
        near = [
            resource, "*", f"arn:aws:{parts[2]}:*:{parts[4]}:{kind}/*", f"arn:*:{parts[2]}:*:*:*",
            f"arn:aws:{parts[2]}:*", f"{resource[:-3]}???", f"{resource}x", resource.upper(),
            f"arn:aws:{parts[2]}:{parts[3]}:${{aws:PrincipalAccount}}:{kind}/*",
            f"arn:aws:{parts[2]}:us-*:*:{kind}/*",
            f"arn:aws:{parts[2]}:{parts[3]}:{parts[4]}:{kind}/${{aws:PrincipalTag/Team}}*", "arn:aws:s3:::bucket/*",
            f"arn:aws:{parts[2]}:e*t-1:*:{kind}/*",
        ]  # fmt: skip
        return self.some(near)

    def principal(self, request: dict[str, Any], effect: str) -> dict[str, Any]:
        near = [
            f"arn:aws:iam::{HOME}:root", HOME, request["principal"], request["session"] or request["principal"],
            "*", f"arn:aws:iam::{OTHER}:root", f"arn:aws:iam::{HOME}:role/Other",
        ]  # fmt: skip
        if effect == "Deny" and self.chance(0.3):
            listed = [f"arn:aws:iam::{HOME}:root", request["principal"], request["session"] or request["principal"]]
            return {"NotPrincipal": {"AWS": listed if self.chance(0.5) else self.random.sample(listed, 2)}}
        if self.chance(0.1):
            return {"Principal": "*"}
        return {"Principal": {"AWS": self.some(near)}}

    def conditions(self, request: dict[str, Any]) -> Any:
        made: dict[str, dict[str, Any]] = {}
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            operator, key, values = self.condition(request)
            made.setdefault(operator, {})[key] = values
        return made

    def condition(self, request: dict[str, Any]) -> tuple[str, str, Any]:
        action = request["action"]
        many = MANY.get(action, {})
        singles = {**SHARED, **OWN.get(action, {})}
        if many and self.chance(0.5):
            [(key, values)] = many.items()
            operator = self.random.choice(("ForAllValues:", "ForAnyValue:"))
            operator += self.random.choice(STRING_OPERATORS)
        else:
            key = self.random.choice(list(singles))
            values = singles[key]
            operator = self.operator(key)
        if self.chance(0.12):
            return "Null", self.cased(key), self.random.choice(("true", "false"))
        if self.chance(0.2):
            operator += "IfExists"
        return operator, self.cased(key), self.values(operator, key, values, request)

    def operator(self, key: str) -> str:
        if self.chance(0.06):
            return self.random.choice(
                ("StringLike", "NumericLessThan", "ArnLike", "DateLessThan", "IpAddress", "Bool")
            )
        match key:
            case "aws:SourceIp":
                return self.random.choice(("IpAddress", "NotIpAddress"))
            case "aws:CurrentTime" | "aws:EpochTime":
                return "Date" + self.random.choice(ORDERS)
            case "aws:MultiFactorAuthAge":
                return "Numeric" + self.random.choice(ORDERS)
            case "aws:SecureTransport" | "kms:GrantIsForAWSResource" | "ssm:SessionDocumentAccessCheck":
                return "Bool"
            case "kms:GranteePrincipal" | "kms:RetiringPrincipal":
                return self.random.choice((*STRING_OPERATORS, "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"))
        return self.random.choice(STRING_OPERATORS)

    def values(self, operator: str, key: str, values: Sequence[str], request: dict[str, Any]) -> Any:
        if "Ip" in operator:
            return self.some(["10.0.0.0/8", "10.0.0.7", "10.0.0.0/16", "2001:db8::/32", "203.0.113.0/24"])
        if "Numeric" in operator:
            return self.some([*values, "3600", "0", "1e3", "99999"])
        if operator.startswith("Date"):
            return self.some([*values, "2026-01-01T00:00:00Z", "2026-06-01", "1764000000"])
        if operator.startswith("Bool"):
            return self.some(["true", "false", "True"])
        if operator.startswith("Arn"):
            near = [*values, "arn:aws:iam::*:role/*", f"arn:aws:iam::{HOME}:*", "arn:*:iam::*:user/?lice"]
            return self.some([*near, "arn:aws:iam::${aws:PrincipalAccount}:role/Cado*"])
        actual = request["context"].get(key)
        near = [*values, *PATTERNS, *([actual] if isinstance(actual, str) else [])]
        return self.some(near)

    def cased(self, key: str) -> str:
        return key.lower() if self.chance(0.1) else key

    def some(self, near: Sequence[str]) -> Any:
        count = self.random.choice((1, 1, 1, 2, 3))
        chosen = [self.random.choice(near) for _ in range(count)]
        return chosen[0] if count == 1 and self.chance(0.5) else chosen
