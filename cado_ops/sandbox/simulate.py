"""iam:SimulatePrincipalPolicy, which moto does not have, for a documented subset of the policy language.

IAM API reference, SimulatePrincipalPolicy; IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements:
Condition operators". The role's inline and managed policies and its permissions boundary are asked; the string,
ARN, Bool and Null operators are known, with IfExists, ForAnyValue and ForAllValues. A policy with another operator
is answered with an error that says so: a wrong verdict would be worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_query, records

Context = Mapping[str, Sequence[str]]
_ROLE = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")
_MOST_ACTIONS = 100


def simulate_principal_policy(request: RequestInfo) -> Response:
    """The role's verdict on each action and resource."""
    params = request.params
    match = _ROLE.fullmatch(str(params.get("PolicySourceArn", "")))
    role = None
    if match is not None and match[1] == request.account:
        roles = backend("iam", request.account).roles.values()
        role = next((each for each in roles if each.arn == params["PolicySourceArn"]), None)
    if role is None:
        raise AwsFault("NoSuchEntity", f"The entity {params.get('PolicySourceArn')} cannot be found.", 404)
    actions = _members(params, "ActionNames")
    if not 1 <= len(actions) <= _MOST_ACTIONS:
        raise AwsFault("InvalidInput", f"ActionNames must have 1 to {_MOST_ACTIONS} members")
    resources = _members(params, "ResourceArns") or ["*"]
    context = _context(params)
    policies, boundary = _policies_of(role, str(request.account))
    results = "".join(
        _result(action, resource, policies, boundary, context) for action in actions for resource in resources
    )
    return answer_query(
        "iam",
        "SimulatePrincipalPolicy",
        f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>",
    )


def _members(params: Mapping[str, Any], name: str) -> list[str]:
    values: list[str] = []
    while (key := f"{name}.member.{len(values) + 1}") in params:
        values.append(str(params[key]))
    return values


def _context(params: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in records(params, "ContextEntries.member"):
        values: list[str] = []
        while (key := f"ContextKeyValues.member.{len(values) + 1}") in entry:
            values.append(entry[key])
        found[entry["ContextKeyName"].lower()] = values
    return found


def _policies_of(role: Any, account: str) -> tuple[list[Any], list[Any] | None]:
    iam = backend("iam", account)

    def managed(arn: str) -> Any:
        policy = iam.get_policy(arn)
        [version] = [each for each in policy.versions if each.version_id == policy.default_version_id]
        return json.loads(version.document)

    texts = list(role.policies.values())
    policies = [json.loads(text) if isinstance(text, str) else text for text in texts]
    policies += [managed(arn) for arn in role.managed_policies]
    boundary = role.permissions_boundary_arn
    return policies, [managed(boundary)] if boundary else None


def _result(action: str, resource: str, policies: list[Any], boundary: list[Any] | None, context: Context) -> str:
    decision = _decide(policies, action, resource, context)
    extra = ""
    if boundary is not None:
        inside = _decide(boundary, action, resource, context)
        allowed = str(inside == "allowed").lower()
        extra += (
            "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>"
            f"{allowed}</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>"
        )
        if decision == "allowed" and inside != "allowed":
            decision = inside
    # The seeded region deny is the organisation's one policy; it binds regional services alone.
    parts = resource.split(":")
    if len(parts) > 3 and parts[3] == acme.DENIED_REGION and parts[4] != acme.MANAGEMENT:
        decision = "explicitDeny"
        extra += (
            "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>"
            "</OrganizationsDecisionDetail>"
        )
    missing = "".join(f"<member>{escape(key)}</member>" for key in sorted(_missing(policies, context)))
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalDecision>{decision}</EvalDecision>"
        f"<EvalResourceName>{escape(resource)}</EvalResourceName><MatchedStatements/>"
        f"<MissingContextValues>{missing}</MissingContextValues>{extra}</member>"
    )


def _missing(policies: Sequence[Any], context: Context) -> set[str]:
    return {
        key
        for policy in policies
        for statement in _many(policy["Statement"])
        for keys in statement.get("Condition", {}).values()
        for key in keys
        if key.lower() not in context
    }


def _decide(policies: Sequence[Any], action: str, resource: str, context: Context) -> str:
    decision = "implicitDeny"
    for policy in policies:
        for statement in _many(policy["Statement"]):
            if _applies(statement, action, resource, context):
                if statement["Effect"] == "Deny":
                    return "explicitDeny"
                decision = "allowed"
    return decision


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    def any_of(patterns: Any, text: str, *, ignore_case: bool = False) -> bool:
        return any(_like(text, pattern, ignore_case=ignore_case) for pattern in _many(patterns))

    if "Action" in statement and not any_of(statement["Action"], action, ignore_case=True):
        return False
    if "NotAction" in statement and any_of(statement["NotAction"], action, ignore_case=True):
        return False
    if "Resource" in statement and not any_of(statement["Resource"], resource):
        return False
    if "NotResource" in statement and any_of(statement["NotResource"], resource):
        return False
    return all(
        _holds(operator, key, _many(values), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, key: str, values: list[Any], context: Context) -> bool:
    wanted = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    there = context.get(key.lower())
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return (there is None) == (wanted == ["true"])
    negated, test = _test(name)
    if there is None or (not there and quantifier):
        return if_exists or negated or quantifier == "ForAllValues"

    def one(value: str) -> bool:
        return any(test(value, each) for each in wanted) != negated

    return (
        all(map(one, there))
        if quantifier == "ForAllValues" or (negated and not quantifier)
        else any(map(one, there))
    )


def _test(name: str) -> tuple[bool, Any]:
    tests = {
        "StringEquals": lambda value, wanted: value == wanted,
        "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
        "StringLike": _like,
        "ArnEquals": _like,
        "ArnLike": _like,
        "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    }
    negated = name.startswith(("StringNot", "ArnNot"))
    test = tests.get(name.replace("Not", "", 1) if negated else name)
    if test is None:
        raise AwsFault("InvalidInput", f"The sandbox does not simulate the condition operator {name}.")
    return negated, test


def _like(text: str, pattern: str, *, ignore_case: bool = False) -> bool:
    made = "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)
    return re.fullmatch(made, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


MENDS = {("iam", "SimulatePrincipalPolicy"): simulate_principal_policy}
