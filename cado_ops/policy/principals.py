"""Whether a statement's Principal or NotPrincipal means the one who asks, and how directly it names him.

"IAM JSON policy elements: Principal" and "NotPrincipal", IAM User Guide.
"""

from __future__ import annotations

import re
from enum import IntEnum

from cado_ops.policy.answer import NO, Answer, all_of, answer, any_of, negated, unknown
from cado_ops.policy.document import ALLOW, Intrinsic, Principal, Statement, Value
from cado_ops.policy.matching import not_deployed
from cado_ops.policy.request import Request


class Level(IntEnum):
    """How a resource policy names the caller: what that is worth differs in the caller's own account.

    "Policy evaluation for requests within a single account": what is given to a session or a user is not limited by
    implicit denials elsewhere; what is given to a role is, by its boundary and session policy; what is given to the
    account has to be passed on by its IAM policies.
    """

    ACCOUNT = 0
    ROLE = 1
    EVERYONE = 2  # "*": whether implicit denials elsewhere limit that is not documented
    EXACTLY = 3


def named(statement: Statement, request: Request) -> dict[Level, Answer]:
    """For each level, whether the statement names the caller in that way."""
    if statement.principal is not None:
        return {level: _named(statement.principal, request, level) for level in Level}
    if statement.not_principal is not None:
        reached = _not_principal(statement, statement.not_principal, request)
        return {**dict.fromkeys(Level, NO), Level.EVERYONE: reached}
    # A trust or key policy without it is refused by AWS; in the others it is not there at all.
    return dict.fromkeys(Level, NO)


def _named(principal: Principal, request: Request, level: Level) -> Answer:
    if principal.whole is not None:
        return not_deployed(principal.whole)
    if principal.everyone:
        return answer(level is Level.EVERYONE)
    if request.is_service:
        names = principal.of("Service")
        return any_of(_same(each, request.principal) for each in names) if level is Level.EXACTLY else NO
    return any_of(_aws(each, request, level) for each in principal.of("AWS"))


def _aws(name: Value, request: Request, level: Level) -> Answer:
    if isinstance(name, Intrinsic):
        return not_deployed(name)
    if name == "*":
        return answer(level is Level.EVERYONE)
    account = request.principal_account
    if re.fullmatch(r"[0-9]{12}", name) or name == _root_arn(request):
        means_it = name in (account, _root_arn(request))
        # The root user is its account, and needs nobody's leave.
        return answer(means_it and level is (Level.EXACTLY if request.is_root else Level.ACCOUNT))
    if re.fullmatch(r"A[A-Z]{3}[A-Z0-9]{12,}", name):
        # "Unique identifiers": what AWS shows where the principal is gone; it may also be the one that asks.
        wanted = Level.ROLE if name.startswith("AROA") else Level.EXACTLY
        kind = {"AROA": request.is_role, "AIDA": ":user/" in request.principal}.get(name[:4], False)
        return unknown(f"whose id {name} is") if level is wanted and kind else NO
    if request.is_role:
        if level is Level.ROLE:
            return answer(name == request.principal)
        if level is Level.EXACTLY and ":assumed-role/" in name:
            return _session(name, request)
        return NO
    return answer(level is Level.EXACTLY and name == request.principal)


def _session(name: str, request: Request) -> Answer:
    if request.session is not None:
        return answer(name == request.session)
    # arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION, and the role's own ARN has a path that this one lacks.
    role = request.principal.rpartition("/")[2]
    mine = name.split(":")[4] == request.principal_account and name.split("/")[1:2] == [role]
    return unknown(f"the request does not tell the session's name, and {name} is one") if mine else NO


def _same(name: Value, principal: str) -> Answer:
    return not_deployed(name) if isinstance(name, Intrinsic) else answer(name == principal)


def _root_arn(request: Request) -> str:
    partition = request.principal.split(":")[1] if request.principal.startswith("arn:") else "aws"
    return f"arn:{partition}:iam::{request.principal_account}:root"


def _not_principal(statement: Statement, principal: Principal, request: Request) -> Answer:
    """Whether the statement reaches the caller. It spares him for certain if all that he is is listed.

    "NotPrincipal with Deny": the account of a principal that is to be spared has to be listed too, and of a session
    the role as well; otherwise the policy "might deny access", depending on the service.
    """
    if principal.whole is not None:
        return not_deployed(principal.whole)
    if principal.everyone:
        return NO
    listed = {level: _named(principal, request, level) for level in Level}
    if statement.effect == ALLOW:
        return negated(any_of(listed.values()))
    if request.is_service or request.is_root:
        return negated(listed[Level.EXACTLY])
    if listed[Level.EVERYONE].certain:
        return NO
    by_name = [listed[Level.EXACTLY], *([listed[Level.ROLE]] if request.is_role else [])]
    some, whole = any_of(by_name), all_of([*by_name, listed[Level.ACCOUNT]])
    if some.value is not False and whole.value is False:
        return unknown("NotPrincipal lists the caller, and not all of its account, role and session")
    return negated(all_of([some, whole]))
