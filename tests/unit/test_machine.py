"""Guard, confirm, journal, apply, report: the machine under every command that changes AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cado_ops.errors import LocalError
from cado_ops.journal import Journal, read_run
from cado_ops.model import SSM_TAG, Caller, Cell, ErrorInfo, Failure, Instance, Outcome, Status
from cado_ops.plan.change import TagChange
from cado_ops.plan.tagging import TagWish, plan_tag
from cado_ops.workflow.change import Machine
from cado_ops.workflow.interrupts import Interrupts
from cado_ops.workflow.proposal import Guards, Proposal
from cado_ops.workflow.records import write_plan

CALLER = Caller("1" * 12, "arn:aws:sts::111111111111:assumed-role/ops/me")
NOW = datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC)
RUN = "20261123T174501Z-7f3a9c"
DECLINED = ErrorInfo("NotConfirmed", "the answer was no")
UNREADABLE = Failure("2" * 12, "eu-west-1", "observe", ErrorInfo("AccessDenied", "words"))

Work = Callable[[Cell, Sequence[TagChange]], list[TagChange]]


def changed(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
    return [change.ended(Outcome.CHANGED) for change in changes]


def planned(region: str, number: int, tags: dict[str, str] | None = None) -> TagChange:
    there = Instance("1" * 12, region, f"i-{number}", "", "running", tags or {}, 0)
    return plan_tag(there, TagWish())


def proposal(*changes: TagChange, failures: Sequence[Failure] = ()) -> Proposal:
    return Proposal(
        command="tag-instances",
        case="IR-42",
        caller=CALLER,
        changes=list(changes),
        failures=list(failures),
        left_out=[],
        targets=2,
        targets_failed=len(failures),
        account_names={},
        header={"filters": ["tag:Env=prod"]},
    )


def many(count: int, regions: Sequence[str] = ("eu-west-1", "us-east-1")) -> list[TagChange]:
    return [planned(regions[number % len(regions)], number) for number in range(count)]


@dataclass
class Watcher:
    """An audience that remembers what it was shown."""

    answer: ErrorInfo | None = None
    asked: int = 0
    shown: list[TagChange] = field(default_factory=list)
    phases: list[tuple[str, int]] = field(default_factory=list)
    advanced: int = 0

    def confirm(self, proposal: Proposal) -> ErrorInfo | None:
        self.asked += 1
        return self.answer

    def items(self, changes: Sequence[TagChange]) -> None:
        self.shown += changes

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))

    def advance(self, count: int) -> None:
        self.advanced += count


class Rig:
    """A machine, its parts within reach."""

    def __init__(self, folder: Path, *, answer: ErrorInfo | None = None) -> None:
        self.folder = folder
        self.audience = Watcher(answer)
        self.interrupts = Interrupts()
        self.work: Work = changed
        self.ask: Work = lambda cell, changes: [change.ended(Outcome.ALLOWED) for change in changes]
        self.journals: list[Journal] = []
        self.max_concurrency = 4

    def open_journal(self, proposal: Proposal) -> Journal:
        journal = Journal(self.folder, RUN)
        self.journals.append(journal)
        write_plan(journal, proposal, NOW)
        return journal

    def run(self, proposal: Proposal, **guards: Any) -> Any:
        machine = Machine(
            audience=self.audience,
            interrupts=self.interrupts,
            dry_run=self.ask,
            apply=lambda journal: lambda cell, changes: self.work(cell, changes),
            open_journal=self.open_journal,
            now=lambda: NOW,
            max_concurrency=self.max_concurrency,
        )
        return machine.run(proposal, Guards(**guards))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "runs")


class TestGoingThrough:
    def test_confirmed_and_applied(self, rig: Rig) -> None:
        report = rig.run(proposal(*many(4)))
        assert rig.audience.asked == 1
        assert (report.status, report.run_id, report.dry_run) == (Status.SUCCESS, RUN, False)
        assert [item["instance_id"] for item in report.items] == ["i-0", "i-1", "i-2", "i-3"]
        assert (report.summary["planned"], report.summary["changed"]) == (4, 4)
        assert rig.audience.advanced == 4
        assert rig.audience.phases == [("changing", 4)]

    def test_yes_asks_nobody(self, rig: Rig) -> None:
        rig.audience.answer = DECLINED
        assert rig.run(proposal(*many(1)), yes=True).status is Status.SUCCESS
        assert rig.audience.asked == 0

    def test_only_what_is_planned_is_worked_on(self, rig: Rig) -> None:
        worked: list[str] = []

        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            worked.extend(change.instance_id for change in changes)
            return changed(cell, changes)

        rig.work = work
        report = rig.run(
            proposal(planned("r", 0, {SSM_TAG: "True"}), planned("r", 1), planned("r", 2, {SSM_TAG: "No"}))
        )
        assert worked == ["i-1"]
        assert [item["outcome"] for item in report.items] == ["unchanged", "changed", "skipped"]
        assert sorted(change.instance_id for change in rig.audience.shown) == ["i-0", "i-1", "i-2"]

    def test_one_piece_of_work_a_cell(self, rig: Rig) -> None:
        cells: list[Cell] = []
        rig.work = lambda cell, changes: (cells.append(cell), changed(cell, changes))[1]
        rig.run(proposal(*many(10)))
        assert sorted(cells) == [Cell("1" * 12, "eu-west-1"), Cell("1" * 12, "us-east-1")]

    def test_the_journal_tells_the_whole_run(self, rig: Rig) -> None:
        rig.run(proposal(*many(3), planned("eu-west-1", 9, {SSM_TAG: "True"}), failures=[UNREADABLE]))
        run = read_run(rig.journals[0].path)
        assert run.problems == []
        header = {key: run.header[key] for key in ("command", "case", "started", "caller", "filters")}
        assert header == {
            "command": "tag-instances",
            "case": "IR-42",
            "started": "2026-11-23T17:45:01Z",
            "caller": CALLER.as_json(),
            "filters": ["tag:Env=prod"],
        }
        assert {change["instance_id"] for change in run.plan} == {"i-0", "i-1", "i-2", "i-9"}
        assert run.plan[0]["tags_before"] == {SSM_TAG: None}
        assert run.plan[0]["tags_after"] == {SSM_TAG: "True"}
        assert run.failures == [UNREADABLE.as_json()]
        assert run.end is not None
        assert run.end["status"] == "partial"
        assert run.end["summary"]["changed"] == 3

    def test_the_plan_is_on_disk_before_the_first_change(self, rig: Rig) -> None:
        seen: list[int] = []

        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            seen.append(len(read_run(rig.journals[0].path).plan))
            return changed(cell, changes)

        rig.work = work
        rig.run(proposal(*many(6)))
        assert seen == [6, 6]

    def test_a_target_that_failed_does_not_stop_the_rest(self, rig: Rig) -> None:
        report = rig.run(proposal(*many(2), failures=[UNREADABLE]))
        assert report.status is Status.PARTIAL
        assert report.summary["changed"] == 2
        assert report.failures == [UNREADABLE]


class TestNothingToDo:
    def test_no_journal_no_question(self, rig: Rig) -> None:
        report = rig.run(proposal(planned("r", 0, {SSM_TAG: "True"})))
        assert (report.status, report.run_id, rig.journals, rig.audience.asked) == (Status.SUCCESS, None, [], 0)
        assert not rig.folder.exists()

    @pytest.mark.parametrize("guards", [{}, {"dry_run": True}], ids=["apply", "dry-run"])
    @pytest.mark.parametrize(
        ("fail_empty", "bad"), [(False, False), (True, True)], ids=["by-default", "with --fail-empty"]
    )
    def test_nothing_selected(self, rig: Rig, guards: dict[str, bool], fail_empty: bool, bad: bool) -> None:
        report = rig.run(proposal(), fail_empty=fail_empty, **guards)
        assert (report.status is Status.PARTIAL) is bad

    def test_fail_empty_is_about_what_was_selected(self, rig: Rig) -> None:
        report = rig.run(proposal(planned("r", 0, {SSM_TAG: "True"})), fail_empty=True)
        assert report.status is Status.SUCCESS


class TestGuards:
    def refused(self, rig: Rig, report: Any, code: str) -> Failure:
        assert report.status is Status.REFUSED
        assert (report.run_id, rig.journals) == (None, [])
        assert not rig.folder.exists()
        [failure] = [failure for failure in report.failures if failure.stage == "confirm"]
        assert failure.error.code == code
        return failure

    def test_not_confirmed(self, rig: Rig) -> None:
        rig.audience.answer = DECLINED
        report = rig.run(proposal(*many(2)))
        self.refused(rig, report, "NotConfirmed")
        assert [item["outcome"] for item in report.items] == ["planned", "planned"]

    @pytest.mark.parametrize("yes", [False, True])
    def test_too_many_changes(self, rig: Rig, yes: bool) -> None:
        failure = self.refused(rig, rig.run(proposal(*many(101)), yes=yes), "TooManyChanges")
        assert "--max-changes" in failure.error.message
        assert rig.audience.asked == 0

    def test_as_many_as_allowed(self, rig: Rig) -> None:
        assert rig.run(proposal(*many(3)), max_changes=3, yes=True).status is Status.SUCCESS

    def test_what_is_only_looked_at_again_does_not_count(self, rig: Rig) -> None:
        done = [change.ended(Outcome.UNKNOWN) for change in many(200)]
        two = proposal(*done, planned("r", 200), planned("r", 201))
        assert rig.run(two, max_changes=1, yes=True).status is Status.REFUSED
        assert rig.run(two, max_changes=2, yes=True).status is Status.SUCCESS

    def test_what_is_left_alone_does_not_count(self, rig: Rig) -> None:
        unchanged = [planned("r", number, {SSM_TAG: "True"}) for number in range(200)]
        assert rig.run(proposal(*unchanged, planned("r", 200)), max_changes=1).status is Status.SUCCESS

    def test_all_or_nothing_with_an_unreadable_target(self, rig: Rig) -> None:
        report = rig.run(proposal(*many(2), failures=[UNREADABLE]), all_or_nothing=True, yes=True)
        self.refused(rig, report, "Incomplete")

    def test_all_or_nothing_with_an_instance_that_is_full(self, rig: Rig) -> None:
        full = plan_tag(Instance("1" * 12, "r", "i-9", "", "running", {}, 50), TagWish())
        report = rig.run(proposal(*many(2), full), all_or_nothing=True, yes=True)
        self.refused(rig, report, "Incomplete")

    def test_all_or_nothing_with_nothing_failed(self, rig: Rig) -> None:
        skipped = planned("r", 9, {SSM_TAG: "No"})
        assert rig.run(proposal(*many(2), skipped), all_or_nothing=True).status is Status.SUCCESS


class TestDryRun:
    def test_nothing_is_asked_journaled_or_changed(self, rig: Rig) -> None:
        def never(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            raise AssertionError

        rig.work = never
        rig.audience.answer = DECLINED
        report = rig.run(proposal(*many(3), planned("r", 9, {SSM_TAG: "True"})), dry_run=True)
        assert (report.status, report.dry_run, report.run_id) == (Status.PLANNED, True, None)
        assert [item["outcome"] for item in report.items] == ["allowed"] * 3 + ["unchanged"]
        assert (rig.audience.asked, rig.journals) == (0, [])

    def test_denied_in_part(self, rig: Rig) -> None:
        rig.ask = lambda cell, changes: [
            change.ended(Outcome.DENIED if cell.region == "us-east-1" else Outcome.ALLOWED) for change in changes
        ]
        report = rig.run(proposal(*many(4)), dry_run=True)
        assert (report.status, report.summary["denied"], report.summary["allowed"]) == (Status.PARTIAL, 2, 2)

    def test_the_number_of_changes_does_not_matter(self, rig: Rig) -> None:
        assert rig.run(proposal(*many(200)), dry_run=True).status is Status.PLANNED


class TestEndingEarly:
    def test_a_stop_leaves_the_rest_planned(self, rig: Rig) -> None:
        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            rig.interrupts.stop()
            return changed(cell, changes)

        rig.work = work
        rig.max_concurrency = 1
        report = rig.run(proposal(*many(4)))
        assert report.status is Status.INTERRUPTED
        assert [item["outcome"] for item in report.items] == ["changed", "planned", "changed", "planned"]
        run = read_run(rig.journals[0].path)
        assert run.end is not None
        assert run.end["status"] == "interrupted"

    def test_a_journal_that_fails_stops_the_rest_and_is_told(self, rig: Rig) -> None:
        cells: list[Cell] = []

        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            cells.append(cell)
            raise LocalError("No space left on device")

        rig.work = work
        rig.max_concurrency = 1
        report = rig.run(proposal(*many(9, ["a", "b", "c"])))
        assert len(cells) == 1
        assert report.status is Status.PARTIAL
        assert [(failure.stage, failure.error.message) for failure in report.failures] == [
            ("journal", "No space left on device")
        ]
        assert {item["outcome"] for item in report.items} == {"unknown", "planned"}

    def test_a_journal_that_cannot_be_opened_changes_nothing(self, rig: Rig) -> None:
        rig.folder.write_text("a file where the folder should be")
        worked: list[Cell] = []
        rig.work = lambda cell, changes: (worked.append(cell), changed(cell, changes))[1]
        with pytest.raises(LocalError):
            rig.run(proposal(*many(2)))
        assert worked == []

    def test_a_plan_that_could_not_be_written_whole_leaves_no_run(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = Journal.write

        def full(self: Journal, record: str, **fields: Any) -> None:
            if record == "failure":
                raise LocalError("No space left on device")
            write(self, record, **fields)

        monkeypatch.setattr(Journal, "write", full)
        worked: list[Cell] = []
        rig.work = lambda cell, changes: (worked.append(cell), changed(cell, changes))[1]
        with pytest.raises(LocalError, match="No space left"):
            rig.run(proposal(*many(2), failures=[UNREADABLE]))
        assert worked == []
        assert list(rig.folder.iterdir()) == []

    def test_room_for_the_outcomes_is_held_before_the_first_change(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_room(self: Journal) -> None:
            assert len(read_run(self.path).plan) == 2
            raise LocalError("No space left on device")

        monkeypatch.setattr(Journal, "hold_room", no_room)
        worked: list[Cell] = []
        rig.work = lambda cell, changes: (worked.append(cell), changed(cell, changes))[1]
        with pytest.raises(LocalError, match="No space left"):
            rig.run(proposal(*many(2)))
        assert worked == []
        assert list(rig.folder.iterdir()) == []

    def test_what_is_in_flight_when_the_journal_fails_is_waited_for(self, rig: Rig) -> None:
        both = threading.Barrier(2)
        failed = threading.Event()
        finished: list[Cell] = []

        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            both.wait(10)
            if cell.region == "eu-west-1":
                failed.set()
                raise LocalError("No space left on device")
            failed.wait(10)
            finished.append(cell)
            return changed(cell, changes)

        rig.work = work
        report = rig.run(proposal(*many(2)))
        assert [cell.region for cell in finished] == ["us-east-1"]
        assert [change.instance_id for change in rig.audience.shown] == ["i-1"]
        assert sorted(item["outcome"] for item in report.items) == ["changed", "unknown"]

    def test_what_is_in_flight_when_something_unforeseen_fails_is_waited_for(self, rig: Rig) -> None:
        """Its outcome belongs in the journal, whatever went wrong next door."""
        both = threading.Barrier(2)
        release = threading.Event()
        finished: list[Cell] = []

        def work(cell: Cell, changes: Sequence[TagChange]) -> list[TagChange]:
            both.wait(10)
            if cell.region == "eu-west-1":
                threading.Timer(0.05, release.set).start()
                raise RuntimeError("unforeseen")
            release.wait(10)
            finished.append(cell)
            return changed(cell, changes)

        rig.work = work
        with pytest.raises(RuntimeError, match="unforeseen"):
            rig.run(proposal(*many(2)))
        assert [cell.region for cell in finished] == ["us-east-1"]
