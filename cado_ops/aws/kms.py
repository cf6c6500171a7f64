"""KMS: keys and grants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.fields import Fields, with_fields
from cado_ops.errors import AwsError
from cado_ops.model import Cell, Grant, Key

# ListKeys, ListAliases, ListGrants, ListRetirableGrants, KMS API reference: the most that Limit takes.
KEYS_A_PAGE = 1000
ALIASES_A_PAGE = 100
GRANTS_A_PAGE = 100

# All of each grant: whose it is depends on every term. Where KMS tells of another one day, that is among them.
GRANT_FIELDS: Fields = {"Grants": {}, "NextMarker": {}}


class Kms:
    """The KMS calls that this program makes. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def key(self, cell: Cell, key_id: str) -> Key:
        """DescribeKey. ``key_id`` is an id, an ARN, an alias's name or an alias's ARN."""
        answer = self._call(cell, "DescribeKey", {"KeyId": key_id}, expects="KeyMetadata")
        with understanding("DescribeKey"):
            told = answer["KeyMetadata"]
            family = told.get("MultiRegionConfiguration", {})
            relatives = {
                each["Region"] for each in (family.get("PrimaryKey"), *family.get("ReplicaKeys", ())) if each
            }
            return Key(
                account=told["Arn"].split(":")[4],
                region=told["Arn"].split(":")[3],
                arn=told["Arn"],
                manager=told.get("KeyManager", "CUSTOMER"),
                state=told["KeyState"],
                spec=told.get("KeySpec") or told.get("CustomerMasterKeySpec", ""),
                usage=told.get("KeyUsage", ""),
                multi_region=bool(told.get("MultiRegion")),
                replicas=tuple(sorted(relatives - {told["Arn"].split(":")[3]})),
            )

    def customer_keys(self, cell: Cell) -> Iterator[str]:
        """The ARNs of the customer managed keys of a cell, whatever their state.

        ListKeys tells them apart from AWS's own only by their aliases, which all begin with alias/aws/ and can be
        listed by the hundred: DescribeKey would be a call a key.
        """
        aws_managed: set[str] = set()
        for page in self._pages(cell, "ListAliases", {"Limit": ALIASES_A_PAGE}, "Aliases"):
            with understanding("ListAliases"):
                aws_managed |= {
                    alias["TargetKeyId"]
                    for alias in page
                    if alias["AliasName"].startswith("alias/aws/") and alias.get("TargetKeyId")
                }
        for page in self._pages(cell, "ListKeys", {"Limit": KEYS_A_PAGE}, "Keys"):
            with understanding("ListKeys"):
                yield from (key["KeyArn"] for key in page if key["KeyId"] not in aws_managed)

    def grants(
        self, cell: Cell, key_arn: str, *, grantee: str | None = None, grant_id: str | None = None
    ) -> Iterator[list[Grant]]:
        """The grants on a key, page by page. Filtered once more here: not every server does it."""
        parameters: dict[str, Any] = {"KeyId": key_arn, "Limit": GRANTS_A_PAGE}
        if grantee is not None:
            parameters["GranteePrincipal"] = grantee
        if grant_id is not None:
            parameters["GrantId"] = grant_id
        try:
            for page in with_fields(GRANT_FIELDS, self._pages(cell, "ListGrants", parameters, "Grants")):
                with understanding("ListGrants"):
                    found = [_grant(cell, entry) for entry in page]
                yield [
                    grant
                    for grant in found
                    if grantee in (None, grant.grantee_principal) and grant_id in (None, grant.grant_id)
                ]
        except AwsError as error:
            # ListGrants, KMS API reference: what a server may say to a grant id that the key does not have.
            if error.code != "InvalidGrantIdException":
                raise

    def retirable_grants(self, cell: Cell, retiring_principal: str) -> Iterator[list[Grant]]:
        """The grants of a region, on keys of whatever account, that name this principal of the caller's account."""
        parameters = {"RetiringPrincipal": retiring_principal, "Limit": GRANTS_A_PAGE}
        pages = self._pages(cell, "ListRetirableGrants", parameters, "Grants")
        for page in with_fields(GRANT_FIELDS, pages):
            with understanding("ListRetirableGrants"):
                yield [_grant(cell, entry) for entry in page]

    def key_policy(self, cell: Cell, key_id: str) -> str:
        """The policy of a key, as JSON text (GetKeyPolicy). A key has exactly one, and it is called default."""
        answer = self._call(cell, "GetKeyPolicy", {"KeyId": key_id, "PolicyName": "default"})
        with understanding("GetKeyPolicy"):
            policy: str = answer["Policy"]
        return policy

    def create_grant(
        self,
        cell: Cell,
        *,
        key_arn: str,
        name: str | None,
        grantee: str,
        retiring_principal: str | None,
        operations: tuple[str, ...],
        constraints: Mapping[str, Any],
        dry_run: bool = False,
    ) -> tuple[str, str, str | None]:
        """Makes a grant, or finds that of the same name and terms: its id, a token for it, and the request id."""
        parameters: dict[str, Any] = {
            "KeyId": key_arn,
            "GranteePrincipal": grantee,
            "Operations": list(operations),
        }
        if name is not None:
            parameters["Name"] = name
        if retiring_principal is not None:
            parameters["RetiringPrincipal"] = retiring_principal
        if constraints:
            parameters["Constraints"] = dict(constraints)
        answer = self._write(cell, "CreateGrant", parameters, dry_run)
        if dry_run:
            return "", "", None
        with understanding("CreateGrant"):
            return answer["GrantId"], answer["GrantToken"], _request_id(answer)

    def retire_grant(self, cell: Cell, key_arn: str, grant_id: str, *, dry_run: bool = False) -> str | None:
        """Ends a grant as its retiring principal. Returns the request id."""
        return _request_id(self._write(cell, "RetireGrant", {"KeyId": key_arn, "GrantId": grant_id}, dry_run))

    def revoke_grant(self, cell: Cell, key_arn: str, grant_id: str, *, dry_run: bool = False) -> str | None:
        """Ends a grant with the key's permission kms:RevokeGrant. Returns the request id."""
        return _request_id(self._write(cell, "RevokeGrant", {"KeyId": key_arn, "GrantId": grant_id}, dry_run))

    def _write(self, cell: Cell, action: str, parameters: dict[str, Any], dry_run: bool) -> dict[str, Any]:
        if not dry_run:
            return self._call(cell, action, parameters)
        try:
            return self._call(cell, action, parameters | {"DryRun": True})
        except AwsError as error:
            # "Testing your permissions", KMS Developer Guide: a dry run that would have succeeded is this error.
            if error.code == "DryRunOperationException":
                return {}
            raise

    def _call(
        self, cell: Cell, action: str, parameters: Mapping[str, Any], *, expects: str | None = None
    ) -> dict[str, Any]:
        return self._connection.call(cell.account, "kms", cell.region, action, parameters, expects=expects)

    def _pages(
        self, cell: Cell, action: str, parameters: Mapping[str, Any], result: str
    ) -> Iterator[list[dict[str, Any]]]:
        return self._connection.pages(
            cell.account, "kms", cell.region, action, parameters, result, asks="Marker", tells="NextMarker"
        )


def _grant(cell: Cell, entry: Mapping[str, Any]) -> Grant:
    created, issuing = entry.get("CreationDate"), entry.get("IssuingAccount")
    arn = entry["KeyId"]
    account, region = _place_of(arn, cell)
    return Grant(
        account=account,
        region=region,
        key_arn=arn,
        grant_id=entry["GrantId"],
        name=entry.get("Name") or None,
        grantee_principal=entry.get("GranteePrincipal") or None,
        operations=tuple(sorted(entry.get("Operations", ()))),
        retiring_principal=entry.get("RetiringPrincipal") or None,
        issuing_account=issuing.split(":")[4] if issuing and issuing.startswith("arn:") else issuing,
        constraints=entry.get("Constraints") or {},
        created=created.astimezone(UTC) if created else None,
        grantee_service=entry.get("GranteeServicePrincipal") or None,
    )


@lru_cache(maxsize=1024)
def _place_of(arn: str, cell: Cell) -> tuple[str, str]:
    """Account and region of a grant: those of its key, which may be another account's (ListRetirableGrants)."""
    if not arn.startswith("arn:"):
        return cell.account, cell.region
    _, _, _, region, account, *_ = arn.split(":")
    return account, region


def _request_id(answer: Mapping[str, Any]) -> str | None:
    request_id: str | None = answer.get("ResponseMetadata", {}).get("RequestId")
    return request_id
