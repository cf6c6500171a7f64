"""policy tighten: from files and from live roles; the document on stdout and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import EU, HOME, PROD, RESEARCH, ROLE, STAGING, Cli

POLICIES = Path(__file__).resolve().parents[1] / "unit" / "policies"
STAGING_CADO = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
TEMPLATE = """\
Resources:
  Cado:
    Type: AWS::IAM::Role
    Properties:
      Policies:
      - !If
        - Wide
        - PolicyName: Triage  # everything
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
            - {Sid: Send, Effect: Allow, Action: ssm:SendCommand, Resource: '*'}
        - !Ref AWS::NoValue
  Operator:
    Type: AWS::IAM::Role
    Properties:
      RoleName: CadoOperator
      Policies:
      - PolicyName: Tags
        PolicyDocument:
          Version: '2012-10-17'
          Statement:
          - Effect: Allow
            Action: ec2:CreateTags
            Resource: '*'
            Condition: {ForAllValues:StringEquals: {aws:TagKeys: CadoResponseSSMEnabled}}
"""


def test_json_in_json_out_and_the_difference_on_stderr(cli: Cli, sandbox: Any) -> None:
    result = cli("policy", "tighten", str(POLICIES / "documented-wide.json"))
    assert result.code == 0, result.err
    document = json.loads(result.out)
    by_sid = {each["Sid"]: each for each in document["Statement"]}
    tagged = by_sid["RequiredForTriageAndRunCommandTagged"]
    assert tagged["Condition"] == {"StringEquals": {TAG: "True"}}
    assert by_sid["RequiredForTriageAndRunCommandRun"]["Action"] == "ssm:SendCommand"
    assert '+          "ssm:resourceTag/CadoResponseSSMEnabled": "True"' in result.err
    assert "read-only): ssm:DescribeInstanceInformation" in result.err, "what is new is listed by name"
    assert sandbox.calls == []


def test_yaml_in_yaml_out(cli: Cli) -> None:
    text = (POLICIES / "cross-account.yaml").read_text()
    result = cli("policy", "tighten", "-", stdin=text)
    assert result.out.startswith("# With the properties of the older"), "comments stay"
    assert "# Everything that an import needs" in result.out
    assert "- Sid: Buckets\n  Effect: Allow\n  Action: s3:ListAllMyBuckets\n  Resource: '*'\n" in result.out
    again = cli("policy", "tighten", "-", stdin=result.out)
    assert again.out == result.out, "tightening twice is tightening once"
    assert "nothing to tighten" in again.err


def test_out_writes_a_new_file(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "tight.json"
    argv = ("policy", "tighten", str(POLICIES / "documented-wide.json"), "--out", str(out))
    result = cli(*argv)
    assert (result.code, result.out) == (0, "")
    assert "Tagged" in out.read_text()
    assert cli(*argv).code == 2, "what is there is not overwritten"


@pytest.mark.parametrize("form", ["json", "cloudformation", "terraform"])
def test_another_format(cli: Cli, form: str) -> None:
    result = cli("policy", "tighten", str(POLICIES / "acquisition.yaml"), "--format", form)
    assert result.code == 0, result.err
    if form == "terraform":
        assert 'resource "aws_iam_policy"' in result.out
    else:
        made = json.loads(result.out)
        assert ("Resources" in made) == (form == "cloudformation")


def test_kms_drop_sid_strict_and_documents(cli: Cli) -> None:
    path = str(POLICIES / "cross-account.yaml")
    made = cli(
        "policy", "tighten", path, "--kms", "withheld", "--drop-sid", "OwnDisks,OwnMachines", "--strict",
        "--session-document", "SSM-SessionManagerRunShell", "--format", "json",
    )  # fmt: skip
    by_sid = {each["Sid"]: each for each in json.loads(made.out)["Statement"]}
    assert not {"OwnDisks", "OwnMachines"} & by_sid.keys()
    assert "kms:CreateGrant" not in by_sid["EncryptedVolumes"]["Action"]
    assert by_sid["EncryptedVolumesGrants"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert by_sid["ImportsSessionDocuments"]["Resource"] == "arn:aws:ssm:*:*:document/SSM-SessionManagerRunShell"
    assert "read-only)" not in made.err


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("{file}", "--role", "R"),
        ("{file}", "--kms", "all"),
        ("{file}", "--format", "yaml"),
        ("{file}", "--drop-sid", "NotThere"),
        ("nowhere.json",),
        ("--role", "arn:aws:iam::1:role/R"),
        ("--role", "CadoResponseRole", "--account", f"{HOME},{PROD}", *ROLE),
    ],
)
def test_wrong_usage_says_nothing_on_stdout(cli: Cli, argv: tuple[str, ...]) -> None:
    file = str(POLICIES / "documented-wide.json")
    result = cli("policy", "tighten", *(each.format(file=file) for each in argv))
    assert (result.code, result.out) == (2, "")


def test_a_malformed_policy_names_its_place(cli: Cli) -> None:
    result = cli("policy", "tighten", "-", stdin='{"Statement": [\n {"Effect": "Perhaps", "Action": "a:b"}]}')
    assert (result.code, result.out) == (2, "")
    assert "stdin:2:" in result.err


def test_a_keys_policy_is_no_roles(cli: Cli) -> None:
    text = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}'
    result = cli("policy", "tighten", "-", stdin=text)
    assert (result.code, result.out) == (2, "")
    assert "Principal" in result.err


def test_a_live_role_with_all_its_policies(cli: Cli, aws: Any) -> None:
    iam = aws(STAGING, EU, "iam")
    more = {"Sid": "RequiredForAcquisition", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [more]})
    arn = iam.create_policy(PolicyName="More", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=STAGING_CADO.rpartition("/")[2], PolicyArn=arn)
    result = cli("policy", "tighten", "--role", STAGING_CADO, *ROLE)
    assert result.code == 0, result.err
    by_sid = {each["Sid"]: each for each in json.loads(result.out)["Statement"]}
    assert "RequiredForTriageAndRunCommandTagged" in by_sid
    assert by_sid["RequiredForAcquisition2"]["Condition"]["Null"] == {"aws:TagKeys": "false"}
    assert "put it in the place of all of them" in result.err
    assert "the Sid RequiredForAcquisition of More is taken" in result.err
    again = cli("policy", "tighten", "-", stdin=result.out)
    assert json.loads(again.out) == json.loads(result.out)


def test_a_role_by_name_in_the_account_in_scope(cli: Cli) -> None:
    result = cli("policy", "tighten", "--role", "CadoResponseRole", "--account", PROD, *ROLE)
    assert result.code == 0, result.err
    own = cli("policy", "tighten", "--role", "CadoResponseRole")
    assert own.code == 0, own.err
    assert f"read arn:aws:iam::{HOME}:role/CadoResponseRole" in own.err


@pytest.mark.parametrize("argv", [("--account", RESEARCH, *ROLE), ("--account", STAGING, *ROLE)])
def test_a_role_that_cannot_be_read_fails(cli: Cli, argv: tuple[str, ...]) -> None:
    result = cli("policy", "tighten", "--role", "CadoResponseRole", *argv)
    assert (result.code, result.out) == (1, "")
    assert argv[1] in result.err


def test_of_a_template_the_cado_role_alone(cli: Cli) -> None:
    result = cli("policy", "tighten", "-", stdin=TEMPLATE)
    assert result.code == 0, result.err
    head, tail = TEMPLATE.split("            - {Sid: Send")
    assert result.out.startswith(head), "what is not changed stays to the letter"
    assert result.out.endswith(tail.partition("\n")[2]), "the operator's role too"
    assert "Resource: !Sub" in result.out
    assert "${AWS::Partition}:ec2:*:*:instance/*" in result.out
    assert "left alone: Operator: it sets this program's tags" in result.err
    again = cli("policy", "tighten", "-", stdin=result.out)
    assert again.out == result.out
    named = cli("policy", "tighten", "-", "--cado-role", "CadoOperator", stdin=TEMPLATE)
    assert "Sid: Send, Effect: Allow" in named.out
    assert "aws:TagKeys: CadoResponseSSMEnabled\n" in named.out
    assert "left alone: Cado: not the role that was named" in named.err


@pytest.mark.parametrize(
    ("argv", "text", "hint"),
    [
        (("--cado-role", "Nobody"), TEMPLATE, "It has Cado, Operator"),
        ((), "Resources:\n" + TEMPLATE[TEMPLATE.index("  Operator") :], "--cado-role with its name"),
    ],
)
def test_a_template_without_the_role_is_wrong_usage(cli: Cli, argv: tuple[str, ...], text: str, hint: str) -> None:
    result = cli("policy", "tighten", "-", *argv, stdin=text)
    assert (result.code, result.out) == (2, "")
    assert hint in result.err


def test_a_deny_leaves_what_the_roles_other_policies_name(cli: Cli) -> None:
    ours = "arn:aws:ssm:*:*:document/Ours"
    wide = {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}
    own = {"Effect": "Allow", "Action": "ssm:SendCommand", "Resource": ours}
    policies = [
        {"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
        for name, statement in (("Wide", wide), ("Own", own))
    ]
    template = {"Resources": {"Cado": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}}}
    result = cli("policy", "tighten", "-", stdin=json.dumps(template))
    made = json.loads(result.out)["Resources"]["Cado"]["Properties"]["Policies"]
    by_sid = {each.get("Sid"): each for each in made[0]["PolicyDocument"]["Statement"]}
    assert ours in by_sid["DenySendCommandWithOtherDocuments"]["NotResource"]
    assert cli("policy", "tighten", "-", stdin=result.out).out == result.out
