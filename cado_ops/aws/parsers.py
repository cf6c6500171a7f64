"""botocore's parsers of answers, short-cut where a gateway says which fields it reads (`aws.fields`).

What these cannot read, or were not made for, botocore reads itself.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import ParseError

from botocore.parsers import EC2QueryParser, JSONParser, ResponseParserFactory

from cado_ops.aws.fields import UnexpectedError, parse, parse_json, wanted

# What a botocore raises that is built otherwise than the one that this was written for.
_OTHER_BOTOCORE = (AttributeError, TypeError)
# Parsing holds the interpreter, so no more than one thread is at it anyway; but a page of 1,000 instances makes a
# tree of some ten megabytes, and there need not be one in each of many threads.
_ONE_AT_A_TIME = threading.Lock()


class FieldsParser(EC2QueryParser):  # type: ignore[misc]
    """botocore's parser of EC2's answers, short-cut where fields were named."""

    def _do_parse(self, response: Any, shape: Any, *more: Any, **named: Any) -> Any:
        asked = wanted()
        if asked is not None and shape is not None:
            try:
                with _ONE_AT_A_TIME:
                    return parse(response["body"], shape, *asked)
            except (ParseError, UnexpectedError, ValueError, KeyError, *_OTHER_BOTOCORE):
                pass  # botocore reads it, or says what is wrong
        return super()._do_parse(response, shape, *more, **named)


class FieldsJsonParser(JSONParser):  # type: ignore[misc]
    """The same for the services that answer in JSON."""

    def _do_parse(self, response: Any, shape: Any, *more: Any, **named: Any) -> Any:
        asked = wanted()
        if asked is not None and shape is not None:
            try:
                parsed = parse_json(response["body"], shape, asked[0])
                self._inject_response_metadata(parsed, response["headers"])
                return parsed
            except (
                UnexpectedError,
                ValueError,
                KeyError,
                OverflowError,
                OSError,
                RecursionError,
                *_OTHER_BOTOCORE,
            ):
                pass
        return super()._do_parse(response, shape, *more, **named)


class FieldsParserFactory(ResponseParserFactory):  # type: ignore[misc]
    """The component of a botocore session that makes its parsers."""

    def create_parser(self, protocol_name: str) -> Any:
        ours = {"ec2": FieldsParser, "json": FieldsJsonParser}.get(protocol_name)
        with suppress(*_OTHER_BOTOCORE):
            if ours is not None:
                return ours(**self._defaults)
        return super().create_parser(protocol_name)
