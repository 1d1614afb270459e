"""The echo guards of many microphones at once: rows of one array, as in `vad_batch`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents.audio.echo import LEAST_REFERENCE, UNREADY, Echo, EchoGuard, GuardedFrame
from fishjam_agents.audio.echo_levels import Floats, coefficients, take_levels
from fishjam_agents.audio.echo_reference import LAGS, VOICE

FEWEST = 3
"""Frames below which one after the other costs less."""

_AROUND = np.array([-1, 0, 1])


def expect_together(
    frames: Sequence[GuardedFrame], bands: Sequence[Sequence[float]], levels: Sequence[float]
) -> list[Echo | None]:
    """Say what echo may be in the next frame of each microphone, as `EchoGuard.expect` does of one.

    Args:
        frames: No guard twice.
        bands: Powers of each frame, shares of full scale.
        levels: Voice band of each, dBFS.
    """
    if len(frames) < FEWEST:
        together = zip(frames, bands, levels, strict=True)
        return [frame.expect(powers, level) for frame, powers, level in together]
    windows = np.concatenate([frame.window for frame in frames]).reshape(len(frames), LAGS, -1)
    due = [index for index, frame in enumerate(frames) if frame.guard.begin()]
    if due:
        voices = windows[:, ::-1, VOICE] if len(due) == len(frames) else windows[due, ::-1, VOICE]
        _compare(
            [frames[at].guard for at in due], voices, [bands[at] for at in due], [levels[at] for at in due]
        )
    places = np.array([LAGS - 1 - (frame.guard.delay or 0) for frame in frames])
    around = np.maximum(np.minimum(places[:, None] + _AROUND, LAGS - 1), 0)
    near: list[list[float]] = windows[np.arange(len(frames))[:, None], around].max(axis=1).tolist()
    return [
        frame.guard.predict(powers, level, frame.window, loudest)
        for frame, powers, level, loudest in zip(frames, bands, levels, near, strict=True)
    ]


def _compare(
    guards: Sequence[EchoGuard],
    voices: Floats,
    bands: Sequence[Sequence[float]],
    levels: Sequence[float],
) -> None:
    """Compare the levels of frames with what played: `voices` has a row for each, the newest first."""
    loudest: list[float] = voices.max(axis=1).tolist()
    softest: list[float] = voices[:, UNREADY:].min(axis=1).tolist()
    lively: list[int] = []
    told: list[tuple[float, float, float]] = []
    for index, (guard, *heard) in enumerate(zip(guards, levels, loudest, softest, strict=True)):
        tells = guard.compare(*heard)
        if tells is not None:
            lively.append(index)
            told.append(tells)
    if not lively:
        return
    chosen = [guards[index] for index in lively]
    moments = (
        np.concatenate([guard.moments for guard in chosen]).reshape(len(chosen), -1, LAGS).swapaxes(0, 1)
    )
    microphone, least, rate = np.array(told).T[:, :, None]
    voices = np.maximum(voices if len(lively) == len(voices) else voices[lively], LEAST_REFERENCE)
    take_levels(moments, microphone, voices, least, rate)
    for row, guard in enumerate(chosen):
        guard.moments[:] = moments[:, row]
    searching = [row for row, guard in enumerate(chosen) if guard.searches]
    if searching:
        for row, found in zip(searching, coefficients(moments[:, searching]), strict=True):
            chosen[row].search(found, bands[lively[row]])
