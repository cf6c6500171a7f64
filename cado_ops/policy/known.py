"""Questions to what AWS publishes of its actions, as the checker and the rewriter ask them."""

from __future__ import annotations

import functools

from cado_ops.policy import actions
from cado_ops.policy.matching import glob


def split_action(action: str) -> tuple[str, str]:
    """``ssm:SendCommand`` as service and name; the name is empty where there is no colon."""
    service, _, name = action.partition(":")
    return service.lower(), name


@functools.cache
def expand(pattern: str) -> tuple[str, ...]:
    """The actions that a pattern of one service means: ``ssm:Send*`` is ssm:SendCommand and one more."""
    service, name = split_action(pattern)
    return tuple(f"{service}:{each}" for each in actions.names(service) if glob(name, each, ignore_case=True))


def knows_no_resources(action: str) -> bool:
    """Whether an action works on ``"*"`` alone."""
    found = actions.find(action)
    return found is not None and not found.resource_types


def arn_patterns(action: str) -> tuple[str, ...]:
    """The ARNs that an action is about, ``*`` for all that varies; none for one that works on ``"*"`` alone."""
    found = actions.find(action)
    return found.arn_patterns if found is not None else ()


def is_read_only(action: str) -> bool:
    """Whether AWS calls its access level Read or List."""
    found = actions.find(action)
    return found is not None and not found.writes


def canonical(action: str) -> str:
    """An action's name as AWS writes it: case makes no difference to AWS, and two spellings are one action."""
    found = actions.find(action)
    return found.full_name if found else action
