"""Everything that makes calls cheaper may be missing: the same requests are sent then, and the same is read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.parsers import EC2QueryParser

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2
from cado_ops.aws.iam import Iam
from cado_ops.aws.kms import Kms
from cado_ops.aws.parsers import FieldsJsonParser, FieldsParser, FieldsParserFactory
from cado_ops.aws.session import use_short_parsers
from cado_ops.aws.tls import Trust
from cado_ops.errors import AwsError
from cado_ops.filters import Filter
from cado_ops.model import Cell
from tests.gateway.fake_aws import Answer, Parts, Wire, ec2_error, xml
from tests.stock import use_stock_botocore

CELL = Cell("222222222222", "eu-west-1")
INSTANCE = (
    "<item><instancesSet><item><instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceType>m5.large</instanceType>"
    "<rootDeviceType>ebs</rootDeviceType><instanceState><code>16</code>"
    "<name>running</name></instanceState><platform>windows</platform><launchTime>2026-11-23T17:45:01Z</launchTime>"
    "<tagSet><item><key>Name</key><value>a &amp; b</value></item><item><key>CadoResponseSSMEnabled</key><value/>"
    "</item></tagSet></item></instancesSet></item>"
)


KEY = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
GRANT = {
    "KeyId": KEY, "GrantId": "0" * 64, "Name": "größe", "CreationDate": 1795455901.25, "Operations": ["Decrypt"],
    "GranteePrincipal": "arn:aws:iam::222222222222:role/R", "IssuingAccount": "arn:aws:iam::222222222222:root",
    "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}, "New": {"of": "next year"},
}  # fmt: skip


def replies(wire: Wire) -> None:
    wire.reply(
        "DescribeInstances",
        xml("DescribeInstances", f"<reservationSet>{INSTANCE}</reservationSet><nextToken>2</nextToken>"),
        xml("DescribeInstances", "<reservationSet/>"),
    )
    wire.reply("CreateTags", ec2_error("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist"))
    wire.reply("DescribeTags", xml("DescribeTags", "<unknown/>"))
    wire.reply(
        "ListGrants",
        Answer(
            json.dumps({"Grants": [GRANT, GRANT | {"CreationDate": None}], "NextMarker": "2", "Truncated": True})
        ),
        Answer(json.dumps({"Grants": [], "Truncated": False})),
    )


CALLS: list[Callable[[Connection], Any]] = [
    lambda line: list(Ec2(line).instances(CELL, [Filter("tag:Env", ("prod", "ü & *"))])),
    lambda line: Ec2(line).create_tags(CELL, ["i-1", "i-2"], {"a": "b c"}),
    lambda line: Ec2(line).tags(CELL, ["i-1"]),
    lambda line: Iam(line).roles_named(CELL.account, ["A+b"]),
    lambda line: list(Ec2(line).instances(CELL, [], detailed=True)),
    lambda line: list(Kms(line).grants(CELL, KEY)),
]


def outcomes(parts: Parts, wire: Wire) -> list[Any]:
    wire.generations.clear()
    line = parts.connect()
    found: list[Any] = []
    # The first request of each kind is botocore's in any case.
    for call in CALLS * 2:
        replies(wire)
        try:
            found.append(call(line))
        except AwsError as error:
            found.append((error.code, error.message, error.kind, error.request_id))
    return found


@pytest.mark.usefixtures("own_keys")
def test_stock_botocore_says_and_hears_the_same(monkeypatch: pytest.MonkeyPatch, wire: Wire, parts: Parts):
    fast = outcomes(parts, wire), list(wire.requests)
    assert wire.copied >= 5 or "STOCK_BOTOCORE" in os.environ
    use_stock_botocore(monkeypatch)
    assert (outcomes(parts, wire), wire.requests) == fast
    [instance] = fast[0][0]
    assert (instance.name, instance.tags) == ("a & b", {"CadoResponseSSMEnabled": ""})
    assert [each[0] for each in fast[0][1:4]] == [
        "InvalidInstanceID.NotFound",
        "MalformedResponse",
        "MalformedResponse",
    ]
    [detailed] = fast[0][4]
    assert detailed.instance_id == instance.instance_id
    assert detailed.detail is not None


def test_a_botocore_whose_parsers_are_made_otherwise(monkeypatch: pytest.MonkeyPatch):
    def other(self: Any) -> None:
        """Takes none of what this one gives."""

    factory = FieldsParserFactory()
    factory.set_parser_defaults(timestamp_parser=str)
    assert type(factory.create_parser("ec2")) is FieldsParser
    monkeypatch.setattr(FieldsParser, "__init__", other)
    assert type(factory.create_parser("ec2")) is EC2QueryParser


def test_a_botocore_whose_parsers_are_called_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr("botocore.parsers.EC2QueryParser")
    monkeypatch.delitem(sys.modules, "cado_ops.aws.parsers")
    core = botocore.session.Session()
    before = core.get_component("response_parser_factory")
    use_short_parsers(core)
    assert core.get_component("response_parser_factory") is before


@pytest.mark.parametrize("parser", [FieldsParser, FieldsJsonParser])
def test_a_botocore_whose_parsers_are_told_more(monkeypatch: pytest.MonkeyPatch, parser: Any):
    """What is said besides the answer and its shape is handed on."""
    told: list[Any] = []
    stock = parser.__mro__[1]
    monkeypatch.setattr(stock, "_do_parse", lambda self, *all, **named: told.append((all, named)) or {})
    parser()._do_parse({"body": b"", "headers": {}}, None, 1, more=2)
    assert told == [(({"body": b"", "headers": {}}, None, 1), {"more": 2})]


def test_a_botocore_without_what_the_certificates_are_shared_by(monkeypatch: pytest.MonkeyPatch):
    client = botocore.session.Session().create_client(
        "sts", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr("cado_ops.aws.tls.URLLib3Session", None)
    assert Trust().share(client) is False
