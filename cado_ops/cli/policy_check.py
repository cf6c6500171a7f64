"""cado-ops policy check: what is wrong with a policy of a file, of live roles, or of keys. Changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cado_ops.arns import parse_account_id, parse_region, split_commas
from cado_ops.cli.options import POLICY_CHECK_OPTIONS, takes
from cado_ops.cli.policy_findings import Source, report_of, role_args
from cado_ops.cli.policy_names import cado_roles_of, kms_variant, role_named
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import World
from cado_ops.errors import AwsError, UsageError
from cado_ops.model import Cell, Failure, Report
from cado_ops.policy.lint import lint_role
from cado_ops.policy.lint_file import lint_file
from cado_ops.policy.lint_key import Key, account_told_by, lint_key_policy
from cado_ops.policy.rules import Finding, Subject
from cado_ops.shell import as_path

if TYPE_CHECKING:
    from cado_ops.aws.iam import Iam
    from cado_ops.observe.grant_reader import GrantReader
    from cado_ops.observe.policies import KeyPolicy, RolePolicies
    from cado_ops.policy.document import Document

File = Annotated[str | None, typer.Argument(metavar="[FILE]", help="JSON or YAML; - is stdin.", show_default=False)]


@takes(POLICY_CHECK_OPTIONS)
def check(ctx: typer.Context, file: File = None, *, flags: dict[str, Any]) -> int:
    """What is wrong with the Cado role's policy, or a key's: rule, severity, statement, why, and what mends it.

    A file (JSON; YAML; a CloudFormation template), live roles in the whole scope, or keys. An error makes exit 3.

    Example: cado-ops policy check --role CadoResponseRole --org --role-name CadoOperator
    """

    def body(session: Session) -> Report:
        given = [each for each in (file, flags["role"], flags["key"]) if each]
        if len(given) != 1:
            raise UsageError("give a file, --role or --key", "- reads stdin")
        checker = _Checker(session)
        if file is not None:
            return checker.file(file)
        return checker.roles(role_named(flags["role"])) if flags["role"] else checker.keys()

    return run("policy check", flags, ctx.obj, body)


class _Checker:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.world: World = session.world
        given = session.given
        region, account = given.text("platform-region"), given.text("platform-account")
        self.kms = kms_variant(given)
        self.platform: dict[str, Any] = {
            "kms": self.kms,
            "platform_region": parse_region(region, "--platform-region") if region else None,
            "platform_account": parse_account_id(account, "--platform-account") if account else None,
            "platform_org": given.text("platform-org"),
        }

    # --- a file

    def file(self, path: str) -> Report:
        text = self.world.read_file(path, "FILE")
        where = "stdin" if path == "-" else path
        named = self.session.given.text("cado-role")
        source = Source(
            None, where, () if path == "-" else (as_path(path), *(("--cado-role", named) if named else ()))
        )
        found = lint_file(
            text, where, self.platform, self._key_of_file, lambda file: cado_roles_of(self.session, file)
        )
        return report_of(self.session, self.kms, [(source, found)], targets=1)

    def _key_of_file(self, document: Document) -> Key | None:
        """Whose key a policy in a file is for: what it says itself, or else the Cado role's account."""
        named = self._cado_role_arn()
        account = account_told_by(document) or (named.split(":")[4] if named else None)
        if account is None:
            return None
        partition = Subject((document,)).partition
        return Key(account, named or self.session.given.cado_roles(self.session.scope).arn(account, partition))

    # --- live roles

    def roles(self, named: str) -> Report:
        from cado_ops.aws.iam import Iam
        from cado_ops.observe.policies import read_roles

        session = self.session
        session.progress.phase("reading", None)
        caller = session.identified()
        read = read_roles(
            session.scope, caller, session.connection, named,
            max_concurrency=session.max_concurrency, on_progress=session.reading,
        )  # fmt: skip
        session.say_left_out(read.left_out)
        iam = Iam(session.connection)
        checked = []
        for account, role in sorted(read.roles.items()):
            source = Source(account, role.arn, ("--role", role.arn, *role_args(self.session.given)), role.arn)
            findings = self._of_role(role)
            findings += self._same_role(account, role.arn)
            if not session.given.flag("no-simulator"):
                more, problem = self._simulated(iam, role)
                findings += more
                if problem is not None:
                    read.failures.append(problem)
            checked.append((source, findings))
        return report_of(
            self.session,
            self.kms,
            checked,
            targets=read.targets,
            failed=read.failed,
            failures=read.failures,
            left_out=len(read.left_out),
        )

    def _of_role(self, role: RolePolicies) -> list[Finding]:
        subject = Subject(role.documents, live_partition=role.arn.split(":")[1], **self.platform)
        findings = lint_role(subject)
        if len(role.policies) == 1:
            return findings
        # With the policy's name: a Sid may stand in several.
        return [Finding(each.rule, each.place or each.statement, each.message) for each in findings]

    def _same_role(self, account: str, arn: str) -> list[Finding]:
        """The operator role must be another than the one that it works for."""
        connection, caller = self.session.connection, self.session.identified()
        operator = connection.credentials.role_arn(account)
        own = caller.arn.split(":", 5)[5].split("/")
        is_own = account == caller.account and own[0] == "assumed-role" and own[1] == arn.rpartition("/")[2]
        if operator == arn or (operator is None and is_own):
            return [Finding("same-role", None, f"you work as {arn}, which is the role that is checked")]
        return []

    def _simulated(self, iam: Iam, role: RolePolicies) -> tuple[list[Finding], Failure | None]:
        """AWS's own answers beside ours."""
        from cado_ops.errors import Kind as ErrorKind
        from cado_ops.observe.policies import simulate
        from cado_ops.observe.targets import failure
        from cado_ops.policy.evaluate import Decision, Kind
        from cado_ops.policy.probes import our_verdict, probes

        session = self.session
        partition = role.arn.split(":")[1]
        region = next(iter(session.scope.regions), None) or session.connection.home_region
        asked = probes(partition, role.account, region)
        answers, error = simulate(iam, role, asked)
        findings = []
        policies = dict(role.policies)
        for probe, answer in answers:
            ours = our_verdict(probe, role.arn, policies, role.boundary)
            told = f"{probe.action} {probe.about}"
            if ours.kind is Kind.BOUNDARY:
                findings.append(
                    Finding("not-granted", None, f"{told}: allowed by the policies, not by the boundary")
                )
            if ours.decision is not Decision.UNKNOWN and ours.allowed != (answer.decision == "allowed"):
                by = "; by an organisation policy" if answer.by_organization is False else ""
                message = f"{told}: by this program {ours.decision}, by AWS {answer.decision}{by}"
                findings.append(Finding("simulator-differs", None, message))
        if error is None:
            return findings, None
        if error.kind in (ErrorKind.DENIED, ErrorKind.ORG_DENIED):
            session.remark(
                f"not put to AWS's simulator in {role.account}: iam:SimulatePrincipalPolicy is not allowed"
            )
            return findings, None
        return findings, _with_id(failure(error, "observe", role.account), role.arn)

    # --- keys

    def keys(self) -> Report:
        from cado_ops.aws.iam import Iam
        from cado_ops.cli.kms_proposal import reader_of
        from cado_ops.observe.policies import read_key_policies

        session = self.session
        selection = session.given.keys()
        reader = reader_of(session)
        # Here an ARN says which role is meant, whosever the key is: it may be of an account that is not read.
        reader.roles = replace(reader.roles, typed=frozenset())
        seen = reader.selected(selection)
        session.say_left_out(seen.left_out)
        cells = {
            use.key_arn: Cell(use.key_arn.split(":")[4], use.key_arn.split(":")[3])
            for found in seen.readings.values()
            for use in found.uses
            if use.key_arn
        }
        iam = Iam(session.connection)
        policies, failures = read_key_policies(reader.kms, cells, session.max_concurrency)
        checked = [self._of_key(iam, key, set(seen.accounts.in_scope), reader) for key in policies]
        return report_of(
            self.session, self.kms,
            checked, targets=seen.targets, failed=seen.failed_cells, failures=[*seen.failures, *failures],
            left_out=len(seen.left_out),
        )  # fmt: skip

    def _key_source(self, key: KeyPolicy, role_arn: str) -> Source:
        """With what names the same Cado role again: across accounts, it has to be named as grantee."""
        cado_role = self.session.given.text("cado-role")
        across = role_arn.split(":")[4] != key.arn.split(":")[4]
        args = ("--grantee", role_arn) if across else ("--cado-role", cado_role) if cado_role else ()
        return Source(
            key.arn.split(":")[4], key.arn, ("--key", key.arn, *role_args(self.session.given), *args), role_arn
        )

    def _cado_role_arn(self) -> str | None:
        """The one ARN in --cado-role."""
        text = self.session.given.text("cado-role")
        named = [each for each in split_commas([text], "--cado-role") if each.startswith("arn:")] if text else []
        return named[0] if len(named) == 1 else None

    def _of_key(
        self, iam: Iam, key: KeyPolicy, in_scope: set[str], reader: GrantReader
    ) -> tuple[Source, list[Finding]]:
        from cado_ops.observe.policies import read_role
        from cado_ops.scope import CadoRoles

        account, partition = key.arn.split(":")[4], key.arn.split(":")[1]
        role_arn = self._cado_role_arn() or reader.cado_role(account).arn
        role_account = role_arn.split(":")[4]
        documents = None
        scope = self.session.scope
        # A key's ARN narrows what is read to its own account; the scope options say what may be read besides.
        may_read = in_scope | {each.account_id for each in scope.accounts} | {reader.caller.account}
        if role_account in may_read or scope.org or scope.ous:
            try:
                documents = read_role(iam, role_account, CadoRoles(role_arn), partition).documents
            except AwsError as error:
                self.session.warn(f"{role_arn} could not be read ({error.code}): its own side was not checked")
        else:
            self.session.warn(f"{role_arn} is of an account that is not in scope: its own side was not checked")
        subject = Subject((key.document,), live_partition=partition, **self.platform)
        asked = Key(account, role_arn, documents, reader.operator_if_known(account), key.arn)
        return self._key_source(key, role_arn), lint_key_policy(subject, asked)


def _with_id(failed: Failure, what: str) -> Failure:
    return replace(failed, id=what)
