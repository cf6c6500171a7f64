"""What the kms commands read: keys and grants of a scope, the roles in it, and whose a grant is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2
from cado_ops.aws.iam import Iam
from cado_ops.aws.kms import Kms
from cado_ops.errors import CadoOpsError, UsageError
from cado_ops.fanout import FanOut
from cado_ops.model import Caller, Cell, ErrorInfo, Failure, Grant, Owner
from cado_ops.observe.grants import GrantPage, walk
from cado_ops.observe.keys import KeysFound, KeyUse, refs_not_found, select_keys
from cado_ops.observe.roles import CadoRole, Operator, find_cado_role, find_operator, refuse_stray
from cado_ops.observe.sweep import Seen, sweep
from cado_ops.observe.targets import failure, resolve_accounts
from cado_ops.plan.granting import NEAR_QUOTA
from cado_ops.plan.ownership import owner_of
from cado_ops.scope import CadoRoles, KeySelection, Scope


@dataclass
class GrantReader:
    """What the kms commands read with, and as whom.

    ``own_role`` is the operator role that was named for the caller's own account; ``retiring_principal`` goes
    before whatever would be found. ``roles`` are the Cado roles' names.
    """

    connection: Connection
    caller: Caller
    scope: Scope
    roles: CadoRoles
    max_concurrency: int
    clock: Callable[[], float]
    on_progress: Callable[[int, int], None]
    retiring_principal: str | None = None
    remarks: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ec2, self.kms, self.iam = Ec2(self.connection), Kms(self.connection), Iam(self.connection)
        self._operators: dict[str, Operator] = {}
        self._cado_roles: dict[str, CadoRole] = {}

    def sweep(self, selection: KeySelection, read: Callable[[Cell], KeysFound]) -> Seen[KeysFound]:
        """Reads the cells of a selection; names found nowhere are among the failures."""
        for ref in selection.refs:
            if ref.partition not in (None, self.caller.partition):
                raise UsageError(
                    f"{ref.id} is of partition {ref.partition}, and you are in {self.caller.partition}"
                )
        accounts = resolve_accounts(
            self.scope, self.caller, self.connection, selection.cells, whole_scope=selection.needs_scope
        )
        elsewhere = "; for a grant to a role of elsewhere, --grantee ARN"
        refuse_stray(self.roles, accounts, self.scope.exclude_accounts, elsewhere)
        seen = sweep(
            self.scope,
            accounts,
            self.caller,
            self.connection,
            read,
            max_concurrency=self.max_concurrency,
            clock=self.clock,
            extra_cells=selection.cells,
            whole_scope=selection.needs_scope,
            on_progress=self.on_progress,
        )
        if selection.refs:
            seen.failures += [failure for _, found in sorted(seen.readings.items()) for failure in found.failures]
            seen.failures += refs_not_found(selection, seen.readings.items(), seen.failures, seen.left_out)
        return seen

    def selected(self, selection: KeySelection) -> Seen[KeysFound]:
        """The keys that a selection names, or that its disks are encrypted with."""
        return self.sweep(selection, lambda cell: select_keys(self.ec2, self.kms, cell, selection))

    def keys(self, selection: KeySelection) -> Seen[KeysFound]:
        """The same, and without a selection all customer managed keys of the scope."""
        if selection.refs:
            return self.selected(selection)
        return self.sweep(
            selection, lambda cell: KeysFound(uses=[KeyUse(arn) for arn in self.kms.customer_keys(cell)])
        )

    def operator(self, account: str) -> Operator:
        """Who this program is to KMS in ``account``. Raises AwsError, RefusedError."""
        if self.retiring_principal is not None:
            return Operator(self.retiring_principal)
        if account not in self._operators:
            own_role = self.scope.role_arns.get(account)
            found = find_operator(self.iam, self.connection, self.caller, account, own_role)
            if found.remark:
                self.remarks[found.remark] = None
            self._operators[account] = found
        return self._operators[account]

    def operator_if_known(self, account: str) -> str | None:
        """The same, where it only serves to tell what is whose."""
        try:
            return self.operator(account).principal
        except CadoOpsError:
            return None

    def cado_role(self, account: str) -> CadoRole:
        """The Cado role that serves ``account``. Raises AwsError."""
        if account not in self._cado_roles:
            self._cado_roles[account] = find_cado_role(self.iam, account, self.roles, self.caller.partition)
        return self._cado_roles[account]

    def prepare(self, accounts: Iterable[str], *, operators: bool = True) -> None:
        """Asks IAM for the roles of these accounts, all at once; what fails is asked again where it is needed."""

        def ask(account: str) -> None:
            self.cado_role(account)
            if operators:
                self.operator(account)

        fan: FanOut[str, None] = FanOut(ask, self.max_concurrency)
        for account in dict.fromkeys(accounts):
            fan.add(account)
        for _ in fan.results():
            pass

    def ownership(self, accounts: Iterable[str]) -> Callable[[Grant], Owner]:
        """Tells whose a grant is, among these accounts."""
        accounts = list(accounts)
        self.prepare(accounts)
        partition = self.caller.partition
        cado = set()
        for account in accounts:
            role = self._cado_roles.get(account)
            if role is not None and role.error is not None:
                hint = f" ({role.error.hint})" if role.error.hint else ""
                self.remarks[f"{role.error.message}: whose grants are its own is not known there{hint}"] = None
            cado.add(role.arn if role else self.roles.arn(account, partition))
        operators = {principal for each in accounts if (principal := self.operator_if_known(each))}
        return lambda grant: owner_of(grant, cado, operators)

    def walk(self, seen: Seen[KeysFound], *, grant_id: str | None = None) -> Iterator[GrantPage]:
        """The grants of all keys that were found, page by page; the failures of keys are added to ``seen``."""
        # As iterators: there may be millions of keys.
        keys = dict.fromkeys(
            (cell_of(use.key_arn, cell), use.key_arn)
            for cell, found in sorted(seen.readings.items())
            for use in found.uses
            if use.key_arn
        )
        reachable = ((cell, arn) for cell, arn in keys if self.reachable(cell, arn, seen))

        def read(cell: Cell, key_arn: str | None) -> Iterator[list[Grant]]:
            return self.kms.grants(cell, key_arn or "", grant_id=grant_id)

        for page in walk(_by_turns(reachable), read, self.max_concurrency):
            if page.error is not None:
                seen.failures.append(
                    replace(failure(page.error, "observe", page.cell.account, page.cell.region), id=page.key_arn)
                )
            elif page.last and page.total >= NEAR_QUOTA:
                self.remarks[f"{page.key_arn} has {page.total} grants, and KMS allows 50,000"] = None
            yield page

    def retirable_cells(self) -> Seen[KeysFound]:
        """The cells of the scope, nothing read in them yet but who this program is there."""

        def ask(cell: Cell) -> KeysFound:
            if self.operator(cell.account).principal is None:
                raise UsageError(
                    "you are no role here: there is nothing that you may retire", "list without --retirable"
                )
            return KeysFound()

        return self.sweep(KeySelection(), ask)

    def walk_retirable(self, seen: Seen[KeysFound]) -> Iterator[GrantPage]:
        """What the operator role may retire, a call a cell and page."""

        def read(cell: Cell, key_arn: str | None) -> Iterator[list[Grant]]:
            return self.kms.retirable_grants(cell, self.operator(cell.account).principal or "")

        for page in walk(((cell, None) for cell in sorted(seen.readings)), read, self.max_concurrency):
            if page.error is not None:
                seen.failures.append(failure(page.error, "observe", page.cell.account, page.cell.region))
                seen.failed_cells += 1
                del seen.readings[page.cell]
            yield page

    def reachable(self, cell: Cell, key_arn: str, seen: Seen[KeysFound]) -> bool:
        """Whether the key's account is in scope; where it is not, that is said among the failures."""
        if cell.account in seen.accounts.in_scope:
            return True
        seen.failures.append(Failure(cell.account, cell.region, "select", foreign_key(cell, key_arn), key_arn))
        return False


def _by_turns(keys: Iterable[tuple[Cell, str]]) -> Iterator[tuple[Cell, str]]:
    """A key of each cell, then another of each: KMS's quotas are of a cell, and one cell's would be waited for."""
    by_cell: dict[Cell, list[str]] = {}
    for cell, arn in keys:
        by_cell.setdefault(cell, []).append(arn)
    turns = zip_longest(*by_cell.values())
    return ((cell, arn) for turn in turns for cell, arn in zip(by_cell, turn, strict=True) if arn is not None)


def foreign_key(cell: Cell, key_arn: str) -> ErrorInfo:
    """Why a key is left alone that was found behind a disk, and is of an account that nobody named."""
    return ErrorInfo(
        "KeyOutOfScope",
        f"the key {key_arn} is of account {cell.account}, which is not in scope",
        f"add --account {cell.account}: the grant is made there, by the operator role of that account",
    )


def cell_of(key_arn: str, cell: Cell | None = None) -> Cell:
    parts = key_arn.split(":")
    if len(parts) < 6:
        assert cell is not None
        return cell
    return Cell(parts[4], parts[3])
