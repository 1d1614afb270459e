"""Rooms and peers by name, for demos without a backend (Fishjam docs, Sandbox API).

Whoever asks for the same names gets the same room and the same peer, each time with a new token.
"""

from __future__ import annotations

import dataclasses

from ..session import PeerType
from .errors import RequestError
from .moq import MoqGrant
from .peer import Peer
from .room import Room
from .rooms import Rooms
from .settings import LIVESTREAM_TYPES, PeerConfig, read_room_config

MAX_PEER_NAME = 50
MAX_ROOM_NAME = 100
"""Characters of a name (Fishjam docs, Sandbox API)."""

MAX_NAMES = 1000
"""Rooms that have a name, and peers in each. Nobody deletes them, and nobody had to say who they are to make
them. Our choice."""

MOQ_ACCESS = {"publisher": (True, False), "subscriber": (False, True), "full-access": (True, True)}
"""Rights to publish and to subscribe, by kind of access."""


class Sandbox:
    """The rooms that were asked for by name.

    Args:
        rooms: Where they are made.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._named: dict[str, Room] = {}
        self._peers: dict[tuple[Room, str], Peer] = {}

    def room(self, name: str, room_type: str | None = None, *, public: bool = False) -> Room:
        """The room of a name, made when it is first asked for, with VP8 as in Fishjam's sandbox.

        Args:
            name: The name.
            room_type: Of a room that is new; None is a conference.
            public: Whether a livestream that is new needs no viewer's token.

        Raises:
            RequestError: 400, the name or the type is none; 503, there are too many.
        """
        _check("roomName", name, MAX_ROOM_NAME)
        config = read_room_config({"roomType": room_type, "videoCodec": "vp8"})
        self._forget()
        room = self._named.get(name)
        if room is None:
            if len(self._named) >= MAX_NAMES:
                raise RequestError(503, f"the sandbox has {MAX_NAMES} rooms: delete some")
            room = self._named[name] = self._rooms.create(dataclasses.replace(config, public=public))
        return room

    def peer(self, room: Room, name: str) -> Peer:
        """The peer of a name in a room, made when it is first asked for.

        Raises:
            RequestError: 400, the name is none, or the room is a livestream; 503, there are too many.
        """
        _check("peerName", name, MAX_PEER_NAME)
        peer = self._peers.get((room, name))
        if peer is None or room.peers.get(peer.id) is not peer:
            if len(room.peers) >= MAX_NAMES:
                raise RequestError(503, f"the room has {MAX_NAMES} peers: delete some")
            peer = room.add_peer(PeerConfig(PeerType.WEBRTC, {"name": name}))
            self._peers[room, name] = peer
        return peer

    def livestream(self, name: str) -> Room:
        """The livestream of a name.

        Raises:
            RequestError: 404, there is none.
        """
        self._forget()
        room = self._named.get(name)
        if room is None or room.livestream is None:
            raise RequestError(404, f"there is no livestream called {name}")
        return room

    def _forget(self) -> None:
        """Forget rooms that were deleted, and their peers."""
        alive = {room.id for room in self._rooms}
        self._named = {name: room for name, room in self._named.items() if room.id in alive}
        self._peers = {key: peer for key, peer in self._peers.items() if key[0].id in alive}


def moq_grant(name: str, kind: str) -> MoqGrant:
    """Access to the MoQ paths under a name.

    Raises:
        RequestError: 400, the name is none; 404, there is no such kind of access.
    """
    _check("name", name, MAX_ROOM_NAME)
    if kind not in MOQ_ACCESS:
        raise RequestError(404, f"there is no access called {kind}: ask for {', '.join(MOQ_ACCESS)}")
    publish, subscribe = MOQ_ACCESS[kind]
    return MoqGrant(name if publish else None, name if subscribe else None)


def stream_type(room_type: str | None) -> str:
    """Type of a livestream's room.

    Raises:
        RequestError: 400, it is no livestream's.
    """
    if room_type is None:
        return "livestream"
    if room_type not in LIVESTREAM_TYPES:
        raise RequestError(400, f"roomType must be one of {', '.join(LIVESTREAM_TYPES)}, not {room_type}")
    return room_type


def _check(what: str, name: str, most: int) -> None:
    if not 1 <= len(name) <= most:
        raise RequestError(400, f"{what} must have 1 to {most} characters, not {len(name)}")
