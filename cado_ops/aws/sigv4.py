"""AWS's Signature Version 4 of a request that has no query ("Create a signed AWS API request", IAM User Guide).

botocore signs all requests but those that `aws.repeat` copies from one of botocore's; and only where what is
computed here was the same for that one.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for: a service, as it is named in signatures ("ec2"), in a region."""

    region: str
    service: str


def authorization(
    scope: Scope,
    moment: str,
    access_key: str,
    secret_key: str,
    *,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> str:
    """The header ``Authorization``.

    ``moment`` is the value of X-Amz-Date ("20261129T182339Z"), ``path`` the URL's, quoted as AWS wants it.
    ``headers`` are those that are signed: names in lower case and in their order, values without superfluous white
    space.
    """
    names = ";".join([name for name, _ in headers])
    lines = "".join([f"{name}:{value}\n" for name, value in headers])
    request = f"{method}\n{path}\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    where = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = f"{ALGORITHM}\n{moment}\n{where}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in (*where.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{ALGORITHM} Credential={access_key}/{where}, SignedHeaders={names}, Signature={key.hex()}"
