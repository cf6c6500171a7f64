"""What the Cado role has to be allowed for one instance, as requests: evaluated here, and put to AWS's simulator.

"Actions, resources, and condition keys" of Systems Manager, EC2 and EBS, Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE, Instance
from cado_ops.policy.parts import SEND, START
from cado_ops.policy.request import Request

CREATE_SNAPSHOT = "ec2:CreateSnapshot"
READ_BLOCKS = ("ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock")
DECRYPT, CREATE_GRANT = "kms:Decrypt", "kms:CreateGrant"
SESSION_DOCUMENT = "SSM-SessionManagerRunShell"
# Of a resource with tags, these are the keys that show them to Systems Manager's actions.
_TAG_KEYS = ("ssm:resourceTag/", "aws:ResourceTag/")
_NO_TAGS = tuple(f"{each.lower()}*" for each in _TAG_KEYS)


@dataclass(frozen=True)
class Need:
    """One action on one resource. ``context`` is what is told of it; tags that it does not name are not there."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        return self.action, self.resource

    def request(self, role_arn: str) -> Request:
        # Global keys stay untold: where a policy asks for one, the verdict is unknown and says so.
        absent = _NO_TAGS if self.action in (SEND, START) else ()
        return Request(role_arn, self.action, self.resource, dict(self.context), absent=absent)


def document_of(platform: str) -> str:
    """The document of Run Command that triage uses on a platform (EC2's name for it)."""
    return "AWS-RunPowerShellScript" if platform.startswith("windows") else "AWS-RunShellScript"


def command_on(arn: str, tags: Mapping[str, str]) -> Need:
    """SendCommand's one leg: the instance, with these tags."""
    return Need(SEND, arn, _tag_context(tags))


def command_with(partition: str, region: str, platform: str) -> Need:
    """SendCommand's other leg: a document that AWS owns, and that has no tags."""
    return Need(SEND, f"arn:{partition}:ssm:{region}::document/{document_of(platform)}")


def as_tagged(instance: Instance) -> dict[str, str]:
    """The instance's tags as they are once the SSM tag is right."""
    return {**_without_our_tag(instance), SSM_TAG: SSM_TAG_VALUE}


def as_it_is(instance: Instance) -> list[dict[str, str]]:
    """The instance's tags as IAM may see them now: more than one way where keys differ only in case.

    Condition keys have no case, tag keys do: which of two counts, or whether one in another case does, is not
    documented.
    """
    rest = _without_our_tag(instance)
    mine = instance.tags.get(SSM_TAG)
    others = [value for key, value in instance.tags.items() if key != SSM_TAG and key.lower() == SSM_TAG.lower()]
    seen = [{**rest, SSM_TAG: value} for value in ([mine] if mine is not None else []) + others]
    return seen + ([rest] if mine is None else [])


def session_on(instance: Instance, arn: str, *, checked: bool) -> Need:
    """StartSession's target. ``checked``: AWS checks the document as well (ssm:SessionDocumentAccessCheck)."""
    tags = _all_tags(instance)
    return Need(
        START, arn, {**_tag_context(tags), "ssm:SessionDocumentAccessCheck": "true" if checked else "false"}
    )


def session_with(partition: str, account: str, region: str) -> Need:
    """The document that a shell of Session Manager has when none is named."""
    return Need(START, f"arn:{partition}:ssm:{region}:{account}:document/{SESSION_DOCUMENT}")


def snapshots_of(partition: str, account: str, region: str, volume_ids: Iterable[str]) -> list[Need]:
    """CreateSnapshot needs the volume and the snapshot that is to be."""
    volumes = [f"arn:{partition}:ec2:{region}:{account}:volume/{each}" for each in volume_ids]
    return [Need(CREATE_SNAPSHOT, each) for each in (*volumes, _snapshot(partition, region))]


def blocks_in(partition: str, region: str) -> list[Need]:
    """What EBS direct asks for: a snapshot that does not exist yet stands for those that Cado makes."""
    return [Need(each, _snapshot(partition, region)) for each in READ_BLOCKS]


def decrypt(key_arn: str) -> Need:
    return Need(DECRYPT, key_arn)


def grant_to_itself(key_arn: str, role_arn: str) -> Need:
    """The documented variant grant-only: the role makes a grant for itself, as it needs one."""
    return Need(CREATE_GRANT, key_arn, {
        "kms:GranteePrincipal": role_arn, "kms:GrantOperations": "Decrypt", "kms:GrantIsForAWSResource": "false",
    })  # fmt: skip


def to_simulate(
    instance: Instance, arn: str, partition: str, key_arns: Iterable[str], asked_tags: Sequence[str] | None
) -> list[Need]:
    """What is put to AWS's simulator for an instance. ``asked_tags``: those that the role's policies ask for.

    Tags that no policy asks for are left out, so that instances which differ in nothing else share a call; None: it
    is not known which, and all are told.
    """
    tags = as_tagged(instance)
    if asked_tags is not None:
        wanted = {each.lower() for each in asked_tags}
        tags = {key: value for key, value in tags.items() if key.lower() in wanted}
    volumes = [each.volume_id for each in (instance.detail.devices if instance.detail else ())]
    return [
        command_on(arn, tags),
        command_with(partition, instance.region, instance.platform),
        *snapshots_of(partition, instance.account, instance.region, volumes),
        *blocks_in(partition, instance.region),
        *(Need(action, arn) for arn in key_arns for action in (DECRYPT, CREATE_GRANT)),
    ]


def _snapshot(partition: str, region: str) -> str:
    return f"arn:{partition}:ec2:{region}::snapshot/snap-00000000000000000"


def _tag_context(tags: Mapping[str, str]) -> dict[str, str]:
    return {prefix + key: value for key, value in tags.items() for prefix in _TAG_KEYS}


def _all_tags(instance: Instance) -> Mapping[str, str]:
    return instance.detail.tags if instance.detail else instance.tags


def _without_our_tag(instance: Instance) -> dict[str, str]:
    return {key: value for key, value in _all_tags(instance).items() if key.lower() != SSM_TAG.lower()}
