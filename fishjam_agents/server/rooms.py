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
from .tokens import Claim, LivestreamRole, RoomGoneError, TokenError, Tokens

_log = logging.getLogger(__name__)


class Rooms:
    """The registry of rooms, and the way from a token to its peer.

    Args:
        now: Seconds, for the life of tokens.

    Attributes:
        notifications: What happens in the rooms.
        tokens: Where peer tokens are issued.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
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

    def create(self, config: RoomConfig | None = None, room_id: str | None = None) -> Room:
        """Make a room.

        Args:
            config: What it is made with.
            room_id: Its id, one that no other room has; None chooses one, as Fishjam always does.
        """
        config = config or RoomConfig()
        room_id = room_id or str(uuid.uuid4())
        livestream = None
        if config.room_type in LIVESTREAM_TYPES:
            livestream = Livestream(
                room_id,
                lambda holder, role: self.tokens.issue(Claim(room_id, holder, role)),
                self.notifications,
            )
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
        """The room and the peer that a peer's token opens.

        Raises:
            TokenError: With the close reason Fishjam's clients know.
        """
        claim = self.tokens.read(token)
        if claim.role != "peer":
            raise TokenError("invalid token")
        room = self._room_of(claim)
        peer = room.peers.get(claim.holder_id)
        if peer is None:
            raise TokenError("peer not found")
        return room, peer

    def admit_to_stream(self, token: str, role: LivestreamRole) -> tuple[Room, Livestream, str]:
        """The livestream that a token opens for a streamer or a viewer, and the id of its holder.

        Raises:
            RoomGoneError: There is no such room any more.
            TokenError: It is refused.
        """
        claim = self.tokens.read(token)
        if claim.role != role:
            raise TokenError("invalid token")
        room = self._room_of(claim)
        if room.livestream is None or not room.livestream.admits(claim.holder_id):
            raise TokenError("invalid token")
        return room, room.livestream, claim.holder_id

    def _room_of(self, claim: Claim) -> Room:
        room = self._rooms.get(claim.room_id)
        if room is None:
            raise RoomGoneError("room not found")
        return room

    def tick(self, ticks: int) -> None:
        """Close the window that ends at tick `ticks` in every room."""
        for room in tuple(self._rooms.values()):
            try:
                room.tick(ticks)
            except Exception:  # noqa: BLE001 - whatever it is, it is not the other rooms' business
                self._failure.exception("room %s lost a window of 20 ms", room.id)
