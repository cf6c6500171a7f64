"""Encoded authorization messages: what is sent to STS, and what its answers and errors become."""

from __future__ import annotations

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.sts import Sts
from cado_ops.errors import AwsError, Kind
from tests.gateway.fake_aws import HOME, HOME_KEY, Wire, sts, sts_error

Line = tuple[Wire, Connection]


def test_the_message_goes_as_it_is_and_comes_back_decoded(line: Line) -> None:
    wire, connection = line
    wire.reply(
        "DecodeAuthorizationMessage", sts("DecodeAuthorizationMessage", "<DecodedMessage>{}</DecodedMessage>")
    )
    assert Sts(connection).decode(HOME, "-abc_DEF=") == "{}"
    [request] = wire.requests
    assert (request.service, request.action, request.key) == ("sts", "DecodeAuthorizationMessage", HOME_KEY)
    assert request.parameters == {"EncodedMessage": "-abc_DEF="}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidAuthorizationMessageException", Kind.OTHER),
        ("AccessDenied", Kind.DENIED),
        ("ExpiredToken", Kind.CREDENTIALS),
    ],
)
def test_refusals(line: Line, code: str, kind: Kind) -> None:
    wire, connection = line
    wire.reply("DecodeAuthorizationMessage", sts_error(code))
    with pytest.raises(AwsError) as caught:
        Sts(connection).decode(HOME, "abc")
    assert (caught.value.code, caught.value.kind) == (code, kind)


def test_an_answer_without_a_message(line: Line) -> None:
    wire, connection = line
    wire.reply("DecodeAuthorizationMessage", sts("DecodeAuthorizationMessage", ""))
    with pytest.raises(AwsError) as caught:
        Sts(connection).decode(HOME, "abc")
    assert caught.value.code == "MalformedResponse"
