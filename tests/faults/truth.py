"""How things really are in the sandbox, past every proxy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cado_ops.grant_name import parse_grant_name
from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.world import LOCK

Place = tuple[str, str, str]
# A key's ARN, and the case that has a grant on it (None: a grant of ours for no case).
Held = tuple[str, str | None]
CELLS = sorted({(machine.account, machine.region) for machine in acme.MACHINES})


@dataclass(frozen=True)
class Truth:
    """Tags by account, region and instance id; grants (as ListGrants shows them) by key ARN and grant id."""

    tags: Mapping[Place, Mapping[str, str]]
    grants: Mapping[tuple[str, str], Mapping[str, Any]]

    @classmethod
    def now(cls) -> Truth:
        with LOCK:
            tags = {
                (account, region, each): dict(pairs)
                for account, region in CELLS
                for each, pairs in backend("ec2", account, region).tags.items()
                if each.startswith("i-") and pairs
            }
            grants = {
                (key.arn, grant.grant_id): grant.entry()
                for account, region in CELLS
                for key in backend("kms", account, region).keys.values()
                for grant in key.grants.values()
            }
        return cls(tags, grants)

    @property
    def held(self) -> set[Held]:
        """Which keys have a grant of ours, and for which case."""
        names = {(key, parse_grant_name(grant.get("Name"))) for (key, _), grant in self.grants.items()}
        return {(key, name.case) for key, name in names if name is not None}

    def alike(self) -> tuple[Mapping[Place, Mapping[str, str]], Counter[str]]:
        """What an undo has to bring back: a grant that is made anew has another id."""
        return self.tags, Counter(_terms(grant) for grant in self.grants.values())


def held() -> set[Held]:
    """`Truth.held` of now, without the rest: it is asked for after each write."""
    with LOCK:
        names = {
            (key.arn, parse_grant_name(grant.terms.get("Name")))
            for account, region in CELLS
            for key in backend("kms", account, region).keys.values()
            for grant in key.grants.values()
        }
    return {(key, name.case) for key, name in names if name is not None}


def _terms(grant: Mapping[str, Any]) -> str:
    told = {name: grant[name] for name in grant.keys() - {"GrantId", "CreationDate"}}
    return str(
        sorted((name, str(sorted(value) if name == "Operations" else value)) for name, value in told.items())
    )
