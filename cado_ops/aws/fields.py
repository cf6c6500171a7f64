"""Answers of EC2 of which only the fields that are used are parsed.

botocore turns all of an instance, some 110 elements with five dates among them, into Python objects: of a run over
many accounts that took nine tenths of the processor's time. A gateway that says which fields it reads gets these
alone, and exactly as botocore would have given them (docs/performance.md, "What pays").

Everything else, and whatever is met here that was not expected, is left to botocore's own parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar
from xml.etree.ElementTree import Element, ParseError, XMLParser, fromstring

from botocore.model import Shape
from botocore.parsers import EC2QueryParser, ResponseParserFactory

# Fields by AWS's names: {"Reservations": {"Instances": {"InstanceId": {}}}}. Of a list, those of its members.
Fields: TypeAlias = Mapping[str, "Fields"]
T = TypeVar("T")
_Parse: TypeAlias = Callable[[Element, str], Any]

_fields: ContextVar[Fields | None] = ContextVar("cado_ops_fields", default=None)


@contextmanager
def only(fields: Fields | None) -> Iterator[None]:
    """Of answers that are parsed meanwhile in this thread, these fields are wanted; all of them for None."""
    token = _fields.set(fields)
    try:
        yield
    finally:
        _fields.reset(token)


def with_fields(fields: Fields, pages: Iterator[T]) -> Iterator[T]:
    """Pages of answers that are read while they are iterated: of each, these fields alone."""
    while True:
        with only(fields):
            try:
                page = next(pages)
            except StopIteration:
                return
        yield page


class FieldsParser(EC2QueryParser):  # type: ignore[misc]
    """botocore's parser of EC2's answers, short-cut where fields were named."""

    def _do_parse(self, response: Any, shape: Any) -> Any:
        fields = _fields.get()
        if fields is not None and shape is not None:
            try:
                return parse(response["body"], shape, fields)
            except (ParseError, UnexpectedError, ValueError, KeyError):
                pass  # botocore reads it, or says what is wrong
        return super()._do_parse(response, shape)


class FieldsParserFactory(ResponseParserFactory):  # type: ignore[misc]
    """The component of a botocore session that makes its parsers."""

    def create_parser(self, protocol_name: str) -> Any:
        if protocol_name == "ec2":
            return FieldsParser(**self._defaults)
        return super().create_parser(protocol_name)


class UnexpectedError(Exception):
    """Something that this parser does not know."""


def parse(body: bytes, shape: Shape, fields: Fields) -> dict[str, Any]:
    """The ``fields`` of an answer of EC2, with its request id where botocore puts it.

    Raises UnexpectedError, ParseError, ValueError, KeyError.
    """
    root = fromstring(body, XMLParser(encoding="utf-8"))
    # Every element of an answer is of one namespace, as ElementTree writes it: {http://ec2…}reservationSet.
    namespace = root.tag[: root.tag.rfind("}") + 1]
    parsed: dict[str, Any] = _parser_of(shape, fields)(root, namespace)
    request_id = root.find(namespace + "requestId")
    if request_id is not None:
        parsed["ResponseMetadata"] = {"RequestId": request_id.text}
    return parsed


def _parser_of(shape: Shape, fields: Fields) -> _Parse:
    match shape.type_name:
        case "string":
            return lambda element, _: element.text or ""
        case "boolean":
            return lambda element, _: element.text == "true"
        case "structure":
            return _structure(shape, fields)
        case "list" if not shape.serialization.get("flattened"):
            member = _parser_of(shape.member, fields)
            return lambda element, namespace: [member(each, namespace) for each in element]
    raise UnexpectedError(shape.type_name)


def _structure(shape: Any, fields: Fields) -> _Parse:
    members = [
        (name, shape.members[name].serialization.get("name", name), _parser_of(shape.members[name], inner))
        for name, inner in fields.items()
    ]

    def parsed(element: Element, namespace: str) -> dict[str, Any]:
        # Ten thousand times a page: a plain loop takes two thirds of what a comprehension over a generator does.
        values = {}
        for name, tag, parse in members:
            found = element.find(namespace + tag)
            if found is not None:
                values[name] = parse(found, namespace)
        return values

    return parsed
