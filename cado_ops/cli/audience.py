"""The person at the terminal, as the machine sees him: shown the plan, asked, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cado_ops.cli.session import Session
from cado_ops.model import ErrorInfo
from cado_ops.plan.records import AnyChange
from cado_ops.render.plan import plan_counts, prompt_block, render_plan
from cado_ops.workflow.proposal import Proposal


class Terminal:
    """Implements `workflow.change.Audience` on the streams of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def confirm(self, proposal: Proposal) -> ErrorInfo | None:
        self._session.progress.close()
        world = self._session.world
        if not (_is_terminal(world.stdin) and _is_terminal(world.stderr)):
            # The report that follows shows what was planned.
            return ErrorInfo(
                "NotConfirmed",
                "there is no terminal to confirm at: nothing was changed",
                "Look at the plan; --yes confirms it without a terminal.",
            )
        render_plan(
            [change.as_item() for change in proposal.changes],
            command=proposal.command,
            stderr=world.stderr,
            environ=world.environ,
            now=world.now(),
        )
        self._session.plan_shown = True
        items = [change.as_item() for change in proposal.planned]
        from cado_ops.observe.targets import account_names
        from cado_ops.scope import Scope

        known = {change.account: proposal.account_names.get(change.account) for change in proposal.planned}
        caller = proposal.caller
        # What is gone on with has its scope from the journal or plan: that of the settings of now plays no part.
        scope = Scope() if self._session.recorded_roles is not None else self._session.scope
        accounts = account_names(known, scope, caller, self._session.connection)
        world.stderr.write(
            prompt_block(caller.arn, caller.endpoint, accounts, plan_counts(items), _grantees(items)) + "\n"
        )
        world.stderr.write("Go on? [y/N] ")
        world.stderr.flush()
        if world.stdin.readline().strip().lower() in ("y", "yes"):
            return None
        return ErrorInfo("NotConfirmed", "not confirmed: nothing was changed")

    def items(self, changes: Sequence[AnyChange]) -> None:
        if self._session.streams:
            self._session.stream_items([self._session.with_token(change.as_item()) for change in changes])

    def phase(self, name: str, total: int) -> None:
        self._session.progress.phase(name, total)

    def advance(self, count: int) -> None:
        self._session.progress.advance(count)


def _grantees(items: list[dict[str, Any]]) -> list[str]:
    """Who would be let in by the grants that are to be made."""
    return sorted({item["grantee_principal"] for item in items if item["action"] == "create"})


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())
