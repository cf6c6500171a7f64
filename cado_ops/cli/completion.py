"""Completion in bash, zsh and fish, from a table of commands and options: a shell asks at every key, and typer with
the commands takes ten times as long to load as this.

The table is made of the commands themselves by `scripts/completion`; a test holds its answers against typer's. What
is not understood here, other shells too, is left to typer.
"""

from __future__ import annotations

import json
import os
import shlex
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_VARIABLE = "_CADO_OPS_COMPLETE"


def completion(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """What to print for the shell, and the exit code; None where typer has to answer."""
    try:
        shell = environ[_VARIABLE].removeprefix("complete_")
        if shell == "bash":
            given = split(environ["COMP_WORDS"])
            place = int(environ["COMP_CWORD"])
            words, incomplete = given[1:place], given[place] if place < len(given) else ""
        elif shell in ("zsh", "fish"):
            line = environ["_TYPER_COMPLETE_ARGS"]
            words, incomplete = split(line)[1:], ""
            if words and not line.endswith(" "):
                incomplete = words.pop()
        else:
            return None
        found = candidates(words, incomplete)
    except (KeyError, ValueError, OSError):
        return None
    if found is None:
        return None
    if shell == "bash":
        return "\n".join(name for name, _ in found) + "\n", 0
    if shell == "zsh":
        listed = "\n".join(f'"{_for_zsh(name)}":"{_for_zsh(meaning)}"' for name, meaning in found)
        return (f"_arguments '*: :(({listed}))'" if listed else "_files") + "\n", 0
    if environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return "", 0 if found else 1
    return "\n".join(f"{name}\t{' '.join(meaning.split())}" for name, meaning in found) + "\n", 0


def candidates(words: list[str], incomplete: str) -> list[tuple[str, str]] | None:
    """What may stand in place of ``incomplete``, with its meaning; None where that is not known here."""
    # Not by pathlib, which takes longer to load than the table.
    with open(f"{__file__.rpartition(os.sep)[0]}{os.sep}completion.json", encoding="utf-8") as file:  # noqa: PTH123
        commands: dict[str, Any] = json.load(file)
    path, used = "", set()
    waits: str | None = None  # the option whose value comes next
    for word in words:
        here = commands[path]
        if waits is not None:
            used.add(waits)
            waits = None
        elif word.startswith("-"):
            option = here["options"].get(word)
            if option is None:
                return None  # --name=value, --, several short ones, or a mistake
            if option["value"]:
                waits = option["name"]
            else:
                used.add(option["name"])
        elif here["commands"]:
            if word not in here["commands"]:
                return None
            path, used = f"{path} {word}".strip(), set()
    here = commands[path]
    if "=" in incomplete:
        return None
    if waits is not None and not incomplete.startswith("-"):
        return []
    if incomplete.startswith("-"):
        return [
            (flag, option["help"])
            for flag, option in here["options"].items()
            if flag.startswith(incomplete) and (option["again"] or option["name"] not in used)
        ]
    return [(name, meaning) for name, meaning in here["commands"].items() if name.startswith(incomplete)]


def split(line: str) -> list[str]:
    """A command line's words; the last one may lack its closing quote."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _for_zsh(text: str) -> str:
    quoted = text.replace('"', '""').replace("'", "''").replace("$", "\\$").replace("`", "\\`")
    return quoted.replace(":", r"\\:")


def answer(environ: Mapping[str, str]) -> int | None:
    """Answers the shell on stdout and gives the exit code; None where typer has to."""
    found = completion(environ)
    if found is None:
        return None
    sys.stdout.write(found[0])
    return found[1]
