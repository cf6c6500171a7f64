"""The lists behind the picture of a fleet: each account and region's instances and grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from cado_ops.model import Disks, Failure, Grant, Held, Standing
from cado_ops.render.page import NOTHING, code, error, lines, table, text
from cado_ops.render.text import count
from cado_ops.visible import sanitize


@dataclass(frozen=True)
class FleetCell:
    """One account and region that was read: the item of ``status``, and what it counts."""

    item: Mapping[str, Any]
    standings: Sequence[Standing] = ()
    grants: Sequence[tuple[Grant, Held]] = ()

    @property
    def anchor(self) -> str:
        """Where on the page its list is."""
        return escape(sanitize(f"in-{self.item['account']}-{self.item['region']}"))


def tools(listed: Sequence[FleetCell]) -> str:
    """Search and filters: of use with the script alone, which uncovers them."""
    marks = [mark for cell in listed for each in cell.standings for mark in _marks(each).split()]
    boxes = "".join(
        f'<label><input type="checkbox" name="only" value="{mark}"> {words} <small>{marks.count(mark):,}</small>'
        "</label>\n"
        for mark, words in _MARKS.items()
    )
    return (
        '<form class="tools" role="search" hidden>\n'
        '<label class="find">Search <input type="search" id="find" autocomplete="off" spellcheck="false" '
        'placeholder="id, name, account, key, case …"></label>\n'
        f"<fieldset><legend>Only</legend>\n{boxes}</fieldset>\n"
        '<p role="status" id="found"></p>\n'
        '<p class="both"><button type="button" id="open">Open all lists</button> '
        '<button type="button" id="close">Close all lists</button></p>\n</form>\n'
    )


def fleet_list(
    cell: FleetCell, place: tuple[str, str], failures: Iterable[Failure], *, is_open: bool
) -> Iterator[str]:
    """The list of one account and region. ``place`` names account and region; ``failures`` are of its parts."""
    yield f'<details class="list" id="{cell.anchor}"{" open" if is_open else ""}>\n'
    # Each part by itself: a name written from right to left would take the region with it.
    where = f"{text(place[0])}, {text(place[1])}"
    named = ", ".join(place)
    yield f"<summary><h3>{where}</h3> <span>{text(_in_words(cell.item))}</span></summary>\n"
    for failure in failures:
        yield f'<div class="note bad">Not read, {text(failure.stage)}: {error(failure.error.as_json())}</div>\n'
    if cell.standings:
        yield from table(
            f"Instances of {named}", _OF_INSTANCES, map(_row, cell.standings), kind="sorts searched instances",
            marks=map(_marks, cell.standings),
        )  # fmt: skip
    if cell.grants:
        yield from table(
            f"Grants of {named} that this program made", _OF_GRANTS, map(_grant, cell.grants),
            kind="sorts searched grants", marks=("due" if held.past else "" for _, held in cell.grants),
        )  # fmt: skip
    yield "</details>\n"


def _in_words(item: Mapping[str, Any]) -> str:
    """The counts of a cell, in words: what the picture shows."""
    words = [count(item["instances"], "instance")]
    words += [f"{_known(item[key])} {name}" for key, name in _COUNTED if item[key] != 0 or key in _ALWAYS]
    return ", ".join(words)


def _known(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _marks(standing: Standing) -> str:
    """What the filters go by."""
    is_so = {
        "untagged": standing.tagging != "tagged",
        "mistagged": standing.tagging == "mistagged",
        "offline": standing.ssm != "Online",
        "disks": standing.disks is not Disks.READY,
        "due": standing.due,
    }
    return " ".join(mark for mark in _MARKS if is_so[mark])


def _row(standing: Standing) -> list[str]:
    return [
        f'<span class="id">{text(standing.instance_id)}</span>',
        text(standing.name),
        text(standing.state),
        _tag(standing),
        _held(standing.claims),
        _ssm(standing.ssm),
        lines([_disks(standing.disks), *map(text, standing.remarks)])
        if standing.remarks
        else _disks(standing.disks),
        _held(standing.grants),
    ]


def _tag(standing: Standing) -> str:
    if standing.tagging == "tagged":
        return '<span class="good">True</span>'
    if standing.tagging == "untagged":
        return NOTHING
    value = "<em>none</em>" if standing.tag is None else code(standing.tag) if standing.tag else "<em>empty</em>"
    if standing.tagging == "mistagged":
        why = "the key differs in case" if standing.tag is None else "near miss"
        return f'{value} <strong class="bad">{why}</strong>'
    return f"{value} set on purpose"


def _ssm(status: str | None) -> str:
    if status is None:
        return _UNKNOWN
    kind = "good" if status == "Online" else "bad" if status in ("ConnectionLost", "not registered") else "quiet"
    return f'<span class="{kind}">{text(status)}</span>'


def _disks(disks: Disks) -> str:
    kind = {Disks.READY: "good", Disks.NOT_READY: "bad", Disks.NO_GRANT: "bad"}.get(disks, "odd")
    return f'<span class="{kind}">{disks}</span>'


def _held(held: Iterable[Held]) -> str:
    return lines(f"{text(each.case)} {_due(each)}" for each in held) or NOTHING


def _due(held: Held) -> str:
    if held.due is None:
        return "no end"
    when = f'<span class="id">{text(held.due)}</span>'
    return f'{when} <strong class="bad">due</strong>' if held.past else when


def _grant(row: tuple[Grant, Held]) -> list[str]:
    grant, held = row
    return [
        f'<span class="cut">{code(grant.grant_id)}</span>', code(grant.key_arn), code(grant.grantee_principal),
        text(list(grant.operations)),
        text(held.case), _due(held),
    ]  # fmt: skip


_OF_INSTANCES = ("instance", "name", "state", "tag", "claims, due", "SSM agent", "disks", "grants, due")
_OF_GRANTS = ("grant", "key", "grantee", "operations", "case", "due")
_ALWAYS = ("tagged", "ssm_online", "disks_ready")
_COUNTED = (
    ("tagged", "tagged"), ("ssm_online", "online in SSM"), ("disks_ready", "with disks ready"),
    ("mistagged", "mis-tagged"), ("due", "due"), ("grants", "granted"),
)  # fmt: skip
_MARKS = {
    "untagged": "not tagged",
    "mistagged": "mis-tagged",
    "offline": "not online",
    "disks": "disks not ready",
    "due": "due",
}
_UNKNOWN = '<strong class="odd">?</strong>'
