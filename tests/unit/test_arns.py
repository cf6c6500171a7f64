"""Readers of account ids, regions, instances, roles and cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops import arns
from cado_ops.errors import UsageError
from cado_ops.model import Cell, InstanceRef, Kind, ResourceRef

ID = "i-0123456789abcdef0"
ACCOUNT = "111111111111"
READERS: list[Callable[[str, str], Any]] = [
    arns.parse_account_id,
    arns.parse_region,
    arns.parse_instance,
    arns.parse_role_arn,
    arns.parse_role_name,
    arns.parse_external_id,
    arns.parse_session_name,
    arns.parse_source_identity,
    arns.parse_case,
    arns.parse_ou_id,
    arns.parse_key,
    arns.parse_grant_id,
    arns.parse_principal,
    lambda text, where: arns.parse_disk(text, Kind.VOLUME, where),
    lambda text, where: arns.parse_disk(text, Kind.SNAPSHOT, where),
]


def refused(reader: Callable[[str, str], Any], text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        reader(text, "--here")
    assert caught.value.message.startswith("--here")
    assert caught.value.message.isprintable()
    assert (caught.value.hint or "").isprintable()
    return caught.value


@pytest.mark.parametrize("text", ["111111111111", "000000000001"])
def test_account_id(text: str) -> None:
    assert arns.parse_account_id(text, "--account") == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("1111", ""),
        ("1111111111111", ""),
        ("111111111111\n", ""),
        ("١١١١١١١١١١١١", ""),
        ("1111-1111-1111", "111111111111"),
        ("12345678901", "leading zeros"),
    ],
)
def test_no_account_id(text: str, hint: str) -> None:
    assert hint in (refused(arns.parse_account_id, text).hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "eu-west-1",
        "us-gov-west-1",
        "cn-north-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eusc-de-east-1",
        "ap-southeast-7",
    ],
)
def test_region(text: str) -> None:
    assert arns.parse_region(text, "--region") == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("eu", ""),
        ("global", ""),
        ("eu-west", ""),
        ("eu-west-1;eu-west-2", ""),
        ("eu-west-1a", "its region is eu-west-1"),
        ("EU-West-1", "Write it as eu-west-1"),
        (" eu-west-1", "Write it as eu-west-1"),
    ],
)
def test_no_region(text: str, hint: str) -> None:
    assert hint in (refused(arns.parse_region, text).hint or "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ID, InstanceRef(ID)),
        ("i-99999999", InstanceRef("i-99999999")),
        (f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{ID}", InstanceRef(ID, ACCOUNT, "eu-west-1")),
        (f"arn:aws-us-gov:ec2:us-gov-west-1:{ACCOUNT}:instance/{ID}", InstanceRef(ID, ACCOUNT, "us-gov-west-1")),
        (f"arn:aws-cn:ec2:cn-north-1:{ACCOUNT}:instance/{ID}", InstanceRef(ID, ACCOUNT, "cn-north-1")),
        (f"arn:aws-iso-b:ec2:us-isob-east-1:{ACCOUNT}:instance/{ID}", InstanceRef(ID, ACCOUNT, "us-isob-east-1")),
        (f"arn:aws-eusc:ec2:eusc-de-east-1:{ACCOUNT}:instance/{ID}", InstanceRef(ID, ACCOUNT, "eusc-de-east-1")),
    ],
)
def test_instance(text: str, expected: InstanceRef) -> None:
    assert arns.parse_instance(text, "INSTANCE") == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("i-123", ""),
        ("i-0123456789abcdefg", ""),
        ("i-0123456789ABCDEF0", f"Write it as {ID}"),
        (f" {ID}", ""),
        ("mi-0123456789abcdef0", "hybrid nodes"),
        (f"arn:aws:ssm:eu-west-1:{ACCOUNT}:managed-instance/mi-0123456789abcdef0", "hybrid nodes"),
        ("vol-0123456789abcdef0", "a volume"),
        ("snap-0123456789abcdef0", "a snapshot"),
        ("web-1", "tag:Name=web-1"),
        (f"arn:aws:ec2:eu-west-1:{ACCOUNT}:volume/vol-0123456789abcdef0", "arn:PARTITION:ec2"),
        (f"arn:aws:ec2:eu-west-1::instance/{ID}", "arn:PARTITION:ec2"),
        (f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/*", "arn:PARTITION:ec2"),
        ("\x1b[31mred", ""),
    ],
)
def test_no_instance(text: str, hint: str) -> None:
    assert hint in (refused(arns.parse_instance, text).hint or "")


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/CadoOps", "/", "CadoOps"),
        (f"arn:aws-us-gov:iam::{ACCOUNT}:role/ir/eu/CadoOps", "/ir/eu/", "CadoOps"),
        (f"arn:aws:iam::{ACCOUNT}:role/a=b,c.d@e-f_g+h", "/", "a=b,c.d@e-f_g+h"),
    ],
)
def test_role_arn(text: str, path: str, name: str) -> None:
    role = arns.parse_role_arn(text, "--role-arn")
    assert role == arns.RoleArn(text, text.split(":")[1], ACCOUNT, path, name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("CadoOps", "--here takes an ARN"),
        ("ir/CadoOps", "--here takes an ARN"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoOps/me", "ARN of a session"),
        (f"arn:aws:iam::{ACCOUNT}:user/me", "no role's ARN"),
        (f"arn:aws:iam::{ACCOUNT}:role/", "no role's ARN"),
        (f"arn:aws:iam::{ACCOUNT}:role/*", "no role's ARN"),
        ("arn:aws:iam::1111:role/CadoOps", "no role's ARN"),
        (f"arn:aws:iam::{ACCOUNT}:role/{'x' * 65}", "no role's ARN"),
        ("", "no role's ARN"),
    ],
)
def test_no_role_arn(text: str, line: str) -> None:
    assert line in refused(arns.parse_role_arn, text).message


def test_hints_of_role_arn() -> None:
    assert refused(arns.parse_role_arn, "CadoOps").hint == "For a name use --role-name."
    session = refused(arns.parse_role_arn, f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/CadoOps/me")
    assert f"arn:aws-cn:iam::{ACCOUNT}:role/CadoOps" in (session.hint or "")


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [("CadoOps", "/", "CadoOps"), ("ir/CadoOps", "/ir/", "CadoOps"), ("/a/b/CadoOps", "/a/b/", "CadoOps")],
)
def test_role_name(text: str, path: str, name: str) -> None:
    role = arns.parse_role_name(text, "--role-name")
    assert role == arns.RoleName(path, name)


@pytest.mark.parametrize("text", ["", "/", "ir/", "a b", "x" * 65, "rôle", "ir /x", "name\n"])
def test_no_role_name(text: str) -> None:
    refused(arns.parse_role_name, text)


def test_an_arn_is_no_role_name() -> None:
    assert refused(arns.parse_role_name, f"arn:aws:iam::{ACCOUNT}:role/X").hint == "For an ARN use --role-arn."


@pytest.mark.parametrize(
    ("reader", "good", "bad"),
    [
        (
            arns.parse_external_id,
            ["ab", "NoExternalIdRequired", "a:/b=,.@-+_", "x" * 1224],
            ["a", "a b", "x" * 1225, "é1"],
        ),
        (arns.parse_session_name, ["me", "x" * 64, "a=b,c.d@e-f_g+h"], ["m", "x" * 65, "a/b", "a:b", ""]),
        (arns.parse_source_identity, ["me", "x" * 64], ["m", "x" * 65, "aws:me"]),
        (arns.parse_case, ["IR-42", "a", "x" * 40], ["", "x" * 41, "IR 42", "IR/42", "IR-42\n", "Fäll"]),
        (
            arns.parse_ou_id,
            ["ou-ab12-12345678", "r-ab12"],
            ["", "ou-ab12", "o-1234567890", "OU-AB12-12345678", "r-"],
        ),
    ],
)
def test_words(reader: Callable[[str, str], str], good: list[str], bad: list[str]) -> None:
    assert [reader(text, "--here") for text in good] == good
    for text in bad:
        refused(reader, text)


KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
IN_KMS = f"arn:aws:kms:eu-west-1:{ACCOUNT}"
HERE = (ACCOUNT, "eu-west-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KEY, ResourceRef(Kind.KEY, KEY)),
        (MRK, ResourceRef(Kind.KEY, MRK)),
        ("alias/prod/ebs_1-x", ResourceRef(Kind.KEY, "alias/prod/ebs_1-x")),
        ("alias/aws/ebs", ResourceRef(Kind.KEY, "alias/aws/ebs")),
        ("alias/" + "x" * 250, ResourceRef(Kind.KEY, "alias/" + "x" * 250)),
        (f"{IN_KMS}:key/{KEY}", ResourceRef(Kind.KEY, KEY, *HERE)),
        (f"{IN_KMS}:key/{MRK}", ResourceRef(Kind.KEY, MRK, *HERE)),
        (f"{IN_KMS}:alias/prod", ResourceRef(Kind.KEY, "alias/prod", *HERE)),
        (
            f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/{KEY}",
            ResourceRef(Kind.KEY, KEY, ACCOUNT, "us-gov-west-1"),
        ),
    ],
)
def test_key(text: str, expected: ResourceRef) -> None:
    key = arns.parse_key(text, "--key")
    assert key == expected
    assert key.partition == (text.split(":")[1] if text.startswith("arn:") else None)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("prod", "alias/prod"),
        (KEY[:-1], f"alias/{KEY[:-1]}"),
        (KEY.upper(), ""),
        (KEY + "\n", ""),
        ("alias/", ""),
        ("alias/" + "x" * 251, ""),
        ("alias/a b", ""),
        ("alias/é", ""),
        (f"{IN_KMS}:key/*", ""),
        (f"{IN_KMS}:key/prod", ""),
        (f"{IN_KMS}:key/{KEY}/x", ""),
        (f"arn:aws:kms::{ACCOUNT}:key/{KEY}", ""),
        (f"arn:aws:kms:eu-west-1::key/{KEY}", ""),
        (f"arn:aws:s3:eu-west-1:{ACCOUNT}:key/{KEY}", ""),
        (f"arn:aws:iam::{ACCOUNT}:role/X", ""),
    ],
)
def test_no_key(text: str, hint: str) -> None:
    assert hint in (refused(arns.parse_key, text).hint or "")


VOLUME, SNAPSHOT = "vol-0123456789abcdef0", "snap-0123456789abcdef0"
IN_EC2 = f"arn:aws:ec2:eu-west-1:{ACCOUNT}"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (VOLUME, Kind.VOLUME, ResourceRef(Kind.VOLUME, VOLUME)),
        ("vol-12345678", Kind.VOLUME, ResourceRef(Kind.VOLUME, "vol-12345678")),
        (SNAPSHOT, Kind.SNAPSHOT, ResourceRef(Kind.SNAPSHOT, SNAPSHOT)),
        (f"{IN_EC2}:volume/{VOLUME}", Kind.VOLUME, ResourceRef(Kind.VOLUME, VOLUME, *HERE)),
        (f"{IN_EC2}:snapshot/{SNAPSHOT}", Kind.SNAPSHOT, ResourceRef(Kind.SNAPSHOT, SNAPSHOT, *HERE)),
        (
            f"arn:aws:ec2:eu-west-1::snapshot/{SNAPSHOT}",
            Kind.SNAPSHOT,
            ResourceRef(Kind.SNAPSHOT, SNAPSHOT, None, "eu-west-1"),
        ),
    ],
)
def test_disk(text: str, kind: Kind, expected: ResourceRef) -> None:
    disk = arns.parse_disk(text, kind, "--here")
    assert disk == expected
    assert disk.partition == ("aws" if text.startswith("arn:") else None)


@pytest.mark.parametrize(
    ("text", "kind", "hint"),
    [
        ("", Kind.VOLUME, ""),
        (SNAPSHOT, Kind.VOLUME, "--snapshot-id"),
        (VOLUME, Kind.SNAPSHOT, "--volume-id"),
        (ID, Kind.VOLUME, "--instance-id"),
        ("vol-xyz", Kind.VOLUME, ""),
        ("vol-123456789", Kind.VOLUME, ""),
        (VOLUME.upper(), Kind.VOLUME, ""),
        (VOLUME + "\n", Kind.VOLUME, ""),
        (f"{IN_EC2}:volume/{VOLUME}", Kind.SNAPSHOT, ""),
        (f"{IN_EC2}:snapshot/{VOLUME}", Kind.SNAPSHOT, ""),
        (f"{IN_EC2}:volume/*", Kind.VOLUME, ""),
        (f"arn:aws:ec2::{ACCOUNT}:volume/{VOLUME}", Kind.VOLUME, ""),
    ],
)
def test_no_disk(text: str, kind: Kind, hint: str) -> None:
    error = refused(lambda text, where: arns.parse_disk(text, kind, where), text)
    assert hint in (error.hint or "")
    assert f"is no {kind}" in error.message


@pytest.mark.parametrize(
    ("ref", "cell", "expected"),
    [
        (ResourceRef(Kind.KEY, KEY), Cell(*HERE), True),
        (ResourceRef(Kind.KEY, KEY, *HERE), Cell(*HERE), True),
        (ResourceRef(Kind.KEY, KEY, *HERE), Cell(ACCOUNT, "us-east-1"), False),
        (ResourceRef(Kind.KEY, KEY, *HERE), Cell("2" * 12, "eu-west-1"), False),
        (ResourceRef(Kind.SNAPSHOT, SNAPSHOT, None, "eu-west-1"), Cell("2" * 12, "eu-west-1"), True),
        (ResourceRef(Kind.SNAPSHOT, SNAPSHOT, None, "eu-west-1"), Cell(ACCOUNT, "us-east-1"), False),
    ],
)
def test_where_a_resource_may_be(ref: ResourceRef, cell: Cell, expected: bool) -> None:
    assert ref.may_be_in(cell) is expected


@pytest.mark.parametrize(
    "text",
    [
        f"arn:aws:iam::{ACCOUNT}:role/CadoOps",
        f"arn:aws-cn:iam::{ACCOUNT}:role/ir/CadoOps",
        f"arn:aws:iam::{ACCOUNT}:user/me",
        f"arn:aws:iam::{ACCOUNT}:user/ir/me@example.com",
    ],
)
def test_principal(text: str) -> None:
    assert arns.parse_principal(text, "--grantee") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CadoOps",
        ACCOUNT,
        "*",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:user/",
        f"arn:aws:iam::{ACCOUNT}:user/a b",
        f"arn:aws:iam::{ACCOUNT}:group/x",
        "arn:aws:iam:::user/me",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoOps/me",
        "ec2.amazonaws.com",
        "AROA0123456789ABCDEFG",
    ],
)
def test_no_principal(text: str) -> None:
    refused(arns.parse_principal, text)


def test_hints_of_a_principal_name_no_option_that_is_not_there() -> None:
    session = refused(arns.parse_principal, f"arn:aws:sts::{ACCOUNT}:assumed-role/CadoOps/me")
    assert f"arn:aws:iam::{ACCOUNT}:role/CadoOps" in (session.hint or "")
    assert "--role-name" not in (refused(arns.parse_principal, "CadoOps").hint or "")


@pytest.mark.parametrize("text", ["0123456789abcdef" * 4, "01234567", "0123456789ab"])
def test_grant_id(text: str) -> None:
    assert arns.parse_grant_id(text, "GRANT_ID") == text
    assert arns.parse_grant_id(text + "…", "GRANT_ID") == text, "as tables cut it"


@pytest.mark.parametrize(
    "text", ["", "0123456", "0" * 65, "0123456789ABCDEF" * 4, "0" * 64 + "\n", "g" * 64, " " + "0" * 64, "…"]
)
def test_no_grant_id(text: str) -> None:
    refused(arns.parse_grant_id, text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], []), (["a"], ["a"]), (["a,b", "c"], ["a", "b", "c"]), ([" a , b "], ["a", "b"])],
)
def test_split_commas(values: list[str], expected: list[str]) -> None:
    assert arns.split_commas(values) == expected


@pytest.mark.parametrize("values", [[""], ["a,"], [",a"], ["a,,b"], ["a", " "]])
def test_no_comma_list(values: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--account: an empty piece"):
        arns.split_commas(values, "--account")


def test_bounded() -> None:
    assert arns.bounded("\ufeffx", "f") == "x"
    with pytest.raises(UsageError, match="16 MiB"):
        arns.bounded("x" * (arns.MAX_TEXT + 1), "f")


@given(st.text(), st.sampled_from(READERS))
def test_any_text_is_read_or_refused(text: str, reader: Callable[[str, str], Any]) -> None:
    any_text_is_read_or_refused(text, reader)


@given(st.text(alphabet="arn:awsiec2mroleus-t1/-*0f", max_size=80), st.sampled_from(READERS))
def test_almost_an_arn_is_read_or_refused(text: str, reader: Callable[[str, str], Any]) -> None:
    any_text_is_read_or_refused(text, reader)


def any_text_is_read_or_refused(text: str, reader: Callable[[str, str], Any]) -> None:
    try:
        reader(text, "--here")
    except UsageError:
        assert len(refused(reader, text).message) < 1500


@given(
    st.from_regex(
        f"arn:{arns.PARTITION}:iam::{arns.ACCOUNT_ID}:role{arns.ROLE_PATH}{arns.ROLE_NAME}", fullmatch=True
    )
)
def test_a_role_arn_is_put_together_again(text: str) -> None:
    role = arns.parse_role_arn(text, "x")
    assert text == f"arn:{role.partition}:iam::{role.account}:role{role.path}{role.name}"
