"""check --fix: tags and grants that findings ask for, by the machine of tag-instances and kms grant.

Each kind is a plan of its own, confirmed by itself, and a run of its own in the journal: what was only tagged can
be undone without the grants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cado_ops.cli.changing import carry_out, header_of, next_after
from cado_ops.cli.check import Checker
from cado_ops.cli.kms_proposal import proposal_of, reader_of, warn_of_create_grant
from cado_ops.cli.session import Session
from cado_ops.model import Cell, ErrorInfo, Failure, Kind, Report, ResourceRef, Status
from cado_ops.plan.granting import GrantWish
from cado_ops.plan.tagging import TagWish, plan_tag
from cado_ops.scope import KeySelection
from cado_ops.verdict.readiness.finding import Mend
from cado_ops.workflow.grants import propose_grants
from cado_ops.workflow.proposal import Guards, Proposal


def mend(session: Session, checker: Checker, guards: Guards) -> Status | None:
    """Makes the changes, and looks again. The status where it was refused or interrupted, else None."""
    if guards.dry_run:
        session.warn("the settings ask for a dry run: --fix changes nothing")
    refused: Status | None = None
    for propose in (_tags, _grants):
        proposal = propose(session, checker)
        if proposal is None:
            continue
        # The oldest of what was read: older than a minute, it is read again before it is changed.
        oldest = min(checker.seen.read_at.values(), default=session.world.clock())
        with session.silently():
            report = carry_out(session, proposal, guards, _always(oldest))
        _note(checker, session, report)
        if report.status is Status.INTERRUPTED:
            return report.status
        if report.status is Status.REFUSED:
            refused = report.status
            break
    # What was changed before a refusal is changed, and told as it is now.
    if session.run_id is not None:
        checker.look_again()
    return refused


def _always(moment: float) -> Callable[[Cell], float]:
    return lambda cell: moment


def _tags(session: Session, checker: Checker) -> Proposal | None:
    """The instances whose tag is in the way."""
    wish = TagWish(case=session.case, due=session.given.due(session.world.now()))
    changes = [
        plan_tag(facts.instance, wish)
        for facts, verdict in zip(checker.facts, checker.verdicts, strict=True)
        if any(finding.mend is Mend.TAG for finding in verdict.findings)
    ]
    if not changes:
        return None
    seen = checker.seen
    return Proposal(
        command="tag-instances",
        case=session.case,
        caller=session.identified(),
        changes=changes,
        failures=[],
        left_out=[],
        targets=len({change.cell for change in changes}),
        targets_failed=0,
        account_names={change.account: seen.name_of(change.account) for change in changes},
        header=header_of(session, session.given_roles()),
    )


def _grants(session: Session, checker: Checker) -> Proposal | None:
    """The keys of the volumes that the Cado role cannot read."""
    refs = tuple(
        ResourceRef(Kind.VOLUME, finding.about, verdict.account, verdict.region)
        for verdict in checker.verdicts
        for finding in verdict.findings
        if finding.mend is Mend.GRANT and finding.about
    )
    if not refs:
        return None
    given = session.given
    wish = GrantWish(operations=given.operations(), case=session.case, due=given.due(session.world.now()))
    reader = reader_of(session, given.principal("retiring-principal"))
    seen, changes = propose_grants(reader, KeySelection(refs), wish, None, external=False)
    proposal = replace(proposal_of(session, reader, seen, changes), command="kms grant")
    warn_of_create_grant(session, wish, proposal)
    return proposal


def _note(checker: Checker, session: Session, report: Report) -> None:
    """What became of the changes, beside the findings of the next look."""
    checker.changed |= bool(report.summary["changed"] or report.summary["unknown"])
    checker.failures += report.failures
    checker.failures += [_failed(report, item) for item in report.items if item.get("error")]
    notes = next_after(session, report)
    checker.notes += notes
    if session.output in ("json", "ndjson"):
        # There are no notes there, and the report names the last run alone.
        for note in notes:
            session.remark(f"next: {note}")


def _failed(report: Report, item: dict[str, object]) -> Failure:
    error = item["error"]
    assert isinstance(error, dict)
    thing = next((item[name] for name in ("instance_id", "key_arn") if item.get(name)), None)
    return Failure(
        str(item["account"]), str(item["region"]), report.command, ErrorInfo(**error), str(thing) if thing else None
    )
