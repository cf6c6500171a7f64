"""STS, the credentials of every request, and Organizations."""

import json

import pytest

PRODUCTION = "222222222222"
OPERATOR = "arn:aws:sts::111111111111:assumed-role/Responder/alice"


def role_arn(account, name="CadoOperator"):
    return f"arn:aws:iam::{account}:role/{name}"


def test_the_caller(client):
    answer = client("sts").get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == ("111111111111", OPERATOR)


def test_an_assumed_session_acts_in_its_account(client):
    answer = client("sts", PRODUCTION).get_caller_identity()
    assert answer["Arn"] == f"arn:aws:sts::{PRODUCTION}:assumed-role/CadoOperator/tests"
    assert answer["Account"] == PRODUCTION


@pytest.mark.parametrize(
    "arn",
    [
        role_arn("444444444444"),  # trusts somebody else
        role_arn("555555555555"),  # suspended
        role_arn("999999999999"),  # not in the organisation
        role_arn(PRODUCTION, "NoSuchRole"),
    ],
)
def test_every_refused_assume_role_reads_the_same(client, refusal, arn):
    code, message = refusal(client("sts").assume_role, RoleArn=arn, RoleSessionName="tests")
    assert code == "AccessDenied"
    assert message == f"User: {OPERATOR} is not authorized to perform: sts:AssumeRole on resource: {arn}"


def test_the_external_id(client, refusal):
    sts = client("sts")
    wanted = {"RoleArn": role_arn(PRODUCTION, "CadoOperatorExternal"), "RoleSessionName": "tests"}
    assert refusal(sts.assume_role, **wanted)[0] == "AccessDenied"
    assert refusal(sts.assume_role, **wanted, ExternalId="wrong")[0] == "AccessDenied"
    assert sts.assume_role(**wanted, ExternalId="acme-ir")["AssumedRoleUser"]["Arn"].endswith("/tests")


def test_role_chaining_is_an_hour_at_most(client, refusal):
    code, message = refusal(
        client("sts").assume_role, RoleArn=role_arn(PRODUCTION), RoleSessionName="tests", DurationSeconds=3601
    )
    assert code == "ValidationError"
    assert message == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    )


@pytest.mark.parametrize("name", ["a b", "x" * 65])
def test_session_names(client, refusal, name):
    sts = client("sts")
    assert refusal(sts.assume_role, RoleArn=role_arn(PRODUCTION), RoleSessionName=name)[0] == "ValidationError"


def test_expired_sessions(client, sandbox, refusal):
    clients = {service: client(service, PRODUCTION) for service in ("ec2", "kms", "sts")}
    sandbox.expire_sessions(PRODUCTION)
    assert refusal(clients["ec2"].describe_instances)[0] == "RequestExpired"
    assert refusal(clients["kms"].list_keys)[0] == "ExpiredTokenException"
    assert refusal(clients["sts"].get_caller_identity)[0] == "ExpiredToken"
    assert client("sts").get_caller_identity()["Arn"] == OPERATOR


def test_credentials_nobody_knows(client, refusal):
    keys = {"aws_access_key_id": "AKIANOBODYKNOWSTHIS0", "aws_secret_access_key": "x"}
    assert refusal(client("ec2", **keys).describe_instances)[0] == "AuthFailure"
    assert refusal(client("sts", **keys).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(client("kms", **keys).list_keys)[0] == "UnrecognizedClientException"


def test_a_key_with_the_token_of_another_session(client, refusal):
    sts = client("sts")
    first, second = (
        sts.assume_role(RoleArn=role_arn(account), RoleSessionName="tests")["Credentials"]
        for account in (PRODUCTION, "333333333333")
    )
    mixed = {
        "aws_access_key_id": first["AccessKeyId"],
        "aws_secret_access_key": first["SecretAccessKey"],
        "aws_session_token": second["SessionToken"],
    }
    assert refusal(client("sts", **mixed).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_users_own_keys(client):
    iam = client("iam", PRODUCTION)
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    assert client("sts", **keys).get_caller_identity()["Arn"] == f"arn:aws:iam::{PRODUCTION}:user/bob"


def test_the_roles_and_their_policies(client):
    for account, cado in (
        (PRODUCTION, "CadoResponseRole"),
        ("333333333333", "StackSet-Cado-CadoResponseRole-1A2B3C"),
    ):
        iam = client("iam", account)
        assert {"CadoOperator", cado} <= {role["RoleName"] for role in iam.list_roles()["Roles"]}
        assert iam.get_role(RoleName=cado)["Role"]["Arn"] == role_arn(account, cado)
        policy = iam.get_role_policy(RoleName=cado, PolicyName=f"{cado}Policy")["PolicyDocument"]
        assert "ssm:SendCommand" in json.dumps(policy)


def test_accounts_come_in_short_and_empty_pages(client):
    pages = list(client("organizations").get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == [3, 0, 2]
    accounts = {account["Id"]: account for page in pages for account in page["Accounts"]}
    assert accounts["555555555555"]["State"] == accounts["555555555555"]["Status"] == "SUSPENDED"
    assert accounts[PRODUCTION]["State"] == accounts[PRODUCTION]["Status"] == "ACTIVE"
    assert accounts[PRODUCTION]["Name"] == "Acme Production"


def test_at_most_twenty_accounts_a_page(client, refusal):
    organizations = client("organizations")
    assert refusal(organizations.list_accounts, MaxResults=20, NextToken="nonsense")[0] == "InvalidInputException"
    assert len(organizations.list_accounts(MaxResults=1)["Accounts"]) == 1


def test_the_tree_of_units(client, refusal):
    organizations = client("organizations")
    (root,) = organizations.list_roots()["Roots"]

    def units(parent):
        pages = organizations.get_paginator("list_organizational_units_for_parent").paginate(
            ParentId=parent, PaginationConfig={"PageSize": 1}
        )
        return {unit["Name"]: unit["Id"] for page in pages for unit in page["OrganizationalUnits"]}

    def accounts(parent):
        return [account["Id"] for account in organizations.list_accounts_for_parent(ParentId=parent)["Accounts"]]

    assert set(units(root["Id"])) == {"Workloads", "Sandbox", "Closed"}
    workloads = units(units(root["Id"])["Workloads"])
    assert accounts(workloads["Production"]) == [PRODUCTION]
    assert accounts(root["Id"]) == ["111111111111"]
    assert (
        refusal(organizations.list_accounts_for_parent, ParentId="ou-none-00000000")[0] == "ParentNotFoundException"
    )


def test_member_accounts_may_not_list_the_organisation(client, refusal):
    organizations = client("organizations", PRODUCTION)
    for call in (organizations.list_accounts, organizations.list_roots):
        assert refusal(call) == (
            "AccessDeniedException",
            "You don't have permissions to access this resource.",
        )
    assert organizations.describe_organization()["Organization"]["MasterAccountId"] == "111111111111"
