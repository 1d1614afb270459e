"""Clients that mean harm: what they may say, how much of it, and that nobody else's room notices."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Callable

import numpy as np
import pytest
from websockets.frames import Frame, Opcode

from fishjam_agents.errors import ProtocolError
from fishjam_agents.protocol import (
    Track,
    TrackType,
    decode,
    decode_agent_request,
    decode_agent_response,
    encode,
    encode_add_track,
    encode_auth_request,
    encode_track_chunk,
)
from fishjam_agents.protocol.generated import agent as agent_schema
from fishjam_agents.protocol.generated import notifications, peer, shared
from fishjam_agents.server.media.playout import MERGED_SECONDS, Playout
from fishjam_agents.server.sockets.agent import MAX_TRACKS, AgentSocket
from fishjam_agents.server.sockets.frames import frame_size
from fishjam_agents.server.sockets.throttle import SHARE_SECONDS, TURN_SECONDS, Throttle
from fishjam_agents.server.sockets.websocket import MAX_BYTES_BEFORE_ADMISSION, MAX_FRAGMENTS
from fishjam_agents.testing import VirtualClock

from .conftest import Client, Serve, closing
from .sockets import subscribed, until, voice

BOMB = b"\x0a\x00" * (1 << 21)
"""4 MiB of empty fields, each of which would become an object."""


def masked(payload: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@pytest.mark.parametrize("name", ["agent", "peer", "server"])
def test_a_stranger_may_say_no_more_than_a_token(serve: Serve, name: str) -> None:
    async def scenario(client: Client) -> None:
        # Without the client's own goodbye, which the end of the connection may cut off.
        socket = await client.socket(name)
        await socket.send(BOMB)
        assert (await closing(socket))[0] == 1009
        socket = await client.socket(name)
        # Cut up, it is no smaller.
        await socket.send([BOMB[:8192]] * 3)
        assert (await closing(socket))[0] == 1009

    serve(scenario)


def test_what_follows_the_token_at_once_is_taken_by_the_rules_of_the_admitted(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        track = Track(uuid.uuid4().hex, TrackType.AUDIO, "null")
        chunk = bytes(2 * MAX_BYTES_BEFORE_ADMISSION)
        async with client.socket("agent") as socket:
            # In one write: JavaScript's SDK does not wait for the answer.
            transport = socket.transport
            transport.write(
                masked(encode_auth_request(token))
                + masked(encode_add_track(track, sample_rate=16000))
                + masked(encode_track_chunk(track.id, chunk))
            )
            assert await socket.recv() == b"\x0a\x00"
            room = client.server.rooms.get(room_id)
            source = await until(lambda: next((p.sources.get(track.id) for p in room.peers.values()), None))
            await until(lambda: source.playout.received == len(chunk) // 2)

    serve(scenario)


def test_a_message_in_too_many_fragments_closes_its_socket(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, token = await client.peer(await client.room(), "agent")
        async with client.agent(token) as socket:
            socket.transport.write(
                masked(b"", fin=False) + masked(b"", Opcode.CONT, fin=False) * MAX_FRAGMENTS
            )
            assert (await closing(socket))[0] == 1008

    serve(scenario)


@pytest.mark.parametrize(
    "raw",
    [
        BOMB,
        b"\x12\x00" * 100_000,
        # Fields nobody knows; and a message within a message.
        b"\xf8\x3f\x01" * 100_000,
        b"\x22\x80\xb5\x18" + b"\x0a\x00" * 200_000,
        b"\x22\x80\xb5\x18" + b"\xf8\x3f\x01\x00"[:3] * 133_334,
    ],
    ids=["empty", "others", "unknown", "within", "unknown within"],
)
def test_every_decoder_bounds_the_fields_of_a_message(raw: bytes) -> None:
    readers: list[Callable[[bytes], object]] = [decode_agent_request, decode_agent_response]
    readers += [
        functools.partial(decode, kind)
        for kind in (notifications.ServerMessage, peer.PeerMessage, agent_schema.AgentRequest)
    ]
    refused = 0
    for read in readers:
        try:
            read(raw)
        except ProtocolError as error:
            refused += any(why in str(error) for why in ("more fields", "wire type", "cut off", "so long"))
    # Where the outermost field is unknown, its content is not looked into.
    assert refused == len(readers) or (raw[0] == 0x22 and refused >= 2)


def test_a_large_batch_of_notifications_is_no_bomb() -> None:
    added = notifications.ServerMessageTrackAdded(
        "room", "peer", track=shared.Track("id", TrackType(2), "{}")
    )
    one = notifications.ServerMessage(track_added=added)
    batch = notifications.ServerMessageNotificationBatch(notifications=[one] * 1000)
    message = notifications.ServerMessage(notification_batch=batch)
    assert decode(notifications.ServerMessage, encode(message)) == message


def test_pings_of_a_client_that_reads_nothing_do_not_pile_up(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id, "agent")
        async with client.agent(token) as socket:
            attachment = client.server.rooms.get(room_id).peers[peer_id].attachment
            assert isinstance(attachment, AgentSocket)
            ours = attachment.connection
            assert ours is not None
            socket.transport.pause_reading()
            pings = masked(b"x" * 125, Opcode.PING) * 1000
            while not ours.dropped:
                socket.transport.write(pings)
                await asyncio.sleep(0.01)
            for _ in range(50):
                socket.transport.write(pings)
                await asyncio.sleep(0.01)
            assert ours.transport.get_write_buffer_size() < 300 * 1024
            socket.transport.abort()

    serve(scenario)


def test_a_client_that_sends_more_than_its_share_is_read_later_and_loses_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as socket:
            track_id, source = await voice(client, room_id, socket)
            count = 20_000
            socket.transport.write(masked(encode_track_chunk(track_id, b"\1\0")) * count)
            await until(lambda: source.playout.received == count)
            assert source.playout.overflowed == 0

    serve(scenario)


def test_chunks_of_one_sample_cost_no_more_than_their_sound() -> None:
    playout = Playout(16000)
    sound = np.arange(3200, dtype="<i2")
    for sample in sound:
        playout.write(sample.tobytes(), 0.0)
    segments = playout.play(3200)
    assert np.array_equal(np.concatenate([segment.samples for segment in segments]), sound)
    assert len(segments) <= 3200 / (MERGED_SECONDS * 16000) + 2
    assert playout.played_ranges == [(0, 3200)]


def test_an_interrupt_drops_what_was_merged_and_has_not_begun() -> None:
    playout = Playout(16000)
    for _ in range(3200):
        playout.write(b"\1\0", 0.0)
    playout.play(320)
    cut = playout.interrupt(0.02)
    assert 0.02 <= cut.played_seconds <= 0.02 + 2 * MERGED_SECONDS
    assert cut.played_seconds + cut.dropped_seconds == pytest.approx(0.2)


def test_an_agent_with_thousands_of_tracks_is_stopped(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.socket("server") as backend, client.agent(token) as socket:
            await subscribed(client, backend)
            socket.transport.write(
                b"".join(
                    masked(encode_add_track(Track(uuid.uuid4().hex, 2, "null"), sample_rate=16000))
                    for _ in range(MAX_TRACKS + 1)
                )
            )
            code, reason = await closing(socket)
            assert code == 1011
            assert reason == f"an agent cannot have more than {MAX_TRACKS} tracks: remove one first"
        assert not client.server.rooms.get(room_id).peers

    serve(scenario)


def test_those_who_are_held_back_take_turns() -> None:
    class Flooder:
        turns = 0

        def go_on(self, seconds: float) -> bool:
            assert TURN_SECONDS <= seconds <= SHARE_SECONDS
            self.turns += 1
            return self.turns < 5

    async def scenario() -> None:
        throttle = Throttle()
        flooders = [Flooder() for _ in range(3)]
        for flooder in flooders:
            throttle.hold(flooder)
        await asyncio.sleep(1.0)
        assert [flooder.turns for flooder in flooders] == [5, 5, 5]

    VirtualClock(limit=10).run(scenario())


def test_frame_sizes_are_those_of_the_frames() -> None:
    for size in (0, 1, 125, 126, 65535, 65536, 100_000):
        data = masked(bytes(size))
        assert sum(frame_size(data) or ()) == len(data)
        header = len(data) - size
        assert frame_size(data[:header]) == (header, size)
        assert frame_size(data[: header - 1]) is None


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (
            Track(uuid.uuid4().hex, 2, "[" + "[]," * 100_000 + "1]"),
            "metadata is longer than 65536 characters",
        ),
        (Track("x" * 1_000_000, 2, "null"), "invalid track id xxx"),
    ],
    ids=["metadata", "id"],
)
def test_what_an_agent_says_of_its_track_is_bounded(serve: Serve, track: Track, reason: str) -> None:
    async def scenario(client: Client) -> None:
        _, token = await client.peer(await client.room(), "agent")
        async with client.notifications() as told:
            async with client.agent(token) as socket:
                await socket.send(encode_add_track(track, sample_rate=16000))
                assert (await closing(socket))[0] == 1011
            name = ""
            while name != "peer_crashed":
                name, message = await anext(told)
            assert message.reason.startswith(reason)
            assert len(message.reason) <= 200

    serve(scenario)
