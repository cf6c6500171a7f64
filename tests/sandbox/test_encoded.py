"""Encoded authorization messages: EC2's denials carry one, and STS decodes it for the account that it is of."""

import json

import pytest

PRODUCTION = "222222222222"
DENIED = "ap-southeast-2"


@pytest.fixture
def encoded(client, refusal):
    ec2 = client("ec2", PRODUCTION, DENIED)
    tags = [{"Key": "a", "Value": "b"}]
    code, message = refusal(ec2.create_tags, Resources=["i-0123456789abcdef0"], Tags=tags)
    assert code == "UnauthorizedOperation"
    before, _, text = message.partition(". Encoded authorization failure message: ")
    assert before.endswith("service_control_policy/p-regiondeny")
    return text


def test_what_it_says(client, encoded):
    answer = client("sts", PRODUCTION).decode_authorization_message(EncodedMessage=encoded)
    document = json.loads(answer["DecodedMessage"])
    assert (document["allowed"], document["explicitDeny"]) == (False, True)
    assert document["context"]["action"] == "ec2:CreateTags"
    assert document["context"]["principal"]["arn"].endswith(":assumed-role/CadoOperator/tests")
    assert document["matchedStatements"]["items"][0]["statementId"] == "DenyOutsideEnabledRegions"


def test_reads_have_none(client, refusal):
    _, message = refusal(client("ec2", PRODUCTION, DENIED).describe_instances)
    assert "Encoded" not in message


@pytest.mark.parametrize("text", ["x", "A" * 400, "aGVsbG8", "-_-_", "YQ"])
def test_what_the_sandbox_did_not_make(client, refusal, text):
    sts = client("sts", PRODUCTION)
    code, _ = refusal(sts.decode_authorization_message, EncodedMessage=text)
    assert code == "InvalidAuthorizationMessageException"


def test_one_cut_short_and_one_of_another_account(client, refusal, encoded):
    for sts, text in ((client("sts", PRODUCTION), encoded[:-9]), (client("sts"), encoded)):
        assert refusal(sts.decode_authorization_message, EncodedMessage=text)[0] == (
            "InvalidAuthorizationMessageException"
        )


def test_one_too_long(client, refusal):
    code, message = refusal(client("sts").decode_authorization_message, EncodedMessage="A" * 10_241)
    assert code == "ValidationError"
    assert "encodedMessage" in message
