"""Which of a template's roles is the Cado role: the others are none of `tighten`'s business.

By what it is called, where the platform asks for it; else by what it may do: docs/policy-rules.md, "Templates".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from cado_ops.model import CLAIM_PREFIX, SSM_TAG
from cado_ops.policy.document import ALLOW, Condition, Document
from cado_ops.policy.holders import Holder
from cado_ops.policy.partitions import Partitions, partitions_of
from cado_ops.policy.reach import REQUEST_TAG, TAG_KEYS, Ask, names_action, open_in, operator_parts

# The platform asks for one of these in the name of the role that it assumes.
_CALLED = re.compile("cadoresponse|darktraceforensics", re.IGNORECASE)
# What it reaches instances and disks with; the operator role has none of these.
_REACHES = ("ssm:SendCommand", "ssm:StartSession", "ebs:GetSnapshotBlock")
_GRANTS = "kms:CreateGrant"


def cado_roles(
    found: Sequence[Holder], named: Iterable[str] = (), default: Partitions | None = None
) -> tuple[list[Holder], list[str]]:
    """Those that are meant, and of each other why not. ``named``: names of roles, or their logical ids."""
    named = set(named)
    if any(named & each.names for each in found):
        chosen = [each for each in found if named & each.names]
        return chosen, [f"{each.name}: not the role that was named" for each in found if each not in chosen]
    chosen, remarks = [], []
    for each in found:
        why = _why_not(each, default, alone=len(found) == 1)
        if why is None:
            chosen.append(each)
        else:
            remarks.append(f"{each.name}: {why}")
    return chosen, remarks


def _why_not(holder: Holder, default: Partitions | None, *, alone: bool) -> str | None:
    if holder.called and _CALLED.search(holder.called):
        return None
    if any(_may(holder, action, default) for action in _REACHES):
        return None
    if any(_marks_operators(held.documents) for held in holder.held):
        return "it sets this program's tags, or makes grants that it retires, as the operator role does"
    if alone or _may(holder, _GRANTS, default):
        return None
    return f"it may do nothing of what the Cado role does ({', '.join((*_REACHES, _GRANTS))})"


def _may(holder: Holder, action: str, default: Partitions | None) -> bool:
    return any(
        open_in(held.documents, Ask(action, f"arn:{partition}:*:*:*:*"), partition)
        for held in holder.held
        for partition in partitions_of(held.documents, default).judged
    )


def _marks_operators(documents: Iterable[Document]) -> bool:
    return any(map(_marks, _allowed(documents)))


def _allowed(documents: Iterable[Document]) -> Iterator[tuple[bool, Condition]]:
    """The conditions of what is allowed, each with whether the statement is about grants."""
    for document in documents:
        for statement in document.statements:
            if statement.effect == ALLOW:
                for condition in statement.conditions:
                    yield names_action(statement, _GRANTS), condition


def _marks(given: tuple[bool, Condition]) -> bool:
    of_grants, condition = given
    key = condition.key.lower()
    if "not" in operator_parts(condition.operator)[2]:
        return False
    if of_grants:
        return key == "kms:retiringprincipal"
    if key == REQUEST_TAG + SSM_TAG.lower():
        return True
    return key == TAG_KEYS and any(each.startswith((SSM_TAG, CLAIM_PREFIX)) for each in condition.values.strings)
