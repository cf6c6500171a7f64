"""Self-contained HTML pages: nothing from a network, no script but ours, and every text escaped on its way in.

The page says so itself (Content-Security-Policy), so that even a fault in the escaping could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import chain, repeat
from typing import Any

from cado_ops.render.text import plain
from cado_ops.visible import sanitize

NOTHING = '<span class="nothing">–</span>'


def begin(title: str, *, style: str = "", script: str = "") -> str:
    """Everything before the page's own content. ``style`` is added to that of all pages; nothing else may run
    than ``script``, once the whole page is there.
    """
    style = _STYLE + style
    policy = f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    if script:
        policy = policy.replace("; base-uri", f"; script-src '{_hash(script)}'; base-uri")
    head = _HEAD.format(csp=policy, title=escape(sanitize(title)), style=style)
    return head + (f'<script type="module">{script}</script>\n' if script else "")


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    kind: str = "",
    marks: Iterable[str] = (),
) -> Iterator[str]:
    """A table of cells that are HTML already; the first of each row names it.

    ``kind`` is the table's class; ``marks`` are words of ours on the rows, for a script (data-is).
    """
    name, shown = escape(sanitize(caption)), f' class="{kind}"' if kind else ""
    yield f'<div class="wide" role="region" tabindex="0" aria-label="{name}">\n<table{shown}>\n'
    yield f"<caption>{name}</caption>\n<thead>\n<tr>"
    yield from (f'<th scope="col">{head}</th>' for head in heads)
    yield "</tr>\n</thead>\n<tbody>\n"
    for (first, *others), mark in zip(rows, chain(marks, repeat("")), strict=False):
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        marked = f' data-is="{mark}"' if mark else ""
        yield f'<tr{marked}><th scope="row">{first}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n</div>\n"


def lines(pieces: Iterable[str]) -> str:
    return "".join(f"<div>{piece}</div>" for piece in pieces)


def error(told: Mapping[str, Any]) -> str:
    """AWS's own words, and what mends it."""
    hint = [f"hint: {text(told['hint'])}"] if told.get("hint") else []
    return lines([f"<strong>{text(told.get('code'))}</strong>: {text(told.get('message'))}", *hint])


def text(value: Any) -> str:
    """A foreign value as HTML. Isolated, so that text written from right to left moves nothing around it."""
    return f"<bdi>{escape(shown)}</bdi>" if (shown := plain(value)) else NOTHING


def code(value: Any) -> str:
    """The same for what has to be read to the letter: blanks count."""
    return f'<code dir="ltr">{escape(shown)}</code>' if (shown := sanitize(str(value or ""))) else NOTHING


def _hash(source: str) -> str:
    """ "Content Security Policy Level 3", W3C: what an inline style or script is allowed by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


_STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --paper: #fff; --soft: #59616b; --line: #c4cad1;
  --band: #f1f3f5; --good: #0b6b33; --bad: #b3140f; --link: #0b57b0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --paper: #15181c; --soft: #a3acb7; --line: #424a54; --band: #1f242a; --good: #63d08f;
    --bad: #ff8a80; --link: #8ab8ff; }
}
body { margin: 0 auto; padding: 1.5rem; max-width: 100rem; background: var(--paper); color: var(--ink);
  font: 0.95rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; padding-top: 0.75rem; border-top: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 0.25rem; }
p { max-width: 75ch; margin: 0.5rem 0; }
a { color: var(--link); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; }
caption { text-align: start; color: var(--soft); padding: 0.25rem 0; }
th, td { border: 1px solid var(--line); padding: 0.3rem 0.5rem; text-align: start; vertical-align: top;
  overflow-wrap: break-word; min-width: 6ch; }
thead th, .facts th { background: var(--band); }
tbody th { font-weight: 600; }
code { font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--band); }
.id, a bdi { white-space: nowrap; }
.head code { font-size: 1rem; }
td:last-child code { min-width: 16ch; display: inline-block; }
.good { color: var(--good); }
.bad { color: var(--bad); font-weight: 600; }
.nothing { color: var(--soft); }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --soft: #444; --line: #888; --band: #f1f3f5;
    --good: #0b6b33; --bad: #b3140f; --link: #000; }
  body { padding: 0; max-width: none; font-size: 9pt; }
  table { font-size: 7.5pt; width: 100%; }
  .wide { overflow: visible; }
  .id, a bdi { white-space: normal; }
  .run { break-before: page; }
  thead { display: table-header-group; }
  tr, h2, h3 { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  a { text-decoration: none; }
}
"""
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{csp}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""
