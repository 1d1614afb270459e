"""What the app asks the model to say, over OpenAI's client."""

from __future__ import annotations

from typing import Any

import pytest
from fishjam_agents_openai.emulator.realtime import Close, Failed, RealtimeEmulator, Tool

from fishjam_agents.backends import port as p
from fishjam_agents.events import Heard
from integrations.openai.tests.realtime_call import LOUD, TURN
from integrations.openai.tests.test_realtime_continuity import Linked, run

GREET = p.TextInput("Greet the caller.", reply="say-1", instructs=True)


def requests(server: RealtimeEmulator) -> list[dict[str, Any]]:
    return [event.get("response", {}) for event in server.received if event["type"] == "response.create"]


def ended(call: Linked) -> list[str]:
    return [event.reply for event in call.of(p.ReplyAudioEnded)]


def test_the_model_opens_the_call_by_instructions_that_end_the_sessions_own() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(GREET)
        await call.answered(1)
        call.turn()
        await call.answered(2)
        assert ended(call) == ["say-1", "openai-1"]
        # It is no part of the conversation.
        assert call.told() == []

    server = run(scenario, [["Good morning."], ["The answer."]])
    assert requests(server) == [
        {"instructions": "Be brief.\n\nSay now: Greet the caller.", "metadata": {"reply": "say-1"}},
        {},
    ]


def test_a_turn_that_is_open_and_its_answer_go_first() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(p.TurnStartedInput("ann", 0.0))
        call.link.put(GREET)
        call.says(LOUD)
        call.link.put(TURN)
        await call.answered(2)
        assert ended(call) == ["openai-1", "say-1"]

    run(scenario, [["The answer."], ["Good morning."]])


def test_a_turn_that_is_taken_back_leaves_the_way_free() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(p.TurnStartedInput("ann", 0.0))
        call.link.put(GREET)
        call.link.put(p.TurnCancelledInput("ann"))
        await call.answered(1)
        assert ended(call) == ["say-1"]

    run(scenario, [["Good morning."]])


def test_a_tool_that_it_calls_belongs_to_the_same_reply_and_the_next_answer_does_not() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(GREET)
        await call.until(lambda: call.of(p.ToolCall))
        call.link.put(p.ToolResultInput(call.of(p.ToolCall)[0].call, "sun"))
        await call.answered(1)
        call.turn()
        await call.answered(2)
        assert ended(call) == ["say-1", "openai-1"]

    run(scenario, [[Tool("weather")], ["It is sunny."], ["The answer."]])


@pytest.mark.parametrize(
    "answer", [[], [Failed("server_error", "no", "server_error")]], ids=["empty", "failed"]
)
def test_one_that_is_not_given_is_over_and_the_next_turn_is_answered(answer: list[Any]) -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(GREET)
        await call.answered(1)
        call.turn()
        await call.answered(2)
        assert ended(call) == ["say-1", "openai-1"]
        assert next(event.reply for event in call.of(p.ReplyAudio)) == "openai-1"

    run(scenario, [answer, ["The answer."]])


def test_one_that_had_not_begun_is_asked_for_again_after_a_lost_connection() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(GREET)
        await call.answered(1)
        assert ended(call) == ["say-1"]

    server = run(scenario, [[Close(1011, "lost")], ["Good morning."]])
    assert [asked["metadata"] for asked in requests(server)] == [{"reply": "say-1"}] * 2


def test_one_that_is_taken_back_is_cancelled_and_nothing_else_is() -> None:
    async def scenario(call: Linked) -> None:
        call.turn()
        await call.until(lambda: call.of(p.ReplyStarted))
        call.link.put(GREET)
        call.link.put(p.InterruptInput(Heard("say-1", 0.0)))
        await call.answered(1)
        call.turn()
        await call.answered(2)
        assert ended(call) == ["openai-1", "openai-2"]

    server = run(scenario, [["Well. ", 0.3, "Yes."], ["Fine."]])
    assert len(requests(server)) == 2
    assert "response.cancel" not in [event["type"] for event in server.received]
