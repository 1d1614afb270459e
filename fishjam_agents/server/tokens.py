"""Tokens of peers, streamers and viewers: signed, bound to one holder in one room, valid for 24 hours.

They are not stored, so the token of a deleted peer is still understood and can be refused with
`peer not found`, which ends a browser's attempts to reconnect (Fishjam's web client SDK). The key is made
with the server and never leaves it: no token outlives its server, or opens another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import FishjamAgentsError

LIFETIME_SECONDS = 24 * 3600
"""Fishjam's peer tokens live for a day (Fishjam docs, Security & Token Model)."""


LivestreamRole: TypeAlias = Literal["streamer", "viewer"]
Role: TypeAlias = Literal["peer"] | LivestreamRole
"""Role of a token's holder: in the room, or sending or watching a livestream."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom a token stands for.

    Attributes:
        room_id: The room.
        holder_id: The peer, streamer or viewer of it.
        role: Which of them it is.
    """

    room_id: str
    holder_id: str
    role: Role = "peer"


class TokenError(FishjamAgentsError):
    """A token is refused; the message is the close reason Fishjam's clients know."""


class RoomGoneError(TokenError):
    """A token is good, and the room it opens is gone."""


class Tokens:
    """Issues and reads peer tokens with a key of its own.

    Args:
        now: Seconds on a clock that only goes forward. Tokens end with their server, so it need not be one
            of the world: one that is set right does not make tokens expire, or live on.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)

    def issue(self, claim: Claim) -> str:
        """A new token; no two are equal."""
        expires = self._now() + LIFETIME_SECONDS
        claims = [claim.room_id, claim.holder_id, claim.role, expires, secrets.token_hex(8)]
        payload = url_text(json.dumps(claims).encode())
        return f"{payload}.{self._sign(payload)}"

    def read(self, token: str) -> Claim:
        """Whom `token` stands for.

        Raises:
            TokenError: `missing token`, `invalid token` or `expired token`.
        """
        if not token:
            raise TokenError("missing token")
        payload, _, signature = token.partition(".")
        # Nothing is decoded that we did not sign.
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            raise TokenError("invalid token")
        room_id, holder_id, role, expires, _ = json.loads(_bytes(payload))
        if self._now() >= expires:
            raise TokenError("expired token")
        return Claim(room_id, holder_id, role)

    def _sign(self, payload: str) -> str:
        return url_text(hmac.digest(self._key, payload.encode(), hashlib.sha256))


def url_text(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
