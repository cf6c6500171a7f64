"""EC2 filters as a user types them, for ``--filter`` and ``--exclude``.

The values of one filter are alternatives, several filters must all hold; ``*`` and ``?`` are EC2's
wildcards (EC2 API Reference, "DescribeInstances" and "Filter"; AWS CLI User Guide, "Using shorthand syntax
in the AWS CLI").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cado_ops.arns import plain, shown
from cado_ops.errors import UsageError
from cado_ops.findings import json_documents
from cado_ops.shell import quote

MAX_VALUES = 200  # of one filter: EC2's quota, refused here so that the line at fault can be named
MAX_TAG_KEY = 128

_EC2_NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
_AWS_FORM = re.compile(r"\s*(?:Name|Values)\s*=")
_NEXT_KEY = re.compile(r"\s*(Name|Values)\s*=\s*")
# One value of a comma list: quoted as a whole, or bare, where \, is a comma that does not separate.
_VALUE = re.compile(
    r"""\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"\s*(?=,|\Z)|'(?P<single>(?:[^'\\]|\\.)*)'\s*(?=,|\Z)|(?P<bare>(?:\\,|[^,])*))""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as EC2 takes it: ``Filter("tag:Env", ("prod", "staging"))``."""

    name: str
    values: tuple[str, ...]


def parse_filter(text: str, read_file: Callable[[str], str], where: str = "--filter") -> list[Filter]:
    """What one ``--filter`` says. ``read_file`` gives the content of a ``file://`` path.

    - short: ``tag:Env=prod,staging``, ``instance-type=t3.*``
    - AWS shorthand: ``Name=tag:Env,Values=prod,staging``; values may stand in quotes: ``Values="a,b",c``
    - JSON: ``{"Name": "tag:Env", "Values": ["prod"]}``, or a list of such objects
    - ``file://PATH``: JSON
    """
    if text.startswith("file://"):
        path = text.removeprefix("file://")
        return _from_json(_content(path, read_file, where), plain(path))
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(text, where)
    if _AWS_FORM.match(text):
        return [_from_shorthand(text, where)]
    return [_from_short(text, where)]


def rounds(filters: Sequence[Filter]) -> list[list[Filter]]:
    """The filters in groups in which no name repeats, each group one question to EC2; the answers are
    intersected.

    How EC2 treats a name that is given twice is not documented, so it is never asked that.
    """
    groups: list[list[Filter]] = []
    for each in filters:
        free = next((group for group in groups if all(other.name != each.name for other in group)), None)
        if free is None:
            groups.append([each])
        else:
            free.append(each)
    return groups


def _content(path: str, read_file: Callable[[str], str], where: str) -> str:
    try:
        return read_file(path)
    except OSError as error:
        raise UsageError(
            f"{where}: {plain(path)} cannot be read: {error.strerror or type(error).__name__}"
        ) from None
    except ValueError:  # not UTF-8, or a NUL in the path
        raise UsageError(f"{where}: {plain(path)} cannot be read as UTF-8 text") from None


def _from_json(text: str, where: str) -> list[Filter]:
    # No more than two: a file of a million would fill the memory before it is refused.
    documents = list(islice(json_documents(text, where), 2))
    if len(documents) != 1:
        there = "none is there" if not documents else "several are there"
        raise UsageError(f"{where}: one JSON document is expected, and {there}")
    content = documents[0][1]
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise UsageError(f"{where}: an empty list filters nothing")
    return [_from_entry(entry, where) for entry in entries]


def _from_entry(entry: Any, where: str) -> Filter:
    expected = 'Expected: {"Name": "tag:Env", "Values": ["prod", "staging"]}'
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: {shown(entry)} is no filter", expected)
    for key in entry:
        if key not in ("Name", "Values"):
            raise UsageError(f"{where}: a filter has no {shown(key)}", expected)
    name, values = entry.get("Name"), entry.get("Values")
    if not isinstance(name, str):
        raise UsageError(f"{where}: Name must be a string, not {shown(name)}", expected)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UsageError(f"{where}: Values must be a list of strings, not {shown(values)}", expected)
    return _checked(name, values, where)


def _from_short(text: str, where: str) -> Filter:
    name, equals, rest = text.partition("=")
    if not equals:
        raise UsageError(
            f"{where}: {shown(text)} is no filter",
            "Expected: tag:KEY=VALUE,… or NAME=VALUE,… (instance-type=t3.*)",
        )
    if name.startswith("tag:") and name != f"tag:{name[4:].strip()}":
        raise UsageError(
            f"{where}: blanks around the key of {shown(name)}", "Where they belong to the key, use JSON."
        )
    _check_name(name, where, rest)  # before the values: a wrong name explains more than what follows from it
    return _checked(name, [value for value, _ in _values(name, rest, 0, where)], where)


def _from_shorthand(text: str, where: str) -> Filter:
    """``Name=…,Values=…`` in either order. A value that begins with ``Name=`` has to stand in quotes."""
    names: list[str] = []
    values: list[str] = []
    seen: set[str] = set()
    position = 0
    while key := _NEXT_KEY.match(text, position):
        if key[1] in seen:
            raise UsageError(f"{where}: {key[1]}= is given twice", "One filter a flag: --filter … --filter …")
        seen.add(key[1])
        if text.startswith("[", key.end()):
            raise UsageError(f"{where}: lists stand without brackets", "Expected: Name=tag:Env,Values=prod,staging")
        for value, position in _values(key[1], text, key.end(), where):
            (names if key[1] == "Name" else values).append(value)
            if _NEXT_KEY.match(text, position):
                break
    if "Values" not in seen:
        hint = f"For the tag Name: {quote(f'tag:Name={names[0]}')}"
        raise UsageError(f"{where}: Name= without Values=", hint if names[0].isprintable() else None)
    if len(names) != 1:
        raise UsageError(f"{where}: one Name= is expected", "Expected: Name=tag:Env,Values=prod,staging")
    return _checked(names[0], values, where)


def _values(name: str, text: str, position: int, where: str) -> Iterator[tuple[str, int]]:
    """The comma list at ``position``: each value, and where the text goes on behind it and its comma."""
    while position <= len(text):
        match = _VALUE.match(text, position)
        assert match is not None  # the bare form matches even nothing
        if (bare := match["bare"]) is not None:
            value = bare.replace("\\,", ",").strip()
            if not value:
                raise UsageError(
                    f"{where}: an empty value of {shown(name)}",
                    'To ask for the empty value itself: {"Name": "tag:Env", "Values": [""]}',
                )
            if value[0] in "\"'":
                raise UsageError(f"{where}: the quotes of {shown(value)} do not close around the whole value")
        else:
            value = re.sub(r"\\(.)", r"\1", match["double"] or match["single"] or "", flags=re.DOTALL)
        position = match.end() + 1
        yield value, position


def _checked(name: str, values: Sequence[str], where: str) -> Filter:
    _check_name(name, where, ",".join(values))
    if not values:
        raise UsageError(f"{where}: no values for {shown(name)}")
    if len(values) > MAX_VALUES:
        raise UsageError(
            f"{where}: {len(values)} values for {shown(name)}, and EC2 takes at most {MAX_VALUES} a filter",
            "Give instances by id instead, or use a wildcard.",
        )
    for value in values:
        if not _encodable(value):
            raise UsageError(f"{where}: {shown(value)} is no valid text")
    return Filter(name, tuple(dict.fromkeys(values)))


def _check_name(name: str, where: str, rest: str) -> None:
    """EC2's names are lower case (``tag-key``, ``network-interface.subnet-id``), or ``tag:KEY``."""
    key = name.removeprefix("tag:")
    if key != name:
        if not key or len(key) > MAX_TAG_KEY or not _encodable(key):
            raise UsageError(f"{where}: {shown(key)} is no tag key (1 to {MAX_TAG_KEY} characters)")
        return
    if name in ("name", "names", "value", "values", "filters"):
        raise UsageError(
            f"{where}: EC2 has no filter {shown(name)}", "AWS's form is Name=tag:Env,Values=prod,staging."
        )
    if _EC2_NAME.fullmatch(name):
        return
    hint = "A tag is asked for as tag:KEY=VALUE, anything else by EC2's own name, such as instance-type=t3.*"
    tag = "tag:" + re.sub("^tag:", "", name.strip(), flags=re.IGNORECASE)
    if re.fullmatch(r"tag:[\w:./@+-]{1,128}", tag) and rest.isprintable() and len(rest) <= 100:
        hint = f"For a tag: {quote(f'{tag}={rest}')}"
    raise UsageError(f"{where}: {shown(name)} is no filter's name", hint)


def _encodable(text: str) -> bool:
    """Half surrogates come from bytes on the command line that were no UTF-8; no AWS call can carry them."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
