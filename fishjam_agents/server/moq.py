"""Access to a MoQ relay: a signed statement of what may be published and subscribed to.

There is no relay here; the token is what Fishjam's would be, for a relay that knows the key
(Fishjam docs, MoQ with Fishjam). JWT: RFC 7519 with HS256 of RFC 7518, section 3.2.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import RequestError
from .tokens import url_text

ROOT = "local"
"""The tenant, which in the cloud is the Fishjam id."""

DEFAULT_TTL = 3600
MAX_TTL = 604800


@dataclass(frozen=True, slots=True)
class MoqGrant:
    """Permissions of a token; paths are prefixes.

    Attributes:
        publish: Path that may be published under, or None.
        subscribe: Path that may be subscribed to, or None.
        ttl: Seconds the token is valid.
    """

    publish: str | None
    subscribe: str | None
    ttl: int = DEFAULT_TTL


class MoqAccess:
    """Signs grants.

    Args:
        now: Seconds since the epoch.

    Attributes:
        key: The HS256 key, for whoever verifies the tokens.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.key = secrets.token_bytes(32)
        self._now = now

    def token(self, grant: MoqGrant) -> str:
        """A JWT with the claims `root`, `put`, `get`, `iat` and `exp`."""
        issued = int(self._now())
        claims = {
            "root": ROOT,
            "put": [] if grant.publish is None else [grant.publish],
            "get": [] if grant.subscribe is None else [grant.subscribe],
            "iat": issued,
            "exp": issued + grant.ttl,
        }
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{signed}.{url_text(hmac.digest(self.key, signed.encode(), hashlib.sha256))}"


def read_moq_grant(body: Mapping[str, Any]) -> MoqGrant:
    """Read the body of `POST /moq/access`.

    Raises:
        RequestError: 400, no path is given, or a value is not what the key takes.
    """
    publish, subscribe = _path(body, "publishPath"), _path(body, "subscribePath")
    if publish is None and subscribe is None:
        raise RequestError(400, "Expected publishPath or subscribePath")
    ttl = body.get("ttl")
    if ttl is None:
        ttl = DEFAULT_TTL
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 < ttl <= MAX_TTL:
        raise RequestError(400, f"Expected ttl to be a number of seconds up to {MAX_TTL}, got: {ttl}")
    return MoqGrant(publish, subscribe, ttl)


def _path(body: Mapping[str, Any], key: str) -> str | None:
    path = body.get(key)
    if path is not None and not isinstance(path, str):
        raise RequestError(400, f"Expected {key} to be a path, got: {path}")
    return path or None


def _part(value: Mapping[str, Any]) -> str:
    return url_text(json.dumps(value, separators=(",", ":")).encode())
