"""What is wrong with SendCommand, sessions and the ways round them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy import known
from cado_ops.policy.document import ALLOW, Condition, Statement, Values
from cado_ops.policy.filled import widest
from cado_ops.policy.guards import open_documents, taggers, tagging
from cado_ops.policy.library import RUN_DOCUMENTS
from cado_ops.policy.other_ways import other_ways
from cado_ops.policy.pairs import SESSION_ACTIONS, has_document_check
from cado_ops.policy.parts import ADD_TAGS, CREATE_TAGS, SEND, START
from cado_ops.policy.patterns import covers
from cado_ops.policy.reach import (
    NO_TAGS,
    Ask,
    holds,
    is_on_our_tag,
    may_allow,
    names_action,
    open_in,
    open_targets,
    operator_parts,
    setting_the_tag,
    tagged,
)
from cado_ops.policy.rules import Finding, Subject, finding

_RIGHT_KEYS = ("ssm:resourcetag", "aws:resourcetag")
_READS = ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation")


def lint_ssm(subject: Subject) -> Iterator[Finding]:
    yield from _send_command(subject)
    yield from _spelling(subject)
    yield from _documents(subject)
    yield from _no_resources(subject)
    yield from _sessions(subject)
    yield from other_ways(subject)
    yield from _tags(subject)


def _send_command(subject: Subject) -> Iterator[Finding]:
    for statement in open_targets(subject.documents, SEND, subject.partition):
        yield from _open(statement, SEND, "send-command-untagged")
    reached = False
    for statement in subject.statements:
        if not _could(subject, statement, SEND):
            continue
        if _lets_tagged(subject, statement, SEND):
            reached = True
            continue
        right = Ask(SEND, "*", tagged(SSM_TAG_VALUE))
        # Documents have no tag: a statement that still allows them is not dead.
        has_documents = may_allow(statement, Ask(SEND, subject.place.documents, tagged(None)), subject.partition)
        for condition in statement.conditions if names_action(statement, SEND) and not has_documents else ():
            # Another condition may be what shuts all instances out.
            if is_on_our_tag(condition.key) and holds(condition, right) is False:
                yield _dead(statement, condition)
    if not reached:
        yield finding("send-command-missing", None, "no statement allows ssm:SendCommand on tagged instances")


def _could(subject: Subject, statement: Statement, action: str) -> bool:
    """Whether it allows an action on instances, its conditions aside."""
    bare = replace(statement, conditions=())
    return any(may_allow(bare, Ask(action, target), subject.partition) for target in subject.place.targets)


def _lets_tagged(subject: Subject, statement: Statement, action: str) -> bool:
    right = tagged(SSM_TAG_VALUE)
    return any(
        may_allow(statement, Ask(action, target, right), subject.partition) for target in subject.place.targets
    )


def _open(statement: Statement, action: str, otherwise: str) -> Iterator[Finding]:
    """Why an open statement is open: a condition on the tag that does not hold, or none."""
    ours = [each for each in statement.conditions if is_on_our_tag(each.key)]
    for condition in ours:
        yield finding(_fault(condition), statement, f"{action}: {_written(condition)} {_explained(condition)}")
    if not ours:
        bound = ", ".join(each.key for each in statement.conditions)
        but = f" (it is bound by {bound} alone)" if bound else ""
        yield finding(
            otherwise, statement, f"{action} is allowed on instances without {SSM_TAG}={SSM_TAG_VALUE}{but}"
        )


def _dead(statement: Statement, condition: Condition) -> Finding:
    wanted = f"{_written(condition)} never holds for an instance with {SSM_TAG}={SSM_TAG_VALUE}"
    return finding(_fault(condition), statement, f"{wanted}: {_explained(condition)}")


def _fault(condition: Condition) -> str:
    """The rule that a condition on the tag breaks."""
    if condition.key.lower().partition("/")[0] not in _RIGHT_KEYS:
        return "tag-condition-key"
    quantifier, if_exists, name = operator_parts(condition.operator)
    if quantifier == "forallvalues" or if_exists or name not in ("stringequals", "stringlike"):
        return "tag-condition-operator"
    return "tag-condition-value"


def _explained(condition: Condition) -> str:
    prefix = condition.key.partition("/")[0]
    quantifier, if_exists, name = operator_parts(condition.operator)
    match _fault(condition):
        case "tag-condition-key":
            return f"{prefix} is not the tag of the instance; ssm:resourceTag/{SSM_TAG} is"
        case "tag-condition-operator" if if_exists:
            return "IfExists holds where the instance has no such tag"
        case "tag-condition-operator" if quantifier == "forallvalues":
            return "ForAllValues holds where the instance has no such tag"
        case "tag-condition-operator" if "not" in name:
            return "a negated operator holds where the instance has no such tag"
        case "tag-condition-operator":
            return f"{condition.operator} does not ask for the value {SSM_TAG_VALUE}: StringEquals does"
    return f"the value has to be {SSM_TAG_VALUE}, exactly, and no wildcard"


def _written(condition: Condition) -> str:
    return f"{condition.operator} {condition.key}: {', '.join(map(str, condition.values))}"


def _spelling(subject: Subject) -> Iterator[Finding]:
    """The names of condition keys know no case, those of EC2's tags do."""
    for statement in subject.statements:
        for condition in statement.conditions:
            spelled = condition.key.partition("/")[2]
            if is_on_our_tag(condition.key) and spelled != SSM_TAG:
                yield finding(
                    "tag-condition-case", statement,
                    f"{_written(condition)}: the tag is {SSM_TAG}; an instance may carry {spelled} as well, and "
                    "which of the two the condition sees is not defined",
                )  # fmt: skip


def _documents(subject: Subject) -> Iterator[Finding]:
    for statement in open_documents(subject.documents, SEND, subject.place):
        yield finding(
            "send-command-documents",
            statement,
            f"ssm:SendCommand may run any document, not {RUN_DOCUMENTS[0]} alone",
        )
    reaching = [
        each for each in subject.statements if _could(subject, each, SEND) and _lets_tagged(subject, each, SEND)
    ]
    if not reaching:
        return
    no_tags = tagged(None)
    missing = [
        name
        for name in RUN_DOCUMENTS
        if not open_in(subject.documents, Ask(SEND, subject.place.document(name), no_tags), subject.partition)
    ]
    if missing:
        yield finding(
            "documents-missing", reaching[0],
            f"ssm:SendCommand is allowed on tagged instances and with no document of {', '.join(missing)}",
        )  # fmt: skip


def _no_resources(subject: Subject) -> Iterator[Finding]:
    for statement in subject.statements:
        if statement.effect != ALLOW or statement.actions is None:
            continue
        for action in statement.actions.strings:
            if set(action) & set("*?") or not known.knows_no_resources(action):
                continue
            if not may_allow(statement, Ask(action, "*", NO_TAGS), subject.partition):
                yield finding(
                    "no-resources", statement,
                    f'{action} knows no resources and no tags: this grants nothing; it works on "*" alone',
                )  # fmt: skip
    sends = any(_could(subject, each, SEND) for each in subject.statements)
    for action in _READS:
        if sends and not open_in(subject.documents, Ask(action, "*", NO_TAGS), subject.partition):
            yield finding("read-missing", None, f'no statement allows {action} (it works on "*" alone)')


def _sessions(subject: Subject) -> Iterator[Finding]:
    partition, place = subject.partition, subject.place
    for statement in open_targets(subject.documents, START, partition):
        yield from _open(statement, START, "start-session-open")
    for statement in open_documents(subject.documents, START, place):
        yield finding("session-documents", statement, "ssm:StartSession may open a session with any document")
    for statement in subject.statements:
        if statement.effect != ALLOW or not names_action(statement, START):
            continue
        if _could(subject, statement, START) and not has_document_check(statement):
            yield finding(
                "session-document-check", statement,
                "ssm:StartSession without BoolIfExists ssm:SessionDocumentAccessCheck: true",
            )  # fmt: skip
    for action in SESSION_ACTIONS:
        for statement in subject.statements:
            yield from _of_others(subject, statement, action)


def _of_others(subject: Subject, statement: Statement, action: str) -> Iterator[Finding]:
    """Ending and taking over sessions: on more than the ARNs of sessions, or by a wildcard that nobody meant so."""
    named = names_action(statement, action)
    if statement.effect != ALLOW:
        return
    if not may_allow(replace(statement, conditions=()), Ask(action, subject.place.sessions), subject.partition):
        if named:
            yield finding("no-resources", statement, f"{action} works on sessions' ARNs alone, and grants nothing")
        return
    entries = [widest(each, subject.partition) for each in statement.resources or Values.of("*")]
    if all(covers(subject.place.sessions, each) for each in entries):
        return
    if named:
        yield finding("terminate-session-open", statement, f"{action} on more than sessions' ARNs")
    elif statement in open_in(subject.documents, Ask(action, subject.place.sessions), subject.partition):
        # Of a wildcard tighten leaves what is no error.
        yield finding(
            "terminate-session-open", statement, f"{action} by a wildcard or NotAction, on any session", command=()
        )


def _tags(subject: Subject) -> Iterator[Finding]:
    for action, what in ((CREATE_TAGS, "instances"), (ADD_TAGS, "hybrid nodes (mi-…)")):
        for statement in taggers(subject.documents, subject.place, action):
            yield finding(
                "sets-the-tag",
                statement,
                f"{action} can set {SSM_TAG} on {what}{_slips(subject, statement, action)}",
            )


def _slips(subject: Subject, statement: Statement, action: str) -> str:
    """What gets through where the condition closes the tag itself, with its one value."""

    def may(key: str, value: str = SSM_TAG_VALUE) -> bool:
        [target] = {each.resource for each in tagging(subject.place, action, ())}
        return may_allow(statement, Ask(action, target, setting_the_tag(key, value)), subject.partition)

    if may(SSM_TAG):
        return ""
    if may(SSM_TAG.lower()):
        return f"; {SSM_TAG.lower()} slips through, and condition keys know no case"
    return f"; it is kept from the value {SSM_TAG_VALUE} alone, and a second spelling of the key may hide that one"
