"""A room in memory: peers that speak, a bot's session, and a server that plays by Fishjam's rules."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.fishjam.live_state import peer_view
from fishjam_agents.protocol.messages import Track, TrackData, TrackImage
from fishjam_agents.server.media.playout import Playout
from fishjam_agents.server.sockets.network import Network
from fishjam_agents.session import PeerType, PeerView

Samples = npt.NDArray[np.int16]

_TICK = 0.02
_SHUTTER = 0.1
"""Seconds until a still arrives."""


class MemoryPeer:
    """Somebody in the room with one microphone.

    Attributes:
        id: The peer's id.
        track: Its microphone.
        type: Browser or bot.
        about: What the room says of the peer: `{"peer": {...}, "server": {...}}`.
        muted: While true no packets come, as from a muted browser; else silence is sent between lines.
        video: Track id to metadata and still of what it shows.
    """

    def __init__(
        self,
        room: MemoryRoom,
        peer: str,
        kind: PeerType,
        metadata: Mapping[str, Any],
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = peer
        self.about = about
        self.type = kind
        self.muted = False
        self.video: dict[str, tuple[Mapping[str, Any], bytes]] = {}
        self.track = Track(f"{peer}-mic", 2, json.dumps(dict(metadata)))
        self._room = room
        self._line: Samples = np.empty(0, np.int16)
        self._late: list[Samples] = []
        self._stall = 0

    def say(self, sound: Samples | str | Path) -> float:
        """Speak from the next tick on, after what is still being said.

        Args:
            sound: A WAV file, or int16 mono at the room's rate, shape (n,).

        Returns:
            How long it takes, with what was still being said, in seconds.

        Raises:
            AudioError: The file cannot be used.
        """
        if isinstance(sound, (str, Path)):
            sound = load_speech(sound, self._room.sample_rate)
        self._line = np.concatenate((self._line, sound))
        return len(self._line) / self._room.sample_rate

    async def speak(self, sound: Samples | str | Path) -> None:
        """Speak as `say`, and return when it has been said."""
        await asyncio.sleep(self.say(sound) + _TICK)

    def stop_speaking(self) -> None:
        """Stop speaking in mid-word."""
        self._line = np.empty(0, np.int16)

    def say_of_itself(self, **metadata: Any) -> None:
        """Its metadata are others, as after a browser's `updatePeerMetadata`; the room is told."""
        self.about = {**(self.about or {}), "peer": metadata}
        self._room.changed()

    def republish(self, track: str) -> None:
        """The microphone comes back under another track id, as after a reconnect."""
        self.track = Track(track, self.track.type, self.track.metadata)

    def stall(self, seconds: float) -> None:
        """Let packets come late, as over a bad network: none for so long, then all of them at once."""
        self._stall = round(seconds / _TICK)

    def packets(self) -> list[Samples]:
        """Return the packets that arrive from the peer in this tick, 20 ms each: usually one."""
        frame = self.next_frame()
        if frame is not None:
            self._late.append(frame)
        if self._stall:
            self._stall -= 1
            return []
        arrived, self._late = self._late, []
        return arrived

    def show(self, picture: bytes, kind: str = "camera", *, paused: bool = False) -> str:
        """Publish a video track, or change what it shows.

        Args:
            picture: The still that `capture_image` is answered with, usually a JPEG.
            kind: Its metadata `type`: `camera` or `screenShareVideo`.
            paused: As a camera that was switched off: known, and never answered.

        Returns:
            Id of the track.
        """
        track = f"{self.id}-{kind}"
        self.video[track] = ({"type": kind, "paused": paused}, picture)
        self._room.changed()
        return track

    def next_frame(self) -> Samples | None:
        """The next 20 ms; None while no packets come."""
        if self.muted:
            return None
        size = self._room.frame_samples
        frame, self._line = self._line[:size], self._line[size:]
        if len(frame) < size:
            frame = np.concatenate((frame, np.zeros(size - len(frame), np.int16)))
        return frame


class MemoryTrack:
    """The bot's track. Follows Fishjam's playout rules behind an adjustable network.

    Attributes:
        playout: The server's truth: what was played, and every cut.
        interrupts: How many interrupts arrived.
        ready: False while the bot's connection is lost.
        heard: What was played, as pieces with the position of their first sample in room time.
    """

    def __init__(self, track: str, options: Any, network: Network, zero: float) -> None:
        self.id = track
        self.options = options
        self.playout = Playout(options.sample_rate)
        self.interrupts = 0
        self.ready = True
        self.heard: list[tuple[int, Samples]] = []
        self._zero = zero
        self._loop = asyncio.get_running_loop()
        self._link = network.link(self._arrive)

    def advance(self, now: float) -> None:
        """Play until `now`, seconds of room time."""
        for segment in self.playout.play(round(now * self.playout.sample_rate)):
            self.heard.append((segment.position, segment.samples))

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio; what is sent on a lost connection is lost."""
        if self.ready:
            self._link.send(b"\x01" + data)

    async def interrupt(self) -> None:
        """Drop what has not been played."""
        if self.ready:
            self._link.send(b"\x00")

    def _arrive(self, message: bytes) -> None:
        now = self._loop.time() - self._zero
        self.advance(now)
        if message[0]:
            self.playout.write(message[1:], now)
        else:
            self.interrupts += 1
            self.playout.interrupt(now)


class MemorySession:
    """An agent's session in a `MemoryRoom`; what `AgentPipeline.run` is given.

    Attributes:
        tracks: The tracks the bot has added.
        captured: Ids of the video tracks it asked stills of, as often as it asked.
        answers: False while stills are asked for in vain.
    """

    def __init__(self, room: MemoryRoom) -> None:
        self.tracks: list[MemoryTrack] = []
        self.captured: list[str] = []
        self.answers = True
        self._stills: dict[str, float] = {}
        self._room = room
        self._messages: asyncio.Queue[Any] = asyncio.Queue()

    def deliver(self, message: Any) -> None:
        """Hand any message to the bot; None ends the session, an exception breaks it."""
        self._messages.put_nowait(message)

    async def receive(self) -> AsyncIterator[Any]:
        """Yield what the room sends."""
        while (message := await self._messages.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    async def add_track(self, options: Any) -> MemoryTrack:
        """Add a track of the bot."""
        track = MemoryTrack(f"bot-{len(self.tracks) + 1}", options, self._room.network, self._room.zero)
        self.tracks.append(track)
        return track

    async def capture_image(self, track_id: str) -> None:
        """Ask for a still: one a second and track is answered, as Fishjam does."""
        self.captured.append(track_id)
        metadata, picture = self._room.video.get(track_id, ({"paused": True}, b""))
        loop = asyncio.get_running_loop()
        if metadata["paused"] or not self.answers or loop.time() - self._stills.get(track_id, -1.0) < 1.0:
            return
        self._stills[track_id] = loop.time()
        loop.call_later(_SHUTTER, self.deliver, TrackImage(track_id, "image/jpeg", picture))


class MemoryRoom:
    """A room with a 20 ms clock: every peer's microphone goes to the bot's session. Is its `RoomView` too.

    Use as an async context manager.

    Args:
        sample_rate: Hz of the audio the bot is sent.
        delay: Seconds the bot's messages take to the server.
        jitter: Largest extra, in seconds.

    Attributes:
        session: The bot's session.
        zero: Loop time at which the room opened.
    """

    def __init__(self, sample_rate: int = 16000, delay: float = 0.0, jitter: float = 0.0) -> None:
        self.sample_rate = sample_rate
        self.frame_samples = sample_rate // 50
        self.network = Network(delay, jitter)
        self.zero = 0.0
        self.session = MemorySession(self)
        self._members: dict[str, MemoryPeer] = {}
        self._subscribers: dict[int, Callable[[], None]] = {}
        self._keys = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0

    async def __aenter__(self) -> MemoryRoom:
        loop = asyncio.get_running_loop()
        self.zero = loop.time()
        self._timer = loop.call_at(self.zero + _TICK, self._tick)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def now(self) -> float:
        """Seconds since the room opened."""
        return asyncio.get_running_loop().time() - self.zero

    # --- RoomView ---

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of now."""
        return {
            peer.id: peer_view(
                peer.id,
                peer.type,
                True,
                peer.about,
                {
                    peer.track.id: json.loads(peer.track.metadata),
                    **{track: metadata for track, (metadata, _) in peer.video.items()},
                },
            )
            for peer in self._members.values()
        }

    @property
    def video(self) -> Mapping[str, tuple[Mapping[str, Any], bytes]]:
        """Metadata and still of every video track."""
        return {track: shown for peer in self._members.values() for track, shown in peer.video.items()}

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every join and leave; returns the function that ends it."""
        key = next(self._keys)
        self._subscribers[key] = changed
        return lambda: self._subscribers.pop(key, None) and None

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
        """
        track = {"type": "microphone"} if metadata is None else metadata
        member = MemoryPeer(self, peer, kind, track, about)
        self._members[peer] = member
        self.changed()
        return member

    @property
    def members(self) -> Mapping[str, MemoryPeer]:
        """Members of the room."""
        return self._members

    def leave(self, peer: str) -> None:
        """Somebody goes."""
        del self._members[peer]
        self.changed()

    def changed(self) -> None:
        """Tell who subscribed to look again."""
        for changed in list(self._subscribers.values()):
            changed()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticks += 1
        for peer in list(self._members.values()):
            for frame in peer.packets():
                self.session.deliver(TrackData(peer.id, peer.track, frame.tobytes()))
        for track in self.session.tracks:
            track.advance(self._ticks * _TICK)
        self._timer = loop.call_at(self.zero + (self._ticks + 1) * _TICK, self._tick)

    def played(self) -> Samples:
        """Return the audio of the bot that the room heard, gaps as zeros: int16 mono at its track's rate."""
        track = self.session.tracks[0]
        wave = np.zeros(round(self._ticks * _TICK * track.playout.sample_rate), np.int16)
        for position, samples in track.heard:
            samples = samples[: max(0, len(wave) - position)]
            wave[position : position + len(samples)] = samples
        return wave
