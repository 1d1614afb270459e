"""Frames of a WebSocket are found in bytes that pass by."""

from __future__ import annotations

import pytest

from fishjam_agents.testing.websocket_frames import FrameFollower


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_frames_are_found_however_the_bytes_are_cut(size: int) -> None:
    head = b"GET /socket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    frames = [
        b"\x82\x05hello",
        b"\x82\xfe\x01\x00" + b"mask" + bytes(256),
        b"\x89\x00",
        b"\x82\x7f" + (70000).to_bytes(8) + bytes(70000),
        b"\x81\x00",
    ]
    stream = head + b"".join(frames)
    follower = FrameFollower()
    found = [
        frame
        for at in range(0, len(stream), size)
        for frame in follower.feed(stream[at : at + size])
        if frame.position >= len(head)
    ]
    positions = [len(head) + sum(map(len, frames[:index])) for index in range(len(frames))]
    assert [frame.position for frame in found] == positions
    assert [frame.header + frame.payload for frame in found] == [len(frame) for frame in frames]
    assert [frame.control for frame in found] == [False, False, True, False, False]
    assert follower.path == "/socket"
