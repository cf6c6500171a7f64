"""cado-ops check: can Cado acquire these instances? Why not, and the command that mends it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

from cado_ops import shell
from cado_ops.cli.changing import guards_of
from cado_ops.cli.options import CHECK_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.tag_instances import Instances
from cado_ops.cli.world import World
from cado_ops.due import parse_duration
from cado_ops.errors import AwsError, UsageError
from cado_ops.model import ErrorInfo, Failure, Report, Status
from cado_ops.render.text import count
from cado_ops.scope import Selection
from cado_ops.verdict.commands import Asker
from cado_ops.verdict.outcome import status_of
from cado_ops.verdict.readiness.finding import Readiness

if TYPE_CHECKING:
    from cado_ops.observe.readiness import CellFacts, ReadinessReader
    from cado_ops.observe.sweep import Seen
    from cado_ops.verdict.readiness.facts import InstanceFacts

DEFAULT_TIMEOUT = 600.0
# Between two looks, in seconds: the first, and the longest. An agent reports every five minutes, a grant is
# visible within as many.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0


@takes(CHECK_OPTIONS)
def check(ctx: typer.Context, instances: Instances = None, *, flags: dict[str, Any]) -> int:
    """Can Cado acquire these instances? By triage over SSM, by disk; why not, and the command that mends it.

    Changes nothing, unless with --fix, which shows the plan and asks. A finding of block or unknown makes exit 3.

    Example: cado-ops check i-0123456789abcdef0 --account 222222222222 --region eu-west-1 --role-name CadoOperator
    --case IR-42
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        given = session.given
        guards = guards_of(session)
        timeout, source = given.merged("timeout")
        limit = parse_duration(timeout, source) if timeout is not None else DEFAULT_TIMEOUT
        given.due(world.now())
        selection = given.selection(instances or [])
        if given.flag("fix") and world.stdin_reader is not None and not guards.yes:
            raise UsageError(f"{world.stdin_reader} reads stdin, so nobody can be asked there", "add --yes")
        checker = Checker(session, selection)
        checker.look()
        refused = None
        if given.flag("fix"):
            # Everything the user typed is checked, and something was found: only now what changes is loaded.
            from cado_ops.cli.check_fix import mend

            refused = mend(session, checker, guards)
        if given.flag("wait") and refused is None:
            wait(session, checker, limit)
        return checker.report(refused)

    return run("check", flags, world, body)


class Checker:
    """Looks at the selected instances, as often as it is told to; holds what was found last."""

    def __init__(self, session: Session, selection: Selection) -> None:
        self.session, self.selection = session, selection
        self.seen: Seen[CellFacts]
        self.facts: list[InstanceFacts] = []
        self.verdicts: list[Readiness] = []
        # What fixing told: what went wrong, and what comes next.
        self.failures: list[Failure] = []
        self.notes: list[str] = []
        self.changed = False
        self._reader: ReadinessReader | None = None
        self._first = True

    def look(self) -> None:
        """Reads all facts anew. Raises AwsError."""
        from cado_ops.verdict.readiness import judge

        session = self.session
        session.begin_reading()
        self.seen, self.facts = self._reading().read(self.selection)
        if self._first:
            session.say_left_out(self.seen.left_out)
            self._first = False
        asker, now = self._asker(), session.world.now()
        self.verdicts = [judge(each, now, asker) for each in self.facts]

    def look_again(self) -> None:
        """After something was changed, that is told whatever this look meets. Raises AwsError where nothing was."""
        try:
            self.look()
        except AwsError as error:
            if not self.changed:
                raise
            # What was found before is no longer so.
            self.verdicts = []
            self.failures.append(Failure(None, None, "observe", ErrorInfo.of(error)))

    @property
    def ready(self) -> bool:
        return all(each.ready for each in self.verdicts) and not self.seen.failures

    def report(self, refused: Status | None) -> Report:
        session, seen = self.session, self.seen
        counts = Counter(each.overall for each in self.verdicts)
        status = status_of(
            ["listed"] * len(self.verdicts), seen.failures, targets=seen.targets, targets_failed=seen.failed_cells
        )
        if status is Status.ERROR and self.changed:
            # Nothing can be read any more, and something was done before.
            status = Status.PARTIAL
        if status is Status.SUCCESS and (self.failures or not all(each.clear for each in self.verdicts)):
            status = Status.PARTIAL
        if not self.verdicts and status is Status.SUCCESS:
            session.warn("nothing matches: no instance was selected")
            if session.given.flag("fail-empty"):
                status = Status.PARTIAL
        return Report(
            command="check",
            status=refused or status,
            run_id=session.run_id,
            case=session.case,
            caller=session.caller,
            summary={
                "targets": seen.targets,
                "targets_failed": seen.failed_cells,
                "targets_left_out": len(seen.left_out),
                "selected": len(self.verdicts),
                **{each: counts[each] for each in ("ready", "blocked", "unknown")},
            },
            items=[each.as_item() for each in self.verdicts],
            failures=[*seen.failures, *self.failures],
            notes=[*self.notes, *self._next()],
        )

    def _next(self) -> list[str]:
        """The same command with --fix, where that would mend something."""
        session = self.session
        mendable = any(finding.mend for each in self.verdicts for finding in each.findings)
        if not mendable or session.given.flag("fix") or session.world.stdin_reader is not None:
            return []
        return [shell.join(["cado-ops", *session.world.argv, "--fix"])]

    def _reading(self) -> ReadinessReader:
        from cado_ops.observe.readiness import ReadinessReader

        session = self.session
        if self._reader is None:
            caller = session.identified()
            self._reader = ReadinessReader(
                session.connection,
                caller,
                session.scope,
                session.given.cado_roles(session.scope),
                session.max_concurrency,
                session.world.clock,
                session.reading,
                simulator=not session.given.flag("no-simulator"),
            )
        return self._reader

    def _asker(self) -> Asker:
        session = self.session
        given, scope = session.given, session.scope
        return Asker(
            session.identified().account,
            role_name=scope.role_name,
            role_arns=scope.role_arns,
            external_id=given.external_id(),
            profile=given.text("profile"),
            cado_role=given.text("cado-role"),
            case=session.case,
            expires=given.text("expires"),
            endpoint_url=given.text("endpoint-url"),
        )


def wait(session: Session, checker: Checker, limit: float) -> None:
    """Looks again until all are ready, or ``limit`` seconds are over; the pauses grow. Ctrl-C ends it."""
    clock = session.world.clock
    began, paused, pause = clock(), 0.0, FIRST_PAUSE
    while not checker.ready:
        # What was slept counts even where a clock stands still.
        left = limit - max(clock() - began, paused)
        if left <= 0:
            session.warn("the time is over: not all are ready")
            return
        pause = min(pause, left)
        waiting = sum(not each.ready for each in checker.verdicts)
        session.remark(f"{count(waiting, 'instance')} not ready: looking again in {pause:.0f} s (Ctrl-C ends it)")
        session.sleep(pause)
        paused += pause
        pause = min(pause * 2, LONGEST_PAUSE)
        checker.look_again()
