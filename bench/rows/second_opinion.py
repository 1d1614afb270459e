"""Cost of a second opinion for a call: voice detection with and without one, asleep and awake."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench import sounds
from bench.table import Row, skipped, spread
from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import NetworkName
from fishjam_agents.errors import MissingExtraError
from fishjam_agents.turns.machine import TurnMachine

_WHAT = "20 ms of a call under second_opinion: silero"
_PER_SECOND = 50
_SECONDS = 16.0


def _frames(samples: Samples) -> list[Samples]:
    return [samples[at : at + sounds.FRAME] for at in range(0, len(samples), sounds.FRAME)]


def _costs(frames: Sequence[Samples], second: NetworkName | None, rounds: int) -> list[float]:
    """Microseconds of CPU a frame in each of some rounds, after one in which it learns the place."""
    detection = Detection(second_opinion=second)
    machine = TurnMachine(start=detection.start)
    at, costs = 0.0, []
    for _ in range(rounds + 1):
        begun = time.process_time()
        for frame in frames:
            at += 1 / _PER_SECOND
            decision = detection.feed(frame, machine.in_speech, machine.accumulating)
            machine.feed(decision, at)
        costs.append(1e6 * (time.process_time() - begun) / len(frames))
    return costs[1:]


async def measure(quick: bool) -> list[Row]:
    """Hear a quiet room, where it sleeps, and computed voices, of which it is unsure: they keep it awake."""
    rounds = 1 if quick else 8
    speech = np.concatenate([np.frombuffer(frame, np.int16) for frame in sounds.conversation()])
    room = sounds.noise(_SECONDS, -65, seed=1)
    rows = []
    for state, samples in (("asleep", room), ("awake", speech)):
        try:
            alone, both = (_costs(_frames(samples), second, rounds) for second in (None, "silero"))
        except MissingExtraError as error:
            return [skipped(_WHAT, "", str(error))]
        share = float(np.median(both)) * _PER_SECOND / 1e4
        measured = f"{spread(both, 1, 'us')}, {share:.2f} % of a core"
        rows.append(Row(f"{_WHAT}, {state}", "", measured, f"without: {spread(alone, 1, 'us')}"))
    return rows
