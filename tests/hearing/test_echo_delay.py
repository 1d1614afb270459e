"""The delay of an echo: found, followed through a drift and a jump, and not lost to somebody who speaks."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.echo_delay import EchoDelay
from tests.pipeline.conftest import speech

RATE = 16000
FRAME = 0.02


@pytest.fixture(scope="module")
def voice() -> Samples:
    return np.concatenate([speech("bob_long.wav", RATE)] * 6)[: 20 * RATE]


def echo(voice: Samples, delays: np.ndarray) -> Samples:
    """Echo of a voice in a microphone, later by a delay for each sample, seconds."""
    at = np.arange(len(voice)) - delays * RATE
    noise = np.random.default_rng(1).standard_normal(len(voice)) * 10
    return (0.25 * np.interp(at, np.arange(len(voice)), voice, left=0) + noise).astype(np.int16)


def followed(voice: Samples, heard: Samples, suspected: tuple[float, float] = (0.0, 0.0)) -> list[float]:
    """The delay after each frame, NaN while none is known."""
    reference = EchoReference(RATE)
    delay = EchoDelay(reference, RATE)
    known = []
    for number in range(len(heard) // 320):
        end = (number + 1) * FRAME
        reference.sent(voice[number * 320 : (number + 1) * 320], end)
        frame = heard[number * 320 : (number + 1) * 320]
        delay.take(frame, end, suspected[0] < end <= suspected[1])
        known.append(np.nan if delay.seconds is None else delay.seconds)
    return known


@pytest.mark.parametrize("seconds", [0.06, 0.3, 0.5])
def test_a_delay_is_found_within_two_seconds_of_voice(voice: Samples, seconds: float) -> None:
    known = followed(voice[: 6 * RATE], echo(voice[: 6 * RATE], np.full(6 * RATE, seconds)))
    assert known[100:] == pytest.approx([seconds] * 200, abs=2e-4)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_drift_is_followed_to_a_quarter_of_a_millisecond(voice: Samples, ppm: int) -> None:
    delays = 0.15 + np.arange(len(voice)) / RATE * ppm / 1e6
    known = np.array(followed(voice, echo(voice, delays)))
    truth = delays[319::320][: len(known)]
    assert np.abs(known - truth)[500:].max() < 2.5e-4


def test_an_echo_that_is_suspected_tells_its_new_delay_before_it_could_interrupt(voice: Samples) -> None:
    delays = np.full(12 * RATE, 0.15)
    delays[8 * RATE :] = 0.23
    known = followed(voice[: 12 * RATE], echo(voice[: 12 * RATE], delays), suspected=(8.06, 8.5))
    assert known[400] == pytest.approx(0.15, abs=2e-4)
    assert known[418] == pytest.approx(0.23, abs=2e-4)


def test_an_echo_that_nobody_suspects_is_followed_all_the_same(voice: Samples) -> None:
    delays = np.full(len(voice), 0.15)
    delays[10 * RATE :] = 0.09
    known = followed(voice, echo(voice, delays))
    assert known[499] == pytest.approx(0.15, abs=2e-4)
    assert known[-1] == pytest.approx(0.09, abs=2e-4)


def test_somebody_who_speaks_over_the_bot_moves_nothing(voice: Samples) -> None:
    words = speech("alice_long.wav")[: 3 * RATE]
    heard = echo(voice[: 14 * RATE], np.full(14 * RATE, 0.15))
    heard[9 * RATE : 9 * RATE + len(words)] += words // 3
    known = followed(voice[: 14 * RATE], heard, suspected=(9.1, 12.0))
    assert known[400:] == pytest.approx([0.15] * 300, abs=2e-4)


def test_where_nothing_comes_back_no_delay_is_found(voice: Samples) -> None:
    words = speech("alice_long.wav")[: 6 * RATE]
    assert np.isnan(followed(voice[: len(words)], words, suspected=(1.0, 5.0))).all()


def test_a_reset_forgets_it(voice: Samples) -> None:
    reference = EchoReference(RATE)
    delay = EchoDelay(reference, RATE)
    delay.seconds = 0.1
    delay.reset()
    assert delay.seconds is None
