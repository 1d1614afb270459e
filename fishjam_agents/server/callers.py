"""Simulated callers: peers that live inside the server and speak PCM, for simulations and tests.

To everyone else they are browsers: type `webrtc`, a microphone track, the same notifications.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Any

from ..audio.formats import FRAMES_PER_SECOND
from ..audio.samples import Samples
from ..audio.wav import Clip
from .media.camera import Camera
from .media.clock import RoomClock
from .media.microphone import Microphone, PreparedClip
from .peer import Peer
from .room import Room


class Caller:
    """One simulated caller. Make it with `EmbeddedServer.add_caller`.

    Attributes:
        room: The room it is in.
        peer: Its peer.
        microphone: Its track while it is joined, and the last one after it left.
        cameras: What it shows, by the track's metadata `type`.
    """

    def __init__(self, room: Room, peer: Peer, clock: RoomClock) -> None:
        self.room = room
        self.peer = peer
        self.microphone = self._new_microphone()
        self.cameras: dict[str, Camera] = {}
        self._clock = clock

    @property
    def id(self) -> str:
        """The peer's id."""
        return self.peer.id

    @property
    def joined(self) -> bool:
        """True while it is connected to its room."""
        return self.peer.attachment is self

    @property
    def speaks_until(self) -> float:
        """Room time at which everything scheduled has been said, in seconds; 0.0 if nothing ever was."""
        return max(self.microphone.last_window, 0) / FRAMES_PER_SECOND

    def join(self) -> None:
        """Connect and publish the microphone, as a browser that allows its use. Does nothing when joined."""
        if self.joined:
            return
        self.microphone = self._new_microphone()
        self.room.connect(self.peer, self)
        self.room.update_peer_metadata(self.peer, {})
        self.room.add_track(self.peer, self.microphone)
        for camera in self.cameras.values():
            self.room.add_track(self.peer, camera)

    def leave(self) -> None:
        """Disconnect, in the middle of a word if need be; what is scheduled is forgotten."""
        self.room.disconnect(self.peer, self)

    def say(self, clip: Clip | PreparedClip, at: float | None = None) -> float:
        """Speak a clip of any rate, mono or stereo.

        Args:
            clip: What to say; a `PreparedClip` is resampled once for all who say it.
            at: Room time of its first sample, in seconds, taken to the next tick; None is the next tick. A
                line that begins while another one plays cuts it off.

        Returns:
            Room time of its first sample, in seconds.
        """
        line = clip if isinstance(clip, PreparedClip) else PreparedClip(clip)
        window = self._clock.ticks
        if at is not None:
            # A position that is a multiple of 20 ms must not be pushed a tick on by its rounding error.
            window = max(window, math.ceil(at * FRAMES_PER_SECOND - 1e-6))
        # Resampled now, for the rates listeners asked for, and not in the middle of a tick.
        for peer in self.room.peers.values():
            line.at_rate(peer.config.sample_rate)
        self.microphone.schedule(line, window)
        return window / FRAMES_PER_SECOND

    def feed(self, samples: Samples, sample_rate: int) -> None:
        """Speak live audio, int16 mono of shape (n,), as soon as what was fed before has been said."""
        self.microphone.feed(samples, sample_rate)

    def show(self, picture: bytes, kind: str = "camera") -> Camera:
        """Switch a camera on, or change what it shows: agents get this still of it.

        Args:
            picture: A JPEG.
            kind: Metadata `type` of the track: `camera` or `screenShareVideo`.
        """
        camera = self.cameras.get(kind)
        if camera is not None:
            camera.picture = picture
            return camera
        camera = Camera(f"{self.peer.id}:{uuid.uuid4()}", {"type": kind, "paused": False}, picture)
        self.cameras[kind] = camera
        if self.joined:
            self.room.add_track(self.peer, camera)
        return camera

    def hide(self, kind: str = "camera") -> None:
        """Switch a camera off. Does nothing when it is."""
        camera = self.cameras.pop(kind, None)
        if camera is not None and self.joined:
            self.room.remove_track(self.peer, camera)

    def mute(self) -> None:
        """Send no packets, as a browser does; what is being said goes on unheard."""
        self._set_muted(True)

    def unmute(self) -> None:
        """Send packets again."""
        self._set_muted(False)

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`: the peer was removed or its room deleted."""

    def _set_muted(self, muted: bool) -> None:
        if self.microphone.muted == muted:
            return
        self.microphone.muted = muted
        track = self.microphone.update_metadata(paused=muted)
        if self.joined:
            self.room.track_metadata_updated(self.peer, track)

    def _new_microphone(self) -> Microphone:
        metadata: Mapping[str, Any] = {"type": "microphone", "paused": False}
        track_id = f"{self.peer.id}:{uuid.uuid4()}"
        return Microphone(
            track_id, metadata, lambda speaking: self.room.voice_changed(self.peer, track_id, speaking)
        )
