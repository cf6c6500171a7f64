"""The keys that a selection means, in one cell: named ones, and those that encrypt the disks of what is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cado_ops.aws.ec2 import FILTER_VALUES, Ec2
from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError
from cado_ops.errors import Kind as ErrorKind
from cado_ops.filters import Filter
from cado_ops.model import Cell, ErrorInfo, Failure, Key, Kind, LeftOut, ResourceRef, Volume
from cado_ops.observe.targets import unreadable
from cado_ops.scope import KeySelection


@dataclass(frozen=True)
class KeyUse:
    """One disk, or a key named by itself, and the key behind it: None where nothing is encrypted.

    ``disk`` is a volume's or snapshot's id; ``reason`` says why there is no key.
    """

    key_arn: str | None
    disk: str | None = None
    reason: str | None = None


@dataclass
class KeysFound:
    """What a cell has of a selection. ``keys`` were described on the way; ``exists`` are the names found."""

    uses: list[KeyUse] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    exists: set[ResourceRef] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)


# What is refused for one name says nothing of the others; what is no answer does.
_OF_ONE_NAME = (ErrorKind.DENIED, ErrorKind.INVALID, ErrorKind.OTHER)


def select_keys(ec2: Ec2, kms: Kms, cell: Cell, selection: KeySelection) -> KeysFound:
    """Looks up what is named in one cell; what may not be read is a failure of its own. Raises AwsError."""
    found = KeysFound()
    here = [ref for ref in selection.refs if ref.may_be_in(cell)]
    # The same thing may be named twice, by its id and by its ARN.
    by_kind: dict[Kind, dict[str, set[ResourceRef]]] = {kind: {} for kind in Kind}
    for ref in here:
        by_kind[ref.kind].setdefault(ref.id, set()).add(ref)
    for name, refs in by_kind[Kind.KEY].items():
        try:
            key = kms.key(cell, name)
        except AwsError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                _unread(found, cell, refs, error)
            continue
        found.keys[key.arn] = key
        found.exists |= refs
        found.uses.append(KeyUse(key.arn))
    wanted = by_kind[Kind.INSTANCE]
    try:
        _add_instances(found, ec2, cell, wanted)
    except AwsError as error:
        _unread(found, cell, {ref for refs in wanted.values() for ref in refs}, error)
    for kind, read, name in (
        (Kind.VOLUME, ec2.volumes, "volume-id"),
        (Kind.SNAPSHOT, ec2.snapshots, "snapshot-id"),
    ):
        wanted = by_kind[kind]
        try:
            for disk in _asked(read, cell, name, list(wanted)):
                found.exists |= wanted[disk.id]
                found.uses.append(_use_of(disk, kind))
        except AwsError as error:
            _unread(found, cell, {ref for refs in wanted.values() for ref in refs}, error)
    return found


def _unread(found: KeysFound, cell: Cell, refs: set[ResourceRef], error: AwsError) -> None:
    """Notes what could not be read, which is not the same as not found. Raises what is no answer about names."""
    if error.kind not in _OF_ONE_NAME:
        raise error
    found.exists |= refs
    info = ErrorInfo.of(error)
    found.failures += [
        Failure(cell.account, cell.region, "observe", info, each) for each in sorted({ref.id for ref in refs})
    ]


def _add_instances(found: KeysFound, ec2: Ec2, cell: Cell, wanted: dict[str, set[ResourceRef]]) -> None:
    there: list[str] = []
    ids = list(wanted)
    for start in range(0, len(ids), FILTER_VALUES):
        asked = Filter("instance-id", tuple(ids[start : start + FILTER_VALUES]))
        # Looked at once more here: not every server filters, and nobody named the others.
        there += [each.instance_id for each in ec2.instances(cell, [asked]) if each.instance_id in wanted]
    found.exists |= {ref for each in there for ref in wanted[each]}
    with_disks: set[str] = set()
    for volume in _asked(ec2.volumes, cell, "attachment.instance-id", there):
        with_disks.update(volume.instances)
        found.uses.append(_use_of(volume, Kind.VOLUME))
    bare = sorted(set(there) - with_disks)
    found.uses += [KeyUse(None, None, f"{each} has no EBS volume") for each in bare]


def _asked(
    read: Callable[[Cell, Filter], Iterator[Volume]], cell: Cell, name: str, values: Sequence[str]
) -> Iterator[Volume]:
    for start in range(0, len(values), FILTER_VALUES):
        asked = set(values[start : start + FILTER_VALUES])
        disks = read(cell, Filter(name, tuple(values[start : start + FILTER_VALUES])))
        yield from (disk for disk in disks if asked & {disk.id, *disk.instances})


def _use_of(disk: Volume, kind: Kind) -> KeyUse:
    reason = None if disk.key_arn else f"{kind} {disk.id} is not encrypted: no key, and no grant needed"
    return KeyUse(disk.key_arn, disk.id, reason)


def refs_not_found(
    selection: KeySelection,
    found: Iterable[tuple[Cell, KeysFound]],
    failures: Sequence[Failure],
    left_out: Sequence[LeftOut],
) -> list[Failure]:
    """A failure of stage ``select`` for each name that no target has, saying which targets could not be read."""
    exists: set[ResourceRef] = set()
    read: set[Cell] = set()
    for cell, reading in found:
        read.add(cell)
        exists |= reading.exists
    unread = [failure for failure in failures if failure.stage != "select"]
    missing: list[Failure] = []
    for ref in dict.fromkeys(selection.refs):
        if ref in exists:
            continue
        if ref.account and ref.region:
            named = Cell(ref.account, ref.region)
            excluded = any(left.account == ref.account and left.region in (None, ref.region) for left in left_out)
            if named not in read and not excluded:
                continue  # its cell failed, and that failure says it
            where = "left out of the scope" if named not in read else f"not in {ref.account}/{ref.region}"
            message = f"{ref.kind} {ref.id} is {where}"
        else:
            message = f"{ref.kind} {ref.id} is in none of the targets that were read ({len(read)})"
            if unread:
                message += f"; not read: {unreadable(unread)}"
        error = ErrorInfo("NotFound", message, "Look at the account and region: cado-ops targets")
        missing.append(Failure(ref.account, ref.region, "select", error, ref.id))
    return missing
