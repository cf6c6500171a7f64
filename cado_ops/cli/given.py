"""The options of one call, merged from flags, environment and settings file, and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cado_ops.accounts_file import parse_accounts
from cado_ops.arns import (
    parse_account_id,
    parse_case,
    parse_disk,
    parse_external_id,
    parse_instance,
    parse_key,
    parse_ou_id,
    parse_principal,
    parse_region,
    parse_role_arn,
    parse_role_name,
    parse_session_name,
    parse_source_identity,
    split_commas,
)
from cado_ops.cli.options import ALL_OPTIONS
from cado_ops.cli.settings import Merged, find_config, load
from cado_ops.cli.world import World
from cado_ops.due import parse_due
from cado_ops.errors import UsageError
from cado_ops.filters import Filter, parse_filter
from cado_ops.findings import instances_in_findings
from cado_ops.grant_operations import parse_operations
from cado_ops.model import Account, InstanceRef, Kind, Owner, ResourceRef
from cado_ops.scope import DEFAULT_CADO_ROLE, CadoRoles, KeySelection, Scope, Selection

MAX_CONCURRENCY = 256
# CreateGrant, KMS API reference: pairs in a constraint.
MAX_CONTEXT = 8
OUTPUTS = ("table", "json", "ndjson", "csv")


class Given:
    """Options by name. Every reader raises UsageError that names where a bad value comes from."""

    def __init__(self, flags: Mapping[str, Any], world: World) -> None:
        self._world = world
        for name, value in flags.items():
            # An unset variable in a script ("$FILE") must not quietly mean less than it says.
            if value == "" or (isinstance(value, list) and "" in value):
                raise UsageError(f"--{name} is empty")
        path, explicit = find_config(flags.get("config"), world.environ)
        settings = load([each.setting for each in ALL_OPTIONS], world.environ, path, explicit)
        self.warnings = settings.warnings
        self._merged = settings.merge(flags)
        for value, source in self._merged.values():
            if value == "":
                raise UsageError(f"{source} is empty")

    def merged(self, name: str) -> Merged:
        return self._merged[name]

    def text(self, name: str) -> str | None:
        value: str | None = self._merged[name].value
        return value

    def flag(self, name: str) -> bool:
        return bool(self._merged[name].value)

    def items(self, name: str) -> list[tuple[str, str]]:
        """The values of a comma list, each with where it comes from."""
        value, source = self._merged[name]
        return [(each, source) for each in split_commas(value, source)] if value else []

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value, source = self._merged[name]
        if value is None:
            return default
        if not least <= value <= most:
            raise UsageError(f"{source} is {value}: it takes {least} to {most}")
        return int(value)

    def output(self) -> str:
        value, source = self._merged["output"]
        if value is None:
            return "table"
        if value not in OUTPUTS:
            raise UsageError(f"{source} is {value!r}: it takes {', '.join(OUTPUTS)}")
        return str(value)

    def case(self) -> str | None:
        value, source = self._merged["case"]
        return None if value is None else parse_case(value, source)

    def of_case(self) -> str | None:
        value, source = self._merged["of-case"]
        return None if value is None else parse_case(value, source)

    def due(self, now: datetime) -> datetime | None:
        value, source = self._merged["expires"]
        if value is None:
            return None
        if self.case() is None:
            raise UsageError(f"{source} needs --case: what becomes due is the case's claim")
        return parse_due(value, now, source)

    def keys(self) -> KeySelection:
        """The keys named, and the disks and instances whose keys are meant."""
        refs = [parse_key(each, source) for each, source in self.items("key")]
        for kind in (Kind.VOLUME, Kind.SNAPSHOT):
            refs += [parse_disk(each, kind, source) for each, source in self.items(f"{kind}-id")]
        for each, source in self.items("instance-id"):
            found = parse_instance(each, source)
            refs.append(ResourceRef(Kind.INSTANCE, found.instance_id, found.account, found.region, found.partition))
        return KeySelection(tuple(dict.fromkeys(refs)))

    def operations(self) -> tuple[str, ...]:
        return parse_operations(*self._merged["operations"])

    def constraints(self) -> dict[str, dict[str, str]]:
        """KMS's GrantConstraints, of ``--encryption-context``."""
        context: dict[str, str] = {}
        for text in self._merged["encryption-context"].value or []:
            name, equals, value = text.partition("=")
            if not (name and equals):
                raise UsageError(f"--encryption-context: {text!r} is not KEY=VALUE")
            if context.get(name, value) != value:
                raise UsageError(f"--encryption-context: {name!r} is given two values")
            context[name] = value
        if len(context) > MAX_CONTEXT:
            raise UsageError(f"--encryption-context: KMS takes {MAX_CONTEXT} pairs at most")
        return {"EncryptionContextSubset": context} if context else {}

    def principal(self, name: str) -> str | None:
        return self._parsed(name, parse_principal)

    def owners(self) -> frozenset[Owner]:
        """Whose grants; all, where nothing was said."""
        named = self.items("owner")
        for each, source in named:
            if each not in list(Owner):
                raise UsageError(f"{source} is {each!r}: it takes {', '.join(Owner)}")
        return frozenset(Owner(each) for each, _ in named) or frozenset(Owner)

    def cado_roles(self, scope: Scope) -> CadoRoles:
        """What the Cado role is called: a name everywhere, ARNs and those of Cado's own list in their accounts."""
        name, by_account = self._cado_role()
        of_list = {
            account.account_id: account.cado_role_arn
            for account in scope.accounts
            if account.cado_role_arn is not None
        }
        return CadoRoles(name or DEFAULT_CADO_ROLE, of_list | by_account, frozenset(by_account))

    def journal_folder(self) -> Path:
        """``--journal-dir``, else the user's state folder (XDG Base Directory Specification)."""
        named = self.text("journal-dir")
        if named is not None:
            return Path(named).expanduser()
        environ = self._world.environ
        state = environ.get("XDG_STATE_HOME") or environ.get("LOCALAPPDATA") or ""
        if Path(state).is_absolute():
            return Path(state, "cado-ops", "runs")
        return Path("~/.local/state/cado-ops/runs").expanduser()

    def external_id(self) -> str | None:
        return self._parsed("external-id", parse_external_id)

    def session_name(self) -> str | None:
        return self._parsed("session-name", parse_session_name)

    def source_identity(self) -> str | None:
        return self._parsed("source-identity", parse_source_identity)

    def scope(self) -> Scope:
        """The scope options. Reads the accounts file, and stdin where that is ``-``."""
        accounts = [Account(parse_account_id(each, source)) for each, source in self.items("account")]
        file, source = self._merged["accounts-file"]
        if file is not None:
            where = "stdin" if file == "-" else file
            accounts += parse_accounts(self._world.read_file(file, source), where)
        regions = self.items("region")
        arns, source = self._merged["role-arn"]
        roles = [parse_role_arn(each, source) for each in split_commas(arns or [], source)]
        for role in roles:
            if any(other.account == role.account and other.arn != role.arn for other in roles):
                raise UsageError(f"{source}: two roles are named for account {role.account}")
        by_flag = source == "--role-arn"
        name = self.merged("role-name")
        org_role = self.merged("org-role-arn")
        self._cado_role()
        return Scope(
            accounts=tuple(accounts),
            org=self.flag("org"),
            ous=tuple(parse_ou_id(each, source) for each, source in self.items("ou")),
            org_role_arn=parse_role_arn(org_role.value, org_role.source).arn if org_role.value else None,
            exclude_accounts=frozenset(
                parse_account_id(each, source) for each, source in self.items("exclude-account")
            ),
            regions=tuple(parse_region(each, source) for each, source in regions if each != "all"),
            all_regions=any(each == "all" for each, _ in regions),
            exclude_regions=frozenset(parse_region(each, source) for each, source in self.items("exclude-region")),
            role_arns={role.account: role.arn for role in roles},
            role_arns_from_flags=frozenset(role.account for role in roles if by_flag),
            role_name=_role_path(name) if name.value else None,
        )

    def selection(self, instances: list[str]) -> Selection:
        """INSTANCE arguments and the options that select; nothing selected by any of them is an error."""
        refs: list[InstanceRef] = []
        for argument in split_commas(instances, "INSTANCE") if instances else []:
            if argument == "-":
                words = re.split(r"[\s,]+", self._world.read_stdin("INSTANCE").strip(" \t\r\n,"))
                refs += [parse_instance(each, "stdin") for each in words]
            else:
                refs.append(parse_instance(argument, "INSTANCE"))
        for path in self._merged["from-finding"].value or []:
            text = self._world.read_file(path, "--from-finding")
            refs += instances_in_findings(text, "stdin" if path == "-" else path)
        filters = [each for group in self._filters("filter") for each in group]
        expired = self.flag("expired")
        selection = Selection(
            refs=tuple(dict.fromkeys(refs)),
            filters=tuple(filters),
            excludes=tuple(tuple(group) for group in self._filters("exclude")),
            all=self.flag("all"),
            of_case=self.of_case(),
            expired_at=self._world.now() if expired else None,
        )
        if selection.all and (selection.refs or selection.filters):
            raise UsageError("--all selects everything in scope: it cannot go with ids, findings or --filter")
        if not (selection.all or selection.refs or selection.filters or selection.by_claim):
            raise UsageError(
                "nothing is selected",
                "name instances, or use --filter, --from-finding, or --all for everything in scope",
            )
        return selection

    def claims(self) -> Selection:
        """The instances that ``--of-case`` and ``--expired`` select; all, without either."""
        expired_at = self._world.now() if self.flag("expired") else None
        return Selection(all=True, of_case=self.of_case(), expired_at=expired_at)

    def _filters(self, name: str) -> list[list[Filter]]:
        texts = self._merged[name].value or []
        option = f"--{name}"
        return [parse_filter(text, lambda path: self._world.read_file(path, option), option) for text in texts]

    def _parsed(self, name: str, parse: Any) -> str | None:
        value, source = self._merged[name]
        return None if value is None else parse(value, source)

    def _cado_role(self) -> tuple[str | None, dict[str, str]]:
        """``--cado-role``: a name, and ARNs by account."""
        value, source = self._merged["cado-role"]
        name: str | None = None
        by_account: dict[str, str] = {}
        for each in split_commas([value], source) if value is not None else []:
            if each.startswith("arn:"):
                role = parse_role_arn(each, source)
                if by_account.setdefault(role.account, each) != each:
                    raise UsageError(f"{source}: two roles are named for account {role.account}")
            else:
                parse_role_name(each, source)
                if name is not None:
                    raise UsageError(
                        f"{source}: two names, {name} and {each}", "for one account alone, give the ARN"
                    )
                name = each
        return name, by_account


def _role_path(name: Merged) -> str:
    role = parse_role_name(name.value, name.source)
    return (role.path + role.name).removeprefix("/")
