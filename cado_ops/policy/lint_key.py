"""What is wrong with a key's policy, for a Cado role: "Key policies in AWS KMS", KMS Developer Guide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cado_ops.policy.document import ALLOW, Document, Principal, Statement, Values
from cado_ops.policy.guards import ONE_OF, keys_in
from cado_ops.policy.kms_variant import CREATE_GRANT, FOR_AWS_RESOURCE, VARIANTS
from cado_ops.policy.lint_kms import shut_out
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.reach import Ask, Facts, may_allow, open_in, surely_denies
from cado_ops.policy.rules import Finding, Subject, finding, in_order

_ACCOUNT = re.compile(r"arn:[^:]+:iam::([0-9]{12}):root|([0-9]{12})")
_PRINCIPAL = re.compile(r"arn:[^:]+:(?:iam|sts)::([0-9]{12}):")


# Condition keys that say who asks: they make "*" a smaller circle. Through which service somebody comes does not.
_SAY_WHO = ("aws:principal", "aws:source", "aws:userid", "aws:username", "kms:calleraccount", "aws:vpcsource")


@dataclass(frozen=True)
class Key:
    """Whose key it is, and for whom it is checked: the Cado role and, where it is known, the operator role.

    ``role_documents`` are the Cado role's own policies, None where they were not read; ``arn`` is the key's own,
    None for a policy in a file.
    """

    account: str
    role_arn: str
    role_documents: Sequence[Document] | None = None
    operator_arn: str | None = None
    arn: str | None = None

    @property
    def is_across(self) -> bool:
        return self.role_account != self.account

    @property
    def role_account(self) -> str:
        return self.role_arn.split(":")[4]


def lint_key_policy(subject: Subject, key: Key | None) -> list[Finding]:
    """``key`` None: whose key it is is not known, and only what does not depend on that is told."""
    findings = list(lint_shape(subject, is_key_policy=True))
    findings += _open(subject)
    if key is not None:
        findings += _delegation(subject, key.account)
        findings += _role(subject, key)
    for statement in subject.statements:
        for condition in statement.conditions:
            findings += shut_out(subject, statement, condition)
    return in_order(findings)


def _open(subject: Subject) -> Iterator[Finding]:
    for statement in subject.statements:
        if statement.effect != ALLOW or any(each.key.lower().startswith(_SAY_WHO) for each in statement.conditions):
            continue
        but = ", without a condition on who asks"
        if _is_anybody(statement.principal):
            yield finding("key-policy-open", statement, f'the Principal is "*"{but}')
        elif statement.not_principal is not None:
            yield finding("key-policy-open", statement, f"NotPrincipal allows everybody else{but}")


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


def account_told_by(document: Document) -> str | None:
    """Whose key a policy is for, as far as it tells: of the root that it names, or of the roles."""
    principals = [each.principal for each in document.statements if each.principal is not None]
    wholes = {account for each in principals for account in accounts_of(each)}
    named = wholes or {
        match[1] for each in principals for name in each.of("AWS") if (match := _PRINCIPAL.match(str(name)))
    }
    return named.pop() if len(named) == 1 else None


def _names(principal: Principal | None, arn: str) -> bool:
    """Whether it means a role: by its ARN, by a session of it, or as anybody."""
    if principal is None:
        return False
    role = arn.rpartition("/")[2]
    session = f"arn:{arn.split(':')[1]}:sts::{arn.split(':')[4]}:assumed-role/{role}/"
    return _is_anybody(principal) or any(
        str(each) == arn or str(each).startswith(session) for each in principal.of("AWS")
    )


def _reaches(statement: Statement, arn: str) -> bool:
    """Whether a Deny means a role: by name, as one of its account, or as one whom NotPrincipal does not spare."""
    account = arn.split(":")[4]
    if statement.not_principal is not None:
        return not _names(statement.not_principal, arn)
    return _names(statement.principal, arn) or account in accounts_of(statement.principal)


def _role(subject: Subject, key: Key) -> Iterator[Finding]:
    variant = VARIANTS[subject.kms] if subject.kms else None
    wanted = variant.needs if variant else (CREATE_GRANT, "kms:Decrypt")
    direct = [each for each in wanted if _allowed(subject, each, key.role_arn, by_account=False)]
    usable = {each for each in wanted if _allowed(subject, each, key.role_arn)}
    in_iam = None
    if key.role_documents is not None:
        in_iam = [
            each
            for each in wanted
            if open_in(key.role_documents, Ask(ONE_OF.get(each, each), keys_in(subject.place)), subject.partition)
        ]
    refused = _grants_refused(subject, key)
    if not usable:
        yield finding(
            "key-policy-role",
            None,
            f"nothing lets {key.role_arn} use the key: neither named, nor left to IAM of its account",
            # Where grants are refused as well, or the key is not known, its own policy has to change.
            command=_new_key_policy(subject, key) if refused or key.arn is None else None,
        )
    elif variant is not None and set(wanted) - usable:
        missing = ", ".join(each for each in wanted if each not in usable)
        yield finding(
            "kms-actions-missing",
            None,
            f"for {subject.kms}, the key's policy does not allow {missing}",
            command=_new_key_policy(subject, key),
        )
    yield from _sides(subject, key, usable, direct, in_iam)
    if refused:
        yield finding("key-policy-grants", None, refused)


def _new_key_policy(subject: Subject, key: Key) -> tuple[str, ...]:
    """The command that renders the key's policy as it should be; a role of another account does not tell whose."""
    words = ("policy", "show", f"kms-{subject.kms or 'withheld'}")
    return (*words, *(("--account", key.account) if key.is_across else ()), "--cado-role", key.role_arn)


def _sides(
    subject: Subject, key: Key, usable: set[str], direct: Sequence[str], in_iam: list[str] | None
) -> Iterator[Finding]:
    """Inside the account one side is enough, if the key leaves it to IAM; across accounts both have to allow."""
    if in_iam is None:
        return
    lacking = sorted(usable - set(in_iam) - (set() if key.is_across else set(direct)))
    if lacking:
        why = "the key is of another account, so that" if key.is_across else "the key leaves it to IAM, and"
        yield finding(
            "one-side-missing", None, f"{why} {key.role_arn} needs {', '.join(lacking)} in its own policies"
        )
    if key.is_across and set(in_iam) - usable:
        missing = ", ".join(each for each in in_iam if each not in usable)
        yield finding(
            "one-side-missing",
            None,
            f"{key.role_arn} is allowed {missing}, and the key's policy does not allow it",
            command=_new_key_policy(subject, key),
        )


def _allowed(
    subject: Subject, action: str, arn: str, facts: Facts | None = None, *, by_account: bool = True
) -> bool:
    """Whether the policy lets a role do it: by name or, ``by_account``, by leaving it to IAM of its account."""
    ask = Ask(ONE_OF.get(action, action), keys_in(subject.place), {**_of_principal(arn), **(facts or {})})
    # A key's policy is about its key, whatever Resource says.
    statements = [replace(each, resources=Values.of("*")) for each in subject.statements]
    if any(surely_denies(each, ask, subject.partition) for each in statements if _reaches(each, arn)):
        return False
    account = arn.split(":")[4]
    return any(
        _names(each.principal, arn)
        or (by_account and account in accounts_of(each.principal))
        or (each.not_principal is not None and not _names(each.not_principal, arn))
        for each in statements
        if may_allow(each, ask, subject.partition)
    )


def _of_principal(arn: str) -> dict[str, tuple[str, ...] | None]:
    """What is known of a request because of who asks ("AWS global condition context keys")."""
    account = (arn.split(":")[4],)
    return {"aws:principalarn": (arn,), "aws:principalaccount": account, "kms:calleraccount": account}


def _grants_refused(subject: Subject, key: Key) -> str | None:
    """Why the operator role cannot make grants, which are for no service; None where it can, or may be able to."""
    # It calls KMS itself, and through no service.
    facts: Facts = {FOR_AWS_RESOURCE.lower(): ("false",), "kms:viaservice": None}
    named = [key.operator_arn] if key.operator_arn else _others(subject, key)
    if any(_allowed(subject, CREATE_GRANT, each, facts) for each in named):
        return None
    who = key.operator_arn or "another role of the account"
    ask = Ask(CREATE_GRANT, "*", {**_of_principal(named[0]), **facts})
    denied = any(
        surely_denies(replace(each, resources=Values.of("*")), ask, subject.partition)
        for each in subject.statements
        if _reaches(each, named[0])
    )
    reason = f"a Deny forbids {who}" if denied else f"neither {who} nor IAM of the account is allowed"
    return f"{reason} kms:CreateGrant without {FOR_AWS_RESOURCE}: `kms grant` is refused"


def _others(subject: Subject, key: Key) -> list[str]:
    """Who may be the operator role, where that is not known: any of the key's account but the Cado role."""
    anybody = f"arn:{subject.partition}:iam::{key.account}:role/whichever-it-is"
    named = (
        str(each)
        for statement in subject.statements
        if statement.principal is not None
        for each in statement.principal.of("AWS")
    )
    mine = [
        each
        for each in named
        if (match := _PRINCIPAL.match(each)) and match[1] == key.account and each != key.role_arn
    ]
    return [anybody, *(each for each in mine if not each.endswith(":root"))]


def says_principal(document: Document) -> bool:
    """Whether it is the policy of a resource, or a trust, or has a Principal where none belongs."""
    return any(each.principal is not None or each.not_principal is not None for each in document.statements)


def is_key_policy(document: Document) -> bool:
    """Whether a document is a key's policy: its statements say Principal, and speak of KMS alone.

    A role's policy in which a Principal has gone astray speaks of other things.
    """
    statements = [each for each in document.statements if each.whole is None]
    named = [
        action
        for each in statements
        for values in (each.actions, each.not_actions)
        for action in (values or Values()).strings
    ]
    return says_principal(document) and all(each == "*" or each.lower().startswith("kms:") for each in named)
