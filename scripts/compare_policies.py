"""Compares cado_ops.policy.evaluate with an independent simulator on generated policies and requests.

    scripts/compare-policies [--count N] [--seed S] [--show N]

The simulator is npm's @cloud-copilot/iam-simulate. It is AGPL-licensed: it runs as a process of its own, is installed
by npm into .cache, and is no part of this program. Differences are sorted into the classes of
docs/policy-evaluation.md; one that fits none is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cado_ops.policy.actions import rcp_services  # noqa: E402
from cado_ops.policy.document import document_from  # noqa: E402
from cado_ops.policy.evaluate import Decision, Policies, Policy, Verdict, evaluate  # noqa: E402
from cado_ops.policy.request import Request  # noqa: E402

VERSION = "0.1.173"
FOLDER = ROOT / ".cache" / "iam-simulate"
# runSimulation checks its input, and takes no document that AWS owns: its ARN has no account. For these,
# runUnsafeSimulation, which leaves session policies out.
DRIVER = """
import { createInterface } from 'node:readline'
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
async function answer(simulation) {
  if (simulation.request.resource.resource.includes('::document/')) return { result: runUnsafeSimulation(simulation, {}), ignored: [] }
  const found = await runSimulation(simulation, { simulationMode: 'Strict' })
  return found.resultType === 'single' ? { result: found.overallResult, ignored: found.result.ignoredContextKeys } : found
}
for await (const line of createInterface({ input: process.stdin })) {
  const found = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))
  process.stdout.write(JSON.stringify(found) + '\\n')
}
"""
ANSWERS = {"Allowed": "allow", "ExplicitlyDenied": "deny-explicit", "ImplicitlyDenied": "deny-implicit"}

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
        def level(found: Any) -> list[Any]:
            return [
                {"orgIdentifier": f"level-{number}", "policies": [{"name": f"p{index}", "policy": each} for index, each in enumerate(policies)]}
                for number, policies in enumerate(found or [])
            ]  # fmt: skip

        account = self.request["account"]
        made: dict[str, Any] = {
            "request": {
                "principal": self.request["session"] or self.request["principal"],
                "action": self.request["action"],
                "resource": {"resource": self.request["resource"], "accountId": account},
                "contextVariables": self.request["context"],
            },
            "identityPolicies": [{"name": f"i{index}", "policy": each} for index, each in enumerate(self.identity)],
            "serviceControlPolicies": level(self.scps),
            "resourceControlPolicies": level(
                # runSimulation adds it by itself.
                [
                    [*([FULL_RCP] if self.request["resource"] == DOCUMENT else []), *policies]
                    for policies in self.rcps or []
                ]
            ),
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
            f"arn:aws:{parts[2]}:{parts[3]}:${{aws:PrincipalAccount}}:{kind}/*", f"arn:aws:{parts[2]}:us-*:*:{kind}/*",
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


# A difference belongs to a class if it is gone once the class's feature is taken out of the case on both sides.
# What each class is, and who is right, stands in docs/policy-evaluation.md.


def _statements(case: Case) -> Iterator[dict[str, Any]]:
    several = [
        *case.identity,
        *(each for levels in (case.scps, case.rcps) for level in levels or [] for each in level),
    ]
    for policy in (*several, case.boundary, case.session, case.resource):
        if policy is not None:
            yield from policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]


def _conditions(case: Case) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    for statement in _statements(case):
        block = statement.get("Condition", {})
        for operator in list(block):
            yield block, operator, block[operator]


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _without_rcps(case: Case) -> None:
    if case.request["action"].split(":")[0] not in rcp_services():
        case.rcps = None


def _iso(value: str) -> str:
    if re.fullmatch("[0-9]{10}", value):
        return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{value}T00:00:00Z" if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else value


def _one_form_of_dates(case: Case) -> None:
    context = case.request["context"]
    if "aws:EpochTime" in context:
        context["aws:EpochTime"] = _iso(context["aws:EpochTime"])
    for block, operator, keys in _conditions(case):
        if operator.startswith("Date"):
            kept = {
                key: [_iso(each) for each in _list(values)] for key, values in keys.items() if "time" in key.lower()
            }
            block[operator] = kept
            if not kept:
                del block[operator]


def _variables_with_values(case: Case) -> None:
    context = case.request["context"]
    if not context.get("aws:PrincipalTag/Team"):
        context["aws:PrincipalTag/Team"] = "prod"
    _replace(case, "${aws:PrincipalTag/Nobody}", "nobody")


def _no_variable_early(case: Case) -> None:
    for statement in _statements(case):
        for name in ("Resource", "NotResource"):
            if name in statement:
                statement[name] = [each.replace("${aws:PrincipalAccount}", HOME) for each in _list(statement[name])]


def _no_not_principal(case: Case) -> None:
    for statement in _statements(case):
        if statement.pop("NotPrincipal", None) is not None:
            statement["Principal"] = {"AWS": f"arn:aws:iam::{OTHER}:root"}


def _session_policy_allows(case: Case) -> None:
    if case.session is not None:
        case.session = EVERYTHING


def _nothing_implicit(case: Case) -> None:
    """All is allowed; what is denied in so many words still is."""
    for policy in (
        *case.identity,
        case.boundary,
        case.session,
        *(each for level in case.scps or [] for each in level),
    ):
        if policy is not None:
            listed = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
            policy["Statement"] = [*listed, *EVERYTHING["Statement"]]
    case.identity.append(EVERYTHING)
    if case.resource is not None:
        listed = (
            case.resource["Statement"]
            if isinstance(case.resource["Statement"], list)
            else [case.resource["Statement"]]
        )
        allow: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": case.request["principal"]}, "Action": "*"}
        if case.request["action"] != "sts:AssumeRole":
            allow["Resource"] = "*"
        case.resource = {**case.resource, "Statement": [*listed, allow]}


def _nobody_is_everyone(case: Case) -> None:
    if case.resource is not None:
        for statement in _statements(Case({}, [case.resource])):
            principal = statement.get("Principal")
            if principal == "*":
                statement["Principal"] = {"AWS": case.request["principal"]}
            elif principal is not None:
                names = _list(principal["AWS"])
                statement["Principal"] = {
                    "AWS": [case.request["principal"] if each == "*" else each for each in names]
                }


def _nothing_left_of_star(case: Case) -> None:
    if case.request["resource"] == "*":
        for statement in _statements(case):
            for name in ("Resource", "NotResource"):
                if name in statement:
                    statement[name] = [
                        "arn:aws:s3:::bucket" if each == "arn:aws:*" else each for each in _list(statement[name])
                    ]


def _whole_patterns(case: Case) -> None:
    for statement in _statements(case):
        for name in ("Resource", "NotResource"):
            if name in statement:
                statement[name] = [
                    re.sub(r"^(arn:aws:[a-z]+):\*$", r"\1:*:*:*", each) for each in _list(statement[name])
                ]


def _numbers_alone(case: Case) -> None:
    for block, operator, keys in _conditions(case):
        if operator.startswith("Numeric"):
            block[operator] = {
                key: ["1000" if each == "1e3" else each for each in _list(values)]
                for key, values in keys.items()
                if key.lower() == "aws:multifactorauthage"
            }
            if not block[operator]:
                del block[operator]


def _no_variable_in_arns(case: Case) -> None:
    for block, operator, keys in _conditions(case):
        if operator.startswith("Arn"):
            block[operator] = json.loads(json.dumps(keys).replace("${aws:PrincipalAccount}", HOME))


def _no_any_if_exists(case: Case) -> None:
    for block, operator, keys in _conditions(case):
        if operator.startswith("ForAnyValue:") and operator.endswith("IfExists"):
            del block[operator]
            block.setdefault(operator.removesuffix("IfExists"), {}).update(keys)


def _no_stars_as_text(case: Case) -> None:
    _replace(case, "${*}", "star")
    context = case.request["context"]
    case.request["context"] = {key: "star" if value == "${*}" else value for key, value in context.items()}


def _current_version(case: Case) -> None:
    _replace(case, "2008-10-17", "2012-10-17")


def _one_family_of_addresses(case: Case) -> None:
    context = case.request["context"]
    if ":" in context.get("aws:SourceIp", ""):
        context["aws:SourceIp"] = "192.0.2.1"
    for block, operator, keys in _conditions(case):
        if "Ip" in operator:
            block[operator] = {
                key: ["10.0.0.0/8" if ":" in each else each for each in _list(values)]
                for key, values in keys.items()
            }


def _replace(case: Case, old: str, new: str) -> None:
    for name in ("identity", "boundary", "session", "scps", "rcps", "resource"):
        setattr(case, name, json.loads(json.dumps(getattr(case, name)).replace(old, new)))


CLASSES = {
    "RCPs on services that they do not bind": _without_rcps,
    "dates: epoch seconds, dates alone, what is no date": _one_form_of_dates,
    "variables without a value": _variables_with_values,
    "variables before the fifth colon": _no_variable_early,
    "NotPrincipal": _no_not_principal,
    "session policies, where the session is named": _session_policy_allows,
    "Principal * and limits": _nobody_is_everyone,
    "patterns of ARNs and the resource *": _nothing_left_of_star,
    "patterns of fewer than six parts": _whole_patterns,
    "numbers: exponents, what is no number": _numbers_alone,
    "variables in the ARNs of conditions": _no_variable_in_arns,
    "ForAnyValue with IfExists": _no_any_if_exists,
    "${*} where no wildcard is taken": _no_stars_as_text,
    "variables in the old version": _current_version,
    "IPv6 addresses and IPv4 ranges": _one_family_of_addresses,
    "an explicit denial beside an implicit one": _nothing_implicit,
}


def classified(different: Sequence[Case], both_deny: Sequence[bool]) -> list[str | None]:
    """For each case, the class that explains it; several where it takes more than one; None where none does."""
    found: list[str | None] = [None] * len(different)
    for name, changes in [
        *((name, [each]) for name, each in CLASSES.items()),
        ("several of these", [*CLASSES.values()]),
    ]:
        open_ = [index for index, each in enumerate(found) if each is None]
        if changes == [_nothing_implicit]:
            # It would hide any other difference: it is for those where both sides deny.
            open_ = [index for index in open_ if both_deny[index]]
        changed = [copy.deepcopy(different[index]) for index in open_]
        for case in changed:
            for change in changes:
                if len(changes) == 1 or change is not _nothing_implicit:
                    change(case)
        for index, case, theirs in zip(open_, changed, simulated(changed), strict=True):
            if name_of(case.ours()) == theirs:
                found[index] = name
    return found


def simulated(cases: Sequence[Case]) -> Iterator[Any]:
    """The simulator's answers, in order. Raises SystemExit where it cannot be run."""
    text = "".join(json.dumps(each.for_simulator()) + "\n" for each in cases)
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", DRIVER], cwd=FOLDER, input=text, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the simulator failed:\n{done.stderr}")
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        yield ANSWERS[answer["result"]] if "result" in answer and not answer["ignored"] else answer


def install() -> str:
    """npm installs the simulator into .cache, once. Returns its version."""
    package = FOLDER / "node_modules" / "@cloud-copilot" / "iam-simulate" / "package.json"
    if not package.is_file() or json.loads(package.read_text())["version"] != VERSION:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text('{"private": true}')
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"@cloud-copilot/iam-simulate@{VERSION}"], cwd=FOLDER, check=True,
            stdout=sys.stderr,
        )  # fmt: skip
    return str(json.loads(package.read_text())["version"])


def name_of(verdict: Verdict) -> str:
    if verdict.decision is Decision.DENY:
        return "deny-explicit" if verdict.explicit else "deny-implicit"
    return str(verdict.decision)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--show", type=int, default=3, help="unexplained differences to print")
    options = parser.parse_args()
    version = install()
    maker = Maker(options.seed)
    cases = [maker.case() for _ in range(options.count)]
    agreed, classes, unexplained = Counter[str](), Counter[str](), []
    different = []
    for case, theirs in zip(cases, simulated(cases), strict=True):
        verdict = case.ours()
        if name_of(verdict) == theirs:
            agreed[theirs] += 1
        else:
            different.append((case, verdict, theirs))
    both_deny = [verdict.decision is Decision.DENY and "deny" in theirs for _, verdict, theirs in different]
    names = classified([case for case, _, _ in different], both_deny)
    for (case, verdict, theirs), name in zip(different, names, strict=True):
        if name is None:
            unexplained.append((case, verdict, theirs))
        else:
            classes[f"{name}: {name_of(verdict)} here, {theirs} there"] += 1
    print(f"iam-simulate {version}, seed {options.seed}, {options.count} cases")
    for name, number in sorted(agreed.items()):
        print(f"  both {name}: {number}")
    for name, number in sorted(classes.items()):
        print(f"  {name}: {number}")
    print(f"  not explained: {len(unexplained)}")
    for case, verdict, theirs in unexplained[: options.show]:
        print(json.dumps(case.for_simulator(), indent=1))
        print("ours:", verdict, "\ntheirs:", theirs)
    kinds = Counter(f"{name_of(verdict)} here, {str(theirs)[:300]} there" for _, verdict, theirs in unexplained)
    for kind, number in kinds.items():
        print(f"    {kind}: {number}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
