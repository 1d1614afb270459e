from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from fishjam_agents.errors import ConfigError, ProtocolError
from fishjam_agents.fishjam import (
    AgentOptions,
    AgentOutputOptions,
    AsyncFishjamClient,
    InvalidFishjamCredentialsError,
    NotFoundError,
    PeerOptions,
    RoomOptions,
    UnreachableError,
)
from fishjam_agents.fishjam import client as client_module
from fishjam_agents.server import EmbeddedServer

from .stubs import http_server


def test_rooms_and_peers_are_made_and_removed() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            await client.check_credentials()
            room = await client.create_room(RoomOptions(max_peers=3))
            assert room.config.max_peers == 3
            assert await client.get_room(room.id) == room
            assert room in await client.get_all_rooms()

            peer, token = await client.create_peer(room.id, PeerOptions(metadata={"name": "Ann"}))
            assert peer.metadata == {"peer": {}, "server": {"name": "Ann"}}
            assert await client.refresh_peer_token(room.id, peer.id) not in ("", token)
            agent = await client.create_agent(
                room.id, AgentOptions(AgentOutputOptions(audio_sample_rate=24000))
            )
            assert [(p.id, p.type) for p in (await client.get_room(room.id)).peers] == [
                (peer.id, "webrtc"),
                (agent.id, "agent"),
            ]

            await client.delete_peer(room.id, peer.id)
            await client.delete_room(room.id)
            with pytest.raises(NotFoundError):
                await client.get_room(room.id)

    asyncio.run(scenario())


def test_a_wrong_token_is_said_to_be_wrong() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, "wrong") as client:
            with pytest.raises(InvalidFishjamCredentialsError, match="check the Fishjam ID"):
                await client.check_credentials()

    asyncio.run(scenario())


def test_requests_carry_the_token_and_keep_encoded_ids_and_the_path_of_the_url() -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def respond(*request: object) -> tuple[int, bytes]:
        seen.append(request)  # type: ignore[arg-type]
        return 200, json.dumps({"data": {"token": "t"}}).encode()

    async def scenario() -> None:
        async with (
            http_server(respond) as url,
            AsyncFishjamClient(f"{url}/api/v1/connect/me/", "secret") as client,
        ):
            await client.refresh_peer_token("a/b", "p")
            assert "secret" not in repr(client)

    asyncio.run(scenario())
    (method, path, headers, body) = seen[0]
    assert (method, path) == ("POST", "/api/v1/connect/me/room/a%2Fb/peer/p/refresh_token")
    assert headers["authorization"] == "bearer secret"
    assert headers["x-fishjam-api-client"].startswith("fishjam-agents/")
    assert body == b""


def test_a_server_that_is_not_there_is_named() -> None:
    async def scenario() -> None:
        async with http_server(lambda *_: (200, b"")) as url:
            pass
        async with AsyncFishjamClient(url, "token") as client:
            with pytest.raises(UnreachableError, match=f"cannot reach {url}: is the server running"):
                await client.get_all_rooms()

    asyncio.run(scenario())


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REQUEST_TIMEOUT", 0.1)

    async def scenario() -> None:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            gone.set()

        gone = asyncio.Event()
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, AsyncFishjamClient(url, "token") as client:
            with pytest.raises(UnreachableError, match="did not answer GET /room"):
                await client.get_all_rooms()
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(scenario())


def test_what_is_no_fishjam_is_said_to_be_none() -> None:
    async def scenario() -> None:
        async with http_server(lambda *_: (200, b"<html>")) as url, AsyncFishjamClient(url, "t") as client:
            with pytest.raises(ProtocolError, match="is it a Fishjam server"):
                await client.get_all_rooms()

    asyncio.run(scenario())


def test_an_id_without_a_scheme_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="write http://localhost:5002"):
        AsyncFishjamClient("localhost:5002", "token")


def test_the_package_loads_nothing_until_it_is_used() -> None:
    code = (
        "import sys, fishjam_agents.fishjam as fishjam;"
        "assert not {'httpx', 'websockets', 'betterproto'} & set(sys.modules);"
        "fishjam.Agent; assert 'httpx' not in sys.modules;"
        "[getattr(fishjam, name) for name in fishjam.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
