"""What a simulated microphone picks up."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.server.media.playout import Segment
from fishjam_agents.simulation.caller_audio import FRAME, CallerAudio
from fishjam_agents.simulation.sounds import RATE
from fishjam_agents.testing.scenario import Echo


def frames(audio: CallerAudio, count: int) -> np.ndarray:
    return np.concatenate([audio.frame() for _ in range(count)])


def test_lines_are_said_over_each_other_and_end() -> None:
    audio = CallerAudio()
    audio.say(np.full(FRAME + 10, 100, np.int16))
    first = audio.frame()
    audio.say(np.full(5, 50, np.int16))
    assert audio.speaking
    second = audio.frame()
    assert (first == 100).all()
    assert second[:12].tolist() == [150] * 5 + [100] * 5 + [0, 0]
    assert not audio.speaking
    assert not audio.frame().any()


def test_a_mouth_stops_in_the_middle_of_a_word() -> None:
    audio = CallerAudio()
    audio.say(np.full(RATE, 100, np.int16))
    audio.frame()
    audio.stop_speaking()
    assert not audio.speaking
    assert not audio.frame().any()


def test_noise_repeats_without_a_gap() -> None:
    bed = np.arange(1, 501, dtype=np.int16)
    sound = frames(CallerAudio(bed), 10)
    assert np.array_equal(sound, np.resize(bed, len(sound)))


def test_sound_beyond_full_scale_is_clipped_and_not_wrapped() -> None:
    audio = CallerAudio(np.full(100, 30000, np.int16))
    audio.say(np.full(FRAME, 30000, np.int16))
    assert (audio.frame() == 32767).all()


@pytest.mark.parametrize(("level", "delay"), [(-6.0, 0.05), (-20.0, 0.3)])
def test_the_bots_voice_comes_back_late_and_quiet(level: float, delay: float) -> None:
    voice_rate, size = 24000, 480
    bursts = np.random.default_rng(1).standard_normal(voice_rate)
    voice = np.convolve(bursts, np.hanning(24) / 12, "same")
    voice = (voice / np.abs(voice).max() * 20000).astype(np.int16)
    audio, heard = CallerAudio(echo=Echo(level, delay)), []
    for window in range(75):
        # A window is told of when it is over; after a second the bot falls silent.
        over = window - 1
        piece = voice[over * size : window * size] if window else voice[:0]
        audio.overhear(voice_rate, over, [Segment(over * size, piece)] if len(piece) else [])
        heard.append(audio.frame())
    echo = np.concatenate(heard).astype(float)
    reference = np.interp(np.arange(RATE) * 1.5, np.arange(len(voice)), voice.astype(float))
    lags = np.correlate(echo, reference[: RATE // 2], "valid")
    assert lags.argmax() / RATE == pytest.approx(delay, abs=0.005)
    assert 10 * np.log10((echo**2).sum() / (reference**2).sum()) == pytest.approx(level, abs=0.5)
