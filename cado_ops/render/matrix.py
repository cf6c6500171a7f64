"""The picture of a fleet: accounts by regions, each field with its numbers and a bar for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.model import Failure, LeftOut
from cado_ops.render.page import text
from cado_ops.render.text import count, plain

_BARS = (("tag", "tagged"), ("SSM", "ssm_online"), ("disks", "disks_ready"))
_ASIDES = (("mistagged", "mis-tagged", "bad"), ("due", "due", "bad"), ("grants", "granted", "quiet"))
_NOT_A_TARGET = '<td class="none"><span aria-hidden="true">·</span><span class="spoken">no target</span></td>'


@dataclass(frozen=True)
class Place:
    """One account and region that was read: the item of ``status``, and where on the page its list is."""

    item: Mapping[str, Any]
    anchor: str


def matrix(
    read: Mapping[tuple[str, str], Place],
    failures: Sequence[Failure],
    left_out: Sequence[LeftOut],
    names: Mapping[str, str],
) -> Iterator[str]:
    """The table. What could not be read and what was left out has a field of its own, never an empty one."""
    failed = {(each.account, each.region): each for each in failures if not each.of_part}
    aside = {(each.account, each.region): each for each in left_out}
    named: Mapping[str, str] = {each.account: each.name for each in left_out if each.name} | dict(names)
    places = {*read, *failed, *aside}
    accounts = sorted({account for account, _ in places if account})
    regions = sorted({region for _, region in places if region})
    yield '<div class="wide" role="region" tabindex="0" aria-label="Accounts and regions">\n'
    yield '<table class="matrix">\n'
    yield "<caption>Instances by account and region</caption>\n<thead>\n<tr>"
    yield from (f'<th scope="col">{head}</th>' for head in ("account", *map(text, regions), "all regions"))
    yield "</tr>\n</thead>\n<tbody>\n"
    for account in accounts:
        name = f"<span>{text(named[account])}</span>" if named.get(account) else ""
        yield f'<tr><th scope="row">{name}<span>{text(account)}</span></th>'
        mine = [read[account, region] for region in regions if (account, region) in read]
        if (account, None) in failed and not mine:
            yield _failed(failed[account, None], len(regions) + 1)
        elif (account, None) in aside and not mine:
            yield _left_out(aside[account, None], len(regions) + 1)
        else:
            for region in regions:
                yield _field(
                    read.get((account, region)), failed.get((account, region)), aside.get((account, region))
                )
            partly = any((account, region) in failed for region in (None, *regions))
            yield _sum([place.item for place in mine], partly)
        yield "</tr>\n"
    yield '</tbody>\n<tfoot>\n<tr><th scope="row">all accounts</th>'
    for region in regions:
        there = [place.item for (_, each), place in read.items() if each == region]
        yield _sum(there, any(each in (region, None) for _, each in failed))
    yield _sum([place.item for place in read.values()], bool(failed))
    yield "</tr>\n</tfoot>\n</table>\n</div>\n"


def share(part: int | None, whole: int) -> str:
    """A bar; the number that it shows has to stand beside it."""
    kind, inside = "some", ""
    if part is None:
        # The picture of "not known" is no empty bar.
        kind, inside = (
            "unknown",
            '<path d="M0 10 8 0M14 10 22 0M28 10 36 0M42 10 50 0M56 10 64 0M70 10 78 0M84 10 92 0"/>',
        )
    elif whole and part >= whole:
        kind = "all"
    if part and whole:
        inside = f'<rect class="part" width="{100 * part / whole:.4g}" height="10"/>'
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="10"/>{inside}</svg>'
    )


def _field(place: Place | None, failure: Failure | None, left: LeftOut | None) -> str:
    if place is not None:
        whole = count(place.item["instances"], "instance")
        if place.item["instances"] or place.item["grants"]:
            return f'<td><a href="#{place.anchor}">{whole}</a>{_numbers(place.item)}</td>'
        return f'<td class="empty">{whole}{_asides(place.item)}</td>'
    if failure is not None:
        return _failed(failure)
    return _left_out(left) if left is not None else _NOT_A_TARGET


def _failed(failure: Failure, width: int = 1) -> str:
    wide = f' colspan="{width}"' if width > 1 else ""
    why = f"{plain(failure.stage)}: {plain(failure.error.code)}"
    return f'<td class="unread"{wide}><a href="#unread">not read</a><small>{text(why)}</small></td>'


def _left_out(left: LeftOut, width: int = 1) -> str:
    wide = f' colspan="{width}"' if width > 1 else ""
    return (
        f'<td class="left-out"{wide}><a href="#left-out">left out</a>'
        f"<small>{text(plain(left.reason).partition(':')[0])}</small></td>"
    )


def _sum(items: Sequence[Mapping[str, Any]], partly: bool) -> str:
    """Fields put together. What is not among them makes each number a least one."""
    if not items:
        return '<td class="sum none"><span aria-hidden="true">·</span><span class="spoken">nothing read</span></td>'
    keys = ("instances", *(key for _, key in _BARS), *(key for key, _, _ in _ASIDES))
    known = {key: [item[key] for item in items if item[key] is not None] for key in keys}
    item = {key: sum(values) if values else None for key, values in known.items()}
    least = {key for key in keys if partly or len(known[key]) < len(items)}
    number = f"{'≥ ' if partly else ''}{item['instances']:,}"
    words = "instance" if item["instances"] == 1 else "instances"
    return f'<td class="sum"><strong>{number}</strong> {words}{_numbers(item, least)}</td>'


def _numbers(item: Mapping[str, Any], least: set[str] | None = None) -> str:
    if not item["instances"]:
        return _asides(item)
    bars = "".join(
        f"<span>{name}</span>{share(item[key], item['instances'])}<b>{_number(item[key], key, least)}</b>"
        for name, key in _BARS
    )
    return f'<div class="bars">{bars}</div>{_asides(item)}'


def _number(number: int | None, key: str, least: set[str] | None) -> str:
    if number is None:
        return '<span class="odd">?</span>'
    return f"≥ {number:,}" if least and key in least else f"{number:,}"


def _asides(item: Mapping[str, Any]) -> str:
    """What is only said where there is any, or where it is not known."""
    said = [
        f'<span class="{kind}">{"?" if item[key] is None else format(item[key], ",")} {words}</span>'
        for key, words, kind in _ASIDES
        if item[key] != 0
    ]
    return f'<div class="asides">{" ".join(said)}</div>' if said else ""
