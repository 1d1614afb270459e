"""Handles of what the bot says: awaited, interrupted, queued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents import SpeechHandle
from fishjam_agents.audio.gain import dbfs
from fishjam_agents.backends import Parrot, port
from fishjam_agents.errors import AudioError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech, tone

Converse = Callable[..., MemoryCall]


class Bot(AgentPipeline):
    backend = Parrot()


def test_awaiting_a_speech_gives_its_outcome(converse: Converse) -> None:
    seen: list[SpeechHandle] = []

    class Noting(Bot):
        async def on_reply_ended(self, speech: SpeechHandle) -> None:
            seen.append(speech)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        handle = call.bot.play(tone(2.0), text="two words")
        assert (handle.id, handle.done) == ("play-1", False)
        assert handle.seconds == pytest.approx(2.0)
        assert call.bot.speech is handle
        await asyncio.sleep(1.0)
        assert handle.heard.seconds == pytest.approx(1.0, abs=0.03)
        started = call.room.now
        outcome = await handle
        assert call.room.now - started == pytest.approx(1.0, abs=0.05)
        assert outcome is handle
        assert (outcome.interrupted, outcome.heard.seconds, outcome.heard.text) == (False, 2.0, "two words")
        assert await handle is handle
        assert call.bot.speech is None
        await asyncio.sleep(0)
        assert seen == [handle]

    converse(Noting(), script)


@pytest.mark.parametrize(
    ("audio", "found"),
    [
        (np.zeros(100), r"not float64 of shape \(100,\)"),
        (np.zeros((100, 2), np.int16), r"not int16 of shape \(100, 2\)"),
        (None, "not None"),
        (b"RIFF", "not a bytes"),
    ],
)
def test_audio_that_is_not_int16_mono_is_refused(converse: Converse, audio: object, found: str) -> None:
    async def script(call: MemoryCall) -> None:
        with pytest.raises(AudioError, match=found):
            call.bot.play(audio)  # type: ignore[arg-type]

    converse(Bot(), script)


def test_interrupting_one_speech_lets_the_next_play(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        first, second, third = (call.bot.play(tone(1.0)) for _ in range(3))
        await asyncio.sleep(0.4)
        assert second.interrupt().seconds == 0
        heard = first.interrupt()
        assert heard.seconds == pytest.approx(0.4, abs=0.03)
        assert heard == first.heard == first.interrupt()
        started = call.room.now
        assert not (await third).interrupted
        assert call.room.now - started == pytest.approx(1.0, abs=0.06)
        assert (await first).interrupted
        assert (await second).interrupted

    call = converse(Bot(), script)
    assert [e.reply for e in call.of("reply_interrupted")] == ["play-2", "play-1"]
    (cut,) = call.room.session.tracks[0].playout.cuts
    assert cut.played_seconds == pytest.approx(call.of("reply_interrupted")[1].heard.seconds, abs=0.02)


def test_cancelling_who_waits_does_not_end_the_speech(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        handle = call.bot.play(tone(1.0))

        async def wait() -> None:
            await handle

        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0.3)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert not (await handle).interrupted

    converse(Bot(), script)


def test_the_end_of_the_call_ends_every_speech(converse: Converse) -> None:
    handles: list[SpeechHandle] = []

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        handles.append(call.bot.play(tone(5.0), interruptible=False))
        handles.append(call.bot.play(tone(5.0)))
        await asyncio.sleep(1.0)

    converse(Bot(), script)
    assert [handle.interrupted for handle in handles] == [True, True]
    assert [handle.heard.seconds for handle in handles] == [pytest.approx(1.0, abs=0.05), 0.0]


def test_the_higher_priority_is_played_first_and_cuts_nothing(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        handles = [call.bot.play(tone(0.5)) for _ in range(3)]
        await asyncio.sleep(0.1)
        handles += [call.bot.play(tone(0.5), priority=2), call.bot.play(tone(0.5), priority=1)]
        for handle in handles:
            assert not (await handle).interrupted

    call = converse(Bot(), script)
    assert [e.reply for e in call.of("reply_ended")] == ["play-1", "play-4", "play-5", "play-2", "play-3"]


def test_a_filler_yields_to_the_answer(converse: Converse) -> None:
    class Thoughtful(AgentPipeline):
        backend = Parrot(delay=1.0)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        filler = call.bot.play(tone(5.0), filler=True)
        outcome = await filler
        assert outcome.interrupted
        assert outcome.heard.seconds == pytest.approx(1.0, abs=0.1)
        await call.wait_for("reply_ended")
        late = call.bot.play(tone(1.0))
        assert (await call.bot.play(tone(1.0), filler=True)).heard.seconds == 0
        assert not (await late).interrupted

    call = converse(Thoughtful(), script)
    cut, answer = call.of("reply_interrupted")[0], call.of("reply_first_audio")[1]
    assert answer.at - cut.at <= 0.03
    assert not call.of("barge_in_confirmed")


def test_a_legal_notice_is_neither_silenced_nor_ended_by_speech(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        notice = call.bot.play(tone(4.0), interruptible=False)
        chatter = call.bot.play(tone(4.0))
        await asyncio.sleep(1.0)
        started = call.room.now
        alice.say(speech("alice_question.wav"))
        assert not (await notice).interrupted
        assert call.room.now - started == pytest.approx(3.0, abs=0.05)
        assert (await chatter).heard.seconds == 0
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    wave = call.room.played()
    begin = round(call.of("reply_first_audio")[0].at * 24000) + 2400
    quietest = min(dbfs(wave[i : i + 480]) for i in range(begin, begin + round(3.7 * 24000), 480))
    assert quietest > -30
    assert len(call.of("user_turn_ended")) == 1


def test_the_app_ends_a_legal_notice(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        notice = call.bot.play(tone(4.0), interruptible=False)
        await asyncio.sleep(1.0)
        heard = call.bot.interrupt()
        assert heard is not None
        assert heard.seconds == pytest.approx(1.0, abs=0.03)
        assert (await notice).interrupted
        again = call.bot.play(tone(4.0), interruptible=False)
        await asyncio.sleep(1.0)
        assert again.interrupt().seconds == pytest.approx(1.0, abs=0.03)

    converse(Bot(), script)


def test_words_to_say_have_a_handle_before_the_model_speaks(converse: Converse) -> None:
    def named(entry: port.BackendInput) -> None:
        assert isinstance(entry, port.TextInput)
        assert (entry.text, entry.verbatim, entry.reply) == ("hello", True, "say-1")

    model = Scripted(
        offers=port.Capabilities(verbatim_say=True),
        script=[
            Step(
                port.TextInput,
                check=named,
                answer=[
                    port.ReplyStarted("say-1"),
                    port.ReplyAudio("say-1", tone(1.0)),
                    port.ReplyAudioEnded("say-1"),
                ],
            ),
            Step(port.TextInput),
        ],
    )
    bot = AgentPipeline()
    bot.backend = model

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert (await call.bot.say("hello")).heard.seconds == 1.0
        never = call.bot.say("never spoken")
        assert (never.id, never.seconds, never.heard.seconds) == ("say-2", 0.0, 0.0)
        never.interrupt()
        assert (await never).interrupted

    call = converse(bot, script)
    model.finish()
    assert not call.of("reply_interrupted")


def test_hooks_are_given_the_speech_and_may_await_it(converse: Converse) -> None:
    class Waiting(Bot):
        outcomes: list[tuple[str, bool, bool]] = []  # noqa: RUF012

        async def on_reply_started(self, speech: SpeechHandle) -> None:
            outcome = await speech
            self.outcomes.append((outcome.id, outcome.recording, outcome.interrupted))
            raise RuntimeError("after the reply")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(tone(0.5))
        await call.wait_for("reply_ended")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio", 2)
        await asyncio.sleep(0.5)

    call = converse(Waiting(), script)
    assert call.bot.outcomes == [("play-1", True, False), ("parrot-0-1", False, True)]  # type: ignore[attr-defined]
    assert [e.where for e in call.of("error")] == ["on_reply_started"] * 2


def test_what_is_to_be_said_when_the_call_is_over_is_over_at_once(converse: Converse) -> None:
    outcomes: list[SpeechHandle] = []

    class Talkative(Bot):
        async def on_stop(self) -> None:
            outcomes.append(await self.play(tone(60.0)))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")

    converse(Talkative(), script)
    assert [(one.interrupted, one.heard.seconds) for one in outcomes] == [(True, 0.0)]


def test_fillers_queue_behind_each_other(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        first, second = call.bot.play(tone(0.5), filler=True), call.bot.play(tone(0.5), filler=True)
        assert not (await first).interrupted
        assert not (await second).interrupted

    converse(Bot(), script)


def test_a_notice_that_waits_is_not_spoken_over_who_barges_in(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        talk, notice = call.bot.play(tone(5.0)), call.bot.play(tone(1.0), interruptible=False)
        await asyncio.sleep(1.0)
        await alice.speak(speech("alice_long.wav"))
        assert (await talk).interrupted
        assert notice.heard.seconds == 0
        assert not (await notice).interrupted
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    notice = next(e for e in call.of("reply_first_audio") if e.reply == "play-2")
    assert notice.at >= call.of("user_turn_ended")[0].at


@pytest.mark.parametrize("burst", ["grunt.wav", "cough.wav"])
def test_the_bot_goes_on_half_a_second_after_a_noise(converse: Converse, burst: str) -> None:
    ends: list[float] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(speech("bob_long.wav", 24000))
        for pause in (0.6, 1.5, 1.5):
            await asyncio.sleep(pause)
            await alice.speak(speech(burst))
            ends.append(call.room.now)
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    wave = call.room.played()
    suspected, withdrawn = call.of("barge_in_suspected"), call.of("barge_in_withdrawn")
    assert len(suspected) == len(withdrawn) >= (burst == "grunt.wav")
    for event in withdrawn:
        noise_ended = max(end for end in ends if end <= event.at)
        heard_again = np.flatnonzero(wave[round(event.at * 24000) :])[0] / 24000 + event.at
        assert heard_again - noise_ended <= 0.5
    assert call.of("reply_ended")[0].heard.seconds == call.of("reply_generated")[0].seconds
