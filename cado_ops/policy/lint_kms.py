"""What is wrong with a Cado role's permissions on keys, and with conditions that shut the platform out."""

from __future__ import annotations

from collections.abc import Iterator

from cado_ops.policy.document import ALLOW, DENY, Condition, Statement
from cado_ops.policy.filled import narrowest, widest
from cado_ops.policy.guards import ONE_OF, keys_in
from cado_ops.policy.kms_variant import CREATE_GRANT, FOR_AWS_RESOURCE, VARIANTS
from cado_ops.policy.patterns import fits, meets
from cado_ops.policy.reach import Ask, open_in, operator_parts
from cado_ops.policy.rules import Finding, Subject, finding

# Conditions that bound a grant: to whom, or for what ("Condition keys for AWS KMS").
_BOUNDS = ("kms:granteeprincipal", "kms:grantoperations", "kms:grantconstrainttype")
# What has to let the platform in: key, and whether its values are regions.
_NETWORK = ("aws:sourcevpce", "aws:sourcevpc", "aws:sourceip", "aws:vpcsourceip")
_ORGANISATION = ("aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid")
_ACCOUNT = ("aws:principalaccount", "kms:calleraccount", "aws:sourceaccount")
_REGIONS = ("aws:requestedregion", "kms:viaservice", "ec2:region")


def lint_kms(subject: Subject) -> Iterator[Finding]:
    yield from _missing(subject)
    yield from _unbounded(subject)
    for statement in subject.statements:
        if _is_of_the_platform(statement):
            for condition in statement.conditions:
                yield from shut_out(subject, statement, condition)


def _missing(subject: Subject) -> Iterator[Finding]:
    if subject.kms is None:
        return
    keys = keys_in(subject.place)
    needs = VARIANTS[subject.kms].needs
    missing = [
        each
        for each in needs
        if not open_in(subject.documents, Ask(ONE_OF.get(each, each), keys), subject.partition)
    ]
    if missing:
        yield finding("kms-actions-missing", None, f"for {subject.kms}, no statement allows {', '.join(missing)}")


def _unbounded(subject: Subject) -> Iterator[Finding]:
    ask = Ask(CREATE_GRANT, keys_in(subject.place), {FOR_AWS_RESOURCE.lower(): ("false",)})
    for statement in open_in(subject.documents, ask, subject.partition):
        if statement.effect == ALLOW and not any(map(_bounds, statement.conditions)):
            yield finding(
                "create-grant-unbounded", statement,
                f"{CREATE_GRANT} without {FOR_AWS_RESOURCE}, kms:GranteePrincipal or kms:GrantOperations",
            )  # fmt: skip


def _bounds(condition: Condition) -> bool:
    """Whether it keeps a grant to somebody or something: what is negated, or any text at all, does not."""
    name = operator_parts(condition.operator)[2]
    anything = any(not text.strip("*") for text in condition.values.strings)
    return condition.key.lower() in _BOUNDS and "not" not in name and name != "null" and not anything


def _is_of_the_platform(statement: Statement) -> bool:
    """Whether it is about what the platform does: keys, snapshots, commands."""
    if statement.whole is not None:
        return False
    if statement.not_actions is not None:
        return True
    services = ("kms:", "ssm:", "ec2:", "ebs:")
    return any(
        str(each).lower().startswith(services) or "*" in str(each).partition(":")[0]
        for each in statement.actions or ()
    )


def shut_out(subject: Subject, statement: Statement, condition: Condition) -> Iterator[Finding]:
    """What a condition says of regions, accounts, organisations and networks."""
    key = condition.key.lower()
    if key not in (*_REGIONS, *_NETWORK, *_ORGANISATION, *_ACCOUNT):
        return
    told = f"{condition.operator} {condition.key}: {', '.join(map(str, condition.values))}"
    there = _platform_value(subject, key)
    if there is None:
        yield finding("may-shut-out", statement, f"{told}; the platform has to be within it{_option(key)}")
        return
    holds = _holds(condition, there, subject.partition)
    shut = holds is False if statement.effect == ALLOW else holds is True and statement.effect == DENY
    if shut:
        yield finding("shuts-out", statement, f"{told} shuts out {there}")
    elif holds is None:
        yield finding("may-shut-out", statement, f"{told}; whether {there} is within it is not known")


def _platform_value(subject: Subject, key: str) -> str | None:
    """What the platform's requests have for a key, as far as it was said."""
    if key in _ORGANISATION:
        return subject.platform_org
    if key in _ACCOUNT:
        return subject.platform_account
    if key in _REGIONS and subject.platform_region is not None:
        if key == "kms:viaservice":
            suffix = "amazonaws.com.cn" if subject.partition == "aws-cn" else "amazonaws.com"
            return f"ec2.{subject.platform_region}.{suffix}"
        return subject.platform_region
    return None


def _option(key: str) -> str:
    option = {
        **dict.fromkeys(_REGIONS, "--platform-region"),
        **dict.fromkeys(_ACCOUNT, "--platform-account"),
        **dict.fromkeys(_ORGANISATION, "--platform-org"),
    }.get(key)
    return f" ({option} checks it)" if option else ""


def _holds(condition: Condition, value: str, partition: str) -> bool | None:
    _, _, name = operator_parts(condition.operator)
    negated = "not" in name
    base = name.replace("not", "", 1)
    if base not in ("stringequals", "stringlike", "stringequalsignorecase", "arnlike", "arnequals"):
        return None
    unsure = False
    for each in condition.values:
        pattern = narrowest(each, partition)
        if pattern is None:
            unsure = unsure or meets(widest(each, partition), value)
        elif (value == pattern) if base == "stringequals" else fits(value.lower(), pattern.lower()):
            return not negated
    return None if unsure else negated
