"""What has to hold whatever AWS answers: promises, each a function of what a command said and of what is.

Each yields a line for every way in which it is broken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cado_ops.journal import read_run
from cado_ops.model import CLAIM_PREFIX, SSM_TAG
from tests.faults.bench import Ran
from tests.faults.truth import Truth

EXIT = {"success": 0, "planned": 0, "error": 1, "partial": 3, "refused": 4, "interrupted": 130}
BAD = ("failed", "unknown", "drifted", "denied")
MADE = ("changed", "unknown")


def says_it_in_order(ran: Ran) -> Iterator[str]:
    """An envelope, no traceback; exit code and status after the contract's table."""
    envelope = ran.envelope
    if envelope is None:
        yield f"exit {ran.code} and no envelope: {ran.err[-300:]}"
        return
    for word in ("Traceback", "fault in cado-ops"):
        if word in ran.out + ran.err:
            yield f"{word}: {ran.err[-300:]}{ran.out[-300:]}"
    if ran.code != EXIT[envelope["status"]]:
        yield f"exit {ran.code} with status {envelope['status']}"
    counts = Counter(item["outcome"] for item in envelope["items"])
    bad = sum(counts[each] for each in BAD)
    told = {name: envelope["summary"][name] for name in (*BAD, "changed", "unchanged", "skipped")}
    if told != {name: counts[name] for name in told}:
        yield f"the summary says {told}, the items {dict(counts)}"
    failed = bad or any(each["stage"] != "confirm" for each in envelope["failures"])
    good = counts.total() - bad
    match envelope["status"]:
        case "success" if failed:
            yield f"success with failures: {dict(counts)} {envelope['failures']}"
        case "error" if counts["changed"]:
            yield f"status error, and something was changed: {dict(counts)}"
        case "error" | "partial" if not failed:
            yield f"status {envelope['status']} without a failure"
        case "partial" if not good and envelope["summary"]["targets_failed"] == envelope["summary"]["targets"] > 0:
            yield "status partial, and nothing was read"
        case "interrupted" | "refused":
            yield f"status {envelope['status']}: {envelope['failures']}"
    if counts["planned"]:
        yield f"{counts['planned']} items still planned"


def says_what_is(ran: Ran, before: Truth, after: Truth) -> Iterator[str]:
    """What was reported is so, and what is so was reported."""
    items = ran.envelope["items"] if ran.envelope else []
    yield from _tags(items, before, after)
    yield from _grants(items, before, after)


def _tags(items: list[dict[str, Any]], before: Truth, after: Truth) -> Iterator[str]:
    told = {(i["account"], i["region"], i["instance_id"]): i for i in items if "instance_id" in i}
    for place in before.tags.keys() | after.tags.keys() | told.keys():
        old, new, item = before.tags.get(place, {}), after.tags.get(place, {}), told.get(place)
        name = f"{'/'.join(place)} ({item['outcome'] if item else 'not reported'})"
        ours = {key for key in old.keys() | new.keys() if key == SSM_TAG or key.startswith(CLAIM_PREFIX)}
        if {k: v for k, v in old.items() if k not in ours} != {k: v for k, v in new.items() if k not in ours}:
            yield f"{name}: another tag was touched"
        if item is None or item["outcome"] not in MADE:
            if old != new:
                yield f"{name}: changed all the same: {_differ(old, new)}"
        elif item["outcome"] == "changed":
            claims = sorted(key.removeprefix(CLAIM_PREFIX) for key in ours if key in new and key != SSM_TAG)
            if new.get(SSM_TAG) != item["after"] or claims != sorted(item["claims"]):
                yield f"{name}: should be {item['after']!r} {item['claims']}, is {new.get(SSM_TAG)!r} {claims}"
        if item is not None and item["outcome"] == "drifted":
            yield f"{name}: nobody else is here: {item['warnings']}"


def _grants(items: list[dict[str, Any]], before: Truth, after: Truth) -> Iterator[str]:
    told: defaultdict[tuple[str | None, str | None], list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        if "key_arn" in item and item["action"] != "none":
            told[item["key_arn"], item["grant_id"]].append(item)
    # What was asked for and got no answer has no id; its name tells it.
    open_names = {(i["key_arn"], i["name"]) for each in told.values() for i in each if i["outcome"] == "unknown"}
    for place in before.grants.keys() | after.grants.keys() | told.keys():
        about = told.get(place, [])
        was, is_ = place in before.grants, place in after.grants
        name = f"{place} ({[(i['action'], i['outcome']) for i in about] or 'not reported'})"
        grant = after.grants.get(place) or before.grants.get(place) or {}
        for item in about:
            there = item["action"] == "create"
            if item["outcome"] == "changed" and is_ is not there:
                yield f"{name}: is {'there' if is_ else 'not there'}"
            if item["outcome"] == "drifted":
                yield f"{name}: nobody else is here: {item['warnings']}"
        open_ = any(item["outcome"] in MADE for item in about) or (place[0], grant.get("Name")) in open_names
        if was != is_ and not open_:
            yield f"{name}: {'gone' if was else 'made'} all the same"
    names = Counter(
        (key, g.get("Name")) for (key, _), g in after.grants.items() if str(g.get("Name")).startswith("cado-ops/")
    )
    for twice in (each for each, count in names.items() if count > 1):
        yield f"two grants {twice}"


def does_nothing_twice(ran: Ran) -> Iterator[str]:
    """What AWS did, and said so, is not asked for again."""
    done: set[tuple[str, ...]] = set()
    for write in ran.writes:
        what = (write.account, write.region, write.action, write.content)
        if what in done:
            yield f"sent again after it was done: {what}"
        if write.effect and write.told:
            done.add(what)


def journals_what_it_did(ran: Ran, path: Path | None) -> Iterator[str]:
    """Nothing changed without an intent; each outcome as reported; and the file is whole."""
    if path is None:
        if any(write.effect for write in ran.writes):
            yield "AWS was changed, and there is no journal"
        return
    run = read_run(path)
    if run.problems:
        yield f"journal: {run.problems}"
    named = {each[2] for each in run.begun} | {str(line.get("grant_id")) for line in run.plan}
    named |= {str(line.get("name")) for line in run.plan}
    for write in ran.writes:
        # Of a grant the first subject is its key.
        missing = set(write.subjects[0 if write.action.endswith("Tags") else 1 :]) - named
        if write.effect and missing:
            yield f"{write.action} of {sorted(missing)} without an intent"
    if ran.envelope and ran.envelope["run_id"]:
        if run.end is None:
            yield "the run has no end"
        elif run.end["status"] != ran.envelope["status"]:
            yield f"the journal says {run.end['status']}, the report {ran.envelope['status']}"
        told = Counter(item["outcome"] for item in ran.envelope["items"] if item["action"] != "none")
        kept = Counter(result["outcome"] for result in run.results.values())
        for outcome in MADE:
            if told[outcome] != kept[outcome]:
                yield f"{outcome}: {told[outcome]} reported, {kept[outcome]} journaled"


def ends_exact(ran: Ran, what: str) -> Iterator[str]:
    """Without faults, an undo or a resume leaves nothing open."""
    if ran.envelope is None:
        yield f"{what}: exit {ran.code}, no envelope: {ran.err[-300:]}"
        return
    # What could not even be planned is nothing to go on with: that is for the command itself, run again.
    bad = [item for item in ran.envelope["items"] if item["outcome"] in BAD and item["action"] != "none"]
    for item in bad:
        which = item.get("instance_id") or item.get("grant_id") or item.get("key_arn")
        yield f"{what}: {which} {item['outcome']}: {item['error']} {item['warnings']}"


def is_back(now: Truth, start: Truth, what: str) -> Iterator[str]:
    """Everything is as it was before."""
    tags, grants = now.alike()
    old_tags, old_grants = start.alike()
    for place in tags.keys() | old_tags.keys():
        if tags.get(place) != old_tags.get(place):
            yield f"{what}: {'/'.join(place)}: {_differ(old_tags.get(place, {}), tags.get(place, {}))}"
    for grant, count in ((grants - old_grants) + (old_grants - grants)).items():
        yield f"{what}: {'too many' if grants[grant] > old_grants[grant] else 'missing'} ({count}): {grant[:200]}"


def leaves_others_alone(ran: Ran, calm: Ran, hurt: set[tuple[str, str]]) -> Iterator[str]:
    """An account that met no fault was asked just what it is asked on a calm day, and waited no longer."""
    places = {account for account, _ in hurt}
    for account in {each[0] for each in calm.requests} - places:
        now = {each: count for each, count in ran.requests.items() if each[0] == account}
        then = {each: count for each, count in calm.requests.items() if each[0] == account}
        # The threads may ask twice for what is then remembered: which role it is.
        more = {each: count for each, count in now.items() if count > then.get(each, 0) and each[2] != "GetRole"}
        if more:
            yield f"{account} was asked more: {_differ(then, now)}"
        if ran.waited.get(account, 0.0) > calm.waited.get(account, 0.0) + 1.0:
            yield f"{account} waited {ran.waited[account]:.1f} s"


def _differ(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> str:
    keys = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    return ", ".join(f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in sorted(keys, key=str))
