"""One call over the real sockets of an emulated Vapi."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi import Vapi, WebhookSettings, control

from fishjam_agents.backends import port, registry
from fishjam_agents.errors import BackendError, ConfigError

KEY = "vapi-private-key-1234"


def test_it_is_found_by_its_type() -> None:
    assert registry.load("vapi") is Vapi


def test_a_turn_is_answered_with_sound_words_and_the_users_transcript(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudioEnded))
        (started,) = call.of(port.ReplyStarted)
        assert {event.reply for event in call.of(port.ReplyAudio)} == {started.reply}
        assert "".join(event.text for event in call.of(port.ReplyTextDelta)) == "You said turn 1."
        assert [(e.text, e.final) for e in call.of(port.UserTranscript)] == [
            ("turn", False),
            ("turn 1", True),
        ]
        assert [event.speaking for event in call.of(port.UserSpeech)] == [True, False]
        assert np.abs(call.heard()).max() > 8000
        assert call.vendor("conversation-update")
        assert vapi.call.sizes == {640}
        assert vapi.call.authorization == f"Bearer {KEY}"
        assert vapi.call.received[-1] == {"type": "end-call"}
        assert vapi.call.ended_reason == "manually-canceled"

    emulate(scenario)


@pytest.mark.parametrize("rate", [16000, 24000])
def test_the_call_is_made_as_vapi_wants_it(rate: int, emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        overrides = {"variableValues": {"name": "Ann"}}
        settings = {
            "assistant_id": None,
            "squad_id": "s",
            "assistant_overrides": overrides,
            "name": "reception",
        }
        async with line(vapi, sample_rate=rate, **settings) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudio))
        assert vapi.bodies == [
            {
                "squadId": "s",
                "assistantOverrides": overrides,
                "name": "reception",
                "transport": {
                    "provider": "vapi.websocket",
                    "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": rate},
                },
            }
        ]
        assert vapi.call.sizes == {rate // 50 * 2}

    emulate(scenario)


@pytest.mark.parametrize("behaviour", [{"burst": True}, {"idle_audio": True}, {"speech_updates": False}])
def test_a_reply_is_one_however_it_comes(behaviour: dict[str, Any], emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            for turn in (1, 2):
                await call.speak()
                await call.until(lambda turn=turn: len(call.of(port.ReplyAudioEnded)) == turn)
        first, second = call.of(port.ReplyStarted)
        for reply in (first.reply, second.reply):
            samples = np.concatenate([e.samples for e in call.of(port.ReplyAudio) if e.reply == reply])
            assert np.abs(samples).max() > 8000
            assert len(samples) < 16000

    emulate(scenario, **behaviour)


def test_without_model_output_the_transcript_gives_the_words(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyTextDelta))
        assert [event.text for event in call.of(port.ReplyTextDelta)] == ["You said turn 1."]

    emulate(scenario, model_output=False)


def test_an_interruption_ends_the_reply_and_what_follows_is_another(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak(2.0)
            await call.until(lambda: len(call.of(port.ReplyAudio)) > 10)
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudioEnded))
        kinds = [type(event) for event in call.events]
        assert kinds.count(port.Interrupted) == 1
        assert kinds.count(port.ReplyStarted) == 2
        last = max(n for n, kind in enumerate(kinds) if kind is port.ReplyStarted)
        assert kinds.index(port.Interrupted) < last
        first = call.of(port.ReplyStarted)[0].reply
        assert all(event.reply != first for event in call.events[last:] if isinstance(event, port.ReplyAudio))

    emulate(scenario)


def test_silence_keeps_flowing_so_that_the_call_goes_on(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await asyncio.sleep(1.2)
            assert vapi.call.status == "in-progress"
            assert vapi.call.frames > 25
            assert vapi.call.sounded == 0
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudio))

    emulate(scenario, silence_timeout=0.5)


def test_words_to_say_become_a_reply_of_the_id_given(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.session.send(
                port.TextInput("The office closes at five.", verbatim=True, reply="say-1")
            )
            await call.until(lambda: call.of(port.ReplyAudioEnded))
        assert [e.reply for e in call.of(port.ReplyStarted)] == ["say-1"]
        assert [(e.reply, e.text) for e in call.of(port.ReplyTextDelta)] == [
            ("say-1", "The office closes at five.")
        ]

    emulate(scenario)


def test_what_the_assistant_is_to_say_becomes_a_reply_of_the_id_given(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.session.send(port.TextInput("Greet the caller.", reply="say-1", instructs=True))
            await call.until(lambda: call.of(port.ReplyAudioEnded))
            message = {"role": "system", "content": "Greet the caller."}
            assert vapi.call.received == [
                {"type": "add-message", "message": message, "triggerResponseEnabled": True}
            ]
        assert [e.reply for e in call.of(port.ReplyStarted)] == ["say-1"]

    emulate(scenario)


def test_control_messages_go_out_in_vapis_words(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi, instructions="Be brief.") as call:
            for entry in (
                port.TextInput("I am Ann."),
                port.UpdateInput(instructions="Be kind."),
                port.ControlInput(control.mute_assistant()),
                port.ControlInput(control.unmute_assistant()),
                port.ControlInput(control.mute_customer()),
                port.ControlInput(control.unmute_customer()),
                port.ControlInput(control.say_first_message()),
            ):
                await call.session.send(entry)
            await call.until(lambda: len(vapi.call.received) == 8)

        def system(words: str) -> dict[str, Any]:
            message = {"role": "system", "content": words}
            return {"type": "add-message", "message": message, "triggerResponseEnabled": False}

        assert vapi.call.received == [
            system("Be brief."),
            {
                "type": "add-message",
                "message": {"role": "user", "content": "I am Ann."},
                "triggerResponseEnabled": True,
            },
            system("Be kind."),
            *(
                {"type": "control", "control": what}
                for what in (
                    "mute-assistant",
                    "unmute-assistant",
                    "mute-customer",
                    "unmute-customer",
                    "say-first-message",
                )
            ),
            {"type": "end-call"},
        ]

    emulate(scenario)


def test_garbage_is_a_warning_and_the_call_goes_on(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.until(lambda: call.vendor("from-the-future"))
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudioEnded))
        assert len(call.of(port.BackendWarning)) == 3
        assert np.abs(call.heard()).max() > 8000

    emulate(scenario, garbage=True)


def test_a_conversation_that_ends_is_no_failure(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            with pytest.raises(port.ConversationEnded, match="customer-ended-call"):
                await call.reading
        assert {"type": "end-call"} not in vapi.call.received

    emulate(scenario, end_after=(0.05, "customer-ended-call"))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("pipeline-error-openai-401-unauthorized", "auth"),
        ("call.in-progress.error-vapifault-openai-429-exceeded-quota", "quota"),
        ("call.start.error-subscription-concurrency-limit-reached", "quota"),
        ("assistant-not-found", "config"),
        ("pipeline-error-openai-400-bad-request-validation-failed", "config"),
        ("call.in-progress.error-providerfault-openai-500-server-error", "network"),
        ("assistant-error", "internal"),
    ],
)
def test_an_end_that_is_a_failure_has_its_kind(reason: str, kind: str) -> None:
    from fishjam_agents_vapi.failures import ended

    error = ended(reason)
    assert error is not None
    assert error.failure == kind
    assert not error.retryable
    assert str(error).startswith(f"Vapi ended the call ({reason}): ")


@pytest.mark.parametrize(
    "reason",
    [
        "assistant-ended-call-after-message-spoken",
        "assistant-said-end-call-phrase",
        "customer-ended-call",
        "silence-timed-out",
        "exceeded-max-duration",
        "manually-canceled",
    ],
)
def test_an_ordinary_end_is_none(reason: str) -> None:
    from fishjam_agents_vapi.failures import ended

    assert ended(reason) is None


@pytest.mark.parametrize(
    ("behaviour", "kind", "retryable", "sentence"),
    [
        ({"key": "another"}, "auth", False, r"rejected the key .*set api_key, or VAPI_API_KEY"),
        ({"statuses": [400]}, "config", False, "refused the call with 400 .the request is wrong.: correct"),
        ({"statuses": [402]}, "quota", False, "add credit to the account"),
        ({"statuses": [429]}, "quota", True, "too many requests .over the concurrency limit."),
        ({"statuses": [500]}, "network", True, "failed with 500 .*: try again later"),
        ({"media_url": False}, "protocol", False, "gave no media socket"),
        ({"answer_after": 5.0}, "network", True, "did not answer within 0.2 s"),
    ],
)
def test_a_call_that_cannot_be_made_says_what_to_do(
    behaviour: dict[str, Any],
    kind: str,
    retryable: bool,
    sentence: str,
    emulate: Any,
    line: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "fishjam_agents_vapi.api.REQUEST_DEADLINE", 0.2 if "answer_after" in behaviour else 10
    )

    async def scenario(vapi: Any) -> None:
        with pytest.raises(BackendError, match=sentence) as raised:
            async with line(vapi):
                pass
        assert (raised.value.failure, raised.value.retryable) == (kind, retryable)
        assert KEY not in str(raised.value)

    emulate(scenario, **behaviour)


def test_a_vapi_that_is_not_there_may_come_back() -> None:
    async def scenario() -> None:
        backend = Vapi(assistant_id="a", api_key=KEY, url="http://127.0.0.1:9")
        with pytest.raises(BackendError, match="cannot reach Vapi") as raised:
            async with backend.connect(port.BackendContext("c", lambda event: None)):
                pass
        assert raised.value.retryable

    asyncio.run(scenario())


@pytest.mark.parametrize("on_lost", ["end", "new_call"])
def test_a_lost_socket_ends_the_call_or_begins_another(on_lost: str, emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi, on_lost=on_lost) as call:
            with pytest.raises(BackendError, match=r"was lost .code 1006.") as raised:
                await call.reading
        assert raised.value.failure == "network"
        assert raised.value.retryable == (on_lost == "new_call")
        assert ("a new call begins" in str(raised.value)) == (on_lost == "new_call")

    emulate(scenario, abort_after=0.05)


def test_the_key_is_in_no_repr_and_no_log(emulate: Any, line: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Vapi(assistant_id="a", api_key=KEY, webhook=WebhookSettings(8000, secret="s3cret"))
    assert KEY not in repr(settings)
    assert "s3cret" not in repr(settings)

    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudio))
        vapi.behaviour.key = "another"
        with pytest.raises(BackendError) as raised:
            async with line(vapi):
                pass
        assert KEY not in str(raised.value)
        assert KEY not in repr(call.events)

    emulate(scenario)
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert KEY not in " ".join(record.getMessage() for record in ours)


def test_what_cannot_be_a_call_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAPI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="none of assistant_id, assistant, squad_id, squad given"):
        Vapi()
    with pytest.raises(ValueError, match="assistant_id and squad given"):
        Vapi(assistant_id="a", squad={"members": []})
    with pytest.raises(ConfigError, match="set api_key, or VAPI_API_KEY"):
        Vapi(assistant_id="a").check()
    with pytest.raises(ConfigError, match="begins with https://"):
        Vapi(assistant_id="a", api_key="k", url="api.vapi.ai").check()
    with pytest.raises(ConfigError, match="names no host"):
        Vapi(assistant_id="a", api_key="k", url="https://ä..").check()
    with pytest.raises(ConfigError, match="can be none"):
        Vapi(assistant_id="a", api_key="k\n1").check()
    monkeypatch.setenv("VAPI_API_KEY", "k")
    Vapi(assistant_id="a").check()
