"""The SDK's session: what environment and profile configure, and the credentials that everything begins with."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError
from botocore.utils import JSONFileCache

from cado_ops.aws.faults import credential_problem, translate
from cado_ops.aws.service_models import use_cut_models
from cado_ops.errors import AwsError, Kind
from cado_ops.shell import quote


def open_session(profile: str | None) -> tuple[botocore.session.Session, Any]:
    """A session with this program's parsers and models, and botocore's credentials of whoever calls.

    It reads the environment and files that the AWS CLI reads. Raises AwsError (kind CREDENTIALS) where there are no
    usable credentials.
    """
    try:
        core = botocore.session.Session(profile=profile)
        # "AWS STS Regional endpoints", AWS SDKs and Tools reference guide: tokens of the global endpoint do not
        # work in opt-in regions.
        core.set_config_variable("sts_regional_endpoints", "regional")
        if os.environ.get("AWS_REGION"):
            # botocore knows AWS_DEFAULT_REGION alone; every other SDK and the AWS CLI put this one before it.
            core.set_config_variable("region", os.environ["AWS_REGION"])
        _prepare_assume_role(core)
        use_cut_models(core)
        use_short_parsers(core)
        base = core.get_credentials()
        if base is not None:
            base.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise translate(error, "AssumeRole", profile=profile, account="your profile's role") from error
    except (OSError, ValueError, RuntimeError) as error:
        # A credential_process that is not there or prints no JSON, a session that has ended when it comes:
        # botocore lets these through as they are.
        problem = CredentialRetrievalError(provider="your profile", error_msg=str(error))
        raise translate(problem, "AssumeRole", profile=profile, account=None) from error
    if base is None:
        problem_of_none = credential_problem(NoCredentialsError(), profile)
        assert problem_of_none is not None
        raise problem_of_none
    return core, base


def use_short_parsers(core: botocore.session.Session) -> None:
    """Lets what gateways want of an answer be all that is read of it."""
    try:
        from cado_ops.aws.parsers import FieldsParserFactory
    except ImportError:
        return  # another botocore: its own parsers read everything
    core.register_component("response_parser_factory", FieldsParserFactory())


def _prepare_assume_role(core: botocore.session.Session) -> None:
    """Profiles with a role: share the AWS CLI's cache of sessions, and ask for an MFA code only at a terminal."""
    resolver = core.get_component("credential_provider")
    cache = JSONFileCache(str(Path("~/.aws/cli/cache").expanduser()))
    for name in ("assume-role", "assume-role-with-web-identity"):
        provider = resolver.get_provider(name)
        provider.cache = cache
    assume_role = resolver.get_provider("assume-role")

    def prompt(question: str) -> str:
        if not sys.stdin.isatty():
            # getpass would fall back to reading stdin, which may hold instance ids.
            raise AwsError(
                "MfaNeeded",
                "MFA is needed for your profile, and there is no terminal to ask for the code.",
                hint="Get a session first, in a terminal: aws sts get-caller-identity"
                + (f" --profile {quote(core.profile)}" if core.profile else ""),
                kind=Kind.CREDENTIALS,
            )
        return getpass.getpass(question, stream=sys.stderr)

    assume_role._prompter = prompt
