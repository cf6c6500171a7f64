"""What granting means for one key and one grantee. Pure: docs/reference.md, "Grants", as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cado_ops.due import format_due
from cado_ops.grant_name import GrantName, digest_of, parse_grant_name
from cado_ops.model import ErrorInfo, Grant, Key, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_change import GrantChange, on_grant, on_key, terms_of

# "Resource quotas", KMS Developer Guide: grants for each key, all owners together.
GRANT_QUOTA = 50_000
NEAR_QUOTA = 45_000


@dataclass(frozen=True, slots=True)
class GrantWish:
    """What kms grant was asked for. ``constraints`` are KMS's GrantConstraints."""

    operations: tuple[str, ...]
    case: str | None = None
    due: datetime | None = None
    constraints: Mapping[str, Any] = field(default_factory=dict)


def plan_grant(
    key: Key,
    grantee: str,
    serves: Sequence[str],
    grants: Iterable[Grant],
    wish: GrantWish,
    retiring_principal: str | None,
    owner: Callable[[Grant], Owner],
) -> list[GrantChange]:
    """The change that lets ``grantee`` use ``key``, and those that end what it takes the place of.

    ``grants`` are all that the grantee has on the key; ``owner`` says whose one is.
    """
    digest = digest_of(key.arn, grantee, wish.operations, wish.constraints)
    name = str(GrantName(wish.case, wish.due, digest))
    wanted = on_key(
        key,
        name,
        Action.CREATE,
        name=name,
        grantee_principal=grantee,
        retiring_principal=retiring_principal,
        operations=tuple(sorted(set(wish.operations))),
        constraints=wish.constraints,
        owner=Owner.OURS,
        serves=tuple(serves),
    )
    unusable = key_problem(key)
    if unusable is not None:
        return [unusable_key(wanted, *unusable)]
    everything = list(grants)
    mine = ranked(grant for grant in everything if same_claim(grant, wish.case, digest))
    others = [grant for grant in everything if grant not in mine]
    wanted = replace(wanted, warnings=(*_remarks(key, grantee), *_covered(others, wish, owner)))
    if not mine:
        return [wanted]
    best, *rest = mine
    best_due = due_of(best)
    if wish.due is not None and best_due is not None and wish.due > best_due:
        return [wanted, *_ended(mine, wanted, retiring_principal)]
    warnings = [*wanted.warnings, *_other_due(wish, best_due)]
    if best.retiring_principal != retiring_principal:
        warnings.append(
            f"it was made to be retired by {best.retiring_principal or 'nobody in particular'}: "
            "you may not be able to retire it"
        )
    kept = on_grant(
        best, Action.NONE, id=best.name, owner=Owner.OURS, serves=tuple(serves), outcome=Outcome.UNCHANGED,
        warnings=tuple(warnings),
    )  # fmt: skip
    return [kept, *_ended(rest, None, retiring_principal)]


def same_claim(grant: Grant, case: str | None, digest: str) -> bool:
    """Whether a grant of ours is for this case and has these terms, whatever its due time."""
    name = parse_grant_name(grant.name)
    ours = name is not None and name.digest == digest == digest_of(*terms_of(grant))
    return name is not None and ours and name.case == case


def ranked(grants: Iterable[Grant]) -> list[Grant]:
    """Of grants that are for the same: the one to be kept first. The latest due, then the oldest, then by id."""

    def rank(grant: Grant) -> tuple[bool, float, float, str]:
        due = due_of(grant)
        created = grant.created.timestamp() if grant.created else float("inf")
        return due is not None, -due.timestamp() if due else 0.0, created, grant.grant_id

    return sorted(grants, key=rank)


def due_of(grant: Grant) -> datetime | None:
    """When a grant is due by its name; None for one without an end."""
    name = parse_grant_name(grant.name)
    return name.due if name else None


def key_problem(key: Key) -> tuple[Outcome, ErrorInfo | str] | None:
    """Why no grant of ours can be made on a key: an error, or the reason why none is needed. None if one can.

    "Key states of AWS KMS keys", KMS Developer Guide: what CreateGrant works on.
    """
    where = f"--region {key.region} --key-id {key.arn}"
    if key.manager == "AWS":
        return (
            Outcome.SKIPPED,
            "AWS manages this key: it takes no grants of ours, and in its own account needs none",
        )
    if key.spec != "SYMMETRIC_DEFAULT" or key.usage != "ENCRYPT_DECRYPT":
        return Outcome.FAILED, ErrorInfo(
            "UnsupportedKey", f"the key is {key.spec} for {key.usage}: EBS encrypts with symmetric keys alone"
        )
    match key.state:
        case "Enabled" | "Updating" | "Unavailable":
            return None
        case "Disabled":
            return Outcome.FAILED, ErrorInfo(
                "DisabledException", "the key is disabled: KMS makes no grants on it, and nothing can be decrypted",
                f"aws kms enable-key {where}",
            )  # fmt: skip
        case "PendingDeletion" | "PendingReplicaDeletion":
            return Outcome.FAILED, ErrorInfo(
                "KMSInvalidStateException", "the key is to be deleted: what it encrypts will be lost with it",
                f"aws kms cancel-key-deletion {where}, then aws kms enable-key {where}",
            )  # fmt: skip
        case "PendingImport":
            return Outcome.FAILED, ErrorInfo(
                "KMSInvalidStateException", "the key has no key material yet, or no longer (PendingImport)",
                "Import its key material again: aws kms import-key-material",
            )  # fmt: skip
        case other:
            return Outcome.FAILED, ErrorInfo("KMSInvalidStateException", f"the key is {other}")


def unusable_key(change: GrantChange, outcome: Outcome, why: ErrorInfo | str) -> GrantChange:
    """A change that cannot be, or need not be made, and why."""
    change = replace(change, action=Action.NONE, name=None, retiring_principal=None, owner=None, operations=())
    if isinstance(why, ErrorInfo):
        return change.ended(outcome, why)
    return change.ended(outcome, warnings=(why,))


def _ended(grants: Iterable[Grant], after: GrantChange | None, retiring_principal: str | None) -> list[GrantChange]:
    """The changes that end what is no longer needed, as far as the caller may retire it."""
    ended = []
    for grant in grants:
        change = on_grant(grant, Action.RETIRE, owner=Owner.OURS, after=after.id if after else None)
        if grant.retiring_principal != retiring_principal:
            reason = f"no longer needed, and to be retired by {grant.retiring_principal or 'nobody in particular'}"
            change = replace(change, action=Action.NONE).ended(Outcome.SKIPPED, warnings=(reason,))
        ended.append(change)
    return ended


def _other_due(wish: GrantWish, best_due: datetime | None) -> list[str]:
    if wish.due is not None and (best_due is None or wish.due < best_due):
        until = f"until {format_due(best_due)}" if best_due else "without an end"
        return [f"{wish.case} has it {until} already: the earlier due time is not taken"]
    if wish.due is None and best_due is not None:
        return [f"it is due {format_due(best_due)}; a later --expires prolongs it"]
    return []


def _remarks(key: Key, grantee: str) -> list[str]:
    remarks = []
    if key.multi_region:
        others = f" ({', '.join(key.replicas)})" if key.replicas else ""
        remarks.append(
            f"a multi-region key: this grant is for {key.region} alone, and other regions{others} need their own"
        )
    if key.state == "Unavailable":
        remarks.append("the key's own key store is disconnected: until it is connected, nothing can be decrypted")
    account = grantee.split(":")[4] if grantee.count(":") >= 5 else key.account
    if account != key.account:
        remarks.append(
            f"the key is of account {key.account} and the grantee of {account}: "
            "the grantee's own policies have to allow these actions on the key as well"
        )
    return remarks


def _covered(others: Iterable[Grant], wish: GrantWish, owner: Callable[[Grant], Owner]) -> list[str]:
    """Grants that give the same already. They may end at any time, with another case or by another hand."""
    remarks = []
    for grant in others:
        if not set(wish.operations) <= set(grant.operations) or not (
            not grant.constraints or dict(grant.constraints) == dict(wish.constraints)
        ):
            continue
        name = parse_grant_name(grant.name)
        whose = owner(grant)
        held = f"case {name.case}" if whose is Owner.OURS and name and name.case else whose
        remarks.append(f"grant {grant.grant_id} ({held}) gives the same already, and is not relied on")
    return remarks


def duplicates(change: GrantChange, live: Iterable[Grant]) -> tuple[Grant | None, list[Grant]]:
    """Of the grants that are for the same as ``change``, which was made: the one to be kept, and the others.

    A grant that has no name of ours has no duplicates.
    """
    name = parse_grant_name(change.name)
    if name is None or change.action is not Action.CREATE:
        return None, []
    same = ranked(grant for grant in live if same_claim(grant, name.case, name.digest))
    return (same[0] if same else None), same[1:]
