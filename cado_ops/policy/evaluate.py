"""May this request be made, given these policies? Allow, deny, or unknown and why.

"Policy evaluation logic" (requests within an account and across accounts), IAM User Guide; "Troubleshooting key
access" and "Grants in AWS KMS", KMS Developer Guide.

- An explicit deny that certainly matches decides, whatever else is unknown.
- A denial is certain where something that must allow certainly does not. An allow is certain only where everything
  is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cado_ops.model import Grant
from cado_ops.policy import actions
from cado_ops.policy.answer import NO, YES, Answer, all_of, any_of, negated, unknown
from cado_ops.policy.document import Document, Place
from cado_ops.policy.grants import granted
from cado_ops.policy.principals import Level
from cado_ops.policy.request import Request
from cado_ops.policy.statements import Match, judge


class Decision(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """Kinds of policies, as the item of `explain` names them (docs/reference.md)."""

    IDENTITY = "identity-policy"
    RESOURCE = "resource-policy"
    TRUST = "trust-policy"
    SESSION = "session-policy"
    BOUNDARY = "permissions-boundary"
    SCP = "scp"
    RCP = "rcp"
    GRANT = "grant"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and what it is called. Without a document it could not be read, ``problem`` says why."""

    name: str
    document: Document | None
    problem: str = "it could not be read"


@dataclass(frozen=True, slots=True)
class Policies:
    """All that has a say. ``boundary`` and ``session`` None: there is none, and it limits nothing.

    ``scps`` and ``rcps`` are levels, from the organisation's root to the account: each level must allow. Leave the
    SCPs out for the management account and for service-linked roles, which they do not bind. ``resource`` is the
    key's, the trust or another resource policy; for KMS and AssumeRole None means that it is not known.
    ``grants`` None: not known.
    """

    identity: tuple[Policy, ...] = ()
    boundary: tuple[Policy, ...] | None = None
    session: tuple[Policy, ...] | None = None
    scps: tuple[tuple[Policy, ...], ...] = ()
    rcps: tuple[tuple[Policy, ...], ...] = ()
    resource: Policy | None = None
    grants: tuple[Grant, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``explicit``: a Deny statement says so. ``kind``, ``policy`` and ``statement`` decided, where one did.

    Of an implicit denial, ``kind`` is the first that had to allow and did not. Of an unknown, ``reasons`` say what
    would have to be known.
    """

    decision: Decision
    explicit: bool = False
    kind: Kind | None = None
    policy: str | None = None
    statement: Place | None = None
    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.decision is Decision.ALLOW


def evaluate(request: Request, policies: Policies) -> Verdict:
    """The verdict on one request for one resource; see `evaluate_all` for those that need several."""
    return _Evaluation(request, policies).verdict()


def evaluate_all(request: Request, resources: Iterable[str], policies: Policies) -> Verdict:
    """A call that needs all of these resources allowed: SendCommand its document and its instance, say."""
    return together([evaluate(replace(request, resource=each), policies) for each in resources])


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """The first denial, an explicit one before others; then what is unknown; else the allow."""
    for found in (
        [each for each in verdicts if each.decision is Decision.DENY and each.explicit],
        [each for each in verdicts if each.decision is Decision.DENY],
    ):
        if found:
            return found[0]
    open_ = [each for each in verdicts if each.decision is Decision.UNKNOWN]
    if open_:
        reasons = dict.fromkeys(reason for each in open_ for reason in each.reasons)
        return replace(open_[0], reasons=tuple(reasons))
    return verdicts[0]


class _Evaluation:
    def __init__(self, request: Request, policies: Policies) -> None:
        self.request = request
        self.policies = policies
        self.kind_of_resource = Kind.TRUST if _assumes_role(request) else Kind.RESOURCE
        self.identity = self._match(policies.identity)
        self.boundary = None if policies.boundary is None else self._match(policies.boundary)
        self.session = None if policies.session is None else self._match(policies.session)
        self.scps = () if request.is_service else tuple(map(self._match, policies.scps))
        bound = request.service in actions.rcp_services() if policies.rcps else False
        self.rcps = tuple(self._match(level, principals=True) for level in policies.rcps) if bound else ()
        self.resource = self._match((policies.resource,), principals=True) if policies.resource else None

    def _match(self, policies: Iterable[Policy], *, principals: bool = False) -> Match:
        return judge([(each.name, each.document, each.problem) for each in policies], self.request, principals)

    def verdict(self) -> Verdict:
        denied = [(kind, match) for kind, match in self._all() if match.deny.certain]
        if denied:
            denier, match = denied[0]
            assert match.denied_by is not None
            return Verdict(Decision.DENY, True, denier, *match.denied_by)
        limits = self._limits()
        for limiter, limit in limits:
            if limit.value is False:
                return Verdict(Decision.DENY, kind=limiter)
        allowed, blamed = self._allowed()
        if allowed.value is False:
            return Verdict(Decision.DENY, kind=blamed)
        no_deny = [negated(match.deny) for _, match in self._all()]
        whole = all_of([*(limit for _, limit in limits), allowed, *no_deny])
        if whole.value is None:
            return Verdict(Decision.UNKNOWN, reasons=whole.reasons)
        kind, policy, place = self._allowing()
        return Verdict(Decision.ALLOW, kind=kind, policy=policy, statement=place)

    def _all(self) -> list[tuple[Kind, Match]]:
        found = [(Kind.RCP, each) for each in self.rcps]
        found += [(Kind.SCP, each) for each in self.scps]
        found += [(self.kind_of_resource, self.resource)] if self.resource else []
        found.append((Kind.IDENTITY, self.identity))
        found += [(Kind.BOUNDARY, self.boundary)] if self.boundary else []
        found += [(Kind.SESSION, self.session)] if self.session else []
        return found

    def _limits(self) -> list[tuple[Kind, Answer]]:
        """What allows nothing by itself, and without which nothing is allowed.

        RCPFullAWSAccess is attached everywhere and cannot be detached ("Resource control policies"): an RCP limits
        by its denials alone.
        """
        return [(Kind.SCP, each.allow) for each in self.scps]

    def _allowed(self) -> tuple[Answer, Kind]:
        """Whether the caller's side and the resource's side allow it, and the kind that is to blame if not."""
        own = all_of([self._identity(), self._bounds()])
        blamed = next((kind for kind, each in self._own() if each.value is False), Kind.IDENTITY)
        if self.request.is_service:
            return any_of(self._resource(level) for level in Level), self.kind_of_resource
        if self._crosses_accounts():
            return self._across(own, blamed)
        direct = any_of(
            [
                self._resource(Level.EXACTLY),
                all_of([self._resource(Level.ROLE), self._bounds()]),
                all_of([self._resource(Level.EVERYONE), self._bounds_of_everyone()]),
            ]
        )
        if not self._resource_decides():
            return any_of([own, direct]), blamed
        # "Key policies in AWS KMS": IAM policies count only where the key policy lets the account decide; so it is
        # with role trust policies.
        delegated = self._resource(Level.ACCOUNT)
        allowed = any_of([direct, all_of([delegated, own]), self._granted()])
        return allowed, self.kind_of_resource if delegated.value is False else blamed

    def _across(self, own: Answer, blamed: Kind) -> tuple[Answer, Kind]:
        """ "Cross-account policy evaluation logic": both accounts have to allow."""
        if self.request.service == "kms" and self._resource_decides():
            if self.request.action.partition(":")[2].lower() not in KMS_ACROSS_ACCOUNTS:
                return NO, self.kind_of_resource
            theirs = any_of([*(self._resource(level) for level in Level), self._granted(across=True)])
        else:
            theirs = any_of(self._resource(level) for level in Level)
        return all_of([own, theirs]), self.kind_of_resource if theirs.value is False else blamed

    def _own(self) -> list[tuple[Kind, Answer]]:
        found = [(Kind.IDENTITY, self._identity())]
        found += [(Kind.BOUNDARY, self.boundary.allow)] if self.boundary else []
        found += [(Kind.SESSION, self.session.allow)] if self.session else []
        return found

    def _identity(self) -> Answer:
        # "The root user": no identity policy binds it, and none is needed.
        return YES if self.request.is_root else self.identity.allow

    def _bounds(self) -> Answer:
        return all_of(each.allow for each in (self.boundary, self.session) if each is not None)

    def _bounds_of_everyone(self) -> Answer:
        bounds = self._bounds()
        if bounds.value is False:
            return unknown("whether a boundary or session policy limits what a policy gives to * is not documented")
        return bounds

    def _resource(self, level: Level) -> Answer:
        if self.resource is not None:
            return self.resource.allows[level]
        if self._resource_decides():
            what = "key policy" if self.request.service == "kms" else "trust policy"
            return unknown(f"the {what} is not known")
        return NO

    def _resource_decides(self) -> bool:
        """Whether nothing is allowed without the resource's own policy."""
        if _assumes_role(self.request):
            return True
        known = self.request.published
        on_keys = known is None or any(name == "key" for name, _ in known.resource_types)
        return self.request.service == "kms" and on_keys

    def _crosses_accounts(self) -> bool:
        return self.request.owner not in (None, self.request.principal_account)

    def _granted(self, *, across: bool = False) -> Answer:
        if self.request.service != "kms":
            return NO
        if self.policies.grants is None:
            return unknown("the key's grants are not known")
        found = granted(self.request, self.policies.grants, across=across)
        bounds = self._bounds()
        if found.certain and not bounds.certain:
            return unknown("whether a permissions boundary or a session policy limits a grant is not documented")
        return found

    def _allowing(self) -> tuple[Kind | None, str | None, Place | None]:
        """What to name as the source of a certain allow."""
        delegated = not self._resource_decides() or self._resource(Level.ACCOUNT).certain
        own = self._identity().certain and self._bounds().certain
        if own and (delegated or self._crosses_accounts()) and self.identity.allowed_by is not None:
            return Kind.IDENTITY, *self.identity.allowed_by
        direct = any(self._resource(level).certain for level in Level if level is not Level.ACCOUNT)
        if direct and self.resource is not None and self.resource.allowed_by is not None:
            return self.kind_of_resource, *self.resource.allowed_by
        return (Kind.GRANT, None, None) if self._granted().certain else (None, None, None)


def _assumes_role(request: Request) -> bool:
    return request.action.lower() in ("sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity")


# "Key access and permissions", KMS Developer Guide: the column "Cross-account use".
KMS_ACROSS_ACCOUNTS = frozenset(
    {
        *("creategrant", "decrypt", "derivesharedsecret", "describekey", "encrypt", "generatedatakey"),
        *("generatedatakeypair", "generatedatakeypairwithoutplaintext", "generatedatakeywithoutplaintext"),
        *("generatemac", "getkeyrotationstatus", "getpublickey", "listgrants", "reencryptfrom", "reencryptto"),
        *("retiregrant", "revokegrant", "sign", "verify", "verifymac", "listkeyrotations"),
    }
)
