"""kms grant: from what a responder has to one grant a key, however often it is run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.functional.conftest import DE, EU, HOME, IN_PROD, PROD, RESEARCH, ROLE, STAGING, Cli, Terminal

ROLE_ARN = f"arn:aws:iam::{PROD}:role/CadoResponseRole"
OPERATOR = f"arn:aws:iam::{PROD}:role/CadoOperator"
FULL = [
    *("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    *("ReEncryptFrom", "ReEncryptTo"),
]


def grant(cli: Cli, *argv: str, where: tuple[str, ...] = IN_PROD) -> Any:
    return cli.json("kms", "grant", *argv, *where, "--yes")


def test_an_instances_keys_are_granted_to_the_cado_role(cli: Cli, grants: Any, ids: Any) -> None:
    result = grant(cli, "--instance-id", ids()["db-01"], "--case", "IR-42")
    assert result.code == 0, result.err
    [item] = result.json["items"]
    assert item["action"], item["outcome"] == ("create", "changed")
    assert (item["grantee_principal"], item["retiring_principal"]) == (ROLE_ARN, OPERATOR)
    assert (item["case"], item["expires_at"], item["owner"]) == ("IR-42", None, "ours")
    assert item["operations"] == FULL
    assert len(item["serves"]) == 2, "both volumes have the same key"
    assert all(volume.startswith("vol-") for volume in item["serves"])
    assert item["issuing_account"] == PROD
    assert item["creation_date"].endswith("Z")
    [made] = grants().ours("acme-data")
    assert (made["GrantId"], made["Name"]) == (item["grant_id"], item["name"])
    assert re.fullmatch("cado-ops/IR-42/-/[0-9a-f]{64}", made["Name"])
    assert (made["GranteePrincipal"], made["RetiringPrincipal"]) == (ROLE_ARN, OPERATOR)
    assert sorted(made["Operations"]) == FULL
    assert "CreateGrant" in result.err, "that it can be passed on is said"


def test_granting_twice_makes_one_grant(cli: Cli, grants: Any, ids: Any, sandbox: Any) -> None:
    argv = ("--instance-id", ids()["db-01"], "--case", "IR-42", "--expires", "72h")
    first = grant(cli, *argv).json["items"][0]
    sandbox.calls.clear()
    again = grant(cli, *argv)
    [item] = again.json["items"]
    assert (again.code, item["outcome"], item["grant_id"]) == (0, "unchanged", first["grant_id"])
    assert again.json["run_id"] is None
    assert len(grants().ours("acme-data")) == 1
    assert "CreateGrant" not in {call.action for call in sandbox.calls}, "it is looked up first"


def test_another_case_has_a_grant_of_its_own(cli: Cli, grants: Any) -> None:
    grant(cli, "--key", "alias/acme-data", "--case", "IR-42")
    [item] = grant(cli, "--key", "alias/acme-data", "--case", "IR-43").json["items"]
    assert item["outcome"] == "changed"
    assert any("case IR-42" in each and "not relied on" in each for each in item["warnings"])
    assert len(grants().ours("acme-data")) == 2


@pytest.mark.parametrize("name", ["id", "arn", "alias", "alias-arn", "volume", "volume-arn", "snapshot"])
def test_every_name_of_a_key(cli: Cli, grants: Any, aws: Any, ids: Any, name: str) -> None:
    key = grants().key("acme-data")
    ec2 = aws(PROD, EU)
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [ids()["db-01"]]}])
    volume = volumes["Volumes"][0]["VolumeId"]
    argv = {
        "id": ("--key", key.rpartition("/")[2]),
        "arn": ("--key", key),
        "alias": ("--key", "alias/acme-data"),
        "alias-arn": ("--key", f"arn:aws:kms:{EU}:{PROD}:alias/acme-data"),
        "volume": ("--volume-id", volume),
        "volume-arn": ("--volume-id", f"arn:aws:ec2:{EU}:{PROD}:volume/{volume}"),
    }
    if name == "snapshot":
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        argv["snapshot"] = ("--snapshot-id", snapshot)
    where = ROLE if name.endswith("arn") else IN_PROD
    result = grant(cli, *argv[name], "--case", "IR-42", where=where)
    assert result.code == 0, result.err
    [item] = result.json["items"]
    assert (item["key_arn"], item["outcome"]) == (key, "changed")
    assert item["serves"] == ([argv[name][1].rpartition("/")[2]] if name[:4] in ("volu", "snap") else [])


def test_a_bare_key_id_is_found_in_whichever_target_has_it(cli: Cli, grants: Any) -> None:
    key = grants(STAGING, EU).key("acme-ebs")
    where = ("--account", f"{PROD},{STAGING}", "--region", f"{EU},{DE}", *ROLE)
    result = grant(
        cli, "--key", key.rpartition("/")[2], "--case", "A", "--cado-role", "StackSet-Cado-CadoResponseRole-1A2B3C",
        where=where,
    )  # fmt: skip
    [item] = result.json["items"]
    assert (item["account"], item["region"], item["outcome"]) == (STAGING, EU, "changed")


def test_what_is_nowhere_is_a_failure_that_names_it(cli: Cli) -> None:
    result = grant(cli, "--volume-id", "vol-00000000000000000", "--key", "alias/nothing-here")
    assert result.code == 1
    failures = {failure["id"]: failure for failure in result.json["failures"]}
    assert failures.keys() == {"vol-00000000000000000", "alias/nothing-here"}
    assert {failure["stage"] for failure in failures.values()} == {"select"}


def test_unencrypted_and_aws_managed_need_no_grant(cli: Cli, ids: Any) -> None:
    known = ids()
    result = grant(cli, "--instance-id", f"{known['dc-01']},{known['api-01']}", "--case", "IR-42")
    assert result.code == 0
    assert {item["outcome"] for item in result.json["items"]} == {"skipped"}
    reasons = " ".join(" ".join(item["warnings"]) for item in result.json["items"])
    assert "not encrypted" in reasons
    assert "AWS manages this key" in reasons
    assert all(item["serves"] for item in result.json["items"])


@pytest.mark.parametrize(
    ("alias", "code", "hint"),
    [
        ("acme-legacy", "DisabledException", "aws kms enable-key"),
        ("acme-retired", "KMSInvalidStateException", "aws kms cancel-key-deletion"),
    ],
)
def test_keys_that_cannot_be_granted_on(
    cli: Cli, grants: Any, sandbox: Any, alias: str, code: str, hint: str
) -> None:
    result = grant(cli, "--key", f"alias/{alias}", "--case", "IR-42")
    [item] = result.json["items"]
    assert (result.code, item["outcome"], item["error"]["code"]) == (1, "failed", code)
    assert hint in item["error"]["hint"]
    assert "CreateGrant" not in {call.action for call in sandbox.calls}
    assert not grants().ours(alias)


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ],
)
def test_keys_that_encrypt_no_disk(cli: Cli, grants: Any, spec: str, usage: str) -> None:
    key = grants().client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    [item] = grant(cli, "--key", key).json["items"]
    assert (item["outcome"], item["error"]["code"]) == ("failed", "UnsupportedKey")
    assert spec in item["error"]["message"]


def test_a_multi_region_key_is_granted_in_its_region_alone(cli: Cli, grants: Any) -> None:
    key = grants().client.create_key(MultiRegion=True, KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    [item] = grant(cli, "--key", key, "--case", "IR-42").json["items"]
    assert item["outcome"] == "changed"
    assert any("multi-region" in each and EU in each for each in item["warnings"])


def test_a_key_of_another_account(cli: Cli, grants: Any, aws: Any, ids: Any, sandbox: Any) -> None:
    """The grant is made in the key's account, for the Cado role of the instance's account."""
    from cado_ops.sandbox.backends import backend

    foreign = grants(PROD, EU).key("acme-data")
    instance = ids(HOME, EU)["siem-02"]
    for volume in backend("ec2", HOME, EU).volumes.values():
        if volume.attachment and volume.attachment.instance.id == instance:
            volume.kms_key_id = foreign
    out = grant(cli, "--instance-id", instance, "--case", "A", where=("--region", EU))
    [item] = out.json["items"]
    assert (out.code, item["error"]["code"]) == (1, "KeyOutOfScope")
    assert f"--account {PROD}" in item["error"]["hint"]
    where = ("--account", f"{HOME},{PROD}", "--region", EU, *ROLE)
    done = grant(cli, "--instance-id", instance, "--case", "A", where=where)
    [item] = done.json["items"]
    assert (item["account"], item["outcome"]) == (PROD, "changed")
    assert item["grantee_principal"] == f"arn:aws:iam::{HOME}:role/CadoResponseRole"
    assert item["retiring_principal"] == OPERATOR
    assert any("own policies have to allow" in each for each in item["warnings"])


def test_a_cado_role_of_another_name_is_hinted_at(cli: Cli, grants: Any, sandbox: Any) -> None:
    where = ("--account", STAGING, "--region", EU, *ROLE)
    result = grant(cli, "--key", "alias/acme-ebs", "--case", "A", where=where)
    [item] = result.json["items"]
    assert (result.code, item["error"]["code"]) == (1, "GranteeNotFound")
    role = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"
    assert item["error"]["hint"] == f"--cado-role {role}"
    assert "CreateGrant" not in {call.action for call in sandbox.calls}
    again = grant(cli, "--key", "alias/acme-ebs", "--case", "A", "--cado-role", role, where=where)
    assert again.json["items"][0]["outcome"] == "changed"


def test_an_arn_is_the_cado_role_of_its_own_account_alone(cli: Cli) -> None:
    role = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"
    both = ("--account", f"{PROD},{STAGING}", "--region", EU, *ROLE)
    result = grant(cli, "--key", "alias/acme-ebs", "--case", "A", "--cado-role", role, where=both)
    assert {item["account"]: item["grantee_principal"] for item in result.json["items"]} == {
        STAGING: role,
        PROD: ROLE_ARN,
    }
    assert result.code == 0
    stray = cli("kms", "grant", "--key", "alias/acme-ebs", "--cado-role", role, *IN_PROD, "--yes")
    assert (stray.code, stray.out) == (2, "")
    assert "--grantee" in stray.err
    for wrong in ("A,B", f"{role},{role}x", "no such!"):
        assert cli("kms", "list", "--cado-role", wrong, *both).code == 2
    named = grant(
        cli, "--key", "alias/acme-data", "--case", "A", "--cado-role", f"{role},CadoResponseRole", where=both
    )
    assert named.code == 0


def test_cados_own_list_names_the_cado_roles(cli: Cli, tmp_path: Any) -> None:
    role = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"
    listed = tmp_path / "accounts.csv"
    listed.write_text(f"roleArn,alias\n{role},staging\n{ROLE_ARN},prod\n")
    where = ("--accounts-file", str(listed), "--region", EU, *ROLE)
    result = grant(cli, "--key", "alias/acme-ebs", "--case", "A", where=where)
    assert {item["grantee_principal"] for item in result.json["items"]} == {role, ROLE_ARN}
    assert result.code == 0


def test_a_grantee_from_elsewhere_is_refused(cli: Cli, grants: Any) -> None:
    stranger = "arn:aws:iam::999999999999:role/Stranger"
    argv = ("--key", "alias/acme-data", "--case", "A", "--grantee", stranger)
    refused = grant(cli, *argv)
    assert (refused.code, refused.json["status"]) == (4, "refused")
    assert "--external-grantee" in refused.err
    assert not grants().on("acme-data", "Stranger")
    allowed = grant(cli, *argv, "--external-grantee")
    assert allowed.code == 0
    assert len(grants().on("acme-data", "Stranger")) == 1


def test_in_ones_own_account_the_retiring_principal_is_ones_own_role(cli: Cli, grants: Any) -> None:
    [item] = grant(cli, "--key", "alias/acme-ebs", "--case", "A", where=("--region", EU)).json["items"]
    assert item["retiring_principal"] == f"arn:aws:iam::{HOME}:role/Responder"
    assert item["outcome"] == "changed"


def test_the_operations(cli: Cli, grants: Any) -> None:
    grant(cli, "--key", "alias/acme-data", "--case", "A", "--operations", "ebs-direct")
    [made] = grants().ours("acme-data")
    assert sorted(made["Operations"]) == ["Decrypt", "DescribeKey"]
    listed = grant(cli, "--key", "alias/acme-data", "--case", "A", "--operations", "kms:ReEncrypt*,Decrypt")
    assert listed.json["items"][0]["operations"] == ["Decrypt", "ReEncryptFrom", "ReEncryptTo"]
    assert "CreateGrant" not in listed.err
    wrong = cli("kms", "grant", "--key", "alias/acme-data", "--operations", "Decrpyt", *IN_PROD)
    assert (wrong.code, wrong.out) == (2, "")
    assert "Decrypt?" in wrong.err


def test_an_encryption_context_binds(cli: Cli, grants: Any) -> None:
    argv = ("--key", "alias/acme-data", "--case", "A")
    grant(cli, *argv)
    [item] = grant(cli, *argv, "--encryption-context", "aws:ebs:id=vol-0123456789abcdef0").json["items"]
    assert item["outcome"] == "changed"
    bound = [each for each in grants().ours("acme-data") if each.get("Constraints")]
    assert [each["Constraints"] for each in bound] == [
        {"EncryptionContextSubset": {"aws:ebs:id": "vol-0123456789abcdef0"}}
    ]


def test_a_later_due_time_takes_the_place_of_an_earlier_one(cli: Cli, grants: Any, sandbox: Any) -> None:
    argv = ("--key", "alias/acme-data", "--case", "A", "--expires")
    first = grant(cli, *argv, "2030-01-01T00:00Z").json["items"][0]
    sandbox.calls.clear()
    later = grant(cli, *argv, "2030-02-01T00:00Z")
    assert later.code == 0
    actions = {item["action"]: item for item in later.json["items"]}
    assert actions["create"]["expires_at"] == "2030-02-01T00:00:00Z"
    assert actions["retire"]["grant_id"] == first["grant_id"]
    writes = [call.action for call in sandbox.calls if call.action in ("CreateGrant", "RetireGrant")]
    assert writes == ["CreateGrant", "RetireGrant"], "the new one is made before the old one goes"
    [left] = grants().ours("acme-data")
    assert left["GrantId"] == actions["create"]["grant_id"]
    [item] = grant(cli, *argv, "2030-01-15T00:00Z").json["items"]
    assert (item["outcome"], item["expires_at"]) == ("unchanged", "2030-02-01T00:00:00Z")
    assert any("earlier due time is not taken" in each for each in item["warnings"])


def test_the_old_grant_stays_where_the_new_one_fails(cli: Cli, grants: Any, sandbox: Any) -> None:
    argv = ("--key", "alias/acme-data", "--case", "A", "--expires")
    first = grant(cli, *argv, "2030-01-01T00:00Z").json["items"][0]

    def refuse(request: Any) -> Any:
        if request.action == "CreateGrant":
            return request.error("LimitExceededException", "The request was rejected because a limit was exceeded.")
        return None

    sandbox.intercept = refuse
    later = grant(cli, *argv, "2030-02-01T00:00Z")
    outcomes = {item["action"]: item["outcome"] for item in later.json["items"]}
    assert (later.code, outcomes) == (3, {"create": "failed", "retire": "skipped"})
    assert "50,000" in later.json["items"][0]["error"]["hint"] + later.json["items"][1]["warnings"][0] + str(
        later.json
    )
    sandbox.intercept = None
    assert [each["GrantId"] for each in grants().ours("acme-data")] == [first["grant_id"]]


def test_a_dry_run_asks_kms_and_changes_nothing(cli: Cli, grants: Any, sandbox: Any) -> None:
    before = grants().everything()
    dry = cli.json("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD, "--dry-run")
    assert (dry.code, dry.json["status"], dry.json["items"][0]["outcome"]) == (0, "planned", "allowed")

    def deny(request: Any) -> Any:
        if request.action == "CreateGrant":
            return request.error(
                "AccessDeniedException", "User: x is not authorized to perform: kms:CreateGrant", 400
            )
        return None

    sandbox.intercept = deny
    denied = cli.json("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD, "--dry-run")
    assert (denied.code, denied.json["items"][0]["outcome"]) == (1, "denied")
    assert "kms:CreateGrant" in denied.json["items"][0]["error"]["hint"]
    sandbox.intercept = None
    assert grants().everything() == before
    assert not cli.runs()


def test_it_asks_first(cli: Cli, grants: Any) -> None:
    argv = ("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD)
    assert cli.json(*argv).code == 4
    no = cli(*argv, stdin=Terminal("n\n"), stderr=Terminal(), stdout=Terminal())
    assert no.code == 4
    assert "create 1" in no.err
    assert f"grants to {ROLE_ARN}" in no.err
    assert not grants().ours("acme-data")
    yes = cli(*argv, stdin=Terminal("y\n"), stderr=Terminal(), stdout=Terminal())
    assert yes.code == 0
    assert len(grants().ours("acme-data")) == 1


def test_a_target_that_cannot_be_read_is_a_failure(cli: Cli, grants: Any) -> None:
    where = ("--account", f"{PROD},{RESEARCH}", "--region", EU, *ROLE)
    result = grant(cli, "--key", "alias/acme-data", "--case", "A", where=where)
    assert (result.code, result.json["status"]) == (3, "partial")
    assert [failure["stage"] for failure in result.json["failures"]] == ["assume-role"]
    assert len(grants().ours("acme-data")) == 1
    refused = grant(cli, "--key", "alias/acme-data", "--case", "B", "--all-or-nothing", where=where)
    assert refused.code == 4


def test_tokens_are_shown_only_when_asked_for(cli: Cli, sandbox: Any) -> None:
    plain = grant(cli, "--key", "alias/acme-data", "--case", "A")
    assert "oken" not in plain.out + plain.err
    shown = grant(cli, "--key", "alias/acme-data", "--case", "B", "--show-tokens")
    token = shown.json["items"][0]["grant_token"]
    assert len(token) > 20
    assert all(token not in path.read_text() for path in cli.runs())
    lines = cli(
        "kms",
        "grant",
        "--key",
        "alias/acme-data",
        "--case",
        "C",
        *IN_PROD,
        "--yes",
        "--show-tokens",
        "-o",
        "ndjson",
    ).lines
    assert next(line for line in lines if line["type"] == "item")["grant_token"]
    table = cli("kms", "grant", "--key", "alias/acme-data", "--case", "D", *IN_PROD, "--yes", "--show-tokens")
    assert "token" in table.out


def test_usage(cli: Cli) -> None:
    for argv in (
        ("--case", "A"),
        ("--key", "acme-data"),
        ("--key", "alias/acme-data", "--expires", "72h"),
        ("--instance-id", "vol-0123456789abcdef0"),
        ("--volume-id", "i-0123456789abcdef0"),
        ("--key", "alias/acme-data", "--grantee", f"arn:aws:sts::{PROD}:assumed-role/X/y"),
        ("--key", "alias/acme-data", "--encryption-context", "novalue"),
        ("--key", f"arn:aws-cn:kms:cn-north-1:{PROD}:alias/x"),
    ):
        result = cli("kms", "grant", *argv, *IN_PROD, "--yes")
        assert (result.code, result.out) == (2, ""), argv


def test_a_saved_plan_is_applied(cli: Cli, grants: Any, tmp_path: Any) -> None:
    plan = str(tmp_path / "plan.json")
    saved = cli.json("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD, "--save-plan", plan)
    assert (saved.code, saved.json["status"]) == (0, "planned")
    assert not grants().ours("acme-data")
    applied = cli.json("apply", plan, "--yes")
    assert (applied.code, applied.json["items"][0]["outcome"]) == (0, "changed")
    assert len(grants().ours("acme-data")) == 1
    again = cli.json("apply", plan, "--yes")
    assert again.code == 0
    assert len(grants().ours("acme-data")) == 1


def test_one_key_that_may_not_be_described_does_not_drop_the_others(cli: Cli, grants: Any, sandbox: Any) -> None:
    def deny(request: Any) -> Any:
        if request.action == "DescribeKey" and request.params["KeyId"] == "alias/acme-ebs":
            return request.error("AccessDeniedException", "User: x is not authorized to perform: kms:DescribeKey")
        return None

    sandbox.intercept = deny
    result = grant(cli, "--key", "alias/acme-ebs,alias/acme-data", "--case", "A")
    assert (result.code, result.json["status"]) == (3, "partial")
    assert [(failure["stage"], failure["id"]) for failure in result.json["failures"]] == [
        ("observe", "alias/acme-ebs")
    ]
    assert len(grants().ours("acme-data")) == 1


def test_ones_own_role_that_cannot_be_looked_up_costs_ones_own_account_alone(
    cli: Cli, grants: Any, sandbox: Any
) -> None:
    def deny(request: Any) -> Any:
        if request.action == "GetRole" and request.account == HOME:
            return request.error("AccessDenied", "User: x is not authorized to perform: iam:GetRole", 403)
        return None

    sandbox.intercept = deny
    where = ("--account", f"{HOME},{PROD}", "--region", EU, *ROLE)
    result = grant(cli, "--key", "alias/acme-ebs", "--case", "A", where=where)
    outcomes = {item["account"]: item["outcome"] for item in result.json["items"]}
    assert (result.code, outcomes) == (3, {HOME: "failed", PROD: "changed"})
    [failed] = [item for item in result.json["items"] if item["error"]]
    assert f"--role-arn arn:aws:iam::{HOME}:role/" in failed["error"]["hint"]
    named = grant(
        cli,
        "--key",
        "alias/acme-ebs",
        "--case",
        "A",
        "--role-arn",
        f"arn:aws:iam::{HOME}:role/Responder",
        where=where,
    )
    assert named.code == 0, named.out


def test_tokens_are_never_lost_silently(cli: Cli, tmp_path: Any) -> None:
    argv = ("kms", "grant", "--key", "alias/acme-data", "--case", "A", *IN_PROD, "--show-tokens")
    assert cli(*argv, "--yes", "-o", "csv").code == 2
    assert cli(*argv, "--save-plan", str(tmp_path / "plan.json")).code == 2
