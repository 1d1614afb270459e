"""The model behind the emulator's program: it calls what it is told of, once, and says what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Assistant, GeminiEmulator

from fishjam_agents.backends import port as p
from fishjam_agents.testing.arguments import arguments_for
from integrations.gemini.tests.talk import Talk, talking, voice

Run = Callable[..., None]


def tool(name: str, blocking: bool = True, **properties: dict[str, Any]) -> p.ToolDeclaration:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return p.ToolDeclaration(name, f"Does {name}.", schema, blocking)


async def called(talk: Talk, number: int) -> p.ToolCall:
    """The user speaks; the call that follows."""
    talk.say(voice(0.1))
    return await talk.until(p.ToolCall, number)


def said(talk: Talk) -> list[str]:
    return [talk.reply_text(event.reply).strip() for event in talk.of(p.ReplyStarted)]


def test_each_tool_is_called_once_and_the_goodbye_is_last(run: Run) -> None:
    told: list[str] = []

    async def test(emulator: GeminiEmulator) -> None:
        tools = [tool("end_call"), tool("order", number={"type": "integer"}), tool("hours")]
        async with talking(tools=tools) as talk:
            for number, answer in enumerate(['{"state": "sent"}', "no such day", "bye"], 1):
                call = await called(talk, number)
                talk.put(p.ToolResultInput(call.call, answer, call.name, error=number == 2))
                await talk.until(p.BackendUsage, number)
            talk.say(voice(0.5))
            await talk.until(p.BackendUsage, 4)
        assert [(call.name, call.arguments) for call in talk.of(p.ToolCall)] == [
            ("order", {"number": 1}),
            ("hours", {}),
            ("end_call", {}),
        ]
        assert said(talk) == [
            'order answered: {"state": "sent"}',
            "hours failed: no such day",
            "Goodbye.",
            "You spoke for 0.5 seconds.",
        ]

    run(test, answer=Assistant(told.append))
    assert told[:2] == ["the model calls order(number=1)", 'order answered: {"state": "sent"}']


@pytest.mark.parametrize(
    ("scheduling", "replies", "interrupted"),
    [
        (None, ["I am asking search.", "search answered: boots"], 0),
        ("when_idle", ["I am asking search.", "search answered: boots"], 0),
        ("silent", ["I am asking search."], 0),
        ("interrupt", [None, "search answered: boots"], 1),
    ],
)
def test_the_model_talks_on_while_a_tool_runs_in_the_background(
    run: Run, scheduling: Any, replies: list[str | None], interrupted: int
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(tools=[tool("search", blocking=False)]) as talk:
            call = await called(talk, 1)
            await talk.until(p.ReplyAudio)
            talk.put(p.ToolResultInput(call.call, "boots", "search", scheduling=scheduling))
            await talk.until(p.ReplyAudioEnded, len(replies))
            assert len(talk.of(p.Interrupted)) == interrupted
            talk.say(voice(0.3))
            await talk.until(p.ReplyAudioEnded, len(replies) + 1)
        words = said(talk)
        assert words.pop() == "You spoke for 0.3 seconds."
        assert len(words) == len(replies)
        assert all(reply in (None, word) for word, reply in zip(words, replies, strict=True))

    run(test, answer=Assistant())


def test_who_speaks_while_a_tool_runs_takes_the_question_back(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(tools=[tool("slow"), tool("quick")]) as talk:
            slow = await called(talk, 1)
            quick = await called(talk, 2)
            cancelled = await talk.until(p.ToolCallCancelled)
            assert (cancelled.call, quick.name) == (slow.call, "quick")

    run(test, answer=Assistant())


def test_a_resumed_session_remembers_what_was_called(run: Run, impatient: None) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(tools=[tool("first"), tool("second")]) as talk:
            call = await called(talk, 1)
            talk.put(p.ToolResultInput(call.call, "done", "first"))
            await talk.until(p.BackendUsage)
            # The handle follows the end of the turn.
            await asyncio.sleep(0.05)
            (await emulator.connection(0)).abort()
            await talk.until(p.BackendFailure)
            assert (await called(talk, 2)).name == "second"
        assert len({call.call for call in talk.of(p.ToolCall)}) == 2

    run(test, answer=Assistant())


def test_new_tools_are_known_at_once(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini("gemini-3.8-live")) as talk:
            talk.put(p.UpdateInput(tools=[tool("late")]))
            assert (await called(talk, 1)).name == "late"

    run(test, answer=Assistant())


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "number", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "exclusiveMinimum": 3, "maximum": 9}, 4),
        ({"type": "boolean"}, True),
        ({"type": "string"}, "it"),
        ({"type": "STRING"}, "it"),
        ({"type": "string", "maxLength": 1}, "i"),
        ({"type": "string", "minLength": 4}, "itxx"),
        ({"type": "string", "format": "date"}, "2026-11-21"),
        ({"type": "string", "default": "", "examples": ["boots"]}, ""),
        ({"type": "string", "examples": ["boots"]}, "boots"),
        ({"type": "string", "enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": "integer", "description": "On the receipt, like 7."}, 7),
        ({"type": "integer", "description": "Like no other 7."}, 1),
        ({"type": "integer", "description": "A size, for example 4.5"}, 1),
        ({"type": "number", "description": "A size, e.g. 4.5"}, 4.5),
        ({"type": "string", "description": 'A day, like "Monday".'}, "Monday"),
        ({"type": "string", "description": "What you like best."}, "it"),
        ({"type": ["null", "integer"]}, 1),
        ({"anyOf": [{"type": "null"}, {"type": "string"}], "default": None}, "it"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array"}, ["it"]),
        ({"type": "object", "properties": {"a": {"type": "null"}, "b": {}}, "required": ["a"]}, {"a": None}),
    ],
)
def test_arguments_are_made_from_the_schema(schema: dict[str, Any], value: Any) -> None:
    optional = {"type": "string"}
    whole = {"type": "object", "properties": {"it": schema, "more": optional}, "required": ["it"]}
    assert arguments_for(whole) == {"it": value}
