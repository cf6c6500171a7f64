"""`policy check` of a file: everything that can be told of the policies in it, malformed ones too. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cado_ops.errors import PolicyError
from cado_ops.policy.document import Document, Fault, Statement
from cado_ops.policy.holders import Holder
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_key import Key, is_key_policy, lint_key_policy
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.lint_template import lint_holder
from cado_ops.policy.rules import Finding, Subject, in_order
from cado_ops.policy.source import PolicyFile, read_policy_file
from cado_ops.policy.template import Found
from cado_ops.policy.validity import Attached

# Of a malformed policy, these are true whatever else was meant.
_OF_SHAPE = frozenset(
    {
        "malformed",
        "duplicate-sid",
        "size",
        "size-managed",
        "old-version",
        "unknown-action",
        "not-judged",
        "partition",
    }
)


def lint_file(
    text: str,
    where: str,
    about: Mapping[str, Any],
    key_of: Callable[[Document], Key | None],
    roles_of: Callable[[PolicyFile], list[Holder]] = PolicyFile.holders,
) -> list[Finding]:
    """The findings on the policies of a file, errors first; ``about`` is what `Subject` takes besides documents.

    ``key_of`` says of a key's policy whose key it is, or None where nobody knows; ``roles_of`` which roles of a
    template are meant (all). Messages begin with the place.
    """
    faults: list[Fault] = []
    try:
        file = read_policy_file(text, where, faults)
        if file.is_template and not faults:
            return lint_roles(file, roles_of(file), about)
    except PolicyError as error:
        return [Finding("malformed", None, _with_hint(error.message, error.hint))]
    findings = [
        Finding("malformed", each.place.name or None, _with_hint(str(each), each.hint), command=())
        for each in dict.fromkeys(faults)
    ]
    for found in file.found:
        mine = [each for each in faults if each.policy == found.path[: len(each.policy)]]
        subject = Subject((found.document,), **about, **_size_of(file, found))
        for finding in _judged(subject, found.document, key_of, mine):
            statement = ".".join(filter(None, (found.name, finding.statement))) or None
            # What is malformed, tighten does not take.
            command = () if faults else finding.command
            findings.append(Finding(finding.rule, statement, _placed(finding), command=command))
    return in_order(findings)


def lint_roles(file: PolicyFile, roles: Iterable[Holder], about: Mapping[str, Any]) -> list[Finding]:
    """The findings on a template's roles."""
    subject = Subject((), **about, default=file.default_partitions)
    return in_order(
        replace(each, message=_placed(each), place=None) for role in roles for each in lint_holder(role, subject)
    )


def _judged(
    subject: Subject, document: Document, key_of: Callable[[Document], Key | None], faults: list[Fault]
) -> Iterator[Finding]:
    if _is_trust_policy(document):
        yield from lint_shape(subject.of(Attached.TRUST))
        yield Finding(
            "not-judged", None, "this is a trust policy: it says who may be the role, and not what the role may do"
        )
        return
    if is_key_policy(document):
        key = key_of(document)
        found = lint_key_policy(subject, key)
        if key is None:
            yield Finding(
                "not-judged", None, "the policy does not tell whose key it is: --cado-role with the role's ARN does"
            )
    else:
        found = lint_role(subject)
    spoiled = {
        each.place.name
        for each in document.statements
        if each.place.statement in {fault.place.statement for fault in faults}
    }
    for finding in found:
        if faults and finding.rule == "malformed" and not document.statements:
            continue  # the faults say why
        # What is missing, and what a spoiled statement means, nobody knows as long as the policy is malformed.
        if not faults or finding.rule in _OF_SHAPE or (finding.statement and finding.statement not in spoiled):
            yield finding


def _is_trust_policy(document: Document) -> bool:
    def is_trust(statement: Statement) -> bool:
        has_principal = statement.principal is not None or statement.not_principal is not None
        actions = statement.actions.strings if statement.actions is not None else ()
        return has_principal and bool(actions) and all(each.lower().startswith("sts:") for each in actions)

    return bool(document.statements) and all(map(is_trust, document.statements))


def _size_of(file: PolicyFile, found: Found) -> dict[str, Any]:
    """AWS counts a key's policy as it stands."""
    is_whole = file.form == "json" and not found.path and is_key_policy(found.document)
    return {"text": file.text} if is_whole else {}


def _placed(finding: Finding) -> str:
    """The message with the line it is about."""
    place = (finding.place or "").partition(": ")[0]
    numbers = place.split(":")[-2:]
    return (
        f"line {numbers[0]}: {finding.message}" if len(numbers) == 2 and numbers[0].isdigit() else finding.message
    )


def _with_hint(message: str, hint: str | None) -> str:
    return message + (f" ({hint})" if hint else "")
