"""Requests that tell whether a Cado role is held by the tag, and what its policies say to each.

They are put to AWS's simulator as well ("Testing IAM policies with the IAM policy simulator"): two answers that
differ are worth a look, whichever is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy.document import ALLOW, DENY, Document, Statement
from cado_ops.policy.parts import CREATE_TAGS, SEND, START
from cado_ops.policy.reach import (
    TAG_KEYS,
    TAG_PREFIXES,
    Ask,
    Place,
    may_allow,
    setting_the_tag,
    surely_denies,
    tagged,
)

_INSTANCE = "instance/i-00000000000000000"
_KEY = "key/00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Probe:
    """One request. ``context`` is what the simulator is given; ``ask`` knows as well what is surely not there."""

    about: str
    ask: Ask
    context: Mapping[str, Sequence[str]]

    @property
    def action(self) -> str:
        return self.ask.action

    @property
    def resource(self) -> str:
        return self.ask.resource


def probes(partition: str, account: str, region: str) -> list[Probe]:
    """The requests that the checker's rules are about, in one account and region."""
    place = Place(partition)
    instance = f"arn:{partition}:ec2:{region}:{account}:{_INSTANCE}"
    document = place.document("AWS-RunShellScript").replace(":ssm:*:", f":ssm:{region}:")
    key = f"arn:{partition}:kms:{region}:{account}:{_KEY}"
    right = {f"ssm:resourceTag/{SSM_TAG}": [SSM_TAG_VALUE], f"aws:ResourceTag/{SSM_TAG}": [SSM_TAG_VALUE]}
    tagging = {TAG_KEYS: [SSM_TAG], f"aws:RequestTag/{SSM_TAG}": [SSM_TAG_VALUE]}
    return [
        Probe("on an instance without the tag", Ask(SEND, instance, tagged(None)), {}),
        Probe("on a tagged instance", Ask(SEND, instance, tagged(SSM_TAG_VALUE)), right),
        Probe("with AWS-RunShellScript", Ask(SEND, document, tagged(None)), {}),
        Probe("on an instance without the tag", Ask(START, instance, tagged(None)), {}),
        Probe("of the tag, on an instance", Ask(CREATE_TAGS, instance, setting_the_tag()), tagging),
        Probe("on anything", Ask("ssm:DescribeInstanceInformation", "*", dict.fromkeys(TAG_PREFIXES)), {}),
        Probe("on anything", Ask("ssm:GetCommandInvocation", "*", dict.fromkeys(TAG_PREFIXES)), {}),
        Probe("on a key of the account", Ask("kms:Decrypt", key), {}),
        Probe("on a key of the account", Ask("kms:CreateGrant", key), {}),
    ]


def verdict(documents: Sequence[Document], ask: Ask, partition: str) -> bool | None:
    """Whether the policies allow a single request; None where conditions decide of which nothing is known."""
    statements = [each for document in documents for each in document.statements]
    if any(surely_denies(each, ask, partition) for each in statements):
        return False
    if not any(may_allow(each, ask, partition) for each in statements):
        return False
    if any(_may_deny(each, ask, partition) for each in statements):
        return None
    return True if any(_surely_allows(each, ask, partition) for each in statements) else None


def _may_deny(statement: Statement, ask: Ask, partition: str) -> bool:
    if statement.whole is not None:
        return True
    return statement.effect == DENY and may_allow(_turned(statement, ALLOW), ask, partition)


def _surely_allows(statement: Statement, ask: Ask, partition: str) -> bool:
    return statement.effect == ALLOW and surely_denies(_turned(statement, DENY), ask, partition)


def _turned(statement: Statement, effect: str) -> Statement:
    return replace(statement, effect=effect)
