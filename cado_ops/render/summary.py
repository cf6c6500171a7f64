"""What stands beneath a table: remarks on items, failures, a line that sums it up, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cado_ops.model import Failure, Report, Status
from cado_ops.render.columns import Item
from cado_ops.render.grouping import LISTED, failure_groups, remark_groups
from cado_ops.render.screen import Screen
from cado_ops.render.table import STYLES
from cado_ops.render.text import count, cut, plain
from cado_ops.visible import sanitize

_OUTCOMES = ("changed", "unchanged", "skipped", "allowed", "denied", "drifted", "failed", "unknown")
_ELSEWHERE = ("targets", "targets_failed", "targets_left_out", "selected", "planned")
_MORE = "-o json shows all"
_LEADS = ("next", "warning")


def show_remarks(screen: Screen, items: Sequence[Item]) -> None:
    groups = remark_groups(items)
    if groups:
        screen.say("")
    for of_label, more in groups:
        for together in of_label:
            for each in together.remarks:
                remark, style = each.remark, STYLES.get(each.remark.kind, "")
                screen.say((remark.label, style), f": {each.text}" if each.text else "")
                for line in _places(each.items):
                    screen.say(line, indent=2)
                if remark.hint:
                    screen.paste("hint: ", remark.hint, "bold", indent=2)
            for account, fix in together.fixes:
                # The AWS CLI assumes no role: whoever pastes that has to be in the account.
                elsewhere = account and fix.startswith(("aws ", "for id in "))
                label = f"fix in {account}: " if elsewhere else "fix: "
                screen.paste(label, fix, "bold", indent=2)
        if more:
            screen.say((f"… and {more} more: {_MORE}", "dim"), indent=2)


def _places(items: Sequence[Item]) -> Iterator[str]:
    """Where the items are: a line for each account and region, with the ids in it."""
    places: dict[str, dict[str, None]] = {}
    for item in items:
        cell = " ".join(filter(None, (plain(item.get("account")), plain(item.get("region")))))
        places.setdefault(cell, {})[_name(item)] = None
    for cell, ids in places.items():
        yield " ".join(filter(None, (cell, ", ".join(filter(None, ids)))))


def _name(item: Item) -> str:
    for key in ("instance_id", "grant_id", "key_arn"):
        if item.get(key):
            return sanitize(plain(item[key]).rpartition("/")[2])
    return " ".join(filter(None, (plain(item.get("source")), plain(item.get("statement")))))


def show_failures(screen: Screen, failures: Sequence[Failure]) -> None:
    shown: dict[tuple[str, str], int] = {}
    for same in failure_groups(failures):
        first = same[0]
        kind = (first.stage, first.error.code)
        shown[kind] = shown.get(kind, 0) + 1
        if shown[kind] > LISTED:
            continue
        screen.say(("failed: ", STYLES["failed"]), _failure_line(same))
        if first.error.hint:
            screen.paste("hint: ", sanitize(first.error.hint), "bold", indent=2)
    more = sum(max(0, number - LISTED) for number in shown.values())
    if more:
        screen.say((f"… and {count(more, 'failure')} more: {_MORE}", "dim"))


def _failure_line(same: Sequence[Failure]) -> str:
    first = same[0]
    regions = ", ".join(dict.fromkeys(sanitize(each.region) for each in same if each.region))
    ids = ", ".join(cut(dict.fromkeys(sanitize(each.id) for each in same if each.id), LISTED))
    error = f"{sanitize(first.error.code)}: {sanitize(first.error.message)}"
    where = (
        sanitize(first.account or ""),
        f"({regions})" if regions else "",
        sanitize(first.stage),
        ids,
        error,
    )
    return " ".join(filter(None, where))


def show_summary(screen: Screen, report: Report) -> None:
    status = str(report.status)
    screen.say((status, STYLES.get(status, "")), f": {' · '.join(_parts(report))}")
    for note in report.notes:
        lead, colon, rest = sanitize(note).partition(": ")
        if not (colon and lead in _LEADS):
            lead, rest = "next", sanitize(note)
        screen.paste(f"{lead}: ", rest, STYLES.get(lead, "bold"))


def _parts(report: Report) -> Iterator[str]:
    summary = report.summary
    yield ", ".join(_done(report)) or (count(len(report.items), "item") if report.items else "nothing to show")
    if report.dry_run:
        yield "dry run, nothing was changed"
    targets = [count(summary["targets"] or 0, "target")] if "targets" in summary else []
    for key in ("failed", "left_out"):
        if number := summary.get(f"targets_{key}"):
            targets.append(f"{number} {key.replace('_', ' ')}")
    if targets:
        yield ", ".join(targets)
    if report.run_id:
        yield f"run {sanitize(report.run_id)}"
    if report.caller and report.caller.endpoint:
        yield not_aws(report.caller.endpoint)


def _done(report: Report) -> Iterator[str]:
    """What was done, and what was not: the counts that are not zero."""
    summary: Mapping[str, int | None] = report.summary
    unfinished = report.status in (Status.PLANNED, Status.REFUSED, Status.INTERRUPTED)
    if summary.get("planned") and (unfinished or report.dry_run):
        yield f"{summary['planned']} planned"
    for key in (*_OUTCOMES, *(key for key in summary if key not in (*_OUTCOMES, *_ELSEWHERE))):
        if (number := summary.get(key, 0)) != 0:
            words = plain(key.replace("_", " "))
            one = number == 1 and words != "ours"
            yield f"{'?' if number is None else number} {words.removesuffix('s') if one else words}"
    if report.status is Status.REFUSED:
        yield "nothing was changed"
    elif summary.get("selected") == 0:
        yield "nothing selected"


def not_aws(endpoint: str) -> str:
    return f"endpoint {sanitize(endpoint)} (not AWS)"
