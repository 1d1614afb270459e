"""Voice detection of many microphones: compiled, and in Python together as rows of an array or one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench import sounds
from bench.table import Row, spread
from fishjam_agents.audio.compiled import native
from fishjam_agents.audio.detectors import VoiceDetector
from fishjam_agents.audio.echo import EchoGuard, make_guard
from fishjam_agents.audio.echo_levels import Floats
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Detector, default_detector
from fishjam_agents.audio.vad_batch import DetectorBatch, Question

if TYPE_CHECKING:
    from fishjam_agents.audio._native import EchoGuard as CompiledGuard

_Feed = Callable[[Sequence[Question]], object]

_TOGETHER = (1, 4, 16, 64)
_ECHO = 8
"""Frames by which the bot's voice comes back where there is an echo."""


def _windows(frames: Sequence[Samples]) -> list[Floats | None]:
    """Levels of a bot that says these frames, at the end of each."""
    bot = EchoReference(sounds.RATE)
    windows = []
    for at, frame in enumerate(frames):
        end = (at + 1) * FRAME_SECONDS
        bot.sent(frame, end)
        window = bot.window(end)
        windows.append(None if window is None else window.copy())
    return windows


def _turns(
    count: int,
    turns: int,
    frames: Sequence[Samples],
    windows: Sequence[Floats | None],
    make: Callable[[], EchoGuard | CompiledGuard] = EchoGuard,
) -> list[list[Question]]:
    """Frames that `count` microphones, each at another place of the conversation, hear in so many turns."""
    guards = [make() for _ in range(count)]
    made = []
    for turn in range(turns):
        asked = []
        for number, guard in enumerate(guards):
            at = (turn + 7 * number) % len(frames)
            window = windows[(at + _ECHO) % len(frames)]
            playing = None if window is None else guard.frame(window)
            asked.append(Question(frames[at], in_speech=False, playing=playing))
        made.append(asked)
    return made


def _together(count: int) -> _Feed:
    batch, detectors = DetectorBatch(), [Detector() for _ in range(count)]
    return lambda asked: batch.feed(detectors, asked)


def _one_by_one(make: Callable[[], VoiceDetector], count: int) -> _Feed:
    detectors = [make() for _ in range(count)]

    def feed(asked: Sequence[Question]) -> None:
        for detector, question in zip(detectors, asked, strict=True):
            detector.feed(*question[:4])

    return feed


def _us(feed: _Feed, turns: Sequence[Sequence[Question]]) -> float:
    """Microseconds of CPU for each frame, once echoes have been found."""
    half = len(turns) // 2
    for asked in turns[:half]:
        feed(asked)
    begun = time.process_time()
    for asked in turns[half:]:
        feed(asked)
    return 1e6 * (time.process_time() - begun) / (len(turns) - half) / len(turns[0])


async def measure(quick: bool) -> list[Row]:
    """Microphones at which all speak, without and with the bot's voice in them."""
    frames = [np.frombuffer(frame, np.int16) for frame in sounds.conversation()]
    repetitions = 1 if quick else 3
    rows = []
    for echo in (False, True):
        windows = _windows(frames) if echo else [None] * len(frames)
        for count in _TOGETHER:
            turns = 6 if quick else max(800 // count, 100)
            together, alone, compiled = [], [], []
            for _ in range(repetitions):
                together.append(_us(_together(count), _turns(count, turns, frames, windows)))
                alone.append(_us(_one_by_one(Detector, count), _turns(count, turns, frames, windows)))
                heard = _turns(count, turns, frames, windows, make_guard)
                compiled.append(_us(_one_by_one(default_detector, count), heard))
            rows.append(
                Row(
                    f"voice detection, {count} in turn{', the bot speaks' * echo}",
                    "",
                    f"{spread(compiled, 1, 'us')} a frame" if native is not None else "not compiled",
                    f"in Python {spread(together, 1, 'us')}, one after the other {spread(alone, 1, 'us')}",
                )
            )
    return rows
