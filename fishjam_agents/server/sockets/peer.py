"""The peer socket, `/socket/peer/websocket`: authentication and lifecycle of a browser peer.

Media events are read and ignored: no WebRTC is spoken here yet. Source: Fishjam's web client SDK.
"""

from __future__ import annotations

import logging

import betterproto

from ...errors import ProtocolError
from ...protocol import decode, encode
from ...protocol.generated import peer as schema
from ...session import PeerType
from ..peer import Peer
from ..room import Room
from ..rooms import Rooms
from ..tokens import TokenError
from .authenticated import AuthenticatedSocket
from .websocket import Connection

_log = logging.getLogger(__name__)

_FIELDS = 2048
"""The largest message, `sdp_offer`, has three maps of tracks, with four fields for each track."""

_ROOM_TYPES = {
    "conference": schema.RoomType.CONFERENCE,
    "full_feature": schema.RoomType.CONFERENCE,
    "audio_only": schema.RoomType.AUDIO_ONLY,
    "livestream": schema.RoomType.LIVESTREAM,
    "broadcaster": schema.RoomType.LIVESTREAM,
    "audio_only_livestream": schema.RoomType.LIVESTREAM,
}


class PeerSocket(AuthenticatedSocket):
    """One browser's connection."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__()
        self._rooms = rooms
        self._room: Room | None = None
        self._peer: Peer | None = None

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        super().closed()
        if self._room is not None and self._peer is not None:
            self._room.disconnect(self._peer, self)

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
        return True

    def handle(self, message: bytes) -> None:
        """Check a message of the peer."""
        try:
            decode(schema.PeerMessage, message, max_fields=_FIELDS)
        except ProtocolError as error:
            _log.warning("closing the peer's socket: %s", error)
            self.detach(1003, "invalid message")
