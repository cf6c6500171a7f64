"""Grants made and ended, against a KMS held in memory and a journal on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cado_ops.errors import AwsError, Kind, LocalError
from cado_ops.grant_operations import FULL
from cado_ops.journal import JOURNAL_VERSION, Journal, read_run
from cado_ops.model import Cell, Grant, Outcome, Owner
from cado_ops.plan.change import Action
from cado_ops.plan.grant_again import resume_grant, undo_grant
from cado_ops.plan.grant_change import GrantChange, on_grant
from cado_ops.plan.granting import GrantWish, due_of, plan_grant
from cado_ops.plan.ownership import owner_of
from cado_ops.plan.records import change_from
from cado_ops.workflow.apply import FRESH_SECONDS, SETTLE_WAITS
from cado_ops.workflow.apply_grants import EARLY_WAITS, GrantApplier
from cado_ops.workflow.grant_calls import dry_run_grants
from tests.unit.grant_samples import (
    CADO,
    CELL,
    CREATED,
    EARLY,
    GONE_ROLE,
    KEY_ARN,
    LATE,
    NOW,
    OPS,
    OTHER_OPS,
    a_grant,
    a_key,
    grant_id,
    name_of,
    our_grant,
)

TOKEN = "AQpAM2RhZTk1MGMyNTk2ZmZmMzEyYWVh"
DENIED = AwsError("AccessDeniedException", "User is not authorized", kind=Kind.DENIED, request_id="r-denied")
NOT_FOUND = AwsError("NotFoundException", "No such grant", kind=Kind.NOT_FOUND, request_id="r-404")
LOST = AwsError("ReadTimeoutError", "Read timeout", hint="Look at the network", kind=Kind.TRANSPORT)
EARLY_ARN = AwsError("InvalidArnException", "no such principal")
THROTTLED = AwsError("ThrottlingException", "Rate exceeded", kind=Kind.THROTTLED)

Fault = AwsError | Callable[["World"], None]


class Cut(BaseException):
    """The power goes."""


class World:
    """A KMS and a clock; what happened stands in ``log``, the journal's records among it.

    ``stale`` reads still show the grants as they were before the last change. ``cut`` is the number of steps, calls
    and journal lines alike, after which the power goes: each of them has a place before and one after it.
    """

    def __init__(self, *grants: Grant, me: str | None = OPS) -> None:
        self.there = {grant.grant_id: grant for grant in grants}
        self.me = me
        self.may_revoke = True
        self.log: list[tuple[str, Any]] = []
        self.time = 1000.0
        self.stop = False
        self.stale = 0
        self.faults: dict[str, list[Fault | None]] = {}
        self.cut: int | None = None
        self.steps = 0
        self._before = dict(self.there)
        self._made = 100

    # The gateway.

    def grants(
        self, cell: Cell, key_arn: str, *, grantee: str | None = None, grant_id: str | None = None
    ) -> Iterator[list[Grant]]:
        self._call("ListGrants", grant_id or grantee)
        source = self.there
        if self.stale:
            self.stale -= 1
            source = self._before
        for grant in source.values():
            if grant.key_arn == key_arn and grantee in (None, grant.grantee_principal):
                if grant_id in (None, grant.grant_id):
                    yield [grant]
                yield []

    def create_grant(
        self,
        cell: Cell,
        *,
        key_arn: str,
        name: str | None,
        grantee: str,
        retiring_principal: str | None,
        operations: tuple[str, ...],
        constraints: Mapping[str, Any],
        dry_run: bool = False,
    ) -> tuple[str, str, str | None]:
        self._call("CreateGrant", name)
        if dry_run:
            return "", "", None
        wanted = a_grant(
            name=name, key_arn=key_arn, grantee_principal=grantee, retiring_principal=retiring_principal,
            operations=tuple(sorted(operations)), constraints=dict(constraints),
        )  # fmt: skip
        for grant in self.there.values():
            if name is not None and replace(grant, grant_id=wanted.grant_id, created=wanted.created) == wanted:
                return self._answer(grant.grant_id, TOKEN, "r-again")
        self._made += 1
        self.put(replace(wanted, grant_id=grant_id(self._made), created=CREATED + timedelta(seconds=self._made)))
        return self._answer(grant_id(self._made), TOKEN, f"r-{self._made}")

    def retire_grant(self, cell: Cell, key_arn: str, grant_id: str, *, dry_run: bool = False) -> str | None:
        return self._end("RetireGrant", grant_id, dry_run)

    def revoke_grant(self, cell: Cell, key_arn: str, grant_id: str, *, dry_run: bool = False) -> str | None:
        return self._end("RevokeGrant", grant_id, dry_run)

    def _end(self, call: str, each: str, dry_run: bool) -> str | None:
        self._call(call + (" dry run" if dry_run else ""), each)
        if each not in self.there:
            raise NOT_FOUND
        allowed = self.may_revoke if call == "RevokeGrant" else self.there[each].retiring_principal == self.me
        if not allowed:
            raise DENIED
        if not dry_run:
            self.remember()
            del self.there[each]
        return str(self._answer(f"r-{each}"))

    def _call(self, call: str, what: Any) -> None:
        self.step()
        self.log.append((call, what))
        queue = self.faults.get(call, [])
        fault = queue.pop(0) if queue else None
        if isinstance(fault, AwsError):
            raise fault
        if fault is not None:
            fault(self)

    def _answer(self, *answer: Any) -> Any:
        self.step()
        return answer if len(answer) > 1 else answer[0]

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.cut:
            raise Cut

    # What the tests use.

    def remember(self) -> None:
        self._before = dict(self.there)

    def put(self, grant: Grant) -> None:
        self.remember()
        self.there[grant.grant_id] = grant

    def sleep(self, seconds: float) -> None:
        self.log.append(("sleep", seconds))
        self.time += seconds

    def plan(
        self, due: datetime | None = None, *, retiring: str | None = OPS, case: str | None = "IR-42"
    ) -> list[GrantChange]:
        wish = GrantWish(FULL, case, due)
        mine = [grant for grant in self.there.values() if grant.grantee_principal == CADO]
        return plan_grant(a_key(), CADO, (), mine, wish, retiring, lambda each: owner_of(each, {CADO}, {OPS}))

    def names(self) -> list[str]:
        return [what for what, _ in self.log]

    def writes(self) -> list[str]:
        return [what for what in self.names() if what in ("CreateGrant", "RetireGrant", "RevokeGrant")]

    def ours(self) -> list[Grant]:
        return [each for each in self.there.values() if owner_of(each, {CADO}, {OPS}) is Owner.OURS]


class Logged(Journal):
    """A journal on disk whose records stand in the world's log as well."""

    def __init__(self, folder: Path, run_id: str, world: World) -> None:
        super().__init__(folder, run_id)
        self._world = world

    def write(self, record: str, **fields: Any) -> None:
        self._world.step()
        super().write(record, **fields)
        self._world.log.append((record, fields))
        self._world.step()


def command(change: GrantChange) -> str:
    """How what could not be retired is revoked."""
    return f"cado-ops kms retire {change.grant_id} --revoke"


class Run:
    """One run: a world, a journal, an applier."""

    def __init__(self, world: World, folder: Path, run_id: str = "run") -> None:
        self.world, self.path = world, folder / f"{run_id}.jsonl"
        self.journal = Logged(folder, run_id, world)
        self.applier = GrantApplier(
            world,  # type: ignore[arg-type]
            self.journal,
            world.sleep,
            lambda: world.time,
            lambda: world.stop,
            command,
        )

    def apply(self, changes: Sequence[GrantChange], *, age: float = 0.0) -> list[GrantChange]:
        planned = [change for change in changes if change.outcome in (Outcome.PLANNED, Outcome.UNKNOWN)]
        ended = self.applier.apply_cell(CELL, planned, self.world.time - age)
        assert [change.id for change in ended[: len(planned)]] == [change.id for change in planned]
        self.met = ended[len(planned) :]
        return ended[: len(planned)]

    def journaled(self) -> dict[str, str]:
        """The last outcome of each change, as the journal on disk tells it."""
        record = read_run(self.path)
        assert record.problems == []
        return {each: result["outcome"] for (_, _, each), result in record.results.items()}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    count = iter(range(1_000_000))
    return lambda world: Run(world, tmp_path / "runs", f"run-{next(count)}")


def outcomes(changes: Sequence[GrantChange]) -> list[str]:
    return [str(change.outcome) for change in changes]


def retire(grant: Grant, action: Action = Action.RETIRE) -> GrantChange:
    return on_grant(grant, action, owner=Owner.OURS)


class TestTheOrderOfThings:
    def test_a_grant_is_made(self, run: Any) -> None:
        there = World()
        one = run(there)
        [made] = one.apply(there.plan(LATE))
        # The second outcome says what only ListGrants tells: when and by which account.
        assert there.names() == ["intent", "CreateGrant", "outcome", "ListGrants", "outcome"]
        assert made.outcome is Outcome.CHANGED
        [grant] = there.ours()
        assert (made.grant_id, made.created, made.issuing_account) == (grant.grant_id, grant.created, CELL.account)
        assert due_of(grant) == LATE

    @pytest.mark.parametrize(("action", "call"), [(Action.RETIRE, "RetireGrant"), (Action.REVOKE, "RevokeGrant")])
    def test_a_grant_is_ended(self, run: Any, action: Action, call: str) -> None:
        there = World(our_grant(1), our_grant(2, "IR-43"))
        [ended] = run(there).apply([retire(our_grant(1), action)])
        assert there.names() == ["intent", call, "outcome", "ListGrants"]
        assert ended.outcome is Outcome.CHANGED
        assert list(there.there) == [grant_id(2)]

    def test_what_is_journaled(self, run: Any) -> None:
        there = World()
        [planned] = there.plan()
        one = run(there)
        [made] = one.apply([planned])
        fields = dict(there.log)
        assert fields["intent"] == {
            "account": CELL.account,
            "region": CELL.region,
            "call": "CreateGrant",
            "key_arn": KEY_ARN,
            "grant_id": None,
            "name": planned.name,
            "ids": [planned.id],
        }
        first = next(fields for what, fields in there.log if what == "outcome")
        assert first["results"][planned.id] == {
            "outcome": "changed",
            "error": None,
            "warnings": [],
            "grant_id": made.grant_id,
            "name": planned.name,
            "issuing_account": None,
            "creation_date": None,
            "request_id": "r-101",
        }
        assert one.journaled() == {planned.id: "changed"}

    def test_without_a_journal_nothing_is_sent(self, run: Any) -> None:
        there = World(our_grant(1, "IR-43"))
        one = run(there)
        one.journal.close()
        for changes in (there.plan(LATE), [retire(our_grant(1, "IR-43"))]):
            with pytest.raises(LocalError):
                one.apply(changes)
        assert there.writes() == []

    def test_grant_by_grant(self, run: Any) -> None:
        there = World(our_grant(1), our_grant(2, "IR-43"))
        ended = run(there).apply([retire(our_grant(1)), retire(our_grant(2, "IR-43"))])
        assert outcomes(ended) == ["changed", "changed"]
        assert there.names()[:6] == ["intent", "RetireGrant", "outcome"] * 2

    def test_tokens_are_kept_for_who_may_see_them_and_stand_in_no_journal(self, run: Any) -> None:
        there = World()
        [planned] = there.plan()
        one = run(there)
        [made] = one.apply([planned])
        assert one.applier.tokens == {planned.id: TOKEN}
        assert TOKEN not in one.path.read_text()
        assert TOKEN not in json.dumps(made.as_record())
        assert TOKEN not in repr(made)


class TestDryRun:
    def test_who_may_not_retire_but_revoke_is_told_how(self) -> None:
        there = World(our_grant(retiring_principal=OTHER_OPS))
        planned = retire(our_grant(retiring_principal=OTHER_OPS))
        [asked] = dry_run_grants(there, CELL, [planned], command)  # type: ignore[arg-type]
        assert asked.outcome is Outcome.DENIED
        assert asked.error is not None
        assert f"cado-ops kms retire {grant_id(1)} --revoke" in (asked.error.hint or "")

    def test_a_stale_plan_is_read_again(self) -> None:
        there = World(our_grant(1, due=LATE))
        planned = [retire(our_grant(1)), retire(our_grant(2, "IR-43"))]
        asked = dry_run_grants(there, CELL, planned, command, stale=True)  # type: ignore[arg-type]
        assert outcomes(asked) == ["drifted", "unchanged"]
        assert there.writes() == []

    def test_all_allowed_and_nothing_changed(self) -> None:
        there = World(our_grant())
        asked = dry_run_grants(there, CELL, [retire(our_grant()), *there.plan(case="B")], command)  # type: ignore[arg-type]
        assert outcomes(asked) == ["allowed", "allowed"]
        assert there.names() == ["RetireGrant dry run", "CreateGrant"]
        assert list(there.there) == [grant_id(1)]

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (None, "allowed"),
            (DENIED, "denied"),
            (AwsError("AccessDeniedException", "explicit deny", kind=Kind.ORG_DENIED), "denied"),
            (AwsError("DisabledException", "disabled"), "failed"),
            (AwsError("LimitExceededException", "50,000"), "failed"),
            (LOST, "failed"),
        ],
    )
    def test_granting(self, error: AwsError | None, outcome: str) -> None:
        there = World()
        there.faults["CreateGrant"] = [error]
        [asked] = dry_run_grants(there, CELL, there.plan(), command)  # type: ignore[arg-type]
        assert str(asked.outcome) == outcome
        assert (asked.error and asked.error.code) == (error and error.code)
        assert there.there == {}

    @pytest.mark.parametrize("error", [None, NOT_FOUND, AwsError("InvalidGrantIdException", "x")])
    def test_ending(self, error: AwsError | None) -> None:
        there = World(our_grant())
        there.faults["RevokeGrant dry run"] = [error]
        [asked] = dry_run_grants(there, CELL, [retire(our_grant(), Action.REVOKE)], command)  # type: ignore[arg-type]
        assert str(asked.outcome) == ("unchanged" if error else "allowed")
        assert list(there.there) == [grant_id(1)]
        assert there.names() == ["RevokeGrant dry run"]

    def test_a_grant_of_no_longer_known_id_cannot_be_created_by_asking(self) -> None:
        there = World()
        there.faults["CreateGrant"] = [NOT_FOUND]
        [asked] = dry_run_grants(there, CELL, there.plan(), command)  # type: ignore[arg-type]
        assert asked.outcome is Outcome.FAILED


class TestEventualConsistency:
    def test_a_grant_that_shows_late(self, run: Any) -> None:
        there = World()
        there.stale = 4  # two looks: for the grantee's grants, then for the grant by its id
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.CHANGED
        assert made.warnings == ()
        assert [what for what in there.log if what[0] == "sleep"] == [("sleep", 0.5), ("sleep", 1.0)]

    def test_a_grant_that_goes_late(self, run: Any) -> None:
        there = World(our_grant())
        there.stale = 3
        [ended] = run(there).apply([retire(our_grant())])
        assert (ended.outcome, ended.warnings) == (Outcome.CHANGED, ())

    @pytest.mark.parametrize(("grants", "words"), [((), "does not list"), ((our_grant(),), "still lists")])
    def test_one_that_takes_minutes_is_done_and_that_is_said(self, run: Any, grants: Any, words: str) -> None:
        there = World(*grants)
        there.stale = 99
        one = run(there)
        [change] = one.apply([retire(our_grant())] if grants else there.plan())
        assert change.outcome is Outcome.CHANGED
        assert words in change.warnings[0]
        assert f"cado-ops kms list --key {KEY_ARN}" in change.warnings[0]
        assert [what for what in there.log if what[0] == "sleep"] == [("sleep", wait) for wait in SETTLE_WAITS]
        assert set(one.journaled().values()) == {"changed"}

    def test_a_grantee_that_is_shown_as_an_id_at_first(self, run: Any) -> None:
        there = World()

        def as_id(where: World) -> None:
            for each, grant in where.there.items():
                where.there[each] = replace(grant, grantee_principal=GONE_ROLE)

        there.faults["ListGrants"] = [as_id]
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.CHANGED
        assert made.grantee_principal == CADO
        assert "sleep" not in there.names()

    def test_what_may_not_be_looked_at_is_not_verified(self, run: Any) -> None:
        there = World()
        there.faults["ListGrants"] = [DENIED]
        [made] = run(there).apply(there.plan())
        assert (made.outcome, made.warnings) == (Outcome.CHANGED, ("not verified: AccessDeniedException",))

    @pytest.mark.parametrize("error", [NOT_FOUND, AwsError("InvalidGrantIdException", "x")])
    def test_a_server_that_answers_an_unknown_grant_by_an_error(self, run: Any, error: AwsError) -> None:
        there = World(our_grant())
        there.faults["ListGrants"] = [error]
        [ended] = run(there).apply([retire(our_grant())])
        assert (ended.outcome, ended.warnings) == (Outcome.CHANGED, ())

    def test_a_grantee_that_kms_does_not_know_yet(self, run: Any) -> None:
        there = World()
        there.faults["CreateGrant"] = [EARLY_ARN, EARLY_ARN]
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.CHANGED
        assert there.names()[:6] == ["intent", "CreateGrant", "sleep", "CreateGrant", "sleep", "CreateGrant"]
        assert there.names().count("intent") == 1

    def test_a_grantee_that_is_not_there(self, run: Any) -> None:
        there = World()
        there.faults["CreateGrant"] = [EARLY_ARN] * 99
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.FAILED
        assert there.names().count("CreateGrant") == len(EARLY_WAITS) + 1
        assert made.error is not None
        assert made.error.code == "InvalidArnException"
        assert f"{CADO}? --cado-role" in (made.error.hint or "")
        assert OPS in (made.error.hint or "")

    def test_nobody_waits_for_it_after_a_stop(self, run: Any) -> None:
        there = World()

        def stop(where: World) -> None:
            where.stop = True
            raise EARLY_ARN

        there.faults["CreateGrant"] = [stop]
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.FAILED
        assert "sleep" not in there.names()

    def test_a_retirement_does_not_wait_for_a_principal(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["RetireGrant"] = [EARLY_ARN]
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.outcome is Outcome.FAILED
        assert there.names().count("RetireGrant") == 1


def taken(error: AwsError) -> Callable[[World], None]:
    """The request takes effect, and no answer comes."""

    def fault(where: World) -> None:
        if where.log[-1][0] == "CreateGrant":
            where.put(our_grant(55))
        else:
            del where.there[grant_id(1)]
        raise error

    return fault


class TestLostAnswers:
    @pytest.mark.parametrize("error", [LOST, AwsError("KMSInternalException", "x", kind=Kind.TRANSPORT)])
    def test_of_a_grant_that_was_made(self, run: Any, error: AwsError) -> None:
        there = World()
        there.faults["CreateGrant"] = [taken(error)]
        one = run(there)
        [made] = one.apply(there.plan())
        assert (made.outcome, made.error, made.grant_id) == (Outcome.CHANGED, None, grant_id(55))
        assert [fields["results"][made.id]["outcome"] for what, fields in there.log if what == "outcome"] == [
            "unknown",
            "changed",
        ]

    def test_of_a_grant_that_was_not_made(self, run: Any) -> None:
        there = World()
        there.faults["CreateGrant"] = [LOST]
        one = run(there)
        [made] = one.apply(there.plan())
        assert made.outcome is Outcome.UNKNOWN
        assert made.error is not None
        assert made.error.code == "ReadTimeoutError"
        assert set(one.journaled().values()) == {"unknown"}
        assert there.names().count("CreateGrant") == 1

    def test_of_a_grant_that_was_ended(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["RetireGrant"] = [taken(LOST)]
        [ended] = run(there).apply([retire(our_grant())])
        assert (ended.outcome, ended.error) == (Outcome.CHANGED, None)

    def test_of_a_grant_that_was_not_ended(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["RetireGrant"] = [LOST]
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.outcome is Outcome.UNKNOWN

    def test_one_look_at_a_part_that_is_behind_proves_nothing(self, run: Any) -> None:
        """The grant was made a moment ago: where that is not known yet, it looks ended."""
        there = World(our_grant())
        there.faults["RetireGrant"] = [LOST]
        there._before, there.stale = {}, 1
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.outcome is Outcome.UNKNOWN

    @pytest.mark.parametrize(
        ("kind", "operation"),
        [
            (Kind.THROTTLED, ""),
            (Kind.CREDENTIALS, ""),
            (Kind.DENIED, ""),
            (Kind.OTHER, ""),
            (Kind.DENIED, "AssumeRole"),
        ],
    )
    def test_before_a_refusal_that_says_nothing_of_them(self, run: Any, kind: Kind, operation: str) -> None:
        """The first attempt made the grant and its answer was lost; the others were throttled or had no session."""
        there = World(our_grant(1, "IR-43"))
        error = AwsError("ThrottlingException", "Rate exceeded", kind=kind, operation=operation, answer_lost=True)
        there.faults["CreateGrant"] = [taken(error)]
        there.faults["RetireGrant"] = [taken(error)]
        [ended, made] = run(there).apply([retire(our_grant(1, "IR-43")), *there.plan()])
        assert (made.outcome, made.error, made.grant_id) == (Outcome.CHANGED, None, grant_id(55))
        assert (ended.outcome, ended.error) == (Outcome.CHANGED, None)

    def test_before_kms_knew_the_role(self, run: Any) -> None:
        """It was lost, then the role was not known yet, then a policy refused: of the first nothing is said."""
        there = World()
        early = AwsError("InvalidArnException", "words", answer_lost=True)
        there.faults["CreateGrant"] = [taken(early), DENIED]
        [made] = run(there).apply(there.plan())
        assert (made.outcome, made.error) == (Outcome.CHANGED, None)

    @pytest.mark.parametrize("error", [THROTTLED, DENIED, AwsError("LimitExceededException", "50,000")])
    def test_a_plain_refusal_is_a_failure(self, run: Any, error: AwsError) -> None:
        there = World()
        there.faults["CreateGrant"] = [error]
        one = run(there)
        [made] = one.apply(there.plan())
        assert made.outcome is Outcome.FAILED
        assert made.error is not None
        assert made.error.code == error.code
        assert "ListGrants" not in there.names()
        assert set(one.journaled().values()) == {"failed"}

    @pytest.mark.parametrize(("lost", "outcome"), [(True, Outcome.CHANGED), (False, Outcome.UNCHANGED)])
    @pytest.mark.parametrize("code", ["NotFoundException", "InvalidGrantIdException"])
    def test_a_grant_that_is_gone_when_asked_again(self, run: Any, lost: bool, outcome: Outcome, code: str) -> None:
        """Where an attempt before got no answer, it was ours that ended it."""
        there = World()
        kind = Kind.NOT_FOUND if code == "NotFoundException" else Kind.OTHER
        there.faults["RetireGrant"] = [AwsError(code, "gone", kind=kind, answer_lost=lost)]
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.outcome is outcome
        assert ended.error is None
        assert bool(ended.warnings) is not lost

    def test_a_key_that_is_gone_is_no_grant_made(self, run: Any) -> None:
        there = World()
        there.faults["CreateGrant"] = [NOT_FOUND]
        [made] = run(there).apply(there.plan())
        assert made.outcome is Outcome.FAILED


class TestDenials:
    def test_who_may_not_retire_but_revoke_is_told_how(self, run: Any) -> None:
        there = World(our_grant(retiring_principal=OTHER_OPS))
        [ended] = run(there).apply([retire(our_grant(retiring_principal=OTHER_OPS))])
        assert ended.outcome is Outcome.FAILED
        assert ended.error is not None
        assert (
            ended.error.hint == f"You may not retire it, but revoke it: cado-ops kms retire {grant_id(1)} --revoke"
        )
        assert there.names() == ["intent", "RetireGrant", "RevokeGrant dry run", "outcome"]
        assert list(there.there) == [grant_id(1)]

    @pytest.mark.parametrize("why", ["may not", "gone"])
    def test_who_may_neither_is_told_what_aws_said(self, run: Any, why: str) -> None:
        there = World(our_grant(retiring_principal=OTHER_OPS))
        there.may_revoke = False
        if why == "gone":
            there.faults["RevokeGrant dry run"] = [NOT_FOUND]
        [ended] = run(there).apply([retire(our_grant(retiring_principal=OTHER_OPS))])
        assert ended.error is not None
        assert ended.error.hint is None

    @pytest.mark.parametrize("action", [Action.CREATE, Action.REVOKE])
    def test_no_other_denial_is_followed_by_a_question(self, run: Any, action: Action) -> None:
        there = World(our_grant())
        call = "CreateGrant" if action is Action.CREATE else "RevokeGrant"
        there.faults[call] = [DENIED]
        run(there).apply(there.plan(case="B") if action is Action.CREATE else [retire(our_grant(), action)])
        assert not [what for what in there.names() if "dry run" in what]

    def test_an_organisations_deny_is_for_nobody_here_to_lift(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["RetireGrant"] = [AwsError("AccessDeniedException", "scp", kind=Kind.ORG_DENIED, hint="h")]
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.error is not None
        assert (ended.outcome, ended.error.hint) == (Outcome.FAILED, "h")


class TestProlongation:
    def test_the_new_grant_is_made_before_the_old_one_is_ended(self, run: Any) -> None:
        there = World(our_grant(1, due=EARLY))
        ended = run(there).apply(there.plan(LATE))
        assert outcomes(ended) == ["changed", "changed"]
        assert there.names()[:6] == ["intent", "CreateGrant", "outcome", "intent", "RetireGrant", "outcome"]
        assert [due_of(each) for each in there.ours()] == [LATE]

    def test_so_it_is_whatever_the_order_of_the_plan(self, run: Any) -> None:
        there = World(our_grant(1, due=EARLY))
        run(there).apply(there.plan(LATE)[::-1])
        assert there.writes() == ["CreateGrant", "RetireGrant"]

    @pytest.mark.parametrize("error", [DENIED, LOST, THROTTLED, AwsError("LimitExceededException", "50,000")])
    def test_the_old_one_is_kept_where_the_new_one_is_not_made(self, run: Any, error: AwsError) -> None:
        there = World(our_grant(1, due=EARLY))
        there.faults["CreateGrant"] = [error]
        one = run(there)
        new, old = one.apply(there.plan(LATE))
        assert new.outcome is (Outcome.UNKNOWN if error is LOST else Outcome.FAILED)
        assert old.outcome is Outcome.SKIPPED
        assert ("may not have been" if error is LOST else "was not") in old.warnings[0]
        assert there.writes() == ["CreateGrant"]
        assert list(there.there) == [grant_id(1)]
        assert one.journaled()[old.id] == "skipped"

    def test_the_old_one_is_ended_where_the_new_one_was_there_already(self, run: Any) -> None:
        there = World(our_grant(1, due=EARLY))
        changes = there.plan(LATE)
        there.put(our_grant(2, due=LATE))
        assert outcomes(run(there).apply(changes, age=FRESH_SECONDS + 1)) == ["unchanged", "changed"]
        assert there.writes() == ["RetireGrant"]
        assert list(there.there) == [grant_id(2)]

    @pytest.mark.parametrize("stale", [0, 2])
    def test_one_whose_answer_was_lost_is_looked_for_first(self, run: Any, stale: int) -> None:
        there = World(our_grant(1, due=EARLY))

        def made(where: World) -> None:
            where.put(our_grant(2, due=LATE))
            where.stale = stale
            raise LOST

        there.faults["CreateGrant"] = [made]
        one = run(there)
        new, old = one.apply(there.plan(LATE))
        assert outcomes([new, old]) == ["changed", "changed"]
        assert old.warnings == ()
        assert one.journaled() == {new.id: "changed", old.id: "changed"}
        assert list(there.there) == [grant_id(2)]

    def test_what_an_earlier_run_may_have_made_is_looked_for_first(self, run: Any) -> None:
        there = World(our_grant(1, due=EARLY))
        new, old = there.plan(LATE)
        left = run(there).apply([new.ended(Outcome.UNKNOWN), old])
        assert outcomes(left) == ["unknown", "skipped"]
        there.put(our_grant(2, due=LATE))
        assert outcomes(run(there).apply([new.ended(Outcome.UNKNOWN), old])) == ["changed", "changed"]
        assert list(there.there) == [grant_id(2)]

    def test_a_stop_between_the_two_leaves_the_old_one_to_be_ended_by_resume(self, run: Any) -> None:
        """What the journal and the report say of it must be the same: nothing was done to it."""
        there = World(our_grant(1, due=EARLY))
        there.faults["CreateGrant"] = [lambda where: setattr(where, "stop", True)]
        one = run(there)
        new, old = one.apply(there.plan(LATE))
        assert outcomes([new, old]) == ["changed", "planned"]
        assert there.writes() == ["CreateGrant"]
        assert one.journaled() == {new.id: "changed"}
        there.stop = False
        again = resume_grant(old, there.there.values(), begun=False)
        assert outcomes(run(there).apply([again])) == ["changed"]
        assert [due_of(each) for each in there.ours()] == [LATE]

    def test_the_old_one_that_cannot_be_retired_is_a_failure_and_no_duplicate(self, run: Any) -> None:
        there = World(our_grant(1, due=EARLY))
        there.faults["RetireGrant"] = [DENIED] * 9
        new, old = run(there).apply(there.plan(LATE))
        assert outcomes([new, old]) == ["changed", "failed"]
        assert there.writes() == ["CreateGrant", "RetireGrant"]
        assert new.warnings == ()


class TestStopping:
    def test_before_anything_nothing_is_sent_or_journaled(self, run: Any) -> None:
        there = World(our_grant(1, "IR-43"))
        there.stop = True
        ended = run(there).apply([*there.plan(LATE), retire(our_grant(1, "IR-43"))], age=FRESH_SECONDS + 1)
        assert outcomes(ended) == ["planned", "planned"]
        assert there.log == []

    def test_what_is_in_flight_is_finished_journaled_and_looked_at_once(self, run: Any) -> None:
        there = World(*(our_grant(number, f"C{number}") for number in range(1, 4)))
        there.faults["RetireGrant"] = [None, lambda where: setattr(where, "stop", True)]
        there.stale = 99
        one = run(there)
        ended = one.apply([retire(each) for each in there.there.values()])
        assert outcomes(ended) == ["changed", "changed", "planned"]
        assert there.writes() == ["RetireGrant"] * 2
        assert there.names().count("ListGrants") == 2
        assert "sleep" not in there.names()
        assert list(one.journaled().values()) == ["changed", "changed"]


class TestAStalePlan:
    def test_a_fresh_one_is_not_read_again(self, run: Any) -> None:
        there = World(our_grant())
        run(there).apply([retire(our_grant())], age=FRESH_SECONDS)
        assert there.names()[0] == "intent"

    def test_what_stands_as_planned_is_done(self, run: Any) -> None:
        there = World(our_grant(1, "IR-43"))
        ended = run(there).apply([retire(our_grant(1, "IR-43")), *there.plan()], age=FRESH_SECONDS + 1)
        assert outcomes(ended) == ["changed", "changed"]
        assert there.names()[:2] == ["ListGrants", "intent"]

    def test_what_somebody_else_did_is_unchanged(self, run: Any) -> None:
        there = World(our_grant(2, "IR-43"))
        planned = [*there.plan(), retire(our_grant(3, "IR-44"))]
        there.put(our_grant(9))
        one = run(there)
        made, ended = one.apply(planned, age=FRESH_SECONDS + 1)
        assert outcomes([made, ended]) == ["unchanged", "unchanged"]
        assert made.grant_id == grant_id(9)
        assert there.writes() == []
        assert set(one.journaled().values()) == {"unchanged"}

    def test_a_grant_that_is_another_one_is_drifted_and_left_alone(self, run: Any) -> None:
        there = World(our_grant(1, due=LATE))
        [ended] = run(there).apply([retire(our_grant(1))], age=FRESH_SECONDS + 1)
        assert ended.outcome is Outcome.DRIFTED
        assert there.writes() == []

    def test_one_that_cannot_be_read_is_left_alone(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["ListGrants"] = [DENIED]
        [ended] = run(there).apply([retire(our_grant())], age=FRESH_SECONDS + 1)
        assert ended.outcome is Outcome.FAILED
        assert there.writes() == []

    @pytest.mark.parametrize(("begun", "outcome"), [(False, "unchanged"), (True, "changed")])
    def test_what_is_found_done_is_this_runs_where_it_was_begun(self, run: Any, begun: bool, outcome: str) -> None:
        there = World()
        [planned] = there.plan(LATE)
        again = resume_grant(planned, (), begun=begun)
        there.put(our_grant(1, due=LATE))
        assert outcomes(run(there).apply([again], age=FRESH_SECONDS + 1)) == [outcome]
        assert there.writes() == []

    @pytest.mark.parametrize(
        ("begun", "made", "outcome"), [(False, True, "failed"), (True, True, "changed"), (True, False, "unknown")]
    )
    def test_refused_where_an_earlier_run_got_no_answer(
        self, run: Any, begun: bool, made: bool, outcome: str
    ) -> None:
        there = World()
        [planned] = there.plan(LATE)
        again = resume_grant(planned, (), begun=begun)
        there.faults["CreateGrant"] = [DENIED]
        if made:
            there.put(our_grant(1, due=LATE))
        assert outcomes(run(there).apply([again])) == [outcome]

    @pytest.mark.parametrize("begun", [False, True])
    def test_a_stop_before_the_call(self, run: Any, begun: bool) -> None:
        there = World()
        [planned] = there.plan(LATE)
        there.stop = True
        assert outcomes(run(there).apply([resume_grant(planned, (), begun=begun)])) == [
            "unknown" if begun else "planned"
        ]

    @pytest.mark.parametrize("stale", [False, True])
    def test_a_dry_run_calls_nothing_for_what_is_only_looked_at(self, run: Any, stale: bool) -> None:
        there = World(our_grant(1, due=LATE))
        [planned] = World().plan(LATE)
        again = resume_grant(planned, () if stale else there.there.values(), begun=True)
        [told] = dry_run_grants(there, CELL, [again], command, stale=stale)  # type: ignore[arg-type]
        assert told.outcome is Outcome.ALLOWED
        assert "CreateGrant" not in there.names()

    @pytest.mark.parametrize(("begun", "outcome"), [(False, "failed"), (True, "unknown")])
    def test_of_what_was_begun_and_cannot_be_read_nothing_is_known(
        self, run: Any, begun: bool, outcome: str
    ) -> None:
        there = World()
        [planned] = there.plan(LATE)
        there.faults["ListGrants"] = [DENIED] * 9
        ended = run(there).apply([resume_grant(planned, (), begun=begun)], age=FRESH_SECONDS + 1)
        assert outcomes(ended) == [outcome]
        assert there.writes() == []

    def test_a_plan_that_ages_while_it_is_applied_is_read_again_from_then_on(self, run: Any) -> None:
        there = World(*(our_grant(number, f"C{number}") for number in range(1, 4)))

        def age(where: World) -> None:
            where.time += 40.0

        there.faults["RetireGrant"] = [age, age]
        run(there).apply([retire(each) for each in list(there.there.values())])
        assert there.names()[:8] == [*["intent", "RetireGrant", "outcome"] * 2, "ListGrants", "intent"]


def race(*others: Grant) -> Callable[[World], None]:
    """Somebody else makes these at the same moment."""

    def fault(where: World) -> None:
        for other in others:
            where.put(other)

    return fault


class TestDuplicates:
    """KMS API reference, CreateGrant: another due time or retiring principal makes another grant."""

    def raced(self, run: Any, *others: Grant, due: datetime | None = NOW) -> tuple[World, Run, GrantChange]:
        there = World()
        there.faults["CreateGrant"] = [race(*others)]
        one = run(there)
        [made] = one.apply(there.plan(due))
        return there, one, made

    def test_ours_is_kept_where_it_is_due_later(self, run: Any) -> None:
        there, one, made = self.raced(run, our_grant(1, due=EARLY), our_grant(2, due=EARLY))
        assert (made.outcome, made.warnings) == (Outcome.CHANGED, ())
        assert list(there.there) == [made.grant_id]
        assert one.journaled() == {made.id: "changed", grant_id(1): "changed", grant_id(2): "changed"}
        assert [(each.grant_id, str(each.action), str(each.outcome)) for each in one.met] == [
            (grant_id(1), "retire", "changed"),
            (grant_id(2), "retire", "changed"),
        ], "what was ended besides is told, and can be undone"
        assert [change_from(line).grant_id for line in read_run(one.path).plan] == [grant_id(1), grant_id(2)]  # type: ignore[union-attr]
        intents = [fields["ids"] for what, fields in there.log if what == "intent"]
        assert intents == [[made.id], [grant_id(1)], [grant_id(2)]]

    def test_ours_is_ended_where_another_is_due_later(self, run: Any) -> None:
        there, one, made = self.raced(run, our_grant(1, due=LATE))
        assert made.outcome is Outcome.UNCHANGED
        assert (made.grant_id, made.due) == (grant_id(1), LATE)
        assert "was made for the same case at the same time" in made.warnings[0]
        assert list(there.there) == [grant_id(1)]
        assert one.journaled()[made.id] == "unchanged"
        assert one.applier.tokens == {}, "that was the token of the grant that is gone"

    @pytest.mark.parametrize(("age", "kept"), [(-1000, "other"), (+1000, "own")])
    def test_of_the_same_due_time_the_older_is_kept(self, run: Any, age: int, kept: str) -> None:
        """Only the retiring principal differs, so that the name is the same, and KMS makes two."""
        other = our_grant(1, due=NOW, created=CREATED + timedelta(seconds=age), retiring_principal=None)
        there, _, made = self.raced(run, other)
        assert (made.grant_id == grant_id(1)) is (kept == "other")
        if kept == "other":
            assert (made.outcome, list(there.there)) == (Outcome.UNCHANGED, [grant_id(1)])
        else:
            # It is not ours to retire.
            assert made.outcome is Outcome.CHANGED
            assert there.writes() == ["CreateGrant"]
            assert len(there.there) == 2
            assert grant_id(1) in made.warnings[0]

    @pytest.mark.parametrize(("number", "kept"), [(1, 1), (999, 101)])
    def test_of_the_same_age_the_lowest_id_is_kept(self, run: Any, number: int, kept: int) -> None:
        other = our_grant(number, due=NOW, created=CREATED + timedelta(seconds=101), retiring_principal=OTHER_OPS)
        _, _, made = self.raced(run, other)
        assert made.grant_id == grant_id(kept)

    def test_another_case_other_terms_and_strangers_are_no_duplicates(self, run: Any) -> None:
        others = [
            our_grant(1, "IR-43", due=EARLY), our_grant(2, due=EARLY, operations=("Decrypt",)), a_grant(3),
            a_grant(4, name=name_of(due=EARLY), operations=("Decrypt",)), our_grant(5, case=None, due=EARLY),
        ]  # fmt: skip
        there, _, made = self.raced(run, *others)
        assert made.outcome is Outcome.CHANGED
        assert len(there.there) == 6
        assert there.writes() == ["CreateGrant"]

    @pytest.mark.parametrize("error", [DENIED, LOST])
    def test_one_that_cannot_be_ended_is_named(self, run: Any, error: AwsError) -> None:
        there = World()
        there.faults = {"CreateGrant": [race(our_grant(1, due=EARLY))], "RetireGrant": [error]}
        [made] = run(there).apply(there.plan(LATE))
        assert made.outcome is Outcome.CHANGED
        assert made.warnings == (f"grant {grant_id(1)} is for the same case too",)

    def test_one_that_went_by_itself_is_settled(self, run: Any) -> None:
        there = World()

        def went(where: World) -> None:
            del where.there[grant_id(1)]
            raise NOT_FOUND

        there.faults = {"CreateGrant": [race(our_grant(1, due=EARLY))], "RetireGrant": [went]}
        [made] = run(there).apply(there.plan(LATE))
        assert (made.outcome, made.warnings) == (Outcome.CHANGED, ())

    def test_not_found_is_no_answer_about_a_grant_that_is_listed(self, run: Any) -> None:
        there = World(our_grant())
        there.faults["RetireGrant"] = [NOT_FOUND]
        [ended] = run(there).apply([retire(our_grant())])
        assert ended.outcome is Outcome.FAILED
        assert "five minutes" in ended.warnings[-1]

    def test_made_anew_while_the_old_one_lingers_is_for_a_resume(self, run: Any) -> None:
        """KMS may still answer with the grant that was ended (CreateGrant: the original id), and which will go."""
        there = World(our_grant(1))
        anew = undo_grant(replace(retire(our_grant(1)), outcome=Outcome.CHANGED), [])
        [made] = run(there).apply([anew])
        assert made.outcome is Outcome.FAILED
        assert made.error is not None
        assert made.error.code == "NotYetGone"

    def test_a_lost_answer_and_a_race(self, run: Any) -> None:
        there = World()

        def both(where: World) -> None:
            where.put(our_grant(55))
            where.put(our_grant(1, due=EARLY))
            raise LOST

        there.faults["CreateGrant"] = [both]
        [made] = run(there).apply(there.plan())
        assert (made.outcome, made.grant_id) == (Outcome.CHANGED, grant_id(55))
        assert list(there.there) == [grant_id(55)]

    def test_they_are_settled_after_a_stop_too(self, run: Any) -> None:
        there = World()

        def both(where: World) -> None:
            where.stop = True
            where.put(our_grant(1, due=EARLY))

        there.faults["CreateGrant"] = [both]
        run(there).apply(there.plan(LATE))
        assert [due_of(each) for each in there.ours()] == [LATE]


class TestAChangeThatWasBegun:
    def test_is_only_looked_at(self, run: Any) -> None:
        there = World(our_grant(4))
        begun = resume_grant(World().plan()[0], there.there.values(), begun=True)
        assert begun.outcome is Outcome.UNKNOWN
        [made] = run(there).apply([begun])
        assert made.outcome is Outcome.CHANGED
        assert there.writes() == []

    def test_its_duplicates_are_settled(self, run: Any) -> None:
        there = World(our_grant(4, due=LATE), our_grant(5, due=EARLY))
        begun = resume_grant(World().plan(LATE)[0], there.there.values(), begun=True)
        [made] = run(there).apply([begun])
        assert made.grant_id == grant_id(4)
        assert list(there.there) == [grant_id(4)]


def resumed(path: Path, world: World) -> list[GrantChange]:
    """What a resume of this journal has to do: as `cli.run_again` does it, for grants."""
    record = read_run(path)
    todo = []
    for line in record.plan:
        change = change_from(line)
        assert isinstance(change, GrantChange)
        key = (change.account, change.region, change.id)
        result = record.results.get(key, {"outcome": "planned"})
        if change.outcome is not Outcome.PLANNED or result["outcome"] in ("unchanged", "skipped", "drifted"):
            continue
        again = resume_grant(change, world.there.values(), begun=key in record.touched)
        # What is done may not have been looked at: a race may have made two of a kind.
        if result["outcome"] != "changed" or again.outcome is Outcome.UNKNOWN:
            todo.append(again)
    return todo


SCENES: dict[str, tuple[Callable[[], World], datetime | None]] = {
    "nothing there": (World, None),
    "a case with a due time": (World, LATE),
    "prolonged": (lambda: World(our_grant(1, due=EARLY)), LATE),
    "two old ones": (lambda: World(our_grant(1, due=EARLY), our_grant(2, due=NOW)), LATE),
    "duplicates": (lambda: World(our_grant(1, due=LATE), our_grant(2, due=EARLY)), LATE),
    "others": (lambda: World(our_grant(1, "IR-43"), a_grant(2)), LATE),
    "a race that is won": (lambda: racing(our_grant(1, due=EARLY)), LATE),
    "a race that is lost": (lambda: racing(our_grant(1, due=LATE)), EARLY),
}


def racing(other: Grant) -> World:
    there = World()
    there.faults["CreateGrant"] = [race(other)]
    return there


def is_whole(there: World, due: datetime | None) -> None:
    """One grant for the case and terms, and nobody else's touched."""
    [grant] = [each for each in there.ours() if each.name and each.name.startswith("cado-ops/IR-42/")]
    assert due_of(grant) == due or (due_of(grant) == LATE and due == EARLY)
    untouched = {each.grant_id for each in SCENES["others"][0]().there.values()}
    if len(there.there) > 1:
        assert there.there.keys() >= untouched


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("way", ["run again", "resumed", "resumed and run again"])
def test_killed_at_any_step_and_gone_on_with_there_is_one_grant(tmp_path: Path, scene: str, way: str) -> None:
    make, due = SCENES[scene]
    cuts = 0
    while True:
        cuts += 1
        there = make()
        changes = there.plan(due)
        one = Run(there, tmp_path / f"{cuts}", "first")
        one.journal.write("run", format_version=JOURNAL_VERSION, run_id="first", items=len(changes))
        one.journal.write(
            "plan", account=CELL.account, region=CELL.region, changes=[change.as_record() for change in changes]
        )
        there.steps, there.cut = 0, cuts
        try:
            one.apply(changes)
        except Cut:
            cut = True
        else:
            cut = False
        one.journal.close()
        there.cut = None
        if way.startswith("resumed"):
            Run(there, tmp_path / f"{cuts}", "resumed").apply(resumed(one.path, there))
        if way.endswith("run again"):
            Run(there, tmp_path / f"{cuts}", "again").apply(there.plan(due))
            is_whole(there, due)
        elif scene != "duplicates":
            is_whole(there, due)
        if not cut:
            break
    assert cuts > 4
