"""cado-ops policy tighten: the Cado role's own policy, tightened, on stdout and nothing else."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cado_ops.arns import split_commas
from cado_ops.cli.documents import write_file, write_out
from cado_ops.cli.options import POLICY_TIGHTEN_OPTIONS, takes
from cado_ops.cli.policy_names import cado_roles_of, kms_variant, role_named
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import AwsError, UsageError
from cado_ops.model import Report, Status
from cado_ops.policy.document import Document, Statement, Values
from cado_ops.policy.holders import Holder
from cado_ops.policy.library import RUN_DOCUMENTS, SESSION_DOCUMENTS
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_file import lint_roles
from cado_ops.policy.lint_key import says_principal
from cado_ops.policy.lint_shape import INLINE_LIMIT, MANAGED_LIMIT, size_of
from cado_ops.policy.parts import Wish
from cado_ops.policy.render import FORMATS, Kind, Rendering, as_cloudformation, as_json, as_terraform
from cado_ops.policy.rules import Subject
from cado_ops.policy.source import PolicyFile, merged, read_policy_file
from cado_ops.policy.template import Found
from cado_ops.policy.tighten import Tightened
from cado_ops.policy.tighten import tighten as tightened
from cado_ops.visible import escape_json

File = Annotated[str | None, typer.Argument(metavar="[FILE]", help="JSON or YAML; - is stdin.", show_default=False)]


@takes(POLICY_TIGHTEN_OPTIONS)
def tighten(ctx: typer.Context, file: File = None, *, flags: dict[str, Any]) -> int:
    """The Cado role's own policy, tightened: held by the tag, and nothing allowed that was not.

    From a file (JSON; YAML; a CloudFormation template) or live from IAM. The document is on stdout and nothing
    else; the difference, and what to know about it, are told on stderr. Changes nothing in AWS.

    Example: cado-ops policy tighten CadoPolicy.yaml --kms withheld --out CadoPolicyTightened.yaml
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        wish, form = _wish(session), flags["format"]
        if form is not None and form not in FORMATS:
            raise UsageError(f"--format is {form!r}: it takes {', '.join(FORMATS)}")
        if (file is None) == (flags["role"] is None):
            raise UsageError("give either a file or --role", "- reads stdin")
        source = _from_file(session, file) if file is not None else _from_role(session, flags["role"])
        if any(says_principal(found.document) for found in source.found):
            raise UsageError(
                f"{source.where} says Principal: it is a resource's policy or a trust, and no role's own",
                "cado-ops policy check looks at a key's",
            )
        roles = cado_roles_of(session, source) if source.is_template else []
        meant = [
            each for each in source.found if not each.owner or any(each.owner in role.owners for role in roles)
        ]
        unknown = set(wish.drop_sids) - {each.sid for found in meant for each in found.document.statements}
        if unknown:
            raise UsageError(f"--drop-sid: there is no statement {', '.join(sorted(unknown))}")
        if file is None:
            wish = replace(wish, partition=source.where.split(":")[1])
        wish = replace(wish, default=source.default_partitions)
        results = {
            each.path: tightened(each.document, replace(wish, beside=_beside(each, meant, roles))) for each in meant
        }
        text = source.with_statements({path: result.items for path, result in results.items()})
        if form is not None:
            made = _rendered(form, source, results)
        else:
            # Of what came in YAML the comments are part, and no character of it can be written otherwise.
            made = escape_json(text) if source.form == "json" else text
        if flags["out"] is None:
            write_out(world.stdout, made.encode())
        else:
            write_file(Path(flags["out"]), made.encode())
        _tell(session, source, text, results)
        _tell_left(session, read_policy_file(text, source.where), (each.name for each in roles), wish.partition)
        session.remark("put it in force yourself: this changed nothing in AWS")
        return Report(
            "policy tighten",
            Status.SUCCESS,
            summary={"statements": sum(len(each.items) for each in results.values())},
        )

    # What is on stdout is the document, and no report.
    return run("policy tighten", flags | {"output": "table"}, replace(world, stdout=io.StringIO()), body)


def _beside(policy: Found, meant: Iterable[Found], roles: Iterable[Holder]) -> tuple[Document, ...]:
    """The other policies of the roles that have this one."""
    owners = {owner for role in roles if policy.owner in role.owners for owner in role.owners}
    return tuple(each.document for each in meant if each.owner in owners and each != policy)


def _wish(session: Session) -> Wish:
    given = session.given

    def listed(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for each, _ in given.items(name)))

    sids = given.merged("drop-sid").value or []
    return Wish(
        documents=listed("document") or RUN_DOCUMENTS,
        session_documents=listed("session-document") or SESSION_DOCUMENTS,
        kms=kms_variant(given),
        drop_sids=tuple(split_commas(sids, "--drop-sid")) if sids else (),
        strict=given.flag("strict"),
    )


def _from_file(session: Session, file: str) -> PolicyFile:
    text = session.world.read_file(file, "FILE")
    return read_policy_file(text, "stdin" if file == "-" else file)


def _from_role(session: Session, named: str) -> PolicyFile:
    """All policies of a live role as one document. Raises AwsError where it cannot be read."""
    from cado_ops.observe.policies import read_roles

    role = role_named(named)
    session.progress.phase("reading", None)
    read = read_roles(
        session.scope, session.identified(), session.connection, role,
        max_concurrency=session.max_concurrency, on_progress=session.reading,
    )  # fmt: skip
    if read.failures:
        first = read.failures[0].error
        raise AwsError(first.code, f"{read.failures[0].account}: {first.message}", hint=first.hint)
    if len(read.roles) != 1:
        raise UsageError(
            f"{len(read.roles)} accounts are in scope, and one role's policy can be tightened at a time",
            "name one with --account, or give the role's ARN",
        )
    [found] = read.roles.values()
    if not found.policies:
        raise UsageError(f"{found.arn} has no policy")
    document, remarks = merged(found.policies)
    names = ", ".join(name for name, _ in found.policies)
    session.remark(f"read {found.arn}: {names}")
    if len(found.policies) > 1:
        session.warn("one document stands for all policies of the role: put it in the place of all of them")
    for remark in remarks:
        session.warn(remark)
    return read_policy_file(as_json(document), found.arn)


def _rendered(form: str, source: PolicyFile, results: Mapping[Any, Tightened]) -> str:
    if len(results) != 1:
        raise UsageError(
            f"--format {form}: {source.where} holds {len(results)} policies, and one can be rendered",
            "without --format the file comes back as it came in",
        )
    [result] = results.values()
    if form != "json" and (source.is_template or _has_intrinsics(result.document)):
        raise UsageError(
            f"--format {form}: {source.where} is a template already, or has its functions",
            "without --format it comes back as it came in",
        )
    if form == "json":
        return as_json(result.document)
    rendering = Rendering("tightened", Kind.CADO_ROLE, result.document, {"CadoRoleName": "CadoResponseRole"})
    return as_cloudformation(rendering) if form == "cloudformation" else as_terraform(rendering)


def _has_intrinsics(document: Document) -> bool:
    def any_in(statement: Statement) -> bool:
        listed = (statement.actions, statement.not_actions, statement.resources, statement.not_resources)
        conditions = (each.values for each in statement.conditions)
        return statement.whole is not None or any((each or Values()).intrinsics for each in (*listed, *conditions))

    return any(map(any_in, document.statements))


def _tell(session: Session, source: PolicyFile, text: str, results: Mapping[Any, Tightened]) -> None:
    """The difference, what was done and why, and what is left."""
    before = source.text
    if source.form == "json" and text != before:
        # As it is written anew: a difference in blanks alone would bury the others.
        before = escape_json(json.dumps(source.data, indent=2, ensure_ascii=False)) + "\n"
    for line in difflib.unified_diff(
        before.splitlines(), text.splitlines(), source.where, "tightened", lineterm=""
    ):
        session.remark(line)
    if text == source.text:
        session.remark("nothing to tighten: it is as it was")
    for found in source.found:
        if found.path not in results:
            continue
        result, name = results[found.path], f"{found.name}: " if found.name else ""
        for remark in result.remarks:
            session.remark(f"note: {name}{remark}")
        if result.repairs:
            session.remark(f"note: {name}allowed now, and not before (read-only): {', '.join(result.repairs)}")
        size = size_of(result.document)
        if size > INLINE_LIMIT:
            session.warn(f"{name}{size:,} characters: AWS takes {INLINE_LIMIT:,} inline, {MANAGED_LIMIT:,} managed")
        elif size > MANAGED_LIMIT:
            session.warn(f"{name}{size:,} characters: too long for a managed policy ({MANAGED_LIMIT:,})")


def _tell_left(session: Session, made: PolicyFile, names: Iterable[str], partition: str | None) -> None:
    """What policy check says of what was made."""
    names = set(names)
    if made.is_template:
        found = lint_roles(made, [each for each in made.holders() if each.name in names], {})
    else:
        found = lint_role(Subject(tuple(each.document for each in made.found), live_partition=partition))
    for each in found:
        if each.severity != "info":
            where = f"{each.statement}: " if each.statement else ""
            session.warn(f"left as it is: {each.rule}: {where}{each.message}")
