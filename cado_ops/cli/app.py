"""The command line: `main`, and what is answered before anything of it is loaded.

Commands are imported when they are called. ``--version``, ``--help`` and completion load neither typer nor rich,
nor what a command needs around it: that takes longer than all they do. What they may load is counted by a test.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cado_ops.cli.world import World

# A shell asks for completion by this variable, with no arguments at all.
_COMPLETION = "_CADO_OPS_COMPLETE"


def main(argv: Sequence[str] | None = None, world: World | None = None) -> int:
    """Runs one command line and returns its exit code; never raises, never exits."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = 1
    try:
        completed = _complete() if _COMPLETION in os.environ else None
        answer = _answer_at_once(arguments) if completed is None else None
        if completed is not None:
            code = completed
        elif answer is not None:
            (world.stdout if world else sys.stdout).write(answer)
            code = 0
        else:
            code = _run(arguments, world)
        (world.stdout if world else sys.stdout).flush()
    except KeyboardInterrupt:
        return 130
    except OSError:
        # Whoever read stdout is gone, or its disk is full.
        code = code or 1
    if (world is None or world.stdout is sys.stdout) and not _still_open():
        # Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _answer_at_once(arguments: list[str]) -> str | None:
    """What needs no command: the version, and the front page."""
    if arguments == ["--version"]:
        from cado_ops import __version__

        return f"cado-ops {__version__}\n"
    if arguments in ([], ["--help"]) and _COMPLETION not in os.environ:
        from cado_ops.cli.front_page import front_page
        from cado_ops.cli.help_text import terminal

        width, bold = terminal()
        return front_page(width=width, bold=bold)
    return None


def _complete() -> int | None:
    """Answers a shell that asks for completion. Returns the exit code, None where typer has to answer."""
    from cado_ops.cli.completion import answer

    return answer(os.environ)


def _run(arguments: list[str], world: World | None) -> int:
    from cado_ops.cli.commands import invoke
    from cado_ops.cli.world import World

    world = world or World()
    world.argv = arguments
    return invoke(arguments, world)


def _still_open() -> bool:
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def entry_point() -> None:
    """The console script."""
    # Next to nothing here is cyclic, and an answer of EC2 is many objects at once: looking for cycles after every
    # 700 of them, as Python does by default, takes a third of a run's processor time (docs/performance.md, "What
    # pays").
    gc.set_threshold(100_000, 20, 20)
    sys.exit(main())
