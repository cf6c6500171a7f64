"""`policy check`: everything that is wrong with the policies of a role. Pure."""

from __future__ import annotations

from cado_ops.policy.lint_kms import lint_kms
from cado_ops.policy.lint_shape import lint_shape
from cado_ops.policy.lint_ssm import lint_ssm
from cado_ops.policy.rules import Finding, Subject, in_order


def lint_role(subject: Subject) -> list[Finding]:
    """The findings on a role's policies, taken together, errors first."""
    return in_order([*lint_shape(subject), *lint_ssm(subject), *lint_kms(subject)])
