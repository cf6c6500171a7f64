"""The environment that leads every AWS tool to the sandbox, and none to a real account."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

Environment = dict[str, str | None]
"""What to set; None means unset."""

# The operator: a session of the role Responder in the management account. These are no secrets: the
# sandbox accepts them and AWS knows nothing of them.
OPERATOR_ACCESS_KEY = "ASIASANDBOXRESPONDER"
OPERATOR_SECRET_KEY = "sandbox-credentials-that-open-nothing-elsewhere"
OPERATOR_SESSION_TOKEN = "sandbox-session-of-alice"
DEFAULT_REGION = "eu-west-1"

# Each of these could bring other credentials, another endpoint or another identity into play.
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SECURITY_TOKEN",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CA_BUNDLE",
    "BOTO_CONFIG",
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build_environment(endpoint_url: str, folder: Path, inherited: Mapping[str, str] | None = None) -> Environment:
    """What to set so that everything started with it talks to ``endpoint_url``.

    ``folder`` holds the empty files that stand in for the user's configuration. ``inherited`` (by default this
    process's environment) tells which service endpoints have to go, and what NO_PROXY holds already.
    """
    inherited = os.environ if inherited is None else inherited
    config, credentials = folder / "config", folder / "credentials"
    for file in (config, credentials):
        file.touch(mode=0o600)
    environment: Environment = dict.fromkeys(_UNSET)
    # A service's own endpoint wins over AWS_ENDPOINT_URL.
    environment.update(dict.fromkeys(name for name in inherited if name.startswith("AWS_ENDPOINT_URL_")))
    environment.update(
        AWS_ACCESS_KEY_ID=OPERATOR_ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=OPERATOR_SECRET_KEY,
        AWS_SESSION_TOKEN=OPERATOR_SESSION_TOKEN,
        AWS_CONFIG_FILE=str(config),
        AWS_SHARED_CREDENTIALS_FILE=str(credentials),
        AWS_REGION=DEFAULT_REGION,
        AWS_DEFAULT_REGION=DEFAULT_REGION,
        AWS_ENDPOINT_URL=endpoint_url,
        # "true" makes SDKs ignore AWS_ENDPOINT_URL too and call AWS itself: an inherited "true" has to go.
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="false",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_STS_REGIONAL_ENDPOINTS="regional",
    )
    # Runs that changed nothing real do not belong among those that did, unless somebody named a folder for them.
    environment["CADO_OPS_JOURNAL_DIR"] = inherited.get("CADO_OPS_JOURNAL_DIR") or str(folder / "runs")
    # Nor do the settings of real work: a profile among them would be looked for in the empty configuration.
    settings = folder / "cado-ops.toml"
    settings.touch(mode=0o600)
    environment.update(CADO_OPS_CONFIG=str(settings), CADO_OPS_PROFILE=None)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = _with_loopback(inherited.get(name, ""))
    return environment


def apply_environment(environment: Environment, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """A whole environment for a child process: the inherited one with the changes made."""
    result = dict(os.environ if inherited is None else inherited)
    for name, value in environment.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def format_environment(environment: Environment, shell: str = "sh") -> str:
    """The environment as lines to evaluate in ``sh``, ``fish`` or ``powershell``, or as ``json``."""
    if shell == "json":
        return json.dumps(environment, indent=2)
    formats = {"sh": _sh, "fish": _fish, "powershell": _powershell}
    if shell not in formats:
        raise ValueError(f"unknown shell {shell!r}: sh, fish, powershell or json")
    return "\n".join(formats[shell](name, value) for name, value in sorted(environment.items()))


def _sh(name: str, value: str | None) -> str:
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str | None) -> str:
    if value is None:
        return f"set -e {name}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    quoted = value.replace("'", "''")
    return f"$Env:{name} = '{quoted}'"


def _with_loopback(no_proxy: str) -> str:
    hosts = [host.strip() for host in no_proxy.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
