"""kms retire: by retiring and by revoking, and never what is not ours."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

import pytest

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from tests.emulator.conftest import (
    CASE,
    HERE,
    IN_PROD,
    PROD,
    Connect,
    Organisation,
    Wire,
    made_elsewhere,
    only,
)
from tests.functional.conftest import Cli


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
