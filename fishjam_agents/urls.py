"""Checks of addresses before anything is asked of them: pure, nothing is looked up."""

from __future__ import annotations

from urllib.parse import urlsplit


def has_host(url: str) -> bool:
    """Return whether a URL names a host that can be one, and a port, if any, that there is.

    A label of a name has at most 63 characters, and none is empty (RFC 1035, section 2.3.4). Clients that are
    given another one raise `UnicodeError`, which is no `OSError`.
    """
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
