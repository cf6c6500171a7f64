"""One error, however it was pasted: from a terminal, an SDK, CloudTrail, a log, broken over lines, several at once."""

# ruff: noqa: E501  AWS's messages are longer than a line

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from cado_ops.verdict.denial import explain, read

A = "111111111111"
CADO = f"arn:aws:sts::{A}:assumed-role/CadoResponseRole/session"
INSTANCE = f"arn:aws:ec2:eu-west-1:{A}:instance/i-0123456789abcdef0"
BECAUSE = "because no identity-based policy allows the ssm:SendCommand action"
MESSAGE = f"User: {CADO} is not authorized to perform: ssm:SendCommand on resource: {INSTANCE} {BECAUSE}"
SHORT = MESSAGE.replace(INSTANCE, "i-0123456789abcdef0")
CLI = f"An error occurred (AccessDeniedException) when calling the SendCommand operation: {MESSAGE}"
FIX = f"cado-ops tag-instances i-0123456789abcdef0 --account {A} --region eu-west-1"
EVENT = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "AssumedRole", "arn": CADO, "accountId": A},
    "eventTime": "2026-11-23T17:45:01Z",
    "eventSource": "ssm.amazonaws.com",
    "eventName": "SendCommand",
    "awsRegion": "eu-west-1",
    "errorCode": "AccessDenied",
    "errorMessage": SHORT,
    "requestParameters": {"instanceIds": ["i-0123456789abcdef0"], "documentName": "AWS-RunShellScript"},
    "recipientAccountId": A,
}


def hard(text: str, width: int) -> str:
    """As a terminal breaks a line: in the middle of a word."""
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


WRAPPED = {
    "alone": MESSAGE,
    "full stop": MESSAGE + ".",
    "cli": "\n" + CLI + "\n",
    "retries": CLI.replace(" operation:", " operation (reached max retries: 4):"),
    "boto3": f"botocore.errorfactory.AccessDeniedException: {CLI}",
    "traceback": 'Traceback (most recent call last):\n  File "acquire.py", line 3, in <module>\n    ssm.send_command()\n'
    '  File "botocore/client.py", line 980, in _make_api_call\n    raise error_class(parsed_response, operation_name)\n'
    f"botocore.errorfactory.AccessDeniedException: {CLI}\n",
    "chained": f"botocore.exceptions.ClientError: {CLI}\n\nThe above exception was the direct cause of the following "
    f"exception:\n\nTraceback (most recent call last):\nRuntimeError: acquisition failed: {CLI}\n",
    "response": repr({"Error": {"Code": "AccessDeniedException", "Message": MESSAGE}, "ResponseMetadata": {}}),
    "go": "operation error SSM: SendCommand, https response error StatusCode: 400, RequestID: 1-2, "
    f"api error AccessDeniedException: {MESSAGE}",
    "old go": f"AccessDeniedException: {MESSAGE}\n\tstatus code: 400, request id: d2f12332-d1f2-12c5-1234-abc12345d123",
    "java": f"software.amazon.awssdk.services.ssm.model.SsmException: {MESSAGE} (Service: Ssm, Status Code: 400, "
    "Request ID: 1-2) (SDK Attempt Count: 1)",
    "old java": f"com.amazonaws.AmazonServiceException: {MESSAGE} (Service: AWSSimpleSystemsManagement; Status Code: "
    "400; Error Code: AccessDeniedException; Request ID: 1-2; Proxy: null)",
    "javascript": f"AccessDeniedException: {MESSAGE}\n    at throwDefaultError (file.js:8:22) {{\n  '$fault': "
    "'client',\n  __type: 'AccessDeniedException'\n}",
    "ruby": f"Aws::SSM::Errors::AccessDeniedException ({MESSAGE})",
    "powershell": f"Send-SSMCommand : {MESSAGE}\nAt line:1 char:1\n+ Send-SSMCommand -InstanceId i-1\n    + "
    "CategoryInfo          : InvalidOperation: (Amazon.PowerShell) [Send-SSMCommand], InvalidOperationException",
    "xml": f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{MESSAGE}</Message></Error></ErrorResponse>",
    "terraform": "╷\n│ Error: sending: operation error SSM: SendCommand, api error AccessDeniedException: User:\n"
    f"│ {CADO} is not authorized to perform:\n│ ssm:SendCommand on resource:\n│ {INSTANCE}\n│ {BECAUSE}\n│ \n╵",
    "mail": "\n".join("> " + line for line in textwrap.wrap(MESSAGE, 72)),
    "log": f"2026-11-23T17:45:01.123Z ERROR [worker-7] c.c.acquire - triage of i-0123456789abcdef0 failed: {CLI}",
    "syslog": f"Nov 23 17:45:01 platform cado[123]: {CLI}",
    "json log": json.dumps({"level": "error", "logger": "acquire", "msg": CLI, "ts": 1764}),
    "json log after a prefix": "2026-11-23T17:45:01Z worker " + json.dumps({"level": "error", "msg": CLI}),
    "json in json": json.dumps({"log": json.dumps({"message": json.dumps({"error": CLI})})}),
    "escaped json": json.dumps(json.dumps({"error": CLI})),
    "escaped, cut": '"body": "{\\"errorCode\\":\\"AccessDenied\\",\\"errorMessage\\":\\"' + MESSAGE + '\\",\\"requ',
    "json of the service": json.dumps({"__type": "AccessDeniedException", "Message": MESSAGE}),
    "quoted": f"“{MESSAGE}”",
    "coloured": f"\x1b[1;31mERROR\x1b[0m {CLI}\x1b[K",
    "marks": f"\u202e\u200b{MESSAGE}\u202c\ufeff",
    "no-break blanks": MESSAGE.replace(" ", "\u00a0"),
    "carriage returns": textwrap.fill(CLI, 70).replace("\n", "\r\n"),
    "indented": textwrap.fill(CLI, 78, initial_indent="    ", subsequent_indent="      "),
    "two blanks": MESSAGE.replace(" ", "  "),
    "tabs": MESSAGE.replace(" ", "\t"),
    **{f"wrapped at {width}": textwrap.fill(CLI, width) for width in (40, 60, 80, 100, 132, 200)},
    **{f"broken at {width}": hard(CLI, width) for width in (60, 72, 80, 90, 100, 120, 132, 160, 200, 250)},
    "utf-16 read as bytes": "".join(char + "\0" for char in MESSAGE),
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED.keys())
def test_the_same_error_in_every_wrapping(text: str):
    [found] = explain(read(text))
    item = found.as_item()
    assert (item["kind"], item["action"], item["resource"]) == ("missing-tag", "ssm:SendCommand", INSTANCE)
    assert (item["principal"], item["denied_by"], item["explicit"]) == (CADO, "identity-policy", False)
    assert item["fix"] == FIX


EVENTS = {
    "one": json.dumps(EVENT),
    "indented": json.dumps(EVENT, indent=4),
    "records": json.dumps({"Records": [EVENT]}),
    "list": json.dumps([EVENT]),
    "lookup-events": json.dumps({"Events": [{"EventName": "SendCommand", "CloudTrailEvent": json.dumps(EVENT)}]}),
    "EventBridge": json.dumps({"detail-type": "AWS API Call via CloudTrail", "account": A, "detail": EVENT}),
    "CloudWatch Logs": json.dumps({"events": [{"message": json.dumps(EVENT), "timestamp": 1}]}),
    "between other text": "look at this:\n" + json.dumps(EVENT, indent=2) + "\nwhat is it?",
    "Client.": json.dumps({**EVENT, "errorCode": "Client.AccessDenied"}),
}


@pytest.mark.parametrize("text", EVENTS.values(), ids=EVENTS.keys())
def test_cloudtrail_fills_in_what_the_message_leaves_out(text: str):
    [found] = explain(read(text))
    assert (found.kind, found.resource, found.fix) == ("missing-tag", "i-0123456789abcdef0", FIX)


def test_cloudtrail_names_who_where_and_on_what():
    event: dict[str, Any] = {
        **EVENT,
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "errorMessage": "The ciphertext refers to a customer master key that does not exist, does not exist in this "
        "region, or you are not allowed to access.",
        "requestParameters": None,
        "resources": [{"ARN": f"arn:aws:kms:eu-west-1:{A}:key/11111111-2222-3333-4444-555555555555"}],
    }
    [found] = explain(read(json.dumps(event)))
    assert (found.kind, found.action, found.principal) == ("grant-missing", "kms:Decrypt", CADO)
    assert found.fix == (
        f"cado-ops kms grant --key arn:aws:kms:eu-west-1:{A}:key/11111111-2222-3333-4444-555555555555 "
        f"--account {A} --region eu-west-1"
    )


def test_cloudtrail_names_the_endpoint():
    message = f"User: {CADO} is not authorized to perform: ssm:SendCommand because no VPC endpoint policy allows the "\
        "ssm:SendCommand action"  # fmt: skip
    [found] = explain(
        read(json.dumps({**EVENT, "errorMessage": message, "vpcEndpointId": "vpce-0123456789abcdef0"}))
    )
    assert found.denied_by == "vpc-endpoint-policy"
    assert "vpce-0123456789abcdef0" in found.cause


def test_an_event_of_an_unknown_error_and_one_without():
    unknown = {**EVENT, "errorCode": "SomethingNew", "errorMessage": "words"}
    [found] = explain(read(json.dumps(unknown)))
    assert (found.kind, found.action, found.principal) == ("unknown", "ssm:SendCommand", CADO)
    fine = {key: value for key, value in EVENT.items() if not key.startswith("error")}
    [found] = explain(read(json.dumps(fine)))
    assert (found.kind, found.action) == ("unknown", None)
    # What was asked for and answered is not searched for errors.
    quoted = {**fine, "requestParameters": {"comment": MESSAGE}}
    assert [each.kind for each in explain(read(json.dumps(quoted)))] == ["unknown"]


OTHER = MESSAGE.replace("i-0123456789abcdef0", "i-0fedcba9876543210")
OFFLINE = (
    f"An error occurred (InvalidInstanceId) when calling the SendCommand operation: Instances [[i-0aaaaaaaaaaaaaaaa]] \
not in a valid state for account {A}"
)


@pytest.mark.parametrize("between", ["\n", "\n\n", " ", "\n2026-11-23T17:45:01Z ERROR worker: "])
def test_several_at_once(between: str):
    found = explain(read(between.join((CLI, OTHER, OFFLINE, json.dumps(EVENT), CLI))))
    assert [(each.kind, each.resource) for each in found] == [
        ("missing-tag", INSTANCE),
        ("missing-tag", INSTANCE.replace("i-0123456789abcdef0", "i-0fedcba9876543210")),
        ("agent-offline", "i-0aaaaaaaaaaaaaaaa"),
        ("missing-tag", "i-0123456789abcdef0"),
    ]


def test_what_stands_there_twice_is_told_once_and_counted():
    errors = read("\n".join([CLI] * 5))
    assert len(errors) == 5
    assert len(explain(errors)) == 1


def test_codes_in_the_lines_of_a_traceback_are_no_errors_of_their_own():
    text = f"During handling of ThrottlingException:\n{CLI}\nexcept ClientError\n    AccessDeniedException: done"
    assert [each.kind for each in explain(read(text))] == ["throttled", "missing-tag"]


def test_one_that_is_known_among_lines_of_a_log():
    log = "\n".join(f"2026-11-23T17:45:{second:02}Z INFO  step {second} is done" for second in range(50))
    assert [each.kind for each in explain(read(f"{log}\n{CLI}\n{log}"))] == ["missing-tag"]


def test_a_decoded_message_pasted():
    document = {
        "allowed": False,
        "explicitDeny": True,
        "matchedStatements": {"items": [{"statementId": "RegionFence", "effect": "DENY"}]},
        "failures": {"items": []},
        "context": {
            "principal": {"id": "AROAX:s", "arn": CADO},
            "action": "ec2:CreateTags",
            "resource": INSTANCE,
            "conditions": {"items": []},
        },
    }
    for text in (json.dumps(document), json.dumps({"DecodedMessage": json.dumps(document)}, indent=2)):
        [found] = explain(read(text))
        assert (found.kind, found.action, found.resource) == ("explicit-deny", "ec2:CreateTags", INSTANCE)
        assert (found.principal, found.denied_by, found.explicit) == (CADO, "unknown", True)
        assert "RegionFence" in found.cause


def test_an_encoded_message_over_several_lines_is_whole():
    message = "abcDEF-_" * 40
    text = f"You are not authorized to perform this operation. Encoded authorization failure message: {message}"
    [told] = read(hard(text, 80))
    assert told.encoded == message
    [told] = read(textwrap.fill(text, 100, break_on_hyphens=False))
    assert told.encoded == message


def test_an_encoded_message_cut_short():
    [found] = explain(read("Encoded authorization failure message: rFesh..."))
    assert (found.kind, found.fix) == ("encoded", None)
    assert "cut short" in found.cause
