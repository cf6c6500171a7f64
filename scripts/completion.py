"""Makes the table of cado_ops/cli/completion.py of the commands themselves. `scripts/completion` runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from cado_ops.cli.commands import app
from cado_ops.cli.front_page import COMMANDS

FILE = Path(__file__).resolve().parents[1] / "cado_ops" / "cli" / "completion.json"


def made() -> str:
    """The table's text."""
    root = typer.main.get_command(app)
    commands: dict[str, Any] = {}
    _add(commands, "", root, typer.Context(root, info_name="cado-ops"))
    return json.dumps(commands, indent=1, ensure_ascii=True) + "\n"


def _add(commands: dict[str, Any], path: str, command: Any, context: Any) -> None:
    options: dict[str, Any] = {}
    for each in command.get_params(context):
        if each.param_type_name == "option" and not each.hidden:
            for flag in (*each.opts, *each.secondary_opts):
                takes = not (each.is_flag or each.count)
                options[flag] = {"name": each.name, "value": takes, "again": each.multiple, "help": each.help or ""}
    below = {}
    if hasattr(command, "list_commands"):
        below = {name: command.get_command(context, name) for name in command.list_commands(context)}
    lines = {
        name: COMMANDS[name].help if not path else each.get_short_help_str(200) for name, each in below.items()
    }
    commands[path] = {"commands": lines, "options": options}
    for name, each in below.items():
        _add(commands, f"{path} {name}".strip(), each, typer.Context(each, info_name=name, parent=context))


if __name__ == "__main__":
    FILE.write_text(made())
    print(f"{FILE.name}: {FILE.stat().st_size // 1024} KB")
