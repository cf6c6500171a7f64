"""Every option, once: what typer shows and parses, and what the settings loader may read from elsewhere."""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from cado_ops.cli.settings import Option

WHERE = "Where: accounts and regions"
ROLES = "Roles"
WHICH = "Which instances"
KEYS = "Which keys"
GRANTS = "Which grants"
GRANT = "The grant"
CASE = "Case"
POLICY = "The policy"
SAFETY = "Safety"
OUTPUT = "Output"
CONNECTION = "Connection and settings"


@dataclass(frozen=True)
class CliOption:
    """An option as the command line has it; ``setting`` is what the loader knows of it."""

    setting: Option
    help: str
    panel: str
    metavar: str | None = None
    short: str | None = None

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def parameter_name(self) -> str:
        """``--for`` cannot be a parameter's name in Python."""
        return f"{self.setting.key}_" if keyword.iskeyword(self.setting.key) else self.setting.key

    def parameter(self) -> inspect.Parameter:
        """The parameter that typer reads; every default is None or False, so that "not given" can be told."""
        kinds: dict[str, Any] = {"str": str | None, "int": int | None, "bool": bool, "list": list[str] | None}
        # Named flags: otherwise typer grows a --no-… for each.
        names = [self.setting.flag] if self.short is None else [self.setting.flag, self.short]
        info = typer.Option(
            *names,
            help=self.help,
            metavar=self.metavar,
            rich_help_panel=self.panel,
            show_default=False,
        )
        return inspect.Parameter(
            self.parameter_name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if self.setting.kind == "bool" else None,
            annotation=Annotated[kinds[self.setting.kind], info],
        )


def _option(
    name: str,
    panel: str,
    help: str,
    *,
    kind: Literal["str", "int", "bool", "list"] = "str",
    metavar: str | None = None,
    flag_only: bool = False,
    group: str | None = None,
    short: str | None = None,
) -> CliOption:
    return CliOption(Option(name, kind, flag_only, group), help, panel, metavar, short)


SCOPE_OPTIONS = (
    _option("account", WHERE, "Accounts (repeatable, comma lists). Default: your own.", kind="list",
            metavar="ID", group="accounts"),
    _option("accounts-file", WHERE, "Accounts from a file: an id or ARN a line, or Cado's CSV; - is stdin.",
            metavar="FILE", group="accounts"),
    _option("org", WHERE, "All active accounts of the organisation.", kind="bool", group="accounts"),
    _option("ou", WHERE, "All active accounts below an organisational unit (repeatable).", kind="list",
            metavar="ID", group="accounts"),
    _option("org-role-arn", WHERE, "The role that may read the organisation.", metavar="ARN"),
    _option("exclude-account", WHERE, "Accounts to leave out (repeatable, comma lists).", kind="list",
            metavar="ID"),
    _option("region", WHERE, "Regions (repeatable, comma lists), or all: those enabled in each account. "
            "Default: the profile's.", kind="list", metavar="REGION"),
    _option("exclude-region", WHERE, "Regions to leave out (repeatable, comma lists).", kind="list",
            metavar="REGION"),
    _option("role-name", ROLES, "The operator role, assumed in every account but your own.", metavar="NAME"),
    _option("role-arn", ROLES, "The operator role of one account (repeatable); goes before --role-name.",
            kind="list", metavar="ARN"),
    _option("external-id", ROLES, "The external id that the role's trust policy asks for.", metavar="ID"),
    _option("session-name", ROLES, "The session's name in CloudTrail. Default: who you are, and the case.",
            metavar="NAME"),
    _option("source-identity", ROLES, "The source identity of the session (the trust policy must allow it).",
            metavar="NAME"),
    _option("cado-role", ROLES, "The Cado role, never assumed: a name in every account, or ARNs, each in its own "
            "(comma list). Default: CadoResponseRole.", metavar="NAME|ARN"),
)  # fmt: skip

SELECT_OPTIONS = (
    _option("filter", WHICH, "tag:Env=prod,staging, instance-type=t3.*, or the AWS CLI's form (repeatable).",
            kind="list", metavar="FILTER", flag_only=True),
    _option("exclude", WHICH, "Leave out what this filter matches (repeatable).", kind="list", metavar="FILTER",
            flag_only=True),
    _option("from-finding", WHICH, "Those named in GuardDuty, Security Hub or EventBridge JSON; - is stdin.",
            kind="list", metavar="FILE", flag_only=True),
    _option("all", WHICH, "All instances in scope.", kind="bool", flag_only=True),
    _option("fail-empty", WHICH, "Exit 3 where nothing matches.", kind="bool"),
)  # fmt: skip

CLAIM_OPTIONS = (
    _option("of-case", WHICH, "What this case has claimed.", metavar="CASE", flag_only=True),
    _option("expired", WHICH, "The instances with a claim whose time has come.", kind="bool", flag_only=True),
)

CASE_OPTION = _option(
    "case", CASE, "The case: marks each instance as claimed by it, with a tag. A label, readable in CloudTrail.",
    metavar="CASE",
)  # fmt: skip
EXPIRES_OPTION = _option(
    "expires", CASE, "When the claim is due: 72h, 7d, or an ISO 8601 time. Nothing expires by itself: "
    "it only becomes due.", metavar="WHEN",
)  # fmt: skip
GRANT_CASE_OPTION = replace(CASE_OPTION, help="The case: stands in the grant's name, readable in CloudTrail.")
GRANT_EXPIRES_OPTION = replace(
    EXPIRES_OPTION, help="When the grant is due: 72h, 7d, or an ISO 8601 time. Nothing expires by itself: "
    "kms retire --expired ends what is due.",
)  # fmt: skip

CHANGE_OPTIONS = (
    _option("dry-run", SAFETY, "Show the plan, ask AWS whether it would allow each change, change nothing.",
            kind="bool"),
    _option("yes", SAFETY, "Do not ask.", kind="bool", flag_only=True, short="-y"),
    _option("max-changes", SAFETY, "Refuse more changes than this. Default: 100.", kind="int", metavar="N"),
    _option("all-or-nothing", SAFETY, "Refuse where any target could not be read.", kind="bool"),
    _option("overwrite", SAFETY, "Also change what was set on purpose.", kind="bool", flag_only=True),
    _option("save-plan", SAFETY, "Write the plan to a file, for cado-ops apply, and stop.", metavar="FILE",
            flag_only=True),
)  # fmt: skip

KEY_OPTIONS = (
    _option("key", KEYS, "A key, by id, ARN or alias/NAME (repeatable).", kind="list", metavar="KEY",
            flag_only=True),
    _option("instance-id", KEYS, "The keys of an instance's volumes (repeatable; an ARN names account and region).",
            kind="list", metavar="ID", flag_only=True),
    _option("volume-id", KEYS, "The key of a volume (repeatable).", kind="list", metavar="ID", flag_only=True),
    _option("snapshot-id", KEYS, "The key of a snapshot (repeatable).", kind="list", metavar="ID", flag_only=True),
)  # fmt: skip

TERMS_OPTIONS = (
    _option("grantee", GRANT, "The role that gets the grant, instead of each account's Cado role.", metavar="ARN"),
    _option("external-grantee", GRANT, "Allow a grantee of an account that is not in scope.", kind="bool",
            flag_only=True),
    _option("operations", GRANT, "full, no-create-grant, ebs-direct, or a comma list. Default: full.",
            metavar="PROFILE|LIST"),
    _option("retiring-principal", GRANT, "Who may retire it. Default: the operator role.", metavar="ARN"),
    _option("encryption-context", GRANT, "Bind it to this encryption context (repeatable).", kind="list",
            metavar="KEY=VALUE"),
    _option("show-tokens", OUTPUT, "Show the grant tokens, which let the grants be used at once.", kind="bool",
            flag_only=True),
)  # fmt: skip

RETIRE_OPTIONS = (
    _option("of-case", GRANTS, "The grants of this case.", metavar="CASE", flag_only=True),
    _option("expired", GRANTS, "The grants whose time has come.", kind="bool", flag_only=True),
    _option("run", GRANTS, "The grants that a run made.", metavar="RUN", flag_only=True),
    _option("include-platform", GRANTS, "Also end one that somebody else made for the Cado role, named by its id.",
            kind="bool", flag_only=True),
    _option("revoke", SAFETY, "Revoke instead of retiring: needs kms:RevokeGrant.", kind="bool", flag_only=True),
)  # fmt: skip

LISTING_OPTIONS = (
    *(each for each in RETIRE_OPTIONS if each.name in ("of-case", "expired")),
    _option("owner", GRANTS, "ours, platform, service or other (repeatable, comma lists).", kind="list",
            metavar="OWNER", flag_only=True),
    _option("retirable", GRANTS, "Only what the operator role may retire: one call an account and region.",
            kind="bool", flag_only=True),
)  # fmt: skip

JOURNAL_OPTION = _option(
    "journal-dir", OUTPUT, "Where runs are journaled. Default: cado-ops/runs in your state folder.",
    metavar="FOLDER",
)  # fmt: skip

OUTPUT_OPTIONS = (
    _option("output", OUTPUT, "table, json, ndjson or csv. Default: table.", metavar="FORMAT", short="-o"),
    _option("query", OUTPUT, "A JMESPath expression on the JSON (with json and table).", metavar="EXPRESSION"),
    _option("debug", OUTPUT, "Show tracebacks.", kind="bool"),
    _option("config", CONNECTION, "The settings file. Default: cado-ops/config.toml in your configuration folder.",
            metavar="FILE", flag_only=True),
)  # fmt: skip

CONNECTION_OPTIONS = (
    _option("profile", CONNECTION, "The AWS profile.", metavar="NAME"),
    _option("endpoint-url", CONNECTION, "Send all calls here instead of to AWS.", metavar="URL", flag_only=True),
    _option("max-concurrency", CONNECTION, "Calls in flight at once. Default: 48.", kind="int", metavar="N"),
)  # fmt: skip

AWS_OPTIONS = (*SCOPE_OPTIONS, *OUTPUT_OPTIONS, *CONNECTION_OPTIONS)
HTML_OPTION = _option(
    "html", OUTPUT, "Also write a page for a ticket to this file, which must not be there yet.", metavar="FILE",
    flag_only=True,
)  # fmt: skip
STATUS_OPTIONS = (*CLAIM_OPTIONS, HTML_OPTION, *AWS_OPTIONS)
TAG_OPTIONS = (*SELECT_OPTIONS, *SCOPE_OPTIONS, CASE_OPTION, EXPIRES_OPTION, *CHANGE_OPTIONS,
               *OUTPUT_OPTIONS, JOURNAL_OPTION, *CONNECTION_OPTIONS)  # fmt: skip
UNTAG_OPTIONS = (*SELECT_OPTIONS, *CLAIM_OPTIONS, *SCOPE_OPTIONS, CASE_OPTION, *CHANGE_OPTIONS,
                 *OUTPUT_OPTIONS, JOURNAL_OPTION, *CONNECTION_OPTIONS)  # fmt: skip
_CHANGE_GRANTS = tuple(each for each in CHANGE_OPTIONS if each.name != "overwrite")
_FAIL_EMPTY = tuple(each for each in SELECT_OPTIONS if each.name == "fail-empty")
GRANT_OPTIONS = (*KEY_OPTIONS, *_FAIL_EMPTY, *TERMS_OPTIONS, *SCOPE_OPTIONS, GRANT_CASE_OPTION,
                 GRANT_EXPIRES_OPTION, *_CHANGE_GRANTS, *OUTPUT_OPTIONS, JOURNAL_OPTION,
                 *CONNECTION_OPTIONS)  # fmt: skip
KMS_RETIRE_OPTIONS = (*RETIRE_OPTIONS, *KEY_OPTIONS, *_FAIL_EMPTY, *SCOPE_OPTIONS, *_CHANGE_GRANTS,
                      *OUTPUT_OPTIONS, JOURNAL_OPTION, *CONNECTION_OPTIONS)  # fmt: skip
KMS_LIST_OPTIONS = (*LISTING_OPTIONS, *KEY_OPTIONS, *_FAIL_EMPTY, *SCOPE_OPTIONS, *OUTPUT_OPTIONS,
                    *CONNECTION_OPTIONS)  # fmt: skip
_NO_SIMULATOR = _option(
    "no-simulator", POLICY, "Do not ask AWS's own policy simulator.", kind="bool", flag_only=True
)
CHECK_OPTIONS = (
    *SELECT_OPTIONS,
    *SCOPE_OPTIONS,
    replace(CASE_OPTION, help="The case that the fixes are for: it claims instances, and stands in grants' names."),
    replace(EXPIRES_OPTION, help="When what is fixed is due: 72h, 7d, or an ISO 8601 time."),
    _option("fix", SAFETY, "Make the changes that this program can: tags and grants, after showing the plan.",
            kind="bool", flag_only=True),
    *(each for each in CHANGE_OPTIONS if each.name in ("yes", "max-changes")),
    _option("wait", OUTPUT, "Look again until all are ready, or --timeout is over.", kind="bool", flag_only=True),
    _option("timeout", OUTPUT, "How long --wait looks: 90s, 30m, 2h. Default: 10m.", metavar="TIME"),
    replace(_NO_SIMULATOR, panel=CONNECTION, help="Do not ask AWS's policy simulator, which alone knows the "
            "organisation's policies."),
    *OUTPUT_OPTIONS, JOURNAL_OPTION, *CONNECTION_OPTIONS,
)  # fmt: skip
RUNS_OPTIONS = (JOURNAL_OPTION, *OUTPUT_OPTIONS)
VERIFY_OPTION = _option("verify", OUTPUT, "Check the chain of hashes, and fail where it is broken.", kind="bool")
SHOW_OPTIONS = (VERIFY_OPTION, *RUNS_OPTIONS)
RUN_CLAIM_OPTIONS = (
    replace(CLAIM_OPTIONS[0], help="The runs made for this case, and those that changed claims of it."),
    replace(CLAIM_OPTIONS[1], help="The runs that set a claim whose time has come, and that no run here ended."),
)
EXPORT_OPTIONS = (
    *RUN_CLAIM_OPTIONS,
    _option("format", OUTPUT, "jsonl (the journal itself) or html (a page). Default: jsonl.", metavar="FORMAT",
            flag_only=True),
    _option("out", OUTPUT, "Write to this file, which must not be there yet.", metavar="FILE", flag_only=True),
    JOURNAL_OPTION,
    *(each for each in OUTPUT_OPTIONS if each.name in ("debug", "config")),
)  # fmt: skip
LIST_OPTIONS = (*RUN_CLAIM_OPTIONS, *RUNS_OPTIONS)
EXPLAIN_OPTIONS = (
    replace(CASE_OPTION, help="The case that the commands shown are for."),
    _option("offline", CONNECTION, "Ask AWS nothing: encoded messages stay encoded.", kind="bool"),
    *OUTPUT_OPTIONS,
    *(each for each in CONNECTION_OPTIONS if each.name != "max-concurrency"),
)  # fmt: skip
# What goes on with a saved plan or a run has its scope and its roles from there.
AGAIN_OPTIONS = (
    *(each for each in CHANGE_OPTIONS if each.name in ("dry-run", "yes", "max-changes")),
    *RUNS_OPTIONS, *CONNECTION_OPTIONS,
)  # fmt: skip

# policy show: what a policy speaks of. Scope in a settings file says where to work, and must not bind a policy.
_BY_NAME = {each.name: each for each in (*SCOPE_OPTIONS, *KEY_OPTIONS, *TERMS_OPTIONS, *EXPORT_OPTIONS)}


def _in_policy(name: str, help: str) -> CliOption:
    return replace(_BY_NAME[name], help=help, panel=POLICY)


POLICY_SHOW_OPTIONS = (
    _option("partition", POLICY, "aws, aws-us-gov, aws-cn or another. Default: aws, or the template's own.",
            metavar="NAME", flag_only=True),
    _in_policy("account", "The account that the policy is for. Default: any, or the template's own."),
    _in_policy("region", "Only these regions (repeatable, comma lists). Default: any."),
    _in_policy("cado-role", "The Cado role, by name or ARN. Default: CadoResponseRole."),
    _in_policy("role-name", "The operator role. Default: CadoOperator."),
    _in_policy("external-id", "operator-trust: the external id to ask for."),
    _in_policy("source-identity", "operator-trust, operator-caller: allow sessions with a source identity."),
    _option("for", POLICY, "operator: the commands it is for, such as \"kms grant\" (repeatable). Default: all.",
            kind="list", metavar="COMMAND", flag_only=True),
    _in_policy("operations", "operator: which operations its grants may hold. Default: full."),
    _option("trusted-principal", POLICY, "operator-trust: who may assume the role (repeatable).", kind="list",
            metavar="ARN", flag_only=True),
    _option("platform-role", POLICY, "kms-cross-account: the Cado role of the other account.", metavar="ARN",
            flag_only=True),
    _in_policy("key", "kms-*: the role's own policy on this key, by ARN (repeatable), not a key policy."),
    _option("sessions", POLICY, "ssm-*: sessions of Session Manager as well.", kind="bool", flag_only=True),
    replace(_BY_NAME["format"], help="json, cloudformation or terraform. Default: json."),
    _BY_NAME["out"],
    *(each for each in OUTPUT_OPTIONS if each.name in ("debug", "config")),
)  # fmt: skip

_ROLE_OF_POLICY = _option("role", POLICY, "Read it live from IAM: all policies of this role, by name or ARN.",
                          metavar="NAME|ARN", flag_only=True)  # fmt: skip
_KMS_VARIANT = _option("kms", POLICY, "The KMS variant: full, grant-only, withheld or ebs-direct.",
                       metavar="VARIANT", flag_only=True)  # fmt: skip
POLICY_TIGHTEN_OPTIONS = (
    _ROLE_OF_POLICY,
    _KMS_VARIANT,
    _option("document", POLICY, "A document that SendCommand may run where the policy names none (repeatable). "
            "Default: AWS-RunShellScript, AWS-RunPowerShellScript.", kind="list", metavar="NAME", flag_only=True),
    _option("session-document", POLICY, "A document that StartSession may use (repeatable). Default: "
            "AWS-StartPortForwardingSession.", kind="list", metavar="NAME", flag_only=True),
    _option("drop-sid", POLICY, "Leave this statement out (repeatable).", kind="list", metavar="SID",
            flag_only=True),
    _option("strict", POLICY, "Allow nothing new, no read-only repair either.", kind="bool", flag_only=True),
    replace(_BY_NAME["format"], help="json, cloudformation or terraform. Default: as it came in."),
    _BY_NAME["out"],
    *(each for each in SCOPE_OPTIONS if each.setting.key not in ("region", "exclude_region")),
    *(each for each in OUTPUT_OPTIONS if each.name in ("debug", "config")),
    *CONNECTION_OPTIONS,
)  # fmt: skip
POLICY_CHECK_OPTIONS = (
    replace(_ROLE_OF_POLICY, help="Live roles: of this name in the whole scope, or one ARN."),
    replace(_BY_NAME["key"], help="The policy of a key, by id, ARN or alias/NAME (repeatable).", panel=POLICY),
    replace(_KMS_VARIANT, help="What the role is to do with keys: full, grant-only, withheld or ebs-direct."),
    _option("platform-region", POLICY, "The region that the platform runs in.", metavar="REGION", flag_only=True),
    _option("platform-account", POLICY, "The account that the platform runs in.", metavar="ID", flag_only=True),
    _option("platform-org", POLICY, "The organisation that the platform runs in.", metavar="ID", flag_only=True),
    _NO_SIMULATOR,
    *AWS_OPTIONS,
)

ALL_OPTIONS = tuple(
    {
        each.name: each
        for each in (
            *GRANT_OPTIONS,
            *KMS_RETIRE_OPTIONS,
            *KMS_LIST_OPTIONS,
            *TAG_OPTIONS,
            *UNTAG_OPTIONS,
            *STATUS_OPTIONS,
            *SHOW_OPTIONS,
            *EXPORT_OPTIONS,
            *EXPLAIN_OPTIONS,
            *POLICY_SHOW_OPTIONS,
            *POLICY_TIGHTEN_OPTIONS,
            *POLICY_CHECK_OPTIONS,
            *CHECK_OPTIONS,
        )
    }.values()
)

Body = Callable[..., int]


def takes(options: Iterable[CliOption]) -> Callable[[Body], Body]:
    """Gives a command these options. It is called with its own parameters and ``flags``: option name to value.

    typer reads a function's signature: this extends it, so that an option is written down once for all commands.
    """
    chosen = list(options)
    by_key = {each.parameter_name: each.name for each in chosen}

    def decorate(body: Body) -> Body:
        own = [each for each in inspect.signature(body, eval_str=True).parameters.values() if each.name != "flags"]

        @functools.wraps(body)
        def command(**values: Any) -> int:
            flags = {name: values.pop(key) for key, name in by_key.items()}
            # A flag that was not given must not hide what the environment says.
            return body(**values, flags={name: value or None if value is False else value
                                         for name, value in flags.items()})  # fmt: skip

        # typer resolves annotations by name; those made above are objects already.
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        parameters += [each.parameter() for each in chosen]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        hints = {each.name: each.annotation for each in parameters}
        command.__annotations__ = hints
        return command

    return decorate
