"""A planned change of an instance's tags, as plain data: it can be shown, journaled, compared and turned round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Cell, ErrorInfo, Instance, Outcome

# Tag key to value; None means that the key is not there.
Tags = Mapping[str, str | None]


class Action(StrEnum):
    """What a change does, as docs/reference.md names it."""

    TAG = "tag"
    RETAG = "retag"
    CLAIM = "claim"
    UNTAG = "untag"
    RELEASE = "release"
    CREATE = "create"
    RETIRE = "retire"
    REVOKE = "revoke"
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
    # A run that was cut off may have made a part of it: some tags may stand as wanted already. In no record.
    begun: bool = False
    # Of such a change, the tags that were found as wanted. In no record.
    standing: frozenset[str] = frozenset()

    @property
    def cell(self) -> Cell:
        return Cell(self.account, self.region)

    @property
    def id(self) -> str:
        """What tells it apart within its account and region."""
        return self.instance_id

    @property
    def put(self) -> dict[str, str]:
        """The tags to set.

        A claim is never set without the SSM tag: should another case's clean-up take that tag off between our
        reading and this call, this call puts it back. Nor is the SSM tag set without the claims that it is for: one
        that stood already may be ended between our reading and this call.
        """
        changed = {
            key: value for key, value in self.after.items() if value is not None and self.before[key] != value
        }
        tag = self.after.get(SSM_TAG)
        if tag is not None and any(key.startswith(CLAIM_PREFIX) for key in changed):
            changed[SSM_TAG] = tag
        if SSM_TAG in changed:
            claims = {key: value for key, value in self.after.items() if key.startswith(CLAIM_PREFIX)}
            changed |= {key: value for key, value in claims.items() if value is not None}
        return changed

    @property
    def remove(self) -> dict[str, str]:
        """The pairs to remove: key and the very value that was seen."""
        return {key: value for key, value in self.before.items() if value is not None and self.after[key] is None}

    @property
    def left_to_put(self) -> dict[str, str]:
        """What of `put` is still to be set: all of it, or nothing where all of it stands."""
        put = self.put
        return {} if put.keys() <= self.standing else put

    @property
    def left_to_remove(self) -> dict[str, str]:
        """What of `remove` is still there."""
        return {key: value for key, value in self.remove.items() if key not in self.standing}

    def seen(self, live: Mapping[str, str]) -> TagChange:
        """The same change, with what was found of it: a run that began it need not do that again."""
        standing = frozenset(key for key, value in self.after.items() if live.get(key) == value)
        return replace(self, standing=standing) if self.begun else self

    def ended(self, outcome: Outcome, error: ErrorInfo | None = None, warnings: tuple[str, ...] = ()) -> TagChange:
        """The same change, with what became of it."""
        return replace(self, outcome=outcome, error=error, warnings=self.warnings + warnings)

    def not_sent(self) -> TagChange:
        """The same change, left as it is by a stop: what a run had begun before may have been made all the same."""
        return self.ended(Outcome.UNKNOWN) if self.begun else self

    def compare(self, live: Mapping[str, str], *, begun: bool = False) -> Outcome:
        """How the tags stand now: as wanted (UNCHANGED), as planned on (PLANNED), or neither (DRIFTED).

        Of a change that was ``begun`` and cut off half-way, some tags may be as wanted already: PLANNED as well.
        """
        now = {key: live.get(key) for key in self.before}
        if now == dict(self.after):
            return Outcome.UNCHANGED
        half = begun and all(now[key] in (self.before[key], self.after[key]) for key in now)
        return Outcome.PLANNED if half or now == dict(self.before) else Outcome.DRIFTED

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

    def as_record(self) -> dict[str, Any]:
        """The change as journal and plan file hold it: the item, and all tags before and after."""
        return self.as_item() | {"tags_before": dict(self.before), "tags_after": dict(self.after)}

    def result(self) -> dict[str, Any]:
        """What the journal says of an outcome beyond the outcome itself."""
        return {"tags_after": dict(self.after)}

    def with_result(self, result: Mapping[str, Any]) -> TagChange:
        """The change as `result` told of it: another case may have made it another one (`plan.claims`)."""
        after = result.get("tags_after")
        return self if after is None else replace(self, after=after)


def from_record(record: Any) -> TagChange:
    """A change as `TagChange.as_record` wrote it. Raises ValueError where it is not one."""
    try:
        error = record["error"]
        before, after = _tags(record["tags_before"]), _tags(record["tags_after"])
        texts: dict[str, Any] = {
            key: text_of(record[key]) for key in ("account", "region", "instance_id", "name", "state")
        }
        change = TagChange(
            **texts,
            action=Action(record["action"]),
            before=before,
            after=after,
            claims=tuple(map(text_of, record["claims"])),
            outcome=Outcome(record["outcome"]),
            warnings=tuple(map(text_of, record["warnings"])),
            error=None if error is None else ErrorInfo(**error),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"no change: {problem}") from problem
    if before.keys() != after.keys():
        raise ValueError("the tags before and after are not the same ones")
    return change


def text_of(value: Any) -> str:
    """A text that a file should hold. Raises TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _tags(value: Any) -> dict[str, str | None]:
    return {text_of(key): None if tag is None else text_of(tag) for key, tag in value.items()}


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
