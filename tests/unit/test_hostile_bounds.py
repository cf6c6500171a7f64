"""Small inputs that would mean hours, gigabytes or waiting for ever: each is refused, or done with in a moment.

Steps and calls are counted, not seconds. Where there was no bound before, the test would not have come to its end.
"""

from __future__ import annotations

import importlib
import io
import itertools
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cado_ops.accounts_file import parse_accounts
from cado_ops.arns import shown
from cado_ops.cli.app import main
from cado_ops.cli.saved_plan import _write
from cado_ops.cli.settings import Option, load
from cado_ops.cli.world import MAX_STDIN, World
from cado_ops.errors import LocalError, PolicyError, UsageError
from cado_ops.filters import parse_filter
from cado_ops.findings import instances_in_findings
from cado_ops.journal import read_run, record
from cado_ops.policy.bounds import MAX_STATEMENTS, MAX_STRING, MAX_TRIED, MAX_VALUES
from cado_ops.policy.lint_file import lint_file
from cado_ops.policy.source import read_policy_file
from cado_ops.policy.wildcards import Wildcards
from tests.unit.regex_steps import Counter, attacks, calls_of, can_be_slow

POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes by name are POSIX's")
MODULES = (
    *("accounts_file", "arns", "due", "filters", "findings", "grant_name", "journal.chain", "journal.folder"),
    *(
        "plan.ownership",
        "policy.json_text",
        "policy.matching",
        "policy.partitions",
        "policy.validity",
        "policy.filled",
    ),
    *("policy.lint_key", "policy.lint_shape", "policy.conditions", "policy.names"),
)


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for name in MODULES:
        for variable, value in vars(importlib.import_module(f"cado_ops.{name}")).items():
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, re.Pattern) and isinstance(each.pattern, str) and can_be_slow(each):
                    yield f"{name}.{variable}", each


PATTERNS = dict(_patterns())


def _steps(pattern: re.Pattern[str], text: str) -> int:
    counter = Counter(pattern, text, 10**7)
    counter._sequence(list(counter._tree), 0, 0, lambda end: end == len(text))
    return counter.steps


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_takes_no_more_than_so_many_steps_a_character(pattern: re.Pattern[str]) -> None:
    small, large = (itertools.islice(attacks(pattern, length), 16) for length in (25, 100))
    for short, long in zip(small, large, strict=True):
        assert _steps(pattern, long) <= 5 * _steps(pattern, short) + 1_500, long[:60]


def test_comments_are_looked_for_once_in_a_line() -> None:
    pattern = PATTERNS["accounts_file._COMMENT"]
    text = " " * 2_000 + "x"
    assert Counter(pattern, text, 10**6).search_everywhere() <= 10 * len(text)


def _one_instance_often(times: int) -> str:
    arn = "arn:aws:ec2:eu-west-1:{:012}:instance/i-01234567"
    resources = [{"type": "EC2_INSTANCE", "uid": arn.format(number)} for number in range(times)]
    return json.dumps({"class_uid": 1, "resources": resources})


def _branches(times: int) -> str:
    statement = {"Effect": "Allow", "Action": "a:b", "Resource": "*"}
    document = {"Statement": {"Fn::If": ["A", statement, statement]}}
    policy = {"Type": "AWS::IAM::Policy", "Properties": {"Roles": ["r"], "PolicyDocument": document}}
    return json.dumps({"Resources": {f"P{number}": policy for number in range(times)}})


@pytest.mark.parametrize(
    ("read", "made"),
    [
        (lambda text: instances_in_findings(text, "f"), _one_instance_often),
        (lambda text: read_policy_file(text, "f"), _branches),
    ],
    ids=["one instance in many findings", "policies with branches"],
)  # fmt: skip
def test_work_grows_with_the_file_and_no_faster(read: Callable[[str], object], made: Callable[[int], str]) -> None:
    small, large = made(100), made(400)
    assert calls_of(lambda: read(large)) <= 5 * calls_of(lambda: read(small))


def test_of_a_million_documents_two_are_read() -> None:
    def refused(number: int) -> None:
        with pytest.raises(UsageError, match="several are there"):
            parse_filter("[]" * number, str)

    assert calls_of(lambda: refused(100_000)) <= calls_of(lambda: refused(10)) + 5_000


SEND = {"Effect": "Allow", "Action": "ssm:SendCommand", "Resource": "*"}
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"


def _policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _held(number: int) -> dict[str, Any]:
    return SEND | {"Condition": {"StringEquals": {TAG: [str(each) for each in range(number)]}}}


TOO_MUCH = {
    "statements": _policy(*[SEND] * (MAX_STATEMENTS + 1)),
    "values": _policy(SEND | {"Resource": ["*"] * MAX_VALUES}),
    "tags": _policy(_held(MAX_TRIED + 1)),
    "documents": _policy(SEND | {"Resource": [f"a:document/{each}*" for each in range(MAX_TRIED + 1)]}),
    "a long value": _policy(SEND | {"Resource": "*a" * MAX_STRING}),
    "a number in base 60": "Statement: 1" + ":1" * 100_000,
    "a hexadecimal number": "Statement: [{Effect: 0x" + "f" * 5_000 + ", Action: a:b, Resource: '*'}]",
    "no character": '"\\U00110000"',
    "half a surrogate pair": '{Id: "\\ud800", Statement: []}',
    "no integer": "Statement: !!int ''",
    "documents of YAML": "---\n" * 200_000,
    "an operator without a name": _policy(SEND | {"Condition": {"": {"a": "b"}}}),
    "a key without a name": _policy(SEND | {"Condition": {"StringEquals": {"": None, " ": None}}}),
    "deep YAML": "[" * 100_000,
    "deep JSON": '{"a":' * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_policy_that_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy_file(text, "f")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("text", ['{"a": [%s1]}', "a: [%s1]"], ids=["JSON", "YAML"])
def test_more_values_than_any_policy_has_are_not_all_read(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for module in ("json_text", "yaml_text"):
        monkeypatch.setattr(f"cado_ops.policy.{module}.MAX_NODES", 1_000)
    with pytest.raises(PolicyError, match="values, aliases counted"):
        read_policy_file(text % ("1," * 2_000), "f")


def test_what_is_within_the_bounds_is_judged() -> None:
    assert lint_file(_policy(*[SEND] * 20, _held(20)), "f", {}, lambda document: None)


def test_roles_that_fit_together_in_too_many_ways_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve kilobytes: forty things, eight conditions, and what each role may do in each of 256 ways."""
    roles = {f"R{each}": {"Type": "AWS::IAM::Role", "Properties": {}} for each in range(20)}
    refs = [{"Ref": each} for each in roles]
    policies = {
        f"P{each}": {"Type": "AWS::IAM::Policy", "Condition": f"C{each % 8}",
                     "Properties": {"Roles": refs, "PolicyDocument": {"Statement": [SEND] * 5}}}
        for each in range(20)
    }  # fmt: skip
    monkeypatch.setattr("cado_ops.policy.holders.MAX_WORK", 100_000)
    with pytest.raises(PolicyError, match="too many ways"):
        read_policy_file(json.dumps({"Resources": roles | policies}), "f").holders()


@pytest.mark.parametrize("pieces", [[".*", "a"] * 12 + ["b"], ["[^:]*", "a"] * 12 + ["b"], [".*"] * 12 + ["b"]])
def test_many_stars_take_no_years(pieces: list[str]) -> None:
    assert Wildcards(pieces).fits("a" * 2_000) is False
    assert Wildcards(pieces).fits("a" * 2_000 + "b") is True


def test_both_ways_of_matching_agree() -> None:
    parts = (".*", "[^:]*", "a", ":", ".", "[^:]", r"\*")
    texts = ["".join(each) for length in range(5) for each in itertools.product("a:", repeat=length)] + [
        "*",
        "a*",
        "A",
    ]
    for pieces in itertools.chain.from_iterable(itertools.product(parts, repeat=length) for length in (1, 2, 3)):
        for flags in (0, re.IGNORECASE):
            wild = Wildcards(pieces, flags)
            assert [wild._follow(text) for text in texts] == [wild.fits(text) for text in texts], pieces


OPTIONS = [Option("region", "list"), Option("case"), Option("max-changes", "int")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a." * 100_000 + "a = 1", "dots"),
        ("max_changes = 0x" + "f" * 5_000, "a whole number"),
        ("region = [0x" + "f" * 5_000 + "]", "a string or a list"),
        ('case = "a\\u0000b"', "NUL"),
        ('region = ["a\\u0000b"]', "NUL"),
        ("region = " + "[" * 100_000, "nested too deep"),
    ],
    ids=lambda text: text[:12],
)
def test_settings_that_are_refused(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"# one\n{line}\n")
    with pytest.raises(UsageError, match=says) as caught:
        load(OPTIONS, {}, file)
    assert len(caught.value.message) < 300


def test_a_value_that_cannot_be_shown_is_told_of_all_the_same() -> None:
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    assert shown(deep) == "list that is too long to be shown"
    assert shown(16**5_000) == "int that is too long to be shown"


def _world(**more: Any) -> World:
    return World(**{"stdin": io.StringIO(), "stdout": io.StringIO(), "stderr": io.StringIO(), **more})


@POSIX
def test_a_pipe_that_nobody_writes_to_is_empty_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert _world().read_file(str(pipe), "FILE") == ""
    world = _world()
    assert main(["policy", "tighten", str(pipe)], world) == 2
    assert "empty" in world.stderr.getvalue()  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="no plan"):
        _write(pipe, "{}")
    with pytest.raises(UsageError, match="no plan"):
        _write(Path(os.devnull), "{}")


@POSIX
def test_what_is_written_to_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """The shell's <(command)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    begun = threading.Event()

    def write() -> None:
        begun.wait()
        with os.fdopen(writer, "w") as file:
            file.write("222222222222\n" * 20_000)

    thread = threading.Thread(target=write)
    thread.start()
    begun.set()
    text = _world().read_file(str(pipe), "--accounts-file")
    thread.join()
    os.close(reader)
    assert len(parse_accounts(text, "pipe")) == 1
    assert len(text) == 260_000


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_a_file_without_an_end_is_read_as_far_as_the_bound() -> None:
    with pytest.raises(UsageError, match="more than 16 MiB"):
        _world().read_file("/dev/zero", "FILE")


@pytest.mark.parametrize("path", ["a\0b", "."])
def test_what_is_no_file_is_a_mistake(path: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        _world().read_file(path, "FILE")


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (None, "closed"),
        (io.TextIOWrapper(io.BytesIO(b"i-\xff"), "utf-8"), "not UTF-8"),
        (io.StringIO("x" * (MAX_STDIN + 1)), "more than 16 MiB"),
        (io.StringIO(" \n"), "empty"),
    ],
    ids=["closed", "latin-1", "long", "empty"],
)
def test_stdin_that_cannot_be_taken(stdin: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        _world(stdin=stdin).read_stdin("INSTANCE")


def test_a_journal_that_grows_while_it_is_read_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "20261123T174501Z-7f3a9c.jsonl"
    path.write_bytes(b"{}\n" * 20)
    monkeypatch.setattr(record, "MAX_JOURNAL", 50)
    with pytest.raises(LocalError, match="no journal"):
        read_run(path)
    monkeypatch.setattr(os, "fstat", lambda descriptor: Path(os.devnull).stat())
    with pytest.raises(LocalError, match="no journal"):
        read_run(path)


def test_a_fault_before_a_session_is_there_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr("cado_ops.cli.session.Given", broken)
    world = _world()
    assert main(["runs", "list"], world) == 1
    err = world.stderr.getvalue()  # type: ignore[attr-defined]
    assert "fault in cado-ops" in err
    assert "Traceback" not in err
    assert main(["runs", "list", "--debug"], world) == 1
    assert "Traceback" in world.stderr.getvalue()  # type: ignore[attr-defined]
