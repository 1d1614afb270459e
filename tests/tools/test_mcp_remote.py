"""MCP servers over HTTP: restarts, redirects, proxies, and tools as servers describe them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from fishjam_agents.tools.mcp import McpError
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool

pytest.importorskip("mcp", reason="needs the extra mcp")

from tests.tools.remote_server import Remote, serving
from tests.tools.test_mcp import PATIENT, ask, connected

pytestmark = pytest.mark.timeout(120)


def run(scenario: Any, **remote: Any) -> Remote:
    async def main() -> Remote:
        async with serving(Remote(**remote)) as server:
            await scenario(server)
        return server

    return asyncio.run(main())


def at(remote: Remote, **settings: Any) -> McpServer:
    return McpServer(**{"url": remote.url, "connect_timeout": PATIENT, **settings})


def refusal(code: int, message: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    "gone",
    [
        (404, "session not found"),
        (404, refusal(-32600, "Session not found")),
        (404, refusal(-32001, "Session not found")),
        (400, refusal(-32000, "Bad Request: No valid session ID provided")),
        (400, refusal(-32600, "Invalid session ID")),
    ],
)
def test_a_server_that_was_restarted_is_connected_to_again_and_the_tool_runs_once(gone: Any) -> None:
    async def scenario(remote: Remote) -> None:
        async with connected(at(remote)) as tools:
            assert await ask(tools["stock"]) == "three"
            remote.sessions.clear()
            assert await ask(tools["stock"]) == "three"
            assert await ask(tools["stock"]) == "three"

    remote = run(scenario, gone=gone)
    assert remote.called == ["stock"] * 3
    assert len(remote.sessions) == 1


def test_a_server_that_knows_none_of_its_sessions_is_not_asked_for_ever() -> None:
    class Forgetful(set[str]):
        def __contains__(self, session: object) -> bool:
            return len(self) < 2 and super().__contains__(session)

    async def scenario(remote: Remote) -> None:
        async with connected(at(remote)) as tools:
            remote.sessions.add("another")
            from fishjam_agents import ToolError

            with pytest.raises(ToolError, match="failed"):
                await ask(tools["stock"])

    assert run(scenario, sessions=Forgetful()).called == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_server_is_followed_with_its_headers(status: int) -> None:
    async def scenario(remote: Remote) -> None:
        server = at(remote, url=remote.url.replace("/mcp", "/moved"), headers={"X-Key": "k1"})
        async with connected(server) as tools:
            assert await ask(tools["stock"]) == "three"

    remote = run(scenario, redirect=status)
    assert {headers["x-key"] for headers in remote.headers} == {"k1"}


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_to_another_server_is_a_sentence_and_takes_no_key_there(status: int) -> None:
    async def scenario(remote: Remote) -> None:
        async with serving(Remote()) as other:
            remote.target = other.url
            server = at(remote, url=remote.url.replace("/mcp", "/moved"), headers={"X-Key": "k1"})
            with pytest.raises(
                McpError, match=rf"Redirect to http://127\.0\.0\.1:{other.port}/mcp not followed"
            ):
                async with connected(server):
                    pass
            assert other.headers == []

    run(scenario, redirect=status)


def test_a_proxy_of_the_environment_is_not_asked_for_servers_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def scenario(remote: Remote) -> None:
        for host in ("127.0.0.1", "localhost"):
            async with connected(at(remote, url=remote.url.replace("127.0.0.1", host))) as tools:
                assert await ask(tools["stock"]) == "three"

    run(scenario)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": ""}], "done"),
        ([], "done"),
        ([{"type": "text", "text": ""}, {"type": "text", "text": "three"}], "three"),
        ([{"type": "image", "data": "aGk=", "mimeType": "image/png"}], "[image]"),
    ],
)
def test_an_empty_text_is_no_text(content: Any, text: str) -> None:
    async def scenario(remote: Remote) -> None:
        async with connected(at(remote)) as tools:
            assert await ask(tools["stock"]) == text

    run(scenario, content=content)


def offered(*tools: dict[str, Any], **settings: Any) -> dict[str, Tool]:
    """What is made of tools as a server tells them."""
    found: dict[str, Tool] = {}

    async def scenario(remote: Remote) -> None:
        async with connected(at(remote, **settings)) as made:
            found.update(made)

    run(scenario, tools=tools)
    return found


def named(name: str, schema: Any = None) -> dict[str, Any]:
    return {"name": name, "description": name, "inputSchema": schema or {"type": "object"}}


def test_names_are_made_such_that_every_vendor_takes_them_and_no_two_are_the_same() -> None:
    tools = offered(*map(named, ["2fa", "a.b", "a_b", "-x", "größe", "y" * 70, "y" * 80]))
    assert list(tools) == ["_2fa", "a_b", "a_b_2", "_-x", "gr__e", "y" * 64, "y" * 62 + "_2"]
    assert list(offered(named("2fa"), prefix="shop_")) == ["shop_2fa"]


def test_a_tool_whose_schema_cannot_be_told_is_left_out_and_the_others_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    itself = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}},
    }
    odd = {"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}}
    either = {"type": "object", "anyOf": [{"type": "string"}, {"type": "integer"}]}
    with caplog.at_level(logging.WARNING):
        tools = offered(named("stock"), named("itself", itself), named("odd", odd), named("either", either))
    assert list(tools) == ["stock"]
    left_out = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert [text.split()[2] for text in left_out] == ["itself", "odd", "either"]


def test_a_schema_is_told_as_vendors_take_it() -> None:
    schema = {
        "type": "object",
        "anyOf": [
            {"properties": {"id": {"type": "string"}}, "required": ["id"]},
            {"properties": {"name": {"type": "string"}, "tags": {"type": "array"}}, "required": ["name"]},
        ],
        "properties": {"limit": {"type": "integer"}},
        "required": ["limit"],
    }
    parameters = offered(named("find", schema))["find"].declaration.parameters
    assert json.loads(json.dumps(parameters)) == {
        "type": "object",
        "properties": {
            "limit": {"type": "integer"},
            "id": {"type": "string"},
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {}},
        },
        "required": ["limit"],
    }
