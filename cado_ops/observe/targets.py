"""From scope options to targets: accounts first, then, account by account, their regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cado_ops.aws.connection import Connection
from cado_ops.aws.ec2 import Ec2
from cado_ops.aws.organizations import MemberAccount, Organizations
from cado_ops.errors import AwsError, Kind, UsageError
from cado_ops.model import Account, Caller, Cell, ErrorInfo, Failure, LeftOut
from cado_ops.scope import Scope

# Regions that no account has to enable, in each partition: some of them, the busiest first.
ALWAYS_ENABLED = {
    "aws": ("us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "ap-southeast-1", "ap-northeast-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
}
POLICY_DENIES = "an organisation policy denies it"
# As many as the prompt shows.
NAMES_ASKED = 10


@dataclass
class Accounts:
    """The accounts that a scope means. ``named`` were asked for one by one, the rest came from the organisation."""

    in_scope: dict[str, Account] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def failure(error: AwsError, stage: str, account: str | None, region: str | None = None) -> Failure:
    """An AwsError as a line of the report."""
    return Failure(account, region, stage, ErrorInfo.of(error))


def resolve_accounts(
    scope: Scope,
    caller: Caller,
    connection: Connection,
    cells: Iterable[Cell] = (),
    *,
    whole_scope: bool = True,
) -> Accounts:
    """The accounts in scope, and those of ``cells`` (named by instance ARNs). Raises UsageError.

    With ``whole_scope`` False only those of ``cells``.

    Only accounts that Organizations calls ACTIVE can be assumed into: the others are left out, and said.
    """
    found = Accounts()
    if whole_scope:
        for account in scope.accounts:
            found.in_scope.setdefault(account.account_id, account)
        if scope.default:
            found.in_scope[caller.account] = Account(caller.account)
        if scope.org or scope.ous:
            _add_members(found, scope, caller, connection)
    for cell in cells:
        found.in_scope.setdefault(cell.account, Account(cell.account))
    for account_id in sorted(scope.exclude_accounts & found.in_scope.keys()):
        name = found.in_scope.pop(account_id).name
        found.left_out.append(LeftOut(account_id, None, "--exclude-account", name))
    _check_roles(found, scope, caller, connection)
    return found


def _add_members(found: Accounts, scope: Scope, caller: Caller, connection: Connection) -> None:
    identity = scope.org_role_arn or caller.account
    organizations = Organizations(connection, identity)
    listings: dict[str | None, Iterator[MemberAccount]] = {None: organizations.accounts()} if scope.org else {}
    listings |= {unit: organizations.accounts_under(unit) for unit in scope.ous}
    for unit, listing in listings.items():
        try:
            for member in listing:
                _add_member(found, member)
        except AwsError as error:
            hint = error.hint
            if error.kind is Kind.DENIED or error.code == "AWSOrganizationsNotInUseException":
                hint = (
                    "Only the management account and delegated administrators may list accounts: "
                    "name a role there with --org-role-arn, or the accounts with --account."
                )
            info = ErrorInfo(error.code, error.message, hint)
            found.failures.append(Failure(identity_account(identity), None, "organizations", info, unit))


def account_names(
    known: Mapping[str, str | None], scope: Scope, caller: Caller, connection: Connection
) -> dict[str, str | None]:
    """The accounts' names, as far as the caller may know them: a courtesy to whoever is asked, never a failure."""
    names = dict(known)
    organizations = Organizations(connection, scope.org_role_arn or caller.account)
    unnamed = [account for account, name in sorted(names.items()) if not name]
    for account in unnamed[:NAMES_ASKED]:
        try:
            names[account] = organizations.name_of(account)
        except AwsError:
            break
    return names


def identity_account(identity: str) -> str:
    """The account of an identity, which is an account id or a role ARN."""
    return identity.split(":")[4] if identity.startswith("arn:") else identity


def _add_member(found: Accounts, member: MemberAccount) -> None:
    known = found.in_scope.get(member.account_id)
    if known is not None:
        # Named by the user as well: stays in scope, whatever its state, and now has a name.
        found.in_scope[member.account_id] = Account(
            member.account_id, known.name or member.name, known.cado_role_arn
        )
    elif member.state == "ACTIVE":
        found.in_scope[member.account_id] = Account(member.account_id, member.name)
    elif all(left.account != member.account_id for left in found.left_out):
        found.left_out.append(LeftOut(member.account_id, None, f"the account is {member.state}", member.name))


def _check_roles(found: Accounts, scope: Scope, caller: Caller, connection: Connection) -> None:
    named = {account.account_id for account in scope.accounts}
    stray = sorted(scope.role_arns_from_flags - found.in_scope.keys() - scope.exclude_accounts - named)
    if stray and not found.failures:
        raise UsageError(
            f"--role-arn {scope.role_arns[stray[0]]} is for account {stray[0]}, which is not in scope",
            f"add --account {stray[0]}",
        )
    for arn in filter(None, (scope.org_role_arn, *scope.role_arns.values())):
        if arn.split(":")[1] != caller.partition:
            raise UsageError(f"{arn} is of another partition than you are ({caller.partition})")
    for account_id in sorted(found.in_scope):
        if account_id != caller.account and connection.credentials.role_arn(account_id) is None:
            raise UsageError(
                f"account {account_id} is not your own ({caller.account}), and no operator role was named for it",
                f"add --role-name NAME, or --role-arn arn:{caller.partition}:iam::{account_id}:role/NAME",
            )


@dataclass
class Regions:
    """The regions of one account: which to work in, and which were left out."""

    regions: list[str]
    left_out: list[LeftOut] = field(default_factory=list)


def resolve_regions(
    scope: Scope, account: Account, ec2: Ec2, default_region: str | None, home_region: str
) -> Regions:
    """The regions in scope for one account; asks EC2 only with ``--region all``. Raises AwsError, UsageError."""
    listed = regions_named(scope, default_region)
    if scope.all_regions:
        listed = sorted({*listed, *_enabled_regions(scope, account.account_id, ec2, home_region)})
    left_out = [
        LeftOut(account.account_id, region, "--exclude-region", account.name)
        for region in listed
        if region in scope.exclude_regions
    ]
    return Regions([region for region in listed if region not in scope.exclude_regions], left_out)


def _enabled_regions(scope: Scope, account: str, ec2: Ec2, home_region: str) -> list[str]:
    """Asked in the home region, or where an organisation policy closes that one, in another that may be open."""
    refused: AwsError | None = None
    for region in dict.fromkeys((home_region, *scope.regions, *ALWAYS_ENABLED.get(partition_of(home_region), ()))):
        try:
            return ec2.regions(account, region)
        except AwsError as error:
            if error.kind is not Kind.ORG_DENIED:
                raise
            refused = refused or error
    assert refused is not None
    raise refused


def partition_of(region: str) -> str:
    """The partition of a region, by the beginning of its name."""
    return {"us-gov": "aws-us-gov", "cn": "aws-cn"}.get(region.rsplit("-", 2)[0], "aws")


def regions_named(scope: Scope, default_region: str | None) -> list[str]:
    """The regions that need no call to AWS. Raises UsageError where none is named at all."""
    if scope.regions or scope.all_regions:
        return list(dict.fromkeys(scope.regions))
    if default_region is None:
        raise UsageError(
            "no region was named, and the profile has none",
            "add --region NAME (repeatable), or --region all",
        )
    return [default_region]


def denied_region(error: AwsError, scope: Scope, region: str) -> bool:
    """Whether a failed read means that an organisation policy closes a region which nobody named.

    With ``--region all`` such a region is left out; one that was named fails.
    """
    return error.kind is Kind.ORG_DENIED and scope.all_regions and region not in scope.regions


def left_out_region(cell: Cell, error: AwsError, name: str | None) -> LeftOut:
    return LeftOut(cell.account, cell.region, f"{POLICY_DENIES}: {error.message}", name)


def unreadable(left: Sequence[Failure]) -> str:
    """The targets of failures, in a few words."""
    places = sorted({"/".join(filter(None, (f.account, f.region))) for f in left})
    shown = ", ".join(places[:5])
    return shown + (f" and {len(places) - 5} more" if len(places) > 5 else "")
