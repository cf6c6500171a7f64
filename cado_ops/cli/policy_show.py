"""cado-ops policy show: a policy, ready to paste. Asks AWS nothing."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cado_ops import arns
from cado_ops.arns import (
    parse_account_id,
    parse_key,
    parse_principal,
    parse_region,
    parse_role_arn,
    parse_role_name,
    shown,
    split_commas,
)
from cado_ops.cli.documents import write_file, write_out
from cado_ops.cli.options import POLICY_SHOW_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import UsageError
from cado_ops.model import Report, Status
from cado_ops.policy import library, operator
from cado_ops.policy.document import Document
from cado_ops.policy.names import ACCOUNT, CADO_ROLE, EXTERNAL_ID, OPERATOR_ROLE, PARTITION, TRUSTED, Names
from cado_ops.policy.render import FORMATS, Kind, Rendering, as_cloudformation, as_json, as_terraform

SSM = {
    "ssm-default": library.ssm_default,
    "ssm-tagged": library.ssm_tagged,
    "ssm-tagged-documented": library.ssm_tagged_documented,
}
NAMES = (*SSM, *library.KMS_VARIANTS, "operator", "operator-trust", "operator-caller", "tag-guard")
DEFAULTS = {"CadoRoleName": "CadoResponseRole", "OperatorRoleName": "CadoOperator"}
# What only some of the policies speak of: given for another, it would be silently without effect.
_ONLY_FOR = {
    "sessions": tuple(SSM),
    "key": library.KMS_VARIANTS,
    "platform-role": ("kms-cross-account",),
    "for": ("operator",),
    "operations": ("operator",),
    "trusted-principal": ("operator-trust",),
    "region": (*SSM, "operator", "tag-guard"),
}

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(NAMES)}.", show_default=False)]


@takes(POLICY_SHOW_OPTIONS)
def show(ctx: typer.Context, name: Name, *, flags: dict[str, Any]) -> int:
    """A policy for the Cado role, for keys, or for this program's own role, ready to paste. Asks AWS nothing.

    The document is on stdout and nothing else; what to know about it is told on stderr.

    Example: cado-ops policy show operator --for tag-instances --for "kms grant" --format cloudformation
    """
    world: World = ctx.obj
    form = flags["format"] or FORMATS[0]
    out = flags["out"]

    def body(session: Session) -> Report:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            raise UsageError(
                f"there is no policy {shown(name)}", f"Did you mean {close[0]}?" if close else ", ".join(NAMES)
            )
        if form not in FORMATS:
            raise UsageError(f"--format is {form!r}: it takes {', '.join(FORMATS)}")
        for option, names in _ONLY_FOR.items():
            if flags[option] and name not in names:
                raise UsageError(f"--{option} means nothing for {name}", f"It is for {', '.join(names)}.")
        rendering, remarks = _Shown(name, flags, session, form).rendering()
        text = {"json": lambda: as_json(rendering.document), "cloudformation": lambda: as_cloudformation(rendering)}
        made = text.get(form, lambda: as_terraform(rendering))().encode()
        if out is None:
            write_out(world.stdout, made)
        else:
            write_file(Path(out), made)
        for remark in remarks:
            session.remark(f"note: {remark}")
        return Report("policy show", Status.SUCCESS, summary={"statements": len(rendering.document.statements)})

    # What is on stdout is the document, and no report.
    return run("policy show", flags | {"output": "table"}, replace(world, stdout=io.StringIO()), body)


class _Shown:
    """One policy, made from the options."""

    def __init__(self, name: str, flags: dict[str, Any], session: Session, form: str) -> None:
        self.name = name
        self.flags = flags
        self.given = session.given
        self.template = form != "json"
        self.remarks: list[str] = []
        self.names = self._names()

    def rendering(self) -> tuple[Rendering, Sequence[str]]:
        kind, document = self._document()
        if kind is Kind.KEY:
            self.remarks += library.remarks(self.name, is_key_policy=True)
        else:
            self.remarks += library.remarks(self.name)
            self.remarks += operator.REMARKS.get(self.name, ())
        if self.template and kind in (Kind.CADO_ROLE, Kind.OPERATOR_ROLE, Kind.TRUST):
            self.remarks.append("IAM is global: deploy it in one region of each account")
        path = f"/{self.operator_role[0]}/".replace("//", "/")
        return Rendering(self.name, kind, document, self._defaults(), path), self.remarks

    def _document(self) -> tuple[Kind, Document]:
        name, names = self.name, self.names
        if name in SSM:
            return Kind.CADO_ROLE, SSM[name](names, sessions=bool(self.flags["sessions"]))
        if name in library.KMS_VARIANTS:
            return self._kms()
        source_identity = self.given.text("source-identity") is not None
        match name:
            case "operator":
                operations = self.given.operations()
                return Kind.OPERATOR_ROLE, operator.operator(names, self._commands(), operations)
            case "operator-trust":
                return Kind.TRUST, self._trust(source_identity=source_identity)
            case "operator-caller":
                return Kind.CALLER, operator.operator_caller(names, source_identity=source_identity)
        return Kind.SCP, operator.tag_guard(names)

    def _kms(self) -> tuple[Kind, Document]:
        keys = self.flags["key"]
        if keys:
            arns = [self._key(each) for each in split_commas(keys, "--key")]
            return Kind.CADO_ROLE, library.role_policy_on_keys(self.name, tuple(dict.fromkeys(arns)))
        if not self.names.names_its_account:
            raise UsageError(
                f"{self.name} is a key policy, and has to name the key's account",
                "Add --account ID, or --cado-role ARN; or --key ARN for the role's own policy instead.",
            )
        platform = self.flags["platform-role"]
        if platform is None and self.name == "kms-cross-account":
            raise UsageError(
                "kms-cross-account names both roles, and one is missing",
                "Add --platform-role ARN: the Cado role of the other account.",
            )
        arn = parse_role_arn(platform, "--platform-role").arn if platform else None
        return Kind.KEY, library.key_policy(self.name, self.names, arn)

    def _key(self, text: str) -> str:
        key = parse_key(text, "--key")
        if key.account is None or key.id.startswith("alias/"):
            raise UsageError(f"--key: {shown(text)} is no key's ARN", "A policy names keys by their ARN alone.")
        return text

    def _commands(self) -> tuple[str, ...]:
        named = [" ".join(each.split()) for each in split_commas(self.flags["for"] or [], "--for")]
        for each in named:
            if each not in operator.NEEDS:
                close = difflib.get_close_matches(each, operator.NEEDS, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"It takes {', '.join(operator.NEEDS)}."
                raise UsageError(f"--for: there is no command {shown(each)} that needs the operator role", hint)
        return tuple(named) or operator.DEFAULT_COMMANDS

    def _trust(self, *, source_identity: bool) -> Document:
        external_id = self.given.external_id()
        listed = split_commas(self.flags["trusted-principal"] or [], "--trusted-principal")
        trusted = tuple(_trusted(each) for each in listed)
        if not trusted:
            if not self.template:
                raise UsageError(
                    "operator-trust has to name who may assume the role", "Add --trusted-principal ARN."
                )
            trusted = (TRUSTED,)
        if external_id is None and self.template:
            return operator.operator_trust(trusted, EXTERNAL_ID, source_identity=source_identity)
        if external_id is None:
            self.remarks.append("no external id is asked for: --external-id ID adds one")
        return operator.operator_trust(trusted, external_id, source_identity=source_identity)

    def _names(self) -> Names:
        cado = self.given.text("cado-role")
        partition, account = self._partition(), self._account()
        cado_role, cado_account = DEFAULTS["CadoRoleName"], None
        if cado is not None and cado.startswith("arn:"):
            role = parse_role_arn(cado, "--cado-role")
            # A key may be of another account than the role; every other policy is the role's own.
            across = self.name in library.KMS_VARIANTS and not self.flags["key"]
            if (partition or role.partition) != role.partition or not (across or account in (None, role.account)):
                raise UsageError(f"--cado-role: {cado} is of another partition or account than you named")
            cado_account = role.account if across and account not in (None, role.account) else None
            partition, account = role.partition, account or role.account
            cado_role = (role.path + role.name).removeprefix("/")
        elif cado is not None:
            named = parse_role_name(cado, "--cado-role")
            cado_role = (named.path + named.name).removeprefix("/")
        operator_role = DEFAULTS["OperatorRoleName"]
        if (text := self.given.text("role-name")) is not None:
            named = parse_role_name(text, "--role-name")
            operator_role = (named.path + named.name).removeprefix("/")
        self.cado_role, self.operator_role = cado_role.rpartition("/"), operator_role.rpartition("/")
        names = Names(
            partition=partition or "aws",
            accounts=account or "*",
            regions=self._regions(),
            cado_role=cado_role,
            operator_role=operator_role,
            cado_account=cado_account,
        )
        if account is not None:
            names = replace(names, account=account)
        if self.template:
            names = replace(
                names,
                partition=partition or PARTITION,
                account=account or ACCOUNT,
                # Roles are attached to and made by their names alone: a path is no part of the parameter.
                cado_role="".join((*self.cado_role[:2], CADO_ROLE)),
                operator_role="".join((*self.operator_role[:2], OPERATOR_ROLE)),
            )
        return names

    def _defaults(self) -> dict[str, str]:
        return {"CadoRoleName": self.cado_role[2], "OperatorRoleName": self.operator_role[2]}

    # Flags alone: what a settings file says of the scope is where to work, and must not bind a policy unseen.

    def _partition(self) -> str | None:
        partition = self.flags["partition"]
        if partition is not None and not re.fullmatch(arns.PARTITION, partition):
            raise UsageError(f"--partition: {shown(partition)} is no partition (aws, aws-us-gov, aws-cn, …)")
        return str(partition) if partition is not None else None

    def _account(self) -> str | None:
        accounts = split_commas(self.flags["account"] or [], "--account")
        if len(accounts) > 1:
            raise UsageError("--account: a policy is for one account, or without --account for any")
        return parse_account_id(accounts[0], "--account") if accounts else None

    def _regions(self) -> tuple[str, ...]:
        regions = split_commas(self.flags["region"] or [], "--region")
        return tuple(dict.fromkeys(parse_region(each, "--region") for each in regions if each != "all")) or ("*",)


def _trusted(text: str) -> str:
    """A role's or user's ARN, or an account's root."""
    if re.fullmatch(rf"arn:{arns.PARTITION}:iam::[0-9]{{12}}:root", text):
        return text
    return parse_principal(text, "--trusted-principal")
