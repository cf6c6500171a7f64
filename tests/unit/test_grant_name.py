"""The names of our grants: built and read back for everything that can be granted, and for nothing else."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.grant_name import GrantName, digest_of, parse_grant_name
from cado_ops.grant_operations import FULL
from tests.unit.grant_samples import (
    CADO,
    CASES,
    CONSTRAINTS,
    DUES,
    GRANTEES,
    KEY_ARN,
    KEY_ARNS,
    OPERATION_SETS,
    OTHER_KEY,
)

# KMS API reference, CreateGrant, Name.
KMS_NAME = re.compile(r"[a-zA-Z0-9:/_-]{1,256}")
DIGEST = "0123456789abcdef" * 4
TERMS = st.tuples(KEY_ARNS, GRANTEES, OPERATION_SETS, CONSTRAINTS)


@given(st.none() | CASES, st.none() | DUES, TERMS)
def test_a_name_is_built_and_read_back(case: str | None, due: datetime | None, terms: Any) -> None:
    name = GrantName(case, due, digest_of(*terms))
    assert parse_grant_name(str(name)) == name
    assert KMS_NAME.fullmatch(str(name))


def test_the_longest_name_has_room() -> None:
    longest = str(GrantName("x" * 40, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), DIGEST))
    assert len(longest) == 135
    assert parse_grant_name(longest) is not None


def test_a_due_time_of_another_zone_is_the_same_time() -> None:
    there = datetime(2026, 11, 26, 19, tzinfo=timezone(timedelta(hours=1)))
    assert str(GrantName("A", there, DIGEST)) == f"cado-ops/A/2026-11-26T18:00:00Z/{DIGEST}"


@given(TERMS, TERMS)
def test_different_terms_never_share_a_digest(one: Any, other: Any) -> None:
    assert (digest_of(*one) == digest_of(*other)) is (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"key_arn": OTHER_KEY},
        {"grantee": CADO + "2"},
        {"operations": FULL[1:]},
        {"operations": (*FULL, "RetireGrant")},
        {"constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}},
        {"constraints": {"EncryptionContextEquals": {"aws:ebs:id": "vol-1"}}},
        {"constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-2"}}},
        {"constraints": {"SourceArn": "arn:aws:s3:::b"}},
    ],
    ids=str,
)
def test_one_difference_is_another_digest(change: dict[str, Any]) -> None:
    """The same, where the two are as near as can be; generated ones hardly ever are."""
    terms: dict[str, Any] = {"key_arn": KEY_ARN, "grantee": CADO, "operations": FULL, "constraints": {}}
    with_subset = terms | {"constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-3"}}}
    changed = digest_of(**(terms | change))
    assert changed != digest_of(**terms)
    assert changed != digest_of(**with_subset)


@given(TERMS, st.randoms(use_true_random=False))
def test_the_order_of_operations_and_constraints_does_not_matter(terms: Any, chance: random.Random) -> None:
    key, grantee, operations, constraints = terms
    shuffled = list(operations) * 2
    chance.shuffle(shuffled)
    turned = {
        name: value if isinstance(value, str) else dict(reversed(value.items()))
        for name, value in reversed(constraints.items())
    }
    assert digest_of(key, grantee, shuffled, turned) == digest_of(*terms)


def test_an_empty_constraint_is_none() -> None:
    """AWS may answer with one that was never given."""
    empty = {"EncryptionContextSubset": {}, "EncryptionContextEquals": None}
    assert digest_of(KEY_ARN, CADO, FULL, empty) == digest_of(KEY_ARN, CADO, FULL, {})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "cado-ops",
        f"cado-ops/A/{DIGEST}",
        f"cado-ops/A/-/{DIGEST[1:]}",
        f"cado-ops/A/-/{DIGEST}0",
        f"cado-ops/A/-/{DIGEST.upper()}",
        f"cado-ops/A/-/{DIGEST}\n",
        f" cado-ops/A/-/{DIGEST}",
        f"CADO-OPS/A/-/{DIGEST}",
        f"cado-ops2/A/-/{DIGEST}",
        f"x/cado-ops/A/-/{DIGEST}",
        f"cado-ops/A/B/-/{DIGEST}",
        f"cado-ops/A B/-/{DIGEST}",
        f"cado-ops/Fäll/-/{DIGEST}",
        f"cado-ops/{'x' * 41}/-/{DIGEST}",
        f"cado-ops/A//{DIGEST}",
        f"cado-ops/A/--/{DIGEST}",
        f"cado-ops/A/2026-11-26/{DIGEST}",
        f"cado-ops/A/2026-11-26T18:00:00/{DIGEST}",
        f"cado-ops/A/2026-11-26t18:00:00z/{DIGEST}",
        f"cado-ops/A/2026-11-26T18:00:00+00:00/{DIGEST}",
        f"cado-ops/A/2026-11-26T18:00:00.5Z/{DIGEST}",
        f"cado-ops/A/2026-02-31T18:00:00Z/{DIGEST}",
        f"cado-ops/A/2026-11-26T24:00:00Z/{DIGEST}",
        f"cado-ops/A/2026-11-26T23:59:60Z/{DIGEST}",
        f"cado-ops/A/0000-11-26T23:59:59Z/{DIGEST}",
        f"cado-ops/A/٢٠٢٦-11-26T18:00:00Z/{DIGEST}",
    ],
)
def test_no_name_of_ours(text: str | None) -> None:
    assert parse_grant_name(text) is None


@given(st.text(alphabet="cado-ops/A:TZ0123456789abcdef_", max_size=140))
def test_any_text_is_a_name_to_the_letter_or_none(text: str) -> None:
    for each in (text, f"cado-ops/{text}/{DIGEST}", f"cado-ops/A/{text}"):
        parsed = parse_grant_name(each)
        assert parsed is None or str(parsed) == each
