"""cado-ops sandbox."""

from __future__ import annotations

from typing import Annotated

import typer

from cado_ops.cli.complaint import complain
from cado_ops.cli.world import World
from cado_ops.errors import UsageError

SHELLS = ("sh", "fish", "powershell")


def sandbox(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]", help="Run this, or $SHELL, in a fresh organisation.", show_default=False
        ),
    ] = None,
    shell: Annotated[
        str, typer.Option("--shell", metavar="SHELL", help="How to print what to set: sh, fish or powershell.")
    ] = "sh",
    json: Annotated[bool, typer.Option("--json", help="Print what to set as JSON.", show_default=False)] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Serve on this port; 0: any free one.")] = 0,
) -> int:
    """A simulated AWS organisation on this machine, to practise on. Does not enforce IAM.

    With a command after -- (or -- alone, for your shell) it ends with that command. Without, it serves until Ctrl-C
    and prints what to set.

    Example: cado-ops sandbox -- cado-ops status --region all
    """
    world: World = ctx.obj
    if shell not in SHELLS:
        raise UsageError(f"--shell is {shell!r}: it takes {', '.join(SHELLS)}")
    from cado_ops.sandbox import SandboxExtraMissing, run, serve

    try:
        if command or "--" in world.argv:
            return run(command or [], stderr=world.stderr)
        return serve(port, shell="json" if json else shell, stdout=world.stdout, stderr=world.stderr)
    except SandboxExtraMissing as error:
        complain(world, str(error))
        return 1
    except OSError as error:
        complain(world, f"the sandbox cannot listen on port {port}: {error.strerror}")
        return 1
