"""Patterns compared with patterns, against all short texts."""

from __future__ import annotations

import itertools
import re

import pytest

from cado_ops.policy.patterns import covers, fits, meets, overlap

TEXTS = ["".join(each) for length in range(6) for each in itertools.product("ab", repeat=length)]
PATTERNS = ["".join(each) for length in range(4) for each in itertools.product("ab*?", repeat=length)]


def meant(pattern: str) -> frozenset[str]:
    made = re.compile("".join({"*": ".*", "?": "."}.get(each, each) for each in pattern))
    return frozenset(text for text in TEXTS if made.fullmatch(text))


MEANT = {pattern: meant(pattern) for pattern in PATTERNS}


def test_fits() -> None:
    for pattern in PATTERNS:
        assert {text for text in TEXTS if fits(text, pattern)} == MEANT[pattern]


def test_overlap_is_exact() -> None:
    for one, other in itertools.product(PATTERNS, repeat=2):
        assert overlap(one, other) == bool(MEANT[one] & MEANT[other]), (one, other)


def test_covers_never_says_yes_wrongly() -> None:
    yes = 0
    for wide, narrow in itertools.product(PATTERNS, repeat=2):
        if covers(wide, narrow):
            yes += 1
            assert MEANT[narrow] <= MEANT[wide], (wide, narrow)
    assert yes > 1000
    assert covers("*", "a*b?")
    assert not covers("a*", "*")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        ("arn:aws:*", True),
        ("arn:aws:ec2:*", True),
        ("arn:aws:ec2:*:*:instance/*", True),
        ("arn:aws:ec2:eu-west-1:111111111111:instance/i-0", True),
        ("arn:aws:ec2:*:*:*", True),
        ("arn:aws:*:*:*:*", True),
        ("arn:aws:ec2:*:*:snapshot/*", False),
        ("arn:aws-cn:ec2:*:*:instance/*", False),
        # No part of an instance's ARN has a colon, so that * cannot stand for one here.
        ("arn:aws:ssm:*::document/AWS-RunShellScript", False),
        ("arn:aws:ec2:*:*:instance/*:more", False),
    ],
)
def test_meets_a_kind_of_arn(pattern: str, expected: bool) -> None:
    assert meets(pattern, "arn:aws:ec2:*:*:instance/*") is expected
