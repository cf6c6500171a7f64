"""A planned change of KMS grants, as plain data: it can be shown, journaled, compared and turned round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cado_ops.due import format_due
from cado_ops.grant_name import digest_of, parse_grant_name
from cado_ops.model import Cell, ErrorInfo, Grant, Key, Outcome, Owner
from cado_ops.plan.change import Action, text_of

ENDING = (Action.RETIRE, Action.REVOKE)


@dataclass(frozen=True, slots=True)
class GrantChange:
    """One grant that is to be made or ended, or was looked at and is left alone.

    ``id`` tells it apart within its account and region: the grant's id where it ends one, else the grant's name, or
    what stands in for it. ``after`` is the id of a change that has to have succeeded before this one may be made.
    ``key_arn`` is None where there is no key (an unencrypted volume). ``serves`` are volume ids.
    """

    account: str
    region: str
    id: str
    action: Action
    key_arn: str | None = None
    grant_id: str | None = None
    name: str | None = None
    grantee_principal: str | None = None
    retiring_principal: str | None = None
    issuing_account: str | None = None
    operations: tuple[str, ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=dict)
    created: datetime | None = None
    owner: Owner | None = None
    serves: tuple[str, ...] = ()
    after: str | None = None
    outcome: Outcome = Outcome.PLANNED
    warnings: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    # A run that was cut off may have made it. In no record.
    begun: bool = field(default=False, compare=False)

    @property
    def cell(self) -> Cell:
        return Cell(self.account, self.region)

    @property
    def case(self) -> str | None:
        parsed = parse_grant_name(self.name)
        return parsed.case if parsed else None

    @property
    def due(self) -> datetime | None:
        parsed = parse_grant_name(self.name)
        return parsed.due if parsed else None

    def ended(
        self, outcome: Outcome, error: ErrorInfo | None = None, warnings: tuple[str, ...] = ()
    ) -> GrantChange:
        """The same change, with what became of it."""
        return replace(self, outcome=outcome, error=error, warnings=self.warnings + warnings)

    def not_sent(self) -> GrantChange:
        """The same change, left as it is by a stop: what a run had begun before may have been made all the same."""
        return self.ended(Outcome.UNKNOWN) if self.begun else self

    def of_grant(self, grant: Grant) -> GrantChange:
        """The same change, with what AWS says of the grant that it made or found."""
        return replace(
            self,
            grant_id=grant.grant_id,
            name=grant.name,
            retiring_principal=grant.retiring_principal,
            issuing_account=grant.issuing_account,
            created=grant.created,
        )

    def made(self, grants: Mapping[str, Grant]) -> Grant | None:
        """The grant among these (by id) that this change makes: of the same name and terms. The oldest of several.

        KMS API reference, CreateGrant: the same name and parameters give the same grant again.
        """
        same = [grant for grant in grants.values() if self._is_like(grant)]
        return min(same, key=lambda grant: (_time(grant.created), grant.grant_id), default=None)

    def _is_like(self, grant: Grant) -> bool:
        return (
            grant.key_arn == self.key_arn
            and grant.name == self.name
            and grant.retiring_principal == self.retiring_principal
            and digest_of(*terms_of(grant)) == digest_of(*terms_of(self))
        )

    def as_item(self) -> dict[str, Any]:
        """The item of the kms commands (docs/reference.md, "Output")."""
        return {
            "account": self.account,
            "region": self.region,
            "key_arn": self.key_arn,
            "grant_id": self.grant_id,
            "name": self.name,
            "grantee_principal": self.grantee_principal,
            "retiring_principal": self.retiring_principal,
            "issuing_account": self.issuing_account,
            "operations": list(self.operations),
            "creation_date": format_due(self.created) if self.created else None,
            "case": self.case,
            "expires_at": format_due(self.due) if self.due else None,
            "owner": str(self.owner) if self.owner else None,
            "serves": list(self.serves),
            "action": str(self.action),
            "outcome": str(self.outcome),
            "warnings": list(self.warnings),
            "error": self.error.as_json() if self.error else None,
        }

    def as_record(self) -> dict[str, Any]:
        """The change as journal and plan file hold it: the item, and what else it takes to carry it out."""
        return self.as_item() | {"id": self.id, "constraints": dict(self.constraints), "after": self.after}

    def result(self) -> dict[str, Any]:
        """What the journal says of an outcome beyond the outcome itself: the grant as it is now."""
        return {
            "grant_id": self.grant_id,
            "name": self.name,
            "issuing_account": self.issuing_account,
            "creation_date": format_due(self.created) if self.created else None,
        }

    def with_result(self, result: Mapping[str, Any]) -> GrantChange:
        """The change with what `result` once told; its name stays that of the grant that was meant."""
        created = result.get("creation_date")
        return replace(
            self,
            outcome=Outcome(result.get("outcome", self.outcome)),
            grant_id=result.get("grant_id") or self.grant_id,
            issuing_account=result.get("issuing_account") or self.issuing_account,
            created=_moment(created) if created else self.created,
        )


def terms_of(grant: Grant | GrantChange) -> tuple[str, str, tuple[str, ...], Mapping[str, Any]]:
    """What the hash in a grant's name is over."""
    return grant.key_arn or "", grant.grantee_principal or "", grant.operations, grant.constraints


def on_grant(grant: Grant, action: Action, **more: Any) -> GrantChange:
    """A change of a grant that there is; ``more`` are the remaining fields of GrantChange."""
    return GrantChange(
        account=grant.account,
        region=grant.region,
        id=more.pop("id", grant.grant_id),
        action=action,
        key_arn=grant.key_arn,
        grant_id=grant.grant_id,
        name=grant.name,
        grantee_principal=grant.grantee_principal or grant.grantee_service,
        retiring_principal=grant.retiring_principal,
        issuing_account=grant.issuing_account,
        operations=grant.operations,
        constraints=grant.constraints,
        created=grant.created,
        serves=more.pop("serves", volumes_bound(grant.constraints)),
        **more,
    )


def listed(grant: Grant, owner: Owner, warnings: tuple[str, ...]) -> dict[str, Any]:
    """The item of a grant that is only listed: that of `on_grant`, made at once. There may be a million."""
    name = parse_grant_name(grant.name)
    return {
        "account": grant.account,
        "region": grant.region,
        "key_arn": grant.key_arn,
        "grant_id": grant.grant_id,
        "name": grant.name,
        "grantee_principal": grant.grantee_principal or grant.grantee_service,
        "retiring_principal": grant.retiring_principal,
        "issuing_account": grant.issuing_account,
        "operations": list(grant.operations),
        "creation_date": format_due(grant.created) if grant.created else None,
        "case": name.case if name else None,
        "expires_at": format_due(name.due) if name and name.due else None,
        "owner": str(owner),
        "serves": list(volumes_bound(grant.constraints)),
        "action": "none",
        "outcome": "listed",
        "warnings": list(warnings),
        "error": None,
    }


def on_key(key: Key, id: str, action: Action, **more: Any) -> GrantChange:
    """A change on a key that is not about a grant that there is; ``more`` as for `on_grant`."""
    return GrantChange(account=key.account, region=key.region, id=id, action=action, key_arn=key.arn, **more)


def volumes_bound(constraints: Mapping[str, Any]) -> tuple[str, ...]:
    """The volumes that a grant is bound to: EBS's encryption context ("Amazon EBS encryption", EBS User Guide)."""
    bound = []
    for name in ("EncryptionContextSubset", "EncryptionContextEquals"):
        context = constraints.get(name)
        volume = context.get("aws:ebs:id") if isinstance(context, dict) else None
        if isinstance(volume, str) and volume.startswith("vol-") and volume not in bound:
            bound.append(volume)
    return tuple(bound) if len(bound) < 2 else tuple(sorted(bound))


def grant_change_from(record: Mapping[str, Any]) -> GrantChange:
    """A change as `GrantChange.as_record` wrote it. Raises KeyError, TypeError, ValueError where it is not one."""
    error, created, owner = record["error"], record["creation_date"], record["owner"]
    texts: dict[str, Any] = {key: text_of(record[key]) for key in ("account", "region", "id")}
    optional = ("key_arn", "grant_id", "name", "grantee_principal", "retiring_principal", "issuing_account")
    for key in (*optional, "after"):
        texts[key] = None if record[key] is None else text_of(record[key])
    for key in ("operations", "serves", "warnings"):
        texts[key] = tuple(map(text_of, record[key]))
    action, outcome = Action(record["action"]), Outcome(record["outcome"])
    # One whose outcome stayed open has no id: an undo that could not look finds it by its name and terms.
    closed = outcome in (Outcome.FAILED, Outcome.UNCHANGED)
    nameless = action in ENDING and not closed and texts["grant_id"] is None
    if nameless or (action is not Action.NONE and texts["key_arn"] is None):
        raise ValueError(f"a change that is to {action} nothing")
    return GrantChange(
        **texts,
        action=action,
        constraints=_constraints(record["constraints"]),
        created=None if created is None else _moment(text_of(created)),
        owner=None if owner is None else Owner(owner),
        outcome=outcome,
        error=None if error is None else ErrorInfo(**error),
    )


def _constraints(value: Any) -> dict[str, Any]:
    """Kinds and contents of constraints: KMS API reference, GrantConstraints."""
    found: dict[str, Any] = {}
    for name, content in value.items():
        if isinstance(content, str):
            found[text_of(name)] = content
        else:
            found[text_of(name)] = {text_of(key): text_of(each) for key, each in content.items()}
    return found


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _time(moment: datetime | None) -> float:
    return moment.timestamp() if moment else float("inf")
