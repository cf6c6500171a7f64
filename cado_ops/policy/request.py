"""What is asked: who wants to do what to which resource, and as much of the request's context as is known."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cado_ops.policy import actions
from cado_ops.policy.matching import Told, glob

# Keys that come with a session's credentials, whichever service is called: who publishes them is not who supplies
# them ("AWS global condition context keys" links to each).
_OF_SESSIONS = frozenset(
    {
        *("ec2:sourceinstancearn", "ec2:roledelivery", "lambda:sourcefunctionarn", "ssm:sourceinstancearn"),
        *("glue:roleassumedby", "glue:credentialissuingservice", "codebuild:buildarn", "identitystore:userid"),
        *("sts:identity", "sts:sourceidentity"),
    }
)
# Global keys that the service has to supply, and that it publishes for the actions where it does.
_OF_SERVICES = ("aws:resourcetag/*", "aws:requesttag/*", "aws:tagkeys")


ABSENT = Told(())


@dataclass(frozen=True)
class Request:
    """``principal`` is the ARN of a role, a user or an account's root, or a service's name (``x.amazonaws.com``).

    ``session`` is the session's ARN, where a role acts. ``resource`` ``*`` is "not told" for an action that knows
    resources. ``context`` has the condition keys that are known, ``absent`` those known not to be there (``*``
    stands for any rest); with ``complete``, whatever else is not told is not there.
    """

    principal: str
    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    absent: Collection[str] = ()
    complete: bool = False
    session: str | None = None
    resource_account: str | None = None

    @cached_property
    def published(self) -> actions.Action | None:
        """What AWS publishes about the action."""
        return actions.find(self.action)

    @property
    def checked_resource(self) -> str:
        """What AWS checks the policies' resources against: ``*`` for an action that knows none."""
        known = self.published
        return "*" if known is not None and not known.resource_types else self.resource

    @property
    def resource_is_told(self) -> bool:
        """False: some resource that the action needs, and which one was not said."""
        return self.resource != "*" or (self.published is not None and not self.published.resource_types)

    @property
    def service(self) -> str:
        return self.action.partition(":")[0].lower()

    @property
    def principal_account(self) -> str | None:
        return _account(self.principal)

    @property
    def owner(self) -> str | None:
        """The resource's account; None where its ARN has none, as with what AWS owns."""
        return self.resource_account or _account(self.checked_resource)

    @property
    def is_root(self) -> bool:
        return self.principal.startswith("arn:") and self.principal.endswith(":root")

    @property
    def is_service(self) -> bool:
        return not self.principal.startswith("arn:")

    @property
    def is_role(self) -> bool:
        return ":role/" in self.principal

    def told(self, key: str) -> Told:
        """What is known of a condition key. Key names have no case."""
        lower = key.lower()
        if lower in self._context:
            return Told(self._context[lower])
        if any(glob(pattern, lower) for pattern in self._absent):
            return ABSENT
        if lower in self._derived:
            return Told(self._derived[lower])
        if self.complete or not self._may_have(lower):
            return ABSENT
        return Told(None, f"the request does not tell {key}")

    def _may_have(self, key: str) -> bool:
        """Whether the service may send the key for this action, as far as AWS publishes it."""
        known = self.published
        if known is None or key in _OF_SESSIONS:
            return True
        supplied = not key.startswith("aws:") and actions.key_of_service(key)
        supplied = supplied or any(glob(pattern, key) for pattern in _OF_SERVICES)
        return not supplied or any(actions.key_matches(pattern, key) for pattern in known.condition_keys)

    @cached_property
    def _context(self) -> dict[str, tuple[str, ...]]:
        return {
            key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in self.context.items()
        }

    @cached_property
    def _absent(self) -> tuple[str, ...]:
        return tuple(each.lower() for each in self.absent)

    @cached_property
    def _derived(self) -> dict[str, tuple[str, ...]]:
        """What follows from who asks for what ("AWS global condition context keys")."""
        found: dict[str, tuple[str, ...]] = {}
        account = self.principal_account
        if account is not None:
            kind = "Account" if self.is_root else "AssumedRole" if self.is_role else "User"
            found |= {
                "aws:principalarn": (self.principal,),
                "aws:principalaccount": (account,),
                "aws:principaltype": (kind,),
                "aws:principalisawsservice": ("false",),
                "aws:username": (self.principal.rpartition("/")[2],) if kind == "User" else (),
            }
            if self.service == "kms":
                found["kms:calleraccount"] = (account,)
        elif self.is_service:
            found |= {"aws:principalisawsservice": ("true",), "aws:principalservicename": (self.principal,)}
        if self.owner is not None:
            found["aws:resourceaccount"] = (self.owner,)
        parts = self.checked_resource.split(":")
        if len(parts) > 5 and re.fullmatch(r"[a-z]+(?:-[a-z]+)+-[0-9]+", parts[3]):
            found["aws:requestedregion"] = (parts[3],)
            if self.service == "ec2":
                found["ec2:region"] = (parts[3],)
        return found


def _account(arn: str) -> str | None:
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 and re.fullmatch(r"[0-9]{12}", parts[4]) else None
