"""The issue's own criterion: whole simulated calls, judged by the recording of what the caller heard."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np

from bench import sounds
from bench.machine import ROOT
from bench.table import Row, skipped
from fishjam_agents.audio.mixing import mix
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip, load_speech
from fishjam_agents.backends import Parrot
from fishjam_agents.pipeline import AgentPipeline

_INTERRUPTED = "reply gone from heard.wav after the onset of the second utterance"
_COUGHED = "200 ms cough over the reply: silenced, resumed, nothing skipped"
_MEDIAN_MS, _WORST_MS = 200.0, 300.0
_RUNS = 5
_NOISE = -62.0
"""dBFS; makes the echoed reply differ from a gap, which is digital silence."""
_FADE = 0.01
"""The last 10 ms before a pause are faded out and do not count as heard."""
_REPEATED_MS = -430.0
"""The rewind of at most 400 ms, a chunk, and 10 ms for the resampler's edges."""
_SEGMENT = round(0.6 * sounds.RATE)


def _caller(name: str, run: int) -> tuple[Samples, float]:
    """Return a caller's audio and the start of its last part; each run has another phase of the 20 ms."""
    shift = run * sounds.FRAME // _RUNS
    speech = np.concatenate(
        (np.zeros(shift, np.int16), load_speech(ROOT / f"audio_fixtures/{name}.wav", sounds.RATE))
    )
    onset = sounds.fixture(name)[-1]["start"] + shift / sounds.RATE
    return mix([speech, sounds.noise(len(speech) / sounds.RATE, _NOISE, seed=run)]), onset


async def _call(samples: Samples) -> tuple[Samples, float]:
    """Return the audio that the caller hears and the longest delay of the loop, in ms."""
    from fishjam_agents.simulation import simulate

    bot = AgentPipeline()
    bot.backend = Parrot()
    result = await simulate(bot, [Clip(samples, sounds.RATE)])
    if result.failure is not None:
        raise RuntimeError(f"the simulated call failed: {result.failure}")
    return result.heard, result.lag * 1000


async def _interrupted(run: int) -> tuple[float, float]:
    samples, onset = _caller("interrupter", run)
    heard, lag = await _call(samples)
    start = round(onset * sounds.RATE)
    audible = np.flatnonzero(heard[start : start + 2 * sounds.RATE])
    if not len(audible):
        raise RuntimeError("the bot did not speak when it was interrupted")
    return 1000 * (int(audible[-1]) + 1) / sounds.RATE, lag


async def _coughed(run: int) -> tuple[float, float, float]:
    """Silenced after (ms), skipped (ms; negative is repeated), and the lag (ms)."""
    samples, onset = _caller("cougher", run)
    heard, lag = await _call(samples)
    start = round(onset * sounds.RATE)
    cut, resumed = _longest_gap(heard[start : start + 2 * sounds.RATE])
    cut, resumed = cut + start, resumed + start
    if resumed - cut < 0.1 * sounds.RATE:
        raise RuntimeError("the cough did not silence the reply")
    cut -= round(_FADE * sounds.RATE)
    before = cut - _delay(samples, heard, cut - _SEGMENT)
    after = resumed - _delay(samples, heard, resumed + round(_FADE * sounds.RATE))
    return 1000 * (cut - start) / sounds.RATE, 1000 * (after - before) / sounds.RATE, lag


def _longest_gap(heard: Samples) -> tuple[int, int]:
    """First sample of the longest run of digital silence, and the first after it."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], heard == 0, [0])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _delay(said: Samples, heard: Samples, start: int) -> int:
    """By how many samples the echo at `start` of what was heard lags behind what was said."""
    segment = heard[start : start + _SEGMENT].astype(np.float64)
    size = 1 << (len(said) + _SEGMENT).bit_length()
    spectrum = np.fft.rfft(said.astype(np.float64), size) * np.conj(np.fft.rfft(segment, size))
    return start - int(np.argmax(np.fft.irfft(spectrum, size)[: len(said)]))


async def measure(quick: bool) -> list[Row]:
    """Five callers who interrupt and five who cough, all at once, each in a room of their own."""
    budget = f"median {_MEDIAN_MS:.0f}, none over {_WORST_MS:.0f} ms"
    if quick:
        return [skipped(_INTERRUPTED, budget, "not in --quick"), skipped(_COUGHED, "0 ms", "not in --quick")]
    runs = range(_RUNS)
    interrupted, coughed = await asyncio.gather(
        asyncio.gather(*(_interrupted(run) for run in runs)), asyncio.gather(*(_coughed(run) for run in runs))
    )
    gone = [ms for ms, _ in interrupted]
    silenced, skips = ([each[column] for each in coughed] for column in (0, 1))
    lag = max(lag for *_, lag in (*interrupted, *coughed))
    median = statistics.median(gone)
    return [
        Row(
            _INTERRUPTED,
            budget,
            f"median {median:.0f}, worst {max(gone):.0f} ms ({_RUNS} calls; loop at most {lag:.0f} ms late)",
            within=median <= _MEDIAN_MS and max(gone) <= _WORST_MS,
        ),
        Row(
            _COUGHED,
            "0 ms skipped",
            f"silenced after {statistics.median(silenced):.0f} ms, skipped {max(0.0, *skips):.0f} ms, "
            f"repeated {-max(skips):.0f}-{-min(skips):.0f} ms ({_RUNS} calls)",
            within=all(_REPEATED_MS <= skip <= 1.0 for skip in skips),
        ),
    ]
