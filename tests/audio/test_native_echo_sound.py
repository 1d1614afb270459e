"""Sounds are measured and compared in C as in Python, and what is wrong is refused."""

import copy
import gc
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio import echo_match, echo_reference
from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.echo_match import likeness
from fishjam_agents.audio.echo_reference import VOICE, EchoReference, LevelMeter, make_meter
from tests.pipeline.conftest import speech

COMPILED = pytest.mark.skipif(native is None, reason=f"not compiled: {reason}")

SIZES = (256, 384, 512, 768, 1024, 1536)
"""Samples of 32 ms at 8, 12, 16, 24, 32 and 48 kHz."""
BOUND = 1e-3
"""dB between levels: numpy transforms in single precision."""


def coloured(seed, size):
    """Noise with more low tones than high ones, as a voice has them."""
    return np.rint(np.convolve(np.random.default_rng(seed).normal(0, 900, size), [1, 0.9, 0.8, 0.5])[:size])


def plainly(sound, voice):
    """Likeness as its definition has it."""

    def coefficients(one, other):
        stretches = np.lib.stride_tricks.sliding_window_view(other, len(one))
        energies = (stretches**2).sum(axis=1)
        return stretches @ one / np.sqrt((one @ one) * np.maximum(energies, 0.02 * energies.max()) + 1e-9)

    emphasised = [each[1:] - 0.9 * each[:-1] for each in (sound, voice)]
    return (coefficients(sound, voice) + coefficients(*emphasised)) / 2


def compiled_likeness(sound, voice):
    """As the compiled function fills it in."""
    alike = np.full(len(voice) - len(sound) + 1, np.nan)
    native.likeness(sound, voice, alike)
    return alike


@pytest.mark.parametrize("likeness", [likeness, pytest.param(compiled_likeness, marks=COMPILED)])
@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(2, 300),
    more=st.one_of(st.sampled_from([0, 1, 62, 127]), st.integers(0, 700)),
)
def test_likeness_is_what_its_definition_says(likeness, seed, length, more):
    voice = coloured(seed, length + more)
    sound = coloured(seed + 1, length) + 0.5 * voice[more // 2 : more // 2 + length]
    assert likeness(sound, voice) == pytest.approx(plainly(sound, voice), abs=1e-9)


@COMPILED
@pytest.mark.parametrize(("length", "voice_length"), [(8192, 8192), (4000, 8160), (1280, 6144), (640, 4097)])
def test_compiled_likeness_of_long_sounds_is_the_same(length, voice_length):
    voice = coloured(3, voice_length)
    sound = voice[-length:] * 0.3 + coloured(4, length)
    assert compiled_likeness(sound, voice) == pytest.approx(likeness(sound, voice), abs=1e-9)


@COMPILED
def test_silence_is_like_nothing():
    silence = np.zeros(1000)
    for one, other in (
        (silence[:300], coloured(1, 1000)),
        (coloured(1, 300), silence),
        (silence[:300], silence),
    ):
        assert not compiled_likeness(one, other).any()
        assert not likeness(one, other).any()


@COMPILED
def test_a_sound_longer_than_the_compiled_search_takes_is_compared_in_python():
    voice = speech("bob_long.wav", 8000)
    voice = np.tile(voice, 2)[:30_000]
    assert len(voice) > native.LIKENESS_LONGEST
    match = echo_match.match_echo(voice[800:-800], 8000, voice, 8000)
    assert match is not None
    assert match.delay == pytest.approx(0.1, abs=1e-3)


meters = pytest.mark.parametrize("size", SIZES)


@COMPILED
@meters
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    chunks=st.lists(
        st.tuples(st.integers(1, 3000), st.booleans(), st.sampled_from([0, 1, 30, 3000, 1e5])), max_size=12
    ),
)
def test_levels_are_the_same(size, seed, chunks):
    random = np.random.default_rng(seed)
    one, other = LevelMeter(size), make_meter(size)
    assert type(other) is native.LevelMeter
    waiting = []
    for length, asked, peak in chunks:
        samples = np.clip(random.standard_normal(length) * peak, -32768, 32767).astype(np.int16)
        waiting.append(samples)
        if not asked:
            continue
        rows = np.full((2, len(waiting), VOICE + 1), np.nan)
        one.measure(waiting, rows[0])
        other.measure(waiting, rows[1])
        assert rows[1] == pytest.approx(rows[0], abs=BOUND)
        waiting = []
        for meter in (one, other):
            meter.skip(samples[: length // 2])
        last = np.resize(samples, size)
        assert other.powers(last) == pytest.approx(one.powers(last), rel=1e-4, abs=1e-10)


@COMPILED
def test_a_loud_low_tone_leaves_the_same_of_quiet_bands():
    tone = np.rint(32000 * np.sin(2 * np.pi * 100 * np.arange(1600) / 16000)).astype(np.int16)
    rows = np.empty((2, 1, VOICE + 1))
    for meter, row in zip((LevelMeter(512), make_meter(512)), rows, strict=True):
        meter.measure([tone], row)
    # What single precision leaves there is some 60 dB above what is in them.
    assert rows[1] == pytest.approx(rows[0], abs=0.2)


@COMPILED
def test_a_reference_has_the_same_windows_with_either_meter(monkeypatch):
    random, references = np.random.default_rng(5), []
    for make in (make_meter, LevelMeter):
        monkeypatch.setattr(echo_reference, "make_meter", make)
        references.append(EchoReference(24000))
    end = 0.0
    for number in range(1, 400):
        while end < number * 0.02 + random.choice([0.0, 0.2]):
            samples = (random.standard_normal(random.choice([240, 480, 960])) * 2000).astype(np.int16)
            end += len(samples) / 24000
            for reference in references:
                reference.sent(samples, end)
        if random.random() < 0.02:
            for reference in references:
                reference.cut(number * 0.02)
            end = number * 0.02 + 0.1
        if random.random() < 0.8:
            one, other = (reference.window(number * 0.02) for reference in references)
            assert (one is None) == (other is None)
            if one is not None:
                assert one == pytest.approx(other, abs=BOUND)


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
def test_a_rate_whose_frames_cannot_be_transformed_by_the_compiled_meter_is_measured_in_python(rate):
    size = round(0.032 * rate)
    assert type(make_meter(size)) is LevelMeter


@COMPILED
@pytest.mark.parametrize("size", [-1, 0, 1, 255, 192, 2048, 2**31 - 1])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"{size} samples cannot be transformed"):
        native.LevelMeter(size)


SHORT = np.zeros(320, np.int16)


@COMPILED
@pytest.mark.parametrize(
    ("chunks", "rows", "error", "says"),
    [
        (None, np.zeros((1, 6)), TypeError, "len"),
        ([None], np.zeros((1, 6)), TypeError, "a chunk must be an array of int16"),
        ([SHORT.astype(float)], np.zeros((1, 6)), TypeError, "a chunk must be an array of int16"),
        ([SHORT.astype(np.uint16)], np.zeros((1, 6)), TypeError, 'int16, not one of "H"'),
        ([SHORT.reshape(2, -1)], np.zeros((1, 6)), ValueError, "a chunk must have 1 dimensions, not 2"),
        ([SHORT[::2]], np.zeros((1, 6)), ValueError, "a chunk must be contiguous"),
        ([SHORT], np.zeros(6), ValueError, "rows must have 2 dimensions"),
        ([SHORT], np.zeros((2, 6)), ValueError, r"rows must have the shape \(1, 6\)"),
        ([SHORT], np.zeros((1, 5)), ValueError, r"rows must have the shape \(1, 6\)"),
        ([SHORT], np.zeros((1, 6), np.float32), TypeError, 'float64, not one of "f"'),
        ([SHORT], [[0.0] * 6], TypeError, "rows must be an array of float64"),
        ([SHORT], np.zeros((1, 12))[:, ::2], ValueError, "rows must be contiguous"),
        ([SHORT], np.broadcast_to(np.zeros(6), (1, 6)), (ValueError, BufferError), r"read-?only"),
    ],
)
def test_what_cannot_be_measured_is_refused(chunks, rows, error, says):
    with pytest.raises(error, match=says):
        native.LevelMeter(512).measure(chunks, rows)


@COMPILED
def test_nothing_takes_nothing():
    meter, rows = native.LevelMeter(512), np.full((1, 6), np.nan)
    meter.skip(SHORT[:0])
    meter.measure([], rows[:0])
    meter.measure([SHORT[:0]], rows)
    assert (rows == -100.0).all()
    assert meter.powers(np.zeros(512, np.int16)) == [0.0] * VOICE
    for length in (0, 511, 513):
        with pytest.raises(ValueError, match="samples must be 512"):
            meter.powers(np.zeros(length, np.int16))
    with pytest.raises(TypeError, match="measure takes chunks and rows, 1 given"):
        meter.measure([])
    with pytest.raises(TypeError):
        native.LevelMeter("512")


@COMPILED
@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ((1, 5, 5), "voice must be as long as sound"),
        ((0, 5, 6), "voice must be as long as sound"),
        ((6, 5, 0), "voice must be as long as sound"),
        ((10, 8193, 8184), "up to 8192"),
        ((10, 20, 10), "alike must have 11 numbers"),
        ((10, 20, 12), "alike must have 11 numbers"),
    ],
)
def test_sounds_that_cannot_be_compared_are_refused(lengths, says):
    with pytest.raises(ValueError, match=says):
        native.likeness(*(np.zeros(length) for length in lengths))


@COMPILED
def test_what_is_no_sound_is_not_compared():
    sound, alike = np.ones(10), np.zeros(1)
    for wrong in (None, list(sound), sound.astype(np.float32), sound.astype(np.int16)):
        with pytest.raises(TypeError, match="must be an array of float64"):
            native.likeness(wrong, sound, alike)
    with pytest.raises(TypeError, match="likeness takes sound, voice and alike, 2 given"):
        native.likeness(sound, sound)
    alike.flags.writeable = False
    with pytest.raises((ValueError, BufferError), match=r"read-?only"):
        native.likeness(sound, sound, alike)
    filled = np.zeros(3)
    native.likeness(np.full(5, np.nan), np.full(7, np.inf), filled)
    assert np.isnan(filled).all()


@COMPILED
def test_a_meter_cannot_be_copied_or_pickled_and_says_so():
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle"):
            make(native.LevelMeter(512))


@COMPILED
def test_nothing_is_left_of_either():
    sound, alike, rows, wrong = np.ones(10), np.zeros(1), np.zeros((1, 6)), np.zeros((1, 5))
    held = sound, alike, rows, wrong, SHORT, native.LevelMeter

    def use():
        for _ in range(200):
            meter = native.LevelMeter(512)
            meter.measure([SHORT], rows)
            native.likeness(sound, sound, alike)
            for function, arguments in (
                (meter.measure, ([SHORT], wrong)),
                (meter.measure, ([SHORT, None], rows)),
                (native.likeness, (sound, sound, wrong)),
                (native.LevelMeter, (3,)),
            ):
                with pytest.raises((TypeError, ValueError)):
                    function(*arguments)

    use()
    gc.collect()
    before, counts = sys.getallocatedblocks(), [sys.getrefcount(each) for each in held]
    use()
    gc.collect()
    assert [sys.getrefcount(each) for each in held] == counts
    # Other threads allocate, too; a leak would be of hundreds.
    assert sys.getallocatedblocks() - before < 250
