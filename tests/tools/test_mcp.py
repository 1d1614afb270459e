"""Tools of real MCP servers: a program over stdio, and streamable HTTP on loopback."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents import AgentPipeline, ToolContext, ToolError
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import ConfigError, FishjamAgentsError, MissingExtraError, install_extra
from fishjam_agents.events import Event
from fishjam_agents.testing import MemoryRoom, Scripted, Step
from fishjam_agents.tools import mcp_server
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.mcp import McpConnection, McpError
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool, tool

pytest.importorskip("mcp", reason="needs the extra mcp")
# The server's own imports take seconds on a busy machine.
pytestmark = pytest.mark.timeout(120)

SHOP = str(Path(__file__).with_name("shop_server.py"))
PATIENT = 60.0


def shop(*words: str, **settings: Any) -> McpServer:
    return McpServer(command="python", args=(SHOP, *words), **{"connect_timeout": PATIENT, **settings})


@asynccontextmanager
async def connected(server: McpServer) -> AsyncIterator[dict[str, Tool]]:
    before = asyncio.all_tasks()
    connection = McpConnection(server)
    try:
        yield {tool.name: tool for tool in await connection.open()}
    finally:
        await connection.close()
    assert asyncio.all_tasks() == before


async def ask(tool: Tool, reports: list[Any] | None = None, **arguments: Any) -> Any:
    take = (reports if reports is not None else []).append
    context = ToolContext("c1", tool.name, None, None, take)  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENT):
        return await tool.invoke(arguments, context)


def test_a_program_offers_its_tools_answers_fails_and_comes_back_after_a_crash(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with connected(shop(env={"SHOP_KEY": "key-of-the-shop"}, prefix="shop_")) as tools:
            stock = tools["shop_stock"]
            assert stock.declaration.description == "How many of an article there are."
            assert stock.declaration.parameters == {
                "type": "object",
                "properties": {"article": {"type": "string"}, "size": {"default": 40, "type": "integer"}},
                "required": ["article"],
            }
            assert await ask(stock, article="shoes", size=41) == "3 shoes of size 41"
            assert "6.0" in await ask(tools["shop_parcel"], weight=2)
            assert await ask(tools["shop_whoami"]) == "key-of-the-shop"
            with pytest.raises(ToolError, match="article"):
                await ask(stock)
            with pytest.raises(ToolError, match="fail"):
                await ask(tools["shop_fail"])
            reports: list[Any] = []
            working = asyncio.create_task(ask(tools["shop_slow"], reports))
            async with asyncio.timeout(PATIENT):
                while not reports:  # noqa: ASYNC110 - nothing tells a test
                    await asyncio.sleep(0.02)
            assert reports == ["looking"]
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            assert await ask(stock, article="shoes") == "3 shoes of size 40"
            with pytest.raises(ToolError, match=r"the server shop_server.py failed \(Connection closed\)"):
                await ask(tools["shop_crash"])
            assert await ask(stock, article="shoes") == "3 shoes of size 40"

    asyncio.run(main())
    assert "key-of-the-shop" not in caplog.text


def test_a_url_offers_its_tools_to_who_has_the_key_and_a_wrong_key_is_not_told() -> None:
    import uvicorn
    from starlette.responses import PlainTextResponse

    from tests.tools.shop_server import server

    app = server.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "http" and headers.get(b"authorization") != b"Bearer key-1":
            await PlainTextResponse("no", 401)(scope, receive, send)
        else:
            await app(scope, receive, send)

    async def main() -> None:
        web = uvicorn.Server(uvicorn.Config(guarded, host="127.0.0.1", port=0, log_level="error"))
        serving = asyncio.create_task(web.serve())
        while not web.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = web.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/mcp"
        try:
            wanted = McpServer(
                url=url, headers={"Authorization": "Bearer key-1"}, only=("stock",), connect_timeout=PATIENT
            )
            async with connected(wanted) as tools:
                assert list(tools) == ["stock"]
                assert await ask(tools["stock"], article="hats") == "3 hats of size 40"
            for refused, message in (
                (McpServer(url=url, headers={"Authorization": "Bearer key-2"}), "cannot be used"),
                (
                    McpServer(url=url, headers=wanted.headers, only=("stok",), connect_timeout=PATIENT),
                    "has no tool stok",
                ),
            ):
                with pytest.raises(McpError, match=message) as caught:
                    async with connected(refused):
                        pass
                assert "key-2" not in str(caught.value)
                assert url not in str(caught.value)
        finally:
            web.should_exit = True
            await serving

    asyncio.run(main())


@pytest.mark.parametrize("words", ["silent", "garbage"])
def test_a_server_that_tells_nothing_is_a_sentence_in_time(words: str) -> None:
    async def main() -> None:
        with pytest.raises(McpError, match=r"told no tools within 0\.3 s: the call goes on without them"):
            async with connected(shop(words, connect_timeout=0.3)):
                pass

    asyncio.run(main())


def test_a_program_that_prints_is_told_of_once_and_what_it_prints_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with connected(shop("talkative")) as tools:
            assert await ask(tools["stock"], article="shoes") == "3 shoes of size 40"

    asyncio.run(main())
    (record,) = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert record.getMessage().endswith("have it print to its standard error")
    assert "hunter2" not in caplog.text


def test_a_server_that_is_not_there_is_a_sentence_and_the_call_goes_on() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/mcp"

        class Bot(AgentPipeline):
            backend = Scripted(
                [Step(None, [p.ToolCall("c1", "stock", {})]), Step(p.ToolResultInput)],
                p.Capabilities(tools=True),
            )
            mcp = (McpServer(url=url, connect_timeout=PATIENT, name="the shop"),)

        async def main() -> list[Event]:
            bot, seen = Bot(), []
            bot.observers.append(seen.append)
            async with MemoryRoom() as room, asyncio.timeout(PATIENT):
                running = asyncio.create_task(bot.run(room.session, room=room))
                while "tool_called" not in [event.kind for event in seen]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.05)
                bot.stop()
                await running
            return seen

        seen = asyncio.run(main())
    (error,) = [event for event in seen if event.kind == "error"]
    assert error.message.startswith("the MCP server the shop cannot be used (")  # type: ignore[attr-defined]
    assert error.where == "mcp"  # type: ignore[attr-defined]
    (result,) = [entry for entry in Bot.backend.entries if isinstance(entry, p.ToolResultInput)]
    assert result.result == "there is no tool stock: use one of none"


def test_a_bot_that_takes_a_call_over_brings_its_server_along() -> None:
    backend = Scripted(
        [
            Step(None, [p.ToolCall("c1", "to_the_shop", {})]),
            Step(p.UpdateInput),
            Step(p.ToolResultInput, [p.ToolCall("c2", "shop_stock", {"article": "boots"})]),
            Step(p.ToolResultInput),
        ],
        p.Capabilities(tools=True),
    )

    class Shop(AgentPipeline):
        mcp = (shop(env={"SHOP_KEY": "key-of-the-shop"}, prefix="shop_"),)

    class Reception(AgentPipeline):
        handoffs = {"shop": Shop}  # noqa: RUF012

        @tool
        async def to_the_shop(self) -> Handoff:
            """Hand the call over."""
            return Handoff("shop")

    async def main() -> None:
        bot = Reception()
        bot.backend = backend
        async with MemoryRoom() as room, asyncio.timeout(PATIENT):
            running = asyncio.create_task(bot.run(room.session, room=room))
            while backend.steps:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            bot.stop()
            await running

    asyncio.run(main())
    backend.finish()
    _, update, handed, stock = [None, *(e for e in backend.entries if not isinstance(e, p.AudioInput))]
    assert isinstance(update, p.UpdateInput)
    assert "shop_stock" in [declared.name for declared in update.tools or ()]
    assert isinstance(handed, p.ToolResultInput)
    assert isinstance(stock, p.ToolResultInput)
    assert (handed.error, stock.result) == (False, "3 boots of size 40")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either command or url"),
        ({"command": "x", "url": "http://x"}, "needs either command or url"),
        ({"url": "ws://x"}, "must begin with http://"),
        ({"url": "http://ä.."}, "names no host"),
        ({"url": f"http://{'a' * 70}.example/mcp"}, "names no host"),
        ({"url": "http://127.0.0.1:99999/mcp"}, "a wrong port"),
        ({"command": "x", "headers": {"a": "b"}}, "headers are for a url"),
        ({"command": "x", "timeout": 0}, "timeout at most 3600 s"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        McpServer(**settings)


def test_what_can_be_known_is_known_before_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="there is no program no-such-program: install it"):
        McpServer(command="no-such-program").check()
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere: correct cwd"):
        McpServer(command="python", cwd=tmp_path / "nowhere").check()
    bot = AgentPipeline()
    bot.backend, bot.mcp = Parrot(), (shop(),)
    with pytest.raises(
        FishjamAgentsError, match=r"Parrot calls no tools, .* offers some \(those of shop_server.py\)"
    ):
        bot.verify()
    monkeypatch.setattr(mcp_server, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape(install_extra("mcp"))):
        shop().check()


def test_no_secret_is_in_a_repr() -> None:
    server = McpServer(url="https://x.example/mcp?key=k1", headers={"Authorization": "k2"})
    program = McpServer(command="python", env={"KEY": "k3"})
    assert not [key for key in ("k1", "k2", "k3") if key in repr(server) + repr(program) + server.label]
    assert server.label == "x.example"
    assert server.hide("401 for https://x.example/mcp?key=k1") == "401 for ..."


def test_a_file_names_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "able.py").write_text(
        "from fishjam_agents import AgentPipeline\n"
        "from fishjam_agents.backends import port\n"
        "from fishjam_agents.testing import Scripted\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Scripted(offers=port.Capabilities(tools=True))\n"
    )
    monkeypatch.setenv("SHOP_KEY", "k1")
    config = tmp_path / "config.yaml"
    text = (
        "agent:\n  pipeline: able:Bot\n  mcp:\n    - command: python\n      args: [shop.py]\n      cwd: .\n"
        "    - {url: 'https://shop.example/mcp', headers: {Authorization: 'Bearer ${SHOP_KEY}'}}\n"
    )
    config.write_text(text)
    settings = load_config(config, {"SHOP_KEY": "k1"})
    bot = pipeline_factory(settings)()
    assert bot.mcp[0].cwd == tmp_path / "."
    assert bot.mcp[1].headers == {"Authorization": "Bearer k1"}
    assert "tools     those of MCP server shop.py; those of MCP server shop.example" in describe(
        settings, bot
    )
    for wrong, message in (
        ("command: python", "config.yaml:4: agent.mcp[0]: "),
        (
            "command: no-such-program",
            "config.yaml:3: agent.mcp: MCP server shop.py: there is no program no-such",
        ),
    ):
        broken = text.replace("command: python", wrong)
        if wrong == "command: python":
            broken = broken.replace("      cwd: .", "      url: 'http://x'")
        config.write_text(broken)
        with pytest.raises(ConfigError) as caught:
            pipeline_factory(load_config(config, {"SHOP_KEY": "k1"}))
        assert message in str(caught.value)
