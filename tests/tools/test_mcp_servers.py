"""An MCP server that several bots of one call bring along: connected once, and there for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import port as p
from fishjam_agents.events import BotChanged, Event
from fishjam_agents.pipeline.mcp_servers import CallMcpServers
from fishjam_agents.testing import MemoryRoom, Scripted
from fishjam_agents.tools.mcp_server import McpServer
from tests.tools.test_mcp import PATIENT, shop

pytest.importorskip("mcp", reason="needs the extra mcp")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    return tmp_path / "starts"


@pytest.fixture
def server(starts: Path) -> McpServer:
    return shop("counted", env={"SHOP_STARTS": str(starts)})


def test_two_that_take_over_at_once_share_a_server_and_the_last_one_has_the_call(
    starts: Path, server: McpServer
) -> None:
    backend = Scripted(offers=p.Capabilities(tools=True))

    class First(AgentPipeline):
        instructions = "first"
        mcp = (server,)

    class Second(AgentPipeline):
        instructions = "second"
        mcp = (server, server)

    def updates() -> list[p.UpdateInput]:
        return [entry for entry in backend.entries if isinstance(entry, p.UpdateInput)]

    async def main() -> None:
        bot = AgentPipeline()
        bot.backend = backend
        async with MemoryRoom() as room, asyncio.timeout(PATIENT):
            running = asyncio.create_task(bot.run(room.session, room=room))
            while not backend.sessions:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            bot.become(First)
            bot.become(Second)
            while len(updates()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            bot.stop()
            await running

    asyncio.run(main())
    assert [update.instructions for update in updates()] == ["first", "second"]
    for update in updates():
        assert "stock" in _names(update.tools or ())
    assert starts.read_text() == "started\n"


def test_a_handoff_that_is_given_up_takes_a_server_away_from_no_other(
    starts: Path, server: McpServer
) -> None:
    async def main() -> None:
        before = asyncio.all_tasks()
        servers = CallMcpServers(pytest.fail)
        given_up = asyncio.create_task(servers.connect([server]))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert list(servers.offered([server])) == []
        async with asyncio.timeout(PATIENT):
            await servers.connect([server])
        ((_, tools),) = servers.offered([server])
        assert "stock" in [tool.name for tool in tools]
        await servers.close()
        # Nobody would close what is opened for a call that is over.
        await servers.connect([shop()])
        assert asyncio.all_tasks() == before

    asyncio.run(main())
    assert starts.read_text() == "started\n"


def test_a_call_that_ends_while_a_server_starts_leaves_nothing_behind(server: McpServer) -> None:
    async def main() -> None:
        before = asyncio.all_tasks()
        servers = CallMcpServers(pytest.fail)
        waiting = asyncio.create_task(servers.connect([server]))
        await asyncio.sleep(0.1)
        await servers.close()
        async with asyncio.timeout(PATIENT):
            await waiting
        assert asyncio.all_tasks() == before

    asyncio.run(main())


def _names(tools: Iterable[p.ToolDeclaration]) -> list[str]:
    return [tool.name for tool in tools]


def test_who_is_asked_for_last_keeps_the_call_from_who_is_ready_later(server: McpServer) -> None:
    class Slow(AgentPipeline):
        instructions = "slow"
        mcp = (server,)

    class Quick(AgentPipeline):
        instructions = "quick"

    changed: list[str] = []

    def told(event: Event) -> None:
        if isinstance(event, BotChanged):
            changed.append(event.bot)

    def connecting() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("connect mcp")]

    async def main() -> None:
        bot = AgentPipeline()
        bot.backend = backend = Scripted(offers=p.Capabilities(tools=True))
        bot.observers.append(told)
        async with MemoryRoom() as room, asyncio.timeout(PATIENT):
            running = asyncio.create_task(bot.run(room.session, room=room))
            while not backend.sessions:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            bot.become(Slow)
            while not connecting():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            bot.become(Quick)
            while connecting():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            bot.stop()
            await running

    asyncio.run(main())
    assert changed == ["Quick"]
