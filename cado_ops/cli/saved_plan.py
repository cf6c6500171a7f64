"""--save-plan, and cado-ops apply."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cado_ops import shell
from cado_ops.cli.changing import carry_out, guards_of, header_of, next_after
from cado_ops.cli.options import AGAIN_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import MAX_STDIN, World, open_at_once
from cado_ops.errors import LocalError, RefusedError, UsageError
from cado_ops.model import Cell, Report, Status
from cado_ops.plan.planfile import SavedPlan, dump_plan, load_plan
from cado_ops.verdict.outcome import status_of, summarise
from cado_ops.workflow.proposal import Guards, Proposal, incomplete

Plan = Annotated[str, typer.Argument(metavar="PLAN", help="A file that --save-plan wrote.")]


@takes(AGAIN_OPTIONS)
def apply(ctx: typer.Context, plan: Plan, *, flags: dict[str, Any]) -> int:
    """Apply a plan saved with --save-plan: exactly, or refuse it.

    The plan's accounts, roles and external id are used with the credentials of now, which must be of the account
    that made it; another person of that account may apply it. What was changed since it was made is left alone.

    Example: cado-ops apply plan.json
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        guards = guards_of(session)
        saved = load_plan(_read(plan, world), "stdin" if plan == "-" else plan)
        if plan == "-" and not (guards.yes or guards.dry_run):
            raise UsageError("PLAN reads stdin, so nobody can be asked there", "add --dry-run or --yes")
        session.case = saved.case
        session.recorded_roles = saved.roles
        session.recorded_home_region = saved.home_region
        caller = session.must_be(saved.caller)
        header = header_of(session, saved.roles) | {
            "plan": {"command": saved.command, "digest": saved.digest, "caller": saved.caller.as_json()}
        }
        proposal = Proposal(
            command="apply",
            case=saved.case,
            caller=caller,
            changes=saved.changes,
            failures=saved.failures,
            left_out=[],
            targets=saved.targets,
            targets_failed=saved.targets_failed,
            account_names=saved.account_names,
            header=header,
        )
        # As old as the plan is; a clock that went backwards makes it old, not new.
        read_at = world.clock() - abs((world.now() - saved.created).total_seconds())
        report = carry_out(session, proposal, guards, lambda cell: read_at)
        report.notes += next_after(session, report)
        return report

    return run("apply", flags, world, body)


def plan_file(session: Session, guards: Guards) -> str | None:
    """--save-plan's file. Raises UsageError where it does not go with the rest, or nobody could be asked."""
    path = session.given.text("save-plan")
    reader = session.world.stdin_reader
    if reader is not None and not (guards.yes or guards.dry_run or path):
        raise UsageError(
            f"{reader} reads stdin, so nobody can be asked there", "add --dry-run to look first, or --yes"
        )
    if path == "-":
        raise UsageError("--save-plan takes a file: stdout has the report")
    if path and guards.dry_run:
        raise UsageError("--save-plan and --dry-run exclude each other: a saved plan changes nothing either")
    return path


def save_or_carry_out(
    session: Session, proposal: Proposal, guards: Guards, read_at: Mapping[Cell, float]
) -> Report:
    """What becomes of a proposal that was read just now: at ``read_at``, monotonic seconds by cell."""
    world, path = session.world, session.given.text("save-plan")
    oldest = min(read_at.values(), default=world.clock())
    if path:
        return save_plan(session, proposal, guards, path, world.now() - timedelta(seconds=world.clock() - oldest))
    report = carry_out(session, proposal, guards, lambda cell: read_at.get(cell, oldest))
    report.notes += _next(session, proposal, report, guards)
    return report


def _next(session: Session, proposal: Proposal, report: Report, guards: Guards) -> list[str]:
    """The command lines that most likely come next."""
    argv = ["cado-ops", *session.world.argv]
    planned = len(proposal.planned)
    if guards.dry_run and report.status is Status.PLANNED and planned:
        again = [each for each in argv if each != "--dry-run"]
        if planned > guards.max_changes:
            again += ["--max-changes", str(planned)]
        if session.world.stdin_reader is not None:
            again.append("--yes")
        return [shell.join(again)]
    return next_after(session, report)


def save_plan(session: Session, proposal: Proposal, guards: Guards, path: str, read_at: datetime) -> Report:
    """Writes the proposal to a new file, or over an older plan, for this user alone.

    ``read_at`` (UTC) is when its oldest part was read. A plan that would be refused as a whole is not written.
    """
    refusal = incomplete(proposal, guards)
    if refusal is not None:
        raise RefusedError(refusal.message, refusal.hint)
    caller, roles = proposal.caller, session.given_roles()
    saved = SavedPlan(
        command=proposal.command,
        case=proposal.case,
        created=read_at,
        caller=caller,
        roles=roles,
        home_region=session.connection.home_region,
        targets=proposal.targets,
        targets_failed=proposal.targets_failed,
        account_names=dict(proposal.account_names),
        changes=proposal.changes,
        failures=proposal.failures,
    )
    _write(Path(path), dump_plan(saved))
    outcomes = [str(change.outcome) for change in proposal.changes]
    status = status_of(
        outcomes,
        proposal.failures,
        targets=proposal.targets,
        targets_failed=proposal.targets_failed,
        planned=True,
    )
    if not proposal.changes and guards.fail_empty and status is Status.PLANNED:
        status = Status.PARTIAL
    return Report(
        command=proposal.command,
        status=status,
        case=proposal.case,
        caller=caller,
        summary=summarise(
            outcomes,
            targets=proposal.targets,
            targets_failed=proposal.targets_failed,
            targets_left_out=len(proposal.left_out),
            planned=len(proposal.planned),
        ),
        items=[change.as_item() for change in proposal.changes],
        failures=list(proposal.failures),
        notes=[shell.join(["cado-ops", "apply", shell.as_path(path)])],
    )


def _read(plan: str, world: World) -> str:
    def check(status: os.stat_result) -> None:
        if os.name != "posix" or not stat.S_ISREG(status.st_mode):
            return
        if status.st_uid not in (os.getuid(), 0):
            raise RefusedError(f"{plan} belongs to another user", "look at it, and apply a copy of your own")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            hint = f"look at it, then: chmod go-w {shell.quote(shell.as_path(plan))}"
            raise RefusedError(f"others may write to {plan}", hint)

    return world.read_file(plan, "PLAN", check)


def _write(path: Path, text: str) -> None:
    if path.exists():
        # A typing mistake must not cost somebody a file.
        try:
            with open_at_once(path) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise UsageError("a terminal or a pipe has no end")
                load_plan(file.read(MAX_STDIN), str(path))
        except (RefusedError, UsageError, OSError, UnicodeDecodeError):
            raise UsageError(
                f"--save-plan: {path} is there already, and is no plan", "choose another name"
            ) from None
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise LocalError(f"the plan cannot be written to {path}: {error.strerror}") from error
