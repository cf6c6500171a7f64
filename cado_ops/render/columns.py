"""Which fields of an item are shown, for each command: in csv, in tables, and in what order.

Field names are those of docs/reference.md; a dotted name reaches into a dictionary (``routes.triage``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cado_ops.model import Failure
from cado_ops.render.text import ago, plain
from cado_ops.visible import sanitize

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Rank 0 is always shown; where room is short, higher ranks go first.

    ``least`` 0 means: never cut. Otherwise the text may be cut with an ellipsis, down to that width. ``short``: on
    a screen, of whatever width, the beginning is enough. A column that may be cut has ``ease``, or all it needs,
    before another column is let in.
    """

    header: str
    key: str
    rank: int = 0
    least: int = 0
    show: Callable[[Item], str] | None = None
    number: bool = False
    short: int = 0
    ease: int = 32

    def text(self, item: Item) -> str:
        # Once more of a part: what it begins with may be a mark that stood on a letter.
        return sanitize(self.show(item)) if self.show else plain(field(item, self.key))


@dataclass(frozen=True, slots=True)
class Layout:
    """How the items of a command are written.

    ``sort``: the fields that order them. ``group``: what a long list is counted by (nothing: never grouped);
    ``sums``: fields that are added up in a group. ``listing``: each item is shown as a list, field by field.
    """

    fields: tuple[str, ...]
    sort: tuple[str, ...]
    columns: tuple[Column, ...]
    group: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    listing: bool = False


def field(item: Item, path: str) -> Any:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _action(item: Item) -> str:
    action = plain(item.get("action"))
    return "" if action == "none" else action


def _result(item: Item) -> str:
    """The outcome; what is still to be done is told by its action, and what was only listed by nothing."""
    outcome = plain(item.get("outcome"))
    return _action(item) if outcome == "planned" else "" if outcome == "listed" else outcome


def _change(item: Item) -> str:
    before, after = (
        "-" if value is None else plain(value) or '""' for value in (item.get("before"), item.get("after"))
    )
    return before if before == after else f"{before}→{after}"


def _last(key: str) -> Callable[[Item], str]:
    """The part of an ARN that tells it apart."""
    return lambda item: plain(item.get(key)).rpartition("/")[2]


def _grantee(item: Item) -> str:
    """A role without what every ARN begins with: 111111111111:role/CadoResponseRole."""
    principal = plain(item.get("grantee_principal"))
    return principal.partition("::")[2] or principal


NOW = "now"  # the key under which a table's items hold the time of day


def timed(items: Iterable[Item], now: datetime | None) -> list[Item]:
    """The items, told what time it is, so that columns can say how long ago and how soon."""
    return [{**item, NOW: now} for item in items] if now is not None else list(items)


def _when(key: str) -> Callable[[Item], str]:
    def show(item: Item) -> str:
        moment, now = item.get(key), item.get(NOW)
        return ago(moment, now) if moment and now else plain(moment)

    return show


_IN_THE_WAY = ("block", "unknown")


def _wrong(item: Item) -> str:
    """The checks that stand in the way."""
    findings = item.get("findings") or ()
    names = [plain(each.get("check")) for each in findings if each.get("status") in _IN_THE_WAY]
    return ", ".join(dict.fromkeys(names))


ACCOUNT = Column("account", "account")
REGION = Column("region", "region")
NAME = Column("name", "name", least=6)
ACTION = Column("action", "action", rank=1, show=_action)
OUTCOME = Column("outcome", "outcome", show=_result)

_CELL = ("account", "region")
_DONE = ("action", "outcome")
_TAGS = Layout(
    fields=(
        *_CELL, "instance_id", "name", "state", "action", "before", "after", "claims", "outcome", "warnings",
        "error",
    ),
    sort=(*_CELL, "instance_id"),
    columns=(
        ACCOUNT, REGION, Column("instance", "instance_id"), NAME, Column("state", "state", rank=3), ACTION,
        Column("change", "before", least=9, show=_change), Column("claims", "claims", rank=2, least=8),
        OUTCOME,
    ),
    group=(*_CELL, *_DONE),
)  # fmt: skip
_GRANTS = Layout(
    fields=(
        *_CELL, "key_arn", "grant_id", "name", "grantee_principal", "retiring_principal", "issuing_account",
        "operations", "creation_date", "case", "expires_at", "owner", "serves", "action", "outcome",
        "warnings", "error",
    ),
    sort=(*_CELL, "key_arn", "grant_id", "name"),
    columns=(
        # A grant's id is 64 digits: kms retire takes its beginning; it is whole in json and csv.
        ACCOUNT, REGION, Column("key", "key_arn", least=8, ease=13, show=_last("key_arn")),
        Column("grant", "grant_id", short=12), Column("owner", "owner", rank=1),
        Column("case", "case"),
        Column("due", "expires_at", rank=1, show=_when("expires_at")),
        Column("age", "creation_date", rank=3, show=_when("creation_date")),
        Column("grantee", "grantee_principal", rank=2, least=24, show=_grantee),
        Column("operations", "operations", rank=6, least=12), ACTION, OUTCOME, Column("token", "grant_token"),
    ),
    group=(*_CELL, "grantee_principal", "owner", *_DONE),
)  # fmt: skip
_CHECK = Layout(
    fields=(*_CELL, "instance_id", "routes.triage", "routes.disk", "findings"),
    sort=(*_CELL, "instance_id"),
    columns=(
        ACCOUNT, REGION, Column("instance", "instance_id"), Column("triage", "routes.triage"),
        Column("disk", "routes.disk"), Column("because of", "findings", rank=1, least=8, show=_wrong, ease=12),
    ),
    group=(*_CELL, "routes.triage", "routes.disk"),
)  # fmt: skip
_EXPLAIN_FIELDS = (
    "kind", "action", "resource", "principal", "denied_by", "explicit", "policy_arn", "cause", "fix",
)  # fmt: skip
_EXPLAIN = Layout(
    fields=_EXPLAIN_FIELDS,
    sort=(),
    columns=tuple(Column(name.replace("_", " "), name) for name in _EXPLAIN_FIELDS),
    listing=True,
)
_POLICY_CHECK = Layout(
    fields=("account", "source", "rule", "severity", "statement", "message", "fix"),
    sort=("account", "source", "rule", "statement"),
    columns=(
        ACCOUNT, Column("severity", "severity"), Column("rule", "rule"), Column("source", "source", least=16),
        Column("statement", "statement", rank=1, least=8),
    ),
    group=("account", "rule", "severity"),
)  # fmt: skip
_TARGETS = Layout(
    fields=("account", "name", "region", "role_arn", "included", "reason"),
    sort=_CELL,
    columns=(
        ACCOUNT, NAME, REGION, Column("included", "included"), Column("reason", "reason", least=12),
        Column("role", "role_arn", rank=1, least=16, show=_last("role_arn")),
    ),
    group=(*_CELL, "name", "included", "reason", "role_arn"),
)  # fmt: skip
_COUNTS = ("instances", "tagged", "mistagged", "ssm_online", "disks_ready", "grants", "due")
_COUNTS_IN_SHORT = ("inst.", "tagged", "mistag", "ssm", "disks", "grants", "due")
_GAP = "gap"  # what stands for a target without an item


def _counted(key: str) -> Callable[[Item], str]:
    """A count; of a target that was read, what is not known is no blank."""

    def show(item: Item) -> str:
        if item.get(_GAP):
            return plain(item[_GAP]) if key == _COUNTS[0] else ""
        return "?" if item.get(key) is None else plain(item[key])

    return show


_STATUS = Layout(
    fields=(*_CELL, *_COUNTS),
    sort=_CELL,
    columns=(
        ACCOUNT, REGION,
        *(
            Column(short, key, number=True, show=_counted(key))
            for short, key in zip(_COUNTS_IN_SHORT, _COUNTS, strict=True)
        ),
        Column("because of", "reason", rank=1, least=16),
    ),
    group=(*_CELL, _GAP, "reason"),
    sums=_COUNTS,
)  # fmt: skip
_RUNS = Layout(
    fields=("run_id", "command", "case", "started", "finished", "caller", "status", "changed"),
    sort=("run_id",),
    columns=(
        Column("run", "run_id"), Column("command", "command"), Column("case", "case", rank=1),
        Column("started", "started", rank=2), Column("finished", "finished", rank=3),
        Column("caller", "caller", rank=4, least=16), Column("status", "status"),
        Column("changed", "changed", number=True),
    ),
)  # fmt: skip

_LAYOUTS = {
    "tag-instances": _TAGS, "untag-instances": _TAGS,
    "kms grant": _GRANTS, "kms list": _GRANTS, "kms retire": _GRANTS,
    "check": _CHECK, "explain": _EXPLAIN, "policy check": _POLICY_CHECK,
    "targets": _TARGETS, "status": _STATUS, "runs list": _RUNS,
}  # fmt: skip
_OF_A_RUN = ("apply", "runs show", "runs undo", "runs resume")


def layout(command: str, items: Sequence[Item]) -> Layout:
    """The layout of a command's items; what belongs to a run has the layout of what was changed."""
    if command in _OF_A_RUN:
        return _GRANTS if items and "key_arn" in items[0] else _TAGS
    return _LAYOUTS.get(command) or free_layout(items)


def _own(key: str) -> Callable[[Item], str]:
    """The key as it is: dots in it lead nowhere."""
    return lambda item: plain(item.get(key))


def free_layout(items: Iterable[Item]) -> Layout:
    """The layout of items that nobody described: their own keys."""
    keys = tuple(dict.fromkeys(str(key) for item in items for key in item))
    columns = tuple(
        Column(sanitize(key), key, least=0 if key in _CELL or key.endswith(("_id", "_arn")) else 8, show=_own(key))
        for key in keys
    )
    return Layout(fields=keys, sort=(*_CELL, "instance_id"), columns=columns)


def sorted_items(items: Iterable[dict[str, Any]], order: Sequence[str]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: [plain(field(item, key)) for key in order])


def sorted_failures(failures: Iterable[Failure]) -> list[Failure]:
    def key(each: Failure) -> tuple[str, ...]:
        error = each.error
        return each.account or "", each.region or "", each.stage, each.id or "", error.code, error.message

    return sorted(failures, key=key)
