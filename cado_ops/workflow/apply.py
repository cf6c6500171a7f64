"""The only place that changes AWS: journal the intent, call, journal the outcome, look whether it is so.

One thread works through one cell; cells run in parallel. Nothing here decides what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.aws.ec2 import Ec2, ids_named_missing
from cado_ops.errors import AwsError
from cado_ops.journal import Journal
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, ErrorInfo, Outcome
from cado_ops.plan.change import TagChange
from cado_ops.plan.claims import settle
from cado_ops.plan.tagging import ENDED_STATES
from cado_ops.workflow.batches import Sent, send_shrinking
from cado_ops.workflow.tag_calls import Call, calls_of, grouped, instances_of, read_again, sender

# A plan confirmed within this time of reading is applied as read; an older one is read again first.
FRESH_SECONDS = 60.0
# EC2 is eventually consistent ("Eventual consistency in the Amazon EC2 API"): how long a new tag may take to show,
# and a new instance to be taggable.
SETTLE_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)


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
            by_id = read_again(self.ec2, cell, by_id)
            not_as_planned = {
                each: change for each, change in by_id.items() if change.outcome is not Outcome.PLANNED
            }
            self._record(cell, not_as_planned)
            ended |= not_as_planned
        calls = calls_of(by_id.values())
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
        return [ended.get(change.instance_id) or change.not_sent() for change in changes]

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
        send = sender(self.ec2, cell, call, tags)
        stopped = (lambda: False) if in_flight or halfway else self.stopped
        sent = send_shrinking(ids, send, ids_named_missing, stopped)
        absent = self._insist(cell, sent, send)
        ended: dict[str, TagChange] = {}
        for change in changes:
            error = sent.refused.get(change.instance_id)
            if change.instance_id in sent.accepted:
                ended[change.instance_id] = change.ended(Outcome.CHANGED)
            elif error is not None:
                # Without an answer nobody knows whether the request took effect: `_look_again` looks.
                open_ = error.may_have_taken_effect and change.instance_id not in absent
                # Nor does a refusal tell that nothing happened where the first of two calls was made, or a run
                # before had begun.
                open_ = open_ or change.instance_id in halfway or change.begun
                ended[change.instance_id] = change.ended(
                    Outcome.UNKNOWN if open_ else Outcome.FAILED, ErrorInfo.of(error)
                )
        not_sent = {each: by.not_sent() for by in changes if (each := by.instance_id) in sent.not_sent}
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
                there = [i.instance_id for i in instances_of(self.ec2, cell, gone) if i.state not in ENDED_STATES]
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
        for call, tags, ids in grouped((each, wanted[each].put, wanted[each].remove) for each in wanted):
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


def _stands(change: TagChange, live: Mapping[str, str]) -> Outcome:
    """What is seen of a change: there (CHANGED), not yet (UNKNOWN), or something else again (DRIFTED)."""
    keys = change.put.keys() | change.remove.keys()
    if any(key.startswith(CLAIM_PREFIX) for key in live):
        # As long as there is a claim, the SSM tag matters, whether this change touched it or not.
        keys |= {SSM_TAG}
    missing = {key for key in keys if live.get(key) != change.after[key]}
    if not missing:
        return Outcome.CHANGED
    # What stood when it was read, and does no longer, is not late: somebody took it back.
    late = not missing & change.standing and all(live.get(key) == change.before[key] for key in missing)
    return Outcome.UNKNOWN if late else Outcome.DRIFTED


def _unsettled(change: TagChange, seen: Outcome) -> TagChange:
    if seen is Outcome.DRIFTED:
        return change.ended(seen, change.error, ("somebody changed the tag at the same time",))
    remark = "AWS does not show the change yet: look again with cado-ops status"
    return change.ended(seen, change.error, (remark,))


def _remark(change: TagChange, warnings: tuple[str, ...]) -> TagChange:
    return change.ended(change.outcome, change.error, warnings)
