"""policy show: the document and nothing else on stdout, ready to paste in three forms."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cado_ops.cli.app import main
from cado_ops.cli.policy_show import NAMES
from cado_ops.cli.world import World
from cado_ops.policy.document import read_document
from cado_ops.policy.validity import Attached, problems, size_problem, text_of

ACCOUNT, OTHER = "222222222222", "111111111111"
NEEDED = {
    **{name: ("--account", ACCOUNT) for name in NAMES if name.startswith("kms-")},
    "kms-cross-account": ("--account", ACCOUNT, "--platform-role", f"arn:aws:iam::{OTHER}:role/CadoResponseRole"),
    "operator-trust": (
        "--trusted-principal",
        f"arn:aws:iam::{OTHER}:role/Responder",
        "--external-id",
        "choose-one",
    ),
}
ATTACHED = {"operator-trust": Attached.TRUST, "tag-guard": Attached.SCP}


def show(*argv: str, code: int = 0, **more: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    assert main(["policy", "show", *argv], World(stdout=out, stderr=err, **more)) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def shown(*argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(show(*argv)[0])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_policy_that_aws_would_take(name: str) -> None:
    out, err = show(name, *NEEDED.get(name, ()))
    document = read_document(out, name)
    attached = ATTACHED.get(name, Attached.KEY if name.startswith("kms-") else Attached.MANAGED)
    assert problems(document, attached) == []
    assert size_problem(text_of(document), attached, document.place) is None
    assert out.endswith("}\n")
    assert "success" in err
    assert out not in err


@pytest.mark.parametrize("name", NAMES)
def test_cloudformation(name: str) -> None:
    """Every parameter that is referred to is declared, and every one declared is used."""
    out, _ = show(name, *NEEDED.get(name, ()), "--format", "cloudformation")
    template = json.loads(out)
    assert "\ue000" not in out
    if name.startswith("kms-"):
        assert template["Statement"], "a key policy goes into a key's own resource"
        return
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    [resource] = template["Resources"].values()
    types = {"operator-trust": "AWS::IAM::Role", "tag-guard": "AWS::Organizations::Policy"}
    assert resource["Type"] == types.get(name, "AWS::IAM::ManagedPolicy")
    text = json.dumps(resource)
    used = set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r"\$\{(\w+)\}", text))
    assert used == set(template.get("Parameters", {}))
    assert "arn:aws:" not in text or name in NEEDED, "the partition is the deployment's own"


@pytest.mark.parametrize("name", NAMES)
def test_terraform(name: str) -> None:
    """What jsonencode is given is the document; each variable and data source is declared once."""
    argv = (name, *NEEDED.get(name, ()))
    out, _ = show(*argv, "--format", "terraform")
    assert "\ue000" not in out
    body = re.search(r"jsonencode\((\{.*\})\)\n", out, re.DOTALL)
    assert body is not None
    text = re.sub(r'^( *"[^"]+") = ', r"\1: ", body[1], flags=re.M)
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1]):
        following = lines[number + 1].strip()
        bare = line.rstrip(",")
        opens = bare.endswith(("{", "["))
        lines[number] = bare if opens or following.startswith(("}", "]")) else f"{bare},"
    found = json.dumps(json.loads("\n".join(lines)))
    names = {
        "${data.aws_partition.current.partition}": "aws",
        "${data.aws_caller_identity.current.account_id}": ACCOUNT,
        "${var.cado_role_name}": "CadoResponseRole",
        "${var.operator_role_name}": "CadoOperator",
        "$${": "${",
    }
    for old, new in names.items():
        found = found.replace(old, new)
    account = () if name in (*NEEDED, "ssm-default", "tag-guard", "operator-caller") else ("--account", ACCOUNT)
    expected = json.dumps(shown(*argv, *account))
    assert found.replace(f"ec2:*:{ACCOUNT}", "ec2:*:*") == expected.replace(f"ec2:*:{ACCOUNT}", "ec2:*:*")
    for use, declared in (
        ("data.aws_partition", 'data "aws_partition"'),
        ("var.cado_role", 'variable "cado_role_name"'),
    ):
        assert (use in out) is (out.count(declared) == 1)


def test_names_go_where_they_matter() -> None:
    gov = shown(
        "ssm-tagged", "--partition", "aws-us-gov", "--account", ACCOUNT, "--region", "us-gov-west-1,us-gov-east-1"
    )
    assert gov["Statement"][0]["Resource"] == [
        f"arn:aws-us-gov:ec2:us-gov-west-1:{ACCOUNT}:instance/*",
        f"arn:aws-us-gov:ec2:us-gov-east-1:{ACCOUNT}:instance/*",
    ]
    role = "arn:aws-cn:iam::222222222222:role/ir/StackSet-CadoResponseRole-1"
    key = shown("kms-withheld", "--cado-role", role)
    assert key["Statement"][0]["Principal"]["AWS"] == "arn:aws-cn:iam::222222222222:root"
    assert key["Statement"][1]["Principal"]["AWS"] == role
    operator = json.dumps(shown("operator", "--role-name", "ir/Op", "--account", ACCOUNT, "--for", "kms grant"))
    assert f"arn:aws:iam::{ACCOUNT}:role/ir/Op" in operator
    assert "ec2:CreateTags" not in operator
    guard = json.dumps(shown("tag-guard", "--role-name", "ir/Op"))
    assert "arn:aws:iam::*:role/ir/Op" in guard


def test_the_role_s_own_policy_on_keys() -> None:
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    document = shown("kms-ebs-direct", "--key", key)
    assert {json.dumps(each["Resource"]) for each in document["Statement"]} == {json.dumps(key)}
    assert not any("Principal" in each for each in document["Statement"])


def test_a_role_with_a_path_in_templates() -> None:
    template = shown("operator-trust", "--role-name", "ir/Op", "--format", "cloudformation")
    assert template["Parameters"]["OperatorRoleName"]["Default"] == "Op"
    assert template["Resources"]["OperatorTrust"]["Properties"]["Path"] == "/ir/"
    operator = show("operator", "--role-name", "ir/Op", "--format", "cloudformation")[0]
    assert "role/ir/${OperatorRoleName}" in operator
    assert '"Default": "Op"' in operator


def test_sessions() -> None:
    wide, tight = shown("ssm-default", "--sessions"), shown("ssm-tagged", "--sessions")
    assert "ssm:StartSession" in wide["Statement"][0]["Action"]
    sessions = {each["Sid"]: each for each in tight["Statement"] if "Session" in each["Sid"]}
    assert sessions["RequiredForSessionsTagged"]["Condition"]["BoolIfExists"] == {
        "ssm:SessionDocumentAccessCheck": "true"
    }
    assert "${aws:userid}" in sessions["RequiredForSessionsEnd"]["Resource"]
    assert "$${aws:userid}" in show("ssm-tagged", "--sessions", "--format", "terraform")[0]
    assert "${!aws:userid}" in show("ssm-tagged", "--sessions", "--format", "cloudformation")[0]


def test_out_writes_a_new_file_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    out, err = show("ssm-tagged", "--out", str(file))
    assert out == ""
    assert "note:" in err
    assert file.read_text() == show("ssm-tagged")[0]
    assert file.stat().st_mode & 0o777 == 0o600
    _, err = show("ssm-tagged", "--out", str(file), code=2)
    assert "is there already" in err


def test_gaps_are_told_on_stderr() -> None:
    assert "auto scaling" in show("tag-guard")[1]
    assert "service-linked roles" in show("tag-guard")[1]
    assert "StartSession" in show("ssm-tagged")[1]
    assert "grants nothing" in show("ssm-tagged-documented")[1]
    assert "no external id" in show("operator-trust", "--trusted-principal", f"arn:aws:iam::{OTHER}:root")[1]


def test_a_settings_file_binds_no_policy(tmp_path: Path) -> None:
    """Accounts and regions there say where to work; the names of roles are taken."""
    config = tmp_path / "config.toml"
    config.write_text('account = ["333333333333", "444444444444"]\nregion = "eu-west-1"\nrole_name = "Op"\n')
    document = json.dumps(shown("operator", "--config", str(config)))
    assert "333333333333" not in document
    assert "eu-west-1" not in document
    assert "role/Op" in document


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("ssm-taged",), "there is no policy 'ssm-taged'"),
        (("kms-full",), "has to name the key's account"),
        (("kms-cross-account", "--account", ACCOUNT), "one is missing"),
        (("operator-trust",), "has to name who may assume the role"),
        (("operator", "--for", "kms grants"), "there is no command 'kms grants'"),
        (("ssm-tagged", "--for", "status"), "--for means nothing for ssm-tagged"),
        (("operator", "--sessions"), "--sessions means nothing for operator"),
        (("operator", "--format", "yaml"), "--format is 'yaml'"),
        (("operator", "--partition", "AWS"), "is no partition"),
        (("operator", "--account", f"{ACCOUNT},{OTHER}"), "a policy is for one account"),
        (("kms-full", "--key", "alias/x"), "is no key's ARN"),
        (("operator", "--account", OTHER, "--cado-role", f"arn:aws:iam::{ACCOUNT}:role/C"), "of another partition"),
        (("operator-trust", "--trusted-principal", "me"), "--trusted-principal"),
    ],
)
def test_wrong_usage_writes_nothing(argv: tuple[str, ...], message: str) -> None:
    out, err = show(*argv, code=2)
    assert message in err
    assert out == ""
