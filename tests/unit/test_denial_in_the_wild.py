"""What `explain` says of messages in all the forms in which AWS and its tools give them, each field of it.

The messages are made after the shapes that AWS documents (IAM User Guide, "Troubleshoot access denied error
messages"), with accounts and ids of nobody.
"""

# ruff: noqa: E501  AWS's messages are longer than a line

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from cado_ops.verdict.denial import explain, read

A, B = "111111111111", "222222222222"
VICTIM = "i-0a1b2c3d4e5f60718"
INST = f"arn:aws:ec2:eu-west-1:{A}:instance/{VICTIM}"
CADO = f"arn:aws:sts::{A}:assumed-role/CadoResponseRole/cado-session"
OPS = f"arn:aws:sts::{A}:assumed-role/CadoOperator/cado-ops.IR-42.alice"
SSO = f"arn:aws:sts::{A}:assumed-role/AWSReservedSSO_Responder_0123456789abcdef/alice@example.com"
KEY = f"arn:aws:kms:eu-west-1:{A}:key/0a1b2c3d-1111-2222-3333-444455556666"
MRK = f"arn:aws:kms:us-east-2:{A}:key/mrk-0123456789abcdef0123456789abcdef"
BPOL = f"arn:aws:iam::{A}:policy/boundaries/DevBoundary"
SCP = f"arn:aws:organizations::{B}:policy/o-abcde12345/service_control_policy/p-0a1b2c3d"
RCP = f"arn:aws:organizations::{B}:policy/o-abcde12345/resource_control_policy/p-4d3c2b1a"


def denied(action: str, rest: str, who: str = CADO) -> str:
    return f"User: {who} is not authorized to perform: {action} {rest}"


def cli(operation: str, message: str, code: str = "AccessDeniedException") -> str:
    return f"An error occurred ({code}) when calling the {operation} operation: {message}"


def nobody(action: str) -> str:
    return f"because no identity-based policy allows the {action} action"


TEXTS: dict[str, str] = {}
TEXTS["policy arn behind implicit"] = denied(
    "ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}: arn:aws:iam::{A}:policy/CadoSSM"
)
TEXTS["policy arn implicit boundary"] = denied(
    "kms:CreateGrant",
    f"on resource: {KEY} because no permissions boundary allows the kms:CreateGrant action: {BPOL}",
    OPS,
)
TEXTS["policy arn implicit scp"] = denied(
    "ec2:CreateTags",
    f"on resource: {INST} because no service control policy allows the ec2:CreateTags action: {SCP}",
    OPS,
)
TEXTS["policy arn in parens"] = denied(
    "ec2:CreateTags",
    f"on resource: {INST} because no permissions boundary allows the ec2:CreateTags action ({BPOL}).",
    OPS,
)
TEXTS["policy arn before allows"] = denied(
    "ec2:CreateTags",
    f"on resource: {INST} because no permissions boundary {BPOL} allows the ec2:CreateTags action",
    OPS,
)
TEXTS["rcp explicit arn"] = denied(
    "kms:Decrypt", f"on resource: {KEY} with an explicit deny in a resource control policy: {RCP}"
)
TEXTS["resource policy implicit on instance"] = denied(
    "ssm:SendCommand", f"on resource: {INST} because no resource-based policy allows the ssm:SendCommand action"
)
TEXTS["resource policy explicit on instance"] = denied(
    "ssm:SendCommand", f"on resource: {INST} with an explicit deny in a resource-based policy"
)
TEXTS["session policy on instance"] = denied(
    "ssm:SendCommand", f"on resource: {INST} because no session policy allows the ssm:SendCommand action"
)
TEXTS["vpce on instance"] = denied(
    "ssm:SendCommand", f"on resource: {INST} because no VPC endpoint policy allows the ssm:SendCommand action"
)
TEXTS["vpce explicit arn"] = denied(
    "ssm:SendCommand",
    f"on resource: {INST} with an explicit deny in a VPC endpoint policy: arn:aws:ec2:eu-west-1:{A}:vpc-endpoint/vpce-0a1b2c3d4e5f60718",
)
TEXTS["startsession scp"] = denied(
    "ssm:StartSession", f"on resource: {INST} with an explicit deny in a service control policy", SSO
)
TEXTS["startsession instance cli"] = cli(
    "StartSession", denied("ssm:StartSession", f"on resource: {INST} {nobody('ssm:StartSession')}", SSO)
)
TEXTS["startsession document"] = cli(
    "StartSession",
    denied(
        "ssm:StartSession",
        f"on resource: arn:aws:ssm:eu-west-1:{A}:document/SSM-SessionManagerRunShell {nobody('ssm:StartSession')}",
        SSO,
    ),
)
TEXTS["sendcommand document"] = cli(
    "SendCommand",
    denied(
        "ssm:SendCommand",
        f"on resource: arn:aws:ssm:us-gov-west-1::document/AWS-RunShellScript {nobody('ssm:SendCommand')}",
        CADO.replace("arn:aws:", "arn:aws-us-gov:"),
    ),
)
TEXTS["sendcommand mi"] = cli(
    "SendCommand",
    denied(
        "ssm:SendCommand",
        f"on resource: arn:aws:ssm:eu-west-1:{A}:managed-instance/mi-0a1b2c3d4e5f60718 {nobody('ssm:SendCommand')}",
    ),
)
TEXTS["getcommandinvocation"] = cli(
    "GetCommandInvocation",
    denied(
        "ssm:GetCommandInvocation",
        f"on resource: arn:aws:ssm:eu-central-1:{A}:* {nobody('ssm:GetCommandInvocation')}",
    ),
)
TEXTS["waiter"] = (
    f"Waiter CommandExecuted failed: An error occurred (AccessDeniedException): {denied('ssm:GetCommandInvocation', f'on resource: arn:aws:ssm:eu-central-1:{A}:* ' + nobody('ssm:GetCommandInvocation'))}"
)
TEXTS["describe inst info"] = cli(
    "DescribeInstanceInformation",
    denied(
        "ssm:DescribeInstanceInformation",
        f"on resource: arn:aws:ssm:eu-central-1:{A}:* {nobody('ssm:DescribeInstanceInformation')}",
    ),
)
TEXTS["sendcommand no reason"] = cli("SendCommand", denied("ssm:SendCommand", f"on resource: {INST}"))
TEXTS["china"] = cli(
    "SendCommand",
    denied(
        "ssm:SendCommand",
        f"on resource: arn:aws-cn:ec2:cn-north-1:{A}:instance/{VICTIM} {nobody('ssm:SendCommand')}",
        CADO.replace("arn:aws:", "arn:aws-cn:"),
    ),
)
TEXTS["cloudtrail kms"] = json.dumps(
    {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": CADO, "accountId": A},
        "eventTime": "2026-11-23T10:00:00Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "eu-west-1",
        "errorCode": "AccessDenied",
        "errorMessage": denied(
            "kms:Decrypt",
            "on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
        ),
        "requestParameters": None,
        "resources": [{"accountId": A, "type": "AWS::KMS::Key", "ARN": KEY}],
        "recipientAccountId": A,
    }
)
TEXTS["cloudtrail tag"] = json.dumps(
    {
        "eventSource": "ssm.amazonaws.com",
        "eventName": "SendCommand",
        "awsRegion": "ap-southeast-2",
        "userIdentity": {"arn": CADO, "accountId": A},
        "errorCode": "AccessDenied",
        "errorMessage": denied(
            "ssm:SendCommand",
            f"on resource: arn:aws:ec2:ap-southeast-2:{A}:instance/{VICTIM} {nobody('ssm:SendCommand')}",
        ),
        "requestParameters": {"instanceIds": [VICTIM], "documentName": "AWS-RunShellScript"},
        "recipientAccountId": A,
    },
    indent=2,
)
TEXTS["cloudtrail ec2 dryrun unauthorized"] = json.dumps(
    {
        "Records": [
            {
                "eventSource": "ec2.amazonaws.com",
                "eventName": "CreateTags",
                "awsRegion": "eu-west-1",
                "userIdentity": {"arn": OPS},
                "errorCode": "Client.UnauthorizedOperation",
                "errorMessage": "You are not authorized to perform this operation. User: "
                + OPS
                + f" is not authorized to perform: ec2:CreateTags on resource: {INST} with an explicit deny in a service control policy. Encoded authorization failure message: AbCdEf0123456789-_xyz",
                "recipientAccountId": A,
            }
        ]
    }
)
TEXTS["ec2 encoded"] = cli(
    "CreateTags",
    f"You are not authorized to perform this operation. User: {OPS} is not authorized to perform: ec2:CreateTags on resource: {INST} {nobody('ec2:CreateTags')}. Encoded authorization failure message: 0l-KPWQJ8q5z3YatP3Ybgb5lf0dibDhN6",
    "UnauthorizedOperation",
)
TEXTS["ec2 encoded alone"] = cli(
    "CreateSnapshot",
    "You are not authorized to perform this operation. Encoded authorization failure message: -0l_KPWQJ8q5z3YatP3Ybgb5lf0dibDhN6",
    "UnauthorizedOperation",
)
TEXTS["ec2 plain"] = cli(
    "DescribeInstances", "You are not authorized to perform this operation.", "UnauthorizedOperation"
)
TEXTS["ec2 snapshot explicit idp arn"] = cli(
    "CreateSnapshot",
    f"You are not authorized to perform this operation. User: {CADO} is not authorized to perform: ec2:CreateSnapshot on resource: arn:aws:ec2:eu-west-1:{A}:volume/vol-0a1b2c3d4e5f60718 with an explicit deny in an identity-based policy: arn:aws:iam::{A}:policy/NoSnapshots",
    "UnauthorizedOperation",
)
TEXTS["assume role cli"] = cli(
    "AssumeRole", denied("sts:AssumeRole", f"on resource: arn:aws:iam::{B}:role/CadoOperator", SSO), "AccessDenied"
)
TEXTS["assume role not trust"] = cli(
    "AssumeRole",
    denied(
        "sts:AssumeRole",
        f"on resource: arn:aws:iam::{B}:role/CadoOperator because no role trust policy allows the sts:AssumeRole action",
        SSO,
    ),
    "AccessDenied",
)
TEXTS["assume role idp"] = cli(
    "AssumeRole",
    denied("sts:AssumeRole", f"on resource: arn:aws:iam::{B}:role/CadoOperator {nobody('sts:AssumeRole')}", SSO),
    "AccessDenied",
)
TEXTS["assume role scp"] = cli(
    "AssumeRole",
    denied(
        "sts:AssumeRole",
        f"on resource: arn:aws:iam::{B}:role/CadoOperator with an explicit deny in a service control policy",
        SSO,
    ),
    "AccessDenied",
)
TEXTS["sts tagsession"] = cli(
    "AssumeRole", denied("sts:TagSession", f"on resource: arn:aws:iam::{B}:role/CadoOperator", SSO), "AccessDenied"
)
TEXTS["kms decrypt implicit"] = cli("Decrypt", denied("kms:Decrypt", f"on resource: {KEY} {nobody('kms:Decrypt')}"))
TEXTS["kms decrypt resource policy"] = cli(
    "Decrypt",
    denied("kms:Decrypt", f"on resource: {KEY} because no resource-based policy allows the kms:Decrypt action"),
)
TEXTS["kms decrypt ciphertext"] = cli(
    "GetSnapshotBlock",
    denied(
        "kms:Decrypt",
        "on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
    ),
)
TEXTS["kms gdk mrk"] = cli(
    "GenerateDataKeyWithoutPlaintext",
    denied(
        "kms:GenerateDataKeyWithoutPlaintext", f"on resource: {MRK} {nobody('kms:GenerateDataKeyWithoutPlaintext')}"
    ),
)
TEXTS["kms explicit resource"] = cli(
    "Decrypt", denied("kms:Decrypt", f"on resource: {KEY} with an explicit deny in a resource-based policy")
)
TEXTS["kms creategrant operator"] = cli(
    "CreateGrant", denied("kms:CreateGrant", f"on resource: {KEY} {nobody('kms:CreateGrant')}", OPS)
)
TEXTS["kms legacy"] = cli(
    "CopySnapshot",
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
)
TEXTS["kms java"] = (
    f"com.amazonaws.services.kms.model.AWSKMSException: {denied('kms:DescribeKey', f'on resource: {KEY} ' + nobody('kms:DescribeKey'))} (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; Request ID: 0a1b2c3d-1111-2222-3333-444455556666; Proxy: null)"
)
TEXTS["kms cado other name"] = cli(
    "Decrypt",
    denied(
        "kms:Decrypt",
        f"on resource: {KEY} {nobody('kms:Decrypt')}",
        f"arn:aws:sts::{A}:assumed-role/StackSet-x-CadoResponseRole-1A2B3C/s",
    ),
)
TEXTS["kms cross account"] = cli(
    "Decrypt",
    denied(
        "kms:Decrypt",
        f"on resource: {KEY} because no resource-based policy allows the kms:Decrypt action",
        CADO.replace(A, B),
    ),
)
TEXTS["kms disabled"] = cli("Decrypt", f"{KEY} is disabled.", "DisabledException")
TEXTS["kms pending deletion"] = cli("CreateGrant", f"{KEY} is pending deletion.", "KMSInvalidStateException")
TEXTS["kms notfound"] = cli("DescribeKey", f"Key '{KEY}' does not exist", "NotFoundException")
TEXTS["kms invalidarn"] = cli(
    "CreateGrant",
    "ARN does not refer to a valid principal: arn:aws:iam::111111111111:role/CadoResponseRole",
    "InvalidArnException",
)
TEXTS["kms limit"] = cli("CreateGrant", "", "LimitExceededException")
TEXTS["kms throttle"] = cli("ListGrants", "Rate exceeded", "ThrottlingException")
TEXTS["ec2 throttle"] = cli(
    "DescribeInstances (reached max retries: 4)".replace(" operation", ""),
    "Request limit exceeded.",
    "RequestLimitExceeded",
).replace(
    "DescribeInstances (reached max retries: 4) operation", "DescribeInstances operation (reached max retries: 4)"
)
TEXTS["invalid instance id"] = cli(
    "SendCommand", f"Instances [[{VICTIM}]] not in a valid state for account {A}", "InvalidInstanceId"
)
TEXTS["invalid instance id bare"] = cli("SendCommand", "", "InvalidInstanceId")
TEXTS["invalid instance null js"] = (
    "InvalidInstanceId: null\n    at Request.extractError (/home/runner/node_modules/aws-sdk/lib/protocol/json.js:51:27)"
)
TEXTS["several instances"] = (
    f"InvalidInstanceId: Instances [[{VICTIM}, i-0123456789abcdef0]] not in a valid state for account {A}"
)
TEXTS["target not connected"] = cli("StartSession", f"{VICTIM} is not connected.", "TargetNotConnected")
TEXTS["notfound instance"] = cli(
    "CreateTags", f"The instance ID '{VICTIM}' does not exist", "InvalidInstanceID.NotFound"
)
TEXTS["tag limit"] = cli(
    "CreateTags", "The maximum number of Tags for a resource has been reached.", "TagLimitExceeded"
)
TEXTS["expired"] = cli("GetCallerIdentity", "The security token included in the request is expired", "ExpiredToken")
TEXTS["invalid token optin"] = cli(
    "DescribeInstances", "AWS was not able to validate the provided access credentials", "AuthFailure"
)
TEXTS["no creds"] = 'Unable to locate credentials. You can configure credentials by running "aws configure".'
TEXTS["sso"] = "Error when retrieving token from sso: Token has expired and refresh failed"
TEXTS["status undeliverable"] = json.dumps(
    {
        "CommandId": "0a1b2c3d-1111-2222-3333-444455556666",
        "InstanceId": VICTIM,
        "Status": "Failed",
        "StatusDetails": "Undeliverable",
        "StandardOutputContent": "",
    }
)
TEXTS["status accessdenied"] = json.dumps(
    {"CommandId": "0a1b", "InstanceId": VICTIM, "Status": "Failed", "StatusDetails": "AccessDenied"}
)
TEXTS["status deliverytimedout text"] = "Status: TimedOut  StatusDetails: DeliveryTimedOut  InstanceId: " + VICTIM
TEXTS["platform log"] = (
    f"2026-11-23 10:00:00,123 ERROR [acquire.ec2] worker-3 Failed to start triage on {VICTIM}: "
    + cli("SendCommand", denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}"))
    + "\n2026-11-23 10:00:01,456 INFO retrying\n2026-11-23 10:00:02,000 ERROR [acquire.ebs] "
    + cli("GetSnapshotBlock", denied("kms:Decrypt", f"on resource: {KEY} {nobody('kms:Decrypt')}"))
)
TEXTS["boto3 traceback"] = (
    'Traceback (most recent call last):\n  File "/srv/cado/triage.py", line 88, in run\n    self.ssm.send_command(InstanceIds=[i], DocumentName="AWS-RunShellScript")\n  File "/usr/lib/python3.11/site-packages/botocore/client.py", line 602, in _api_call\n    return self._make_api_call(operation_name, kwargs)\nbotocore.exceptions.ClientError: '
    + cli("SendCommand", denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}"))
)
TEXTS["console box"] = (
    f"You don't have permission to ec2:DescribeInstances. To request access, copy the following text and send it to your AWS administrator. Learn more\nUser: {SSO}\nService: ec2\nAction: DescribeInstances\nOn resource(s): *\nContext: no identity-based policy allows the action"
)
TEXTS["console box 2"] = (
    f"Access denied to kms:Decrypt\nYou don't have permission to kms:Decrypt. To request access, copy the following text and send it to your AWS administrator.\nUser: {CADO}\nAction: kms:Decrypt\nOn resource(s): {KEY}\nContext: no identity-based policy allows the kms:Decrypt action"
)
TEXTS["console box explicit"] = (
    f"User: {CADO}\nAction: ec2:CreateSnapshot\nOn resource(s): arn:aws:ec2:eu-west-1:{A}:volume/vol-0a1b2c3d4e5f60718\nContext: a service control policy explicitly denies the action"
)
TEXTS["console box deny 2026"] = (
    f"User: {CADO}\nAction: ec2:CreateSnapshot\nOn resource(s): *\nContext: with an explicit deny in a service control policy: {SCP}"
)
TEXTS["ssm console banner"] = (
    f"{denied('ssm:DescribeInstanceInformation', f'on resource: arn:aws:ssm:eu-west-1:{A}:* ' + nobody('ssm:DescribeInstanceInformation'), SSO)} (Service: AmazonSSM; Status Code: 400; Error Code: AccessDeniedException; Request ID: 1; Proxy: null)"
)
TEXTS["terraform"] = (
    f"│ Error: creating KMS Grant: operation error KMS: CreateGrant, https response error StatusCode: 400, RequestID: 0a1b, api error AccessDeniedException: {denied('kms:CreateGrant', f'on resource: {KEY} ' + nobody('kms:CreateGrant'), OPS)}\n│ \n│   with aws_kms_grant.cado,"
)
TEXTS["xml"] = (
    f"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{denied('sts:AssumeRole', f'on resource: arn:aws:iam::{B}:role/CadoResponseRole', OPS)}</Message></Error></ErrorResponse>"
)
TEXTS["agent ssmmessages"] = (
    f"ERROR failed to create websocket for datachannel with error: CreateDataChannel failed with no output or error: createDataChannel request failed: unexpected response from the service <AccessDeniedException>\n<Message>User: arn:aws:sts::{A}:assumed-role/EC2-SSM/{VICTIM} is not authorized to perform: ssmmessages:CreateDataChannel on resource: arn:aws:ssmmessages:eu-west-1:{A}:* with an explicit deny in a service control policy</Message>\n</AccessDeniedException>"
)
TEXTS["agent update"] = (
    f"error while loading AssociationManager: AccessDeniedException: {denied('ssm:UpdateInstanceInformation', f'on resource: {INST} ' + nobody('ssm:UpdateInstanceInformation'), f'arn:aws:sts::{A}:assumed-role/app-role/{VICTIM}')}\n\tstatus code: 400, request id: 1"
)
TEXTS["ebs direct"] = cli(
    "ListSnapshotBlocks",
    denied(
        "ebs:ListSnapshotBlocks",
        f"on resource: arn:aws:ec2:eu-west-1::snapshot/snap-0a1b2c3d4e5f60718 {nobody('ebs:ListSnapshotBlocks')}",
    ),
)
TEXTS["snapshot copy error"] = json.dumps(
    {
        "Snapshots": [
            {
                "SnapshotId": "snap-0a1b2c3d4e5f60718",
                "State": "error",
                "StateMessage": "Given key ID is not accessible",
            }
        ]
    }
)
TEXTS["org listaccounts"] = cli(
    "ListAccounts", "You don't have permissions to access this resource.", "AccessDeniedException"
)
TEXTS["iam user"] = cli(
    "SendCommand",
    denied(
        "ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}", f"arn:aws:iam::{A}:user/ops/alice"
    ),
)
TEXTS["quarantine"] = cli(
    "CreateTags",
    f"You are not authorized to perform this operation. User: arn:aws:iam::{A}:user/alice is not authorized to perform: ec2:CreateTags on resource: {INST} with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
    "UnauthorizedOperation",
)
TEXTS["python repr"] = repr(
    {
        "Error": {
            "Message": denied("kms:Decrypt", f"on resource: {KEY} {nobody('kms:Decrypt')}"),
            "Code": "AccessDeniedException",
        },
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
)
TEXTS["json log"] = json.dumps(
    {
        "level": "error",
        "ts": 1764000000,
        "msg": "triage failed: "
        + cli("SendCommand", denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}")),
        "account": A,
        "region": "eu-west-1",
    }
)
TEXTS["unknown code"] = cli("SendCommand", "The thing is odd", "SomethingOddException")
TEXTS["unknown text"] = "The acquisition failed, please try again later."
TEXTS["unknown azure"] = (
    "AuthorizationFailed: The client 'alice' with object id '0' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read' over scope '/subscriptions/1'"
)
TEXTS["unknown gcp"] = (
    "googleapi: Error 403: Required 'compute.instances.get' permission for 'projects/p/zones/z/instances/i', forbidden"
)
TEXTS["unknown k8s"] = (
    'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"'
)
TEXTS["unknown permission denied"] = "bash: ./x: Permission denied"
TEXTS["unknown smtp"] = "550 5.7.1 Access denied"
TEXTS["unknown throttled other"] = "HTTP 429 Too Many Requests from api.example.com"
TEXTS["invocation does not exist"] = (
    "botocore.errorfactory.InvocationDoesNotExist: An error occurred (InvocationDoesNotExist) when calling the GetCommandInvocation operation: "
)
TEXTS["terminate session"] = cli(
    "TerminateSession",
    denied(
        "ssm:TerminateSession",
        f"on resource: arn:aws:ssm:ap-southeast-1:{A}:session/alice-0a1b2c3d4e5f60718 {nobody('ssm:TerminateSession')}",
        SSO,
    ),
)
TEXTS["access key"] = cli(
    "SendCommand",
    "User: arn:aws:sts::111111111111:assumed-role/CadoResponseRole/AcquireSession is not authorized to perform: ssm:SendCommand on resource: arn:aws:ec2:us-east-1:111111111111:instance/i-0a1b2c3d because no identity-based policy allows the ssm:SendCommand action",
)
TEXTS["go to link"] = denied(
    "ssm:SendCommand",
    f"on resource: {INST} {nobody('ssm:SendCommand')}. Go to https://eu-west-1.console.aws.amazon.com/iam/home?region=eu-west-1#/authorization-details/abc123 for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: abc123",
)
TEXTS["boundary explicit"] = denied(
    "ssm:SendCommand", f"on resource: {INST} with an explicit deny in a permissions boundary: {BPOL}"
)
TEXTS["cli v2 prefix"] = "aws: [ERROR]: " + cli(
    "SendCommand", denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}")
)
TEXTS["powershell"] = (
    f"Send-SSMCommand : {denied('ssm:SendCommand', f'on resource: {INST} ' + nobody('ssm:SendCommand'))}\nAt line:1 char:1\n+ Send-SSMCommand -InstanceId {VICTIM}\n+ CategoryInfo : InvalidOperation: (Amazon.PowerShe...mmandCmdlet:SendSSMCommandCmdlet) [Send-SSMCommand], InvalidOperationException"
)
TEXTS["no resource"] = cli(
    "DescribeInstances",
    f"You are not authorized to perform this operation. User: {CADO} is not authorized to perform: ec2:DescribeInstances {nobody('ec2:DescribeInstances')}",
    "UnauthorizedOperation",
)
TEXTS["webidentity"] = cli(
    "AssumeRoleWithWebIdentity", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "AccessDenied"
)
TEXTS["ambiguous access denied"] = cli("AssumeRole", "Access denied", "AccessDenied")
TEXTS["session explicit"] = denied("kms:Decrypt", f"on resource: {KEY} with an explicit deny in a session policy")
TEXTS["region disabled"] = cli(
    "AssumeRole",
    f"STS is not activated in this region for account:{A}. Your account administrator can activate STS in this region using the IAM Console.",
    "RegionDisabledException",
)
TEXTS["snapshot limit"] = cli(
    "CreateSnapshot", "Maximum allowed active snapshot limit exceeded.", "SnapshotLimitExceeded"
)
TEXTS["aws managed share"] = cli(
    "ModifySnapshotAttribute",
    "Snapshots encrypted with the AWS Managed CMK can't be shared",
    "OperationNotPermitted",
)
TEXTS["two same family"] = "\n".join(
    cli(
        "SendCommand",
        denied(
            "ssm:SendCommand", f"on resource: arn:aws:ec2:{r}:{A}:instance/{VICTIM} {nobody('ssm:SendCommand')}"
        ),
    )
    for r in ("eu-west-1", "us-east-1")
)
TEXTS["event no message"] = json.dumps(
    {
        "eventSource": "ec2.amazonaws.com",
        "eventName": "CreateSnapshot",
        "awsRegion": "eu-west-1",
        "errorCode": "Client.UnauthorizedOperation",
        "userIdentity": {"arn": CADO},
    }
)
TEXTS["event notfound"] = json.dumps(
    {
        "eventSource": "ec2.amazonaws.com",
        "eventName": "CreateTags",
        "awsRegion": "eu-west-1",
        "errorCode": "Client.InvalidInstanceID.NotFound",
        "errorMessage": f"The instance ID '{VICTIM}' does not exist",
        "recipientAccountId": A,
    }
)
TEXTS["decoded"] = json.dumps(
    {
        "DecodedMessage": json.dumps(
            {
                "allowed": False,
                "explicitDeny": True,
                "matchedStatements": {
                    "items": [
                        {
                            "statementId": "DenyRegions",
                            "effect": "DENY",
                            "principals": {},
                            "actions": {},
                            "resources": {},
                            "conditions": {},
                            "sourcePolicyId": "p-1",
                            "sourcePolicyType": "SERVICE_CONTROL_POLICY",
                        }
                    ]
                },
                "failures": {"items": []},
                "context": {
                    "principal": {"id": "AROA", "arn": OPS},
                    "action": "ec2:CreateTags",
                    "resource": INST,
                    "conditions": {"items": []},
                },
            }
        )
    }
)
TEXTS["slack quote"] = (
    ">>> `"
    + cli("SendCommand", denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}"))
    + "` any idea?"
)
TEXTS["markdown"] = (
    "I get:\n```\n"
    + cli("Decrypt", denied("kms:Decrypt", f"on resource: {KEY} {nobody('kms:Decrypt')}"))
    + "\n```\nplease help"
)
TEXTS["wrapped"] = "\n".join(
    cli(
        "SendCommand",
        denied(
            "ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}: arn:aws:iam::{A}:policy/CadoSSM"
        ),
    )[i : i + 80]
    for i in range(0, 400, 80)
)
TEXTS["policy arn then user"] = (
    denied("ssm:SendCommand", f"on resource: {INST} {nobody('ssm:SendCommand')}") + "\n" + CADO + " tried again"
)
TEXTS["kms cause on behalf"] = cli(
    "RunInstances",
    "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
    "Client.InvalidKMSKey.InvalidState",
)
TEXTS["state reason"] = (
    '{"StateReason": {"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}}'
)
TEXTS["ebs validation"] = cli(
    "ListSnapshotBlocks", "The snapshot 'snap-0a1b2c3d4e5f60718' does not exist.", "ResourceNotFoundException"
)
TEXTS["hidden creds"] = denied(
    "ssm:SendCommand", f"on resource: arn:aws:ec2:eu-west-1:{A}:instance/* {nobody('ssm:SendCommand')}"
)
TEXTS["passrole"] = denied(
    "iam:PassRole", f"on resource: arn:aws:iam::{A}:role/CadoWorker {nobody('iam:PassRole')}"
)
TEXTS["s3 cado bucket"] = cli(
    "PutObject",
    denied(
        "s3:PutObject",
        'on resource: "arn:aws:s3:::cado-evidence/IR 42/disk.dd" because no resource-based policy allows the s3:PutObject action',
    ),
    "AccessDenied",
)
TEXTS["token invalid"] = cli(
    "AssumeRole", "The security token included in the request is invalid.", "InvalidClientTokenId"
)
TEXTS["mfa"] = cli(
    "AssumeRole", "MultiFactorAuthentication failed with invalid MFA one time pass code. ", "AccessDenied"
)
TEXTS["duration"] = cli(
    "AssumeRole",
    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    "ValidationError",
)
TEXTS["endpoint"] = 'Could not connect to the endpoint URL: "https://ssm.eu-wst-1.amazonaws.com/"'
TEXTS["ssl"] = (
    "SSL validation failed for https://ssm.eu-west-1.amazonaws.com/ [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self signed certificate in certificate chain"
)
TEXTS["plugin"] = (
    "SessionManagerPlugin is not found. Please refer to SessionManager Documentation here: http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found"
)
TEXTS["unsupported"] = cli(
    "SendCommand", "The document does not support the platform type", "UnsupportedPlatformType"
)
TEXTS["invalid doc"] = cli("SendCommand", "Document with name AWS-RunShelScript does not exist.", "InvalidDocument")
TEXTS["kms unknown key id"] = cli("CreateGrant", "Invalid keyId 'abcd'", "NotFoundException")
TEXTS["unknown rds"] = cli("DescribeDBInstances", "DBInstance db-1 not found.", "DBInstanceNotFound")
TEXTS["unknown py"] = "KeyError: 'InstanceId'"
TEXTS["unknown sudo"] = "alice is not in the sudoers file. This incident will be reported."
TEXTS["unknown github"] = (
    "ERROR: Permission to org/repo.git denied to alice. fatal: Could not read from remote repository."
)
TEXTS["unknown not authorized"] = "You are not authorized to view this page"
TEXTS["unknown vault"] = "Error making API request. Code: 403. Errors: * permission denied"
TEXTS["unknown oracle"] = (
    "Service error:NotAuthorizedOrNotFound. Authorization failed or requested resource not found.. http status code: 404"
)
TEXTS["unknown docker"] = "denied: User: anonymous is not allowed to push"

NAMES = ("kind", "action", "resource", "principal", "denied_by", "explicit", "policy_arn", "fix")
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "policy arn behind implicit": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, f"arn:aws:iam::{A}:policy/CadoSSM", f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "policy arn implicit boundary": [("permissions-boundary", "kms:CreateGrant", KEY, OPS, "permissions-boundary", False, BPOL, None)],
    "policy arn implicit scp": [("scp", "ec2:CreateTags", INST, OPS, "scp", False, SCP, None)],
    "policy arn in parens": [("permissions-boundary", "ec2:CreateTags", INST, OPS, "permissions-boundary", False, BPOL, None)],
    "policy arn before allows": [("permissions-boundary", "ec2:CreateTags", INST, OPS, "permissions-boundary", False, BPOL, None)],
    "rcp explicit arn": [("rcp", "kms:Decrypt", KEY, CADO, "rcp", True, RCP, None)],
    "resource policy implicit on instance": [("resource-policy", "ssm:SendCommand", INST, CADO, "resource-policy", False, None, None)],
    "resource policy explicit on instance": [("resource-policy", "ssm:SendCommand", INST, CADO, "resource-policy", True, None, None)],
    "session policy on instance": [("session-policy", "ssm:SendCommand", INST, CADO, "session-policy", False, None, None)],
    "vpce on instance": [("vpc-endpoint-policy", "ssm:SendCommand", INST, CADO, "vpc-endpoint-policy", False, None, None)],
    "vpce explicit arn": [("vpc-endpoint-policy", "ssm:SendCommand", INST, CADO, "vpc-endpoint-policy", True, f"arn:aws:ec2:eu-west-1:{A}:vpc-endpoint/vpce-0a1b2c3d4e5f60718", None)],
    "startsession scp": [("scp", "ssm:StartSession", INST, SSO, "scp", True, None, None)],
    "startsession instance cli": [("missing-tag", "ssm:StartSession", INST, SSO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "startsession document": [("document-not-allowed", "ssm:StartSession", f"arn:aws:ssm:eu-west-1:{A}:document/SSM-SessionManagerRunShell", SSO, "identity-policy", False, None, None)],
    "sendcommand document": [("document-not-allowed", "ssm:SendCommand", "arn:aws:ssm:us-gov-west-1::document/AWS-RunShellScript", f"arn:aws-us-gov:sts::{A}:assumed-role/CadoResponseRole/cado-session", "identity-policy", False, None, None)],
    "sendcommand mi": [("not-allowed", "ssm:SendCommand", f"arn:aws:ssm:eu-west-1:{A}:managed-instance/m{VICTIM}", CADO, "identity-policy", False, None, None)],
    "getcommandinvocation": [("not-allowed", "ssm:GetCommandInvocation", f"arn:aws:ssm:eu-central-1:{A}:*", CADO, "identity-policy", False, None, None)],
    "waiter": [("not-allowed", "ssm:GetCommandInvocation", f"arn:aws:ssm:eu-central-1:{A}:*", CADO, "identity-policy", False, None, None)],
    "describe inst info": [("not-allowed", "ssm:DescribeInstanceInformation", f"arn:aws:ssm:eu-central-1:{A}:*", CADO, "identity-policy", False, None, None)],
    "sendcommand no reason": [("missing-tag", "ssm:SendCommand", INST, CADO, "unknown", None, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "china": [("missing-tag", "ssm:SendCommand", f"arn:aws-cn:ec2:cn-north-1:{A}:instance/{VICTIM}", f"arn:aws-cn:sts::{A}:assumed-role/CadoResponseRole/cado-session", "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region cn-north-1")],
    "cloudtrail kms": [("grant-missing", "kms:Decrypt", KEY, CADO, "unknown", None, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "cloudtrail tag": [("missing-tag", "ssm:SendCommand", f"arn:aws:ec2:ap-southeast-2:{A}:instance/{VICTIM}", CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region ap-southeast-2")],
    "cloudtrail ec2 dryrun unauthorized": [("scp", "ec2:CreateTags", INST, OPS, "scp", True, None, None)],
    "ec2 encoded": [("not-allowed", "ec2:CreateTags", INST, OPS, "identity-policy", False, None, None)],
    "ec2 encoded alone": [("encoded", "ec2:CreateSnapshot", None, None, "unknown", None, None, "aws sts decode-authorization-message --query DecodedMessage --output text --encoded-message=-0l_KPWQJ8q5z3YatP3Ybgb5lf0dibDhN6")],
    "ec2 plain": [("denied", "ec2:DescribeInstances", None, None, "unknown", None, None, None)],
    "ec2 snapshot explicit idp arn": [("explicit-deny", "ec2:CreateSnapshot", f"arn:aws:ec2:eu-west-1:{A}:volume/vol-0a1b2c3d4e5f60718", CADO, "identity-policy", True, f"arn:aws:iam::{A}:policy/NoSnapshots", None)],
    "assume role cli": [("role-refused", "sts:AssumeRole", f"arn:aws:iam::{B}:role/CadoOperator", SSO, "unknown", None, None, None)],
    "assume role not trust": [("trust-refused", "sts:AssumeRole", f"arn:aws:iam::{B}:role/CadoOperator", SSO, "trust-policy", False, None, None)],
    "assume role idp": [("role-refused", "sts:AssumeRole", f"arn:aws:iam::{B}:role/CadoOperator", SSO, "identity-policy", False, None, None)],
    "assume role scp": [("scp", "sts:AssumeRole", f"arn:aws:iam::{B}:role/CadoOperator", SSO, "scp", True, None, None)],
    "sts tagsession": [("role-refused", "sts:TagSession", f"arn:aws:iam::{B}:role/CadoOperator", SSO, "unknown", None, None, None)],
    "kms decrypt implicit": [("grant-missing", "kms:Decrypt", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "kms decrypt resource policy": [("grant-missing", "kms:Decrypt", KEY, CADO, "resource-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "kms decrypt ciphertext": [("grant-missing", "kms:Decrypt", None, CADO, "unknown", None, None, None)],
    "kms gdk mrk": [("grant-missing", "kms:GenerateDataKeyWithoutPlaintext", MRK, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {MRK} --account {A} --region us-east-2")],
    "kms explicit resource": [("key-policy", "kms:Decrypt", KEY, CADO, "resource-policy", True, None, None)],
    "kms creategrant operator": [("grant-not-allowed", "kms:CreateGrant", KEY, OPS, "identity-policy", False, None, None)],
    "kms legacy": [("grant-missing", "ec2:CopySnapshot", None, None, "unknown", None, None, None)],
    "kms java": [("grant-missing", "kms:DescribeKey", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "kms cado other name": [("grant-missing", "kms:Decrypt", KEY, f"arn:aws:sts::{A}:assumed-role/StackSet-x-CadoResponseRole-1A2B3C/s", "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1 --cado-role StackSet-x-CadoResponseRole-1A2B3C")],
    "kms cross account": [("grant-missing", "kms:Decrypt", KEY, f"arn:aws:sts::{B}:assumed-role/CadoResponseRole/cado-session", "resource-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1 --grantee arn:aws:iam::{B}:role/CadoResponseRole")],
    "kms disabled": [("key-disabled", "kms:Decrypt", KEY, None, "unknown", None, None, None)],
    "kms pending deletion": [("key-pending-deletion", "kms:CreateGrant", KEY, None, "unknown", None, None, None)],
    "kms notfound": [("key-not-found", "kms:DescribeKey", KEY, None, "unknown", None, None, None)],
    "kms invalidarn": [("grantee-missing", "kms:CreateGrant", None, None, "unknown", None, None, None)],
    "kms limit": [("grant-quota", "kms:CreateGrant", None, None, "unknown", None, None, None)],
    "kms throttle": [("throttled", "kms:ListGrants", None, None, "unknown", None, None, None)],
    "ec2 throttle": [("throttled", "ec2:DescribeInstances", None, None, "unknown", None, None, None)],
    "invalid instance id": [("agent-offline", "ssm:SendCommand", VICTIM, None, "unknown", None, None, f"cado-ops check {VICTIM} --account {A}")],
    "invalid instance id bare": [("agent-offline", "ssm:SendCommand", None, None, "unknown", None, None, None)],
    "invalid instance null js": [("agent-offline", None, None, None, "unknown", None, None, None)],
    "several instances": [("agent-offline", None, f"{VICTIM}, i-0123456789abcdef0", None, "unknown", None, None, f"cado-ops check {VICTIM} i-0123456789abcdef0 --account {A}")],
    "target not connected": [("agent-offline", "ssm:StartSession", VICTIM, None, "unknown", None, None, f"cado-ops check {VICTIM}")],
    "notfound instance": [("not-found", "ec2:CreateTags", VICTIM, None, "unknown", None, None, None)],
    "tag limit": [("tag-quota", "ec2:CreateTags", None, None, "unknown", None, None, None)],
    "expired": [("credentials-expired", "sts:GetCallerIdentity", None, None, "unknown", None, None, None)],
    "invalid token optin": [("credentials-invalid", "ec2:DescribeInstances", None, None, "unknown", None, None, None)],
    "no creds": [("credentials-missing", None, None, None, "unknown", None, None, None)],
    "sso": [("credentials-expired", None, None, None, "unknown", None, None, "aws sso login")],
    "status undeliverable": [("command-undeliverable", "ssm:SendCommand", VICTIM, None, "unknown", None, None, None)],
    "status accessdenied": [("command-access-denied", "ssm:SendCommand", VICTIM, None, "unknown", None, None, f"cado-ops tag-instances {VICTIM}")],
    "status deliverytimedout text": [("command-delivery-timed-out", "ssm:SendCommand", VICTIM, None, "unknown", None, None, None)],
    "platform log": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1"), ("grant-missing", "kms:Decrypt", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "boto3 traceback": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "console box": [("not-allowed", "ec2:DescribeInstances", "*", SSO, "identity-policy", False, None, None)],
    "console box 2": [("grant-missing", "kms:Decrypt", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "console box explicit": [("scp", "ec2:CreateSnapshot", f"arn:aws:ec2:eu-west-1:{A}:volume/vol-0a1b2c3d4e5f60718", CADO, "scp", True, None, None)],
    "console box deny 2026": [("scp", "ec2:CreateSnapshot", "*", CADO, "scp", True, SCP, None)],
    "ssm console banner": [("not-allowed", "ssm:DescribeInstanceInformation", f"arn:aws:ssm:eu-west-1:{A}:*", SSO, "identity-policy", False, None, None)],
    "terraform": [("grant-not-allowed", "kms:CreateGrant", KEY, OPS, "identity-policy", False, None, None)],
    "xml": [("role-refused", "sts:AssumeRole", f"arn:aws:iam::{B}:role/CadoResponseRole", OPS, "unknown", None, None, None)],
    "agent ssmmessages": [("scp", "ssmmessages:CreateDataChannel", f"arn:aws:ssmmessages:eu-west-1:{A}:*", f"arn:aws:sts::{A}:assumed-role/EC2-SSM/{VICTIM}", "scp", True, None, None)],
    "agent update": [("not-allowed", "ssm:UpdateInstanceInformation", INST, f"arn:aws:sts::{A}:assumed-role/app-role/{VICTIM}", "identity-policy", False, None, None)],
    "ebs direct": [("not-allowed", "ebs:ListSnapshotBlocks", "arn:aws:ec2:eu-west-1::snapshot/snap-0a1b2c3d4e5f60718", CADO, "identity-policy", False, None, None)],
    "snapshot copy error": [("grant-missing", None, "snap-0a1b2c3d4e5f60718", None, "unknown", None, None, "cado-ops kms grant --snapshot-id snap-0a1b2c3d4e5f60718")],
    "org listaccounts": [("organization-closed", "organizations:ListAccounts", None, None, "unknown", None, None, None)],
    "iam user": [("missing-tag", "ssm:SendCommand", INST, f"arn:aws:iam::{A}:user/ops/alice", "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "quarantine": [("quarantined", "ec2:CreateTags", INST, f"arn:aws:iam::{A}:user/alice", "identity-policy", True, "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", None)],
    "python repr": [("grant-missing", "kms:Decrypt", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "json log": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "unknown code": [("unknown", "ssm:SendCommand", None, None, "unknown", None, None, None)],
    "unknown text": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown azure": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown gcp": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown k8s": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown permission denied": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown smtp": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown throttled other": [("unknown", None, None, None, "unknown", None, None, None)],
    "invocation does not exist": [("command-unknown", "ssm:GetCommandInvocation", None, None, "unknown", None, None, None)],
    "terminate session": [("not-allowed", "ssm:TerminateSession", f"arn:aws:ssm:ap-southeast-1:{A}:session/alice-0a1b2c3d4e5f60718", SSO, "identity-policy", False, None, None)],
    "access key": [("missing-tag", "ssm:SendCommand", f"arn:aws:ec2:us-east-1:{A}:instance/i-0a1b2c3d", f"arn:aws:sts::{A}:assumed-role/CadoResponseRole/AcquireSession", "identity-policy", False, None, f"cado-ops tag-instances i-0a1b2c3d --account {A} --region us-east-1")],
    "go to link": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "boundary explicit": [("permissions-boundary", "ssm:SendCommand", INST, CADO, "permissions-boundary", True, BPOL, None)],
    "cli v2 prefix": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "powershell": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "no resource": [("not-allowed", "ec2:DescribeInstances", None, CADO, "identity-policy", False, None, None)],
    "webidentity": [("role-refused", "sts:AssumeRoleWithWebIdentity", None, None, "unknown", None, None, None)],
    "ambiguous access denied": [("role-refused", "sts:AssumeRole", None, None, "unknown", None, None, None)],
    "session explicit": [("session-policy", "kms:Decrypt", KEY, CADO, "session-policy", True, None, None)],
    "region disabled": [("region-disabled", "sts:AssumeRole", None, None, "unknown", None, None, None)],
    "snapshot limit": [("quota", "ec2:CreateSnapshot", None, None, "unknown", None, None, None)],
    "aws managed share": [("aws-managed-key", "ec2:ModifySnapshotAttribute", None, None, "unknown", None, None, None)],
    "two same family": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1"), ("missing-tag", "ssm:SendCommand", f"arn:aws:ec2:us-east-1:{A}:instance/{VICTIM}", CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region us-east-1")],
    "event no message": [("denied", "ec2:CreateSnapshot", None, CADO, "unknown", None, None, None)],
    "event notfound": [("not-found", "ec2:CreateTags", VICTIM, None, "unknown", None, None, None)],
    "decoded": [("scp", "ec2:CreateTags", INST, OPS, "scp", True, None, None)],
    "slack quote": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "markdown": [("grant-missing", "kms:Decrypt", KEY, CADO, "identity-policy", False, None, f"cado-ops kms grant --key {KEY} --account {A} --region eu-west-1")],
    "wrapped": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, f"arn:aws:iam::{A}:policy/CadoSSM", f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "policy arn then user": [("missing-tag", "ssm:SendCommand", INST, CADO, "identity-policy", False, None, f"cado-ops tag-instances {VICTIM} --account {A} --region eu-west-1")],
    "kms cause on behalf": [("grant-missing", "ec2:RunInstances", None, None, "unknown", None, None, None)],
    "state reason": [("aws-fault", None, None, None, "unknown", None, None, None)],
    "ebs validation": [("not-found", "ebs:ListSnapshotBlocks", "snap-0a1b2c3d4e5f60718", None, "unknown", None, None, None)],
    "hidden creds": [("not-allowed", "ssm:SendCommand", f"arn:aws:ec2:eu-west-1:{A}:instance/*", CADO, "identity-policy", False, None, None)],
    "passrole": [("not-allowed", "iam:PassRole", f"arn:aws:iam::{A}:role/CadoWorker", CADO, "identity-policy", False, None, None)],
    "s3 cado bucket": [("resource-policy", "s3:PutObject", "arn:aws:s3:::cado-evidence/IR 42/disk.dd", CADO, "resource-policy", False, None, None)],
    "token invalid": [("credentials-invalid", "sts:AssumeRole", None, None, "unknown", None, None, None)],
    "mfa": [("mfa-refused", "sts:AssumeRole", None, None, "unknown", None, None, None)],
    "duration": [("session-too-long", "sts:AssumeRole", None, None, "unknown", None, None, None)],
    "endpoint": [("unreachable", None, None, None, "unknown", None, None, None)],
    "ssl": [("tls-refused", None, None, None, "unknown", None, None, None)],
    "plugin": [("plugin-missing", None, None, None, "unknown", None, None, None)],
    "unsupported": [("command-invalid-platform", "ssm:SendCommand", None, None, "unknown", None, None, None)],
    "invalid doc": [("document-missing", "ssm:SendCommand", None, None, "unknown", None, None, None)],
    "kms unknown key id": [("key-not-found", "kms:CreateGrant", None, None, "unknown", None, None, None)],
    "unknown rds": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown py": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown sudo": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown github": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown not authorized": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown vault": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown oracle": [("unknown", None, None, None, "unknown", None, None, None)],
    "unknown docker": [("unknown", None, None, None, "unknown", None, None, None)],
}  # fmt: skip

# What a cause has to say, by kind: it must fit what happened, and send nobody the wrong way.
CAUSES = {
    "missing-tag": "CadoResponseSSMEnabled=True",
    "document-not-allowed": "the document that is not allowed, not the instance",
    "scp": "service control policy",
    "rcp": "resource control policy",
    "permissions-boundary": "permissions boundary",
    "session-policy": "session's own policy",
    "vpc-endpoint-policy": "VPC endpoint",
    "resource-policy": "resource's own policy",
    "trust-refused": "trust policy",
    "key-policy": "No grant helps",
    "explicit-deny": "no allow outweighs",
    "grant-missing": "grant",
    "agent-offline": "agent",
    "quarantined": "stolen",
    "unknown": "makes no guess",
}


def told(text: str) -> list[dict[str, Any]]:
    return [each.as_item() for each in explain(read(text))]


def test_every_text_has_its_expectation() -> None:
    assert list(TEXTS) == list(EXPECTED)
    assert len(TEXTS) > 100


@pytest.mark.parametrize("name", list(TEXTS))
def test_each_field_of_each_message(name: str) -> None:
    items = told(TEXTS[name])
    assert [tuple(item[each] for each in NAMES) for item in items] == EXPECTED[name]
    for item in items:
        assert CAUSES.get(item["kind"], "") in item["cause"]
        assert item["kind"] in ("missing-tag", "command-access-denied") or "is the missing tag" not in item["cause"]
        if item["policy_arn"] and item["kind"] in ("scp", "permissions-boundary", "explicit-deny"):
            assert item["policy_arn"] in item["cause"]


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("unknown")])
def test_what_is_not_known_is_not_guessed_at(name: str) -> None:
    [item] = told(TEXTS[name])
    assert (item["kind"], item["denied_by"], item["fix"], item["explicit"]) == ("unknown", "unknown", None, None)


@pytest.mark.parametrize("name", [name for name in TEXTS if any(row[-1] for row in EXPECTED[name])])
def test_a_fix_is_a_command_line_that_names_what_the_message_is_about(name: str) -> None:
    for item in told(TEXTS[name]):
        if item["fix"] is None or item["fix"].startswith("aws "):
            continue
        words = shlex.split(item["fix"])
        assert words[0] == "cado-ops"
        assert words[1] in ("tag-instances", "kms", "check")
        about = [item["resource"]] if words[1] == "kms" else item["resource"].rpartition("/")[2].split(", ")
        assert set(about) <= set(words)
        parts = item["resource"].split(":")
        if len(parts) > 5:
            assert words[words.index("--account") + 1] == parts[4]
            assert words[words.index("--region") + 1] == parts[3]
