"""Writing the agent socket's messages; byte for byte what betterproto writes."""

from __future__ import annotations

from .messages import Track
from .wire import field, number, text, varint


class _AudioEncoder:
    """Writes frames of one track. What precedes the audio depends only on its size, so it is kept."""

    __slots__ = ("_audio_tag", "_header", "_outer_tag", "_prefix", "_size")

    def __init__(self, outer_tag: bytes, prefix: bytes, audio_tag: bytes) -> None:
        self._outer_tag = outer_tag
        self._prefix = prefix
        self._audio_tag = audio_tag
        self._size = -1
        self._header = b""

    def encode(self, data: bytes) -> bytes:
        """The whole message that carries `data`."""
        size = len(data)
        if size != self._size:
            # proto3 leaves an empty bytes field out.
            inner = self._prefix + (self._audio_tag + varint(size) if size else b"")
            self._header = self._outer_tag + varint(len(inner) + size) + inner
            self._size = size
        return self._header + data


class TrackChunkEncoder(_AudioEncoder):
    """Encodes the agent's own audio, agent to server, for one track."""

    __slots__ = ()

    def __init__(self, track_id: str) -> None:
        super().__init__(b"\x22", text(1, track_id), b"\x12")


class TrackDataEncoder(_AudioEncoder):
    """Encodes a peer's audio, server to agent, for one track."""

    __slots__ = ()

    def __init__(self, peer_id: str, track: Track) -> None:
        super().__init__(b"\x12", text(1, peer_id) + field(2, _track(track)), b"\x1a")


def encode_track_chunk(track_id: str, data: bytes) -> bytes:
    """`AgentRequest.track_data`; for many frames of one track keep a `TrackChunkEncoder`."""
    return TrackChunkEncoder(track_id).encode(data)


def encode_track_data(peer_id: str, track: Track, data: bytes) -> bytes:
    """`AgentResponse.track_data`; for many frames of one track keep a `TrackDataEncoder`."""
    return TrackDataEncoder(peer_id, track).encode(data)


def encode_auth_request(token: str) -> bytes:
    """`AgentRequest.auth_request`: the first message of an agent."""
    return field(1, text(1, token))


def encode_add_track(track: Track, *, encoding: int = 0, sample_rate: int, channels: int = 1) -> bytes:
    """`AgentRequest.add_track`; `encoding` is a `TrackEncoding`, `sample_rate` in Hz."""
    codec = number(1, encoding) + number(2, sample_rate) + number(3, channels)
    return field(2, field(1, _track(track)) + field(2, codec))


def encode_remove_track(track_id: str) -> bytes:
    """`AgentRequest.remove_track`: the track plays to its end and goes."""
    return field(3, text(1, track_id))


def encode_interrupt(track_id: str) -> bytes:
    """`AgentRequest.interrupt_track`: what was sent and not yet played is dropped."""
    return field(5, text(1, track_id))


def encode_capture_image(track_id: str) -> bytes:
    """`AgentRequest.capture_image`: ask for one still of a peer's video track."""
    return field(6, text(1, track_id))


def encode_authenticated() -> bytes:
    """`AgentResponse.authenticated`: the server took the token."""
    return field(1, b"")


def encode_track_image(track_id: str, content_type: str, data: bytes) -> bytes:
    """`AgentResponse.track_image`: a still of a video track."""
    return field(3, text(1, track_id) + text(2, content_type) + (field(3, data) if data else b""))


def _track(track: Track) -> bytes:
    return text(1, track.id) + number(2, track.type) + text(3, track.metadata)
