"""What all three sockets share: authentication, addresses, frames, garbage."""

from __future__ import annotations

import numpy as np
import pytest
import websockets

from fishjam_agents.audio.wav import Clip
from fishjam_agents.protocol import (
    TrackData,
    decode_agent_response,
    encode_auth_request,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
    encode_track_chunk,
)

from .conftest import Client, closing
from .sockets import SERVER_AUTH, SUBSCRIBE, Serve, peer_auth, server_message, subscribed, voice


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
