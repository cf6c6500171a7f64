"""The only place that changes AWS: journal the intent, call, journal the outcome, look whether it is so.

One thread works through one cell; cells run in parallel. Nothing here decides what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cado_ops.aws.ec2 import FILTER_VALUES, Ec2, ids_named_missing
from cado_ops.errors import AwsError, Kind
from cado_ops.filters import Filter
from cado_ops.journal import Journal
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, ErrorInfo, Instance, Outcome
from cado_ops.plan.change import TagChange
from cado_ops.plan.claims import settle
from cado_ops.plan.tagging import ENDED_STATES
from cado_ops.workflow.batches import Sent, send_shrinking

# A plan confirmed within this time of reading is applied as read; an older one is read again first.
FRESH_SECONDS = 60.0
# EC2 is eventually consistent ("Eventual consistency in the Amazon EC2 API"): how long a new tag may take to show,
# and a new instance to be taggable.
SETTLE_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)

Call = Literal["CreateTags", "DeleteTags"]


def dry_run_cell(ec2: Ec2, cell: Cell, changes: Sequence[TagChange], *, stale: bool = False) -> list[TagChange]:
    """Asks EC2, by DryRun, whether it would allow each change. Proves the permission, not that it would work.

    A ``stale`` plan is read again first, as it would be before it is applied.
    """
    planned = {change.instance_id: change for change in changes if change.outcome is not Outcome.UNKNOWN}
    again = _read_again(ec2, cell, planned) if stale else {}
    ended = {each: change for each, change in again.items() if change.outcome is not Outcome.PLANNED}
    refused: dict[str, AwsError] = {}
    asked_about = (again.get(change.instance_id, change) for change in changes if change.instance_id not in ended)
    for call, tags, ids in _calls(asked_about):
        asked = [each for each in ids if each not in refused]
        refused |= send_shrinking(asked, _sender(ec2, cell, call, tags, dry_run=True), ids_named_missing).refused

    def verdict(change: TagChange) -> TagChange:
        if change.instance_id in ended:
            return ended[change.instance_id]
        error = refused.get(change.instance_id)
        if error is None:
            return change.ended(Outcome.ALLOWED)
        denied = error.kind in (Kind.DENIED, Kind.ORG_DENIED)
        return change.ended(Outcome.DENIED if denied else Outcome.FAILED, _info(error))

    return [verdict(change) for change in changes]


@dataclass
class TagApplier:
    """Applies tag changes through ``ec2``, journaling to ``journal``.

    ``sleep`` waits (seconds), ``clock`` is monotonic, ``stopped`` says that nothing new may be started.
    """

    ec2: Ec2
    journal: Journal
    sleep: Callable[[float], Any]
    clock: Callable[[], float]
    stopped: Callable[[], bool]

    def apply_cell(self, cell: Cell, changes: Sequence[TagChange], read_at: float) -> list[TagChange]:
        """The changes of one cell, each with its outcome; PLANNED where a stop came first.

        A change that is UNKNOWN already was made by a run that was cut off: it is only looked at again. Raises
        LocalError if the journal cannot be written.
        """
        ended = {change.instance_id: change for change in changes if change.outcome is Outcome.UNKNOWN}
        by_id = {change.instance_id: change for change in changes if change.instance_id not in ended}
        if not self.stopped() and self.clock() - read_at > FRESH_SECONDS:
            by_id = _read_again(self.ec2, cell, by_id)
            not_as_planned = {
                each: change for each, change in by_id.items() if change.outcome is not Outcome.PLANNED
            }
            self._record(cell, not_as_planned)
            ended |= not_as_planned
        calls = _calls(by_id.values())
        for number, (call, tags, ids) in enumerate(calls, 1):
            # What failed, drifted or is open after one call gets no second one; what a first call was made for
            # gets its second even after a stop.
            todo = [each for each in ids if each not in ended or ended[each].outcome is Outcome.CHANGED]
            if self.stopped():
                todo = [each for each in todo if each in ended]
            if todo:
                unfinished = {each for _, _, others in calls[number:] for each in others}
                halfway = {each for each in todo if each in ended}
                changes_now = [by_id[each] for each in todo]
                ended |= self._send(cell, call, tags, changes_now, halfway=halfway, unfinished=unfinished)
        ended |= self._look_again(cell, ended)
        return [ended.get(change.instance_id, change) for change in changes]

    def _send(
        self,
        cell: Cell,
        call: Call,
        tags: Mapping[str, str],
        changes: Sequence[TagChange],
        *,
        in_flight: bool = False,
        halfway: Collection[str] = (),
        unfinished: Collection[str] = (),
    ) -> dict[str, TagChange]:
        ids = [change.instance_id for change in changes]
        self.journal.write("intent", account=cell.account, region=cell.region, call=call, tags=dict(tags), ids=ids)
        send = _sender(self.ec2, cell, call, tags)
        stopped = (lambda: False) if in_flight or halfway else self.stopped
        sent = send_shrinking(ids, send, ids_named_missing, stopped)
        absent = self._insist(cell, sent, send)
        ended: dict[str, TagChange] = {}
        for change in changes:
            error = sent.refused.get(change.instance_id)
            if change.instance_id in sent.accepted:
                ended[change.instance_id] = change.ended(Outcome.CHANGED)
            elif error is not None:
                # Without an answer nobody knows whether the request took effect: `_verify` looks.
                open_ = answer_is_open(error) and change.instance_id not in absent
                # Nor did nothing happen where the first of two calls was made: now, or by an earlier run.
                open_ = open_ or change.instance_id in halfway or _is_half_made(change)
                ended[change.instance_id] = change.ended(Outcome.UNKNOWN if open_ else Outcome.FAILED, _info(error))
        not_sent = {each: by for by in changes if (each := by.instance_id) in sent.not_sent}
        # With a second call to come, a change is not made yet: cut off here, it is to be looked at again.
        halves = {each: by.ended(Outcome.UNKNOWN) for each, by in ended.items() if each in unfinished}
        halves = {each: by for each, by in halves.items() if ended[each].outcome is Outcome.CHANGED}
        self._record(cell, ended | not_sent | halves, sent)
        return ended

    def _insist(self, cell: Cell, sent: Sent, send: Callable[[list[str]], str | None]) -> set[str]:
        """An instance may be visible before it can be tagged: if it is there, its NotFound is only early.

        Those that are not there, as far as it was looked.
        """
        absent: set[str] = set()
        for wait in SETTLE_WAITS:
            gone = [each for each, error in sent.refused.items() if ids_named_missing(error)]
            if not gone or self.stopped():
                return absent
            try:
                there = [i.instance_id for i in _instances(self.ec2, cell, gone) if i.state not in ENDED_STATES]
            except AwsError:
                return absent  # what CreateTags said stands
            absent = {*gone} - {*there}
            if not there:
                return absent
            self.sleep(wait)
            again = send_shrinking(there, send, ids_named_missing, self.stopped)
            lost = {each for each in there if sent.refused.pop(each).answer_lost}
            sent.accepted |= again.accepted
            sent.refused |= {
                each: error.like(answer_lost=True) if each in lost else error
                for each, error in again.refused.items()
            }
            sent.not_sent += again.not_sent
        return absent

    def _look_again(self, cell: Cell, ended: Mapping[str, TagChange]) -> dict[str, TagChange]:
        """Looks at AWS once more: what was accepted must be there, what got no answer may be.

        Of what got no answer one look proves nothing: it may have met a part of AWS that is behind. So it counts as
        done when it was seen so twice in a row, or last. And what another case did at the same time may ask for one
        more call (`plan.claims`). That is made even after a stop: it belongs to a change that was begun.
        """
        touched = (Outcome.CHANGED, Outcome.UNKNOWN)
        waiting = {each: change for each, change in ended.items() if change.outcome in touched}
        corrected: dict[str, TagChange] = {}
        once: set[str] = set()
        for wait in (*SETTLE_WAITS, None):
            if not waiting:
                break
            try:
                live = self.ec2.tags(cell, list(waiting))
            except AwsError as error:
                remark = (f"not verified: {error.code}",)
                corrected |= {each: _remark(change, remark) for each, change in waiting.items()}
                break
            seen = {each: _stands(change, live.get(each, {})) for each, change in waiting.items()}
            last = wait is None or self.stopped()
            done = {each for each in waiting if seen[each] is Outcome.CHANGED}
            unsure = {each for each in done - once if waiting[each].outcome is Outcome.UNKNOWN and not last}
            once = done
            seen |= dict.fromkeys(unsure, Outcome.UNKNOWN)
            standing = [change for each, change in waiting.items() if seen[each] is Outcome.CHANGED]
            drifted = {each: change for each, change in waiting.items() if seen[each] is Outcome.DRIFTED}
            waiting = {each: change for each, change in waiting.items() if seen[each] is not Outcome.CHANGED}
            for change in standing:
                if change.outcome is Outcome.UNKNOWN:
                    corrected[change.instance_id] = change.ended(Outcome.CHANGED)
            # A claim that was prolonged while it was being removed stands, and needs the tag like any other.
            settled = self._settle(cell, [*standing, *drifted.values()], live)
            corrected |= settled
            waiting |= {each: change for each, change in settled.items() if change.outcome in touched}
            if wait is None or (self.stopped() and not settled):
                late = {each: by for each, by in waiting.items() if each not in settled or each in drifted}
                corrected |= {each: _unsettled(change, seen[each]) for each, change in late.items()}
                break
            if waiting and not settled:
                self.sleep(wait)
        self._record(cell, corrected)
        return corrected

    def _settle(
        self, cell: Cell, changes: Sequence[TagChange], live: Mapping[str, Mapping[str, str]]
    ) -> dict[str, TagChange]:
        asked = {change.instance_id: settle(change, live.get(change.instance_id, {})) for change in changes}
        wanted = {each: settlement for each, settlement in asked.items() if settlement is not None}
        ended: dict[str, TagChange] = {}
        for call, tags, ids in _grouped((each, wanted[each].put, wanted[each].remove) for each in wanted):
            ended |= self._send(cell, call, tags, [wanted[each].change for each in ids], in_flight=True)
        return ended

    def _record(self, cell: Cell, ended: Mapping[str, TagChange], sent: Sent | None = None) -> None:
        if not ended:
            return
        accepted = sent.accepted if sent else {}
        refused = sent.refused if sent else {}
        results = {}
        for each, change in ended.items():
            error = refused.get(each)
            results[each] = {
                "outcome": str(change.outcome),
                "error": change.error.as_json() if change.error else None,
                "warnings": list(change.warnings),
                **change.result(),
                "request_id": accepted.get(each) or (error.request_id if error else None),
            }
        self.journal.write("outcome", account=cell.account, region=cell.region, results=results)


def _read_again(ec2: Ec2, cell: Cell, by_id: Mapping[str, TagChange]) -> dict[str, TagChange]:
    """The plan is older than it should be: the same changes, those ended that no longer stand as planned."""
    try:
        live = {instance.instance_id: instance for instance in _instances(ec2, cell, list(by_id))}
    except AwsError as error:
        return {each: change.ended(Outcome.FAILED, _info(error)) for each, change in by_id.items()}
    return {each: _against(change, live.get(each)) for each, change in by_id.items()}


def _instances(ec2: Ec2, cell: Cell, ids: Sequence[str]) -> list[Instance]:
    found: list[Instance] = []
    for start in range(0, len(ids), FILTER_VALUES):
        found += ec2.instances(cell, [Filter("instance-id", tuple(ids[start : start + FILTER_VALUES]))])
    return found


def _calls(changes: Iterable[TagChange]) -> list[tuple[Call, dict[str, str], list[str]]]:
    """The calls that make the changes. What is set comes first."""
    return _grouped((change.instance_id, change.left_to_put, change.left_to_remove) for change in changes)


def _grouped(
    wanted: Iterable[tuple[str, Mapping[str, str], Mapping[str, str]]],
) -> list[tuple[Call, dict[str, str], list[str]]]:
    """(id, put, remove) to calls: instances that need the same tags share one."""
    groups: dict[tuple[Call, tuple[tuple[str, str], ...]], list[str]] = {}
    for instance_id, put, remove in wanted:
        calls: tuple[tuple[Call, Mapping[str, str]], ...] = (("CreateTags", put), ("DeleteTags", remove))
        for call, tags in calls:
            if tags:
                groups.setdefault((call, tuple(sorted(tags.items()))), []).append(instance_id)
    return [(call, dict(tags), ids) for (call, tags), ids in sorted(groups.items(), key=lambda group: group[0])]


def _sender(
    ec2: Ec2, cell: Cell, call: Call, tags: Mapping[str, str], *, dry_run: bool = False
) -> Callable[[list[str]], str | None]:
    write = ec2.create_tags if call == "CreateTags" else ec2.delete_tags
    return lambda ids: write(cell, ids, tags, dry_run=dry_run)


def _against(change: TagChange, live: Instance | None) -> TagChange:
    if live is None:
        return change.ended(Outcome.DRIFTED, warnings=("the instance is gone since the plan was made",))
    if live.state in ENDED_STATES:
        return change.ended(Outcome.DRIFTED, warnings=(f"the instance is {live.state} since the plan was made",))
    outcome = change.compare(live.tags, begun=change.begun)
    if outcome is Outcome.DRIFTED:
        return change.ended(outcome, warnings=("its tags were changed since the plan was made: left alone",))
    return change.ended(outcome).seen(live.tags)


def _is_half_made(change: TagChange) -> bool:
    """Whether a run before this one changed a part of it already, as far as was seen."""
    return any(change.before[key] != change.after[key] for key in change.standing)


def _stands(change: TagChange, live: Mapping[str, str]) -> Outcome:
    """What is seen of a change: there (CHANGED), not yet (UNKNOWN), or something else again (DRIFTED)."""
    keys = change.put.keys() | change.remove.keys()
    if any(key.startswith(CLAIM_PREFIX) for key in live):
        # As long as there is a claim, the SSM tag matters, whether this change touched it or not.
        keys |= {SSM_TAG}
    if all(live.get(key) == change.after[key] for key in keys):
        return Outcome.CHANGED
    if all(live.get(key) in (change.before[key], change.after[key]) for key in keys):
        return Outcome.UNKNOWN
    return Outcome.DRIFTED


def _unsettled(change: TagChange, seen: Outcome) -> TagChange:
    if seen is Outcome.DRIFTED:
        return change.ended(seen, change.error, ("somebody changed the tag at the same time",))
    remark = "AWS does not show the change yet: look again with cado-ops status"
    return change.ended(seen, change.error, (remark,))


def _remark(change: TagChange, warnings: tuple[str, ...]) -> TagChange:
    return change.ended(change.outcome, change.error, warnings)


def answer_is_open(error: AwsError) -> bool:
    """Whether an error leaves it open that the request took effect: no answer came, or there was an attempt before
    it that got none, and of that a refusal tells nothing. Without a session there was no request."""
    return error.answer_lost or (error.kind is Kind.TRANSPORT and error.operation != "AssumeRole")


def _info(error: AwsError) -> ErrorInfo:
    return ErrorInfo(error.code, error.message, error.hint)
