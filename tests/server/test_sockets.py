"""The three sockets over real connections."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import betterproto
import numpy as np
import pytest
import websockets

from fishjam_agents.audio.wav import Clip
from fishjam_agents.protocol import (
    Track,
    TrackData,
    TrackType,
    decode,
    decode_agent_response,
    encode,
    encode_add_track,
    encode_auth_request,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
    encode_track_chunk,
)
from fishjam_agents.protocol.generated import notifications, peer
from fishjam_agents.server.room import Room
from fishjam_agents.server.sources import AgentTrack

from .conftest import Client, Scenario, closing

Serve = Callable[[Scenario], None]


def server_message(**content: Any) -> bytes:
    return encode(notifications.ServerMessage(**content))


def peer_auth(token: str) -> bytes:
    return encode(peer.PeerMessage(auth_request=peer.PeerMessageAuthRequest(token=token)))


SERVER_AUTH = notifications.ServerMessageAuthRequest
SUBSCRIBE = server_message(subscribe_request=notifications.ServerMessageSubscribeRequest(event_type=1))


async def subscribed(client: Client, socket: websockets.ClientConnection) -> None:
    await socket.send(server_message(auth_request=SERVER_AUTH(token=client.server.token)))
    assert await socket.recv() == bytes.fromhex("3200")
    await socket.send(SUBSCRIBE)
    assert await socket.recv() == bytes.fromhex("4a020801")


async def next_notification(socket: websockets.ClientConnection) -> tuple[str, Any]:
    data = await socket.recv()
    assert isinstance(data, bytes)
    return betterproto.which_one_of(decode(notifications.ServerMessage, data), "content")


async def notified(socket: websockets.ClientConnection, last: str) -> list[str]:
    """Names of the notifications up to `last`; every one about a peer must tell its type."""
    names = []
    while not names or names[-1] != last:
        name, message = await next_notification(socket)
        if name.startswith("peer_"):
            assert message.peer_type != 0
        names.append(name)
    return names


async def until(condition: Callable[[], Any]) -> Any:
    while not (value := condition()):  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.005)
    return value


async def voice(client: Client, room_id: str, socket: websockets.ClientConnection) -> tuple[str, AgentTrack]:
    """Publish a track on an agent's socket; its id and the server's side of it."""
    track_id = uuid.uuid4().hex
    await socket.send(encode_add_track(Track(track_id, TrackType.AUDIO, "null"), sample_rate=16000))
    room = client.server.rooms.get(room_id)
    source = await until(lambda: _source(room, track_id))
    assert isinstance(source, AgentTrack)
    return track_id, source


def _source(room: Room, track_id: str) -> Any:
    return next((p.sources[track_id] for p in room.peers.values() if track_id in p.sources), None)


def test_notifications_come_in_the_documented_order(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket("server") as socket:
            await subscribed(client, socket)
            room_id = await client.room()
            peer_id, token = await client.peer(room_id, "agent")
            async with client.agent(token) as agent:
                track_id, _ = await voice(client, room_id, agent)
                assert (await client.shown(room_id, peer_id))["status"] == "connected"
                await agent.send(encode_remove_track(track_id))
                assert await notified(socket, "track_removed") == [
                    "room_created",
                    "peer_added",
                    "peer_connected",
                    "peer_metadata_updated",
                    "track_added",
                    "track_removed",
                ]
                await voice(client, room_id, agent)
            assert await notified(socket, "peer_disconnected") == [
                "track_added",
                "track_removed",
                "peer_disconnected",
            ]
            shown = await client.shown(room_id, peer_id)
            assert (shown["status"], shown["tracks"]) == ("disconnected", [])
            await client.http.delete(f"/room/{room_id}/peer/{peer_id}")
            await client.http.delete(f"/room/{room_id}")
            assert await notified(socket, "room_deleted") == ["peer_deleted", "room_deleted"]

    serve(scenario)


def test_deleting_a_room_disconnects_and_deletes_its_peers_first(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket("server") as socket:
            await subscribed(client, socket)
            room_id = await client.room()
            _, token = await client.peer(room_id)
            async with client.socket("peer") as browser:
                await browser.send(peer_auth(token))
                assert await browser.recv() == bytes.fromhex("0a020801")
                await client.http.delete(f"/room/{room_id}")
                assert await closing(browser) == (1000, "Room stopped")
            names = await notified(socket, "room_deleted")
            assert names == [
                "room_created",
                "peer_added",
                "peer_connected",
                "peer_disconnected",
                "peer_deleted",
                "room_deleted",
            ]

    serve(scenario)


def test_the_agents_first_metadata_is_null(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket("server") as socket:
            await subscribed(client, socket)
            _, token = await client.peer(await client.room(), "agent")
            async with client.agent(token):
                name = ""
                while name != "peer_metadata_updated":
                    name, message = await next_notification(socket)
                assert message.metadata == "null"

    serve(scenario)


def test_a_simulated_caller_joins_as_a_browser_would(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket("server") as socket:
            await subscribed(client, socket)
            room_id = await client.room()
            caller = await client.server.add_caller(room_id, metadata={"name": "Ann"})
            shown = await client.shown(room_id, caller.id)
            assert (shown["type"], shown["status"]) == ("webrtc", "connected")
            assert shown["metadata"] == {"peer": {}, "server": {"name": "Ann"}}
            metadata = {"type": "microphone", "paused": False}
            assert shown["tracks"] == [
                {"id": caller.microphone.track.id, "type": "audio", "metadata": metadata}
            ]
            caller.mute()
            await client.http.delete(f"/room/{room_id}/peer/{caller.id}")
            assert not caller.joined
            assert await notified(socket, "peer_deleted") == [
                "room_created",
                "peer_added",
                "peer_connected",
                "peer_metadata_updated",
                "track_added",
                "track_metadata_updated",
                "track_removed",
                "peer_disconnected",
                "peer_deleted",
            ]

    serve(scenario)


def test_bad_authentication_closes_with_the_words_clients_know(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        agent_id, agent_token = await client.peer(room_id, "agent")
        browser_id, browser_token = await client.peer(room_id)
        gone_room = await client.room()
        _, lost_token = await client.peer(gone_room, "agent")
        await client.http.delete(f"/room/{gone_room}")
        for peer_id in (agent_id, browser_id):
            await client.http.delete(f"/room/{room_id}/peer/{peer_id}")
        _, other_token = await client.peer(room_id)
        for name, message, reason in (
            ("agent", encode_auth_request(""), "missing token"),
            ("agent", encode_auth_request("bogus"), "invalid token"),
            ("agent", encode_auth_request(agent_token[:-2] + "xx"), "invalid token"),
            ("agent", encode_auth_request(other_token), "invalid token"),
            ("agent", encode_auth_request(agent_token), "peer not found"),
            ("agent", encode_auth_request(lost_token), "room not found"),
            ("agent", encode_interrupt("x"), "unauthenticated"),
            ("agent", b"\xff\xff", "unauthenticated"),
            ("peer", peer_auth("bogus"), "invalid token"),
            ("peer", peer_auth(agent_token), "peer not found"),
            ("peer", peer_auth(browser_token), "peer not found"),
            ("peer", b"\x0a", "unauthenticated"),
            ("server", server_message(auth_request=SERVER_AUTH(token="no")), "invalid token"),
            ("server", SUBSCRIBE, "invalid auth request"),
            ("server", b"\x0f", "invalid auth request"),
        ):
            async with client.socket(name) as socket:
                await socket.send(message)
                assert await closing(socket) == (1000, reason), (name, reason)

    serve(scenario)


def test_nothing_but_a_subscription_is_allowed_on_the_server_socket(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for message in (
            b"\xff",
            server_message(auth_request=SERVER_AUTH(token="x")),
            server_message(subscribe_request=notifications.ServerMessageSubscribeRequest(event_type=0)),
        ):
            async with client.socket("server") as socket:
                await socket.send(server_message(auth_request=SERVER_AUTH(token=client.server.token)))
                await socket.recv()
                await socket.send(message)
                assert await closing(socket) == (1003, "operation not allowed")

    serve(scenario)


def test_garbage_closes_one_socket_and_no_other_room_notices(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        quiet = await client.room()
        _, quiet_token = await client.peer(quiet, "agent")
        caller = await client.server.add_caller(quiet, Clip(np.full(8000, 7, np.int16), 16000))
        room_id = await client.room()
        async with client.agent(quiet_token) as listening:
            for garbage in (b"\xff\xff", encode_track_chunk("a" * 32, bytes(640))[:-5], b"\x0a", b"\x24"):
                peer_id, token = await client.peer(room_id, "agent")
                async with client.agent(token) as agent:
                    await agent.send(garbage)
                    assert await closing(agent) == (1003, "invalid message")
                assert (await client.shown(room_id, peer_id))["status"] == "disconnected"
            for _ in range(5):
                data = await listening.recv()
                assert isinstance(data, bytes)
                message = decode_agent_response(data)
                assert isinstance(message, TrackData)
                assert message.peer_id == caller.id
        async with client.socket("peer") as browser:
            _, token = await client.peer(room_id)
            await browser.send(peer_auth(token))
            await browser.recv()
            await browser.send(b"\x2a\x05")
            assert await closing(browser) == (1003, "invalid message")

    serve(scenario)


def test_text_unknown_and_empty_messages_are_ignored(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            await agent.send("text")
            await agent.send(b"")
            await agent.send(encode_capture_image("none"))
            await agent.send(encode_interrupt("none"))
            await agent.send(encode_remove_track("none"))
            await agent.send(encode_auth_request("again"))
            await voice(client, room_id, agent)

    serve(scenario)


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


def test_a_message_over_16_mib_closes_the_socket(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            # The header alone: the server must not wait for the rest.
            size = 17 * 1024 * 1024
            agent.transport.write(b"\x82\xff" + size.to_bytes(8, "big") + b"mask")
            assert (await closing(agent))[0] == 1009

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
            assert await closing(one) == (1000, "peer already connected")
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


def test_sockets_are_found_under_the_clouds_path_too_and_nowhere_else(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket("server", prefix="/api/v1/connect/any-id/") as socket:
            await subscribed(client, socket)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await client.socket("nowhere")
        assert refused.value.response.status_code == 404
        assert refused.value.response.body == b'{"errors": "Not Found"}'

    serve(scenario)


def test_no_extension_is_negotiated(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        url = client.server.url.replace("http", "ws") + "/socket/agent/websocket"
        async with websockets.connect(url) as socket:
            assert socket.protocol.extensions == []

    serve(scenario)


def test_a_message_in_fragments_is_one_message(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, token = await client.peer(await client.room(), "agent")
        message = encode_auth_request(token)
        async with client.socket("agent") as socket:
            await socket.send([message[:5], message[5:50], message[50:]])
            assert await socket.recv() == b"\x0a\x00"

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
