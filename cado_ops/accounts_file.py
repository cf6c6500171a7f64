"""The accounts file of ``--accounts-file``: a list of accounts, or Cado's own CSV.

A list has an account id or an ARN a line; of an ARN only the account counts. Cado's CSV has the header
``roleArn,alias`` and names each account's Cado role, which this program works for and never assumes. In both,
empty lines and lines that begin with ``#`` are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from cado_ops.arns import (
    ACCOUNT_ID,
    PARTITION,
    ROLE_NAME,
    ROLE_PATH,
    bounded,
    parse_account_id,
    parse_role_arn,
    shown,
)
from cado_ops.errors import UsageError
from cado_ops.model import Account

# Service Authorization Reference: the ARNs of IAM, Account Management and Organizations. In the last one the
# account in the middle is the management account, and the one that is meant stands at the end.
_ARNS = (
    re.compile(rf"arn:{PARTITION}:iam::({ACCOUNT_ID}):(?:root|role{ROLE_PATH}{ROLE_NAME})"),
    re.compile(rf"arn:{PARTITION}:account::({ACCOUNT_ID}):account"),
    re.compile(rf"arn:{PARTITION}:organizations::{ACCOUNT_ID}:account/o-[a-z0-9]{{10,32}}/({ACCOUNT_ID})"),
)
# No blanks before it in the pattern: of a line of a million blanks each would be a beginning.
_COMMENT = re.compile(r"(?<=\s)#.*")


def parse_accounts(text: str, where: str) -> list[Account]:
    """The accounts of a file, in its order, each once."""
    text = bounded(text, where)
    lines = re.split(r"\r\n|\r|\n", text)  # as editors count; splitlines() knows many more
    first = next((line for line in lines if not _is_left_out(line)), "")
    is_csv = "rolearn" in _header(first)
    entries = _from_csv(lines, where) if is_csv else _from_list(lines, where)
    accounts: dict[str, Account] = {}
    for line, account in entries:
        known = accounts.setdefault(account.account_id, account)
        if known.cado_role_arn != account.cado_role_arn:
            raise UsageError(
                f"{where}:{line}: account {account.account_id} again, with another role "
                f"({shown(account.cado_role_arn, 100)}, before it was {shown(known.cado_role_arn, 100)})",
                "An account has one Cado role; leave one line.",
            )
    if not accounts:
        raise UsageError(
            f"{where}: no accounts in it", "Expected: an account id or an ARN a line, or roleArn,alias."
        )
    return list(accounts.values())


def _is_left_out(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _header(line: str) -> list[str]:
    return _trimmed([name.strip().strip('"').strip().lower() for name in line.split(",")])


def _trimmed(cells: list[str]) -> list[str]:
    """The cells without the empty ones that spreadsheets leave at a line's end."""
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _from_list(lines: list[str], where: str) -> Iterator[tuple[int, Account]]:
    for number, line in enumerate(lines, 1):
        if not _is_left_out(line):
            entry = _COMMENT.sub("", line).strip()
            yield number, Account(_account_of(entry, f"{where}:{number}"))


def _account_of(entry: str, where: str) -> str:
    for pattern in _ARNS:
        if match := pattern.fullmatch(entry):
            return match[1]
    if re.match(rf"(?:{ACCOUNT_ID}|arn:[^,;]*)[,;]", entry):
        raise UsageError(
            f"{where}: {shown(entry)} has columns, and there is no header",
            "A file with columns begins with the header roleArn,alias, and has commas between them.",
        )
    if entry.startswith("arn:"):
        raise UsageError(
            f"{where}: {shown(entry, 100)} is no ARN of an account or a role",
            "Expected: arn:aws:iam::ACCOUNT:role/NAME, arn:aws:iam::ACCOUNT:root, "
            "arn:aws:account::ACCOUNT:account or arn:aws:organizations::…:account/o-…/ACCOUNT",
        )
    return parse_account_id(entry, where)


def _from_csv(lines: list[str], where: str) -> Iterator[tuple[int, Account]]:
    """The rows below the header. A record is one line: no role and no alias goes over several."""
    columns: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if _is_left_out(line):
            continue
        at = f"{where}:{number}"
        if columns is None:
            columns = _columns(_header(line), at)
            continue
        cells = _cells(line, at)
        if not cells:
            continue  # what a spreadsheet leaves of an emptied row
        if len(cells) > len(columns):
            raise UsageError(f"{at}: {len(cells)} columns, and the header has {len(columns)}")
        row = dict(zip(columns, cells, strict=False))
        role = parse_role_arn(row.get("rolearn", ""), at, name_option="--cado-role")
        yield number, Account(role.account, row.get("alias") or None, role.arn)


def _columns(names: list[str], where: str) -> list[str]:
    for name in names:
        if name not in ("rolearn", "alias"):
            raise UsageError(f"{where}: an unknown column {shown(name)}", "The header is roleArn,alias.")
    if len(set(names)) != len(names):
        raise UsageError(f"{where}: a column stands twice in the header", "The header is roleArn,alias.")
    return names


def _cells(line: str, where: str) -> list[str]:
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as error:
        raise UsageError(f"{where}: {shown(line)} is no line of CSV ({error})") from None
    return _trimmed([cell.strip() for cell in rows[0]])
