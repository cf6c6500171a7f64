"""`check`'s verdict, fact by fact: each row changes one fact of an instance that is ready, or a few."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cado_ops.grant_name import GrantName, digest_of
from cado_ops.model import (
    CLAIM_PREFIX,
    SSM_TAG,
    BlockDevice,
    Grant,
    Instance,
    InstanceDetail,
    Key,
    ManagedNode,
    Volume,
)
from cado_ops.policy.document import Document, read_document
from cado_ops.policy.evaluate import Policy
from cado_ops.verdict.commands import Asker
from cado_ops.verdict.readiness import judge
from cado_ops.verdict.readiness.facts import (
    InstanceFacts,
    KeyFacts,
    RoleFacts,
    Simulated,
    Simulation,
    Unreadable,
)
from cado_ops.verdict.readiness.finding import Finding, Mend, Readiness, Route
from cado_ops.verdict.readiness.requests import to_simulate

A, B, REGION, ID, VOL = "2" * 12, "3" * 12, "eu-west-1", "i-0123456789abcdef0", "vol-0123456789abcdef0"
ROLE = f"arn:aws:iam::{A}:role/CadoResponseRole"
KEY = f"arn:aws:kms:{REGION}:{A}:key/11111111-2222-3333-4444-555555555555"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPS = f"arn:aws:iam::{A}:role/CadoOperator"
ASKER = Asker("1" * 12, role_name="CadoOperator", external_id="it's secret", case="IR-42")


def document(*statements: dict[str, Any]) -> Document:
    return read_document(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), "test")


def allow(actions: str | list[str], resources: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


INSTANCES = "arn:aws:ec2:*:*:instance/*"
DOCUMENTS = ["arn:aws:ssm:*::document/AWS-RunShellScript", "arn:aws:ssm:*::document/AWS-RunPowerShellScript"]
IF_TAGGED = {"Condition": {"StringLike": {f"ssm:resourceTag/{SSM_TAG}": ["True"]}}}
DISKS = allow(["ec2:CreateSnapshot", "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"])
TAGGED_ONLY = (allow("ssm:SendCommand", INSTANCES, **IF_TAGGED), allow("ssm:SendCommand", DOCUMENTS), DISKS)
WIDE = (allow("ssm:SendCommand", [INSTANCES, *DOCUMENTS]), DISKS)


def may(*statements: dict[str, Any], **more: Any) -> RoleFacts:
    return RoleFacts(ROLE, there=True, policies=(Policy("CadoPolicy", document(*statements)),), **more)


def key_policy(*statements: dict[str, Any]) -> Document:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{A}:root"}, "Action": "kms:*", "Resource": "*"}
    return document(root, *statements)


FOR_ROLE = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}
SEALED = document({**FOR_ROLE, "Principal": {"AWS": OPS}})
CUSTOMER = Key(A, REGION, KEY, "CUSTOMER", "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")


def grant(due: datetime | None = None, case: str | None = "IR-7", **changes: Any) -> Grant:
    name = str(GrantName(case, due, digest_of(KEY, ROLE, ("Decrypt",), {})))
    made = Grant(A, REGION, KEY, "ab" * 32, name, ROLE, ("Decrypt", "DescribeKey"), OPS, A)
    return replace(made, **changes)


def instance(tags: dict[str, str] | None = None, detail: dict[str, Any] | None = None, **changes: Any) -> Instance:
    tags = {SSM_TAG: "True"} if tags is None else tags
    devices = (BlockDevice("/dev/xvda", VOL, False),)
    told = {
        "instance_type": "m5.large",
        "devices": devices,
        "instance_profile": "arn:aws:iam::2:instance-profile/p",
        "tags": tags,
    }
    made = Instance(A, REGION, ID, "web", "running", tags, len(tags), detail=None)
    return replace(made, detail=InstanceDetail(**(told | (detail or {}))), **changes)


def facts(**changes: Any) -> InstanceFacts:
    """An instance that is ready by both routes, but for the changes."""
    ready = InstanceFacts(
        instance(),
        may(*TAGGED_ONLY),
        node=ManagedNode(ID, "Online", NOW, "3.3.1", True),
        volumes={VOL: Volume(VOL, None, (ID,), 20, "in-use")},
    )
    made = replace(ready, **changes)
    if "simulation" in changes:
        return made
    needs = to_simulate(made.instance, made.arn, "aws", made.keys, (SSM_TAG,))
    return replace(made, simulation=Simulation({need.place: Simulated("allowed") for need in needs}))


def encrypted(key: KeyFacts | None = None, **changes: Any) -> dict[str, Any]:
    """A volume under a customer's key, which by itself nobody may use."""
    facts = replace(KeyFacts(CUSTOMER, key_policy()), **changes) if key is None else key
    return {"volumes": {VOL: Volume(VOL, KEY, (ID,), 20, "in-use")}, "keys": {KEY: facts}}


def verdict(given: InstanceFacts, asker: Asker = ASKER) -> Readiness:
    return judge(given, NOW, asker)


def found(readiness: Readiness, check: str) -> list[Finding]:
    return [each for each in readiness.findings if each.check == check]


DENIED = Unreadable("x:Action", "AccessDenied: no")
ONLINE = ManagedNode(ID, "Online", NOW, "3.3.1", True)
LOST = replace(ONLINE, ping_status="ConnectionLost", last_ping=NOW - timedelta(days=3))
HYBRID = ManagedNode("mi-0123456789abcdef0", "Online", NOW, resource_type="ManagedInstance")
DENY = {"Effect": "Deny", "Action": "ssm:SendCommand", "Resource": "*"}
ONLY_OUR_ORG = {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}


def all_denied(action: str, **how: Any) -> Callable[[InstanceFacts], Simulation]:
    def made(given: InstanceFacts) -> Simulation:
        needs = to_simulate(given.instance, given.arn, "aws", given.keys, (SSM_TAG,))
        told = {each.place: Simulated("allowed") for each in needs}
        return Simulation(told | {each.place: Simulated(**how) for each in needs if each.action == action})

    return made


def tagged(value: str) -> Instance:
    return instance({SSM_TAG: value})


# What is changed; the check it is about; its status, a word of its detail; triage, disk.
ROWS: list[tuple[str, dict[str, Any], str, str, str, str, str]] = [
    ("ready", {}, "state", "ok", "running", "ready", "ready"),
    # --- the instance
    ("stopped", {"instance": instance(state="stopped")}, "state", "block", "stopped", "blocked", "ready"),
    ("stopping", {"instance": instance(state="stopping")}, "state", "block", "stopping", "blocked", "ready"),
    ("pending", {"instance": instance(state="pending")}, "state", "block", "starting", "blocked", "ready"),
    ("terminated", {"instance": instance(state="terminated")}, "state", "block", "not there", "blocked", "blocked"),
    ("shutting down", {"instance": instance(state="shutting-down")}, "state", "block", "not there", "blocked",
     "blocked"),
    ("linux", {}, "platform", "ok", "Linux: AWS-RunShellScript", "ready", "ready"),
    ("windows", {"instance": instance(platform="windows")}, "platform", "ok", "Windows: AWS-RunPowerShellScript",
     "ready", "ready"),
    ("macOS", {"instance": instance(detail={"instance_type": "mac2.metal"})}, "platform", "ok",
     "macOS: AWS-RunShellScript", "ready", "ready"),
    # --- the tag
    ("exact", {}, "tag", "ok", "=True", "ready", "ready"),
    ("no tag", {"instance": instance({})}, "tag", "block", "is not there", "blocked", "ready"),
    ("true", {"instance": tagged("true")}, "tag", "block", "'true'", "blocked", "ready"),
    ("a blank", {"instance": tagged("True ")}, "tag", "block", "'True '", "blocked", "ready"),
    ("on purpose", {"instance": tagged("False")}, "tag", "block", "on purpose", "blocked", "ready"),
    ("other case", {"instance": instance({SSM_TAG.lower(): "True"})}, "tag", "unknown", "in case", "unknown",
     "ready"),
    ("other case, other value", {"instance": instance({SSM_TAG.lower(): "x"})}, "tag", "block", "in case",
     "blocked", "ready"),
    ("twins that differ", {"instance": instance({SSM_TAG: "True", SSM_TAG.lower(): "x"})}, "tag", "unknown",
     "in case", "unknown", "ready"),
    ("twins that agree", {"instance": instance({SSM_TAG: "True", SSM_TAG.lower(): "True"})}, "tag", "ok", "in case",
     "ready", "ready"),
    ("no tag, and none needed", {"instance": instance({}), "role": may(*WIDE)}, "tag", "warn", "all the same",
     "ready", "ready"),
    ("50 tags", {"instance": replace(instance({}), tag_count=50)}, "tag", "block", "EC2 allows 50", "blocked",
     "ready"),
    ("no tag, and it would not help", {"instance": instance({}), "role": may(*TAGGED_ONLY, DENY)}, "tag", "warn",
     "not there", "blocked", "ready"),
    ("no tag, policies unread", {"instance": instance({}), "role": replace(may(), policies=DENIED)}, "tag",
     "unknown", "x:Action is not allowed", "unknown", "unknown"),
    ("exact, policies unread", {"role": replace(may(), policies=DENIED)}, "tag", "unknown", "x:Action", "unknown",
     "unknown"),
    # --- claims
    ("claimed", {"instance": instance({SSM_TAG: "True", CLAIM_PREFIX + "IR-1": "2026-11-26T00:00:00Z"})}, "claims",
     "ok", "IR-1 until 2026-11-26", "ready", "ready"),
    ("claim without end", {"instance": instance({SSM_TAG: "True", CLAIM_PREFIX + "IR-1": "- keep"})}, "claims",
     "ok", "IR-1", "ready", "ready"),
    ("claim due", {"instance": instance({SSM_TAG: "True", CLAIM_PREFIX + "IR-1": "2026-11-01T00:00:00Z"})},
     "claims", "warn", "due (IR-1)", "ready", "ready"),
    # --- the agent
    ("online", {}, "agent", "ok", "agent 3.3.1", "ready", "ready"),
    ("old agent", {"node": replace(ONLINE, latest_version=False)}, "agent", "ok", "not the latest", "ready",
     "ready"),
    ("lost", {"node": LOST}, "agent", "block", "last ping 2026-11-21", "blocked", "ready"),
    ("inactive", {"node": replace(ONLINE, ping_status="Inactive")}, "agent", "block", "Inactive", "blocked",
     "ready"),
    ("not listed", {"node": None}, "agent", "block", "not registered", "blocked", "ready"),
    ("hybrid", {"node": None, "hybrid": HYBRID}, "agent", "block", "mi-0123456789abcdef0", "blocked", "ready"),
    ("not listed, hybrid unread", {"node": None, "hybrid": DENIED}, "agent", "unknown", "x:Action", "unknown",
     "ready"),
    ("unread", {"node": DENIED, "hybrid": DENIED}, "agent", "unknown", "x:Action is not allowed", "unknown",
     "ready"),
    ("stopped is not no agent", {"instance": instance(state="stopped"), "node": None}, "agent", "warn",
     "running nodes alone", "blocked", "ready"),
    ("profile", {"node": None}, "management", "ok", "instance profile p", "blocked", "ready"),
    ("no profile, default on", {"node": None, "instance": instance(detail={"instance_profile": None}),
     "default_management": "service-role/D"}, "management", "ok", "Default Host Management (D)", "blocked",
     "ready"),
    ("no profile, default off", {"node": None, "instance": instance(detail={"instance_profile": None})},
     "management", "warn", "nothing lets an agent in", "blocked", "ready"),
    ("no profile, default unread", {"node": None, "instance": instance(detail={"instance_profile": None}),
     "default_management": DENIED}, "management", "unknown", "x:Action", "blocked", "ready"),
    # --- the Cado role
    ("role", {}, "cado-role", "ok", ROLE, "ready", "ready"),
    ("no role", {"role": RoleFacts(ROLE, there=False)}, "cado-role", "block", "has no role CadoResponseRole",
     "blocked", "blocked"),
    ("role unread", {"role": replace(may(*TAGGED_ONLY), there=DENIED, boundary=DENIED)}, "cado-role", "unknown",
     "x:Action", "unknown", "unknown"),
    ("may", {}, "send-command", "ok", "AWS-RunShellScript", "ready", "ready"),
    ("instance leg missing", {"role": may(allow("ssm:SendCommand", DOCUMENTS), DISKS)}, "send-command", "block",
     "no identity policy", "blocked", "ready"),
    ("document leg missing", {"role": may(allow("ssm:SendCommand", INSTANCES), DISKS)}, "send-command", "block",
     "no identity policy", "blocked", "ready"),
    ("other document", {"instance": instance(platform="windows"), "role": may(allow("ssm:SendCommand", [INSTANCES,
     DOCUMENTS[0]]), DISKS)}, "send-command", "block", "AWS-RunPowerShellScript", "blocked", "ready"),
    ("denied", {"role": may(*WIDE, DENY)}, "send-command", "block", "explicit deny", "blocked", "ready"),
    ("bounded", {"role": may(*WIDE, boundary=Policy("B", document(DISKS)))}, "send-command", "block",
     "permissions boundary", "blocked", "ready"),
    ("boundary unread", {"role": may(*WIDE, boundary=DENIED)}, "send-command", "unknown", "x:Action", "unknown",
     "unknown"),
    ("policies unread", {"role": replace(may(), policies=DENIED)}, "send-command", "unknown",
     "x:Action is not allowed", "unknown", "unknown"),
    ("a condition nobody tells", {"role": may(allow("ssm:SendCommand", "*", **ONLY_OUR_ORG), DISKS)},
     "send-command", "unknown", "aws:PrincipalOrgID", "unknown", "ready"),
    ("on another tag", {"instance": instance({SSM_TAG: "True", "Env": "prod"}), "role": may(allow("ssm:SendCommand",
     INSTANCES, Condition={"StringEquals": {"aws:ResourceTag/Env": "prod"}}), allow("ssm:SendCommand", DOCUMENTS),
     DISKS)}, "send-command", "ok", "may", "ready", "ready"),
    ("on another tag, missing", {"role": may(allow("ssm:SendCommand", INSTANCES,
     Condition={"StringEquals": {"aws:ResourceTag/Env": "prod"}}), allow("ssm:SendCommand", DOCUMENTS), DISKS)},
     "send-command", "block", "no identity policy", "blocked", "ready"),
    ("an SCP", {"simulation": all_denied("ssm:SendCommand", decision="explicitDeny", by_organization=False)},
     "send-command", "block", "SCP", "blocked", "ready"),
    ("an SCP, perhaps", {"simulation": all_denied("ssm:SendCommand", decision="explicitDeny", by_organization=False,
     missing=("aws:PrincipalOrgID",))}, "send-command", "unknown", "aws:PrincipalOrgID", "unknown", "ready"),
    ("AWS says no", {"simulation": all_denied("ssm:SendCommand", decision="implicitDeny")}, "send-command", "block",
     "simulator", "blocked", "ready"),
    ("AWS says no, for lack of a key", {"simulation": all_denied("ssm:SendCommand", decision="implicitDeny",
     missing=("aws:SourceIp",))}, "send-command", "ok", "may", "ready", "ready"),
    ("not asked", {"simulation": Simulation(asked=False)}, "send-command", "ok", "not asked", "ready", "ready"),
    ("simulator unread", {"simulation": Simulation(problem=DENIED)}, "send-command", "unknown",
     "organisation policy", "unknown", "unknown"),
    ("no answer", {"simulation": Simulation()}, "send-command", "unknown", "gave no answer", "unknown", "unknown"),
    ("sessions closed", {}, "session-manager", "ok", "closed", "ready", "ready"),
    ("sessions open", {"role": may(*TAGGED_ONLY, allow("ssm:StartSession"))}, "session-manager", "ok", "open",
     "ready", "ready"),
    ("sessions open, no tag", {"instance": instance({}), "role": may(*WIDE, allow("ssm:StartSession"))},
     "session-manager", "warn", "no boundary", "ready", "ready"),
    ("sessions with other documents", {"role": may(*WIDE, allow("ssm:StartSession", [INSTANCES,
     "arn:aws:ssm:*::document/AWS-StartPortForwardingSession"],
     Condition={"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}))}, "session-manager", "ok", "closed",
     "ready", "ready"),
    ("sessions unread", {"role": replace(may(), policies=DENIED)}, "session-manager", "unknown", "x:Action",
     "unknown", "unknown"),
    ("no snapshots", {"role": may(*WIDE[:1], allow(["ebs:*"]))}, "create-snapshot", "block", "ec2:CreateSnapshot",
     "ready", "blocked"),
    ("snapshots of volumes alone", {"role": may(*WIDE[:1], allow("ec2:CreateSnapshot", "arn:aws:ec2:*:*:volume/*"),
     allow("ebs:*"))}, "create-snapshot", "block", "ec2:CreateSnapshot", "ready", "blocked"),
    ("no blocks", {"role": may(*WIDE[:1], allow(["ec2:CreateSnapshot", "ebs:ListSnapshotBlocks"]))},
     "read-snapshot", "block", "ebs:GetSnapshotBlock", "ready", "blocked"),
    ("no list of blocks", {"role": may(*WIDE[:1], allow(["ec2:CreateSnapshot", "ebs:GetSnapshotBlock"]))},
     "read-snapshot", "block", "ebs:ListSnapshotBlocks", "ready", "blocked"),
    # --- disks
    ("plain", {}, "volume", "ok", "(20 GiB): not encrypted", "ready", "ready"),
    ("no volume", {"instance": instance(detail={"devices": ()}), "volumes": {}}, "volume", "block", "no EBS volume",
     "ready", "blocked"),
    ("volumes unread", {"volumes": DENIED}, "volume", "unknown", "x:Action", "ready", "unknown"),
    ("volume not shown", {"volumes": {}}, "volume", "unknown", "does not show it", "ready", "unknown"),
    ("volume lost", {"volumes": {VOL: Volume(VOL, None, (ID,), 20, "error")}}, "volume", "block", "state error",
     "ready", "blocked"),
    ("AWS's own key", encrypted(key=KeyFacts(replace(CUSTOMER, manager="AWS"), None)), "volume", "ok",
     "AWS's own key", "ready", "ready"),
    ("AWS's own key of another account", encrypted(key=KeyFacts(replace(CUSTOMER, manager="AWS", account=B), None)),
     "volume", "block", f"of account {B}", "ready", "blocked"),
    ("key unread", encrypted(key=KeyFacts(DENIED)), "volume", "unknown", "x:Action", "ready", "unknown"),
    ("key not in the facts", {**encrypted(), "keys": {}}, "volume", "unknown", "was not read", "ready", "unknown"),
    ("disabled", encrypted(key=KeyFacts(replace(CUSTOMER, state="Disabled"), key_policy(FOR_ROLE))), "volume",
     "block", "disabled", "ready", "blocked"),
    ("to be deleted", encrypted(key=KeyFacts(replace(CUSTOMER, state="PendingDeletion"), key_policy(FOR_ROLE))),
     "volume", "block", "deleted", "ready", "blocked"),
    ("store away", encrypted(key=KeyFacts(replace(CUSTOMER, state="Unavailable"), key_policy(FOR_ROLE))), "volume",
     "block", "disconnected", "ready", "blocked"),
    ("nothing lets it", encrypted(), "volume", "block", "nor a grant", "ready", "blocked"),
    ("key policy", encrypted(policy=key_policy(FOR_ROLE)), "volume", "ok", "by the key's policy", "ready", "ready"),
    ("IAM policy", {**encrypted(), "role": may(*TAGGED_ONLY, allow("kms:Decrypt", KEY))}, "volume", "ok",
     "IAM policy CadoPolicy", "ready", "ready"),
    ("IAM policy, key sealed", {**encrypted(policy=SEALED), "role": may(*TAGGED_ONLY, allow("kms:Decrypt", KEY))},
     "volume", "block", "nor a grant", "ready", "blocked"),
    ("grant-only", {**encrypted(), "role": may(*TAGGED_ONLY, allow("kms:CreateGrant"))}, "volume", "ok",
     "make grants for itself", "ready", "ready"),
    ("grants for AWS alone", {**encrypted(), "role": may(*TAGGED_ONLY, allow("kms:CreateGrant",
     Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}))}, "volume", "block", "nor a grant", "ready",
     "blocked"),
    ("key deny", {**encrypted(policy=key_policy({**FOR_ROLE, "Effect": "Deny"}), grants=(grant(),))}, "volume",
     "block", "explicit deny", "ready", "blocked"),
    ("grant", encrypted(grants=(grant(NOW + timedelta(days=1)),)), "volume", "ok",
     "grant abababababab, case IR-7, due 2026-11-25", "ready", "ready"),
    ("grant without end", encrypted(grants=(grant(),)), "volume", "ok", "grant abababababab, case IR-7", "ready",
     "ready"),
    ("grant due", encrypted(grants=(grant(NOW - timedelta(days=1)),)), "volume", "warn", "its time has come",
     "ready", "ready"),
    ("due, and another", encrypted(grants=(grant(NOW - timedelta(days=1)), grant(grant_id="cd" * 32))), "volume",
     "ok", "grant cdcdcdcdcdcd", "ready", "ready"),
    ("by hand", encrypted(grants=(grant(name="by-hand"),)), "volume", "ok", "grant abababababab", "ready", "ready"),
    ("another's grant", encrypted(grants=(grant(grantee_principal=OPS),)), "volume", "block", "nor a grant",
     "ready", "blocked"),
    ("grant of little", encrypted(grants=(grant(operations=("DescribeKey",)),)), "volume", "block", "nor a grant",
     "ready", "blocked"),
    ("grant of an id", encrypted(grants=(grant(grantee_principal="AROAEXAMPLE"),)), "volume", "unknown",
     "AROAEXAMPLE", "ready", "unknown"),
    ("bound grant", encrypted(grants=(grant(constraints={"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}),)),
     "volume", "unknown", "kms:encryptioncontext", "ready", "unknown"),
    ("grants unread", encrypted(grants=DENIED), "volume", "unknown", "x:Action", "ready", "unknown"),
    ("grants unread, key policy", encrypted(grants=DENIED, policy=key_policy(FOR_ROLE)), "volume", "ok",
     "key's policy", "ready", "ready"),
    ("key policy unread", encrypted(policy=DENIED, grants=(grant(),)), "volume", "unknown", "x:Action", "ready",
     "unknown"),
    ("role unread, grant", {**encrypted(grants=(grant(),)), "role": replace(may(*TAGGED_ONLY), there=DENIED)},
     "volume", "unknown", "x:Action", "unknown", "unknown"),
    ("no role, encrypted", {**encrypted(), "role": RoleFacts(ROLE, there=False)}, "volume", "unknown",
     "no Cado role", "blocked", "blocked"),
    ("SCP on keys", {**encrypted(policy=key_policy(FOR_ROLE)), "simulation": all_denied("kms:Decrypt",
     decision="explicitDeny", by_organization=False)}, "volume", "block", "SCP", "ready", "blocked"),
    ("the simulator knows no key policies", {**encrypted(policy=key_policy(FOR_ROLE)),
     "simulation": all_denied("kms:Decrypt", decision="implicitDeny")}, "volume", "ok", "key's policy", "ready",
     "ready"),
    ("key of another account", encrypted(key=KeyFacts(replace(CUSTOMER, account=B), key_policy())), "volume",
     "block", "across accounts", "ready", "blocked"),
    ("quota near", encrypted(policy=key_policy(FOR_ROLE), grant_count=45_000), "grant-quota", "warn",
     "45000 grants", "ready", "ready"),
    ("quota unread", encrypted(policy=key_policy(FOR_ROLE), grants=DENIED), "grant-quota", "unknown", "x:Action",
     "ready", "ready"),
    # --- evidence at risk
    ("auto scaling", {"instance": instance(detail={"auto_scaling_group": "web"})}, "auto-scaling", "warn", "web",
     "ready", "ready"),
    ("spot", {"instance": instance(detail={"lifecycle": "spot"})}, "spot", "warn", "two minutes", "ready", "ready"),
    ("capacity block", {"instance": instance(detail={"lifecycle": "capacity-block"})}, "spot", "warn",
     "capacity-block", "ready", "ready"),
    ("managed", {"instance": instance(detail={"managed_by": "EKS"})}, "managed", "warn", "EKS", "ready", "ready"),
    ("ends with it", {"instance": instance(detail={"devices": (BlockDevice("/dev/xvda", VOL, True),)})},
     "delete-on-termination", "warn", VOL, "ready", "ready"),
    ("instance store", {"instance_store": 474}, "instance-store", "warn", "474 GB", "ready", "ready"),
    ("root on a store", {"instance": instance(detail={"root_device_type": "instance-store"})}, "instance-store",
     "warn", "root", "ready", "ready"),
    ("type not told", {"instance_store": None}, "instance-store", "warn", "does not tell", "ready", "ready"),
    ("types unread", {"instance_store": DENIED}, "instance-store", "unknown", "x:Action", "ready", "ready"),
]  # fmt: skip


def built(changes: dict[str, Any]) -> InstanceFacts:
    late = changes.get("simulation")
    if callable(late):
        changes = {**changes, "simulation": late(facts(**{**changes, "simulation": Simulation()}))}
    return facts(**changes)


@pytest.mark.parametrize(
    ("changes", "check", "status", "word", "triage", "disk"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_a_fact_and_what_it_means(
    changes: dict[str, Any], check: str, status: str, word: str, triage: str, disk: str
) -> None:
    readiness = verdict(built(changes))
    [finding] = found(readiness, check)
    assert (str(finding.status), word in finding.detail) == (status, True), finding.detail
    assert (readiness.route(Route.TRIAGE), readiness.route(Route.DISK)) == (triage, disk), readiness.findings


def with_keys(given: InstanceFacts, **changes: Any) -> InstanceFacts:
    return replace(given, keys={arn: replace(each, **changes) for arn, each in given.keys.items()})


def with_role(given: InstanceFacts, **changes: Any) -> InstanceFacts:
    return replace(given, role=replace(given.role, **changes))


UNREAD: dict[str, Callable[[InstanceFacts], InstanceFacts]] = {
    "nodes": lambda given: replace(given, node=DENIED, hybrid=DENIED),
    "hybrid nodes": lambda given: replace(given, hybrid=DENIED),
    "default management": lambda given: replace(given, default_management=DENIED),
    "volumes": lambda given: replace(given, volumes=DENIED, keys={}),
    "instance types": lambda given: replace(given, instance_store=DENIED),
    "role": lambda given: with_role(given, there=DENIED, boundary=DENIED),
    "policies": lambda given: with_role(given, policies=DENIED),
    "boundary": lambda given: with_role(given, boundary=DENIED),
    "keys": lambda given: with_keys(given, key=DENIED),
    "key policies": lambda given: with_keys(given, policy=DENIED),
    "grants": lambda given: with_keys(given, grants=DENIED),
    "simulator": lambda given: replace(given, simulation=Simulation(problem=DENIED)),
}


@pytest.mark.parametrize("fact", UNREAD)
def test_what_is_not_read_makes_nothing_certain(fact: str) -> None:
    """Of every row, with one fact unread: what was not ok becomes not ok, and what was no block becomes none."""
    for name, changes, *_ in ROWS:
        before = built(changes)
        if fact in ("role", "policies", "boundary") and before.role.there is False:
            continue  # then there is nothing of it to be read
        told = {each.check: str(each.status) for each in verdict(before).findings}
        for each in verdict(UNREAD[fact](before)).findings:
            if each.status in ("ok", "block"):
                assert told.get(each.check) == each.status, (name, each)


QUIET = ("auto-scaling", "spot", "managed", "delete-on-termination", "instance-store", "grant-quota", "claims")


def test_what_is_not_the_case_is_not_told() -> None:
    readiness = verdict(facts())
    assert [each for each in readiness.findings if each.check in QUIET] == []
    assert readiness.ready
    assert readiness.clear


def test_every_unknown_names_what_was_missing_and_where_to_look_it_up() -> None:
    gone = facts(
        node=DENIED, hybrid=DENIED, volumes=DENIED, instance_store=DENIED,
        role=replace(may(), there=DENIED, policies=DENIED, boundary=DENIED),
    )  # fmt: skip
    for each in verdict(gone).findings:
        if each.status == "unknown":
            assert "x:Action is not allowed" in each.detail, each
            if each.check != "tag":
                assert each.fix == f"cado-ops policy show operator --for check --account {A}"


def test_nothing_unread_is_ok() -> None:
    """Everything that can be unread at once: only what DescribeInstances itself told stays certain."""
    gone = facts(
        node=DENIED, hybrid=DENIED, volumes=DENIED, instance_store=DENIED, simulation=Simulation(problem=DENIED),
        role=replace(may(), there=DENIED, policies=DENIED, boundary=DENIED),
    )  # fmt: skip
    assert {each.check for each in verdict(gone).findings if each.status == "ok"} == {"state", "platform"}


def test_a_failure_that_is_no_denial_is_told_in_its_own_words() -> None:
    [agent] = found(verdict(facts(node=Unreadable("ssm:X", "Throttling: slow down", denied=False))), "agent")
    assert "ssm:X failed (Throttling: slow down)" in agent.detail


def test_the_worst_comes_first() -> None:
    readiness = verdict(facts(instance=instance({}, detail={"lifecycle": "spot"}), volumes=DENIED))
    statuses = [str(each.status) for each in readiness.findings]
    assert statuses == sorted(statuses, key=["block", "unknown", "warn", "ok"].index)


def test_as_an_item() -> None:
    item = verdict(facts()).as_item()
    assert list(item) == ["account", "region", "instance_id", "routes", "findings"]
    assert item["routes"] == {"triage": "ready", "disk": "ready"}
    assert all(list(each) == ["check", "status", "detail", "fix"] for each in item["findings"])


class TestFixes:
    """They can be pasted: quoted, with account, region, role and case."""

    WHO = f"--account {A} --region {REGION} --role-name CadoOperator --external-id 'it'\"'\"'s secret'"

    def fix(self, check: str, asker: Asker = ASKER, **changes: Any) -> Finding:
        [finding] = found(verdict(facts(**changes), asker), check)
        if finding.fix:
            shlex.split(finding.fix)
        return finding

    def test_tag(self) -> None:
        finding = self.fix("tag", instance=instance({}))
        assert (finding.fix, finding.mend) == (f"cado-ops tag-instances {ID} {self.WHO} --case IR-42", Mend.TAG)

    def test_a_value_set_on_purpose_is_left_to_people(self) -> None:
        finding = self.fix("tag", instance=tagged("False"))
        assert finding.mend is None
        assert (finding.fix or "").startswith(f"cado-ops tag-instances {ID} --overwrite ")

    def test_an_instance_that_is_full_needs_a_person(self) -> None:
        finding = self.fix("tag", instance=replace(instance({}), tag_count=50))
        assert (finding.fix, finding.mend) == (None, None)

    def test_a_second_key(self) -> None:
        finding = self.fix("tag", instance=instance({SSM_TAG: "True", SSM_TAG.lower(): "a, b"}))
        assert finding.mend is None
        *words, told, option, region = shlex.split(finding.fix or "")
        assert words == ["aws", "ec2", "delete-tags", "--resources", ID, "--tags"]
        assert json.loads(told) == [{"Key": SSM_TAG.lower(), "Value": "a, b"}]
        assert (option, region) == ("--region", REGION)

    @pytest.mark.parametrize(("mine", "then"), [("IR-42", "IR-42"), (None, "IR-7")])
    def test_a_grant_that_is_due_is_prolonged(self, mine: str | None, then: str) -> None:
        due = KeyFacts(CUSTOMER, key_policy(), (grant(NOW - timedelta(hours=1)),), 1)
        readiness = verdict(facts(**encrypted(key=due)), replace(ASKER, case=mine))
        (finding,) = found(readiness, "volume")
        assert finding.status == "warn"
        assert (finding.fix or "").endswith(f"--case {then} --expires 72h")

    def test_nothing_in_a_fix_has_to_be_filled_in(self) -> None:
        none = instance(detail={"instance_profile": None})
        finding = self.fix("management", instance=none, node=None)
        assert finding.fix is None
        assert "AmazonSSMManagedInstanceCore" in finding.detail

    def test_a_key_that_is_to_be_deleted_has_to_be_enabled_afterwards(self) -> None:
        doomed = KeyFacts(replace(CUSTOMER, state="PendingDeletion"), key_policy())
        where = f"--key-id {KEY} --region {REGION}"
        expected = f"aws kms cancel-key-deletion {where} && aws kms enable-key {where}"
        assert self.fix("volume", **encrypted(key=doomed)).fix == expected

    def test_grant(self) -> None:
        finding = self.fix("volume", **encrypted())
        assert (finding.mend, finding.about) == (Mend.GRANT, VOL)
        assert finding.fix == f"cado-ops kms grant --volume-id {VOL} {self.WHO} --case IR-42"

    @pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
    def test_a_key_that_cannot_be_used_gets_no_grant(self, state: str) -> None:
        finding = self.fix("volume", **encrypted(key=KeyFacts(replace(CUSTOMER, state=state), key_policy())))
        assert finding.mend is None
        assert (finding.fix or "").startswith("aws kms ")

    def test_what_a_deny_forbids_no_grant_mends(self) -> None:
        given = encrypted(policy=key_policy({**FOR_ROLE, "Effect": "Deny"}))
        assert self.fix("volume", **given).mend is None

    def test_at_home_no_role_is_assumed(self) -> None:
        home = replace(ASKER, own_account=A, profile="ir", cado_role="X")
        finding = self.fix("tag", home, instance=instance({}))
        assert (
            finding.fix == f"cado-ops tag-instances {ID} --account {A} --region {REGION} --profile ir --case IR-42"
        )
        assert "--cado-role X" in (self.fix("volume", home, **encrypted()).fix or "")

    def test_another_endpoint_stays_the_one(self) -> None:
        asker = replace(ASKER, endpoint_url="http://localhost:1")
        given = {"detail": {"auto_scaling_group": "web"}}
        for check, there in (("tag", instance({})), ("auto-scaling", instance(**given))):
            assert "--endpoint-url http://localhost:1" in (self.fix(check, asker, instance=there).fix or "")

    def test_a_group_whose_name_begins_with_a_dash_is_no_option_of_the_aws_cli(self) -> None:
        there = instance(detail={"auto_scaling_group": "--debug"})
        words = shlex.split(self.fix("auto-scaling", instance=there).fix or "")
        assert "--auto-scaling-group-name=--debug" in words
        assert "--debug" not in words

    def test_a_role_by_arn_goes_before_its_name(self) -> None:
        asker = replace(ASKER, role_arns={A: OPS, B: "other"}, expires="72h")
        fix = self.fix("tag", asker, instance=instance({})).fix or ""
        assert f"--role-arn {OPS}" in fix
        assert "--role-name" not in fix
        assert fix.endswith("--case IR-42 --expires 72h")

    def test_another_name_of_the_cado_role(self) -> None:
        other = f"arn:aws:iam::{A}:role/StackSet-CadoResponseRole-1"
        finding = self.fix("cado-role", role=RoleFacts(ROLE, there=False, instead=f"--cado-role {other}"))
        assert finding.fix == f"cado-ops check {ID} --cado-role {other} {self.WHO} --case IR-42"
        finding = self.fix("cado-role", role=RoleFacts(ROLE, there=False, instead="--cado-role, with one of a, b"))
        assert finding.fix is None
        assert "with one of a, b" in finding.detail

    def test_a_claim_that_is_due_is_prolonged_for_its_own_case(self) -> None:
        tags = {SSM_TAG: "True", CLAIM_PREFIX + "IR-1": "2026-11-01T00:00:00Z"}
        fix = self.fix("claims", instance=instance(tags)).fix or ""
        assert fix.endswith("--case IR-1 --expires 72h")
