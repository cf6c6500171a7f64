"""One finding of `check`, and what findings mean for the two routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cado_ops.verdict.readiness.facts import Unreadable


class Route(StrEnum):
    """The ways by which Cado acquires: triage by commands over SSM, disks by snapshots."""

    TRIAGE = "triage"
    DISK = "disk"


class Status(StrEnum):
    BLOCK = "block"
    UNKNOWN = "unknown"
    WARN = "warn"
    OK = "ok"


class Mend(StrEnum):
    """What this program itself can do about a finding."""

    TAG = "tag"
    GRANT = "grant"


ORDER = tuple(Status)  # the worst first


@dataclass(frozen=True, slots=True)
class Finding:
    """``routes`` are those that it blocks, or leaves unknown. ``about``: the volume it is of, for `Mend.GRANT`."""

    check: str
    status: Status
    detail: str
    fix: str | None = None
    routes: tuple[Route, ...] = ()
    mend: Mend | None = None
    about: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"check": self.check, "status": str(self.status), "detail": self.detail, "fix": self.fix}


@dataclass(frozen=True, slots=True)
class Readiness:
    """The verdict on one instance."""

    account: str
    region: str
    instance_id: str
    findings: tuple[Finding, ...]

    def route(self, route: Route) -> str:
        """``ready``, ``blocked`` or ``unknown``."""
        statuses = {each.status for each in self.findings if route in each.routes}
        if Status.BLOCK in statuses:
            return "blocked"
        return "unknown" if Status.UNKNOWN in statuses else "ready"

    @property
    def ready(self) -> bool:
        return all(self.route(each) == "ready" for each in Route)

    @property
    def overall(self) -> str:
        """The worse of the routes."""
        found = {self.route(each) for each in Route}
        return next(each for each in ("blocked", "unknown", "ready") if each in found)

    @property
    def clear(self) -> bool:
        """Whether nothing blocks, and nothing is unknown."""
        return not any(each.status in (Status.BLOCK, Status.UNKNOWN) for each in self.findings)

    def as_item(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "region": self.region,
            "instance_id": self.instance_id,
            "routes": {str(each): self.route(each) for each in Route},
            "findings": [each.as_json() for each in self.findings],
        }


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda each: ORDER.index(each.status)))


def missing(facts: Iterable[Unreadable]) -> str:
    """What was not told, for a finding that is therefore unknown."""
    return "not known: " + "; ".join(dict.fromkeys(map(str, facts)))
