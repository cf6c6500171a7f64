"""Answers of EC2 and KMS of which only the fields that are used are parsed.

botocore turns all of an instance, some 110 elements with five dates among them, into Python objects: of a run over
many accounts that took nine tenths of the processor's time. It walks through each grant's strings one by one, and
asks the local time zone about each date. A gateway that says which fields it reads gets these alone, and exactly as
botocore would have given them (docs/performance.md, "What pays").

Whatever is met here that was not expected raises, and is left to botocore's own parser (`aws.parsers`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar
from xml.etree.ElementTree import Element, XMLParser, fromstring

from botocore.model import Shape

# Fields by AWS's names: {"Reservations": {"Instances": {"InstanceId": {}}}}. Of a list, those of its members. Where
# none are named, all of them.
Fields: TypeAlias = Mapping[str, "Fields"]
T = TypeVar("T")
_Parse: TypeAlias = Callable[[Element], Any]
_ParseJson: TypeAlias = Callable[[Any], Any]
# The document's own, in its first element: <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/…">.
_NAMESPACE = re.compile(rb'\s*(?:<\?xml[^>]*\?>\s*)?<\w+( xmlns="http://ec2\.amazonaws\.com/[\w/.-]*")')


@dataclass(frozen=True)
class Cut:
    """Elements of XML that hold nothing of what is wanted, and much else: they are taken out before it is parsed.

    ``beside`` is an element that stands beside each of them, and in none.
    """

    tags: Sequence[bytes]
    beside: bytes


_wanted: ContextVar[tuple[Fields, Cut | None] | None] = ContextVar("cado_ops_wanted", default=None)


@contextmanager
def only(fields: Fields, cut: Cut | None = None) -> Iterator[None]:
    """Of answers that are parsed meanwhile in this thread, these fields are wanted."""
    token = _wanted.set((fields, cut))
    try:
        yield
    finally:
        _wanted.reset(token)


def with_fields(fields: Fields, pages: Iterator[T], cut: Cut | None = None) -> Iterator[T]:
    """Pages of answers that are read while they are iterated: of each, these fields alone."""
    while True:
        with only(fields, cut):
            try:
                page = next(pages)
            except StopIteration:
                return
        yield page


def wanted() -> tuple[Fields, Cut | None] | None:
    """What `only` says of this thread."""
    return _wanted.get()


class UnexpectedError(Exception):
    """Something that this parser does not know."""


def parse(body: bytes, shape: Shape, fields: Fields, cut: Cut | None = None) -> dict[str, Any]:
    """The ``fields`` of an answer of EC2, with its request id where botocore puts it.

    Raises UnexpectedError, ParseError, ValueError, KeyError, AttributeError, TypeError.
    """
    root = fromstring(_bare(_without(cut, body) if cut else body), XMLParser(encoding="utf-8"))
    parsed: dict[str, Any] = _parser_of(shape, fields)(root)
    request_id = root.find("requestId")
    if request_id is not None:
        parsed["ResponseMetadata"] = {"RequestId": request_id.text}
    return parsed


def _without(cut: Cut, body: bytes) -> bytes:
    """The document without these elements, which hold none of their own kind.

    In XML "<" begins markup and nothing else, but within comments, CDATA and processing instructions, which AWS
    does not send: then nothing is cut. Nor is what does not fit together, as far as that can be told without
    reading all of it: it is left to the parser. What is cut out nobody looks at: were it broken within, nobody
    would know.
    """
    # A document may begin with one of the latter: <?xml version="1.0" encoding="UTF-8"?>
    begun = body.find(b">")
    if _holds(body, b"!", b"<!", 0) or _holds(body, b"?", b"<?", begun):
        return body
    for tag in cut.tags:
        opening, closing = b"<" + tag + b">", b"</" + tag + b">"
        # Pieces of what is kept alone: a page of 1,000 instances in many pieces more would stay in the allocator's
        # hands, in each thread.
        kept, end = [], 0
        while (start := body.find(opening, end)) >= 0 and (close := body.find(closing, start)) >= 0:
            if body.find(opening, start + 1, close) >= 0 or body.find(cut.beside, start, close) >= 0:
                break
            kept.append(body[end:start])
            end = close + len(closing)
        body = b"".join((*kept, body[end:]))
    return body


def _holds(body: bytes, byte: bytes, text: bytes, start: int) -> bool:
    """Whether ``text`` is there, looking for one ``byte`` of it first: that takes a hundredth of the time."""
    return body.find(byte, start) >= 0 and body.find(text, start) >= 0


def _bare(body: bytes) -> bytes:
    """The document without its namespace, which every element would bear: the parser takes an eighth longer so."""
    declared = _NAMESPACE.match(body)
    if declared is not None:
        body = body[: declared.start(1)] + body[declared.end(1) :]
    if b"xmlns" in body:
        raise UnexpectedError("another namespace, perhaps")
    return body


def _parser_of(shape: Shape, fields: Fields) -> _Parse:
    match shape.type_name:
        case "string":
            return lambda element: element.text or ""
        case "boolean":
            return lambda element: element.text == "true"
        case "structure":
            return _structure(shape, fields)
        case "list" if not shape.serialization.get("flattened"):
            member = _parser_of(shape.member, fields)
            return lambda element: list(map(member, element))
    raise UnexpectedError(shape.type_name)


def _structure(shape: Any, fields: Fields) -> _Parse:
    members = [(name, tag, _parser_of(member, inner)) for name, tag, member, inner in _members(shape, fields)]

    def parsed(element: Element) -> dict[str, Any]:
        # Ten thousand times a page: a plain loop takes two thirds of what a comprehension over a generator does.
        values = {}
        for name, tag, parse in members:
            found = element.find(tag)
            if found is not None:
                values[name] = parse(found)
        return values

    return parsed


def parse_json(body: bytes, shape: Shape, fields: Fields) -> dict[str, Any]:
    """The ``fields`` of an answer in JSON; times in UTC.

    Raises UnexpectedError, ValueError, KeyError, OverflowError, OSError, RecursionError.
    """
    parsed: dict[str, Any] = _json_parser_of(shape, fields)(json.loads(body.decode()))
    return parsed


def _json_parser_of(shape: Any, fields: Fields) -> _ParseJson:
    match shape.type_name:
        case "string" | "boolean" | "integer" | "long":
            return _as_it_is
        case "timestamp":
            return _moment
        case "structure" if not (shape.is_tagged_union or shape.is_document_type):
            return _json_structure(shape, fields)
        case "list":
            return _json_list(_json_parser_of(shape.member, fields))
        case "map":
            return _json_map(_json_parser_of(shape.value, fields))
    raise UnexpectedError(shape.type_name)


def _as_it_is(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise UnexpectedError(type(value).__name__)
    return value


def _moment(value: Any) -> datetime:
    # Seconds since 1970; AWS's other ways to write a time are botocore's to read.
    if type(value) not in (int, float):
        raise UnexpectedError(repr(value)[:40])
    return datetime.fromtimestamp(value, UTC)


def _json_list(member: _ParseJson) -> _ParseJson:
    def parsed(value: Any) -> list[Any]:
        if type(value) is not list:
            raise UnexpectedError("no list")
        return list(map(member, value))

    return parsed


def _json_map(member: _ParseJson) -> _ParseJson:
    def parsed(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise UnexpectedError("no map")
        return {key: member(each) for key, each in value.items()}

    return parsed


def _json_structure(shape: Any, fields: Fields) -> _ParseJson:
    members = [(name, key, _json_parser_of(member, inner)) for name, key, member, inner in _members(shape, fields)]
    # What is taken as it is, which most is, without a call for each: there may be millions.
    plain = [(name, key) for name, key, parse in members if parse is _as_it_is]
    others = [member for member in members if member[2] is not _as_it_is]

    def parsed(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise UnexpectedError("no structure")
        values = {}
        for name, key in plain:
            found = value.get(key)
            if found is not None:
                if type(found) is dict or type(found) is list:
                    raise UnexpectedError(name)
                values[name] = found
        for name, key, parse in others:
            found = value.get(key)
            if found is not None:
                values[name] = parse(found)
        return values

    return parsed


def _members(shape: Any, fields: Fields) -> Iterator[tuple[str, str, Any, Fields]]:
    """The members of a structure that are wanted: name, name on the wire, shape, and what is wanted of them."""
    for name, inner in (fields or {key: {} for key in shape.members}).items():
        member = shape.members[name]
        yield name, member.serialization.get("name", name), member, inner
