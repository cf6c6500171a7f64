"""cado-ops kms retire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cado_ops.arns import parse_grant_id, parse_key, split_commas
from cado_ops.cli.changing import guards_of
from cado_ops.cli.options import KMS_RETIRE_OPTIONS, takes
from cado_ops.cli.saved_plan import plan_file, save_or_carry_out
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import RefusedError, UsageError
from cado_ops.journal import check_private, find_run, place_of, read_run
from cado_ops.model import Report
from cado_ops.plan.retiring import RetireWish
from cado_ops.scope import KeySelection

Grants = Annotated[
    list[str] | None,
    typer.Argument(metavar="[GRANT_ID]...", help="Grants by id; - is stdin.", show_default=False),
]


@takes(KMS_RETIRE_OPTIONS)
def retire(ctx: typer.Context, grants: Grants = None, *, flags: dict[str, Any]) -> int:
    """End grants that this program made: by id, of a case, of a run, or those whose time has come.

    A service's or a stranger's grant is never touched.

    Example: cado-ops kms retire --of-case IR-42 --org --region all --role-name CadoOperator
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        given = session.given
        guards = guards_of(session)
        selection = given.keys()
        ids = _ids(session, grants or [])
        run_name = given.text("run")
        made = _made_by(session, run_name) if run_name is not None else _Made({}, {})
        ids |= made.ids.keys()
        if run_name is not None and not (selection.refs or grants):
            # They say themselves where they are.
            selection = made.keys
        session.case = given.of_case() or session.case
        wish = RetireWish(
            ids=frozenset(ids),
            grant_names=frozenset(made.names),
            of_case=given.of_case(),
            expired_at=world.now() if given.flag("expired") else None,
            revoke=given.flag("revoke"),
            include_platform=given.flag("include-platform"),
        )
        if not (grants or run_name or wish.by_name):
            raise UsageError("no grant is named", "name grants by id, or with --of-case, --expired or --run")
        if (grants or run_name) and wish.by_name:
            raise UsageError("grants by id or run, and those of a case or due, are two different things")
        assert session.scope is not None
        plan_file(session, guards)
        # Everything the user typed is checked: only now AWS's SDK is loaded.
        from cado_ops.cli.kms_proposal import proposal_of, reader_of
        from cado_ops.workflow.grants import propose_retirements

        reader = reader_of(session)
        if run_name is not None and not (made.ids or made.names):
            session.warn(f"the run {run_name} made no grant")
        seen, changes = propose_retirements(reader, selection, wish, made.ids | made.names)
        proposal = proposal_of(session, reader, seen, changes)
        if not proposal.changes and not proposal.failures:
            session.warn("nothing matches: no grant was selected")
        return save_or_carry_out(session, proposal, guards, seen.read_at)

    return run("kms retire", flags, world, body)


def _ids(session: Session, arguments: list[str]) -> set[str]:
    ids: set[str] = set()
    for argument in split_commas(arguments, "GRANT_ID") if arguments else []:
        if argument == "-":
            words = re.split(r"[\s,]+", session.world.read_stdin("GRANT_ID").strip(" \t\r\n,"))
            ids |= {parse_grant_id(each, "stdin") for each in words}
        else:
            ids.add(parse_grant_id(argument, "GRANT_ID"))
    return ids


@dataclass(frozen=True)
class _Made:
    """The grants that a run made, or may have made, and the key of each: by id, or where none is known by name."""

    ids: dict[str, str]
    names: dict[str, str]

    @property
    def keys(self) -> KeySelection:
        arns = dict.fromkeys((*self.ids.values(), *self.names.values()))
        return KeySelection(tuple(parse_key(arn, "the journal") for arn in arns))


def _made_by(session: Session, name: str) -> _Made:
    """What a run granted, by its journal: an intent without an outcome may have granted as well."""
    path = find_run(session.given.journal_folder(), name)
    check_private(path)
    record = read_run(path)
    made = _Made({}, {})
    for line in record.plan:
        key = place_of(line)
        # Unchanged is what others made, also where a grant of the run's own gave way to it.
        if line.get("action") != "create" or key not in record.touched:
            continue
        result = record.results[key]
        if result.get("outcome") == "unchanged":
            continue
        known = result.get("grant_id")
        arn, named = line.get("key_arn"), known or line.get("name")
        if not (isinstance(arn, str) and isinstance(named, str)):
            raise RefusedError(f"{path.name} is no journal of grants that this version can read")
        (made.ids if known else made.names)[named] = arn
    return made
