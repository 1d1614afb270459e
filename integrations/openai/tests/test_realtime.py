"""OpenAI Realtime through the real `openai` client, against the emulator: the conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import Close, Raw, Tool
from fishjam_agents_openai.realtime import Detection, Realtime

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.events import Heard
from integrations.openai.tests.realtime_call import LOUD, QUIET, Call, run


def test_a_turn_of_ours_is_committed_answered_and_written_down() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    server = run(lambda call: scenario(call), [["Hello ", "there."]])
    update, commit, create = server.received
    assert update["session"]["audio"]["input"]["turn_detection"] is None
    assert update["session"]["instructions"] == "Be brief."
    assert update["session"]["tools"][0]["name"] == "weather"
    assert (commit["type"], create["type"]) == ("input_audio_buffer.commit", "response.create")
    assert server.queries == [{"model": ["gpt-realtime-2.1"]}]


@pytest.mark.parametrize("beta", [False, True])
def test_sound_and_words_of_a_reply_arrive_under_one_id_also_by_their_old_names(beta: bool) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.VendorEvent)
        assert [
            type(event) for event in call.events if not isinstance(event, p.ReplyAudio | p.BackendUsage)
        ] == [
            p.ReplyStarted,
            p.ReplyTextDelta,
            # Written down among the reply's sound.
            *[p.UserTranscript] * 3,
            p.ReplyAudioEnded,
            p.VendorEvent,
        ]
        assert call.of(p.VendorEvent)[0].kind == "rate_limits.updated"
        assert {event.reply for event in call.events if hasattr(event, "reply")} == {"openai-1"}
        sound = np.concatenate([event.samples for event in call.of(p.ReplyAudio)])
        assert len(sound) / 24000 == pytest.approx(6 * 0.05, abs=0.01)
        assert call.of(p.UserTranscript)[-1] == p.UserTranscript("I spoke for 1 seconds.", True, "ann")

    server = run(scenario, [["Hello."]], emulator={"beta": beta}, beta=beta, voice="marin")
    session = server.received[0]["session"]
    old = {"input_audio_format": "pcm16", "output_audio_format": "pcm16", "turn_detection": None}
    assert ("openai-beta" in server.headers[0]) is beta
    if beta:
        assert old.items() <= session.items()
        assert session["voice"] == "marin"
        assert "audio" not in session
    else:
        assert session["audio"]["output"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "marin",
        }


def test_an_interruption_cancels_and_truncates_to_what_was_heard() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyTextDelta)
        await asyncio.sleep(0.1)
        await call.session.send(p.InterruptInput(Heard("openai-1", 0.4567, "Hell")))
        truncate = await call.received("conversation.item.truncate")
        assert truncate["audio_end_ms"] == 456
        assert (await call.received("response.cancel"))["response_id"]
        sounded = len(call.of(p.ReplyAudio))
        await call.turn()
        await call.until(p.ReplyStarted, 2)
        assert [event.reply for event in call.of(p.ReplyAudio)[sounded:]].count("openai-1") == 0
        assert not call.of(p.BackendWarning)

    run(scenario, [["Hello there my friend. ", 5.0, "Late."], ["Yes?"]])


def test_of_a_reply_nobody_heard_nothing_is_kept() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        await call.session.send(p.InterruptInput(Heard("openai-1", 0.0)))
        await call.received("conversation.item.delete")

    server = run(scenario, [["Hello."]])
    kinds = [event["type"] for event in server.received]
    # It was complete: there was nothing to cancel.
    assert "response.cancel" not in kinds
    assert "conversation.item.truncate" not in kinds


def test_a_reply_heard_to_its_end_needs_no_truncation() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        await call.session.send(p.InterruptInput(Heard("openai-1", 9.0, "Hello.")))
        await call.session.send(p.TextInput("And?"))
        await call.until(p.ReplyAudioEnded, 2)

    assert "conversation.item.truncate" not in [
        event["type"] for event in run(scenario, [["Hello."]]).received
    ]


def test_the_service_s_own_turns_interrupt_by_themselves() -> None:
    async def scenario(call: Call) -> None:
        await call.says(LOUD, QUIET)
        await call.until(p.ReplyTextDelta)
        assert [event.speaking for event in call.of(p.UserSpeech)] == [True, False]
        await call.says(LOUD)
        assert await call.until(p.Interrupted) == p.Interrupted("openai-1")
        await call.says(QUIET)
        await call.until(p.ReplyStarted, 2)

    server = run(
        scenario,
        [["A long story, with many words. ", 5.0], ["Yes?"]],
        turn_mode="backend",
        detection=Detection(type="semantic_vad", eagerness="high"),
    )
    asked = server.received[0]["session"]["audio"]["input"]["turn_detection"]
    assert asked == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }
    assert "response.create" not in [event["type"] for event in server.received]


def test_who_leaves_in_the_middle_of_a_word_has_said_it_and_is_answered() -> None:
    async def scenario(call: Call) -> None:
        await call.says(LOUD)
        await call.until(p.UserSpeech)
        await call.session.send(p.AudioEndedInput("ann"))
        await call.until(p.ReplyAudioEnded)
        assert [event.speaking for event in call.of(p.UserSpeech)] == [True, False]
        appended = len(call.server.connections[0])
        await call.session.send(p.AudioEndedInput("ann"))
        await call.session.send(p.TextInput("Hello?"))
        await call.until(p.ReplyAudioEnded, 2)
        kinds = [event["type"] for event in call.server.connections[0][appended:]]
        assert "input_audio_buffer.append" not in kinds, "nobody was speaking"

    run(scenario, [["Gone?"], ["Gone."]], turn_mode="backend", detection=Detection(silence_duration_ms=300))


def test_a_turn_that_is_taken_back_is_forgotten() -> None:
    async def scenario(call: Call) -> None:
        await call.session.send(p.TurnStartedInput("ann", 0.0))
        await call.says(LOUD)
        await call.session.send(p.TurnCancelledInput("ann"))
        await call.received("input_audio_buffer.clear")
        async with call.backend.connect(call.context):
            await call.received("session.update", 2)
        assert len(call.server.connections[1]) == 1

    run(scenario)


def test_parallel_tools_are_answered_and_one_response_is_asked_for() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        first, second = await call.until(p.ToolCall), await call.until(p.ToolCall, 2)
        assert (first.name, first.arguments, second.arguments) == ("weather", {"city": "Oslo"}, {})
        await call.session.send(p.ToolResultInput(second.call, "rain"))
        await asyncio.sleep(0.05)
        await call.session.send(p.ToolResultInput(first.call, "sun"))
        await call.until(p.ReplyTextDelta)

    server = run(scenario, [[Tool("weather", '{"city": "Oslo"}'), Tool("weather")], ["Sun and rain."]])
    assert [event["type"] for event in server.received].count("response.create") == 2
    outputs = [event["item"] for event in server.received if event["type"] == "conversation.item.create"]
    assert [item["output"] for item in outputs] == ["rain", "sun"]


def test_arguments_that_cannot_be_read_come_with_what_is_wrong_with_them() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        broken, comma = await call.until(p.ToolCall), await call.until(p.ToolCall, 2)
        assert (broken.arguments, broken.unreadable) == ({}, 'they are no JSON: {"city": "Os')
        assert (comma.arguments, comma.unreadable) == ({"city": "Oslo"}, None)

    run(scenario, [[Tool("weather", '{"city": "Os'), Tool("weather", '{"city": "Oslo",}')]])


def test_pictures_notes_and_updates_are_passed_on() -> None:
    async def scenario(call: Call) -> None:
        await call.session.send(p.ImageInput(bytes(11_000_000), "image/jpeg"))
        assert (
            call.of(p.BackendWarning)[0].message
            == "a picture of 11000000 bytes is too large: it was not sent"
        )
        await call.session.send(p.ImageInput(b"\xff\xd8", "image/jpeg"))
        await call.session.send(p.TextInput("[Ann speaks.]", note=True))
        await call.session.send(p.UpdateInput(instructions="Be long."))
        await call.received("session.update", 2)

    server = run(scenario)
    _, picture, note, update = server.received
    assert picture["item"]["content"][0]["image_url"] == "data:image/jpeg;base64,/9g="
    assert note["item"]["content"] == [{"type": "input_text", "text": "[Ann speaks.]"}]
    assert update["session"]["instructions"] == "Be long."
    assert "audio" not in update["session"]


@pytest.mark.parametrize(
    ("close", "failure", "retryable"),
    [
        (Close(1006), "network", True),
        (Close(1011, "internal error"), "network", True),
        (Close(1000, "bye"), "network", True),
        (Close(1008, "policy violation"), "auth", False),
        (Close(1008, "The model x does not exist"), "config", False),
        (Close(3000, "invalid_request_error.invalid_api_key"), "auth", False),
        (Close(4000, "insufficient_quota"), "quota", False),
    ],
)
def test_a_connection_that_ends_is_a_failure_of_its_kind(close: Close, failure: str, retryable: bool) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        with pytest.raises(BackendError, match="connection") as caught:
            await call.reader
        assert (caught.value.failure, caught.value.retryable) == (failure, retryable)

    run(scenario, [["Hel", close]])


def error(code: str, message: str = "so it is") -> Raw:
    return Raw({"type": "error", "event_id": "e", "error": {"type": "t", "code": code, "message": message}})


def test_what_two_sides_decide_at_once_is_no_error_and_what_is_unknown_no_end() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        (warning,) = call.of(p.BackendWarning)
        assert warning.message == "OpenAI Realtime says: so it is"

    strange = Raw({"type": "response.mood", "event_id": "e", "mood": "fine"})
    # What a truncation beyond the end is told: the call has come to no harm by it.
    late = error("invalid_value")
    run(scenario, [[error("response_cancel_not_active"), strange, late, "Hello."]])


@pytest.mark.parametrize(("code", "failure"), [("invalid_api_key", "auth"), ("insufficient_quota", "quota")])
def test_an_error_that_only_the_user_can_mend_ends_the_call(code: str, failure: str) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        with pytest.raises(BackendError, match="so it is") as caught:
            await call.reader
        assert (caught.value.failure, caught.value.retryable) == (failure, False)

    run(scenario, [[error(code)]])


@pytest.mark.parametrize(
    ("status", "failure", "retryable"),
    [
        (401, "auth", False),
        (403, "auth", False),
        (404, "config", False),
        (429, "quota", True),
        (503, "network", True),
    ],
)
def test_a_refused_connection_is_a_failure_of_its_kind(status: int, failure: str, retryable: bool) -> None:
    async def scenario(call: Call) -> None:
        raise AssertionError("it should not have come about")

    with pytest.raises(BackendError, match=f"refuses the connection with {status}") as caught:
        run(scenario, emulator={"refuse": status})
    assert (caught.value.failure, caught.value.retryable) == (failure, retryable)


def test_a_service_that_never_confirms_is_not_waited_for() -> None:
    async def scenario(call: Call) -> None:
        raise AssertionError("it should not have come about")

    with pytest.raises(BackendError, match="did not accept the session within") as caught:
        run(scenario, emulator={"mute": True}, timeout=0.5)
    assert caught.value.retryable


def test_a_renewed_connection_knows_what_was_said_and_heard() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)
        await call.session.send(p.InterruptInput(Heard("openai-1", 0.1, "Hel")))
        with pytest.raises(p.SessionRefresh):
            await call.reader
        async with call.backend.connect(call.context):
            await call.received("conversation.item.create", 2)

    server = run(scenario, [["Hello there."]], renew_after=0.3)
    second = server.connections[1]
    assert [event["type"] for event in second] == ["session.update", *["conversation.item.create"] * 2]
    assert [event["item"]["content"][0]["text"] for event in second[1:]] == [
        "I spoke for 1 seconds.",
        "Hel [interrupted]",
    ]


def test_a_key_is_sent_and_not_shown() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    run(scenario, emulator={"key": "sk-mine"}, api_key="sk-mine")
    assert "sk-mine" not in repr(Realtime(api_key="sk-mine"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "semantic_vad", "threshold": 0.5}, "semantic_vad takes only eagerness"),
        ({"eagerness": "low"}, "only semantic_vad takes it"),
        ({"threshold": 2.0}, "threshold must be between 0 and 1"),
    ],
)
def test_impossible_turn_detection_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detection(**settings)


def test_without_a_key_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="there is no key for OpenAI"):
        Realtime().check()
