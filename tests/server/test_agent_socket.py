"""An agent's socket: its tracks, its audio, and who takes it over."""

from __future__ import annotations

import asyncio
import uuid

from fishjam_agents.protocol import (
    Track,
    TrackType,
    encode_add_track,
    encode_auth_request,
    encode_interrupt,
    encode_track_chunk,
)

from .conftest import Client, closing
from .sockets import Serve, next_notification, peer_auth, subscribed, until, voice


def test_an_invalid_track_crashes_the_agent(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        good = uuid.uuid4().hex
        audio = TrackType.AUDIO
        room_id = await client.room()
        async with client.socket("server") as socket:
            await subscribed(client, socket)
            for message, part in (
                (encode_add_track(Track("voice", audio), sample_rate=16000), "UUID v4"),
                (encode_add_track(Track(str(uuid.uuid1()), audio), sample_rate=16000), "UUID v4"),
                (encode_add_track(Track(good, TrackType.VIDEO), sample_rate=16000), "video"),
                (encode_add_track(Track(good, audio), sample_rate=48000), "48000 Hz"),
                (encode_add_track(Track(good, audio), sample_rate=16000, channels=2), "2 channels"),
                (encode_add_track(Track(good, audio), sample_rate=16000, encoding=2), "Opus"),
                (encode_add_track(Track(good, audio), sample_rate=16000, encoding=9), "encoding 9"),
                (encode_track_chunk(good, bytes(640)), "does not exist"),
            ):
                peer_id, token = await client.peer(room_id, "agent")
                async with client.agent(token) as agent:
                    await agent.send(message)
                    code, reason = await closing(agent)
                    assert code == 1011
                    assert reason is not None
                    assert part in reason
                assert (await client.http.get(f"/room/{room_id}")).json()["data"]["peers"] == []
                name = ""
                while name != "peer_crashed":
                    name, crashed = await next_notification(socket)
                assert (crashed.peer_id, crashed.reason, crashed.peer_type) == (peer_id, reason, 2)

    serve(scenario)


def test_a_track_id_is_used_once(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            track_id, _ = await voice(client, room_id, agent)
            await agent.send(encode_add_track(Track(track_id, TrackType.AUDIO), sample_rate=16000))
            code, reason = await closing(agent)
            assert code == 1011
            assert reason is not None
            assert "exists already" in reason

    serve(scenario)


def test_audio_of_any_size_is_taken_and_an_interrupt_cuts_it(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            track_id, source = await voice(client, room_id, agent)
            playout = source.playout
            for size in (0, 1, 641, 64000, 10_000_000):
                await agent.send(encode_track_chunk(track_id, bytes(size)))
            await until(lambda: playout.received == (640 + 64000 + 10_000_000) // 2)
            assert playout.odd_chunks == 2
            await until(lambda: playout.played > 320)
            await agent.send(encode_interrupt(track_id))
            cut = (await until(lambda: playout.cuts))[0]
            assert cut.played_seconds == (640 + 64000) / 32000
            assert cut.dropped_seconds == 10_000_000 / 32000

    serve(scenario)


def test_a_second_socket_takes_the_peer_over(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        agent_id, agent_token = await client.peer(room_id, "agent")
        async with client.agent(agent_token) as first, client.agent(agent_token):
            assert await closing(first) == (1000, "peer already connected")
            assert (await client.shown(room_id, agent_id))["status"] == "connected"
        browser_id, browser_token = await client.peer(room_id)
        async with client.socket("peer") as one, client.socket("peer") as two:
            for socket in (one, two):
                await socket.send(peer_auth(browser_token))
                await socket.recv()
            # To Fishjam's web client a final reason: it does not take the peer over again.
            assert await closing(one) == (1000, "reached peers limit")
            assert (await client.shown(room_id, browser_id))["status"] == "connected"

    serve(scenario)


def test_a_deleted_peer_is_shown_out_and_stays_out(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            await client.http.delete(f"/room/{room_id}/peer/{peer_id}")
            assert await closing(agent) == (1000, "Peer removed")
        async with client.socket("agent") as agent:
            await agent.send(encode_auth_request(token))
            assert await closing(agent) == (1000, "peer not found")

    serve(scenario)


def test_delay_and_jitter_hold_for_messages_of_agents(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            track_id, source = await voice(client, room_id, agent)
            client.server.network.delay = 0.2
            client.server.network.jitter = 0.05
            sent = client.server.clock.now
            for _ in range(5):
                await agent.send(encode_track_chunk(track_id, bytes(640)))
            await agent.send(encode_interrupt(track_id))
            cut = (await until(lambda: source.playout.cuts))[0]
            assert cut.at >= sent + 0.2
            assert source.playout.received == 1600

    serve(scenario)


def test_an_agent_that_does_not_read_is_cut_off_and_the_others_hear_on(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        slow_id, slow_token = await client.peer(room_id, "agent")
        _, token = await client.peer(room_id, "agent")
        async with client.agent(slow_token) as slow, client.agent(token) as agent:
            slow.transport.pause_reading()
            room = client.server.rooms.get(room_id)
            listener = room.peers[slow_id].listener
            assert listener is not None
            connection = listener.connection  # type: ignore[attr-defined]
            flood = bytes(1024 * 1024)
            while not connection.dropped:
                listener.hear(flood, 1)
                await asyncio.sleep(0)
            dropped = connection.dropped
            caller = await client.server.add_caller(room_id)
            await agent.recv()
            await client.server.clock.wait_until(client.server.clock.position + 0.1)
            assert connection.dropped > dropped
            assert caller.joined
            connection._over_since -= 60
            await until(lambda: not room.peers[slow_id].connected)
            await agent.recv()
            slow.transport.abort()

    serve(scenario)
