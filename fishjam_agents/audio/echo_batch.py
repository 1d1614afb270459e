"""The echo guards of many microphones at once: rows of one array, as in `vad_batch`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents.audio.echo import LEAST_REFERENCE, Echo, GuardedFrame
from fishjam_agents.audio.echo_levels import coefficients, take_levels
from fishjam_agents.audio.echo_reference import VOICE

FEWEST = 3
"""Frames below which one after the other costs less."""


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
    due = [index for index, frame in enumerate(frames) if frame.guard.begin()]
    if due:
        _compare([frames[at] for at in due], [bands[at] for at in due], [levels[at] for at in due])
    return [
        frame.guard.predict(powers, level, frame.window)
        for frame, powers, level in zip(frames, bands, levels, strict=True)
    ]


def _compare(
    frames: Sequence[GuardedFrame], bands: Sequence[Sequence[float]], levels: Sequence[float]
) -> None:
    voices = np.array([frame.window[::-1, VOICE] for frame in frames])
    lively: list[int] = []
    told: list[tuple[float, float, float]] = []
    for index, (frame, level, voice) in enumerate(zip(frames, levels, voices.tolist(), strict=True)):
        tells = frame.guard.compare(level, voice)
        if tells is not None:
            lively.append(index)
            told.append(tells)
    if not lively:
        return
    moments = np.array([frames[index].guard.moments for index in lively]).swapaxes(0, 1)
    microphone, least, rate = np.array(told).T[:, :, None]
    np.maximum(voices, LEAST_REFERENCE, out=voices)
    take_levels(moments, microphone, voices if len(lively) == len(voices) else voices[lively], least, rate)
    for row, index in enumerate(lively):
        frames[index].guard.moments[:] = moments[:, row]
    searching = [row for row, index in enumerate(lively) if frames[index].guard.searches]
    if searching:
        for row, found in zip(searching, coefficients(moments[:, searching]), strict=True):
            frames[lively[row]].guard.search(found, bands[lively[row]])
