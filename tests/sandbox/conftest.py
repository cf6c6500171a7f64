"""One sandbox for all tests here; each test gets it freshly seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cado_ops.sandbox import Sandbox
from tests.sdk import one_loader

_CONFIG = Config(retries={"total_max_attempts": 1})
_session = boto3.session.Session(
    aws_access_key_id="unused", aws_secret_access_key="unused", region_name="eu-west-1"
)


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    with one_loader():
        yield


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


Client = Callable[..., Any]


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """``client("ec2", "222222222222", region)``: as CadoOperator of that account, or as the caller without one."""
    environment = sandbox.environment({})
    caller = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": environment["AWS_SESSION_TOKEN"],
    }
    assumed: dict[str, dict[str, Any]] = {}

    def connect(service: str, account: str | None = None, region: str = "eu-west-1", **credentials: Any) -> Any:
        keys = credentials or caller
        if account is not None and not credentials:
            if account not in assumed:
                role = connect("sts").assume_role(
                    RoleArn=f"arn:aws:iam::{account}:role/CadoOperator", RoleSessionName="tests"
                )
                assumed[account] = as_keys(role["Credentials"])
            keys = assumed[account]
        return _session.client(service, region, endpoint_url=sandbox.endpoint_url, config=_CONFIG, **keys)

    return connect


def as_keys(credentials: dict[str, Any]) -> dict[str, Any]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


@pytest.fixture
def refusal() -> Callable[..., tuple[str, str]]:
    """``refusal(call, **parameters)``: the code and message that AWS's error carries."""
    from botocore.exceptions import ClientError

    def refused(call: Any, **parameters: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return refused


@pytest.fixture
def named(client: Client) -> Callable[..., str]:
    """``named("web-01", account, region)``: the id of a seeded instance."""

    def find(name: str, account: str = "222222222222", region: str = "eu-west-1") -> str:
        answer = client("ec2", account, region).describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])
        (instance,) = [found for reservation in answer["Reservations"] for found in reservation["Instances"]]
        return str(instance["InstanceId"])

    return find


@pytest.fixture
def tags_of(client: Client) -> Callable[..., dict[str, str]]:
    """``tags_of(instance_id, account, region)``: its tags now."""

    def read(instance_id: str, account: str = "222222222222", region: str = "eu-west-1") -> dict[str, str]:
        answer = client("ec2", account, region).describe_instances(InstanceIds=[instance_id])
        return {tag["Key"]: tag["Value"] for tag in answer["Reservations"][0]["Instances"][0].get("Tags", [])}

    return read
