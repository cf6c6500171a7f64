"""--operations: the profiles, and lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import UsageError
from cado_ops.grant_operations import FULL, OPERATIONS, PROFILES, parse_operations

FIVE_ACTIONS = "kms:Encrypt,kms:Decrypt,kms:ReEncrypt*,kms:GenerateDataKey*,kms:CreateGrant,kms:DescribeKey"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, FULL),
        ("full", FULL),
        (FIVE_ACTIONS, FULL),
        ("no-create-grant", tuple(each for each in FULL if each != "CreateGrant")),
        ("ebs-direct", ("Decrypt", "DescribeKey")),
        ("Decrypt", ("Decrypt",)),
        ("DescribeKey,Decrypt", ("Decrypt", "DescribeKey")),
        (" Decrypt , DescribeKey ", ("Decrypt", "DescribeKey")),
        ("Decrypt,kms:Decrypt,Decrypt", ("Decrypt",)),
        ("ReEncrypt*", ("ReEncryptFrom", "ReEncryptTo")),
        ("GenerateDataKey*", ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext")),
        ("GenerateDataKeyPair", ("GenerateDataKeyPair",)),
    ],
)
def test_operations(text: str | None, expected: tuple[str, ...]) -> None:
    assert parse_operations(text, "--operations") == expected


def test_the_full_profile_is_the_five_documented_actions_with_describe_key() -> None:
    assert set(FULL) == {
        "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
        "CreateGrant", "DescribeKey",
    }  # fmt: skip
    assert all(set(profile) <= OPERATIONS and list(profile) == sorted(profile) for profile in PROFILES.values())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("decrypt", "Did you mean Decrypt?"),
        ("Decript", "Did you mean Decrypt?"),
        ("Sign", "asymmetric and HMAC keys"),
        ("kms:GenerateMac", "asymmetric and HMAC keys"),
        ("Decrypt,full", "stands alone"),
        ("kms:full", "stands alone"),
        ("Full", "Did you mean full?"),
        ("ebs_direct", "Did you mean ebs-direct?"),
        ("kms:*", "It takes full, no-create-grant, ebs-direct"),
        ("*", "It takes"),
        ("ReEncrypt", "ReEncrypt"),
        ("Decrypt\x1b[31m", ""),
    ],
)
def test_no_operations(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"^--operations: .* is no grant operation") as caught:
        parse_operations(text, "--operations")
    assert hint in (caught.value.hint or "")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", ["", "Decrypt,", ",", "Decrypt,,Encrypt"])
def test_an_empty_piece_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="an empty piece"):
        parse_operations(text, "--operations")


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_operations(text, "--operations")
    except UsageError:
        return
    assert found
    assert set(found) <= OPERATIONS
