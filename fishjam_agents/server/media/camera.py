"""A simulated caller's camera or shared screen: a video track that is one still."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...protocol import Track, TrackType
from .playout import Segment

CAPTURE_SECONDS = 1.0
"""One still a second and track; requests beyond that are not answered (Fishjam docs, Agents)."""


class Camera:
    """Part of `sources.Source`: it makes no sound.

    Args:
        track_id: Id of the track.
        metadata: Of the track; `paused` switches the camera off.
        picture: The encoded still.

    Attributes:
        track: Id, type and metadata as the room knows them.
        picture: What `capture_image` is answered with.
    """

    finished = False
    speaking = None
    recording_rate = 16000

    def __init__(self, track_id: str, metadata: Mapping[str, Any], picture: bytes) -> None:
        self.picture = picture
        self.track = Track(track_id, int(TrackType.VIDEO), json.dumps(dict(metadata)))
        self._captured: float | None = None

    def capture(self, now: float) -> bytes | None:
        """A still at room time `now`, in seconds; None if the last one is too near, or the camera is off."""
        paused = json.loads(self.track.metadata).get("paused")
        if paused or (self._captured is not None and now - self._captured < CAPTURE_SECONDS):
            return None
        self._captured = now
        return self.picture

    def advance(self, ticks: int) -> bool:
        """Nothing sounds."""
        return False

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Nothing sounds."""
        return ()

    def segments(self) -> Sequence[Segment]:
        """Nothing sounds."""
        return ()
