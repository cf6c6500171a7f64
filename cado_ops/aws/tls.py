"""The certificates that are trusted are read once, not for every connection.

urllib3, as botocore uses it, loads the CA bundle, some 150 certificates, anew for each connection: under TLS that
was half of a run's processor time (docs/performance.md, "What pays"). Here all clients share one context of TLS
per bundle. Where a client does not look as botocore 1.44 makes it, or brings certificates of its own, it is left
as it is.
"""

from __future__ import annotations

import ssl
import threading
from typing import Any

try:
    from botocore.httpsession import URLLib3Session, create_urllib3_context, get_cert_path
except ImportError:  # another botocore: its own way is taken
    URLLib3Session = None


class Trust:
    """The contexts of TLS that clients share, by the file of their CA bundle."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def share(self, client: Any) -> bool:
        """Gives a botocore client the shared context. False where it was left as it is."""
        session: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        if type(session) is not URLLib3Session:
            return False
        try:
            own = session._cert_file or session._proxy_config.settings
            verify, pool = session._verify, session._manager.connection_pool_kw
        except AttributeError:
            return False
        if own or not verify or "ssl_context" not in pool:
            return False
        try:
            context = self._context(get_cert_path(verify))
        except OSError:
            return False  # the file is not there: botocore says so, with its name
        pool["ssl_context"] = context
        # Of a proxy's connections too, which are made when first needed.
        session._get_ssl_context = lambda: context
        session._setup_ssl_cert = _already_set_up
        return True

    def _context(self, bundle: str) -> ssl.SSLContext:
        with self._lock:
            context = self._contexts.get(bundle)
            if context is None:
                context = create_urllib3_context()
                context.load_verify_locations(cafile=bundle)
                context.verify_mode = ssl.CERT_REQUIRED
                context.check_hostname = True
                self._contexts[bundle] = context
            return context


def _already_set_up(connection: Any, url: str, verify: Any) -> None:
    """In place of botocore's step that names the bundle to each pool, which loads it with every connection."""
    if url.lower().startswith("https"):
        connection.cert_reqs, connection.ca_certs = "CERT_REQUIRED", None
