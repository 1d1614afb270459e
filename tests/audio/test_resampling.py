import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.resampling import (
    LiveResampler,
    Resampler,
    live_resampler,
    playout_resampler,
    resample,
    vad_resampler,
)

RATES = (8000, 16000, 24000, 44100, 48000)
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]
rates = st.sampled_from(PAIRS)
chunk_sizes = st.lists(st.integers(0, 1500), max_size=12)


def tone(hz, rate, seconds=0.5, amplitude=8000):
    return np.rint(amplitude * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(
        np.int16
    )


def chunks(samples, size):
    return [samples[i : i + size] for i in range(0, len(samples), size)]


@given(pair=rates, length=st.integers(0, 3000))
def test_one_shot_length_follows_the_ratio(pair, length):
    result = resample(np.ones(length, np.int16), *pair)
    assert result.dtype == np.int16
    assert abs(len(result) - length * pair[1] / pair[0]) < 1


@given(pair=rates, sizes=chunk_sizes, quality=st.sampled_from(["QQ", "LQ", "HQ"]))
@settings(max_examples=50)
def test_streaming_and_flush_lose_no_sample(pair, sizes, quality):
    resampler = Resampler(*pair, quality)
    for _ in range(2):  # it is usable again after a flush
        out = sum(len(resampler.process(np.ones(size, np.int16))) for size in sizes)
        out += len(resampler.flush())
        assert abs(out - sum(sizes) * pair[1] / pair[0]) <= 1


@given(pair=rates, sizes=chunk_sizes)
def test_live_resampler_gives_what_is_due_after_every_chunk(pair, sizes):
    resampler = LiveResampler(*pair)
    fed = given_out = 0
    for size in sizes:
        fed += size
        given_out += len(resampler.process(np.ones(size, np.int16)))
        assert given_out == fed * pair[1] // pair[0]
    given_out += len(resampler.flush())
    assert abs(given_out - (fed / pair[0] + resampler.delay) * pair[1]) <= max(1, pair[1] / pair[0])


@given(pair=rates, sizes=chunk_sizes, seed=st.integers(0, 99))
def test_live_resampler_does_not_depend_on_how_the_stream_is_cut(pair, sizes, seed):
    samples = np.random.default_rng(seed).integers(-9000, 9000, sum(sizes)).astype(np.int16)
    pieces = np.split(samples, np.cumsum(sizes))
    cut = LiveResampler(*pair)
    whole = LiveResampler(*pair)
    joined = np.concatenate([cut.process(piece) for piece in pieces] or [samples])
    # Rounding may fall the other way when a matrix product is summed in another order.
    np.testing.assert_allclose(joined.astype(int), whole.process(samples).astype(int), atol=1)


@pytest.mark.parametrize("pair", PAIRS)
def test_every_20_ms_frame_gives_a_20_ms_frame_late_by_the_stated_delay(pair):
    from_rate, to_rate = pair
    resampler = LiveResampler(from_rate, to_rate)
    frames = [resampler.process(frame) for frame in chunks(tone(1000, from_rate), from_rate // 50)]
    assert {len(frame) for frame in frames} == {to_rate // 50}
    out = np.concatenate(frames)
    wanted = 8000 * np.sin(2 * np.pi * 1000 * (np.arange(len(out)) / to_rate - resampler.delay))
    settled = slice(to_rate // 50, None)
    np.testing.assert_allclose(out[settled], wanted[settled], atol=10)


def test_delay_is_three_quarters_of_a_millisecond_at_16_khz_and_above():
    assert LiveResampler(24000, 16000).delay == LiveResampler(16000, 48000).delay == 0.00075
    assert LiveResampler(8000, 16000).delay == 0.0015


@pytest.mark.parametrize(
    ("hz", "least", "most"),
    [(300, -0.1, 0.1), (6000, -0.2, 0.2), (7000, -3, -2), (8800, -200, -60), (9500, -200, -75)],
)
def test_response_from_24_to_16_khz(hz, least, most):
    samples = tone(hz, 24000, amplitude=16000)
    out = LiveResampler(24000, 16000).process(samples)[200:]
    assert least <= 20 * math.log10(max(out.astype(float).std(), 1e-9) / samples.std()) <= most


@pytest.mark.parametrize("make", [Resampler, LiveResampler, live_resampler, playout_resampler, resample])
def test_equal_rates_pass_the_samples_through(make):
    samples = tone(440, 16000)
    if make is resample:
        assert resample(samples, 16000, 16000) is samples
        return
    resampler = make(16000, 16000)
    assert resampler.process(samples) is samples
    assert len(resampler.flush()) == 0
    resampler.clear()


def test_silence_stays_silent():
    silence = np.zeros(4800, np.int16)
    assert not resample(silence, 24000, 16000).any()
    assert not LiveResampler(24000, 16000).process(silence).any()
    assert not Resampler(24000, 16000, "HQ").process(silence).any()


@pytest.mark.parametrize("make", [Resampler, LiveResampler])
def test_clear_forgets_and_the_same_input_gives_the_same_output(make):
    resampler = make(24000, 16000)
    first = resampler.process(tone(440, 24000))
    resampler.clear()
    np.testing.assert_array_equal(resampler.process(tone(440, 24000)), first)
    np.testing.assert_array_equal(make(24000, 16000).process(tone(440, 24000)), first)


def test_loud_input_saturates_instead_of_wrapping():
    plateaus = np.array([32767, -32768] * 20, np.int16)
    square = np.repeat(plateaus, 30)
    live = LiveResampler(24000, 16000)
    for out in (resample(square, 24000, 16000), np.concatenate([live.process(square), live.flush()])[12:]):
        np.testing.assert_array_equal(out[10::20] > 0, plateaus > 0)
        assert (out.min(), out.max()) == (-32768, 32767)


def test_the_detector_gets_a_filter_wherever_aliases_would_fall_onto_speech():
    noise = tone(17000, 48000, amplitude=10000)  # folds to 1 kHz at 16 kHz
    out = vad_resampler(48000).process(noise)
    assert out[50:].astype(float).std() < 20
    assert vad_resampler(16000).process(noise) is noise
    for rate in RATES:
        resampler = vad_resampler(rate)
        frames = [len(resampler.process(frame)) for frame in chunks(tone(440, rate), rate // 50)]
        assert set(frames[1:]) == {320}
        assert frames[0] >= 318


def test_awkward_ratios_fall_back_to_soxr():
    with pytest.raises(ValueError, match="use Resampler"):
        LiveResampler(16001, 16000)
    resampler = live_resampler(16001, 16000)
    total = len(resampler.process(np.ones(16001, np.int16))) + len(resampler.flush())
    assert abs(total - 16000) <= 1


@pytest.mark.parametrize(
    ("quality", "pair", "mean", "longest"),
    [
        ("QQ", (24000, 16000), 0.1, 0.1),
        ("LQ", (24000, 16000), 11, 20),
        ("LQ", (8000, 16000), 32, 61),
        ("MQ", (48000, 16000), 21, 38),
        ("HQ", (16000, 24000), 21, 37),
        ("HQ", (8000, 16000), 64, 115),
    ],
)
def test_soxr_holds_back_what_the_table_says(quality, pair, mean, longest):
    """In milliseconds of audio fed and not given out, after each 20 ms chunk."""
    from_rate, to_rate = pair
    resampler = Resampler(from_rate, to_rate, quality)
    chunk = np.random.default_rng(1).integers(-9000, 9000, from_rate // 50).astype(np.int16)
    given = np.cumsum([len(resampler.process(chunk)) for _ in range(250)])
    held = (1000 * (np.arange(1, 251) * 0.02 - given / to_rate))[5:]
    assert held.mean() == pytest.approx(mean, abs=0.5)
    assert held.max() == pytest.approx(longest, abs=0.6)
