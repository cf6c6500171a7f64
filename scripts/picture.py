"""Runs a few commands at a terminal of its own and draws what they show: scripts/picture, in the sandbox."""

from __future__ import annotations

import os
import pty
import re
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
WHERE = "--account 222222222222,333333333333 --region eu-west-1 --role-name CadoOperator"
ONE = "--account 222222222222 --region eu-west-1 --role-name CadoOperator"
COMMANDS = (
    (f"cado-ops check i-5026248791a2893ce {ONE} --case IR-42", ""),
    (f"cado-ops tag-instances --filter tag:Team=web {WHERE} --case IR-42", "y\n"),
    ("cado-ops runs undo last --yes", ""),
)


def shown(command: str, answer: str) -> str:
    """What a command shows at a terminal of WIDTH columns, where somebody types ``answer``."""
    seen = bytearray()
    child, terminal = pty.fork()
    if child == 0:
        environ = os.environ | {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        arguments = shlex.split(command)
        os.execvpe(arguments[0], arguments, environ)
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        if answer and b"[y/N]" in seen:
            os.write(terminal, answer.encode())
            answer = ""
    os.waitpid(child, 0)
    return seen.decode()


def still(text: str) -> str:
    """The text as it stands in the end: without the progress bars, which are wiped, and what moves the cursor."""
    text = re.sub(r"\x1b\[(?![\d;]*m)[\d;?]*[A-Za-z]", "", text).replace("\r\n", "\n")
    lines = [line.rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(line for line in lines if "━" not in line).strip("\n")


def draw(target: Path) -> None:
    """Draws the commands and what they show."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for command, answer in COMMANDS:
            console.print(Text(f"$ {command}", style="bold"))
            console.print(Text.from_ansi(still(shown(command, answer))))
            console.print()
        picture = console.export_svg(title="cado-ops, in the sandbox", unique_id="cado-ops")
    # A picture in a README asks no other host for its letters.
    picture = re.sub(r"@font-face\s*\{.*?\}\s*", "", picture, flags=re.DOTALL)
    target.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
