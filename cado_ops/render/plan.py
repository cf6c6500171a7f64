"""A plan, shown before anybody is asked, and the words of the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TextIO

from cado_ops.render.columns import layout, sorted_items, timed
from cado_ops.render.grouping import is_long
from cado_ops.render.text import count, cut, plain
from cado_ops.visible import sanitize

_ACCOUNTS = 10  # accounts that are named


def plan_counts(items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many items will be changed, by action (``tag``, ``retire`` …)."""
    return dict(Counter(plain(item.get("action")) for item in items if item.get("outcome") == "planned"))


def render_plan(
    items: Sequence[dict[str, Any]],
    *,
    command: str,
    stderr: TextIO,
    environ: Mapping[str, str],
    width: int | None = None,
    now: datetime | None = None,
) -> None:
    """The plan as a table on stderr, whatever the output of the command is."""
    from cado_ops.render.screen import Screen
    from cado_ops.render.summary import show_remarks
    from cado_ops.render.table import show_items

    screen = Screen(stderr, environ, width)
    shape = layout(command, items)
    if not is_long(items, shape):
        # The outcome column shows the action of what is still to be done: one column says it all.
        columns = (replace(each, header="plan") if each.key == "outcome" else each for each in shape.columns)
        shape = replace(shape, columns=tuple(each for each in columns if each.key != "action"))
    items = sorted_items(items, shape.sort)
    screen.say(("plan", "bold"), f": {_title(items)}")
    show_items(screen, timed(items, now), shape)
    show_remarks(screen, items)
    screen.say("")


def _title(items: Sequence[Mapping[str, Any]]) -> str:
    changes = [f"{number} to {action}" for action, number in plan_counts(items).items()]
    rest = Counter(plain(item.get("outcome")) for item in items if item.get("outcome") != "planned")
    parts = [*changes, *(f"{number} {outcome}" for outcome, number in rest.items())]
    if not parts:
        return "nothing to do"
    accounts = {plain(item.get("account")) for item in items}
    return f"{', '.join(parts)} · {count(len(accounts), 'account')}"


def prompt_block(
    caller: str,
    endpoint: str | None,
    accounts: Mapping[str, str | None],
    counts: Mapping[str, int],
    grantees: Sequence[str] = (),
) -> str:
    """What the person who is asked has to know: who acts, where, how much. Lines, without the question."""
    names = [sanitize(f"{key} {name}" if name else key) for key, name in sorted(accounts.items())]
    changes = ", ".join(f"{sanitize(action)} {number}" for action, number in counts.items() if number) or "none"
    lines = [f"caller    {sanitize(caller)}"]
    if endpoint:
        lines.append(f"endpoint  {sanitize(endpoint)} (not AWS)")
    lines.append(f"accounts  {len(names)}")
    lines += [f"          {name}" for name in cut(names, _ACCOUNTS)]
    # Who is let in has to be read, however narrow the table is.
    lines += [
        f"{'grants to' if not number else '':<9} {each}"
        for number, each in enumerate(cut(map(sanitize, grantees), _ACCOUNTS))
    ]
    lines.append(f"changes   {changes}")
    return "\n".join(lines)
