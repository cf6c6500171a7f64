"""Requests that tell whether a Cado role is held by the tag, and what its policies say to each.

They are put to AWS's simulator as well ("Testing IAM policies with the IAM policy simulator"): two answers that
differ are worth a look, whichever is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy.document import Document, Principal, Statement, Values
from cado_ops.policy.evaluate import Policies, Policy, Verdict, evaluate
from cado_ops.policy.library import TAG_KEY
from cado_ops.policy.parts import CREATE_TAGS, SEND, START
from cado_ops.policy.reach import Place
from cado_ops.policy.request import Request


@dataclass(frozen=True)
class Probe:
    """One request: ``about`` says what of, ``context`` is all that it has of condition keys."""

    action: str
    about: str
    resource: str
    context: Mapping[str, Sequence[str]]


def probes(partition: str, account: str, region: str) -> list[Probe]:
    """The requests that the checker's rules are about, in one account and region."""
    instance = f"arn:{partition}:ec2:{region}:{account}:instance/i-00000000000000000"
    document = Place(partition).document("AWS-RunShellScript").replace(":ssm:*:", f":ssm:{region}:")
    key = f"arn:{partition}:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000"
    tagged = {TAG_KEY: [SSM_TAG_VALUE], f"aws:ResourceTag/{SSM_TAG}": [SSM_TAG_VALUE]}
    tagging = {"aws:TagKeys": [SSM_TAG], f"aws:RequestTag/{SSM_TAG}": [SSM_TAG_VALUE]}
    return [
        Probe(SEND, "on an instance without the tag", instance, {}),
        Probe(SEND, "on a tagged instance", instance, tagged),
        Probe(SEND, "with AWS-RunShellScript", document, {}),
        Probe(START, "on an instance without the tag", instance, {}),
        Probe(CREATE_TAGS, "of the tag, on an instance", instance, tagging),
        Probe("ssm:DescribeInstanceInformation", "on anything", "*", {}),
        Probe("ssm:GetCommandInvocation", "on anything", "*", {}),
        Probe("kms:Decrypt", "on a key of the account", key, {}),
        Probe("kms:CreateGrant", "on a key of the account", key, {}),
    ]


def our_verdict(
    probe: Probe, role_arn: str, documents: Mapping[str, Document], boundary: Document | None = None
) -> Verdict:
    """By the role's own policies, as the simulator has it: keys leave it to IAM; what is not told is not there."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    root = Statement(
        principal=Principal.aws(f"arn:{partition}:iam::{account}:root"),
        actions=Values.of("kms:*"),
        resources=Values.of("*"),
    )
    key = Policy("the key's", Document(statements=(root,))) if probe.action.startswith("kms:") else None
    policies = Policies(
        identity=tuple(Policy(name, document) for name, document in documents.items()),
        boundary=(Policy("boundary", boundary),) if boundary is not None else None,
        resource=key,
    )
    context = {name: list(values) for name, values in probe.context.items()}
    return evaluate(Request(role_arn, probe.action, probe.resource, context, complete=True), policies)
