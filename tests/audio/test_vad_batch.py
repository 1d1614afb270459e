"""Detectors scored together: every decision is the one that each gives alone, bit for bit."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.correlation import RowCorrelation
from fishjam_agents.audio.vad import FRAME_SAMPLES, PRESETS, Detector
from fishjam_agents.audio.vad_batch import DetectorBatch, Question
from tests.audio.detector_streams import VOICES, Loudspeaker, Sum, loudspeakers, streams


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32), rooms=st.lists(st.tuples(streams, loudspeakers), min_size=3, max_size=9))
def test_a_batch_decides_as_each_detector_does_alone(seed, rooms):
    random = Random(seed)
    sounds = [each for each, _ in rooms]
    presets = [random.choice(sorted(PRESETS)) for _ in sounds]
    alone, together = [Detector(preset) for preset in presets], [Detector(preset) for preset in presets]
    machines = [Sum(detector.start) for detector in alone]
    places = [0] * len(sounds)
    batch = DetectorBatch()
    while True:
        # Whoever has a packet in this turn of the loop: any of them, in any order.
        chosen = random.sample(range(len(sounds)), random.randint(1, len(sounds)))
        asked, expected = [], []
        for index in chosen:
            frame = sounds[index][places[index] : places[index] + FRAME_SAMPLES]
            if len(frame) < FRAME_SAMPLES:
                return
            places[index] += FRAME_SAMPLES
            if random.random() < 0.01:
                alone[index].restart()
                together[index].restart()
            told = machines[index].told()
            loudspeaker, playing = rooms[index][1], [None, None]
            if loudspeaker is not None:
                place = places[index] - FRAME_SAMPLES
                frame, playing = loudspeaker.play(frame, place, places[index] // FRAME_SAMPLES, told[0])
            asked.append(Question(frame, *told, playing[0]))
            expected.append(alone[index].feed(frame, *told, playing[1]))
        assert batch.feed([together[index] for index in chosen], asked) == expected
        assert [together[index].echo for index in chosen] == [alone[index].echo for index in chosen]
        for index, decision in zip(chosen, expected, strict=True):
            machines[index].take(decision)


@pytest.mark.parametrize("delay", [1, 8, 25])
def test_guards_that_are_asked_together_find_the_echo_that_one_finds_alone(delay):
    bots = [Loudspeaker(np.tile(voice, 3), delay * 320, 0.4) for voice in VOICES]
    batch, together, alone = DetectorBatch(), [Detector() for _ in bots], [Detector() for _ in bots]
    noise = np.random.default_rng(1).normal(0, 8, FRAME_SAMPLES).astype(np.int16)
    for step in range(150):
        asked, expected = [], []
        for index, bot in enumerate(bots):
            frame, playing = bot.play(noise, step * FRAME_SAMPLES, step, False)
            asked.append(Question(frame, False, True, playing[0]))
            expected.append(alone[index].feed(frame, False, True, playing[1]))
        assert batch.feed(together, asked) == expected
    for bot in bots:
        one, other = bot.guards
        assert one.delay == other.delay
        assert one.gain == other.gain
        assert np.array_equal(one.moments, other.moments)
    assert any(bot.guards[0].delay is not None for bot in bots)


def test_more_rows_than_are_computed_at_once_are_all_decided_in_order():
    speech = VOICES[0]
    alone, together = [Detector() for _ in range(150)], [Detector() for _ in range(150)]
    batch = DetectorBatch()
    for step in range(20):
        frames = [speech[at : at + FRAME_SAMPLES] for at in range(step * 320, step * 320 + 150 * 160, 160)]
        expected = [detector.feed(frame, False) for detector, frame in zip(alone, frames, strict=True)]
        assert batch.feed(together, [Question(frame, False) for frame in frames]) == expected
    assert any(decision.voiced for decision in expected)
    assert not all(decision.voiced for decision in expected)


def test_nothing_in_nothing_out():
    assert DetectorBatch().feed([], []) == []


@pytest.mark.parametrize(("length", "lags"), [(102, 48), (160, 201), (8, 1), (9, 3)])
def test_rows_are_correlated_exactly(length, lags):
    random = np.random.default_rng(length)
    limit = 2**17
    other = random.integers(-limit, limit, (5, length + lags - 1)).astype(np.float64)
    signal = random.integers(-limit, limit, (5, length)).astype(np.float64)
    correlation = RowCorrelation(7, length, lags)
    for _ in range(2):
        found = correlation.products(other, signal)
        for row in range(5):
            assert np.array_equal(found[row], np.correlate(other[row], signal[row], "valid"))
