"""Connections to livestreams, each under a name (WHIP, RFC 9725; WHEP), for whoever serves them."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .browsers import Browsers
from .errors import RequestError
from .livestream import Livestream
from .tokens import LivestreamRole

if TYPE_CHECKING:
    from .webrtc.broadcast import Broadcast, BroadcastSession


class Broadcasts:
    """The connections of every livestream.

    Args:
        browsers: What knows WebRTC.
    """

    def __init__(self, browsers: Browsers) -> None:
        self._browsers = browsers
        self._broadcasts: WeakKeyDictionary[Livestream, Broadcast] = WeakKeyDictionary()
        self._sessions: dict[str, tuple[BroadcastSession, str | None]] = {}

    async def open(
        self, livestream: Livestream, holder_id: str, role: LivestreamRole, token: str | None, offer: str
    ) -> tuple[str, str]:
        """Answer an offer.

        Args:
            livestream: What to send or watch.
            holder_id: Who does.
            role: Streamer or viewer.
            token: What the client must show again later; None if it needs none.
            offer: Its SDP.

        Returns:
            The name of the connection, which nobody can guess, and the SDP of the answer.

        Raises:
            MissingExtraError: aiortc is not installed.
            RequestError: 409, somebody streams already; 422, the offer cannot be answered; 503, there are too
                many viewers, or the answer took too long.
        """
        media = await self._browsers.media()
        from .webrtc.broadcast import Broadcast, BroadcastSession
        from .webrtc.sdp import OfferError

        broadcast = self._broadcasts.get(livestream)
        if broadcast is None:
            broadcast = self._broadcasts[livestream] = Broadcast(media)
        name = secrets.token_urlsafe(16)
        session = BroadcastSession(
            livestream, broadcast, holder_id, role, lambda: self._sessions.pop(name, None)
        )
        try:
            answer = await session.answer(offer)
        except OfferError as error:
            raise RequestError(422, str(error)) from error
        except TimeoutError as error:
            raise RequestError(503, "the answer took too long: is the machine overloaded?") from error
        if not session.ended:
            self._sessions[name] = (session, token)
        return name, answer

    def find(self, name: str, role: LivestreamRole, token: str | None) -> BroadcastSession:
        """A connection that goes on.

        Raises:
            RequestError: 404, there is none; 401, another token was shown than when it was made.
        """
        session, known = self._sessions.get(name, (None, None))
        if session is None or session.role != role:
            raise RequestError(404, "There is no such connection")
        if known is not None and not hmac.compare_digest((token or "").encode(), known.encode()):
            raise RequestError(401, "Invalid token")
        return session

    def stop(self) -> None:
        """End every connection."""
        for livestream in tuple(self._broadcasts):
            livestream.end_sessions()
