"""AWS Organizations: every account, once, in every partition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.organizations import MemberAccount, Organizations
from cado_ops.errors import AwsError, Kind
from tests.gateway.fake_aws import HOME, HOME_KEY, Answer, Request, Wire


def account(number: int, **fields: str) -> dict[str, str]:
    return {"Id": f"{number:012}", "Name": f"account-{number}", **fields}


def page(result: str, *items: Any, token: str | None = None) -> Answer:
    return Answer(json.dumps({result: list(items)} | ({"NextToken": token} if token else {})))


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def organizations(line: tuple[Wire, Connection]) -> Iterator[Organizations]:
    connection = line[1]
    yield Organizations(connection, HOME)
    connection.credentials.partition = "aws"


def test_all_pages_empty_ones_too(wire: Wire, organizations: Organizations) -> None:
    wire.reply(
        "ListAccounts",
        page("Accounts", account(1, State="ACTIVE"), token="a"),
        page("Accounts", token="b"),
        page("Accounts", account(2, State="ACTIVE"), account(3, State="ACTIVE")),
    )
    assert [member.account_id for member in organizations.accounts()] == [f"{n:012}" for n in (1, 2, 3)]
    assert [request.parameters for request in wire.requests] == [{}, {"NextToken": "a"}, {"NextToken": "b"}]
    assert {request.key for request in wire.requests} == {HOME_KEY}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"State": "ACTIVE"}, "ACTIVE"),
        ({"Status": "ACTIVE"}, "ACTIVE"),
        ({"State": "CLOSED", "Status": "SUSPENDED"}, "CLOSED"),
        ({"State": "PENDING_ACTIVATION", "Status": "ACTIVE"}, "PENDING_ACTIVATION"),
        ({"Status": "SUSPENDED"}, "SUSPENDED"),
        ({}, "UNKNOWN"),
    ],
)
def test_state_and_its_older_name(
    wire: Wire, organizations: Organizations, fields: dict[str, str], state: str
) -> None:
    wire.reply("ListAccounts", page("Accounts", account(1, **fields)))
    assert list(organizations.accounts()) == [MemberAccount("000000000001", "account-1", state)]


def test_an_account_without_a_name(wire: Wire, organizations: Organizations) -> None:
    wire.reply("ListAccounts", page("Accounts", {"Id": "000000000001", "State": "ACTIVE"}))
    assert [member.name for member in organizations.accounts()] == [""]


def test_a_unit_with_all_units_below_it_and_all_their_pages(wire: Wire, organizations: Organizations) -> None:
    accounts = {
        ("ou-top", None): page("Accounts", account(1), token="more"),
        ("ou-top", "more"): page("Accounts", account(2)),
        ("ou-a", None): page("Accounts"),
        ("ou-b", None): page("Accounts", account(3)),
        ("ou-a-a", None): page("Accounts", account(4)),
    }
    units = {
        ("ou-top", None): page("OrganizationalUnits", {"Id": "ou-a"}, token="more"),
        ("ou-top", "more"): page("OrganizationalUnits", {"Id": "ou-b"}),
        ("ou-a", None): page("OrganizationalUnits", {"Id": "ou-a-a"}),
    }
    none = page("OrganizationalUnits")

    def asked(request: Request) -> tuple[str, str | None]:
        return request.parameters["ParentId"], request.parameters.get("NextToken")

    wire.replies["ListAccountsForParent"] = lambda request: accounts[asked(request)]
    wire.replies["ListOrganizationalUnitsForParent"] = lambda request: units.get(asked(request), none)
    found = [member.account_id for member in organizations.accounts_under("ou-top")]
    assert sorted(found) == [f"{n:012}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "us-east-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-northwest-1")],
)
def test_the_region_of_the_endpoint(
    wire: Wire, organizations: Organizations, line: tuple[Wire, Connection], partition: str, region: str
) -> None:
    line[1].credentials.partition = partition
    wire.reply("ListAccounts", page("Accounts"))
    assert list(organizations.accounts()) == []
    assert [request.region for request in wire.requests] == [region]


def test_the_role_of_the_organisation_signs(wire: Wire, line: tuple[Wire, Connection]) -> None:
    role = "arn:aws:iam::999999999999:role/OrgReader"
    wire.reply("ListAccounts", page("Accounts"))
    assert list(Organizations(line[1], role).accounts()) == []
    [assume] = wire.of("AssumeRole")
    [listing] = wire.of("ListAccounts")
    assert assume.parameters["RoleArn"] == role
    assert listing.key.startswith("ASIA999999999999")


def test_throttling_is_waited_out(wire: Wire, organizations: Organizations) -> None:
    throttled = Answer(json.dumps({"__type": "TooManyRequestsException", "Message": "slow down"}), 400)
    wire.reply("ListAccounts", throttled, throttled, page("Accounts", account(1)))
    assert len(list(organizations.accounts())) == 1


def test_who_may_not_list(wire: Wire, organizations: Organizations) -> None:
    denied = {"__type": "AccessDeniedException", "Message": "You don't have permissions to access this resource."}
    wire.reply("ListAccounts", Answer(json.dumps(denied), 400))
    with pytest.raises(AwsError) as caught:
        list(organizations.accounts())
    assert caught.value.kind is Kind.DENIED
    assert "organizations:ListAccounts" in (caught.value.hint or "")


def test_what_a_denied_name_asks_for(wire: Wire, organizations: Organizations) -> None:
    wire.reply("DescribeAccount", Answer(json.dumps({"__type": "AccessDeniedException", "Message": "no"}), 400))
    with pytest.raises(AwsError) as caught:
        organizations.name_of("000000000002")
    assert "organizations:DescribeAccount" in (caught.value.hint or "")
