"""Organizations: short and empty pages, and no answer for member accounts."""

from __future__ import annotations

from typing import Any

from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.protocol import AwsFault, RequestInfo, Response, answer_json, page

_PAGE = 20
_SHORT_PAGE = 3  # AWS may give fewer than asked for, so that clients that trust the first page are found out


def list_accounts(request: RequestInfo) -> Response:
    """At most 20 a page, often fewer, and an empty page in the middle that still has a NextToken.

    Organizations API reference, ListAccounts: "always check the NextToken response parameter for a null value".
    """
    _check_management(request)
    accounts = [account.describe() for account in _backend().accounts]
    padded: list[dict[str, Any] | None] = [*accounts[:_SHORT_PAGE], *[None] * _SHORT_PAGE, *accounts[_SHORT_PAGE:]]
    return _paged(request, "Accounts", padded, _SHORT_PAGE)


def list_accounts_for_parent(request: RequestInfo) -> Response:
    """Only the accounts directly in this root or unit."""
    _check_management(request)
    parent = _check_parent(request)
    accounts = [account.describe() for account in _backend().accounts if account.parent_id == parent]
    return _paged(request, "Accounts", accounts, _PAGE)


def list_organizational_units_for_parent(request: RequestInfo) -> Response:
    """Only the units directly in this root or unit."""
    _check_management(request)
    parent = _check_parent(request)
    units = [
        unit.describe()["OrganizationalUnit"]
        for unit in _backend().ou
        if unit.parent_id == parent and unit.type != "ROOT"
    ]
    return _paged(request, "OrganizationalUnits", units, _PAGE)


def require_management(request: RequestInfo) -> Response | None:
    """Member accounts may describe their organisation and themselves leave it, and little else; then moto answers.

    Organizations API reference: "can be called only from the organization's management account or by a
    member account that is a delegated administrator".
    """
    _check_management(request)
    return None


def _paged(request: RequestInfo, name: str, items: list[Any], size: int) -> Response:
    wanted = request.params.get("MaxResults")
    if wanted is not None:
        if not 1 <= int(wanted) <= _PAGE:
            raise AwsFault("InvalidInputException", "You specified an invalid value.")
        size = min(size, int(wanted))
    fault = AwsFault("InvalidInputException", "You provided an invalid next token.")
    members, token = page(items, request.params.get("NextToken"), size, fault)
    answer: dict[str, Any] = {name: [member for member in members if member is not None]}
    if token:
        answer["NextToken"] = token
    return answer_json(answer)


def _check_management(request: RequestInfo) -> None:
    if request.account != acme.MANAGEMENT:
        raise AwsFault("AccessDeniedException", "You don't have permissions to access this resource.")


def _check_parent(request: RequestInfo) -> str:
    parent = str(request.params.get("ParentId", ""))
    if not any(unit.id == parent for unit in _backend().ou):
        raise AwsFault("ParentNotFoundException", "You specified parent that doesn't exist.")
    return parent


def _backend() -> Any:
    return backend("organizations", acme.MANAGEMENT)


_MANAGEMENT_ONLY = (
    "DescribeAccount",
    "DescribeOrganizationalUnit",
    "DescribePolicy",
    "ListChildren",
    "ListDelegatedAdministrators",
    "ListParents",
    "ListPolicies",
    "ListPoliciesForTarget",
    "ListRoots",
    "ListTagsForResource",
    "ListTargetsForPolicy",
)
MENDS = {
    ("organizations", "ListAccounts"): list_accounts,
    ("organizations", "ListAccountsForParent"): list_accounts_for_parent,
    ("organizations", "ListOrganizationalUnitsForParent"): list_organizational_units_for_parent,
    **{("organizations", action): require_management for action in _MANAGEMENT_ONLY},
}
