"""cado-ops status."""

from __future__ import annotations

from typing import Any

import typer

from cado_ops.cli.options import STATUS_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.model import Report
from cado_ops.verdict.coverage import coverage
from cado_ops.verdict.outcome import status_of


@takes(STATUS_OPTIONS)
def status(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """How far the tag has come: instances, tagged and mis-tagged, per account and region. Read-only.

    Example: cado-ops status --org --region all --role-name CadoOperator
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        scope = session.scope
        session.progress.phase("reading", None)
        from cado_ops.workflow.tags import read_instances

        seen = read_instances(
            scope,
            session.given.claims(),
            session.identified(),
            session.connection,
            max_concurrency=session.max_concurrency,
            clock=world.clock,
            on_progress=session.reading,
        )
        session.say_left_out(seen.left_out)
        items = [coverage(cell, found.instances, world.now()) for cell, found in sorted(seen.readings.items())]
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
                "instances": sum(item["instances"] for item in items),
                "tagged": sum(item["tagged"] for item in items),
                "mistagged": sum(item["mistagged"] for item in items),
                "due": sum(item["due"] for item in items),
            },
            items=items,
            failures=seen.failures,
        )

    return run("status", flags, world, body)
