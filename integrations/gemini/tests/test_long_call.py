"""Two hours of a call in as many connections: nothing is lost, nothing doubled, nothing kept."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import Talk, heard, numbered, renewed, spoken, talking

Run = Callable[..., None]
pytestmark = pytest.mark.usefixtures("impatient")


def test_a_long_call_over_twelve_connections_loses_and_doubles_nothing(run: Run) -> None:
    """Every ten minutes of a two-hour call in as many turns; the end is announced, or comes unannounced."""
    sizes: list[int] = []

    async def part(talk: Talk, emulator: GeminiEmulator, number: int) -> list[np.ndarray]:
        turns = [numbered(10 * number + turn) for turn in range(3)]
        for turn in turns:
            count = len(talk.of(p.Usage))
            talk.say(turn)
            await talk.until(p.Usage, count + 1)
        connection = emulator.connections[-1]
        connections = len(emulator.connections)
        await connection.go_away(10 if number % 3 else 0.2)
        if number % 3 == 0:
            # The end comes in the middle of a turn.
            talk.begin_turn()
            talk.audio(numbered(10 * number + 5)[:800])
            await renewed(emulator, connections)
            talk.audio(numbered(10 * number + 5)[800:])
            talk.end_turn()
            turns.append(numbered(10 * number + 5))
            await talk.until(p.Usage, len(talk.of(p.Usage)) + 1)
        else:
            # Words of the very moment of the change.
            turns.append(numbered(10 * number + 5))
            talk.say(turns[-1])
            await renewed(emulator, connections)
            await talk.until(p.ReplyEnded, 4 * number + 4)
        return turns

    async def test(emulator: GeminiEmulator) -> None:
        said: list[np.ndarray] = []
        async with talking() as talk:
            for number in range(12):
                said += await part(talk, emulator, number)
                if number == 3:
                    # Libraries are loaded and caches full.
                    tracemalloc.start()
                for connection in emulator.connections[number:]:
                    connection.forget()
                talk.events[:] = [
                    event for event in talk.events if isinstance(event, (p.ReplyEnded, p.Usage))
                ]
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        assert len(emulator.connections) == 13
        assert heard(emulator.connections[-1].session) == spoken(said)
        assert not talk.of(p.Failure)
        replies = [event.reply for event in talk.of(p.ReplyEnded)]
        assert replies == [f"gemini-{n}" for n in range(1, 49)]

    try:
        run(test)
    finally:
        tracemalloc.stop()
    # The emulator keeps what it heard, 13 kB a part; the rest is what a connection leaves behind.
    growth = (sizes[-1] - sizes[5]) / 6
    assert growth < 60_000, sizes
