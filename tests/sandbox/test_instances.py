"""DescribeInstances and DescribeRegions, and SSM's view of the same machines."""

import pytest

PRODUCTION = "222222222222"


@pytest.fixture
def ec2(client):
    return client("ec2", PRODUCTION)


def found(answer):
    return [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]


def names(answer):
    return sorted(tag["Value"] for instance in found(answer) for tag in instance["Tags"] if tag["Key"] == "Name")


def test_all_states_are_listed(ec2, client):
    states = {instance["State"]["Name"] for instance in found(ec2.describe_instances())}
    states |= {
        instance["State"]["Name"] for instance in found(client("ec2", PRODUCTION, "us-east-1").describe_instances())
    }
    assert states == {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"}


def test_the_same_world_every_time(sandbox, client):
    caller = client("ec2")
    before = found(caller.describe_instances())
    caller.create_tags(Resources=[before[0]["InstanceId"]], Tags=[{"Key": "Passing", "Value": "x"}])
    sandbox.add_instances("111111111111", "eu-west-1", 3)
    assert found(caller.describe_instances()) != before
    sandbox.reset()
    assert found(caller.describe_instances()) == before


def test_ids_do_not_depend_on_the_run(named):
    assert named("web-01") == "i-5026248791a2893ce"


def test_pages_cover_everything_once(ec2, sandbox):
    sandbox.add_instances(PRODUCTION, "eu-west-1", 20)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 7}))
    assert [len(found(page)) for page in pages] == [7, 7, 7, 7, 7, 1]
    ids = [instance["InstanceId"] for page in pages for instance in found(page)]
    assert ids == [instance["InstanceId"] for instance in found(ec2.describe_instances())]


@pytest.mark.parametrize("size", [4, 1001])
def test_page_sizes_out_of_range(ec2, refusal, size):
    assert refusal(ec2.describe_instances, MaxResults=size)[0] == "InvalidParameterValue"


def test_a_foreign_token(ec2, refusal):
    assert refusal(ec2.describe_instances, MaxResults=5, NextToken="nonsense")[0] == "InvalidNextToken"


def test_ids_and_page_size_exclude_each_other(ec2, named, refusal):
    code, message = refusal(ec2.describe_instances, InstanceIds=[named("web-01")], MaxResults=5)
    assert code == "InvalidParameterCombination"
    assert message == "The parameter instancesSet cannot be used with the parameter maxResults"


def test_absent_and_malformed_ids(ec2, refusal):
    absent = "i-0123456789abcdef0"
    assert refusal(ec2.describe_instances, InstanceIds=[absent]) == (
        "InvalidInstanceID.NotFound",
        f"The instance ID '{absent}' does not exist",
    )
    assert refusal(ec2.describe_instances, InstanceIds=["i-1"])[0] == "InvalidInstanceID.Malformed"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"tag:Name": ["web-0?"]}, ["web-01", "web-02", "web-03", "web-04"]),
        ({"tag:Name": ["*web-0?"], "instance-state-name": ["pending", "terminated"]}, ["new-web-05", "old-web-01"]),
        ({"tag:Name": ["WEB-01"]}, []),
        ({"tag-key": ["cadoresponsessm*"]}, ["dc-01", "dc-02"]),
        ({"instance-type": ["m6i.*"], "tag:CadoResponseSSMEnabled": ["*"]}, ["api-01", "api-02"]),
        ({"platform": ["windows"]}, ["dc-01", "dc-02"]),
        ({"tag:Team": ["it", "data"], "instance-state-name": ["stopped"]}, ["batch-01", "batch-02"]),
        ({"tag:CadoResponseSSMEnabled": ["True "]}, ["api-02"]),
    ],
)
def test_filters(ec2, filters, expected):
    wanted = [{"Name": name, "Values": values} for name, values in filters.items()]
    assert names(ec2.describe_instances(Filters=wanted)) == expected


def test_filter_by_exact_id(ec2, named):
    wanted = [{"Name": "instance-id", "Values": [named("db-01")]}]
    assert names(ec2.describe_instances(Filters=wanted)) == ["db-01"]


def test_unknown_filter(ec2, refusal):
    filters = [{"Name": "instance-colour", "Values": ["red"]}]
    code, message = refusal(ec2.describe_instances, Filters=filters)
    assert (code, message) == ("InvalidParameterValue", "The filter 'instance-colour' is invalid")


def test_two_hundred_filter_values_and_no_more(ec2, refusal):
    filters = [{"Name": "tag:Name", "Values": [f"n{number}" for number in range(200)]}]
    assert found(ec2.describe_instances(Filters=filters)) == []
    filters[0]["Values"].append("one more")
    assert refusal(ec2.describe_instances, Filters=filters)[0] == "FilterLimitExceeded"


def test_regions_are_the_enabled_ones(ec2, client):
    enabled = {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    assert enabled == {"eu-west-1", "us-east-1", "eu-central-1", "ap-southeast-2"}
    everything = {region["RegionName"] for region in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert everything - enabled == {"af-south-1"}


def test_the_region_that_an_scp_denies(client, refusal):
    denied = client("ec2", PRODUCTION, "ap-southeast-2")
    code, message = refusal(denied.describe_instances)
    assert code == "UnauthorizedOperation"
    assert message == (
        "You are not authorized to perform this operation. "
        f"User: arn:aws:sts::{PRODUCTION}:assumed-role/CadoOperator/tests is not authorized to perform: "
        "ec2:DescribeInstances with an explicit deny in a service control policy: "
        "arn:aws:organizations::111111111111:policy/o-acmedemo01/service_control_policy/p-regiondeny"
    )
    assert refusal(client("kms", PRODUCTION, "ap-southeast-2").list_keys)[0] == "AccessDeniedException"
    assert client("ec2", None, "ap-southeast-2").describe_instances()["Reservations"] == []


def test_a_region_that_is_not_enabled(client, refusal):
    assert refusal(client("ec2", PRODUCTION, "me-south-1").describe_instances)[0] == "AuthFailure"
    kms = client("kms", PRODUCTION, "me-south-1")
    assert refusal(kms.list_keys)[0] == "UnrecognizedClientException"


def test_ssm_knows_the_running_ones_with_an_agent(client, named, sandbox):
    ssm = client("ssm", PRODUCTION)
    pages = list(ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 5}))
    assert len(pages) > 1
    nodes = {node["InstanceId"]: node for page in pages for node in page["InstanceInformationList"]}
    assert nodes[named("web-01")]["PingStatus"] == "Online"
    assert nodes[named("web-04")]["PingStatus"] == "ConnectionLost"
    assert nodes[named("dc-01")]["PlatformType"] == "Windows"
    assert nodes[named("web-01")]["ResourceType"] == "EC2Instance"
    for name in ("api-03", "batch-01", "old-web-01"):
        assert named(name) not in nodes
    sandbox.set_state(PRODUCTION, "eu-west-1", named("web-01"), "stopped")
    filters = [{"Key": "InstanceIds", "Values": [named("web-01"), named("web-02")]}]
    answer = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
    assert [node["InstanceId"] for node in answer] == [named("web-02")]


def test_ssm_knows_hybrid_nodes_apart(client, named):
    staging = "333333333333"
    ssm = client("ssm", staging, "eu-central-1")
    filters = [{"Key": "ResourceType", "Values": ["ManagedInstance"]}]
    [node] = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
    there = named("dev-03", staging, "eu-central-1")
    assert (node["InstanceId"], node["PingStatus"]) == (f"m{there}", "Online")
    assert "SourceId" not in node
    assert there not in [
        each["InstanceId"] for each in ssm.describe_instance_information()["InstanceInformationList"]
    ]


def test_default_host_management(client, refusal):
    """ "$None" is how AWS writes that it is off."""
    name = "/ssm/managed-instance/default-ec2-instance-management-role"
    values = [
        client("ssm", account, "eu-central-1").get_service_setting(SettingId=name)["ServiceSetting"]["SettingValue"]
        for account in (PRODUCTION, "333333333333")
    ]
    assert values == ["$None", "service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole"]
    code, _ = refusal(client("ssm", PRODUCTION).get_service_setting, SettingId="/ssm/other")
    assert code == "ServiceSettingNotFound"


def test_what_instances_are_besides(client, named):
    def told(name, region="eu-west-1"):
        ids = [named(name, PRODUCTION, region)]
        [reservation] = client("ec2", PRODUCTION, region).describe_instances(InstanceIds=ids)["Reservations"]
        return reservation["Instances"][0]

    assert told("web-us-02", "us-east-1")["InstanceLifecycle"] == "spot"
    assert told("api-us-01", "us-east-1")["Operator"] == {"Managed": True, "Principal": "eks.amazonaws.com"}
    plain = told("web-01")
    assert "InstanceLifecycle" not in plain
    assert "Operator" not in plain
    assert plain["IamInstanceProfile"]["Arn"] == f"arn:aws:iam::{PRODUCTION}:instance-profile/acme-ssm"
    assert "IamInstanceProfile" not in told("api-03")


def test_the_key_whose_policy_names_cados_role(client):
    kms = client("kms", "111111111111")
    arn = kms.describe_key(KeyId="alias/acme-ebs")["KeyMetadata"]["Arn"]
    policy = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    assert "arn:aws:iam::111111111111:role/CadoResponseRole" in policy
    other = client("kms", PRODUCTION)
    arn = other.describe_key(KeyId="alias/acme-ebs")["KeyMetadata"]["Arn"]
    assert "CadoResponseRole" not in other.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
