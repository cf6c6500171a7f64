"""Grants made and ended: journal the intent, call, journal the outcome, look whether it is so.

With `workflow.apply` the only place that changes AWS. One thread works through one cell, grant by grant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cado_ops.aws.kms import Kms
from cado_ops.due import format_due
from cado_ops.errors import AwsError
from cado_ops.journal import Journal
from cado_ops.model import Cell, ErrorInfo, Grant, Outcome
from cado_ops.observe.grants import is_gone
from cado_ops.plan.change import Action
from cado_ops.plan.grant_again import AGAIN
from cado_ops.plan.grant_change import ENDING, GrantChange, on_grant
from cado_ops.plan.granting import due_of, duplicates
from cado_ops.workflow.apply import FRESH_SECONDS, SETTLE_WAITS
from cado_ops.workflow.grant_calls import grants_there, read_again, send, with_revocation

# KMS takes a role as grantee some seconds after IAM has made it.
EARLY_WAITS = SETTLE_WAITS[:4]
_CALLS = {Action.CREATE: "CreateGrant", Action.RETIRE: "RetireGrant", Action.REVOKE: "RevokeGrant"}
_TOUCHED = (Outcome.CHANGED, Outcome.UNKNOWN)
_NOT_YET_GONE = ErrorInfo(
    "NotYetGone",
    "KMS still answers with the grant that was ended, and which will go",
    "Go on in five minutes: cado-ops runs resume",
)


@dataclass
class GrantApplier:
    """Applies grant changes through ``kms``, journaling to ``journal``.

    ``sleep`` waits (seconds), ``clock`` is monotonic, ``stopped`` says that nothing new may be started.
    ``revoke_command`` gives the command line that revokes what could not be retired. ``tokens`` collects the grant
    tokens by change id, for whoever may see them: they stand in no journal.
    """

    kms: Kms
    journal: Journal
    sleep: Callable[[float], Any]
    clock: Callable[[], float]
    stopped: Callable[[], bool]
    revoke_command: Callable[[GrantChange], str]
    tokens: dict[str, str] = field(default_factory=dict)
    # What a race made necessary besides the plan, by cell: duplicates that were ended.
    _met: dict[Cell, list[GrantChange]] = field(default_factory=dict)

    def apply_cell(self, cell: Cell, changes: Sequence[GrantChange], read_at: float) -> list[GrantChange]:
        """The changes of one cell, each with its outcome; PLANNED where a stop came first.

        After them come the duplicates that were met and ended. A change that is UNKNOWN already was made by a run
        that was cut off: it is only looked at again. Raises LocalError if the journal cannot be written.
        """
        ended = {change.id: change for change in changes if change.outcome is Outcome.UNKNOWN}
        todo = [change for change in changes if change.id not in ended]
        to_be_ended = {each.grant_id for each in changes if each.action in ENDING}
        # Grants are made before others are ended: there must be no moment between the two.
        known = {change.id for change in changes}
        first = [change for change in todo if change.after not in known]
        then = [change for change in todo if change.after in known]
        for change in sorted(first, key=lambda change: change.action in ENDING):
            self._apply(cell, change, read_at, ended)
        # What got no answer may have been made, and another waits for it.
        ways = {change.after for change in then}
        open_ = {each: by for each, by in ended.items() if each in ways and by.outcome is Outcome.UNKNOWN}
        ended |= self._look_again(cell, open_, to_be_ended)
        for change in then:
            if not self.stopped() and self._has_made_way(cell, change, ended):
                self._apply(cell, change, read_at, ended)
        ended |= self._look_again(cell, {e: by for e, by in ended.items() if e not in open_}, to_be_ended)
        found = self._met.pop(cell, [])
        return [*(ended.get(change.id) or change.not_sent() for change in changes), *found]

    def _apply(self, cell: Cell, change: GrantChange, read_at: float, ended: dict[str, GrantChange]) -> None:
        if self.stopped():
            return
        again = read_again(self.kms, cell, change) if self.clock() - read_at > FRESH_SECONDS else change
        if again.outcome is not Outcome.PLANNED:
            ended[change.id] = again
            self._record(cell, again)
        else:
            ended[change.id] = self._send(cell, again)

    def _has_made_way(self, cell: Cell, change: GrantChange, ended: dict[str, GrantChange]) -> bool:
        first = ended.get(change.after or "")
        if first is not None and first.outcome in (Outcome.CHANGED, Outcome.UNCHANGED):
            return True
        if first is not None:
            made = "may not have been" if first.outcome is Outcome.UNKNOWN else "was not"
            reason = f"kept: the grant that was to take its place {made} made"
            ended[change.id] = change.ended(Outcome.SKIPPED, warnings=(reason,))
            self._record(cell, ended[change.id])
        return False

    def _send(self, cell: Cell, change: GrantChange) -> GrantChange:
        self._intend(cell, change)
        request_id: str | None = None
        try:
            grant_id, request_id = self._call(cell, change)
            done = change.ended(Outcome.CHANGED)
            if change.action is Action.CREATE:
                done = replace(done, grant_id=grant_id)
                if change.id == f"{grant_id}{AGAIN}":
                    done = change.ended(Outcome.FAILED, _NOT_YET_GONE)
        except AwsError as error:
            request_id = error.request_id
            done = self._refused(cell, change, error)
        self._record(cell, done, request_id)
        return done

    def _call(self, cell: Cell, change: GrantChange) -> tuple[str | None, str | None]:
        lost = False
        for wait in (*EARLY_WAITS, None):
            try:
                grant_id, token, request_id = send(self.kms, cell, change)
            except AwsError as error:
                early = change.action is Action.CREATE and error.code == "InvalidArnException"
                lost = lost or error.answer_lost
                if not early or wait is None or self.stopped():
                    raise error.like(answer_lost=lost) from error
                self.sleep(wait)
            else:
                if token:
                    self.tokens[change.id] = token
                return grant_id, request_id
        raise AssertionError("the last attempt returns or raises")

    def _refused(self, cell: Cell, change: GrantChange, error: AwsError) -> GrantChange:
        if change.action in ENDING and is_gone(error):
            if error.answer_lost:
                # An attempt before this one got no answer: it was ours that ended it.
                return change.ended(Outcome.CHANGED)
            return self._not_found(cell, change, error)
        if error.may_have_taken_effect:
            # Without an answer nobody knows whether the request took effect: `_look_again` looks.
            return change.ended(Outcome.UNKNOWN, ErrorInfo.of(error))
        info = with_revocation(self.kms, cell, change, error, self.revoke_command)
        if change.action is Action.CREATE and error.code == "InvalidArnException":
            info = replace(info, hint=_who_is_missing(change))
        # Nor does a refusal tell what came of the request of a run before.
        return change.ended(Outcome.UNKNOWN if change.begun else Outcome.FAILED, info)

    def _not_found(self, cell: Cell, change: GrantChange, error: AwsError) -> GrantChange:
        """KMS knows no such grant. Of one that it lists all the same, that is no answer."""
        try:
            listed = grants_there(self.kms, cell, change)
        except AwsError:
            listed = []
        if listed:
            return change.ended(
                Outcome.FAILED, ErrorInfo.of(error), ("KMS lists the grant: try again in five minutes",)
            )
        return change.ended(Outcome.UNCHANGED, warnings=("the grant was gone already",))

    def _look_again(
        self, cell: Cell, ended: Mapping[str, GrantChange], to_be_ended: Collection[str | None]
    ) -> dict[str, GrantChange]:
        """Looks at AWS once more: what was made must be listed, what was ended must not.

        What got no answer counts as done when it was seen so twice in a row, or last (see `workflow.apply`). And a
        race may have made two of a kind: all but one are ended again. Those that a change of their own is
        ``to_be_ended`` are left to it, also where a stop came before it.
        """
        waiting = {each: change for each, change in ended.items() if change.outcome in _TOUCHED}
        corrected: dict[str, GrantChange] = {}
        once: set[str] = set()
        for wait in (*SETTLE_WAITS, None):
            for each, change in list(waiting.items()):
                try:
                    live = grants_there(self.kms, cell, change)
                except AwsError as error:
                    corrected[each] = change.ended(change.outcome, change.error, (f"not verified: {error.code}",))
                    del waiting[each]
                    continue
                seen = _seen(change, live)
                if seen is None:
                    once.discard(each)
                elif change.outcome is Outcome.UNKNOWN and each not in once and wait and not self.stopped():
                    once.add(each)
                    continue
                if seen is not None:
                    corrected[each] = self._settle(
                        cell, seen, [each for each in live if each.grant_id not in to_be_ended]
                    )
                    del waiting[each]
            if not waiting or wait is None or self.stopped():
                break
            self.sleep(wait)
        corrected |= {each: _late(change) for each, change in waiting.items()}
        for each, change in corrected.items():
            if change != ended[each]:
                self._record(cell, change)
        return corrected

    def _settle(self, cell: Cell, change: GrantChange, live: Sequence[Grant]) -> GrantChange:
        """A grant that was made, after its duplicates were ended; where it was one itself, the one that is kept."""
        kept, others = duplicates(change, live)
        for grant in others:
            if grant.retiring_principal != change.retiring_principal or not self._end_duplicate(
                cell, grant, change
            ):
                change = change.ended(
                    change.outcome, warnings=(f"grant {grant.grant_id} is for the same case too",)
                )
        if kept is None or kept.grant_id == change.grant_id:
            return change
        # The token is of the grant that was ended.
        self.tokens.pop(change.id, None)
        remark = f"{kept.grant_id} was made for the same case at the same time, and is the one that is kept"
        return change.of_grant(kept).ended(Outcome.UNCHANGED, warnings=(remark,))

    def _end_duplicate(self, cell: Cell, grant: Grant, change: GrantChange) -> bool:
        """Ends one of two grants that are for the same, and says so; whether it is gone.

        It was not planned: so the journal is told the whole of it, that an undo can bring it back.
        """
        due = f", due {format_due(when)}" if (when := due_of(grant)) else ""
        remark = f"it was for the same case and terms{due}: one grant is enough, and the longest is kept"
        ending = on_grant(grant, Action.RETIRE, owner=change.owner, warnings=(remark,))
        self.journal.write("plan", account=cell.account, region=cell.region, changes=[ending.as_record()])
        done = self._send(cell, ending)
        self._met.setdefault(cell, []).append(done)
        return done.outcome in (Outcome.CHANGED, Outcome.UNCHANGED)

    def _intend(self, cell: Cell, change: GrantChange) -> None:
        self.journal.write(
            "intent",
            account=cell.account,
            region=cell.region,
            call=_CALLS[change.action],
            key_arn=change.key_arn,
            grant_id=change.grant_id,
            name=change.name,
            ids=[change.id],
        )

    def _record(self, cell: Cell, change: GrantChange, request_id: str | None = None) -> None:
        result = {
            "outcome": str(change.outcome),
            "error": change.error.as_json() if change.error else None,
            "warnings": list(change.warnings),
            **change.result(),
            "request_id": request_id,
        }
        self.journal.write("outcome", account=cell.account, region=cell.region, results={change.id: result})


def _seen(change: GrantChange, live: Sequence[Grant]) -> GrantChange | None:
    """The change as AWS shows it done; None where it does not yet."""
    grants = {grant.grant_id: grant for grant in live}
    if change.action in ENDING:
        gone = change.grant_id not in grants
        return replace(change, outcome=Outcome.CHANGED, error=None) if gone else None
    made = grants.get(change.grant_id or "") or change.made(grants)
    return replace(change.of_grant(made), outcome=Outcome.CHANGED, error=None) if made else None


def _late(change: GrantChange) -> GrantChange:
    """AWS does not show it yet: what was accepted is done, and what got no answer stays open."""
    shows = "still lists the grant" if change.action in ENDING else "does not list the grant yet"
    look = f"cado-ops kms list --key {change.key_arn}"
    return change.ended(
        change.outcome, change.error, (f"AWS {shows}, which may take it five minutes; look again: {look}",)
    )


def _who_is_missing(change: GrantChange) -> str:
    hint = f"Is there a role {change.grantee_principal}? --cado-role names another"
    return f"{hint}. Or is it {change.retiring_principal} that is not there?" if change.retiring_principal else hint
