"""The rules of `policy check`: names, severities, why, and the page of AWS's documentation that each comes from.

An **error** is a policy that AWS refuses, or one that lets the role reach more than the tag allows: `tighten` ends
these. A **warning** is what does not work as meant, or what `tighten` may not change, because that would allow more
or is not about the tag. docs/policy-rules.md has the same list for people, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cado_ops.policy.document import Document, Statement
from cado_ops.policy.partitions import Partitions, partitions_of
from cado_ops.policy.reach import Place
from cado_ops.policy.validity import Attached


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Fix(StrEnum):
    """Which command mends it, where one does."""

    TIGHTEN = "tighten"
    SHOW_TAGGED = "show ssm-tagged"
    SHOW_KMS = "show kms"
    GRANT = "kms grant"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Rule:
    severity: Severity
    why: str
    page: str
    fix: Fix = Fix.NONE


_SSM_TAGS = "Systems Manager User Guide, Restricting Run Command access based on tags"
_SESSIONS = "Systems Manager User Guide, Sample IAM policies for Session Manager"
_SERVICE = "Service Authorization Reference"
_MULTI = "IAM User Guide, Multivalued context keys"
_CONDITIONS = "IAM User Guide, IAM JSON policy elements: Condition operators"
_EC2_TAGS = "EC2 User Guide, Grant permission to tag resources during creation"
_KMS = "KMS Developer Guide, Condition keys for AWS KMS"
_KEY = "KMS Developer Guide, Default key policy"
_CROSS = "KMS Developer Guide, Allowing users in other accounts to use a KMS key"
_GRAMMAR = "IAM User Guide, Grammar of the IAM JSON policy language"
_QUOTAS = "IAM User Guide, IAM and AWS STS quotas"
_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

RULES: Mapping[str, Rule] = {
    "send-command-untagged": Rule(
        _E, "SendCommand reaches instances without the tag", _SSM_TAGS, Fix.TIGHTEN),
    "tag-condition-operator": Rule(
        _E, "the operator lets through what has no tag: IfExists, ForAllValues, negations", _MULTI, Fix.TIGHTEN),
    "tag-condition-key": Rule(
        _E, "the key is not the tag of the instance: aws:RequestTag, aws:PrincipalTag and others", _SSM_TAGS,
        Fix.TIGHTEN),
    "tag-condition-value": Rule(
        _E, "the value is not True exactly: case counts, and wildcards let other values through", _CONDITIONS,
        Fix.TIGHTEN),
    "tag-condition-case": Rule(
        _W, "the key is spelled in another case: IAM takes it for the tag, and EC2 lets both stand on an instance",
        _CONDITIONS, Fix.SHOW_TAGGED),
    "send-command-documents": Rule(
        _E, "SendCommand may run any document: some of them do far more than run a command", _SSM_TAGS,
        Fix.TIGHTEN),
    "documents-missing": Rule(
        _W, "SendCommand needs instance and document allowed; a document has no tag of the instance's", _SERVICE,
        Fix.SHOW_TAGGED),
    "send-command-missing": Rule(
        _I, "nothing allows SendCommand on tagged instances, so triage over SSM does not work", _SSM_TAGS,
        Fix.SHOW_TAGGED),
    "no-resources": Rule(
        _W, "the action knows no resources: on ARNs, or under a tag's condition, it grants nothing", _SERVICE,
        Fix.TIGHTEN),
    "read-missing": Rule(
        _W, "the platform looks for the instance and reads what became of the command", _SERVICE, Fix.SHOW_TAGGED),
    "start-session-open": Rule(
        _E, "a session is a shell on the instance, so an open StartSession makes the tag no boundary", _SESSIONS,
        Fix.TIGHTEN),
    "session-documents": Rule(
        _E, "StartSession may open any session document: a shell, or a command of somebody's making", _SESSIONS,
        Fix.TIGHTEN),
    "session-document-check": Rule(
        _W, "without ssm:SessionDocumentAccessCheck, naming documents binds nothing", _SESSIONS, Fix.TIGHTEN),
    "terminate-session-open": Rule(
        _W, "it ends or takes over sessions of others; sessions have ARNs of their own", _SESSIONS, Fix.TIGHTEN),
    "other-way": Rule(
        _W, "another way to a shell, to code on the instance, or to more permissions", _SERVICE),
    "sets-the-tag": Rule(
        _E, "the role can put the tag on any instance or node itself, so the tag is no boundary", _EC2_TAGS,
        Fix.TIGHTEN),
    "partition": Rule(
        _W, "ARNs of one partition mean nothing in another", "IAM User Guide, Amazon Resource Names (ARNs)"),
    "kms-actions-missing": Rule(
        _W, "the variant asked for needs more than is allowed", "KMS Developer Guide, Permissions reference",
        Fix.SHOW_KMS),
    "create-grant-unbounded": Rule(
        _W, "CreateGrant lets the role pass the access on, to anybody and for any operation", _KMS, Fix.SHOW_KMS),
    "shuts-out": Rule(
        _W, "a condition shuts out the platform's region, account or network", _KMS),
    "may-shut-out": Rule(
        _I, "a condition names regions, organisations or endpoints: the platform's have to be among them", _KMS),
    "key-policy-role": Rule(
        _E, "neither the role nor, through the account's root, IAM may decide: the role cannot use the key", _KEY,
        Fix.GRANT),
    "key-policy-root": Rule(
        _W, "without the account's root, IAM policies count for nothing, and a key can become unmanageable", _KEY),
    "key-policy-open": Rule(
        _E, "the key is open to principals of any account", _KEY),
    "key-policy-grants": Rule(
        _W, "the operator role may make no grants, or for AWS services alone: `cado-ops kms grant` fails", _KMS),
    "one-side-missing": Rule(
        _E, "across accounts both sides have to allow: the key's policy, and the role's own", _CROSS, Fix.SHOW_KMS),
    "same-role": Rule(
        _E, "the operator role can set the tag and make grants: the role that they hold back must be another",
        "docs/operator-policy.md"),
    "not-granted": Rule(
        _W, "the policies allow it, the permissions boundary does not", "IAM User Guide, Permissions boundaries"),
    "simulator-differs": Rule(
        _W, "AWS's simulator comes to another answer than this program: both are shown",
        "IAM API Reference, SimulatePrincipalPolicy"),
    "malformed": Rule(_E, "AWS refuses the policy", _GRAMMAR),
    "duplicate-sid": Rule(_E, "AWS refuses a policy whose Sids are not unique", _GRAMMAR, Fix.TIGHTEN),
    "size": Rule(_E, "AWS refuses a policy that is longer", _QUOTAS),
    "size-managed": Rule(_I, "too long for a managed policy; as an inline policy it fits", _QUOTAS),
    "old-version": Rule(
        _W, "in the old version of the language, ${…} is no variable", "IAM User Guide, Version"),
    "unknown-action": Rule(_W, "AWS publishes no such action: a slip, or newer than the list here", _SERVICE),
    "managed-not-read": Rule(
        _W, "a managed policy is attached that the template does not hold: what it allows was not looked at",
        "IAM User Guide, Managed policies and inline policies"),
    "not-judged": Rule(
        _W, "what stands there is not judged: a template decides it on deployment, or it is not told whose it is",
        "CloudFormation, Intrinsics"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found. ``statement`` is its number and Sid, or None: the policy as a whole.

    ``command`` are the words of what mends it, where that is not the rule's own `Fix`; none: nothing does.
    """

    rule: str
    statement: str | None
    message: str
    place: str | None = None
    command: tuple[str, ...] | None = None

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity

    @property
    def fix(self) -> Fix:
        return RULES[self.rule].fix


@dataclass(frozen=True)
class Subject:
    """What is checked: the policies of one role, or one file's, and what is known of the platform.

    ``kms`` is a variant's name; ``platform_region`` and ``platform_account`` None: not said. ``live_partition`` is
    that of the account, where there is one; ``default`` is for policies that name none. ``partition`` is the one
    that is looked at, the first where nothing was said. ``attached`` is what a file's policy is for, where that is
    known, and ``text`` what AWS counts the size of, where that is not the document's own.
    """

    documents: tuple[Document, ...]
    kms: str | None = None
    platform_region: str | None = None
    platform_account: str | None = None
    platform_org: str | None = None
    live_partition: str | None = None
    default: Partitions | None = None
    attached: Attached | None = None
    text: str | None = None
    partition: str = ""

    def __post_init__(self) -> None:
        if not self.partition:
            object.__setattr__(self, "partition", self.partitions[0])

    @property
    def partitions(self) -> tuple[str, ...]:
        """All in which it has to be judged."""
        if self.live_partition is not None:
            return (self.live_partition,)
        return partitions_of(self.documents, self.default).judged

    @property
    def place(self) -> Place:
        return Place(self.partition)

    def of(self, attached: Attached) -> Subject:
        """The same, as a policy of another kind."""
        return replace(self, attached=attached)

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(each for document in self.documents for each in document.statements)


def finding(
    rule: str,
    statement: Statement | None,
    message: str,
    document: Document | None = None,
    command: tuple[str, ...] | None = None,
) -> Finding:
    """A finding with its place, as far as it is known."""
    if statement is not None:
        return Finding(rule, statement.place.name or statement.sid, message, str(statement.place), command)
    if document is not None:
        return Finding(rule, document.place.name or None, message, str(document.place), command)
    return Finding(rule, None, message, command=command)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, each thing once."""
    rank = {severity: number for number, severity in enumerate(Severity)}
    return sorted(dict.fromkeys(findings), key=lambda each: rank[each.severity])
