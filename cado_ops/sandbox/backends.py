"""moto's state, reached by service, account and region. The only door to it, and untyped on purpose.

moto's classes carry types that its own code does not keep to; the sandbox reads and writes them as they are.
"""

from __future__ import annotations

import os
from typing import Any

# moto would load 1,300 public images into every account and region, which takes a second or two.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.organizations.models import organizations_backends
from moto.ssm.models import ssm_backends
from moto.sts.models import sts_backends

BACKENDS: dict[str, Any] = {
    "ec2": ec2_backends,
    "iam": iam_backends,
    "kms": kms_backends,
    "organizations": organizations_backends,
    "ssm": ssm_backends,
    "sts": sts_backends,
}


def backend(service: str, account: str | None, region: str = "aws") -> Any:
    """One backend; ``region`` stays "aws" for services without regions."""
    return BACKENDS[service][account][region]
