"""Signatures: AWS's own example, and whatever botocore signs."""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as some

from cado_ops.aws.sigv4 import Scope, authorization

words = some.text(alphabet=some.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(
    body=some.binary(max_size=40),
    secret=words,
    region=some.sampled_from(["eu-west-1", "us-gov-west-1", "cn-north-1"]),
    service=some.sampled_from(["ec2", "kms", "sts"]),
    token=some.none() | words,
    target=some.none() | words,
    year=some.integers(2000, 2100),
)
def test_as_botocore_signs(
    body: bytes, secret: str, region: str, service: str, token: str | None, target: str | None, year: int
):
    moment = f"{year}1129T182339Z"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": f"{service}.{region}.example:8443",
        "x-amz-date": moment,
        **({"x-amz-security-token": token} if token else {}),
        **({"x-amz-target": target} if target else {}),
    }
    signer = SigV4Auth(Credentials("AKIA", secret, token), service, region)
    request = AWSRequest("POST", f"https://{service}.{region}.example:8443/", headers, body)
    request.context["timestamp"] = moment
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    mine = authorization(
        Scope(region, service), moment, "AKIA", secret,
        method="POST", path="/", headers=list(headers.items()), body=body,
    )  # fmt: skip
    assert mine == request.headers["Authorization"]


def test_the_example_of_the_signature_test_suite():
    """post-x-www-form-urlencoded of AWS's "Signature Version 4 test suite"."""
    headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", "example.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
    ]
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    said = authorization(
        Scope("us-east-1", "service"), "20150830T123600Z", "AKIDEXAMPLE", secret,
        method="POST", path="/", headers=headers, body=b"Param1=value1",
    )  # fmt: skip
    assert said == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )
