"""Stills of simulated callers' cameras, over the agent socket and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import port as p
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AgentSession, AsyncFishjamClient
from fishjam_agents.server import Caller, EmbeddedServer
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing import Scripted, Step
from fishjam_agents.testing.scenario import Caller as CallerPlan
from fishjam_agents.testing.scenario import Line, Scenario
from fishjam_agents.tools.builtin import look

JPEG = b"\xff\xd8 a picture \xff\xd9"
FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[AgentSession, Caller, AsyncFishjamClient]]:
    """An agent in a room with a caller."""
    async with (
        asyncio.timeout(20),
        EmbeddedServer() as server,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        room = await client.create_room()
        caller = await server.add_caller(room.id)
        agent = await client.create_agent(room.id)
        async with agent.connect() as session:
            yield session, caller, client


async def next_image(session: AgentSession, within: float) -> bytes | None:
    try:
        async with asyncio.timeout(within):
            async for message in session.receive():
                if hasattr(message, "content_type"):
                    assert message.content_type == "image/jpeg"
                    return message.data
    except TimeoutError:
        pass
    return None


def test_an_agent_gets_a_still_of_a_camera_once_a_second() -> None:
    async def scenario() -> None:
        async with watching() as (session, caller, client):
            camera = caller.show(JPEG)
            room = await client.get_room(caller.room.id)
            (shown,) = [peer for peer in room.peers if peer.id == caller.id]
            assert {track.type for track in shown.tracks} == {"audio", "video"}
            await session.capture_image(camera.track.id)
            await session.capture_image(camera.track.id)
            assert await next_image(session, 5) == JPEG
            assert await next_image(session, 0.3) is None
            caller.show(JPEG * 2)
            await asyncio.sleep(0.9)
            await session.capture_image(camera.track.id)
            assert await next_image(session, 5) == JPEG * 2

    asyncio.run(scenario())


def test_what_shows_nothing_is_not_answered() -> None:
    async def scenario() -> None:
        async with watching() as (session, caller, _):
            camera = caller.show(JPEG)
            caller.hide()
            caller.hide()
            for track in (camera.track.id, caller.microphone.track.id, "none"):
                await session.capture_image(track)
            assert await next_image(session, 0.3) is None
            caller.show(JPEG, "screenShareVideo")
            caller.leave()
            caller.join()
            await session.capture_image(caller.cameras["screenShareVideo"].track.id)
            assert await next_image(session, 5) == JPEG

    asyncio.run(scenario())


def test_a_scenarios_caller_shows_a_picture(tmp_path: Path) -> None:
    (tmp_path / "ann.jpg").write_bytes(JPEG)
    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c1", "look", {})]),
            Step(p.ImageInput),
            Step(p.ToolResultInput),
        ],
        p.Capabilities(tools=True, images=True),
    )
    bot = AgentPipeline()
    bot.backend, bot.tools = backend, (look,)
    ann = CallerPlan((Line(wav=FIXTURES / "alice_yes.wav"),), camera=tmp_path / "ann.jpg")
    result = simulate_fast(bot, Scenario({"ann": ann}, seconds=4.0))
    backend.finish()
    assert [entry.data for entry in backend.entries if isinstance(entry, p.ImageInput)] == [JPEG]
    assert "tool_called" in result.kinds


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted()
    ann = CallerPlan((Line(wav=FIXTURES / "alice_yes.wav"),), camera=tmp_path / "none.jpg")
    with pytest.raises(
        FishjamAgentsError, match=r"the picture .*none\.jpg cannot be read .*: check the path"
    ):
        simulate_fast(bot, Scenario({"ann": ann}))
