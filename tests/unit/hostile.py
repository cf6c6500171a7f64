"""Hostile input: strategies for text and bytes that no honest program writes, and for damage to what one does.

Damage to JSON goes beyond what Python can hold: a name that stands twice, NaN, a number of thousands of digits,
brackets a hundred thousand deep. Such a piece has a mark in the data, and `as_json` writes it out.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from hypothesis import strategies as st

_WRITTEN = {
    "huge integer": "9" * 5_000,
    "long integer": "9" * 4_000,
    "nan": "NaN",
    "infinity": "-Infinity",
    "large float": "1e999",
    "deep": "[" * 150 + "]" * 150,
    "as deep as can be read": "[" * 900 + "]" * 900,
    "deeper": "[" * 100_000,
    "deep objects": '{"a":' * 500 + "1" + "}" * 500,
}
_MARK, _TWICE = "\ue000", "\ue001"

STRINGS = [
    *("", " ", "\0", "\n", "\r\n", "\x1b[31m", "\u2028", "\u202e", "\ufeff", "\ud800", "\udfff\ud800", "é"),
    *("e\u0301", "٣", "*", "?", "=", ",", "-", "%", "${a}", "{}", "null", "i-0123456789abcdef0", "1" * 12),
    *("arn:aws:iam::111111111111:role/R", "eu-west-1", "2026-02-31T00:00:00Z", "0000-01-01T00:00:00Z", "*a" * 30),
    "a" * 5_000,
]  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**64), 10**40, 0.0, -0.0, 1.5, 1e308])
    | st.sampled_from(STRINGS)
    | st.text(st.characters(codec=None, categories=None), max_size=8)
    | st.sampled_from([_MARK + name for name in _WRITTEN])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(STRINGS[:20]), inner, max_size=3),
    max_leaves=5,
)


def as_json(document: Any, **how: Any) -> str:
    """The document as JSON, with what only text can say."""
    text = json.dumps(document, **how).replace("\\ue001", "")
    return re.sub(r'"\\ue000([a-z ]+)"', lambda match: _WRITTEN[match[1]], text)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside this one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, each in inner for way in [(*path, key), *places(each, (*path, key))]]


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """A document with one to three pieces dropped, replaced, doubled, moved or renamed."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        ways = places(document)
        if not ways:
            return draw(VALUES)
        *above, key = draw(st.sampled_from(ways))
        inside = at(document, tuple(above))
        match draw(st.sampled_from(["replace", "replace", "drop", "double", "move", "rename", "wrap"])):
            case "replace":
                inside[key] = draw(VALUES)
            case "drop":
                del inside[key]
            case "double" if isinstance(inside, list):
                inside.insert(key, copy.deepcopy(inside[key]))
            case "double":
                inside[key + _TWICE] = draw(VALUES)
            case "move":
                inside[key] = copy.deepcopy(at(document, draw(st.sampled_from(ways))))
            case "wrap":
                inner = inside[key]
                inside[key] = draw(st.sampled_from([[inner], {"Ref": inner}, {"Fn::If": ["A", inner, inner]}]))
            case _ if isinstance(inside, dict):
                inside[draw(st.sampled_from(STRINGS))] = inside.pop(key)
    return document


_PIECES = [
    *(each.encode("utf-8", "surrogatepass") for each in STRINGS),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\0" * 40, b" " * 3_000),
    *(b'"', b"'", b"[", b"]", b"{", b"}", b"[" * 2_000, b"{" * 2_000, b"(", b"- ", b"? ", b": ", b"&a ", b"*a "),
    *(b"#", b"\\", b"\\u", b"\\ud800", b"\\U00110000", b"=", b",", b".", b"a." * 300, b"9" * 5_000, b"!!int "),
    *(b"0x" + b"f" * 5_000, b"1" + b":1" * 3_000, b"NaN", b"<<", b"%", b"|", b">", b"---\n", b"...\n", b"@", b"`"),
    *(b"~", b"1e999", b"\x85", b"\t" * 99, b"*a" * 30, b"${" * 30),
]  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with one to four pieces cut out, put in, doubled or moved."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        head, middle, tail = content[:start], content[start:end], content[end:]
        match draw(st.integers(0, 3)):
            case 0:
                content = head + tail
            case 1:
                content = head + draw(st.sampled_from(_PIECES)) + tail
            case 2:
                content = head + middle + middle + tail
            case _:
                content = head + tail[: len(tail) // 2] + middle + tail[len(tail) // 2 :]
    return content


def anything(alphabet: str) -> st.SearchStrategy[bytes]:
    """Any bytes, any text, and text of the characters that a reader looks for."""
    return (
        st.binary(max_size=80)
        | st.text(st.characters(codec=None, categories=None), max_size=60).map(_encoded)
        | st.text(st.sampled_from(alphabet), max_size=80).map(_encoded)
        | st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join)
    )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
