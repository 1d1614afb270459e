"""Peer tokens: signed, bound to one peer of one room, valid for 24 hours.

They are not stored, so the token of a deleted peer is still understood and can be refused with
`peer not found`, which ends a browser's attempts to reconnect (Fishjam's web client SDK).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import FishjamAgentsError

LIFETIME_SECONDS = 24 * 3600
"""Fishjam's peer tokens live for a day (Fishjam docs, Security & Token Model)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom a token stands for.

    Attributes:
        room_id: The room.
        peer_id: The peer in it.
    """

    room_id: str
    peer_id: str


class TokenError(FishjamAgentsError):
    """A token is refused; the message is the close reason Fishjam's clients know."""


class Tokens:
    """Issues and reads peer tokens with a key of its own.

    Args:
        now: Seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)

    def issue(self, claim: Claim) -> str:
        """A new token; no two are equal."""
        expires = self._now() + LIFETIME_SECONDS
        payload = json.dumps([claim.room_id, claim.peer_id, expires, secrets.token_hex(8)]).encode()
        return url_text(payload) + "." + url_text(self._sign(payload))

    def read(self, token: str) -> Claim:
        """Whom `token` stands for.

        Raises:
            TokenError: `missing token`, `invalid token` or `expired token`.
        """
        if not token:
            raise TokenError("missing token")
        payload_text, _, signature_text = token.partition(".")
        try:
            payload, signature = _bytes(payload_text), _bytes(signature_text)
        except (binascii.Error, ValueError) as error:
            raise TokenError("invalid token") from error
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise TokenError("invalid token")
        room_id, peer_id, expires, _ = json.loads(payload)
        if self._now() >= expires:
            raise TokenError("expired token")
        return Claim(room_id, peer_id)

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)


def url_text(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
