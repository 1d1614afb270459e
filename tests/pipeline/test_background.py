"""A background under the bot's voice, and a sound while it thinks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.wav import write_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.errors import AudioError, FishjamAgentsError
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.settings import AmbientSettings, BackgroundAudioSettings, ThinkingSettings
from fishjam_agents.testing import MemoryCall
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
RATE = 24000


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    write_wav(tmp_path / "hum.wav", (3000 * np.sin(np.arange(RATE) * 0.05)).astype(np.int16), RATE)
    return tmp_path / "hum.wav"


class Bot(AgentPipeline):
    backend = Parrot()


def with_background(hum: Path) -> Bot:
    bot = Bot()
    bot.background_audio = BackgroundAudioSettings(ambient=AmbientSettings(hum))
    return bot


def frames(wave: np.ndarray, start: float, end: float) -> np.ndarray:
    """Peak of each 20 ms."""
    wave = wave[round(start * 50) * 480 : round(end * 50) * 480]
    return np.abs(wave.reshape(-1, 480)).max(axis=1)


def test_the_background_is_there_between_replies_and_under_them(converse: Converse, hum: Path) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        await asyncio.sleep(1.0)

    call = converse(with_background(hum), script)
    wave = call.room.played()
    assert frames(wave, 0.3, call.room.session.tracks[0].heard[-1][0] / RATE).all()
    assert dbfs(wave[RATE : 2 * RATE]) == pytest.approx(-40, abs=1)
    (ended,), (generated,) = call.of("reply_ended"), call.of("reply_generated")
    assert ended.heard.seconds == generated.seconds
    (asked,) = call.of("user_turn_ended")
    # The parrot takes 0.2 s; the background in the queue does not hold the answer up.
    loud = np.flatnonzero(np.abs(wave[round(asked.at * RATE) :]) > 1500)[0] / RATE
    assert loud < 0.2 + 0.3 + 0.1


def test_a_barge_in_over_a_background_is_one_and_the_background_stays(converse: Converse, hum: Path) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(speech("bob_long.wav", RATE))
        await asyncio.sleep(1.0)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    quiet, noisy = converse(Bot(), script), converse(with_background(hum), script)
    assert [e.kind for e in noisy.observed] == [e.kind for e in quiet.observed]
    (cut,), (same,) = noisy.of("reply_interrupted"), quiet.of("reply_interrupted")
    assert cut.heard.seconds == pytest.approx(same.heard.seconds, abs=0.021)
    wave = noisy.room.played()
    assert frames(wave, 0.3, cut.at + 1.0).all()
    silent = noisy.of("barge_in_suspected")[0].at + 0.1
    assert dbfs(wave[round(silent * RATE) : round((cut.at + 0.5) * RATE)]) < -35


def test_the_app_plays_changes_and_stops_a_background(converse: Converse, hum: Path) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert not call.room.session.tracks[0].playout.received
        call.bot.background.stop()
        call.bot.background.play(hum, level=-30)
        await asyncio.sleep(1.0)
        call.bot.background.play(np.full(RATE, 500, np.int16), level=-50, duck=0)
        await asyncio.sleep(1.0)
        call.bot.background.stop()
        await asyncio.sleep(1.0)

    wave = converse(Bot(), script).room.played()
    assert dbfs(wave[round(1.0 * RATE) : round(1.4 * RATE)]) == pytest.approx(-30, abs=1.5)
    assert dbfs(wave[round(2.0 * RATE) : round(2.4 * RATE)]) == pytest.approx(-50, abs=1.5)
    assert not wave[round(3.0 * RATE) :].any()
    with pytest.raises(FishjamAgentsError, match="not running"):
        Bot().background.stop()


def test_a_background_that_is_not_int16_mono_is_refused(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        with pytest.raises(AudioError, match="not float64 of shape"):
            call.bot.background.play(np.zeros(RATE))

    converse(Bot(), script)


def test_muting_silences_the_background_too_and_an_outage_only_interrupts_it(
    converse: Converse, hum: Path
) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.mute()
        await asyncio.sleep(1.0)
        call.bot.unmute()
        await asyncio.sleep(1.0)
        (track,) = call.room.session.tracks
        track.ready = False
        await asyncio.sleep(1.0)
        track.ready = True
        call.room.session.deliver(Reconnected(1.0, 1))
        await asyncio.sleep(1.0)

    wave = converse(with_background(hum), script).room.played()
    sounds = [
        frames(wave, start, end)
        for start, end in ((0.3, 0.5), (0.7, 1.4), (1.7, 2.4), (2.8, 3.4), (3.7, 4.4))
    ]
    assert [bool(part.all()) for part in sounds] == [True, False, True, False, True]
    assert not sounds[1].any()
    assert not sounds[3].any()


def test_a_thinking_sound_fills_a_long_wait_and_no_other(converse: Converse, hum: Path) -> None:
    def bot(delay: float) -> AgentPipeline:
        slow = AgentPipeline()
        slow.backend = Parrot(delay=delay)
        slow.background_audio = BackgroundAudioSettings(thinking=ThinkingSettings(hum, level=-30, after=0.5))
        return slow

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")
        await asyncio.sleep(2.0)

    quick, slow = converse(bot(0.2), script), converse(bot(3.0), script)
    (turn,), (first,) = quick.of("user_turn_ended"), quick.of("reply_first_audio")
    assert not quick.room.played()[: round(first.at * RATE)].any()
    (turn,), (first,), (ended,) = (
        slow.of(kind) for kind in ("user_turn_ended", "reply_first_audio", "reply_ended")
    )
    wave = slow.room.played()
    assert not wave[: round((turn.at + 0.5) * RATE)].any()
    assert frames(wave, turn.at + 0.6, first.at).all()
    assert dbfs(wave[round((turn.at + 1) * RATE) : round(first.at * RATE)]) == pytest.approx(-30, abs=1)
    assert not wave[round((ended.at + 0.1) * RATE) :].any()
    assert ended.heard.seconds == slow.of("reply_generated")[0].seconds


def test_a_thinking_sound_stops_when_the_user_goes_on(converse: Converse, hum: Path) -> None:
    bot = AgentPipeline()
    bot.backend = Parrot(delay=2.0)
    bot.background_audio = BackgroundAudioSettings(thinking=ThinkingSettings(hum, after=0.0))

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(1.0)
        alice.say(speech("alice_long.wav"))
        await call.wait_for("user_started_speaking", 2)
        await asyncio.sleep(2.0)

    call = converse(bot, script)
    wave = call.room.played()
    assert frames(wave, call.of("user_turn_ended")[0].at + 0.1, call.of("user_started_speaking")[1].at).all()
    assert not wave[round((call.of("user_started_speaking")[1].at + 0.5) * RATE) :].any()


def test_a_bot_without_them_has_no_background(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert call.bot._running_call().output._schedule.background is None

    converse(Bot(), script)
