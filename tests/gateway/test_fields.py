"""The fields of EC2's and KMS's answers that are parsed are exactly what botocore would have made of them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import EC2QueryParser, JSONParser, ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from cado_ops.aws.ec2 import INSTANCE_CUT, INSTANCE_FIELDS, TAG_FIELDS, _instance
from cado_ops.aws.fields import (
    Fields,
    UnexpectedError,
    _without,
    only,
    parse,
    parse_json,
)
from cado_ops.aws.kms import GRANT_FIELDS, _grant
from cado_ops.aws.parsers import FieldsJsonParser, FieldsParser
from cado_ops.model import Cell

MODEL = botocore.session.Session().get_service_model("ec2")
INSTANCES = MODEL.operation_model("DescribeInstances").output_shape
GRANTS = botocore.session.Session().get_service_model("kms").operation_model("ListGrants").output_shape
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
    declaration = rng.choice(("", '<?xml version="1.0" encoding="UTF-8"?>\n'))
    if opening.startswith("/>"):
        return (
            f"{declaration}<DescribeInstancesResponse{namespace}>{identifier}</DescribeInstancesResponse>".encode()
        )
    return f"{declaration}<DescribeInstancesResponse{namespace}>{identifier}{opening[1:]}".encode()


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
    ours = parse(body, INSTANCES, INSTANCE_FIELDS, INSTANCE_CUT)
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

    assert instance(parse(body, INSTANCES, INSTANCE_FIELDS, INSTANCE_CUT)) == instance(stock(body))


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_tags_are_what_botocore_parses(seed: int):
    shape = MODEL.operation_model("DescribeTags").output_shape
    whole = document(shape, "DescribeTagsResponse", random.Random(seed))
    body = whole.encode() if not whole.endswith("/>") else b"<DescribeTagsResponse></DescribeTagsResponse>"
    parsed = EC2QueryParser()._do_parse({"body": body}, shape)
    assert parse(body, shape, TAG_FIELDS) == kept(parsed, TAG_FIELDS)


def with_networks(inner: str) -> bytes:
    return (
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>"
        f"<item><instanceId>i-1</instanceId>{inner}<platform>windows</platform></item>"
        "</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    ).encode()


A_TAG = "<tagSet><item><key>Name</key><value>web</value></item></tagSet>"


@pytest.mark.parametrize(
    "inner",
    [
        "<networkInterfaceSet/>",
        "<networkInterfaceSet></networkInterfaceSet>",
        "<networkInterfaceSet><item><status>in-use</status></item></networkInterfaceSet><blockDeviceMapping/>",
        "<networkInterfaceSet><item/></networkInterfaceSet>" * 2,
        "<!-- <networkInterfaceSet> --><instanceType>m5</instanceType><!-- </networkInterfaceSet> -->",
        "<keyName><![CDATA[<networkInterfaceSet>]]></keyName><imageId><![CDATA[</networkInterfaceSet>]]></imageId>",
        "<keyName>&lt;networkInterfaceSet&gt;</keyName><imageId>&lt;/networkInterfaceSet&gt;</imageId>",
        '<networkInterfaceSet new="1"><item><instanceId>i-2</instanceId></item></networkInterfaceSet>',
    ],
)
def test_what_is_cut_makes_no_difference(inner: str):
    body = with_networks(inner)
    assert parse(body, INSTANCES, INSTANCE_FIELDS, INSTANCE_CUT) == kept(stock(body), INSTANCE_FIELDS)


@pytest.mark.parametrize(
    "inner",
    [
        "<networkInterfaceSet>",
        "</networkInterfaceSet>",
        "<networkInterfaceSet><networkInterfaceSet></networkInterfaceSet>",
        "<networkInterfaceSet><networkInterfaceSet></networkInterfaceSet></networkInterfaceSet>",
        "<networkInterfaceSet></item><item><instanceId>i-2</instanceId></networkInterfaceSet>",
        f"<?x <networkInterfaceSet> ?>{A_TAG}<?x </networkInterfaceSet> ?>",
        A_TAG.replace("<tagSet>", '<tagSet xmlns="urn:x">'),
        A_TAG.replace("<tagSet>", '<y:tagSet xmlns:y="urn:x">').replace("</tagSet>", "</y:tagSet>"),
    ],
)
def test_what_does_not_fit_together_is_left_to_botocore(inner: str):
    assert said(FieldsParser(), with_networks(inner)) == said(EC2QueryParser(), with_networks(inner))


def said(parser: EC2QueryParser, body: bytes) -> Any:
    try:
        with only(INSTANCE_FIELDS, INSTANCE_CUT):
            return kept(parser.parse({"body": body, "headers": {}, "status_code": 200}, INSTANCES), INSTANCE_FIELDS)
    except ResponseParserError as error:
        return type(error)


@pytest.mark.parametrize(
    "begins",
    [
        '<?xml version="1.0" encoding="UTF-8"?><R>',
        '\ufeff<?xml version="1.0"?>\n<R xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">',
        '<!DOCTYPE R [<!ENTITY e "<networkInterfaceSet>">]><R xmlns="urn:x">',
        '<!-- <R xmlns="urn:x"> --><R>',
        '<?x <R xmlns="urn:x"> ?><R>',
        '<R xmlns="">',
        "<R xmlns='urn:x'>",
        '<R xmlns = "urn:x">',
        '<R\nxmlns="urn:x">',
        '<R a="1" xmlns="urn:x">',
        '<R xmlns="urn:x" a="1">',
        '<R xmlns="urn:x" xmlns:y="urn:y">',
        '<y:R xmlns:y="urn:y">',
        '<R a=" xmlns="urn:x">',
        '<R><keyName xmlns="urn:x"/>',
        '<R><keyName> xmlns="urn:x"</keyName>',
    ],
)
def test_whatever_a_document_begins_with(begins: str):
    body = with_networks(f"<networkInterfaceSet><item/></networkInterfaceSet>{A_TAG}").decode()
    whole = body.replace("<DescribeInstancesResponse>", begins)
    ends = "</y:R>" if begins.startswith("<y:") else "</R>"
    document = whole.replace("</DescribeInstancesResponse>", ends).encode()
    assert said(FieldsParser(), document) == said(EC2QueryParser(), document)


def test_most_of_an_instance_is_cut():
    body = with_networks("<networkInterfaceSet><item><status>in-use</status></item></networkInterfaceSet>")
    assert b"in-use" in body
    assert b"in-use" not in _without(INSTANCE_CUT, body)


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


# ---------------------------------------------------------------------- JSON: the grants of KMS


def json_value(shape: Any, rng: random.Random) -> Any:
    """A value of a shape, as KMS might send it: some members are missing, some null, some unknown."""
    match shape.type_name:
        case "structure":
            told = {name: json_value(each, rng) for name, each in shape.members.items() if rng.random() < 0.8}
            told |= {rng.choice(list(told)): None} if told and rng.random() < 0.2 else {}
            return told | ({"New": {"of": ["next year"]}} if rng.random() < 0.2 else {})
        case "list":
            return [json_value(shape.member, rng) for _ in range(rng.choice((0, 1, 1, 3)))]
        case "map":
            return {rng.choice(TEXTS): json_value(shape.value, rng) for _ in range(rng.choice((0, 1, 2)))}
        case "timestamp":
            return rng.choice((0, 1764000000, 1764000000.123, 1.764e9, -1.5, 2**31 + 0.999999))
        case "boolean":
            return rng.choice((True, False))
    return rng.choice(TEXTS)


def as_answer(body: bytes) -> dict[str, Any]:
    return {"body": body, "headers": {"x-amzn-RequestId": "r-1"}, "status_code": 200}


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_grants_are_parsed_as_botocore_parses_them(seed: int):
    body = json.dumps(json_value(GRANTS, random.Random(seed))).encode()
    whole = JSONParser().parse(as_answer(body), GRANTS)
    ours = parse_json(body, GRANTS, GRANT_FIELDS)
    assert ours == kept_of_json(whole)
    with only(GRANT_FIELDS):
        short = FieldsJsonParser().parse(as_answer(body), GRANTS)
    assert short == ours | {"ResponseMetadata": whole["ResponseMetadata"]}
    entries = [each for each in whole.get("Grants", ()) if "KeyId" in each and "GrantId" in each]
    assert [_grant(CELL, each) for each in entries] == [
        _grant(CELL, each) for each in short.get("Grants", ()) if "KeyId" in each and "GrantId" in each
    ]


def kept_of_json(whole: dict[str, Any]) -> dict[str, Any]:
    return {name: whole[name] for name in GRANT_FIELDS if name in whole}


def test_a_time_is_that_of_botocore_in_utc():
    body = b'{"Grants": [{"GrantId": "g", "CreationDate": 1764000000.5}]}'
    [grant] = parse_json(body, GRANTS, GRANT_FIELDS)["Grants"]
    assert grant["CreationDate"] == datetime(2025, 11, 24, 16, 0, 0, 500000, tzinfo=UTC)
    assert grant["CreationDate"].tzinfo is UTC


def outcome(parser: JSONParser, answer: dict[str, Any]) -> Any:
    try:
        return parser.parse(answer, GRANTS)
    except Exception as error:  # noqa: BLE001  compared
        return type(error)


@pytest.mark.parametrize(
    "told",
    [
        {"Grants": [{"GrantId": "g", "CreationDate": "2026-11-23T17:45:01Z"}]},
        {"Grants": [{"GrantId": "g", "CreationDate": "1764000000"}]},
        {"Grants": [{"GrantId": "g", "Operations": ["Decrypt", None]}]},
        {"Grants": [{"GrantId": 7, "Name": True}]},
        {"Grants": [None]},
        {},
        None,
        "Sign in",
        [],
    ],
)
def test_what_is_unusual_is_what_botocore_makes_of_it(told: Any):
    """Whatever it is: the same value, or the same kind of error."""
    answer = as_answer(json.dumps(told).encode())

    with only(GRANT_FIELDS):
        assert outcome(FieldsJsonParser(), answer) == outcome(JSONParser(), answer)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b'{"Grants": [', b"[" * 100_000])
def test_what_is_no_json_is_what_botocore_makes_of_it(body: bytes):
    with only(GRANT_FIELDS):
        assert outcome(FieldsJsonParser(), as_answer(body)) == outcome(JSONParser(), as_answer(body))


def test_other_answers_in_json_are_parsed_whole():
    body = b'{"Grants": [{"GrantId": "g"}], "NextMarker": "m", "Truncated": true}'
    assert FieldsJsonParser().parse(as_answer(body), GRANTS)["Truncated"] is True
    error = {"body": b'{"__type": "NotFoundException", "message": "m"}', "headers": {}, "status_code": 400}
    with only(GRANT_FIELDS):
        assert FieldsJsonParser().parse(error, GRANTS)["Error"] == {"Code": "NotFoundException", "Message": "m"}
