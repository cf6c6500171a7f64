"""The errors in a plain text, in order: sentences, codes and phrases that belong together make one error.

What is looked for are marks (a code in AWS's frame, a sentence, a phrase, an encoded message). A mark joins the
error before it where that still lacks one of its kind and stands close; otherwise it begins an error of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from cado_ops.verdict.denial.console import boxes
from cado_ops.verdict.denial.grammar import Denial, denials
from cado_ops.verdict.denial.known_access import DENIED_CODES
from cado_ops.verdict.denial.known_acquisition import AGENT, PLAIN_STATUSES, STATUSES
from cado_ops.verdict.denial.lookup import BY_CODE, CODES, COMMON, PHRASES, action_of, bare, may_be_one
from cado_ops.verdict.denial.model import Told

_NEAR = 500  # characters between the parts of one error
_FIELD = 8  # and between the fields of one object

_FRAME = re.compile(
    r"\bAn\serror\soccurred\s\((?P<code>[^)\s]{1,100})\)\swhen\scalling\sthe\s(?P<operation>\w{1,80})\soperation"
    r"(?:\s\(reached\smax\sretries:\s\d{1,4}\))?"
    r"|\boperation\serror\s(?P<service>[A-Za-z0-9\s]{1,40}):\s(?P<go>\w{1,80}),"
)
_API_ERROR = re.compile(r"\bapi\serror\s(?P<code>[\w.]{1,100}):")
# JSON, a repr of Python's, XML, the old Java and JavaScript SDKs.
_CODE_FIELD = re.compile(
    r"""["'](?:errorCode|ErrorCode|Code|code|__type|Reason)["']\s?:\s?["'](?P<json>[\w.#:/-]{3,120})["']"""
    r"|<(?:Code|Reason)>(?P<xml>[\w.]{3,100})</(?:Code|Reason)>"
    r"|\b[Ee]rror\s?[Cc]ode:\s?(?P<java>[\w.]{3,100})"
)
_BARE_CODE = re.compile(
    r"(?<![\w.$/-])(?:Client\.|Server\.)?(?P<code>[A-Z][A-Za-z]{3,60}(?:\.[A-Z][A-Za-z]{2,40})?)(?![\w/-])"
)
_REASON = re.compile(r"(?<!\w)(?P<code>[A-Z]{4,30}(?:_[A-Z]{2,30}){1,4})(?!\w)")
_GENERIC = re.compile(
    r"(?:\bAPI:\s(?P<action>[a-z0-9-]{1,40}:\w{1,80})\s)?\bYou\sare\snot\sauthorized\sto\sperform\sthis\soperation\b"
)
_ENCODED = re.compile(
    r"\bEncoded\sauthorization\sfailure\smessage:?\s?[\"'`]?(?P<message>[A-Za-z0-9_=+/-]{4,10240}(?:\n[A-Za-z0-9_=+/-]{4,10240})*+)?"
)
_STATUS = re.compile(
    r"""\b[Ss]tatus\s?[Dd]etails?["']?\s?[:=]?\s?["']?(?P<status>[A-Z][A-Za-z]{4,20}(?:\s[A-Z][a-z]{2,10}){0,2})"""
    # In a sentence, only words that other commands do not end with.
    r"|\b(?:[Cc]ommand|[Ii]nvocation)\b[^\n]{0,120}?\b"
    r"(?P<told>Undeliverable|(?:Delivery|Execution)\s?Timed\s?Out|Invalid\s?Platform|NoInstancesInTag)\b"
)
_INSTANCE_NEAR = re.compile(r"(?<![\w-])(m?i-(?:[0-9a-f]{17}|[0-9a-f]{8}))(?!\w)")

_OWN_CODES = CODES - COMMON

Kind = Literal["frame", "denial", "generic", "encoded", "known", "status", "code", "trailing"]


@dataclass(slots=True)
class _Mark:
    start: int
    end: int
    kind: Kind
    match: re.Match[str] | None = None
    denial: Denial | None = None
    value: object = None


def find(text: str) -> list[Told]:
    """The errors of one flowing text (`clean.flowing`)."""
    errors: list[Told] = []
    last_end = -_NEAR - 1
    for mark in _marks(text):
        current = errors[-1] if errors and mark.start - last_end <= _NEAR else None
        if current is None or not _joins(current, mark, last_end):
            if mark.kind == "trailing" and str(mark.value).isupper():
                continue  # a reason of EBS direct stands beside a code
            current = Told()
            errors.append(current)
        _add(current, mark, text)
        last_end = max(last_end, mark.end) if errors[-1] is current else mark.end
    return _without_echoes(errors)


def _marks(text: str) -> list[_Mark]:
    marks: list[_Mark] = []
    if "authorized" in text:
        marks += [_Mark(each.start, each.end, "denial", denial=each) for each in denials(text)]
        marks += [_Mark(m.start(), m.end(), "generic", m) for m in _GENERIC.finditer(text)]
    if "Context:" in text:
        marks += [_Mark(each.start, each.end, "denial", denial=each) for each in boxes(text)]
    if "Encoded" in text:
        marks += [_Mark(m.start(), m.end(), "encoded", m) for m in _ENCODED.finditer(text)]
    marks += [_Mark(m.start(), m.end(), "frame", m) for m in _FRAME.finditer(text)]
    marks += [_Mark(m.start(), m.end(), "code", m, value=bare(m["code"])) for m in _API_ERROR.finditer(text)]
    for pattern, literal, known in PHRASES:
        if literal in text:
            marks += [_Mark(m.start(), m.end(), "known", m, value=known) for m in pattern.finditer(text)]
    marks += _codes(text)
    marks += _statuses(text)
    marks.sort(key=attrgetter("start", "end"))
    return marks


def _codes(text: str) -> Iterator[_Mark]:
    for field in _CODE_FIELD.finditer(text):
        code = bare(field["json"] or field["xml"] or field["java"])
        kind: Kind = "trailing" if field["java"] else "code"
        # A field of that name may hold anything: what is no code that we know begins no error.
        if code in CODES:
            yield _Mark(field.start(), field.end(), kind, field, value=code)
    for word in _BARE_CODE.finditer(text):
        code = word["code"]
        if code in _OWN_CODES and _stands_as_code(text, word.start(), word.end(), code):
            yield _Mark(word.start(), word.end(), "code", value=code)
    for reason in _REASON.finditer(text):
        if reason["code"] in CODES:
            yield _Mark(reason.start(), reason.end(), "trailing", value=reason["code"])


def _stands_as_code(text: str, start: int, end: int, code: str) -> bool:
    """Whether a word is used as a code: before a colon, alone on its line, in brackets, or in a class's name."""
    before, after = text[max(0, start - 2) : start], text[end : end + 1]
    if after == ":" or before == "::" or (before[-1:] == "(" and after == ")"):
        return True
    alone = before[-1:] in ("", "\n") and after in ("", "\n", ".")
    # In a sentence, only what can be nothing but AWS's: denied is what other programs say as well.
    return alone or (code not in DENIED_CODES and code.endswith(("Exception", "Error"))) or "." in code


def _statuses(text: str) -> Iterator[_Mark]:
    for match in _STATUS.finditer(text):
        words = (match["status"] or match["told"]).split()
        # "Delivery Timed Out" as the console has it; what follows may begin another sentence.
        for count in (3, 2, 1):
            status = "".join(words[:count]).lower()
            if status in STATUSES and len(words) >= count:
                yield _Mark(match.start(), match.end(), "status", value=status)
                break
    alone = "".join(text.split()).strip(".\"'").lower()
    if len(text) < 40 and alone in PLAIN_STATUSES:
        yield _Mark(0, len(text), "status", value=alone)


def _joins(error: Told, mark: _Mark, last_end: int) -> bool:
    """Whether a mark belongs to the error that came before it."""
    match mark.kind:
        case "frame":
            # A traceback names the class first: AccessDeniedException: An error occurred (AccessDeniedException) …
            # One that was caught and raised again stands in its own frame.
            found = mark.match
            code, operation = (bare(found["code"]), found["operation"] or found["go"]) if found else (None, None)
            return may_be_one(error.code, code) and not error.content and error.operation in (None, operation)
        case "denial":
            return not error.denial and (error.known is None or error.generic)
        case "generic":
            return not error.content
        case "encoded":
            return error.encoded is None and (error.content or error.code is not None)
        case "known":
            return (
                not error.denial
                and error.status is None
                and (error.known is None or error.known is mark.value or _same(error, mark))
            )
        case "status":
            return not error.content and error.code is None
        case "trailing":
            return error.code in (None, mark.value) or str(mark.value).isupper()
        case "code":
            if error.denial and error.code is None and mark.match is not None:
                # A repr of boto3's has the message first: {'Error': {'Message': …, 'Code': …}}.
                return mark.start - last_end <= _FIELD
            if error.content or error.encoded:
                return error.code == mark.value and not error.denial
            return may_be_one(error.code, str(mark.value))
    return False


def _same(error: Told, mark: _Mark) -> bool:
    """Two phrases of one sentence."""
    known = mark.value
    return error.known is not None and getattr(known, "kind", None) == error.known.kind


def _add(error: Told, mark: _Mark, text: str) -> None:
    match = mark.match
    if mark.denial is not None:
        told = mark.denial
        error.denial = True
        error.action, error.principal, error.resource = told.action, told.principal, told.resource
        error.denied_by, error.explicit = told.denied_by, told.explicit
        error.policy_arn, error.because = told.policy_arn, told.because
    elif mark.kind == "frame" and match is not None:
        operation = match["operation"] or match["go"]
        error.operation, error.code = operation, bare(match["code"]) or error.code
        error.action = error.action or action_of(operation)
        if match["service"] and error.action is None:
            error.action = f"{match['service'].replace(' ', '').lower()}:{operation}"
    elif mark.kind == "generic" and match is not None:
        error.generic, error.action = True, error.action or match["action"]
    elif mark.kind == "encoded" and match is not None:
        error.generic = True
        error.encoded = (match["message"] or "").replace("\n", "") or None
        if error.encoded is None or text.startswith(("...", "…"), match.end()):
            error.encoded, error.decoded = None, "The encoded message is cut short here: paste it whole."
    elif mark.kind == "known" and match is not None:
        _add_known(error, mark, match, text)
    elif mark.kind == "status":
        error.status = str(mark.value)
        near = _INSTANCE_NEAR.findall(text[max(0, mark.start - _NEAR) : mark.end + _NEAR])
        error.resource = near[0] if len(set(near)) == 1 else None
    elif mark.kind in ("code", "trailing"):
        code = str(mark.value)
        if mark.kind == "trailing" and code.isupper() and code in BY_CODE:
            # A reason of EBS direct says more than the code that it stands beside.
            error.known = BY_CODE[code]
        else:
            error.code = error.code or code


def _add_known(error: Told, mark: _Mark, match: re.Match[str], text: str) -> None:
    if error.known is None:
        error.known = mark.value  # type: ignore[assignment]
    groups = {name: value for name, value in match.groupdict().items() if value}
    if error.known is not None and error.known.kind == AGENT and "instance" not in groups:
        groups["instance"] = _instances_before(text, mark.start)
    error.resource = error.resource or groups.get("instance") or groups.get("key") or groups.get("resource")
    error.account = error.account or groups.get("account")
    error.document = error.document or groups.get("document")


def _instances_before(text: str, at: int) -> str:
    """The ids in the brackets of "Instances [[i-…, i-…]] not in a valid state"; nothing, where there are none."""
    begin = text.rfind("[", max(0, at - 1_500), at)
    return ", ".join(dict.fromkeys(_INSTANCE_NEAR.findall(text, begin, at))) if begin >= 0 else ""


def _without_echoes(errors: list[Told]) -> list[Told]:
    """Without codes that stand alone where another error tells the same code whole: lines of a traceback."""
    whole = {error.code for error in errors if error.content or error.encoded or error.operation}
    return [
        error for error in errors if error.content or error.encoded or error.operation or error.code not in whole
    ]
