"""The case file: runs as one HTML page that needs nothing else, to be printed or kept with a case.

No script and nothing from a network: the page says so itself (Content-Security-Policy), so that even a fault in the
escaping could load and run nothing. Every text passes `_text` on its way in.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from cado_ops.render.text import count, plain, sanitize

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class CaseRun:
    """One run, as the journal tells it; of an edited file, what could still be read, of whatever shape.

    ``items`` are the planned changes with what became of them: the fields of a journal's plan, ``outcome``,
    ``warnings``, ``error``, and ``requests``, the calls that were answered ("CreateTags 1b2c…"). ``recovered`` are
    the numbers of the lines in which a torn one is kept.
    """

    run_id: str
    status: str
    head: str
    lines: int
    verified: bool
    problems: Sequence[str] = ()
    header: Fields = field(default_factory=dict)
    end: Fields = field(default_factory=dict)
    resumes: Sequence[Any] = ()
    recovered: Sequence[int] = ()
    items: Sequence[Fields] = ()
    failures: Sequence[Any] = ()

    @property
    def caller(self) -> Fields:
        return _fields(self.header.get("caller"))

    @property
    def changed(self) -> int:
        return sum(item.get("outcome") == "changed" for item in self.items)


def case_file(runs: Sequence[CaseRun], *, case: str | None, made: str, version: str) -> Iterator[str]:
    """The page, piece by piece. ``made`` is the time of the export, ``version`` that of this program."""
    title = f"Case {case}" if case else f"Run {runs[0].run_id}" if len(runs) == 1 else count(len(runs), "run")
    yield _HEAD.format(csp=_CSP, title=escape(sanitize(title)), style=_STYLE)
    yield f"<header>\n<h1>{_text(title)}: what was changed in AWS</h1>\n"
    yield f"<p>Made {_text(made)} by cado-ops {_text(version)} from its journal. All times are UTC.</p>\n"
    yield "</header>\n<main>\n"
    yield from _summary(runs)
    for number, run in enumerate(runs, 1):
        yield from _run(run, number)
    yield f"</main>\n<footer>\n{_WORTH}</footer>\n</body>\n</html>\n"


def _summary(runs: Sequence[CaseRun]) -> Iterator[str]:
    items = [item for run in runs for item in run.items]
    outcomes = Counter(plain(item.get("outcome")) for item in items)
    instances = {tuple(plain(item.get(key)) for key in ("account", "region", "instance_id")) for item in items}
    accounts = {each[0] for each in instances}
    parts = [count(len(runs), "run"), count(len(accounts), "account"), count(len(instances), "instance")]
    parts += [f"{number} {outcome}" for outcome, number in sorted(outcomes.items())]
    broken = sum(not run.verified for run in runs)
    yield '<section aria-labelledby="summary">\n<h2 id="summary">Summary</h2>\n'
    yield f"<p>{_text(', '.join(parts))}.</p>\n"
    if broken:
        yield f'<p class="bad">{count(broken, "run")} cannot be believed: see below.</p>\n'
    else:
        yield "<p>The chain of hashes is whole in every run.</p>\n"
    rows = []
    for number, run in enumerate(runs, 1):
        rows.append([
            f'<a href="#run-{number}">{_text(run.run_id)}</a>', _text(run.header.get("command")),
            _text(run.header.get("case")), _text(run.header.get("started")), _text(run.end.get("finished")),
            _text(run.caller.get("arn")), _text(run.status), str(run.changed), _verdict(run), _code(run.head),
        ])  # fmt: skip
    heads = ("run", "command", "case", "started", "finished", "caller", "status", "changed", "chain", "head")
    yield from _table("The runs, in the order of this page", heads, rows)
    yield "</section>\n"


def _run(run: CaseRun, number: int) -> Iterator[str]:
    yield f'<section class="run" aria-labelledby="run-{number}">\n'
    yield f'<h2 id="run-{number}">Run {_text(run.run_id)}</h2>\n'
    if not run.verified:
        yield '<p class="bad">Lines of this journal were changed after they were written. What follows is what '
        yield "stands there now.</p>\n"
    yield '<table class="facts">\n<caption>Who, when, what for</caption>\n<tbody>\n'
    for name, value in _facts(run):
        yield f'<tr><th scope="row">{name}</th><td>{value}</td></tr>\n'
    yield "</tbody>\n</table>\n<h3>Instances</h3>\n"
    if run.items:
        yield "<p>&ldquo;After&rdquo; is what the run meant to leave; whether it did, the outcome says.</p>\n"
        heads = ("instance", "name", "account", "region", "action", "tags: before → after", "claims", "outcome",
                 "AWS requests", "remarks")  # fmt: skip
        yield from _table(
            f"{run.run_id}: what was planned, and what became of it", heads, map(_item, _sorted(run.items))
        )
    else:
        yield "<p>None.</p>\n"
    yield "<h3>Failures</h3>\n"
    if run.failures:
        columns = ("stage", "account", "region", "id", "error")
        yield from _table(f"{run.run_id}: what could not be read or done", columns, map(_failure, run.failures))
    else:
        yield "<p>None.</p>\n"
    yield "</section>\n"


def _sorted(items: Iterable[Fields]) -> list[Fields]:
    return sorted(items, key=lambda item: [plain(item.get(key)) for key in ("account", "region", "instance_id")])


def _facts(run: CaseRun) -> Iterator[tuple[str, str]]:
    header = run.header
    yield "Command", _text(header.get("command"))
    if header.get("undoes"):
        yield "Undoes run", _text(header["undoes"])
    if plan := _fields(header.get("plan")):
        by = _text(_fields(plan.get("caller")).get("arn"))
        yield "Saved plan", f"of {_text(plan.get('command'))}, made by {by}, digest {_code(plan.get('digest'))}"
    yield "Case", _text(header.get("case"))
    yield "Caller", _text(run.caller.get("arn"))
    yield "Caller's account", _text(run.caller.get("account"))
    endpoint = run.caller.get("endpoint")
    yield "Endpoint", f"{_text(endpoint)} (not AWS itself)" if endpoint else "AWS" if run.caller else _NOTHING
    roles = _fields(header.get("roles"))
    named = [roles.get("role_name"), *_fields(roles.get("role_arns")).values()]
    yield "Operator role", _lines(_text(role) for role in named if role) or _NOTHING
    yield "Command line", _code(_command_line(header.get("argv")))
    yield "Started", _text(header.get("started"))
    for resume in map(_fields, run.resumes):
        by = _text(_fields(resume.get("caller")).get("arn"))
        yield "Resumed", f"{_text(resume.get('started'))} by {by}: {_code(_command_line(resume.get('argv')))}"
    yield "Finished", _text(run.end.get("finished"))
    yield "Status", _text(run.status)
    yield "Journal", count(run.lines, "line")
    if run.recovered:
        numbers = ", ".join(map(str, run.recovered))
        yield "Recovered", f"a line that a crash tore is kept in line {numbers}"
    yield "Chain of hashes", _lines([_verdict(run), *map(_text, run.problems)])
    yield "Head of the chain", f'<span class="head">{_code(run.head)}</span>'


def _item(item: Fields) -> list[str]:
    outcome = plain(item.get("outcome"))
    kind = f' class="{_KINDS[outcome]}"' if outcome in _KINDS else ""
    warnings, requests = _list(item.get("warnings")), _list(item.get("requests"))
    remarks = [_text(each) for each in warnings]
    if error := _fields(item.get("error")):
        remarks.append(_error(error))
    return [
        f'<span class="id">{_text(item.get("instance_id"))}</span>',
        _text(item.get("name")),
        _text(item.get("account")),
        f'<span class="id">{_text(item.get("region"))}</span>',
        _text(item.get("action")),
        _tags(item),
        _lines(_text(each) for each in _list(item.get("claims"))) or _NOTHING,
        f"<strong{kind}>{_text(outcome)}</strong>",
        _lines(_code(each) for each in requests) or _NOTHING,
        _lines(remarks) or _NOTHING,
    ]


def _tags(item: Fields) -> str:
    before, after = _fields(item.get("tags_before")), _fields(item.get("tags_after"))
    lines = []
    for key in dict.fromkeys((*before, *after)):
        was, is_ = _tag(before.get(key)), _tag(after.get(key))
        lines.append(f"{_code(key)}: {was} (stays)" if was == is_ else f"{_code(key)}: {was} → {is_}")
    return _lines(lines) or _NOTHING


def _tag(value: Any) -> str:
    return "<em>none</em>" if value is None else "<em>empty</em>" if value == "" else _code(value)


def _failure(failure: Any) -> list[str]:
    fields = _fields(failure)
    row = [_text(fields.get(key)) for key in ("stage", "account", "region", "id")]
    return [*row, _error(_fields(fields.get("error")))]


def _error(error: Fields) -> str:
    hint = [f"hint: {_text(error['hint'])}"] if error.get("hint") else []
    return _lines([f"<strong>{_text(error.get('code'))}</strong>: {_text(error.get('message'))}", *hint])


def _verdict(run: CaseRun) -> str:
    return '<span class="good">verified</span>' if run.verified else '<strong class="bad">BROKEN</strong>'


def _command_line(argv: Any) -> str:
    return shlex.join(["cado-ops", *map(str, argv)]) if isinstance(argv, list) else ""


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of cells that are HTML already; the first of each row names it."""
    name = escape(sanitize(caption))
    yield f'<div class="wide" role="region" tabindex="0" aria-label="{name}">\n<table>\n'
    yield f"<caption>{name}</caption>\n<thead>\n<tr>"
    yield from (f'<th scope="col">{head}</th>' for head in heads)
    yield "</tr>\n</thead>\n<tbody>\n"
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n</div>\n"


def _lines(pieces: Iterable[str]) -> str:
    return "".join(f"<div>{piece}</div>" for piece in pieces)


def _text(value: Any) -> str:
    """A foreign value as HTML. Isolated, so that text written from right to left moves nothing around it."""
    return f"<bdi>{escape(shown)}</bdi>" if (shown := plain(value)) else _NOTHING


def _code(value: Any) -> str:
    """The same for what has to be read to the letter: blanks count."""
    return f"<code>{escape(shown)}</code>" if (shown := sanitize(str(value or ""))) else _NOTHING


def _fields(value: Any) -> Fields:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [] if value is None else [value]


_NOTHING = '<span class="nothing">–</span>'
_KINDS = {
    "changed": "good", "unchanged": "good", "failed": "bad", "unknown": "bad", "drifted": "bad", "denied": "bad",
}  # fmt: skip

_WORTH = """<h2>What this page is worth</h2>
<p>Each line of a journal carries a hash of itself and of the line before, so that a line changed afterwards is
found. The head is the last of these hashes: put it on record where nobody can change it later. Without that, the
chain says nothing against somebody who can write the whole file anew.</p>
<p>This page is for people. What can be verified is the journal itself
(<code>cado-ops runs show RUN --verify</code>) or its export (<code>cado-ops runs export RUN</code>).</p>
"""

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
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CSP = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
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
