"""Foreign text made visible: on one line, in its own order, with nothing in it that nobody sees. Pure."""

from __future__ import annotations

import re
import unicodedata

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Python calls these printable, and they are blank, or change the sign before them: joiners and fillers without a
# glyph, variation selectors (Default_Ignorable_Code_Point, Unicode's DerivedCoreProperties.txt), signs that are
# drawn as nothing, and the skin tones, which some terminals join to the sign before and others do not.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00013441\U00013442\U0001d159"
    "\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef]"
)
# No script writes more marks on one letter; more of them run over the lines above and below.
_MARKS = 4
_BEYOND_ASCII = re.compile("[^\n -~]+")


def is_seen(text: str) -> bool:
    """Whether all of it is printable: no control, line end, odd blank, mark of direction or half of a character."""
    return text.isprintable() and (text.isascii() or not _UNSEEN.search(text))


def sanitize(text: str) -> str:
    """``text`` on one line: what could break a table, a log or a terminal, or hide, is made visible (``\\x1b``)."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = _MARKS  # so many stand on the last letter; at the beginning there is none that could carry one
    for char in text:
        if " " < char <= "~":
            marks = 0
        elif not is_seen(char):
            char, marks = escape(char), _MARKS
        elif char == " ":
            marks = _MARKS
        elif unicodedata.category(char)[0] != "M":
            marks = 0
        elif marks < _MARKS:
            marks += 1
        else:
            char = escape(char)
        shown.append(char)
    return "".join(shown)


def escape(char: str, *, short: bool = True) -> str:
    """One character as Python writes it; without ``short``, by ``\\u`` and ``\\U`` alone."""
    code = ord(char)
    if short and code < 0x100:
        return _NAMED.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_json(document: str) -> str:
    """A JSON document with those characters escaped that nobody sees and json leaves; it means the same."""
    if document.isascii() and "\x7f" not in document:
        return document  # as nearly all are; known without reading it
    return _BEYOND_ASCII.sub(lambda run: run[0] if is_seen(run[0]) else "".join(map(_in_json, run[0])), document)


def _in_json(char: str) -> str:
    if is_seen(char):
        return char
    halves = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2))
