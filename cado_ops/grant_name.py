"""The names of our grants: ``cado-ops/CASE/DUE/HASH``. Pure.

AWS is the state store: case and due time stand in the name, so that any machine finds them. The hash is over what
the grant gives and to whom. A prefix alone proves nothing: a grant is ours where the hash, computed anew from its
terms, is the one in its name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cado_ops.arns import CASE
from cado_ops.due import NEVER, format_due

PREFIX = "cado-ops/"
# CreateGrant, KMS API reference: Name is 1 to 256 of [a-zA-Z0-9:/_-].
_NAME = re.compile(
    rf"{PREFIX}(?P<case>{CASE}|)/(?P<due>{NEVER}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}Z)"
    r"/(?P<digest>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class GrantName:
    """What a name of ours says. ``due`` (UTC, whole seconds) is None for a grant without an end."""

    case: str | None
    due: datetime | None
    digest: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.case or ''}/{format_due(self.due) if self.due else NEVER}/{self.digest}"


def parse_grant_name(text: str | None) -> GrantName | None:
    """The parts of a name that has our form to the letter; None for any other."""
    match = _NAME.fullmatch(text) if text else None
    if match is None:
        return None
    due = None
    if match["due"] != NEVER:
        try:
            due = datetime.strptime(match["due"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:  # the 31st of February
            return None
        if format_due(due) != match["due"]:
            return None
    return GrantName(match["case"] or None, due, match["digest"])


def digest_of(key_arn: str, grantee: str, operations: Iterable[str], constraints: Mapping[str, Any]) -> str:
    """The hash over a grant's terms, 64 hexadecimal digits. The order of operations and constraints is no part."""
    terms = [key_arn, grantee, sorted(set(operations)), _filled(constraints)]
    canonical = json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _filled(constraints: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: AWS may answer an empty constraint for one that was never given."""
    return {name: value for name, value in constraints.items() if value}
