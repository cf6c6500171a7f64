"""The least that the job of tagging costs in Python on this machine: raw asyncio, SigV4 by hand, nothing else.

It makes the calls that cado-ops makes, as many at a time, and looks at nothing but instance ids: no retries, no
journal, no errors told. It is a yardstick, not a tool.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import ssl
import time
from urllib.parse import urlencode, urlsplit

FLEET = json.loads(os.environ["BENCH_FLEET"])
URL = urlsplit(os.environ["AWS_ENDPOINT_URL"])
CONCURRENCY = 48
VERIFY = 198
_ID = re.compile(rb"<instanceId>(i-[0-9a-f]+)</instanceId>")
_KEY = re.compile(rb"<AccessKeyId>(\w+)</AccessKeyId>")
_TOKEN = re.compile(rb"<SessionToken>(\w+)</SessionToken>")
_NEXT = re.compile(rb"<nextToken>(\d+)</nextToken>")

_keys: dict[tuple[str, str], bytes] = {}


def signed(service: str, region: str, key: str, secret: str, token: str, parameters: dict[str, str]) -> bytes:
    """A request, whole, as it goes on the wire ("Create a signed AWS API request", IAM User Guide)."""
    body = urlencode(parameters).encode()
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    day, host = now[:8], URL.netloc
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": host, "x-amz-date": now}
    if token:
        headers["x-amz-security-token"] = token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    derived = _keys.get((secret, scope))
    if derived is None:
        derived = f"AWS4{secret}".encode()
        for part in scope.split("/"):
            derived = hmac.digest(derived, part.encode(), "sha256")
        _keys[secret, scope] = derived
    signature = hmac.digest(derived, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST / HTTP/1.1\r\n{head}authorization: {authorization}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Wire:
    """One connection, kept open."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context, self._streams = context, None

    async def send(self, request: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(URL.hostname, URL.port, ssl=self._context, limit=1 << 24)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(body.decode())
        return body


async def main() -> None:
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]) if URL.scheme == "https" else None
    waiting: asyncio.Queue = asyncio.Queue()
    for account in FLEET["accounts"]:
        waiting.put_nowait((account, None, ""))

    async def account_of(wire: Wire, account: str) -> None:
        asked = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": f"arn:aws:iam::{account}:role/R"}
        asked["RoleSessionName"] = "floor"
        secret = os.environ["AWS_SECRET_ACCESS_KEY"]
        answer = await wire.send(
            signed("sts", FLEET["regions"][0], os.environ["AWS_ACCESS_KEY_ID"], secret, "", asked)
        )
        keys = (_KEY.search(answer)[1].decode(), "secret", _TOKEN.search(answer)[1].decode())
        for region in FLEET["regions"]:
            waiting.put_nowait((account, region, keys))

    async def pages(wire: Wire, region: str, keys: tuple[str, str, str], asked: dict[str, str]) -> list[bytes]:
        answers = []
        more = None
        while more or not answers:
            token = {"NextToken": more[1].decode()} if more else {}
            answers.append(await wire.send(signed("ec2", region, *keys, {**asked, **token})))
            more = _NEXT.search(answers[-1])
        return answers

    async def cell(wire: Wire, region: str, keys: tuple[str, str, str]) -> None:
        asked = {"Action": "DescribeInstances", "Version": "2016-11-15", "MaxResults": "1000"}
        answers = await pages(wire, region, keys, asked)
        ids = [each.decode() for answer in answers for each in _ID.findall(answer)]
        for start in range(0, len(ids), 1000):
            batch = {f"ResourceId.{n}": each for n, each in enumerate(ids[start : start + 1000], 1)}
            tags = {"Tag.1.Key": "CadoResponseSSMEnabled", "Tag.1.Value": "True"}
            asked = {"Action": "CreateTags", "Version": "2016-11-15", **batch, **tags}
            await wire.send(signed("ec2", region, *keys, asked))
        by_id = {f"Filter.1.Value.{n}": each for n, each in enumerate(ids, 1)}
        looked_for = (
            ("resource-id", by_id) if len(ids) <= VERIFY else ("resource-type", {"Filter.1.Value.1": "instance"})
        )
        asked = {"Action": "DescribeTags", "Version": "2016-11-15", "MaxResults": "1000"}
        await pages(wire, region, keys, {**asked, "Filter.1.Name": looked_for[0], **looked_for[1]})

    async def worker() -> None:
        wire = Wire(context)
        while True:
            account, region, keys = await waiting.get()
            if region is None:
                await account_of(wire, account)
            else:
                await cell(wire, region, keys)
            waiting.task_done()

    workers = [asyncio.create_task(worker()) for _ in range(CONCURRENCY)]
    ended = asyncio.create_task(waiting.join())
    await asyncio.wait([ended, *workers], return_when=asyncio.FIRST_COMPLETED)
    for each in workers:
        if each.done():
            each.result()
        each.cancel()


if __name__ == "__main__":
    asyncio.run(main())
