"""What is said on stderr when a command cannot do what it should: a line, and what mends it."""

from __future__ import annotations

from cado_ops.cli.world import World
from cado_ops.errors import CadoOpsError, UsageError
from cado_ops.model import ErrorInfo, Status
from cado_ops.redaction import redacted, trace
from cado_ops.verdict.outcome import EXIT, USAGE_EXIT
from cado_ops.visible import sanitize


def complain(world: World, message: str, hint: str | None = None) -> None:
    """One clear line on stderr, and what mends it."""
    world.stderr.write(f"cado-ops: {sanitize(message)}\n")
    if hint:
        world.stderr.write(f"  hint: {sanitize(hint)}\n")


def fault(world: World, error: Exception, *, debug: bool) -> int:
    """What nobody foresaw, before there is a session: a line, and no traceback but where it was asked for."""
    if debug:
        world.stderr.write(trace(error))
    known = error if isinstance(error, CadoOpsError) else internal(error)
    complain(world, known.message, known.hint)
    return EXIT[Status.ERROR]


def internal(error: Exception) -> ErrorInfo:
    """What is told of an exception that nobody foresaw."""
    return ErrorInfo(
        "InternalError",
        f"this is a fault in cado-ops: {type(error).__name__}: {redacted(str(error))}",
        "Run it with --debug and report what it prints.",
    )


def usage_error(world: World, error: UsageError) -> int:
    """Exit 2: a line on stderr, nothing on stdout."""
    complain(world, error.message, error.hint)
    return USAGE_EXIT
