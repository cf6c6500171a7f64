"""The classes of differences for scripts/compare_policies.py.

A difference belongs to a class if it is gone once the feature of the class is taken out on both sides. What each
class is, and who is right, stands in docs/policy-evaluation.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from policy_cases import EVERYTHING, HOME, OTHER, Case

from cado_ops.policy.actions import rcp_services


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


def _list(value: Any) -> list[Any]:
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


def nothing_implicit(case: Case) -> None:
    """All is allowed; what is denied in so many words still is."""
    for policy in (
        *case.identity,
        case.boundary,
        case.session,
        *(each for level in case.scps or [] for each in level),
    ):
        if policy is not None:
            policy["Statement"] = [*_list(policy["Statement"]), *EVERYTHING["Statement"]]
    case.identity.append(EVERYTHING)
    if case.resource is not None:
        allow: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": case.request["principal"]}, "Action": "*"}
        if case.request["action"] != "sts:AssumeRole":
            allow["Resource"] = "*"
        case.resource = {**case.resource, "Statement": [*_list(case.resource["Statement"]), allow]}


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


CLASSES: dict[str, Callable[[Case], None]] = {
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
    "an explicit denial beside an implicit one": nothing_implicit,
}
