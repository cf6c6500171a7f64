"""Whose a grant is: what decides whether this program may end it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from cado_ops.grant_name import digest_of, parse_grant_name
from cado_ops.model import Grant, Owner
from cado_ops.plan.grant_change import terms_of

# "Unique identifiers", IAM User Guide: a role's id is AROA…, a user's AIDA….
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,124}")
# A service's name is a DNS name, of another domain in each partition. EBS's grants are held by sessions of a role
# that no account has; other services by service-linked roles.
_SERVICE = re.compile(
    r"[^:/]+\.[^:/]+|arn:[^:]*:sts::[0-9]*:assumed-role/aws:.*|arn:[^:]*:iam::[0-9]*:role/aws-service-role/.*"
)


def owner_of(grant: Grant, cado_roles: Collection[str], operators: Collection[str]) -> Owner:
    """``cado_roles`` are the ARNs of the Cado roles in scope, ``operators`` those of the operator role.

    A grant is ours where the hash in its name is that of its terms. Where KMS shows the grantee as an id, as it
    does once the role is gone, the hash cannot be computed: then the form of the name and one of the ``operators``
    as its retiring principal make it ours.
    """
    if grant.grantee_service is not None or is_services(grant.grantee_principal):
        return Owner.SERVICE
    name = parse_grant_name(grant.name)
    if name is not None:
        if name.digest == digest_of(*terms_of(grant)):
            return Owner.OURS
        if is_unique_id(grant.grantee_principal) and grant.retiring_principal in operators:
            return Owner.OURS
    if grant.grantee_principal in cado_roles:
        return Owner.PLATFORM
    return Owner.OTHER


def is_unique_id(principal: str | None) -> bool:
    """Whether a principal is shown by its id: a role that was just made, or is gone."""
    return _UNIQUE_ID.fullmatch(principal or "") is not None


def is_services(principal: str | None) -> bool:
    """Whether a principal is an AWS service, or acts for one."""
    return _SERVICE.fullmatch(principal or "") is not None
