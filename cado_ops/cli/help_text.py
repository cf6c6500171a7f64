"""Help as plain text: sections with two columns. Neither typer nor rich is needed, which would take longer to load
than all the rest of ``--help``.
"""

from __future__ import annotations

import os
import sys
import textwrap

WIDEST = 100
_GAP = 2
# Longer entries of the left column stand in a line of their own.
_LEFT = 32

Section = tuple[str, list[tuple[str, str]]]


def help_text(usage: str, about: str, sections: list[Section], *, width: int, bold: bool = False) -> str:
    """``about`` is text with paragraphs; one that begins with "Example:" stays in one line, to be pasted.

    Each section is a title and its entries: a name (an option, a command) and what it means.
    """
    blocks = [f"Usage: {usage}", *(_paragraph(each, width) for each in about.split("\n\n") if each.strip())]
    left = max((len(name) for _, entries in sections for name, _ in entries if len(name) <= _LEFT), default=0)
    for title, entries in sections:
        head = f"\x1b[1m{title}\x1b[0m" if bold else title
        blocks.append("\n".join([head, *(_entry(name, meaning, left, width) for name, meaning in entries)]))
    return "\n\n".join(blocks) + "\n"


def terminal() -> tuple[int, bool]:
    """How wide help may be on stdout, and whether it may be bold there."""
    columns = os.environ.get("COLUMNS", "")
    try:
        width = int(columns) if columns.isdecimal() else os.get_terminal_size(1).columns
    except OSError:
        width = 80
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return max(40, min(width, WIDEST)), sys.stdout.isatty() and not plain


def _paragraph(text: str, width: int) -> str:
    words = " ".join(text.split())
    return words if words.startswith("Example:") else textwrap.fill(words, width, break_on_hyphens=False)


def _entry(name: str, meaning: str, left: int, width: int) -> str:
    indent = 2 + left + _GAP
    lines = textwrap.wrap(" ".join(meaning.split()), max(20, width - indent), break_on_hyphens=False) or [""]
    if len(name) > left:
        lines.insert(0, "")
    padding = "\n" + " " * indent
    return f"  {name:<{left + _GAP}}{padding.join(lines)}".rstrip()
