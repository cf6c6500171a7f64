"""cado-ops tag-instances and untag-instances."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cado_ops.cli.audience import Terminal
from cado_ops.cli.options import TAG_OPTIONS, UNTAG_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import UsageError
from cado_ops.model import Instance, Report, Status
from cado_ops.plan.change import TagChange
from cado_ops.plan.tagging import TagWish, UntagWish, plan_tag, plan_untag
from cado_ops.workflow.change import DEFAULT_MAX_CHANGES, Guards, Machine, Proposal

Instances = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[INSTANCE]...",
        help="Ids (searched in every target) or ARNs (which name their own account and region); - is stdin.",
        show_default=False,
    ),
]


@takes(TAG_OPTIONS)
def tag_instances(ctx: typer.Context, instances: Instances = None, *, flags: dict[str, Any]) -> int:
    """Put CadoResponseSSMEnabled=True on EC2 instances, so that Cado may reach them over SSM.

    Shows the plan and asks before it changes anything; a run can be looked up with cado-ops runs.

    Example: cado-ops tag-instances --filter tag:Env=prod --account 222222222222 --region eu-west-1
    --role-name CadoOperator --case IR-42 --dry-run
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        wish = TagWish(
            case=session.case,
            due=session.given.due(world.now()),
            overwrite=session.given.flag("overwrite"),
        )
        return _change(session, instances or [], lambda instance: plan_tag(instance, wish))

    return run("tag-instances", flags, world, body)


@takes(UNTAG_OPTIONS)
def untag_instances(ctx: typer.Context, instances: Instances = None, *, flags: dict[str, Any]) -> int:
    """Take CadoResponseSSMEnabled off EC2 instances again.

    With --case only that case's claim goes, and the tag with the last claim. Without it, claimed instances are
    left alone unless --overwrite.

    Example: cado-ops untag-instances --filter tag:Env=prod --account 222222222222 --region eu-west-1
    --role-name CadoOperator --case IR-42
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        wish = UntagWish(case=session.case, overwrite=session.given.flag("overwrite"))
        return _change(session, instances or [], lambda instance: plan_untag(instance, wish))

    return run("untag-instances", flags, world, body)


def _change(session: Session, instances: list[str], plan: Callable[[Instance], TagChange]) -> Report:
    given, world = session.given, session.world
    guards = Guards(
        dry_run=given.flag("dry-run"),
        yes=given.flag("yes"),
        max_changes=given.number("max-changes", DEFAULT_MAX_CHANGES, 0, 10_000_000),
        all_or_nothing=given.flag("all-or-nothing"),
        fail_empty=given.flag("fail-empty"),
    )
    scope = session.scope
    selection = given.selection(instances)
    if world.stdin_reader is not None and not (guards.yes or guards.dry_run):
        raise UsageError(
            f"{world.stdin_reader} reads stdin, so nobody can be asked there",
            "add --dry-run to look first, or --yes",
        )
    # Everything the user typed is checked: only now AWS's SDK is loaded.
    from cado_ops.aws.ec2 import Ec2
    from cado_ops.journal import Journal, new_run_id
    from cado_ops.workflow.apply import TagApplier, dry_run_cell
    from cado_ops.workflow.tags import propose, read_instances

    caller = session.identified()
    connection = session.connection
    session.progress.phase("reading", None)
    seen = read_instances(
        scope,
        selection,
        caller,
        connection,
        max_concurrency=session.max_concurrency,
        clock=world.clock,
        on_progress=session.reading,
    )
    proposal = propose(session.command, session.case, caller, seen, plan, _header(session, guards))
    session.say_left_out(proposal.left_out)
    session.stream_failures(proposal.failures)
    ec2 = Ec2(connection)

    def open_journal() -> Journal:
        run_id = new_run_id(world.now(), lambda: secrets.token_hex(3))
        journal = Journal(given.journal_folder(), run_id)
        session.run_id = run_id
        return journal

    def apply(journal: Journal) -> Any:
        applier = TagApplier(ec2, journal, session.sleep, world.clock, session.interrupts.stopped)
        return lambda cell, changes: applier.apply_cell(cell, changes, seen.read_at[cell])

    machine = Machine(
        audience=Terminal(session),
        interrupts=session.interrupts,
        dry_run=lambda cell, changes: dry_run_cell(ec2, cell, changes),
        apply=apply,
        open_journal=open_journal,
        now=world.now,
        max_concurrency=session.max_concurrency,
    )
    report = machine.run(proposal, guards)
    report.notes += _next(session, proposal, report, guards)
    if not proposal.changes and not proposal.failures:
        session.warn("nothing matches: no instance was selected")
    return report


def _header(session: Session, guards: Guards) -> dict[str, Any]:
    """What the journal says of a run's beginnings; enough to find the same accounts again."""
    given, scope = session.given, session.scope
    credentials = session.connection.credentials
    return {
        "argv": list(session.world.argv),
        "roles": {
            "role_name": scope.role_name,
            "role_arns": dict(scope.role_arns),
            "external_id": given.external_id(),
            "session_name": credentials.session_name,
            "source_identity": given.source_identity(),
        },
        "endpoint_url": given.text("endpoint-url"),
        "home_region": session.connection.home_region,
        "overwrite": given.flag("overwrite"),
        "max_changes": guards.max_changes,
    }


def _next(session: Session, proposal: Proposal, report: Report, guards: Guards) -> list[str]:
    """The command lines that most likely come next."""
    argv = ["cado-ops", *session.world.argv]
    count = len(proposal.planned)
    if guards.dry_run and report.status is Status.PLANNED and count:
        again = [each for each in argv if each != "--dry-run"]
        if count > guards.max_changes:
            again += ["--max-changes", str(count)]
        return [shlex.join(again)]
    if report.run_id is not None:
        return [f"cado-ops runs show {report.run_id}"]
    return []
