"""How much a policy may hold. A file of a MiB can mean hours of comparing, and is then no policy that AWS takes.

"IAM and AWS STS quotas", IAM User Guide, and "Quotas", KMS Developer Guide: the longest policy has 32,768
characters; all that one role has, managed policies included, has some 140,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cado_ops.arns import shown
from cado_ops.errors import PolicyError
from cado_ops.policy.document import Document, Statement
from cado_ops.policy.elements import Intrinsic, Value

MAX_STATEMENTS = 500
MAX_VALUES = 10_000
# Tags' values and documents' names by wildcard are tried one by one, each against all that the policies say.
MAX_TRIED = 400
# "IAM identifiers": an ARN has up to 2,048 characters. What CloudFormation fills in may be written at more length.
MAX_STRING, MAX_INTRINSIC = 2_048, 16_384


def check_bounds(documents: Sequence[Document], where: str) -> None:
    """Raises PolicyError where the policies of one holder are more than anybody has."""
    statements = [each for document in documents for each in document.statements]
    values = [value for each in statements for value in _values(each)]
    for value in values:
        if len(str(value)) > (MAX_INTRINSIC if isinstance(value, Intrinsic) else MAX_STRING):
            raise PolicyError(f"{where}: {shown(str(value))} has {len(str(value))} characters, which no value has")
    for number, bound, what in (
        (len(statements), MAX_STATEMENTS, "statements"),
        (len(values), MAX_VALUES, "values"),
        (sum(map(_tried, statements)), MAX_TRIED, "values of tags and documents by wildcard"),
    ):
        if number > bound:
            raise PolicyError(f"{where}: {number} {what} in one policy, and no more than {bound} are looked at")


def _values(statement: Statement) -> Iterable[Value]:
    for listed in (statement.actions, statement.not_actions, statement.resources, statement.not_resources):
        yield from listed or ()
    for principal in (statement.principal, statement.not_principal):
        for _, names in principal.entries if principal is not None else ():
            yield from names
    for condition in statement.conditions:
        yield from condition.values


def _tried(statement: Statement) -> int:
    tags = sum(len(each.values) for each in statement.conditions if "tag/" in each.key.lower())
    resources = statement.resources or ()
    return tags + sum(":document/" in str(each) and bool(set("*?") & set(str(each))) for each in resources)
