"""What a change leaves to be done where another case came or went at the same time. Pure.

Two responders work on one instance with no lock but EC2's tags. Each looks once more after his change: the SSM tag
must be there exactly as long as a claim is, whoever was first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cado_ops.due import parse_claim
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, SSM_TAG_VALUE
from cado_ops.plan.change import Action, TagChange


@dataclass(frozen=True, slots=True)
class Settlement:
    """One more call for an instance (``put`` or ``remove``), and the change as it then is in all."""

    change: TagChange
    put: Mapping[str, str]
    remove: Mapping[str, str]


def settle(change: TagChange, live: Mapping[str, str]) -> Settlement | None:
    """What ``live`` (the SSM tag and all claims, after ``change`` was made) still asks for; None: nothing.

    - The SSM tag was taken off, and a claim is there now: another case came in between, or a claim was prolonged.
      It goes back on.
    - Only claims were taken off, for others were there, or no tag; now there is no claim, and a tag: they went at
      the same time, each leaving the tag to the other, or one had put it back. It goes too, unless it stood before
      any claim (``keep``).
    """
    claims = {key for key, value in live.items() if parse_claim(key, value)}
    ended = {key: value for key, value in change.remove.items() if key.startswith(CLAIM_PREFIX)}
    tag = live.get(SSM_TAG)
    if SSM_TAG in change.remove and tag is None and claims:
        settled = replace(
            change,
            action=Action.RELEASE,
            after={**change.after, SSM_TAG: SSM_TAG_VALUE},
            claims=tuple(sorted(key.removeprefix(CLAIM_PREFIX) for key in claims)),
            warnings=(*change.warnings, "another case claimed the instance at the same time: the tag stays"),
        )
        return Settlement(settled, {SSM_TAG: SSM_TAG_VALUE}, {})
    # As in `plan.tagging`, the tag goes with the last claim though it be a near miss or set to something else.
    if tag is None or SSM_TAG in change.remove or tag not in (SSM_TAG_VALUE, change.after.get(SSM_TAG)):
        return None
    if not ended or claims or change.put or any(map(_keeps, ended, ended.values())):
        return None
    settled = replace(
        change,
        action=Action.UNTAG,
        # Where another case put the tag back only since: what is removed now is to be looked at like the rest.
        before={**change.before, SSM_TAG: tag},
        after={**change.after, SSM_TAG: None},
        claims=(),
        warnings=(*change.warnings, "the other cases ended at the same time: the tag goes with the last claim"),
    )
    return Settlement(settled, {}, {SSM_TAG: tag})


def _keeps(key: str, value: str) -> bool:
    claim = parse_claim(key, value)
    return claim is not None and claim.keep
