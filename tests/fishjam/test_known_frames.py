"""Frames that are known by their beginning give what parsing them gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.fishjam import known_frames
from fishjam_agents.fishjam.frames import payload_of
from fishjam_agents.fishjam.known_frames import KnownFrames
from fishjam_agents.protocol import Track, TrackData, TrackDataEncoder, TrackType, decode_agent_response

ALICE = ("a7c2b9e0-alice-of-the-room", Track("alice-microphone", 2, '{"type":"microphone"}'))
SCREEN = ("a7c2b9e0-alice-of-the-room", Track("alice-screen-sound", 2, "null"))
BOB = ("b", Track("t"))


def frame(message: bytes) -> bytes:
    """A whole binary frame of a server's (RFC 6455, section 5.2)."""
    size = len(message)
    return (bytes((0x82, size)) if size < 126 else bytes((0x82, 126)) + size.to_bytes(2)) + message


def parsed(data: bytes) -> TrackData:
    """What the two parsers make of a frame."""
    payload = payload_of(data, 0, len(data))
    assert payload is not None
    audio = decode_agent_response(data[payload[0] : payload[1]])
    assert isinstance(audio, TrackData)
    return audio


said = st.tuples(st.sampled_from([ALICE, SCREEN, BOB]), st.binary(max_size=700))


@given(st.lists(said, max_size=12), st.binary(max_size=8), st.data())
def test_what_is_known_is_what_parsing_gives(
    packets: list[tuple[tuple[str, Track], bytes]], more: bytes, data: st.DataObject
) -> None:
    known = KnownFrames()
    for (peer, track), audio in packets:
        message = TrackDataEncoder(peer, track).encode(audio)
        whole = frame(message)
        before = data.draw(st.binary(max_size=5))
        read = known.read(before + whole + more, len(before))
        assert read is None or read == (parsed(whole), len(before) + len(whole))
        for end in (len(whole) - 1, len(whole) // 2):
            assert known.read(whole[:end], 0) is None
        known.learn(message, parsed(whole))
        again = frame(TrackDataEncoder(peer, track).encode(audio[::-1]))
        if audio and peer != "b":
            assert known.read(again, 0) == (parsed(again), len(again))


@given(st.binary(max_size=80), st.binary(min_size=1, max_size=80))
def test_other_layouts_are_never_known(unknown: bytes, audio: bytes) -> None:
    """Fields in another order, or more of them, are for the parser."""
    peer, track = ALICE
    inner = TrackDataEncoder(peer, track).encode(audio)[2:]
    field = bytes((0x7A, len(unknown))) + unknown
    for content in (inner + field, field + inner):
        size = len(content)
        length = bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))
        message = b"\x12" + length + content
        known = KnownFrames()
        known.learn(message, TrackData(peer, track, audio))
        assert known.read(frame(message), 0) is None


def test_only_so_many_tracks_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_frames, "_KNOWN", 4)
    known = KnownFrames()
    for number in range(50):
        message = TrackDataEncoder(f"peer-{number}-of-a-large-room", ALICE[1]).encode(b"sound")
        known.learn(message, parsed(frame(message)))
        assert known.read(frame(message), 0) is not None
        assert len(known._known) <= 4


def test_two_tracks_of_one_peer_are_known_side_by_side() -> None:
    known, peer = KnownFrames(), "0f8fad5b-d9cb-469f-a165-70867728950e"
    messages = [
        TrackDataEncoder(peer, Track(f"{number}5a7a0c0-0000", TrackType.AUDIO, "{}")).encode(bytes(640))
        for number in range(2)
    ]
    for message in messages:
        known.learn(message, parsed(frame(message)))
    assert all(known.read(frame(message), 0) is not None for message in messages)


def test_what_is_remembered_of_a_track_is_bounded() -> None:
    known = KnownFrames()
    message = TrackDataEncoder("alice", Track("track", TrackType.AUDIO, "x" * 15_000)).encode(bytes(640))
    known.learn(message, parsed(frame(message)))
    assert known.read(frame(message), 0) is None
