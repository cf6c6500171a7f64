"""Items as tables that fit: the columns there is room for, ids always whole, long lists counted in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cado_ops.render.columns import Column, Item, Layout, free_layout
from cado_ops.render.grouping import grouped, is_long
from cado_ops.render.screen import Screen
from cado_ops.render.text import plain

_GAP = 2
_PIPE = 120  # what columns are chosen for where nothing limits the width

_GOOD, _HALF, _ODD, _WRONG = "green", "yellow", "magenta", "bold red"
STYLES = {
    **dict.fromkeys(("changed", "allowed", "success", "ready"), _GOOD),
    **dict.fromkeys(("skipped", "warn", "warning", "partial", "interrupted"), _HALF),
    **dict.fromkeys(("drifted", "unknown"), _ODD),
    **dict.fromkeys(("failed", "denied", "blocked", "block", "error", "refused"), _WRONG),
    "planned": "cyan",
    "unchanged": "dim",
}
_TELLING = ("outcome", "status", "severity", "routes.triage", "routes.disk")


@dataclass(frozen=True, slots=True)
class _Fitted:
    column: Column
    cells: list[str]
    width: int

    @property
    def least(self) -> int:
        return min(self.width, self.column.least) if self.column.least else self.width

    @property
    def at_ease(self) -> int:
        if self.column.short:
            # In a pipe it is whole, and leaves as much room to others as on a screen.
            return min(self.width, self.column.short + 1)
        return min(self.width, max(self.column.ease, self.column.least)) if self.column.least else self.width


def show_items(screen: Screen, items: Sequence[Item], layout: Layout) -> None:
    """The items, in the order given; above LONG they are counted, where the layout says by what."""
    if not items:
        return
    if is_long(items, layout):
        items, layout = grouped(items, layout)
    if layout.listing:
        for number, item in enumerate(items):
            if number:
                screen.say("")
            _show_fields(screen, item, layout.columns)
    else:
        _show_table(screen, items, layout.columns)


def show_value(screen: Screen, value: Any) -> None:
    """Whatever a query found: a table where it is one, otherwise a line for each value."""
    if isinstance(value, Mapping):
        value = [[key, each] for key, each in value.items()]
    if not isinstance(value, list):
        value = [value]
    if value and all(isinstance(row, Mapping) for row in value):
        _show_table(screen, value, free_layout(value).columns, whole=True)
    elif value and all(isinstance(row, list) for row in value):
        rows = [{str(n): each for n, each in enumerate(row)} for row in value]
        _show_table(screen, rows, [replace(each, header="") for each in free_layout(rows).columns], whole=True)
    else:
        for each in value:
            screen.paste("", plain(each) if each not in (None, "") else "-")


def _show_table(screen: Screen, items: Sequence[Item], columns: Sequence[Column], whole: bool = False) -> None:
    every = [_measured(column, items, screen.width) for column in columns]
    filled = [each for each in every if whole or each.column.number or any(each.cells)]
    chosen = _choose(filled, screen.width)
    if chosen is None:
        for number in range(len(items)):
            _show_packed(screen, [(each.column, each.cells[number]) for each in filled])
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.show_header = any(each.column.header for each in chosen)
    for each in chosen:
        table.add_column(
            each.column.header,
            width=each.width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if each.column.number else "left",
        )
    for number in range(len(items)):
        table.add_row(*(_styled(each.cells[number] or "-", each.column.key) for each in chosen))
    screen.show(table)


def _measured(column: Column, items: Sequence[Item], width: int | None) -> _Fitted:
    cells = [column.text(item) for item in items]
    if column.short and width is not None:
        cells = [cell if len(cell) <= column.short else cell[: column.short] + "…" for cell in cells]
    return _Fitted(column, cells, max(cell_len(column.header), 1, *map(cell_len, cells)))


def _choose(columns: Sequence[_Fitted], width: int | None) -> list[_Fitted] | None:
    """The columns that fit, each as wide as it will be; None where not even the necessary ones do."""
    for rank in sorted({0, *(each.column.rank for each in columns)}, reverse=True):
        chosen = [each for each in columns if each.column.rank <= rank]
        spare = (width or _PIPE) - _GAP * (len(chosen) - 1)
        if sum(each.least if rank == 0 else each.at_ease for each in chosen) <= spare:
            return chosen if width is None else _shared(chosen, spare)
    return None if width is not None else [each for each in columns if each.column.rank == 0]


def _shared(columns: Sequence[_Fitted], spare: int) -> list[_Fitted]:
    """What is left over goes to the columns that would have to be cut, the least needy first."""
    widths = {each.column.key: each.least for each in columns}
    spare -= sum(widths.values())
    needy = sorted(columns, key=lambda each: each.width - each.least)
    for place, each in enumerate(needy):
        extra = min(each.width - each.least, spare // (len(needy) - place))
        widths[each.column.key] += extra
        spare -= extra
    return [replace(each, width=widths[each.column.key]) for each in columns]


def _styled(text: str, key: str) -> Text:
    style = "dim" if text == "-" else STYLES.get(text, "") if key in _TELLING else ""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _show_packed(screen: Screen, cells: Sequence[tuple[Column, str]]) -> None:
    """One item over several lines, for a screen too narrow for its ids side by side."""
    width = screen.width or _PIPE
    line = Text()
    for column, text in cells:
        if not text:
            continue
        piece = Text.assemble((f"{column.header} ", "dim"), _styled(text, column.key))
        if column.least:
            piece.truncate(width - _GAP, overflow="ellipsis")
        if line and line.cell_len + _GAP + piece.cell_len > width:
            screen.show(line, whole=True)
            line = Text("  ")
        elif line:
            line.append("  ")
        line.append_text(piece)
    screen.show(line, whole=True)


def _show_fields(screen: Screen, item: Item, columns: Sequence[Column]) -> None:
    """One item as a list of its fields; what is to be pasted stays on one line."""
    widest = max(len(column.header) for column in columns)
    for column in columns:
        label, text = f"{column.header:<{widest}}  ", column.text(item) or "-"
        if column.key == "fix" or " " not in text:
            screen.paste(label, text, "dim")
        else:
            screen.say((label, "dim"), text, hang=len(label))
