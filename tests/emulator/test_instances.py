"""Instances, as far as ministack goes: its filters know few names, and it has no DryRun of EC2."""

from __future__ import annotations

import pytest

from cado_ops.model import SSM_TAG
from tests.emulator.conftest import IN_PROD, PROD, Organisation, policy, statement
from tests.functional.conftest import Cli

# ministack takes the Describe calls and the tag calls for actions on everything: Resource has to be "*".
EC2 = policy(
    statement(
        "Allow",
        "ec2:DescribeInstances",
        "ec2:DescribeTags",
        "ec2:DescribeVolumes",
        "ec2:CreateTags",
        "ec2:DeleteTags",
    )
)


@pytest.fixture
def instances(organisation: Organisation) -> list[str]:
    """The ids of three instances, each with a disk that is not encrypted."""
    organisation.root("iam").put_role_policy(RoleName="CadoOperator", PolicyName="ec2", PolicyDocument=EC2)
    ec2 = organisation.root("ec2")
    made = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=3, MaxCount=3)["Instances"]
    return [instance["InstanceId"] for instance in made]


def ssm_tags(organisation: Organisation) -> dict[str, str]:
    tags = organisation.root("ec2").describe_tags(Filters=[{"Name": "key", "Values": [SSM_TAG]}])["Tags"]
    return {tag["ResourceId"]: tag["Value"] for tag in tags}


def test_the_instances_named_are_tagged_and_no_others(cli: Cli, organisation: Organisation, instances: list[str]):
    # ministack does not know the filter instance-id, and answers with all three.
    done = cli.json("tag-instances", *instances[:2], *IN_PROD, "--yes")
    assert (done.code, done.json["summary"]["changed"]) == (0, 2)
    assert ssm_tags(organisation) == dict.fromkeys(instances[:2], "True")
    undone = cli.json("untag-instances", instances[0], *IN_PROD, "--yes")
    assert (undone.code, undone.json["summary"]["changed"]) == (0, 1)
    assert ssm_tags(organisation) == {instances[1]: "True"}


def test_undo_puts_the_tags_back(cli: Cli, organisation: Organisation, instances: list[str]):
    cli("tag-instances", *instances, *IN_PROD, "--yes")
    assert cli("runs", "undo", "last", "--yes").code == 0
    assert ssm_tags(organisation) == {}


def test_what_iam_denies_is_a_failure_of_each_instance(cli: Cli, organisation: Organisation, instances: list[str]):
    organisation.deny(PROD, "CadoOperator", "ec2:CreateTags")
    done = cli.json("tag-instances", *instances, *IN_PROD, "--yes")
    assert done.code == 1
    assert {item["error"]["code"] for item in done.json["items"]} == {"UnauthorizedOperation"}
    assert all("ec2:CreateTags" in item["error"]["hint"] for item in done.json["items"])
    assert ssm_tags(organisation) == {}


def test_a_disk_without_encryption_needs_no_grant(cli: Cli, organisation: Organisation, instances: list[str]):
    done = cli.json("kms", "grant", "--instance-id", instances[0], *IN_PROD, "--case", "IR-42", "--yes")
    assert done.code == 0
    # Of the one instance that was named.
    [item] = done.json["items"]
    assert item["outcome"] == "skipped"
    assert "not encrypted" in item["warnings"][0]
