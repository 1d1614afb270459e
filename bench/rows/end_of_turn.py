"""Hearing the end of turns by meaning: what a pause costs, and a frame of a call that keeps its sound."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bench import sounds
from bench.table import Row, percentile, skipped, spread
from fishjam_agents.audio.log_mel import log_mel
from fishjam_agents.audio.smart_turn import load_model
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.hearing.turn_sound import SECONDS, TurnSound

_PAUSE = "a pause under end_of_turn: smart_turn, in the thread of all calls"
_FRAME = "keeping 20 ms for it"


def _ms(work: Callable[[], object], times: int) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU and of time for each call of `work`."""
    cpu, wall = [], []
    for _ in range(times):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        work()
        cpu.append(1e3 * (time.process_time() - begun_cpu))
        wall.append(1e3 * (time.perf_counter() - begun))
    return cpu, wall


async def measure(quick: bool) -> list[Row]:
    """Ask the model about 8 s of speech; append frames to the ring it is asked with."""
    frames = [np.frombuffer(frame, np.int16) for frame in sounds.conversation()]
    ring = TurnSound()
    for frame in frames:
        ring.append(frame)
    times = 5 if quick else 100
    keeping = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(times):
            for frame in frames:
                ring.append(frame)
        keeping.append(1e6 * (time.process_time() - begun) / (times * len(frames)))
    sound = ring.last(SECONDS)
    rows = [Row(_FRAME, "", spread(keeping, 2, "us"))]
    try:
        model = load_model()
    except FishjamAgentsError as error:
        return [skipped(_PAUSE, "", str(error)), *rows]
    cpu, wall = _ms(lambda: model(sound), times)
    features, _ = _ms(lambda: log_mel(sound), times)
    measured = (
        f"median {percentile(cpu, 50):.0f} ms of CPU, {percentile(features, 50):.1f} of it features; "
        f"answer after median {percentile(wall, 50):.0f}, p95 {percentile(wall, 95):.0f} ms"
    )
    return [Row(_PAUSE, "", measured), *rows]
