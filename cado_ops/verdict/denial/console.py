"""The console's box for a denial, taken apart: User, Service, Action, On resource(s), Context, a line each.

What is copied out of it may have lost its line ends ("user/xAction: ec2:…"), or have brackets around the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cado_ops.verdict.denial.grammar import Denial, policy_arn, policy_type

_BOX = re.compile(
    r"Action:\s?\[?(?:(?P<service>[A-Za-z0-9-]{1,40}):)?(?P<name>[A-Za-z][A-Za-z0-9]{1,80})\]?\s?"
    r"(?:On\sresource\(s\):\s?\[?(?P<resource>[^\s\]]{1,600}?)\]?\s?)?"
    r"Context:\s?\[?(?:no\s(?P<none>[A-Za-z][A-Za-z\s-]{2,40}?)\sallows?\b(?:\sthe\s[\w-]{1,40}:\w{0,80}(?:\saction)?)?"
    r"|(?:an?|the)\s(?P<some>[A-Za-z][A-Za-z\s-]{2,40}?)\sexplicitly\sden(?:ies|y)\b(?:\sthe\saction)?"
    r"|with\san\sexplicit\sdeny\sin\s(?:an?|the)\s(?P<other>[A-Za-z][A-Za-z\s-]{2,40}?(?:policy|boundary)\b))"
)
_USER = re.compile(
    r"User:\s?\[?(?P<user>[^\s\]]{1,400})\]?(?:\s?Service:\s?\[?(?P<service>[A-Za-z0-9-]{1,40})\]?)?\s?$"
)
_BEFORE = 500


def boxes(text: str) -> Iterator[Denial]:
    """Every such box in a flowing text."""
    end = 0
    for match in _BOX.finditer(text):
        low = max(end, match.start() - _BEFORE)
        user = _USER.search(text, low, match.start())
        service = match["service"] or (user["service"] if user else None)
        arn, end = policy_arn(text, match.end())
        if service is None:
            continue
        yield Denial(
            start=user.start() if user else match.start(),
            end=end,
            action=f"{service}:{match['name']}",
            principal=user["user"] if user else None,
            resource=match["resource"],
            denied_by=policy_type(match["none"] or match["some"] or match["other"]),
            explicit=match["none"] is None,
            policy_arn=arn,
        )
