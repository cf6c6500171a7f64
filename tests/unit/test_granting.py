"""What granting means for one key: which keys take a grant, and how one is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.grant_name import digest_of, parse_grant_name
from cado_ops.grant_operations import FULL
from cado_ops.model import ErrorInfo, Grant, Key, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.granting import GrantWish, due_of, duplicates, key_problem, plan_grant, ranked, same_claim
from cado_ops.plan.ownership import owner_of
from tests.unit.grant_samples import (
    ACCOUNT,
    CADO,
    CREATED,
    EARLY,
    GONE_ROLE,
    KEY_ARN,
    LATE,
    NOW,
    OPS,
    OTHER_ACCOUNT,
    OTHER_KEY,
    OTHER_OPS,
    a_grant,
    a_key,
    grant_id,
    name_of,
    our_grant,
)

VOL = "vol-0123456789abcdef0"
CASE = "IR-42"


def plan(
    *grants: Grant,
    key: Key | None = None,
    grantee: str = CADO,
    due: datetime | None = None,
    case: str | None = CASE,
    operations: tuple[str, ...] = FULL,
    constraints: dict[str, Any] | None = None,
    retiring: str | None = OPS,
) -> list[GrantChange]:
    wish = GrantWish(operations, case, due, constraints or {})

    def owner(grant: Grant) -> Owner:
        return owner_of(grant, {CADO}, {OPS})

    return plan_grant(key or a_key(), grantee, (VOL,), grants, wish, retiring, owner)


def brief(changes: Sequence[GrantChange]) -> list[tuple[str, str, str | None]]:
    return [(change.action.value, change.outcome.value, change.grant_id) for change in changes]


class TestTheGrant:
    def test_all_of_it(self) -> None:
        [change] = plan(due=LATE, constraints={"EncryptionContextSubset": {"a": "b"}}, operations=FULL[::-1])
        name = parse_grant_name(change.name)
        assert name is not None
        assert (name.case, name.due) == (CASE, LATE)
        assert name.digest == digest_of(KEY_ARN, CADO, FULL, {"EncryptionContextSubset": {"a": "b"}})
        assert change == GrantChange(
            account=ACCOUNT,
            region="eu-west-1",
            id=change.name or "",
            action=Action.CREATE,
            key_arn=KEY_ARN,
            name=change.name,
            grantee_principal=CADO,
            retiring_principal=OPS,
            operations=FULL,
            constraints={"EncryptionContextSubset": {"a": "b"}},
            owner=Owner.OURS,
            serves=(VOL,),
        )

    def test_a_grant_without_a_case(self) -> None:
        [change] = plan(case=None)
        assert (change.name or "").startswith("cado-ops//-/")
        assert brief(plan(our_grant(case=None), case=None)) == [("none", "unchanged", grant_id(1))]

    def test_it_names_nobody_to_retire_it_where_the_caller_is_nobody(self) -> None:
        [change] = plan(retiring=None)
        assert change.retiring_principal is None


class TestKeys:
    @pytest.mark.parametrize("state", ["Enabled", "Updating", "Unavailable"])
    def test_a_key_that_takes_grants(self, state: str) -> None:
        """Key states, KMS Developer Guide: CreateGrant works in these three."""
        assert key_problem(a_key(state=state)) is None
        [change] = plan(key=a_key(state=state))
        assert (change.action, change.outcome) == (Action.CREATE, Outcome.PLANNED)
        assert any("disconnected" in each for each in change.warnings) is (state == "Unavailable")

    @pytest.mark.parametrize(
        ("changes", "code", "words", "hint"),
        [
            ({"state": "Disabled"}, "DisabledException", "disabled", f"--region eu-west-1 --key-id {KEY_ARN}"),
            ({"state": "PendingDeletion"}, "KMSInvalidStateException", "deleted", "cancel-key-deletion"),
            ({"state": "PendingReplicaDeletion"}, "KMSInvalidStateException", "deleted", "cancel-key-deletion"),
            ({"state": "PendingImport"}, "KMSInvalidStateException", "no key material", "import-key-material"),
            ({"state": "Creating"}, "KMSInvalidStateException", "Creating", ""),
            ({"state": "SomethingNew"}, "KMSInvalidStateException", "SomethingNew", ""),
            ({"spec": "RSA_2048"}, "UnsupportedKey", "RSA_2048 for ENCRYPT_DECRYPT", ""),
            ({"spec": "RSA_4096", "usage": "SIGN_VERIFY"}, "UnsupportedKey", "SIGN_VERIFY", ""),
            ({"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"}, "UnsupportedKey", "HMAC_256", ""),
            ({"spec": "ECC_NIST_P256", "usage": "KEY_AGREEMENT"}, "UnsupportedKey", "symmetric", ""),
            ({"spec": "RSA_2048", "state": "Disabled"}, "UnsupportedKey", "RSA_2048", ""),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_key_that_takes_none(self, changes: dict[str, str], code: str, words: str, hint: str) -> None:
        [change] = plan(our_grant(), key=a_key(**changes))
        assert (change.action, change.outcome) == (Action.NONE, Outcome.FAILED)
        assert change.error is not None
        assert change.error.code == code
        assert words in change.error.message
        assert hint in (change.error.hint or "")
        assert (change.key_arn, change.grantee_principal, change.serves) == (KEY_ARN, CADO, (VOL,))
        assert (change.name, change.operations, change.owner) == (None, (), None)

    @pytest.mark.parametrize("state", ["Enabled", "PendingDeletion"])
    def test_a_key_of_awss_own_is_skipped_with_the_reason(self, state: str) -> None:
        [change] = plan(key=a_key(manager="AWS", state=state))
        assert (change.action, change.outcome, change.error) == (Action.NONE, Outcome.SKIPPED, None)
        assert "AWS manages this key" in change.warnings[0]

    def test_a_replica_has_a_grant_of_its_own(self) -> None:
        replica = KEY_ARN.replace("eu-west-1", "us-east-1")
        [here], [there] = (
            plan(key=a_key(multi_region=True, replicas=("us-east-1",))),
            plan(key=a_key(multi_region=True, arn=replica, region="us-east-1")),
        )
        assert here.name != there.name
        assert "eu-west-1 alone, and other regions (us-east-1)" in here.warnings[0]
        assert "us-east-1 alone, and other regions need" in there.warnings[0]

    def test_an_ordinary_key_is_not_remarked_on(self) -> None:
        assert plan()[0].warnings == ()

    def test_a_grantee_of_another_account_than_the_keys(self) -> None:
        [change] = plan(grantee=CADO.replace(ACCOUNT, OTHER_ACCOUNT))
        assert change.outcome is Outcome.PLANNED
        assert f"account {ACCOUNT} and the grantee of {OTHER_ACCOUNT}" in change.warnings[0]


class TestOnce:
    @pytest.mark.parametrize("due", [None, LATE])
    def test_what_is_there_already_is_unchanged(self, due: datetime | None) -> None:
        changes = plan(our_grant(due=due), due=due)
        assert brief(changes) == [("none", "unchanged", grant_id(1))]
        assert changes[0].warnings == ()
        assert changes[0].serves == (VOL,)

    @pytest.mark.parametrize(
        "other",
        [
            our_grant(case="IR-43"),
            our_grant(case="ir-42"),
            our_grant(case=None),
            our_grant(operations=FULL[1:]),
            our_grant(operations=(*FULL, "RetireGrant")),
            our_grant(constraints={"EncryptionContextSubset": {"aws:ebs:id": VOL}}),
            our_grant(key_arn=OTHER_KEY),
            our_grant(grantee_principal=CADO + "2"),
            a_grant(),
            a_grant(name=name_of(CASE, operations=("Decrypt",))),
            a_grant(operations=("Decrypt",), name=name_of(CASE)),
            a_grant(grantee_principal=GONE_ROLE, name=name_of(CASE)),
        ],
        ids=[
            "case", "letters", "no-case", "less", "more", "constrained", "key", "grantee", "platform", "forged",
            "shrunk", "gone",
        ],
    )  # fmt: skip
    def test_what_is_not_the_same_is_not_taken_for_it(self, other: Grant) -> None:
        first, *rest = plan(other)
        assert (first.action, first.outcome, rest) == (Action.CREATE, Outcome.PLANNED, [])

    @pytest.mark.parametrize("retiring", [OTHER_OPS, None])
    def test_one_that_the_caller_could_not_retire_is_unchanged_with_a_warning(self, retiring: str | None) -> None:
        [change] = plan(our_grant(retiring_principal=retiring))
        assert change.outcome is Outcome.UNCHANGED
        assert "may not be able to retire it" in change.warnings[0]
        assert (retiring or "nobody") in change.warnings[0]

    def test_a_later_due_time_makes_the_new_grant_before_the_old_one_is_ended(self) -> None:
        new, old = plan(our_grant(due=EARLY), due=LATE)
        assert brief([new, old]) == [("create", "planned", None), ("retire", "planned", grant_id(1))]
        assert due_of(a_grant(name=new.name)) == LATE
        assert old.after == new.id
        assert new.after is None

    @pytest.mark.parametrize("retiring", [OTHER_OPS, None])
    def test_an_old_grant_that_the_caller_may_not_retire_stays_and_that_is_said(self, retiring: str | None) -> None:
        new, old = plan(our_grant(due=EARLY, retiring_principal=retiring), due=LATE)
        assert brief([new, old]) == [("create", "planned", None), ("none", "skipped", grant_id(1))]
        assert (retiring or "nobody") in old.warnings[0]

    @pytest.mark.parametrize(
        ("there", "wished", "words"),
        [
            (LATE, EARLY, "until 2026-11-28T18:00:00Z already"),
            (None, EARLY, "without an end already"),
            (LATE, None, "it is due 2026-11-28T18:00:00Z"),
        ],
    )
    def test_an_earlier_due_time_leaves_it_and_says_so(
        self, there: datetime | None, wished: datetime | None, words: str
    ) -> None:
        changes = plan(our_grant(due=there), due=wished)
        assert brief(changes) == [("none", "unchanged", grant_id(1))]
        assert words in changes[0].warnings[0]

    def test_of_duplicates_one_is_kept_and_the_others_are_ended(self) -> None:
        older = our_grant(3, due=LATE, created=CREATED - timedelta(seconds=1))
        there = [our_grant(1, due=EARLY), our_grant(2, due=LATE), older, our_grant(4, due=LATE)]
        for order in permutations(there):
            kept, *others = plan(*order, due=LATE)
            assert brief([kept]) == [("none", "unchanged", grant_id(3))]
            assert brief(others) == [("retire", "planned", grant_id(number)) for number in (2, 4, 1)]

    def test_a_prolongation_ends_all_that_were_there(self) -> None:
        new, *old = plan(our_grant(1, due=EARLY), our_grant(2, due=NOW), due=LATE)
        assert new.action is Action.CREATE
        assert [(change.grant_id, change.after) for change in old] == [(grant_id(2), new.id), (grant_id(1), new.id)]

    def test_ids_of_the_changes_of_a_key_are_all_different(self) -> None:
        changes = plan(our_grant(1, due=EARLY), our_grant(2, due=EARLY), due=LATE)
        assert len({change.id for change in changes}) == 3


class TestWhatCoversTheSame:
    @pytest.mark.parametrize(
        ("other", "words"),
        [
            (our_grant(case="IR-43"), "(case IR-43)"),
            (our_grant(case=None), "(ours)"),
            (our_grant(operations=(*FULL, "RetireGrant")), "(case IR-42)"),
            (a_grant(), "(platform)"),
            (a_grant(name=name_of("IR-43", operations=("Decrypt",))), "(platform)"),
            (a_grant(grantee_principal=f"arn:aws:iam::{ACCOUNT}:role/x"), "(other)"),
        ],
        ids=["case", "no-case", "more", "platform", "forged", "other"],
    )
    def test_is_named_in_a_warning_and_not_relied_on(self, other: Grant, words: str) -> None:
        [change] = plan(other)
        assert change.action is Action.CREATE
        [warning] = change.warnings
        assert words in warning
        assert other.grant_id in warning
        assert "not relied on" in warning

    @pytest.mark.parametrize(
        "other",
        [
            a_grant(operations=FULL[1:]),
            a_grant(constraints={"EncryptionContextSubset": {"a": "b"}}),
            our_grant(case="IR-43", operations=("Decrypt",)),
        ],
    )
    def test_what_gives_less_is_not_named(self, other: Grant) -> None:
        assert plan(other)[0].warnings == ()

    def test_the_same_constraints_cover_it(self) -> None:
        bound = {"EncryptionContextSubset": {"a": "b"}}
        assert len(plan(a_grant(constraints=bound), constraints=bound)[0].warnings) == 1

    def test_a_grant_that_is_kept_has_the_warning_too(self) -> None:
        [kept] = plan(our_grant(1), a_grant(2))
        assert kept.outcome is Outcome.UNCHANGED
        assert any(grant_id(2) in each for each in kept.warnings)


DUES = st.sampled_from([None, EARLY, NOW, LATE])
AGES = st.sampled_from([None, CREATED, CREATED + timedelta(seconds=1)])
ENTRIES = st.lists(st.tuples(DUES, AGES), min_size=1, max_size=5)


@given(ENTRIES, DUES, st.randoms(use_true_random=False))
def test_after_granting_exactly_one_is_left_and_it_lasts_long_enough(
    entries: list[tuple[Any, Any]], due: datetime | None, chance: Any
) -> None:
    there = [our_grant(number, due=held, created=age) for number, (held, age) in enumerate(entries)]
    chance.shuffle(there)
    changes = plan(*there, due=due)
    ended = {change.grant_id for change in changes if change.action is Action.RETIRE}
    made = [change for change in changes if change.action is Action.CREATE]
    left = [each for each in there if each.grant_id not in ended]
    assert len(left) + len(made) == 1
    ends = [made[0].due] if made else [due_of(left[0])]
    longest = None if any(due_of(each) is None for each in there) else max(due_of(each) for each in there)  # type: ignore[type-var]
    wanted = longest if due is None or longest is None else max(longest, due)
    assert ends == [wanted]
    assert bool(made) is (longest is not None and due is not None and due > longest)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_rule_is_the_latest_due_then_the_oldest_then_the_lowest_id(
    entries: list[tuple[Any, Any]], chance: Any
) -> None:
    there = [our_grant(number, due=held, created=age) for number, (held, age) in enumerate(entries)]
    mixed = list(there)
    chance.shuffle(mixed)
    order = ranked(mixed)
    assert order == ranked(there)
    for first, second in pairwise(order):
        one, other = due_of(first), due_of(second)
        if one != other:
            assert one is None or (other is not None and one > other)
        elif first.created != second.created:
            assert second.created is None or (first.created is not None and first.created < second.created)
        else:
            assert first.grant_id < second.grant_id


class TestDuplicates:
    def made(self, due: datetime | None = None) -> GrantChange:
        return replace(plan(due=due)[0], grant_id=grant_id(9), outcome=Outcome.CHANGED)

    def test_of_the_same_case_and_terms(self) -> None:
        there = [our_grant(9, due=EARLY), our_grant(2, due=LATE), our_grant(3, case="IR-43"), a_grant(4)]
        kept, others = duplicates(self.made(EARLY), there)
        assert kept == there[1]
        assert others == [there[0]]

    def test_none_where_there_are_none(self) -> None:
        assert duplicates(self.made(), []) == (None, [])
        mine = our_grant(9)
        assert duplicates(self.made(), [mine]) == (mine, [])

    def test_none_of_a_grant_with_another_name_or_of_one_that_is_ended(self) -> None:
        assert duplicates(replace(self.made(), name="again/1"), [our_grant(1), our_grant(2)]) == (None, [])
        assert duplicates(replace(self.made(), action=Action.RETIRE), [our_grant(1), our_grant(2)]) == (None, [])

    @pytest.mark.parametrize(
        ("grant", "case", "expected"),
        [
            (our_grant(), CASE, True),
            (our_grant(due=LATE), CASE, True),
            (our_grant(), None, False),
            (our_grant(), "IR-43", False),
            (our_grant(operations=("Decrypt",)), CASE, False),
            (a_grant(operations=("Decrypt",), name=name_of(CASE)), CASE, False),
            (a_grant(), CASE, False),
        ],
    )
    def test_same_claim(self, grant: Grant, case: str | None, expected: bool) -> None:
        assert same_claim(grant, case, digest_of(KEY_ARN, CADO, FULL, {})) is expected


def test_key_problem_tells_reason_and_error_apart() -> None:
    skipped = key_problem(a_key(manager="AWS"))
    failed = key_problem(a_key(state="Disabled"))
    assert skipped is not None
    assert failed is not None
    assert isinstance(skipped[1], str)
    assert isinstance(failed[1], ErrorInfo)
