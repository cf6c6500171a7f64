"""What the kms commands have in common: how they read, and what they propose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cado_ops.cli.changing import header_of
from cado_ops.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cado_ops.observe.grant_reader import GrantReader
    from cado_ops.observe.keys import KeysFound
    from cado_ops.observe.sweep import Seen
    from cado_ops.plan.grant_change import GrantChange
    from cado_ops.plan.granting import GrantWish
    from cado_ops.workflow.proposal import Proposal


def reader_of(session: Session, retiring_principal: str | None = None) -> GrantReader:
    """What the kms commands read with. Loads AWS's SDK."""
    from cado_ops.observe.grant_reader import GrantReader

    session.progress.phase("reading", None)
    caller = session.identified()
    return GrantReader(
        session.connection,
        caller,
        session.scope,
        session.given.cado_roles(session.scope),
        session.max_concurrency,
        session.world.clock,
        session.reading,
        retiring_principal,
    )


def proposal_of(
    session: Session, reader: GrantReader, seen: Seen[KeysFound], changes: Sequence[GrantChange]
) -> Proposal:
    """The changes as the machine takes them, with what was left out and remarked on said."""
    from cado_ops.workflow.proposal import Proposal

    session.say_left_out(seen.left_out)
    for remark in reader.remarks:
        session.warn(remark)
    return Proposal(
        command=session.command,
        case=session.case,
        caller=reader.caller,
        changes=list(changes),
        failures=seen.failures,
        left_out=seen.left_out,
        targets=seen.targets,
        targets_failed=seen.failed_cells,
        account_names={change.account: seen.name_of(change.account) for change in changes},
        header=header_of(session, session.given_roles()),
    )


def warn_of_create_grant(session: Session, wish: GrantWish, proposal: Proposal) -> None:
    """What a grant that contains CreateGrant gives away."""
    if "CreateGrant" in wish.operations and proposal.planned:
        session.warn(
            "the grant contains CreateGrant: its grantee can pass the access on, in grants of its own; "
            "--operations no-create-grant leaves that out"
        )
