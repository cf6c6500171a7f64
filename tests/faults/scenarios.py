"""The commands that are tried, and what each begins with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cado_ops.model import SSM_TAG
from cado_ops.sandbox import acme
from cado_ops.sandbox.backends import backend
from cado_ops.sandbox.world import LOCK, touch
from tests.faults.truth import Truth
from tests.functional.power import PowerLoss, arm

if TYPE_CHECKING:
    from tests.faults.bench import Bench

HOME, PROD = acme.MANAGEMENT, acme.PRODUCTION
EU, US = "eu-west-1", "us-east-1"
# How many beginnings each command has.
VARIANTS = 24

WHERE = ("--account", f"{HOME},{PROD}", "--region", f"{EU},{US}", "--role-name", "CadoOperator")
# Which accounts and regions these are has to be asked first.
EVERYWHERE = ("--org", "--region", "all", "--role-name", "CadoOperator")
SERVERS = ("--filter", "tag:Team=web,sec", "--filter", "instance-state-name=running,stopped,pending")
CASE = ("--case", "IR-7", "--expires", "2030-01-01T00:00:00Z")
EARLIER = ("--case", "IR-7", "--expires", "2029-01-01T00:00:00Z")
# Due by now; and when that was still ahead.
PAST, THEN = ("--case", "IR-7", "--expires", "2020-02-01T00:00:00Z"), datetime(2020, 1, 1, tzinfo=UTC)
TAG = ("tag-instances", *SERVERS, *WHERE)
GRANT = ("kms", "grant", "--key", "alias/acme-data", *WHERE)
# One in each account and region; the volumes of those in PROD have a key that the Cado role has no grant on.
TO_BE_MENDED = ("--filter", "tag:Name=web-01,web-us-01,siem-02,bastion-us")
CHECK = "check --fix"

Command = tuple[str, ...]


def _last(bench: Bench) -> str:
    return bench.journals()[-1].name.removesuffix(".jsonl")


def _tag(bench: Bench, variant: int) -> tuple[Truth, Command]:
    how: Command = ("--overwrite",) if variant % 4 == 3 else ()
    if variant % 4 in (1, 3):
        _set_on_purpose("web-01", "web-us-01", "siem-02")
    if variant % 6 == 4:
        how = (*how, "--all-or-nothing")
    where = EVERYWHERE if variant % 8 == 6 else WHERE
    return Truth.now(), ("tag-instances", *SERVERS, *where, *(CASE if variant % 3 else ()), *how, "--yes")


def _set_on_purpose(*names: str) -> None:
    """Gives these instances a value that tag-instances leaves alone, and replaces with --overwrite."""
    with LOCK:
        touch()
        for account, region in {(each.account, each.region) for each in acme.MACHINES if each.name in names}:
            for pairs in backend("ec2", account, region).tags.values():
                if pairs.get("Name") in names:
                    pairs[SSM_TAG] = "False"


def _untag(bench: Bench, variant: int) -> tuple[Truth, Command]:
    which: Command = ()
    match variant % 4:
        case 0:
            bench.must(*TAG, "--yes")
        case 1:
            bench.must(*TAG, *PAST, "--yes", now=THEN)
            which = ("--expired",)
        case 2:
            bench.must(*TAG, *CASE, "--yes")
            which = ("--overwrite",)
        case _:
            bench.must(*TAG, *CASE, "--yes")
            which = CASE[:2]
    return Truth.now(), ("untag-instances", *SERVERS, *WHERE, *which, "--yes")


def _grant(bench: Bench, variant: int) -> tuple[Truth, Command]:
    _granted_before(bench, variant)
    return Truth.now(), (*GRANT, *CASE, "--yes")


def _granted_before(bench: Bench, variant: int) -> None:
    """A grant of the case that ends earlier, or has ended: a new one takes its place. In one of three, none."""
    if variant % 3 == 1:
        bench.must(*GRANT, *EARLIER, "--yes")
    elif variant % 3 == 2:
        bench.must(*GRANT, *PAST, "--yes", now=THEN)


def _retire(bench: Bench, variant: int) -> tuple[Truth, Command]:
    how = ("--revoke",) if variant % 4 == 0 else ()
    if variant % 3 == 2:
        bench.must(*GRANT, *PAST, "--yes", now=THEN)
        return Truth.now(), ("kms", "retire", "--expired", *WHERE, *how, "--yes")
    bench.must(*GRANT, *CASE, "--yes")
    return Truth.now(), ("kms", "retire", "--of-case", "IR-7", *WHERE, *how, "--yes")


BEGINNINGS = (_tag, _untag, _grant, _retire)


def _apply(bench: Bench, variant: int) -> tuple[Truth, Command]:
    plan = bench.folder / "plan.json"
    plan.unlink(missing_ok=True)
    saved = ("--save-plan", str(plan))
    match variant % 4:
        case 0:
            _granted_before(bench, variant // 4)
            bench.must(*GRANT, *CASE, *saved)
        case 1:
            bench.must(*TAG, *CASE, *saved)
        case 2:
            bench.must(*TAG, *CASE, "--yes")
            bench.must("untag-instances", *SERVERS, *WHERE, *CASE[:2], *saved)
        case _:
            bench.must(*GRANT, *CASE, "--yes")
            bench.must("kms", "retire", "--of-case", "IR-7", *WHERE, *saved)
    return Truth.now(), ("apply", str(plan), "--yes")


def _undo(bench: Bench, variant: int) -> tuple[Truth, Command]:
    _, argv = BEGINNINGS[variant % 4](bench, variant // 4)
    bench.must(*argv)
    return Truth.now(), ("runs", "undo", _last(bench), "--yes")


def _resume(bench: Bench, variant: int) -> tuple[Truth, Command]:
    """A run that lost power. An undo of it leads to where that run began."""
    start, argv = BEGINNINGS[variant % 4](bench, variant // 4)
    known = set(bench.journals())
    with pytest.MonkeyPatch.context() as patch:
        # Its first records are its plan, one for each of four places: one that was cut off there did nothing.
        arm(patch)(7 + variant % 6, variant % 5 == 0)
        with suppress(PowerLoss):
            bench.run(*argv)
    [path] = set(bench.journals()) - known
    return start, ("runs", "resume", path.name.removesuffix(".jsonl"), "--yes")


def _check(bench: Bench, variant: int) -> tuple[Truth, Command]:
    how = ("--no-simulator",) if variant % 2 else ()
    case = CASE if variant % 3 else ()
    return Truth.now(), ("check", *TO_BE_MENDED, *WHERE, "--fix", *case, *how, "--yes")


SCENARIOS: dict[str, Callable[[Bench, int], tuple[Truth, Command]]] = {
    "tag-instances": _tag,
    "untag-instances": _untag,
    "kms grant": _grant,
    "kms retire": _retire,
    "apply": _apply,
    "runs undo": _undo,
    "runs resume": _resume,
    CHECK: _check,
}
