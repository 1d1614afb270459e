"""Checks of addresses before anything is asked of them: pure, nothing is looked up."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}

REDIS_SCHEMES = ("redis", "rediss", "unix")
"""Schemes of a Redis (redis-py, `Redis.from_url`)."""

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\[\]/?#@:\\,%*]+)(?::(?P<port>[0-9]{1,5}))?")

NO_HOST = "must be names like bot.example or bot.example:8443, not {!r}"
NO_ORIGIN = "must be origins like http://localhost:5173 (scheme, host and port alone), not {!r}"
"""Fault of an entry that `read_authority` or `read_origin` cannot read, as the sentence about its
setting goes on."""


class Authority(NamedTuple):
    """Host and port of a URL or of a `Host` header.

    Attributes:
        host: In lower case, an IPv6 address without brackets.
        port: None where it is left out.
    """

    host: str
    port: int | None

    def at(self, scheme: str) -> Authority:
        """With the port that `scheme`, `http` or `https`, stands for where none is given."""
        return Authority(self.host, _PORTS.get(scheme) if self.port is None else self.port)


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


def is_http_url(url: str) -> bool:
    """Return whether something can be asked of, or posted to, a URL: `http` or `https`, with a host."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        # Its brackets do not match.
        return False
    # Clients take no control characters (RFC 3986, section 2).
    return scheme in _PORTS and has_host(url) and url.isprintable()


def is_redis_url(url: str) -> bool:
    """Return whether a URL can be one of Redis: with a host, or of `unix` with a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not url.isprintable():
        return False
    return bool(parts.path) if parts.scheme == "unix" else parts.scheme in REDIS_SCHEMES and has_host(url)


def read_authority(text: str) -> Authority | None:
    """`host` or `host:port` (RFC 3986, section 3.2, without user information); None if it is neither."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or not has_host(f"http://{text}"):
        return None
    port = match["port"]
    return Authority(match["host"].strip("[]").lower(), None if port is None else int(port))


def read_origin(text: str) -> tuple[str, Authority] | None:
    """Scheme and authority of an origin as browsers write it (RFC 6454, section 6.2), with its port.

    None for anything else: `null`, a URL with a path, a scheme other than `http` and `https`.
    """
    scheme, separator, rest = text.partition("://")
    authority = read_authority(rest)
    if not separator or scheme not in _PORTS or authority is None:
        return None
    return scheme, authority.at(scheme)
