"""cado-ops kms list."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

from cado_ops.cli.options import KMS_LIST_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import UsageError
from cado_ops.model import Owner, Report, Status
from cado_ops.plan.grant_change import listed
from cado_ops.plan.retiring import RetireWish, remarks_on
from cado_ops.verdict.outcome import status_of

if TYPE_CHECKING:
    from cado_ops.observe.keys import KeysFound
    from cado_ops.observe.sweep import Seen


@takes(KMS_LIST_OPTIONS)
def list_grants(ctx: typer.Context, *, flags: dict[str, Any]) -> int:
    """The grants on the keys that you name, or on all customer managed keys in scope. Changes nothing.

    With -o ndjson they are written as they come, however many there are.

    Example: cado-ops kms list --owner ours --org --region all --role-name CadoOperator
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        given = session.given
        selection, owners = given.keys(), given.owners()
        chosen = RetireWish(of_case=given.of_case(), expired_at=world.now() if given.flag("expired") else None)
        retirable = given.flag("retirable")
        if retirable and selection.refs:
            raise UsageError("--retirable asks for accounts and regions, not for keys")
        assert session.scope is not None
        # Everything the user typed is checked: only now AWS's SDK is loaded.
        from cado_ops.cli.kms_proposal import reader_of

        reader = reader_of(session)
        seen = reader.retirable_cells() if retirable else reader.keys(selection)
        session.say_left_out(seen.left_out)
        owner = reader.ownership(sorted(seen.accounts.in_scope))
        counts: Counter[str] = Counter()
        items: list[dict[str, Any]] = []
        session.progress.phase("listing", None)
        for page in reader.walk_retirable(seen) if retirable else reader.walk(seen):
            items_of_page: list[dict[str, Any]] = []
            for grant in page.grants:
                whose = owner(grant)
                if whose not in owners or (chosen.by_name and not (whose is Owner.OURS and chosen.selects(grant))):
                    continue
                counts[str(whose)] += 1
                items_of_page.append(listed(grant, whose, remarks_on(grant)))
            if session.streams:
                session.stream_only(items_of_page)
            else:
                items += items_of_page
        for remark in reader.remarks:
            session.warn(remark)
        return _report(session, seen, items, counts)

    return run("kms list", flags, world, body)


def _report(
    session: Session,
    seen: Seen[KeysFound],
    items: list[dict[str, Any]],
    counts: Counter[str],
) -> Report:
    status = status_of(
        ["listed"] * counts.total(), seen.failures, targets=seen.targets, targets_failed=seen.failed_cells
    )
    keys = {use.key_arn for found in seen.readings.values() for use in found.uses if use.key_arn}
    if not counts and status is Status.SUCCESS:
        session.warn("nothing matches: no grant was found")
        if session.given.flag("fail-empty"):
            status = Status.PARTIAL
    return Report(
        command="kms list",
        status=status,
        caller=session.caller,
        summary={
            "targets": seen.targets,
            "targets_failed": seen.failed_cells,
            "targets_left_out": len(seen.left_out),
            "keys": len(keys),
            "grants": counts.total(),
            **{str(owner): counts[str(owner)] for owner in Owner},
        },
        items=items,
        failures=seen.failures,
    )
