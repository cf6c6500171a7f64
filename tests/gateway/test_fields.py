"""The fields of EC2's answers that are parsed are exactly what botocore would have made of them."""

from __future__ import annotations

import random
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import EC2QueryParser, ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from cado_ops.aws.ec2 import INSTANCE_FIELDS, _instance
from cado_ops.aws.fields import Fields, FieldsParser, UnexpectedError, only, parse
from cado_ops.model import Cell

MODEL = botocore.session.Session().get_service_model("ec2")
INSTANCES = MODEL.operation_model("DescribeInstances").output_shape
CELL = Cell("111111111111", "eu-west-1")
TEXTS = (
    "",
    "running",
    "i-0a1b",
    "aws:x",
    "CadoResponseSSMEnabled",
    "Name",
    " true ",
    'ü <&> "',
    "\n\t",
    "cado-ops:case/I",
)


def document(shape: Any, tag: str, rng: random.Random) -> str:
    """An element of a shape, as AWS might send it: some members are missing, some empty, some unknown."""
    kind = shape.type_name
    if kind == "structure":
        members = list(shape.members.items())
        rng.shuffle(members)
        inner = "".join(
            document(member, member.serialization.get("name", name), rng)
            for name, member in members
            if rng.random() < 0.7
        )
        inner += "<new>of <b>next year</b></new>" if rng.random() < 0.1 else ""
    elif kind == "list":
        inner = "".join(document(shape.member, "item", rng) for _ in range(rng.choice((0, 1, 1, 2))))
    else:
        inner = escape(_text(kind, rng))
    blank = rng.choice(("", "", "\n  "))
    return f"<{tag}>{inner}{blank if kind in ('structure', 'list') else ''}</{tag}>" if inner else f"<{tag}/>"


def _text(kind: str, rng: random.Random) -> str:
    match kind:
        case "boolean":
            return rng.choice(("true", "false"))
        case "integer" | "long":
            return str(rng.randrange(70000))
        case "double" | "float":
            return "1.5"
        case "timestamp":
            return "2026-11-23T17:45:01.000Z"
        case "blob":
            return "YQ=="
    return rng.choice(TEXTS)


def answer(rng: random.Random) -> bytes:
    whole = document(INSTANCES, "DescribeInstancesResponse", rng)
    opening = whole.partition("DescribeInstancesResponse")[2]
    namespace = rng.choice(("", ' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'))
    identifier = rng.choice(("", "<requestId>r-1</requestId>", "<requestId/>"))
    if opening.startswith("/>"):
        return f"<DescribeInstancesResponse{namespace}>{identifier}</DescribeInstancesResponse>".encode()
    return f"<DescribeInstancesResponse{namespace}>{identifier}{opening[1:]}".encode()


def kept(parsed: Any, fields: Fields) -> Any:
    """The fields of what botocore parsed."""
    if isinstance(parsed, list):
        return [kept(each, fields) for each in parsed]
    if isinstance(parsed, dict):
        return {name: kept(parsed[name], inner) for name, inner in fields.items() if name in parsed}
    return parsed


def stock(body: bytes) -> Any:
    return EC2QueryParser()._do_parse({"body": body}, INSTANCES)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_what_is_parsed_is_what_botocore_parses(seed: int):
    body = answer(random.Random(seed))
    whole = stock(body)
    ours = parse(body, INSTANCES, INSTANCE_FIELDS)
    metadata = {name: whole[name] for name in ("ResponseMetadata",) if name in whole}
    assert ours == kept(whole, INSTANCE_FIELDS) | metadata


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_no_field_that_is_read_of_an_instance_is_left_out(seed: int):
    """Who has `_instance` read another field adds it to INSTANCE_FIELDS."""
    rng = random.Random(seed)
    shape = INSTANCES.members["Reservations"].member.members["Instances"].member
    must = "<instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>"
    others = "".join(
        document(member, member.serialization.get("name", name), rng)
        for name, member in shape.members.items()
        if name not in ("InstanceId", "State", "Tags")
    )
    tags = "".join(
        f"<item><key>{escape(rng.choice(TEXTS))}{each}</key><value>{each}</value></item>" for each in range(3)
    )
    item = f"<item>{must}{others}<tagSet>{tags}</tagSet></item>"
    body = (
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>"
        f"{item}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    ).encode()

    def instance(parsed: Any) -> Any:
        return _instance(CELL, parsed["Reservations"][0]["Instances"][0], detailed=False)

    assert instance(parse(body, INSTANCES, INSTANCE_FIELDS)) == instance(stock(body))


def test_without_fields_all_of_it_is_parsed():
    body = answer(random.Random(3))
    parser = FieldsParser()
    whole = parser.parse({"body": body, "headers": {}, "status_code": 200}, INSTANCES)
    assert whole["Reservations"] == stock(body)["Reservations"]
    with only(INSTANCE_FIELDS):
        short = parser.parse({"body": body, "headers": {"A": "b"}, "status_code": 200}, INSTANCES)
    assert short["Reservations"] == kept(whole["Reservations"], INSTANCE_FIELDS["Reservations"])
    assert short["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert short["ResponseMetadata"]["HTTPHeaders"] == {"a": "b"}


@pytest.mark.parametrize("body", [b"", b"no xml", b"<html><body>Sign in"])
def test_what_is_no_answer_is_told_by_botocore(body: bytes):
    with only(INSTANCE_FIELDS), pytest.raises(ResponseParserError):
        FieldsParser().parse({"body": body, "headers": {}, "status_code": 200}, INSTANCES)


def test_errors_are_parsed_by_botocore():
    error = b"<Errors><Error><Code>C</Code><Message>m</Message></Error></Errors>"
    body = b"<Response>" + error + b"<RequestID>r</RequestID></Response>"
    with only(INSTANCE_FIELDS):
        parsed = FieldsParser().parse({"body": body, "headers": {}, "status_code": 400}, INSTANCES)
    assert parsed["Error"] == {"Code": "C", "Message": "m"}


@pytest.mark.parametrize("fields", [{"LaunchTime": {}}, {"NoSuchField": {}}])
def test_fields_that_this_parser_does_not_know_are_left_to_botocore(fields: Fields):
    body = (
        b"<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>"
        b"<launchTime>2026-11-23T17:45:01.000Z</launchTime></item></instancesSet></item></reservationSet>"
        b"</DescribeInstancesResponse>"
    )
    wanted: Fields = {"Reservations": {"Instances": fields}}
    with pytest.raises((UnexpectedError, KeyError)):
        parse(body, INSTANCES, wanted)
    with only(wanted):
        parsed = FieldsParser().parse({"body": body, "headers": {}, "status_code": 200}, INSTANCES)
    assert parsed["Reservations"] == stock(body)["Reservations"]
    assert parsed["Reservations"][0]["Instances"][0]["LaunchTime"].year == 2026
