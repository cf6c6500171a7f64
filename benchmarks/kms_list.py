"""Memory and time of `cado-ops kms list -o ndjson`, by the number of keys: benchmarks/kms_list.py [KEYS]…

A server on loopback, in a process of its own, plays STS, IAM and KMS: 40 grants a key, four regions. It counts the
requests of each second, so that the request quotas of KMS can be held against them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, Queue
from typing import Any

ACCOUNT = "111111111111"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2")
GRANTS_A_KEY = 40
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Responder/alice"
STS = (
    f"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{ACCOUNT}</Account><Arn>{CALLER}</Arn>"
    "<UserId>AROAEXAMPLE:alice</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


def key_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def grants(region: str, key: str) -> dict[str, Any]:
    number = int(key.split("/")[1].partition("-")[0], 16)
    return {
        "Truncated": False,
        "Grants": [
            {
                "KeyId": key,
                "GrantId": f"{number * GRANTS_A_KEY + each:064x}",
                "GranteePrincipal": f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-{each:017x}",
                "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root",
                "Operations": ["Decrypt"],
                "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": f"vol-{each:017x}"}},
                "CreationDate": 1764000000.0,
            }
            for each in range(GRANTS_A_KEY)
        ],
    }


def answer(region: str, action: str, body: dict[str, Any], keys: int) -> dict[str, Any]:
    if action == "ListAliases":
        return {"Aliases": [], "Truncated": False}
    if action == "ListKeys":
        start, size = int(body.get("Marker", 0)), int(body["Limit"])
        end = min(start + size, keys)
        listed = [
            {"KeyId": key_id(each), "KeyArn": f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id(each)}"}
            for each in range(start, end)
        ]
        more = {"Truncated": True, "NextMarker": str(end)} if end < keys else {"Truncated": False}
        return {"Keys": listed, **more}
    return grants(region, body["KeyId"])


def serve(keys: int, ready: Queue[int], counted: Queue[dict[str, int]], stop: Queue[None]) -> None:
    seconds: Counter[tuple[str, str, int]] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers.get("X-Amz-Target")
            if target:
                region = self.headers["Authorization"].split("/")[2]
                action = target.partition(".")[2]
                seconds[region, action, int(time.monotonic())] += 1
                text = json.dumps(answer(region, action, json.loads(body), keys)).encode()
                kind = "application/x-amz-json-1.1"
            elif b"GetCallerIdentity" in body:
                text, kind = STS.encode(), "text/xml"
            else:  # IAM: no such role
                text, kind = b"<ErrorResponse><Error><Code>NoSuchEntity</Code></Error></ErrorResponse>", "text/xml"
                self.send_response(404)
                return self.finish_with(text, kind)
            self.send_response(200)
            return self.finish_with(text, kind)

        def finish_with(self, text: bytes, kind: str) -> None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    ready.put(server.server_port)
    stop.get()
    most: dict[str, int] = {}
    for (_, action, _), number in seconds.items():
        most[action] = max(most.get(action, 0), number)
    counted.put(most)


def measure(keys: int) -> dict[str, Any]:
    """One run over ``keys`` keys, a quarter of them in each region."""
    ready: Queue[int] = Queue()
    counted: Queue[dict[str, int]] = Queue()
    stop: Queue[None] = Queue()
    server = Process(target=serve, args=(keys // len(REGIONS), ready, counted, stop), daemon=True)
    server.start()
    port = ready.get()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGIONS[0],
    }
    command = [sys.executable, "-m", "cado_ops", "kms", "list", "-o", "ndjson", "--region", ",".join(REGIONS)]
    began = time.monotonic()
    lines = first = 0
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        for _ in run.stdout:
            lines += 1
            first = first or time.monotonic() - began
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    stop.put(None)
    most = counted.get()
    server.join()
    assert run.returncode == 0, run.returncode
    assert lines == keys * GRANTS_A_KEY + 1, lines
    return {
        "keys": keys,
        "grants": lines - 1,
        "seconds": round(took, 1),
        "first_line_after": round(first, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "most_in_a_second": {name: most[name] for name in sorted(most)},
    }


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ("500", "5000")):
        print(json.dumps(measure(size)), flush=True)
