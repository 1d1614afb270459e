"""Both clients over real sockets: the embedded server, and stubs for what it never does."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import (
    AgentOptions,
    AgentOutputOptions,
    AsyncFishjamClient,
    BadRequestError,
    CompositionSource,
    ConflictError,
    FishjamClient,
    NotFoundError,
    PeerOptions,
    PeerOptionsVapi,
    RoomOptions,
    TemplateSource,
)
from fishjam_agents.server import EmbeddedServer

from .clients import Kind, against_server, against_stub, ask, both, client_of
from .stubs import Answer, http_server


@both
def test_rooms_and_peers_are_made_and_removed(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        await ask(client.check_credentials)
        room = await ask(client.create_room, RoomOptions(max_peers=3))
        assert room.config.max_peers == 3
        assert await ask(client.get_room, room.id) == room
        assert room in await ask(client.get_all_rooms)

        peer, token = await ask(client.create_peer, room.id, PeerOptions(metadata={"name": "Ann"}))
        assert peer.metadata == {"peer": {}, "server": {"name": "Ann"}}
        assert await ask(client.refresh_peer_token, room.id, peer.id) not in ("", token)
        agent = await ask(
            client.create_agent,
            room_id=room.id,
            options=AgentOptions(AgentOutputOptions(audio_sample_rate=24000)),
        )
        assert agent.room_id == room.id
        vapi = await ask(client.create_vapi_agent, room.id, PeerOptionsVapi("key", "call-1"))
        assert [(p.id, p.type) for p in (await ask(client.get_room, room.id)).peers] == [
            (peer.id, "webrtc"),
            (agent.id, "agent"),
            (vapi.id, "vapi"),
        ]
        with pytest.raises(ConflictError, match="max_peers"):
            await ask(client.create_peer, room.id)

        await ask(client.delete_peer, room.id, peer.id)
        with pytest.raises(NotFoundError):
            await ask(client.delete_peer, room.id, peer.id)
        await ask(client.delete_room, room.id)
        with pytest.raises(NotFoundError):
            await ask(client.get_room, room.id)

    against_server(kind, scenario)


@both
def test_an_agent_of_either_client_enters_its_room(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id)
        async with agent.connect():
            (peer,) = (await ask(client.get_room, room.id)).peers
            assert peer.status == "connected"

    against_server(kind, scenario)


@both
def test_a_manual_peer_is_subscribed(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id, AgentOptions(subscribe_mode="manual"))
        caller = await server.add_caller(room.id)
        track = caller.microphone.track.id
        await ask(client.subscribe_peer, room.id, agent.id, caller.id)
        await ask(client.subscribe_tracks, room.id, agent.id, [track])
        (shown, _) = (await ask(client.get_room, room.id)).peers
        assert shown.subscribe_mode == "manual"
        assert (shown.subscriptions.peers, shown.subscriptions.tracks) == ([caller.id], [track])

    against_server(kind, scenario)


@both
def test_livestreams_have_tokens_and_addresses(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room, RoomOptions(room_type="livestream", public=True))
        assert room.config.public
        assert await ask(client.create_livestream_viewer_token, room.id)
        assert await ask(client.create_livestream_streamer_token, room.id)
        assert client.livestream_whip_url() == f"{server.url}/api/v1/live/api/whip"
        assert client.livestream_whep_url() == f"{server.url}/api/v1/live/api/whep"
        conference = await ask(client.create_room)
        with pytest.raises(NotFoundError):
            await ask(client.create_livestream_viewer_token, conference.id)

    against_server(kind, scenario)


@both
def test_moq_access_is_given(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        access = await ask(client.create_moq_access, publish_path="out", ttl=60)
        assert access.connection_url.endswith(f"jwt={access.token}")
        assert await ask(client.create_moq_token, subscribe_path="in")
        with pytest.raises(BadRequestError):
            await ask(client.create_moq_access)

    against_server(kind, scenario)


@both
def test_recordings_are_made_found_stopped_and_deleted(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        composition = "https://rtc.fishjam.io/api/composition/c"
        room = await ask(client.create_room)
        await ask(client.forward_room_tracks, room.id, composition)
        assert (await ask(client.get_room, room.id)).composition_info.composition_url == composition

        source = CompositionSource(composition, "out")
        labels = {"env": "prod", "deep": {"n": 1}}
        recording = await ask(client.create_composition_recording, source, labels)
        assert (recording.status, recording.source, recording.metadata) == ("active", source, labels)
        other = await ask(client.create_template_recording, TemplateSource(composition), b"render()")
        assert {item.id for item in await ask(client.get_all_recordings)} == {recording.id, other.id}
        assert [item.id for item in await ask(client.get_all_recordings, {"deep": {"n": 1}})] == [
            recording.id
        ]
        with pytest.raises(ConflictError, match="stop a recording"):
            await ask(client.delete_recording, recording.id)
        await ask(client.stop_recording, recording.id)
        async with asyncio.timeout(10):
            while (await ask(client.get_recording, recording.id)).status != "available":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await ask(client.get_recording, recording.id)).files
        await ask(client.delete_recording, recording.id)
        await ask(client.stop_recording, other.id)
        with pytest.raises(NotFoundError):
            await ask(client.get_recording, recording.id)

    against_server(kind, scenario)


@both
def test_a_template_travels_as_a_form(kind: Kind) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        seen.append((headers, body))
        return 400, b""

    async def scenario(client: Any) -> None:
        with pytest.raises(BadRequestError):
            await ask(client.create_template_recording, TemplateSource("http://c"), b"render()", {"a": 1})

    against_stub(kind, respond, scenario)
    ((headers, body),) = seen
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="config"\r\nContent-Type: application/json' in body
    assert b'"metadata": {"a": 1}' in body
    assert b'name="template"; filename="template.js"' in body
    assert b"render()" in body


@both
def test_requests_carry_the_token_and_keep_encoded_ids_and_the_path_of_the_url(kind: Kind) -> None:
    seen: list[Any] = []

    def respond(*request: object) -> Answer:
        seen.append(request)
        return 200, json.dumps({"data": {"token": "t"}}).encode()

    async def scenario() -> None:
        async with (
            http_server(respond) as url,
            client_of(kind, f"{url}/api/v1/connect/me/", "secret") as client,
        ):
            await ask(client.refresh_peer_token, "a/b", "p")
            assert "secret" not in repr(client)

    asyncio.run(scenario())
    (method, path, headers, body) = seen[0]
    assert (method, path) == ("POST", "/api/v1/connect/me/room/a%2Fb/peer/p/refresh_token")
    assert headers["authorization"] == "bearer secret"
    assert headers["x-fishjam-api-client"].startswith("fishjam-agents/")
    assert body == b""


@both
def test_an_id_without_a_scheme_is_refused_before_anything_is_sent(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="write http://localhost:5002"):
        kind("localhost:5002", "token")


@both
def test_both_clients_have_the_signatures_of_the_endpoints(kind: Kind) -> None:
    signature = inspect.signature(kind.create_agent)
    assert list(signature.parameters) == ["self", "room_id", "options"]
    assert signature.return_annotation == "Agent"
    assert str(inspect.signature(kind.get_room)) == "(self, room_id: 'str') -> 'Room'"
    assert inspect.iscoroutinefunction(kind.get_room) == (kind is AsyncFishjamClient)
    assert (kind.get_room.__doc__ or "").startswith("The room as it is now")


def test_the_blocking_client_works_without_a_context_and_leaves_no_connection() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:

            def program() -> None:
                client = FishjamClient(server.url, server.token)
                room = client.create_room()
                client.close()
                assert client.get_room(room.id) == room
                with FishjamClient(server.url, server.token) as other:
                    assert other.get_all_rooms() == [room]

            await asyncio.to_thread(program)
            # A socket that is left to the collector would warn, and a warning fails the test.
            gc.collect()

    asyncio.run(scenario())


def test_threads_share_the_blocking_client() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        def program() -> set[str]:
            with ThreadPoolExecutor(8) as pool:
                return {room.id for room in pool.map(lambda _: client.create_room(), range(40))}

        assert await asyncio.to_thread(program) == {room.id for room in await ask(client.get_all_rooms)}

    against_server(FishjamClient, scenario)


@both
def test_a_pickled_client_opens_connections_of_its_own(kind: Kind) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        copy = pickle.loads(pickle.dumps(client))
        assert await ask(copy.get_all_rooms) == [room]
        await ask(copy.close if isinstance(copy, FishjamClient) else copy.aclose)

    against_server(kind, scenario)


def test_the_package_loads_nothing_until_it_is_used() -> None:
    code = (
        "import sys, fishjam_agents.fishjam as fishjam;"
        "assert not {'httpx', 'websockets', 'betterproto'} & set(sys.modules);"
        "fishjam.Agent; assert 'httpx' not in sys.modules;"
        "[getattr(fishjam, name) for name in fishjam.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_rest_alone_loads_no_websockets() -> None:
    code = (
        "import sys; from fishjam_agents.fishjam import FishjamClient;"
        "FishjamClient('http://127.0.0.1:1', 'token');"
        "assert not {'websockets', 'betterproto', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@both
@given(
    st.text(max_size=20)
    | st.text(max_size=12).map("http://".__add__)
    | st.from_regex(r"http://[a-z.\-:@\[\]% ]{0,12}(/[a-z% ]{0,4})?", fullmatch=True)
)
def test_any_id_is_usable_or_refused_at_once(kind: Kind, fishjam_id: str) -> None:
    try:
        client = kind(fishjam_id, "token")
    except ConfigError as error:
        assert str(error)  # noqa: PT017
    else:
        httpx.Request("GET", client.url + "/room")
