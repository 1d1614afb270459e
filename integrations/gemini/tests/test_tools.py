"""Tools through Google's client: called as the service calls them, answered once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, tone
from fishjam_agents_gemini.emulator.answers import speak

from fishjam_agents import AgentPipeline, tool
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import port as p
from fishjam_agents.simulation import simulate
from integrations.gemini.tests.talk import heard, numbered, renewed, spoken, talking, voice

Run = Callable[..., None]
YES = Path(__file__).parents[3] / "audio_fixtures" / "alice_yes.wav"
pytestmark = pytest.mark.usefixtures("impatient")
WEATHER = p.ToolDeclaration("weather", "Tells the weather.", {"type": "object", "properties": {}})


async def _nothing(connection: Connection, request: Request) -> None:
    """The model waits."""


def test_a_tool_is_answered_once_over_a_connection_that_is_resumed(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather", {"city": "Lima"}, "call-7")
        await connection.call_tool("weather", {"city": "Lima"}, "call-7")
        await connection.send_handle()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(numbered(1))
            call = await talk.until(p.ToolCall)
            first = await emulator.connection(0)
            await asyncio.sleep(0.05)
            first.abort()
            await talk.until(p.BackendFailure)
            talk.put(p.ToolResultInput(call.call, '{"sky": "grey"}'))
            talk.put(p.ToolResultInput(call.call, "again"))
            await talk.until(p.ReplyAudioEnded)
        second = emulator.connections[-1]
        assert second.of("tool_response") == [
            [{"id": "call-7", "name": "weather", "response": {"output": {"sky": "grey"}}}]
        ]
        assert len(talk.of(p.ToolCall)) == 1
        assert (call.name, call.arguments) == ("weather", {"city": "Lima"})
        declared = first.setup["tools"][0]["functionDeclarations"]
        assert declared == [{"name": "weather", "description": "Tells the weather.", "behavior": "BLOCKING"}]

    run(test)


def test_a_call_that_a_resumed_session_does_not_know_is_cancelled_and_the_turn_said_again(run: Run) -> None:
    """No handle is given while a tool runs: the session goes on from before the question."""

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([asks, asks])
        async with talking(tools=[WEATHER]) as talk:
            await emulator.connection(0)
            talk.say(numbered(1))
            first = await talk.until(p.ToolCall)
            (await emulator.connection(0)).abort()
            assert (await talk.until(p.ToolCallCancelled)).call == first.call
            talk.put(p.ToolResultInput(first.call, "too late"))
            second = await talk.until(p.ToolCall, 2)
            talk.put(p.ToolResultInput(second.call, "grey"))
            await talk.until(p.ReplyAudioEnded)
        connection = emulator.connections[-1]
        assert connection.resumed is not None
        assert [answer["id"] for (answer,) in connection.of("tool_response")] == [second.call]
        assert heard(connection.session) == spoken([numbered(1)])
        assert len(talk.of(p.BackendFailure)) == 1

    run(test)


def test_the_connection_is_not_left_between_a_tools_answer_and_what_the_model_says_to_it(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather")

    async def thinks(connection: Connection, request: Request) -> None:
        await asyncio.sleep(0.3)
        await speak(connection, tone(0.1), ["It rains."], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([asks, thinks])
        async with talking(tools=[WEATHER]) as talk:
            talk.say(numbered(1))
            call = await talk.until(p.ToolCall)
            await (await emulator.connection(0)).go_away(10)
            talk.put(p.ToolResultInput(call.call, "grey"))
            await renewed(emulator, 1)
        assert talk.reply_text("gemini-1") == "It rains."
        assert not talk.of(p.ToolCallCancelled)

    run(test)


def test_the_connection_is_not_left_while_a_tool_runs(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(numbered(1))
            call = await talk.until(p.ToolCall)
            await (await emulator.connection(0)).go_away(10)
            await asyncio.sleep(1.5)
            assert len(emulator.connections) == 1
            talk.put(p.ToolResultInput(call.call, "grey"))
            await renewed(emulator, 1)
        assert len(talk.of(p.ReplyAudioEnded)) == 1
        assert not talk.of(p.ToolCallCancelled)

    run(test)


def test_a_tool_of_a_session_that_is_gone_is_cancelled_and_its_result_is_not_sent(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather", call="call-7")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(Gemini(resumption=False)) as talk:
            talk.say(numbered(1))
            await talk.until(p.ToolCall)
            (await emulator.connection(0)).abort()
            cancelled = await talk.until(p.ToolCallCancelled)
            talk.put(p.ToolResultInput("call-7", "too late"))
            talk.say(numbered(2))
            await talk.until(p.ReplyAudioEnded)
        assert cancelled.call == "call-7"
        assert emulator.connections[-1].of("tool_response") == []

    run(test)


class Booking(AgentPipeline):
    """Counts what it books."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[str] = []
        self.backend = Gemini()

    @tool
    async def book(self, table: str) -> str:
        """Book a table."""
        self.booked.append(table)
        await asyncio.sleep(0.8)
        return f"booked {table}"


async def _book(connection: Connection, request: Request) -> None:
    await connection.call_tool("book", {"table": "A"})


async def _book_and_lose(connection: Connection, request: Request) -> None:
    await _book(connection, request)
    await asyncio.sleep(0.2)
    connection.abort()


async def _lose(connection: Connection, request: Request) -> None:
    connection.abort()


@pytest.mark.parametrize("resumption", [True, False])
@pytest.mark.parametrize("answers", [[_book_and_lose, _book], [_book, _lose, _book]], ids=["runs", "done"])
def test_a_tool_is_run_once_though_the_connection_is_cut_and_the_turn_said_again(
    run: Run, resumption: bool, answers: list[Any]
) -> None:
    """While it runs, or when it is done and the model has not said anything yet."""

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend(answers)
        bot = Booking()
        bot.backend = Gemini(resumption=resumption)
        result = await simulate(bot, [read_wav(YES)], seconds=6)
        assert result.failure is None
        assert bot.booked == ["A"]
        assert len(emulator.connections) == 2
        ((answer,),) = emulator.connections[1].of("tool_response")
        assert answer["response"] == {"output": "booked A"}
        assert "reply_ended" in result.kinds

    run(test)


def test_what_a_call_did_that_was_taken_back_is_told_as_context(run: Run) -> None:
    async def taken_back(connection: Connection, request: Request) -> None:
        await connection.call_tool("book", {"table": "A"}, "call-7")
        await asyncio.sleep(0.2)
        await connection.cancel_tool("call-7")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(taken_back)
        bot = Booking()
        result = await simulate(bot, [read_wav(YES)], seconds=4)
        assert result.failure is None
        (connection,) = emulator.connections
        assert bot.booked == ["A"]
        assert connection.of("tool_response") == []
        (content,) = connection.of("client_content")
        (turn,) = content["turns"]
        assert turn["parts"][0]["text"] == (
            '[book({"table":"A"}) was called before and not stopped; it answered: booked A]'
        )
        assert not content["turnComplete"]

    run(test)


def test_a_note_does_not_interrupt_what_is_being_generated(run: Run) -> None:
    note = p.TextInput("[it is done]", note=True)

    async def thinks(connection: Connection, request: Request) -> None:
        await asyncio.sleep(0.3)
        assert connection.of("client_content") == []
        await speak(connection, tone(0.1), ["It rains."], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(thinks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(numbered(1))
            await asyncio.sleep(0.1)
            talk.put(note)
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
            assert connection.of("client_content") == []
            talk.say(numbered(2))
            await talk.until(p.ReplyAudioEnded, 2)
        (content,) = connection.of("client_content")
        assert content["turns"][0]["parts"][0]["text"] == "[it is done]"

    run(test)


def test_progress_scheduling_errors_and_cancellation_of_tools(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        for call in ("a", "b", "c"):
            await connection.call_tool("weather", call=call)
        await connection.cancel_tool("b")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([asks, _nothing, _nothing])
        async with talking(tools=[p.ToolDeclaration("weather", "", {}, blocking=False)]) as talk:
            talk.say(numbered(1))
            await talk.until(p.ToolCallCancelled)
            talk.put(
                p.ToolResultInput("a", "half", will_continue=True),
                p.ToolResultInput("b", "unwanted"),
                p.ToolResultInput("a", "whole", scheduling="when_idle"),
                p.ToolResultInput("c", "no such city", error=True),
            )
            await talk.until(p.ReplyAudioEnded)
            connection = await emulator.connection(0)
        answers = [response for (response,) in connection.of("tool_response")]
        assert answers == [
            {"id": "a", "name": "weather", "response": {"output": "half"}, "will_continue": True},
            {"id": "a", "name": "weather", "response": {"output": "whole"}, "scheduling": "WHEN_IDLE"},
            {"id": "c", "name": "weather", "response": {"error": "no such city"}},
        ]
        assert connection.setup["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"

    run(test)


class Shop(AgentPipeline):
    """Its tools are all broken in ways of their own."""

    backend = Gemini()

    @tool(timeout=0.2)
    async def hangs(self) -> str:
        """Never answers."""
        await asyncio.sleep(60)
        return "never"

    @tool
    def raises(self) -> str:
        """Fails."""
        raise RuntimeError("password hunter2")

    @tool
    def floods(self) -> str:
        """Answers five megabytes."""
        return "x" * 5_000_000

    @tool
    def strange(self) -> object:
        """Answers something that is not JSON."""
        return object()


def test_broken_tools_are_each_answered_once_and_in_words(run: Run) -> None:
    names = ["hangs", "raises", "floods", "strange", "missing"]

    async def asks(connection: Connection, request: Request) -> None:
        for name in names:
            await connection.call_tool(name, call=name)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([asks, *[_nothing] * 4])
        result = await simulate(Shop(), [read_wav(YES)], seconds=2.8)
        assert result.failure is None
        (connection,) = emulator.connections
        answers = [answer for response in connection.of("tool_response") for answer in response]
        assert sorted(answer["id"] for answer in answers) == sorted(names)
        told = {answer["id"]: answer["response"] for answer in answers}
        assert told["hangs"] == {"error": "hangs did not answer within 0.2 s and was given up"}
        assert told["raises"] == {"error": "raises failed (RuntimeError): say that it did not work"}
        assert told["floods"]["output"].endswith("x\n[cut here: there is more]")
        assert len(told["floods"]["output"]) < 17_000
        assert told["strange"] == {"error": "strange: a object is neither text nor JSON"}
        assert told["missing"]["error"].startswith("there is no tool missing: use one of")
        assert "reply_ended" in result.kinds, "the model goes on"

    run(test)


@pytest.mark.parametrize(
    "result",
    ["[" * 16_000, "[" * 300 + "]" * 300, '{"a": [NaN]}', "Infinity", "1e999", "90071992547409931", "007"],
    ids=lambda result: result[:12],
)
def test_a_result_that_is_json_only_at_first_sight_goes_as_text(run: Run, result: str) -> None:
    """What the service cannot read would end the connection; digits that no double holds would be others."""

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather", call="call-7")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(numbered(1))
            await talk.until(p.ToolCall)
            talk.put(p.ToolResultInput("call-7", result))
            await talk.until(p.ReplyAudioEnded)
        assert not talk.of(p.BackendFailure)
        ((answer,),) = emulator.connections[0].of("tool_response")
        assert answer["response"] == {"output": result}

    run(test)


def test_whole_numbers_are_integers_though_the_service_has_none(run: Run) -> None:
    given = {"a": 7, "b": 7.5, "c": [1, {"d": -2}], "e": True, "f": "7", "g": None, "h": 1e300, "i": 0}

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather", given)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(voice(0.1))
            call = await talk.until(p.ToolCall)
        assert repr(call.arguments) == repr(given)

    run(test)


def test_calls_without_an_id_are_told_apart(run: Run) -> None:
    async def asks(connection: Connection, request: Request) -> None:
        unnamed = [{"name": "weather", "args": {"city": city}} for city in ("Lima", "Rome")]
        await connection.send({"toolCall": {"functionCalls": unnamed}})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[WEATHER]) as talk:
            talk.say(voice(0.1))
            await talk.until(p.ToolCall, 2)
        assert [call.arguments["city"] for call in talk.of(p.ToolCall)] == ["Lima", "Rome"]

    run(test)
