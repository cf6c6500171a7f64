"""Command lines that differ only in an id, put together; findings that do, told once."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest

from cado_ops.render.fixes import joined, verb, without_ids
from cado_ops.render.screen import Screen
from cado_ops.render.summary import show_remarks

HERE = "--account 222222222222 --region eu-west-1 --case IR-42"
THERE = "--account 222222222222 --region us-east-1 --case IR-42"
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEPT = """--block-device-mappings '[{"DeviceName":"/dev/xvda"}]' --region eu-west-1"""


@pytest.mark.parametrize(
    ("lines", "together"),
    [
        ([], []),
        ([f"cado-ops tag-instances i-0a {HERE}"], [f"cado-ops tag-instances i-0a {HERE}"]),
        (
            [f"cado-ops tag-instances i-0a {HERE}", f"cado-ops tag-instances i-0b {HERE}"],
            [f"cado-ops tag-instances i-0a i-0b {HERE}"],
        ),
        (
            # Another region, and a value that was set on purpose, are commands of their own.
            [
                f"cado-ops tag-instances i-0a {HERE}",
                f"cado-ops tag-instances i-0b {THERE}",
                f"cado-ops tag-instances i-0c --overwrite {HERE}",
                f"cado-ops tag-instances i-0d {HERE}",
                f"cado-ops tag-instances i-0a {HERE}",
            ],
            [
                f"cado-ops tag-instances i-0a i-0d {HERE}",
                f"cado-ops tag-instances i-0b {THERE}",
                f"cado-ops tag-instances i-0c --overwrite {HERE}",
            ],
        ),
        (
            [f"cado-ops kms grant --volume-id vol-0a {HERE}", f"cado-ops kms grant --volume-id vol-0b {HERE}"],
            [f"cado-ops kms grant --volume-id vol-0a --volume-id vol-0b {HERE}"],
        ),
        (
            [f"aws autoscaling x --name 'a b' --instance-ids {each} --yes" for each in ("i-0a", "i-0b")],
            ["aws autoscaling x --name 'a b' --instance-ids i-0a i-0b --yes"],
        ),
        (
            [f"aws ec2 modify-instance-attribute --instance-id {each} {KEPT}" for each in ("i-0a", "i-0b")],
            [f'for id in i-0a i-0b; do aws ec2 modify-instance-attribute --instance-id "$id" {KEPT}; done'],
        ),
        # Two ids, none, or no command line at all: nothing is put together, and nothing is said twice.
        (["cado-ops x i-0a i-0b", "cado-ops x i-0a i-0c"], ["cado-ops x i-0a i-0b", "cado-ops x i-0a i-0c"]),
        (["aws kms enable-key", "aws kms enable-key"], ["aws kms enable-key"]),
        (["it's i-0a", "it's i-0b"], ["it's i-0a", "it's i-0b"]),
        (
            # Quotes that only a shell understands stay as they are.
            [f"aws ec2 x --resources {each} --tags $'a\\012b'" for each in ("i-0a", "i-0b")],
            [f"aws ec2 x --resources {each} --tags $'a\\012b'" for each in ("i-0a", "i-0b")],
        ),
    ],
)  # fmt: skip
def test_joined(lines: list[str], together: list[str]) -> None:
    assert joined(lines) == together


def test_no_more_at_once_than_auto_scaling_takes() -> None:
    lines = joined(f"aws autoscaling x --instance-ids i-{each:017x}" for each in range(120))
    assert [line.count("i-0") for line in lines] == [50, 50, 20]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("vol-0a (20 GiB): not encrypted", "not encrypted"),
        (f"vol-0a (20 GiB): encrypted with key {KEY}: no", "encrypted with key …: no"),
        (f"key mrk-{'0a' * 16} has 49000 grants", "key … has 49000 grants"),
        ("ends with the instance: vol-0123456789abcdef0 (/dev/xvda)", "ends with the instance: … (/dev/xvda)"),
        ("the auto scaling group acme-web may end it", "the auto scaling group acme-web may end it"),
    ],
)
def test_without_ids(text: str, same: str) -> None:
    assert without_ids(text) == same


def test_verb() -> None:
    assert verb(f"cado-ops kms grant --volume-id vol-0a {HERE}") == "cado-ops kms grant --volume-id"
    assert verb("cado-ops policy tighten --role x") is None


def item(instance: str, *findings: Mapping[str, Any], account: str = "222222222222") -> dict[str, Any]:
    return {
        "account": account, "region": "eu-west-1", "instance_id": instance,
        "routes": {"triage": "blocked", "disk": "blocked"}, "findings": list(findings),
    }  # fmt: skip


def finding(check: str, detail: str, fix: str | None, status: str = "block") -> dict[str, Any]:
    return {"check": check, "status": status, "detail": detail, "fix": fix}


def told(*items: dict[str, Any]) -> list[str]:
    stream = StringIO()
    show_remarks(Screen(stream, {}), items)
    return stream.getvalue().strip("\n").split("\n")


def volume(name: str) -> dict[str, Any]:
    line = f"cado-ops kms grant --volume-id {name} {HERE}"
    return finding("volume", f"{name} (20 GiB): encrypted with key {KEY}: no grant", line)


def test_volumes_of_many_instances_are_one_finding_and_one_command() -> None:
    assert told(item("i-0a", volume("vol-0a"), volume("vol-0b")), item("i-0b", volume("vol-0c"))) == [
        "block volume: encrypted with key …: no grant",
        "  222222222222 eu-west-1 i-0a, i-0b",
        f"  fix: cado-ops kms grant --volume-id vol-0a --volume-id vol-0b --volume-id vol-0c {HERE}",
    ]


def test_one_alone_is_told_with_its_ids() -> None:
    assert (
        told(item("i-0a", volume("vol-0a")))[0]
        == f"block volume: vol-0a (20 GiB): encrypted with key {KEY}: no grant"
    )


def test_what_the_same_command_mends_stands_together() -> None:
    items = [
        item("i-0a", finding("tag", "it is 'true'", f"cado-ops tag-instances i-0a {HERE}")),
        item("i-0b", finding("tag", "it is full", None)),
        item("i-0c", finding("tag", "it is not there", f"cado-ops tag-instances i-0c {HERE}")),
    ]
    assert told(*items) == [
        "block tag: it is 'true'",
        "  222222222222 eu-west-1 i-0a",
        "block tag: it is not there",
        "  222222222222 eu-west-1 i-0c",
        f"  fix: cado-ops tag-instances i-0a i-0c {HERE}",
        "block tag: it is full",
        "  222222222222 eu-west-1 i-0b",
    ]


def test_the_aws_cli_works_in_one_account_at_a_time_and_is_told_which() -> None:
    line = "aws autoscaling set-instance-protection --instance-ids {}"
    warn = [
        item(each, finding("auto-scaling", "it may end it", line.format(each), "warn"), account=account)
        for each, account in (("i-0a", "111111111111"), ("i-0b", "222222222222"), ("i-0c", "222222222222"))
    ]
    assert told(*warn)[-2:] == [
        f"  fix in 111111111111: {line.format('i-0a')}",
        f"  fix in 222222222222: {line.format('i-0b i-0c')}",
    ]


def test_commands_are_for_all_even_where_not_all_are_listed() -> None:
    names = [f"i-{number:02x}" for number in range(40)]
    lines = told(*(item(each, finding("tag", "no", f"cado-ops tag-instances {each} {HERE}")) for each in names))
    assert lines[-2] == f"  fix: cado-ops tag-instances {' '.join(names)} {HERE}"
    assert lines[-1] == "  … and 15 more: -o json shows all"
