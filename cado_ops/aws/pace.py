"""Keeps within AWS's request quotas, so that they are left to others in the account as well.

"Request quotas", KMS Developer Guide, and "IAM and AWS STS quotas", IAM User Guide: requests a second, for an
account and a region. A throttled request of ours would be retried; one of EBS's, which shares these quotas of KMS,
would let somebody's volume fail to attach, and STS's is that of everything that runs in the caller's account.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

# The quota of each action that is sent in numbers; SHARE of it is used, by first attempts: retries come besides.
QUOTAS = {
    "AssumeRole": 600,
    "CreateGrant": 50,
    "ListGrants": 100,
    "ListRetirableGrants": 100,
    "RetireGrant": 30,
    "RevokeGrant": 30,
    "ListKeys": 500,
    "ListAliases": 500,
    "DescribeKey": 2000,
}
SHARE = 0.8
# Seconds whose worth may be sent at once: with the share of the second that begins, just the quota.
BURST = (1.0 - SHARE) / SHARE


class Pace:
    """Hands out a turn to each call, in order of asking. Safe to use from many threads.

    ``sleep`` waits (seconds), ``clock`` is monotonic. A few may be sent at once (`BURST`).
    """

    def __init__(self, *, sleep: Callable[[float], Any], clock: Callable[[], float]) -> None:
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        # When the next call would be due, were they spread evenly; behind the clock where few were sent.
        self._next: dict[tuple[str, str, str], float] = {}

    def wait(self, account: str, region: str, action: str) -> None:
        """Returns when it is this call's turn."""
        quota = QUOTAS.get(action)
        if quota is None:
            return
        with self._lock:
            now = self._clock()
            place = (account, region, action)
            turn = max(self._next.get(place, -math.inf), now - BURST)
            self._next[place] = turn + 1.0 / (quota * SHARE)
        if turn > now:
            self._sleep(turn - now)
