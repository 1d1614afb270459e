"""Tool calls: observed on the socket, answered by the webhook."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from fishjam_agents_vapi import Vapi, WebhookSettings
from fishjam_agents_vapi.emulator import ToolUse
from fishjam_agents_vapi.translator import tool_calls

from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError

HOURS = port.ToolDeclaration("hours", "When the office is open.", {"type": "object", "properties": {}})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.mark.parametrize("shape", ["text", "object"])
def test_without_a_webhook_a_call_is_only_observed(shape: Any, emulate: Any, line: Any) -> None:
    assert not Vapi(assistant_id="a").capabilities.tools

    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak(0.2)
            await call.until(lambda: call.of(port.ToolCall))
        (seen,) = call.of(port.ToolCall)
        assert (seen.name, seen.arguments) == ("hours", {"day": "Monday"})

    emulate(scenario, tools=(ToolUse("hours", {"day": "Monday"}, shape),))


@pytest.mark.parametrize("shape", ["text", "object"])
def test_the_webhook_answers_with_the_result(shape: Any, emulate: Any, line: Any) -> None:
    number = free_port()
    webhook = WebhookSettings(number, public_url=f"http://127.0.0.1:{number}/vapi", secret="s3cret")
    assert Vapi(assistant_id="a", webhook=webhook).capabilities.tools

    async def scenario(vapi: Any) -> None:
        assistant = {"model": {"provider": "openai", "model": "gpt-4o"}, "firstMessage": ""}
        settings = {"assistant_id": None, "assistant": assistant, "webhook": webhook}
        async with line(vapi, tools=(HOURS,), **settings) as call:
            await call.speak(0.2)
            await call.until(lambda: call.of(port.ToolCall))
            (seen,) = call.of(port.ToolCall)
            await call.session.send(port.ToolResultInput(seen.call, "wait", "hours", will_continue=True))
            await call.session.send(port.ToolResultInput(seen.call, "nine\nto five", "hours"))
            await call.until(lambda: vapi.call.results)
        ((status, answer),) = vapi.call.results
        assert status == 200
        assert answer == {"results": [{"name": "hours", "toolCallId": seen.call, "result": "nine to five"}]}
        (body,) = vapi.bodies
        assert body["assistantOverrides"]["server"]["url"] == webhook.public_url
        function = {"name": "hours", "description": HOURS.description, "parameters": dict(HOURS.parameters)}
        assert body["assistant"]["model"]["tools"] == [{"type": "function", "function": function}]
        assert "tools" not in assistant["model"]

    emulate(scenario, tools=(ToolUse("hours", {"day": "Monday"}, shape),))


def test_a_result_that_nobody_waited_for_is_given_to_who_asks_again(
    emulate: Any, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents_vapi.webhook.RESULT_DEADLINE", 0.1)
    number = free_port()
    webhook = WebhookSettings(number)
    asked = {"type": "tool-calls", "toolCallList": [{"id": "1", "name": "book", "parameters": {}}]}

    async def scenario(vapi: Any) -> None:
        async with line(vapi, webhook=webhook) as call, httpx.AsyncClient(trust_env=False) as http:
            body = {"message": {**asked, "call": {"id": vapi.call.id}}}
            answer = (await http.post(f"http://127.0.0.1:{number}/", json=body)).json()
            assert answer["results"][0]["error"] == "book gave no result in time"
            assert call.of(port.ToolCallCancelled) == [port.ToolCallCancelled("1", lost=True)]
            again = asyncio.create_task(http.post(f"http://127.0.0.1:{number}/", json=body))
            await call.until(lambda: len(call.of(port.ToolCall)) == 2)
            await call.session.send(port.ToolResultInput("1", "booked", "book"))
            assert (await again).json()["results"][0]["result"] == "booked"
        assert len(call.of(port.ToolCallCancelled)) == 1

    emulate(scenario)


def test_calls_without_a_result_are_told_as_lost_with_the_call(emulate: Any, line: Any) -> None:
    number = free_port()
    asked = {"type": "tool-calls", "toolCallList": [{"id": "1", "name": "book", "parameters": {}}]}

    async def scenario(vapi: Any) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            async with line(vapi, webhook=WebhookSettings(number)) as call:
                body = {"message": {**asked, "call": {"id": vapi.call.id}}}
                asking = asyncio.create_task(http.post(f"http://127.0.0.1:{number}/", json=body))
                await call.until(lambda: call.of(port.ToolCall))
            await asyncio.gather(asking, return_exceptions=True)
        assert call.of(port.ToolCallCancelled) == [port.ToolCallCancelled("1", lost=True)]

    emulate(scenario)


def test_bots_of_one_port_have_one_secret(emulate: Any, line: Any) -> None:
    number = free_port()

    async def scenario(vapi: Any) -> None:
        async with line(vapi, webhook=WebhookSettings(number, secret="s3cret")):
            with pytest.raises(BackendError, match="serves calls with another secret: give bots") as caught:
                async with line(vapi, webhook=WebhookSettings(number, secret="other")):
                    raise AssertionError("connected")
            assert caught.value.failure == "config"
            assert "s3cret" not in str(caught.value)

    emulate(scenario)


def test_the_webhook_answers_nobody_else(emulate: Any, line: Any) -> None:
    number = free_port()
    webhook = WebhookSettings(number, secret="s3cret")
    url = f"http://127.0.0.1:{number}/"
    head = {"x-vapi-secret": "s3cret"}

    async def scenario(vapi: Any) -> None:
        async with (
            line(vapi, webhook=webhook) as call,
            line(vapi, webhook=webhook) as other,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            calls = {
                "type": "tool-calls",
                "toolCallList": [{"id": "1", "name": "hours", "parameters": {}}],
            }
            ours = {**calls, "call": {"id": vapi.call.id}}
            for body, headers, status in (
                ({"message": ours}, {}, 401),
                ({"message": ours}, {"x-vapi-secret": "guess"}, 401),
                ({"message": {**calls, "call": {"id": "nobody's"}}}, head, 404),
                ({"message": calls}, head, 404),
                ([], head, 400),
                ({"message": {"type": "status-update", "status": "ended"}}, head, 200),
            ):
                answer = await http.post(url, json=body, headers=headers)
                assert answer.status_code == status, body
            deep = await http.post(url, content="[" * 100_000, headers=head)
            assert deep.status_code == 400
            assert (await http.get(url)).status_code == 405
            # Repeated by Vapi, it is called once and answered twice.
            asked = [
                asyncio.create_task(http.post(url, json={"message": ours}, headers=head)) for _ in range(2)
            ]
            await other.until(lambda: other.of(port.ToolCall))
            result = port.ToolResultInput("1", "there is no tool hours", "hours", error=True)
            await other.session.send(result)
            answers = [(await task).json() for task in asked]
            wrong = {"name": "hours", "toolCallId": "1", "error": "there is no tool hours"}
            assert answers == [{"results": [wrong]}] * 2
            assert not call.of(port.ToolCall)
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(trust_env=False) as http:
                await http.get(url)

    emulate(scenario)


def test_a_port_in_use_is_told_in_a_sentence(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            with pytest.raises(BackendError, match=r"cannot listen on .*choose another port") as raised:
                async with line(vapi, webhook=WebhookSettings(number)):
                    pass
        assert raised.value.failure == "config"
        assert not vapi.calls

    emulate(scenario)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}, ("f", {"a": 1})),
        ({"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}, ("f", {"a": 1})),
        ({"id": "1", "function": {"name": "f", "parameters": {"a": 1}}}, ("f", {"a": 1})),
        ({"id": "1", "name": "f", "parameters": {"a": 1}}, ("f", {"a": 1})),
        ({"id": "1", "function": {"name": "f", "arguments": None, "parameters": {"a": 1}}}, ("f", {"a": 1})),
        ({"id": "1", "name": "f"}, ("f", {})),
        ({"id": "1", "function": {}}, None),
        ({"name": "f"}, None),
        ("f", None),
    ],
)
def test_calls_are_read_in_every_shape(entry: Any, expected: Any) -> None:
    calls = list(tool_calls({"type": "tool-calls", "toolCallList": [entry]}))
    assert [(call.name, call.arguments) for call in calls] == ([expected] if expected else [])


@pytest.mark.parametrize("arguments", ["no json", '{"day": "Mon', "[1]", 7])
def test_arguments_that_cannot_be_read_are_told_to_the_model_and_nothing_is_run(arguments: object) -> None:
    called = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    (call,) = tool_calls({"type": "tool-calls", "toolCallList": [called]})
    assert call.unreadable is not None
    assert call.unreadable.endswith(str(arguments))


@pytest.mark.parametrize("given", [{"port": -1}, {"port": 1, "public_url": "example.com"}])
def test_a_webhook_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"port must|public_url must"):
        WebhookSettings(**given)
