"""Writing the agent socket's messages; byte for byte what betterproto writes."""

from __future__ import annotations

from .messages import Track
from .wire import varint


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
        super().__init__(b"\x22", _text(1, track_id), b"\x12")


class TrackDataEncoder(_AudioEncoder):
    """Encodes a peer's audio, server to agent, for one track."""

    __slots__ = ()

    def __init__(self, peer_id: str, track: Track) -> None:
        super().__init__(b"\x12", _text(1, peer_id) + _field(2, _track(track)), b"\x1a")


def encode_track_chunk(track_id: str, data: bytes) -> bytes:
    """`AgentRequest.track_data`; for many frames of one track keep a `TrackChunkEncoder`."""
    return TrackChunkEncoder(track_id).encode(data)


def encode_track_data(peer_id: str, track: Track, data: bytes) -> bytes:
    """`AgentResponse.track_data`; for many frames of one track keep a `TrackDataEncoder`."""
    return TrackDataEncoder(peer_id, track).encode(data)


def encode_auth_request(token: str) -> bytes:
    """`AgentRequest.auth_request`: the first message of an agent."""
    return _field(1, _text(1, token))


def encode_add_track(track: Track, *, encoding: int = 0, sample_rate: int, channels: int = 1) -> bytes:
    """`AgentRequest.add_track`; `encoding` is a `TrackEncoding`, `sample_rate` in Hz."""
    codec = _number(1, encoding) + _number(2, sample_rate) + _number(3, channels)
    return _field(2, _field(1, _track(track)) + _field(2, codec))


def encode_remove_track(track_id: str) -> bytes:
    """`AgentRequest.remove_track`: the track plays to its end and goes."""
    return _field(3, _text(1, track_id))


def encode_interrupt(track_id: str) -> bytes:
    """`AgentRequest.interrupt_track`: what was sent and not yet played is dropped."""
    return _field(5, _text(1, track_id))


def encode_capture_image(track_id: str) -> bytes:
    """`AgentRequest.capture_image`: ask for one still of a peer's video track."""
    return _field(6, _text(1, track_id))


def encode_authenticated() -> bytes:
    """`AgentResponse.authenticated`: the server took the token."""
    return _field(1, b"")


def encode_track_image(track_id: str, content_type: str, data: bytes) -> bytes:
    """`AgentResponse.track_image`: a still of a video track."""
    return _field(3, _text(1, track_id) + _text(2, content_type) + (_field(3, data) if data else b""))


def _track(track: Track) -> bytes:
    return _text(1, track.id) + _number(2, track.type) + _text(3, track.metadata)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


# proto3 leaves fields with their default value out.
def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""
