"""What has to hold whatever AWS answers: promises, each a function of what a command said and of what is.

Each yields a line for every way in which it is broken. ``told`` are the items of a command: those of its report;
of `check --fix`, which reports findings, those that the journals of its runs tell.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cado_ops.journal import RunRecord, place_of, read_run
from cado_ops.model import CLAIM_PREFIX, SSM_TAG
from tests.faults.bench import Ran
from tests.faults.ledger import Ledger, deeds_of
from tests.faults.proxy import Seen
from tests.faults.truth import Truth

EXIT = {"success": 0, "planned": 0, "error": 1, "partial": 3, "refused": 4, "interrupted": 130}
BAD = ("failed", "unknown", "drifted", "denied")
MADE = ("changed", "unknown")
Items = Sequence[Mapping[str, Any]]


def told_by(ran: Ran, paths: Iterable[Path]) -> Items:
    """The items of a command; ``paths`` are the journals of its runs."""
    if ran.argv[0] == "check":
        return [item for path in paths for item in items_of(read_run(path))]
    return ran.envelope["items"] if ran.envelope else []


def items_of(run: RunRecord) -> Items:
    """What a journal tells of what was planned, as its command's report would."""
    known = ((line, run.results.get(place_of(line), line)) for line in run.plan)
    return [
        {**line, "outcome": now["outcome"], **{name: now[name] for name in ("grant_id", "name") if now.get(name)}}
        for line, now in known
    ]


def says_it_in_order(ran: Ran, told: Items) -> Iterator[str]:
    """An envelope, no traceback; exit code and status after the contract's table."""
    envelope = ran.envelope
    if envelope is None:
        yield f"exit {ran.code} and no envelope: {ran.err[-300:]}"
        return
    for word in ("Traceback", "fault in cado-ops"):
        if word in ran.out + ran.err:
            yield f"{word}: {ran.err[-300:]}{ran.out[-300:]}"
    status = envelope["status"]
    if ran.code != EXIT[status]:
        yield f"exit {ran.code} with status {status}"
    counts = Counter(item["outcome"] for item in told)
    found = [finding["status"] for item in envelope["items"] for finding in item.get("findings", ())]
    should = status_after_the_table(counts, envelope["summary"], envelope["failures"], found)
    # But where not even the caller could be asked for, or the accounts, there is nothing to be refused.
    not_read = any(each["stage"] != "confirm" for each in envelope["failures"]) and envelope["summary"]["targets"]
    if "--all-or-nothing" in ran.argv and not_read:
        should = "refused"
    if status != should:
        yield f"status {status}, should be {should}: {dict(counts)} {envelope['summary']} {envelope['failures']}"
    if ran.argv[0] == "check":
        yield from _counts_routes(envelope)
    else:
        summary = {name: envelope["summary"][name] for name in (*BAD, "changed", "unchanged", "skipped")}
        if summary != {name: counts[name] for name in summary}:
            yield f"the summary says {summary}, the items {dict(counts)}"
    if counts["planned"] and status != "refused":
        yield f"{counts['planned']} items still planned"


def status_after_the_table(
    counts: Counter[str], summary: Mapping[str, Any], failures: Items, found: Sequence[str] = ()
) -> str:
    """The status by outcomes and failures (docs/reference.md, "Outcome, status, exit"); ``found``: by check."""
    bad = sum(counts[each] for each in BAD)
    if not bad and not failures and not {"block", "unknown"} & set(found):
        return "success"
    if counts["changed"]:
        return "partial"
    no_target = summary["targets_failed"] >= summary["targets"]
    # An id that is nowhere is a thing that failed, and has no item.
    nowhere = sum(each["stage"] == "select" for each in failures)
    all_failed = bad + nowhere > 0 and bad == counts.total() and not found
    return "error" if no_target or all_failed else "partial"


def _counts_routes(envelope: Mapping[str, Any]) -> Iterator[str]:
    """How many instances are ready, blocked, unknown by the worse of their routes."""
    routes = [set(item["routes"].values()) for item in envelope["items"]]
    worst = Counter(next(each for each in ("blocked", "unknown", "ready") if each in both) for both in routes)
    for name in ("ready", "blocked", "unknown"):
        if envelope["summary"].get(name, 0) != worst[name]:
            yield f"the summary says {envelope['summary']}, the routes {dict(worst)}"


def says_what_is(told: Items, before: Truth, after: Truth) -> Iterator[str]:
    """What was reported is so, and what is so was reported."""
    yield from _tags(told, before, after)
    yield from _grants(told, before, after)


def _tags(items: Items, before: Truth, after: Truth) -> Iterator[str]:
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


def _grants(items: Items, before: Truth, after: Truth) -> Iterator[str]:
    told: defaultdict[tuple[str | None, str | None], Items] = defaultdict(list)
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


def finds_what_is(ran: Ran, after: Truth) -> Iterator[str]:
    """What check says of tags and grants is so; what is there it may miss where it could not see all."""
    for item in ran.envelope["items"] if ran.envelope else ():
        place = (item["account"], item["region"], item["instance_id"])
        value = after.tags.get(place, {}).get(SSM_TAG)
        for finding in item["findings"]:
            name = f"{'/'.join(place)} ({finding['check']} {finding['status']}: {finding['detail']})"
            if finding["check"] == "tag":
                there = finding["detail"].startswith(f"{SSM_TAG}=True")
                missing = finding["detail"].startswith(f"{SSM_TAG} is not there")
                if (there and value != "True") or (missing and value is not None and not _blind(ran, item)):
                    yield f"{name}: is {value!r}"
            by_grant = re.search(r"by grant (\w{12})", finding["detail"])
            if by_grant and not any(grant.startswith(by_grant[1]) for _, grant in after.grants):
                yield f"{name}: there is no such grant"


def open_in(paths: Iterable[Path]) -> frozenset[Any]:
    """What these journals leave open."""
    return frozenset(
        _about(item) for path in paths for item in items_of(read_run(path)) if item["outcome"] == "unknown"
    )


def knows_what_can_be_known(
    ran: Ran, told: Items, after: Truth, sent: Iterable[Seen] = (), open_: frozenset[Any] = frozenset()
) -> Iterator[str]:
    """Unknown is only what got no true answer, or was not to be seen.

    ``sent``: by the run, before ``ran``, which left ``open_`` in its journal: what was begun there may have been
    sent, for all that anybody can know.
    """
    writes = [*sent, *ran.writes]
    for item in told:
        if item["outcome"] != "unknown" or _blind(ran, item):
            continue
        name = f"{item['account']}/{item['region']} {_about(item)} is told as unknown, "
        if _is_done(item, after):
            yield name + "and was done, and to be seen"
        elif _about(item) not in open_ and all(write.told for write in writes if _about(item) in write.subjects):
            yield name + "and AWS answered truly"


def _blind(ran: Ran, item: Mapping[str, Any]) -> bool:
    return bool({(item["account"], item["region"]), (item["account"], "")} & ran.blind)


def _about(item: Mapping[str, Any]) -> Any:
    """What a request about this item names: an instance; a grant to be made by its name, one to be ended by id."""
    return item.get("instance_id") or item["name" if item["action"] == "create" else "grant_id"]


def _is_done(item: Mapping[str, Any], after: Truth) -> bool:
    if "instance_id" in item:
        tags = after.tags.get((item["account"], item["region"], item["instance_id"]), {})
        claims = sorted(key.removeprefix(CLAIM_PREFIX) for key in tags if key.startswith(CLAIM_PREFIX))
        return tags.get(SSM_TAG) == item["after"] and claims == sorted(item["claims"])
    key = item["key_arn"]
    if item["action"] == "create":
        return any(arn == key and grant.get("Name") == item["name"] for (arn, _), grant in after.grants.items())
    return (key, item["grant_id"]) not in after.grants


def never_without(ran: Ran, told: Items, before: Truth, after: Truth) -> Iterator[str]:
    """A grant in whose place another is to come does not go before that one is there."""
    successors = {(item["key_arn"], item["case"]) for item in told if item["action"] == "create"}
    for key, case in (ran.bare | (before.held - after.held)) & successors:
        yield f"{key} had a grant of case {case}, and was without one"


def does_nothing_twice(ran: Ran, sent: Iterable[Seen] = ()) -> Iterator[str]:
    """What AWS did, and said so, is not asked for again. ``sent``: what was, before ``ran``.

    But for what stood on a page that AWS left out: it is not there, for all that can be seen.
    """
    ledger = Ledger(sent)
    for write in ran.writes:
        for deed in deeds_of(write):
            if deed in ledger and (deed.account, deed.region) not in ran.skipped:
                yield f"sent again after it was done: {deed}"
        ledger.add(write)


def journals_what_it_did(ran: Ran, paths: Sequence[Path]) -> Iterator[str]:
    """Nothing changed without an intent; each outcome as reported; and the files are whole."""
    if not paths:
        if any(write.effect for write in ran.writes):
            yield "AWS was changed, and there is no journal"
        return
    runs = [read_run(path) for path in paths]
    yield from _intends(ran, runs)
    yield from (f"changed before the journal said so: {each}" for each in ran.unannounced)
    envelope = ran.envelope
    for run in runs:
        if run.problems:
            yield f"journal: {run.problems}"
        if run.end is None:
            yield f"the run {run.run_id} has no end"
        elif ran.argv[0] == "check":
            counts = Counter(item["outcome"] for item in items_of(run))
            should = status_after_the_table(counts, run.end["summary"], run.failures)
            if run.end["status"] != should:
                yield f"the journal of {run.header['command']} says {run.end['status']}, should be {should}"
            if {*MADE} & counts.keys() and run.run_id not in ran.out + ran.err:
                yield f"the run {run.run_id} is named nowhere"
        elif envelope:
            if run.end["status"] != envelope["status"]:
                yield f"the journal says {run.end['status']}, the report {envelope['status']}"
            told, kept = _outcomes(envelope["items"]), _outcomes(items_of(run))
            if told != kept:
                yield f"from the journal to the report: {_differ(kept, told)}"


def _intends(ran: Ran, runs: Sequence[RunRecord]) -> Iterator[str]:
    named = {each[2] for run in runs for each in run.begun}
    named |= {str(line.get(which)) for run in runs for line in run.plan for which in ("grant_id", "name")}
    for write in ran.writes:
        # Of a grant the first subject is its key.
        missing = set(write.subjects[0 if write.action.endswith("Tags") else 1 :]) - named
        if write.effect and missing:
            yield f"{write.action} of {sorted(missing)} without an intent"


def _outcomes(items: Items) -> dict[tuple[Any, ...], str]:
    """The outcome of everything that was to be changed."""
    return {
        (item["account"], item["region"], item["action"], item.get("key_arn"), _about(item)): item["outcome"]
        for item in items
        if item["action"] != "none"
    }


def leaves_nothing_out(ran: Ran, calm: Ran, *, grants: bool = True) -> Iterator[str]:
    """Whatever is there on a calm day is told of, or is of a place that is told to be unread.

    ``grants``: those too; else keys alone, for grants that are seen late are nothing to tell of.
    """
    if ran.envelope is None or calm.envelope is None:
        return
    told, failures = (
        ran.envelope["items"],
        [each for each in ran.envelope["failures"] if each["stage"] != "confirm"],
    )
    # What failed may be all that is told of its instance or key: its grants are not known then.
    known = {_what(item, grants) for item in told}
    known |= {(*_what(item, grants=False), ...) for item in told if item.get("outcome") in BAD}
    unread = {(each["account"], each["region"], each["id"]) for each in failures}
    # Where the accounts cannot be asked for, nobody knows what there is.
    unread |= {(None, None, None) for each in failures if each["stage"] == "organizations"}
    for item in calm.envelope["items"]:
        account, region, thing = _what(item, grants=False)
        excuses = {(account, region, None), (account, region, thing), (account, None, None), (None, None, None)}
        if not {_what(item, grants), (account, region, thing, ...)} & known and not excuses & unread:
            yield f"left out without a word: {_what(item, grants)}"


def _what(item: Mapping[str, Any], grants: bool) -> tuple[Any, ...]:
    place = item["account"], item["region"], item.get("instance_id") or item.get("key_arn")
    return (*place, item["action"], _about(item)) if grants and "key_arn" in item else place


def does_all_that_was_planned(path: Path, now: Truth) -> Iterator[str]:
    """After a resume without faults everything is done that a run had planned."""
    for item in items_of(read_run(path)):
        if item["action"] != "none" and not _is_done(item, now):
            yield f"resume: not done: {item['action']} {_about(item)}, told as {item['outcome']}"


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
