"""Whose a grant is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.model import Grant, Owner
from cado_ops.plan.ownership import is_unique_id, owner_of
from tests.unit.grant_samples import (
    ACCOUNT,
    CADO,
    CONSTRAINTS,
    EBS,
    GONE_ROLE,
    GRANTEES,
    KEY_ARN,
    LATE,
    OPERATION_SETS,
    OPS,
    OTHER_KEY,
    OTHER_OPS,
    SERVICES,
    a_grant,
    name_of,
    our_grant,
)

SSO = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Ops_0123456789abcdef"


def owner(grant: Grant) -> Owner:
    return owner_of(grant, {CADO}, {OPS})


@given(GRANTEES, OPERATION_SETS, CONSTRAINTS, st.none() | st.just(LATE), st.none() | st.just("IR-42"))
def test_ours_is_what_has_the_hash_of_its_terms_unless_a_service_holds_it(
    grantee: str, operations: tuple[str, ...], constraints: dict[str, object], due: object, case: str | None
) -> None:
    grant = our_grant(1, case, due, grantee_principal=grantee, operations=operations, constraints=constraints)  # type: ignore[arg-type]
    served = owner(replace(grant, name=None)) is Owner.SERVICE
    assert owner(grant) is (Owner.SERVICE if served else Owner.OURS)


@given(SERVICES)
def test_a_services_grant_is_a_services_whatever_its_name(principal: str) -> None:
    assert owner(our_grant(grantee_principal=principal)) is Owner.SERVICE
    assert owner(our_grant(grantee_principal=None, grantee_service=principal)) is Owner.SERVICE
    assert owner_of(our_grant(grantee_principal=principal), {principal}, {OPS}) is Owner.SERVICE


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (our_grant(), Owner.OURS),
        (our_grant(case=None), Owner.OURS),
        (our_grant(due=LATE), Owner.OURS),
        (our_grant(retiring_principal=OTHER_OPS), Owner.OURS),
        (our_grant(retiring_principal=None), Owner.OURS),
        (our_grant(grantee_principal=f"arn:aws:iam::{ACCOUNT}:role/Payroll"), Owner.OURS),
        (our_grant(grantee_principal=SSO), Owner.OURS),
        (a_grant(), Owner.PLATFORM),
        (a_grant(name="made by hand"), Owner.PLATFORM),
        (a_grant(name=name_of(operations=("Decrypt",))), Owner.PLATFORM),
        (a_grant(name=name_of(key_arn=OTHER_KEY)), Owner.PLATFORM),
        (a_grant(name=name_of(grantee=CADO + "2")), Owner.PLATFORM),
        (a_grant(name=name_of(constraints={"EncryptionContextSubset": {"a": "b"}})), Owner.PLATFORM),
        (a_grant(name=name_of() + "0"), Owner.PLATFORM),
        (a_grant(grantee_principal=CADO + "2", name=name_of()), Owner.OTHER),
        (a_grant(grantee_principal=CADO.lower()), Owner.OTHER),
        (a_grant(grantee_principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoResponseRole/x"), Owner.OTHER),
        (a_grant(grantee_principal=None), Owner.OTHER),
        (a_grant(grantee_principal=SSO), Owner.OTHER),
        (our_grant(grantee_principal=EBS), Owner.SERVICE),
        (a_grant(grantee_principal=None, grantee_service="backup.amazonaws.com"), Owner.SERVICE),
        (a_grant(grantee_principal=GONE_ROLE, name=name_of()), Owner.OURS),
        (a_grant(grantee_principal=GONE_ROLE, name=name_of(case=None, due=LATE)), Owner.OURS),
        (a_grant(grantee_principal=GONE_ROLE, name=name_of(), retiring_principal=OTHER_OPS), Owner.OTHER),
        (a_grant(grantee_principal=GONE_ROLE, name=name_of(), retiring_principal=None), Owner.OTHER),
        (a_grant(grantee_principal=GONE_ROLE), Owner.OTHER),
        (a_grant(grantee_principal=GONE_ROLE, name="cado-ops/A/-/0"), Owner.OTHER),
    ],
)
def test_whose(grant: Grant, expected: Owner) -> None:
    assert owner(grant) is expected


def test_constraints_that_aws_answers_empty_change_nothing() -> None:
    assert owner(replace(our_grant(), constraints={"EncryptionContextSubset": {}})) is Owner.OURS


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (GONE_ROLE, True),
        ("AIDA0123456789ABCDEF", True),
        (None, False),
        ("", False),
        (CADO, False),
        ("aroa0123456789abcdefg", False),
        ("AROA", False),
        (GONE_ROLE + "\n", False),
        ("EBSA.amazonaws.com", False),
    ],
)
def test_unique_ids(principal: str | None, expected: bool) -> None:
    assert is_unique_id(principal) is expected


def test_the_key_is_part_of_what_makes_a_grant_ours() -> None:
    """The name of a grant on another key, copied: a prefix alone proves nothing."""
    assert owner(our_grant(key_arn=OTHER_KEY)) is Owner.OURS
    assert owner(a_grant(key_arn=OTHER_KEY, name=name_of(key_arn=KEY_ARN))) is Owner.PLATFORM
