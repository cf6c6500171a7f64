"""The SDK's own debug log, for whoever turns it on: a line each, without the secrets that botocore writes."""

from __future__ import annotations

import logging

from cado_ops.redaction import redacted, trace
from cado_ops.visible import sanitize

_FAMILIES = ("boto3", "botocore", "urllib3", "s3transfer")


class _Redacting(logging.Filter):
    """Rewrites each record; drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = sanitize(redacted(record.getMessage())), ()
        if record.exc_info:
            record.exc_text = trace(error).rstrip() if (error := record.exc_info[1]) else None
            record.exc_info = None
        return True


_FILTER = _Redacting()


def redact_sdk_logs() -> None:
    """Puts the filter on every logger of the SDK that there is by now: it does not reach those below by itself."""
    for name in [*_FAMILIES, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _FAMILIES:
            # The same filter is added once only.
            logging.getLogger(name).addFilter(_FILTER)
