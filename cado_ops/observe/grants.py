"""All grants of many keys, as they come: pages of many keys at once, none kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from cado_ops.fanout import FanOut
from cado_ops.model import Cell, Grant
from cado_ops.observe.sweep import as_aws_error
from cado_ops.plan.grant_change import GrantChange

Pages = Iterator[list[Grant]]


@dataclass(frozen=True)
class GrantPage:
    """Some grants of a key; the last page of a key has ``last``, and perhaps an ``error`` instead of grants.

    ``total`` is how many there were of the key so far. ``key_arn`` None: of a listing over keys.
    """

    cell: Cell
    key_arn: str | None
    grants: list[Grant]
    total: int
    last: bool
    error: AwsError | None = None


def grants_of(kms: Kms, cell: Cell, change: GrantChange) -> list[Grant]:
    """The grants that a change is about: all of its grantee on its key, and the one it names. Raises AwsError."""
    grantee = change.grantee_principal or ""
    if not grantee.startswith("arn:"):
        return grant_of(kms, cell, change)
    found = [grant for page in kms.grants(cell, change.key_arn or "", grantee=grantee) for grant in page]
    if change.grant_id and all(grant.grant_id != change.grant_id for grant in found):
        # Its grantee may be shown as an id at first.
        found += grant_of(kms, cell, change)
    return found


def grant_of(kms: Kms, cell: Cell, change: GrantChange) -> list[Grant]:
    """The one grant that a change names, or none. Raises AwsError."""
    try:
        return [
            grant for page in kms.grants(cell, change.key_arn or "", grant_id=change.grant_id) for grant in page
        ]
    except AwsError as error:
        if is_gone(error):
            return []
        raise


def is_gone(error: AwsError) -> bool:
    """Whether KMS says that there is no such grant (KMS API reference, ListGrants and RetireGrant, "Errors")."""
    return error.kind is Kind.NOT_FOUND or error.code == "InvalidGrantIdException"


@dataclass
class _Listing:
    cell: Cell
    key_arn: str | None
    pages: Pages
    total: int = 0


def walk(
    listings: Iterable[tuple[Cell, str | None]],
    read: Callable[[Cell, str | None], Pages],
    max_concurrency: int,
) -> Iterator[GrantPage]:
    """Pages of grants in order of completion, none kept. ``read`` begins one listing."""

    def next_page(listing: _Listing) -> list[Grant] | None:
        return next(listing.pages, None)

    jobs = (_Listing(cell, key_arn, read(cell, key_arn)) for cell, key_arn in listings)
    fan: FanOut[_Listing, list[Grant] | None] = FanOut(next_page, max_concurrency, jobs)
    for done in fan.results():
        listing, grants = done.job, done.value
        if done.error is not None:
            error = as_aws_error(done.error)
            yield GrantPage(listing.cell, listing.key_arn, [], listing.total, last=True, error=error)
        elif grants is None:
            yield GrantPage(listing.cell, listing.key_arn, [], listing.total, last=True)
        else:
            listing.total += len(grants)
            # To its end first: a listing that is begun holds a page.
            fan.add(listing, next=True)
            yield GrantPage(listing.cell, listing.key_arn, grants, listing.total, last=False)
