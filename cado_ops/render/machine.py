"""json, ndjson and csv: exact, ordered, and safe to hand to another program or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, TextIO

from cado_ops.model import Failure, Report
from cado_ops.render.columns import field, layout, sorted_failures, sorted_items
from cado_ops.render.text import speaks_unicode, write
from cado_ops.visible import escape_json, sanitize

# What a spreadsheet takes for a formula (the wide and the small forms too), at the start of a cell, whatever blanks
# and quotes stand before it; also after a semicolon, where half of Europe's spreadsheets begin a new cell: there a
# quote that csv doubled is an empty text, and the formula follows.
_FORMULA = re.compile("(^|;)(?=[\\s\x00-\x20\ufeff\u200b\"']*[=+\\-@\t\r＝＋－＠﹦﹢﹣﹫−])")

_LINES_A_WRITE = 500


def sorted_envelope(report: Report) -> dict[str, Any]:
    """The envelope in its documented order: by account, region, id."""
    envelope = report.envelope()
    envelope["items"] = sorted_items(report.items, layout(report.command, report.items).sort)
    envelope["failures"] = [failure.as_json() for failure in sorted_failures(report.failures)]
    return envelope


def write_json(stream: TextIO, data: Any) -> None:
    document = json.dumps(data, indent=2, ensure_ascii=not speaks_unicode(stream), default=str)
    write(stream, escape_json(document) + "\n")


class NdjsonStream:
    """One JSON object a line, written out as soon as they are known; ``finish`` ends it.

    What is known together goes out together: each write lets the other threads have the interpreter, and waits to
    get it back.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # json.dumps would make one for every line.
        self._encoder = json.JSONEncoder(ensure_ascii=not speaks_unicode(stream), default=str)

    def items(self, items: Iterable[Mapping[str, Any]]) -> None:
        lines = (self._line("item", item) for item in items)
        while some := "".join(islice(lines, _LINES_A_WRITE)):
            write(self._stream, escape_json(some))

    def failure(self, failure: Failure) -> None:
        write(self._stream, escape_json(self._line("failure", failure.as_json())))

    def finish(self, report: Report) -> None:
        """The last line: the envelope without the items and failures, which were streamed before."""
        rest = {key: value for key, value in report.envelope().items() if key not in ("items", "failures")}
        write(self._stream, escape_json(self._line("summary", rest)))

    def _line(self, kind: str, data: Mapping[str, Any]) -> str:
        return self._encoder.encode({"type": kind, **data}) + "\n"


def write_ndjson(stream: TextIO, report: Report) -> None:
    lines = NdjsonStream(stream)
    lines.items(report.items)
    for failure in report.failures:
        lines.failure(failure)
    lines.finish(report)


def write_csv(stream: TextIO, report: Report) -> None:
    shape = layout(report.command, report.items)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_safe(name.rpartition(".")[2]) for name in shape.fields])
    for item in sorted_items(report.items, shape.sort):
        writer.writerow([_safe(_cell(field(item, name))) for name in shape.fields])
    write(stream, buffer.getvalue())


def _cell(value: Any) -> str:
    """One value as text: None empty, booleans as in JSON, lists by ``;``, errors ``CODE: message``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ";".join(map(_cell, value))
    if isinstance(value, Mapping):
        if "code" in value:
            return f"{_cell(value['code'])}: {_cell(value.get('message'))}"
        if "check" in value:
            fix = f" (fix: {_cell(value['fix'])})" if value.get("fix") else ""
            return f"{_cell(value.get('status'))} {_cell(value['check'])}: {_cell(value.get('detail'))}{fix}"
        return ";".join(f"{key}={_cell(each)}" for key, each in value.items())
    return str(value)


def _safe(text: str) -> str:
    return sanitize(_FORMULA.sub(r"\1'", text))
