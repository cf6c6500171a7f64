"""The tables of known errors, made ready for looking things up: by code, by phrase, by Run Command's status."""

from __future__ import annotations

import re
from typing import NamedTuple

from cado_ops.verdict.denial.known_access import ACCESS, DENIED_CODES
from cado_ops.verdict.denial.known_acquisition import ACQUISITION
from cado_ops.verdict.denial.model import Known

KNOWN = (*ACQUISITION, *ACCESS)
BY_CODE = {code: known for known in reversed(KNOWN) for code in known.codes}
CODES = frozenset(BY_CODE) | DENIED_CODES | {"OperationNotPermitted", "UnmodifiableEntity"}
# Words that other programs use for errors of theirs: AWS's only where something of AWS's stands around them.
COMMON = frozenset(
    {
        "ExpiredToken",
        "AuthorizationError", "Blocked", "ConflictException", "ConnectTimeoutError", "ConnectionClosedError",
        "DisabledException", "DoesNotExistException", "IncorrectState", "InternalError", "InternalFailure",
        "InternalServerError", "InternalServerException", "InvalidFilter", "InvalidID", "InvalidInputException",
        "InvalidParameter", "InvalidParameterException", "InvalidRequest", "InvalidRequestException",
        "InvalidSecurity", "LimitExceeded", "LimitExceededException", "MissingParameter", "NotAuthorized",
        "NotAuthorizedException", "NotFoundException", "OperationNotPermitted", "ProxyConnectionError",
        "ReadTimeoutError", "ResourceNotFoundException", "ServiceUnavailable", "ServiceUnavailableException",
        "SlowDown", "Throttling", "TooManyRequestsException", "UnauthorizedAccess", "UnauthorizedException",
        "Unavailable", "UnknownParameter", "ValidationError", "ValidationException",
    }
)  # fmt: skip


class Phrase(NamedTuple):
    """``literal`` is in every text that ``pattern`` can match: looked for first, because that is quick."""

    pattern: re.Pattern[str]
    literal: str
    known: Known


_LITERAL = re.compile(r"[A-Za-z][A-Za-z ]{3,}[a-z]")


def _phrase(text: str, known: Known) -> Phrase:
    # The longest word outside of groups and classes, without letters that may be missing.
    outside = re.sub(r"\[[^\]]*\]|\\.|\{[^}]*\}", "\0", re.sub(r"\((?:[^()]|\([^()]*\))*\)\??|\w\?", "\0", text))
    words = [word for run in _LITERAL.findall(outside) for word in run.split(" ")]
    return Phrase(re.compile(text.replace(" ", r"\s")), max(words, key=len, default=""), known)


PHRASES = tuple(_phrase(text, known) for known in KNOWN for text in known.phrases)

# Which service an operation is of, where the text names the operation alone.
_OPERATIONS = {
    "ssm": "SendCommand StartSession TerminateSession ResumeSession GetCommandInvocation ListCommandInvocations "
    "ListCommands DescribeInstanceInformation GetConnectionStatus DescribeSessions CancelCommand GetDocument",
    "kms": "CreateGrant ListGrants RetireGrant RevokeGrant ListRetirableGrants Decrypt Encrypt ReEncrypt "
    "GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey ListKeys ListAliases GetKeyPolicy",
    "ec2": "CreateTags DeleteTags DescribeTags DescribeInstances DescribeVolumes DescribeSnapshots DescribeRegions "
    "CreateSnapshot CreateSnapshots CopySnapshot DeleteSnapshot ModifySnapshotAttribute CreateVolume "
    "AttachVolume DetachVolume DeleteVolume RunInstances StartInstances StopInstances TerminateInstances "
    "ModifyInstanceAttribute GetPasswordData CreateImage DescribeImages",
    "ebs": "ListSnapshotBlocks ListChangedBlocks GetSnapshotBlock StartSnapshot PutSnapshotBlock CompleteSnapshot",
    "sts": "AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithSAML GetCallerIdentity GetSessionToken "
    "GetFederationToken DecodeAuthorizationMessage",
    "organizations": "ListAccounts ListAccountsForParent ListRoots ListOrganizationalUnitsForParent "
    "DescribeOrganization",
    "iam": "GetRole ListRoles PassRole SimulatePrincipalPolicy GetRolePolicy",
}
_SERVICE_OF = {operation: service for service, names in _OPERATIONS.items() for operation in names.split()}


def action_of(operation: str | None) -> str | None:
    """``ssm:SendCommand`` for ``SendCommand``; None where several services may have it."""
    service = _SERVICE_OF.get(operation or "")
    return f"{service}:{operation}" if service else None


def may_be_one(code: str | None, other: str | None) -> bool:
    """Whether two codes may be of one error: services call a denial by several names."""
    return code is None or other is None or code == other or {code, other} <= DENIED_CODES


def bare(code: str | None) -> str | None:
    """A code without what CloudTrail and the JSON protocols put around it: Client.…, …#…, …:http://…"""
    if code is None:
        return None
    code = code.strip().rpartition("#")[2].partition(":")[0]
    for prefix in ("Client.", "Server."):
        code = code.removeprefix(prefix)
    return code or None
