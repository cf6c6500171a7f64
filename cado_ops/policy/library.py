"""The Cado role's policies, as documents: what is published, and what should be used instead.

Pure: names in, a document out. The texts that go with a policy (its gaps, say) are `REMARKS`.
"""

from __future__ import annotations

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy.document import ALLOW, Condition, Document, Principal, Statement, Value, Values
from cado_ops.policy.names import Names

RUN_DOCUMENTS = ("AWS-RunShellScript", "AWS-RunPowerShellScript")
# What the platform opens sessions with: a forwarded port, and no shell.
SESSION_DOCUMENTS = ("AWS-StartPortForwardingSession",)
TAG_KEY = f"ssm:resourceTag/{SSM_TAG}"

KMS_USE = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")
KMS_GRANT = "kms:CreateGrant"
KMS_EBS_DIRECT = ("kms:Decrypt", "kms:DescribeKey")
# "AWS KMS condition keys", kms:GrantIsForAWSResource: only a service that the role works through, EBS here, may
# make the grant.
FOR_AWS_RESOURCE = Condition("Bool", "kms:GrantIsForAWSResource", Values.of("true"))


def allow(
    sid: str,
    actions: tuple[str, ...],
    resources: tuple[str, ...] = ("*",),
    *conditions: Condition,
    principal: Principal | None = None,
) -> Statement:
    """An Allow as a person would write it: single values without brackets."""
    return Statement(
        sid=sid,
        effect=ALLOW,
        principal=principal,
        actions=Values.of(*actions),
        resources=Values.of(*resources),
        conditions=conditions,
    )


def ssm_default(names: Names, *, sessions: bool = False) -> Document:
    """The wide statement of the documentation; with ``sessions`` as its later pages have it."""
    actions = ("ssm:SendCommand", "ssm:DescribeInstanceInformation", *(_SESSION_ACTIONS if sessions else ()))
    return Document(
        statements=(allow("RequiredForTriageAndRunCommand", actions, (*names.instances, *_run_documents(names))),)
    )


def ssm_tagged_documented(names: Names, *, sessions: bool = False) -> Document:
    """The tightened pair as published. Its read action grants nothing: see `REMARKS`."""
    actions = ("ssm:SendCommand", "ssm:DescribeInstanceInformation", *(_SESSION_ACTIONS if sessions else ()))
    return Document(
        statements=(
            allow("RequiredForTriageAndRunCommandTagged", actions, names.instances, tagged()),
            allow("RequiredForTriageAndRunCommandRun", actions, _run_documents(names)),
        )
    )


def ssm_tagged(names: Names, *, sessions: bool = False) -> Document:
    """The tightened pair, repaired.

    SendCommand needs instance and document allowed, and only the instance carries the tag, hence the two
    statements. The read actions know neither resources nor conditions and work on ``*`` alone ("Actions, resources,
    and condition keys for AWS Systems Manager").
    """
    statements = [
        allow("RequiredForTriageAndRunCommandTagged", ("ssm:SendCommand",), names.instances, tagged()),
        allow("RequiredForTriageAndRunCommandRun", ("ssm:SendCommand",), _run_documents(names)),
        allow(
            "RequiredForTriageAndRunCommandRead",
            ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"),
        ),
    ]
    if sessions:
        documents = tuple(
            arn for name in SESSION_DOCUMENTS for arn in names.regional("ssm", "", f"document/{name}")
        )
        statements += [
            # "Enforce a session document permission check": without the key, naming documents binds nothing.
            allow(
                "RequiredForSessionsTagged", ("ssm:StartSession",), names.instances, tagged(),
                Condition("BoolIfExists", "ssm:SessionDocumentAccessCheck", Values.of("true")),
            ),
            allow("RequiredForSessionsDocument", ("ssm:StartSession",), documents),
            # "Sample IAM policies for Session Manager": a role ends the sessions that it began itself.
            allow(
                "RequiredForSessionsEnd", ("ssm:TerminateSession",),
                names.regional("ssm", names.accounts, "session/${aws:userid}-*"),
            ),
        ]  # fmt: skip
    return Document(statements=tuple(statements))


_SESSION_ACTIONS = ("ssm:StartSession", "ssm:TerminateSession")


def tagged() -> Condition:
    """That the instance carries the tag, with the one value that counts (compared case-sensitively)."""
    return Condition("StringLike", TAG_KEY, Values((SSM_TAG_VALUE,)))


def _run_documents(names: Names) -> tuple[str, ...]:
    # Documents that AWS owns have no account in their ARN.
    return tuple(arn for name in RUN_DOCUMENTS for arn in names.regional("ssm", "", f"document/{name}"))


def kms_statements(
    variant: str, resources: tuple[str, ...] = ("*",), principal: Principal | None = None
) -> tuple[Statement, ...]:
    """What a variant allows: in a key policy to the principal, or in the role's own policy on these keys."""

    def made(sid: str, actions: tuple[str, ...], *conditions: Condition) -> Statement:
        return allow(sid, actions, resources, *conditions, principal=principal)

    match variant:
        case "kms-full":
            return (made("CadoUseOfTheKey", (*KMS_USE, KMS_GRANT)),)
        case "kms-grant-only":
            return (made("CadoGrantsOnTheKey", (KMS_GRANT,)),)
        case "kms-withheld":
            return (
                made("CadoUseOfTheKey", KMS_USE),
                made("CadoGrantsForAwsResources", (KMS_GRANT,), FOR_AWS_RESOURCE),
            )
        case "kms-ebs-direct":
            return (
                made("CadoReadsSnapshots", KMS_EBS_DIRECT),
                made("CadoGrantsForAwsResources", (KMS_GRANT,), FOR_AWS_RESOURCE),
            )
        case "kms-cross-account":
            return (made("CadoUseOfTheKey", KMS_USE),)
    raise KeyError(variant)


KMS_VARIANTS = ("kms-full", "kms-grant-only", "kms-withheld", "kms-cross-account", "kms-ebs-direct")


def key_policy(variant: str, names: Names, platform_role: str | None = None) -> Document:
    """A whole key policy: IAM decides for the account, and the Cado role is named for what it needs.

    A key policy is replaced as a whole. Without the first statement the key could be managed by nobody
    ("Default key policy", KMS Developer Guide).
    """
    roles: tuple[Value, ...] = (names.cado_role_arn, *([platform_role] if platform_role else []))
    return Document(
        statements=(
            delegation(names),
            *kms_statements(variant, principal=Principal.aws(*roles)),
        )
    )


def delegation(names: Names) -> Statement:
    """The key's account decides by its IAM policies."""
    root = names.arn("iam", "", names.account, "root")
    return allow("EnableIAMUserPermissions", ("kms:*",), principal=Principal.aws(root))


def role_policy_on_keys(variant: str, keys: tuple[str, ...]) -> Document:
    """The same for the role's own policy."""
    return Document(statements=kms_statements(variant, keys))


_TAG_ALONE = (
    "the tag is a boundary only where no other statement of the role opens another way: ssm:StartSession on *, "
    "ssm:CreateAssociation, ssm:StartAutomationExecution, ec2-instance-connect:SendSSHPublicKey, "
    "ec2:ModifyInstanceAttribute, or ec2:CreateTags on instances, with which it sets the tag itself"
)
REMARKS: dict[str, tuple[str, ...]] = {
    "ssm-default": (
        "every instance that an agent answers on can be commanded, tag or no tag: ssm-tagged is the tight one",
        "ssm:DescribeInstanceInformation knows no resources, and so grants nothing here: it needs *",
    ),
    "ssm-tagged": (_TAG_ALONE,),
    "ssm-tagged-documented": (
        "this is the documentation's own text: ssm:DescribeInstanceInformation knows no resources, and so grants "
        "nothing here; ssm-tagged repairs it",
        _TAG_ALONE,
    ),
    "kms-full": ("kms:CreateGrant lets the role pass the access on in grants of its own: kms-withheld does not",),
    "kms-grant-only": (
        "the role may grant anything on the key to anyone: kms-withheld is narrower; or let cado-ops kms grant "
        "make the grants, and give the role none of this",
    ),
    "kms-cross-account": (
        "each role's own policy, in its own account, has to allow these actions on the key as well: "
        "policy show kms-cross-account --key ARN",
    ),
}
_KEY_POLICY = "this is a whole key policy: merge it with the one that the key has, which it would replace"


def remarks(name: str, *, is_key_policy: bool = False) -> tuple[str, ...]:
    """What a person should know who is about to paste it."""
    return (*REMARKS.get(name, ()), *((_KEY_POLICY,) if is_key_policy else ()))
