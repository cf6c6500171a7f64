"""Which requests are lied to, and how: a pure function of a seed and of what is asked, how often.

A request is known by its account, region, action and content, and by how many times that was asked before. So the
same seed lies to the same requests, in whatever order the threads of a client send them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What may go wrong, as the table of scripts/faults names it."""

    THROTTLED = "throttled"
    SERVER_ERROR = "500, 502, 503"
    RESET_BEFORE = "reset before the effect"
    RESET_AFTER = "reset after the effect"
    TRUNCATED = "body cut short"
    EMPTY = "empty body"
    SLOW_BEFORE = "no answer in time, no effect"
    SLOW_AFTER = "no answer in time, with effect"
    WRONG_TYPE = "a web page for an answer"
    SLOW = "answer that trickles in"
    EXPIRED = "token expired in the middle"
    LATE = "change seen late"
    PAGE_TWICE = "page twice"
    PAGE_MISSING = "page missing"
    REGION_DOWN = "region down"
    ROLE_REFUSED = "AssumeRole refused"
    DEAD_ID = "dead id in a batch"


# Faults of one answer; the others have rules of their own.
ANSWERS = (
    Fault.SERVER_ERROR,
    Fault.RESET_BEFORE,
    Fault.RESET_AFTER,
    Fault.TRUNCATED,
    Fault.EMPTY,
    Fault.SLOW_BEFORE,
    Fault.SLOW_AFTER,
    Fault.WRONG_TYPE,
    Fault.SLOW,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: ``content`` tells it from others of the same action, ``nth`` counts its repetitions from 0."""

    account: str
    region: str
    action: str
    content: str
    nth: int


@dataclass(frozen=True)
class Schedule:
    """What goes wrong under one seed. Nothing at all where every field is as by default.

    ``answers``: the faults of single answers; ``share`` of the requests meet them, at most ``longest`` in a row.
    ``actions``: of which requests (None: of all).
    ``accounts``: where they, throttling and late changes are (None: everywhere). ``bucket``: a token bucket's
    size, for each action, account and region, and how many tokens a refusal gives time for. ``lag``: after how many
    reads of its place a change is seen. ``pages``: how many entries a page has. ``down``: the region that is, and
    ``unreachable``: whether it ends all connections, or answers 503.
    """

    seed: int = 0
    answers: tuple[Fault, ...] = ()
    share: float = 0.0
    longest: int = 1
    actions: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    bucket: tuple[int, float] | None = None
    expiring: Mapping[str, int] = field(default_factory=dict)
    lag: int = 0
    pages: int | None = None
    page_faults: tuple[Fault, ...] = ()
    down: str | None = None
    unreachable: bool = False
    refused: frozenset[str] = frozenset()
    dead: float = 0.0
    dead_times: int = 0

    @classmethod
    def of(cls, seed: int, *, accounts: Iterable[str], regions: Iterable[str], home: str) -> Schedule:
        """The schedule of a seed, for a client that works there as ``home``: up to four kinds of fault."""
        rng = random.Random(seed)
        accounts, regions = sorted(accounts), sorted(regions)
        kinds = rng.sample([each for each in Fault if each is not Fault.SLOW], rng.choice((1, 1, 2, 2, 3, 4)))
        # With the other kinds as well: a slow answer alone is a good one.
        kinds += [Fault.SLOW] if random.Random(f"slow {seed}").random() < 1 / 8 else []
        others = [each for each in accounts if each != home]
        where = rng.choice((None, frozenset({rng.choice(accounts)})))
        return cls(
            seed=seed,
            answers=tuple(each for each in kinds if each in ANSWERS),
            share=rng.choice((0.1, 0.3, 0.6)),
            longest=rng.choice((1, 2, 6)),
            accounts=where,
            bucket=(rng.choice((0, 1, 3)), rng.choice((0.25, 0.5, 1.0))) if Fault.THROTTLED in kinds else None,
            expiring={rng.choice([*others, *accounts]): rng.randint(1, 8)} if Fault.EXPIRED in kinds else {},
            lag=rng.choice((1, 2, 4, 20)) if Fault.LATE in kinds else 0,
            pages=rng.choice((1, 2)) if {Fault.PAGE_TWICE, Fault.PAGE_MISSING} & set(kinds) else None,
            page_faults=tuple(each for each in kinds if each in (Fault.PAGE_TWICE, Fault.PAGE_MISSING)),
            down=rng.choice(regions) if Fault.REGION_DOWN in kinds else None,
            unreachable=random.Random(f"down {seed}").random() < 1 / 2,
            refused=frozenset({rng.choice(others)}) if Fault.ROLE_REFUSED in kinds and others else frozenset(),
            dead=rng.choice((0.2, 0.5)) if Fault.DEAD_ID in kinds else 0.0,
            dead_times=rng.choice((1, 3, 1000)) if Fault.DEAD_ID in kinds else 0,
        )

    @property
    def kinds(self) -> set[Fault]:
        """The kinds of fault that there are in it."""
        rules = {
            Fault.THROTTLED: self.bucket, Fault.EXPIRED: self.expiring, Fault.LATE: self.lag,
            Fault.REGION_DOWN: self.down, Fault.ROLE_REFUSED: self.refused, Fault.DEAD_ID: self.dead,
        }  # fmt: skip
        return {*self.answers, *self.page_faults, *(fault for fault, rule in rules.items() if rule)}

    def concerns(self, account: str) -> bool:
        """Whether faults of this schedule that are not named for a place of their own are in ``account``."""
        return self.accounts is None or account in self.accounts

    def answer(self, asked: Asked) -> Fault | None:
        """What is wrong with the answer to this request; None: it is a good one."""
        if not self.answers or not self.concerns(asked.account):
            return None
        if self.actions is not None and asked.action not in self.actions:
            return None
        place = (asked.account, asked.region, asked.action, asked.content)
        if self._chance("hit", *place) >= self.share:
            return None
        times = 1 + int(self._chance("times", *place) * self.longest)
        if asked.nth >= times:
            return None
        return self.answers[int(self._chance("which", *place, asked.nth) * len(self.answers))]

    def status(self, asked: Asked) -> int:
        """Which of AWS's server errors it is."""
        return (500, 502, 503)[int(self._chance("status", asked.action, asked.content, asked.nth) * 3)]

    def is_dead(self, resource: str) -> bool:
        """Whether EC2 says of this id that it does not exist."""
        return self._chance("dead", resource) < self.dead

    def page(self, asked: Asked) -> Fault | None:
        """What is wrong with the page that follows this one."""
        if not self.page_faults or self._chance("page", asked.account, asked.region, asked.content) >= 0.5:
            return None
        return self.page_faults[int(self._chance("which page", asked.content) * len(self.page_faults))]

    def _chance(self, *what: object) -> float:
        digest = hashlib.blake2b(repr((self.seed, *what)).encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48
