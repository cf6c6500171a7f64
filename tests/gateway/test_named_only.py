"""What nobody named is not selected, even where a server passes over the filter that asks for ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from cado_ops.aws.ec2 import Ec2
from cado_ops.aws.kms import Kms
from cado_ops.filters import Filter
from cado_ops.model import Cell, Instance, InstanceRef, Kind, ResourceRef, Volume
from cado_ops.observe.instances import select_instances
from cado_ops.observe.keys import select_keys
from cado_ops.scope import KeySelection, Selection

HERE = Cell("222222222222", "eu-west-1")
NAMED, OTHER = "i-0000000000000000a", "i-0000000000000000b"
KEY = "arn:aws:kms:eu-west-1:222222222222:key/1"


class Filterless:
    """EC2, if it did not filter at all."""

    def instances(self, cell: Cell, filters: Sequence[Filter]) -> Iterator[Instance]:
        for each in (NAMED, OTHER):
            yield Instance(cell.account, cell.region, each, "", "running", {}, 0, "linux")

    def volumes(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        yield Volume("vol-0000000000000000a", KEY, (NAMED,))
        yield Volume("vol-0000000000000000b", KEY, (OTHER,))

    def snapshots(self, cell: Cell, asked: Filter) -> Iterator[Volume]:
        yield Volume("snap-0000000000000000a", KEY)
        yield Volume("snap-0000000000000000b", KEY)


EC2 = cast(Ec2, Filterless())


@pytest.mark.parametrize("filters", [(), (Filter("tag:Team", ("web",)),)], ids=["by id", "by id and filter"])
def test_instances(filters: tuple[Filter, ...]):
    found = select_instances(EC2, HERE, Selection(refs=(InstanceRef(NAMED),), filters=filters))
    assert [each.instance_id for each in found.instances] == [NAMED]
    assert found.exists == {NAMED}


def test_an_instance_that_is_not_there_is_not_found_for_all_that():
    found = select_instances(EC2, HERE, Selection(refs=(InstanceRef("i-0000000000000000c"),)))
    assert (found.instances, found.exists) == ([], frozenset())


@pytest.mark.parametrize(
    ("kind", "name", "disk"),
    [
        (Kind.INSTANCE, NAMED, "vol-0000000000000000a"),
        (Kind.VOLUME, "vol-0000000000000000a", "vol-0000000000000000a"),
        (Kind.SNAPSHOT, "snap-0000000000000000a", "snap-0000000000000000a"),
    ],
)
def test_keys_behind(kind: Kind, name: str, disk: str):
    ref = ResourceRef(kind, name)
    found = select_keys(EC2, cast(Kms, cast(Any, None)), HERE, KeySelection((ref,)))
    assert [use.disk for use in found.uses] == [disk]
    assert found.exists == {ref}
