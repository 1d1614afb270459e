"""The agent socket's messages, with a fast path for the two that come fifty times a second.

A frame of audio is recognised by the canonical layout every encoder writes, in a handful of byte
comparisons. Whatever deviates (fields repeated, out of order, unknown or missing, ids beyond 127 bytes,
chunks beyond 16 kB) takes the strict slow path; both give the same result, which a property test holds
against betterproto.
"""

from __future__ import annotations

import betterproto

from ..errors import ProtocolError
from .codec import decode
from .generated import agent as schema
from .generated.shared import Track as WireTrack
from .messages import (
    AddTrack,
    AgentRequest,
    AgentResponse,
    Authenticated,
    AuthRequest,
    CaptureImage,
    InterruptTrack,
    RemoveTrack,
    Track,
    TrackChunk,
    TrackData,
    TrackImage,
)
from .wire import read_varint

_KNOWN_HEADERS = 4096
"""Tracks remembered by the header of their frames; about 0.4 kB each. When full it starts anew."""

_MAX_HEADER_BYTES = 1024
"""Longer headers (huge metadata) are decoded but not remembered, which bounds the cache in bytes."""

_REQUEST_FIELDS = 64
"""The largest request, `add_track`, has ten; the rest is for fields of versions to come."""

_REQUEST_BYTES = 1024 * 1024
"""Largest request that is no chunk of audio as every encoder writes it: reading one may take 50 ms."""

_RESPONSE_FIELDS = 64
"""The largest response, `track_data`, has seven."""

_headers: dict[bytes, tuple[str, Track]] = {}


def decode_agent_response(data: bytes) -> AgentResponse | None:
    """Decode a message from server to agent.

    Returns:
        The message; None if its content is unset or not known to this version.

    Raises:
        ProtocolError: `data` is not a well-formed `AgentResponse`.
    """
    found = _find_audio(data)
    if found is None:
        return _decode_response(data)
    start, end, position = found
    header = data[start:end]
    peer_id, track = _headers.get(header) or _learn(header)
    return TrackData(peer_id, track, data[position:])


def audio_position(data: bytes) -> int | None:
    """Where the audio begins in an `AgentResponse` in the canonical layout; None for anything else.

    Messages of one size that begin alike up to there are of the same track.
    """
    found = _find_audio(data)
    return None if found is None else found[2]


def _find_audio(data: bytes) -> tuple[int, int, int] | None:
    """Where the track's header begins and ends, and where the audio begins; None for another layout."""
    # Lengths are varints of one or two bytes here: 0x4000 is the first number that needs a third. A length
    # that has one comes out too large, misses the end of the message and ends in the slow path.
    try:
        if data[0] == 0x12:  # AgentResponse.track_data
            start, size = 2, data[1]
            if size > 0x7F:
                start, size = 3, size + (data[2] << 7) - 0x80
            if start + size == len(data) < 0x4000 and data[start] == 0x0A:  # peer_id
                size = data[start + 1]
                position = start + 2 + size
                if size < 0x80 and data[position] == 0x12:  # track
                    size = data[position + 1]
                    if size < 0x80:
                        position += 2 + size
                    else:
                        position += 3 + size + (data[position + 2] << 7) - 0x80
                    if data[position] == 0x1A:  # data
                        end = position
                        size = data[position + 1]
                        if size < 0x80:
                            position += 2
                        else:
                            size += (data[position + 2] << 7) - 0x80
                            position += 3
                        if position + size == len(data):
                            return start, end, position
    except IndexError:
        pass  # Shorter than its lengths say; the slow path tells what is wrong.
    return None


def _learn(header: bytes) -> tuple[str, Track]:
    message = decode(schema.AgentResponseTrackData, header)
    known = message.peer_id, _track(message.track)
    if len(header) <= _MAX_HEADER_BYTES:
        if len(_headers) >= _KNOWN_HEADERS:
            _headers.clear()
        _headers[header] = known
    return known


def _decode_response(data: bytes) -> AgentResponse | None:
    _, content = betterproto.which_one_of(
        decode(schema.AgentResponse, data, max_fields=_RESPONSE_FIELDS), "content"
    )
    match content:
        case schema.AgentResponseTrackData():
            return TrackData(content.peer_id, _track(content.track), content.data)
        case schema.AgentResponseTrackImage():
            return TrackImage(content.track_id, content.content_type, content.data)
        case schema.AgentResponseAuthenticated():
            return Authenticated()
        case _:
            return None


def decode_agent_request(data: bytes) -> AgentRequest | None:
    """Decode a message from agent to server.

    Returns:
        The message; None if its content is unset or not known to this version.

    Raises:
        ProtocolError: `data` is not a well-formed `AgentRequest`.
    """
    try:
        if data[0] == 0x22:  # AgentRequest.track_data
            start, size = 2, data[1]
            if size > 0x7F:
                start, size = 3, size + (data[2] << 7) - 0x80
            if start + size == len(data) < 0x4000 and data[start] == 0x0A:  # track_id
                size = data[start + 1]
                position = start + 2 + size
                if size < 0x80 and data[position] == 0x12:  # data
                    track_id = data[start + 2 : position]
                    size = data[position + 1]
                    if size < 0x80:
                        position += 2
                    else:
                        size += (data[position + 2] << 7) - 0x80
                        position += 3
                    if position + size == len(data):
                        return TrackChunk(track_id.decode(), data[position:])
    except (IndexError, UnicodeDecodeError):
        pass  # The slow path tells what is wrong.
    return _decode_request(data)


def _large_chunk(data: bytes) -> TrackChunk | None:
    """A chunk of any size in the canonical layout, copied once; None if it is something else."""
    end = len(data)
    if data[:1] != b"\x22":
        return None
    try:
        size, position = read_varint(data, 1, end)
        if position + size != end or data[position : position + 1] != b"\x0a":
            return None
        size, position = read_varint(data, position + 1, end)
        start, position = position, position + size
        if size > 0x7F or data[position : position + 1] != b"\x12":
            return None
        track_id = data[start:position].decode()
        size, position = read_varint(data, position + 1, end)
    except (ProtocolError, UnicodeDecodeError):
        return None
    return TrackChunk(track_id, data[position:]) if position + size == end else None


def _decode_request(data: bytes) -> AgentRequest | None:
    chunk = _large_chunk(data)
    if chunk is not None:
        return chunk
    if len(data) > _REQUEST_BYTES:
        raise ProtocolError(
            f"received {len(data)} bytes that are no chunk of audio: no other request is so long"
        )
    _, content = betterproto.which_one_of(
        decode(schema.AgentRequest, data, max_fields=_REQUEST_FIELDS), "content"
    )
    match content:
        case schema.AgentRequestTrackData():
            return TrackChunk(content.track_id, content.data)
        case schema.AgentRequestInterruptTrack():
            return InterruptTrack(content.track_id)
        case schema.AgentRequestAddTrack():
            codec = content.codec_params
            return AddTrack(_track(content.track), int(codec.encoding), codec.sample_rate, codec.channels)
        case schema.AgentRequestRemoveTrack():
            return RemoveTrack(content.track_id)
        case schema.AgentRequestCaptureImage():
            return CaptureImage(content.track_id)
        case schema.AgentRequestAuthRequest():
            return AuthRequest(content.token)
        case _:
            return None


def _track(track: WireTrack) -> Track:
    return Track(track.id, int(track.type), track.metadata)
