"""Takes away what makes the program faster than botocore is by itself."""

from __future__ import annotations

import pytest

import cado_ops.aws.repeat
import cado_ops.aws.session
from cado_ops.aws.tls import Trust


def use_stock_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections made from now on use botocore's own models, parsers, requests and contexts of TLS."""
    monkeypatch.setattr(cado_ops.aws.session, "use_cut_models", lambda core: None)
    monkeypatch.setattr(cado_ops.aws.session, "use_short_parsers", lambda core: None)
    monkeypatch.setattr(cado_ops.aws.repeat, "copy_of", lambda *_: None)
    monkeypatch.setattr(Trust, "share", lambda self, client: False)
