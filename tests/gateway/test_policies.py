"""IAM's and KMS's calls for policies: what is sent, and how the answers are read."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.iam import Iam, Role, RolePolicy
from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell
from tests.gateway.fake_aws import HOME, Answer, Wire, sts, sts_error

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*"}]}
ROLE = f"arn:aws:iam::{HOME}:role/CadoResponseRole"


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def iam(line: tuple[Wire, Connection]) -> Iam:
    return Iam(line[1])


def members(*texts: str) -> str:
    return "".join(f"<member>{text}</member>" for text in texts)


def encoded() -> str:
    return quote(json.dumps(DOCUMENT))


def test_all_policies_of_a_role_page_by_page(wire: Wire, iam: Iam) -> None:
    wire.reply(
        "ListRolePolicies",
        sts("ListRolePolicies", f"<PolicyNames>{members('One')}</PolicyNames><IsTruncated>true</IsTruncated>"
            "<Marker>m</Marker>"),
        sts("ListRolePolicies", f"<PolicyNames>{members('Two')}</PolicyNames><IsTruncated>false</IsTruncated>"),
    )  # fmt: skip
    body = "<RoleName>R</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{}</PolicyDocument>"
    wire.reply("GetRolePolicy", *(sts("GetRolePolicy", body.format(name, encoded())) for name in ("One", "Two")))
    attached = "<PolicyName>Three</PolicyName><PolicyArn>arn:aws:iam::aws:policy/Three</PolicyArn>"
    wire.reply(
        "ListAttachedRolePolicies",
        sts("ListAttachedRolePolicies", f"<AttachedPolicies><member>{attached}</member></AttachedPolicies>"),
    )
    policy = "<PolicyName>Three</PolicyName><DefaultVersionId>v7</DefaultVersionId>"
    wire.reply("GetPolicy", sts("GetPolicy", f"<Policy>{policy}</Policy>"))
    version = f"<Document>{encoded()}</Document><VersionId>v7</VersionId>"
    wire.reply("GetPolicyVersion", sts("GetPolicyVersion", f"<PolicyVersion>{version}</PolicyVersion>"))
    assert iam.role_policies(HOME, "R") == [
        RolePolicy("One", DOCUMENT),
        RolePolicy("Two", DOCUMENT),
        RolePolicy("Three", DOCUMENT, "arn:aws:iam::aws:policy/Three"),
    ]
    sent = {request.action: request.parameters for request in wire.requests}
    assert sent["ListRolePolicies"]["Marker"] == "m"
    assert sent["GetPolicyVersion"]["VersionId"] == "v7", "the version in force"


def test_the_boundary_of_a_role(wire: Wire, iam: Iam) -> None:
    boundary = "<PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::aws:policy/B</PermissionsBoundaryArn>"
    role = f"<Role><RoleName>R</RoleName><Arn>{ROLE}</Arn>{{}}</Role>"
    wire.reply(
        "GetRole", sts("GetRole", role.format(f"{boundary}</PermissionsBoundary>")), sts("GetRole", role.format(""))
    )
    assert iam.role(HOME, "R") == Role(ROLE, "arn:aws:iam::aws:policy/B")
    assert iam.role(HOME, "R") == Role(ROLE)


def result(inner: str) -> Answer:
    return sts("SimulatePrincipalPolicy", f"<EvaluationResults><member>{inner}</member></EvaluationResults>")


def test_the_simulator_is_asked_with_types_and_lists(wire: Wire, iam: Iam) -> None:
    decided = "<EvalActionName>ec2:CreateTags</EvalActionName><EvalDecision>allowed</EvalDecision>"
    wire.reply("SimulatePrincipalPolicy", result(decided))
    context = {"aws:TagKeys": ["A", "B"], "aws:RequestTag/A": ["1"]}
    answer = iam.simulate(HOME, ROLE, "ec2:CreateTags", "arn:aws:ec2:*:*:instance/i-1", context)
    assert (answer.decision, answer.by_organization, answer.by_boundary, answer.missing) == (
        "allowed",
        None,
        None,
        (),
    )
    [request] = wire.requests
    assert request.parameters["PolicySourceArn"] == ROLE
    assert request.parameters["ActionNames.member.1"] == "ec2:CreateTags"
    assert request.parameters["ResourceArns.member.1"] == "arn:aws:ec2:*:*:instance/i-1"
    entry = "ContextEntries.member.{}.{}"
    assert request.parameters[entry.format(1, "ContextKeyType")] == "stringList"
    assert request.parameters[entry.format(1, "ContextKeyValues.member.2")] == "B"
    assert request.parameters[entry.format(2, "ContextKeyType")] == "string"


def test_the_verdict_on_the_resource_goes_before_the_one_on_the_whole(wire: Wire, iam: Iam) -> None:
    specific = (
        "<ResourceSpecificResults><member><EvalResourceName>x</EvalResourceName>"
        "<EvalResourceDecision>explicitDeny</EvalResourceDecision>"
        f"<MissingContextValues>{members('b', 'a')}</MissingContextValues>"
        "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false</AllowedByPermissionsBoundary>"
        "</PermissionsBoundaryDecisionDetail></member></ResourceSpecificResults>"
        "<OrganizationsDecisionDetail><AllowedByOrganizations>true</AllowedByOrganizations></OrganizationsDecisionDetail>"
    )
    decided = "<EvalActionName>a:b</EvalActionName><EvalDecision>implicitDeny</EvalDecision>"
    wire.reply("SimulatePrincipalPolicy", result(decided + specific))
    answer = iam.simulate(HOME, ROLE, "a:b", "x", {})
    assert (answer.decision, answer.by_organization, answer.by_boundary) == ("explicitDeny", True, False)
    assert answer.missing == ("a", "b")


def evaluated(action: str, name: str, specific: str = "") -> str:
    return (
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{name}</EvalResourceName>"
        f"<EvalDecision>allowed</EvalDecision><ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
    )


def on_resource(name: str, decision: str) -> str:
    return (
        f"<member><EvalResourceName>{name}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision></member>"
    )


@pytest.mark.parametrize("specific", [True, False], ids=["specific results", "a result each"])
def test_many_actions_and_resources_are_one_call_of_several_pages(wire: Wire, iam: Iam, specific: bool) -> None:
    def page(action: str, more: str) -> Answer:
        if specific:
            inner = evaluated(action, "x", on_resource("x", "allowed") + on_resource("y", "allowed"))
        else:
            inner = evaluated(action, "x") + evaluated(action, "y")
        return sts("SimulatePrincipalPolicy", f"<EvaluationResults>{inner}</EvaluationResults>{more}")

    wire.reply("SimulatePrincipalPolicy", page("a:b", "<Marker>m</Marker>"), page("a:c", ""))
    answers = iam.simulate_all(HOME, ROLE, ["a:b", "a:c"], ["x", "y"], {})
    assert {place: each.decision for place, each in answers.items()} == dict.fromkeys(
        [("a:b", "x"), ("a:b", "y"), ("a:c", "x"), ("a:c", "y")], "allowed"
    )
    first, second = wire.requests
    assert first.parameters == {
        "PolicySourceArn": ROLE,
        "ActionNames.member.1": "a:b",
        "ActionNames.member.2": "a:c",
        "ResourceArns.member.1": "x",
        "ResourceArns.member.2": "y",
    }
    assert second.parameters["Marker"] == "m"


def test_an_answer_to_something_else_is_none(wire: Wire, iam: Iam) -> None:
    wire.reply(
        "SimulatePrincipalPolicy",
        result("<EvalActionName>a:z</EvalActionName><EvalDecision>allowed</EvalDecision>"),
    )
    with pytest.raises(AwsError) as caught:
        iam.simulate(HOME, ROLE, "a:b", "x", {})
    assert caught.value.code == "MalformedResponse"


def test_not_allowed_to_ask(wire: Wire, iam: Iam) -> None:
    wire.reply("SimulatePrincipalPolicy", sts_error("AccessDenied", "no"))
    with pytest.raises(AwsError) as caught:
        iam.simulate(HOME, ROLE, "a:b", "*", {})
    assert caught.value.kind is Kind.DENIED
    assert "iam:SimulatePrincipalPolicy" in (caught.value.hint or "")


def test_a_keys_policy(line: tuple[Wire, Connection]) -> None:
    wire, connection = line
    wire.reply("GetKeyPolicy", Answer(json.dumps({"Policy": json.dumps(DOCUMENT), "PolicyName": "default"})))
    cell = Cell(HOME, "eu-west-1")
    assert json.loads(Kms(connection).key_policy(cell, "k")) == DOCUMENT
    assert wire.requests[0].parameters == {"KeyId": "k", "PolicyName": "default"}
    wire.reply("GetKeyPolicy", Answer(json.dumps({"PolicyName": "default"})))
    with pytest.raises(AwsError) as caught:
        Kms(connection).key_policy(cell, "k")
    assert caught.value.code == "MalformedResponse"
