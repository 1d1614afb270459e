"""AEC3 behind a microphone: what comes back of the bot goes, what a caller says stays."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import MissingExtraError
from fishjam_agents.hearing import echo_canceller
from fishjam_agents.hearing.echo_canceller import TAIL, EchoCanceller
from tests.pipeline.conftest import speech

pytest.importorskip("pywebrtc_audio", reason="needs the extra aec3")

DELAY = 0.1


def level(sound: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(sound.astype(np.float64))) + 1e-9))


def cancelled(
    microphone: Samples,
    voice: Samples,
    rate: int,
    voice_rate: int,
    lost: frozenset[int] = frozenset(),
    suspected: tuple[float, float] = (0.0, 0.0),
) -> Samples:
    """Sound that comes out for a microphone, frame by frame, while the bot says `voice` all the time."""
    reference = EchoReference(voice_rate)
    canceller = EchoCanceller(reference, rate)
    size, chunk = rate // 50, voice_rate // 50
    out = []
    for number in range(len(microphone) // size):
        end = (number + 1) * 0.02
        # A playout sends ahead.
        if number == 0:
            reference.sent(voice[: 2 * chunk], 0.04)
        reference.sent(voice[(number + 2) * chunk : (number + 3) * chunk], end + 0.04)
        if number in lost:
            continue
        frame = microphone[number * size : (number + 1) * size]
        out.append(canceller.clean(frame, end, suspected[0] < end <= suspected[1]))
    return np.concatenate(out)


def echo_of(voice: Samples, voice_rate: int, rate: int) -> Samples:
    at = np.arange(len(voice) * rate // voice_rate) / rate - DELAY
    sound = np.interp(at * voice_rate, np.arange(len(voice)), voice, left=0)
    noise = np.random.default_rng(1).standard_normal(len(sound)) * 10
    return (0.25 * sound + noise).astype(np.int16)


@pytest.mark.parametrize(("rate", "voice_rate"), [(16000, 16000), (16000, 24000), (24000, 24000)])
def test_the_bots_voice_is_taken_out(rate: int, voice_rate: int) -> None:
    voice = np.concatenate([speech("bob_long.wav", voice_rate)] * 2)
    echo = echo_of(voice, voice_rate, rate)
    heard = cancelled(echo, voice, rate, voice_rate)
    half = len(heard) // 2
    assert level(heard[half:]) < level(echo[half:]) - 20


def test_a_lost_packet_costs_the_canceller_nothing() -> None:
    voice = np.concatenate([speech("bob_long.wav", 16000)] * 2)
    echo = echo_of(voice, 16000, 16000)
    lost = frozenset(range(60, len(voice) // 320, 50))
    heard = cancelled(echo, voice, 16000, 16000, lost)
    half = len(heard) // 2
    assert level(heard[half:]) < level(echo[half:]) - 20


@pytest.mark.parametrize("ppm", [-200, 200])
def test_clocks_that_drift_apart_cost_the_canceller_nothing(ppm: int) -> None:
    voice = np.concatenate([speech("bob_long.wav", 16000)] * 7)
    at = np.arange(len(voice)) * (1 - ppm / 1e6) - DELAY * 16000
    noise = np.random.default_rng(1).standard_normal(len(voice)) * 10
    echo = (0.25 * np.interp(at, np.arange(len(voice)), voice, left=0) + noise).astype(np.int16)
    heard = cancelled(echo, voice, 16000, 16000)
    worst = max(level(heard[begin : begin + 3200]) for begin in range(5 * 16000, len(heard) - 3200, 3200))
    assert worst < level(echo) - 20


@pytest.mark.parametrize("delay", [0.06, 0.2, 0.25])
def test_an_echo_that_changes_its_delay_is_gone_again_in_half_a_second(delay: float) -> None:
    voice = np.concatenate([speech("bob_long.wav", 16000)] * 3)
    before, after = (
        np.interp(np.arange(len(voice)) - each * 16000, np.arange(len(voice)), voice, left=0)
        for each in (DELAY, delay)
    )
    jump = 6 * 16000
    noise = np.random.default_rng(1).standard_normal(len(voice)) * 10
    echo = (0.25 * np.concatenate((before[:jump], after[jump:])) + noise).astype(np.int16)
    heard = cancelled(echo, voice, 16000, 16000, suspected=(6.1, 6.6))
    rest = heard[jump + 8000 :]
    worst = max(level(rest[begin : begin + 3200]) for begin in range(0, len(rest) - 3200, 3200))
    assert worst < level(echo) - 15


def test_while_the_bot_is_silent_sound_passes_as_it_is_a_little_later() -> None:
    words = speech("alice_long.wav")[:16000]
    for rate, delay in ((16000, 128), (24000, 223)):
        canceller = EchoCanceller(EchoReference(16000), rate)
        size = rate // 50
        out = np.concatenate(
            [
                canceller.clean(words[at : at + size], (at + size) / rate)
                for at in range(0, len(words) - size + 1, size)
            ]
        )
        assert np.array_equal(out[delay:], words[: len(out) - delay])
        assert not canceller.active


@pytest.mark.parametrize("rate", [16000, 24000])
def test_beginning_and_ending_to_cancel_neither_shifts_nor_clicks(rate: int) -> None:
    # A tone that the canceller leaves alone: what was played is nothing like it.
    size = rate // 50
    at = np.arange(3 * rate) / rate
    tone = (3000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    reference = EchoReference(rate)
    canceller = EchoCanceller(reference, rate)
    reference.sent(np.zeros(size, np.int16), 0.52)
    out, active = [], []
    for number in range(len(tone) // size):
        out.append(canceller.clean(tone[number * size : (number + 1) * size], (number + 1) * 0.02))
        active.append(canceller.active)
    assert active.index(True) == 0
    assert active.index(False) == pytest.approx((0.52 + TAIL) / 0.02, abs=2)
    steps = np.abs(np.diff(np.concatenate(out).astype(np.int32)))
    assert steps[size * 10 :].max() < 1.3 * np.abs(np.diff(tone.astype(np.int32))).max()


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_canceller, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"hearing\.echo: aec3 needs the extra 'aec3'"):
        echo_canceller.require()
