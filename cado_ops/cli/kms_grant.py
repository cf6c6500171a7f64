"""cado-ops kms grant."""

from __future__ import annotations

from typing import Any

import typer

from cado_ops.cli.changing import guards_of
from cado_ops.cli.options import GRANT_OPTIONS, takes
from cado_ops.cli.saved_plan import plan_file, save_or_carry_out
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import UsageError
from cado_ops.model import Report
from cado_ops.plan.granting import GrantWish


@takes(GRANT_OPTIONS)
def grant(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """Let the Cado role use the keys behind an instance, a volume or a snapshot, or keys that you name.

    One grant a key, however often it is run. Shows the plan and asks before it changes anything.

    Example: cado-ops kms grant --instance-id i-0123456789abcdef0 --account 222222222222 --region eu-west-1
    --role-name CadoOperator --case IR-42 --expires 72h
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        given = session.given
        guards = guards_of(session)
        selection = given.keys()
        if not selection.refs:
            raise UsageError("no key is named", "name one with --key, --instance-id, --volume-id or --snapshot-id")
        wish = GrantWish(
            operations=given.operations(),
            case=session.case,
            due=given.due(world.now()),
            constraints=given.constraints(),
        )
        grantee, retiring = given.principal("grantee"), given.principal("retiring-principal")
        external = given.flag("external-grantee")
        if given.flag("show-tokens") and (session.output == "csv" or given.text("save-plan")):
            raise UsageError(
                "--show-tokens goes with table, json and ndjson, and not with --save-plan",
                "a token is shown once, when its grant is made",
            )
        assert session.scope is not None
        plan_file(session, guards)
        # Everything the user typed is checked: only now AWS's SDK is loaded.
        from cado_ops.cli.kms_proposal import proposal_of, reader_of, warn_of_create_grant
        from cado_ops.workflow.grants import propose_grants

        reader = reader_of(session, retiring)
        seen, changes = propose_grants(reader, selection, wish, grantee, external=external)
        proposal = proposal_of(session, reader, seen, changes)
        warn_of_create_grant(session, wish, proposal)
        return save_or_carry_out(session, proposal, guards, seen.read_at)

    return run("kms grant", flags, world, body)
