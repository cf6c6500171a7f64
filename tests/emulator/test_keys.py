"""Keys that take no grant, and let go of those they have."""

from __future__ import annotations

import pytest

from cado_ops.aws.kms import Kms
from cado_ops.errors import AwsError, Kind
from tests.emulator.conftest import (
    CASE,
    EU,
    HERE,
    IN_PROD,
    PROD,
    Connect,
    Organisation,
    Wire,
    cado_role,
    only,
)
from tests.functional.conftest import Cli


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
