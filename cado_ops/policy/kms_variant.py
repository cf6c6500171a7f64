"""The variants of the Cado role's KMS permissions, and a statement limited to one.

"Condition keys for AWS KMS" (kms:GrantIsForAWSResource), KMS Developer Guide; Cado's page on encrypted volumes.
A variant never adds an action that the policy did not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cado_ops.policy import known
from cado_ops.policy.document import Statement, Value, Values
from cado_ops.policy.parts import name_of, with_condition
from cado_ops.policy.patterns import covers, overlap

CREATE_GRANT = "kms:CreateGrant"
FOR_AWS_RESOURCE = "kms:GrantIsForAWSResource"
_FOUR = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")
# The actions that a variant is about: others of KMS are none of its business where they are named.
FAMILIES = (*_FOUR, CREATE_GRANT)
# What is left of kms:* beside the variant: reading harms nobody.
_READS = ("kms:Describe*", "kms:Get*", "kms:List*")


@dataclass(frozen=True)
class Variant:
    """``actions``; whether grants may be made for AWS services alone; ``needs``: what must be allowed for it."""

    actions: tuple[str, ...]
    grants_for_services: bool
    needs: tuple[str, ...]


VARIANTS = {
    "full": Variant(FAMILIES, False, (*FAMILIES, "kms:DescribeKey")),
    "grant-only": Variant((CREATE_GRANT,), False, (CREATE_GRANT,)),
    "withheld": Variant(FAMILIES, True, (*FAMILIES, "kms:DescribeKey")),
    "ebs-direct": Variant(("kms:Decrypt", CREATE_GRANT), True, ("kms:Decrypt", "kms:DescribeKey", CREATE_GRANT)),
}


def limit_to_variant(
    statement: Statement, name: str, say: Callable[[str], None], is_dead: Callable[[str], bool]
) -> list[tuple[str, Statement]]:
    """What is left of an Allow, in one part or two, each with a suffix for its Sid ("" keeps it).

    ``is_dead`` says of an action that a wildcard stands for whether the statement grants it nothing.
    """
    variant = VARIANTS[name]
    if statement.actions is None:
        return [("", statement)]
    kept: list[Value] = []
    gone: list[str] = []
    for action in statement.actions:
        left = _left(action, variant, is_dead)
        kept += left
        if action not in left:
            gone.append(str(action))
    if gone:
        say(f"{name_of(statement)}: --kms {name} takes out {', '.join(gone)}" + _in_place_of(kept, statement))
    kept = list(dict.fromkeys(kept))
    granting = [each for each in kept if isinstance(each, str) and each.lower() == CREATE_GRANT.lower()]
    if not variant.grants_for_services or not granting or _for_services(statement):
        if not kept:
            return []
        return [("", replace(statement, actions=statement.actions.with_items(kept)))] if gone else [("", statement)]
    rest = [each for each in kept if each not in granting]
    bounded = with_condition(replace(statement, actions=Values.of(*granting)), "Bool", FOR_AWS_RESOURCE, "true")
    if not rest:
        return [("", bounded)]
    return [("", replace(statement, actions=statement.actions.with_items(rest))), ("Grants", bounded)]


def _in_place_of(kept: list[Value], statement: Statement) -> str:
    new = [str(each) for each in kept if each not in (statement.actions or ())]
    return f" and leaves of it {', '.join(new)}" if new else ""


def _left(action: Value, variant: Variant, is_dead: Callable[[str], bool]) -> list[Value]:
    """What is left of one action or pattern."""
    if not isinstance(action, str):
        return [action]
    text = action.lower()
    service, name = known.split_action(action)
    if service != "kms" or not name:
        # Wildcards over services are closed by a Deny.
        return [action]
    if any(covers(each.lower(), text) for each in variant.actions):
        return [action]
    if not any(overlap(text, each.lower()) for each in FAMILIES):
        return [action]
    if not any(each in name for each in "*?"):
        return []
    inside = [each for each in (*variant.actions, *_READS) if covers(text, each.lower())]
    more = [
        each
        for each in known.expand(action)
        if any(covers(allowed.lower(), each.lower()) for allowed in variant.actions)
        or (
            known.is_read_only(each)
            and not any(covers(one.lower(), each.lower()) for one in FAMILIES)
            # By name it would be a slip to be mended, which nobody made.
            and not is_dead(each)
        )
    ]
    return [*inside, *(each for each in more if not any(covers(one.lower(), each.lower()) for one in inside))]


def _for_services(statement: Statement) -> bool:
    """Whether it lets grants be made for AWS services alone."""
    return any(
        each.key.lower() == FOR_AWS_RESOURCE.lower()
        and each.operator.lower() == "bool"
        and {value.lower() for value in each.values.strings} == {"true"}
        and not each.values.intrinsics
        for each in statement.conditions
    )
