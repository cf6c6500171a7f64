"""What each short way saves, beside botocore's own way, in turns: the rows of docs/performance.md, "What pays".

Processor time, the least of several: milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import botocore.session
from botocore.httpsession import create_urllib3_context
from botocore.parsers import EC2QueryParser, JSONParser
from endpoint import TAG, Endpoint, Fleet, _Answers, instance_prefix
from peer_environments import bundle_and_server_certificate

from cado_ops.aws import repeat
from cado_ops.aws.connection import Connection
from cado_ops.aws.credentials import Roles
from cado_ops.aws.ec2 import INSTANCE_CUT, INSTANCE_FIELDS, Ec2
from cado_ops.aws.fields import Cut, Fields, only
from cado_ops.aws.kms import GRANT_FIELDS
from cado_ops.aws.parsers import FieldsJsonParser, FieldsParser
from cado_ops.aws.tls import Trust
from cado_ops.model import Cell

ROUNDS = 9
ACCOUNT, REGION = Fleet(1, 1).account_ids[0], Fleet(1, 1).region_names[0]
FLEET = Fleet(1, 1, instances=20, keys=1, grants=50)

Step = Callable[[], object]


def answers() -> tuple[bytes, bytes]:
    """What the endpoint of the benchmark answers to DescribeInstances and ListGrants."""

    class Shared:
        tagged = bytearray(FLEET.total)

    plays = _Answers(FLEET, Shared(), 0, "none")  # type: ignore[arg-type]
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
    grants = plays._kms_ListGrants(ACCOUNT, REGION, {"KeyId": key, "Limit": 50})
    return plays._DescribeInstances(ACCOUNT, REGION, {"MaxResults": "1000"}), json.dumps(grants).encode()


def parsing(
    parser: EC2QueryParser, body: bytes, shape: object, fields: Fields | None, cut: Cut | None = None
) -> Step:
    response = {"body": body, "headers": {}, "status_code": 200}

    def parse() -> object:
        if fields is None:
            return parser.parse(response, shape)
        with only(fields, cut):
            return parser.parse(response, shape)

    return parse


def asking(*, copied: bool) -> Step:
    """Calls of CreateTags for 20 instances, and what one takes: what is asked for the first time is not counted."""
    connection = Connection(
        roles=Roles("cado-ops-bench", role_name="CadoOperator"),
        profile=None,
        endpoint_url=None,
        region=REGION,
        max_concurrency=1,
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        sleep=time.sleep,
        rng=random.Random(1),
        stopped=lambda: False,
    )
    cell, ids = Cell(ACCOUNT, REGION), [f"{instance_prefix(ACCOUNT, REGION).decode()}{n:08x}" for n in range(20)]
    copy_of, calls = repeat.copy_of, 200

    def ask() -> float:
        repeat.copy_of = copy_of if copied else lambda *_: None
        try:
            Ec2(connection).create_tags(cell, ids, {TAG: "True"})
            began = time.process_time()
            for _ in range(calls):
                Ec2(connection).create_tags(cell, ids, {TAG: "True"})
            return (time.process_time() - began) * 1000 / calls
        finally:
            repeat.copy_of = copy_of

    return ask


def trusted(bundle: str, *, once: bool) -> Step:
    """For ten connections."""

    def trust() -> None:
        shared = Trust()
        for _ in range(10):
            if once:
                shared._context(bundle)
            else:
                create_urllib3_context().load_verify_locations(cafile=bundle)

    return trust


def alone(*lines: str) -> Step:
    """In a process of its own: what it says that it took, in milliseconds."""
    program = "\n".join(
        ("import time", "began = time.process_time()", *lines, "print(time.process_time() - began)")
    )

    def run() -> float:
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return float(said.stdout) * 1000

    return run


def of_session(step: str, *, cut: bool) -> Step:
    """A step that is made with a session that is there already."""
    return alone(
        "import botocore.session",
        "from cado_ops.aws.service_models import use_cut_models",
        "session = botocore.session.Session()",
        *(("use_cut_models(session)",) if cut else ()),
        "session.set_credentials('a', 'b')",
        "loader = session.get_component('data_loader')",
        "began = time.process_time()",
        step,
    )


def client(service: str, *, cut: bool) -> Step:
    return of_session(f"session.create_client('{service}', region_name='eu-west-1')", cut=cut)


def timed(step: Step) -> float:
    began = time.process_time()
    said = step()
    return said if isinstance(said, float) else (time.process_time() - began) * 1000


def main() -> None:
    instances, grants = answers()
    core = botocore.session.Session()
    described = core.get_service_model("ec2").operation_model("DescribeInstances").output_shape
    listed = core.get_service_model("kms").operation_model("ListGrants").output_shape
    with TemporaryDirectory() as folder, Endpoint(FLEET) as endpoint:
        os.environ.update(endpoint.environment())
        bundle, _ = bundle_and_server_certificate(Path(folder))
        rows: dict[str, tuple[Step, Step]] = {
            f"parse 20 instances ({len(instances) // 1000} KB): the fields that are used": (
                parsing(EC2QueryParser(), instances, described, None),
                parsing(FieldsParser(), instances, described, INSTANCE_FIELDS),
            ),
            "the same, the longest elements cut out before": (
                parsing(EC2QueryParser(), instances, described, None),
                parsing(FieldsParser(), instances, described, INSTANCE_FIELDS, INSTANCE_CUT),
            ),
            "parse 50 grants: by field, times in UTC": (
                parsing(JSONParser(), grants, listed, None),
                parsing(FieldsJsonParser(), grants, listed, GRANT_FIELDS),
            ),
            "call CreateTags for 20 instances": (
                asking(copied=False),
                asking(copied=True),
            ),
            "load EC2's service model": (
                of_session("loader.load_service_model('ec2', 'service-2')", cut=False),
                of_session("loader.load_service_model('ec2', 'service-2')", cut=True),
            ),
            "load the list of endpoints": (
                of_session("loader.load_data('endpoints')", cut=False),
                of_session("loader.load_data('endpoints')", cut=True),
            ),
            "make the first client of STS": (client("sts", cut=False), client("sts", cut=True)),
            "make the first client of EC2": (client("ec2", cut=False), client("ec2", cut=True)),
            "trust the CA bundle: ten connections": (trusted(bundle, once=False), trusted(bundle, once=True)),
            "import boto3, import botocore.session": (alone("import boto3"), alone("import botocore.session")),
        }
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in rows}
        for _ in range(ROUNDS):
            for name, steps in rows.items():
                for step, times in zip(steps, taken[name], strict=True):
                    times.append(timed(step))
    print("| what | stock, ms | here, ms |\n| --- | --- | --- |")
    for name, (stock, here) in taken.items():
        print(f"| {name} | {min(stock):.2f} | {min(here):.2f} |")


if __name__ == "__main__":
    main()
