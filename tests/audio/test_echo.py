"""The echo guard on levels alone: what it finds, what it lets through, what it costs a bot that is silent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from math import log10
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest

from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.echo import MARGIN, EchoGuard
from fishjam_agents.audio.echo_match import EchoMatch
from fishjam_agents.audio.echo_reference import LAGS, VOICE, EchoReference
from tests.pipeline.conftest import speech

FRAME = 0.02

if TYPE_CHECKING:
    from fishjam_agents.audio._native import EchoGuard as CompiledGuard

    MakeGuard: TypeAlias = Callable[[], EchoGuard | CompiledGuard]
    MakeLoudspeaker: TypeAlias = Callable[[int, float], "Loudspeaker"]


@pytest.fixture(params=["python", "compiled"])
def make(request: pytest.FixtureRequest) -> MakeGuard:
    """Either class of guards."""
    if request.param == "python":
        return EchoGuard
    if native is None:
        pytest.skip(f"not compiled: {reason}")
    return partial(native.EchoGuard, MARGIN)


@pytest.fixture
def loudspeaker(make: MakeGuard) -> MakeLoudspeaker:
    return partial(Loudspeaker, make)


def noise(seed: int, seconds: float) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * 16000)) * 3000


def wave(seed: int, seconds: float) -> np.ndarray:
    """Noise that swells and fades like syllables."""
    envelope = np.repeat(10 ** np.random.default_rng(seed).uniform(-1.5, 0, round(seconds * 8) + 1), 2000)
    return (noise(seed, seconds) * envelope[: round(seconds * 16000)]).astype(np.int16)


def burst(seed: int) -> np.ndarray:
    return noise(seed, 0.02).astype(np.int16)


class Loudspeaker:
    """A microphone that hears the bot `delay` frames late, and a guard that listens to it."""

    def __init__(self, make: MakeGuard, delay: int, gain: float) -> None:
        self.reference = EchoReference(16000)
        self.guard = make()
        self.voice = wave(1, 12.0)
        self.delay, self.gain = delay, gain
        self.frame = 0

    def play(self, frames: int, heard_by: float | None = None) -> list[float]:
        """How far each heard frame stands above the expected echo, dB; `heard_by` is a level instead."""
        above = []
        for _ in range(frames):
            self.frame += 1
            at = self.frame * FRAME
            chunk = self.voice[(self.frame - 1) * 320 : self.frame * 320]
            self.reference.sent(chunk, at)
            window = self.reference.window(at)
            if window is None:
                continue
            row = window[LAGS - 1 - self.delay] + self.gain
            level = float(row[VOICE]) if heard_by is None else heard_by
            bands = [10 ** (band / 10) for band in row[:VOICE]]
            if heard_by is not None:
                bands = [10 ** (heard_by / 10) / 3] * VOICE
            echo = self.guard.expect(bands, level, window)
            above.append(level - echo.level if echo is not None else 99.0)
        return above


@pytest.mark.parametrize("gain", [-6.0, -12.0, -20.0])
@pytest.mark.parametrize("delay", [3, 8, 15, 24])
def test_an_echo_is_found_at_its_delay_and_stays_below_what_is_expected(
    loudspeaker: MakeLoudspeaker, delay: int, gain: float
) -> None:
    speaker = loudspeaker(delay, gain)
    speaker.play(150)
    assert speaker.guard.delay == delay
    assert speaker.guard.gain[2] == pytest.approx(gain, abs=1.6)
    assert max(speaker.play(300)) < 0


def test_who_is_louder_than_the_echo_is_noticed(loudspeaker: MakeLoudspeaker) -> None:
    speaker = loudspeaker(8, -20.0)
    speaker.play(200)
    assert min(speaker.play(20, heard_by=-15.0)) > 0


def test_in_the_first_second_only_what_is_nearly_as_loud_as_the_bot_is_noticed(
    loudspeaker: MakeLoudspeaker,
) -> None:
    quiet, loud = loudspeaker(8, -20.0), loudspeaker(8, -20.0)
    assert max(quiet.play(20, heard_by=-55.0)) < 0
    assert min(loud.play(20, heard_by=0.0)) > 0


def test_without_an_echo_nothing_is_expected_after_the_first_second(loudspeaker: MakeLoudspeaker) -> None:
    speaker = loudspeaker(0, 0.0)
    assert set(speaker.play(200, heard_by=-70.0)[55:]) == {99.0}


def test_an_echo_that_is_gone_is_forgotten_within_two_seconds_and_learned_anew(
    loudspeaker: MakeLoudspeaker,
) -> None:
    speaker = loudspeaker(6, -12.0)
    speaker.play(150)
    assert speaker.guard.delay == 6
    speaker.play(100, heard_by=-75.0)
    assert speaker.guard.delay is None
    speaker.guard.learn(EchoMatch(6 * FRAME, -12.0, [-12.0] * VOICE))
    assert max(speaker.play(100)) < 0.0


def test_a_voice_may_be_one_channel_of_several() -> None:
    stereo = np.stack((burst(1), burst(2)), axis=1)
    reference, plain = EchoReference(16000), EchoReference(16000)
    reference.sent(stereo[:, 1], 1.0)
    plain.sent(burst(2), 1.0)
    window, expected = reference.window(1.0), plain.window(1.0)
    assert window is not None
    assert expected is not None
    np.testing.assert_array_equal(window, expected)


def test_a_silent_bot_has_no_echo() -> None:
    reference = EchoReference(16000)
    assert reference.window(1.0) is None
    reference.sent(np.zeros(320, np.int16), 1.02)
    assert reference.window(1.02) is None


def test_the_reference_is_remembered_for_half_a_second_after_the_last_word() -> None:
    reference = EchoReference(16000)
    reference.sent(burst(2), 1.0)
    assert reference.window(1.0) is not None
    assert reference.window(1.48) is not None
    assert reference.window(1.54) is None


def test_what_an_interrupt_removed_has_not_played() -> None:
    reference = EchoReference(16000)
    for number in range(1, 7):
        reference.sent(burst(number), number * FRAME)
    reference.cut(2 * FRAME)
    window = reference.window(6 * FRAME)
    assert window is not None
    assert [bool(level > -60) for level in window[-6:, VOICE]] == [True, True, False, False, False, False]


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_the_level_does_not_depend_on_the_rate_of_the_track(rate: int) -> None:
    reference = EchoReference(rate)
    tone = (8000 * np.sin(2 * np.pi * 700 * np.arange(rate) / rate)).astype(np.int16)
    for number in range(5):
        reference.sent(tone[number * rate // 50 : (number + 1) * rate // 50], (number + 1) * FRAME)
    window = reference.window(5 * FRAME)
    assert window is not None
    assert window[-1, VOICE] == pytest.approx(20 * log10(8000 / 32768 / 2**0.5), abs=0.7)


def test_frames_may_be_asked_for_late_and_out_of_order() -> None:
    reference = EchoReference(16000)
    for number in range(1, 51):
        reference.sent(burst(number), number * FRAME)
    now = reference.window(1.0)
    assert now is not None
    expected = now[:-5].copy()
    late = reference.window(0.9)
    assert late is not None
    np.testing.assert_array_equal(late[5:], expected)


def test_levels_are_the_same_however_far_ahead_the_voice_is_sent() -> None:
    at_once, ahead = EchoReference(16000), EchoReference(16000)
    for number in range(1, 41):
        ahead.sent(burst(number), number * FRAME)
    for number in range(1, 41):
        at_once.sent(burst(number), number * FRAME)
        one, other = at_once.window(number * FRAME), ahead.window(number * FRAME)
        if number < 3:
            continue
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_microphone_that_comes_late_finds_the_voice_as_it_played() -> None:
    early, late = EchoReference(16000), EchoReference(16000)
    for number in range(1, 41):
        for reference in (early, late):
            reference.sent(burst(number), number * FRAME)
        early.window(number * FRAME)
    one, other = early.window(40 * FRAME), late.window(40 * FRAME)
    assert one is not None
    assert other is not None
    # What was over before it came has not been analysed, what is not yet needed neither.
    np.testing.assert_allclose(one[-3], other[-3], atol=1e-9)


def test_a_bot_that_talks_to_nobody_keeps_nothing() -> None:
    reference = EchoReference(16000)
    sound = burst(1)
    references_before = sys.getrefcount(sound)
    for number in range(1, 3001):
        reference.sent(sound, number * FRAME)
    assert sys.getrefcount(sound) - references_before <= 300


@pytest.mark.parametrize("offset", [0.6, 0.9, 1.2])
@pytest.mark.parametrize(
    "pair", [("alice_long.wav", "bob_long.wav"), ("bob_numbers.wav", "alice_question.wav")]
)
def test_who_talks_at_the_same_time_is_no_echo(make: MakeGuard, pair: tuple[str, str], offset: float) -> None:
    """A caller with a headset who comes in after the bot, while a notice is read that nobody silences."""
    bot, caller = (speech(name) for name in pair)
    caller = np.concatenate((np.zeros(round(offset * 16000), np.int16), caller))
    reference, levels, guard = EchoReference(16000), EchoReference(16000), make()
    for frame in range(1, min(len(bot), len(caller)) // 320 + 1):
        part = slice((frame - 1) * 320, frame * 320)
        reference.sent(bot[part], frame * FRAME)
        levels.sent(caller[part], frame * FRAME)
        window, heard = reference.window(frame * FRAME), levels.window(frame * FRAME)
        if window is not None:
            row = np.full(VOICE + 1, -90.0) if heard is None else heard[LAGS - 3]
            guard.expect([10 ** (band / 10) for band in row[:VOICE]], float(row[VOICE]), window)
        assert guard.delay is None


def test_a_microphone_without_an_echo_is_left_alone_for_most_of_the_time(
    loudspeaker: MakeLoudspeaker,
) -> None:
    speaker = loudspeaker(8, 0.0)
    rng = np.random.default_rng(5)
    rested = 0
    for _ in range(500):
        if speaker.guard.take_skip():
            rested += 1
        else:
            speaker.play(1, heard_by=float(rng.uniform(-60, -20)))
    assert rested > 200


def test_a_microphone_with_an_echo_is_always_watched(loudspeaker: MakeLoudspeaker) -> None:
    speaker = loudspeaker(8, -12.0)
    for _ in range(500):
        assert not speaker.guard.take_skip()
        speaker.play(1)
    assert speaker.guard.delay == 8
