"""Rooms of a Fishjam as they were looked up last, and which of them have to be looked up again; no I/O.

Notifications are hints: they say which room to look at, never what it is like. So it does not matter in which
order they come, or how often, and what is lost is made up by the next full listing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from fishjam_agents.fishjam.live_state import state_of
from fishjam_agents.fishjam.models import Room
from fishjam_agents.fishjam.notifier import NotifierEvent
from fishjam_agents.fishjam.reconnect import Disconnected, Reconnected
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.session import FISHJAM, PeerType, PeerView
from fishjam_agents.worker.room_snapshot import Person, RoomSnapshot

MOST_LOOKUPS = 10
"""Rooms that are looked up one by one however few there are; of more, all are listed."""
ROOMS_PER_LOOKUP = 20
"""Rooms of a listing that cost more than looking one up: of many rooms, more are looked up one by one."""

_TELLING = (
    n.ServerMessageRoomCreated,
    n.ServerMessageRoomDeleted,
    n.ServerMessageRoomCrashed,
    n.ServerMessagePeerConnected,
    n.ServerMessagePeerDisconnected,
    n.ServerMessagePeerDeleted,
    n.ServerMessagePeerCrashed,
    n.ServerMessagePeerMetadataUpdated,
    n.ServerMessageTrackAdded,
)
"""Notifications after which a room may get another bot, or lose one. A track tells an agent that is a bot."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Next question to the server.

    Attributes:
        everything: Whether all rooms that matter are known after it.
        rooms: Rooms to look up one by one; None lists all there are.
    """

    everything: bool = False
    rooms: tuple[str, ...] | None = ()


class RoomsView:
    """The rooms. Everything has to be looked up at first.

    Args:
        only: Tells the rooms that matter at the moment; None where all do.

    Attributes:
        rooms: As of the last lookups, by their id.
    """

    def __init__(self, only: Callable[[], Collection[str]] | None = None) -> None:
        self.rooms: dict[str, RoomSnapshot] = {}
        self._only = only
        self._changed: dict[str, None] = {}
        self._all_changed = True

    @property
    def is_stale(self) -> bool:
        """True while something has to be looked up."""
        return self._all_changed or bool(self._changed)

    def notified(self, event: NotifierEvent) -> bool:
        """Take a notification, or what the notifier says of itself: whether something is stale now."""
        if isinstance(event, Reconnected):
            self._all_changed = True
        elif (
            isinstance(event, Disconnected)
            or not isinstance(event, _TELLING)
            or (self._only is not None and event.room_id not in self._only())
            or self._changes_nothing(event)
        ):
            return False
        else:
            self.touch(event.room_id)
        return True

    def _changes_nothing(self, event: NotifierEvent) -> bool:
        """Return whether a notification that comes often leaves open nothing that matters.

        Tracks of people do not, and metadata - a button pressed to talk - in a room that has its bot, which
        is looked up again when the bot leaves.
        """
        if isinstance(event, n.ServerMessageTrackAdded):
            room = self.rooms.get(event.room_id)
            return room is not None and any(person.id == event.peer_id for person in room.people)
        if isinstance(event, n.ServerMessagePeerMetadataUpdated):
            room = self.rooms.get(event.room_id)
            return room is not None and bool(room.bots)
        return False

    def touch(self, room_id: str) -> None:
        """A room has to be looked up again."""
        self._changed[room_id] = None

    def touch_all(self) -> None:
        """All rooms have to be looked up again."""
        self._all_changed = True

    def next_lookup(self) -> Lookup:
        """Return what to ask for now; what is told from here on is asked for the time after.

        An answer goes to `listed` or `looked_up`; where none comes, `touch` or `touch_all` has to follow.
        """
        most = max(MOST_LOOKUPS, len(self.rooms) // ROOMS_PER_LOOKUP)
        everything = self._all_changed or (self._only is None and len(self._changed) > most)
        if not everything:
            wanted = Lookup(rooms=tuple(self._changed))
        elif self._only is None:
            wanted = Lookup(everything=True, rooms=None)
        else:
            only = self._only()
            self.rooms = {id: room for id, room in self.rooms.items() if id in only}
            wanted = Lookup(everything=True, rooms=tuple(only))
        self._all_changed = False
        self._changed.clear()
        return wanted

    def listed(self, rooms: Iterable[RoomSnapshot]) -> None:
        """All rooms, as REST lists them."""
        self.rooms = {room.id: room for room in rooms}

    def looked_up(self, room_id: str, room: Room | None) -> None:
        """A room as REST tells it; None if there is no such room."""
        if room is None:
            self.rooms.pop(room_id, None)
        else:
            self.rooms[room_id] = snapshot(room)


def snapshot(room: Room) -> RoomSnapshot:
    """Return what matters of a room that REST describes."""
    everybody = state_of(room).peers.values()
    peers = [peer for peer in everybody if peer.connected]
    return RoomSnapshot(
        room.id,
        str(room.config.room_type),
        tuple(
            Person(peer.id, (peer.server_metadata, peer.client_metadata))
            for peer in peers
            if peer.type is PeerType.WEBRTC
        ),
        tuple(peer.id for peer in peers if peer.type is PeerType.AGENT and _is_bot(peer)),
        tuple(peer.id for peer in everybody if peer.type is PeerType.AGENT and not peer.connected),
    )


def _is_bot(peer: PeerView) -> bool:
    marks = [metadata for metadata in peer.tracks.values() if isinstance(metadata, Mapping)]
    return any(FISHJAM.is_marked(metadata) for metadata in marks)
