"""What earlier undos of a run have put back, as far as the journals of the same folder tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cado_ops.journal import RunRecord, place_of
from cado_ops.model import Outcome
from cado_ops.plan.change import Action, TagChange
from cado_ops.plan.grant_again import AGAIN
from cado_ops.plan.grant_change import GrantChange
from cado_ops.plan.records import Key, change_from, key_of


def undos_of(run_id: str, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The undos of a run, and of these, and so on."""
    found = [record for record in records if record.header.get("undoes") == run_id]
    rest = [record for record in records if record not in found]
    return found + [each for undo in found for each in undos_of(undo.run_id, rest)]


def still_undone(run: RunRecord, undos: Sequence[RunRecord]) -> dict[Key, Any]:
    """What undos of ``run`` left of each of its changes, as the planner of their kind takes it."""
    return {**_tags_undone(run, undos), **_grants_undone(run, undos)}


def _grants_undone(run: RunRecord, undos: Sequence[RunRecord]) -> dict[Key, str]:
    """The grants that undos of ``run`` took back, each with the undo's run id.

    What an undo of the undo has put back since is not among it, nor what ``run`` did again afterwards, resumed.
    """
    found: dict[Key, str] = {}
    made = {
        (key[0], key[1], result["grant_id"]): key for key, result in run.results.items() if result.get("grant_id")
    }
    # Whether those were made stayed open: an undo found them by their names.
    unnamed = {
        (line["account"], line["region"], line["key_arn"], line["name"]): key_of(change_from(line))
        for line in run.plan
        if line.get("action") == Action.CREATE and not run.results.get(place_of(line), {}).get("grant_id")
    }
    for undo in undos:
        if undo.header.get("undoes") != run.run_id:
            continue
        redone = _grants_undone(undo, [each for each in undos if each is not undo])
        for line in undo.plan:
            change = change_from(line)
            if not isinstance(change, GrantChange):
                continue
            key = key_of(change)
            result = undo.results.get(key)
            if key in redone or result is None or result["outcome"] != Outcome.CHANGED:
                continue
            if change.action is Action.CREATE:
                original: Key | None = (*key[:2], change.id.removesuffix(AGAIN))
            else:
                original = made.get((*key[:2], change.grant_id or "")) or unnamed.get(
                    (change.account, change.region, change.key_arn, change.name)
                )
            if original is not None and undo.begun_at.get(key, "") >= run.begun_at.get(original, ""):
                found[original] = undo.run_id
    return found


def _tags_undone(run: RunRecord, undos: Sequence[RunRecord]) -> dict[Key, dict[str, list[tuple[str | None, str]]]]:
    """What undos of ``run`` left of each of its changes: by tag, its value and the undo's run id.

    What an undo of the undo has put back since is not among it, nor what ``run`` did again afterwards, resumed.
    """
    found: dict[Key, dict[str, list[tuple[str | None, str]]]] = {}
    for undo in undos:
        if undo.header.get("undoes") != run.run_id:
            continue
        redone = _tags_undone(undo, [each for each in undos if each is not undo])
        for line in undo.plan:
            change = change_from(line)
            if not isinstance(change, TagChange):
                continue
            key = key_of(change)
            result = undo.results.get(key)
            outcome = change.outcome if result is None else Outcome(result["outcome"])
            change = change if result is None else change.with_result(result)
            acted_at = undo.begun_at.get(key, str(undo.header.get("at", "")))
            if outcome not in (Outcome.CHANGED, Outcome.UNCHANGED) or acted_at < run.begun_at.get(key, ""):
                continue
            for tag, value in change.after.items():
                back = [left for left, _ in redone.get(key, {}).get(tag, ())]
                if not (value != change.before.get(tag) and change.before.get(tag) in back):
                    found.setdefault(key, {}).setdefault(tag, []).append((value, undo.run_id))
    return found
