"""Frames of audio that are known by what precedes the audio, so that neither protocol need be parsed.

All frames of a track begin alike as long as they are of one size: with the WebSocket's header, the message's
and the track. One comparison tells what parsing would, fifty times a second and call.
"""

from __future__ import annotations

from ..protocol import Track, TrackData, audio_position
from .frames import LARGEST, head_of

_KEY_BYTES = 56
"""Beginning of a frame by which it is looked up: both headers, the peer's id and the track's beginning."""
_MAX_HEAD_BYTES = 1024
"""Longer heads (huge metadata) are not remembered, which bounds it in bytes."""
_KNOWN = 64
"""Tracks and sizes that are remembered, some 0.4 kB each. When full it starts anew."""


class KnownFrames:
    """Frames of the tracks that an agent hears."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, int, str, Track]] = {}

    def read(self, data: bytes, start: int) -> tuple[TrackData, int] | None:
        """Parse the frame that begins at `start`, if it is known and complete.

        Returns:
            The audio and where the frame ends; None for anything else.
        """
        known = self._known.get(data[start : start + _KEY_BYTES])
        if known is None:
            return None
        head, size, peer, track = known
        end = start + size
        if end > len(data) or not data.startswith(head, start):
            return None
        return TrackData(peer, track, data[start + len(head) : end]), end

    def learn(self, message: bytes, audio: TrackData) -> None:
        """Remember a message that was parsed, by what precedes its audio."""
        position = audio_position(message) if len(message) <= LARGEST else None
        if position is None:
            return
        head = head_of(len(message)) + message[:position]
        if not _KEY_BYTES <= len(head) <= _MAX_HEAD_BYTES:
            return
        if len(self._known) >= _KNOWN:
            self._known.clear()
        size = len(head) + len(message) - position
        self._known[head[:_KEY_BYTES]] = head, size, audio.peer_id, audio.track
