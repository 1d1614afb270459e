"""One call over many connections: what was said is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from fishjam_agents_gemini import Gemini, Said, Transcription, dialing
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, Session, say, tone
from fishjam_agents_gemini.emulator.answers import speak

from fishjam_agents.backends import link
from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import Talk, talking, voice

Run = Callable[..., None]
WEATHER = p.ToolDeclaration("weather", "Tells the weather.", {"type": "object", "properties": {}})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections may follow one another faster than over the network."""
    monkeypatch.setattr(link, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(link, "RENEWED", 0.0)
    monkeypatch.setattr(dialing, "SHORT_LIFE", 0.0)


def numbered(turn: int, seconds: float = 0.1) -> np.ndarray:
    """The user's turn of that number: no two alike."""
    return voice(seconds) // 2 + np.int16(turn)


def heard(session: Session) -> list[bytes]:
    """What the model remembers of the user's turns."""
    return [said.audio for said in session.history if said.role == "user" and said.audio]


def spoken(turns: list[np.ndarray]) -> list[bytes]:
    return [turn.astype("<i2").tobytes() for turn in turns]


async def renewed(emulator: GeminiEmulator, number: int) -> Connection:
    async with asyncio.timeout(10):
        return await emulator.connection(number)


def test_an_announced_end_is_nothing_that_anybody_notices(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            first = await emulator.connection(0)
            await first.go_away(10)
            second = await renewed(emulator, 1)
            assert first.closed.is_set(), "the old connection is closed first"
            talk.say(numbered(2))
            await talk.until(p.Usage, 2)
        assert second.resumed is not None
        assert heard(second.session) == spoken([numbered(1), numbered(2)])
        assert not talk.of(p.Failure)
        assert not talk.of(p.Warning)
        assert not talk.outages

    run(test)


def test_a_reply_is_finished_before_the_connection_is_left(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("a long reply", 4.0))
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.ReplyAudio)
            await (await emulator.connection(0)).go_away(10)
            await renewed(emulator, 1)
        assert len(talk.reply_audio("gemini-1")) == 4 * 24000

    run(test)


def test_a_turn_that_outlasts_the_deadline_is_said_whole_to_the_next_connection(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            talk.begin_turn()
            talk.audio(numbered(2)[:800])
            first = await emulator.connection(0)
            await first.until_received("activityStart", 2)
            await first.go_away(0.3)
            second = await renewed(emulator, 1)
            talk.audio(numbered(2)[800:])
            talk.end_turn()
            await talk.until(p.Usage, 2)
        assert heard(second.session) == spoken([numbered(1), numbered(2)])
        assert second.names() == ["activityStart", "audio", "activityEnd"]
        assert not talk.of(p.Failure)

    run(test)


def test_a_turn_cut_by_a_lost_connection_is_said_whole_to_the_next(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            talk.begin_turn()
            talk.audio(numbered(2)[:800])
            first = await emulator.connection(0)
            await first.until_received("activityStart", 2)
            first.abort()
            talk.audio(numbered(2)[800:])
            talk.end_turn()
            await talk.until(p.Usage, 2)
        assert heard(emulator.connections[-1].session) == spoken([numbered(1), numbered(2)])
        assert talk.of(p.Failure)[0].failure == "network"

    run(test)


def test_an_expired_handle_makes_a_new_session_that_is_told_what_was_said(run: Run) -> None:
    async def answer(connection: Connection, request: Request) -> None:
        await connection.send_transcription("input", "What is the capital of Peru?")
        await speak(connection, tone(0.1), ["Lima."], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(answer)
        async with talking(Gemini(history=(Said("user", "I like maps."),))) as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            emulator.handles.expire()
            (await emulator.connection(0)).abort()
            talk.say(numbered(2))
            await talk.until(p.Usage, 2)
        second = emulator.connections[-1]
        assert second.resumed is None
        told = [(said.role, said.text) for said in second.session.history if said.text]
        assert told == [
            ("user", "I like maps."),
            ("user", "What is the capital of Peru?"),
            ("model", "Lima."),
        ]
        assert "could not be resumed" in talk.of(p.Warning)[0].message
        assert heard(second.session) == spoken([numbered(2)])

    run(test)


def test_history_is_announced_where_the_family_wants_it(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini("gemini-3.1-flash-live-preview", history=(Said("user", "Hi."), Said("model", "Ho.")))
        async with talking(backend):
            connection = await emulator.connection(0)
            await connection.until_received("client_content")
        assert connection.setup["historyConfig"] == {"initial_history_in_client_content": True}
        (content,) = connection.of("client_content")
        assert [turn["parts"][0]["text"] for turn in content["turns"]] == ["Hi.", "Ho."]

    run(test, answer=_nothing)


async def _nothing(connection: Connection, request: Request) -> None:
    """The model waits."""


def test_without_resumption_and_words_the_loss_is_told(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(resumption=False, transcription=Transcription(False, False))
        async with talking(backend) as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            (await emulator.connection(0)).abort()
            await renewed(emulator, 1)
            warning = await talk.until(p.Warning)
        assert "has forgotten the conversation" in warning.message
        assert "sessionResumption" not in emulator.connections[0].setup

    run(test)


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
            await talk.until(p.Failure)
            talk.put(p.ToolResultEntry(call.call, '{"sky": "grey"}'))
            talk.put(p.ToolResultEntry(call.call, "again"))
            await talk.until(p.ReplyEnded)
        second = emulator.connections[-1]
        assert second.of("tool_response") == [
            [{"id": "call-7", "name": "weather", "response": {"output": {"sky": "grey"}}}]
        ]
        assert len(talk.of(p.ToolCall)) == 1
        assert (call.name, call.arguments) == ("weather", {"city": "Lima"})
        declared = first.setup["tools"][0]["functionDeclarations"]
        assert declared == [{"name": "weather", "description": "Tells the weather.", "behavior": "BLOCKING"}]

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
            talk.put(p.ToolResultEntry("call-7", "too late"))
            talk.say(numbered(2))
            await talk.until(p.ReplyEnded)
        assert cancelled.call == "call-7"
        assert emulator.connections[-1].of("tool_response") == []

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
                p.ToolResultEntry("a", "half", will_continue=True),
                p.ToolResultEntry("b", "unwanted"),
                p.ToolResultEntry("a", "whole", scheduling="when_idle"),
                p.ToolResultEntry("c", "no such city", error=True),
            )
            await talk.until(p.ReplyEnded)
            connection = await emulator.connection(0)
        answers = [response for (response,) in connection.of("tool_response")]
        assert answers == [
            {"id": "a", "name": "weather", "response": {"output": "half"}, "will_continue": True},
            {"id": "a", "name": "weather", "response": {"output": "whole"}, "scheduling": "WHEN_IDLE"},
            {"id": "c", "name": "weather", "response": {"error": "no such city"}},
        ]
        assert connection.setup["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"

    run(test)


@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-2.5-flash-native-audio"])
def test_new_instructions_reach_the_model_in_the_call(run: Run, model: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(model), instructions="Be brief.") as talk:
            talk.say(numbered(1))
            await talk.until(p.Usage)
            talk.put(p.UpdateEntry("Be long.", [WEATHER]))
            if model == "gemini-3.8-live":
                connection = await emulator.connection(0)
                await connection.until_received("contextUpdate")
                (update,) = connection.of("contextUpdate")
                told = update["systemInstruction"]
                assert "weather" in str(update["tools"])
                assert len(emulator.connections) == 1
            else:
                connection = await renewed(emulator, 1)
                told = connection.setup["systemInstruction"]
                assert "weather" in str(connection.setup["tools"])
                assert connection.resumed
        assert told["parts"] == [{"text": "Be long."}]

    run(test)


def test_a_long_call_over_twelve_connections_loses_and_doubles_nothing(run: Run) -> None:
    """Every ten minutes of a two-hour call in as many turns; the end is announced, or comes unannounced."""
    sizes: list[int] = []

    async def part(talk: Talk, emulator: GeminiEmulator, number: int) -> list[np.ndarray]:
        turns = [numbered(10 * number + turn) for turn in range(3)]
        for turn in turns:
            count = len(talk.of(p.Usage))
            talk.say(turn)
            await talk.until(p.Usage, count + 1)
        connection = emulator.connections[-1]
        connections = len(emulator.connections)
        await connection.go_away(10 if number % 3 else 0.2)
        if number % 3 == 0:
            # The end comes in the middle of a turn.
            talk.begin_turn()
            talk.audio(numbered(10 * number + 5)[:800])
            await renewed(emulator, connections)
            talk.audio(numbered(10 * number + 5)[800:])
            talk.end_turn()
            turns.append(numbered(10 * number + 5))
            await talk.until(p.Usage, len(talk.of(p.Usage)) + 1)
        else:
            # Words of the very moment of the change.
            turns.append(numbered(10 * number + 5))
            talk.say(turns[-1])
            await renewed(emulator, connections)
            await talk.until(p.ReplyEnded, 4 * number + 4)
        return turns

    async def test(emulator: GeminiEmulator) -> None:
        said: list[np.ndarray] = []
        async with talking() as talk:
            for number in range(12):
                said += await part(talk, emulator, number)
                if number == 3:
                    # Libraries are loaded and caches full.
                    tracemalloc.start()
                for connection in emulator.connections[number:]:
                    connection.forget()
                talk.events[:] = [
                    event for event in talk.events if isinstance(event, (p.ReplyEnded, p.Usage))
                ]
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        assert len(emulator.connections) == 13
        assert heard(emulator.connections[-1].session) == spoken(said)
        assert not talk.of(p.Failure)
        replies = [event.reply for event in talk.of(p.ReplyEnded)]
        assert replies == [f"gemini-{n}" for n in range(1, 49)]

    try:
        run(test)
    finally:
        tracemalloc.stop()
    # The emulator keeps what it heard, 13 kB a part; the rest is what a connection leaves behind.
    growth = (sizes[-1] - sizes[5]) / 6
    assert growth < 60_000, sizes
