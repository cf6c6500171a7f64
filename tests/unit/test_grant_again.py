"""Undo and resume of grants: what a run did turned round, and what is left of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.model import Grant, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_again import resume_grant, undo_grant
from cado_ops.plan.grant_change import GrantChange, on_grant, on_key
from cado_ops.plan.records import check_scope_of
from tests.unit.grant_samples import (
    CADO,
    EARLY,
    GONE_ROLE,
    LATE,
    OPS,
    OTHER_OPS,
    a_grant,
    a_key,
    grant_id,
    name_of,
    our_grant,
)

CREATE = replace(
    on_key(a_key(), name_of(), Action.CREATE), name=name_of(), grantee_principal=CADO, retiring_principal=OPS,
    operations=our_grant().operations, owner=Owner.OURS, serves=("vol-1",),
)  # fmt: skip
MADE = replace(CREATE, grant_id=grant_id(1), outcome=Outcome.CHANGED)
RETIRE = on_grant(our_grant(), Action.RETIRE, owner=Owner.OURS)
RETIRED = RETIRE.ended(Outcome.CHANGED)


class TestUndoOfAGrant:
    def test_retires_it(self) -> None:
        undo = undo_grant(MADE, [our_grant(2, "IR-43"), our_grant(1)])
        assert (undo.action, undo.outcome) == (Action.RETIRE, Outcome.PLANNED)
        assert (undo.grant_id, undo.id) == (grant_id(1), grant_id(1))
        assert (undo.owner, undo.serves) == (Owner.OURS, ("vol-1",))
        check_scope_of(undo)

    def test_retires_it_though_its_grantee_is_gone(self) -> None:
        gone = a_grant(1, name=name_of(), grantee_principal=GONE_ROLE)
        assert undo_grant(MADE, [gone]).action is Action.RETIRE

    def test_whose_answer_was_lost_retires_it_where_it_is_there(self) -> None:
        lost = replace(MADE, grant_id=None, outcome=Outcome.UNKNOWN)
        assert undo_grant(lost, [our_grant(5)]).grant_id == grant_id(5)
        assert undo_grant(lost, [our_grant(5, due=LATE), a_grant(6)]).outcome is Outcome.UNCHANGED

    @pytest.mark.parametrize("live", [[], [our_grant(2)], [our_grant(2, due=LATE)]])
    def test_that_is_not_listed_is_retired_by_its_id(self, live: list[Grant]) -> None:
        """KMS may take five minutes to list it: RetireGrant says whether it is there. All others are left alone."""
        undo = undo_grant(MADE, live)
        assert (undo.action, undo.outcome, undo.id) == (Action.RETIRE, Outcome.PLANNED, grant_id(1))
        assert undo.grant_id == grant_id(1)

    def test_that_gave_way_by_its_result_leaves_the_other_alone_though_it_is_not_listed(self) -> None:
        undo = undo_grant(replace(MADE, outcome=Outcome.UNCHANGED), [])
        assert (undo.action, undo.outcome) == (Action.NONE, Outcome.UNCHANGED)

    @pytest.mark.parametrize(
        "kept", [our_grant(1, due=LATE), our_grant(1, retiring_principal=OTHER_OPS)], ids=["due", "retiring"]
    )
    def test_that_gave_way_to_anothers_leaves_that_one_alone(self, kept: Grant) -> None:
        """Two runs at once made two grants, and this run's own was ended: its result names the one kept."""
        undo = undo_grant(MADE, [kept])
        assert (undo.action, undo.outcome) == (Action.NONE, Outcome.UNCHANGED)
        assert "another run made" in undo.warnings[0]

    def test_whose_retiring_principal_is_shown_as_an_id_is_still_its_own(self) -> None:
        assert undo_grant(MADE, [our_grant(1, retiring_principal=GONE_ROLE)]).action is Action.RETIRE


class TestUndoOfARetirement:
    def test_grants_anew_and_says_that_the_id_is_new(self) -> None:
        undo = undo_grant(RETIRED, [])
        assert (undo.action, undo.outcome) == (Action.CREATE, Outcome.PLANNED)
        assert (undo.grant_id, undo.created, undo.issuing_account) == (None, None, None)
        for field in ("name", "grantee_principal", "retiring_principal", "operations", "constraints", "key_arn"):
            assert getattr(undo, field) == getattr(RETIRED, field)
        assert grant_id(1) in undo.warnings[0]
        assert "under a new id" in undo.warnings[0]
        check_scope_of(undo)

    def test_of_a_grant_without_a_name_gives_it_one_so_that_it_is_made_once(self) -> None:
        ended = on_grant(a_grant(), Action.REVOKE, owner=Owner.PLATFORM)
        one, other = undo_grant(ended, []), undo_grant(ended, [])
        assert one.name == other.name == f"again/{grant_id(1)}"
        assert undo_grant(ended, [a_grant(3, name=one.name)]).outcome is Outcome.UNCHANGED

    @pytest.mark.parametrize("live", [our_grant(1), our_grant(8)], ids=["itself", "anew"])
    def test_of_one_that_is_there_is_unchanged(self, live: Grant) -> None:
        """Where it is open whether it was ended at all."""
        undo = undo_grant(replace(RETIRED, outcome=Outcome.UNKNOWN), [live])
        assert (undo.action, undo.outcome, undo.grant_id) == (Action.NONE, Outcome.UNCHANGED, live.grant_id)

    def test_of_one_that_kms_took_and_lists_still_is_made_anew(self) -> None:
        """It will go within five minutes: it is not there again."""
        undo = undo_grant(replace(RETIRED, outcome=Outcome.CHANGED), [our_grant(1)])
        assert (undo.action, undo.outcome) == (Action.CREATE, Outcome.PLANNED)

    @pytest.mark.parametrize("live", [our_grant(8, due=LATE), our_grant(8, "IR-43"), a_grant(8)])
    def test_is_not_put_off_by_another(self, live: Grant) -> None:
        assert undo_grant(RETIRED, [live]).action is Action.CREATE

    def test_whose_grantee_is_gone_cannot_be_made(self) -> None:
        ended = on_grant(a_grant(grantee_principal=GONE_ROLE, name=name_of()), Action.RETIRE, owner=Owner.OURS)
        undo = undo_grant(ended, [])
        assert (undo.action, undo.outcome) == (Action.NONE, Outcome.FAILED)
        assert undo.error is not None
        assert undo.error.code == "GranteeGone"

    def test_waits_for_nothing(self) -> None:
        """The old grant of a prolongation was ended after the new one was made; that order is of the past."""
        assert undo_grant(replace(RETIRED, after=name_of(due=LATE)), []).after is None


class TestUndoOfAnUndo:
    def test_of_a_grant_grants_anew(self) -> None:
        undo = undo_grant(MADE, [our_grant(1)]).ended(Outcome.CHANGED)
        again = undo_grant(undo, [])
        assert (again.action, again.name) == (Action.CREATE, MADE.name)

    def test_of_a_retirement_retires_the_new_one(self) -> None:
        undo = replace(undo_grant(RETIRED, []), grant_id=grant_id(7), outcome=Outcome.CHANGED)
        again = undo_grant(undo, [our_grant(7)])
        assert (again.action, again.grant_id) == (Action.RETIRE, grant_id(7))


class TestResume:
    @pytest.mark.parametrize("begun", [False, True])
    def test_what_is_not_there_is_still_to_be_made(self, begun: bool) -> None:
        failed = replace(CREATE, outcome=Outcome.FAILED)
        assert resume_grant(failed, [our_grant(1, due=LATE), a_grant(2)], begun=begun) == CREATE

    @pytest.mark.parametrize(("begun", "outcome"), [(True, Outcome.UNKNOWN), (False, Outcome.UNCHANGED)])
    def test_what_was_made_is_looked_at_again_or_somebody_elses(self, begun: bool, outcome: Outcome) -> None:
        change = resume_grant(CREATE, [our_grant(4)], begun=begun)
        assert (change.action, change.outcome, change.grant_id) == (Action.CREATE, outcome, grant_id(4))

    @pytest.mark.parametrize("begun", [False, True])
    @pytest.mark.parametrize("action", [Action.RETIRE, Action.REVOKE])
    def test_what_is_there_is_still_to_be_ended(self, begun: bool, action: Action) -> None:
        change = replace(RETIRE, action=action)
        assert resume_grant(change, [our_grant(1), our_grant(2)], begun=begun) == change

    @pytest.mark.parametrize(("begun", "outcome"), [(True, Outcome.UNKNOWN), (False, Outcome.UNCHANGED)])
    def test_what_was_ended_is_looked_at_again_or_somebody_elses(self, begun: bool, outcome: Outcome) -> None:
        assert resume_grant(RETIRE, [our_grant(2)], begun=begun).outcome is outcome

    @pytest.mark.parametrize(
        "live",
        [
            our_grant(1, due=EARLY),
            our_grant(1, "IR-43"),
            a_grant(1),
            our_grant(1, operations=("Decrypt",)),
            a_grant(1, name=name_of(), operations=("Decrypt",)),
            a_grant(1, name=name_of(), constraints={"SourceArn": "x"}),
        ],
    )
    @pytest.mark.parametrize("begun", [False, True])
    def test_a_grant_that_is_another_than_was_planned_is_left_alone(self, live: Grant, begun: bool) -> None:
        change = resume_grant(RETIRE, [live], begun=begun)
        assert change.outcome is Outcome.DRIFTED
        assert "left alone" in change.warnings[0]


LIVE: Any = st.lists(
    st.sampled_from([our_grant(1), our_grant(2), our_grant(1, due=LATE), a_grant(1), our_grant(3, "IR-43")]),
    max_size=3,
)


@given(st.sampled_from([CREATE, RETIRE, replace(RETIRE, action=Action.REVOKE)]), LIVE, st.booleans())
def test_what_is_resumed_is_never_another_change(change: GrantChange, live: list[Grant], begun: bool) -> None:
    again = resume_grant(change, live, begun=begun)
    assert (again.action, again.id, again.key_arn) == (change.action, change.id, change.key_arn)
    if change.action is not Action.CREATE:
        assert again.grant_id == change.grant_id


@given(LIVE)
def test_undo_ends_only_what_the_run_made(live: list[Grant]) -> None:
    undo = undo_grant(MADE, live)
    if undo.outcome is Outcome.PLANNED:
        assert (undo.grant_id, undo.name) == (MADE.grant_id, MADE.name)
