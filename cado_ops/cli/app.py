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
    from cado_ops.cli.commands import invoke

    try:
        code = invoke(arguments, world)
        world.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout is gone; Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def entry_point() -> None:
    """The console script."""
    sys.exit(main())
