"""OpenAI Realtime: errors that say neither their code nor what they are about, answers that never begin."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import (
    Close,
    Failed,
    Incomplete,
    Raw,
    ServerError,
    Sound,
    Tool,
    Words,
)

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from integrations.openai.tests import test_realtime_continuity as continuity
from integrations.openai.tests.realtime_call import LOUD, QUIET, Call, run

SORRY = f"the model could not answer (server_error): {ServerError().message}"
AGAIN = [ServerError()]
BEGUN = [0.02, ServerError()]
FAILED = [Failed("server_error", ServerError().message)]


def created(call: Call) -> int:
    return [event["type"] for event in call.server.received].count("response.create")


async def turn(call: Call, turn_mode: str) -> None:
    if turn_mode == "local":
        await call.turn()
    else:
        await call.says(LOUD, QUIET)


@pytest.mark.parametrize("turn_mode", ["local", "backend"])
@pytest.mark.parametrize("stumble", [AGAIN, BEGUN, FAILED], ids=["created", "done", "failed"])
def test_an_answer_over_which_the_service_stumbled_is_asked_for_once_more(
    stumble: list[Any], turn_mode: str
) -> None:
    async def scenario(call: Call) -> None:
        await turn(call, turn_mode)
        await call.until(p.ReplyAudioEnded)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Yes."]
        assert not call.of(p.BackendWarning)
        assert created(call) == (2 if turn_mode == "local" else 1)

    run(scenario, [stumble, ["Yes."]], turn_mode=turn_mode)


@pytest.mark.parametrize("turn_mode", ["local", "backend"])
@pytest.mark.parametrize("stumble", [AGAIN, BEGUN, FAILED], ids=["created", "done", "failed"])
def test_who_is_not_answered_the_second_time_either_is_told_of_and_the_next_turn_is_answered(
    stumble: list[Any], turn_mode: str
) -> None:
    async def scenario(call: Call) -> None:
        await turn(call, turn_mode)
        assert await call.until(p.Unanswered) == p.Unanswered(SORRY)
        await turn(call, turn_mode)
        await call.until(p.ReplyAudioEnded)
        await turn(call, turn_mode)
        await call.until(p.ReplyAudioEnded, 2)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Yes.", "And again."]
        assert len(call.of(p.BackendWarning)) == 1

    # The attempts of the third turn are its own.
    run(scenario, [stumble, stumble, ["Yes."], stumble, ["And again."]], turn_mode=turn_mode)


def test_a_turn_that_waits_behind_one_that_gets_no_answer_gets_its_own() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.session.send(p.TextInput("And this?"))
        await call.until(p.ReplyAudioEnded)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Both."]

    run(scenario, [[0.1, ServerError()], ["Both."]])


def test_an_answer_that_breaks_off_ends_and_nothing_is_asked_for_again() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        assert call.of(p.BackendWarning) == [p.BackendWarning(SORRY)]
        assert created(call) == 1
        await call.turn()
        await call.until(p.ReplyAudioEnded, 2)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Well", "Yes."]

    run(scenario, [["Well", ServerError()], ["Yes."]])


def test_who_speaks_at_once_after_an_answer_broke_off_is_answered() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyTextDelta)
        await call.server.lines[0].idle()
        await call.turn()
        await call.until(p.ReplyAudioEnded, 2)
        assert [event.reply for event in call.of(p.ReplyAudioEnded)] == ["openai-1", "openai-2"]

    run(scenario, [["Well", ServerError()], ["Yes."]])


@pytest.mark.parametrize("code", [None, "invalid_value"])
def test_an_error_about_something_else_costs_no_answer(code: str | None) -> None:
    """It comes before, in the middle of, and after what it could be taken to be about."""
    kind = "server_error" if code is None else "invalid_request_error"
    other = Raw({"type": "error", "error": {"type": kind, "code": code, "message": "oh", "event_id": None}})

    async def scenario(call: Call) -> None:
        await call.server.lines[0].raw(other)
        await call.until(p.BackendWarning)
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["One, ", "two, ", "three."]
        assert not call.of(p.Unanswered)
        warnings = len(call.of(p.BackendWarning))
        await call.server.lines[0].raw(other)
        await call.until(p.BackendWarning, warnings + 1)
        await call.turn()
        await call.until(p.ReplyAudioEnded, 2)
        assert [event.text for event in call.of(p.ReplyTextDelta)][3:] == ["Four."]

    run(scenario, [[other, 0.1, "One, ", other, "two, ", 1.3, "three."], ["Four."], ["Four."]])


def test_a_tool_that_is_called_after_such_an_error_is_called_once() -> None:
    other = Raw({"type": "error", "error": ServerError().error})

    async def scenario(call: Call) -> None:
        await call.turn()
        called = await call.until(p.ToolCall)
        await call.session.send(p.ToolResultInput(called.call, "sun"))
        await call.until(p.ReplyAudioEnded)
        assert len(call.of(p.ToolCall)) == 1
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Sun."]

    run(scenario, [[other, 0.2, Tool("weather")], ["Sun."], ["Sun."]])


def test_what_is_not_the_services_own_stumble_is_told_at_once() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        told = await call.until(p.Unanswered)
        assert told.message == "the model could not answer (content_rejected): so it is"
        assert created(call) == 1

    run(scenario, [[Failed("content_rejected", "so it is", "invalid_request_error")]])


def test_a_session_over_which_the_service_stumbles_is_tried_again() -> None:
    async def scenario(call: Call) -> None:
        raise AssertionError("it should not have come about")

    with pytest.raises(BackendError, match="could not begin the session") as caught:
        run(scenario, emulator={"stumbles": 1})
    assert (caught.value.failure, caught.value.retryable) == ("network", True)


def test_the_link_gets_over_a_session_that_was_not_begun() -> None:
    async def scenario(call: continuity.Linked) -> None:
        call.server.stumbles = 1
        call.turn()
        await call.answered(1)
        assert [event.failure for event in call.of(p.BackendFailure)] == ["network"]

    continuity.run(scenario, [["Yes."]])


@pytest.mark.parametrize("how", ["status", "close"])
def test_a_wrong_key_is_one_however_it_is_refused(how: str) -> None:
    async def scenario(call: Call) -> None:
        raise AssertionError("it should not have come about")

    with pytest.raises(BackendError, match="check") as caught:
        run(scenario, emulator={"key": "sk-mine", "key_refused": how}, api_key="sk-other")
    assert (caught.value.failure, caught.value.retryable) == ("auth", False)


@pytest.mark.parametrize("close", [Close(3000), Close(3000, "invalid_request_error.invalid_api_key")])
def test_a_socket_that_is_closed_for_the_key_at_once_is_no_lost_connection(close: Close) -> None:
    async def scenario(call: Call) -> None:
        raise AssertionError("it should not have come about")

    with pytest.raises(BackendError, match="check") as caught:
        run(scenario, emulator={"refuse": close})
    assert (caught.value.failure, caught.value.retryable) == ("auth", False)


def test_a_connection_cut_between_the_first_words_and_their_sound_loses_no_turn() -> None:
    async def scenario(call: continuity.Linked) -> None:
        call.turn()
        await call.answered(1)
        assert [event.reply for event in call.of(p.ReplyStarted)] == ["openai-2"]
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Yes."]
        # The next connection is not told that the model had said so.
        assert "Well" not in str(call.server.connections[-1])

    continuity.run(scenario, [[Words("Well"), 0.05, Close()], ["Yes."]])


def test_words_that_come_before_and_after_their_sound_are_all_told_in_order() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        words = [event for event in call.events if isinstance(event, p.ReplyTextDelta | p.ReplyStarted)]
        assert words == [
            p.ReplyStarted("openai-1"),
            *(p.ReplyTextDelta("openai-1", text) for text in ("One, ", "two, ", "three.")),
        ]

    sound = Sound(np.full(2400, 2000, np.int16))
    run(scenario, [[Words("One, "), Words("two, "), 0.05, sound, Words("three.")]])


def test_words_without_any_sound_are_told_when_they_are_complete() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Silent."]
        assert not call.of(p.ReplyAudio)

    run(scenario, [[Words("Silent.")]])


def test_what_the_user_said_is_written_down_without_an_answer_too() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ToolCall)
        await call.turn()
        await asyncio.sleep(0)
        while [event.final for event in call.of(p.UserTranscript)].count(True) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    run(scenario, [[Tool("weather")]])


def test_a_tool_that_is_called_long_after_an_error_in_the_middle_of_an_answer_is_called() -> None:
    other = Raw({"type": "error", "error": ServerError().error})

    async def scenario(call: Call) -> None:
        await call.turn()
        called = await call.until(p.ToolCall)
        assert called.name == "weather"
        assert [event.text for event in call.of(p.ReplyTextDelta)] == ["Let me see.", " "]
        assert not call.of(p.BackendWarning)

    run(scenario, [["Let me see.", other, Words(" "), 1.2, Tool("weather")]])


@pytest.mark.parametrize("says", [[], ["Well"]])
def test_an_answer_that_stops_before_anything_was_heard_is_none(says: list[Any]) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        warning = await call.until(p.BackendWarning)
        assert "content_filter" in warning.message
        assert isinstance(warning, p.Unanswered) is not bool(says)

    run(scenario, [[*says, Incomplete("content_filter")]])
