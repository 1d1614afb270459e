"""What the backend's socket tells, in which order."""

from __future__ import annotations

from fishjam_agents.protocol import encode_remove_track
from fishjam_agents.protocol.generated import notifications

from .conftest import Client, closing
from .sockets import (
    SERVER_AUTH,
    Serve,
    next_notification,
    notified,
    peer_auth,
    server_message,
    subscribed,
    voice,
)


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
