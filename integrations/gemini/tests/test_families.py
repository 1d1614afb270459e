"""What families of models take of tools, by an emulator that refuses the rest as the service does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request
from fishjam_agents_gemini.emulator.assistant import Assistant

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from integrations.gemini.tests.talk import Talk, talking, voice

Run = Callable[..., None]
EXTENDED = "gemini-3.8-live-extended-thinking"
ORDER = p.ToolDeclaration(
    "order",
    "Tells where an order is.",
    {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "shop": {"type": "string", "default": "Rome"}},
        "required": ["number"],
        "additionalProperties": False,
    },
)


async def _called(talk: Talk) -> p.ToolCall:
    talk.say(voice(0.2))
    return await talk.until(p.ToolCall)


def test_extended_thinking_is_given_its_tools_and_results_in_the_only_form_it_takes(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(EXTENDED), tools=[ORDER]) as talk:
            call = await _called(talk)
            await talk.until(p.ReplyAudioEnded)
            talk.put(
                p.ToolResultInput(call.call, "half", "order", will_continue=True, scheduling="silent"),
                p.ToolResultInput(call.call, "sent", "order", scheduling="interrupt"),
            )
            await talk.until(p.ReplyAudioEnded, 2)
            connection = await emulator.connection(0)
        assert talk.reply_text("gemini-2").strip() == "order answered: sent"
        assert connection.tools["order"]["behavior"] == "NON_BLOCKING"
        assert connection.of("tool_response") == [
            [{"id": call.call, "name": "order", "response": {"output": "sent"}}]
        ]
        assert not talk.of(p.BackendFailure)
        assert not Gemini(EXTENDED).capabilities.background_tools

    run(test, answer=Assistant())


@pytest.mark.parametrize("model", ["gemini-2.5-flash-native-audio", "gemini-2.0-flash-live-001", "nobodys"])
def test_older_models_are_told_of_parameters_in_the_form_they_know(run: Run, model: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(model), tools=[ORDER]) as talk:
            call = await _called(talk)
            connection = await emulator.connection(0)
        assert call.arguments == {"number": 1}
        assert connection.tools["order"]["parameters"] == {
            "type": "OBJECT",
            "properties": {
                "number": {"type": "INTEGER"},
                "shop": {"type": "STRING", "description": 'Default: "Rome".'},
            },
            "required": ["number"],
        }

    run(test, answer=Assistant())


@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-3.1-flash-live-preview", EXTENDED])
def test_newer_models_are_told_the_whole_schema(run: Run, model: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(model), tools=[ORDER]) as talk:
            await _called(talk)
            connection = await emulator.connection(0)
        assert connection.tools["order"]["parameters_json_schema"] == ORDER.parameters

    run(test, answer=Assistant())


def test_new_tools_are_told_in_the_familys_form_too(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(EXTENDED)) as talk:
            connection = await emulator.connection(0)
            talk.put(p.UpdateInput(tools=[ORDER]))
            await connection.until_received("contextUpdate")
            await _called(talk)
        assert connection.tools["order"]["behavior"] == "NON_BLOCKING"

    run(test, answer=Assistant())


async def _refused(backend: Gemini, *tools: p.ToolDeclaration) -> BackendError:
    async with talking(backend, tools=tools) as talk:
        return await talk.ended()


@pytest.mark.parametrize(
    ("model", "raw"),
    [
        ("gemini-3.8-live", {"thinking_config": {"thinking_level": "LOW"}}),
        ("gemini-3.8-live", {"thinking_config": {}}),
        ("gemini-3.8-live", {"enable_affective_dialog": True}),
        ("gemini-3.8-live", {"proactivity": {"proactive_audio": False}}),
        (EXTENDED, {"thinking_config": {"thinking_budget": 1}}),
        (EXTENDED, {"tools": [{"function_declarations": [{"name": "a", "behavior": "BLOCKING"}]}]}),
        ("gemini-2.5-flash-native-audio", {"thinking_config": {"thinking_level": "LOW"}}),
        (
            "gemini-2.5-flash-native-audio",
            {
                "tools": [
                    {
                        "function_declarations": [
                            {"name": "a", "parameters": {"type": "OBJECT", "additional_properties": False}}
                        ]
                    }
                ]
            },
        ),
    ],
)
def test_what_a_family_does_not_take_is_refused_by_the_emulator(
    run: Run, model: str, raw: dict[str, Any]
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        error = await _refused(Gemini(model, raw=raw))
        assert (error.failure, error.retryable) == ("config", False)
        assert "1007" in str(error)
        assert not emulator.connections

    run(test)


def test_scheduling_is_refused_by_extended_thinking_and_progress_ends_the_call_of_a_tool(run: Run) -> None:
    """Seen through Google's client alone: the backend sends neither."""
    from google import genai
    from google.genai import types
    from google.genai.errors import APIError

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("order", {"number": 7}, "call-1")

    async def test(emulator: GeminiEmulator) -> None:
        tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="order")])
        client = genai.Client()
        config = types.LiveConnectConfig(tools=[tool])

        def result(**more: Any) -> types.FunctionResponse:
            return types.FunctionResponse(id="call-1", name="order", response={"output": "sent"}, **more)

        async with client.aio.live.connect(model=EXTENDED, config=config) as live:
            assert live.setup_complete is not None
            assert live.session_id is None
            await live.send_realtime_input(text="Where is it?")
            message = await anext(live.receive())
            assert message.tool_call is not None
            await live.send_tool_response(function_responses=result(will_continue=True))
            connection = await emulator.connection(0)
            await connection.until_received("tool_response")
            assert connection.session.pending == frozenset()
            scheduling = types.FunctionResponseScheduling.SILENT
            await live.send_tool_response(function_responses=result(scheduling=scheduling))
            with pytest.raises(APIError, match="scheduling is not supported for this model"):
                await anext(live.receive())
        await client.aio.aclose()

    run(test, answer=asks)
