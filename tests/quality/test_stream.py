"""Labels lie where the sounds are, levels are what they are called, and a seed says everything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from audio_fixtures import corpus
from audio_fixtures.corpus import LEVEL, RATE, CorpusError, Utterance, rng_for
from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.wav import load_speech
from quality.sounds import BURSTS, NOISES, Babble, at_level, pink, to_samples, white
from quality.stream import DecisionLog

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def fixture(name: str = "alice_question") -> Utterance:
    (sound,) = json.loads((FIXTURES / "fixtures.json").read_text())[f"{name}.wav"]["sounds"]
    samples = load_speech(FIXTURES / f"{name}.wav", RATE)
    label = round(sound["start"] * RATE), round(sound["end"] * RATE)
    return Utterance(name, "en-us+f3", 52, 165, RATE, samples, *label)


def test_what_is_said_begins_and_ends_at_its_label() -> None:
    tape = DecisionLog()
    tape.wait(1.2345)
    tape.say(fixture(), LEVEL)
    tape.wait(0.5)
    stream = tape.stream()
    (label,) = stream.labels
    assert label.start == pytest.approx(1.2345, abs=1e-4)
    assert label.seconds == pytest.approx(fixture().seconds)
    audible = np.flatnonzero(np.abs(stream.samples) > 30) / RATE
    assert audible[0] == pytest.approx(label.start, abs=0.01)
    assert audible[-1] == pytest.approx(label.end, abs=0.03)
    assert stream.seconds == pytest.approx(label.end + 0.5)


def test_a_pause_is_as_long_as_it_is_said_to_be() -> None:
    tape = DecisionLog()
    tape.say_with_pause(fixture("alice_yes"), 0.4, fixture("bob_yes"), -30.0)
    tape.wait(0.2)
    stream = tape.stream()
    (label,) = stream.labels
    assert label.pause is not None
    begin, end = label.pause
    assert end - begin == pytest.approx(0.4)
    inside = stream.samples[round((begin + 0.03) * RATE) : round((end - 0.01) * RATE)]
    assert dbfs(inside) < -60
    assert dbfs(stream.samples[round(end * RATE) : round((end + 0.1) * RATE)]) > -40


@pytest.mark.parametrize("snr", [0, 10, 25])
def test_the_snr_is_that_of_the_samples(snr: int) -> None:
    tape = DecisionLog()
    tape.wait(2.0)
    tape.say(fixture(), -25.0)
    stream = tape.stream(at_level(white(rng_for(1), tape.seconds + 0.1), -25.0 - snr))
    assert dbfs(stream.samples[: 2 * RATE]) == pytest.approx(-25 - snr, abs=0.1)
    clean = tape.stream().samples[2 * RATE :]
    # The level of speech is that of its louder part: pauses between words do not count.
    assert dbfs(clean) == pytest.approx(-25, abs=1.5)


@pytest.mark.parametrize("kind", BURSTS)
@pytest.mark.parametrize("seconds", [0.08, 0.3])
def test_a_burst_lasts_as_long_as_it_should(kind: str, seconds: float) -> None:
    wave = BURSTS[kind](rng_for(1, kind), seconds)
    assert len(wave) == round(seconds * RATE)
    tape = DecisionLog()
    tape.wait(1.0)
    tape.burst(kind, wave, -25.0)
    tape.wait(1.0)
    stream = tape.stream()
    (label,) = stream.labels
    assert (label.kind, label.start, label.seconds) == (kind, 1.0, pytest.approx(seconds))
    sounding = np.flatnonzero(stream.samples) / RATE
    assert 1.0 <= sounding[0] < 1.01
    assert 1.0 + 0.2 * seconds < sounding[-1] <= 1.0 + seconds
    # A click that is short for its window saturates a little.
    assert dbfs(stream.samples[RATE : RATE + len(wave)]) == pytest.approx(-25, abs=1.5)


@pytest.mark.parametrize(("name", "per_octave"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0)])
def test_a_noise_has_its_colour(name: str, per_octave: float) -> None:
    power = np.abs(np.fft.rfft(NOISES[name](rng_for(1), 8.0))) ** 2
    low, high = (power[hertz * 8 : 2 * hertz * 8].mean() for hertz in (250, 2000))
    assert 10 * np.log10(high / low) / 3 == pytest.approx(per_octave, abs=0.3)


def test_hum_lies_on_the_harmonics_of_the_mains() -> None:
    power = np.abs(np.fft.rfft(NOISES["hum"](rng_for(1), 8.0))) ** 2
    hertz = np.arange(len(power)) / 8
    near = min(
        ((np.abs(hertz - base * np.maximum(np.rint(hertz / base), 1)) > 2) * power).sum() for base in (50, 60)
    )
    assert near / power.sum() < 0.02


def test_levels_do_not_wrap() -> None:
    assert to_samples(np.array([1e6, -1e6], np.float32)).tolist() == [32767, -32768]


def test_a_purpose_has_random_numbers_of_its_own() -> None:
    assert rng_for(1, "a").random() == rng_for(1, "a").random()
    assert len({rng_for(seed, name).random() for seed in (1, 2) for name in ("a", "b")}) == 4
    assert np.array_equal(pink(rng_for(3), 0.5), pink(rng_for(3), 0.5))


@needs_espeak
def test_a_seed_always_makes_the_same_corpus() -> None:
    def all_of(seed: int) -> list[Utterance]:
        corpus._cached.cache_clear()
        made = [u for make in (corpus.sentences, corpus.words, corpus.hums) for u in make(seed, 3)]
        return [*made, *corpus.pairs(seed, 1)[0]]

    first, again, other = all_of(1), all_of(1), all_of(2)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, again, strict=True))
    assert [u.voice for u in first] != [u.voice for u in other]


@needs_espeak
def test_labels_of_the_corpus_hold_the_speech() -> None:
    for utterance in [*corpus.sentences(3, 12), *corpus.words(3, 12)]:
        inside = utterance.samples[utterance.start : utterance.end]
        assert 0 <= utterance.start < utterance.end <= len(utterance.samples)
        assert dbfs(inside) == pytest.approx(LEVEL, abs=3)
        for outside in (utterance.samples[: utterance.start], utterance.samples[utterance.end :]):
            assert dbfs(outside) < LEVEL - 20
    assert len({u.voice.partition("+")[0] for u in corpus.sentences(3, 12)}) == 12
    for before, after in corpus.pairs(3, 2):
        assert before.voice == after.voice


@needs_espeak
def test_softened_speech_dies_away_and_is_labelled_anew() -> None:
    for hard in corpus.sentences(3, 4):
        soft = corpus.softened(hard)
        tail, hard_tail = (u.samples[u.end - 800 : u.end] for u in (soft, hard))
        assert dbfs(tail) < dbfs(hard_tail)
        assert soft.seconds <= hard.seconds
        assert dbfs(soft.samples[soft.end :]) < LEVEL - 20


@needs_espeak
def test_babble_is_the_same_people_at_another_time() -> None:
    babble = Babble(1, voices=4)
    one, other = babble(rng_for(1), 2.0), babble(rng_for(2), 2.0)
    assert len(one) == 2 * RATE
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.3


def test_without_espeak_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match="apt-get install -y espeak-ng"):
        corpus.speak("hello", "en-us", 50, 165)
    assert corpus.espeak_version() == "absent"
