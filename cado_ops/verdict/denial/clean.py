"""Pasted text made plain: colours, frames, escapes and odd blanks out; where lines were broken stays visible."""

from __future__ import annotations

import html
import re

# Colours of a terminal (ECMA-48, CSI sequences); titles and links (OSC).
_ANSI = re.compile("\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\\\)")
# Control characters, zero width and bidirectional marks, variation selectors, lone surrogates: no message has any.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})
# Terraform, rich and mail draw a line before each line of a message; rich one behind it, too.
_FRAME = re.compile(r"^[ \t]{0,40}[│┃|╷╵>╎]{1,3}[ \t]?|[│┃]$", re.MULTILINE)
_ESCAPED_QUOTE = re.compile(r"\\{1,16}([\"'/])")
_ESCAPED_BLANK = re.compile(r"\\{1,16}[nrt](?![A-Za-z]{0,40}\\)")
_ESCAPED_CODE = re.compile(r"\\{1,16}(?:u00|x)([0-7][0-9a-fA-F])")
_GAP = re.compile(r"[ \t]{0,400}\n[ \t\n]{0,400}|[ \t]{2,400}|\t")


def visible(text: str) -> str:
    """The text without what nobody sees, and with line ends of one kind."""
    text = _ANSI.sub("", text)
    text = _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))
    return _BLANKS.sub(" ", text).translate(_QUOTES)


def unescaped(text: str) -> str:
    """What stood in a JSON string, a repr or an XML answer, as it was before."""
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPED_CODE.sub(lambda match: chr(int(match[1], 16)), text)
        text = _ESCAPED_QUOTE.sub(r"\1", _ESCAPED_BLANK.sub("\n", text))
    return visible(text)


def flowing(text: str) -> str:
    """One blank between words; a line end where a line was broken, so that a name cut in two can be joined."""
    return _GAP.sub(lambda match: "\n" if "\n" in match[0] else " ", _FRAME.sub("", text)).strip()


def unbroken(text: str) -> str | None:
    """The text with the breaks of a terminal taken out: its lines are all as long as the longest, but for the last.

    None where it does not look like that.
    """
    lines = _FRAME.sub("", text).split("\n")
    longest = max(map(len, lines))
    full = [len(line) == longest for line in lines]
    if longest < 40 or not any(full[:-1]):
        return None
    pieces = []
    for line, cut in zip(lines, full, strict=True):
        pieces.append(line if cut else line + "\n")
    return flowing("".join(pieces))
