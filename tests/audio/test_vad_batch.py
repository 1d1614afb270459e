"""Detectors scored together: every decision is the one that each gives alone, bit for bit."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.correlation import RowCorrelation
from fishjam_agents.audio.echo import EchoGuard, GuardedFrame
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.vad import FRAME_SAMPLES, PRESETS, Detector
from fishjam_agents.audio.vad_batch import DetectorBatch, Question
from fishjam_agents.audio.wav import load_speech

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
VOICES = [load_speech(FIXTURES / f"{name}.wav", 16000) for name in ("alice_long", "bob_numbers", "alice_yes")]
SECONDS = 2.5
KINDS = ("voice", "tone", "noise", "silence", "clipped", "hum")


def sound(kind, level, seed):
    """Some seconds of a kind of sound, at a level, over a little noise."""
    random = np.random.default_rng(seed)
    size = round(16000 * SECONDS)
    peak = 32768 * 10 ** (level / 20)
    at = np.arange(size) / 16000
    match kind:
        case "voice":
            voice = VOICES[seed % len(VOICES)]
            wave = np.roll(np.resize(voice, size), int(random.integers(size))) * (peak / 8000)
        case "tone":
            hz = random.choice([350.0, 440.0, 697.0, 1209.0, 2100.0], 2)
            wave = peak * (np.sin(2 * np.pi * hz[0] * at) + np.sin(2 * np.pi * hz[1] * at)) / 2
            wave *= np.floor(at * 2) % 2
        case "noise":
            wave = random.normal(0, peak / 4, size) * (1 + 9 * (np.floor(at) % 2))
        case "silence":
            return np.zeros(size, np.int16)
        case "clipped":
            wave = 4 * 32768 * np.sign(np.sin(2 * np.pi * 110 * at))
        case "hum":
            wave = peak * np.sin(2 * np.pi * 50 * at)
    wave = wave + random.normal(0, 3, size)
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


streams = st.builds(
    sound, st.sampled_from(KINDS), st.sampled_from([-50.0, -30.0, -12.0, 0.0]), st.integers(0, 999)
)


class Sum:
    """As much of a turn machine as the detector is told of."""

    def __init__(self, start):
        self.start, self.sum, self.quiet = start, 0.0, 0

    def told(self):
        """Give two of `Detector.feed`'s arguments: `in_speech` and `accumulating`."""
        return self.quiet > 0, self.sum > 0 and not self.quiet

    def take(self, decision):
        """Add its score."""
        self.sum = min(max(self.sum + decision.score, 0.0), self.start)
        if self.sum >= self.start or decision.voiced:
            self.quiet = 15 if self.sum >= self.start else self.quiet
        else:
            self.quiet = max(self.quiet - 1, 0)


class Loudspeaker:
    """The bot's voice, and its echo in a microphone; two guards that are told the same."""

    def __init__(self, bot, delay, loudness):
        self.bot, self.delay, self.loudness = bot, delay, loudness
        self.reference = EchoReference(16000)
        self.guards = EchoGuard(), EchoGuard()
        self.sent = 0

    def play(self, frame, at, number, in_speech):
        """The frame with the echo in it, and what tells either detector of it."""
        while self.sent < at + FRAME_SAMPLES:
            chunk = self.bot[self.sent : self.sent + FRAME_SAMPLES]
            self.sent += FRAME_SAMPLES
            self.reference.sent(chunk, self.sent / 16000)
        start = at - self.delay
        if start >= 0:
            echo = self.bot[start : start + FRAME_SAMPLES] * self.loudness
            frame = np.clip(frame + echo, -32768, 32767).astype(np.int16)
        skips = [guard.take_skip(in_speech) for guard in self.guards]
        assert skips[0] == skips[1]
        if number % 97 == 96:
            for guard in self.guards:
                guard.suspect()
        window = None if skips[0] else self.reference.window((at + FRAME_SAMPLES) / 16000)
        return frame, [
            None if window is None else GuardedFrame(guard, window.copy()) for guard in self.guards
        ]


loudspeakers = st.none() | st.builds(
    lambda kind, seed, frames, loudness: Loudspeaker(sound(kind, -18.0, seed), frames * 160, loudness),
    st.sampled_from(["voice", "voice", "noise", "tone"]),
    st.integers(0, 99),
    st.integers(4, 40),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)


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
