"""What earlier undos have put back, as their journals tell it: undos of undos, and runs that went on, included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cado_ops.journal import Journal, RunRecord, read_run
from cado_ops.model import SSM_TAG
from cado_ops.workflow.undone import still_undone, undos_of
from tests.unit.test_undo import TAGGED

KEY = (TAGGED.account, TAGGED.region, TAGGED.id)
RUN, U1, U2, U3, U4 = (f"20261123T17450{n}Z-aaaaa{n}" for n in range(1, 6))
PLACE = {"account": TAGGED.account, "region": TAGGED.region}


class Runs:
    """Runs of one instance: the first sets the tag, each undo turns that round, or puts it back again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.of: dict[str, str] = {}

    def run(self, run_id: str, undoes: str | None = None, *, outcome: str | None = "changed") -> None:
        tagged = undoes is None or not self.tagged(undoes)
        tags = ({SSM_TAG: None}, {SSM_TAG: "True"})
        before, after = tags if tagged else tags[::-1]
        journal = Journal(self.folder, run_id)
        more = {} if undoes is None else {"undoes": undoes}
        journal.write("run", format_version=1, run_id=run_id, items=1, **more)
        line = TAGGED.as_record() | {"tags_before": before, "tags_after": after}
        journal.write("plan", **PLACE, changes=[line])
        self.journal = journal
        if outcome is not None:
            self.act(journal, outcome, after)
        journal.close()
        self.of[run_id] = "tagged" if tagged else "untagged"

    def act(self, journal: Journal, outcome: str, after: dict[str, Any]) -> None:
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=[TAGGED.id])
        result = {"outcome": outcome, "error": None, "warnings": [], "tags_after": after, "request_id": None}
        journal.write("outcome", **PLACE, results={TAGGED.id: result})

    def tagged(self, run_id: str) -> bool:
        return self.of[run_id] == "tagged"

    def read(self, run_id: str) -> RunRecord:
        return read_run(self.folder / f"{run_id}.jsonl")

    def undone(self, run_id: str = RUN) -> set[str]:
        """The undos that count as having put the run's change back."""
        records = [self.read(each) for each in self.of if each != run_id]
        left = still_undone(self.read(run_id), undos_of(run_id, records))
        wanted = None if self.tagged(run_id) else "True"
        return {run for value, run in left.get(KEY, {}).get(SSM_TAG, []) if value == wanted}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    runs = Runs(tmp_path / "runs")
    runs.run(RUN)
    return runs


def test_no_undo(runs: Runs) -> None:
    runs.run(U1)
    assert runs.undone() == set()


@pytest.mark.parametrize("outcome", ["changed", "unchanged"])
def test_an_undo_that_put_it_back(runs: Runs, outcome: str) -> None:
    runs.run(U1, RUN, outcome=outcome)
    assert runs.undone() == {U1}


@pytest.mark.parametrize("outcome", ["failed", "unknown", "drifted", "skipped", "planned", None])
def test_an_undo_that_did_not_reach_it(runs: Runs, outcome: str | None) -> None:
    runs.run(U1, RUN, outcome=outcome)
    assert runs.undone() == set()


def test_an_undo_that_was_undone(runs: Runs) -> None:
    runs.run(U1, RUN)
    runs.run(U2, U1)
    assert runs.undone() == set()
    assert runs.undone(U1) == {U2}


def test_an_undo_whose_undoing_failed(runs: Runs) -> None:
    runs.run(U1, RUN)
    runs.run(U2, U1, outcome="failed")
    assert runs.undone() == {U1}


def test_an_undo_whose_undoing_was_undone(runs: Runs) -> None:
    runs.run(U1, RUN)
    runs.run(U2, U1)
    runs.run(U3, U2)
    assert runs.undone() == {U1}


def test_undone_undone_and_undone_again(runs: Runs) -> None:
    runs.run(U1, RUN)
    runs.run(U2, U1)
    runs.run(U3, RUN)
    assert runs.undone() == {U3}
    runs.run(U4, U3)
    assert runs.undone() == set()


def test_a_run_that_did_it_again_afterwards(runs: Runs) -> None:
    """It was undone while it was cut off, then resumed."""
    runs.run(U1, RUN)
    journal, _ = Journal.reopen(runs.folder / f"{RUN}.jsonl")
    journal.write("resume")
    runs.act(journal, "changed", {SSM_TAG: "True"})
    journal.close()
    assert runs.undone() == set()


def test_undos_of_other_runs_do_not_matter(runs: Runs) -> None:
    runs.run(U1)
    runs.run(U2, U1)
    assert runs.undone() == set()
    assert undos_of(RUN, [runs.read(each) for each in (U1, U2)]) == []


def test_a_circle_ends(runs: Runs) -> None:
    """Nobody writes such files but by hand."""
    runs.of[U2] = "tagged"
    runs.run(U1, U2)
    runs.run(U2, U1)
    both = [runs.read(U1), runs.read(U2)]
    assert {each.run_id for each in undos_of(U1, both)} == {U1, U2}
    assert set(still_undone(both[0], both)) <= {KEY}
