"""The accounts file: a list, or Cado's CSV."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.accounts_file import parse_accounts
from cado_ops.errors import UsageError
from cado_ops.model import Account

ONE, TWO = "111111111111", "222222222222"
ROLE_ONE = f"arn:aws:iam::{ONE}:role/CadoResponseRole"
ROLE_TWO = f"arn:aws:iam::{TWO}:role/stack/CadoResponseRole-X1"
LISTED = [Account(ONE), Account(TWO)]
NAMED = [Account(ONE, "production", ROLE_ONE), Account(TWO, None, ROLE_TWO)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ONE}\n{TWO}\n", LISTED),
        (f"\ufeff# ours\r\n\r\n  {ONE}  # production\r\n{TWO}", LISTED),
        (f"{ONE}\n{TWO}\n{ONE}\n", LISTED),
        (f"{ROLE_ONE}\narn:aws-cn:iam::{TWO}:root", LISTED),
        (f"arn:aws:account::{ONE}:account\narn:aws:organizations::999999999999:account/o-abcde12345/{TWO}", LISTED),
        (f"{ROLE_ONE}\n{ONE}\n{TWO}", LISTED),
        (f"roleArn,alias\n{ROLE_ONE},production\n{ROLE_TWO},\n", NAMED),
        (f"\ufeffroleArn,alias\r\n{ROLE_ONE},production\r\n{ROLE_TWO}\r\n", NAMED),
        (f'"rolearn" , "Alias"\n"{ROLE_ONE}","production"\n\n# later\n{ROLE_TWO}, \n', NAMED),
        (f"alias,RoleArn\nproduction,{ROLE_ONE}\n,{ROLE_TWO}\n", NAMED),
        (f"roleArn,alias,,\n{ROLE_ONE},production,,\n,,,\n{ROLE_TWO},,,\n", NAMED),
        (f"roleArn\n{ROLE_TWO}\n", NAMED[1:]),
        (f'roleArn,alias\n{ROLE_ONE},"a, ""b"""\n', [Account(ONE, 'a, "b"', ROLE_ONE)]),
        (f"roleArn,alias\n{ROLE_ONE},production\n{ROLE_ONE},again\n", NAMED[:1]),
    ],
)
def test_accounts(text: str, expected: list[Account]) -> None:
    assert parse_accounts(text, "accounts.csv") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "accounts.csv: no accounts"),
        ("\n# nothing\n", "accounts.csv: no accounts"),
        ("roleArn,alias\n", "accounts.csv: no accounts"),
        (f"{ONE}\n1234\n", "accounts.csv:2: '1234' is no account id"),
        (f"{ONE}\rabc", "accounts.csv:2: 'abc'"),
        (f"{ONE}\x0babc", "accounts.csv:1: "),
        (f"{ONE} {TWO}", "accounts.csv:1: "),
        (f"{ONE},production", "accounts.csv:1: '111111111111,production' has columns"),
        (f"{ROLE_ONE};production", "accounts.csv:1: 'arn:aws:iam::111111111111:role/CadoResponseRole;"),
        ("arn:aws:s3:::bucket", "accounts.csv:1: 'arn:aws:s3:::bucket' is no ARN of an account"),
        (f"arn:aws:ec2:eu-west-1:{ONE}:instance/i-0123456789abcdef0", "accounts.csv:1: "),
        ("arn:aws:organizations::999999999999:account/o-abcde12345/x", "accounts.csv:1: "),
        (f"roleArn;alias\n{ROLE_ONE};x", "accounts.csv:1: "),
        (f"roleArn,owner\n{ROLE_ONE},x", "accounts.csv:1: an unknown column 'owner'"),
        (f"roleArn,roleArn\n{ROLE_ONE},x", "accounts.csv:1: a column stands twice"),
        (f"roleArn,alias\n\n{ROLE_ONE},x,y\n", "accounts.csv:3: 3 columns"),
        ("roleArn,alias\n,production\n", "accounts.csv:2: '' is no role's ARN"),
        ("roleArn,alias\nCadoResponseRole,production\n", "accounts.csv:2 takes an ARN"),
        (f"roleArn,alias\n{ONE},production\n", "accounts.csv:2"),
        (f'roleArn,alias\n{ROLE_ONE},"production\n', "accounts.csv:2: "),
        (f"roleArn,alias\n{ROLE_ONE},a\n{ROLE_ONE}2,b\n", "accounts.csv:3: account 111111111111 again"),
        ("roleArn,alias\n\x00\n", "accounts.csv:2"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_accounts(text, "accounts.csv")
    assert caught.value.message.startswith(message)
    assert caught.value.message.isprintable()


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(UsageError, match="16 MiB"):
        parse_accounts("#" * (16 * 1024**2 + 1), "f")


@given(st.lists(st.from_regex("[0-9]{12}", fullmatch=True), min_size=1, unique=True))
def test_ids_round_trip(ids: list[str]) -> None:
    assert [account.account_id for account in parse_accounts("\n".join(ids), "f")] == ids


def refusal(call: Callable[[], object]) -> UsageError | None:
    """The refusal of an input, or None where it was read. Any other exception is a bug and comes through."""
    try:
        call()
    except UsageError as error:
        return error
    return None


PIECES = st.sampled_from(
    [ONE, ROLE_ONE, "roleArn", "alias", ",", ";", '"', "\r", "\n", "#", " ", "\x00", "arn:", "\ud800"]
)


@given(st.text() | st.lists(PIECES).map("".join) | st.lists(PIECES).map(lambda p: "roleArn,alias\n" + "".join(p)))
def test_any_text_is_read_or_refused(text: str) -> None:
    error = refusal(lambda: parse_accounts(text, "f"))
    assert error is None or error.message.isprintable()
