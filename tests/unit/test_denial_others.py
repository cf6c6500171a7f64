"""What `explain` says of errors that are no denials of a policy, and of texts that only look alike."""

# ruff: noqa: E501  AWS's messages are longer than a line

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cado_ops.verdict.denial import explain, read
from cado_ops.verdict.denial.lookup import BY_CODE, KNOWN

A = "111111111111"
USER = f"arn:aws:iam::{A}:user/responder"
KEY = f"arn:aws:kms:eu-west-1:{A}:key/11111111-2222-3333-4444-555555555555"


def one(text: str) -> dict[str, Any]:
    [found] = explain(read(text))
    return found.as_item()


FRAME = "An error occurred ({}) when calling the {} operation: {}"
# code, operation, message: kind
OTHERS = [
    ("InvalidInstanceId", "SendCommand", f"Instances [[i-0123456789abcdef0]] not in a valid state for account {A}",
     "agent-offline"),
    ("InvalidInstanceId", "SendCommand", "", "agent-offline"),
    ("TargetNotConnected", "StartSession", "i-0123456789abcdef0 is not connected.", "agent-offline"),
    ("InvocationDoesNotExist", "GetCommandInvocation", "", "command-unknown"),
    ("UnsupportedPlatformType", "SendCommand", "", "command-invalid-platform"),
    ("InvalidDocument", "SendCommand", "Document with name AWS-RunShelScript does not exist.", "document-missing"),
    ("AccessDeniedException", "Decrypt", "The ciphertext refers to a customer master key that does not exist, does not "
     "exist in this region, or you are not allowed to access.", "grant-missing"),
    ("LimitExceededException", "CreateGrant", "You have exceeded the number of grants per key.", "grant-quota"),
    ("LimitExceededException", "CreatePolicy", "Cannot exceed quota", "quota"),
    ("DisabledException", "CreateGrant", f"{KEY} is disabled.", "key-disabled"),
    ("KMSInvalidStateException", "CreateGrant", f"{KEY} is pending deletion.", "key-pending-deletion"),
    ("KMSInvalidStateException", "Decrypt", f"{KEY} is pending import.", "key-unavailable"),
    ("NotFoundException", "DescribeKey", f"Key '{KEY}' does not exist", "key-not-found"),
    ("NotFoundException", "DescribeKey", f"Alias arn:aws:kms:eu-west-1:{A}:alias/ebs is not found.", "key-not-found"),
    ("InvalidArnException", "CreateGrant", "ARN does not refer to a valid principal", "grantee-missing"),
    ("InvalidGrantTokenException", "Decrypt", "", "grant-token-invalid"),
    ("InvalidParameter", "ModifySnapshotAttribute", "Snapshots encrypted with the AWS Managed CMK can't be shared. "
     "Specify another snapshot.", "aws-managed-key"),
    ("InvalidParameterValue", "ImportImage", "The specified KMS key is not accessible.", "grant-missing"),
    ("KMSKeyNotAccessibleFault", "CopyDBSnapshot", f"The source snapshot KMS key [{KEY}] does not exist, is not enabled "
     "or you do not have permissions to access it.", "grant-missing"),
    ("TagLimitExceeded", "CreateTags", "The maximum number of Tags for a resource has been reached.", "tag-quota"),
    ("InvalidInstanceID.NotFound", "CreateTags", "The instance ID 'i-0123456789abcdef0' does not exist", "not-found"),
    ("InvalidSnapshot.NotFound", "CopySnapshot", "The snapshot 'snap-0123456789abcdef0' does not exist.", "not-found"),
    ("InvalidInstanceID.Malformed", "CreateTags", 'Invalid id: "i-xyz"', "invalid-id"),
    ("IncorrectInstanceState", "StopInstances", "", "wrong-state"),
    ("RequestLimitExceeded", "DescribeInstances", "Request limit exceeded.", "throttled"),
    ("ThrottlingException", "SendCommand", "Rate exceeded", "throttled"),
    ("SnapshotCreationPerVolumeRateExceeded", "CreateSnapshot", "The maximum per volume CreateSnapshot request rate has "
     "been exceeded.", "throttled"),
    ("SnapshotLimitExceeded", "CreateSnapshot", "", "quota"),
    ("ExpiredTokenException", "DescribeKey", "The security token included in the request is expired",
     "credentials-expired"),
    ("RequestExpired", "DescribeInstances", "Request has expired.", "credentials-expired"),
    ("InvalidClientTokenId", "GetCallerIdentity", "The security token included in the request is invalid.",
     "credentials-invalid"),
    ("AuthFailure", "DescribeInstances", "AWS was not able to validate the provided access credentials",
     "credentials-invalid"),
    ("SignatureDoesNotMatch", "GetCallerIdentity", "Signature expired: 20260101T000000Z is now earlier than "
     "20260101T001500Z", "clock-skew"),
    ("RegionDisabledException", "AssumeRole", f"STS is not activated in this region for account:{A}. Your account "
     "administrator can activate STS in this region using the IAM Console.", "region-disabled"),
    ("OptInRequired", "DescribeInstances", "You are not subscribed to this service.", "not-enabled"),
    ("AccessDenied", "AssumeRole", "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
     "mfa-refused"),
    ("ValidationError", "AssumeRole", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
     "by role chaining", "session-too-long"),
    ("AccessDeniedException", "ListAccounts", "You don't have permissions to access this resource.",
     "organization-closed"),
    ("AWSOrganizationsNotInUseException", "ListAccounts", "Your account is not a member of an organization.",
     "no-organization"),
    ("DryRunOperation", "CreateTags", "Request would have succeeded, but DryRun flag is set.", "would-succeed"),
    ("InternalError", "DescribeInstances", "An internal error has occurred", "aws-fault"),
    ("ValidationException", "SendCommand", "1 validation error detected", "invalid-request"),
    ("FooException", "SendCommand", "Something new.", "unknown"),
    ("AccessDenied", "ListBuckets", "Access Denied", "denied"),
    ("403", "HeadObject", "Forbidden", "denied"),
    ("UnauthorizedOperation", "DescribeInstances", "You are not authorized to perform this operation.", "denied"),
    ("AccessDeniedException", "CreateGrant", "null", "grant-not-allowed"),
    ("ThrottlingException", "CreateGrant", "You have exceeded the rate at which you may call KMS. Reduce the frequency of "
     "your calls.", "throttled"),
    ("ResourceNotFoundException", "ListSnapshotBlocks", "The snapshot 'snap-0123456789abcdef0' does not exist.",
     "not-found"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "operation", "message", "kind"), OTHERS)
def test_other_errors(code: str, operation: str, message: str, kind: str):
    item = one(FRAME.format(code, operation, message))
    assert item["kind"] == kind
    assert (item["denied_by"], item["explicit"], item["policy_arn"]) == ("unknown", None, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Unable to locate credentials. You can configure credentials by running \"aws configure\".",
         "credentials-missing"),
        ("The config profile (ir) could not be found", "profile-missing"),
        ("You must specify a region. You can also configure your region by running \"aws configure\".",
         "region-missing"),
        ("Could not connect to the endpoint URL: \"https://ssm.eu-west-9.amazonaws.com/\"", "unreachable"),
        ("Error when retrieving token from sso: Token has expired and refresh failed", "credentials-expired"),
        ("Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state", "grant-missing"),
        ("ExpiredTokenException", "credentials-expired"),
        ("InvalidInstanceId: null", "agent-offline"),
        ("AccessDenied", "denied"),
        ("Unable to connect to target: i-0123456789abcdef0 is not connected.", "agent-offline"),
        ("The command 1b538196 on i-0123456789abcdef0 finished with status DeliveryTimedOut",
         "command-delivery-timed-out"),
        ("InvocationDoesNotExist", "command-unknown"),
        ("AMI snapshot copy failed with error: Given key ID is not accessible. You must have DescribeKey permissions on the "
         "default CMK", "grant-missing"),
    ],
)  # fmt: skip
def test_without_aws_frame(text: str, kind: str):
    assert one(text)["kind"] == kind


STATUSES = {
    "Undeliverable": "command-undeliverable",
    "DeliveryTimedOut": "command-delivery-timed-out",
    "Delivery Timed Out": "command-delivery-timed-out",
    "ExecutionTimedOut": "command-execution-timed-out",
    "Execution Timed Out": "command-execution-timed-out",
    "AccessDenied": "command-access-denied",
    "Access Denied": "command-access-denied",
    "InvalidPlatform": "command-invalid-platform",
    "Invalid Platform": "command-invalid-platform",
    "Terminated": "command-terminated",
    "Cancelled": "command-cancelled",
    "Failed": "command-failed",
    "Delayed": "command-delayed",
    "NoInstancesInTag": "command-no-instances",
    "RateExceeded": "command-rate-exceeded",
    "Incomplete": "command-incomplete",
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("form", ['{{"InstanceId": "i-0123456789abcdef0", "StatusDetails": "{}"}}',
                                  "i-0123456789abcdef0 StatusDetails: {}"])  # fmt: skip
def test_run_commands_status_details(status: str, kind: str, form: str):
    item = one(form.format(status))
    assert (item["kind"], item["action"], item["resource"]) == (kind, "ssm:SendCommand", "i-0123456789abcdef0")
    tagged = "cado-ops tag-instances i-0123456789abcdef0"
    assert item["fix"] == (tagged if kind == "command-access-denied" else None)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("DEPENDENCY_ACCESS_DENIED", "grant-missing"), ("UNAUTHORIZED_ACCOUNT", "snapshot-not-ours"),
     ("SNAPSHOT_NOT_FOUND", "not-found"), ("INVALID_CUSTOMER_KEY", "key-unavailable"),
     ("INVALID_BLOCK_TOKEN", "block-token-invalid"), ("DEPENDENCY_REQUEST_THROTTLED", "throttled")],
)  # fmt: skip
def test_ebs_direct_says_its_reason_beside_the_message(reason: str, kind: str):
    body = {"__type": "AccessDeniedException", "Message": "No.", "Reason": reason}
    assert one(json.dumps(body))["kind"] == kind
    assert one(f"An error occurred (ValidationException) when calling the ListSnapshotBlocks operation: {reason}")[
        "kind"
    ] == kind  # fmt: skip


# Texts that look alike and are something else, or nothing that is known: no guess.
ALIEN = [
    "hello world",
    "is not authorized to perform: ssm:SendCommand"[:26],
    "User: bob is not authorized to perform: maintenance on resource: elevator",
    "User: bob is not authorized to perform: ecs:cloudServers:list on resource: x because no identity policy allows "
    "the ecs:cloudServers:list action.",
    "The surgeon is not authorized to perform the operation",
    "The client 'x' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read' over scope",
    "Permission 'compute.instances.get' denied on resource 'projects/p/zones/z/instances/i'",
    'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default"',
    "ORA-01031: insufficient privileges",
    "403 Forbidden",
    "HTTP 429 Too Many Requests",
    "Access denied",
    "not authorized",
    "Terminated",
    "Undeliverable: your mail to bob",
    "The log said AccessDeniedException somewhere.",
    "java.nio.file.AccessDeniedException: /etc/shadow",
    "INVALID_ARGUMENT SNAPSHOT_NOT_FOUND",
    "ExpiredToken: jwt expired",
    "ValidationError: 1 validation error for Model",
    '{"code": "ValidationError", "message": "name is required"}',
    '{"code": "E_NEW", "message": "of somebody else"}',
    '{"error": {"code": 403, "message": "Permission denied on resource", "status": "PERMISSION_DENIED"}}',
    '{"statusDetails": "Failed"}',
    "i-0123456789abcdef0 is not connected to the internet",
    f"User: {USER} is authorized to perform: ssm:SendCommand",
    "command make finished with status: Failed",
    "Action: none\nContext: no service allows the action",
    "the container was Terminated and its status is Failed upstream",
    "status: Failed",
    "The request has expired, says the librarian",
    "Blocked: the sink",
    "Your subscription is pending deletion",
    "see https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html",
    "arn:aws:iam::111111111111:role/CadoResponseRole",
    '{"level": "info", "message": "all good", "StatusDetails": "Success"}',
    '{"eventSource": "ssm.amazonaws.com", "eventName": "SendCommand", "responseElements": null}',
    "{", "[[[[", "\x00", "Encoded authorization", "with an explicit deny in a service control policy",
    "because no identity-based policy allows the ssm:SendCommand action",
]  # fmt: skip


@pytest.mark.parametrize("text", ALIEN)
def test_what_is_not_known_is_said_and_not_guessed(text: str):
    item = one(text)
    assert item["kind"] == "unknown"
    assert "no guess" in item["cause"]
    assert all(item[name] is None for name in ("action", "resource", "principal", "policy_arn", "fix", "explicit"))
    assert item["denied_by"] == "unknown"


def test_an_unknown_code_is_named_and_not_explained():
    item = one(FRAME.format("FooException", "SendCommand", "Bar."))
    assert item["action"] == "ssm:SendCommand"
    assert "FooException" in item["cause"]
    assert item["fix"] is None


def test_every_code_and_phrase_of_the_tables_is_found():
    for code, known in BY_CODE.items():
        if code.isupper():
            continue
        found = one(FRAME.format(code, "SomethingElse", "words"))
        assert found["kind"] == known.kind, code


def test_causes_are_sentences():
    for known in KNOWN:
        assert re.fullmatch(r"[A-Z].*\.", known.cause), known.cause
        assert "  " not in known.cause


def test_the_disk_leads_to_the_key():
    text = '{"SnapshotId": "snap-0123456789abcdef0", "StateMessage": "Given key ID is not accessible"}'
    assert one(text)["fix"] == "cado-ops kms grant --snapshot-id snap-0123456789abcdef0"


def test_a_quota_of_grants_is_no_throttling():
    assert "50,000" in one(FRAME.format("LimitExceededException", "CreateGrant", ""))["cause"]


def test_kinds_are_those_of_the_reference():
    reference = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [row[3] for row in OTHERS if f"`{row[3]}`" not in reference] == []
