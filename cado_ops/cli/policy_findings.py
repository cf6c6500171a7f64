"""The answer of policy check: an item for each finding, with the command line that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cado_ops import shell
from cado_ops.cli.given import Given
from cado_ops.cli.session import Session
from cado_ops.model import Failure, Report, Status
from cado_ops.policy.rules import Finding, Fix, Severity
from cado_ops.verdict.outcome import status_of

Item = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """What a finding is about. ``args`` are what names it on the command line of what mends it."""

    account: str | None
    name: str
    args: tuple[str, ...]
    role_arn: str | None = None


def role_args(given: Given) -> tuple[str, ...]:
    """The options that say who works, to be said again."""
    name, external, profile = (given.text(each) for each in ("role-name", "external-id", "profile"))
    args: list[str] = ["--profile", profile] if profile else []
    args += ["--role-name", name] if name else []
    for arn in given.merged("role-arn").value or []:
        args += ["--role-arn", arn]
    return tuple(args + (["--external-id", external] if external else []))


def report_of(
    session: Session,
    kms: str | None,
    checked: Iterable[tuple[Source, list[Finding]]],
    *,
    targets: int,
    failed: int = 0,
    failures: Iterable[Failure] = (),
    left_out: int = 0,
) -> Report:
    """``kms`` is the variant that was asked for. An error in a policy makes it partial."""
    checked, failures = list(checked), list(failures)
    items = [_item(source, finding, kms) for source, findings in checked for finding in findings]
    counts = {str(each): sum(item["severity"] == each for item in items) for each in Severity}
    status = status_of(["listed"] * len(checked), failures, targets=targets, targets_failed=failed)
    if status is Status.SUCCESS and counts["error"]:
        status = Status.PARTIAL
    if not items and not failures:
        session.remark("nothing is wrong with it, by these rules")
    return Report(
        "policy check",
        status,
        caller=session.caller,
        summary={"targets": targets, "targets_failed": failed, "targets_left_out": left_out,
                 "checked": len(checked), **counts},
        items=items,
        failures=failures,
    )  # fmt: skip


def _item(source: Source, finding: Finding, kms: str | None) -> Item:
    return {
        "account": source.account,
        "source": source.name,
        "rule": finding.rule,
        "severity": str(finding.severity),
        "statement": finding.statement,
        "message": finding.message,
        "fix": _fix(source, finding, kms),
    }


def _fix(source: Source, finding: Finding, kms: str | None) -> str | None:
    """A command line that can be pasted; None where no command mends it."""
    made: dict[Fix, Callable[[], tuple[str, ...] | None]] = {
        Fix.TIGHTEN: lambda: (
            ("policy", "tighten", *source.args) if source.args and "--key" not in source.args else None
        ),
        Fix.SHOW_TAGGED: lambda: ("policy", "show", "ssm-tagged"),
        Fix.SHOW_KMS: lambda: _show_kms(source, kms),
        Fix.GRANT: lambda: ("kms", "grant", *source.args) if "--key" in source.args else None,
        Fix.NONE: lambda: None,
    }
    words = finding.command if finding.command is not None else made[finding.fix]()
    return shell.join(("cado-ops", *words)) if words else None


def _show_kms(source: Source, kms: str | None) -> tuple[str, ...] | None:
    name = f"kms-{kms or 'withheld'}"
    if "--key" in source.args:
        return ("policy", "show", name, "--key", source.name)
    return ("policy", "show", name, "--cado-role", source.role_arn) if source.role_arn else None
