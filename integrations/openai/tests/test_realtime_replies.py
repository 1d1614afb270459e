"""OpenAI Realtime: when answers are asked for, what an interruption does to them, what can go wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import Failed, NextItem, Raw, Sound, Tool

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Heard
from integrations.openai.tests.realtime_call import Call, run

SECOND = Sound(np.full(24000, 2000, np.int16))
TWO_ITEMS = [SECOND, NextItem(), SECOND, NextItem(), SECOND]
ORDER = [
    "session.created",
    "session.updated",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def kinds(call: Call) -> list[str]:
    return [event["type"] for event in call.server.received]


def test_the_emulator_keeps_to_the_order_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def scenario(call: Call) -> None:
        line = call.server.lines[0]
        told.extend(ORDER[:2])
        send = line._socket.send

        async def noted(text: Any) -> None:
            told.append(text.partition('"type": "')[2].partition('"')[0])
            await send(text)

        monkeypatch.setattr(line._socket, "send", noted)
        await call.session.send(p.TextInput("Hello?"))
        await call.until(p.VendorEvent)

    run(scenario, [["!", Tool("weather")]])
    assert told == ORDER


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (0.0, ["delete 1", "delete 2", "delete 3"]),
        (0.0004, ["delete 1", "delete 2", "delete 3"]),
        (0.5, ["truncate 1 at 500", "delete 2", "delete 3"]),
        (1.0, ["delete 2", "delete 3"]),
        (1.7504, ["truncate 2 at 750", "delete 3"]),
        (3.0, []),
        (99.0, []),
    ],
)
def test_each_item_of_a_reply_keeps_what_was_heard_of_it(heard: float, told: list[str]) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        await call.session.send(p.InterruptInput(Heard("openai-1", heard, "so far")))
        await call.session.send(p.TextInput("And?"))
        await call.until(p.ReplyAudioEnded, 2)
        assert not call.of(p.BackendWarning)
        items = {item: number for number, item in enumerate(call.server.lines[0].speaking.lengths, 1)}
        found = []
        for event in call.server.received:
            if event["type"] == "conversation.item.delete":
                found.append(f"delete {items[event['item_id']]}")
            elif event["type"] == "conversation.item.truncate":
                found.append(f"truncate {items[event['item_id']]} at {event['audio_end_ms']}")
        assert found == told

    run(scenario, [TWO_ITEMS, ["!"]])


def test_a_reply_that_is_interrupted_before_it_began_is_cancelled_and_forgotten() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.session.send(p.InterruptInput(None))
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        assert [event.reply for event in call.of(p.ReplyStarted)] == ["openai-2"]
        assert not call.of(p.BackendWarning)

    server = run(scenario, [[0.05, "Old.", 5.0], ["New."]])
    assert [event["type"] for event in server.received].count("response.cancel") == 1


def test_what_is_written_during_a_reply_is_answered_after_it() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyTextDelta)
        await call.session.send(p.TextInput("And this?"))
        await call.session.send(p.TextInput("And that?"))
        await call.until(p.ReplyAudioEnded, 2)
        await asyncio.sleep(0.1)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["First.", "Both."]
        assert kinds(call).count("response.create") == 2
        assert not call.of(p.BackendWarning)

    run(scenario, [["First.", 0.3], ["Both."]])


def test_an_answer_refused_because_of_another_is_asked_for_again_after_that() -> None:
    async def scenario(call: Call) -> None:
        line = call.server.lines[0]
        line.respond("By itself.", 0.3)
        # Sent before it can be known that the service has begun to speak by itself.
        await call.session.send(p.TextInput("And this?"))
        await call.until(p.ReplyAudioEnded, 2)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["By itself.", "Answered."]
        assert not call.of(p.BackendWarning)

    run(scenario, [["Answered."]])


def test_a_turn_while_a_tool_runs_is_answered_with_its_result() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        called = await call.until(p.ToolCall)
        await call.turn()
        await call.session.send(p.ToolResultInput(called.call, "sun"))
        await call.until(p.ReplyAudioEnded)
        assert kinds(call).count("response.create") == 2

    run(scenario, [[Tool("weather")], ["Sun."]])


def failed(code: str) -> list[Any]:
    return [Failed(code, "so it is")]


def test_a_response_that_fails_is_told_and_the_next_turn_answered() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        warning = await call.until(p.Unanswered)
        assert warning.message == "the model could not answer (rate_limit_exceeded): so it is"
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    run(scenario, [failed("rate_limit_exceeded"), ["Yes."]])


def test_a_response_that_fails_in_the_middle_has_answered() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        warning = await call.until(p.BackendWarning)
        assert warning == p.BackendWarning("the model could not answer (rate_limit_exceeded): so it is")

    run(scenario, [["Well, now.", *failed("rate_limit_exceeded")]])


def test_a_response_that_fails_for_lack_of_credit_ends_the_call() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        with pytest.raises(BackendError, match="so it is") as caught:
            await call.reader
        assert (caught.value.failure, caught.value.retryable) == ("quota", False)

    run(scenario, [failed("insufficient_quota")])


def test_too_little_sound_for_a_turn_is_no_trouble() -> None:
    async def scenario(call: Call) -> None:
        await call.session.send(p.TurnStartedInput("ann", 0.0))
        await call.says(np.zeros(480, np.int16))
        await call.session.send(p.TurnEndedInput(call.turn_of("ann")))
        await call.until(p.ReplyAudioEnded)
        assert not call.of(p.BackendWarning)

    run(scenario, [["Pardon?"]])


def test_a_service_that_answers_nothing_is_left_after_two_turns() -> None:
    async def scenario(call: Call) -> None:
        for line in call.server.lines:
            line.speaking.respond = lambda *_: None  # type: ignore[method-assign]
        await call.turn()
        await asyncio.sleep(0.4)
        assert not call.reader.done()
        await call.session.send(p.InterruptInput(None))
        await call.turn()
        with pytest.raises(BackendError, match="2 turns were not answered within") as caught:
            await call.reader
        assert caught.value.retryable

    run(scenario, answer_timeout=0.2)


def test_a_connection_that_dies_while_nobody_speaks_is_noticed_by_its_pings() -> None:
    async def scenario(call: Call) -> None:
        call.server.lines[0].stall()
        with pytest.raises(BackendError, match="the connection to OpenAI Realtime is lost") as caught:
            await call.reader
        assert (caught.value.failure, caught.value.retryable) == ("network", True)

    run(scenario, keepalive=0.2)


def test_messages_that_are_no_events_are_told_once_and_end_a_connection_in_the_end() -> None:
    async def scenario(call: Call) -> None:
        line = call.server.lines[0]
        for _ in range(48):
            await line.raw(Raw("what?"))
        await line.raw(Raw("[" * 100_000))
        await line.raw(Raw({"type": "from.the.future", "x": 1}))
        assert (await call.until(p.VendorEvent)).message["x"] == 1
        assert [event.message for event in call.of(p.BackendWarning)] == [
            "OpenAI Realtime sent a message that is no event: it was left out"
        ]
        for _ in range(50):
            await line.raw(Raw("what?"))
        with pytest.raises(BackendError, match="50 messages in a row were no events") as caught:
            await call.reader
        assert (caught.value.failure, caught.value.retryable) == ("protocol", True)

    run(scenario)


@pytest.mark.parametrize(
    ("says", "error"),
    [(failed("server_error"), "so it is"), ([], "it said nothing"), (["Seven."], None)],
)
def test_a_question_is_asked_out_of_band_and_its_failure_is_the_apps(says: list[Any], error: Any) -> None:
    async def scenario(call: Call) -> None:
        call.server.asides.append(says)
        await call.session.send(p.OutOfBandInput("q1", "How many?"))
        assert await call.until(p.OutOfBandResponse) == p.OutOfBandResponse(
            "q1", "" if error else "Seven.", error
        )
        assert not call.of(p.BackendWarning)

    server = run(scenario)
    assert server.received[1]["response"] == {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"question": "q1"},
        "instructions": "How many?",
        "tool_choice": "none",
    }
