"""What is wrong with a key's policy, for a Cado role: "Key policies in AWS KMS", KMS Developer Guide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cado_ops.policy.document import ALLOW, DENY, Document, Principal, Statement, Values
from cado_ops.policy.guards import ONE_OF, keys_in
from cado_ops.policy.kms_variant import CREATE_GRANT, FOR_AWS_RESOURCE, VARIANTS
from cado_ops.policy.lint_kms import shut_out
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.reach import Ask, Facts, may_allow, open_in, surely_denies
from cado_ops.policy.rules import Finding, Subject, finding, in_order

_ACCOUNT = re.compile(r"arn:[^:]+:iam::([0-9]{12}):root|([0-9]{12})")


def lint_key_policy(
    subject: Subject, *, account: str, role_arn: str, role_documents: Sequence[Document] | None
) -> list[Finding]:
    """``account`` is the key's; ``role_documents`` are the role's own policies, None where they were not read."""
    findings = list(lint_shape(subject, is_key_policy=True))
    findings += _open(subject)
    findings += _delegation(subject, account)
    findings += _role(subject, account, role_arn, role_documents)
    for statement in subject.statements:
        for condition in statement.conditions:
            findings += shut_out(subject, statement, condition)
    return in_order(findings)


def _open(subject: Subject) -> Iterator[Finding]:
    for statement in subject.statements:
        # An account's condition, or a service's, makes "*" a smaller circle.
        if statement.effect == ALLOW and _is_anybody(statement.principal) and not statement.conditions:
            yield finding("key-policy-open", statement, 'the Principal is "*", without a condition')


def _is_anybody(principal: Principal | None) -> bool:
    return principal is not None and (principal.everyone or "*" in principal.of("AWS"))


def _delegation(subject: Subject, account: str) -> Iterator[Finding]:
    if not any(_delegates(each, account) for each in subject.statements):
        yield finding(
            "key-policy-root", None, f"no statement leaves the key to IAM of {account} (Principal …:root, kms:*)"
        )


def _delegates(statement: Statement, account: str) -> bool:
    """Whether it lets the account's IAM decide on everything."""
    everything = statement.actions is not None and bool({"*", "kms:*"} & set(statement.actions.strings))
    return (
        statement.effect == ALLOW and not statement.conditions and everything
        and account in accounts_of(statement.principal)
    )  # fmt: skip


def accounts_of(principal: Principal | None) -> set[str]:
    """The accounts that a principal names as a whole, by root or number."""
    if principal is None:
        return set()
    found = (_ACCOUNT.fullmatch(str(each)) for each in principal.of("AWS"))
    return {match[1] or match[2] for match in found if match}


def _names(principal: Principal | None, role_arn: str) -> bool:
    if principal is None:
        return False
    return principal.everyone or any(str(each) in ("*", role_arn) for each in principal.of("AWS"))


def _role(
    subject: Subject, account: str, role_arn: str, role_documents: Sequence[Document] | None
) -> Iterator[Finding]:
    role_account = role_arn.split(":")[4]
    variant = VARIANTS[subject.kms or "grant-only"] if subject.kms else None
    wanted = variant.needs if variant else (CREATE_GRANT, "kms:Decrypt")
    direct = [each for each in wanted if _allowed(subject, each, lambda one: _names(one.principal, role_arn))]
    by_account = [
        each for each in wanted if _allowed(subject, each, lambda one: role_account in accounts_of(one.principal))
    ]
    in_iam = None
    if role_documents is not None:
        in_iam = [
            each
            for each in wanted
            if open_in(role_documents, Ask(ONE_OF.get(each, each), keys_in(subject.place)), subject.partition)
        ]
    usable = set(direct) | set(by_account)
    if not usable:
        yield finding(
            "key-policy-role",
            None,
            f"nothing lets {role_arn} use the key: neither named, nor left to IAM of its account",
        )
    elif variant is not None and set(wanted) - usable:
        missing = ", ".join(each for each in wanted if each not in usable)
        yield finding("kms-actions-missing", None, f"for {subject.kms}, the key's policy does not allow {missing}")
    yield from _sides(subject, account, role_arn, usable, direct, in_iam)
    yield from _grants(subject, role_arn, account)


def _sides(
    subject: Subject, account: str, role_arn: str, usable: set[str], direct: Sequence[str], in_iam: list[str] | None
) -> Iterator[Finding]:
    """Inside the account one side is enough, if the key leaves it to IAM; across accounts both have to allow."""
    across = role_arn.split(":")[4] != account
    if in_iam is None:
        return
    lacking = sorted(usable - set(in_iam) - (set() if across else set(direct)))
    if lacking:
        why = "the key is of another account, so that" if across else "the key leaves it to IAM, and"
        yield finding("one-side-missing", None, f"{why} {role_arn} needs {', '.join(lacking)} in its own policies")
    if across and set(in_iam) - usable:
        missing = ", ".join(each for each in in_iam if each not in usable)
        yield finding(
            "one-side-missing", None, f"{role_arn} is allowed {missing}, and the key's policy does not allow it"
        )


def _allowed(subject: Subject, action: str, names: Callable[[Statement], bool], facts: Facts | None = None) -> bool:
    ask = Ask(ONE_OF.get(action, action), keys_in(subject.place), facts or {})
    statements = [replace(each, resources=Values.of("*")) for each in subject.statements if names(each)]
    if any(surely_denies(each, ask, subject.partition) for each in statements if each.effect == DENY):
        return False
    return any(may_allow(each, ask, subject.partition) for each in statements)


def _grants(subject: Subject, role_arn: str, account: str) -> Iterator[Finding]:
    """Whether grants that are not for a service can be made at all: the operator role makes such."""
    facts: Facts = {FOR_AWS_RESOURCE.lower(): ("false",)}
    account_may = _allowed(subject, CREATE_GRANT, lambda one: account in accounts_of(one.principal), facts)
    denied = any(
        surely_denies(replace(each, resources=Values.of("*")), Ask(CREATE_GRANT, "*", facts), subject.partition)
        for each in subject.statements
        if _is_anybody(each.principal)
    )
    if denied or not account_may:
        reason = "a Deny forbids" if denied else "IAM of the account is not left"
        yield finding(
            "key-policy-grants",
            None,
            f"{reason} kms:CreateGrant without {FOR_AWS_RESOURCE}: `kms grant` is refused",
        )


def is_key_policy(document: Document) -> bool:
    """Whether a document is a resource's policy: its statements say Principal."""
    return any(each.principal is not None or each.not_principal is not None for each in document.statements)
