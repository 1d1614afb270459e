from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends import Parrot, Wav
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.testing import MemoryCall, MemoryRoom, Scripted, Step, VirtualClock
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import FIXTURES, speech, tone
from tests.pipeline.scripts import reply

Converse = Callable[..., MemoryCall]
STREAMING = p.Capabilities(truncate=True, cancel=True)
OWNING = p.Capabilities(own_turn_detection=True, truncate=True, cancel=True)


def bot_with(backend: p.Backend, **settings: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = backend
    for name, value in settings.items():
        setattr(bot, name, value)
    return bot


async def one_turn(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended")


def test_a_streaming_backend_gets_the_turn_with_its_pre_roll_in_order(converse: Converse) -> None:
    backend = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, reply("r", 1.0))], STREAMING)
    converse(bot_with(backend), one_turn)
    backend.finish()
    kinds = [type(e) for e in backend.entries]
    assert kinds[0] is p.TurnStartedInput
    assert kinds[-1] is p.TurnEndedInput
    assert set(kinds[1:-1]) == {p.AudioInput}
    audio = np.concatenate([e.samples for e in backend.entries if isinstance(e, p.AudioInput)])
    words = speech("alice_question.wav")
    # Every word from its very first sample: the pre-roll reaches back before the onset.
    start = next(i for i in range(0, 16000) if np.array_equal(audio[i : i + 800], words[:800]))
    assert start / 16000 == pytest.approx(0.3, abs=0.1)
    np.testing.assert_array_equal(audio[start : start + len(words)], words)


def test_the_backend_learns_what_was_heard(converse: Converse) -> None:
    def heard(entry: p.BackendInput) -> None:
        assert isinstance(entry, p.InterruptInput)
        assert entry.heard is not None
        assert entry.heard.seconds == pytest.approx(1.1, abs=0.1)
        assert entry.heard.text == "one two three four five"

    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, reply("r", 2.2, "one two three four five six seven eight nine ten")),
            Step(p.InterruptInput, check=heard),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, reply("r2", 0.5)),
        ],
        STREAMING,
    )

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    converse(bot_with(backend), script)
    backend.finish()


def test_audio_of_a_dead_reply_is_dropped_whenever_it_arrives(converse: Converse) -> None:
    late = [p.ReplyAudio("r", tone(1.0)), p.ReplyStarted("r"), p.ReplyAudioEnded("r"), *reply("r2", 0.3)]
    backend = Scripted([Step(None, [*reply("r", 3.0), 2.0, *late])], STREAMING)

    async def script(call: MemoryCall) -> None:
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        call.bot.interrupt()
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend), script)
    assert [e.reply for e in call.of("reply_started")] == ["r", "r2"]
    assert call.of("reply_interrupted")[0].heard.seconds == pytest.approx(1.0, abs=0.04)


def test_an_attempt_in_vain_counts_as_outage_from_its_beginning(converse: Converse) -> None:
    class Slow(Scripted):
        late = True

        @asynccontextmanager
        async def connect(self, conversation: p.BackendContext) -> AsyncIterator[p.BackendSession]:
            if self.late:
                self.late = False
                await asyncio.sleep(12.0)
                raise BackendError("it says nothing", retryable=True)
            async with super().connect(conversation) as session:
                yield session

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(14.0)

    (outage,) = converse(bot_with(Slow([])), script).of("outage")
    assert 12.0 <= outage.seconds < 13.0


def test_what_is_said_during_an_outage_is_delivered_once(converse: Converse) -> None:
    backend = Scripted(
        [
            Step(None, [2.0, BackendError("socket lost", retryable=True)]),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, reply("r", 0.5)),
        ],
        STREAMING,
        refuse=0,
    )

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await asyncio.sleep(1.6)
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend), script)
    backend.finish()
    assert len(backend.connections) == 2
    (failure,) = call.of("backend_failure")
    assert failure.retryable
    (outage,) = call.of("outage")
    assert outage.what == "backend"
    ends = [e for e in backend.entries if isinstance(e, p.TurnEndedInput)]
    assert len(ends) == 1
    audio = np.concatenate([e.samples for e in backend.entries if isinstance(e, p.AudioInput)])
    words = speech("alice_long.wav")
    start = next(i for i in range(0, 16000) if np.array_equal(audio[i : i + 800], words[:800]))
    np.testing.assert_array_equal(audio[start : start + len(words)], words)


def test_a_backend_that_stays_away_ends_the_call(virtual_clock: VirtualClock) -> None:
    backend = Scripted(refuse=100)

    async def main() -> None:
        async with MemoryRoom() as room:
            await bot_with(backend).run(room.session)

    with pytest.raises(BackendError, match="refuses"):
        virtual_clock.run(main())
    assert len(backend.connections) == 6


def test_an_error_only_the_user_can_mend_ends_the_call_at_once(virtual_clock: VirtualClock) -> None:
    backend = Scripted([Step(None, [BackendError("the key was rejected: set API_KEY")])])

    async def main() -> None:
        async with MemoryRoom() as room:
            await bot_with(backend).run(room.session)

    with pytest.raises(BackendError, match="the key was rejected"):
        virtual_clock.run(main())
    assert len(backend.connections) == 1


def test_a_model_that_owns_turns_hears_everything_and_its_verdict_counts(converse: Converse) -> None:
    backend = Scripted(
        [Step(None, [0.5, *reply("r", 10.0), 1.6, p.Interrupted(), *reply("r2", 0.5)])], OWNING
    )

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        alice.say(speech("alice_long.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend, turns=TurnSettings(mode="backend", verdict_timeout=3.0)), script)
    order = [k for k in call.kinds if k.startswith(("barge", "reply_i"))]
    assert order == ["barge_in_suspected", "barge_in_confirmed", "reply_interrupted"]
    seconds = sum(e.seconds for e in backend.entries if isinstance(e, p.AudioInput))
    assert seconds == pytest.approx(call.observed[-1].at, abs=0.3)
    assert [type(e) for e in backend.entries if not isinstance(e, p.AudioInput)] == [p.InterruptInput]


def test_without_the_models_verdict_the_reply_goes_on(converse: Converse) -> None:
    backend = Scripted([Step(None, [0.5, *reply("r", 6.0)])], OWNING)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        alice.say(speech("grunt.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend, turns=TurnSettings(mode="backend")), script)
    order = [k for k in call.kinds if k.startswith(("barge", "reply_i"))]
    assert order == ["barge_in_suspected", "barge_in_withdrawn"]
    withdrawn, suspected = call.of("barge_in_withdrawn")[0], call.of("barge_in_suspected")[0]
    assert withdrawn.at - suspected.at == pytest.approx(1.0, abs=0.05)
    assert call.of("reply_ended")[0].heard.seconds == pytest.approx(6.0)


def test_silence_flows_to_a_model_that_owns_turns_while_packets_are_missing(converse: Converse) -> None:
    backend = Scripted([], OWNING)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.muted = True
        await asyncio.sleep(2.0)

    converse(bot_with(backend, turns=TurnSettings(mode="backend")), script)
    assert sum(e.seconds for e in backend.entries if isinstance(e, p.AudioInput)) == pytest.approx(
        2.5, abs=0.2
    )


def test_other_rates_are_resampled_on_both_sides(converse: Converse) -> None:
    rates = p.Capabilities(input_rate=24000, output_rate=8000)
    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(
                p.TurnEndedInput,
                [p.ReplyStarted("r"), p.ReplyAudio("r", tone(1.0, rate=8000)), p.ReplyAudioEnded("r")],
            ),
        ],
        rates,
    )
    call = converse(bot_with(backend), one_turn)
    audio = [e for e in backend.entries if isinstance(e, p.AudioInput)]
    assert len(audio[-1].samples) == 480
    assert call.of("reply_generated")[0].seconds == pytest.approx(1.0, abs=0.01)
    assert call.room.session.tracks[0].options.sample_rate == 24000
    assert len(np.flatnonzero(call.room.played())) > 23000


def test_a_reply_beyond_the_buffer_warns_once(converse: Converse) -> None:
    chunks = [p.ReplyAudio("r", tone(0.5)) for _ in range(10)]
    backend = Scripted([Step(None, [p.ReplyStarted("r"), *chunks, p.ReplyAudioEnded("r")])])

    async def script(call: MemoryCall) -> None:
        await call.wait_for("reply_ended")

    call = converse(bot_with(backend, playout=PlayoutSettings(max_buffer=2.0)), script)
    (warning,) = call.of("backend_warning")
    assert "playout.max_buffer" in warning.message


@pytest.mark.parametrize(
    "parrot",
    [
        Parrot(delay=2.0),
        Parrot(speed=1.0, chunk=0.05),
        Parrot(speed=1.5, chunk=1.0),
        Parrot(at_least=12.0),
        Parrot(text="you said"),
    ],
    ids=["late", "realtime", "bursts", "long", "words"],
)
def test_the_parrot_answers_late_in_bursts_and_at_length(converse: Converse, parrot: Parrot) -> None:
    call = converse(bot_with(parrot), one_turn)
    (ended,) = call.of("reply_ended")
    (generated,) = call.of("reply_generated")
    assert ended.heard.seconds == generated.seconds >= parrot.at_least
    assert call.of("reply_started")[0].at - call.of("user_turn_ended")[0].at == pytest.approx(
        parrot.delay, abs=0.03
    )
    assert ended.heard.text == (parrot.text or "")


def test_the_wav_backend_plays_its_file_as_each_reply(converse: Converse) -> None:
    file = FIXTURES / "rate_44100.wav"
    call = converse(bot_with(Wav(file, text="a sentence")), one_turn)
    played = call.room.played()
    assert call.of("reply_ended")[0].heard.text == "a sentence"
    sound = np.flatnonzero(played)
    expected = np.flatnonzero(load_speech(file, 24000))
    assert sound[-1] - sound[0] == pytest.approx(expected[-1] - expected[0], abs=2)


def test_a_wav_backend_without_its_file_says_so() -> None:
    with pytest.raises(Exception, match=r"nothing\.wav"):
        Wav(Path("nothing.wav")).check()
