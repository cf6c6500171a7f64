"""cado-ops status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cado_ops import __version__
from cado_ops.cli.documents import must_be_new, write_file
from cado_ops.cli.options import STATUS_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.due import format_due
from cado_ops.model import Report
from cado_ops.plan.retiring import RetireWish
from cado_ops.scope import Selection
from cado_ops.verdict.coverage import coverage, totals
from cado_ops.verdict.outcome import status_of
from cado_ops.verdict.standing import held_by, standings

if TYPE_CHECKING:
    from cado_ops.observe.fleet import FleetSeen
    from cado_ops.render.fleet_list import FleetCell


@takes(STATUS_OPTIONS)
def status(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """How far tag, SSM agents and key grants have come, per account and region. Read-only.

    With --html the same as a page for a ticket, with every instance on it.

    Example: cado-ops status --org --region all --role-name CadoOperator --html fleet.html
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        selection = session.given.claims()
        page = None if flags["html"] is None else Path(flags["html"])
        if page is not None:
            must_be_new(page, "--html")
        assert session.scope is not None
        # Everything the user typed is checked: only now AWS's SDK is loaded.
        from cado_ops.cli.kms_proposal import reader_of
        from cado_ops.observe.fleet import read_fleet

        seen = read_fleet(reader_of(session), selection)
        session.say_left_out(seen.left_out)
        for remark in seen.remarks:
            session.warn(remark)
        cells = _cells(seen, selection, world.now())
        report = _report(session, seen, cells)
        if page is not None:
            write_file(page, _document(session, seen, cells, report, selection), "--html")
            session.remark(f"page: {page}")
        return report

    return run("status", flags, world, body)


def _cells(seen: FleetSeen, selection: Selection, now: datetime) -> list[FleetCell]:
    """Each account and region that was read, counted. Of a case, or of what is due, its grants alone."""
    from cado_ops.render.fleet_list import FleetCell

    wish = RetireWish(of_case=selection.of_case, expired_at=selection.expired_at)
    cells = []
    for cell, facts in sorted(seen.facts.items()):
        stand = standings(facts, seen.keys, now)
        grants = None if facts.grants is None else [
            (grant, held_by(grant, now)) for grant in facts.grants if not wish.by_name or wish.selects(grant)
        ]  # fmt: skip
        item = coverage(cell, stand, None if grants is None else len(grants))
        cells.append(FleetCell(item, stand, grants or ()))
    return cells


def _report(session: Session, seen: FleetSeen, cells: list[FleetCell]) -> Report:
    items = [dict(cell.item) for cell in cells]
    return Report(
        command="status",
        status=status_of(
            ["listed"] * len(items), seen.failures, targets=seen.targets, targets_failed=seen.failed_cells
        ),
        caller=session.caller,
        summary={
            "targets": seen.targets,
            "targets_failed": seen.failed_cells,
            "targets_left_out": len(seen.left_out),
            **totals(items),
        },
        items=items,
        failures=seen.failures,
        gaps=list(_gaps(seen)),
    )


def _gaps(seen: FleetSeen) -> Iterator[dict[str, Any]]:
    """The targets without an item: what could not be read, and what was left out."""
    for each in seen.failures:
        if not each.of_part:
            why = f"{each.stage}: {each.error.code}"
            yield {"account": each.account, "region": each.region, "gap": "not read", "reason": why}
    for left in seen.left_out:
        why = left.reason.partition(":")[0]
        yield {"account": left.account, "region": left.region, "gap": "left out", "reason": why}


def _document(
    session: Session, seen: FleetSeen, cells: list[FleetCell], report: Report, selection: Selection
) -> bytes:
    from cado_ops.render.columns import sorted_failures
    from cado_ops.render.fleet_page import Fleet, fleet_page

    chosen = [f"claimed by the case {selection.of_case}"] if selection.of_case else []
    chosen += ["with a claim that is due"] if selection.expired_at else []
    fleet = Fleet(
        cells=cells,
        failures=sorted_failures(seen.failures),
        left_out=sorted(seen.left_out, key=lambda left: (left.account, left.region or "")),
        summary=report.summary,
        caller=report.caller,
        made=format_due(session.world.now()),
        version=__version__,
        names=seen.names,
        chosen=f"instances {' and '.join(chosen)}" if chosen else "",
    )
    return "".join(fleet_page(fleet)).encode()
