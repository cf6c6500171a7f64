"""A report on its way out: data on stdout, everything else on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TextIO

from cado_ops.model import Report
from cado_ops.render.columns import layout, sorted_items, timed
from cado_ops.render.machine import sorted_envelope, write_csv, write_json, write_ndjson
from cado_ops.render.text import is_terminal, write

if TYPE_CHECKING:
    from cado_ops.render.screen import Screen

Output = Literal["table", "json", "ndjson", "csv"]


@dataclass(frozen=True, slots=True)
class _Streams:
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    width: int | None
    now: datetime | None

    def screen(self, stream: TextIO) -> Screen:
        from cado_ops.render.screen import Screen

        return Screen(stream, self.environ, self.width)


def write_report(
    report: Report,
    *,
    output: Output,
    query: str | None = None,
    stdout: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    width: int | None = None,
    now: datetime | None = None,
) -> None:
    """Writes the whole of a report. ``query`` was checked before by ``query.check_query``.

    ndjson writes items and failures in the order of the report; to write them as they come, use
    `machine.NdjsonStream` instead. ``width`` overrides what COLUMNS and the terminal say; with ``now`` (UTC) tables
    tell times as people do.
    """
    streams = _Streams(stdout, stderr, environ, width, now)
    if output == "ndjson":
        write_ndjson(stdout, report)
    elif output == "csv":
        write_csv(stdout, report)
    elif query is None or not _write_query(report, query, output, streams):
        _write_whole(report, output, streams)
    if output in ("table", "csv"):
        from cado_ops.render.summary import show_failures, show_summary

        if output == "table" and report.items and is_terminal(stdout):
            write(stdout, "\n")
        screen = streams.screen(stderr)
        show_failures(screen, report.failures)
        show_summary(screen, report)


def _write_whole(report: Report, output: Output, streams: _Streams) -> None:
    envelope = sorted_envelope(report)
    if output == "json":
        write_json(streams.stdout, envelope)
        return
    from cado_ops.render.summary import show_remarks
    from cado_ops.render.table import show_items

    screen = streams.screen(streams.stdout)
    shape = layout(report.command, report.items)
    rows = sorted_items([*envelope["items"], *report.gaps], shape.sort) if report.gaps else envelope["items"]
    show_items(screen, timed(rows, streams.now), shape)
    show_remarks(screen, envelope["items"])


def _write_query(report: Report, query: str, output: Output, streams: _Streams) -> bool:
    """Whether the query had an answer. Where it had none, nothing may get lost: the work is done."""
    from cado_ops.render.query import QueryError, apply_query

    try:
        found = apply_query(query, sorted_envelope(report))
    except QueryError as error:
        write(streams.stderr, f"warning: --query does not fit this output, so all of it is shown: {error}\n")
        return False
    if output == "json":
        write_json(streams.stdout, found)
    else:
        from cado_ops.render.table import show_value

        show_value(streams.screen(streams.stdout), found)
    return True
