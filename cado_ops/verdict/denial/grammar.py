"""AWS's sentence for a denial, taken apart.

IAM User Guide, "Troubleshoot access denied error messages": *User* is not authorized to perform *action* on
resource *resource*, then ``because no TYPE allows the ACTION action`` (implicit) or ``with an explicit deny in a
TYPE`` (explicit), which since 2026 may name the policy. Services leave out parts of it, quote some, or say
"on this resource". KMS says that a key is missing or closed in one sentence, so that nobody learns which.

Every pattern is bounded, and looks at a window of bounded size: no text can make it slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cado_ops.verdict.denial.model import UNKNOWN

_BEFORE = 700
_AFTER = 3000
_LONGEST = 1100  # of a resource: an S3 object's ARN

PERFORM = re.compile(
    r"\bnot\sauthorized\sto\sperform:?\s?[`'\"]?(?P<service>[A-Za-z0-9-]{1,40}):`?(?P<name>[A-Za-z][A-Za-z0-9]{0,80})"
    r"(?!\w|:\w|/)[`'\"]?",
    re.IGNORECASE,
)
_USER = re.compile(r"\b(?:User|Principal|Caller|Role|Identity):\s?|\b(?:User|Role)\s", re.IGNORECASE)
_ARN = re.compile(r"arn:[a-z0-9-]{1,30}:[^\s\"'`<>|]{1,1050}", re.IGNORECASE)
_RESOURCE = re.compile(
    r"\s?(?:on(?:\s(?:the|this|these))?\s(?:specified\s)?resources?(?:\s(?:associated\swith\sthis\sciphertext|with\sARN))?"
    r"(?P<colon>:)?|on(?=:?\s?[\"'`]?arn:):?)\s?",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"(?P<implicit>because\sno\s(?P<none>[A-Za-z][A-Za-z\s-]{2,60}?)"
    r"(?:\s?[:(]?\s?[\"'`]?(?P<arn>arn:[a-z0-9-]{1,30}:[^\s\"'`;)<]{1,600})[\"'`)]?)?\sallows?\b)"
    r"|(?P<explicit>with\san\sexplicit\sdeny(?:\sin\s(?:(?:an?|the)\s)?"
    r"(?P<some>[A-Za-z][A-Za-z\s-]{2,60}?(?:policy|policies|boundary|boundaries)\b))?)"
    r"|(?P<either>because\sthe\sresource\sdoes\snot\sexist\sin\sthis\sRegion,\sno\sresource-based)"
    r"|(?P<other>\bbecause\s(?P<reason>[^.\n\"]{3,200}))",
    re.IGNORECASE,
)
_THROUGH = re.compile(
    r"\stransitively\sthrough\s(?:an?|the)\s(?P<type>[A-Za-z\s-]{3,40}?(?:policy|boundary)\b)", re.I
)
_POLICY_ARN = re.compile(
    r"(?:,?\swith\spolicy\sARN)?\s?[:(]?\s?[\"'`]?(?P<arn>arn:[a-z0-9-]{1,30}:[^\s\"'`;)<]{1,600})", re.IGNORECASE
)
# Names of IAM stand behind what they are: "role NAME", "policy NAME", "instance profile NAME".
_NAMED = re.compile(
    r"(?:role|user|group|policy|mfa|server\scertificate|instance\sprofile|access\skey)\s[\w+=,.@/-]{1,130}", re.I
)
_TYPES = (
    ("service control", "scp"),
    ("resource control", "rcp"),
    ("endpoint", "vpc-endpoint-policy"),
    ("boundar", "permissions-boundary"),
    ("session", "session-policy"),
    ("trust", "trust-policy"),
    ("identity", "identity-policy"),
    ("iam policy", "identity-policy"),
    ("resource", "resource-policy"),
)


@dataclass(frozen=True, slots=True)
class Denial:
    """The sentence, taken apart; ``start`` and ``end`` are where it stands. What it leaves out is None."""

    start: int
    end: int
    action: str
    principal: str | None = None
    resource: str | None = None
    denied_by: str = UNKNOWN
    explicit: bool | None = None
    policy_arn: str | None = None
    because: str | None = None


def policy_type(words: str | None) -> str:
    """``denied_by`` for AWS's words: "an identity-based policy", "permissions boundary"."""
    lower = " ".join((words or "").lower().split())
    return next((kind for word, kind in _TYPES if word in lower), UNKNOWN)


def denials(text: str) -> Iterator[Denial]:
    """Every such sentence in the text, in order. ``text`` has single blanks, and line ends where lines broke."""
    found = list(PERFORM.finditer(text))
    begin = 0
    for number, match in enumerate(found):
        limit = found[number + 1].start() if number + 1 < len(found) else len(text)
        begin, principal = _principal(text, max(begin, match.start() - _BEFORE), match.start())
        denial = _rest(text, begin, match, min(limit, match.end() + _AFTER), principal)
        yield denial
        begin = denial.end


def _principal(text: str, low: int, high: int) -> tuple[int, str | None]:
    before = text[low:high].rstrip()
    for word in ("is", "are"):
        if re.search(rf"\s{word}$", before):
            before = before[: -len(word)].rstrip()
    users = list(_USER.finditer(before))
    if users:
        last = users[-1]
        name = before[last.end() :].strip(" \n\"'`")
        if 0 < len(name) <= 600 and (" " not in name or name.startswith("arn:") or name[:1] in "<["):
            return low + last.start(), _joined(name)
        if not name:
            return low + last.start(), None
    token = before.rsplit(None, 1)[-1:] or [""]
    name = token[0].strip("\"'`(:")
    if name.startswith("arn:"):
        return low + before.rindex(token[0]), name
    # "User is not authorized": nobody is named.
    bare = re.search(r"\bUser$", before)
    return (low + bare.start() if bare else high), None


def _rest(text: str, begin: int, match: re.Match[str], limit: int, principal: str | None) -> Denial:
    after = text[match.end() : limit]
    action = f"{match['service']}:{match['name']}"
    named = _RESOURCE.match(after)
    at = named.end() if named else 0
    context = _CONTEXT.search(after, at, min(len(after), at + _LONGEST + 200))
    between = after[at : context.start()] if context else ""
    resource: str | None = None
    if context and not _belongs(between, bool(named)):
        context = None
    if named:
        resource, length = _resource(between if context else after[at : at + _LONGEST], bool(context), named)
        end = context.end() if context else at + length
    else:
        end = context.end() if context else 0
    denied_by, explicit, because, arn = UNKNOWN, None, None, None
    if context and context["implicit"]:
        denied_by, explicit = policy_type(context["none"]), False
        # "because no identity-based policy allows the ssm:SendCommand action"
        tail = re.compile(r"\s(?:the\s)?[\w-]{1,40}:\w{1,80}(?:\saction)?").match(after, end)
        end = tail.end() if tail else end
        arn = context["arn"]
        if arn is None:
            arn, end = policy_arn(after, end)
    elif context and context["explicit"]:
        denied_by, explicit = policy_type(context["some"]), True
        if through := _THROUGH.match(after, end):
            because, end = " ".join(through[0].split()), through.end()
        if policy := _POLICY_ARN.match(after, end):
            arn, end = policy["arn"].rstrip(".:,"), policy.end()
    elif context and context["either"]:
        because = "the key is not there, or its policy does not let you in"
    elif context and context["other"]:
        because = " ".join(context["reason"].split())
    return Denial(begin, match.end() + end, action, principal, resource, denied_by, explicit, arn, because)


def _is_policys(arn: str) -> bool:
    """Whether an ARN is a policy's, or an endpoint's: behind a denial may stand who was denied next."""
    return "policy/" in arn or ":vpc-endpoint/" in arn


def policy_arn(text: str, at: int) -> tuple[str | None, int]:
    """The ARN of a policy that stands there, and where it ends."""
    found = _POLICY_ARN.match(text, at)
    return (found["arn"].rstrip(".:,"), found.end()) if found and _is_policys(found["arn"]) else (None, at)


def _belongs(between: str, named: bool) -> bool:
    """Whether what stands between the resource and its reason is a resource, and not another sentence."""
    text = between.strip(" \n\"'`,.")
    if not text:
        return True
    return named and (_is_arn(text) or len(text.split()) <= 3)


def _is_arn(text: str) -> bool:
    # An S3 object's key may have blanks; a line end within any ARN is where the line was broken.
    return text.startswith("arn:") and (":s3:" in text[:20] or _ARN.fullmatch(_joined(text)) is not None)


def _resource(text: str, whole: bool, named: re.Match[str]) -> tuple[str | None, int]:
    """The resource at the beginning of ``text`` (all of it, where a reason follows), and how far it reaches."""
    if whole:
        name = text.strip(" \n\"'`,.")
        return (_joined(name) or None), len(text)
    if quoted := re.match(r"([\"'`])([^\"'`]{1,1050})\1", text):
        return _joined(quoted[2].strip()) or None, quoted.end()
    if arn := _ARN.match(text):
        return arn[0].rstrip(".,;)]}"), arn.end()
    if of_iam := _NAMED.match(text):
        return " ".join(of_iam[0].split()).rstrip("."), of_iam.end()
    if named["colon"] and (word := re.match(r"[^\s\"'`<]{1,300}", text)):
        return word[0].rstrip(".,;)") or None, word.end()
    return None, 0


def _joined(name: str) -> str:
    """A name without the line ends that broke it: an ARN has no blanks of its own, another name may."""
    if not name.startswith("arn:"):
        return " ".join(name.split())
    joined = re.sub(r"\n\s?", "", name)
    return joined if ":s3:" in joined[:20] else joined.replace(" ", "")
