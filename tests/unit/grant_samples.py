"""Grants and keys for the tests: one of each kind, and hypothesis strategies for any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from cado_ops.grant_name import GrantName, digest_of
from cado_ops.grant_operations import FULL, OPERATIONS
from cado_ops.model import Cell, Grant, Key

ACCOUNT, OTHER_ACCOUNT = "2" * 12, "3" * 12
CELL = Cell(ACCOUNT, "eu-west-1")
KEY_ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000001"
OTHER_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000002"
CADO = f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole"
OPS = f"arn:aws:iam::{ACCOUNT}:role/ir/CadoOperator"
OTHER_OPS = f"arn:aws:iam::{ACCOUNT}:role/ir/OtherOperator"
GONE_ROLE = "AROA0123456789ABCDEFG"
EBS = f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"
CREATED = datetime(2026, 11, 23, 17, 45, tzinfo=UTC)
EARLY, LATE = datetime(2026, 11, 24, 18, tzinfo=UTC), datetime(2026, 11, 28, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def grant_id(number: int) -> str:
    return f"{number:064x}"


def name_of(
    case: str | None = "IR-42",
    due: datetime | None = None,
    *,
    key_arn: str = KEY_ARN,
    grantee: str = CADO,
    operations: Iterable[str] = FULL,
    constraints: Mapping[str, Any] | None = None,
) -> str:
    return str(GrantName(case, due, digest_of(key_arn, grantee, operations, constraints or {})))


def a_grant(number: int = 1, **changes: Any) -> Grant:
    """A grant that nobody claims, for the Cado role; ``changes`` are fields of Grant."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "region": "eu-west-1",
        "key_arn": KEY_ARN,
        "grant_id": grant_id(number),
        "name": None,
        "grantee_principal": CADO,
        "operations": FULL,
        "retiring_principal": OPS,
        "issuing_account": ACCOUNT,
        "constraints": {},
        "created": CREATED,
    }
    return Grant(**(fields | changes))


def our_grant(number: int = 1, case: str | None = "IR-42", due: datetime | None = None, **changes: Any) -> Grant:
    """A grant of ours: its name has our form, and the hash in it is that of its terms."""
    grant = a_grant(number, **changes)
    name = name_of(
        case,
        due,
        key_arn=grant.key_arn,
        grantee=grant.grantee_principal or "",
        operations=grant.operations,
        constraints=grant.constraints,
    )
    return a_grant(number, **(changes | {"name": name}))


def a_key(**changes: Any) -> Key:
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "region": "eu-west-1",
        "arn": KEY_ARN,
        "manager": "CUSTOMER",
        "state": "Enabled",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT",
    }
    return Key(**(fields | changes))


CASES = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
DUES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
OPERATION_SETS = st.sets(st.sampled_from(sorted(OPERATIONS)), min_size=1).map(lambda some: tuple(sorted(some)))
CONTEXTS = st.dictionaries(st.text(max_size=6), st.text(max_size=6), min_size=1, max_size=2)
CONSTRAINTS = st.fixed_dictionaries(
    {},
    optional={
        "EncryptionContextSubset": CONTEXTS,
        "EncryptionContextEquals": CONTEXTS,
        "SourceArn": st.just(f"arn:aws:s3:::bucket-of-{ACCOUNT}"),
    },
)
KEY_ARNS = st.sampled_from([KEY_ARN, OTHER_KEY]) | st.uuids().map(
    lambda each: f"arn:aws:kms:us-east-1:{OTHER_ACCOUNT}:key/{each}"
)
# Whoever may hold a grant: roles, users, sessions, ids of roles that are gone.
STRANGERS = st.sampled_from(
    [
        f"arn:aws:iam::{ACCOUNT}:role/Payroll",
        f"arn:aws:iam::{ACCOUNT}:user/me",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoResponseRole/session",
        f"arn:aws:iam::{OTHER_ACCOUNT}:role/CadoResponseRole",
        f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole2",
        f"arn:aws:iam::{ACCOUNT}:role/x/CadoResponseRole",
    ]
)
SERVICES = st.sampled_from(
    [
        EBS,
        "arn:aws-cn:sts::222222222222:assumed-role/aws:ec2-infrastructure/i-0a",
        "rds.amazonaws.com",
        "ec2.eu-west-1.amazonaws.com",
        "autoscaling.amazonaws.com.cn",
        "rds.amazonaws.eu",
        "ec2.c2s.ic.gov",
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    ]
)
GRANTEES = st.sampled_from([CADO, GONE_ROLE, "AIDA0123456789ABCDEFG"]) | STRANGERS | SERVICES
