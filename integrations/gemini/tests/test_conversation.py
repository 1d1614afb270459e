"""Turns, replies and interruptions, through Google's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from fishjam_agents_gemini import Activity, Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, say, tone
from fishjam_agents_gemini.emulator.answers import speak

from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import kinds, talking, voice

Run = Callable[..., None]


def test_a_turn_is_heard_from_its_onset_and_answered(run: Run) -> None:
    question = voice(0.5)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("Hello there.", 0.5))
        async with talking() as talk:
            talk.say(question)
            await talk.until(p.BackendUsage)
            connection = await emulator.connection(0)
        assert connection.names() == ["activityStart", "audio", "activityEnd"]
        assert b"".join(connection.of("audio")) == question.astype("<i2").tobytes()
        order = kinds(talk.events)
        assert order[:2] == ["ReplyStarted", "ReplyAudio"]
        assert order[-2:] == ["ReplyAudioEnded", "BackendUsage"]
        assert talk.reply_audio("gemini-1").astype("<i2").tobytes() == tone(0.5)
        assert talk.reply_text("gemini-1") == "Hello there. "
        assert talk.of(p.BackendUsage)[0].amounts == {"input_audio": 12, "output_audio": 12}

    run(test)


def test_receiving_goes_on_after_the_first_turn(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            for turn in range(1, 4):
                talk.say(voice(0.1))
                await talk.until(p.ReplyAudioEnded, turn)
        assert [event.reply for event in talk.of(p.ReplyAudioEnded)] == ["gemini-1", "gemini-2", "gemini-3"]
        assert len(emulator.connections) == 1

    run(test, binary=False)


def test_the_models_own_detection_ends_turns_and_interrupts(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("a long story about a fish", 20.0, pace=4))
        async with talking(turn_mode="backend") as talk:
            talk.audio(voice(0.4))
            talk.audio(np.zeros(9600, np.int16))
            await talk.until(p.ReplyAudio)
            talk.audio(voice(0.4))
            interrupted = await talk.until(p.Interrupted)
            talk.audio(np.zeros(9600, np.int16))
            await talk.until(p.ReplyStarted, 2)
            connection = await emulator.connection(0)
        assert interrupted.reply == "gemini-1"
        assert len(talk.reply_audio("gemini-1")) < 20 * 24000
        assert connection.names() == ["audio"]
        assert "realtimeInputConfig" not in connection.setup

    run(test)


def test_late_audio_of_an_interrupted_turn_is_never_said(run: Run) -> None:
    """The service hears of an interruption later than it happens, and may have spoken on meanwhile."""

    async def late(connection: Connection, request: Request) -> None:
        await speak(connection, tone(0.2), ["one "], pace=0)
        await connection.send({"serverContent": {"interrupted": True}})
        await speak(connection, tone(0.2), ["two "], pace=0)
        await connection.send({"serverContent": {"turnComplete": True}})
        await speak(connection, tone(0.1), ["three "], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(late)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert [len(talk.reply_audio(f"gemini-{n}")) for n in (1, 2)] == [4800, 2400]
        assert "".join(event.text for event in talk.of(p.ReplyTextDelta)) == "one three "

    run(test)


@pytest.mark.parametrize("turn_mode", ["local", "backend"])
def test_an_answer_after_one_that_was_interrupted_while_it_was_played_is_heard_whole(
    run: Run, turn_mode: str
) -> None:
    """The service gave all of it, closed its turn, and does not close that turn again."""

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([say("a long story", 6.0, pace=0), say("Sorry.", 0.5, pace=0)])
        async with talking(turn_mode=turn_mode) as talk:
            for turn in (1, 2):
                if turn_mode == "local":
                    talk.say(voice(0.4))
                else:
                    talk.audio(np.concatenate((voice(0.4), np.zeros(9600, np.int16))))
                await talk.until(p.ReplyAudioEnded, turn)
        assert len(talk.reply_audio("gemini-2")) == 12000
        assert talk.reply_text("gemini-2") == "Sorry. "
        assert [event.reply for event in talk.of(p.Interrupted)] == ["gemini-1"]

    run(test)


def test_an_interrupted_turn_that_is_never_closed_costs_the_next_answer_nothing(run: Run) -> None:
    async def unclosed(connection: Connection, request: Request) -> None:
        await speak(connection, tone(0.2), ["one "], pace=0)
        await connection.send({"serverContent": {"interrupted": True}})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([unclosed, say("two", 0.5, pace=0)])
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.Interrupted)
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert len(talk.reply_audio("gemini-2")) == 12000
        assert talk.reply_text("gemini-2") == "two "

    run(test)


def test_all_parts_of_a_bundled_message_are_used_and_thoughts_are_not_spoken(run: Run) -> None:
    import base64

    def part(audio: bytes) -> dict[str, object]:
        return {"inlineData": {"mimeType": "audio/pcm", "data": base64.b64encode(audio).decode()}}

    async def bundled(connection: Connection, request: Request) -> None:
        parts = [
            part(tone(0.1)),
            {"text": "the user wants a fish", "thought": True},
            {**part(tone(0.5)), "thought": True},
            part(tone(0.2)),
        ]
        await connection.send(
            {
                "serverContent": {
                    "modelTurn": {"parts": parts},
                    "outputTranscription": {"text": "A fish."},
                    "inputTranscription": {"text": "Which animal?", "finished": True},
                    "generationComplete": True,
                    "turnComplete": True,
                    "interactionStatus": "IDLE",
                },
                "usageMetadata": {
                    "promptTokensDetails": [
                        {"modality": "AUDIO", "tokenCount": 100},
                        {"modality": "IMAGE", "tokenCount": 258},
                    ],
                    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
                    "thoughtsTokenCount": 7,
                },
                "somethingNew": {"a": 1},
            }
        )

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(bundled)
        prices = {"input_audio": 3.0, "input_image": 1.0, "output_audio": 12.0, "output_text": 2.0}
        async with talking(Gemini(prices=prices)) as talk:
            talk.say(voice(0.1))
            usage = await talk.until(p.BackendUsage)
        assert len(talk.reply_audio("gemini-1")) == 7200
        assert talk.reply_text("gemini-1") == "A fish."
        (transcript,) = talk.of(p.UserTranscript)
        assert (transcript.text, transcript.final, transcript.peer) == ("Which animal?", True, "ann")
        assert usage.amounts == {
            "input_audio": 100,
            "input_image": 258,
            "output_audio": 50,
            "output_thoughts": 7,
        }
        assert usage.cost == pytest.approx((300 + 258 + 600 + 14) / 1e6)

    run(test)


def test_one_interaction_of_several_turns_is_several_replies(run: Run) -> None:
    async def thinking(connection: Connection, request: Request) -> None:
        await speak(connection, tone(0.1), pace=0)
        await connection.finish_turn(interactionStatus="IN_PROGRESS")
        await speak(connection, tone(0.2), pace=0)
        await connection.finish_turn(interactionStatus="IDLE")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(thinking)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert [len(talk.reply_audio(f"gemini-{n}")) for n in (1, 2)] == [2400, 4800]

    run(test)


def test_odd_chunks_other_rates_and_strange_types_are_played_or_named(run: Run) -> None:
    async def strange(connection: Connection, request: Request) -> None:
        audio = tone(0.1)
        await connection.send_audio(audio[:1001])
        await connection.send_audio(audio[1001:], "audio/pcm")
        await connection.send_audio(np.zeros(1600, "<i2").tobytes(), "audio/pcm;rate=16000")
        await connection.send_audio(b"RIFF", "audio/wav")
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(strange)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
        played = talk.reply_audio("gemini-1")
        assert played[:2400].astype("<i2").tobytes() == tone(0.1)
        assert len(played) == pytest.approx(4800, abs=30)
        (warning,) = talk.of(p.BackendWarning)
        assert "audio/wav" in warning.message

    run(test)


def test_what_users_say_comes_in_pieces_and_is_put_together(run: Run) -> None:
    async def hears(connection: Connection, request: Request) -> None:
        for piece in (" Where", " is the", " harbour"):
            await connection.send_transcription("input", piece)
        await speak(connection, tone(0.1), ["There."], pace=0)
        await connection.send_transcription("input", "?")
        await asyncio.sleep(1)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(hears)
        async with talking() as talk:
            talk.say(voice(0.1))
            while not any(event.final for event in talk.of(p.UserTranscript)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        texts = [(event.text, event.final) for event in talk.of(p.UserTranscript)]
        assert texts[0] == ("Where", False)
        assert texts[-1] == ("Where is the harbour?", True)
        assert sum(final for _, final in texts) == 1

    run(test)


def test_an_interaction_that_goes_idle_is_over_and_one_in_progress_is_not_left(
    run: Run, impatient: None
) -> None:
    """Idle ends it without `turnComplete`, too; in progress, an announced end waits for the rest."""

    async def thinking(connection: Connection, request: Request) -> None:
        await speak(connection, tone(0.1), pace=0)
        await connection.finish_turn(interactionStatus="IN_PROGRESS")
        await connection.go_away(20)
        await asyncio.sleep(0.3)
        await speak(connection, tone(0.2), pace=0)
        await connection.send({"serverContent": {"interactionStatus": "IDLE"}})
        await connection.send_handle()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(thinking)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
            async with asyncio.timeout(5):
                await emulator.connection(1)
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 3)
        assert [len(talk.reply_audio(f"gemini-{n}")) for n in (1, 2)] == [2400, 4800]
        assert not talk.of(p.BackendFailure)

    run(test)


def test_a_user_who_may_not_interrupt_does_not(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("a long story", 1.0))
        backend = Gemini(activity=Activity(interrupts=False))
        async with talking(backend) as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudio)
            talk.begin_turn()
            await talk.until(p.ReplyAudioEnded)
        assert not talk.of(p.Interrupted)
        assert len(talk.reply_audio("gemini-1")) == 24000

    run(test)


def test_the_reply_that_is_still_played_is_interrupted_once_whatever_turns_without_sound_follow(
    run: Run,
) -> None:
    async def silent_turn(connection: Connection, request: Request) -> None:
        await speak(connection, tone(0.2), ["one "], pace=0)
        await connection.finish_turn()
        await connection.finish_turn()
        await connection.send({"serverContent": {"interrupted": True}})
        await connection.send({"serverContent": {"interrupted": True}})
        await speak(connection, tone(0.1), ["two "], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(silent_turn)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert talk.of(p.Interrupted) == [p.Interrupted("gemini-1")]
        assert talk.reply_text("gemini-2") == "two "

    run(test)
