"""What tests of the three sockets send, and how they read what comes back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import betterproto
import websockets

from fishjam_agents.protocol import Track, TrackType, decode, encode, encode_add_track
from fishjam_agents.protocol.generated import notifications, peer
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.room import Room

from .conftest import Client, Scenario

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
