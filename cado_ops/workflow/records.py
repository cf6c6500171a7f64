"""A run's own records in its journal: its plan at the beginning, what a resume decided, and how it ended.

What it does in between is journaled by who does it (`apply.py`, `apply_grants.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cado_ops.journal import JOURNAL_VERSION, Journal
from cado_ops.model import Report
from cado_ops.plan.records import AnyChange, changes_by_cell
from cado_ops.workflow.proposal import Proposal


def write_plan(journal: Journal, proposal: Proposal, now: datetime) -> None:
    """The beginning of a new run's journal: who, where, what for, and the whole plan; and room for what follows.

    Where that cannot be written whole there was no run, and no file is left of it.
    """
    try:
        with journal.at_once():
            _write_plan(journal, proposal, now)
        journal.hold_room()
    except (Exception, KeyboardInterrupt):
        journal.discard()
        raise


def _write_plan(journal: Journal, proposal: Proposal, now: datetime) -> None:
    journal.write(
        "run",
        format_version=JOURNAL_VERSION,
        run_id=journal.run_id,
        command=proposal.command,
        case=proposal.case,
        caller=proposal.caller.as_json(),
        started=stamp(now),
        accounts=sorted({change.account for change in proposal.changes}),
        regions=sorted({change.region for change in proposal.changes}),
        # So that a plan of which a part was lost in a crash is noticed.
        items=len(proposal.changes),
        targets=proposal.targets,
        targets_failed=proposal.targets_failed,
        **proposal.header,
    )
    for cell, changes in changes_by_cell(proposal.changes).items():
        journal.write(
            "plan", account=cell.account, region=cell.region, changes=[each.as_record() for each in changes]
        )
    for failure in proposal.failures:
        journal.write("failure", failure=failure.as_json())


def write_decisions(journal: Journal, planned: Sequence[AnyChange], decided: Sequence[AnyChange]) -> None:
    """What a resume found by reading: changes that it ``planned`` anew, and what became of those it ``decided``."""
    for cell, changes in changes_by_cell(planned).items():
        journal.write(
            "plan", account=cell.account, region=cell.region, changes=[each.as_record() for each in changes]
        )
    for cell, changes in changes_by_cell(decided).items():
        results = {
            change.id: {
                "outcome": str(change.outcome),
                "error": change.error.as_json() if change.error else None,
                "warnings": list(change.warnings),
                **change.result(),
                "request_id": None,
            }
            for change in changes
        }
        journal.write("outcome", account=cell.account, region=cell.region, results=results)


def write_end(journal: Journal, report: Report, now: datetime) -> None:
    """How a run ended."""
    journal.write("end", finished=stamp(now), status=str(report.status), summary=report.summary)


def stamp(moment: datetime) -> str:
    """A UTC time as ISO 8601, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
