"""CreateTags, DeleteTags and DescribeTags, where moto is kinder than EC2."""

import pytest

PRODUCTION = "222222222222"
OURS = {"Key": "CadoResponseSSMEnabled", "Value": "True"}
ABSENT = "i-0123456789abcdef0"
ALSO_ABSENT = "i-0123456789abcdef1"


@pytest.fixture
def ec2(client):
    return client("ec2", PRODUCTION)


def test_tagging_an_absent_instance_fails_the_whole_call(ec2, named, tags_of, refusal):
    present = named("web-01")
    code, message = refusal(ec2.create_tags, Resources=[present, ABSENT], Tags=[OURS])
    assert (code, message) == ("InvalidInstanceID.NotFound", f"The instance ID '{ABSENT}' does not exist")
    assert OURS["Key"] not in tags_of(present)


def test_several_absent_instances_are_all_named(ec2, refusal):
    for call in (ec2.create_tags, ec2.delete_tags):
        code, message = refusal(call, Resources=[ABSENT, ALSO_ABSENT], Tags=[OURS])
        assert code == "InvalidInstanceID.NotFound"
        assert message == f"The instance IDs '{ABSENT}, {ALSO_ABSENT}' do not exist"


def test_an_instance_of_another_account_or_region_is_absent(ec2, client, named, refusal):
    elsewhere = [named("stg-web-01", "333333333333"), named("web-us-01", PRODUCTION, "us-east-1")]
    for instance_id in elsewhere:
        assert refusal(ec2.create_tags, Resources=[instance_id], Tags=[OURS])[0] == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(("bad", "code"), [("i-xyz", "InvalidInstanceID.Malformed"), ("nonsense", "InvalidID")])
def test_malformed_ids(ec2, refusal, bad, code):
    assert refusal(ec2.create_tags, Resources=[bad], Tags=[OURS])[0] == code


def test_absent_volume(ec2, refusal):
    assert refusal(ec2.create_tags, Resources=["vol-0123456789abcdef0"], Tags=[OURS])[0] == "InvalidVolume.NotFound"


def test_a_thousand_resources_and_no_more(ec2, sandbox, refusal):
    ids = sandbox.add_instances(PRODUCTION, "eu-west-1", 1001)
    assert refusal(ec2.create_tags, Resources=ids, Tags=[OURS])[0] == "InvalidParameterValue"
    ec2.create_tags(Resources=ids[:1000], Tags=[OURS])


def test_fifty_tags_are_the_limit_and_aws_tags_do_not_count(ec2, named, tags_of, refusal):
    full, free = named("db-02"), named("web-01")
    assert sum(not key.startswith("aws:") for key in tags_of(full)) == 50
    assert len(tags_of(full)) == 51
    assert refusal(ec2.create_tags, Resources=[free, full], Tags=[OURS])[0] == "TagLimitExceeded"
    assert OURS["Key"] not in tags_of(free)


def test_overwriting_at_fifty_tags_works(ec2, named, tags_of):
    full = named("db-03")
    assert tags_of(full)[OURS["Key"]] == "true"
    ec2.create_tags(Resources=[full], Tags=[OURS])
    assert tags_of(full)[OURS["Key"]] == "True"


def test_tags_of_aws_itself_are_refused(ec2, named, refusal):
    tag = {"Key": "aws:cloudformation:stack-name", "Value": "x"}
    assert refusal(ec2.create_tags, Resources=[named("web-01")], Tags=[tag])[0] == "InvalidParameterValue"


def test_dry_run_changes_nothing(ec2, named, tags_of, refusal):
    instance_id = named("web-03")
    before = tags_of(instance_id)
    for call, tag in ((ec2.create_tags, {"Key": "New", "Value": "x"}), (ec2.delete_tags, OURS)):
        code, message = refusal(call, Resources=[instance_id], Tags=[tag], DryRun=True)
        assert code == "DryRunOperation"
        assert message == "Request would have succeeded, but DryRun flag is set."
    assert tags_of(instance_id) == before
    assert refusal(ec2.create_tags, Resources=[ABSENT], Tags=[OURS], DryRun=True)[0] == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(
    ("named_tag", "goes"),
    [
        ({"Key": "Env", "Value": "prod"}, True),
        ({"Key": "Env", "Value": "dev"}, False),
        ({"Key": "Env", "Value": ""}, False),
        ({"Key": "Env"}, True),
        ({"Key": "env"}, False),
    ],
)
def test_deleting_a_tag_by_value(ec2, named, tags_of, named_tag, goes):
    instance_id = named("web-01")
    ec2.delete_tags(Resources=[instance_id], Tags=[named_tag])
    assert ("Env" not in tags_of(instance_id)) is goes


def test_deleting_the_empty_value(ec2, named, tags_of):
    instance_id = named("web-01")
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "Blank", "Value": ""}])
    ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "Blank", "Value": ""}])
    assert "Blank" not in tags_of(instance_id)


def test_deleting_no_named_tags_deletes_every_user_tag(ec2, named, tags_of):
    instance_id = named("web-01")
    ec2.delete_tags(Resources=[instance_id])
    assert tags_of(instance_id) == {"aws:autoscaling:groupName": "acme-web"}


def test_terminated_instances_can_still_be_tagged(ec2, named, tags_of):
    instance_id = named("old-web-01")
    ec2.create_tags(Resources=[instance_id], Tags=[OURS])
    assert tags_of(instance_id)[OURS["Key"]] == "True"


def test_describe_tags_filters_and_pages(ec2, named):
    filters = [
        {"Name": "key", "Values": ["CadoResponseSSMEnabled"]},
        {"Name": "resource-type", "Values": ["instance"]},
    ]
    tags = ec2.describe_tags(Filters=filters)["Tags"]
    assert sorted(tag["Value"] for tag in tags) == sorted(
        ["True", "true", "TRUE", "True ", "true", "True", "False"]
    )
    assert {tag["ResourceType"] for tag in tags} == {"instance"}
    first = ec2.describe_tags(Filters=filters, MaxResults=5)
    rest = ec2.describe_tags(Filters=filters, MaxResults=5, NextToken=first["NextToken"])
    assert first["Tags"] + rest["Tags"] == tags
    assert "NextToken" not in rest
    one = ec2.describe_tags(Filters=[*filters, {"Name": "resource-id", "Values": [named("api-02")]}])["Tags"]
    assert [tag["Value"] for tag in one] == ["True "]
