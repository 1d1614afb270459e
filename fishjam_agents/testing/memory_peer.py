"""Somebody in a room in memory, who speaks, is muted, has a bad network and shows pictures."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.protocol import Track, TrackType
from fishjam_agents.server.media.camera import Camera
from fishjam_agents.server.media.playout import Segment
from fishjam_agents.server.peer import Peer
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType, track_metadata


class MemoryPeer:
    """A peer with one microphone. Is a `sources.Source` and a `peer.Attachment` of the embedded server.

    An open microphone sends a packet each 20 ms, silence where nothing is said.

    Args:
        room: The room.
        peer: The peer in it.
        metadata: Of the microphone's track.
        sample_rate: Hz of what is said, and of what the bot hears.

    Attributes:
        track: The microphone.
        acoustics: What a microphone makes of 20 ms of the voice: adds an echo or noise. None changes nothing.
        loss: Share of the packets that never arrive, 0 to 1; the same ones in every run.
    """

    finished = False
    speaking = None

    def __init__(self, room: Room, peer: Peer, metadata: Mapping[str, Any], sample_rate: int) -> None:
        self.track = Track(f"{peer.id}-mic", int(TrackType.AUDIO), json.dumps(dict(metadata)))
        self.acoustics: Callable[[Samples], Samples] | None = None
        self.loss = 0.0
        self.recording_rate = sample_rate
        self._room = room
        self._peer = peer
        self._muted = False
        self._cameras: dict[str, Camera] = {}
        self._line: Samples = np.empty(0, np.int16)
        self._window = 0
        self._frame: Samples | None = None
        self._late: list[bytes] = []
        self._arrived: list[bytes] = []
        self._stalled = 0
        self._random = random.Random(0)
        room.connect(peer, self)
        room.add_track(peer, self)

    @property
    def id(self) -> str:
        """The peer's id."""
        return self._peer.id

    @property
    def type(self) -> PeerType:
        """Browser or bot."""
        return self._peer.type

    # --- what a test does ---

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
            sound = load_speech(sound, self.recording_rate)
        self._line = np.concatenate((self._line, sound))
        return len(self._line) / self.recording_rate

    async def speak(self, sound: Samples | str | Path) -> None:
        """Speak as `say`, and return when it has been said."""
        await asyncio.sleep(self.say(sound) + FRAME_SECONDS)

    def stop_speaking(self) -> None:
        """Stop speaking in mid-word."""
        self._line = np.empty(0, np.int16)

    @property
    def muted(self) -> bool:
        """True if no packets come, as from a muted browser; what is said meanwhile is not heard."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        if muted == self._muted:
            return
        self._muted = muted
        metadata = {**track_metadata(self.track), "paused": muted}
        self.track = Track(self.track.id, self.track.type, json.dumps(metadata))
        self._room.track_metadata_updated(self._peer, self.track)

    def update_metadata(self, **metadata: Any) -> None:
        """Replace what it says of itself, as a browser's `updatePeerMetadata` does."""
        self._room.update_peer_metadata(self._peer, metadata)

    def republish(self, track: str) -> None:
        """Bring the microphone back under another track id, as after a reconnect."""
        self._room.remove_track(self._peer, self)
        self.track = Track(track, self.track.type, self.track.metadata)
        self._room.add_track(self._peer, self)

    def stall(self, seconds: float) -> None:
        """Let packets come late, as over a bad network: none for so long, then all of them at once."""
        self._stalled = round(seconds / FRAME_SECONDS)

    def show(self, picture: bytes, kind: str = "camera", *, paused: bool = False) -> str:
        """Publish a video track, or change what it shows.

        Args:
            picture: The still that `capture_image` is answered with, usually a JPEG.
            kind: Its metadata `type`: `camera` or `screenShareVideo`.
            paused: As a camera that was switched off: known, and never answered.

        Returns:
            Id of the track.
        """
        metadata = {"type": kind, "paused": paused}
        camera = self._cameras.get(kind)
        if camera is None:
            camera = self._cameras[kind] = Camera(f"{self.id}-{kind}", metadata, picture)
            self._room.add_track(self._peer, camera)
        else:
            camera.picture = picture
            camera.track = Track(camera.track.id, camera.track.type, json.dumps(metadata))
            self._room.track_metadata_updated(self._peer, camera.track)
        return camera.track.id

    # --- what the room asks ---

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`: it left."""

    def advance(self, ticks: int) -> bool:
        """Part of `sources.Source`."""
        self._window = ticks - 1
        size = round(self.recording_rate * FRAME_SECONDS)
        said, self._line = self._line[:size], self._line[size:]
        self._frame = None
        if not self._muted:
            if len(said) < size:
                said = np.concatenate((said, np.zeros(size - len(said), np.int16)))
            self._frame = said if self.acoustics is None else self.acoustics(said)
            if not self.loss or self._random.random() >= self.loss:
                self._late.append(self._frame.tobytes())
        if self._stalled:
            self._stalled -= 1
            self._arrived = []
        else:
            self._arrived, self._late = self._late, []
        return self._frame is not None or bool(self._arrived)

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Part of `sources.Source`: usually one. The bot is the only listener, so there is one rate."""
        return self._arrived

    def segments(self) -> Sequence[Segment]:
        """Part of `sources.Source`."""
        if self._frame is None:
            return ()
        return (Segment(self._window * len(self._frame), self._frame),)
