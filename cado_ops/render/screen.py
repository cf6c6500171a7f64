"""A stream that people read: how wide it is, whether it has colours, and lines that fit it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from cado_ops.render.text import is_terminal, room, write

_ENDLESS = 100_000  # columns, where nothing has to be cut off
_HOPELESS = 20  # columns, too few for wrapping to help


class Screen:
    """Writes plain text, or coloured text on a terminal. ``width`` is None where nothing limits it."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str], width: int | None = None) -> None:
        self._stream = stream
        self.width = room(stream, environ, width)
        terminal = is_terminal(stream)
        colours = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        # Rendered to memory first: FORCE_COLOR and the like must not bring escapes into a pipe.
        self._console = Console(
            file=io.StringIO(),
            width=self.width or _ENDLESS,
            height=25,
            force_terminal=terminal,
            color_system="auto" if colours else None,
            no_color=not colours,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ=environ,
        )

    def show(self, renderable: RenderableType, whole: bool = False) -> None:
        """``whole``: lines are left as long as they are."""
        with self._console.capture() as captured:
            self._console.print(renderable, soft_wrap=whole)
        write(self._stream, "\n".join(line.rstrip(" ") for line in captured.get().split("\n")))

    def say(self, *pieces: str | tuple[str, str], indent: int = 0, hang: int = 2) -> None:
        """A paragraph of (text, style) pieces; what does not fit on its first line hangs further in."""
        text = Text.assemble(*pieces)
        width = (self.width or _ENDLESS) - indent - hang
        lines = [text] if width < _HOPELESS else text.wrap(self._console, width)
        self.show(Text(" " * indent) + Text("\n" + " " * (indent + hang)).join(lines), whole=True)

    def paste(self, label: str, line: str, style: str = "", indent: int = 0) -> None:
        """A line that can be copied: never broken, however long."""
        self.show(Text.assemble(" " * indent, (label, style), line), whole=True)
