"""What somebody writes with boto3: boto3_jobs.py tag|kms sequential|threads

``sequential``: one target after the other, a session for each account. ``threads``: 32 threads, a session for each
target, as boto3's documentation advises (sessions are not to be shared between threads).
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

FLEET = json.loads(os.environ["BENCH_FLEET"])
TAG = {"Key": "CadoResponseSSMEnabled", "Value": "True"}


def session(account: str) -> Any:
    sts = boto3.session.Session().client("sts")
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/R", RoleSessionName="bench")["Credentials"]
    return boto3.session.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def tag(of: Any, region: str) -> None:
    ec2 = of.client("ec2", region_name=region)
    for page in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000}):
        ids = [each["InstanceId"] for reservation in page["Reservations"] for each in reservation["Instances"]]
        if ids:
            ec2.create_tags(Resources=ids, Tags=[TAG])


def kms(of: Any, region: str) -> None:
    client = of.client("kms", region_name=region)
    list(client.get_paginator("list_aliases").paginate())
    for keys in client.get_paginator("list_keys").paginate():
        for key in keys["Keys"]:
            for page in client.get_paginator("list_grants").paginate(KeyId=key["KeyArn"]):
                for grant in page["Grants"]:
                    # In one piece, so that threads do not write into each other's lines.
                    sys.stdout.write(json.dumps(grant, default=str) + "\n")


def main() -> None:
    job, how = {"tag": tag, "kms": kms}[sys.argv[1]], sys.argv[2]
    if how == "sequential":
        for account in FLEET["accounts"]:
            of = session(account)
            for region in FLEET["regions"]:
                job(of, region)
        return
    targets = [(account, region) for account in FLEET["accounts"] for region in FLEET["regions"]]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda target: job(session(target[0]), target[1]), targets))


if __name__ == "__main__":
    main()
