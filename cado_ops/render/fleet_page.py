"""The fleet as one HTML page for a ticket: the accounts and regions as a picture, and the lists behind it.

It needs nothing else. Without its script (fleet_page.js: search, sort) all of it is there and can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from cado_ops.model import Caller, Failure, LeftOut
from cado_ops.render.fleet_list import FleetCell, fleet_list, tools
from cado_ops.render.matrix import Place, matrix, share
from cado_ops.render.page import begin, error, table, text
from cado_ops.render.text import count, plain

# With more instances than this the lists are closed at first.
OPEN_AT_FIRST = 60


@dataclass(frozen=True)
class Fleet:
    """All that the page tells. ``names`` are the accounts'; ``chosen`` says which instances were asked for, if not
    all; ``made`` is when, ``version`` that of this program.
    """

    cells: Sequence[FleetCell]
    failures: Sequence[Failure]
    left_out: Sequence[LeftOut]
    summary: Mapping[str, int | None]
    caller: Caller | None
    made: str
    version: str
    names: Mapping[str, str] = field(default_factory=dict)
    chosen: str = ""

    def name_of(self, account: str) -> str:
        """The account's id, and its name where it is known."""
        return f"{account} {self.names.get(account, '')}".strip()


def fleet_page(fleet: Fleet) -> Iterator[str]:
    """The page, piece by piece."""
    yield begin(f"Fleet status {fleet.made}", style=_part("css"), script=_part("js"))
    yield '<a class="skip" href="#lists">Skip to the instances</a>\n<header>\n<h1>Fleet status</h1>\n'
    caller = fleet.caller
    yield f"<p>Made {text(fleet.made)} by cado-ops {text(fleet.version)}"
    yield f" as {text(caller.arn)}. All times are UTC.</p>\n" if caller else ". All times are UTC.</p>\n"
    if caller and caller.endpoint:
        yield f'<p class="bad">This is not AWS: the answers came from {text(caller.endpoint)}.</p>\n'
    if fleet.chosen:
        yield f"<p>Only {text(fleet.chosen)}: other instances are not on this page.</p>\n"
    yield "</header>\n<main>\n"
    yield from _whole(fleet)
    yield from _tiles(fleet)
    yield from _picture(fleet)
    yield from _unread(fleet)
    yield from _lists(fleet)
    yield f"</main>\n<footer>\n{_part('html')}</footer>\n</body>\n</html>\n"


@cache
def _part(kind: str) -> str:
    """The page's own style, script, or what it says of itself: files beside this one."""
    return files(__package__).joinpath(f"fleet_page.{kind}").read_text(encoding="utf-8")


def _whole(fleet: Fleet) -> Iterator[str]:
    """Whether this is the whole picture: said before any number."""
    targets, failed = fleet.summary.get("targets") or 0, fleet.summary.get("targets_failed") or 0
    left_out = fleet.summary.get("targets_left_out") or 0
    read = f"{count(targets - failed, 'target')} read"
    aside = f", {left_out} left out on purpose" if left_out else ""
    if not fleet.failures:
        yield f'<p class="note good"><strong>Complete:</strong> {read}{aside}.</p>\n'
        return
    missing = f", {failed} could not be read" if failed else ""
    parts = f"; {count(len(fleet.failures), 'failure')} in all" if len(fleet.failures) > failed else ""
    yield f'<p class="note bad"><strong>Not the whole picture:</strong> {read}{missing}{parts}{aside}. '
    yield 'What is missing counts nowhere on this page: <a href="#unread">what could not be read</a>.</p>\n'


def _tiles(fleet: Fleet) -> Iterator[str]:
    summary = fleet.summary
    instances = summary.get("instances") or 0
    yield '<section aria-labelledby="summary">\n<h2 id="summary">In short</h2>\n<dl class="tiles">\n'
    for name, key in _TILES:
        known = [value for cell in fleet.cells if (value := cell.item.get(key)) is not None]
        unknown = len(fleet.cells) - len(known)
        shown = f"{sum(known):,}" if known else "?"
        if known and (unknown or summary.get("targets_failed")):
            shown = f"≥ {shown}"
        of_all = ""
        if key in _SHARES and instances:
            # Rounded down: only all of them are 100 %.
            percent = f"{100 * sum(known) // instances} % " if known and not unknown else ""
            of_all = f"{share(sum(known) if known else None, instances)}<small>{percent}of {instances:,}</small>"
        aside = f'<small class="bad">{count(unknown, "target")} not known</small>' if unknown else ""
        kind = ' class="wrong"' if key in _WRONG and sum(known) else ""
        yield f"<div{kind}><dt>{name}</dt><dd><strong>{shown}</strong>{of_all}{aside}</dd></div>\n"
    yield "</dl>\n</section>\n"


def _picture(fleet: Fleet) -> Iterator[str]:
    yield '<section class="picture" aria-labelledby="picture">\n<h2 id="picture">Accounts and regions</h2>\n'
    yield f"<p>{_LEGEND}</p>\n"
    read = {(cell.item["account"], cell.item["region"]): Place(cell.item, cell.anchor) for cell in fleet.cells}
    yield from matrix(read, fleet.failures, fleet.left_out, fleet.names)
    yield "</section>\n"


def _unread(fleet: Fleet) -> Iterator[str]:
    if fleet.failures:
        yield '<section aria-labelledby="unread">\n<h2 id="unread">What could not be read</h2>\n'
        rows = [
            [text(fleet.name_of(each.account) if each.account else None), text(each.region), text(each.stage),
             text(each.id), error(each.error.as_json())]
            for each in fleet.failures
        ]  # fmt: skip
        heads = ("account", "region", "stage", "id", "error")
        yield from table("Failures, in AWS's own words", heads, rows, kind="sorts")
        yield "</section>\n"
    if fleet.left_out:
        yield '<section aria-labelledby="left-out">\n<h2 id="left-out">Left out on purpose</h2>\n'
        rows = [
            [text(f"{each.account} {each.name or fleet.names.get(each.account, '')}".strip()),
             text(each.region or "all regions"), text(each.reason)]
            for each in fleet.left_out
        ]  # fmt: skip
        yield from table("Targets that the scope does not cover", ("account", "region", "why"), rows, kind="sorts")
        yield "</section>\n"


def _lists(fleet: Fleet) -> Iterator[str]:
    listed = [cell for cell in fleet.cells if cell.standings or cell.grants]
    instances = sum(len(cell.standings) for cell in listed)
    yield '<section aria-labelledby="lists">\n<h2 id="lists" tabindex="-1">Instances</h2>\n'
    if not listed:
        yield "<p>None in what could be read.</p>\n</section>\n"
        return
    yield tools(listed)
    for cell in listed:
        account, region = plain(cell.item["account"]), plain(cell.item["region"])
        mine = [each for each in fleet.failures if each.account == account and each.region in (None, region)]
        place = (fleet.name_of(account), region)
        yield from fleet_list(cell, place, mine, is_open=instances <= OPEN_AT_FIRST)
    yield "</section>\n"


_TILES = (
    ("Instances", "instances"), ("Tagged", "tagged"), ("SSM online", "ssm_online"),
    ("Disks ready", "disks_ready"), ("Mis-tagged", "mistagged"), ("Claims due", "due"), ("Grants", "grants"),
)  # fmt: skip
_SHARES = ("tagged", "ssm_online", "disks_ready")
_WRONG = ("mistagged", "due")
_LEGEND = (
    "Each field counts the instances there, and how many of them carry the tag, have an SSM agent that answers, "
    "and have disks that the Cado role can read. Each number leads to its list.</p>\n"
    f'<p class="legend"><span>{share(1, 2)} some of them</span> <span>{share(1, 1)} all of them</span> '
    f"<span>{share(None, 1)} <b>?</b> could not be read</span>"
)
