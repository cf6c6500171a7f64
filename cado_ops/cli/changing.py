"""What every command that changes AWS has in common: its guards, its machine, its journal."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from cado_ops import shell
from cado_ops.cli.audience import Terminal
from cado_ops.cli.session import Session
from cado_ops.journal import Journal, new_run_id
from cado_ops.model import Cell, Report, Status
from cado_ops.plan.grant_change import GrantChange
from cado_ops.workflow.change import Machine
from cado_ops.workflow.proposal import DEFAULT_MAX_CHANGES, Guards, Proposal
from cado_ops.workflow.records import write_plan

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
    from cado_ops.workflow.apply import FRESH_SECONDS

    world = session.world
    craft = _GrantCraft(session) if _is_of_grants(proposal) else _TagCraft(session)

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
        applier = craft.applier(journal)
        return lambda cell, changes: applier.apply_cell(cell, changes, read_at(cell))

    session.stream_failures(proposal.failures)
    machine = Machine(
        audience=Terminal(session),
        interrupts=session.interrupts,
        dry_run=lambda cell, changes: craft.dry_run(cell, changes, world.clock() - read_at(cell) > FRESH_SECONDS),
        apply=apply,
        open_journal=open_journal or new_run,
        now=world.now,
        max_concurrency=session.max_concurrency,
    )
    report = machine.run(proposal, guards)
    if session.tokens:
        report.items = [session.with_token(item) for item in report.items]
    return report


def _is_of_grants(proposal: Proposal) -> bool:
    return any(isinstance(change, GrantChange) for change in proposal.changes)


class _TagCraft:
    """How tags are changed."""

    def __init__(self, session: Session) -> None:
        from cado_ops.aws.ec2 import Ec2

        self._session, self._ec2 = session, Ec2(session.connection)

    def dry_run(self, cell: Cell, changes: Sequence[Any], stale: bool) -> list[Any]:
        from cado_ops.workflow.tag_calls import dry_run_tags

        return dry_run_tags(self._ec2, cell, changes, stale=stale)

    def applier(self, journal: Journal) -> Any:
        from cado_ops.workflow.apply import TagApplier

        session = self._session
        return TagApplier(self._ec2, journal, session.sleep, session.world.clock, session.interrupts.stopped)


class _GrantCraft:
    """How grants are made and ended."""

    def __init__(self, session: Session) -> None:
        from cado_ops.aws.kms import Kms

        self._session, self._kms = session, Kms(session.connection)

    def dry_run(self, cell: Cell, changes: Sequence[Any], stale: bool) -> list[Any]:
        from cado_ops.workflow.grant_calls import dry_run_grants

        return dry_run_grants(self._kms, cell, changes, self._revoke_command, stale=stale)

    def applier(self, journal: Journal) -> Any:
        from cado_ops.workflow.apply_grants import GrantApplier

        session = self._session
        return GrantApplier(
            self._kms,
            journal,
            session.sleep,
            session.world.clock,
            session.interrupts.stopped,
            self._revoke_command,
            session.tokens,
        )

    def _revoke_command(self, change: GrantChange) -> str:
        session = self._session
        words = ["cado-ops", "kms", "retire", change.grant_id or "", "--key", change.key_arn or "", "--revoke"]
        role = session.connection.credentials.role_arn(change.account)
        profile = session.given.text("profile")
        who = [*(["--role-arn", role] if role else []), *_external_id(session)]
        return shell.join([*words, *who, *(["--profile", profile] if profile else [])])


def _external_id(session: Session) -> list[str]:
    roles = session.recorded_roles if session.recorded_roles is not None else session.given_roles()
    return ["--external-id", roles["external_id"]] if roles["external_id"] else []


def header_of(session: Session, roles: dict[str, Any]) -> dict[str, Any]:
    """What the journal says of a run's beginnings; enough to find the same accounts again."""
    return {
        "argv": [_URL_PASSWORD.sub("://***@", argument) for argument in session.world.argv],
        "roles": roles,
        "home_region": session.connection.home_region,
    }


def next_after(session: Session, report: Report) -> list[str]:
    """The command line that comes next after a run."""
    if report.run_id is None:
        return []
    named, source = session.given.merged("journal-dir")
    folder = ["--journal-dir", str(named)] if named is not None and source == "--journal-dir" else []
    if report.status is Status.INTERRUPTED:
        return [shell.join(["cado-ops", "runs", "resume", report.run_id, *folder])]
    done = report.summary["changed"] or report.summary["unknown"]
    return [shell.join(["cado-ops", "runs", "undo", report.run_id, *folder])] if done else []
