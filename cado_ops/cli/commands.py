"""The commands by name, loaded when called, and typer's part of the error boundary."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from cado_ops import __version__
from cado_ops.cli.session import complain, usage_error
from cado_ops.cli.world import World
from cado_ops.errors import UsageError

CHANGE = "Change"
LOOK = "Look"
PRACTISE = "Practise"


@dataclass(frozen=True)
class Entry:
    """Where a command lives, and its line in ``--help``."""

    module: str
    attribute: str
    help: str
    panel: str


COMMANDS = {
    "tag-instances": Entry(
        "tag_instances", "tag_instances", "Put CadoResponseSSMEnabled=True on EC2 instances.", CHANGE
    ),
    "untag-instances": Entry("tag_instances", "untag_instances", "Take the tag off again.", CHANGE),
    "kms": Entry("kms", "app", "KMS grants of the Cado role: grant, list, retire.", CHANGE),
    "apply": Entry("saved_plan", "apply", "Apply a plan saved with --save-plan.", CHANGE),
    "status": Entry("status", "status", "How far the tag has come, per account and region.", LOOK),
    "check": Entry("check", "check", "Can Cado acquire this instance? Why not, and what mends it.", LOOK),
    "explain": Entry("explain", "explain", "What an AWS error means here, and what mends it.", LOOK),
    "targets": Entry("targets", "targets", "The accounts and regions that the options mean.", LOOK),
    "policy": Entry("policy", "app", "IAM and key policies for Cado and for this program.", LOOK),
    "runs": Entry("runs", "app", "The journal: what was changed, and its way back.", LOOK),
    "sandbox": Entry("sandbox", "sandbox", "A simulated AWS organisation on this machine.", PRACTISE),
}


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
            single = typer.Typer(add_completion=False, rich_markup_mode="rich")
            single.command(cmd_name, no_args_is_help=False)(found)
            found = single
        found._add_completion = False
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False


def _version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.find_root().obj.stdout.write(f"cado-ops {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode="rich",
    no_args_is_help=False,
    help="Prepare AWS accounts for Cado's forensic acquisition, and take it all back.",
    epilog="Example: cado-ops tag-instances --filter tag:Env=prod --case IR-42 --dry-run",
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
        return usage_error(world, error)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "cado-ops"
        complain(world, error.format_message(), f"{path} --help")
        return error.exit_code
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0
