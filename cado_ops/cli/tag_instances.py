"""cado-ops tag-instances and untag-instances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cado_ops.cli.changing import guards_of, header_of
from cado_ops.cli.options import TAG_OPTIONS, UNTAG_OPTIONS, takes
from cado_ops.cli.saved_plan import plan_file, save_or_carry_out
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import UsageError
from cado_ops.model import Instance, Report
from cado_ops.plan.change import TagChange
from cado_ops.plan.tagging import TagWish, UntagWish, plan_tag, plan_untag
from cado_ops.render.text import count, cut

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

    With --case or --of-case only that case's claim goes, with --expired only claims that are due, and the tag with
    the last claim. Without them, claimed instances are left alone unless --overwrite.

    Example: cado-ops untag-instances --filter tag:Env=prod --account 222222222222 --region eu-west-1
    --role-name CadoOperator --case IR-42
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        of_case = session.given.of_case()
        by_flag = session.given.merged("case").source == "--case"
        if by_flag and of_case and session.case != of_case:
            raise UsageError(f"--case {session.case} and --of-case {of_case} are two cases")
        session.case = of_case or session.case
        expired = session.given.flag("expired")
        wish = UntagWish(
            # A case from the settings labels the run; it must not narrow what is due.
            case=session.case if of_case or by_flag or not expired else None,
            expired_at=world.now() if expired else None,
            overwrite=session.given.flag("overwrite"),
        )
        return _change(session, instances or [], lambda instance: plan_untag(instance, wish))

    return run("untag-instances", flags, world, body)


def _change(session: Session, instances: list[str], plan: Callable[[Instance], TagChange]) -> Report:
    given, world = session.given, session.world
    guards = guards_of(session)
    scope = session.scope
    selection = given.selection(instances)
    plan_file(session, guards)
    # Everything the user typed is checked: only now AWS's SDK is loaded.
    from cado_ops.workflow.tags import propose, read_instances

    session.progress.phase("reading", None)
    caller = session.identified()
    seen = read_instances(
        scope,
        selection,
        caller,
        session.connection,
        max_concurrency=session.max_concurrency,
        clock=world.clock,
        on_progress=session.reading,
    )
    header = header_of(session, session.given_roles())
    proposal = propose(session.command, session.case, caller, seen, plan, header)
    session.say_left_out(proposal.left_out)
    if not proposal.changes and not proposal.failures:
        session.warn("nothing matches: no instance was selected")
    there = {each for found in seen.readings.values() for each in found.exists}
    unmatched = sorted(there - {change.id for change in proposal.changes})
    if unmatched:
        named = count(len(unmatched), "instance")
        session.warn(f"{named} that you named do not match the filters: {', '.join(cut(unmatched, 5))}")
    return save_or_carry_out(session, proposal, guards, seen.read_at)
