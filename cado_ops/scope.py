"""What a command works on: which accounts and regions, through which roles. Plain data, from the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cado_ops.filters import Filter
from cado_ops.model import CLAIM_PREFIX, Account, Cell, InstanceRef, ResourceRef

DEFAULT_CADO_ROLE = "CadoResponseRole"


@dataclass(frozen=True)
class CadoRoles:
    """What the Cado role is called: a name (or ARN) for every account, and ARNs of single accounts before it.

    ``typed``: the accounts whose ARN the user typed. One that is not in scope is a mistake.
    """

    default: str = DEFAULT_CADO_ROLE
    by_account: Mapping[str, str] = field(default_factory=dict)
    typed: frozenset[str] = frozenset()

    def arn(self, account: str, partition: str) -> str:
        """The ARN as it is without asking IAM: a name without a path."""
        named = self.by_account.get(account, self.default)
        if named.startswith("arn:"):
            return named
        return f"arn:{partition}:iam::{account}:role/{named.removeprefix('/')}"


@dataclass(frozen=True)
class Scope:
    """The scope options of docs/reference.md, parsed. Without any account option: the caller's own account."""

    accounts: tuple[Account, ...] = ()
    org: bool = False
    ous: tuple[str, ...] = ()
    org_role_arn: str | None = None
    exclude_accounts: frozenset[str] = frozenset()
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    exclude_regions: frozenset[str] = frozenset()
    role_arns: Mapping[str, str] = field(default_factory=dict)
    # The ARNs that were typed on this command line: an account among them that is not in scope is a mistake.
    role_arns_from_flags: frozenset[str] = frozenset()
    role_name: str | None = None

    @property
    def default(self) -> bool:
        return not (self.accounts or self.org or self.ous)


@dataclass(frozen=True)
class Selection:
    """Which instances: by id or ARN, by filters and claims that must all hold, less what an exclude matches."""

    refs: tuple[InstanceRef, ...] = ()
    filters: tuple[Filter, ...] = ()
    excludes: tuple[tuple[Filter, ...], ...] = ()
    all: bool = False
    of_case: str | None = None
    expired_at: datetime | None = None

    @property
    def by_claim(self) -> bool:
        """Whether instances are selected by their claims: a case's, or those due at ``expired_at`` (UTC)."""
        return self.of_case is not None or self.expired_at is not None

    @property
    def conditions(self) -> tuple[Filter, ...]:
        """All filters that EC2 is to apply, the one for claims included."""
        if not self.by_claim:
            return self.filters
        return (*self.filters, Filter("tag-key", (CLAIM_PREFIX + (self.of_case or "*"),)))

    @property
    def bare_ids(self) -> tuple[str, ...]:
        """The ids that name no account and region: to be searched in every target."""
        return tuple(ref.instance_id for ref in self.refs if ref.account is None or ref.region is None)

    @property
    def needs_scope(self) -> bool:
        """Whether anything has to be searched beyond the cells that ARNs name."""
        return not self.refs or bool(self.bare_ids)


@dataclass(frozen=True)
class KeySelection:
    """Which keys: by name, or as those that encrypt the disks of what is named. Without any: the whole scope."""

    refs: tuple[ResourceRef, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """The cells that ARNs name, each once."""
        return sorted({Cell(ref.account, ref.region) for ref in self.refs if ref.account and ref.region})

    @property
    def needs_scope(self) -> bool:
        """Whether anything has to be searched beyond the cells that ARNs name."""
        return not self.refs or any(ref.account is None or ref.region is None for ref in self.refs)
