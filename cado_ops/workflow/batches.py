"""A call that takes many instances and fails for all of them if one is bad: sent so that only the bad ones fail.

Instances that AWS names as missing are dropped and the rest sent again; a refusal that names nobody is halved until
the guilty instance stands alone. Pure but for the ``send`` that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cado_ops.errors import AwsError, Kind

# CreateTags and DeleteTags, EC2 API reference: up to 1,000 resources a call.
LARGEST = 1000
# After this many instances refused one by one, and none accepted, larger batches are not halved any further.
HOPELESS = 16

# Asking for fewer instances cannot help where the answer was not about the instances.
_NOT_ABOUT_INSTANCES = (Kind.CREDENTIALS, Kind.THROTTLED, Kind.TRANSPORT)


@dataclass
class Sent:
    """What became of each instance: the request id of the call that took it, or the error that refused it.

    ``not_sent`` are those that a stop left over.
    """

    accepted: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, AwsError] = field(default_factory=dict)
    not_sent: list[str] = field(default_factory=list)


def send_shrinking(
    ids: Sequence[str],
    send: Callable[[list[str]], str | None],
    named_missing: Callable[[AwsError], list[str]],
    stopped: Callable[[], bool] = lambda: False,
) -> Sent:
    """Calls ``send(ids)`` until every instance was accepted or refused by itself."""
    sent = Sent()
    waiting = [list(ids[start : start + LARGEST]) for start in range(0, len(ids), LARGEST)]
    refused_alone = 0
    # Those of a batch that may have been taken all the same: what is said of them later tells nothing of that.
    lost: set[str] = set()
    while waiting:
        batch = waiting.pop(0)
        if stopped():
            sent.not_sent += batch
            continue
        try:
            request_id = send(batch)
        except AwsError as error:
            lost |= set(batch) if error.answer_lost else set()
            gone = [bad for bad in named_missing(error) if bad in batch]
            if gone:
                sent.refused |= dict.fromkeys(gone, error)
                rest = [each for each in batch if each not in set(gone)]
                if rest:
                    waiting.insert(0, rest)
            elif len(batch) == 1:
                sent.refused[batch[0]] = error
                refused_alone += 1
            elif error.kind in _NOT_ABOUT_INSTANCES:
                sent.refused |= dict.fromkeys(batch, error)
            elif refused_alone >= HOPELESS and not sent.accepted and len(batch) > HOPELESS:
                sent.refused |= dict.fromkeys(batch, _not_tried(error, len(batch)))
            else:
                half = len(batch) // 2
                waiting[:0] = [batch[:half], batch[half:]]
        else:
            sent.accepted |= dict.fromkeys(batch, request_id)
    for each in lost & sent.refused.keys():
        sent.refused[each] = sent.refused[each].like(answer_lost=True)
    return sent


def _not_tried(error: AwsError, count: int) -> AwsError:
    remark = (
        f" (said of {count} instances together: like all that were tried before them, they were not tried singly)"
    )
    return error.like(message=error.message + remark)
