"""IAM: roles, looked up; the policies of a role; and AWS's own simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.credentials import Identity
from cado_ops.errors import AwsError

# "AWS global condition context keys" and KMS's: the keys with several values.
_LISTS = frozenset({"aws:tagkeys", "kms:grantoperations"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its ARN, path included, and the managed policy that is its permissions boundary, if any."""

    arn: str
    boundary_arn: str | None = None


@dataclass(frozen=True, slots=True)
class RolePolicy:
    """One policy of a role: ``document`` is AWS's own. ``arn`` is None for an inline one."""

    name: str
    document: Any
    arn: str | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulator's answer to one action on one resource: ``allowed``, ``explicitDeny`` or ``implicitDeny``.

    ``by_organization`` and ``by_boundary`` are None where AWS tells nothing of them; ``missing`` are condition keys
    that policies ask for and the request did not give.
    """

    action: str
    resource: str
    decision: str
    by_organization: bool | None = None
    by_boundary: bool | None = None
    missing: tuple[str, ...] = ()


class Iam:
    """The IAM calls that this program makes. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def role(self, identity: Identity, name: str) -> Role | None:
        """A role (GetRole); None where the account has no role of that name."""
        try:
            answer = self._call(identity, "GetRole", {"RoleName": name})
        except AwsError as error:
            if error.code in ("NoSuchEntity", "NoSuchEntityException"):
                return None
            raise
        with understanding("GetRole"):
            told = answer["Role"]
            return Role(told["Arn"], told.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"))

    def roles_named(self, identity: Identity, words: Sequence[str]) -> list[str]:
        """The ARNs of the roles whose names contain one of the words (ListRoles)."""
        found: list[str] = []
        pages = self._connection.pages(
            identity, "iam", self._connection.home_region, "ListRoles", {"MaxItems": 1000}, "Roles",
            asks="Marker", tells="Marker",
        )  # fmt: skip
        for page in pages:
            with understanding("ListRoles"):
                found += [role["Arn"] for role in page if any(word in role["RoleName"] for word in words)]
        return sorted(found)

    def role_policies(self, identity: Identity, name: str) -> list[RolePolicy]:
        """All policies of a role, the inline ones first, each kind in IAM's order.

        ListRolePolicies, GetRolePolicy, ListAttachedRolePolicies, GetPolicy, GetPolicyVersion.
        """
        found: list[RolePolicy] = []
        for page in self._pages(identity, "ListRolePolicies", {"RoleName": name}, "PolicyNames"):
            for policy in page:
                answer = self._call(identity, "GetRolePolicy", {"RoleName": name, "PolicyName": policy})
                with understanding("GetRolePolicy"):
                    found.append(RolePolicy(answer["PolicyName"], answer["PolicyDocument"]))
        for page in self._pages(identity, "ListAttachedRolePolicies", {"RoleName": name}, "AttachedPolicies"):
            with understanding("ListAttachedRolePolicies"):
                arns = [policy["PolicyArn"] for policy in page]
            found += [self.managed_policy(identity, arn) for arn in arns]
        return found

    def managed_policy(self, identity: Identity, arn: str) -> RolePolicy:
        """A managed policy in the version that is in force."""
        answer = self._call(identity, "GetPolicy", {"PolicyArn": arn})
        with understanding("GetPolicy"):
            name, version = answer["Policy"]["PolicyName"], answer["Policy"]["DefaultVersionId"]
        answer = self._call(identity, "GetPolicyVersion", {"PolicyArn": arn, "VersionId": version})
        with understanding("GetPolicyVersion"):
            return RolePolicy(name, answer["PolicyVersion"]["Document"], arn)

    def simulate(
        self, identity: Identity, role_arn: str, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> Simulated:
        """`simulate_all` for one action on one resource."""
        answers = self.simulate_all(identity, role_arn, [action], [resource], context)
        with understanding("SimulatePrincipalPolicy"):
            return answers[action, resource]

    def simulate_all(
        self,
        identity: Identity,
        role_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, Sequence[str]],
    ) -> dict[tuple[str, str], Simulated]:
        """SimulatePrincipalPolicy: may this role do this, by its policies, its boundary and the SCPs?

        Answers by action and resource, each action on each resource. Each value of ``context`` is sent as a string,
        or a list of strings, which is how AWS has tag keys.
        """
        parameters: dict[str, Any] = {
            "PolicySourceArn": role_arn,
            "ActionNames": list(actions),
            "ResourceArns": list(resources),
        }
        if context:
            parameters["ContextEntries"] = [
                {
                    "ContextKeyName": key,
                    "ContextKeyValues": list(values),
                    "ContextKeyType": "stringList" if key.lower() in _LISTS else "string",
                }
                for key, values in context.items()
            ]
        found: dict[tuple[str, str], Simulated] = {}
        pages = self._connection.pages(
            identity, "iam", self._connection.home_region, "SimulatePrincipalPolicy", parameters,
            "EvaluationResults", asks="Marker", tells="Marker",
        )  # fmt: skip
        for page in pages:
            with understanding("SimulatePrincipalPolicy"):
                for result in page:
                    found |= _answers(result, resources)
        return found

    def _call(self, identity: Identity, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self._connection.call(identity, "iam", self._connection.home_region, action, parameters)

    def _pages(self, identity: Identity, action: str, parameters: Mapping[str, Any], result: str) -> Any:
        return self._connection.pages(
            identity, "iam", self._connection.home_region, action, {**parameters, "MaxItems": 1000}, result,
            asks="Marker", tells="Marker",
        )  # fmt: skip


def _answers(result: Mapping[str, Any], resources: Sequence[str]) -> dict[tuple[str, str], Simulated]:
    """What one result tells: of its own resource, or of each in ResourceSpecificResults where there are several.

    "ResourceSpecificResults", IAM API reference, EvaluationResult: sometimes there for one resource, too.
    """
    action = result["EvalActionName"]
    specific = result.get("ResourceSpecificResults") or ()
    if len(resources) == 1:
        return {(action, resources[0]): _simulated(action, resources[0], result, next(iter(specific), {}))}
    if not specific:
        return {(action, result["EvalResourceName"]): _simulated(action, result["EvalResourceName"], result, {})}
    return {
        (action, each["EvalResourceName"]): _simulated(action, each["EvalResourceName"], result, each)
        for each in specific
    }


def _simulated(action: str, resource: str, result: Mapping[str, Any], specific: Mapping[str, Any]) -> Simulated:
    organization = specific.get("OrganizationsDecisionDetail") or result.get("OrganizationsDecisionDetail")
    boundary = specific.get("PermissionsBoundaryDecisionDetail") or result.get("PermissionsBoundaryDecisionDetail")
    return Simulated(
        action,
        resource,
        specific.get("EvalResourceDecision") or result["EvalDecision"],
        organization.get("AllowedByOrganizations") if organization else None,
        boundary.get("AllowedByPermissionsBoundary") if boundary else None,
        tuple(sorted(specific.get("MissingContextValues") or result.get("MissingContextValues") or ())),
    )
