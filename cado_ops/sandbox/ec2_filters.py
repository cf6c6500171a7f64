"""EC2's filters and pages, the same for all of its Describe operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from cado_ops.sandbox.protocol import AwsFault, RequestInfo, listed, page, records

Filter = tuple[str, re.Pattern[str]]
"""A filter's name, and one pattern for all of its values, of which one has to match."""

_VALUE_LIMIT = 200
_ALL = 1_000_000


def read_filters(request: RequestInfo, is_known: Callable[[str], bool]) -> list[Filter]:
    """The request's filters; an unknown name or more than 200 values are refused.

    EC2 API reference, "Filter"; EC2 User Guide, "Resource quotas: 200 filter values".
    """
    filters = []
    total = 0
    for record in records(request.params, "Filter"):
        name = record.get("Name", "")
        values = listed(record, "Value")
        total += len(values)
        if not is_known(name):
            raise AwsFault("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not values:
            raise AwsFault("InvalidParameterValue", f"The filter '{name}' has no values")
        filters.append((name, re.compile("|".join(map(_translate, values)), re.DOTALL)))
    if total > _VALUE_LIMIT:
        raise AwsFault(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {_VALUE_LIMIT}",
        )
    return filters


def matches(pattern: re.Pattern[str], values: Iterable[str | None]) -> bool:
    """Whether one of a resource's values fits."""
    return any(value is not None and pattern.fullmatch(value) for value in values)


def read_page(request: RequestInfo, items: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """The page that MaxResults (5 to 1,000) and NextToken ask for, and the next one's token."""
    size = request.params.get("MaxResults")
    if size is not None and not 5 <= int(size) <= 1000:
        bound = "greater than 5" if int(size) < 5 else "less than or equal to 1000"
        raise AwsFault(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {bound}.",
        )
    fault = AwsFault("InvalidNextToken", "The specified NextToken is invalid.")
    return page(items, request.params.get("NextToken"), int(size) if size is not None else _ALL, fault)


def _translate(value: str) -> str:
    """`*` and `?` are wildcards, a backslash takes their meaning away; case counts."""
    parts = []
    characters = iter(value)
    for character in characters:
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append(re.escape(character))
    return "".join(parts)
