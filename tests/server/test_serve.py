"""The server as one object: starting, refusing to start, stopping."""

from __future__ import annotations

import asyncio
import builtins
import re
import signal
import socket
import sys
from typing import Any

import httpx
import pytest
import websockets

from fishjam_agents.errors import FishjamAgentsError, MissingExtraError, install_extra
from fishjam_agents.protocol import encode_auth_request
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType


def test_a_port_in_use_is_one_sentence_that_names_it() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as first:
            with pytest.raises(FishjamAgentsError, match=rf"port {first.port} .*choose another") as caught:
                await EmbeddedServer(port=first.port).start()
            assert "\n" not in str(caught.value)
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{first.url}/validate")).status_code == 404

    asyncio.run(scenario())


def test_an_address_of_another_machine_is_one_sentence() -> None:
    async def scenario() -> None:
        for host in ("203.0.113.7", "no-such-host.invalid"):
            with pytest.raises(FishjamAgentsError, match="cannot listen on"):
                await EmbeddedServer(host, token="own").start()

    asyncio.run(scenario())


def test_a_server_others_can_reach_needs_a_token_of_its_own() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(FishjamAgentsError, match="token of your own"):
            EmbeddedServer(host)
    assert EmbeddedServer("0.0.0.0", token="own").token == "own"
    assert EmbeddedServer().token != EmbeddedServer().token


def test_a_missing_extra_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_uvicorn(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "uvicorn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **named)

    for name in ("uvicorn", "fishjam_agents.server.http_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", without_uvicorn)

    async def scenario() -> None:
        with pytest.raises(MissingExtraError, match=re.escape(install_extra("server"))):
            await EmbeddedServer().start()

    asyncio.run(scenario())


def test_signals_stay_with_the_program() -> None:
    async def scenario() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with EmbeddedServer():
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    asyncio.run(scenario())


def test_stopping_closes_every_socket_and_leaves_no_task() -> None:
    async def scenario() -> None:
        server = EmbeddedServer()
        await server.start()
        room = server.rooms.create()
        peer = room.add_peer(PeerConfig(PeerType.AGENT))
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/socket/agent/websocket") as agent:
            await agent.send(encode_auth_request(server.rooms.token(room, peer)))
            await agent.recv()
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"POST /room HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n")
            await writer.drain()
            await server.stop()
            with pytest.raises(websockets.ConnectionClosed):
                await agent.recv()
            assert (agent.close_code, agent.close_reason) == (1001, "server stopped")
            assert not peer.connected
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            writer.close()
        await server.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_stopped_server_can_be_started_again() -> None:
    async def scenario() -> None:
        server = EmbeddedServer()
        for _ in range(2):
            async with server:
                await server.clock.wait_until(0.04)
                async with httpx.AsyncClient() as http:
                    assert (await http.get(f"{server.url}/validate")).status_code == 404
            assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(scenario())


def test_localhost_by_name_listens_where_clients_look() -> None:
    async def scenario() -> None:
        async with EmbeddedServer("localhost") as server:
            with socket.create_connection(("127.0.0.1", server.port)):
                pass

    asyncio.run(scenario())
