"""--filter in its four forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import UsageError
from cado_ops.filters import MAX_VALUES, Filter, parse_filter, rounds


def no_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


ENV = Filter("tag:Env", ("prod", "staging"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag:Env=prod,staging", [ENV]),
        ("tag:Env=prod, staging", [ENV]),
        ("tag:Env=prod,prod,staging", [ENV]),
        ("instance-type=t3.*", [Filter("instance-type", ("t3.*",))]),
        ("network-interface.subnet-id=subnet-1", [Filter("network-interface.subnet-id", ("subnet-1",))]),
        ("tag-key=Env", [Filter("tag-key", ("Env",))]),
        ("tag:Name=it's=fine", [Filter("tag:Name", ("it's=fine",))]),
        ("tag:aws:autoscaling:groupName=web", [Filter("tag:aws:autoscaling:groupName", ("web",))]),
        ('tag:Name="a,b",c', [Filter("tag:Name", ("a,b", "c"))]),
        (r"tag:Name=a\,b,c", [Filter("tag:Name", ("a,b", "c"))]),
        ("tag:Größe=groß", [Filter("tag:Größe", ("groß",))]),
        ("Name=tag:Env,Values=prod,staging", [ENV]),
        ("Name=tag:Env, Values=prod, staging ", [ENV]),
        ("Values=prod,staging,Name=tag:Env", [ENV]),
        ('Name=tag:Env,Values="prod","staging"', [ENV]),
        ("Name=tag:Env,Values='a,b',c", [Filter("tag:Env", ("a,b", "c"))]),
        (r'Name=tag:Env,Values="a\"b"', [Filter("tag:Env", ('a"b',))]),
        ('Name=tag:Env,Values=""', [Filter("tag:Env", ("",))]),
        ('Name=tag:Env,Values=a,"Name=b"', [Filter("tag:Env", ("a", "Name=b"))]),
        ('{"Name": "tag:Env", "Values": ["prod", "staging"]}', [ENV]),
        (' [{"Name": "tag:Env", "Values": ["prod", "staging"]}]', [ENV]),
        ('{"Name": "tag:Env", "Values": [""]}', [Filter("tag:Env", ("",))]),
        (
            '[{"Name": "tag:Env", "Values": ["prod", "staging"]}, {"Name": "vpc-id", "Values": ["v"]}]',
            [ENV, Filter("vpc-id", ("v",))],
        ),
    ],
)
def test_forms(text: str, expected: list[Filter]) -> None:
    assert parse_filter(text, no_file) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "no filter", "tag:KEY=VALUE"),
        ("tag:Env", "no filter", "tag:KEY=VALUE"),
        ("=prod", "no filter's name", ""),
        ("Env=prod", "'Env' is no filter's name", "tag:Env=prod"),
        ("Cost Center=4 2", "no filter's name", "tag:KEY=VALUE"),
        ("Tag:Env=prod", "no filter's name", "tag:Env=prod"),
        (" tag:Env=a b", "no filter's name", "'tag:Env=a b'"),
        ("Instance-Type=t3.micro", "no filter's name", ""),
        ("tag:=prod", "no tag key", ""),
        ("tag: Env=prod", "blanks around", "JSON"),
        (f"tag:{'k' * 129}=v", "no tag key", ""),
        ("tag:Env=", "an empty value of 'tag:Env'", '{"Name": "tag:Env", "Values": [""]}'),
        ("tag:Env=prod,", "an empty value", ""),
        ("tag:Env=prod,,x", "an empty value", ""),
        ('tag:Env="prod', "quotes", ""),
        ('tag:Env="prod"x', "quotes", ""),
        ("tag:Env=\udcff", "no valid text", ""),
        ("instance-type=" + ",".join(map(str, range(MAX_VALUES + 1))), "201 values", "wildcard"),
        ("Name=web", "Name= without Values=", "tag:Name=web"),
        ("Name=tag:Env,Values=", "an empty value", ""),
        ("Values=a", "one Name= is expected", ""),
        ("Name=a,b,Values=c", "one Name= is expected", ""),
        ("Name=tag:Env,Values=a,Values=b", "Values= is given twice", ""),
        ("Name=tag:Env,Values=[a,b]", "without brackets", ""),
        ("Name=Env,Values=prod", "no filter's name", "tag:Env=prod"),
        ("name=tag:Env,values=prod", "no filter 'name'", "Name=tag:Env"),
        ("{", "no valid JSON", ""),
        ("[]", "empty list", ""),
        ("{}", "Name must be a string", "Expected"),
        ("{} {}", "one JSON document", ""),
        ("[1]", "1 is no filter", ""),
        ("[[]]", "[] is no filter", ""),
        ('{"Name": "tag:Env"}', "Values must be", ""),
        ('{"Name": "tag:Env", "Values": []}', "no values", ""),
        ('{"Name": "tag:Env", "Values": "prod"}', "Values must be", ""),
        ('{"Name": "tag:Env", "Values": [1]}', "Values must be", ""),
        ('{"Name": 1, "Values": ["prod"]}', "Name must be", ""),
        ('{"Name": "", "Values": ["prod"]}', "no filter's name", ""),
        ('{"name": "tag:Env", "Values": ["a"]}', "no 'name'", ""),
        ('{"Name": "tag:Env", "Values": ["\\ud800"]}', "no valid text", ""),
        ("[" * 101 + "]" * 101, "nested deeper", ""),
        ("[" * 200_000, "nested deeper", ""),
        ("file://nowhere.json", "nowhere.json cannot be read: No such file", ""),
    ],
)
def test_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(text, no_file, "--exclude")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.message.isprintable()
    assert caught.value.message.startswith("--exclude")


def test_a_file() -> None:
    files = {"f.json": '[{"Name": "tag:Env", "Values": ["prod", "staging"]}]', "bad.json": '\n{"Name": 1}'}
    assert parse_filter("file://f.json", files.__getitem__) == [ENV]
    with pytest.raises(UsageError, match=r"^bad\.json: Name must"):
        parse_filter("file://bad.json", files.__getitem__)


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        parse_filter("file://x", lambda path: b"\xff".decode())


def test_no_name_twice_in_a_round() -> None:
    a, b, c, d = Filter("a", ("1",)), Filter("b", ("1",)), Filter("a", ("2",)), Filter("a", ("3",))
    assert rounds([a, b, c, d]) == [[a, b], [c], [d]]
    assert rounds([]) == []


def refusal(call: Callable[[], object]) -> UsageError | None:
    """The refusal of an input, or None where it was read. Any other exception is a bug and comes through."""
    try:
        call()
    except UsageError as error:
        return error
    return None


VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.sampled_from(["instance-type", "tag-key", "vpc-id"]) | VALUES.filter(bool).map("tag:{}".format)
FILTERS = st.builds(Filter, NAMES, st.lists(VALUES, min_size=1, max_size=5, unique=True).map(tuple))


@given(FILTERS)
def test_json_round_trip(filter: Filter) -> None:
    text = json.dumps([{"Name": filter.name, "Values": list(filter.values)}], ensure_ascii=False)
    assert parse_filter(text, no_file) == [filter]


@given(st.lists(FILTERS, max_size=12))
def test_rounds_hold_every_filter(filters: list[Filter]) -> None:
    groups = rounds(filters)
    assert sorted(chain.from_iterable(groups), key=str) == sorted(filters, key=str)
    assert all(len({each.name for each in group}) == len(group) for group in groups)


@given(st.text() | st.text(alphabet="tagNmeVlus:=,\"'\\[]{} -", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: list[Filter] = []
    if error := refusal(lambda: found.extend(parse_filter(text, no_file))):
        assert error.message.isprintable()
        assert (error.hint or "").isprintable()
    else:
        assert found
        assert all(each.name and each.values for each in found)
