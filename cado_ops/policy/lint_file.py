"""`policy check` of a file: everything that can be told of the policies in it, malformed ones too. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cado_ops.errors import PolicyError
from cado_ops.policy.document import Document, Fault, Statement
from cado_ops.policy.json_text import Path
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_key import Key, is_key_policy, lint_key_policy
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.rules import Finding, Subject, in_order
from cado_ops.policy.source import Found, PolicyFile, read_policy_file
from cado_ops.policy.validity import Attached, text_of

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
_ATTACHED = {
    "AWS::IAM::ManagedPolicy": Attached.MANAGED,
    "AWS::IAM::Role": Attached.ROLE_INLINE,
    "AWS::IAM::RolePolicy": Attached.ROLE_INLINE,
    "AWS::IAM::User": Attached.USER_INLINE,
    "AWS::IAM::Group": Attached.GROUP_INLINE,
}


def lint_file(
    text: str, where: str, about: Mapping[str, Any], key_of: Callable[[Document], Key | None]
) -> list[Finding]:
    """The findings on each policy of a file, errors first; ``about`` is what `Subject` takes besides documents.

    ``key_of`` says of a key's policy whose key it is, or None where nobody knows. Messages begin with the place.
    """
    faults: list[Fault] = []
    try:
        file = read_policy_file(text, where, faults)
    except PolicyError as error:
        return [Finding("malformed", None, _with_hint(error.message, error.hint))]
    findings = [
        Finding("malformed", each.place.name or None, _with_hint(str(each), each.hint), command=())
        for each in faults
    ]
    for found in file.found:
        mine = [each for each in faults if each.policy == found.path]
        subject = Subject((found.document,), **about, **_size_of(file, found))
        for finding in _judged(subject, found.document, key_of, mine):
            statement = ".".join(filter(None, (found.name, finding.statement))) or None
            # What is malformed, tighten does not take.
            command = () if faults else finding.command
            findings.append(Finding(finding.rule, statement, _placed(finding), command=command))
    return in_order(findings)


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
    """What AWS counts: a key's policy as it stands; the inline policies of one role, user or group together."""
    if found.path[:1] != ("Resources",):
        return (
            {"text": file.text} if file.form == "json" and not found.path and is_key_policy(found.document) else {}
        )
    kind = _ATTACHED.get(str(file.data["Resources"][found.path[1]].get("Type")))
    if kind is None or kind is Attached.MANAGED:
        return {"attached": kind}
    together = [each for each in file.found if _resource(each.path) == _resource(found.path)]
    # Told once, with the first of them.
    text = "".join(text_of(each.document) for each in together) if together[0] is found else ""
    return {"attached": kind, "text": text}


def _resource(path: Path) -> Path:
    return path[:2]


def _placed(finding: Finding) -> str:
    """The message with the line it is about."""
    place = (finding.place or "").partition(": ")[0]
    numbers = place.split(":")[-2:]
    return (
        f"line {numbers[0]}: {finding.message}" if len(numbers) == 2 and numbers[0].isdigit() else finding.message
    )


def _with_hint(message: str, hint: str | None) -> str:
    return message + (f" ({hint})" if hint else "")
