"""Errors on the way of an acquisition: Systems Manager, KMS, snapshots and blocks.

Sources: Systems Manager API reference, "SendCommand", "StartSession", "GetCommandInvocation"; KMS API reference,
"CreateGrant", "Decrypt"; "Key states of AWS KMS keys"; EBS direct APIs, "Errors"; EC2, "Error codes", "Copy an
Amazon EBS snapshot".
"""

from __future__ import annotations

from cado_ops.verdict.denial.model import Known

_ARN = r"(?P<key>arn:[a-z-]{3,20}:kms:[a-z0-9-]{1,30}:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]{1,256})"
_ID = r"(?P<instance>m?i-[0-9a-f]{6,17})"

AGENT = "agent-offline"
GRANT = "grant-missing"
GRANT_QUOTA = Known(
    "grant-quota",
    "The key has as many grants as KMS allows (50,000): that is a quota, no throttling, and trying again does "
    "not help. cado-ops kms list --key KEY shows whose they are; end those of closed cases with cado-ops kms "
    "retire.",
)

ACQUISITION = (
    Known(
        AGENT,
        "Systems Manager knows no agent online for this instance in the account and region that were asked. "
        "Either the instance is stopped, its SSM agent is not running, has no way to Systems Manager's "
        "endpoints or no role (instance profile or Default Host Management), or the request went to another "
        "account or region than the instance's. A missing tag says something else (AccessDeniedException), and "
        "neither tag nor grant mends this; disk acquisition needs no agent.",
        (),
        (r"not in a valid state for account:?(?: ?(?P<account>[0-9]{12})(?![0-9]))?",
         rf"(?<![\w-]){_ID} is not connected\."),
    ),
    Known(
        AGENT,
        "Systems Manager has no connection to the agent on the target. The instance is stopped, its SSM agent "
        "is not running or too old for sessions, it has no way to the ssmmessages endpoint or no role that "
        "allows it, or the request went to another account or region than the instance's.",
        ("TargetNotConnected",),
    ),
    Known(
        AGENT,
        "Systems Manager does not take this instance: it is not known as a managed node in the account and "
        "region that were asked, is not running, or its agent is offline. No tag and no grant mends that.",
        ("InvalidInstanceId",),
    ),
    Known(
        "plugin-missing",
        "The machine that was to open the session has no Session Manager plugin: it has to be installed beside "
        "the AWS CLI. It says nothing about policies, tag or agent.",
        (),
        (r"SessionManagerPlugin is not found",),
    ),
    Known(
        "command-unknown",
        "Systems Manager knows no such command on that instance: it was just sent (ask again in some seconds), "
        "went to another account or region, or is older than 30 days.",
        ("InvocationDoesNotExist", "InvalidCommandId"),
    ),
    Known(
        "document-missing",
        "The SSM document is not there in the region that was asked, or has no such version. The platform uses "
        "AWS-RunShellScript (Linux, macOS) and AWS-RunPowerShellScript (Windows), which AWS keeps in every "
        "region: look at the name, and at the region.",
        ("InvalidDocument", "InvalidDocumentVersion"),
        (r"Document with name (?P<document>[\w.-]{1,128}) does not exist",),
    ),
    Known(
        "command-invalid-platform",
        "The command does not fit the instance's operating system: AWS-RunShellScript is for Linux and macOS, "
        "AWS-RunPowerShellScript for Windows. Choose the right platform for the acquisition.",
        ("UnsupportedPlatformType", "UnsupportedOperatingSystem"),
    ),
    Known(
        AGENT,
        "The instance is not among those that Systems Manager manages in the account and region that were "
        "asked: no agent has registered it there.",
        ("InvalidInstanceInformationFilterValue",),
    ),
    Known(
        GRANT,
        "KMS hides why: the key is not there, is in another region, or its policy, an IAM policy and its grants "
        "do not let the caller use it. Where the data is a disk of the account and region that were asked, it "
        "is the last: the Cado role needs a grant on the key.",
        (),
        (r"The ciphertext refers to a customer master key that does not exist",),
    ),
    Known(
        GRANT,
        "EBS could not use the key of the snapshot or volume: whoever asked may not use it (Decrypt, "
        "DescribeKey, CreateGrant), it is in another region, or it is not enabled. EC2 reports that late, in "
        "the state of what it made. For a customer managed key the Cado role needs a grant; a disk under "
        "another account's aws/ebs key cannot be shared at all.",
        ("KMSKeyNotAccessibleFault", "InvalidKmsKeyId", "DEPENDENCY_ACCESS_DENIED"),
        (r"Given key ID is not accessible", r"The specified KMS key is not accessible",
         r"You must have DescribeKey permissions on the default CMK",
         r"(?:KMS key|key) \[(?:" + _ARN + r"|[^\]\n]{0,300}+)\] does not exist, is not enabled or you do not"
         r" have permissions",
         r"KMS key does not exist, is not enabled or you do not have permissions to access it"),
    ),
    Known(
        GRANT,
        "EC2 could not use the key for the volume: despite the words the key may well be enabled. Either whoever "
        "starts the instance (a service-linked role, too) may not use it, or it is disabled or to be deleted.",
        ("InvalidKMSKey.InvalidState",),
        (r"The KMS key provided is in an incorrect state",),
    ),
    Known(
        "aws-managed-key",
        "The disk is encrypted under the account's aws/ebs key, which AWS manages: nobody can grant or share "
        "it. Inside its own account it needs no grant. For another account, copy the snapshot under a customer "
        "managed key first.",
        (),
        (r"Snapshots encrypted with the AWS Managed CMK can't be shared",),
    ),
    Known(
        "key-disabled",
        "The key is disabled, so that nothing under it can be read and no grant can be made. Whoever owns the "
        "key has to enable it; find out first why it was disabled. Listing and retiring grants works meanwhile.",
        ("DisabledException", "KMS.DisabledException"),
        (_ARN + r" is disabled",),
    ),
    Known(
        "key-pending-deletion",
        "The key is scheduled for deletion: after the waiting period everything under it is lost for good, "
        "evidence included. Whoever owns the key has to cancel that at once (kms:CancelKeyDeletion), then "
        "enable it.",
        (),
        (_ARN + r" is pending (?:replica )?deletion",),
    ),
    Known(
        "key-unavailable",
        "The key is not in a state that allows this: disabled, to be deleted, without key material, or its key "
        "store is not connected. Whoever owns the key can mend that.",
        ("KMSInvalidStateException", "KMS.KMSInvalidStateException", "KeyUnavailableException"),
        (_ARN + r" is pending import",),
    ),
    Known(
        "key-not-found",
        "KMS knows no such key or alias in the account and region that were asked. Keys stand in one region: "
        "look at the region first, then at the account.",
        (),
        (r"(?:Key|Alias) '?" + _ARN + r"'? (?:does not exist|is not found)", r"Invalid keyId '?[\w/:-]{1,100}"),
    ),
    Known(
        "grantee-missing",
        "KMS knows no such principal: the role is not there, its name has a prefix or a path that was left out, "
        "or it was made a moment ago. cado-ops kms grant lists roles whose names come near.",
        ("InvalidArnException",),
        (r"ARN does not refer to a valid principal",),
    ),
    Known(
        "ciphertext-invalid",
        "The data was not encrypted under that key, or with another encryption context, or is damaged.",
        ("IncorrectKeyException", "InvalidCiphertextException"),
    ),
    Known(
        "grant-token-invalid",
        "The grant token is cut short, or of another key or account. Grants work without one some minutes after "
        "they were made.",
        ("InvalidGrantTokenException", "INVALID_GRANT_TOKEN"),
    ),
    Known(
        "grant-not-found",
        "KMS knows no such grant on that key: it was retired or revoked already, or belongs to another key or "
        "region.",
        ("InvalidGrantIdException",),
        (r"[Gg]rant ID [0-9a-f]{8,64} not found",),
    ),
    Known(
        "snapshot-not-ours",
        "The snapshot belongs to another account and is not shared with the one that asked. EBS direct reads "
        "only an account's own snapshots, and those shared with it.",
        ("UNAUTHORIZED_ACCOUNT",),
    ),
    Known(
        "not-found",
        "There is no such resource in the account and region that were asked, or no longer. Ids are the same "
        "nowhere else: look at the region first, then at the account.",
        ("InvalidInstanceID.NotFound", "InvalidVolume.NotFound", "InvalidSnapshot.NotFound",
         "InvalidAMIID.NotFound",
         "InvalidID", "SNAPSHOT_NOT_FOUND", "IMAGE_NOT_FOUND", "GRANT_NOT_FOUND", "DEPENDENCY_RESOURCE_NOT_FOUND",
         "INVALID_SNAPSHOT_ID", "NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException",
         "NotFoundException", "DoesNotExistException"),
        (r"The instance IDs? '(?P<instance>i-[0-9a-f]{8,17})[^'\n]{0,400}+' (?:does|do) not exist",
         r"The (?:volume|snapshot) '(?P<resource>(?:vol|snap)-[0-9a-f]{8,17})' does not exist"),
    ),
    Known(
        "invalid-id",
        "That is no id of this kind: cut short, with a letter too many, or of another kind of resource.",
        ("InvalidInstanceID.Malformed", "InvalidSnapshotID.Malformed", "InvalidVolumeID.Malformed",
         "InvalidParameterValue.Malformed"),
    ),
    Known(
        "wrong-state",
        "The resource is not in a state that allows this (terminated, still pending, in use, not completed). "
        "Wait until it is, or choose another.",
        ("IncorrectState", "IncorrectInstanceState", "IncorrectVolumeState", "IncorrectSnapshotState",
         "InvalidSnapshot.InUse", "VolumeInUse", "InvalidInstanceState"),
    ),
    Known(
        "block-token-invalid",
        "The block or page token is too old or of another snapshot: tokens of EBS direct are good for seven "
        "days at most. List the blocks again.",
        ("INVALID_BLOCK_TOKEN", "INVALID_PAGE_TOKEN"),
    ),
    Known(
        "key-unavailable",
        "The snapshot's customer managed key cannot be used: it is disabled, to be deleted, or not accessible "
        "to who asked.",
        ("INVALID_CUSTOMER_KEY",),
    ),
    Known(
        "throttled",
        "EBS direct throttled the caller, or KMS behind it did: it passes by itself. Run it again, with fewer "
        "acquisitions at once.",
        ("ACCOUNT_THROTTLED", "DEPENDENCY_REQUEST_THROTTLED", "RESOURCE_LEVEL_THROTTLE"),
    ),
)  # fmt: skip

# Systems Manager User Guide, "Understanding command statuses".
STATUSES = {
    "undeliverable": (
        "command-undeliverable",
        "The command could not be delivered: there is no such managed node, or its agent did not answer. "
        "Undeliverable tells of the agent or the network, not of permissions or the tag. Disk acquisition needs "
        "no agent.",
    ),
    "deliverytimedout": (
        "command-delivery-timed-out",
        "The agent did not fetch the command in time: the instance is stopped, its SSM agent is not running, or "
        "it has no way to Systems Manager (ssm, ssmmessages, ec2messages). It never began on the instance; "
        "permissions and tag were in order. Disk acquisition needs no agent.",
    ),
    "executiontimedout": (
        "command-execution-timed-out",
        "The command began on the instance and was not done within its time. Permissions, tag and agent work: "
        "give it a longer execution timeout, or look at what it waits for (disk, network to the platform).",
    ),
    "timedout": (
        "command-timed-out",
        "The command timed out; StatusDetails would say whether before or after it reached the instance "
        "(DeliveryTimedOut: agent or network; ExecutionTimedOut: the command itself).",
    ),
    "accessdenied": (
        "command-access-denied",
        "Run Command left this instance out, because whoever sent the command may not use it there. With Cado's "
        "tightened policy that is the missing tag CadoResponseSSMEnabled=True.",
    ),
    "invalidplatform": (
        "command-invalid-platform",
        "The command does not fit the instance's operating system: AWS-RunShellScript is for Linux and macOS, "
        "AWS-RunPowerShellScript for Windows. Choose the right platform for the acquisition.",
    ),
    "terminated": (
        "command-terminated",
        "Run Command ended the whole command, because more targets failed than its max-errors allows. This "
        "instance was not reached, or not waited for: look at those that failed first.",
    ),
    "cancelled": ("command-cancelled", "Somebody cancelled the command before it was done."),
    "failed": (
        "command-failed",
        "The command ran on the instance and ended with an error of its own. Permissions, tag and agent work: "
        "look at its output (StandardErrorContent).",
    ),
    "delayed": (
        "command-delayed",
        "The instance could not be reached yet, and Systems Manager goes on trying: it is stopped, or its agent "
        "has no connection.",
    ),
    "noinstancesintag": (
        "command-no-instances",
        "The tag that the command was sent to is on no managed node in that account and region.",
    ),
    "rateexceeded": (
        "command-rate-exceeded",
        "The command names more instances than the account may have pending invocations for: send it to fewer "
        "at once.",
    ),
    "incomplete": (
        "command-incomplete",
        "The command was tried everywhere and did not succeed everywhere: each invocation's StatusDetails says "
        "why.",
    ),
}
# Words that mean nothing else, so that they stand for themselves.
PLAIN_STATUSES = frozenset(
    {"undeliverable", "deliverytimedout", "executiontimedout", "invalidplatform", "noinstancesintag"}
)
