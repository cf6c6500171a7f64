"""AWS Organizations: which accounts there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.credentials import Identity

# "Endpoints and quotas", AWS Organizations reference: one endpoint a partition, in this region.
_ENDPOINT_REGION = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-northwest-1"}


@dataclass(frozen=True, slots=True)
class MemberAccount:
    """An account as Organizations lists it. ``state`` is ACTIVE, SUSPENDED, PENDING_CLOSURE, …"""

    account_id: str
    name: str
    state: str


class Organizations:
    """Read-only calls, as ``identity`` (the caller's own account, or the role of ``--org-role-arn``)."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._identity = identity

    def accounts(self) -> Iterator[MemberAccount]:
        """All accounts of the organisation, whatever their state."""
        yield from self._accounts("ListAccounts", {})

    def accounts_under(self, parent: str) -> Iterator[MemberAccount]:
        """The accounts of an organisational unit (or root) and of all units below it."""
        yield from self._accounts("ListAccountsForParent", {"ParentId": parent})
        pages = self._pages("ListOrganizationalUnitsForParent", {"ParentId": parent}, "OrganizationalUnits")
        for page in pages:
            with understanding("ListOrganizationalUnitsForParent"):
                units = [unit["Id"] for unit in page]
            for unit in units:
                yield from self.accounts_under(unit)

    def name_of(self, account: str) -> str:
        """One account's name (DescribeAccount)."""
        answer = self._connection.call(
            self._identity, "organizations", self._region(), "DescribeAccount", {"AccountId": account}
        )
        with understanding("DescribeAccount"):
            return str(answer["Account"].get("Name", ""))

    def _accounts(self, action: str, parameters: dict[str, Any]) -> Iterator[MemberAccount]:
        for page in self._pages(action, parameters, "Accounts"):
            with understanding(action):
                members = [MemberAccount(each["Id"], each.get("Name", ""), _state(each)) for each in page]
            yield from members

    def _pages(self, action: str, parameters: dict[str, Any], result: str) -> Iterator[list[dict[str, Any]]]:
        return self._connection.pages(self._identity, "organizations", self._region(), action, parameters, result)

    def _region(self) -> str:
        partition = self._connection.credentials.partition
        return _ENDPOINT_REGION.get(partition, self._connection.home_region)


def _state(account: Mapping[str, str]) -> str:
    """The older field is "Status", to be retired; "State" knows more states."""
    return account.get("State") or account.get("Status") or "UNKNOWN"
