"""What a simulated microphone picks up."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.server.media.playout import Segment
from fishjam_agents.simulation.caller_audio import FRAME, CallerAudio
from fishjam_agents.simulation.sounds import RATE
from fishjam_agents.testing.scenario import Echo


def frames(mouth: CallerAudio, count: int) -> np.ndarray:
    return np.concatenate([mouth.frame() for _ in range(count)])


def test_lines_are_said_over_each_other_and_end() -> None:
    mouth = CallerAudio()
    mouth.say(np.full(FRAME + 10, 100, np.int16))
    first = mouth.frame()
    mouth.say(np.full(5, 50, np.int16))
    assert mouth.speaking
    second = mouth.frame()
    assert (first == 100).all()
    assert second[:12].tolist() == [150] * 5 + [100] * 5 + [0, 0]
    assert not mouth.speaking
    assert not mouth.frame().any()


def test_a_mouth_stops_in_the_middle_of_a_word() -> None:
    mouth = CallerAudio()
    mouth.say(np.full(RATE, 100, np.int16))
    mouth.frame()
    mouth.stop_speaking()
    assert not mouth.speaking
    assert not mouth.frame().any()


def test_noise_repeats_without_a_gap() -> None:
    bed = np.arange(1, 501, dtype=np.int16)
    sound = frames(CallerAudio(bed), 10)
    assert np.array_equal(sound, np.resize(bed, len(sound)))


def test_sound_beyond_full_scale_is_clipped_and_not_wrapped() -> None:
    mouth = CallerAudio(np.full(100, 30000, np.int16))
    mouth.say(np.full(FRAME, 30000, np.int16))
    assert (mouth.frame() == 32767).all()


@pytest.mark.parametrize(("level", "delay"), [(-6.0, 0.05), (-20.0, 0.3)])
def test_the_bots_voice_comes_back_late_and_quiet(level: float, delay: float) -> None:
    voice_rate, size = 24000, 480
    bursts = np.random.default_rng(1).standard_normal(voice_rate)
    voice = np.convolve(bursts, np.hanning(24) / 12, "same")
    voice = (voice / np.abs(voice).max() * 20000).astype(np.int16)
    mouth, heard = CallerAudio(echo=Echo(level, delay)), []
    for window in range(75):
        # A window is told of when it is over; after a second the bot falls silent.
        over = window - 1
        piece = voice[over * size : window * size] if window else voice[:0]
        mouth.overhear(voice_rate, over, [Segment(over * size, piece)] if len(piece) else [])
        heard.append(mouth.frame())
    echo = np.concatenate(heard).astype(float)
    reference = np.interp(np.arange(RATE) * 1.5, np.arange(len(voice)), voice.astype(float))
    lags = np.correlate(echo, reference[: RATE // 2], "valid")
    assert lags.argmax() / RATE == pytest.approx(delay, abs=0.005)
    assert 10 * np.log10((echo**2).sum() / (reference**2).sum()) == pytest.approx(level, abs=0.5)
