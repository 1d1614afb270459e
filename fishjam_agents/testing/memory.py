"""Room in memory: the embedded server's, without its sockets, and a bot's session in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.fishjam.live_state import peer_view
from fishjam_agents.server.media.clock import RoomClock
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.server.sockets.network import Network
from fishjam_agents.session import PeerType, PeerView, track_metadata
from fishjam_agents.testing.memory_peer import MemoryPeer
from fishjam_agents.testing.memory_session import MemorySession

_BOT = "bot"


class MemoryRoom:
    """A room with a 20 ms clock whose peers a bot hears. Is its `RoomView` too.

    Peers, playout and rights are the embedded server's. Use as an async context manager: its clock runs
    meanwhile.

    Args:
        sample_rate: Hz of the audio the bot is sent.
        delay: Seconds the bot's messages take to the server.
        jitter: Largest extra, in seconds.
        session: Class of the bot's session.

    Attributes:
        sample_rate: The same.
        session: The bot's session, for `AgentPipeline.run`.
        network: What its messages suffer on their way; may be changed at any time.
        room: The embedded server's room.
        clock: Its clock.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        delay: float = 0.0,
        jitter: float = 0.0,
        *,
        session: type[MemorySession] = MemorySession,
    ) -> None:
        self.sample_rate = sample_rate
        self.network = Network(delay, jitter)
        self.clock = RoomClock()
        self._rooms = Rooms()
        self.room = self._rooms.create()
        bot = self.room.add_peer(PeerConfig(PeerType.AGENT, sample_rate=sample_rate), _BOT)
        self.session = session(self.room, bot, self.clock, self.network)
        self._members: dict[str, MemoryPeer] = {}
        self.clock.subscribe(self._tick)

    async def __aenter__(self) -> MemoryRoom:
        self.clock.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.clock.stop()
        self.session.close()

    @property
    def now(self) -> float:
        """Seconds since the room opened."""
        return self.clock.now

    # --- RoomView ---

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of now: the bot too."""
        return {
            peer.id: peer_view(
                peer.id,
                peer.type,
                peer.connected,
                peer.metadata,
                {source.track.id: track_metadata(source.track) for source in peer.sources.values()},
            )
            for peer in self.room.peers.values()
        }

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change, in a later turn of the loop; returns what ends it."""
        loop = asyncio.get_running_loop()

        def notified(room_id: str, message: bytes) -> None:
            loop.call_soon(changed)

        return self._rooms.notifications.subscribe(notified)

    # --- what a test does ---

    def join(
        self,
        peer: str,
        kind: PeerType = PeerType.WEBRTC,
        metadata: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> MemoryPeer:
        """Somebody comes in; their microphone is open.

        Args:
            peer: The peer's id.
            kind: Browser or bot.
            metadata: Of the microphone's track; None says that it is one.
            about: Of the peer itself, as Fishjam gives it: `{"peer": {...}, "server": {"name": "Ann"}}`.

        Raises:
            ValueError: Somebody of that id is in the room.
        """
        if peer in self.room.peers:
            raise ValueError(f"{peer!r} is in the room already: choose another id")
        about = about or {}
        added = self.room.add_peer(PeerConfig(kind, about.get("server", {})), peer)
        added.client_metadata = about.get("peer", {})
        track = {"type": "microphone"} if metadata is None else metadata
        self._members[peer] = MemoryPeer(self.room, added, track, self.sample_rate)
        return self._members[peer]

    @property
    def members(self) -> Mapping[str, MemoryPeer]:
        """Peer id to peer of everybody but the bot."""
        return self._members

    def leave(self, peer: str) -> None:
        """Somebody goes, in the middle of a word if need be."""
        del self._members[peer]
        self.room.remove_peer(self.room.peer(peer))

    def played(self) -> Samples:
        """Return the audio of the bot that the room heard, gaps as zeros: int16 mono at its track's rate."""
        track = self.session.tracks[0]
        wave = np.zeros(round(self.clock.ticks * FRAME_SECONDS * track.playout.sample_rate), np.int16)
        for position, samples in track.heard:
            samples = samples[: max(0, len(wave) - position)]
            wave[position : position + len(samples)] = samples
        return wave

    def _tick(self, ticks: int) -> None:
        self._rooms.tick(ticks)
        for track in self.session.tracks:
            track.collect()
