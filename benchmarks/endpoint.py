"""A fake AWS for measuring: STS, EC2 and KMS of a whole organisation, in processes of their own.

It is no sandbox: it knows the calls of one job (tag every instance) and of one listing (all grants), answers them
at full size, and keeps the books: calls by action, calls throttled, and for every instance how often it was
tagged and whether by its own account. What it does not know it refuses, so that nobody is measured doing
something else.

    with Endpoint(Fleet(accounts=10, regions=4, instances=20), latency=0.05) as endpoint:
        …  # endpoint.url, endpoint.environment()
        print(endpoint.books())

Accounts and instances are numbers in a row; an instance's id says whose it is. Signatures are not checked (that
would cost more than the rest), but the key that signs says the account: AssumeRole hands out keys that hold its
number.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import signal
import socket
import ssl
import time
from dataclasses import dataclass
from itertools import islice
from multiprocessing.sharedctypes import RawArray
from typing import Any
from urllib.parse import parse_qsl

HOME = "111111111111"
FIRST_ACCOUNT = 222222220000
REGIONS = (
    "eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "us-east-2", "us-west-1", "eu-west-2", "eu-west-3",
    "eu-north-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1", "ca-central-1", "sa-east-1",
)  # fmt: skip
TAG = "CadoResponseSSMEnabled"
PAGE = 1000

ACTIONS = (
    "AssumeRole", "GetCallerIdentity", "DescribeInstances", "CreateTags", "DescribeTags", "DescribeRegions",
    "GetRole", "ListKeys", "ListAliases", "ListGrants", "other",
)  # fmt: skip

# "Request throttling for the Amazon EC2 API": bucket size and refill a second, an account and region each.
# "Request quotas", KMS Developer Guide, and "IAM and AWS STS quotas": a quota a second, as a bucket of one second.
BUCKETS = {
    "AssumeRole": (600.0, 600.0),
    "DescribeInstances": (100.0, 20.0),
    "DescribeTags": (100.0, 20.0),
    "CreateTags": (100.0, 10.0),
    "ListKeys": (500.0, 500.0),
    "ListAliases": (500.0, 500.0),
    "ListGrants": (100.0, 100.0),
}
# A busy account: others there have emptied its buckets, and take most of what flows in.
BUSY_SHARE = 0.1
BUSY_EVERY = 10


@dataclass(frozen=True)
class Fleet:
    """What there is: in every account and region so many instances, and keys with so many grants."""

    accounts: int
    regions: int
    instances: int = 0
    keys: int = 0
    grants: int = 0

    @property
    def account_ids(self) -> list[str]:
        return [str(FIRST_ACCOUNT + number) for number in range(self.accounts)]

    @property
    def region_names(self) -> tuple[str, ...]:
        return REGIONS[: self.regions]

    @property
    def total(self) -> int:
        return self.accounts * self.regions * self.instances


def _instance_xml() -> bytes:
    """One instance as EC2 describes it, about 4.5 KB; %(id)s, %(number)s and %(tags)s are its own."""
    groups = "".join(
        f"<item><groupId>sg-0{each}b2c3d4e5f60718a</groupId><groupName>workload-{each}</groupName></item>"
        for each in range(1, 2)
    )
    disks = "".join(
        f"<item><deviceName>/dev/{name}</deviceName><ebs><volumeId>vol-0{each}b2c3d4e5f607181</volumeId>"
        "<status>attached</status><attachTime>2026-03-01T08:15:30.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination></ebs></item>"
        for each, name in enumerate(("xvda", "xvdb"))
    )
    return (
        "<item><instanceId>%(id)s</instanceId><imageId>ami-0a1b2c3d4e5f60718</imageId>"
        "<instanceState><code>16</code><name>running</name></instanceState>"
        "<privateDnsName>ip-10-0-12-34.eu-west-1.compute.internal</privateDnsName>"
        "<dnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</dnsName><reason/>"
        "<keyName>workload-key</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/>"
        "<instanceType>m6i.xlarge</instanceType><launchTime>2026-03-01T08:15:28.000Z</launchTime>"
        "<placement><availabilityZone>eu-west-1a</availabilityZone><groupName/><tenancy>default</tenancy></placement>"
        "<monitoring><state>disabled</state></monitoring><subnetId>subnet-0a1b2c3d4e5f60718</subnetId>"
        "<vpcId>vpc-0a1b2c3d4e5f60718</vpcId><privateIpAddress>10.0.12.34</privateIpAddress>"
        f"<ipAddress>203.0.113.25</ipAddress><sourceDestCheck>true</sourceDestCheck><groupSet>{groups}</groupSet>"
        "<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType>"
        f"<rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>{disks}</blockDeviceMapping>"
        "<virtualizationType>hvm</virtualizationType><clientToken>0a1b2c3d-4e5f-6071-8a9b-0c1d2e3f4a5b</clientToken>"
        "<tagSet><item><key>Name</key><value>workload-%(number)s</value></item>"
        "<item><key>Env</key><value>prod</value></item><item><key>CostCenter</key><value>4711</value></item>"
        "<item><key>Owner</key><value>platform-team@example.com</value></item>"
        "<item><key>aws:autoscaling:groupName</key><value>workload-asg-blue</value></item>"
        "<item><key>aws:cloudformation:stack-name</key><value>workload-stack-production</value></item>%(tags)s</tagSet>"
        "<hypervisor>xen</hypervisor><networkInterfaceSet><item>"
        "<networkInterfaceId>eni-0a1b2c3d4e5f60718</networkInterfaceId><subnetId>subnet-0a1b2c3d4e5f60718</subnetId>"
        "<vpcId>vpc-0a1b2c3d4e5f60718</vpcId><description/><ownerId>222222222222</ownerId><status>in-use</status>"
        "<macAddress>02:0a:1b:2c:3d:4e</macAddress><privateIpAddress>10.0.12.34</privateIpAddress>"
        "<privateDnsName>ip-10-0-12-34.eu-west-1.compute.internal</privateDnsName>"
        f"<sourceDestCheck>true</sourceDestCheck><groupSet>{groups}</groupSet><attachment>"
        "<attachmentId>eni-attach-0a1b2c3d4e5f60718</attachmentId><deviceIndex>0</deviceIndex>"
        "<status>attached</status><attachTime>2026-03-01T08:15:28.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
        "<association><publicIp>203.0.113.25</publicIp>"
        "<publicDnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</publicDnsName><ipOwnerId>amazon</ipOwnerId>"
        "</association><privateIpAddressesSet><item><privateIpAddress>10.0.12.34</privateIpAddress>"
        "<privateDnsName>ip-10-0-12-34.eu-west-1.compute.internal</privateDnsName><primary>true</primary>"
        "<association><publicIp>203.0.113.25</publicIp>"
        "<publicDnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</publicDnsName><ipOwnerId>amazon</ipOwnerId>"
        "</association></item></privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType>"
        "</item></networkInterfaceSet><iamInstanceProfile>"
        "<arn>arn:aws:iam::222222222222:instance-profile/workload</arn><id>AIPAEXAMPLE</id></iamInstanceProfile>"
        "<ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions><coreCount>2</coreCount>"
        "<threadsPerCore>2</threadsPerCore></cpuOptions><capacityReservationSpecification>"
        "<capacityReservationPreference>open</capacityReservationPreference></capacityReservationSpecification>"
        "<hibernationOptions><configured>false</configured></hibernationOptions><metadataOptions>"
        "<state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>"
        "<httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6>"
        "<instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions>"
        "<enclaveOptions><enabled>false</enabled></enclaveOptions><platformDetails>Linux/UNIX</platformDetails>"
        "<usageOperation>RunInstances</usageOperation>"
        "<usageOperationUpdateTime>2026-03-01T08:15:28.000Z</usageOperationUpdateTime>"
        "<maintenanceOptions><autoRecovery>default</autoRecovery></maintenanceOptions>"
        "<currentInstanceBootMode>legacy-bios</currentInstanceBootMode></item>"
    ).encode()


INSTANCE_XML = _instance_xml()
_TAG_XML = f"<item><key>{TAG}</key><value>True</value></item>".encode()
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_EC2 = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
_REQUEST_ID = "0a1b2c3d-4e5f-6071-8a9b-0c1d2e3f4a5b"
_CREDENTIAL = re.compile(rb"Credential=([A-Z0-9]+)/\d+/([a-z0-9-]+)/")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TARGET = re.compile(rb"(?i)\r\nx-amz-target: *\w+\.(\w+)")


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Answers:
    """What one process answers; ``tagged``, ``counts`` and ``buckets`` are shared with the others."""

    def __init__(self, fleet: Fleet, shared: _Shared, process: int, throttle: str) -> None:
        self.fleet, self.shared, self.throttle = fleet, shared, throttle
        self.slot = process * len(ACTIONS)
        self.regions = {name: number for number, name in enumerate(REGIONS)}

    def to(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP answer to a request."""
        found = _CREDENTIAL.search(head)
        key, region = (found[1].decode(), found[2].decode()) if found else ("", "")
        account = key[4:16] if key.startswith("ASIA") else HOME
        target = _TARGET.search(head)
        try:
            if target:
                action = target[1].decode()
                self._count(action, account, region)
                text = json.dumps(getattr(self, f"_kms_{action}")(account, region, json.loads(body))).encode()
                return _http(200, text, b"application/x-amz-json-1.1")
            asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
            action = asked.get("Action", "")
            self._count(action, account, region)
            return _http(200, getattr(self, f"_{action}")(account, region, asked))
        except _Refused as error:
            return _error(error, json_protocol=target is not None)
        except AttributeError:
            return _error(
                _Refused(400, "InvalidAction", "this endpoint does not play it"), json_protocol=bool(target)
            )

    def _count(self, action: str, account: str, region: str) -> None:
        number = ACTIONS.index(action) if action in ACTIONS else len(ACTIONS) - 1
        self.shared.calls[self.slot + number] += 1
        if self.throttle == "none" or action not in BUCKETS:
            return
        size, refill = BUCKETS[action]
        # Whoever calls has the last place.
        first = self.fleet.accounts if account == HOME else number_of(account)
        full = size
        if self.throttle == "busy" and account != HOME and first % BUSY_EVERY == 0:
            full, refill = 0.0, refill * BUSY_SHARE
        place = 2 * ((first * len(REGIONS) + self.regions.get(region, 0)) * len(ACTIONS) + number)
        buckets, now = self.shared.buckets, time.monotonic()
        since = buckets[place + 1]
        tokens = full if since == 0.0 else min(size, buckets[place] + (now - since) * refill)
        enough = tokens >= 1.0
        buckets[place], buckets[place + 1] = tokens - 1.0 if enough else tokens, now
        if not enough:
            self.shared.throttled[self.slot + number] += 1
            if action.startswith("List"):
                raise _Refused(400, "ThrottlingException", "Rate exceeded")
            raise _Refused(503, "RequestLimitExceeded", "Request limit exceeded.")

    def _AssumeRole(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        wanted = asked["RoleArn"].split(":")[4]
        return (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
            f"<AccessKeyId>ASIA{wanted}0000</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            f"<SessionToken>{'t' * 700}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:it</AssumedRoleId><Arn>{_role(wanted)}</Arn>"
            "</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
        ).encode()

    def _GetCallerIdentity(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        return (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Account>{account}</Account><Arn>{_role(account)}</Arn><UserId>AROAEXAMPLE:it</UserId>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode()

    def _GetRole(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        name = asked["RoleName"]
        return (
            '<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role><Path>/</Path>'
            f"<RoleName>{name}</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>arn:aws:iam::{account}:role/{name}</Arn>"
            "<CreateDate>2026-03-01T08:15:28Z</CreateDate></Role></GetRoleResult>"
            f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata></GetRoleResponse>"
        ).encode()

    def _DescribeRegions(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        items = "".join(
            f"<item><regionName>{each}</regionName><regionEndpoint>ec2.{each}.amazonaws.com</regionEndpoint>"
            "<optInStatus>opt-in-not-required</optInStatus></item>"
            for each in self.fleet.region_names
        )
        return (
            f"<DescribeRegionsResponse {_EC2}><regionInfo>{items}</regionInfo></DescribeRegionsResponse>".encode()
        )

    def _DescribeInstances(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        first = self._first(account, region)
        start, count = int(asked.get("NextToken", "0")), self.fleet.instances
        end = min(count, start + int(asked.get("MaxResults", PAGE)))
        tagged, prefix = self.shared.tagged, instance_prefix(account, region)
        items = b"".join(
            b"<item><reservationId>r-0a1b2c3d4e5f60718</reservationId><ownerId>%s</ownerId><groupSet/><instancesSet>"
            % account.encode()
            + INSTANCE_XML
            % {
                b"id": b"%s%08x" % (prefix, each),
                b"number": b"%d" % each,
                b"tags": _TAG_XML if tagged[first + each] else b"",
            }
            + b"</instancesSet></item>"
            for each in range(start, end)
        )
        more = b"<nextToken>%d</nextToken>" % end if end < count else b""
        return (
            f"{_XML}<DescribeInstancesResponse {_EC2}><requestId>{_REQUEST_ID}</requestId><reservationSet>".encode()
            + items
            + b"</reservationSet>"
            + more
            + b"</DescribeInstancesResponse>"
        )

    def _CreateTags(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        pairs = {(asked.get(f"Tag.{n}.Key"), asked.get(f"Tag.{n}.Value")) for n in range(1, 4)}
        if (TAG, "True") not in pairs:
            raise _Refused(400, "InvalidParameterValue", "another tag than the one that is measured")
        first, prefix = self._first(account, region), instance_prefix(account, region).decode()
        for name, value in asked.items():
            if name.startswith("ResourceId."):
                number = int(value[-8:], 16)
                if value[:-8] != prefix or number >= self.fleet.instances:
                    self.shared.wrong[0] += 1
                    raise _Refused(400, "InvalidInstanceID.NotFound", f"The instance ID '{value}' does not exist")
                self.shared.tagged[first + number] = min(255, self.shared.tagged[first + number] + 1)
        return _ec2("CreateTags", "<return>true</return>")

    def _DescribeTags(self, account: str, region: str, asked: dict[str, str]) -> bytes:
        first, prefix = self._first(account, region), instance_prefix(account, region).decode()
        named = [
            int(value[-8:], 16) for name, value in asked.items() if ".Value." in name and value.startswith("i-")
        ]
        # Without ids all of the region: asked by resource-type.
        start, most = int(asked.get("NextToken", "0")), int(asked.get("MaxResults", PAGE))
        tagged = (each for each in named or range(start, self.fleet.instances) if self.shared.tagged[first + each])
        page = list(islice(tagged, most + 1))
        items = "".join(
            f"<item><resourceId>{prefix}{each:08x}</resourceId><resourceType>instance</resourceType><key>{TAG}</key>"
            "<value>True</value></item>"
            for each in page[:most]
        )
        more = f"<nextToken>{page[most]}</nextToken>" if len(page) > most else ""
        return _ec2("DescribeTags", f"<tagSet>{items}</tagSet>{more}")

    def _kms_ListAliases(self, account: str, region: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"Aliases": [], "Truncated": False}

    def _kms_ListKeys(self, account: str, region: str, asked: dict[str, Any]) -> dict[str, Any]:
        ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(self.fleet.keys)]
        keys = [{"KeyId": each, "KeyArn": f"arn:aws:kms:{region}:{account}:key/{each}"} for each in ids]
        return {"Keys": keys, "Truncated": False}

    def _kms_ListGrants(self, account: str, region: str, asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("Marker", "0"))
        end = min(self.fleet.grants, start + asked.get("Limit", 50))
        grants = [
            {
                "KeyId": asked["KeyId"],
                "GrantId": f"{int(asked['KeyId'].split('/')[1][:8], 16):016x}{each:048x}",
                "GranteePrincipal": f"arn:aws:sts::{account}:assumed-role/aws:ec2-infrastructure/i-{each:017x}",
                "IssuingAccount": f"arn:aws:iam::{account}:root",
                "Operations": ["Decrypt"],
                "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": f"vol-{each:017x}"}},
                "CreationDate": 1764000000.0,
            }
            for each in range(start, end)
        ]
        more = {"Truncated": True, "NextMarker": str(end)} if end < self.fleet.grants else {"Truncated": False}
        return {"Grants": grants, **more}

    def _first(self, account: str, region: str) -> int:
        number = number_of(account)
        if not 0 <= number < self.fleet.accounts or self.regions.get(region, 99) >= self.fleet.regions:
            self.shared.wrong[0] += 1
            raise _Refused(403, "UnauthorizedOperation", f"there is no {account}/{region}")
        return (number * self.fleet.regions + self.regions[region]) * self.fleet.instances


def number_of(account: str) -> int:
    return int(account) - FIRST_ACCOUNT


def instance_prefix(account: str, region: str) -> bytes:
    return b"i-0%06x%02x" % (number_of(account), REGIONS.index(region))


def _role(account: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/Responder/it"


def _ec2(action: str, inner: str) -> bytes:
    begins = f"{_XML}<{action}Response {_EC2}>"
    return f"{begins}<requestId>{_REQUEST_ID}</requestId>{inner}</{action}Response>".encode()


def _http(status: int, body: bytes, kind: bytes = b"text/xml") -> bytes:
    return (
        b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nx-amzn-RequestId: %s\r\nContent-Length: %d\r\n\r\n"
        % (status, kind, _REQUEST_ID.encode(), len(body))
    ) + body


def _error(error: _Refused, *, json_protocol: bool) -> bytes:
    if json_protocol:
        text = json.dumps({"__type": error.code, "message": error.message}).encode()
        return _http(error.status, text, b"application/x-amz-json-1.1")
    inner = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
    if error.code in ("NoSuchEntity",):
        return _http(error.status, f"<ErrorResponse>{inner}</ErrorResponse>".encode())
    return _http(
        error.status, f"<Response><Errors>{inner}</Errors><RequestID>{_REQUEST_ID}</RequestID></Response>".encode()
    )


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as SDKs speak it: one request at a time, bodies with a length."""

    def __init__(self, answers: _Answers, latency: float) -> None:
        self._answers, self._latency, self._waiting = answers, latency, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 30)

    def data_received(self, data: bytes) -> None:
        self._waiting = self._waiting + data if self._waiting else data
        while True:
            end = self._waiting.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._waiting[:end]
            length = _LENGTH.search(head)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self._waiting) < stop:
                return
            answer = self._answers.to(head, self._waiting[end + 4 : stop])
            self._waiting = self._waiting[stop:]
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


class _Shared:
    """Memory that all processes of an endpoint see."""

    def __init__(self, fleet: Fleet, processes: int) -> None:
        self.tagged = RawArray("B", max(1, fleet.total))
        self.calls = RawArray("Q", processes * len(ACTIONS))
        self.throttled = RawArray("Q", processes * len(ACTIONS))
        self.wrong = RawArray("Q", 1)
        self.buckets = RawArray("d", 2 * (fleet.accounts + 1) * len(REGIONS) * len(ACTIONS))


def _serve(
    sock: socket.socket, fleet: Fleet, shared: _Shared, process: int, latency: float, throttle: str, tls: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    answers = _Answers(fleet, shared, process, throttle)

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Connection(answers, latency), sock=sock, ssl=context, backlog=1024
        )
        await server.serve_forever()

    asyncio.run(forever())


class Endpoint:
    """The fake AWS, while the ``with`` lasts.

    ``latency`` is added to each answer (seconds). ``throttle`` is none, aws (buckets of AWS's size) or busy (in
    every tenth account they are empty, and a tenth flows in). ``tls`` is (certificate file, key file) for
    localhost.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        latency: float = 0.0,
        throttle: str = "none",
        tls: tuple[str, str] | None = None,
        processes: int = 1,
    ) -> None:
        self.fleet, self._processes, self._tls = fleet, processes, tls
        self._shared = _Shared(fleet, processes)
        context = multiprocessing.get_context("fork")
        sockets = []
        port = 0
        for _ in range(processes):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", port))
            sock.listen(1024)
            port = sock.getsockname()[1]
            sockets.append(sock)
        self.url = f"{'https' if tls else 'http'}://localhost:{port}"
        self._running = [
            context.Process(
                target=_serve, args=(sock, fleet, self._shared, number, latency, throttle, tls), daemon=True
            )
            for number, sock in enumerate(sockets)
        ]
        for each in self._running:
            each.start()
        for sock in sockets:
            sock.close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._running:
            each.terminate()
            each.join()

    def environment(self) -> dict[str, str]:
        """What leads any AWS SDK here, and nowhere else."""
        return {
            "AWS_ACCESS_KEY_ID": "AKIA0000000000000000",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGIONS[0],
            "AWS_DEFAULT_REGION": REGIONS[0],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def cpu_seconds(self) -> float:
        """What the endpoint's own processes have used so far (Linux)."""
        ticks = 0
        for each in self._running:
            with open(f"/proc/{each.pid}/stat") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def any_call(self) -> bool:
        """Whether anybody called since the books were emptied."""
        return any(self._shared.calls)

    def reset(self) -> None:
        """Empties the books, takes off all tags, fills the buckets."""
        for array in (self._shared.tagged, self._shared.calls, self._shared.throttled, self._shared.wrong):
            memoryview(array).cast("B")[:] = bytes(memoryview(array).nbytes)
        buckets = memoryview(self._shared.buckets)
        buckets.cast("B")[:] = bytes(buckets.nbytes)

    def books(self) -> dict[str, Any]:
        """Calls and throttled calls by action; instances tagged exactly once, not at all, more often; strays."""
        once = sum(count == 1 for count in self._shared.tagged[: self.fleet.total])
        never = sum(count == 0 for count in self._shared.tagged[: self.fleet.total])
        return {
            "calls": self._by_action(self._shared.calls),
            "throttled": self._by_action(self._shared.throttled),
            "tagged_once": once,
            "never_tagged": never,
            "tagged_more_often": self.fleet.total - once - never,
            "strays": self._shared.wrong[0],
        }

    def _by_action(self, counts: Any) -> dict[str, int]:
        sums = {
            action: sum(counts[process * len(ACTIONS) + number] for process in range(self._processes))
            for number, action in enumerate(ACTIONS)
        }
        return {action: count for action, count in sums.items() if count}
