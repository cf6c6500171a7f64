"""What is to be done, before it is: a command's plan, and what stands between it and AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cado_ops.model import Caller, ErrorInfo, Failure, LeftOut, Outcome
from cado_ops.plan.records import AnyChange

DEFAULT_MAX_CHANGES = 100
# What a proposal leaves to be done.
OPEN = (Outcome.PLANNED, Outcome.UNKNOWN)


@dataclass(frozen=True)
class Guards:
    """What stands between a plan and AWS."""

    dry_run: bool = False
    yes: bool = False
    max_changes: int = DEFAULT_MAX_CHANGES
    all_or_nothing: bool = False
    fail_empty: bool = False


@dataclass
class Proposal:
    """What a command found and planned. ``changes`` holds every item selected, those to be left alone too."""

    command: str
    case: str | None
    caller: Caller
    changes: Sequence[AnyChange]
    failures: list[Failure]
    left_out: list[LeftOut]
    targets: int
    targets_failed: int
    account_names: Mapping[str, str | None]
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> list[AnyChange]:
        """What is to be done. UNKNOWN: begun by a run that was cut off, and to be looked at again."""
        return [change for change in self.changes if change.outcome in OPEN]


def refusal_of(proposal: Proposal, guards: Guards) -> ErrorInfo | None:
    """Why a plan may not be carried out at all, whoever confirms it."""
    # What a run that was cut off has done already is only looked at again.
    count = sum(change.outcome is Outcome.PLANNED for change in proposal.changes)
    if count > guards.max_changes:
        return ErrorInfo(
            "TooManyChanges",
            f"{count} changes are planned, and --max-changes is {guards.max_changes}: nothing was changed",
            f"Look at the plan with --dry-run; then --max-changes {count} allows it.",
        )
    return incomplete(proposal, guards)


def incomplete(proposal: Proposal, guards: Guards) -> ErrorInfo | None:
    """Why ``--all-or-nothing`` refuses a proposal; None where it does not."""
    lost = len(proposal.failures) + sum(change.outcome is Outcome.FAILED for change in proposal.changes)
    if guards.all_or_nothing and lost:
        return ErrorInfo(
            "Incomplete",
            f"--all-or-nothing: {lost} {'thing' if lost == 1 else 'things'} failed before the first change",
            "Mend what failed, or exclude it, or run without --all-or-nothing.",
        )
    return None
