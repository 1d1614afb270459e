"""The embedded server's room without its sockets: for calls under a virtual clock."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from fishjam_agents.fishjam.live_state import peer_view
from fishjam_agents.protocol import Track, TrackImage, TrackType, decode_agent_response
from fishjam_agents.server import RoomClock
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.peer import Peer
from fishjam_agents.server.room import Room
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.server.sockets.network import Network
from fishjam_agents.session import PeerType, PeerView, track_metadata

_AUDIO = b"\x01"
_INTERRUPT = b"\x00"


class MemoryTrack:
    """A track of the bot. Part of `session.OutgoingTrack`."""

    def __init__(self, source: AgentTrack, clock: RoomClock, network: Network) -> None:
        self._source = source
        self._clock = clock
        self._network = network
        self._link = network.link(self._arrive)

    @property
    def id(self) -> str:
        """Its id."""
        return self._source.track.id

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio."""
        self._send(_AUDIO + data)

    async def interrupt(self) -> None:
        """Drop what has not been played."""
        self._send(_INTERRUPT)

    def _send(self, message: bytes) -> None:
        if self._network.bends or not self._link.empty:
            self._link.send(message)
        else:
            self._arrive(message)

    def _arrive(self, message: bytes) -> None:
        if message == _INTERRUPT:
            self._source.playout.interrupt(self._clock.now)
        else:
            self._source.playout.write(message[1:], self._clock.now)


class MemorySession:
    """A bot's connection to a room, without a socket.

    Part of `session.Session`, `peer.Listener` and `peer.Attachment`.

    Args:
        room: The room.
        clock: Its clock.
        network: What the bot's messages suffer on their way.
        sample_rate: Hz of what the bot hears.
    """

    def __init__(self, room: Room, clock: RoomClock, network: Network, sample_rate: int) -> None:
        self._room = room
        self._clock = clock
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._take: Callable[[Any], None] | None = None
        self._peer: Peer = room.add_peer(PeerConfig(PeerType.AGENT, sample_rate=sample_rate))
        room.connect(self._peer, self, self)

    def hear(self, frames: bytes, count: int) -> None:
        """Part of `peer.Listener`: what the room sends in one tick."""
        # In a later turn of the loop, as from a socket: what the bot decides comes after the tick.
        self._loop.call_soon(self._receive, frames)

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`: the room is over."""
        self._closed.set()

    async def listen(self, take: Callable[[Any], None]) -> None:
        """Hand every message to `take` until the session ends."""
        self._take = take
        await self._closed.wait()

    async def receive(self) -> AsyncIterator[Any]:
        """Yield what the room sends."""
        messages: asyncio.Queue[Any] = asyncio.Queue()
        self._take = messages.put_nowait
        while not self._closed.is_set():
            yield await messages.get()

    async def add_track(self, options: Any) -> MemoryTrack:
        """Publish a track."""
        track = Track(str(uuid.uuid4()), int(TrackType.AUDIO), json.dumps(options.metadata))
        source = AgentTrack(track, options.sample_rate)
        self._room.add_track(self._peer, source)
        return MemoryTrack(source, self._clock, self._network)

    async def capture_image(self, track_id: str) -> None:
        """Ask for a still; it comes in a later turn of the loop."""
        picture = self._room.capture(self._peer, track_id, self._clock.now)
        if picture is not None and self._take is not None:
            self._loop.call_soon(self._take, TrackImage(track_id, "image/jpeg", picture))

    def close(self) -> None:
        """Leave the room."""
        self._room.remove_peer(self._peer)

    def _receive(self, frames: bytes) -> None:
        if self._take is None:
            return
        for message in _messages(frames):
            self._take(decode_agent_response(message))


def _messages(frames: bytes) -> Iterator[bytes]:
    """The messages of unmasked WebSocket frames (RFC 6455, section 5.2)."""
    position = 0
    while position < len(frames):
        size, position = frames[position + 1], position + 2
        if size >= 126:
            digits = 2 if size == 126 else 8
            size = int.from_bytes(frames[position : position + digits])
            position += digits
        yield frames[position : position + size]
        position += size


class MemoryRoomView:
    """Peers of a room, as a bot sees them. Part of `session.RoomView`."""

    def __init__(self, rooms: Rooms, room: Room) -> None:
        self._rooms = rooms
        self._room = room

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of now."""
        return {
            peer.id: peer_view(
                peer.id,
                peer.type,
                peer.connected,
                peer.metadata,
                {source.track.id: track_metadata(source.track) for source in peer.sources.values()},
            )
            for peer in self._room.peers.values()
        }

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` in a later turn of the loop after every change."""
        loop = asyncio.get_running_loop()

        def notified(room_id: str, message: bytes) -> None:
            loop.call_soon(changed)

        return self._rooms.notifications.subscribe(notified)
