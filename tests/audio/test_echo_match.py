"""An echo is recognised by its waveform, and nobody else's voice is taken for one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from fishjam_agents.audio import echo_match
from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.echo_match import MAX_DELAY, match_echo
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.resampling import resample
from tests.pipeline.conftest import speech

NAMES = ("alice_long.wav", "alice_question.wav", "bob_long.wav", "bob_numbers.wav", "bob_question.wav")
LEAD = round(MAX_DELAY * 16000)


@pytest.fixture(params=["python", "compiled"], autouse=True)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test compares sounds both ways."""
    if request.param == "python":
        monkeypatch.setattr(echo_match, "native", None)
    elif native is None:
        pytest.skip(f"not compiled: {reason}")


def excerpts(heard: np.ndarray, voice: np.ndarray, seconds: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pieces in which something is said, each with what was played until its end."""
    size = round(seconds * 16000)
    found = []
    for start in range(LEAD, min(len(heard), len(voice)) - size, 4800):
        piece, played = heard[start : start + size], voice[start - LEAD : start + size]
        if min(np.abs(piece).max(), np.abs(played).max()) > 1000:
            found.append((piece, played))
    return found


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("delay", [0.05, 0.16, 0.4])
@pytest.mark.parametrize("gain", [-6.0, -20.0])
def test_a_voice_that_comes_back_is_recognised_with_its_delay_and_gain(
    seconds: float, delay: float, gain: float
) -> None:
    voice = speech("bob_long.wav")
    late = np.concatenate((np.zeros(round(delay * 16000), np.int16), voice))
    noise = np.random.default_rng(2).standard_normal(len(late)) * 20
    echo = (late * 10 ** (gain / 20) + noise).astype(np.int16)
    matches = [match_echo(heard, 16000, played, 16000) for heard, played in excerpts(echo, voice, seconds)]
    found = [match for match in matches if match is not None]
    assert len(found) >= 0.7 * len(matches) > 3
    for match in found:
        assert match.delay == pytest.approx(delay, abs=0.003)
    assert np.median([match.gain[2] for match in found]) == pytest.approx(gain, abs=1.5)


def test_another_sentence_is_no_echo_whoever_says_it() -> None:
    pairs = [
        pair
        for voice, caller in permutations(NAMES, 2)
        for seconds in (0.1, 0.16, 0.22, 0.34, 0.5)
        for pair in excerpts(speech(caller), speech(voice), seconds)
    ]
    assert len(pairs) > 500
    taken = [len(heard) for heard, played in pairs if match_echo(heard, 16000, played, 16000) is not None]
    # A vowel of a tenth of a second may sound like another; the levels then say soon that it was none.
    assert len(taken) <= 0.005 * len(pairs)


@pytest.mark.parametrize(("heard_rate", "played_rate"), [(16000, 24000), (24000, 16000), (8000, 48000)])
def test_rates_need_not_be_the_same(heard_rate: int, played_rate: int) -> None:
    voice = speech("bob_long.wav")[: LEAD + 6400]
    heard = resample((voice[LEAD - 1600 : -1600] * 0.3).astype(np.int16), 16000, heard_rate)
    match = match_echo(heard, heard_rate, resample(voice, 16000, played_rate), played_rate)
    assert match is not None
    assert match.delay == pytest.approx(0.1, abs=0.003)


def test_silence_is_no_echo_and_nothing_echoes_silence() -> None:
    voice, silence = speech("bob_long.wav")[:16000], np.zeros(16000, np.int16)
    assert match_echo(silence[:3200], 16000, voice, 16000) is None
    assert match_echo(voice[:3200], 16000, silence, 16000) is None
    assert match_echo(voice[:0], 16000, voice, 16000) is None
    assert match_echo(voice, 16000, voice[:3200], 16000) is None


@pytest.mark.parametrize("rate", [16000, 24000])
def test_the_reference_gives_back_what_was_played_when(rate: int) -> None:
    reference = EchoReference(rate)
    sound = np.arange(1, rate + 1, dtype=np.int16)
    size = rate // 50
    for number in range(50):
        reference.sent(sound[number * size : (number + 1) * size], 3.0 + (number + 1) * 0.02)
    np.testing.assert_array_equal(reference.sound(3.6, 0.3), sound[round(0.3 * rate) : round(0.6 * rate)])
    assert not reference.sound(3.0, 0.5).any()
    late = reference.sound(4.1, 0.2)
    np.testing.assert_array_equal(late[: rate // 10], sound[-(rate // 10) :])
    assert not late[rate // 10 :].any()
    reference.cut(3.5)
    assert not reference.sound(3.9, 0.4).any()
