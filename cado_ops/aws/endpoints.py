"""Where calls go, if not to AWS itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit


def foreign_endpoint(session: Any, endpoint_of: Callable[[str], str]) -> str | None:
    """The endpoints of this botocore session that are not AWS's, without passwords; None where all are.

    ``endpoint_of`` gives a service's, by making a client, which takes a while: so only STS is asked, and each
    service of which environment or profile say something of its own. The others go where STS goes.
    """
    suffixes = _aws_suffixes(session)
    foreign: list[str] = []
    for service in ("sts", *filter(lambda each: _has_own_endpoint(session, each), ("ec2", "kms", "iam"))):
        url = endpoint_of(service)
        host = urlsplit(url).hostname or ""
        if not any(host == suffix or host.endswith("." + suffix) for suffix in suffixes):
            foreign.append(_without_password(url))
    return ", ".join(dict.fromkeys(foreign)) or None


def _has_own_endpoint(session: Any, service: str) -> bool:
    """Whether environment or profile name one ("Service-specific endpoints", AWS SDKs and Tools guide)."""
    section = session.full_config.get("services", {}).get(session.get_scoped_config().get("services"), {})
    # One of STS's own leaves the others where the rest goes.
    own = [f"AWS_ENDPOINT_URL_{each.upper()}" in os.environ or each in section for each in (service, "sts")]
    return any(own)


def _aws_suffixes(session: Any) -> list[str]:
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    outputs = [partition["outputs"] for partition in partitions]
    return [out[key] for out in outputs for key in ("dnsSuffix", "dualStackDnsSuffix")]


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
