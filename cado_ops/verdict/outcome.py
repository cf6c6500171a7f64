"""From outcomes to status to exit code: the table of docs/reference.md, "Outcome, status, exit"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from cado_ops.model import Failure, Outcome, Status

EXIT = {
    Status.SUCCESS: 0,
    Status.PLANNED: 0,
    Status.ERROR: 1,
    Status.PARTIAL: 3,
    Status.REFUSED: 4,
    Status.INTERRUPTED: 130,
}
USAGE_EXIT = 2

_BAD = (Outcome.FAILED, Outcome.DRIFTED, Outcome.UNKNOWN, Outcome.DENIED)


def status_of(
    outcomes: Iterable[str],
    failures: Iterable[Failure],
    *,
    targets: int,
    targets_failed: int,
    planned: bool = False,
    interrupted: bool = False,
) -> Status:
    """The status of a command that ran to its end, or was interrupted.

    ``planned``: a dry run or a saved plan. An id that was found nowhere (stage ``select``) counts as an item that
    failed; a target that was read and had nothing to do still means that something could be done. So does one in
    which single things (keys, at stage ``observe``) or a part could not be read: the others were.
    """
    if interrupted:
        return Status.INTERRUPTED
    failures = list(failures)
    counts = Counter(outcomes)
    bad = sum(counts[outcome] for outcome in _BAD) + sum(failure.stage == "select" for failure in failures)
    good = counts.total() - sum(counts[outcome] for outcome in _BAD)
    unread = any(failure.of_part or (failure.stage == "observe" and failure.id is not None) for failure in failures)
    if not bad and not targets_failed and not unread:
        return Status.PLANNED if planned else Status.SUCCESS
    nothing_read = targets > 0 and targets_failed >= targets
    nothing_done = bad > 0 and good == 0
    # A resume that can read nothing any more tells of what its run did before that.
    if counts[Outcome.CHANGED]:
        return Status.PARTIAL
    return Status.ERROR if nothing_read or nothing_done else Status.PARTIAL


def summarise(
    outcomes: Iterable[str], *, targets: int, targets_failed: int, targets_left_out: int, planned: int
) -> dict[str, int]:
    """The envelope's summary: targets, then how many items came out how."""
    counts: Mapping[str, int] = Counter(outcomes)
    summary = {
        "targets": targets,
        "targets_failed": targets_failed,
        "targets_left_out": targets_left_out,
        "selected": sum(counts.values()),
        "planned": planned,
    }
    shown = ("changed", "unchanged", "skipped", "drifted", "failed", "unknown", "allowed", "denied")
    return summary | {outcome: counts.get(outcome, 0) for outcome in shown}
