"""In which partitions a policy is judged, and how the ARNs that are written for it name theirs.

"Amazon Resource Names (ARNs)", IAM User Guide; "Pseudo parameters reference", CloudFormation User Guide. IAM takes
no policy whose ARNs are of another partition than the account's (MalformedPolicyDocument, "Partition … is not valid
for resource"): what stands in the partition's place can be trusted to be the partition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from cado_ops.policy.branches import alternatives
from cado_ops.policy.document import DENY, Document, Intrinsic, Statement, Value
from cado_ops.policy.filled import options, text_of
from cado_ops.policy.patterns import fits
from cado_ops.policy.reach import Place

KNOWN = ("aws", "aws-us-gov", "aws-cn", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc")
DEFAULT = "aws"
OF_THE_DEPLOYMENT = "${AWS::Partition}"
_PARTITION = re.compile(r"arn:(\$\{[^}]*\}|[^:]*)(?::|$)")


@dataclass(frozen=True)
class Form:
    """What stands in the partition's place of an ARN; ``is_sub``: in a template's Fn::Sub."""

    text: str
    is_sub: bool = False

    @property
    def is_variable(self) -> bool:
        return self.text.startswith("${")

    @property
    def is_pattern(self) -> bool:
        return bool(set("*?") & set(self.text))

    def arn(self, text: str) -> Value:
        return Intrinsic.of({"Fn::Sub": text}) if self.is_sub else text


@dataclass(frozen=True)
class Partitions:
    """``judged``: the names of partitions; ``written``: in which forms, each of which new ARNs are written."""

    judged: tuple[str, ...]
    written: tuple[Form, ...]

    @classmethod
    def only(cls, name: str) -> Self:
        return cls((name,), (Form(name),))

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(map(Place, self.judged))

    def arns(self, make: Callable[[Place], Iterable[str]]) -> list[Value]:
        """ARNs for all partitions, written as the policy writes its own."""
        return [form.arn(text) for form in self.written for text in make(Place(form.text))]


def partitions_of(documents: Iterable[Document], default: Partitions | None = None) -> Partitions:
    """Those that the policies' Allows name. Partitions that no ARN of theirs tells apart are judged as one.

    A policy that names none (all its resources are ``*``) is judged by its Denies, or as ``default``.
    """
    statements = [each for document in documents for each in document.statements]
    named = list(_forms(each for each in statements if each.effect != DENY))
    if not named and default is not None:
        return default
    # What is forbidden says little of where the role lives, and more than nothing.
    named = named or list(_forms(statements)) or [Form(DEFAULT)]
    variables = [each for each in named if each.is_variable]
    patterns = [each for each in named if each.is_pattern]
    if not variables and not patterns:
        return Partitions(tuple(each.text for each in named), tuple(named))
    told = [each.text for each in _forms(statements) if not each.is_variable]
    apart: dict[tuple[bool, ...], str] = {}
    for name in dict.fromkeys([*(each.text for each in named if each.text in KNOWN), *KNOWN]):
        apart.setdefault(tuple(fits(name, each) for each in told), name)
    return Partitions(tuple(apart.values()), (_widest(variables, patterns),))


def of_the_deployment() -> Partitions:
    """For a template that names no partition: it may be deployed in any."""
    return Partitions((DEFAULT,), (Form(OF_THE_DEPLOYMENT, is_sub=True),))


def _widest(variables: list[Form], patterns: list[Form]) -> Form:
    """The one form that means every partition: the policy's own where it has one."""
    for each in variables:
        # Before others: a template's own variables may be known in one place alone.
        if each.text == OF_THE_DEPLOYMENT:
            return each
    if variables:
        return variables[0]
    wide = [each for each in patterns if all(fits(name, each.text) for name in KNOWN)]
    return wide[0] if wide else Form("*")


def _forms(statements: Iterable[Statement]) -> Iterator[Form]:
    """Each once, in order."""
    found: dict[Form, None] = {}
    for statement in (each for one in statements for each in alternatives(one)):
        for values in (statement.resources, statement.not_resources):
            for value in options(values):
                found |= dict.fromkeys(_form(value))
    yield from found


def _form(value: Value) -> Iterator[Form]:
    match = _PARTITION.match(text_of(value) or "")
    if match is None or (match[1] == "*" and match[0] == match.string):
        return  # "arn:*" is anything, like "*"
    yield Form(match[1], is_sub=isinstance(value, Intrinsic) and match[1].startswith("${"))
