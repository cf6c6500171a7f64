"""The Condition element: operators, sets of values, keys that are not there.

"IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys", IAM User Guide.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cado_ops.policy.answer import NO, YES, Answer, all_of, answer, any_of, negated, unknown
from cado_ops.policy.document import Condition, Intrinsic, Value
from cado_ops.policy.matching import Lookup, Pattern, arn_like, expand, not_deployed

Test = Callable[[Pattern, str], Answer]

_FORM = re.compile(r"(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?")


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's name taken apart. ``test`` is of the positive form; ``negative`` turns it round."""

    test: Test
    negative: bool = False
    quantifier: str = ""
    if_exists: bool = False


def parse_operator(name: str) -> Operator | None:
    """``ForAllValues:StringNotLikeIfExists`` taken apart; None where AWS has no such operator. Null has no test."""
    match = _FORM.fullmatch(name.lower())
    if match is None or match[2] not in _TESTS:
        return None
    test, negative = _TESTS[match[2]]
    return Operator(test, negative, match[1] or "", match[3] is not None)


def holds(condition: Condition, lookup: Lookup, *, variables: bool) -> Answer:
    """Whether one condition is met, as far as the request's context tells."""
    if not condition.operator or not condition.key:
        return any_of(not_deployed(each) for each in condition.values.intrinsics)
    if condition.operator.lower().rpartition(":")[2] == "null":
        return _null(condition, lookup)
    operator = parse_operator(condition.operator)
    if operator is None:
        return unknown(f"{condition.operator} is no condition operator")
    told = lookup(condition.key)
    if told.values is None:
        return unknown(told.reason)
    if not told.values:
        return _without_key(operator, condition.key)

    def test(value: str) -> Answer:
        met = any_of(_compare(operator, each, value, lookup, variables) for each in condition.values)
        return negated(met) if operator.negative else met

    tests = [test(value) for value in told.values]
    match operator.quantifier:
        case "forallvalues":
            return all_of(tests)
        case "foranyvalue":
            return any_of(tests)
    if len({each.value for each in tests}) == 1:
        return tests[0]
    return unknown(f"{condition.key} has several values, and {condition.operator} takes one")


def all_hold(conditions: Iterable[Condition], lookup: Lookup, *, variables: bool) -> Answer:
    return all_of(holds(each, lookup, variables=variables) for each in conditions)


def _without_key(operator: Operator, key: str) -> Answer:
    """The key is not there. "If the key … is not present", in the pages on IfExists and on set operators."""
    if operator.if_exists and operator.quantifier == "foranyvalue":
        return unknown(f"{key} is not there, and what ForAnyValue with IfExists then says is not documented")
    if operator.if_exists or operator.quantifier == "forallvalues":
        return YES
    if operator.quantifier == "foranyvalue":
        return NO
    return answer(operator.negative)


def _null(condition: Condition, lookup: Lookup) -> Answer:
    told = lookup(condition.key)

    def met(value: object) -> Answer:
        if isinstance(value, Intrinsic):
            return not_deployed(value)
        if told.values is None:
            return unknown(told.reason)
        return answer({"true": not told.values, "false": bool(told.values)}.get(str(value).lower(), False))

    return any_of(met(each) for each in condition.values)


def _compare(operator: Operator, value: Value, actual: str, lookup: Lookup, variables: bool) -> Answer:
    if isinstance(value, Intrinsic):
        return not_deployed(value)
    pattern = expand(value, lookup, variables=variables)
    if pattern.missing and operator.negative:
        return unknown(f"{pattern.missing} has no value, and whether everything differs from it is not documented")
    return operator.test(pattern, actual)


def _equals(pattern: Pattern, value: str) -> Answer:
    return pattern.equals(value)


def _equals_ignoring_case(pattern: Pattern, value: str) -> Answer:
    return pattern.equals(value, ignore_case=True)


def _like(pattern: Pattern, value: str) -> Answer:
    return pattern.like(value)


def _bool(pattern: Pattern, value: str) -> Answer:
    return _plain(pattern, lambda text: text.lower() == value.lower() and text.lower() in ("true", "false"))


def _plain(pattern: Pattern, test: Callable[[str], bool]) -> Answer:
    if pattern.missing:
        return NO
    return unknown(*pattern.reasons) if pattern.reasons else answer(test(pattern.text))


def _ordered(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    """A test of numbers or times: what is neither compares with nothing."""

    def test(pattern: Pattern, value: str) -> Answer:
        def met(text: str) -> bool:
            mine, wanted = parse(value), parse(text)
            return mine is not None and wanted is not None and compare(mine, wanted)

        return _plain(pattern, met)

    return test


def _number(text: str) -> Decimal | None:
    with suppress(InvalidOperation):
        number = Decimal(text.strip())
        return number if number.is_finite() else None
    return None


def _date(text: str) -> Decimal | None:
    """ "ISO 8601 formatted dates or in epoch (UNIX) time". As seconds."""
    if re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", text):
        # Years are ISO 8601 as well: 2026 is one.
        if not re.fullmatch(r"[0-9]{4}", text):
            return Decimal(text)
        text += "-01-01"
    elif re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        text += "-01"
    with suppress(ValueError):
        when = datetime.fromisoformat(text)
        return Decimal(str((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()))
    return None


def _ip(pattern: Pattern, value: str) -> Answer:
    """ "IP address condition operators": CIDR or a single address, IPv4 or IPv6."""

    def met(text: str) -> bool:
        with suppress(ValueError):
            return ipaddress.ip_address(value) in ipaddress.ip_network(text, strict=False)
        return False

    return _plain(pattern, met)


def _less(mine: Any, wanted: Any) -> bool:
    return bool(mine < wanted)


def _less_or_same(mine: Any, wanted: Any) -> bool:
    return bool(mine <= wanted)


def _same(mine: Any, wanted: Any) -> bool:
    return bool(mine == wanted)


def _family(name: str, parse: Callable[[str], Any]) -> dict[str, tuple[Test, bool]]:
    return {
        f"{name}equals": (_ordered(parse, _same), False),
        f"{name}notequals": (_ordered(parse, _same), True),
        f"{name}lessthan": (_ordered(parse, _less), False),
        f"{name}lessthanequals": (_ordered(parse, _less_or_same), False),
        f"{name}greaterthan": (_ordered(parse, lambda mine, wanted: _less(wanted, mine)), False),
        f"{name}greaterthanequals": (_ordered(parse, lambda mine, wanted: _less_or_same(wanted, mine)), False),
    }


# By the name in lower case: the test of the positive form, and whether the operator is its negation.
_TESTS: dict[str, tuple[Test, bool]] = {
    "stringequals": (_equals, False),
    "stringnotequals": (_equals, True),
    "stringequalsignorecase": (_equals_ignoring_case, False),
    "stringnotequalsignorecase": (_equals_ignoring_case, True),
    "stringlike": (_like, False),
    "stringnotlike": (_like, True),
    "bool": (_bool, False),
    "binaryequals": (_equals, False),
    "ipaddress": (_ip, False),
    "notipaddress": (_ip, True),
    # "ArnEquals and ArnLike behave identically", and so do their negations.
    "arnequals": (arn_like, False),
    "arnlike": (arn_like, False),
    "arnnotequals": (arn_like, True),
    "arnnotlike": (arn_like, True),
    **_family("numeric", _number),
    **_family("date", _date),
}
