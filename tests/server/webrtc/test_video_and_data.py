"""Cameras and data channels of browsers."""

from __future__ import annotations

import asyncio
import io
import math
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from PIL import Image

from fishjam_agents.protocol import encode_capture_image
from fishjam_agents.server.webrtc.video import MAX_PIXELS, is_keyframe, jpeg

from ..conftest import Client, Serve
from ..sockets import until
from .agent import attend
from .browser import Picture, join

MAX_SIDE = math.isqrt(MAX_PIXELS)
CAMERA = {"type": "camera", "paused": False}


def grey(picture: bytes) -> float:
    image = Image.open(io.BytesIO(picture))
    assert image.size == (320, 240)
    return float(np.asarray(image.convert("L")).mean())


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_an_agent_gets_what_a_camera_shows_now(serve: Serve, codec: str) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(videoCodec=codec)
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            camera = Picture(grey=60)
            track_id = await browser.publish(camera, CAMERA)
            assert abs(grey(await agent.capture(track_id)) - 60) < 8
            camera.grey = 180
            await asyncio.sleep(1.0)
            assert abs(grey(await agent.capture(track_id)) - 180) < 8
            # One a second and track; more are not answered.
            await agent.socket.send(encode_capture_image(track_id))
            await asyncio.sleep(0.4)
            assert len(agent.pictures) == 2
            await browser.describe(track_id, {"type": "camera", "paused": True})
            await asyncio.sleep(0.7)
            await agent.socket.send(encode_capture_image(track_id))
            await asyncio.sleep(0.4)
            assert len(agent.pictures) == 2
            shown = await client.shown(room_id, browser.id)
            assert [track["type"] for track in shown["tracks"]] == ["video"]

    serve(scenario)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_camera_is_seen_by_the_other_browsers(serve: Serve, codec: str) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(videoCodec=codec)
        async with join(client, room_id) as ann:
            track_id = await ann.publish(Picture(grey=90), CAMERA)
            await asyncio.sleep(0.3)
            async with join(client, room_id) as ben:
                await until(lambda: track_id in ben.heard and len(ben.heard[track_id].pictures) > 5)
                frame = ben.heard[track_id].pictures[-1]
                assert (frame.width, frame.height) == (320, 240)
                assert abs(float(frame.to_ndarray(format="gray").mean()) - 90) < 8
                await ann.withdraw(track_id)
                await until(lambda: track_id not in ben.tracks)

    serve(scenario)


def test_a_simulated_callers_still_is_for_agents_alone(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with join(client, room_id) as browser:
            caller = await client.server.add_caller(room_id)
            caller.show(b"still")
            await until(lambda: caller.microphone.track.id in browser.heard)
            assert list(browser.tracks) == [caller.microphone.track.id]

    serve(scenario)


def test_an_audio_room_takes_no_camera(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(roomType="audio_only")
        async with join(client, room_id) as browser:
            publishing = asyncio.create_task(browser.publish(Picture(), CAMERA))
            await until(lambda: browser.error)
            assert "audio only" in browser.error
            publishing.cancel()

    serve(scenario)


def test_messages_go_to_the_other_browsers_by_the_channel_they_came_by(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with (
            client.notifications() as told,
            join(client, room_id) as ann,
            join(client, room_id) as ben,
            join(client, room_id) as cat,
        ):
            hers, his, hers_too = await ann.open_data(), await ben.open_data(), await cat.open_data()
            ann.send_data("reliable", b"to all")
            await until(lambda: his["reliable"] and hers_too["reliable"])
            assert his == {"reliable": [(ann.id, b"to all")], "lossy": []}
            ben.send_data("lossy", b"to ann", ann.id)
            await until(lambda: hers["lossy"])
            assert hers == {"reliable": [], "lossy": [(ben.id, b"to ann")]}
            assert hers_too["lossy"] == []
            # Garbage and channels of other names are nobody's business.
            ann.channels["reliable"].send(b"\xff\xff")
            ann.channels["reliable"].send("text")
            ann.send_data("reliable", b"still here")
            await until(lambda: len(his["reliable"]) == 2)
            ann.channels["lossy"].close()
            names = []
            async for name, message in told:
                if name.startswith("channel_"):
                    names.append((name, message.peer_id, message.channel_id))
                if name == "channel_removed":
                    break
            assert names == [
                *[
                    ("channel_added", who.id, label)
                    for who in (ann, ben, cat)
                    for label in ("reliable", "lossy")
                ],
                ("channel_removed", ann.id, "lossy"),
            ]

    serve(scenario)


@pytest.mark.parametrize("side", [MAX_SIDE, 5000])
def test_a_key_frame_that_asks_for_too_much_memory_gives_no_picture(side: int) -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width = encoder.height = side
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 30)
    black = VideoFrame(side, side, "yuv420p")
    for plane in black.planes:
        plane.update(bytes(plane.buffer_size))
    key = b"".join(bytes(packet) for packet in (*encoder.encode(black), *encoder.encode(None)))
    assert is_keyframe("vp8", key)
    assert (jpeg("vp8", key) is None) == (side > MAX_SIDE)


def test_damaged_frames_give_no_picture() -> None:
    assert jpeg("vp8", b"\x00" * 30) is None
    assert jpeg("h264", b"\x00\x00\x01\x65" + b"\xff" * 30) is None
    assert jpeg("vp8", b"") is None
    assert not is_keyframe("vp8", b"")
    assert is_keyframe("h264", b"\x00\x00\x00\x01\x67abc\x00\x00\x00\x01\x65abc")
    assert not is_keyframe("h264", b"\x00\x00\x00\x01\x41abc")
