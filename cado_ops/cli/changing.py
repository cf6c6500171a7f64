"""What every command that changes AWS has in common: its guards, its machine, its journal."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from cado_ops.cli.audience import Terminal
from cado_ops.cli.session import Session
from cado_ops.journal import Journal, new_run_id
from cado_ops.model import Cell, Report, Status
from cado_ops.workflow.change import DEFAULT_MAX_CHANGES, Guards, Machine, Proposal, write_plan

_URL_PASSWORD = re.compile(r"://[^/\s]*@")


def guards_of(session: Session) -> Guards:
    """The safety options."""
    given = session.given
    return Guards(
        dry_run=given.flag("dry-run"),
        yes=given.flag("yes"),
        max_changes=given.number("max-changes", DEFAULT_MAX_CHANGES, 0, 10_000_000),
        all_or_nothing=given.flag("all-or-nothing"),
        fail_empty=given.flag("fail-empty"),
    )


def carry_out(
    session: Session,
    proposal: Proposal,
    guards: Guards,
    read_at: Callable[[Cell], float],
    open_journal: Callable[[Proposal], Journal] | None = None,
) -> Report:
    """Takes a proposal through the machine. ``read_at`` says when a cell was read (monotonic seconds).

    ``open_journal`` is that of a run which is gone on with; by default a new run begins.
    """
    from cado_ops.aws.ec2 import Ec2
    from cado_ops.workflow.apply import FRESH_SECONDS, TagApplier, dry_run_cell

    world = session.world
    ec2 = Ec2(session.connection)

    def new_run(proposal: Proposal) -> Journal:
        run_id = new_run_id(world.now(), lambda: secrets.token_hex(3))
        journal = Journal(session.given.journal_folder(), run_id, world.now)
        try:
            write_plan(journal, proposal, world.now())
        except BaseException:
            journal.close()
            raise
        session.run_id = run_id
        return journal

    def apply(journal: Journal) -> Any:
        applier = TagApplier(ec2, journal, session.sleep, world.clock, session.interrupts.stopped)
        return lambda cell, changes: applier.apply_cell(cell, changes, read_at(cell))

    session.stream_failures(proposal.failures)
    machine = Machine(
        audience=Terminal(session),
        interrupts=session.interrupts,
        dry_run=lambda cell, changes: dry_run_cell(
            ec2, cell, changes, stale=world.clock() - read_at(cell) > FRESH_SECONDS
        ),
        apply=apply,
        open_journal=open_journal or new_run,
        now=world.now,
        max_concurrency=session.max_concurrency,
    )
    return machine.run(proposal, guards)


def header_of(session: Session, roles: dict[str, Any]) -> dict[str, Any]:
    """What the journal says of a run's beginnings; enough to find the same accounts again."""
    return {
        "argv": [_URL_PASSWORD.sub("://***@", argument) for argument in session.world.argv],
        "roles": roles,
        "home_region": session.connection.home_region,
    }


def next_after(report: Report) -> list[str]:
    """The command line that comes next after a run."""
    if report.run_id is None:
        return []
    if report.status is Status.INTERRUPTED:
        return [f"cado-ops runs resume {report.run_id}"]
    done = report.summary["changed"] or report.summary["unknown"]
    return [f"cado-ops runs undo {report.run_id}"] if done else []
