"""The instances in findings. The samples have the fields of AWS's own, cut down, with made-up accounts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import UsageError
from cado_ops.findings import instances_in_findings, json_documents
from cado_ops.model import InstanceRef

A, B = "i-0123456789abcdef0", "i-0fedcba9876543210"
ONE, TWO = "111111111111", "222222222222"
ARN_A = f"arn:aws:ec2:eu-west-1:{ONE}:instance/{A}"
ARN_B = f"arn:aws:ec2:us-east-1:{TWO}:instance/{B}"
REF_A = InstanceRef(A, ONE, "eu-west-1")
REF_B = InstanceRef(B, TWO, "us-east-1")

GUARDDUTY: dict[str, Any] = {
    "AccountId": ONE,
    "Arn": f"arn:aws:guardduty:eu-west-1:{ONE}:detector/12abc/finding/34def",
    "CreatedAt": "2026-11-22T09:14:11.438Z",
    "Description": f"EC2 instance {A} is communicating with a domain name associated with Bitcoin mining.",
    "Id": "34def",
    "Partition": "aws",
    "Region": "eu-west-1",
    "Resource": {
        "ResourceType": "Instance",
        "InstanceDetails": {
            "AvailabilityZone": "eu-west-1a",
            "IamInstanceProfile": {"Arn": f"arn:aws:iam::{ONE}:instance-profile/web", "Id": "AIPAEXAMPLE"},
            "ImageId": "ami-0123456789abcdef0",
            "InstanceId": A,
            "InstanceState": "running",
            "InstanceType": "t3.large",
            "NetworkInterfaces": [{"NetworkInterfaceId": "eni-0123456789abcdef0", "SubnetId": "subnet-1"}],
            "Tags": [{"Key": "Name", "Value": "web-1"}],
        },
    },
    "SchemaVersion": "2.0",
    "Service": {"ServiceName": "guardduty", "Count": 3, "ResourceRole": "ACTOR", "Archived": False},
    "Severity": 8,
    "Title": "Bitcoin-related domain name queried by an EC2 instance.",
    "Type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
}
NO_INSTANCE: dict[str, Any] = {
    **GUARDDUTY,
    "Resource": {"ResourceType": "AccessKey", "AccessKeyDetails": {"AccessKeyId": "ASIAEXAMPLE"}},
    "Type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
}
SEQUENCE: dict[str, Any] = {
    **GUARDDUTY,
    "Type": "AttackSequence:EC2/CompromisedInstanceGroup",
    "Resource": {"ResourceType": "AttackSequence"},
    "Service": {
        "ServiceName": "guardduty",
        "Detection": {
            "Sequence": {
                "Uid": "34def",
                "Description": "A sequence of actions",
                "Resources": [
                    {"Uid": A, "ResourceType": "EC2_INSTANCE", "AccountId": ONE, "Region": "eu-west-1"},
                    {"Uid": ARN_B, "ResourceType": "EC2_INSTANCE", "Data": {"Ec2Instance": {}}},
                    {
                        "Uid": "ami-0123456789abcdef0",
                        "ResourceType": "EC2_IMAGE",
                        "Data": {"Ec2Image": {"Ec2InstanceUids": ["i-00000000000000009"]}},
                    },
                ],
                "Signals": [{"Uid": "s", "Type": "FINDING", "ResourceUids": [A]}],
            }
        },
    },
}
ASFF: dict[str, Any] = {
    "SchemaVersion": "2018-10-08",
    "Id": f"arn:aws:guardduty:eu-west-1:{ONE}:detector/12abc/finding/34def",
    "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty",
    "ProductName": "GuardDuty",
    "Region": "eu-west-1",
    "GeneratorId": f"arn:aws:guardduty:eu-west-1:{ONE}:detector/12abc",
    "AwsAccountId": ONE,
    "Types": ["TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS"],
    "Severity": {"Label": "HIGH"},
    "Resources": [
        {"Type": "AwsAccount", "Id": f"AWS::::Account:{ONE}"},
        {
            "Type": "AwsEc2Instance",
            "Id": ARN_A,
            "Partition": "aws",
            "Region": "eu-west-1",
            "Details": {"AwsEc2Instance": {"VpcId": "vpc-1"}},
        },
    ],
    "RecordState": "ACTIVE",
}
INSPECTOR: dict[str, Any] = {
    "awsAccountId": ONE,
    "findingArn": f"arn:aws:inspector2:eu-west-1:{ONE}:finding/1",
    "type": "PACKAGE_VULNERABILITY",
    "resources": [{"type": "AWS_EC2_INSTANCE", "id": A, "partition": "aws", "region": "eu-west-1"}],
}
OCSF: dict[str, Any] = {
    "activity_name": "Create",
    "class_uid": 2004,
    "class_name": "Detection Finding",
    "cloud": {"account": {"uid": ONE, "type": "AWS Account"}, "provider": "AWS", "region": "eu-west-1"},
    "finding_info": {"uid": "34def", "title": "Bitcoin-related domain name"},
    "metadata": {"product": {"uid": "arn:aws:securityhub:eu-west-1::productv2/aws/guardduty"}, "version": "1.5.0"},
    "resources": [
        {
            "type": "AWS::EC2::Instance",
            "uid": A,
            "cloud_partition": "aws",
            "region": "eu-west-1",
            "owner": {"account": {"uid": ONE}},
        },
        {"type": "AWS::IAM::Role", "uid": "x"},
    ],
}


def event(detail: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An EventBridge event as an organisation's collecting account (and region) sends it."""
    return {
        "version": "0",
        "id": "28e463cd-ca3b-587f-045e-49903af281e5",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "999999999999",
        "time": "2026-11-22T09:20:00Z",
        "region": "ap-south-1",
        "resources": [],
        "detail": detail,
        **fields,
    }


STATE_CHANGE = event(
    {"instance-id": A, "state": "running"},
    **{"detail-type": "EC2 Instance State-change Notification", "account": ONE, "region": "eu-west-1"},
)


def camel(node: Any) -> Any:
    """A finding as EventBridge and the export write it: keys in camel case."""
    if isinstance(node, dict):
        return {key[:1].lower() + key[1:]: camel(value) for key, value in node.items()}
    return [camel(each) for each in node] if isinstance(node, list) else node


def changed(document: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy in which the field at the path has another value, or none at all where that is ``...``."""
    document = copy.deepcopy(document)
    node: Any = document
    for step in path[:-1]:
        node = node[step]
    if to is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (GUARDDUTY, [REF_A]),
        (camel(GUARDDUTY), [REF_A]),
        ([GUARDDUTY, camel(GUARDDUTY), NO_INSTANCE], [REF_A]),
        ({"Findings": [NO_INSTANCE, GUARDDUTY], "ResponseMetadata": {}}, [REF_A]),
        (
            changed(GUARDDUTY, "Resource", "InstanceDetails", "InstanceId", to="i-99999999"),
            [InstanceRef("i-99999999", ONE, "eu-west-1")],
        ),
        (changed(GUARDDUTY, "Region", to=...), [InstanceRef(A, ONE, None)]),
        (event(camel(GUARDDUTY)), [REF_A]),
        (event(GUARDDUTY), [REF_A]),
        (SEQUENCE, [REF_A, REF_B]),
        (event(camel(SEQUENCE)), [REF_A, REF_B]),
        (ASFF, [REF_A]),
        ({"Findings": [ASFF]}, [REF_A]),
        (event({"findings": [ASFF]}, resources=[ASFF["Id"]]), [REF_A]),
        (event({"actionName": "tag", "actionDescription": "x", "findings": [ASFF]}), [REF_A]),
        (changed(ASFF, "Resources", 1, "Id", to=A), [REF_A]),
        (changed(changed(ASFF, "Resources", 1, "Id", to=A), "Resources", 1, "Region", to=...), [REF_A]),
        (changed(ASFF, "AwsAccountId", to=TWO), [REF_A]),
        (INSPECTOR, [REF_A]),
        (event(INSPECTOR, resources=[A]), [REF_A]),
        (OCSF, [REF_A]),
        ([OCSF, ASFF, GUARDDUTY], [REF_A]),
        (event({"findings": [OCSF]}), [REF_A]),
        (changed(OCSF, "resources", 0, to={"type": "AwsEc2Instance", "uid": ARN_B}), [REF_B]),
        (changed(OCSF, "resources", 0, to={"type": "AWS::EC2::Instance", "uid": B, "uid_alt": ARN_B}), [REF_B]),
        (changed(OCSF, "resources", 0, to={"type": "AWS::EC2::Instance", "uid": A, "uid_alt": "web-1"}), [REF_A]),
        (
            changed(changed(OCSF, "cloud", to={}), "resources", 0, to={"type": "AwsEc2Instance", "uid": A}),
            [InstanceRef(A)],
        ),
        (STATE_CHANGE, [REF_A]),
        ({**STATE_CHANGE, "resources": [ARN_A]}, [REF_A]),
        (event({"event": "whatever"}, resources=["x", 1, ARN_B]), [REF_B]),
        # What is known of an instance only in part is the same instance; two full ones are two.
        ([changed(GUARDDUTY, "Region", to=...), GUARDDUTY], [REF_A]),
        ([GUARDDUTY, changed(GUARDDUTY, "Region", to=...)], [REF_A]),
        ([GUARDDUTY, changed(GUARDDUTY, "AccountId", to=TWO)], [REF_A, InstanceRef(A, TWO, "eu-west-1")]),
    ],
)
def test_instances(document: Any, expected: list[InstanceRef]) -> None:
    assert instances_in_findings(json.dumps(document), "f.json") == expected
    assert instances_in_findings("\ufeff" + json.dumps(document, indent=2), "f.json") == expected


def test_one_a_line() -> None:
    text = "\r\n".join(map(json.dumps, [camel(GUARDDUTY), NO_INSTANCE, SEQUENCE, OCSF])) + "\n\n"
    assert instances_in_findings(text, "f") == [REF_A, REF_B]
    assert instances_in_findings(json.dumps(GUARDDUTY) * 2, "f") == [REF_A]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: empty"),
        (" \n ", "f: empty"),
        ("[]", "f: names no EC2 instance"),
        ('{"Findings": []}', "f: names no EC2 instance"),
        (json.dumps(NO_INSTANCE), "f: names no EC2 instance"),
        (json.dumps(event({"event": "whatever"})), "f: names no EC2 instance"),
        (json.dumps(changed(OCSF, "resources", to=[])), "f: names no EC2 instance"),
        (json.dumps(changed(OCSF, "resources", to="odd")), "f: names no EC2 instance"),
        (json.dumps(changed(OCSF, "resources", 0, "type", to=["odd"])), "f: names no EC2 instance"),
        ("{}", "f:1: no finding of a known form (an object with no keys)"),
        (
            '{"Version": "2012-10-17", "Statement": []}',
            "f:1: no finding of a known form (an object with 'Version', ",
        ),
        ('{"\\u001b[31m": 1}', "f:1: no finding of a known form (an object with '\\x1b[31m')"),
        ("null", "f:1: None is no finding"),
        ('"i-0123456789abcdef0"', "f:1: 'i-0123456789abcdef0' is no finding"),
        ("[[1]]", "f:1, element 1, element 1: 1 is no finding"),
        (A, "f:1: no valid JSON"),
        (json.dumps(GUARDDUTY) + "\n\n{", "f:3: no valid JSON"),
        (json.dumps(GUARDDUTY) + "\nnull", "f:2: None is no finding"),
        (
            json.dumps(GUARDDUTY, indent=1) + "\n{}",
            f"f:{json.dumps(GUARDDUTY, indent=1).count(chr(10)) + 2}: no finding",
        ),
        ("[" * 101 + "]" * 101, "f:1: JSON nested deeper than 100"),
        ('{"a":' * 101 + "1" + "}" * 101, "f:1: JSON nested deeper than 100"),
        ("[" * 1_000_000, "f:1: JSON nested deeper than 100"),
        ("9" * 5000, "f:1: a number too long"),
        (
            json.dumps([GUARDDUTY, changed(GUARDDUTY, "Resource", "InstanceDetails", "InstanceId", to="i-1")]),
            "f:1, element 2: 'i-1' is no EC2",
        ),
        (
            json.dumps(changed(GUARDDUTY, "Resource", "InstanceDetails", "InstanceId", to=5)),
            "f:1: an EC2 instance without an id (5)",
        ),
        (json.dumps(changed(ASFF, "Resources", 1, "Id", to=...)), "f:1: an EC2 instance without an id (None)"),
        (
            json.dumps(changed(GUARDDUTY, "AccountId", to=111111111111)).replace("111111111111", "11"),
            "f:1: '11' is no account id",
        ),
        (json.dumps(changed(GUARDDUTY, "Region", to="Frankfurt")), "f:1: 'Frankfurt' is no region"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        instances_in_findings(text, "f")
    assert caught.value.message.startswith(message)
    assert caught.value.message.isprintable()


def test_a_hybrid_node_is_explained() -> None:
    with pytest.raises(UsageError) as caught:
        instances_in_findings(json.dumps(changed(ASFF, "Resources", 1, "Id", to="mi-0123456789abcdef0")), "f")
    assert "hybrid nodes" in (caught.value.hint or "")


def test_a_hundred_levels_are_read() -> None:
    assert len(list(json_documents("[" * 100 + "]" * 100, "f"))) == 1


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(UsageError, match="16 MiB"):
        instances_in_findings(" " * (16 * 1024**2 + 1), "f")


def refusal(call: Callable[[], object]) -> UsageError | None:
    """The refusal of an input, or None where it was read. Any other exception is a bug and comes through."""
    try:
        call()
    except UsageError as error:
        return error
    return None


KEYS = st.sampled_from(
    [
        *["Findings", "findings", "detail", "detail-type", "instance-id", "Resources", "resources", "Resource"],
        *["resource", "Service", "service", "InstanceDetails", "instanceDetails", "InstanceId", "instanceId"],
        *["AccountId", "accountId", "AwsAccountId", "awsAccountId", "Region", "region", "class_uid", "cloud"],
        *["finding_info", "account", "owner", "uid", "uid_alt", "Type", "type", "Id", "id", "Detection"],
        *["Sequence", "Uid", "ResourceType"],
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    [A, ARN_B, ONE, "eu-west-1", "AwsEc2Instance", "EC2_INSTANCE", "AWS::EC2::Instance", "mi-1"]
)
DOCUMENTS = st.recursive(
    LEAVES | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


@given(DOCUMENTS)
def test_any_document_is_read_or_refused(document: Any) -> None:
    any_text_is_read_or_refused(json.dumps(document))


@given(
    st.sampled_from([GUARDDUTY, SEQUENCE, ASFF, OCSF, STATE_CHANGE, event({"findings": [ASFF]})]),
    st.data(),
    DOCUMENTS,
)
def test_any_damage_is_read_or_refused(finding: dict[str, Any], data: st.DataObject, damage: Any) -> None:
    path: list[Any] = []
    node: Any = finding
    while isinstance(node, dict | list) and node and (not path or data.draw(st.booleans())):
        step = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        path.append(step)
        node = node[step]
    any_text_is_read_or_refused(json.dumps(changed(finding, *path, to=damage)))


@given(st.text() | st.text(alphabet='{}[]",:0 \n', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    any_text_is_read_or_refused(text)


def any_text_is_read_or_refused(text: str) -> None:
    found: list[InstanceRef] = []
    if error := refusal(lambda: found.extend(instances_in_findings(text, "f"))):
        assert error.message.isprintable()
    else:
        assert found
        assert len(set(found)) == len(found)
