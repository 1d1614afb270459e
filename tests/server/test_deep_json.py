"""JSON nested as deep as the stack allows: refused where it comes in, before anybody has to read it."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import AsyncFishjamClient, LiveRoom, PeerOptions
from fishjam_agents.fishjam.live_state import state_of
from fishjam_agents.json_limits import MAX_JSON_DEPTH, depth_of, pruned, read_json
from fishjam_agents.protocol import Track, encode_add_track
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.sockets.agent import MAX_METADATA_CHARACTERS
from fishjam_agents.session import track_metadata

from .conftest import Client, Serve
from .sockets import until

JSON = st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
DEPTHS = (MAX_JSON_DEPTH + 1, 200, 900, 963, 990, 5000, 100_000)


def nested(depth: int) -> str:
    """JSON text of that depth, alternately objects and lists."""
    text = "1"
    for level in range(depth - 1):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return f'{{"m":{text}}}'


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_metadata_is_refused_and_everybody_still_sees_the_rooms(serve: Serve, depth: int) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer = f'{{"type":"webrtc","options":{{"metadata":{nested(depth)}}}}}'
        recording = f'{{"source":{{"compositionURL":"https://rtc.example/c","outputId":"o"}},"metadata":{nested(depth)}}}'
        for path, body in (
            (f"/room/{room_id}/peer", peer),
            ("/recordings", recording),
            ("/room", nested(depth)),
        ):
            answer = await client.http.post(path, content=body)
            assert (answer.status_code, answer.json()) == (
                400,
                {"errors": "Invalid request body structure"},
            )
        for path in ("/room", f"/room/{room_id}", "/recordings"):
            assert (await client.http.get(path)).status_code == 200

    serve(scenario)


def test_metadata_up_to_the_limit_is_kept_and_shown(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        # The body has two levels around it.
        metadata = json.loads(nested(MAX_JSON_DEPTH - 2))
        peer_id, _ = await client.peer(room_id, metadata=metadata)
        assert (await client.shown(room_id, peer_id))["metadata"]["server"] == metadata
        async with (
            AsyncFishjamClient(client.server.url, client.server.token) as sdk,
            LiveRoom(sdk, room_id) as live,
        ):
            assert live.peers[peer_id].metadata == {"peer": {}, "server": metadata}

    serve(scenario)


# Longer metadata of a track is refused.
@pytest.mark.parametrize(
    "depth", [depth for depth in DEPTHS if len(nested(depth)) <= MAX_METADATA_CHARACTERS]
)
def test_deep_metadata_of_a_track_is_a_text(serve: Serve, depth: int) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id, "agent")
        async with client.agent(token) as agent:
            track = Track(uuid.uuid4().hex, 2, nested(depth))
            await agent.send(encode_add_track(track, sample_rate=16000))
            peer = client.server.rooms.get(room_id).peers[peer_id]
            await until(lambda: peer.sources)
            assert (await client.shown(room_id, peer_id))["tracks"][0]["metadata"] is None
            assert (await client.http.get("/room")).status_code == 200

    serve(scenario)


def test_the_sdk_sends_no_deep_json_and_cuts_off_what_it_is_given() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            room = await client.create_room()
            deep = json.loads(nested(500))
            with pytest.raises(ConfigError, match="nested deeper than 64"):
                await client.create_peer(room.id, PeerOptions(metadata=deep))
            caller = await server.add_caller(room.id, metadata=deep)
            seen = await client.get_room(room.id)
            assert depth_of(seen.peers[0].metadata, 100) <= MAX_JSON_DEPTH + 16
            # Compared by whoever follows the room.
            assert state_of(seen) == state_of(await client.get_room(room.id))
            assert caller.id == seen.peers[0].id

    asyncio.run(scenario())


@given(JSON)
def test_depths_are_those_of_the_values(value: Any) -> None:
    def depth(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 0
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)

    assert depth_of(value) == depth(value)
    text = json.dumps(value)
    assert read_json(text) == value
    assert pruned(json.loads(text)) == value
    for limit in range(1, 5):
        assert depth_of(pruned(json.loads(text), limit)) == min(depth(value), limit)


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_metadata_of_a_frame_is_none_at_all(depth: int) -> None:
    assert track_metadata(Track("t", 2, nested(depth))) == {}
    assert track_metadata(Track("t", 2, '{"type": "microphone"}')) == {"type": "microphone"}
