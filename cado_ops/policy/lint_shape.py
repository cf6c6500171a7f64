"""What AWS refuses, or takes to mean something else than was written: form, size, names, partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cado_ops.policy.document import ALLOW, DENY, Document, Statement, Values
from cado_ops.policy.partitions import partitions_of
from cado_ops.policy.rules import Finding, Subject, finding
from cado_ops.policy.validity import LIMITS, Attached, Problem, counted, problems, size_problem, text_of

INLINE_LIMIT = LIMITS[Attached.ROLE_INLINE].size
MANAGED_LIMIT = LIMITS[Attached.MANAGED].size
_PARTITION = re.compile(r"arn:([^:$*?]+):")


def size_of(document: Document) -> int:
    """The characters that IAM counts."""
    return counted(text_of(document), blanks=False)


def lint_shape(subject: Subject, *, is_key_policy: bool = False) -> Iterator[Finding]:
    attached = Attached.KEY if is_key_policy else subject.attached or Attached.ROLE_INLINE
    for document in subject.documents:
        for problem in problems(document, attached):
            yield _told(problem, document)
        if subject.live_partition is None:
            yield from _size(subject, document, attached)
        for statement in document.statements:
            yield from _not_judged(statement)
    yield from _partitions(subject)


def _told(problem: Problem, document: Document) -> Finding:
    hint = f" ({problem.hint})" if problem.hint else ""
    return finding(problem.rule, problem.statement, problem.message + hint, document)


def _size(subject: Subject, document: Document, attached: Attached) -> Iterator[Finding]:
    """What is live AWS has taken. A role's policy in a file may become an inline one, or a managed one."""
    text = subject.text if subject.text is not None else text_of(document)
    if problem := size_problem(text, attached, document.place):
        yield _told(problem, document)
    elif subject.attached is None and attached is Attached.ROLE_INLINE and size_of(document) > MANAGED_LIMIT:
        message = f"{size_of(document):,} characters; a managed policy has {MANAGED_LIMIT:,}"
        yield finding("size-managed", None, message, document)


def _not_judged(statement: Statement) -> Iterator[Finding]:
    if statement.whole is not None or statement.effect not in (ALLOW, DENY, ""):
        yield finding("not-judged", statement, "a template's function stands in the place of the statement")
    elif any(not each.operator or not each.key for each in statement.conditions):
        yield finding("not-judged", statement, "a template's function stands in the place of conditions")


def _partitions(subject: Subject) -> Iterator[Finding]:
    found: dict[str, Statement] = {}
    for statement in subject.statements:
        for values in (statement.resources, statement.not_resources):
            for text in (values or Values()).strings:
                if match := _PARTITION.match(text):
                    found.setdefault(match[1], statement)
    for name, statement in found.items():
        if subject.live_partition is not None and name != subject.live_partition:
            yield finding(
                "partition", statement, f"arn:{name}: means nothing here, the partition is {subject.live_partition}"
            )
    if subject.live_partition is None and found:
        forms = partitions_of(subject.documents, subject.default).written
        names = list(dict.fromkeys([*found, *(each.text for each in forms if each.is_variable)]))
        if len(names) > 1:
            last = list(found.values())[-1]
            told = f"ARNs of several partitions: {', '.join(names)}; IAM takes those of the account's own alone"
            yield finding("partition", last, told)
