"""`policy check`: everything that is wrong with the policies of a role. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from cado_ops.policy.branches import possible_in
from cado_ops.policy.lint_kms import lint_kms
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.lint_ssm import lint_ssm
from cado_ops.policy.rules import Finding, Subject, in_order


def lint_role(subject: Subject) -> list[Finding]:
    """The findings on a role's policies, taken together, errors first."""
    return in_order([*lint_shape(subject), *lint_reach(subject)])


def lint_reach(subject: Subject) -> Iterator[Finding]:
    """What the role may do that it should not, or cannot do that it should, in every partition that it is for."""
    found: dict[str, list[Finding]] = {}
    documents = tuple(map(possible_in, subject.documents))
    for partition in subject.partitions:
        here = replace(subject, documents=documents, partition=partition)
        found[partition] = [*lint_ssm(here), *lint_kms(here)]
    return _told(found)


def _told(found: Mapping[str, Iterable[Finding]]) -> Iterator[Finding]:
    """Each finding once; what is wrong in some of the partitions alone says in which."""
    where: dict[Finding, list[str]] = {}
    for partition, findings in found.items():
        for each in dict.fromkeys(findings):
            where.setdefault(each, []).append(partition)
    for each, partitions in where.items():
        everywhere = len(partitions) == len(found)
        yield each if everywhere else replace(each, message=f"in {', '.join(partitions)}: {each.message}")
