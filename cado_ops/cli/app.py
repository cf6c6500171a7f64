"""The command line: `main`, the table of commands, and nothing that is not needed to find one of them.

Commands are imported when they are called, so that ``--help`` and ``--version`` load neither AWS's SDK nor moto.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cado_ops import __version__
from cado_ops.cli.world import World


def main(argv: Sequence[str] | None = None, world: World | None = None) -> int:
    """Runs one command line and returns its exit code; never raises, never exits."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    world = world or World()
    world.argv = arguments
    if arguments == ["--version"]:
        world.stdout.write(f"cado-ops {__version__}\n")
        return 0
    try:
        from cado_ops.cli.commands import invoke
    except KeyboardInterrupt:
        return 130
    code = 1
    try:
        code = invoke(arguments, world)
        world.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except OSError:
        # Whoever read stdout is gone, or its disk is full.
        code = code or 1
    if world.stdout is sys.stdout and not _still_open(world):
        # Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _still_open(world: World) -> bool:
    try:
        world.stdout.flush()
    except OSError:
        return False
    return True


def entry_point() -> None:
    """The console script."""
    sys.exit(main())
