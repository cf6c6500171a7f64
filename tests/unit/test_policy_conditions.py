"""Condition operators, row by row: met, not met, and what cannot be known."""

from __future__ import annotations

from typing import Any

import pytest

from cado_ops.policy.conditions import holds, parse_operator
from cado_ops.policy.document import Condition, Intrinsic, Values
from cado_ops.policy.matching import Told, expand
from cado_ops.policy.request import Request

ROLE = "arn:aws:iam::111111111111:role/ir/CadoResponseRole"
INSTANCE = "arn:aws:ec2:eu-west-1:111111111111:instance/i-0123456789abcdef0"
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"


def met(operator: str, key: str, values: Any, context: dict[str, Any], *, complete: bool = True) -> bool | None:
    items = tuple(values) if isinstance(values, list) else (values,)
    request = Request(ROLE, "ssm:SendCommand", INSTANCE, context, complete=complete)
    return holds(Condition(operator, key, Values(items)), request.told, variables=True).value


@pytest.mark.parametrize(
    ("operator", "values", "actual", "expected"),
    [
        ("StringEquals", "True", "True", True),
        ("StringEquals", "True", "true", False),
        ("StringEquals", "T*", "True", False),
        ("StringEquals", ["False", "True"], "True", True),
        ("StringNotEquals", ["False", "True"], "True", False),
        ("StringNotEquals", ["False", "Maybe"], "True", True),
        ("StringEqualsIgnoreCase", "TRUE", "true", True),
        ("StringNotEqualsIgnoreCase", "TRUE", "true", False),
        ("StringLike", "T*", "True", True),
        ("StringLike", "Tru?", "True", True),
        ("StringLike", "Tru?", "Tru", False),
        ("StringLike", "True", "True ", False),
        ("StringLike", "*", "", True),
        ("StringNotLike", "T*", "True", False),
        ("stringlike", "T*", "True", True),
        ("StringLike", "${*}", "*", True),
        ("StringLike", "${*}", "x", False),
        ("NumericEquals", "10", "10.0", True),
        ("NumericLessThan", "3600", "10", True),
        ("NumericLessThan", "3600", "3600", False),
        ("NumericLessThanEquals", "3600", "3600", True),
        ("NumericGreaterThan", "10", "9", False),
        ("NumericGreaterThanEquals", "10", "10", True),
        ("NumericNotEquals", "10", "11", True),
        ("NumericLessThan", "3600", "ten", False),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-11-24T12:00:00Z", True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2026-11-24T12:00:00Z", False),
        ("DateEquals", "1764000000", "2025-11-24T16:00:00Z", True),
        ("DateGreaterThan", "2026-01-01", "1900000000", True),
        ("DateGreaterThan", "2026", "2026-06", True),
        ("DateLessThan", "2026-01-01", "never", False),
        ("Bool", "true", "true", True),
        ("Bool", "true", "false", False),
        ("Bool", "True", "true", True),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
        ("BinaryEquals", "QmluYXJ5", "qmluYXJ5", False),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
        ("IpAddress", "10.1.2.3", "10.1.2.3", True),
        ("IpAddress", "2001:db8::/32", "2001:db8::7", True),
        ("IpAddress", "10.0.0.0/8", "2001:db8::7", False),
        ("NotIpAddress", "10.0.0.0/8", "2001:db8::7", True),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("ArnEquals", "arn:aws:iam::*:role/ir/*", ROLE, True),
        ("ArnLike", "arn:*:iam::111111111111:role/ir/CadoResponse?ole", ROLE, True),
        ("ArnLike", "arn:aws:iam::222222222222:role/*", ROLE, False),
        ("ArnLike", "arn:aws:*", ROLE, False),
        ("ArnLike", "arn:aws:iam::*:role/*", "no ARN", False),
        ("ArnNotLike", "arn:aws:iam::*:role/Other", ROLE, True),
        ("ArnNotEquals", "arn:aws:iam::*:role/ir/*", ROLE, False),
    ],
)
def test_one_value(operator: str, values: Any, actual: str, expected: bool) -> None:
    assert met(operator, "aws:PrincipalTag/X", values, {"aws:principaltag/x": actual}) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("NumericLessThan", False),
        ("ArnNotLike", True),
        ("NotIpAddress", True),
        ("Bool", False),
        ("StringEqualsIfExists", True),
        ("StringNotEqualsIfExists", True),
        ("BoolIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAllValues:StringNotEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", None),
    ],
)
def test_a_key_that_is_not_there(operator: str, expected: bool | None) -> None:
    assert met(operator, "aws:TagKeys", "x", {}) is expected
    assert met(operator, "aws:TagKeys", "x", {"aws:TagKeys": []}) is expected, "none at all is not there"


@pytest.mark.parametrize(
    ("values", "context", "expected"),
    [("true", {}, True), ("false", {}, False), ("true", {TAG: "x"}, False), ("false", {TAG: "x"}, True)],
)
def test_null(values: str, context: dict[str, Any], expected: bool) -> None:
    assert met("Null", TAG, values, context) is expected
    assert met("Null", TAG.upper(), values, context) is expected, "the names of keys have no case"


@pytest.mark.parametrize(
    ("operator", "actual", "expected"),
    [
        ("ForAllValues:StringLike", ["CadoResponseSSMEnabled", "cado-ops:case/A"], True),
        ("ForAllValues:StringLike", ["CadoResponseSSMEnabled", "Env"], False),
        ("ForAnyValue:StringLike", ["Env", "cado-ops:case/A"], True),
        ("ForAnyValue:StringLike", ["Env", "Team"], False),
        ("ForAllValues:StringNotLike", ["Env", "Team"], True),
        ("ForAllValues:StringNotLike", ["Env", "cado-ops:case/A"], False),
        ("ForAnyValue:StringNotLike", ["Env", "cado-ops:case/A"], True),
        ("StringLike", ["cado-ops:case/A", "cado-ops:case/B"], True),
        ("StringLike", ["Env", "cado-ops:case/B"], None),
    ],
)
def test_several_values(operator: str, actual: list[str], expected: bool | None) -> None:
    values = ["CadoResponseSSMEnabled", "cado-ops:case/*"]
    assert met(operator, "aws:TagKeys", values, {"aws:TagKeys": actual}) is expected


@pytest.mark.parametrize(
    ("operator", "values", "context", "why"),
    [
        ("StringEquals", "x", {}, "the request does not tell aws:SourceVpce"),
        (
            "StringEquals",
            Intrinsic.of({"Ref": "A"}),
            {"aws:SourceVpce": "x"},
            '{"Ref": "A"} is known on deployment',
        ),
        ("StringEqual", "x", {"aws:SourceVpce": "x"}, "StringEqual is no condition operator"),
        ("StringNotEquals", "${aws:PrincipalTag/T}", {"aws:SourceVpce": "x"}, "aws:PrincipalTag/T"),
    ],
)
def test_what_cannot_be_known_says_why(operator: str, values: Any, context: dict[str, Any], why: str) -> None:
    request = Request(ROLE, "ssm:SendCommand", INSTANCE, context)
    found = holds(Condition(operator, "aws:SourceVpce", Values((values,))), request.told, variables=True)
    assert found.value is None
    assert why in found.reasons[0]


def test_an_intrinsic_beside_a_value_that_fits_changes_nothing() -> None:
    assert met("StringEquals", TAG, [Intrinsic.of({"Ref": "A"}), "True"], {TAG: "True"}) is True
    assert met("StringEquals", TAG, [Intrinsic.of({"Ref": "A"}), "True"], {TAG: "x"}) is None


@pytest.mark.parametrize(
    ("value", "told", "like", "expected"),
    [
        ("${aws:username}", ("Alice",), "Alice", True),
        ("home/${aws:username}/*", ("Alice",), "home/Alice/x", True),
        ("home/${aws:username}/*", ("Bob",), "home/Alice/x", False),
        ("${aws:username}", ("A*",), "Alice", False),  # what is put in is text
        ("${aws:username, 'nobody'}", (), "nobody", True),
        ("${aws:username, 'nobody'}", ("Alice",), "nobody", False),
        ("${aws:username}", (), "", False),
        ("x${aws:username}", None, "xAlice", None),
        ("y${aws:username}", None, "xAlice", False),  # whatever it is, this does not fit
        ("${aws:username}", ("A", "B"), "A", None),
        ("${aws:username}", ("",), "", None),
        ("${$}{aws:username}", ("Alice",), "${aws:username}", True),
    ],
)
def test_variables(value: str, told: tuple[str, ...] | None, like: str, expected: bool | None) -> None:
    def lookup(name: str) -> Told:
        assert name == "aws:username"
        return Told(told, "not told")

    assert expand(value, lookup, variables=True).like(like).value is expected
    assert expand(value, lookup, variables=False).equals(value).value is True, "plain text in the old version"


@pytest.mark.parametrize("name", ["StringLikes", "Null", "", "ForSome:StringLike", "NotBool", "ForAnyValue:"])
def test_what_is_no_operator(name: str) -> None:
    assert parse_operator(name) is None
