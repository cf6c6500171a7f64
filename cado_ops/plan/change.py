"""A planned change of an instance's tags, as plain data: it can be shown, journaled, compared and turned round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cado_ops.model import SSM_TAG, Cell, ErrorInfo, Instance, Outcome

# Tag key to value; None means that the key is not there.
Tags = Mapping[str, str | None]


class Action(StrEnum):
    """What a change does, as docs/reference.md names it."""

    TAG = "tag"
    RETAG = "retag"
    CLAIM = "claim"
    UNTAG = "untag"
    RELEASE = "release"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TagChange:
    """One instance and what is to become of its tags.

    ``before`` and ``after`` hold the same keys: every tag that the change touches or depends on. ``outcome`` is
    PLANNED where there is something to do, else why there is not.
    """

    account: str
    region: str
    instance_id: str
    name: str
    state: str
    action: Action
    before: Tags
    after: Tags
    claims: tuple[str, ...] = ()
    outcome: Outcome = Outcome.PLANNED
    warnings: tuple[str, ...] = ()
    error: ErrorInfo | None = None

    @property
    def cell(self) -> Cell:
        return Cell(self.account, self.region)

    @property
    def put(self) -> dict[str, str]:
        """The tags to set."""
        return {key: value for key, value in self.after.items() if value is not None and self.before[key] != value}

    @property
    def remove(self) -> dict[str, str]:
        """The pairs to remove: key and the very value that was seen."""
        return {key: value for key, value in self.before.items() if value is not None and self.after[key] is None}

    def ended(self, outcome: Outcome, error: ErrorInfo | None = None, warnings: tuple[str, ...] = ()) -> TagChange:
        """The same change, with what became of it."""
        return replace(self, outcome=outcome, error=error, warnings=self.warnings + warnings)

    def compare(self, live: Mapping[str, str]) -> Outcome:
        """How the tags stand now: still as planned on (PLANNED), already as wanted (UNCHANGED), or DRIFTED."""
        now = {key: live.get(key) for key in self.before}
        if now == dict(self.before):
            return Outcome.PLANNED
        return Outcome.UNCHANGED if now == dict(self.after) else Outcome.DRIFTED

    def as_item(self) -> dict[str, Any]:
        """The item of tag-instances and untag-instances (docs/reference.md, "Output")."""
        return {
            "account": self.account,
            "region": self.region,
            "instance_id": self.instance_id,
            "name": self.name,
            "state": self.state,
            "action": str(self.action),
            "before": self.before.get(SSM_TAG),
            "after": self.after.get(SSM_TAG),
            "claims": list(self.claims),
            "outcome": str(self.outcome),
            "warnings": list(self.warnings),
            "error": self.error.as_json() if self.error else None,
        }


def change_of(instance: Instance, action: Action, before: Tags, after: Tags, **more: Any) -> TagChange:
    """A change of ``instance``; ``more`` are the remaining fields of TagChange."""
    return TagChange(
        account=instance.account,
        region=instance.region,
        instance_id=instance.instance_id,
        name=instance.name,
        state=instance.state,
        action=action,
        before=before,
        after=after,
        **more,
    )
