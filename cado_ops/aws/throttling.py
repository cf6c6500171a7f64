"""Where time was lost because AWS throttled: so that a slow run says why, and whose quota it was."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lost:
    """Calls of one action that had to be sent again in one account and region, and the seconds waited for that.

    ``account`` is None for calls that belong to none, such as those that find out who calls.
    """

    account: str | None
    region: str
    action: str
    calls: int
    seconds: float


class Throttling:
    """Adds up what the retries waited for. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: dict[tuple[str | None, str, str], tuple[int, float]] = {}

    def note(self, account: str | None, region: str, action: str, seconds: float) -> None:
        with self._lock:
            calls, before = self._lost.get((account, region, action), (0, 0.0))
            self._lost[account, region, action] = (calls + 1, before + seconds)

    def lost(self) -> list[Lost]:
        """All places, the slowest first."""
        with self._lock:
            found = [Lost(*place, calls, seconds) for place, (calls, seconds) in self._lost.items()]
        return sorted(found, key=lambda each: (-each.seconds, each.account or "", each.region, each.action))
