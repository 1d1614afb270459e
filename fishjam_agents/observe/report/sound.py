"""The recording inside the page: as a picture of its loudness, and as sound that any browser plays."""

from __future__ import annotations

import base64
import itertools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import FULL_SCALE, Samples
from fishjam_agents.observe.report.call import Span
from fishjam_agents.observe.report.markup import Markup, joined, tag

EMBEDDED_LIMIT = 4 << 20
"""Bytes of sound a page may hold, 131 s at 16 kHz; it becomes a third longer as base64."""
_BINS = 30_000
"""Points of a waveform: one 20 ms frame each in the longest simulated call."""
_FINEST_BIN = 0.005
_HALF_HEIGHT = 100
_LOWEST_PEAK = 328
"""-40 dBFS: waveforms are drawn as high as their peak allows, but noise is not made to look like speech."""
_MULAW = 0x0007


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound for the player: a data URI and what it is; both empty when it would be too large."""

    uri: str = ""
    description: str = ""


def embedded(room: Samples, sample_rate: int, limit: int = EMBEDDED_LIMIT) -> Sound:
    """The recording as a data URI: 8-bit u-law, at half the rate if only that is within the limit.

    Args:
        room: int16, shape (n, 2).
        sample_rate: Hz.
        limit: Bytes of sound.
    """
    for rate in (sample_rate, sample_rate // 2):
        if len(room) * rate // sample_rate * 2 > limit:
            continue
        if rate != sample_rate:
            room = np.stack([resample(room[:, side], sample_rate, rate) for side in (0, 1)], axis=1)
        content = base64.b64encode(_mulaw_wav(room, rate)).decode("ascii")
        return Sound(f"data:audio/wav;base64,{content}", f"{rate / 1000:g} kHz, 8-bit μ-law")
    return Sound()


def _mulaw_wav(samples: Samples, sample_rate: int) -> bytes:
    body = _mulaw(samples).tobytes()
    # Other encodings than PCM carry the size of their extension and a count of samples (mmreg.h).
    fmt = struct.pack("<HHIIHHH", _MULAW, 2, sample_rate, sample_rate * 2, 2, 8, 0)
    chunks = struct.pack("<4sI18s4sII4sI", b"fmt ", 18, fmt, b"fact", 4, len(samples), b"data", len(body))
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + len(body), b"WAVE") + chunks + body


def _mulaw(samples: Samples) -> npt.NDArray[np.uint8]:
    """16-bit samples in ITU-T G.711 u-law, by a table of all 65536."""
    every = np.arange(-32768, 32768)
    biased = np.minimum(np.abs(every), 32635) + 132
    exponent = np.floor(np.log2(biased)).astype(np.int64) - 7
    mantissa = (biased >> (exponent + 3)) & 0x0F
    table = ~(((every < 0) << 7) | (exponent << 4) | mantissa) & 0xFF
    encoded: npt.NDArray[np.uint8] = table.astype(np.uint8)[samples.astype(np.int32) + 32768]
    return encoded


def peaks(samples: Samples, sample_rate: int) -> tuple[npt.NDArray[np.int32], float]:
    """The loudest sample of each short stretch.

    Args:
        samples: int16, shape (n,).
        sample_rate: Hz.

    Returns:
        int32, shape (m,), at most 30,000; and the seconds each stands for.
    """
    width = max(round(_FINEST_BIN * sample_rate), -(-len(samples) // _BINS), 1)
    loud = np.abs(samples.astype(np.int32))
    if not len(loud):
        return loud, width / sample_rate
    return np.maximum.reduceat(loud, np.arange(0, len(loud), width)), width / sample_rate


def waveform(samples: Samples, sample_rate: int, marked: Iterable[Span], *, title: str, name: str) -> Markup:
    """A waveform as SVG, as wide as its place, with the marked stretches of class `on`.

    Args:
        samples: int16, shape (n,).
        sample_rate: Hz.
        marked: Stretches of speech, in seconds.
        title: What it shows, for who cannot see it.
        name: Unique in the page.
    """
    heights, width = peaks(samples, sample_rate)
    top = max(int(heights.max(initial=0)), _LOWEST_PEAK)
    heights = np.maximum(heights * _HALF_HEIGHT // top, 1)
    on = np.zeros(len(heights), np.bool_)
    for span in marked:
        on[max(0, round(span.start / width)) : max(0, round(span.end / width))] = True
    edges = [0, *(np.flatnonzero(np.diff(on)) + 1).tolist(), len(heights)]
    paths = [
        tag("path", d=_outline(heights[first:last].tolist(), first), class_="on" if on[first] else None)
        for first, last in itertools.pairwise(edges)
        if first < last
    ]
    bins = max(len(samples) / sample_rate / width, 1.0)
    return tag(
        "svg",
        tag("title", title),
        tag("g", joined(paths), id=name),
        tag("use", href=f"#{name}", transform="scale(1,-1)"),
        viewBox=f"0 {-_HALF_HEIGHT} {bins:g} {2 * _HALF_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        class_="wave",
    )


def _outline(heights: Sequence[int], first: int) -> str:
    """One half of a stretch as a path, steps of equal height merged."""
    steps: list[str] = []
    run = 0
    height = heights[0]
    for value in heights:
        if value != height:
            steps.append(f"h{run}v{height - value}")
            run, height = 0, value
        run += 1
    return f"M{first} 0V{-heights[0]}{''.join(steps)}h{run}V0z"


def decibels(samples: Samples) -> float | None:
    """Peak in dBFS; None for digital silence."""
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return round(20 * float(np.log10(peak / FULL_SCALE)), 1) if peak else None
