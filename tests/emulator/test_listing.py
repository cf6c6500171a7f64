"""kms list: all pages of all keys, and what may not be read."""

from __future__ import annotations

import shlex

from cado_ops.aws.kms import Kms
from tests.emulator.conftest import (
    CASE,
    EU,
    HERE,
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
    only,
    operator_role,
    policy,
    statement,
    trust,
)
from tests.functional.conftest import Cli


class TestPages:
    def test_every_grant_of_a_long_list_is_read_once(
        self, cli: Cli, connect: Connect, organisation: Organisation, wire: Wire
    ):
        key = organisation.key()
        theirs = {organisation.grant(key, Name=f"theirs-{number}") for number in range(205)}
        cli("kms", "grant", "--key", key, *IN_PROD, *CASE, "--grantee", cado_role())
        wire.actions.clear()
        pages = list(Kms(connect()).grants(HERE, key))
        assert [len(page) for page in pages] == [100, 100, 6]
        assert wire.actions.count("ListGrants") == 3
        listed = cli.json("kms", "list", "--key", key, *IN_PROD)
        ids = [item["grant_id"] for item in listed.json["items"]]
        assert len(ids) == len(set(ids)) == 206
        assert listed.json["summary"] | {"platform": 205, "ours": 1} == listed.json["summary"]
        # The one of ours is found, and it alone is ended.
        retired = cli.json("kms", "retire", "--of-case", "IR-42", *IN_PROD, "--yes")
        assert (retired.code, retired.json["summary"]["changed"]) == (0, 1)
        assert {grant["GrantId"] for grant in organisation.grants(key)} == theirs

    def test_kms_filters_by_grantee_and_by_id(self, connect: Connect, organisation: Organisation, wire: Wire):
        key, kms = organisation.key(), Kms(connect())
        other = f"arn:aws:iam::{PROD}:role/CadoOperator"
        mine = organisation.grant(key)
        for number in range(105):
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
