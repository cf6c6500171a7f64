"""The case file: runs as one HTML page that needs nothing else, to be printed or kept with a case.

No script and nothing from a network: the page says so itself (Content-Security-Policy), so that even a fault in the
escaping could load and run nothing. Every text passes `page.text` on its way in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cado_ops import shell
from cado_ops.render.page import NOTHING, begin, code, error, lines, table, text
from cado_ops.render.text import count, plain

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
    def of_grants(self) -> bool:
        return any("key_arn" in item for item in self.items)

    @property
    def changed(self) -> int:
        return sum(item.get("outcome") == "changed" for item in self.items)


def case_file(runs: Sequence[CaseRun], *, case: str | None, made: str, version: str) -> Iterator[str]:
    """The page, piece by piece. ``made`` is the time of the export, ``version`` that of this program."""
    title = f"Case {case}" if case else f"Run {runs[0].run_id}" if len(runs) == 1 else count(len(runs), "run")
    yield begin(title)
    yield f"<header>\n<h1>{text(title)}: what was changed in AWS</h1>\n"
    yield f"<p>Made {text(made)} by cado-ops {text(version)} from its journal. All times are UTC.</p>\n"
    yield "</header>\n<main>\n"
    yield from _summary(runs)
    for number, run in enumerate(runs, 1):
        yield from _run(run, number)
    yield f"</main>\n<footer>\n{_WORTH}</footer>\n</body>\n</html>\n"


def _summary(runs: Sequence[CaseRun]) -> Iterator[str]:
    items = [item for run in runs for item in run.items]
    outcomes = Counter(plain(item.get("outcome")) for item in items)
    accounts = {plain(item.get("account")) for item in items}
    parts = [count(len(runs), "run"), count(len(accounts), "account")]
    for thing, key in (("instance", "instance_id"), ("key", "key_arn")):
        there = {
            tuple(plain(item.get(each)) for each in ("account", "region", key)) for item in items if key in item
        }
        parts += [count(len(there), thing)] if there or (key == "instance_id" and not items) else []
    parts += [f"{number} {outcome}" for outcome, number in sorted(outcomes.items())]
    broken = sum(not run.verified for run in runs)
    yield '<section aria-labelledby="summary">\n<h2 id="summary">Summary</h2>\n'
    yield f"<p>{text(', '.join(parts))}.</p>\n"
    if broken:
        yield f'<p class="bad">{count(broken, "run")} cannot be believed: see below.</p>\n'
    else:
        yield "<p>The chain of hashes is whole in every run.</p>\n"
    rows = []
    for number, run in enumerate(runs, 1):
        rows.append([
            f'<a href="#run-{number}">{text(run.run_id)}</a>', text(run.header.get("command")),
            text(run.header.get("case")), text(run.header.get("started")), text(run.end.get("finished")),
            text(run.caller.get("arn")), text(run.status), str(run.changed), _verdict(run), code(run.head),
        ])  # fmt: skip
    heads = ("run", "command", "case", "started", "finished", "caller", "status", "changed", "chain", "head")
    yield from table("The runs, in the order of this page", heads, rows)
    yield "</section>\n"


def _run(run: CaseRun, number: int) -> Iterator[str]:
    yield f'<section class="run" aria-labelledby="run-{number}">\n'
    yield f'<h2 id="run-{number}">Run {text(run.run_id)}</h2>\n'
    if not run.verified:
        yield '<p class="bad">Lines of this journal were changed after they were written. What follows is what '
        yield "stands there now.</p>\n"
    yield '<table class="facts">\n<caption>Who, when, what for</caption>\n<tbody>\n'
    for name, value in _facts(run):
        yield f'<tr><th scope="row">{name}</th><td>{value}</td></tr>\n'
    yield f"</tbody>\n</table>\n<h3>{'Grants' if run.of_grants else 'Instances'}</h3>\n"
    heads: tuple[str, ...]
    if run.of_grants:
        heads = ("grant", "key", "account", "region", "action", "grantee", "operations", "name", "due", "serves",
                 *_ENDS)  # fmt: skip
        yield from table(_CAPTION.format(run.run_id), heads, map(_grant, _sorted(run.items)))
    elif run.items:
        yield "<p>&ldquo;After&rdquo; is what the run meant to leave; whether it did, the outcome says.</p>\n"
        heads = ("instance", "name", "account", "region", "action", "tags: before → after", "claims", *_ENDS)
        yield from table(_CAPTION.format(run.run_id), heads, map(_item, _sorted(run.items)))
    else:
        yield "<p>None.</p>\n"
    yield "<h3>Failures</h3>\n"
    if run.failures:
        columns = ("stage", "account", "region", "id", "error")
        yield from table(f"{run.run_id}: what could not be read or done", columns, map(_failure, run.failures))
    else:
        yield "<p>None.</p>\n"
    yield "</section>\n"


def _sorted(items: Iterable[Fields]) -> list[Fields]:
    order = ("account", "region", "instance_id", "key_arn", "grant_id", "name")
    return sorted(items, key=lambda item: [plain(item.get(key)) for key in order])


def _facts(run: CaseRun) -> Iterator[tuple[str, str]]:
    header = run.header
    yield "Command", text(header.get("command"))
    if header.get("undoes"):
        yield "Undoes run", text(header["undoes"])
    if plan := _fields(header.get("plan")):
        by = text(_fields(plan.get("caller")).get("arn"))
        yield "Saved plan", f"of {text(plan.get('command'))}, made by {by}, digest {code(plan.get('digest'))}"
    yield "Case", text(header.get("case"))
    yield "Caller", text(run.caller.get("arn"))
    yield "Caller's account", text(run.caller.get("account"))
    endpoint = run.caller.get("endpoint")
    yield "Endpoint", f"{text(endpoint)} (not AWS itself)" if endpoint else "AWS" if run.caller else NOTHING
    roles = _fields(header.get("roles"))
    named = [roles.get("role_name"), *_fields(roles.get("role_arns")).values()]
    yield "Operator role", lines(text(role) for role in named if role) or NOTHING
    yield "Command line", code(_command_line(header.get("argv")))
    yield "Started", text(header.get("started"))
    for resume in map(_fields, run.resumes):
        by = text(_fields(resume.get("caller")).get("arn"))
        yield "Resumed", f"{text(resume.get('started'))} by {by}: {code(_command_line(resume.get('argv')))}"
    yield "Finished", text(run.end.get("finished"))
    yield "Status", text(run.status)
    yield "Journal", count(run.lines, "line")
    if run.recovered:
        numbers = ", ".join(map(str, run.recovered))
        yield "Recovered", f"a line that a crash tore is kept in line {numbers}"
    yield "Chain of hashes", lines([_verdict(run), *map(text, run.problems)])
    yield "Head of the chain", f'<span class="head">{code(run.head)}</span>'


def _item(item: Fields) -> list[str]:
    return [
        f'<span class="id">{text(item.get("instance_id"))}</span>',
        text(item.get("name")),
        text(item.get("account")),
        f'<span class="id">{text(item.get("region"))}</span>',
        text(item.get("action")),
        _tags(item),
        lines(text(each) for each in _list(item.get("claims"))) or NOTHING,
        *_end(item),
    ]


def _grant(item: Fields) -> list[str]:
    return [
        code(item.get("grant_id")),
        code(item.get("key_arn")),
        text(item.get("account")),
        f'<span class="id">{text(item.get("region"))}</span>',
        text(item.get("action")),
        code(item.get("grantee_principal")),
        text(item.get("operations")),
        code(item.get("name")),
        text(item.get("expires_at")),
        lines(text(each) for each in _list(item.get("serves"))) or NOTHING,
        *_end(item),
    ]


def _end(item: Fields) -> list[str]:
    """What became of an item: the cells under _ENDS."""
    outcome = plain(item.get("outcome"))
    kind = f' class="{_KINDS[outcome]}"' if outcome in _KINDS else ""
    remarks = [text(each) for each in _list(item.get("warnings"))]
    if told := _fields(item.get("error")):
        remarks.append(error(told))
    return [
        f"<strong{kind}>{text(outcome)}</strong>",
        lines(code(each) for each in _list(item.get("requests"))) or NOTHING,
        lines(remarks) or NOTHING,
    ]


def _tags(item: Fields) -> str:
    before, after = _fields(item.get("tags_before")), _fields(item.get("tags_after"))
    changes = []
    for key in dict.fromkeys((*before, *after)):
        was, is_ = _tag(before.get(key)), _tag(after.get(key))
        changes.append(f"{code(key)}: {was} (stays)" if was == is_ else f"{code(key)}: {was} → {is_}")
    return lines(changes) or NOTHING


def _tag(value: Any) -> str:
    return "<em>none</em>" if value is None else "<em>empty</em>" if value == "" else code(value)


def _failure(failure: Any) -> list[str]:
    fields = _fields(failure)
    row = [text(fields.get(key)) for key in ("stage", "account", "region", "id")]
    return [*row, error(_fields(fields.get("error")))]


def _verdict(run: CaseRun) -> str:
    return '<span class="good">verified</span>' if run.verified else '<strong class="bad">BROKEN</strong>'


def _command_line(argv: Any) -> str:
    return shell.join(["cado-ops", *map(str, argv)]) if isinstance(argv, list) else ""


def _fields(value: Any) -> Fields:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [] if value is None else [value]


_ENDS = ("outcome", "AWS requests", "remarks")
_CAPTION = "{}: what was planned, and what became of it"
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
