"""The recording in the page: u-law that decodes to what was recorded, peaks that hide no sound."""

from __future__ import annotations

import base64
import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.observe.report.call import Span
from fishjam_agents.observe.report.sound import decibels, embedded, peaks, waveform

RATE = 16000


def decoded(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """ITU-T G.711 u-law, as its decoder is defined."""
    bits = ~codes.astype(np.int64) & 0xFF
    magnitude = ((((bits & 0x0F) << 3) + 132) << ((bits >> 4) & 7)) - 132
    return np.where(bits & 0x80, -magnitude, magnitude)


def sound_of(uri: str) -> tuple[int, npt.NDArray[np.uint8]]:
    content = base64.b64decode(uri.removeprefix("data:audio/wav;base64,"))
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WAVE"
    assert struct.unpack_from("<I", content, 4)[0] == len(content) - 8
    encoding, channels, rate = struct.unpack_from("<HHI", content, 20)
    assert (encoding, channels) == (7, 2)
    assert content[50:54] == b"data"
    assert struct.unpack_from("<I", content, 54)[0] == len(content) - 58
    return rate, np.frombuffer(content, np.uint8, offset=58).reshape(-1, 2)


def test_every_sample_is_embedded_within_the_steps_of_ulaw() -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    room = np.stack([every, every[::-1]], axis=1)
    rate, codes = sound_of(embedded(room, RATE).uri)
    assert rate == RATE
    error = np.abs(decoded(codes) - room)
    assert (error <= np.maximum(np.abs(room.astype(np.int64)) / 16, 8)).all()
    assert (decoded(codes)[room == 0] == 0).all()


def test_longer_calls_are_embedded_at_half_the_rate_and_the_longest_not_at_all() -> None:
    room: Any = np.zeros((RATE, 2), np.int16)
    assert embedded(room, RATE, limit=2 * RATE).description == "16 kHz, 8-bit μ-law"
    half = embedded(room, RATE, limit=2 * RATE - 1)
    assert sound_of(half.uri)[0] == 8000
    assert half.description == "8 kHz, 8-bit μ-law"
    assert embedded(room, RATE, limit=RATE - 1).uri == ""


@given(st.integers(0, 200_000), st.integers(0, 2**32 - 1))
def test_no_peak_is_lost(length: int, seed: int) -> None:
    samples: Any = np.random.default_rng(seed).integers(-900, 900, length, np.int16)
    if length:
        samples[seed % length] = -32768
    found, width = peaks(samples, RATE)
    assert len(found) == -(-length // round(width * RATE))
    assert not length or found[(seed % length) // round(width * RATE)] == 32768


def test_ten_minutes_have_as_many_points_as_frames() -> None:
    found, width = peaks(np.zeros(600 * RATE, np.int16), RATE)
    assert (len(found), width) == (30_000, 0.02)


def heights(path: str) -> list[int]:
    """The steps of one path, one height for each bin."""
    first, steps, shown = re.match(r"M\d+ 0V(-?\d+)(.*)V0z$", path), [], 0
    assert first is not None
    shown = -int(first[1])
    for run, change in re.findall(r"h(\d+)(?:v(-?\d+))?", first[2]):
        steps += [shown] * int(run)
        shown -= int(change or 0)
    return steps


def test_the_drawn_steps_are_the_peaks_and_speech_is_marked() -> None:
    samples: Any = np.zeros(RATE, np.int16)
    samples[4000:8000] = 16384
    drawn = waveform(samples, RATE, [Span(0.25, 0.5)], title="a & b", name="w")
    paths = re.findall(r'<path d="([^"]*)"( class="on")?>', drawn)
    assert [bool(on) for _, on in paths] == [False, True, False]
    assert [h for path, _ in paths for h in heights(path)] == [1] * 50 + [100] * 50 + [1] * 100
    assert "<title>a &amp; b</title>" in drawn


def test_an_empty_recording_can_be_drawn() -> None:
    assert "<path" not in waveform(np.zeros(0, np.int16), RATE, [], title="t", name="w")


@pytest.mark.parametrize(("sample", "expected"), [(0, None), (16384, -6.0), (-32768, 0.0)])
def test_the_peak_is_told_in_dbfs(sample: int, expected: float | None) -> None:
    assert decibels(np.array([0, sample], np.int16)) == expected
