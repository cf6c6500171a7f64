"""KMS keys and grants, where moto is kinder than KMS."""

import pytest

PRODUCTION = "222222222222"
CADO = f"arn:aws:iam::{PRODUCTION}:role/CadoResponseRole"
OPERATOR = f"arn:aws:iam::{PRODUCTION}:role/CadoOperator"
OPERATIONS = ["Decrypt", "DescribeKey"]


@pytest.fixture
def kms(client):
    return client("kms", PRODUCTION)


@pytest.fixture
def key(kms):
    """``key("acme-ebs")``: the ARN of a seeded key."""
    aliases = {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]}
    return lambda alias: f"arn:aws:kms:eu-west-1:{PRODUCTION}:key/{aliases[f'alias/{alias}']}"


def terms(key_id, **changes):
    return {
        "KeyId": key_id,
        "GranteePrincipal": CADO,
        "Operations": OPERATIONS,
        "RetiringPrincipal": OPERATOR,
    } | changes


def test_the_keys(kms, key, client):
    states = {}
    for alias in ("acme-ebs", "acme-data", "acme-legacy", "acme-retired", "aws/ebs"):
        described = kms.describe_key(KeyId=key(alias))["KeyMetadata"]
        states[alias] = described["KeyState"], described["KeyManager"]
    assert states == {
        "acme-ebs": ("Enabled", "CUSTOMER"),
        "acme-data": ("Enabled", "CUSTOMER"),
        "acme-legacy": ("Disabled", "CUSTOMER"),
        "acme-retired": ("PendingDeletion", "CUSTOMER"),
        "aws/ebs": ("Enabled", "AWS"),
    }
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    volumes = client("ec2", PRODUCTION).describe_volumes()["Volumes"]
    assert {volume.get("KmsKeyId") for volume in volumes} == {None, *map(key, states)} - {key("acme-retired")}


def test_the_same_name_and_terms_are_the_same_grant(kms, key):
    wanted = terms(key("acme-ebs"), Name="cado-ops/IR-1")
    first, second = kms.create_grant(**wanted), kms.create_grant(**wanted)
    assert first["GrantId"] == second["GrantId"]
    assert first["GrantToken"] != second["GrantToken"]
    assert kms.create_grant(**wanted | {"Operations": OPERATIONS[::-1]})["GrantId"] == first["GrantId"]
    assert kms.create_grant(**wanted | {"Operations": ["Decrypt"]})["GrantId"] != first["GrantId"]
    assert kms.create_grant(**wanted | {"Name": "other"})["GrantId"] != first["GrantId"]


def test_without_a_name_every_call_makes_a_grant(kms, key):
    wanted = terms(key("acme-ebs"))
    assert kms.create_grant(**wanted)["GrantId"] != kms.create_grant(**wanted)["GrantId"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Operations": ["Decypt"]}, "ValidationException"),
        ({"Name": "no blanks"}, "ValidationException"),
        ({"GranteePrincipal": f"arn:aws:iam::{PRODUCTION}:role/NoSuchRole"}, "InvalidArnException"),
        ({"GranteePrincipal": "CadoResponseRole"}, "InvalidArnException"),
        ({"KeyId": "alias/acme-ebs"}, "NotFoundException"),
        ({"KeyId": "00000000-0000-4000-8000-000000000000"}, "NotFoundException"),
    ],
)
def test_bad_requests(kms, key, refusal, changes, code):
    assert refusal(kms.create_grant, **terms(key("acme-ebs"), **changes))[0] == code


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("acme-legacy", "DisabledException"),
        ("acme-retired", "KMSInvalidStateException"),
        ("aws/ebs", "AccessDeniedException"),
    ],
)
def test_keys_that_take_no_grants(kms, key, refusal, alias, code):
    assert refusal(kms.create_grant, **terms(key(alias)))[0] == code
    assert kms.list_grants(KeyId=key(alias))["Truncated"] is False


def test_dry_run_changes_nothing(kms, key, refusal):
    grants = kms.list_grants(KeyId=key("acme-ebs"))["Grants"]
    here = {"KeyId": key("acme-ebs"), "GrantId": grants[0]["GrantId"]}
    for call, wanted in (
        (kms.create_grant, terms(key("acme-ebs"), Name="never")),
        (kms.retire_grant, here),
        (kms.revoke_grant, here),
    ):
        code, message = refusal(call, **wanted, DryRun=True)
        assert code == "DryRunOperationException"
        assert message == "The request would have succeeded, but the DryRun option is set."
    assert kms.list_grants(KeyId=key("acme-ebs"))["Grants"] == grants
    assert refusal(kms.create_grant, **terms(key("acme-legacy")), DryRun=True)[0] == "DisabledException"


def test_an_entry_and_the_filters(kms, key):
    made = kms.create_grant(**terms(key("acme-data"), Name="cado-ops/IR-1"))
    (entry,) = kms.list_grants(KeyId=key("acme-data"), GrantId=made["GrantId"])["Grants"]
    assert entry.pop("CreationDate")
    assert entry == {
        "KeyId": key("acme-data"),
        "GrantId": made["GrantId"],
        "Name": "cado-ops/IR-1",
        "GranteePrincipal": CADO,
        "RetiringPrincipal": OPERATOR,
        "IssuingAccount": f"arn:aws:iam::{PRODUCTION}:root",
        "Operations": OPERATIONS,
    }
    names = [grant["Name"] for grant in kms.list_grants(KeyId=key("acme-data"), GranteePrincipal=CADO)["Grants"]]
    assert names == ["cado-by-hand", "cado-ops/IR-1"]


def test_pages_of_grants(kms, key, refusal):
    everything = kms.list_grants(KeyId=key("acme-ebs"))["Grants"]
    assert len(everything) > 2
    assert all("aws:ec2-infrastructure" in grant["GranteePrincipal"] for grant in everything)
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=key("acme-ebs"), PaginationConfig={"PageSize": 2}))
    assert [grant for page in pages for grant in page["Grants"]] == everything
    assert len(pages) == (len(everything) + 1) // 2
    assert refusal(kms.list_grants, KeyId=key("acme-ebs"), Marker="nonsense")[0] == "InvalidMarkerException"
    assert refusal(kms.list_grants, KeyId=key("acme-ebs"), Limit=101)[0] == "ValidationException"


@pytest.mark.parametrize("operation", ["retire_grant", "revoke_grant"])
def test_a_grant_goes_once(kms, key, refusal, operation):
    made = kms.create_grant(**terms(key("acme-ebs")))
    here = {"KeyId": key("acme-ebs"), "GrantId": made["GrantId"]}
    call = getattr(kms, operation)
    call(**here)
    assert kms.list_grants(KeyId=key("acme-ebs"), GrantId=made["GrantId"])["Grants"] == []
    assert refusal(call, **here)[0] == "NotFoundException"


def test_retiring_by_token(kms, key, refusal):
    token = kms.create_grant(**terms(key("acme-ebs")))["GrantToken"]
    kms.retire_grant(GrantToken=token)
    assert refusal(kms.retire_grant, GrantToken=token)[0] == "InvalidGrantTokenException"


def test_the_retiring_principal_may_live_in_another_account(kms, key, client):
    responder = "arn:aws:iam::111111111111:role/Responder"
    made = kms.create_grant(**terms(key("acme-ebs"), RetiringPrincipal=responder))
    here = client("kms")
    (entry,) = here.list_retirable_grants(RetiringPrincipal=responder)["Grants"]
    assert entry["GrantId"] == made["GrantId"]
    here.retire_grant(KeyId=key("acme-ebs"), GrantId=made["GrantId"])
    assert here.list_retirable_grants(RetiringPrincipal=responder)["Grants"] == []


def test_others_may_not_retire_or_list(kms, key, client, refusal):
    made = kms.create_grant(**terms(key("acme-ebs")))
    here = client("kms")
    wanted = {"KeyId": key("acme-ebs"), "GrantId": made["GrantId"]}
    assert refusal(here.retire_grant, **wanted)[0] == "AccessDeniedException"
    assert refusal(here.list_grants, KeyId=key("acme-ebs"))[0] == "AccessDeniedException"
    assert refusal(here.list_retirable_grants, RetiringPrincipal=OPERATOR)[0] == "AccessDeniedException"


def test_a_key_of_another_region(client, key, refusal):
    elsewhere = client("kms", PRODUCTION, "us-east-1")
    assert refusal(elsewhere.list_grants, KeyId=key("acme-ebs"))[0] == "NotFoundException"
