"""Values that a template's deployment or a request fills in, as patterns: the widest they can be, the narrowest.

"Intrinsic function reference", CloudFormation User Guide; "IAM policy elements: Variables and tags", IAM.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from cado_ops.policy.document import Intrinsic, Value, Values, is_if, is_intrinsic

# A variable that stands in the partition's place can be nothing else: IAM refuses ARNs of another partition.
_PARTITION = re.compile(r"^arn:\$\{[^}]*\}:")
NO_VALUE = Intrinsic.of({"Ref": "AWS::NoValue"})


def widest(value: Value, partition: str) -> str:
    """A value as a pattern that means at least what it can: what a template or a variable fills in is ``*``."""
    text = text_of(value)
    return "*" if text is None else _widened(_PARTITION.sub(f"arn:{partition}:", text))


def _widened(text: str) -> str:
    """``*`` for each ``${…}``. Without a regular expression: of many that never end, each would look for one."""
    made, end = [], 0
    while (start := text.find("${", end)) >= 0 and (close := text.find("}", start)) >= 0:
        made += [text[end:start], "*"]
        end = close + 1
    return "".join((*made, text[end:]))


def narrowest(value: Value, partition: str) -> str | None:
    """A value as a pattern that means no more than what it surely means; None where that is not known."""
    text = text_of(value)
    if text is None:
        return None
    text = _PARTITION.sub(f"arn:{partition}:", text)
    return None if "${" in text else text


def options(values: Values | None) -> Iterator[Value]:
    """What values may be once a template is deployed: of a Fn::If, both branches."""
    for value in values or ():
        if isinstance(value, Intrinsic):
            yield from _of_if(value)
        else:
            yield value


@functools.lru_cache(maxsize=4096)
def _of_if(value: Intrinsic) -> tuple[Value, ...]:
    data = value.data
    if not is_if(data):
        return (value,)
    found: list[Value] = []
    for branch in data["Fn::If"][1:]:
        for each in branch if isinstance(branch, list) else [branch]:
            if not isinstance(each, str) and not is_intrinsic(each):
                return (value,)
            made = each if isinstance(each, str) else Intrinsic.of(each)
            found += options(Values((made,))) if made != NO_VALUE else ()
    return tuple(found)


def text_of(value: Value) -> str | None:
    """A text with ``${…}`` for what only the deployment, or the request, knows; None where nothing is known."""
    return _sub_text(value) if isinstance(value, Intrinsic) else value


@functools.lru_cache(maxsize=4096)
def _sub_text(value: Intrinsic) -> str | None:
    """What a function makes, with ``${…}`` for what only the deployment knows; None where nothing is known.

    Fn::Sub; Fn::Join of texts and Refs ("Intrinsic function reference", CloudFormation User Guide).
    """
    data = value.data
    if not is_intrinsic(data):
        return None  # what stands in a string's place and is none: it may mean anything
    [(name, given)] = data.items()
    match name, given:
        case "Fn::Sub", str():
            return given
        case "Fn::Join", [str() as between, [*pieces]]:
            texts = [each if isinstance(each, str) else _reference(each) for each in pieces]
            return None if None in texts else between.join(map(str, texts))
    return None


def _reference(data: Any) -> str | None:
    if isinstance(data, dict) and is_intrinsic(data):
        [(name, given)] = data.items()
        if isinstance(given, str) and name in ("Ref", "Fn::Sub"):
            return f"${{{given}}}" if name == "Ref" else given
    return None
