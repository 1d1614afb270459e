from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.audio.energy_minima import back_to_dip
from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.wav import load_speech

RATE = 16000


def loud(seconds: float, level: float = 3000) -> np.ndarray:
    return (level * np.sin(np.arange(round(seconds * RATE)) * 0.3)).astype(np.int16)


def test_the_nearest_pause_is_taken_not_the_deepest() -> None:
    wave = np.concatenate((loud(0.1), np.zeros(800, np.int16), loud(0.1), loud(0.05, 100), loud(0.08)))
    # The middle of the quiet stretch's last 20 ms.
    assert back_to_dip(wave, RATE) == pytest.approx(0.09 * RATE, abs=0.01 * RATE)


def test_without_a_pause_the_quietest_moment_is_taken() -> None:
    wave = np.concatenate((loud(0.1), loud(0.04, 1500), loud(0.1)))
    assert 0.1 * RATE <= back_to_dip(wave, RATE) <= 0.14 * RATE


def test_a_cut_in_a_pause_repeats_next_to_nothing() -> None:
    assert back_to_dip(np.concatenate((loud(0.2), np.zeros(800, np.int16))), RATE) == 160


def test_in_the_middle_of_a_word_the_dip_is_much_quieter() -> None:
    words = load_speech("audio_fixtures/alice_long.wav", RATE)
    lower = []
    for cut in range(RATE, len(words) - RATE, 800):
        here = dbfs(words[cut - 320 : cut])
        if here > dbfs(words) - 6:
            dip = cut - back_to_dip(words[cut - 6400 : cut], RATE)
            lower.append(here - dbfs(words[dip - 160 : dip + 160]))
    assert np.median(lower) > 12


@given(st.integers(0, 9000), st.integers(0, 2**32 - 1))
def test_it_never_goes_back_further_than_it_was_given(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wave = (rng.normal(0, 300, size) * rng.integers(0, 40, size)).clip(-32768, 32767).astype(np.int16)
    assert 0 <= back_to_dip(wave, RATE) <= size
