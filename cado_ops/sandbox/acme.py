"""The organisation that the sandbox plays, as plain data: accounts, regions, keys and machines.

Everything is made from these constants, so every run shows the same names and ids.
"""

from __future__ import annotations

from dataclasses import dataclass

MANAGEMENT = "111111111111"
PRODUCTION = "222222222222"
STAGING = "333333333333"
RESEARCH = "444444444444"
CLOSED = "555555555555"

ORGANIZATION_ID = "o-acmedemo01"
ROOT_ID = "r-acme"
REGIONS = ("eu-west-1", "us-east-1", "eu-central-1", "ap-southeast-2")
"""What `ec2:DescribeRegions` lists: the regions enabled in every account."""

DENIED_REGION = "ap-southeast-2"
REGION_DENY_POLICY = (
    f"arn:aws:organizations::{MANAGEMENT}:policy/{ORGANIZATION_ID}/service_control_policy/p-regiondeny"
)

OPERATOR_ROLE = "CadoOperator"
EXTERNAL_ROLE = "CadoOperatorExternal"
EXTERNAL_ID = "acme-ir"
RESPONDER_ROLE = "Responder"
RESPONDER_ARN = f"arn:aws:sts::{MANAGEMENT}:assumed-role/{RESPONDER_ROLE}/alice"


@dataclass(frozen=True, slots=True)
class Member:
    """One account. ``unit`` is the name of its organisational unit, ``cado_role`` its acquisition role."""

    account: str
    name: str
    unit: str
    state: str = "ACTIVE"
    cado_role: str = "CadoResponseRole"


MEMBERS = (
    Member(MANAGEMENT, "Acme Security", "Root"),
    Member(PRODUCTION, "Acme Production", "Production"),
    Member(STAGING, "Acme Staging", "Staging", cado_role="StackSet-Cado-CadoResponseRole-1A2B3C"),
    Member(RESEARCH, "Acme Research", "Sandbox"),
    Member(CLOSED, "Acme Old Website", "Closed", state="SUSPENDED"),
)

UNITS = (
    ("Workloads", "ou-acme-workload", "Root"),
    ("Production", "ou-acme-prod0001", "Workloads"),
    ("Staging", "ou-acme-stag0001", "Workloads"),
    ("Sandbox", "ou-acme-sandbox1", "Root"),
    ("Closed", "ou-acme-closed01", "Root"),
)
"""Name, id and parent's name of every organisational unit, parents first."""

KEYS = (
    ("acme-ebs", "Enabled", "CUSTOMER", "Volumes of the servers"),
    ("acme-data", "Enabled", "CUSTOMER", "Volumes of the databases"),
    ("acme-legacy", "Disabled", "CUSTOMER", "Volumes from before the move"),
    ("acme-retired", "PendingDeletion", "CUSTOMER", "Of a project that has ended"),
    ("aws/ebs", "Enabled", "AWS", "Default key that protects my EBS volumes when no other key is defined"),
)
"""Alias, state, manager and description of the keys in every account and region that has machines."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One instance. ``agent`` is its SSM agent (online, lost, none), ``disk`` the alias of its volumes' key
    ("plain" for unencrypted), ``mark`` what `MARKS` or `fleet` make of its tags."""

    account: str
    region: str
    name: str
    instance_type: str
    platform: str
    state: str
    agent: str
    disk: str
    mark: str
    env: str
    team: str


MARKS: dict[str, dict[str, str]] = {
    "-": {},
    "tagged": {"CadoResponseSSMEnabled": "True"},
    "lower": {"CadoResponseSSMEnabled": "true"},
    "upper": {"CadoResponseSSMEnabled": "TRUE"},
    "blank": {"CadoResponseSSMEnabled": "True "},
    "false": {"CadoResponseSSMEnabled": "False"},
    "other-key": {"cadoresponsessmenabled": "True"},
    "both-keys": {"CadoResponseSSMEnabled": "True", "cadoresponsessmenabled": "false"},
    "full": {},  # filled up to 50 tags, ours not among them
    "full-wrong": {"CadoResponseSSMEnabled": "true"},  # filled up to 50 tags, ours among them
}

_FLEET = f"""
{PRODUCTION} eu-west-1    web-01       t3.large    linux   running       online acme-ebs     -          prod    web
{PRODUCTION} eu-west-1    web-02       t3.large    linux   running       online acme-ebs     -          prod    web
{PRODUCTION} eu-west-1    web-03       t3.large    linux   running       online acme-ebs     tagged     prod    web
{PRODUCTION} eu-west-1    web-04       t3.large    linux   running       lost   acme-ebs     lower      prod    web
{PRODUCTION} eu-west-1    api-01       m6i.xlarge  linux   running       online aws/ebs      upper      prod    api
{PRODUCTION} eu-west-1    api-02       m6i.xlarge  linux   running       online aws/ebs      blank      prod    api
{PRODUCTION} eu-west-1    api-03       m6i.xlarge  linux   running       none   aws/ebs      -          prod    api
{PRODUCTION} eu-west-1    db-01        r6i.2xlarge linux   running       online acme-data    -          prod    data
{PRODUCTION} eu-west-1    db-02        r6i.2xlarge linux   running       online acme-data    full       prod    data
{PRODUCTION} eu-west-1    db-03        r6i.2xlarge linux   running       online acme-legacy  full-wrong prod    data
{PRODUCTION} eu-west-1    dc-01        m5.large    windows running       online plain        other-key  prod    it
{PRODUCTION} eu-west-1    dc-02        m5.large    windows running       online plain        both-keys  prod    it
{PRODUCTION} eu-west-1    batch-01     c6i.large   linux   stopped       none   acme-ebs     -          prod    data
{PRODUCTION} eu-west-1    batch-02     c6i.large   linux   stopped       none   acme-ebs     false      prod    data
{PRODUCTION} eu-west-1    old-web-01   t2.micro    linux   terminated    none   plain        -          prod    web
{PRODUCTION} eu-west-1    new-web-05   t3.large    linux   pending       none   acme-ebs     -          prod    web
{PRODUCTION} us-east-1    web-us-01    t3.large    linux   running       online acme-ebs     -          prod    web
{PRODUCTION} us-east-1    web-us-02    t3.large    linux   running       online acme-ebs     tagged     prod    web
{PRODUCTION} us-east-1    api-us-01    m6i.xlarge  linux   running       online aws/ebs      -          prod    api
{PRODUCTION} us-east-1    api-us-02    m6i.xlarge  linux   running       lost   aws/ebs      -          prod    api
{PRODUCTION} us-east-1    db-us-01    r6id.2xlarge linux   running       online acme-data    -          prod    data
{PRODUCTION} us-east-1    files-us-01  m5.large    windows running       online plain        -          prod    it
{PRODUCTION} us-east-1    batch-us-01  c6i.large   linux   stopping      none   acme-ebs     -          prod    data
{PRODUCTION} us-east-1    old-us-01    t2.micro    linux   shutting-down none   plain        -          prod    web
{PRODUCTION} eu-central-1 web-de-01    t3.large    linux   running       online acme-ebs     -          prod    web
{PRODUCTION} eu-central-1 web-de-02    t3.large    linux   running       online acme-ebs     -          prod    web
{PRODUCTION} eu-central-1 db-de-01     r6i.2xlarge linux   running       online acme-data    tagged     prod    data
{PRODUCTION} eu-central-1 erp-de-01    m5.large    windows stopped       none   acme-retired -          prod    it
{STAGING}    eu-west-1    stg-web-01   t3.small    linux   running       online acme-ebs     -          staging web
{STAGING}    eu-west-1    stg-web-02   t3.small    linux   running       online acme-ebs     tagged     staging web
{STAGING}    eu-west-1    stg-api-01   t3.small    linux   running       online aws/ebs      -          staging api
{STAGING}    eu-west-1    stg-api-02   t3.small    linux   running       none   aws/ebs      lower      staging api
{STAGING}    eu-west-1    stg-db-01    t3.medium   linux   running       online acme-data    -          staging data
{STAGING}    eu-west-1    stg-dc-01    t3.medium   windows running       online plain        -          staging it
{STAGING}    eu-west-1    stg-batch-01 t3.small    linux   stopped       none   acme-ebs     -          staging data
{STAGING}    eu-west-1    stg-old-01   t2.micro    linux   terminated    none   plain        tagged     staging web
{STAGING}    us-east-1    stg-us-01    t3.small    linux   running       online acme-ebs     -          staging web
{STAGING}    us-east-1    stg-us-02    t3.small    linux   running       online acme-ebs     -          staging api
{STAGING}    us-east-1    stg-us-03    t3.small    linux   stopped       none   plain        -          staging api
{STAGING}    eu-central-1 dev-01       t3.micro    linux   running       online plain        -          dev     web
{STAGING}    eu-central-1 dev-02       t3.micro    linux   running       online plain        -          dev     api
{STAGING}    eu-central-1 dev-03       t3.micro    linux   running       none   plain        -          dev     data
{MANAGEMENT} eu-west-1    siem-01      m6i.xlarge  linux   running       online acme-ebs     tagged     prod sec
{MANAGEMENT} eu-west-1    siem-02      m6i.xlarge  linux   running       online acme-ebs     -          prod sec
{MANAGEMENT} eu-west-1    bastion-01   t3.micro    linux   running       online aws/ebs      -          prod sec
{MANAGEMENT} eu-west-1    analyst-01   m5.large    windows stopped       none   aws/ebs      -          prod sec
{MANAGEMENT} us-east-1    bastion-us   t3.micro    linux   running       online aws/ebs      -          prod sec
{RESEARCH}   eu-west-1    lab-01       g5.xlarge   linux   running       online plain        -          dev lab
{RESEARCH}   eu-west-1    lab-02       g5.xlarge   linux   running       online plain        -          dev lab
{RESEARCH}   eu-west-1    lab-03       g5.xlarge   linux   stopped       none   acme-ebs     -          dev lab
{RESEARCH}   eu-west-1    notebook-01  m5.large    linux   running       online acme-ebs     tagged     dev lab
{RESEARCH}   eu-west-1    notebook-02  m5.large    windows running       none   plain        -          dev lab
{RESEARCH}   eu-central-1 lab-de-01    g5.xlarge   linux   running       online plain        -          dev lab
{RESEARCH}   eu-central-1 lab-de-02    g5.xlarge   linux   running       online plain        -          dev lab
{CLOSED}     eu-west-1    shop-01      t3.small    linux   stopped       none   plain        -          prod    web
{CLOSED}     eu-west-1    shop-02      t3.small    linux   stopped       none   plain        -          prod    web
"""

# What is special about single machines, by name.
SPOT = frozenset({"web-us-02", "stg-us-02"})
MANAGED = {"api-us-01": "eks.amazonaws.com"}
"""Machines that a service operates, and which."""
HYBRID = frozenset({"dev-03"})
"""Machines whose agent an activation registered, as a node of its own (mi-…)."""
WITHOUT_PROFILE = frozenset({"api-03", "dev-03"})
"""Machines without an instance profile."""
PROFILE = "acme-ssm"
DEFAULT_MANAGEMENT = {
    (STAGING, "eu-central-1"): "service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole",
}
"""Where Default Host Management is on, and its role."""
NAMES_CADO = (MANAGEMENT, "eu-west-1", "acme-ebs")
"""The key whose own policy names Cado's role: account, region, alias."""

MACHINES = tuple(Machine(*line.split()) for line in _FLEET.strip().splitlines())
