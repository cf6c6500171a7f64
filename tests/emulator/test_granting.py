"""kms grant: one grant, however often and from wherever it is asked for; and what a dry run says."""

from __future__ import annotations

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
from cado_ops.grant_name import parse_grant_name
from cado_ops.grant_operations import FULL
from tests.emulator.conftest import (
    CASE,
    EU,
    HERE,
    IN_PROD,
    PROD,
    ROLE,
    US,
    Connect,
    Organisation,
    Wire,
    cado_role,
    made_elsewhere,
    only,
    operator_role,
    policy,
    statement,
)
from tests.functional.conftest import Cli


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
        made, ended = sorted(done.json["items"], key=lambda item: item["action"])
        assert (made["action"], made["grant_id"]) == ("create", grant["GrantId"])
        assert (ended["action"], ended["outcome"]) == ("retire", "changed"), "the one that gave way is told as well"
        assert made["outcome"] == ("unchanged" if kept == "theirs" else "changed")

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
        assert any(f"other regions ({US}) need their own" in warning for warning in only(done)["warnings"])
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
