"""The kms commands up to their proposals: which keys, for whom, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cado_ops.cli.kms_retire import _made_by
from cado_ops.errors import AwsError, Kind, RefusedError
from cado_ops.grant_operations import FULL
from cado_ops.journal import JOURNAL_VERSION, Journal
from cado_ops.model import Account, Cell, ErrorInfo, Grant, Key, Outcome, Owner
from cado_ops.observe.grants import GrantPage
from cado_ops.observe.keys import KeysFound, KeyUse
from cado_ops.observe.roles import CadoRole, Operator
from cado_ops.observe.sweep import Seen
from cado_ops.observe.targets import Accounts
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.granting import GrantWish
from cado_ops.plan.ownership import owner_of
from cado_ops.plan.retiring import RetireWish
from cado_ops.scope import CadoRoles, KeySelection
from cado_ops.workflow.grants import propose_grants, propose_retirements
from tests.unit.grant_samples import (
    ACCOUNT,
    CADO,
    CELL,
    EARLY,
    EBS,
    KEY_ARN,
    LATE,
    OPS,
    OTHER_ACCOUNT,
    OTHER_KEY,
    a_grant,
    a_key,
    grant_id,
    name_of,
    our_grant,
)

OTHER_CELL = Cell(OTHER_ACCOUNT, CELL.region)
OTHER_CADO = CADO.replace(ACCOUNT, OTHER_ACCOUNT)
DENIED = AwsError("AccessDeniedException", "no", kind=Kind.DENIED, hint="kms:DescribeKey")


@dataclass
class Reader:
    """A `GrantReader` of two accounts that has read everything already."""

    found: dict[Cell, list[KeyUse]]
    keys: dict[str, Key | AwsError] = field(default_factory=dict)
    there: list[Grant] = field(default_factory=list)
    accounts: tuple[str, ...] = (ACCOUNT, OTHER_ACCOUNT)
    cado: dict[str, CadoRole | AwsError] = field(default_factory=dict)
    max_concurrency: int = 4
    roles: CadoRoles = field(default_factory=CadoRoles)
    caller: Any = field(default_factory=lambda: SimpleNamespace(partition="aws"))
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def kms(self) -> Reader:
        return self

    def selected(self, selection: KeySelection) -> Seen[KeysFound]:
        known = Accounts({each: Account(each) for each in self.accounts})
        return Seen(known, {cell: KeysFound(uses=uses) for cell, uses in self.found.items()})

    def prepare(self, accounts: Any) -> None: ...

    def ownership(self, accounts: Any) -> Callable[[Grant], Owner]:
        return lambda grant: owner_of(grant, {CADO, OTHER_CADO}, {OPS})

    def cado_role(self, account: str) -> CadoRole:
        found = self.cado.get(account, CadoRole(CADO.replace(ACCOUNT, account), known=True))
        if isinstance(found, AwsError):
            raise found
        return found

    def operator(self, account: str) -> Operator:
        return Operator(OPS.replace(ACCOUNT, account))

    def operator_if_known(self, account: str) -> str | None:
        return self.operator(account).principal

    def key(self, cell: Cell, arn: str) -> Key:
        self.asked.append(("DescribeKey", arn))
        found = self.keys.get(arn, a_key(arn=arn, account=cell.account, region=cell.region))
        if isinstance(found, AwsError):
            raise found
        return found

    def grants(self, cell: Cell, arn: str, *, grantee: str) -> Iterator[list[Grant]]:
        self.asked.append(("ListGrants", arn))
        yield [each for each in self.there if (each.key_arn, each.grantee_principal) == (arn, grantee)]

    # For retiring.

    def sweep(self, selection: KeySelection, read: Callable[[Cell], KeysFound]) -> Seen[KeysFound]:
        return Seen(self.selected(selection).accounts, {cell: read(cell) for cell in self.found})

    def walk(self, seen: Seen[KeysFound], *, grant_id: str | None = None) -> Iterator[GrantPage]:
        self.asked.append(("walk", str(grant_id)))
        for each in self.there:
            if grant_id in (None, each.grant_id):
                yield GrantPage(each.cell, each.key_arn, [each], 1, last=False)

    keys_of = selected


def propose(
    reader: Reader, grantee: str | None = None, *, external: bool = False, due: datetime | None = None
) -> list[GrantChange]:
    wish = GrantWish(FULL, "IR-42", due)
    _, changes = propose_grants(reader, KeySelection(), wish, grantee, external=external)  # type: ignore[arg-type]
    return changes


class TestGranting:
    def test_each_key_once_and_the_item_says_which_volumes_it_serves(self) -> None:
        reader = Reader({CELL: [KeyUse(KEY_ARN, "vol-2"), KeyUse(KEY_ARN, "vol-1"), KeyUse(KEY_ARN, "vol-2")]})
        [change] = propose(reader)
        assert (change.action, change.serves) == (Action.CREATE, ("vol-1", "vol-2"))
        assert reader.asked == [("DescribeKey", KEY_ARN), ("ListGrants", KEY_ARN)]

    def test_what_is_not_encrypted_is_skipped_with_the_reason(self) -> None:
        [change] = propose(Reader({CELL: [KeyUse(None, "vol-1", "not encrypted")]}))
        assert (change.outcome, change.warnings, change.serves) == (Outcome.SKIPPED, ("not encrypted",), ("vol-1",))

    def test_a_key_of_awss_own_needs_neither_a_role_nor_a_look_at_its_grants(self) -> None:
        missing = CadoRole(CADO, error=ErrorInfo("GranteeNotFound", "x"))
        reader = Reader(
            {CELL: [KeyUse(KEY_ARN, "vol-1")]}, {KEY_ARN: a_key(manager="AWS")}, cado={ACCOUNT: missing}
        )
        [change] = propose(reader)
        assert change.outcome is Outcome.SKIPPED
        assert reader.asked == [("DescribeKey", KEY_ARN)]

    def test_each_instances_account_has_its_own_cado_role(self) -> None:
        """A key that two accounts' disks are encrypted with."""
        reader = Reader({CELL: [KeyUse(KEY_ARN, "vol-1")], OTHER_CELL: [KeyUse(KEY_ARN, "vol-2")]})
        one, other = sorted(propose(reader), key=lambda change: change.grantee_principal or "")
        assert (one.grantee_principal, one.serves, one.account) == (CADO, ("vol-1",), ACCOUNT)
        assert (other.grantee_principal, other.serves, other.account) == (OTHER_CADO, ("vol-2",), ACCOUNT)
        assert one.name != other.name
        assert any("grantee" in each and OTHER_ACCOUNT in each for each in other.warnings)

    def test_one_grantee_has_one_grant_for_the_disks_of_all_accounts(self) -> None:
        reader = Reader({CELL: [KeyUse(KEY_ARN, "vol-1")], OTHER_CELL: [KeyUse(KEY_ARN, "vol-2")]})
        [change] = propose(reader, CADO)
        assert (change.grantee_principal, change.serves) == (CADO, ("vol-1", "vol-2"))

    def test_a_key_of_an_account_that_nobody_named_is_a_failure_with_the_option_to_add(self) -> None:
        foreign = KEY_ARN.replace(ACCOUNT, "9" * 12)
        reader = Reader({CELL: [KeyUse(foreign, "vol-1"), KeyUse(KEY_ARN, "vol-2")]})
        good, bad = propose(reader)
        assert (good.outcome, bad.outcome) == (Outcome.PLANNED, Outcome.FAILED)
        assert bad.error is not None
        assert bad.error.code == "KeyOutOfScope"
        assert f"--account {'9' * 12}" in (bad.error.hint or "")
        assert bad.serves == ("vol-1",)
        assert ("DescribeKey", foreign) not in reader.asked

    @pytest.mark.parametrize("error", [CadoRole(CADO, error=ErrorInfo("GranteeNotFound", "x", "h")), DENIED])
    def test_a_role_that_is_not_known_fails_its_own_keys_alone(self, error: Any) -> None:
        other = OTHER_KEY.replace(ACCOUNT, OTHER_ACCOUNT)
        reader = Reader({CELL: [KeyUse(KEY_ARN)], OTHER_CELL: [KeyUse(other)]}, cado={ACCOUNT: error})
        bad, good = propose(reader)
        assert (bad.outcome, good.outcome) == (Outcome.FAILED, Outcome.PLANNED)
        assert bad.error is not None
        assert bad.error.code in ("GranteeNotFound", "AccessDeniedException")
        assert bad.error.hint

    def test_a_key_that_cannot_be_read_fails_alone(self) -> None:
        reader = Reader({CELL: [KeyUse(KEY_ARN, "vol-1"), KeyUse(OTHER_KEY)]}, {KEY_ARN: DENIED})
        bad, good = propose(reader)
        assert (bad.outcome, good.outcome) == (Outcome.FAILED, Outcome.PLANNED)
        assert bad.error is not None
        assert (bad.error.code, bad.error.hint, bad.serves) == (
            "AccessDeniedException",
            "kms:DescribeKey",
            ("vol-1",),
        )

    def test_a_grantee_of_an_account_out_of_scope_is_refused_unless_it_is_meant(self) -> None:
        stranger = CADO.replace(ACCOUNT, "9" * 12)
        reader = Reader({CELL: [KeyUse(KEY_ARN)]})
        with pytest.raises(RefusedError, match=stranger) as caught:
            propose(reader, stranger)
        assert "--external-grantee" in (caught.value.hint or "")
        [change] = propose(reader, stranger, external=True)
        assert (change.outcome, change.grantee_principal) == (Outcome.PLANNED, stranger)

    def test_the_new_grant_stands_before_the_old_one(self) -> None:
        reader = Reader({CELL: [KeyUse(KEY_ARN)]}, there=[our_grant(1, due=EARLY)])
        new, old = propose(reader, due=LATE)
        assert (new.action, old.action, old.after) == (Action.CREATE, Action.RETIRE, new.id)


class TestRetiring:
    def propose(self, there: list[Grant], wish: RetireWish) -> tuple[Seen[KeysFound], list[GrantChange], Reader]:
        reader = Reader({CELL: [KeyUse(KEY_ARN)]}, there=there)
        reader.keys = reader.selected  # type: ignore[assignment]
        seen, changes = propose_retirements(reader, KeySelection(), wish)  # type: ignore[arg-type]
        return seen, changes, reader

    def test_of_a_case(self) -> None:
        there = [our_grant(1), our_grant(2, "IR-43"), a_grant(3), our_grant(4, grantee_principal=EBS)]
        seen, changes, reader = self.propose(there, RetireWish(of_case="IR-42"))
        assert [(change.action, change.grant_id) for change in changes] == [(Action.RETIRE, grant_id(1))]
        assert seen.failures == []
        assert reader.asked == [("walk", "None")]

    def test_by_id_asks_for_that_grant_alone(self) -> None:
        _, changes, reader = self.propose([our_grant(1), our_grant(2)], RetireWish(frozenset({grant_id(2)})))
        assert [change.grant_id for change in changes] == [grant_id(2)]
        assert reader.asked == [("walk", grant_id(2))]

    def test_nothing_is_read_where_nothing_is_named(self) -> None:
        """A run that granted nothing, or an empty list of ids on stdin."""
        seen, changes, reader = self.propose([our_grant(1)], RetireWish())
        assert (changes, seen.failures, seen.targets) == ([], [], 1)
        assert reader.asked == []

    def test_an_id_that_is_nowhere_is_a_failure(self) -> None:
        wish = RetireWish(frozenset({grant_id(1), grant_id(8)}))
        seen, changes, _ = self.propose([our_grant(1)], wish)
        assert len(changes) == 1
        [lost] = seen.failures
        assert (lost.stage, lost.id, lost.error.code) == ("select", grant_id(8), "NotFound")

    def test_a_services_grant_that_is_named_is_a_failure_and_found(self) -> None:
        there = [our_grant(4, grantee_principal=EBS)]
        seen, [change], _ = self.propose(there, RetireWish(frozenset({grant_id(4)}), include_platform=True))
        assert (change.action, change.outcome) == (Action.NONE, Outcome.FAILED)
        assert seen.failures == []


def test_the_grants_of_a_run_are_those_that_it_made_itself(tmp_path: Path) -> None:
    """Not one that was there, nor one that its own gave way to: that is another run's."""
    journal = Journal(tmp_path, "20261123T174501Z-7f3a9c")
    made = GrantChange(ACCOUNT, CELL.region, name_of(), Action.CREATE, KEY_ARN, name=name_of())
    outcomes = {"a": "changed", "b": "unchanged", "c": "failed", "d": "unknown", "e": None, "f": "changed"}
    records = [made.as_record() | {"id": each} for each in outcomes]
    records[-1]["action"] = "retire"
    journal.write("run", format_version=JOURNAL_VERSION, run_id="20261123T174501Z-7f3a9c", items=len(records))
    journal.write("plan", account=ACCOUNT, region=CELL.region, changes=records)
    for number, (each, outcome) in enumerate(outcomes.items()):
        if outcome:
            journal.write("intent", account=ACCOUNT, region=CELL.region, call="CreateGrant", ids=[each])
            result = {"outcome": outcome, "error": None, "warnings": [], "grant_id": grant_id(number)}
            journal.write("outcome", account=ACCOUNT, region=CELL.region, results={each: result})
    journal.close()
    session: Any = SimpleNamespace(given=SimpleNamespace(journal_folder=lambda: tmp_path))
    made_by = _made_by(session, "last")
    assert made_by.ids.keys() == {grant_id(0), grant_id(3)}
    assert made_by.names == {}
    assert [ref.account for ref in made_by.keys.refs] == [ACCOUNT]


def test_the_grants_of_a_run_that_was_cut_off_are_found_by_their_names(tmp_path: Path) -> None:
    """An intent without an outcome, or an outcome without an id: the grant may be there."""
    journal = Journal(tmp_path, "20261123T174501Z-7f3a9c")
    made = GrantChange(ACCOUNT, CELL.region, name_of(), Action.CREATE, KEY_ARN, name=name_of())
    journal.write("run", format_version=JOURNAL_VERSION, run_id="20261123T174501Z-7f3a9c", items=1)
    journal.write("plan", account=ACCOUNT, region=CELL.region, changes=[made.as_record()])
    journal.write("intent", account=ACCOUNT, region=CELL.region, call="CreateGrant", ids=[made.id])
    journal.close()
    session: Any = SimpleNamespace(given=SimpleNamespace(journal_folder=lambda: tmp_path))
    made_by = _made_by(session, "last")
    assert (made_by.ids, made_by.names) == ({}, {name_of(): KEY_ARN})
