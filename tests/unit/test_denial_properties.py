"""Any text gives items; what a denial is put together from, reading it gives back."""

from __future__ import annotations

import io
import json
import shlex
import textwrap
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cado_ops.arns import parse_account_id, parse_disk, parse_instance, parse_key, parse_region
from cado_ops.cli.app import main
from cado_ops.cli.world import World
from cado_ops.model import Kind
from cado_ops.verdict.denial import explain, read

NAMES = ("kind", "action", "resource", "principal", "denied_by", "explicit", "policy_arn", "cause", "fix")
TYPES = {
    "identity-policy": "identity-based policy",
    "resource-policy": "resource-based policy",
    "session-policy": "session policy",
    "permissions-boundary": "permissions boundary",
    "scp": "service control policy",
    "rcp": "resource control policy",
    "vpc-endpoint-policy": "VPC endpoint policy",
    "trust-policy": "role trust policy",
}
# What AWS's messages are made of, so that chance comes near to them.
FRAGMENTS = (
    "User: ", "arn:aws:iam::111111111111:user/x",
    " is not authorized to perform: ", "ssm:SendCommand", "kms:Decrypt",
    " on resource: ",
    "arn:aws:ec2:eu-west-1:111111111111:instance/i-0123456789abcdef0", " because no ",
    "identity-based policy", " allows the ", " with an explicit deny in a ", "service control policy",
    ": ", '"', "\\",
    "\n", "{", "}", "[", "]",
    '"errorCode": ', '"errorMessage": ',
    "An error occurred (AccessDenied) when calling the ",
    " operation: ", "Encoded authorization failure message: ", "Instances [[",
    "]] not in a valid state for account ",
    "StatusDetails: ", "Failed", "i-", "; rm -rf ~", "$(id)", "`id`", "\x1b[31m", "\u202e", "'", "\ud800", ",",
)  # fmt: skip

digits = st.integers(0, 9)
account = digits.map(lambda digit: str(digit) * 12)
region = st.sampled_from(("eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-2", "eusc-de-east-1"))
partition = st.sampled_from(("aws", "aws-us-gov", "aws-cn"))
name = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789_+=,.@-", min_size=1, max_size=40)
session = st.builds("arn:{}:sts::{}:assumed-role/{}/{}".format, partition, account, name, name)
user = st.builds("arn:{}:iam::{}:user/{}".format, partition, account, name)
action = st.builds(
    "{}:{}".format,
    st.sampled_from(("ssm", "kms", "ec2", "ebs", "sts", "s3", "elasticloadbalancing", "SNS", "execute-api")),
    st.from_regex(r"[A-Z][A-Za-z0-9]{1,40}", fullmatch=True),
)
instance = st.builds(
    "arn:{}:ec2:{}:{}:instance/i-{:017x}".format, partition, region, account, st.integers(0, 16**17 - 1)
)
document = st.builds("arn:{}:ssm:{}::document/{}".format, partition, region, name)
key = st.builds("arn:{}:kms:{}:{}:key/{}".format, partition, region, account, st.uuids().map(str))
other = st.builds("arn:{}:sqs:{}:{}:{}".format, partition, region, account, name)
resource = st.one_of(
    instance, document, key, other, st.just("*"), st.none(),
    st.builds("{} {}".format, st.sampled_from(("role", "user", "policy")), name.map(lambda text: f"x{text}x")),
)  # fmt: skip
policy = st.one_of(
    st.none(),
    st.builds("arn:aws:iam::{}:policy/{}".format, account, name.map(lambda text: f"{text}x")),
    st.builds(
        "arn:aws:organizations::{}:policy/o-abc/service_control_policy/p-{}".format, account, st.just("a1b2c3")
    ),
)


@st.composite
def denials(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A denial as AWS words it, and its parts."""
    principal = draw(st.one_of(session, user))
    # What ends a sentence is not part of a name that ends it.
    principal = principal.rstrip(".,") + "x"
    told = {
        "principal": principal,
        "action": draw(action),
        "resource": draw(resource),
        "denied_by": "unknown",
        "explicit": None,
        "policy_arn": None,
    }
    if told["resource"] is not None:
        told["resource"] = told["resource"] if told["resource"] == "*" else told["resource"].rstrip(".,;=") + "x"
        if ":instance/" in told["resource"]:
            told["resource"] = told["resource"][:-1]
    text = f"User: {told['principal']} is not authorized to perform: {told['action']}"
    if told["resource"] is not None:
        quote = '"' if draw(st.booleans()) else ""
        text += f" on resource: {quote}{told['resource']}{quote}"
    how = draw(st.sampled_from(("plain", "implicit", "explicit")))
    if how != "plain":
        told["denied_by"] = draw(st.sampled_from(sorted(TYPES)))
        words = TYPES[told["denied_by"]]
        told["explicit"] = how == "explicit"
        if how == "implicit":
            text += f" because no {words} allows the {told['action']} action"
        else:
            text += f" with an explicit deny in {'an' if words[0] == 'i' else 'a'} {words}"
            told["policy_arn"] = draw(policy)
            if told["policy_arn"]:
                text += draw(st.sampled_from((": ", ", with policy ARN: "))) + told["policy_arn"]
    return text + draw(st.sampled_from(("", "."))), told


def only(text: str) -> dict[str, Any]:
    [found] = explain(read(text))
    return found.as_item()


@given(denials())
def test_reading_gives_the_parts_back(denial: tuple[str, dict[str, Any]]):
    text, told = denial
    item = only(text)
    assert {name: item[name] for name in told} == told


WRAPPERS = (
    lambda text: f"An error occurred (AccessDeniedException) when calling the SomeThing operation: {text}",
    lambda text: f"2026-11-23T17:45:01Z ERROR [x] failed: {text}",
    lambda text: json.dumps({"level": "error", "message": text}),
    lambda text: json.dumps({"log": json.dumps({"message": text})}),
    lambda text: json.dumps({"errorCode": "AccessDenied", "errorMessage": text}),
    lambda text: f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>",
    lambda text: textwrap.fill(text, 60, break_long_words=False, break_on_hyphens=False),
    lambda text: text.replace(" ", "\n    "),
    lambda text: f"\x1b[31m{text}\x1b[0m",
)


@given(denials(), st.sampled_from(WRAPPERS), st.sampled_from(WRAPPERS))
def test_whatever_they_are_wrapped_in(denial: tuple[str, dict[str, Any]], inner: Any, outer: Any):
    text, told = denial
    item = only(outer(inner(text)))
    assert {name: item[name] for name in told} == told


@given(st.lists(denials(), min_size=2, max_size=5))
def test_several_stay_several(several: list[tuple[str, dict[str, Any]]]):
    found = [told.action for told in read("\n".join(text for text, _ in several))]
    assert found == [told["action"] for _, told in several]


anything = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=5)), max_size=25).map("".join),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(FRAGMENTS)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(("errorCode", "errorMessage", "Error", "Code", "Message", "context", "explicitDeny",
                                 "StatusDetails", "resources", "eventSource", "eventName", "userIdentity", "items",
                                 "requestParameters", "instanceIds", "matchedStatements", "principal", "event")),
                inner, max_size=5,
            ),
        ),
        max_leaves=20,
    ).map(json.dumps),
)  # fmt: skip


@given(anything)
def test_any_text_gives_items(text: str):
    items = [each.as_item() for each in explain(read(text))]
    assert items
    for item in items:
        assert tuple(item) == NAMES
        assert isinstance(item["kind"], str)
        assert item["cause"]
        assert item["denied_by"] in {*TYPES, "unknown"}
        assert item["explicit"] in (True, False, None)
        assert (item["fix"] is None) or item["kind"] != "unknown"


@given(anything)
def test_fixes_are_whole_and_hold_nothing_but_names_of_aws(text: str):
    for each in explain(read(text), "IR-42"):
        if each.fix is None:
            continue
        words = shlex.split(each.fix)
        assert shlex.join(words) == each.fix
        if words[0] == "cado-ops":
            _check(words[1:])
        else:
            assert words[0] == "aws"


def _check(words: list[str]) -> None:
    if words[0] == "tag-instances":
        parse_instance(words[1], "")
        rest = words[2:]
    else:
        assert words[:2] == ["kms", "grant"]
        rest = words[2:]
    checks = {
        "--account": parse_account_id, "--region": parse_region, "--key": parse_key,
        "--instance-id": parse_instance,
        "--volume-id": lambda value, where: parse_disk(value, Kind.VOLUME, where),
        "--snapshot-id": lambda value, where: parse_disk(value, Kind.SNAPSHOT, where),
    }  # fmt: skip
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        if option in checks:
            checks[option](value, "")
        else:
            assert (option, value) == ("--case", "IR-42") or option == "--grantee"


@given(anything, st.sampled_from(("json", "ndjson", "table", "csv")))
def test_the_command_never_breaks(text: str, output: str):
    out, err = io.StringIO(), io.StringIO()
    world = World(stdin=io.StringIO(text), stdout=out, stderr=err, environ={})
    code = main(["explain", "--offline", "-o", output], world)
    assert code in ((2,) if not text.strip() else (0, 3))
    assert "Traceback" not in err.getvalue()
    assert "fault in cado-ops" not in err.getvalue()
    shown = out.getvalue() + err.getvalue()
    assert not any(char in shown for char in "\x1b\u202e\u2066\x00\r\x9b")
    if output == "json" and code != 2:
        assert len(json.loads(out.getvalue())["items"]) > 0
