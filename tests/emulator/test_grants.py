"""kms grant, list and retire, whole commands and the gateway, where IAM and key policies are enforced."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from cado_ops.grant_name import GrantName, digest_of, parse_grant_name
from cado_ops.grant_operations import FULL
from cado_ops.model import Cell
from tests.emulator.conftest import (
    EU,
    HOME,
    IN_PROD,
    PROD,
    RESPONDER,
    ROLE,
    STAGING,
    US,
    Connect,
    Organisation,
    Wire,
    cado_role,
    operator_role,
    policy,
    statement,
    trust,
)
from tests.functional.conftest import Cli, Result

HERE = Cell(PROD, EU)
CASE = ("--case", "IR-42", "--yes")


def only(done: Result) -> dict[str, Any]:
    [item] = done.json["items"]
    return dict(item)


def made_elsewhere(organisation: Organisation, key: str, case: str, due: datetime) -> str:
    """A grant of ours that another machine made: its id."""
    digest = digest_of(key, cado_role(), FULL, {})
    name = str(GrantName(case, due.replace(microsecond=0), digest))
    return organisation.grant(key, Name=name, RetiringPrincipal=operator_role())


class TestOnce:
    def test_granting_again_finds_the_grant_that_is_there(self, cli: Cli, organisation: Organisation):
        key = organisation.key(alias="acme")
        made = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert (made.code, only(made)["outcome"]) == (0, "changed")
        for name in (key, key.rpartition("/")[2], "alias/acme", key.rpartition(":")[0] + ":alias/acme"):
            again = cli.json("kms", "grant", "--key", name, *IN_PROD, *CASE)
            assert (again.code, only(again)["outcome"]) == (0, "unchanged")
            assert only(again)["grant_id"] == only(made)["grant_id"]
        [grant] = organisation.grants(key)
        assert grant["GrantId"] == only(made)["grant_id"]
        assert grant["GranteePrincipal"] == cado_role()
        assert grant["RetiringPrincipal"] == operator_role()
        assert sorted(grant["Operations"]) == list(FULL)

    def test_kms_gives_the_same_grant_for_the_same_name_and_terms(
        self, connect: Connect, organisation: Organisation
    ):
        key, kms = organisation.key(), Kms(connect())
        terms: dict[str, Any] = {
            "key_arn": key,
            "name": "cado-ops/IR-42/-/0",
            "grantee": cado_role(),
            "retiring_principal": operator_role(),
            "operations": ("Decrypt", "DescribeKey"),
            "constraints": {},
        }

        def make(_: int) -> str:
            return kms.create_grant(HERE, **terms)[0]

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(make, range(16)))) == 1
        assert len(organisation.grants(key)) == 1
        other = kms.create_grant(HERE, **terms | {"operations": ("Decrypt",)})[0]
        bound = kms.create_grant(HERE, **terms | {"constraints": {"EncryptionContextSubset": {"a": "b"}}})[0]
        assert len({grant["GrantId"] for grant in organisation.grants(key)} | {other, bound}) == 3

    def test_two_cases_have_a_grant_each(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        second = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-43", "--yes")
        assert "(case IR-42) gives the same already" in only(second)["warnings"][0]
        assert len(organisation.grants(key)) == 2
        retired = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes")
        assert retired.code == 0
        [left] = organisation.grants(key)
        assert left["GrantId"] == only(second)["grant_id"]

    def test_a_later_due_time_makes_a_new_grant_before_it_ends_the_old_one(
        self, cli: Cli, organisation: Organisation, wire: Wire
    ):
        key = organisation.key()
        first = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE, "--expires", "24h")
        wire.actions.clear()
        later = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE, "--expires", "72h")
        assert later.code == 0
        writes = [action for action in wire.actions if action in ("CreateGrant", "RetireGrant")]
        assert writes == ["CreateGrant", "RetireGrant"]
        [grant] = organisation.grants(key)
        assert grant["GrantId"] != only(first)["grant_id"]
        name = parse_grant_name(grant["Name"])
        assert name is not None
        assert name.due is not None
        assert name.due > datetime.now(UTC) + timedelta(hours=71)
        earlier = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE, "--expires", "1h")
        assert only(earlier)["outcome"] == "unchanged"
        assert [each["GrantId"] for each in organisation.grants(key)] == [grant["GrantId"]]

    @pytest.mark.parametrize(("theirs", "kept"), [("96h", "theirs"), ("24h", "ours")])
    def test_of_two_runs_at_the_same_moment_one_grant_is_left(
        self, cli: Cli, organisation: Organisation, wire: Wire, theirs: str, kept: str
    ):
        key = organisation.key()
        other: list[str] = []

        def meanwhile(action: str) -> None:
            # Between the reading and the granting of this run, another machine grants for the same case.
            if action == "CreateGrant":
                wire.before = lambda _: None
                due = datetime.now(UTC) + timedelta(hours=int(theirs.removesuffix("h")))
                other.append(made_elsewhere(organisation, key, "IR-42", due))

        wire.before = meanwhile
        done = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE, "--expires", "48h")
        assert done.code == 0
        [grant] = organisation.grants(key)
        assert (grant["GrantId"] == other[0]) is (kept == "theirs")
        assert only(done)["grant_id"] == grant["GrantId"]
        assert only(done)["outcome"] == ("unchanged" if kept == "theirs" else "changed")

    def test_two_machines_at_once_leave_one_grant_a_key(self, organisation: Organisation, tmp_path: Path):
        keys = [organisation.key() for _ in range(3)]
        command = ("kms", "grant", *(f"--key={key}" for key in keys), *IN_PROD, *CASE)
        machines = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cado_ops",
                    *command,
                    f"--expires={expires}",
                    f"--journal-dir={tmp_path / expires}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for expires in ("24h", "48h")
        ]
        for machine in machines:
            errors = machine.communicate(timeout=60)[1]
            assert machine.returncode == 0, errors
        for key in keys:
            [grant] = organisation.grants(key)
            name = parse_grant_name(grant["Name"])
            assert name is not None
            assert name.due is not None
            assert name.due > datetime.now(UTC) + timedelta(hours=47)

    def test_what_is_bound_to_a_context_is_a_grant_of_its_own(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        context = ("--encryption-context", "aws:ebs:id=vol-0123456789abcdef0")
        for _ in range(2):
            assert cli("kms", "grant", "--key", key, *IN_PROD, *CASE, *context).code == 0
        [grant] = organisation.grants(key)
        assert grant["Constraints"] == {"EncryptionContextSubset": {"aws:ebs:id": "vol-0123456789abcdef0"}}
        assert only(cli.json("kms", "list", "--key", key, *IN_PROD))["owner"] == "ours"

    def test_a_replica_has_grants_of_its_own(self, cli: Cli, organisation: Organisation):
        key = organisation.key(MultiRegion=True)
        organisation.root("kms").replicate_key(KeyId=key, ReplicaRegion=US)
        replica = key.replace(EU, US)
        done = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert any(f"each replica ({US}) needs its own" in warning for warning in only(done)["warnings"])
        assert organisation.grants(replica) == []
        assert cli("kms", "grant", "--key", replica, "--account", PROD, *ROLE, *CASE).code == 0
        assert [len(organisation.grants(each)) for each in (key, replica)] == [1, 1]


class TestLostAnswers:
    """KMS has done it, and the connection breaks before its answer comes: the request is sent again."""

    @pytest.fixture
    def lose(self, wire: Wire) -> Callable[[str], None]:
        def lose_one(action: str) -> None:
            def broken(answered: str) -> None:
                if answered == action:
                    wire.after = lambda _: None
                    raise ConnectionClosedError(endpoint_url="the emulator")

            wire.after = broken

        return lose_one

    def test_a_grant_is_made_once(
        self, cli: Cli, organisation: Organisation, wire: Wire, lose: Callable[[str], None]
    ):
        key = organisation.key()
        lose("CreateGrant")
        done = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert (done.code, only(done)["outcome"]) == (0, "changed")
        assert wire.actions.count("CreateGrant") == 2
        [grant] = organisation.grants(key)
        assert grant["GrantId"] == only(done)["grant_id"]

    @pytest.mark.parametrize(("action", "flags"), [("RetireGrant", ()), ("RevokeGrant", ("--revoke",))])
    def test_an_end_counts_as_ours(
        self,
        cli: Cli,
        organisation: Organisation,
        lose: Callable[[str], None],
        action: str,
        flags: tuple[str, ...],
    ):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        lose(action)
        done = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes", *flags)
        assert (done.code, only(done)["outcome"], only(done)["warnings"]) == (0, "changed", [])
        assert organisation.grants(key) == []


class TestPages:
    def test_every_grant_of_a_long_list_is_read_once(
        self, cli: Cli, connect: Connect, organisation: Organisation, wire: Wire
    ):
        key = organisation.key()
        theirs = {organisation.grant(key, Name=f"theirs-{number}") for number in range(230)}
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE, "--grantee", cado_role())
        wire.actions.clear()
        pages = list(Kms(connect()).grants(HERE, key))
        assert [len(page) for page in pages] == [100, 100, 31]
        assert wire.actions.count("ListGrants") == 3
        listed = cli.json("kms", "list", "--key", key, *IN_PROD)
        ids = [item["grant_id"] for item in listed.json["items"]]
        assert len(ids) == len(set(ids)) == 231
        assert listed.json["summary"] | {"platform": 230, "ours": 1} == listed.json["summary"]
        # The one of ours is found, and it alone is ended.
        retired = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes")
        assert (retired.code, retired.json["summary"]["changed"]) == (0, 1)
        assert {grant["GrantId"] for grant in organisation.grants(key)} == theirs

    def test_kms_filters_by_grantee_and_by_id(self, connect: Connect, organisation: Organisation, wire: Wire):
        key, kms = organisation.key(), Kms(connect())
        other = f"arn:aws:iam::{PROD}:role/CadoOperator"
        mine = organisation.grant(key)
        for number in range(120):
            organisation.grant(key, Name=f"n-{number}", GranteePrincipal=other)
        wire.actions.clear()
        assert [[grant.grant_id for grant in page] for page in kms.grants(HERE, key, grantee=cado_role())] == [
            [mine]
        ]
        assert [[grant.grant_id for grant in page] for page in kms.grants(HERE, key, grant_id=mine)] == [[mine]]
        assert wire.actions.count("ListGrants") == 2

    def test_many_keys_of_two_accounts_and_two_regions(self, cli: Cli, organisation: Organisation):
        keys = [
            organisation.key(account, region) for account in (PROD, STAGING) for region in (EU, US) for _ in "ab"
        ]
        places = ("--account", f"{PROD},{STAGING}", "--region", f"{EU},{US}", *ROLE)
        done = cli.json("kms", "grant", *(f"--key={key}" for key in keys), *places, *CASE)
        assert (done.code, done.json["summary"]["changed"]) == (0, 8)
        for key in keys:
            [grant] = organisation.grants(key)
            # The Cado role of the key's own account.
            assert grant["GranteePrincipal"] == cado_role(key.split(":")[4])
        listed = cli("kms", "list", "--owner", "ours", *places, "-o", "ndjson")
        assert sorted(line["key_arn"] for line in listed.lines if line["type"] == "item") == sorted(keys)


class TestDryRun:
    def test_a_grant_that_kms_would_allow(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        done = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-42", "--dry-run")
        assert (done.code, done.json["status"], only(done)["outcome"]) == (0, "planned", "allowed")
        assert organisation.grants(key) == []
        assert cli.runs() == []

    @pytest.mark.parametrize("revoke", [(), ("--revoke",)], ids=["retire", "revoke"])
    def test_an_end_that_kms_would_allow(self, cli: Cli, organisation: Organisation, revoke: tuple[str, ...]):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        done = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, *revoke, "--dry-run")
        assert (done.code, only(done)["outcome"]) == (0, "allowed")
        assert len(organisation.grants(key)) == 1

    def test_what_iam_denies_is_denied_beforehand_and_in_earnest(self, cli: Cli, organisation: Organisation):
        organisation.deny(PROD, "CadoOperator", "kms:CreateGrant")
        key = organisation.key()
        dry = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-42", "--dry-run")
        assert only(dry)["outcome"] == "denied"
        assert only(dry)["error"]["code"] == "AccessDeniedException"
        assert "explicit deny in an identity-based policy" in only(dry)["error"]["message"]
        wet = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert (wet.code, only(wet)["outcome"]) == (1, "failed")
        assert only(wet)["error"]["hint"].startswith("The operator role needs kms:CreateGrant")
        assert organisation.grants(key) == []

    def test_a_key_policy_that_leaves_nothing_to_iam(self, cli: Cli, organisation: Organisation):
        somebody = f"arn:aws:iam::{PROD}:role/Somebody"
        document = policy(
            statement("Allow", "kms:DescribeKey", "kms:ListGrants", principal="*"),
            statement("Allow", "kms:*", principal=somebody),
        )
        key = organisation.key(Policy=document, BypassPolicyLockoutSafetyCheck=True)
        done = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-42", "--dry-run")
        assert only(done)["outcome"] == "denied"
        assert "the key's policy has to leave that to IAM or allow it" in only(done)["error"]["hint"]


class TestEnding:
    @pytest.mark.parametrize("revoke", [(), ("--revoke",)], ids=["retire", "revoke"])
    def test_by_id_and_once(self, cli: Cli, organisation: Organisation, wire: Wire, revoke: tuple[str, ...]):
        key = organisation.key()
        made = only(cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE))
        wire.actions.clear()
        done = cli.json("kms", "retire", made["grant_id"], "--key", key, *IN_PROD, "--yes", *revoke)
        assert (done.code, only(done)["outcome"]) == (0, "changed")
        assert ("RevokeGrant" if revoke else "RetireGrant") in wire.actions
        assert organisation.grants(key) == []
        again = cli.json("kms", "retire", made["grant_id"], "--key", key, *IN_PROD, "--yes", *revoke)
        assert again.code != 0
        [failure] = again.json["failures"]
        assert (failure["stage"], failure["id"]) == ("select", made["grant_id"])

    @pytest.mark.parametrize("revoke", [False, True])
    def test_what_somebody_else_ended_meanwhile_is_unchanged(
        self, cli: Cli, organisation: Organisation, wire: Wire, revoke: bool
    ):
        key = organisation.key()
        made = only(cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE))
        action = "RevokeGrant" if revoke else "RetireGrant"

        def overtake(about_to: str) -> None:
            if about_to == action:
                wire.before = lambda _: None
                organisation.root("kms").revoke_grant(KeyId=key, GrantId=made["grant_id"])

        wire.before = overtake
        flags = ("--revoke",) if revoke else ()
        done = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes", *flags)
        assert (done.code, only(done)["outcome"]) == (0, "unchanged")
        assert "gone already" in only(done)["warnings"][0]

    def test_who_may_not_retire_is_given_the_command_that_revokes(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        organisation.deny(PROD, "CadoOperator", "kms:RetireGrant")
        refused = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes")
        assert (refused.code, only(refused)["outcome"]) == (1, "failed")
        assert len(organisation.grants(key)) == 1
        command = shlex.split(only(refused)["error"]["hint"].partition(": ")[2])
        assert command[0] == "cado-ops"
        done = cli.json(*command[1:], "--yes")
        assert (done.code, only(done)["outcome"]) == (0, "changed")
        assert organisation.grants(key) == []

    def test_what_is_not_ours_stays(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        ours = only(cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE))
        platform = organisation.grant(key, Name="made-by-hand")
        forged = organisation.grant(key, Name=ours["name"], Operations=["Decrypt"])
        stranger = organisation.grant(key, GranteePrincipal=f"arn:aws:iam::{PROD}:role/Somebody")
        services = organisation.grant(
            key, GranteePrincipal=f"arn:aws:sts::{PROD}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"
        )
        assert cli("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes").code == 0
        assert {grant["GrantId"] for grant in organisation.grants(key)} == {platform, forged, stranger, services}
        by_id = cli.json("kms", "retire", platform, stranger, services, "--key", key, *IN_PROD, "--yes")
        assert {item["error"]["code"] for item in by_id.json["items"]} == {"NotOurs"}
        included = ("--include-platform", "--revoke")
        cli("kms", "retire", platform, stranger, services, "--key", key, *IN_PROD, "--yes", *included)
        assert {grant["GrantId"] for grant in organisation.grants(key)} == {forged, stranger, services}

    @pytest.mark.parametrize("end", ["retire_grant", "revoke_grant"])
    def test_the_gateway_knows_a_grant_that_is_gone(self, connect: Connect, organisation: Organisation, end: str):
        key, kms = organisation.key(), Kms(connect())
        grant_id = organisation.grant(key)
        getattr(kms, end)(HERE, key, grant_id, dry_run=True)
        getattr(kms, end)(HERE, key, grant_id)
        for dry_run in (True, False):
            with pytest.raises(AwsError) as caught:
                getattr(kms, end)(HERE, key, grant_id, dry_run=dry_run)
            assert caught.value.kind is Kind.NOT_FOUND

    def test_what_is_due_is_ended_by_whoever_looks(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        due = made_elsewhere(organisation, key, "IR-42", datetime.now(UTC) - timedelta(minutes=1))
        later = only(
            cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-43", "--yes", "--expires", "7d")
        )
        assert only(cli.json("kms", "list", "--expired", *IN_PROD))["grant_id"] == due
        assert cli("kms", "retire", "--expired", *IN_PROD, "--yes").code == 0
        assert [grant["GrantId"] for grant in organisation.grants(key)] == [later["grant_id"]]


class TestKeys:
    def test_a_disabled_key_takes_no_grant_and_lets_go_of_those_it_has(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        cli("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-43", "--yes")
        organisation.root("kms").disable_key(KeyId=key)
        refused = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-44", "--yes")
        assert (refused.code, only(refused)["error"]["code"]) == (1, "DisabledException")
        assert "enable-key" in only(refused)["error"]["hint"]
        assert len(cli.json("kms", "list", "--key", key, *IN_PROD).json["items"]) == 2
        assert cli("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes").code == 0
        assert cli("kms", "retire", "--of-case", "IR-43", *IN_PROD, "--yes", "--revoke").code == 0
        assert organisation.grants(key) == []

    def test_a_key_that_is_disabled_after_the_plan(self, cli: Cli, organisation: Organisation, wire: Wire):
        keys = sorted(organisation.key() for _ in range(2))

        def disable(action: str) -> None:
            if action == "CreateGrant":
                wire.before = lambda _: None
                organisation.root("kms").disable_key(KeyId=keys[0])

        wire.before = disable
        done = cli.json("kms", "grant", *(f"--key={key}" for key in keys), *IN_PROD, *CASE)
        assert done.code == 3
        ends = {item["key_arn"]: item["outcome"] for item in done.json["items"]}
        assert ends == {keys[0]: "failed", keys[1]: "changed"}
        [failed] = [item for item in done.json["items"] if item["outcome"] == "failed"]
        assert failed["error"]["code"] == "DisabledException"

    def test_a_key_on_its_way_out(self, cli: Cli, organisation: Organisation):
        key = organisation.key()
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE)
        organisation.root("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        refused = cli.json("kms", "grant", "--key", key, *IN_PROD, "--case", "IR-43", "--yes")
        assert only(refused)["error"]["code"] == "KMSInvalidStateException"
        assert "cancel-key-deletion" in only(refused)["error"]["hint"]
        assert cli("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes").code == 0
        assert organisation.grants(key) == []

    @pytest.mark.parametrize("state", ["disable_key", "schedule_key_deletion"])
    def test_the_gateway_reads_what_kms_says_of_such_keys(
        self, connect: Connect, organisation: Organisation, state: str
    ):
        key, kms = organisation.key(), Kms(connect())
        getattr(organisation.root("kms"), state)(KeyId=key)
        for dry_run in (True, False):
            with pytest.raises(AwsError) as caught:
                kms.create_grant(
                    HERE,
                    key_arn=key,
                    name=None,
                    grantee=cado_role(),
                    retiring_principal=None,
                    operations=("Decrypt",),
                    constraints={},
                    dry_run=dry_run,
                )
            assert caught.value.code in ("DisabledException", "KMSInvalidStateException")
            assert caught.value.kind is Kind.OTHER

    def test_a_key_that_no_disk_is_encrypted_with(self, cli: Cli, organisation: Organisation):
        key = organisation.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        refused = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert only(refused)["error"]["code"] == "UnsupportedKey"

    def test_a_key_that_is_not_there(self, cli: Cli, organisation: Organisation):
        missing = "00000000-0000-4000-8000-000000000000"
        arn = f"arn:aws:kms:{EU}:{PROD}:key/{missing}"
        there = organisation.key()
        done = cli.json("kms", "grant", "--key", arn, "--key", there, "--key", "alias/none", *IN_PROD, *CASE)
        assert done.code == 3
        assert {failure["id"] for failure in done.json["failures"]} == {missing, "alias/none"}
        assert only(done)["outcome"] == "changed"


class TestDenied:
    """What the operator role lacks is said, and is never an empty answer."""

    def test_a_key_whose_grants_may_not_be_listed(self, cli: Cli, organisation: Organisation):
        closed = policy(
            statement("Allow", "kms:*", principal=f"arn:aws:iam::{PROD}:root"),
            statement("Deny", "kms:ListGrants", principal=operator_role()),
        )
        readable, unreadable = organisation.key(), organisation.key(Policy=closed)
        organisation.grant(readable)
        done = cli.json("kms", "list", *IN_PROD)
        assert done.code == 3
        [failure] = done.json["failures"]
        assert (failure["id"], failure["error"]["code"]) == (unreadable, "AccessDeniedException")
        assert only(done)["key_arn"] == readable

    def test_an_action_that_is_not_allowed_at_all(self, cli: Cli):
        done = cli.json("kms", "list", "--retirable", *IN_PROD)
        assert (done.code, done.json["summary"]["targets_failed"]) == (1, 1)
        [failure] = done.json["failures"]
        assert failure["error"]["code"] == "AccessDeniedException"
        # No key has a part in this one: its policy cannot be what is missing.
        assert failure["error"]["hint"] == "The operator role needs the permission kms:ListRetirableGrants."

    def test_without_iam_the_cado_role_is_taken_at_its_name(self, cli: Cli, organisation: Organisation):
        organisation.deny(PROD, "CadoOperator", "iam:GetRole", "iam:ListRoles")
        key = organisation.key()
        assert cli("kms", "grant", "--key", key, *IN_PROD, *CASE).code == 0
        assert organisation.grants(key)[0]["GranteePrincipal"] == cado_role()

    def test_a_cado_role_of_another_name_is_pointed_out(self, cli: Cli, organisation: Organisation):
        organisation.root("iam").delete_role(RoleName="CadoResponseRole")
        organisation.add_role(PROD, "StackSet-Cado-CadoResponseRole-1A2B3C", trust(RESPONDER))
        key = organisation.key()
        refused = cli.json("kms", "grant", "--key", key, *IN_PROD, *CASE)
        assert only(refused)["error"]["code"] == "GranteeNotFound"
        hint = shlex.split(only(refused)["error"]["hint"])
        assert hint == ["--cado-role", f"arn:aws:iam::{PROD}:role/StackSet-Cado-CadoResponseRole-1A2B3C"]
        assert cli("kms", "grant", "--key", key, *IN_PROD, *CASE, *hint).code == 0

    def test_in_ones_own_account_it_is_ones_own_role_path_included(self, cli: Cli, organisation: Organisation):
        may = policy(statement("Allow", "kms:*", "iam:GetRole"))
        organisation.root("iam", HOME).put_role_policy(RoleName="Responder", PolicyName="own", PolicyDocument=may)
        organisation.add_role(HOME, "CadoResponseRole", trust(RESPONDER))
        key = organisation.key(HOME)
        assert cli("kms", "grant", "--key", key, *CASE).code == 0
        [grant] = organisation.grants(key)
        assert grant["RetiringPrincipal"] == f"arn:aws:iam::{HOME}:role/ir/Responder"
        assert cli("kms", "retire", "--of-case", "IR-42", "--yes").code == 0
        assert organisation.grants(key) == []
