"""Bot's connection to a room of the embedded server, without a socket."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.protocol import Track, TrackImage, TrackType, decode_agent_response
from fishjam_agents.server.media.clock import RoomClock
from fishjam_agents.server.media.playout import Playout
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.peer import Peer
from fishjam_agents.server.room import Room
from fishjam_agents.server.sockets.network import Network

_AUDIO = b"\x01"
_INTERRUPT = b"\x00"


class MemoryTrack:
    """A track of the bot: the server's, behind an adjustable network. Is a `session.OutgoingTrack`.

    Attributes:
        options: What it was added with.
        ready: False while the bot's connection is lost; what is sent meanwhile is lost too.
        heard: What was played, as pieces with the position of their first sample, in samples of room time.
    """

    def __init__(self, source: AgentTrack, options: Any, clock: RoomClock, network: Network) -> None:
        self.options = options
        self.ready = True
        self.heard: list[tuple[int, Samples]] = []
        self._source = source
        self._clock = clock
        self._network = network
        self._link = network.link(self._arrive)

    @property
    def id(self) -> str:
        """Its id."""
        return self._source.track.id

    @property
    def playout(self) -> Playout:
        """The server's truth: what was played, and every cut."""
        return self._source.playout

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio."""
        self._send(_AUDIO + data)

    async def interrupt(self) -> None:
        """Drop what has not been played."""
        self._send(_INTERRUPT)

    def collect(self) -> None:
        """Note what was played in the window that is over."""
        self.heard += [(segment.position, segment.samples) for segment in self._source.segments()]

    def _send(self, message: bytes) -> None:
        if not self.ready:
            return
        if self._network.bends or not self._link.empty:
            self._link.send(message)
        else:
            self._arrive(message)

    def _arrive(self, message: bytes) -> None:
        if message == _INTERRUPT:
            self.playout.interrupt(self._clock.now)
        else:
            self.playout.write(message[1:], self._clock.now)


class MemorySession:
    """A bot's session in a room. Is a `session.Session`, a `peer.Listener` and a `peer.Attachment`.

    Args:
        room: The room.
        peer: The bot's peer in it.
        clock: The room's clock.
        network: What the bot's messages suffer on their way.

    Attributes:
        tracks: The tracks the bot has added.
        captured: Ids of the video tracks it asked stills of, as often as it asked.
        answers: False while stills are asked for in vain.
    """

    def __init__(self, room: Room, peer: Peer, clock: RoomClock, network: Network) -> None:
        self.tracks: list[MemoryTrack] = []
        self.captured: list[str] = []
        self.answers = True
        self._room = room
        self._peer = peer
        self._clock = clock
        self._network = network
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        room.connect(peer, self, self)

    def deliver(self, message: Any) -> None:
        """Hand any message to the bot; None ends the session, an exception breaks it."""
        self._messages.put_nowait(message)

    def hear(self, frames: bytes, count: int) -> None:
        """Part of `peer.Listener`: what the room sends in one tick."""
        for message in _messages(frames):
            self.deliver(decode_agent_response(message))

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`: the room is over."""
        self.deliver(None)

    async def receive(self) -> AsyncIterator[Any]:
        """Yield what the room sends, as from a socket: in a later turn of the loop."""
        while (message := await self._messages.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    async def add_track(self, options: Any) -> MemoryTrack:
        """Publish a track."""
        track = Track(str(uuid.uuid4()), int(TrackType.AUDIO), json.dumps(options.metadata))
        source = AgentTrack(track, options.sample_rate)
        self._room.add_track(self._peer, source)
        self.tracks.append(MemoryTrack(source, options, self._clock, self._network))
        return self.tracks[-1]

    async def capture_image(self, track_id: str) -> None:
        """Ask for a still: one a second and track is answered, as Fishjam does."""
        self.captured.append(track_id)
        if not self.answers:
            return

        def reply(picture: bytes) -> None:
            self.deliver(TrackImage(track_id, "image/jpeg", picture))

        self._room.capture(self._peer, track_id, self._clock.now, reply)

    def close(self) -> None:
        """Leave the room."""
        self._room.remove_peer(self._peer)


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
