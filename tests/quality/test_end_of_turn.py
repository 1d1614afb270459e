"""Ends of turns: how sentences are stopped, what is counted, and what is said where recordings are absent."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from audio_fixtures.recordings import WIDE, Package, missing
from fishjam_agents.turns.dictation import Dictation
from fishjam_agents.turns.endpointing import Adaptive, Fixed, Punctuation, is_sentence
from fishjam_agents.turns.smart_turn import SmartTurn
from quality.bench import Bench
from quality.categories import end_of_turn
from quality.categories.end_of_turn import Outcome, Policy, judge
from quality.end_of_turn import main
from quality.microphone import VADS
from quality.turn_trials import Stop, dictations, hesitations, sentences, split, whole_sentences

BENCH = Bench(VADS["default"], 1, quick=True)
absent = missing(end_of_turn.PACKAGES)
needs_recordings = pytest.mark.skipif(
    bool(absent), reason=f"recordings are not installed: {' '.join(absent)}"
)
needs_model = pytest.mark.skipif(
    not (importlib.util.find_spec("pipecat") and importlib.util.find_spec("onnxruntime")),
    reason="needs onnxruntime and the wheel of pipecat-ai",
)


@needs_recordings
def test_sentences_are_whole_and_enough() -> None:
    said = [each for person in sentences(WIDE) for each in person]
    assert len(said) >= 200
    assert all(is_sentence(text) and not text.endswith("..") for _, text in said)


@needs_recordings
@pytest.mark.parametrize("stop", ["dip", "word"])
def test_a_sentence_that_stops_is_all_there_and_fades(stop: Stop) -> None:
    for sentence, text in sentences(WIDE)[0][:10]:
        before, after, where = split(sentence, text, stop, np.random.default_rng(1))
        assert 0.2 < where < 0.9
        assert len(before.samples) + len(after.samples) == len(sentence.samples)
        assert abs(int(before.samples[-1])) <= 1
        assert before.end <= len(before.samples)
        assert after.start < after.end


@needs_recordings
def test_hesitations_are_as_long_as_the_law_says() -> None:
    trials = hesitations(Bench(VADS["default"], 1, quick=True), WIDE, "dip")
    lengths = [end - begin for stream in trials.pauses for turn in stream for begin, end in turn]
    assert np.median(lengths) == pytest.approx(0.7, abs=0.06)


@needs_recordings
def test_a_recogniser_gives_the_words_of_the_turn_that_pauses() -> None:
    trials = hesitations(BENCH, WIDE, "word")
    words, stream = trials.recogniser(0), trials.streams[0]
    label = stream.labels[0]
    assert label.pause is not None
    assert words(label.pause[0]) == trials.begun[0][0]
    assert words(label.end) == trials.whole[0][0]
    assert words(0.5) == ""


@needs_recordings
def test_who_waits_longer_answers_later_and_cuts_less() -> None:
    answered, stopped = whole_sentences(BENCH, WIDE), hesitations(BENCH, WIDE, "dip")
    delays: list[float] = []
    cuts: list[int] = []
    for seconds in (0.3, 0.6, 2.0):
        policy = Policy("fixed", Fixed(seconds))
        delays.append(judge(policy, answered).mean)
        cuts.append(judge(policy, stopped).cut)
    assert delays == sorted(delays)
    assert cuts == sorted(cuts, reverse=True)
    assert cuts[0] > cuts[-1]


@needs_recordings
def test_words_reach_a_policy_that_looks_at_them() -> None:
    answered = whole_sentences(BENCH, WIDE)
    without = judge(Policy("punctuation", Punctuation()), answered)
    told = judge(Policy("punctuation", Punctuation(), words=True), answered)
    assert told.median < without.median - 0.1


@needs_recordings
@needs_model
def test_a_model_is_heard() -> None:
    answered = whole_sentences(BENCH, WIDE)
    assert (
        judge(Policy("smart", SmartTurn()), answered).median < judge(Policy("", Adaptive()), answered).median
    )


def test_a_dictation_is_no_end_for_who_waits_for_its_pace() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    trials = dictations(BENCH, 0.6)
    assert judge(Policy("dictation", Dictation()), trials).share <= 10.0
    assert judge(Policy("adaptive", Adaptive()), trials).share >= 50.0


def test_what_is_shown_of_an_outcome() -> None:
    outcome = Outcome(4, 1, [0.4, 0.5, 0.6, 1.5]).merged(Outcome(4, 1, []))
    assert outcome.shown_cuts() == "25 % of 8"
    assert outcome.shown_delays() == ("500", "750", "1500", "25 %")
    assert Outcome().shown_delays() == ("-", "-", "-", "-")


def test_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody: Sequence[Package] = (Package("sounds-of-nobody", tmp_path, "*.wav"),)
    monkeypatch.setattr(end_of_turn, "PACKAGES", nobody)
    assert main(["--quick"]) == 1
    assert capsys.readouterr().err == "recordings not found: apt-get install -y sounds-of-nobody\n"
    (figure,) = end_of_turn.measure(BENCH).figures
    assert figure.measured == "not measured: apt-get install -y sounds-of-nobody"
