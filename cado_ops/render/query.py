"""``--query``: a JMESPath expression, checked before any work, applied to the envelope after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions

from cado_ops.errors import UsageError
from cado_ops.visible import sanitize

_HINT = "--query takes a JMESPath expression over the whole output, such as items[].instance_id"


class QueryError(Exception):
    """The expression is sound and does not fit the data, as in ``length(dry_run)``."""


def check_query(expression: str | None, output: str) -> None:
    """Raises UsageError where the expression cannot work, whatever the data will be."""
    if expression is None:
        return
    if output not in ("json", "table"):
        raise UsageError(f"--query cannot be combined with -o {output}", "use -o json or -o table")
    try:
        parsed = jmespath.compile(expression).parsed
        for name, given in _functions(parsed):
            _check_function(name, given)
    except ParseError as error:
        # Counted from 1, for people. The library's own words are three lines with a caret.
        where = min(error.lex_position, len(expression)) + 1
        what = "it ends too early" if error.token_value is None else f"unexpected {error.token_value!r}"
        raise UsageError(f"--query {_quoted(expression)}: {what}, at character {where}", _HINT) from error
    except JMESPathError as error:
        raise UsageError("--query is empty, at character 1", _HINT) from error
    except RecursionError as error:
        raise UsageError("--query: the expression is nested too deeply", _HINT) from error


def _functions(node: Any) -> Iterator[tuple[str, int]]:
    """The functions called anywhere in a parsed expression, each with the number of its arguments."""
    if isinstance(node, Mapping):
        if node["type"] == "function_expression":
            yield node["value"], len(node["children"])
        for child in node["children"]:
            yield from _functions(child)


def _check_function(name: str, given: int) -> None:
    """The library looks functions up as it meets them in the data: too late for us."""
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        raise UsageError(f"--query: there is no function {_quoted(name)}", _HINT)
    wanted = len(known["signature"])
    endless = bool(known["signature"] and known["signature"][-1].get("variadic"))
    if given < wanted or (given > wanted and not endless):
        wants = f"{wanted} or more" if endless else str(wanted)
        raise UsageError(f"--query: {name}() takes {wants} arguments, not {given}", _HINT)


def apply_query(expression: str, envelope: Mapping[str, Any]) -> Any:
    """What the expression finds. A type that does not fit shows only now: QueryError."""
    try:
        return jmespath.search(expression, envelope)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise QueryError(sanitize(str(error))) from error


def _quoted(text: str) -> str:
    return f"'{sanitize(text)}'"
