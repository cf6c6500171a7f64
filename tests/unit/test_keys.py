"""From what a responder has (keys, instances, volumes, snapshots) to keys, in one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cado_ops.errors import AwsError
from cado_ops.errors import Kind as ErrorKind
from cado_ops.filters import Filter
from cado_ops.model import Cell, ErrorInfo, Failure, Instance, Key, Kind, LeftOut, ResourceRef, Volume
from cado_ops.observe.grants import GrantPage, walk
from cado_ops.observe.keys import KeysFound, KeyUse, refs_not_found, select_keys
from cado_ops.scope import KeySelection
from tests.unit.grant_samples import ACCOUNT, CELL, KEY_ARN, OTHER_ACCOUNT, OTHER_KEY, a_grant, a_key, grant_id

REGION = CELL.region
HERE = (ACCOUNT, REGION)
NOT_FOUND = AwsError("NotFoundException", "no such key", kind=ErrorKind.NOT_FOUND)
DENIED = AwsError("AccessDeniedException", "no", kind=ErrorKind.DENIED)


class Aws:
    """EC2 and KMS of one cell."""

    def __init__(self) -> None:
        self.keys: dict[str, Key | AwsError] = {}
        self.disks: dict[str, Volume] = {}
        self.there: list[str] = []
        self.asked: list[tuple[str, str, int]] = []

    def key(self, cell: Cell, name: str) -> Key:
        found = self.keys.get(name, NOT_FOUND)
        if isinstance(found, AwsError):
            raise found
        return found

    def instances(self, cell: Cell, filters: Sequence[Filter]) -> Iterator[Instance]:
        [asked] = filters
        self.asked.append(("instances", asked.name, len(asked.values)))
        return (Instance(*HERE, each, "", "running", {}, 0) for each in self.there if each in asked.values)

    def volumes(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        self.asked.append(("volumes", asked.name, len(asked.values)))
        if asked.name == "volume-id":
            return (disk for disk in self.disks.values() if disk.id in asked.values)
        assert asked.name == "attachment.instance-id"
        return (disk for disk in self.disks.values() if set(disk.instances) & set(asked.values))

    def snapshots(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        self.asked.append(("snapshots", asked.name, len(asked.values)))
        return (disk for disk in self.disks.values() if disk.id in asked.values)


def select(there: Aws, *refs: ResourceRef) -> KeysFound:
    return select_keys(there, there, CELL, KeySelection(refs))  # type: ignore[arg-type]


def instance(each: str, *where: str) -> ResourceRef:
    return ResourceRef(Kind.INSTANCE, each, *where)


class TestSelecting:
    def test_keys_by_whatever_name(self) -> None:
        there = Aws()
        there.keys = {"1234": a_key(), "alias/prod": a_key(arn=OTHER_KEY)}
        refs = [ResourceRef(Kind.KEY, name) for name in ("1234", "alias/prod", "alias/none")]
        found = select(there, *refs)
        assert found.uses == [KeyUse(KEY_ARN), KeyUse(OTHER_KEY)]
        assert found.keys == {KEY_ARN: a_key(), OTHER_KEY: a_key(arn=OTHER_KEY)}
        assert found.exists == set(refs[:2])

    def test_a_key_that_may_not_be_looked_at_fails_and_is_not_taken_for_missing(self) -> None:
        there = Aws()
        there.keys = {"1234": DENIED}
        found = select(there, ResourceRef(Kind.KEY, "1234"))
        assert [(failure.stage, failure.id) for failure in found.failures] == [("observe", "1234")]
        assert found.uses == []
        there.keys = {"1234": AwsError("ThrottlingException", "x", kind=ErrorKind.THROTTLED)}
        with pytest.raises(AwsError):
            select(there, ResourceRef(Kind.KEY, "1234"))

    def test_an_instance_to_its_volumes_to_their_keys(self) -> None:
        there = Aws()
        there.there = ["i-1", "i-2"]
        there.disks = {
            "vol-1": Volume("vol-1", KEY_ARN, ("i-1",)),
            "vol-2": Volume("vol-2", KEY_ARN, ("i-1", "i-2")),
            "vol-3": Volume("vol-3", None, ("i-2",)),
            "vol-4": Volume("vol-4", OTHER_KEY, ("i-9",)),
        }
        found = select(there, instance("i-1"), instance("i-2"), instance("i-3"))
        assert found.uses == [
            KeyUse(KEY_ARN, "vol-1"),
            KeyUse(KEY_ARN, "vol-2"),
            KeyUse(None, "vol-3", "volume vol-3 is not encrypted: no key, and no grant needed"),
        ]
        assert found.exists == {instance("i-1"), instance("i-2")}

    def test_an_instance_without_volumes_is_said(self) -> None:
        there = Aws()
        there.there = ["i-1"]
        assert select(there, instance("i-1")).uses == [KeyUse(None, None, "i-1 has no EBS volume")]

    def test_volumes_and_snapshots(self) -> None:
        there = Aws()
        there.disks = {"vol-1": Volume("vol-1", KEY_ARN), "snap-1": Volume("snap-1", None)}
        refs = [ResourceRef(Kind.VOLUME, "vol-1"), ResourceRef(Kind.SNAPSHOT, "snap-1")]
        found = select(there, *refs, ResourceRef(Kind.VOLUME, "vol-9"))
        assert [(use.key_arn, use.disk) for use in found.uses] == [(KEY_ARN, "vol-1"), (None, "snap-1")]
        assert "is not encrypted" in (found.uses[1].reason or "")
        assert found.exists == set(refs)

    def test_what_is_named_elsewhere_is_not_asked_for_here(self) -> None:
        there = Aws()
        there.there, there.keys = ["i-1"], {"1234": a_key()}
        found = select(
            there, instance("i-1", OTHER_ACCOUNT, REGION), ResourceRef(Kind.KEY, "1234", ACCOUNT, "us-east-1")
        )
        assert (found.uses, found.exists, there.asked) == ([], set(), [])

    @pytest.mark.parametrize(
        ("kind", "name"),
        [(Kind.KEY, "1234"), (Kind.INSTANCE, "i-1"), (Kind.VOLUME, "vol-1"), (Kind.SNAPSHOT, "snap-1")],
    )
    def test_what_is_named_by_id_and_by_arn_is_found_as_both(self, kind: Kind, name: str) -> None:
        """One of the two was reported as found nowhere."""
        there = Aws()
        there.keys, there.there = {"1234": a_key()}, ["i-1"]
        there.disks = {
            each: Volume(each, KEY_ARN, ("i-1",) if each == "vol-1" else ()) for each in ("vol-1", "snap-1")
        }
        both = (ResourceRef(kind, name), ResourceRef(kind, name, *HERE))
        found = select(there, *both)
        assert found.exists == set(both)
        assert len(found.uses) == 1
        assert refs_not_found(KeySelection(both), [(CELL, found)], [], []) == []

    def test_at_most_200_values_a_request(self) -> None:
        there = Aws()
        there.there = [f"i-{number}" for number in range(401)]
        select(
            there,
            *map(instance, there.there),
            *(ResourceRef(Kind.VOLUME, f"vol-{number}") for number in range(201)),
            *(ResourceRef(Kind.SNAPSHOT, f"snap-{number}") for number in range(200)),
        )
        assert there.asked == [
            *[("instances", "instance-id", number) for number in (200, 200, 1)],
            *[("volumes", "attachment.instance-id", number) for number in (200, 200, 1)],
            *[("volumes", "volume-id", number) for number in (200, 1)],
            ("snapshots", "snapshot-id", 200),
        ]


FAILED = Failure(OTHER_ACCOUNT, REGION, "observe", ErrorInfo("AccessDenied", "no"))


class TestNotFound:
    def missing(
        self, ref: ResourceRef, *, failures: Sequence[Failure] = (), left: Sequence[LeftOut] = ()
    ) -> list[Failure]:
        return refs_not_found(KeySelection((ref, ref)), [(CELL, KeysFound())], failures, left)

    def test_a_bare_name_says_which_targets_could_not_be_read(self) -> None:
        [lost] = self.missing(instance("i-1"), failures=[FAILED])
        assert (lost.stage, lost.id, lost.account) == ("select", "i-1", None)
        assert "instance i-1 is in none of the targets that were read (1)" in lost.error.message
        assert OTHER_ACCOUNT in lost.error.message

    def test_a_named_place(self) -> None:
        [lost] = self.missing(instance("i-1", *HERE))
        assert (lost.account, lost.region) == HERE
        assert f"not in {ACCOUNT}/{REGION}" in lost.error.message

    def test_a_named_place_that_failed_says_it_itself(self) -> None:
        assert self.missing(instance("i-1", OTHER_ACCOUNT, REGION), failures=[FAILED]) == []

    @pytest.mark.parametrize("region", [None, REGION])
    def test_a_named_place_that_was_left_out(self, region: str | None) -> None:
        [lost] = self.missing(
            instance("i-1", OTHER_ACCOUNT, REGION), left=[LeftOut(OTHER_ACCOUNT, region, "excluded")]
        )
        assert "left out of the scope" in lost.error.message

    def test_what_was_found_is_not_missing(self) -> None:
        ref = instance("i-1")
        assert refs_not_found(KeySelection((ref,)), [(CELL, KeysFound(exists={ref}))], [], []) == []


class TestWalk:
    """All grants of many keys, as they come."""

    def walked(self, reads: dict[str, Callable[[], Iterator[Any]]], width: int = 4) -> list[GrantPage]:
        return list(walk(((CELL, arn) for arn in reads), lambda cell, arn: reads[arn or ""](), width))

    def test_every_page_comes_once_and_the_last_one_knows_how_many_there_were(self) -> None:
        pages = self.walked(
            {
                "a": lambda: iter([[a_grant(1), a_grant(2)], [], [a_grant(3)]]),
                "b": lambda: iter([[a_grant(4)]]),
                "c": lambda: iter([]),
            }
        )
        for arn, count in (("a", 3), ("b", 1), ("c", 0)):
            own = [page for page in pages if page.key_arn == arn]
            assert [page.last for page in own] == [*[False] * (len(own) - 1), True]
            assert sum(len(page.grants) for page in own) == own[-1].total == count
            assert own[-1].error is None
            assert own[-1].grants == []

    def test_a_key_that_fails_half_way_is_said_and_the_others_go_on(self) -> None:
        def half() -> Iterator[Any]:
            yield [a_grant(1)]
            raise DENIED

        pages = self.walked({"a": half, "b": lambda: iter([[a_grant(2)]])})
        assert [(page.total, page.last) for page in pages if page.error] == [(1, True)]
        assert {each.grant_id for page in pages for each in page.grants} == {grant_id(1), grant_id(2)}
        assert [page.key_arn for page in pages if page.last and page.error is None] == ["b"]

    def test_a_fault_of_our_own_is_a_failure_of_that_key(self) -> None:
        def broken() -> Iterator[Any]:
            raise RuntimeError("oops")
            yield

        [page] = self.walked({"a": broken})
        assert page.error is not None
        assert page.error.code == "InternalError"

    def test_a_listing_that_is_begun_is_read_to_its_end_before_another_begins(self) -> None:
        """However many keys there are, no more pages are held than calls are in flight."""
        order: list[str] = []

        def read(name: str) -> Callable[[], Iterator[Any]]:
            def pages() -> Iterator[Any]:
                for number in range(3):
                    order.append(f"{name}{number}")
                    yield [a_grant(number)]

            return pages

        self.walked({name: read(name) for name in "abc"}, width=1)
        assert order == [f"{name}{number}" for name in "abc" for number in range(3)]
