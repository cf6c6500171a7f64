"""Each volume: what encrypts it, and whether the Cado role can read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from cado_ops.due import format_due
from cado_ops.grant_name import parse_grant_name
from cado_ops.model import ErrorInfo, Grant, Key, Volume
from cado_ops.plan.granting import GRANT_QUOTA, NEAR_QUOTA, key_problem
from cado_ops.policy.evaluate import Kind, Policies, Policy, Verdict, evaluate
from cado_ops.policy.grants import granted
from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness.facts import InstanceFacts, KeyFacts, Unreadable
from cado_ops.verdict.readiness.finding import Finding, Mend, Route, Status, missing
from cado_ops.verdict.readiness.permissions import all_of, policies_of, with_simulator
from cado_ops.verdict.readiness.requests import decrypt, grant_to_itself

DISK = (Route.DISK,)
# "Volume state" (EC2 User Guide): what no snapshot can be made of.
_LOST = ("error", "deleting", "deleted")


def disk_findings(facts: InstanceFacts, now: datetime, asker: Asker) -> Iterator[Finding]:
    """One finding for each volume, and one for each key that is near its quota of grants."""
    account = facts.instance.account
    if not facts.volume_ids:
        detail = "it has no EBS volume: nothing of which a snapshot could be made"
        yield Finding("volume", Status.BLOCK, detail, None, DISK)
        return
    if isinstance(facts.volumes, Unreadable):
        yield Finding("volume", Status.UNKNOWN, missing([facts.volumes]), asker.show_operator(account), DISK)
        return
    devices = facts.instance.detail.devices if facts.instance.detail else ()
    for device in devices:
        volume = facts.volumes.get(device.volume_id)
        if volume is None:
            detail = f"{device.volume_id}: not known, DescribeVolumes does not show it"
            yield Finding("volume", Status.UNKNOWN, detail, None, DISK)
        else:
            yield _Disk(facts, volume, now, asker).finding()
    for arn, key in facts.keys.items():
        if quota := _quota(arn, key, facts, asker):
            yield quota


class _Disk:
    def __init__(self, facts: InstanceFacts, volume: Volume, now: datetime, asker: Asker) -> None:
        self.facts, self.volume, self.now, self.asker = facts, volume, now, asker
        size = f" ({volume.size} GiB)" if volume.size is not None else ""
        self.name = f"{volume.id}{size}"

    def finding(self) -> Finding:
        volume = self.volume
        if volume.state in _LOST:
            return self._made(Status.BLOCK, f"the volume is in state {volume.state}")
        if volume.key_arn is None:
            return self._made(Status.OK, "not encrypted")
        key = self.facts.keys.get(volume.key_arn)
        if key is None or isinstance(key.key, Unreadable):
            why = key.key if key is not None and isinstance(key.key, Unreadable) else None
            return self._unknown(f"its key {volume.key_arn}", str(why or "it was not read"))
        return self._encrypted(key, key.key)

    def _encrypted(self, facts: KeyFacts, key: Key) -> Finding:
        account = self.facts.instance.account
        if key.manager == "AWS":
            if key.account == account:
                # "Amazon EBS encryption": every principal of the account may use the AWS managed key by way of EBS.
                return self._made(Status.OK, "encrypted with AWS's own key, which serves inside its account alone")
            detail = f"encrypted with AWS's own key of account {key.account}: nobody of another account can use it"
            return self._made(Status.BLOCK, detail)
        told = f"encrypted with {_place(key, account)}"
        problem = key_problem(key)
        if problem is not None:
            why = problem[1]
            words = why.message if isinstance(why, ErrorInfo) else why
            return self._made(Status.BLOCK, f"{told}: {words}", self._enable(key))
        role = self.facts.role
        if role.there is False:
            return self._made(Status.UNKNOWN, f"{told}: there is no Cado role that could use it")
        if isinstance(role.there, Unreadable):
            # Its path stands in its ARN: who is meant by policies and grants is not certain.
            return self._unknown(told, str(role.there))
        return self._by_permission(facts, key, told)

    def _by_permission(self, facts: KeyFacts, key: Key, told: str) -> Finding:
        arn, simulation = self.facts.role.arn, self.facts.simulation
        policies = _with_key(policies_of(self.facts.role), facts)
        need = decrypt(key.arn)
        verdict = evaluate(need.request(arn), policies)
        answer = with_simulator(verdict, need, simulation)
        if key.state == "Unavailable":
            return self._made(Status.BLOCK, f"{told}: its key store is disconnected, and nothing can be decrypted")
        if answer.missing:
            # Where the role may make a grant, it makes one for itself and decrypts by that: both have to be open.
            itself = grant_to_itself(key.arn, arn)
            own = evaluate(itself.request(arn), policies)
            both = all_of([with_simulator(own, each, simulation) for each in (itself, need)])
            if both.status is Status.OK:
                return self._made(Status.OK, f"{told}: the role may make grants for itself there (kms:CreateGrant)")
            if not both.missing:
                answer = both
        if answer.status is Status.UNKNOWN:
            return self._unknown(told, answer.why + _unread(facts))
        if answer.missing:
            detail = f"{told}: neither its policy, nor an IAM policy, nor a grant lets the role use it"
            if key.account != self.facts.instance.account:
                detail += "; across accounts the role's own policies have to allow it as well"
            return replace(self._made(Status.BLOCK, detail, self._grant(key, self.asker)), mend=Mend.GRANT)
        if answer.status is Status.BLOCK:
            return self._made(Status.BLOCK, f"{told}: {answer.why}")
        return self._allowed(facts, verdict, told)

    def _allowed(self, facts: KeyFacts, verdict: Verdict, told: str) -> Finding:
        if verdict.kind is not Kind.GRANT or isinstance(facts.grants, Unreadable):
            by = "the key's policy" if verdict.kind is Kind.RESOURCE else f"the IAM policy {verdict.policy}"
            return self._made(Status.OK, f"{told}: the role may use it by {by}")
        grant = _best(facts.grants, self.facts.role.arn, self.now)
        if grant is None:
            return self._made(Status.OK, f"{told}: the role may use it by a grant")
        name = parse_grant_name(grant.name)
        case = f", case {name.case}" if name and name.case else ""
        due = name.due if name else None
        until = f", due {format_due(due)}" if due else ""
        detail = f"{told}: the role may use it by grant {grant.grant_id[:12]}{case}{until}"
        if due is not None and due <= self.now:
            assert isinstance(facts.key, Key)
            past = f"{detail}: its time has come, and whoever ends what is due ends it"
            # Without a later due time, granting again for the same case would leave that grant as it is.
            case_of = self.asker.case or (name.case if name else None)
            longer = replace(self.asker, case=case_of, expires=self.asker.expires or "72h")
            return self._made(Status.WARN, past, self._grant(facts.key, longer))
        return self._made(Status.OK, detail)

    def _grant(self, key: Key, asker: Asker) -> str:
        there = self.facts.instance
        words: tuple[str, ...] = ("kms", "grant", "--volume-id", self.volume.id)
        if asker.cado_role:
            words = (*words, "--cado-role", asker.cado_role)
        if key.account != there.account:
            words = (*words, "--account", key.account)
        return asker.line(*words, account=there.account, region=there.region, in_case=True)

    def _enable(self, key: Key) -> str | None:
        # "Cancels the deletion of a KMS key … its key state is Disabled" (CancelKeyDeletion, KMS API reference).
        steps = {
            "Disabled": ("enable-key",),
            "PendingDeletion": ("cancel-key-deletion", "enable-key"),
            "PendingReplicaDeletion": ("cancel-key-deletion", "enable-key"),
        }.get(key.state, ())
        lines = [
            self.asker.aws("kms", each, "--key-id", key.arn, account=key.account, region=key.region)
            for each in steps
        ]
        return " && ".join(lines) or None

    def _made(self, status: Status, detail: str, fix: str | None = None) -> Finding:
        return Finding("volume", status, f"{self.name}: {detail}", fix, DISK, about=self.volume.id)

    def _unknown(self, told: str, why: str) -> Finding:
        fix = self.asker.show_operator(self.facts.instance.account)
        return self._made(Status.UNKNOWN, f"{told}, not known: {why}", fix)


def _place(key: Key, account: str) -> str:
    name = key.arn.rpartition("/")[2]
    return f"key {name}" if key.account == account else f"key {name} of account {key.account}"


def _with_key(policies: Policies, facts: KeyFacts) -> Policies:
    if isinstance(facts.policy, Unreadable):
        resource = Policy("the key's policy", None, str(facts.policy))
    else:
        resource = Policy("the key's policy", facts.policy)
    return replace(
        policies, resource=resource, grants=None if isinstance(facts.grants, Unreadable) else facts.grants
    )


def _unread(facts: KeyFacts) -> str:
    """What the evaluator cannot say of grants: which permission is missing to know them."""
    return f"; {facts.grants}" if isinstance(facts.grants, Unreadable) else ""


def _best(grants: tuple[Grant, ...], role_arn: str, now: datetime) -> Grant | None:
    """Of the grants that let the role decrypt, the one that lasts longest."""
    fitting = []
    for grant in grants:
        request = decrypt(grant.key_arn).request(role_arn)
        if granted(request, (grant,)).certain:
            name = parse_grant_name(grant.name)
            due = name.due if name else None
            fitting.append((due is None, due or now, grant.grant_id, grant))
    return max(fitting, key=lambda each: each[:3])[3] if fitting else None


def _quota(arn: str, key: KeyFacts, facts: InstanceFacts, asker: Asker) -> Finding | None:
    """Grants of a key: their number has a limit that everybody shares ("Resource quotas", KMS Developer Guide)."""
    if isinstance(key.key, Unreadable) or key.key.manager == "AWS":
        return None
    fix = asker.show_operator(facts.instance.account)
    name = arn.rpartition("/")[2]
    if isinstance(key.grants, Unreadable):
        return Finding("grant-quota", Status.UNKNOWN, f"key {name}: {missing([key.grants])}", fix)
    if key.grant_count < NEAR_QUOTA:
        return None
    detail = f"key {name} has {key.grant_count} grants, and KMS allows {GRANT_QUOTA}"
    listing = asker.line("kms", "list", "--key", arn, account=key.key.account, region=key.key.region)
    return Finding("grant-quota", Status.WARN, detail, listing)
