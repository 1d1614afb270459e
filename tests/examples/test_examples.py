"""The examples that are programs do what their pages say."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib.util
from contextlib import aclosing
from pathlib import Path
from types import ModuleType

import httpx
import numpy as np
import pytest

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.protocol import encode
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.server import EmbeddedServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(200)
def test_the_web_application_puts_a_bot_into_each_room(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")

    async def scenario() -> None:
        async with asyncio.timeout(180), EmbeddedServer() as server:
            monkeypatch.setenv("FISHJAM_ID", server.url)
            monkeypatch.setenv("FISHJAM_MANAGEMENT_TOKEN", server.token)
            monkeypatch.setenv("FISHJAM_WEBHOOK_SECRET", "secret")
            app = example("fastapi/app.py").app
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as browser,
            ):
                await the_application(browser, server)
            assert [room.peers for room in server.rooms] == [{}]

    async def heard(server: EmbeddedServer, room: str) -> None:
        pytest.importorskip("aiortc", reason="callers join by WebRTC")
        from fishjam_agents.simulation.remote.recorded_call import Account, admitted, call_room

        told: list[str] = []
        async with admitted(Account(server.url, server.token), room, 1) as admissions:
            yes = read_wav(EXAMPLES.parent / "audio_fixtures/alice_yes.wav")
            result = await call_room(
                server.url, admissions, ["ann"], [yes], lambda at, sentence: told.append(sentence)
            )
        assert result.said
        assert any(line.endswith("s after ann fell silent") for line in told)
        assert np.abs(result.heard).max() > 500

    async def the_application(browser: httpx.AsyncClient, server: EmbeddedServer) -> None:
        rooms = [(await browser.post("/rooms")).json()["room"] for _ in range(2)]
        while len(online := (await browser.get("/online")).json()) < 2:  # noqa: ASYNC110 - polled as a page does
            await asyncio.sleep(0.02)
        bots = {id for room in rooms for id in server.rooms.get(room).peers}
        assert set(online) == bots

        await heard(server, rooms[1])

        joined = await browser.post(f"/rooms/{rooms[0]}/peers")
        assert joined.status_code == 201
        server.rooms.admit(joined.json()["token"])
        assert (await browser.post("/rooms/nowhere/peers")).status_code == 404

        body = encode(n.ServerMessage(room_created=n.ServerMessageRoomCreated("room")))
        signature = "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
        for given, status in ((signature, 204), ("sha256=00", 401), (None, 401)):
            headers = {} if given is None else {"x-fishjam-signature-256": given}
            assert (await browser.post("/webhook", content=body, headers=headers)).status_code == status

        assert (await browser.delete(f"/rooms/{rooms[0]}")).status_code == 204
        assert (await browser.delete(f"/rooms/{rooms[0]}")).status_code == 404

    asyncio.run(scenario())


def test_the_selective_agent_hears_one_peer_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        hear_one = example("selective_subscription/hear_one.py").hear_one
        async with (
            asyncio.timeout(20),
            EmbeddedServer() as server,
            AsyncFishjamClient(server.url, server.token) as client,
        ):
            room = await client.create_room()
            noise = Clip(np.full(32000, 1000, np.int16), 16000)
            callers = [await server.add_caller(room.id, noise) for _ in range(3)]
            heard = set()
            async with aclosing(hear_one(client, room.id, callers[1].id)) as frames:
                for _ in range(20):
                    heard.add((await anext(frames)).peer_id)
            assert heard == {callers[1].id}
            assert set(server.rooms.get(room.id).peers) == {caller.id for caller in callers}

    asyncio.run(scenario())
