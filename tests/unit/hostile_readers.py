"""Every reader of what others wrote, with documents that it takes: for `test_hostile_input` and `scripts/fuzz`.

A reader has to give a value or its own error, whatever it is given. What it took has to go through what follows.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from cado_ops import arns
from cado_ops.accounts_file import parse_accounts
from cado_ops.cli import run_again
from cado_ops.cli.app import main
from cado_ops.cli.given import Given
from cado_ops.cli.world import World
from cado_ops.errors import CadoOpsError, RefusedError, UsageError
from cado_ops.filters import parse_filter, rounds
from cado_ops.findings import instances_in_findings
from cado_ops.journal import read_run
from cado_ops.model import Kind, Outcome, Report, Status
from cado_ops.plan.planfile import dump_plan, load_plan
from cado_ops.policy.yaml_text import write_yaml
from cado_ops.render.plan import plan_counts, render_plan
from cado_ops.render.report import write_report
from cado_ops.render.text import sanitize
from cado_ops.verdict.denial import decoded, explain, read
from cado_ops.workflow.undone import still_undone
from tests.unit import test_findings, test_planfile
from tests.unit.hostile import anything, as_json, damaged, mangled
from tests.unit.hostile_samples import (
    DECODED,
    DENIED,
    EVENT,
    EVERY_SETTING,
    GRANT,
    POLICIES,
    RUN,
    TAGS,
    TOML,
    result,
    run,
    sealed_plan,
    sealed_run,
)


@dataclass(frozen=True)
class Reader:
    """``take`` reads a file and does with what it read what commands do; it raises ``error`` and nothing else.

    ``documents`` are data that ``dump`` makes a file of, ``texts`` files as they are; those in ``refused`` it does
    not take, and damage may come upon something all the same.
    """

    take: Callable[[Path, World], Any]
    error: type[CadoOpsError] | tuple[type[CadoOpsError], ...]
    alphabet: str
    documents: tuple[Any, ...] = ()
    texts: tuple[bytes, ...] = ()
    refused: tuple[bytes, ...] = ()
    dump: Callable[[Any], bytes] = lambda document: as_json(document).encode()
    name: str = "input"
    # What follows takes whole commands: fewer examples do in the test-suite.
    slow: bool = False

    def contents(self) -> Iterator[bytes]:
        """Files that it takes."""
        yield from self.texts
        yield from map(self.dump, self.documents)

    def inputs(self) -> st.SearchStrategy[bytes]:
        """Files that it may or may not take."""
        whole = st.sampled_from([*self.contents(), *self.refused]).flatmap(mangled)
        if not self.documents:
            return anything(self.alphabet) | whole
        damage = st.sampled_from(self.documents).flatmap(damaged).map(self.dump)
        return anything(self.alphabet) | whole | damage | damage


@contextmanager
def files() -> Iterator[Callable[[Reader, bytes], Path]]:
    """A folder for the inputs, for one test."""
    with tempfile.TemporaryDirectory() as folder:

        def put(reader: Reader, content: bytes) -> Path:
            path = Path(folder, reader.name)
            path.write_bytes(content)
            path.chmod(0o600)
            return path

        yield put


def was_read(reader: Reader, path: Path) -> bool:
    """Whether it was read, and not refused. Anything else that is raised is a bug, and comes through."""
    world = World(stdin=io.StringIO(), environ={"HOME": str(path.parent)})
    try:
        reader.take(path, world)
    except reader.error as error:
        for line in (error.message, error.hint or ""):
            assert len(line) < 5_500, "an error is a line, and no copy of the file"
            sanitize(line).encode()
        return False
    return True


def _shown(items: list[dict[str, Any]], command: str) -> None:
    """All that can be done with items: no output may stumble over what stands in them."""
    for output in ("table", "json", "csv"):
        stream = io.StringIO()
        report = Report(command, Status.SUCCESS, items=items)
        write_report(report, output=output, stdout=stream, stderr=stream, environ={}, width=100)  # type: ignore[arg-type]
        stream.getvalue().encode()


def _command(world: World, *argv: str) -> None:
    """A whole command, which asks AWS nothing."""
    streams = io.BytesIO(), io.BytesIO()
    # As those of a process are: what cannot be encoded fails as it would there.
    stdout, stderr = (io.TextIOWrapper(each, "utf-8", write_through=True) for each in streams)
    code = main(list(argv), replace(world, stdout=stdout, stderr=stderr))
    out, err = (each.getvalue().decode("utf-8", "replace") for each in streams)
    assert "fault in cado-ops" not in err, err
    assert "Traceback" not in err
    if code == 2:
        assert out == ""
        raise UsageError(err.partition("\n")[0])
    assert code in (0, 1, 3), (code, err)


# --- what follows each reader


def _filter(path: Path, world: World) -> None:
    _filters(path.read_bytes().decode("utf-8", "surrogateescape"), world)


def _filter_file(path: Path, world: World) -> None:
    _filters(f"file://{path}", world)


def _filters(text: str, world: World) -> None:
    found = parse_filter(text, lambda path: world.read_file(path, "--filter"))
    for each in found:
        assert parse_filter(json.dumps({"Name": each.name, "Values": each.values}), str, "again") == [each]
    assert [each for group in rounds(found) for each in group]


def _accounts(path: Path, world: World) -> None:
    for account in parse_accounts(world.read_file(str(path), "--accounts-file"), str(path)):
        arns.parse_account_id(account.account_id, "again")
        json.dumps([account.name, account.cado_role_arn])


_ARNS: tuple[Callable[[str, str], Any], ...] = (
    *(arns.parse_account_id, arns.parse_region, arns.parse_instance, arns.parse_key, arns.parse_grant_id),
    *(arns.parse_principal, arns.parse_role_arn, arns.parse_role_name, arns.parse_external_id, arns.parse_case),
    *(arns.parse_session_name, arns.parse_source_identity, arns.parse_ou_id),
    partial(arns.parse_disk, kind=Kind.VOLUME),  # type: ignore[list-item]
    partial(arns.parse_disk, kind=Kind.SNAPSHOT),  # type: ignore[list-item]
)


def _arn(path: Path, world: World) -> None:
    text, refused = path.read_bytes().decode("utf-8", "surrogateescape"), None
    for parse in _ARNS:
        try:
            parse(text, where="--option")  # type: ignore[call-arg]
        except UsageError as error:
            refused = error
        else:
            assert text.isascii() or text.endswith("…")
            refused = None
            break
    for each in arns.split_commas([text], "--option"):
        assert each
    if refused:
        raise refused


def _finding(path: Path, world: World) -> None:
    for ref in instances_in_findings(world.read_file(str(path), "--from-finding"), str(path)):
        arns.parse_instance(ref.instance_id, "again")
        assert ref.account is None or arns.parse_account_id(ref.account, "again")
        assert ref.region is None or arns.parse_region(ref.region, "again")


def _settings(path: Path, world: World) -> None:
    given = Given({"config": str(path)}, world)
    for call in (given.output, given.case, given.scope, given.keys, given.operations, given.owners,
                 given.external_id, given.session_name, given.source_identity, given.journal_folder):  # fmt: skip
        call()
    given.number("max-concurrency", 1, 1, 256)
    given.cado_roles(given.scope())


def _plan(path: Path, world: World) -> None:
    plan = load_plan(world.read_file(str(path), "PLAN"), str(path))
    assert replace(load_plan(dump_plan(plan), "again"), digest=plan.digest) == plan
    items = [change.as_item() for change in plan.changes]
    stream = io.StringIO()
    render_plan(items, command=plan.command, stderr=stream, environ={}, width=100, now=plan.created)
    plan_counts([change.as_item() for change in plan.changes if change.outcome is Outcome.PLANNED])
    stream.getvalue().encode()
    _shown(items, plan.command if plan.command in ("tag-instances", "kms grant") else "apply")


def _journal(path: Path, world: World) -> None:
    folder = ("--journal-dir", str(path.parent))
    _command(world, "runs", "list", "-o", "json", *folder)
    _command(world, "runs", "list", "--expired", *folder)
    record = read_run(path)
    with suppress(RefusedError):
        run_again._check(record)
        assert isinstance(record.header["roles"], dict)
        again = {key: run_again._with_result(record, each) for key, each in run_again._planned(record).items()}
        still_undone(record, [replace(record, header=record.header | {"undoes": record.run_id})])
        _shown([each.as_item() for each in again.values()], "runs undo")
    for argv in (("show", RUN, "-o", "json"), ("show", RUN), ("export", RUN), ("export", RUN, "--format", "html")):
        _command(world, "runs", *argv, *folder)


def _policy(path: Path, world: World) -> None:
    _command(world, "policy", "check", str(path), "-o", "json")
    for form in ((), ("--format", "json"), ("--format", "terraform")):
        with suppress(UsageError):  # it takes a role's own policy, and one of them
            _command(world, "policy", "tighten", str(path), *form)


def _denial(path: Path, world: World) -> None:
    errors = read(path.read_bytes().decode("utf-8", "replace"))
    _shown([each.as_item() for each in explain(errors, "IR-42")], "explain")


def _decoded(path: Path, world: World) -> None:
    document = decoded.parse(path.read_bytes().decode("utf-8", "replace"))
    if document is None:
        raise UsageError("it could not be understood")
    [told] = read("An error occurred (UnauthorizedOperation) when calling the CreateTags operation: no")
    _shown([each.as_item() for each in explain([decoded.fill(told, document)])], "explain")


READERS = {
    "filter": Reader(
        _filter, UsageError, "tagNmeVlus:=,\"'\\[]{} -*?.",
        ({"Name": "tag:Env", "Values": ["prod", "a,b"]}, [{"Name": "instance-type", "Values": ["t3.*"]}]),
        (b"tag:Env=prod,staging", b"instance-type=t3.*", b"Name=tag:Env,Values=\"a,b\",c", b"tag:a=a\\,b"),
    ),
    "filter-file": Reader(
        _filter_file, UsageError, '{}[]",:NameVlus ',
        ({"Name": "tag:Env", "Values": ["prod", "a,b"]}, [{"Name": "instance-type", "Values": ["t3.*"]}]),
    ),
    "accounts": Reader(
        _accounts, UsageError, "0123456789,arn:awsiole/#\" \t\r\n", (),
        (b"111111111111\n222222222222  # prod\n",
         b"\xef\xbb\xbfroleArn,alias\r\narn:aws:iam::111111111111:role/R,prod\r\n",
         b"arn:aws:iam::111111111111:root\narn:aws:organizations::111111111111:account/o-abcdefghij/222222222222\n"),
    ),
    "arn": Reader(
        _arn, UsageError, "arn:awsiec2mroleus-t1/-*0fkey", (),
        (b"arn:aws:ec2:eu-west-1:111111111111:instance/i-0123456789abcdef0", b"arn:aws:iam::111111111111:role/a/b",
         b"arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-4000-8000-000000000001", b"vol-0123456789abcdef0"),
    ),
    "finding": Reader(
        _finding, UsageError, '{}[]",:0 \n',
        (test_findings.GUARDDUTY, test_findings.SEQUENCE, test_findings.ASFF, test_findings.OCSF,
         test_findings.STATE_CHANGE, {"Findings": [test_findings.ASFF]}),
    ),
    "settings": Reader(_settings, UsageError, "[]{}\"'=.#-_0xnaif\n ", (), (TOML,), (EVERY_SETTING,),
        name="config.toml"),
    "plan": Reader(
        _plan, (RefusedError, UsageError), '{}[]",:0123456789.eE+-ntf \n\\u',
        (test_planfile.body_of(test_planfile.PLAN),
         test_planfile.body_of(replace(test_planfile.PLAN, command="kms retire", changes=[GRANT]))),
        dump=sealed_plan,
    ),
    "journal": Reader(
        _journal, UsageError, '{}[]",:0\n',
        (run(TAGS, TAGS["instance_id"], result(tags_after={})),
         run(GRANT.as_record(), GRANT.id, result(**GRANT.result()))),
        dump=sealed_run, name=f"{RUN}.jsonl", slow=True,
    ),
    "policy": Reader(_policy, UsageError, '{}[]",:\\ truefalsn0123456789.-+eE\n\t', POLICIES, slow=True),
    "policy-yaml": Reader(
        _policy, UsageError, "-?:,[]{}#&*!|>'\"%@` \n\tab01~<", (),
        tuple(write_yaml(each).encode() for each in POLICIES[:4]), slow=True,
    ),
    "denial": Reader(_denial, UsageError, '{}[]",:()\n\\ ', (EVENT, {"Records": [EVENT]}), (DENIED.encode(),)),
    "decoded": Reader(_decoded, UsageError, '{}[]",:0', (DECODED,)),
}  # fmt: skip
