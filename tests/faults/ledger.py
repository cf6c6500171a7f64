"""What AWS did, and said so, as far as it is still in force: to ask for that again would be to do it twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.faults.proxy import Seen


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done to one subject: an instance, or a grant by its key and its name or id."""

    account: str
    region: str
    action: str
    subject: tuple[str, ...]
    tags: frozenset[tuple[str, str]] = frozenset()


class Ledger:
    """Deeds in the order in which they were done."""

    def __init__(self, writes: Iterable[Seen] = ()) -> None:
        # What each made, where that is a grant.
        self._done: dict[Deed, str | None] = {}
        for write in writes:
            self.add(write)

    def __contains__(self, deed: Deed) -> bool:
        return deed in self._done

    def add(self, write: Seen) -> None:
        """Takes in what a request did. What it turned round may be done again."""
        if not write.effect:
            return
        deeds = list(deeds_of(write))
        for old, made in list(self._done.items()):
            if any(_turns_round(deed, old, made) for deed in deeds):
                del self._done[old]
        if write.told:
            self._done |= dict.fromkeys(deeds, write.made)


def deeds_of(write: Seen) -> Iterator[Deed]:
    """What a request asks for, subject by subject."""
    subjects = [(each,) for each in write.subjects] if write.action.endswith("Tags") else [write.subjects]
    for subject in subjects:
        yield Deed(write.account, write.region, write.action, subject, write.tags)


def _turns_round(deed: Deed, old: Deed, made: str | None) -> bool:
    """Whether ``old``, which made the grant ``made``, is no longer in force after ``deed``."""
    if (deed.account, deed.region) != (old.account, old.region):
        return False
    if deed.action in ("RetireGrant", "RevokeGrant"):
        return made is not None and deed.subject == (old.subject[0], made)
    if deed.subject != old.subject or not deed.action.endswith("Tags"):
        return False
    new, there = dict(deed.tags), dict(old.tags)
    both = new.keys() & there.keys()
    if deed.action != old.action:
        return bool(both)
    return deed.action == "CreateTags" and any(new[key] != there[key] for key in both)
