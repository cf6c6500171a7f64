"""A simulated AWS organisation on this machine: to try, to show and to test, without an AWS account.

Importing this package is cheap: moto and flask, the ``sandbox`` extra, load when a `Sandbox` starts.
"""

from cado_ops.sandbox.command import run, serve
from cado_ops.sandbox.environment import Environment, apply_environment, format_environment
from cado_ops.sandbox.protocol import AwsFault, Call, RequestInfo, Response
from cado_ops.sandbox.server import Sandbox, SandboxExtraMissing, require_extra

__all__ = [
    "AwsFault",
    "Call",
    "Environment",
    "RequestInfo",
    "Response",
    "Sandbox",
    "SandboxExtraMissing",
    "apply_environment",
    "format_environment",
    "require_extra",
    "run",
    "serve",
]
