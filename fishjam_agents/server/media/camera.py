"""Video tracks: those of simulated callers, which are one still, and what all video tracks have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...protocol import Track, TrackType
from .playout import Segment

CAPTURE_SECONDS = 1.0
"""One still a second and track; requests beyond that are not answered (Fishjam docs, Agents)."""


class VideoSource:
    """Part of `sources.Source`: a track of pictures makes no sound.

    Args:
        track_id: Id of the track.
        metadata: JSON text; `paused` switches the camera off.

    Attributes:
        track: Id, type and metadata as the room knows them.
    """

    finished = False
    speaking = None
    recording_rate = 16000

    def __init__(self, track_id: str, metadata: str) -> None:
        self.track = Track(track_id, int(TrackType.VIDEO), metadata)
        self._captured: float | None = None

    def capture(self, now: float, reply: Callable[[bytes], None]) -> None:
        """Give `reply` a JPEG of what is seen at room time `now`, now or later.

        Never where Fishjam does not answer: the last one is too near, or the camera is off.
        """
        paused = is_paused(self.track.metadata)
        if not paused and (self._captured is None or now - self._captured >= CAPTURE_SECONDS):
            self._captured = now
            self.picture_for(reply)

    def picture_for(self, reply: Callable[[bytes], None]) -> None:
        """Give `reply` a JPEG, now or later."""
        raise NotImplementedError

    def advance(self, ticks: int) -> bool:
        """Nothing sounds."""
        return False

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Nothing sounds."""
        return ()

    def segments(self) -> Sequence[Segment]:
        """Nothing sounds."""
        return ()


class Camera(VideoSource):
    """A simulated caller's camera or shared screen.

    Args:
        track_id: Id of the track.
        metadata: Of the track; `paused` switches the camera off.
        picture: The encoded still.

    Attributes:
        picture: What `capture_image` is answered with.
    """

    def __init__(self, track_id: str, metadata: Mapping[str, Any], picture: bytes) -> None:
        super().__init__(track_id, json.dumps(dict(metadata)))
        self.picture = picture

    def picture_for(self, reply: Callable[[bytes], None]) -> None:
        """Part of `VideoSource`."""
        reply(self.picture)


def is_paused(metadata: str) -> bool:
    """Return whether a track's metadata, JSON text, says that it is muted or switched off."""
    value = json.loads(metadata)
    return isinstance(value, dict) and value.get("paused") is True
