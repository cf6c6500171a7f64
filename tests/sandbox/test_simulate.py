"""iam:SimulatePrincipalPolicy, of which moto knows nothing: what AWS documents, for what the sandbox supports."""

from __future__ import annotations

import json
from typing import Any

import pytest

PRODUCTION = "222222222222"
ROLE = f"arn:aws:iam::{PRODUCTION}:role/CadoResponseRole"
INSTANCE = f"arn:aws:ec2:eu-west-1:{PRODUCTION}:instance/i-0123456789abcdef0"
TAGGED = {"ssm:resourceTag/CadoResponseSSMEnabled": "True"}


def simulate(
    client: Any, action: str, resource: str, role: str = ROLE, **context: str | list[str]
) -> dict[str, Any]:
    entries = [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [value] if isinstance(value, str) else value,
            "ContextKeyType": "string" if isinstance(value, str) else "stringList",
        }
        for key, value in context.items()
    ]
    answer = client("iam", PRODUCTION).simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource], ContextEntries=entries
    )
    assert answer["IsTruncated"] is False
    [result] = answer["EvaluationResults"]
    assert (result["EvalActionName"], result["EvalResourceName"]) == (action, resource)
    return dict(result)


def put(client: Any, *statements: dict[str, Any]) -> None:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    client("iam", PRODUCTION).put_role_policy(
        RoleName="CadoResponseRole", PolicyName="CadoResponseRolePolicy", PolicyDocument=json.dumps(document)
    )


def test_the_seeded_role_reaches_tagged_instances_alone(client: Any) -> None:
    assert simulate(client, "ssm:SendCommand", INSTANCE)["EvalDecision"] == "implicitDeny"
    assert simulate(client, "ssm:SendCommand", INSTANCE, **TAGGED)["EvalDecision"] == "allowed"
    assert simulate(client, "ssm:sendcommand", INSTANCE, **TAGGED)["EvalDecision"] == "allowed"


def test_what_policies_ask_for_and_the_request_does_not_give_is_named(client: Any) -> None:
    assert simulate(client, "ssm:SendCommand", INSTANCE)["MissingContextValues"] == [
        "ssm:resourceTag/CadoResponseSSMEnabled"
    ]
    assert simulate(client, "ssm:SendCommand", INSTANCE, **TAGGED)["MissingContextValues"] == []


def test_a_role_that_is_not_there(client: Any, refusal: Any) -> None:
    for arn in (ROLE + "X", ROLE.replace(PRODUCTION, "333333333333")):
        code, _ = refusal(
            client("iam", PRODUCTION).simulate_principal_policy, PolicySourceArn=arn, ActionNames=["a:b"]
        )
        assert code == "NoSuchEntity"


def test_an_explicit_deny_goes_before_an_allow(client: Any) -> None:
    allow = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    put(client, allow, {"Effect": "Deny", "Action": "ssm:Send*", "NotResource": "arn:aws:ssm:*"})
    assert simulate(client, "ssm:SendCommand", INSTANCE)["EvalDecision"] == "explicitDeny"
    assert simulate(client, "ssm:StartSession", INSTANCE)["EvalDecision"] == "allowed"
    assert simulate(client, "iam:GetRole", "*")["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"test:k": ["x", "y"]}}, {"test:K": "y"}, True),
        ({"StringEquals": {"test:k": "x"}}, {"test:k": "X"}, False),
        ({"StringEqualsIgnoreCase": {"test:k": "x"}}, {"test:k": "X"}, True),
        ({"StringLike": {"test:k": "x*"}}, {"test:k": "xyz"}, True),
        ({"StringNotEquals": {"test:k": "x"}}, {}, True),
        ({"StringNotEquals": {"test:k": ["x", "y"]}}, {"test:k": "y"}, False),
        ({"StringEqualsIfExists": {"test:k": "x"}}, {}, True),
        ({"StringEqualsIfExists": {"test:k": "x"}}, {"test:k": "y"}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["x", "y"]}}, {"aws:TagKeys": ["x", "z"]}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["x", "y"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["x"]}}, {"aws:TagKeys": ["z", "x"]}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["x"]}}, {}, False),
        ({"Null": {"test:k": "true"}}, {}, True),
        ({"Null": {"test:k": "false"}}, {}, False),
        ({"Bool": {"test:k": True}}, {"test:k": "true"}, True),
        ({"StringEquals": {"test:k": "x"}, "Bool": {"test:l": "true"}}, {"test:k": "x"}, False),
    ],
)
def test_conditions(client: Any, condition: Any, context: Any, allowed: bool) -> None:
    put(client, {"Effect": "Allow", "Action": "x:y", "Resource": "*", "Condition": condition})
    decision = simulate(client, "x:y", "*", **context)["EvalDecision"]
    assert decision == ("allowed" if allowed else "implicitDeny")


def test_an_operator_that_it_does_not_know_is_no_verdict(client: Any, refusal: Any) -> None:
    condition = {"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}
    put(client, {"Effect": "Allow", "Action": "x:y", "Resource": "*", "Condition": condition})
    code, message = refusal(
        client("iam", PRODUCTION).simulate_principal_policy, PolicySourceArn=ROLE, ActionNames=["x:y"]
    )
    assert (code, "DateGreaterThan" in message) == ("InvalidInput", True)


def test_managed_policies_and_the_boundary_count(client: Any) -> None:
    iam = client("iam", PRODUCTION)

    def managed(name: str, action: str) -> str:
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}
        made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
        return str(made["Policy"]["Arn"])

    iam.attach_role_policy(RoleName="CadoResponseRole", PolicyArn=managed("More", "x:*"))
    assert simulate(client, "x:y", "*")["EvalDecision"] == "allowed"
    iam.put_role_permissions_boundary(RoleName="CadoResponseRole", PermissionsBoundary=managed("Less", "x:z"))
    result = simulate(client, "x:y", "*")
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert simulate(client, "x:z", "*")["EvalDecision"] == "allowed"


def test_the_region_that_the_organisation_denies(client: Any) -> None:
    result = simulate(client, "ssm:SendCommand", INSTANCE.replace("eu-west-1", "ap-southeast-2"), **TAGGED)
    assert result["EvalDecision"] == "explicitDeny"
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
