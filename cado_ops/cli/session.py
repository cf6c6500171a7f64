"""One command's run: options in, a report out, and the boundary where errors become a line and an exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cado_ops.cli.complaint import complain, internal
from cado_ops.cli.given import MAX_CONCURRENCY, Given
from cado_ops.cli.world import World
from cado_ops.errors import AwsError, CadoOpsError, Kind, RefusedError, UsageError
from cado_ops.fanout import waiting
from cado_ops.model import Caller, ErrorInfo, Failure, LeftOut, Report, Status
from cado_ops.redaction import trace
from cado_ops.render.machine import NdjsonStream
from cado_ops.render.progress import Progress
from cado_ops.render.query import check_query
from cado_ops.render.report import write_report
from cado_ops.render.text import count, cut
from cado_ops.verdict.outcome import EXIT, summarise
from cado_ops.visible import sanitize
from cado_ops.workflow.interrupts import Interrupts

if TYPE_CHECKING:
    from cado_ops.aws.connection import Connection

# Measured at 100 accounts x 17 regions, 50 ms (docs/performance.md, "What pays"): 32 take a sixth longer, and 64
# wait for the processor alone.
DEFAULT_CONCURRENCY = 48
# "CreateSession name" limits, STS AssumeRole: 2 to 64 of [\w+=,.@-].
_SESSION_NAME = 64


class Session:
    """What a command works with. Connects to AWS when first asked to."""

    def __init__(self, command: str, given: Given, world: World) -> None:
        self.command = command
        self.given = given
        self.world = world
        self.interrupts = Interrupts()
        self.output = given.output()
        self.query = given.text("query")
        check_query(self.query, self.output)
        self.case = given.case()
        self.max_concurrency = given.number("max-concurrency", DEFAULT_CONCURRENCY, 1, MAX_CONCURRENCY)
        self.progress = Progress(world.stderr, world.environ, world.clock)
        self.caller: Caller | None = None
        # Set as soon as there is a journal: a run that is cut off must name it.
        self.run_id: str | None = None
        # The roles of a run or plan that is gone on with: they go before the role options.
        self.recorded_roles: dict[str, Any] | None = None
        self.recorded_home_region: str | None = None
        # The plan has been on the screen: a refusal need not repeat it.
        self.plan_shown = False
        # Grant tokens by the grant's name, in this process alone; shown only where that was asked for.
        self.tokens: dict[str, str] = {}
        self._ndjson = NdjsonStream(world.stdout) if self.output == "ndjson" else None
        self._streamed: set[tuple[Any, ...]] = set()
        self._failures_streamed = 0
        self._unwritten: OSError | None = None
        self._done = self._total = 0

    @cached_property
    def connection(self) -> Connection:
        """The connection, its caller identified. Raises AwsError, UsageError."""
        from cado_ops.aws.connection import Connection
        from cado_ops.aws.credentials import Roles

        recorded = self.recorded_roles
        roles = recorded if recorded is not None else self.given_roles()
        regions = () if recorded is not None else self.scope.regions
        session_name = self.given.session_name() or roles["session_name"]
        connection = Connection(
            roles=Roles(**{**roles, "session_name": session_name or "cado-ops"}),
            profile=self.given.text("profile"),
            endpoint_url=self.given.text("endpoint-url"),
            region=regions[0] if regions else None,
            home_region=self.recorded_home_region,
            max_concurrency=self.max_concurrency,
            now=self.world.now,
            clock=self.world.clock,
            sleep=self.sleep,
            rng=self.world.rng,
            stopped=self.interrupts.stopped,
            waiting=waiting,
        )
        self.caller = connection.identify()
        own = roles["role_arns"].get(self.caller.account)
        if own is not None and not self.command.startswith("kms"):
            self.warn(f"{own} is of your own account, where no role is assumed: it is not used")
        if session_name is None:
            connection.credentials.session_name = default_session_name(self.caller, self.case)
        return connection

    def given_roles(self) -> dict[str, Any]:
        """The role options, as journal and plan file hold them: the parameters of `aws.credentials.Roles`."""
        return {
            "role_name": self.scope.role_name,
            "role_arns": dict(self.scope.role_arns),
            "external_id": self.given.external_id(),
            "session_name": self.given.session_name(),
            "source_identity": self.given.source_identity(),
        }

    def must_be(self, before: Caller) -> Caller:
        """Who calls now, which must be of the account and at the endpoint of ``before``. Raises RefusedError."""
        now = self.identified()
        if now.account != before.account:
            raise RefusedError(
                f"this was made as account {before.account}, and you are in account {now.account}",
                f"use credentials of account {before.account}",
            )
        if now.endpoint != before.endpoint:
            raise RefusedError(
                f"this was made at {before.endpoint or 'AWS'}, and your calls go to {now.endpoint or 'AWS'}",
                "look at --endpoint-url and AWS_ENDPOINT_URL",
            )
        return now

    @cached_property
    def scope(self) -> Any:
        """The scope options, parsed. Raises UsageError."""
        return self.given.scope()

    def identified(self) -> Caller:
        """Who calls. Raises AwsError."""
        assert self.connection is not None
        assert self.caller is not None
        return self.caller

    def sleep(self, seconds: float) -> None:
        """Waits, or as the world would have it; never past a stop. Another job may work meanwhile."""
        with waiting():
            (self.world.sleep or self.interrupts.sleep)(seconds)

    def warn(self, message: str) -> None:
        """A line for people, on stderr."""
        self.progress.close()
        self.world.stderr.write(f"warning: {sanitize(message)}\n")

    def remark(self, message: str) -> None:
        """A line for people that is no warning."""
        self.progress.close()
        self.world.stderr.write(sanitize(message) + "\n")

    def say_left_out(self, left_out: Sequence[LeftOut]) -> None:
        """The targets that the scope does not cover, on purpose, in a line for each reason."""
        by_reason: dict[str, list[str]] = {}
        for left in left_out:
            place = f"{left.account}/{left.region}" if left.region else left.account
            by_reason.setdefault(left.reason.partition(":")[0], []).append(place)
        for reason, places in by_reason.items():
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            self.remark(f"left out: {', '.join(places[:5])}{more}: {reason}")

    def reading(self, done: int, total: int) -> None:
        """Progress of a sweep, in targets."""
        if total != self._total:
            self._total = total
            self.progress.grow(total)
        self.progress.advance(done - self._done)
        self._done = done

    def begin_reading(self) -> None:
        """A sweep begins, perhaps not the first."""
        self._done = self._total = 0
        self.progress.phase("reading", None)

    def stream_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Items that are final: written at once where the output is ndjson.

        Whoever read stdout may be gone: a run that changes things goes on, and `finish` says so.
        """
        if self._ndjson is not None and self._unwritten is None:
            self._streamed.update(map(_identity, items))
            try:
                self._ndjson.items(items)
            except OSError as error:
                self._unwritten = error

    @contextmanager
    def silently(self) -> Iterator[None]:
        """While a command does another's work within its own: those items are not its result."""
        stream, shown = self._ndjson, self.plan_shown
        self._ndjson = None
        try:
            yield
        finally:
            self._ndjson, self.plan_shown = stream, shown

    @property
    def streams(self) -> bool:
        """Whether items are written as they come, so that none need be kept."""
        return self._ndjson is not None

    def stream_only(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Items that stand in no report: where there are too many to be kept. Raises OSError."""
        assert self._ndjson is not None
        self._ndjson.items(items)

    def with_token(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item, with the token of the grant that was made, where such are to be shown."""
        if not self.tokens or not self.given.flag("show-tokens"):
            return item
        token = self.tokens.get(item.get("name") or "")
        return item | {"grant_token": token} if token and item.get("action") == "create" else item

    def stream_failures(self, failures: list[Failure]) -> None:
        """All failures so far; those not yet written are, where the output is ndjson."""
        if self._ndjson is not None and self._unwritten is None:
            try:
                for failure in failures[self._failures_streamed :]:
                    self._ndjson.failure(failure)
            except OSError as error:
                self._unwritten = error
            self._failures_streamed = len(failures)

    def finish(self, report: Report) -> int:
        """Writes the report and gives the exit code."""
        self.progress.close()
        self._tell_throttling(report)
        try:
            if self._unwritten is not None:
                raise self._unwritten
            self._write(report)
            self.world.stdout.flush()
        except OSError as error:
            self.run_id = report.run_id or self.run_id
            if self.run_id is not None or not isinstance(error, BrokenPipeError):
                kept = f"; the journal has it: cado-ops runs show {self.run_id}" if self.run_id else ""
                complain(self.world, f"the result could not be written to stdout ({error.strerror}){kept}")
            return EXIT[Status.ERROR]
        return EXIT[report.status]

    def _tell_throttling(self, report: Report) -> None:
        """Where time was lost because AWS throttled."""
        lost = self.__dict__["connection"].throttling.lost() if "connection" in self.__dict__ else []
        if not lost:
            return
        report.throttling = [
            {
                "account": each.account,
                "region": each.region,
                "action": each.action,
                "calls": each.calls,
                "seconds": round(each.seconds, 1),
            }
            for each in lost
        ]
        where = [
            f"{each.account or 'the caller'}/{each.region} {each.action} {each.seconds:.1f} s" for each in lost
        ]
        calls, seconds = sum(each.calls for each in lost), sum(each.seconds for each in lost)
        self.remark(
            f"AWS throttled: {count(calls, 'call')} sent again, {seconds:.1f} s waited in all: "
            + ", ".join(cut(where, 5))
        )

    def _write(self, report: Report) -> None:
        if self._ndjson is not None:
            self.stream_failures(report.failures)
            # What was streamed is all of the report's: where it is as many, nothing is left.
            if len(self._streamed) < len(report.items):
                self._ndjson.items(item for item in report.items if _identity(item) not in self._streamed)
            self._ndjson.finish(report)
        else:
            repeated = self.plan_shown and self.output == "table" and report.status is Status.REFUSED
            write_report(
                replace(report, items=[]) if repeated else report,
                output=self.output,  # type: ignore[arg-type]
                query=self.query,
                stdout=self.world.stdout,
                stderr=self.world.stderr,
                environ=self.world.environ,
                now=self.world.now(),
            )

    def ended_early(self, status: Status, stage: str, error: ErrorInfo) -> int:
        """The envelope of a command that could not come to its report."""
        self.progress.close()
        if self.output in ("json", "ndjson"):
            report = Report(
                self.command,
                status,
                dry_run=self.given.flag("dry-run"),
                run_id=self.run_id,
                case=self.case,
                caller=self.caller,
                summary=summarise((), targets=0, targets_failed=0, targets_left_out=0, planned=0),
            )
            report.failures.append(Failure(None, None, stage, error))
            self.finish(report)
        complain(self.world, error.message, error.hint)
        return EXIT[status]


def run(command: str, flags: Mapping[str, Any], world: World, body: Callable[[Session], Report]) -> int:
    """Runs a command's body and turns whatever ends it into output and exit code. The one error boundary.

    UsageError passes through: nothing may be on stdout then (`app.main` says the line).
    """
    session = Session(command, Given(flags, world), world)
    for warning in session.given.warnings:
        world.stderr.write(f"warning: {sanitize(warning)}\n")
    try:
        with session.interrupts.installed():
            return session.finish(body(session))
    except UsageError:
        session.progress.close()
        raise
    except KeyboardInterrupt:
        hint = f"cado-ops runs show {session.run_id}" if session.run_id else None
        return session.ended_early(
            Status.INTERRUPTED, "interrupted", ErrorInfo("Interrupted", "interrupted before it was done", hint)
        )
    except RefusedError as error:
        return session.ended_early(Status.REFUSED, "refused", ErrorInfo("Refused", error.message, error.hint))
    except CadoOpsError as error:
        _trace(session, error)
        code = error.code if isinstance(error, AwsError) else type(error).__name__
        stage = "credentials" if isinstance(error, AwsError) and error.kind is Kind.CREDENTIALS else command
        return session.ended_early(Status.ERROR, stage, ErrorInfo(code, error.message, error.hint))
    except Exception as error:  # noqa: BLE001  the boundary: nobody above could say it better
        _trace(session, error)
        return session.ended_early(Status.ERROR, "internal", internal(error))


def default_session_name(caller: Caller, case: str | None) -> str:
    """Who acts and for which case, as CloudTrail will show it in every account."""
    who = caller.arn.rsplit("/", 1)[-1] if "/" in caller.arn else "root"
    name = ".".join(filter(None, ("cado-ops", case, who)))
    allowed = "".join(each if each.isascii() and (each.isalnum() or each in "_+=,.@-") else "-" for each in name)
    return allowed[:_SESSION_NAME]


def _identity(item: Mapping[str, Any]) -> tuple[Any, ...]:
    told = item.get
    return (
        told("account"), told("region"), told("instance_id"), told("key_arn"), told("grant_id"), told("name"),
        told("action"), *(told("serves") or ()),
    )  # fmt: skip


def _trace(session: Session, error: Exception) -> None:
    if session.given.flag("debug"):
        session.progress.close()
        session.world.stderr.write(trace(error))
