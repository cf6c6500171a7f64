"""That each of the promises can be broken: a run without faults keeps all of them, and one thing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cado_ops.journal import seal
from cado_ops.model import SSM_TAG
from tests.faults import promises
from tests.faults.bench import Bench, Ran
from tests.faults.ledger import Ledger, deeds_of
from tests.faults.proxy import Seen
from tests.faults.scenarios import CHECK, EU, HOME, PROD
from tests.faults.schedule import Asked
from tests.faults.truth import Truth


@dataclass
class Kept:
    """A command that ran without faults, what was before and is after it, and the journals of its runs."""

    ran: Ran
    before: Truth
    after: Truth
    paths: list[Path]

    @property
    def items(self) -> list[dict[str, Any]]:
        assert self.ran.envelope is not None
        found: list[dict[str, Any]] = self.ran.envelope["items"]
        return found

    def broken(self, **changed: Any) -> list[str]:
        """What it breaks of all promises; ``changed``: of the command, what it did otherwise."""
        ran = replace(self.ran, **changed)
        told = promises.told_by(ran, self.paths)
        return [
            *promises.says_it_in_order(ran, told),
            *promises.says_what_is(told, self.before, self.after),
            *promises.finds_what_is(replace(ran, envelope=None) if "check" not in ran.argv else ran, self.after),
            *promises.knows_what_can_be_known(ran, told, self.after),
            *promises.never_without(ran, told, self.before, self.after),
            *promises.does_nothing_twice(ran),
            *promises.journals_what_it_did(ran, self.paths),
        ]


@pytest.fixture(scope="module")
def _once(_place: Bench) -> Callable[[str], tuple[Kept, dict[str, bytes]]]:
    """Each of these commands, run once."""
    known: dict[str, tuple[Kept, dict[str, bytes]]] = {}

    def once(command: str) -> tuple[Kept, dict[str, bytes]]:
        if command not in known:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in _place.environ.items():
                    patch.setenv(name, value)
                # Under a case; grants take the place of others that end earlier.
                ready = _place.prepare(command, {"tag-instances": 2, "kms grant": 1, CHECK: 1}[command])
                before, old = Truth.now(), set(_place.journals())
                ran = _place.run(*ready.argv)
            new = [path for path in _place.journals() if path not in old]
            files = {path.name: path.read_bytes() for path in new}
            known[command] = Kept(ran, before, Truth.now(), new), files
        return known[command]

    return once


def test_an_intent_is_looked_for_in_the_journals(place: Bench) -> None:
    ran = place.run(*place.prepare("tag-instances", 2).argv)
    assert ran.unannounced == ()
    subject = ran.writes[0].subjects[0]
    write = ran.writes[0]
    asked = Asked(write.account, write.region, "CreateTags", "", 0)
    assert place._without_an_intent({}, asked, (subject, "i-other")) == ["i-other"]
    assert place._without_an_intent({}, replace(asked, action="DeleteTags"), (subject,)) == [subject]
    assert place._without_an_intent({}, replace(asked, region="us-west-2"), (subject,)) == [subject]
    written = {path: path.stat().st_size for path in place.journals()}
    assert place._without_an_intent(written, asked, (subject,)) == [subject], (
        "what was intended before does not count"
    )


class TestThePromisesCanBeBroken:
    @pytest.fixture
    def kept(self, _once: Any, tmp_path: Path) -> Callable[[str], Kept]:
        def kept(command: str) -> Kept:
            once, files = _once(command)
            for name, content in files.items():
                (tmp_path / name).write_bytes(content)
            return Kept(deepcopy(once.ran), once.before, once.after, [tmp_path / name for name in files])

        return kept

    @pytest.fixture
    def tagged(self, kept: Callable[[str], Kept]) -> Kept:
        return kept("tag-instances")

    @pytest.fixture
    def granted(self, kept: Callable[[str], Kept]) -> Kept:
        return kept("kms grant")

    @pytest.fixture
    def checked(self, kept: Callable[[str], Kept]) -> Kept:
        return kept(CHECK)

    @pytest.mark.parametrize("command", ["tag-instances", "kms grant", CHECK])
    def test_a_calm_run_breaks_none(self, kept: Callable[[str], Kept], command: str) -> None:
        calm = kept(command)
        assert calm.broken() == []
        assert calm.ran.writes
        assert calm.paths

    @pytest.mark.parametrize(
        ("failure", "told"),
        [
            (None, False),
            (("confirm", None, None), False),
            (("observe", PROD, "us-west-2"), False),
            (("observe", HOME, None), False),
            (("observe", PROD, EU, "another"), False),
            (("observe", PROD, EU), True),
            (("observe", PROD, None), True),
            (("organizations", HOME, None), True),
        ],
    )
    def test_one_that_is_left_out(self, tagged: Kept, failure: tuple[Any, ...] | None, told: bool) -> None:
        """Without a word, or with one that is of another place."""
        calm = deepcopy(tagged.ran)
        assert list(promises.leaves_nothing_out(tagged.ran, calm)) == []
        gone = next(item for item in tagged.items if (item["account"], item["region"]) == (PROD, EU))
        tagged.items.remove(gone)
        assert tagged.ran.envelope is not None
        if failure is not None:
            names = ("stage", "account", "region", "id")
            told_failure = dict(zip(names, (*failure, None)[:4], strict=True))
            tagged.ran.envelope["failures"].append(told_failure)
        left_out = list(promises.leaves_nothing_out(tagged.ran, calm))
        assert any(gone["instance_id"] in line for line in left_out) is not told

    def test_a_grant_that_is_left_out_beside_another_of_its_key(self, granted: Kept) -> None:
        calm = deepcopy(granted.ran)
        assert list(promises.leaves_nothing_out(granted.ran, calm)) == []
        granted.items[:] = [item for item in granted.items if item["action"] != "retire"]
        assert len(list(promises.leaves_nothing_out(granted.ran, calm))) == 4
        assert list(promises.leaves_nothing_out(granted.ran, calm, grants=False)) == []
        granted.items[0]["outcome"] = "failed"
        assert len(list(promises.leaves_nothing_out(granted.ran, calm))) == 3

    def test_a_resume_that_leaves_something_to_be_done(self, granted: Kept) -> None:
        [path] = granted.paths
        assert list(promises.does_all_that_was_planned(path, granted.after)) == []
        assert len(list(promises.does_all_that_was_planned(path, granted.before))) == len(granted.items)

    def test_a_change_before_its_intent(self, tagged: Kept) -> None:
        assert any(
            "before the journal said so" in each for each in tagged.broken(unannounced=("CreateTags of i-1",))
        )

    @pytest.mark.parametrize("outcome", ["unchanged", "failed", "skipped", "drifted"])
    def test_another_outcome(self, tagged: Kept, outcome: str) -> None:
        tagged.items[0]["outcome"] = outcome
        assert list(promises.says_what_is(tagged.items, tagged.before, tagged.after))
        assert list(promises.says_it_in_order(tagged.ran, tagged.items))

    def test_what_is_not_told_of(self, tagged: Kept) -> None:
        del tagged.items[0]
        assert list(promises.says_what_is(tagged.items, tagged.before, tagged.after))

    def test_what_did_not_happen(self, tagged: Kept) -> None:
        assert len(list(promises.says_what_is(tagged.items, tagged.before, tagged.before))) == 12

    def test_another_tag(self, tagged: Kept) -> None:
        tags = {place: pairs | {"Name": "x"} for place, pairs in tagged.after.tags.items()}
        assert list(promises.says_what_is(tagged.items, tagged.before, replace(tagged.after, tags=tags)))

    @pytest.mark.parametrize("code", [1, 3, 130])
    def test_another_exit_code(self, tagged: Kept, code: int) -> None:
        assert list(promises.says_it_in_order(replace(tagged.ran, code=code), tagged.items))

    @pytest.mark.parametrize(
        ("outcomes", "targets_failed", "stages", "found", "status"),
        [
            (["changed", "unchanged", "skipped"], 0, [], [], "success"),
            (["changed", "failed"], 0, [], [], "partial"),
            (["unchanged", "unknown"], 0, [], [], "partial"),
            (["changed"], 1, ["read"], [], "partial"),
            ([], 1, ["read"], [], "partial"),
            ([], 0, ["observe"], [], "partial"),
            (["failed", "drifted"], 0, [], [], "error"),
            ([], 0, ["select"], [], "error"),
            (["skipped"], 2, ["read"], [], "error"),
            (["changed", "failed"], 2, ["read"], [], "partial"),
            ([], 0, [], ["ok", "warn"], "success"),
            ([], 0, [], ["ok", "block"], "partial"),
            (["failed"], 0, [], ["ok"], "partial"),
            (["changed"], 2, ["read"], [], "partial"),
        ],
    )
    def test_a_status_that_the_table_has_not(
        self, outcomes: list[str], targets_failed: int, stages: list[str], found: list[str], status: str
    ) -> None:
        items = [
            {"outcome": each, "findings": [{"status": one} for one in found]} for each in outcomes or ["listed"]
        ]
        told = [item for item in items if item["outcome"] != "listed"]
        counts = {name: outcomes.count(name) for name in (*promises.BAD, "changed", "unchanged", "skipped")}
        summary = {"targets": 2, "targets_failed": targets_failed, **counts}
        failures = [{"stage": each} for each in stages]
        for other, code in promises.EXIT.items():
            envelope = {"status": other, "summary": summary, "failures": failures, "items": items}
            ran = Ran(("tag-instances",), code, "", "", envelope, {}, [], {})  # type: ignore[arg-type]
            assert bool(list(promises.says_it_in_order(ran, told))) is (other != status), other

    @pytest.mark.parametrize("lacks", [False, True])
    def test_a_call_made_twice(self, tagged: Kept, lacks: bool) -> None:
        """Also of one of several instances alone, and by another command."""
        first = tagged.ran.writes[0]
        again = replace(first, subjects=first.subjects[:1], told=not lacks, effect=not lacks)
        assert len(first.subjects) > 1
        assert tagged.broken(writes=[*tagged.ran.writes, again])
        assert list(promises.does_nothing_twice(replace(tagged.ran, writes=[again]), tagged.ran.writes))

    def test_a_call_without_an_intent(self, tagged: Kept) -> None:
        stray = replace(tagged.ran.writes[0], subjects=("i-0123",))
        assert list(promises.journals_what_it_did(replace(tagged.ran, writes=[stray]), tagged.paths))
        assert list(promises.journals_what_it_did(tagged.ran, []))

    @pytest.mark.parametrize("command", ["tag-instances", "kms grant"])
    @pytest.mark.parametrize("outcome", ["failed", "unchanged"])
    def test_outcomes_that_changed_places_in_the_journal(
        self, kept: Callable[[str], Kept], command: str, outcome: str
    ) -> None:
        calm = kept(command)
        first, second = [item for item in calm.items if item["outcome"] == "changed"][:2]
        _rewrite(calm.paths[0], promises._about(first), outcome)
        first["outcome"] = outcome
        assert list(promises.journals_what_it_did(calm.ran, calm.paths)) == []
        first["outcome"], second["outcome"] = "changed", outcome
        assert len(list(promises.journals_what_it_did(calm.ran, calm.paths))) == 1

    def test_an_unknown_that_could_be_known(self, tagged: Kept) -> None:
        item, *_ = tagged.items
        item["outcome"] = "unknown"
        for after in (tagged.before, tagged.after):

            def broken(after: Truth = after, **changed: Any) -> bool:
                return bool([*promises.knows_what_can_be_known(replace(tagged.ran, **changed), [item], after)])

            assert broken()
            assert not broken(blind={(item["account"], item["region"])})
            assert not broken(blind={(item["account"], "")})
            lost = [replace(each, told=False) for each in tagged.ran.writes]
            assert broken(writes=lost) is (after is tagged.after), "what was done was to be seen"

    @pytest.mark.parametrize("action", ["create", "retire"])
    def test_an_unknown_grant_that_could_be_known(self, granted: Kept, action: str) -> None:
        item = next(each for each in granted.items if each["action"] == action)
        item["outcome"] = "unknown"
        lost = replace(granted.ran, writes=[replace(each, told=False) for each in granted.ran.writes])
        assert list(promises.knows_what_can_be_known(granted.ran, [item], granted.before))
        assert list(promises.knows_what_can_be_known(lost, [item], granted.after))
        assert not list(promises.knows_what_can_be_known(lost, [item], granted.before))

    def test_a_grant_that_went_before_its_successor_was_there(self, granted: Kept) -> None:
        [*made] = (item for item in granted.items if item["action"] == "create")
        place = made[0]["key_arn"], made[0]["case"]
        assert list(promises.never_without(replace(granted.ran, bare={place}), made, granted.before, granted.after))
        grants = {each: grant for each, grant in granted.after.grants.items() if each[0] != place[0]}
        lost = replace(granted.after, grants=grants)
        assert list(promises.never_without(granted.ran, made, granted.before, lost))
        assert not list(promises.never_without(granted.ran, [], granted.before, lost)), "it was to be ended"

    def test_a_moment_without_a_grant_is_seen(self, place: Bench) -> None:
        """The other way round, it would be noticed: each of the four keys is without a grant for a moment."""
        ready = place.prepare("kms retire", 1)
        assert len(place.run(*ready.argv).bare) == 4
        ready = place.prepare("kms grant", 1)
        assert place.run(*ready.argv).bare == set()

    def test_what_was_not_put_back(self, tagged: Kept) -> None:
        assert len(list(promises.is_back(tagged.after, tagged.before, "undo"))) == 12

    @pytest.mark.parametrize("outcome", ["failed", "unknown", "drifted"])
    def test_what_a_resume_left_open(self, tagged: Kept, outcome: str) -> None:
        assert list(promises.ends_exact(tagged.ran, "resume")) == []
        tagged.items[0]["outcome"] = outcome
        assert list(promises.ends_exact(tagged.ran, "resume"))

    def test_an_account_that_was_asked_more(self, tagged: Kept) -> None:
        ran = tagged.ran
        more = ran.requests + ran.requests
        assert list(promises.leaves_others_alone(replace(ran, requests=more), ran, {(HOME, EU)}))
        late = replace(ran, waited={PROD: 60.0})
        assert list(promises.leaves_others_alone(late, ran, set()))

    def test_a_run_of_check_that_is_told_nowhere(self, checked: Kept) -> None:
        first = checked.paths[0].name.removesuffix(".jsonl")
        assert checked.broken(err=checked.ran.err.replace(first, ""), out=checked.ran.out.replace(first, ""))
        stray = replace(checked.ran.writes[0], subjects=("i-0123",))
        assert checked.broken(writes=[stray])

    @pytest.mark.parametrize(
        ("check", "words"), [("tag", f"{SSM_TAG} is not there"), ("volume", "by grant 0123456789ab")]
    )
    def test_a_finding_that_is_not_so(self, checked: Kept, check: str, words: str) -> None:
        item = next(each for each in checked.items if checked.after.tags[_place_of(each)].get(SSM_TAG))
        finding = next(each for each in item["findings"] if each["check"] == check)
        finding["detail"] = words
        assert len(list(promises.finds_what_is(checked.ran, checked.after))) == 1

    def test_a_tag_that_was_not_put_on(self, checked: Kept) -> None:
        assert list(promises.finds_what_is(checked.ran, checked.before))

    def test_routes_counted_wrong(self, checked: Kept) -> None:
        assert checked.ran.envelope is not None
        checked.ran.envelope["summary"]["ready"] += 1
        assert checked.broken()


class TestWhatIsStillInForce:
    """Doing again what was turned round meanwhile is not doing it twice."""

    TAG = Seen(PROD, EU, "CreateTags", ("i-1", "i-2"), frozenset({("a", "1"), ("b", "2")}), True, True)
    MADE = Seen(PROD, EU, "CreateGrant", ("key", "name"), frozenset(), True, True, "id")

    @pytest.mark.parametrize(
        ("between", "lasts"),
        [
            (replace(TAG, action="DeleteTags", subjects=("i-1",), tags=frozenset({("a", "1")})), False),
            (replace(TAG, action="DeleteTags", subjects=("i-1",), tags=frozenset({("c", "1")})), True),
            (replace(TAG, action="DeleteTags", subjects=("i-2",)), True),
            (replace(TAG, action="DeleteTags", effect=False), True),
            (replace(TAG, action="DeleteTags", told=False), False),
            (replace(TAG, action="DeleteTags", region="us-east-1"), True),
            (replace(TAG, tags=frozenset({("a", "other")})), False),
            (replace(TAG, tags=frozenset({("a", "1")})), True),
        ],
    )
    def test_tags(self, between: Seen, lasts: bool) -> None:
        first = replace(self.TAG, subjects=("i-1",))
        assert (next(deeds_of(first)) in Ledger([self.TAG, between])) is lasts

    @pytest.mark.parametrize(
        ("between", "lasts"),
        [
            (Seen(PROD, EU, "RetireGrant", ("key", "id"), frozenset(), True, True), False),
            (Seen(PROD, EU, "RevokeGrant", ("key", "id"), frozenset(), True, False), False),
            (Seen(PROD, EU, "RetireGrant", ("key", "other"), frozenset(), True, True), True),
            (Seen(PROD, EU, "RetireGrant", ("key", "id"), frozenset(), False, True), True),
        ],
    )
    def test_grants(self, between: Seen, lasts: bool) -> None:
        assert (next(deeds_of(self.MADE)) in Ledger([self.MADE, between])) is lasts

    def test_what_got_no_answer_was_not_told(self) -> None:
        assert next(deeds_of(self.TAG)) not in Ledger([replace(self.TAG, told=False)])


def _place_of(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["account"], item["region"], item["instance_id"]


def _rewrite(path: Path, about: str, outcome: str) -> None:
    """The journal, as it would be had this come out so."""
    lines, head = [], ""
    for line in path.read_bytes().splitlines():
        body = json.loads(line)
        del body["hash"]
        for which, result in body.get("results", {}).items():
            if which == about:
                result["outcome"] = outcome
        sealed, head = seal(body | {"prev": head})
        lines.append(sealed)
    path.write_bytes(b"".join(lines))
