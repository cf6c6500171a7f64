"""What an error means here, to who prepares accounts for Cado, and the command that mends it."""

from __future__ import annotations

from dataclasses import replace

from cado_ops.verdict.denial import fixes
from cado_ops.verdict.denial.keys import grant_for
from cado_ops.verdict.denial.known_access import DENIED_CODES
from cado_ops.verdict.denial.known_acquisition import AGENT, GRANT, GRANT_QUOTA, STATUSES
from cado_ops.verdict.denial.lookup import BY_CODE, action_of
from cado_ops.verdict.denial.model import UNKNOWN, Explanation, Known, Told
from cado_ops.verdict.denial.policies import by_policy
from cado_ops.verdict.denial.words import named, place_of

NOT_KNOWN = (
    "This is no error that cado-ops knows, and it makes no guess. If it is AWS's, paste the whole message, "
    "with the words before it; CloudTrail has what was denied as errorCode and errorMessage."
)


def explain_one(told: Told, case: str | None) -> Explanation:
    """The explanation of one error."""
    told.action = told.action or action_of(told.operation)
    if told.denial or told.explicit is not None:
        return by_policy(told, case)
    if told.encoded or (told.decoded and not told.denial):
        return _encoded(told)
    if told.status is not None:
        return _status(told, case)
    known = told.known or _by_code(told)
    if known is not None:
        return _known(told, known, case)
    if told.generic or told.code in DENIED_CODES:
        return by_policy(told, case)
    return Explanation.of(told, UNKNOWN, _not_known(told))


def _not_known(told: Told) -> str:
    if told.code:
        asked = f" to {told.action or told.operation}" if told.action or told.operation else ""
        return (
            f"AWS answered {named(told.code)}{asked}. What that means here is not known to cado-ops, and it "
            "makes no guess: AWS's own message, and the service's API reference, say more."
        )
    return NOT_KNOWN


def _by_code(told: Told) -> Known | None:
    known = BY_CODE.get(told.code or "")
    if known is not None and known.kind == "quota" and (told.action or "").startswith("kms:"):
        return GRANT_QUOTA
    return known


def _known(told: Told, known: Known, case: str | None) -> Explanation:
    if known.kind == "quota" and (told.action or "").startswith("kms:"):
        known = GRANT_QUOTA
    cause, fix = known.cause, known.fix
    if known.kind == GRANT:
        fix, more = grant_for(told, case)
        cause += more
    elif known.kind == AGENT:
        cause += place_of(told)
        fix = fixes.check_command(told.resource, told.account, told.region, case)
    return Explanation.of(told, known.kind, cause, fix)


def _status(told: Told, case: str | None) -> Explanation:
    kind, cause = STATUSES[told.status or ""]
    fix = None
    if kind == "command-access-denied" and (found := fixes.instance(told.resource)):
        fix = fixes.tag_command(found, told.account, told.region, case)
    return Explanation.of(replace(told, action=told.action or "ssm:SendCommand"), kind, cause, fix)


def _encoded(told: Told) -> Explanation:
    cause = (
        "EC2 denied the request, and put who, what, on which resource and by which statement into the encoded "
        "message. " + (told.decoded or "It was not decoded.")
    )
    fix = fixes.decode_command(told.encoded, told.region) if told.encoded else None
    return Explanation.of(told, "encoded", cause, fix)
