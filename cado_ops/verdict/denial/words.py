"""Pieces of sentences that several explanations share. What comes from the text is shortened and made harmless."""

from __future__ import annotations

import re

from cado_ops.verdict.denial import fixes
from cado_ops.verdict.denial.model import Told

_HARMLESS = re.compile(r"[\w+=,.@:/*<>-]{1,240}+(?: [\w+=,.@:/*<>-]{1,240}+){0,3}", re.ASCII)


def named(text: str, limit: int = 120) -> str:
    """A name out of the text, as it may stand in a sentence."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text if _HARMLESS.fullmatch(text.removesuffix("…")) else repr(text)


def role_of(principal: str | None) -> str | None:
    """The role's name in the ARN of a role or of its session."""
    found = fixes.arn(principal)
    if found is None or not found.rest.startswith(("assumed-role/", "role/")):
        return None
    parts = found.rest.split("/")
    return parts[1] if parts[0] == "assumed-role" else parts[-1]


def is_cado_role(principal: str | None) -> bool:
    """By its name, which has to contain one of these; a role of another name may still be the one."""
    role = role_of(principal) or ""
    return "CadoResponse" in role or "DarktraceForensics" in role


def place_of(told: Told) -> str:
    """Where the request went, as far as the text says it."""
    found = fixes.arn(told.resource)
    account = told.account or (found.account if found else None)
    region = fixes.region(told.region) or (found.region if found else None)
    if account and region:
        return f" Asked was account {account}, region {region}."
    if account or region:
        return f" Asked was {'account' if account else 'region'} {account or region}."
    return ""
