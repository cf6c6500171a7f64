"""Due times and claims: when a thing ought to end, and the tag that says for which case it stands.

Nothing here ends anything. AWS enforces no expiry on tags or grants; a due time is only what ``--expired``
selects by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cado_ops.arns import CASE, shown
from cado_ops.errors import UsageError
from cado_ops.model import CLAIM_PREFIX

MAX_AHEAD = timedelta(days=3653)  # ten years; more is a slip of the finger
QUARTER = timedelta(minutes=15)
NEVER = "-"

_RELATIVE = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?")
_DURATION = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
MAX_WAIT = 86_400
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_HINT = (
    "Either from now, as 72h, 30m, 7d or 1d12h, or ISO 8601, as 2026-11-26T18:00Z (without a zone it is UTC, "
    "a date alone is its first minute)."
)


def parse_due(text: str, now: datetime, where: str = "--expires") -> datetime:
    """When a thing is due, in UTC and whole seconds; ``now`` has a zone.

    Times from now are rounded up to a quarter of an hour, so that the same command repeated a little later
    names the same due time, and with it the same grant.
    """
    now = now.astimezone(UTC)
    relative = _RELATIVE.fullmatch(text)
    if text and relative:
        days, hours, minutes = (int(number or 0) for number in relative.groups())
        total = days * 1440 + hours * 60 + minutes
        if total == 0:
            raise UsageError(f"{where}: {shown(text)} is no time ahead", _HINT)
        if total > MAX_AHEAD // timedelta(minutes=1):
            raise _too_far(text, where)
        return _rounded_up(now + timedelta(minutes=total), QUARTER)
    due = _from_iso(text)
    if due is None:
        raise UsageError(f"{where}: {shown(text)} is no due time", _HINT)
    if due <= now:
        raise UsageError(f"{where}: {shown(text)} is past; it is {format_due(now)} now", _HINT)
    if due - now > MAX_AHEAD:
        raise _too_far(text, where)
    return _rounded_up(due, timedelta(seconds=1))


def parse_duration(text: str, where: str) -> float:
    """A length of time, to seconds: 90s, 30m, 2h, 1h30m. A day at most."""
    found = _DURATION.fullmatch(text)
    hours, minutes, seconds = (int(number or 0) for number in found.groups()) if text and found else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total <= MAX_WAIT:
        raise UsageError(f"{where}: {shown(text)} is no length of time", "As 90s, 30m, 2h or 1h30m; a day at most.")
    return float(total)


def format_due(due: datetime) -> str:
    """``2026-11-26T18:00:00Z``; fractions of a second are dropped."""
    return due.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """That a case needs an instance's SSM tag.

    ``due`` is None for a claim without an end, and where the value cannot be read (`readable`). ``keep``:
    the SSM tag was there before any claim, and stays when the last claim goes. ``raw`` is the value as it
    stands in AWS.
    """

    case: str
    due: datetime | None
    keep: bool
    raw: str

    @property
    def readable(self) -> bool:
        return self.due is not None or self.raw.split() in ([NEVER], [NEVER, "keep"])


def claim_value(due: datetime | None, keep: bool) -> str:
    """The tag value of a claim: ``-`` or the due time, then `` keep``."""
    return (format_due(due) if due else NEVER) + (" keep" if keep else "")


def parse_claim(key: str, value: str) -> Claim | None:
    """The claim that a tag is, or None for any other tag. Anyone can edit tags, so no value is an error."""
    case = key.removeprefix(CLAIM_PREFIX)
    if case == key or not re.fullmatch(CASE, case):
        return None
    words = value.split()
    keep = words[-1:] == ["keep"]
    return Claim(case, _from_iso(" ".join(words[:-1] if keep else words)), keep, value)


def is_expired(claim: Claim, now: datetime) -> bool:
    """Whether the claim is due. One without a readable due time never is: it is left to people."""
    return claim.due is not None and claim.due <= now


def _from_iso(text: str) -> datetime | None:
    if not _ISO.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February; a zone that leads out of the calendar
        return None


def _rounded_up(moment: datetime, step: timedelta) -> datetime:
    """The next multiple of the step, counted from midnight."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - (midnight - moment) // step * step


def _too_far(text: str, where: str) -> UsageError:
    return UsageError(f"{where}: {shown(text)} is more than ten years ahead", _HINT)
