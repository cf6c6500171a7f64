"""The commands by name, loaded when called, and typer's part of the error boundary."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import MethodType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from cado_ops import __version__
from cado_ops.cli.front_page import ABOUT, COMMANDS, front_page
from cado_ops.cli.help_text import Section, help_text, terminal
from cado_ops.cli.world import World
from cado_ops.errors import UsageError

__all__ = ["COMMANDS", "invoke"]


class LazyGroup(TyperGroup):
    """A group whose commands are imported when one of them is called, not when they are listed."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if self.listing:
            return TyperCommand(cmd_name, help=entry.help, rich_help_panel=entry.panel)
        found = getattr(importlib.import_module(f"cado_ops.cli.{entry.module}"), entry.attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False)
            single.command(cmd_name, no_args_is_help=False)(found)
            found = single
        found._add_completion = False
        command = typer.main.get_command(found)
        command.name = cmd_name
        _explain_plainly(command)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        width, bold = terminal()
        formatter.write(front_page(width=width, bold=bold))

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        # Of every command its name and its line: none is loaded for that.
        self.listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.listing = False


def _explain_plainly(command: Any) -> None:
    """Has a command, and those below it, write its help as `help_text` does."""
    command.format_help = MethodType(_format_help, command)
    for each in getattr(command, "commands", {}).values():
        _explain_plainly(each)


def _format_help(command: Any, ctx: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for name, each in getattr(command, "commands", {}).items():
        sections.setdefault("Commands", []).append((name, each.get_short_help_str(limit=200)))
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or default
            sections.setdefault(panel, []).append(record)
    # Nothing but --help.
    others: list[Section] = [(title, entries) for title, entries in sections.items() if title != "Options"]
    last: list[Section] = [("Options", sections["Options"])] if "Options" in sections else []
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    width, bold = terminal()
    formatter.write(help_text(usage, command.help or "", [*others, *last], width=width, bold=bold))


def _version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.find_root().obj.stdout.write(f"cado-ops {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=False,
    help=ABOUT,
)


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_version, is_eager=True, show_default=False
    ),
) -> None:
    pass


def invoke(arguments: Sequence[str], world: World) -> int:
    """Runs the command that the arguments name. Returns its exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(
            args=list(arguments) or ["--help"], prog_name="cado-ops", standalone_mode=False, obj=world
        )
    except UsageError as error:
        from cado_ops.cli.complaint import usage_error

        return usage_error(world, error)
    except TyperException as error:
        from cado_ops.cli.complaint import complain

        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "cado-ops"
        complain(world, error.format_message(), f"{path} --help")
        return error.exit_code
    except typer.Abort:
        return 130
    except OSError:
        raise  # of a stdout that is gone: `app.main` knows what to do
    except Exception as error:  # noqa: BLE001  what fails before a session's own boundary is there
        from cado_ops.cli.complaint import fault

        return fault(world, error, debug="--debug" in arguments)
    return code if isinstance(code, int) else 0
