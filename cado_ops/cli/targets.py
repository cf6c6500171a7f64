"""cado-ops targets."""

from __future__ import annotations

from typing import Any

import typer

from cado_ops.cli.options import AWS_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.model import Report
from cado_ops.verdict.outcome import status_of


@takes(AWS_OPTIONS)
def targets(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """The accounts and regions that the scope options mean, what was left out, and what cannot be read.

    Assumes the operator role in each account and asks each region for a few instances: what is listed as included
    can be read. Changes nothing.

    Example: cado-ops targets --org --region all --role-name CadoOperator
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        scope = session.scope
        session.progress.phase("reading", None)
        from cado_ops.aws.ec2 import Ec2
        from cado_ops.observe.sweep import sweep
        from cado_ops.observe.targets import resolve_accounts

        caller, connection = session.identified(), session.connection
        ec2 = Ec2(connection)
        accounts = resolve_accounts(scope, caller, connection)
        seen = sweep(
            scope,
            accounts,
            caller,
            connection,
            ec2.probe,
            max_concurrency=session.max_concurrency,
            clock=world.clock,
            on_progress=session.reading,
        )

        def item(account: str, region: str | None, name: str | None, reason: str | None) -> dict[str, Any]:
            return {
                "account": account,
                "name": name,
                "region": region,
                "role_arn": connection.credentials.role_arn(account),
                "included": reason is None,
                "reason": reason,
            }

        items = [item(cell.account, cell.region, seen.name_of(cell.account), None) for cell in seen.readings]
        items += [item(left.account, left.region, left.name, left.reason) for left in seen.left_out]
        items += [
            item(lost.account, lost.region, seen.name_of(lost.account), f"{lost.error.code}: {lost.error.message}")
            for lost in seen.failures
            if lost.account is not None and lost.stage != "organizations"
        ]
        return Report(
            command="targets",
            status=status_of(
                ["listed"] * len(seen.readings),
                seen.failures,
                targets=seen.targets,
                targets_failed=seen.failed_cells,
            ),
            caller=caller,
            summary={
                "targets": seen.targets,
                "targets_failed": seen.failed_cells,
                "targets_left_out": len(seen.left_out),
            },
            items=items,
            failures=seen.failures,
        )

    return run("targets", flags, world, body)
