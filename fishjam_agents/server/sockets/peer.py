"""The peer socket, `/socket/peer/websocket`: authentication and lifecycle of a browser peer.

Its media events go to `webrtc`, whose extra need not be installed. Source: Fishjam's web client SDK.
"""

from __future__ import annotations

import logging

import betterproto

from ...errors import MissingExtraError, ProtocolError
from ...protocol import decode, encode
from ...protocol.generated import media_peer
from ...protocol.generated import peer as schema
from ...protocol.peer_encoder import encode_error
from ...session import PeerType
from ..browsers import Browser, Browsers
from ..peer import REFUSED, Peer
from ..room import Room
from ..rooms import Rooms
from ..tokens import TokenError
from .authenticated import AuthenticatedSocket
from .websocket import Connection

_log = logging.getLogger(__name__)

_FIELDS = 2048
"""The largest message, `sdp_offer`, has three maps of tracks, with four fields for each track."""

MAX_WAITING = 256
"""Events a client may send before its first one has been answered: it has nothing to say but candidates."""

_ROOM_TYPES = {
    "conference": schema.RoomType.CONFERENCE,
    "full_feature": schema.RoomType.CONFERENCE,
    "audio_only": schema.RoomType.AUDIO_ONLY,
    "livestream": schema.RoomType.LIVESTREAM,
    "broadcaster": schema.RoomType.LIVESTREAM,
    "audio_only_livestream": schema.RoomType.LIVESTREAM,
}


class PeerSocket(AuthenticatedSocket):
    """One browser's connection.

    Args:
        rooms: Where tokens lead to.
        browsers: What makes a browser of a peer that wants media.
    """

    def __init__(self, rooms: Rooms, browsers: Browsers) -> None:
        super().__init__()
        self._rooms = rooms
        self._browsers = browsers
        self._browser: Browser | None = None
        self._left = False
        self._waiting: list[media_peer.MediaEvent] = []
        self._room: Room | None = None
        self._peer: Peer | None = None

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        super().closed()
        self._end()

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`."""
        if not self._left:
            super().detach(code, reason)

    def authenticate(self, connection: Connection, message: bytes) -> bool:
        """Admit the peer its token names; a connected one is taken over."""
        try:
            which, request = betterproto.which_one_of(
                decode(schema.PeerMessage, message, max_fields=_FIELDS), "content"
            )
        except ProtocolError:
            which, request = "", None
        if which != "auth_request" or request is None:
            connection.close(1000, "unauthenticated")
            return False
        try:
            room, peer = self._rooms.admit(request.token)
            if peer.type is not PeerType.WEBRTC:
                raise TokenError("invalid token")
        except TokenError as error:
            connection.close(1000, str(error))
            return False
        self._room, self._peer = room, peer
        authenticated = schema.PeerMessageAuthenticated(
            room_type=schema.RoomType(_ROOM_TYPES[room.config.room_type])
        )
        connection.send(encode(schema.PeerMessage(authenticated=authenticated)))
        room.connect(peer, self)
        # It will be wanted in a moment.
        self._browsers.load(lambda: None)
        return True

    def handle(self, message: bytes) -> None:
        """Take a message of the peer."""
        try:
            decoded = decode(schema.PeerMessage, message, max_fields=_FIELDS)
        except ProtocolError as error:
            _log.warning("closing the peer's socket: %s", error)
            self.detach(1003, "invalid message")
            return
        which, event = betterproto.which_one_of(decoded, "content")
        if which != "peer_media_event" or event is None:
            return
        if self._browser is not None:
            self._browser.handle(event)
            return
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._browsers.load(self._begin)
        elif len(self._waiting) > MAX_WAITING:
            self.detach(1008, "too many events before an answer")

    def _begin(self) -> None:
        """Let the peer have media, or tell it why it cannot."""
        connection = self.connection
        if self._room is None or self._peer is None or connection is None:
            return
        try:
            self._browser = self._browsers.add(
                self._room, self._peer, connection.send, connection.close, self._leave
            )
        except MissingExtraError as error:
            _log.error("%s", error)
            # Where the server is installed is nothing for a browser to know.
            needs = f"the server needs the extra {error.extra!r} for WebRTC"
            connection.send(encode_error(f"{needs}: its log says how to install it"))
            connection.close(1000, f"{REFUSED}: {needs}")
            return
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._browser.handle(event)

    def _leave(self) -> None:
        """The peer is disconnected, its socket is not."""
        self._left = True
        self._end()

    def _end(self) -> None:
        if self._browser is not None:
            self._browser.end()
        if self._room is not None and self._peer is not None:
            self._room.disconnect(self._peer, self)
