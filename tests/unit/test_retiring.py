"""What kms retire ends, and above all what it never does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cado_ops.grant_name import GrantName, digest_of, parse_grant_name
from cado_ops.model import Grant, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.ownership import owner_of
from cado_ops.plan.retiring import RetireWish, plan_retire, remarks_on
from tests.unit.grant_samples import (
    CADO,
    CONSTRAINTS,
    EARLY,
    EBS,
    GONE_ROLE,
    GRANTEES,
    KEY_ARN,
    KEY_ARNS,
    LATE,
    NOW,
    OPERATION_SETS,
    OPS,
    OTHER_KEY,
    OTHER_OPS,
    SERVICES,
    a_grant,
    grant_id,
    name_of,
    our_grant,
)

MAYBE_CASE = st.sampled_from([None, "IR-42", "IR-43"])
MAYBE_DUE = st.sampled_from([None, EARLY, NOW, LATE])


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """Any grant: its name may be none, anybody's, ours, ours of other terms, or ours with a bit turned."""
    terms: dict[str, Any] = {
        "key_arn": draw(KEY_ARNS),
        "grantee_principal": draw(st.none() | GRANTEES),
        "operations": draw(OPERATION_SETS),
        "constraints": draw(CONSTRAINTS),
    }
    own = digest_of(terms["key_arn"], terms["grantee_principal"] or "", terms["operations"], terms["constraints"])
    digest = draw(
        st.sampled_from(
            [
                own,
                own[:-1] + ("0" if own[-1] != "0" else "1"),
                "0" * 64,
                digest_of(KEY_ARN, CADO, terms["operations"], {}),
                digest_of(OTHER_KEY, CADO, terms["operations"], {}),
            ]
        )
    )
    ours = str(GrantName(draw(MAYBE_CASE), draw(MAYBE_DUE), digest))
    return a_grant(
        draw(st.integers(1, 3)),
        name=draw(st.sampled_from([ours, ours, ours, None, "", "cado-ops/IR-42/-/x", ours[:-1], ours + "0"])),
        retiring_principal=draw(st.sampled_from([OPS, OTHER_OPS, None])),
        grantee_service=draw(st.none() | st.none() | SERVICES),
        **terms,
    )


@st.composite
def wishes(draw: st.DrawFn) -> RetireWish:
    return RetireWish(
        ids=frozenset(draw(st.sets(st.integers(1, 3).map(grant_id)))),
        of_case=draw(MAYBE_CASE),
        expired_at=draw(st.none() | st.just(NOW)),
        revoke=draw(st.booleans()),
        include_platform=draw(st.booleans()),
    )


def may_be_ended(grant: Grant, wish: RetireWish) -> bool:
    """docs/reference.md and the contract, said a second time and in other words."""
    principal = grant.grantee_principal or ""
    if grant.grantee_service is not None or "assumed-role/aws:" in principal or "aws-service-role" in principal:
        return False
    if principal and "arn:" not in principal and "." in principal:
        return False  # a service's name
    if principal == CADO and wish.include_platform and grant.grant_id in wish.ids:
        return True
    parts = (grant.name or "").split("/")
    if len(parts) != 4 or parts[0] != "cado-ops" or parse_grant_name(grant.name) is None:
        return False
    same_hash = parts[3] == digest_of(grant.key_arn, principal, grant.operations, grant.constraints)
    shown_as_id = principal[:4] in ("AROA", "AIDA") and grant.retiring_principal == OPS
    if not (same_hash or shown_as_id):
        return False
    if grant.grant_id in wish.ids:
        return True
    if wish.of_case is None and wish.expired_at is None:
        return False
    of_case = wish.of_case is None or parts[1] == wish.of_case
    due = None if parts[2] == "-" else datetime.fromisoformat(parts[2])
    return of_case and (wish.expired_at is None or (due is not None and due <= wish.expired_at))


@given(grants(), wishes())
@example(our_grant(grantee_principal=EBS), RetireWish(frozenset({grant_id(1)}), include_platform=True))
@example(our_grant(grantee_principal="rds.amazonaws.eu"), RetireWish(of_case="IR-42"))
@example(a_grant(), RetireWish(frozenset({grant_id(1)}), include_platform=True))
@example(a_grant(name=name_of(key_arn=OTHER_KEY)), RetireWish(of_case="IR-42"))
@example(a_grant(name=name_of(), grantee_principal=GONE_ROLE), RetireWish(of_case="IR-42"))
@example(our_grant(due=EARLY), RetireWish(of_case="IR-42", expired_at=NOW))
def test_retire_never_selects_what_is_not_ours(grant: Grant, wish: RetireWish) -> None:
    change = plan_retire(grant, owner_of(grant, {CADO}, {OPS}), wish, OPS)
    ended = change is not None and change.outcome is Outcome.PLANNED
    assert ended is may_be_ended(grant, wish)
    if ended:
        assert change is not None
        assert change.action is (Action.REVOKE if wish.revoke else Action.RETIRE)
        assert (change.key_arn, change.grant_id, change.id) == (grant.key_arn, grant.grant_id, grant.grant_id)
    elif change is not None:
        # It was named by its id: that it is left alone is said, as a failure.
        assert (change.action, change.outcome) == (Action.NONE, Outcome.FAILED)
        assert grant.grant_id in wish.ids
        assert change.error is not None
        assert change.error.code == "NotOurs"
    else:
        assert grant.grant_id not in wish.ids


def planned(grant: Grant, wish: RetireWish) -> bool:
    change = plan_retire(grant, owner_of(grant, {CADO}, {OPS}), wish, OPS)
    return change is not None and change.outcome is Outcome.PLANNED


@pytest.mark.parametrize(
    ("grant", "wish", "expected"),
    [
        (our_grant(), RetireWish(), False),
        (our_grant(), RetireWish(of_case="IR-42"), True),
        (our_grant(), RetireWish(of_case="IR-4"), False),
        (our_grant(case="ir-42"), RetireWish(of_case="IR-42"), False),
        (our_grant(case=None), RetireWish(of_case="IR-42"), False),
        (our_grant(case=None, due=EARLY), RetireWish(expired_at=NOW), True),
        (our_grant(due=NOW), RetireWish(expired_at=NOW), True),
        (our_grant(due=NOW + timedelta(seconds=1)), RetireWish(expired_at=NOW), False),
        (our_grant(), RetireWish(expired_at=NOW), False),
        (our_grant(due=LATE), RetireWish(of_case="IR-42", expired_at=NOW), False),
        (our_grant(case="IR-43", due=EARLY), RetireWish(of_case="IR-42", expired_at=NOW), False),
        (our_grant(case="IR-43"), RetireWish(ids=frozenset({grant_id(1)})), True),
        (our_grant(2), RetireWish(ids=frozenset({grant_id(1)})), False),
        (our_grant(retiring_principal=OTHER_OPS), RetireWish(of_case="IR-42"), True),
        (a_grant(), RetireWish(ids=frozenset({grant_id(1)})), False),
        (a_grant(), RetireWish(ids=frozenset({grant_id(1)}), include_platform=True), True),
        (a_grant(), RetireWish(ids=frozenset({grant_id(2)}), include_platform=True), False),
        (a_grant(), RetireWish(of_case="IR-42", expired_at=NOW, include_platform=True), False),
    ],
)
def test_what_is_selected(grant: Grant, wish: RetireWish, expected: bool) -> None:
    assert planned(grant, wish) is expected


@pytest.mark.parametrize(
    ("owner", "words", "hint"),
    [
        (Owner.SERVICE, "AWS service", None),
        (Owner.OTHER, "somebody else", None),
        (Owner.PLATFORM, "Cado role", "--include-platform"),
    ],
)
def test_why_a_grant_that_was_named_is_left_alone(owner: Owner, words: str, hint: str | None) -> None:
    change = plan_retire(a_grant(), owner, RetireWish(frozenset({grant_id(1)})), OPS)
    assert change is not None
    assert change.error is not None
    assert words in change.error.message
    assert (hint or "") in (change.error.hint or "")
    assert (change.error.hint is None) is (hint is None)


@pytest.mark.parametrize("owner", [Owner.SERVICE, Owner.OTHER])
def test_include_platform_is_for_the_platform_alone(owner: Owner) -> None:
    wish = RetireWish(frozenset({grant_id(1)}), include_platform=True)
    change = plan_retire(a_grant(), owner, wish, OPS)
    assert change is not None
    assert change.outcome is Outcome.FAILED
    assert change.error is not None
    assert change.error.hint is None


@pytest.mark.parametrize(
    ("retiring", "caller", "revoke", "warned"),
    [
        (OPS, OPS, False, False),
        (OTHER_OPS, OPS, False, True),
        (None, OPS, False, True),
        (OPS, None, False, True),
        (OTHER_OPS, OPS, True, False),
    ],
)
def test_a_grant_that_another_may_retire_says_so(
    retiring: str | None, caller: str | None, revoke: bool, warned: bool
) -> None:
    grant = our_grant(retiring_principal=retiring)
    change = plan_retire(grant, Owner.OURS, RetireWish(of_case="IR-42", revoke=revoke), caller)
    assert change is not None
    assert bool(change.warnings) is warned
    if warned:
        assert (retiring or "nobody in particular") in change.warnings[0]


def test_a_grantee_shown_as_an_id_is_remarked_on() -> None:
    assert remarks_on(our_grant()) == ()
    [remark] = remarks_on(a_grant(grantee_principal=GONE_ROLE))
    assert GONE_ROLE in remark
