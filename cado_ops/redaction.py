"""Secrets taken out of text that somebody may read: tracebacks, SDK logs, answers that were no answers. Pure."""

from __future__ import annotations

import re
import traceback

from cado_ops.visible import sanitize

MARK = "(redacted)"

# The names under which AWS's requests and answers carry secrets: STS, SSO and sign-in credentials, grant tokens,
# MFA codes and what proves an identity to STS.
_NAMES = (
    r"(?:GrantTokens?|SecretAccessKey|SecretKey|SessionToken|Security-?Token|aws_secret_access_key|"
    r"aws_session_token|secret_access_key|session_token|AccessToken|RefreshToken|IdToken|ClientSecret|TokenCode|"
    r"WebIdentityToken|SAMLAssertion|Bearer)"
)
# A value ends where its notation says so; cut short, at the end of the text.
_FORMS = (
    # A list of tokens, to its end.
    re.compile(r"""(GrantTokens\\?["']?\s*[:=]\s*\[)([^\]]*)""", re.IGNORECASE),
    # JSON and Python's repr, also within a repr of bytes: "GrantToken": "…", 'X-Amz-Security-Token': b'…'
    re.compile(rf"""({_NAMES}\\?["']\s*:\s*b?\\?["'])((?:[^"'\\]|\\[^"'])*)""", re.IGNORECASE),
    # The token that container credentials come with is called just that.
    re.compile(r"""(\\?["']Token\\?["']\s*:\s*b?\\?["'])((?:[^"'\\]|\\[^"'])*)"""),
    # XML: <SessionToken>…</SessionToken>
    re.compile(rf"(<{_NAMES}>)([^<]*)", re.IGNORECASE),
    # A header or a canonical request: x-amz-security-token:…
    re.compile(rf"((?:x-amz-)?{_NAMES}:[ \t]*)([^\s\"'\\,&}}\]]+)", re.IGNORECASE),
    # A query string or a form: TokenCode=…
    re.compile(rf"((?:X-Amz-)?{_NAMES}=)([^\s&\"'\\)]+)", re.IGNORECASE),
    re.compile(r"(Signature=)([0-9a-f]{16,})"),
)


def redacted(text: str) -> str:
    """``text`` with the values of secrets replaced by a mark. What is no secret stays as it is."""
    for form in _FORMS:
        text = form.sub(lambda match: match[1] + MARK, text)
    return text


def trace(error: BaseException) -> str:
    """A traceback without secrets. What an exception says is one line: it can pass for no other."""
    lines: list[str] = []
    for piece in traceback.TracebackException.from_exception(error).format():
        # The frames, and what stands between two tracebacks, are Python's own words; all else is the exception's.
        own = piece.startswith(("  File ", "Traceback ", "\n"))
        told = redacted(piece.rstrip("\n"))
        lines += map(sanitize, told.split("\n") if own else [told])
    return "\n".join(lines) + "\n"
