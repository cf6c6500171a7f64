"""Readers of the names a user types: account ids, regions, instances, roles, cases.

Each takes the text and ``where`` it stands (``--account``, ``accounts.csv:3``) and gives the value, or
raises `UsageError` with one line: where, what was found, what is expected. They check the shape only;
whether the thing exists is AWS's to say. ``[0-9A-Za-z_]`` is spelled out because ``\\w`` and ``\\d`` would
let other alphabets in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cado_ops.errors import UsageError
from cado_ops.model import InstanceRef, Kind, ResourceRef

MAX_TEXT = 16 * 1024 * 1024

ACCOUNT_ID = r"[0-9]{12}"
PARTITION = r"aws(?:-[a-z]+)*"
# IAM User Guide, "IAM and AWS STS quotas": role names; a path is any printable ASCII between slashes.
ROLE_NAME = r"[0-9A-Za-z_+=,.@-]{1,64}"
ROLE_PATH = r"/(?:[!-~]{1,510}/)?"
CASE = r"[A-Za-z0-9_-]{1,40}"

_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}")
_ZONE = re.compile(rf"({_REGION.pattern})[a-z]")
# EC2 User Guide, "Amazon EC2 resource IDs": 8 hexadecimal digits before 2016, 17 since.
_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_EC2_ID = re.compile(r"([a-z]{2,12})-[0-9a-f]{8,17}")
_INSTANCE_ARN = re.compile(
    rf"arn:(?P<partition>{PARTITION}):ec2:(?P<region>{_REGION.pattern}):(?P<account>{ACCOUNT_ID}):instance/(?P<id>{_INSTANCE_ID.pattern})"
)
_ROLE_ARN = re.compile(
    rf"arn:(?P<partition>{PARTITION}):iam::(?P<account>{ACCOUNT_ID}):role(?P<path>{ROLE_PATH})(?P<name>{ROLE_NAME})"
)
_ASSUMED_ROLE_ARN = re.compile(rf"arn:({PARTITION}):sts::({ACCOUNT_ID}):assumed-role/({ROLE_NAME})(?:/[!-~]*)?")
# Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2": a snapshot's ARN may
# name no account.
_DISK_ID = {Kind.VOLUME: r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})", Kind.SNAPSHOT: r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})"}
# "Key identifiers (KeyId)", KMS Developer Guide: multi-region keys begin with mrk-.
_KEY_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f-]{32,36}"
_ALIAS = r"alias/[A-Za-z0-9/_-]{1,250}"
_KEY_ARN = re.compile(
    rf"arn:(?P<partition>{PARTITION}):kms:(?P<region>{_REGION.pattern}):(?P<account>{ACCOUNT_ID}):(?:key/(?P<key>{_KEY_ID})|(?P<alias>{_ALIAS}))"
)
_GRANT_ID = r"[0-9a-f]{8,64}"
# Organizations API Reference, "OrganizationalUnit" and "Root".
_OU_ID = re.compile(r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}")

_KINDS_OF_EC2_ID = {
    "vol": "a volume",
    "snap": "a snapshot",
    "ami": "an image",
    "eni": "a network interface",
    "sg": "a security group",
    "subnet": "a subnet",
    "vpc": "a VPC",
    "lt": "a launch template",
    "r": "a reservation",
}
_HYBRID_HINT = "Managed instances (mi-…) are hybrid nodes of Systems Manager: they have no EC2 tags."


@dataclass(frozen=True, slots=True)
class RoleArn:
    """A role of one account, taken apart: ``path`` begins and ends with a slash, as IAM gives it."""

    arn: str
    partition: str
    account: str
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class RoleName:
    """A role of no particular account: ``ir/CadoOps`` is path ``/ir/`` and name ``CadoOps``."""

    path: str
    name: str


def shown(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message: shortened, quoted, control characters escaped."""
    if not isinstance(value, str):
        try:
            value = repr(value)
        except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists
            return f"{type(value).__name__} that is too long to be shown"
        return value if len(value) <= limit else value[: limit - 1] + "…"
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def plain(text: str) -> str:
    """A path or a name as it may stand in a message: as it is, unless a terminal could be misled by it."""
    return text if text.isprintable() else repr(text)


def bounded(text: str, where: str) -> str:
    """The text itself, without a byte order mark, unless it is far bigger than any file of its kind."""
    if len(text) > MAX_TEXT:
        raise UsageError(f"{where}: longer than {MAX_TEXT // 1024**2} MiB, which no such file should be")
    return text.removeprefix("\ufeff")


def split_commas(values: Iterable[str], where: str = "list") -> list[str]:
    """``["a,b", "c"]`` to ``["a", "b", "c"]``: the one comma parser, for repeated flags and the environment.

    Blanks around a piece go; an empty piece is an error, because ``--account "$A,$B"`` with an unset
    variable must not quietly mean less than it says.
    """
    pieces = [piece.strip() for value in values for piece in value.split(",")]
    if "" in pieces:
        raise UsageError(f"{where}: an empty piece in a comma list", "Leave out the comma, or fill in the value.")
    return pieces


def parse_account_id(text: str, where: str) -> str:
    """An account id, 12 digits."""
    if re.fullmatch(ACCOUNT_ID, text):
        return text
    digits = text.replace("-", "")
    hint = None
    if re.fullmatch(ACCOUNT_ID, digits):
        hint = f"Without dashes: {digits}"
    elif re.fullmatch("[0-9]{9,11}", text):
        hint = "A spreadsheet may have dropped leading zeros."
    raise UsageError(f"{where}: {shown(text)} is no account id (12 digits)", hint)


def parse_region(text: str, where: str) -> str:
    """A region's name: ``eu-west-1``, ``us-gov-west-1``, ``eusc-de-east-1``. No list of them."""
    if _REGION.fullmatch(text):
        return text
    hint = None
    if zone := _ZONE.fullmatch(text):
        hint = f"That is an availability zone; its region is {zone[1]}."
    elif _REGION.fullmatch(text.strip().lower()):
        hint = f"Write it as {text.strip().lower()}."
    raise UsageError(f"{where}: {shown(text)} is no region (such as eu-west-1)", hint)


def parse_instance(text: str, where: str) -> InstanceRef:
    """An instance id, or an instance's ARN of any partition, which names account and region as well.

    Shape of the ARN: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
    EC2".
    """
    if _INSTANCE_ID.fullmatch(text):
        return InstanceRef(text)
    if arn := _INSTANCE_ARN.fullmatch(text):
        return InstanceRef(arn["id"], arn["account"], arn["region"], arn["partition"])
    raise UsageError(
        f"{where}: {shown(text, 100)} is no EC2 instance "
        "(i- with 8 or 17 hexadecimal digits, or an instance's ARN)",
        _instance_hint(text),
    )


def _instance_hint(text: str) -> str | None:
    if text.startswith("mi-") or ":managed-instance/" in text:
        return _HYBRID_HINT
    if text.startswith("arn:"):
        return "Expected: arn:PARTITION:ec2:REGION:ACCOUNT:instance/i-…"
    if text.startswith("i-"):
        lower = text.strip().lower()
        return f"Write it as {lower}." if _INSTANCE_ID.fullmatch(lower) else None
    if (other := _EC2_ID.fullmatch(text)) and other[1] in _KINDS_OF_EC2_ID:
        return f"That is the id of {_KINDS_OF_EC2_ID[other[1]]}."
    if re.fullmatch(r"[0-9A-Za-z._-]{1,60}", text):
        return f"To select by name: --filter tag:Name={text}"
    return None


def parse_disk(text: str, kind: Kind, where: str) -> ResourceRef:
    """A volume's or snapshot's id or ARN."""
    pattern = _DISK_ID[kind]
    if re.fullmatch(pattern, text):
        return ResourceRef(kind, text)
    arn = re.fullmatch(rf"arn:({PARTITION}):ec2:({_REGION.pattern}):({ACCOUNT_ID}|):{kind}/({pattern})", text)
    if arn:
        return ResourceRef(kind, arn[4], arn[3] or None, arn[2], arn[1])
    raise UsageError(f"{where}: {shown(text, 100)} is no {kind} (an id or an ARN)", _disk_hint(text, kind))


def _disk_hint(text: str, kind: Kind) -> str | None:
    for other, pattern in {Kind.INSTANCE: _INSTANCE_ID.pattern, **_DISK_ID}.items():
        if other is not kind and re.fullmatch(pattern, text):
            return f"Use --{other}-id for that."
    return None


def parse_key(text: str, where: str) -> ResourceRef:
    """A KMS key: its id or ARN, an alias (``alias/NAME``) or an alias's ARN."""
    if re.fullmatch(f"{_KEY_ID}|{_ALIAS}", text):
        return ResourceRef(Kind.KEY, text)
    if arn := _KEY_ARN.fullmatch(text):
        return ResourceRef(Kind.KEY, arn["key"] or arn["alias"], arn["account"], arn["region"], arn["partition"])
    hint = None
    if re.fullmatch("[A-Za-z0-9/_-]{1,250}", text):
        hint = f"For an alias: alias/{text}"
    raise UsageError(f"{where}: {shown(text, 100)} is no KMS key (an id, an ARN, or alias/NAME)", hint)


def parse_grant_id(text: str, where: str) -> str:
    """A grant's id (KMS API Reference, "GrantListEntry"), or its beginning, with the mark that tables cut it by."""
    return _matching(
        _GRANT_ID, text.removesuffix("…"), where, "grant id (64 hexadecimal digits, or the first 8 or more)"
    )


def parse_principal(text: str, where: str) -> str:
    """The ARN of an IAM role or user, of an account that it names; an STS session's is refused."""
    if re.fullmatch(rf"arn:{PARTITION}:iam::{ACCOUNT_ID}:user/[!-~]{{1,512}}", text):
        return text
    if ":" not in text and _parse_role_name(text):
        raise UsageError(f"{where} takes an ARN (arn:aws:iam::ACCOUNT:role/NAME), and {shown(text)} is a name")
    return parse_role_arn(text, where).arn


def parse_role_arn(text: str, where: str, name_option: str = "--role-name") -> RoleArn:
    """An IAM role's ARN, path included. ``name_option`` is where a mere name would go.

    Source: IAM User Guide, "IAM identifiers". An STS session's ARN is refused, because it pins one session
    and drops the role's path, so that the role cannot be told from it.
    """
    if match := _ROLE_ARN.fullmatch(text):
        return RoleArn(text, match["partition"], match["account"], match["path"], match["name"])
    if session := _ASSUMED_ROLE_ARN.fullmatch(text):
        raise UsageError(
            f"{where}: {shown(text, 100)} is the ARN of a session, and a role's ARN is expected",
            f"The role's own: arn:{session[1]}:iam::{session[2]}:role/{session[3]} (and its path, if any)",
        )
    if ":" not in text and _parse_role_name(text):
        raise UsageError(
            f"{where} takes an ARN (arn:aws:iam::ACCOUNT:role/NAME), and {shown(text)} is a name",
            f"For a name use {name_option}.",
        )
    raise UsageError(f"{where}: {shown(text, 100)} is no role's ARN (arn:PARTITION:iam::ACCOUNT:role/NAME)")


def parse_role_name(text: str, where: str, arn_option: str = "--role-arn") -> RoleName:
    """A role's name, with its path where it has one: ``CadoOps``, ``ir/CadoOps``, ``/ir/CadoOps``."""
    if role := _parse_role_name(text):
        return role
    if text.startswith("arn:"):
        raise UsageError(f"{where} takes a name, and {shown(text, 100)} is an ARN", f"For an ARN use {arn_option}.")
    raise UsageError(
        f"{where}: {shown(text)} is no role's name "
        "(1 to 64 of letters, digits and _+=,.@-, a path before it allowed)"
    )


def _parse_role_name(text: str) -> RoleName | None:
    path, _, name = ("/" + text.removeprefix("/")).rpartition("/")
    if re.fullmatch(ROLE_NAME, name) and re.fullmatch(ROLE_PATH, path + "/") and not text.startswith("arn:"):
        return RoleName(path + "/", name)
    return None


def parse_external_id(text: str, where: str) -> str:
    """STS API Reference, "AssumeRole", ExternalId."""
    return _matching(
        r"[0-9A-Za-z_+=,.@:/-]{2,1224}",
        text,
        where,
        "external id (2 to 1224 of letters, digits and _+=,.@:/-)",
    )


def parse_session_name(text: str, where: str) -> str:
    """STS API Reference, "AssumeRole", RoleSessionName."""
    return _matching(
        r"[0-9A-Za-z_+=,.@-]{2,64}", text, where, "session name (2 to 64 of letters, digits and _+=,.@-)"
    )


def parse_source_identity(text: str, where: str) -> str:
    """STS API Reference, "AssumeRole", SourceIdentity."""
    return _matching(
        r"[0-9A-Za-z_+=,.@-]{2,64}", text, where, "source identity (2 to 64 of letters, digits and _+=,.@-)"
    )


def parse_case(text: str, where: str) -> str:
    """A case's label. It goes into tag keys and grant names, hence the few characters."""
    return _matching(CASE, text, where, "case (1 to 40 of letters, digits, _ and -)")


def parse_ou_id(text: str, where: str) -> str:
    """An organisational unit, or the root, which is every account."""
    return _matching(_OU_ID.pattern, text, where, "organisational unit (ou-xxxx-xxxxxxxx, or a root r-xxxx)")


def _matching(pattern: str, text: str, where: str, what: str) -> str:
    if re.fullmatch(pattern, text):
        return text
    raise UsageError(f"{where}: {shown(text)} is no {what}")
