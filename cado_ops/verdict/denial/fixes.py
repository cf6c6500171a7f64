"""The commands that mend, built of nothing but what has the exact form of AWS's ids and ARNs.

A pasted text may come from anybody, an attacker's log included: what it names is quoted, and access goes to nobody
because of it. A grant is for the Cado role; one of another account has to pass the guard of kms grant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cado_ops import shell
from cado_ops.arns import ACCOUNT_ID, PARTITION, parse_disk, parse_instance, parse_key, parse_region
from cado_ops.errors import UsageError
from cado_ops.model import InstanceRef, Kind, ResourceRef
from cado_ops.verdict.commands import command

_ARN = re.compile(
    rf"arn:({PARTITION}):([a-z0-9-]{{1,40}}):([a-z0-9-]{{0,30}}):({ACCOUNT_ID}|aws|):(.{{1,1100}})", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN taken apart; region and account are None where it has none."""

    partition: str
    service: str
    region: str | None
    account: str | None
    rest: str


def arn(text: str | None) -> Arn | None:
    match = _ARN.fullmatch(text or "")
    if match is None:
        return None
    account = match[4] if match[4] not in ("", "aws") else None
    return Arn(match[1], match[2], match[3] or None, account, match[5])


def instance(text: str | None) -> InstanceRef | None:
    """An EC2 instance by id or ARN; None for anything else, a shortened id (i-xxx) included."""
    try:
        return parse_instance(text or "", "")
    except UsageError:
        return None


def key(text: str | None) -> ResourceRef | None:
    """A KMS key by its ARN or an alias's; an id alone does not tell where it is, and is taken all the same."""
    try:
        return parse_key(text or "", "")
    except UsageError:
        return None


def disk(text: str | None) -> ResourceRef | None:
    """What leads to a key: an instance, a volume or a snapshot, by id or ARN."""
    if found := instance(text):
        return ResourceRef(Kind.INSTANCE, found.instance_id, found.account, found.region)
    for kind in (Kind.VOLUME, Kind.SNAPSHOT):
        try:
            return parse_disk(text or "", kind, "")
        except UsageError:
            continue
    return None


def region(text: str | None) -> str | None:
    try:
        return parse_region(text or "", "")
    except UsageError:
        return None


def tag_command(found: InstanceRef, account: str | None, in_region: str | None, case: str | None) -> str:
    """``cado-ops tag-instances`` for one instance, where it is."""
    return command(
        "tag-instances",
        found.instance_id,
        account=found.account or account,
        region=found.region or region(in_region),
        case=case,
    )


def check_command(names: str | None, account: str | None, in_region: str | None, case: str | None) -> str | None:
    """``cado-ops check`` for the instances that a text names; None where any of them is no instance."""
    found = [instance(each.strip()) for each in (names or "").split(",")]
    whole = [each for each in found if each is not None]
    if len(whole) < len(found):
        return None
    first = whole[0]
    return command(
        "check",
        *(each.instance_id for each in whole),
        account=first.account or account,
        region=first.region or region(in_region),
        case=case,
    )


def grant_command(
    found: ResourceRef, name: str, in_region: str | None, account: str | None, case: str | None
) -> str:
    """``cado-ops kms grant`` for one key, or for the keys of one disk or instance."""
    return command(
        "kms",
        "grant",
        f"--{found.kind}" if found.kind is Kind.KEY else f"--{found.kind}-id",
        name,
        account=found.account or account,
        region=found.region or region(in_region),
        case=case,
    )


def decode_command(message: str, in_region: str | None) -> str:
    where = ("--region", in_region) if region(in_region) else ()
    words = ("aws", "sts", "decode-authorization-message", *where, "--query", "DecodedMessage", "--output", "text")
    # With =, because a message may begin with a dash.
    return shell.join((*words, f"--encoded-message={message}"))
