"""Long lists put together: counts by group, and what in them needs a look. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cado_ops.model import Failure
from cado_ops.render.columns import Column, Item, Layout, field, sorted_failures
from cado_ops.render.fixes import joined, verb, without_ids
from cado_ops.render.text import count, plain

LONG = 40  # items shown one by one
MANY_GROUPS = 100  # groups shown region by region
_SHOWN_THEIR_WAY = ("role_arn", "grantee_principal")
LISTED = 25  # things listed of each kind of trouble
_BAD = ("failed", "drifted", "unknown", "denied")
_MILD = ("skipped", "warning", "warn", "info")


def is_long(items: Sequence[Item], layout: Layout) -> bool:
    return bool(layout.group) and len(items) > LONG


def grouped(items: Sequence[Item], layout: Layout) -> tuple[list[Item], Layout]:
    """One row for each group, with the number of its items; very many groups are put together by region."""
    keys = layout.group
    groups = _split(items, keys)
    if len(groups) > MANY_GROUPS:
        groups = _split(items, tuple(key for key in keys if key != "region"))
    return [_row(members, layout) for members in groups], replace(layout, columns=_columns(layout))


def _split(items: Sequence[Item], keys: Sequence[str]) -> list[list[Item]]:
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(plain(field(item, key)) for key in keys), []).append(item)
    return [groups[key] for key in sorted(groups)]


def _row(members: Sequence[Item], layout: Layout) -> Item:
    row: dict[str, Any] = {key: field(members[0], key) for key in layout.group}
    regions = {plain(item.get("region")) for item in members}
    if len(regions) > 1:
        row["region"] = count(len(regions), "region")
    for key in layout.sums:
        measured = [item[key] for item in members if item.get(key) is not None]
        row[key] = sum(measured) if measured else None
        if 0 < len(measured) < len(members):
            row[key] = f"{row[key]}+"  # at least: of some it is not known
    return {**row, "count": len(members)}


def _columns(layout: Layout) -> tuple[Column, ...]:
    known = {column.key: column for column in layout.columns}
    columns = []
    for key in layout.group:
        if key not in known:
            continue  # it keeps groups apart, and is shown in another column
        column = known[key]
        # In a row a nested field has become a plain key, and action and outcome each stand for themselves.
        show = column.show if key in _SHOWN_THEIR_WAY else _own(key)
        columns.append(replace(column, show=show, rank=0))
    sums = [column for column in layout.columns if column.key in layout.sums]
    return (*columns, *(sums or [Column("count", "count", number=True)]))


def _own(key: str) -> Callable[[Item], str]:
    return lambda row: plain(row[key])


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be known about one item or many."""

    kind: str  # the outcome, status or severity
    label: str
    text: str
    hint: str = ""


def remarks(item: Item) -> Iterator[tuple[Remark, str]]:
    """Why an item needs a look (it went wrong, a warning, a finding), each with the command that mends it."""
    outcome, error = plain(item.get("outcome")), item.get("error")
    if isinstance(error, Mapping):
        label = f"{outcome} {plain(error.get('code'))}".strip()
        yield Remark(outcome or "failed", label, plain(error.get("message")), plain(error.get("hint"))), ""
    elif outcome in _BAD:
        yield Remark(outcome, outcome, ""), ""
    for warning in item.get("warnings") or ():
        yield Remark("warning", "warning", plain(warning)), ""
    for found in item.get("findings") or ():
        if found.get("status") != "ok":
            yield _found(found, "status", "check", "detail"), plain(found.get("fix"))
    if item.get("severity"):
        yield _found(item, "severity", "rule", "message"), plain(item.get("fix"))


def _found(found: Mapping[str, Any], *keys: str) -> Remark:
    kind, name, text = (plain(found.get(key)) for key in keys)
    return Remark(kind, f"{kind} {name}", text)


@dataclass(slots=True)
class Remarked:
    """The items that one remark is about. Of remarks that differ only in ids, ``text`` has what is the same."""

    remark: Remark
    items: list[Item]
    text: str


@dataclass(slots=True)
class Together:
    """Remarks that the same commands mend, for different items."""

    remarks: list[Remarked]
    fixes: list[tuple[str, str]]  # account, command line


def remark_groups(items: Sequence[Item]) -> list[tuple[list[Together], int]]:
    """Remarks by label, the worst first; of each label at most LISTED items, and how many more there are.

    The fixes are for all items that are alike, listed or not: who pastes them is done with those.
    """
    groups: dict[str, dict[Remark, tuple[Remarked, list[tuple[str, str]]]]] = {}
    seen: dict[str, int] = {}
    for item in items:
        for remark, fix in remarks(item):
            label = remark.label
            seen[label] = seen.get(label, 0) + 1
            by_words = groups.setdefault(label, {})
            alike = replace(remark, text=without_ids(remark.text)) if "findings" in item else remark
            if seen[label] <= LISTED:
                same, _ = by_words.setdefault(alike, (Remarked(remark, [], remark.text), []))
                same.items.append(item)
                if remark.text != same.text:
                    same.text = alike.text
            if fix and alike in by_words:
                by_words[alike][1].append((plain(item.get("account")), fix))
    by_label = [
        (_together(list(by_words.values())), max(0, seen[label] - LISTED)) for label, by_words in groups.items()
    ]
    return sorted(by_label, key=lambda group: group[0][0].remarks[0].remark.kind in _MILD)


def _together(found: Sequence[tuple[Remarked, list[tuple[str, str]]]]) -> list[Together]:
    """Those first that came first; what is mended by the same command stands together."""
    groups: dict[object, tuple[list[Remarked], list[tuple[str, str]]]] = {}
    for same, fixes in found:
        mended = verb(fixes[0][1]) if fixes else None
        remarked, lines = groups.setdefault(mended or id(same), ([], []))
        remarked.append(same)
        lines += fixes
    return [Together(remarked, list(_joined(lines))) for remarked, lines in groups.values()]


def _joined(fixes: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """By account, as a command of the AWS CLI does not name its own."""
    for account in dict.fromkeys(account for account, _ in fixes):
        yield from ((account, line) for line in joined(line for owner, line in fixes if owner == account))


def failure_groups(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Failures that say the same of one account, in order: one group each."""
    groups: dict[tuple[Any, ...], list[Failure]] = {}
    for failure in sorted_failures(failures):
        groups.setdefault((failure.account, failure.stage, failure.error), []).append(failure)
    return list(groups.values())
