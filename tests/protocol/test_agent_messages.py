from __future__ import annotations

import contextlib
import json
from typing import Any

import betterproto
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fishjam_agents import protocol
from fishjam_agents.errors import ProtocolError
from fishjam_agents.protocol import (
    Track,
    TrackChunk,
    TrackChunkEncoder,
    TrackData,
    TrackDataEncoder,
    TrackImage,
    decode_agent_request,
    decode_agent_response,
    encode_track_chunk,
    encode_track_data,
)
from fishjam_agents.protocol.generated import agent as schema
from fishjam_agents.protocol.generated import shared

from .wire_strategies import key, messages_of, with_length

texts = st.text(max_size=150)
sizes = st.sampled_from([0, 1, 126, 127, 128, 640, 960, 16100, 16383, 16384, 20000])
audio = st.one_of(st.binary(max_size=700), sizes.map(bytes))
tracks = st.builds(Track, texts, st.integers(0, 2), texts)


def by_betterproto(message_class: type[betterproto.Message], raw: bytes) -> dict[str, Any] | None:
    """Content of a message as betterproto alone understands it, in our field names."""
    name, content = betterproto.which_one_of(message_class().parse(raw), "content")
    if not name:
        return None
    assert content is not None
    fields = {field: getattr(content, field) for field in content.__dataclass_fields__}
    codec = fields.pop("codec_params", None)
    if codec is not None:
        fields |= {
            "encoding": int(codec.encoding),
            "sample_rate": codec.sample_rate,
            "channels": codec.channels,
        }
    track = fields.get("track")
    if track is not None:
        fields["track"] = Track(track.id, int(track.type), track.metadata)
    return {"": name, **fields}


def as_fields(message: object | None) -> dict[str, Any] | None:
    if message is None:
        return None
    names = {
        "TrackChunk": "track_data",
        "TrackData": "track_data",
        "TrackImage": "track_image",
        "Authenticated": "authenticated",
        "AuthRequest": "auth_request",
        "AddTrack": "add_track",
        "RemoveTrack": "remove_track",
        "InterruptTrack": "interrupt_track",
        "CaptureImage": "capture_image",
    }
    kind = type(message)
    return {
        "": names[kind.__name__],
        **{field: getattr(message, field) for field in kind.__dataclass_fields__},
    }  # type: ignore[attr-defined]


@settings(deadline=None)
@given(messages_of(schema.AgentResponse))
def test_every_well_formed_response_is_read_as_betterproto_reads_it(raw: bytes) -> None:
    assert as_fields(decode_agent_response(raw)) == by_betterproto(schema.AgentResponse, raw)


@settings(deadline=None)
@given(messages_of(schema.AgentRequest))
def test_every_well_formed_request_is_read_as_betterproto_reads_it(raw: bytes) -> None:
    assert as_fields(decode_agent_request(raw)) == by_betterproto(schema.AgentRequest, raw)


@settings(deadline=None)
@given(texts, messages_of(shared.Track), audio, messages_of(schema.AgentResponseTrackData))
def test_a_track_data_with_anything_around_its_fields_is_read_as_betterproto_reads_it(
    peer_id: str, track: bytes, data: bytes, more: bytes
) -> None:
    canonical = (
        key(1, 2)
        + with_length(peer_id.encode())
        + key(2, 2)
        + with_length(track)
        + key(3, 2)
        + with_length(data)
    )
    for content in (canonical, canonical + more, more + canonical):
        raw = key(2, 2) + with_length(content)
        for whole in (
            raw,
            raw + raw,
            key(1, 2) + b"\x00" + raw,
            raw + key(1, 2) + b"\x00",
            raw + key(3, 2) + b"\x00",
        ):
            expected = by_betterproto(schema.AgentResponse, whole)
            # Twice: the second time the header is known.
            assert as_fields(decode_agent_response(whole)) == expected
            assert as_fields(decode_agent_response(whole)) == expected


@settings(deadline=None)
@given(texts, audio, messages_of(schema.AgentRequestTrackData))
def test_a_chunk_with_anything_around_its_fields_is_read_as_betterproto_reads_it(
    track_id: str, data: bytes, more: bytes
) -> None:
    canonical = key(1, 2) + with_length(track_id.encode()) + key(2, 2) + with_length(data)
    for content in (canonical, canonical + more, more + canonical):
        raw = key(4, 2) + with_length(content)
        for whole in (raw, raw + raw, raw + key(5, 2) + b"\x00"):
            assert as_fields(decode_agent_request(whole)) == by_betterproto(schema.AgentRequest, whole)


@settings(deadline=None)
@given(texts, tracks, st.lists(audio, min_size=1, max_size=3))
@example("peer", Track("t", 2, json.dumps({"displayName": "x" * 5000})), [bytes(640)] * 2)
def test_track_data_is_written_as_betterproto_writes_it(
    peer_id: str, track: Track, chunks: list[bytes]
) -> None:
    encoder = TrackDataEncoder(peer_id, track)
    wire_track = shared.Track(track.id, shared.TrackType(track.type), track.metadata)
    for data in chunks:
        raw = encoder.encode(data)
        assert raw == encode_track_data(peer_id, track, data)
        content = schema.AgentResponseTrackData(peer_id, wire_track, data)
        # betterproto leaves an empty track out; a reader cannot tell the difference.
        if track != Track(""):
            assert raw == bytes(schema.AgentResponse(track_data=content))
        assert decode_agent_response(raw) == TrackData(peer_id, track, data)


@settings(deadline=None)
@given(texts, st.lists(audio, min_size=1, max_size=3))
def test_a_chunk_is_written_as_betterproto_writes_it(track_id: str, chunks: list[bytes]) -> None:
    encoder = TrackChunkEncoder(track_id)
    for data in chunks:
        raw = encoder.encode(data)
        assert raw == encode_track_chunk(track_id, data)
        assert raw == bytes(schema.AgentRequest(track_data=schema.AgentRequestTrackData(track_id, data)))
        assert decode_agent_request(raw) == TrackChunk(track_id, data)


@settings(deadline=None)
@given(texts)
def test_the_small_requests_are_written_as_betterproto_writes_them(text: str) -> None:
    for raw, message in (
        (protocol.encode_auth_request(text), {"auth_request": schema.AgentRequestAuthRequest(text)}),
        (protocol.encode_remove_track(text), {"remove_track": schema.AgentRequestRemoveTrack(text)}),
        (protocol.encode_interrupt(text), {"interrupt_track": schema.AgentRequestInterruptTrack(text)}),
        (protocol.encode_capture_image(text), {"capture_image": schema.AgentRequestCaptureImage(text)}),
    ):
        assert raw == bytes(schema.AgentRequest(**message))  # type: ignore[arg-type]


@settings(deadline=None)
@given(tracks, st.integers(0, 2), st.sampled_from([0, 16000, 24000]), st.integers(0, 2))
def test_add_track_survives_the_round_trip(track: Track, encoding: int, rate: int, channels: int) -> None:
    raw = protocol.encode_add_track(track, encoding=encoding, sample_rate=rate, channels=channels)
    assert decode_agent_request(raw) == protocol.AddTrack(track, encoding, rate, channels)


def test_the_small_responses_survive_the_round_trip() -> None:
    assert protocol.encode_authenticated() == b"\x0a\x00"
    assert decode_agent_response(b"\x0a\x00") == protocol.Authenticated()
    image = TrackImage("track", "image/jpeg", b"\xff\xd8")
    assert decode_agent_response(protocol.encode_track_image("track", "image/jpeg", b"\xff\xd8")) == image


def test_frames_of_one_track_share_one_track_object() -> None:
    encoder = TrackDataEncoder("peer", Track("track", 2, "null"))
    first = decode_agent_response(encoder.encode(b"\x01\x00"))
    second = decode_agent_response(encoder.encode(bytes(640)))
    assert isinstance(first, TrackData)
    assert isinstance(second, TrackData)
    assert first.track is second.track


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_is_nothing_or_a_protocol_error(head: bytes, tail: bytes) -> None:
    for read in (decode_agent_response, decode_agent_request):
        for raw in (
            head,
            b"\x12" + head,
            b"\x22" + with_length(b"\x0a\x02ab\x12" + tail),
            b"\x12" + with_length(b"\x0a\x02ab\x12" + tail),
        ):
            with contextlib.suppress(ProtocolError):
                read(raw)


@settings(deadline=None)
@given(texts, tracks, audio)
def test_every_truncation_of_a_frame_is_refused(peer_id: str, track: Track, data: bytes) -> None:
    response, request = encode_track_data(peer_id, track, data), encode_track_chunk(track.id, data)
    for raw, read in ((response, decode_agent_response), (request, decode_agent_request)):
        for size in {1, len(raw) // 3, len(raw) // 2, len(raw) - 1} - {0}:
            with pytest.raises(ProtocolError):
                read(raw[:size])  # type: ignore[operator]


def test_a_peer_id_that_is_not_utf8_is_refused_on_the_fast_path() -> None:
    bad = key(1, 2) + with_length(b"\xff")
    with pytest.raises(ProtocolError, match="not UTF-8"):
        decode_agent_response(key(2, 2) + with_length(bad + key(2, 2) + b"\x00" + key(3, 2) + b"\x01a"))
    with pytest.raises(ProtocolError, match="not UTF-8"):
        decode_agent_request(key(4, 2) + with_length(bad + key(2, 2) + b"\x01a"))


def test_a_text_frame_is_refused() -> None:
    for read in (decode_agent_response, decode_agent_request):
        with pytest.raises(ProtocolError, match="binary frames"):
            read("hello")  # type: ignore[arg-type]


def test_more_tracks_than_are_remembered_are_still_read() -> None:
    for number in range(5000):
        raw = encode_track_data("peer", Track(str(number)), b"ab")
        assert decode_agent_response(raw) == TrackData("peer", Track(str(number)), b"ab")


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(protocol.AuthRequest("secret"))


@pytest.mark.parametrize("size", [0x3FFF, 0x4000, 100_000, 3_000_000])
def test_chunks_of_any_size_are_read_in_one_go(size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    assert decode_agent_request(encode_track_chunk("ä" * 20, data)) == TrackChunk("ä" * 20, data)


@pytest.mark.parametrize(
    "raw",
    [
        encode_track_chunk("x" * 2_000_000, b"12"),
        protocol.encode_auth_request("x" * 2_000_000),
        protocol.encode_add_track(Track("t", 2, "x" * 2_000_000), sample_rate=16000),
        # A chunk, then something else behind it.
        encode_track_chunk("t", bytes(2_000_000)) + b"\x28\x01",
    ],
    ids=["id", "token", "metadata", "behind"],
)
def test_no_other_request_is_large(raw: bytes) -> None:
    with pytest.raises(ProtocolError, match="no other request is so long"):
        decode_agent_request(raw)
