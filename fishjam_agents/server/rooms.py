"""All rooms of the server."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator

from .errors import room_not_found
from .livestream import Livestream
from .notifications import Notifications
from .peer import Peer
from .rate_limited_log import RateLimitedLog
from .room import Room
from .settings import LIVESTREAM_TYPES, RoomConfig
from .tokens import Claim, TokenError, Tokens

_log = logging.getLogger(__name__)


class Rooms:
    """The registry of rooms, and the way from a token to its peer.

    Args:
        now: Seconds since the epoch, for the life of tokens.

    Attributes:
        notifications: What happens in the rooms.
        tokens: Where peer tokens are issued.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.notifications = Notifications()
        self.tokens = Tokens(now)
        self._failure = RateLimitedLog(_log)
        self._rooms: dict[str, Room] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(tuple(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    def find(self, room_id: str) -> Room | None:
        """The room of that id, if there is one."""
        return self._rooms.get(room_id)

    def get(self, room_id: str) -> Room:
        """The room of that id.

        Raises:
            RequestError: 404, there is none.
        """
        room = self._rooms.get(room_id)
        if room is None:
            raise room_not_found(room_id)
        return room

    def create(self, config: RoomConfig | None = None) -> Room:
        """Make a room."""
        config = config or RoomConfig()
        room_id = str(uuid.uuid4())
        livestream = None
        if config.room_type in LIVESTREAM_TYPES:
            livestream = Livestream(lambda holder: self.tokens.issue(Claim(room_id, holder)))
        room = Room(room_id, config, self.notifications, livestream)
        self._rooms[room.id] = room
        self.notifications.room_created(room.id)
        return room

    def delete(self, room_id: str) -> None:
        """Delete a room and everyone in it.

        Raises:
            RequestError: 404, there is none.
        """
        # Removed last: who is told of its end still finds out where it wanted that reported.
        self.get(room_id).close()
        del self._rooms[room_id]

    def token(self, room: Room, peer: Peer) -> str:
        """A new token for a peer; earlier ones stay valid."""
        return self.tokens.issue(Claim(room.id, peer.id))

    def admit(self, token: str) -> tuple[Room, Peer]:
        """Whom a token lets in.

        Raises:
            TokenError: With the close reason Fishjam's clients know.
        """
        claim = self.tokens.read(token)
        room = self._rooms.get(claim.room_id)
        if room is None:
            raise TokenError("room not found")
        peer = room.peers.get(claim.peer_id)
        if peer is None:
            raise TokenError("peer not found")
        return room, peer

    def tick(self, ticks: int) -> None:
        """Close the window that ends at tick `ticks` in every room."""
        for room in tuple(self._rooms.values()):
            try:
                room.tick(ticks)
            except Exception:  # noqa: BLE001 - whatever it is, it is not the other rooms' business
                self._failure.exception("room %s lost a window of 20 ms", room.id)
