"""The names that a rendered policy speaks of: partition, account, regions, roles, keys.

A name may be a `Token`: something that the template knows when it is deployed (its account, a parameter). Documents
carry tokens as marked text, and `render` turns them into what CloudFormation and Terraform say for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cado_ops.arns import ACCOUNT_ID

# Private-use characters: no ARN and no name that AWS takes has them. A file may, around any word: only ours count.
_OPEN, _CLOSE = "\ue000", "\ue001"
_KNOWN = ("Partition", "AccountId", "CadoRoleName", "OperatorRoleName", "ExternalId", "TrustedPrincipal")
TOKEN = re.compile(f"{_OPEN}({'|'.join(_KNOWN)}){_CLOSE}")

# An identity policy can name its own account without knowing it ("IAM policy elements: Variables and tags").
OWN_ACCOUNT = "${aws:PrincipalAccount}"


def token(name: str) -> str:
    """Marked text for what a template knows: ``Partition``, ``AccountId``, or a parameter's name."""
    return f"{_OPEN}{name}{_CLOSE}"


PARTITION = token("Partition")
ACCOUNT = token("AccountId")
CADO_ROLE = token("CadoRoleName")
OPERATOR_ROLE = token("OperatorRoleName")
EXTERNAL_ID = token("ExternalId")
TRUSTED = token("TrustedPrincipal")


@dataclass(frozen=True, slots=True)
class Names:
    """``account`` is the one that the policy is in; ``*`` in ``accounts`` and ``regions`` is any.

    ``cado_role`` and ``operator_role`` are a path and a name without the leading slash: ``ir/CadoOperator``.
    ``cado_account`` is the Cado role's, where a key is of another.
    """

    partition: str = "aws"
    account: str = OWN_ACCOUNT
    accounts: str = "*"
    regions: tuple[str, ...] = ("*",)
    cado_role: str = "CadoResponseRole"
    operator_role: str = "CadoOperator"
    cado_account: str | None = None

    def arn(self, service: str, region: str, account: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def regional(self, service: str, account: str, resource: str) -> tuple[str, ...]:
        """The ARNs of a resource in each region."""
        return tuple(self.arn(service, region, account, resource) for region in self.regions)

    def role(self, name: str, account: str | None = None) -> str:
        return self.arn("iam", "", account or self.account, f"role/{name}")

    @property
    def cado_role_arn(self) -> str:
        return self.role(self.cado_role, self.cado_account)

    @property
    def operator_role_arn(self) -> str:
        return self.role(self.operator_role)

    @property
    def instances(self) -> tuple[str, ...]:
        return self.regional("ec2", self.accounts, "instance/*")

    @property
    def names_its_account(self) -> bool:
        """Whether the account is known, now or on deployment: a key policy has no variable for its own."""
        return bool(re.fullmatch(ACCOUNT_ID, self.account) or TOKEN.fullmatch(self.account))
