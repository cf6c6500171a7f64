"""IAM: roles, looked up."""

from __future__ import annotations

from collections.abc import Sequence

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.credentials import Identity
from cado_ops.errors import AwsError


class Iam:
    """The IAM calls that this program makes. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def role_arn(self, identity: Identity, name: str) -> str | None:
        """The ARN of a role, its path included (GetRole); None where the account has no role of that name."""
        try:
            answer = self._connection.call(
                identity, "iam", self._connection.home_region, "GetRole", {"RoleName": name}
            )
        except AwsError as error:
            if error.code in ("NoSuchEntity", "NoSuchEntityException"):
                return None
            raise
        with understanding("GetRole"):
            arn: str = answer["Role"]["Arn"]
        return arn

    def roles_named(self, identity: Identity, words: Sequence[str]) -> list[str]:
        """The ARNs of the roles whose names contain one of the words (ListRoles)."""
        found: list[str] = []
        pages = self._connection.pages(
            identity, "iam", self._connection.home_region, "ListRoles", {"MaxItems": 1000}, "Roles",
            asks="Marker", tells="Marker",
        )  # fmt: skip
        for page in pages:
            with understanding("ListRoles"):
                found += [role["Arn"] for role in page if any(word in role["RoleName"] for word in words)]
        return sorted(found)
