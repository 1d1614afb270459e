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
WEATHER = p.ToolDeclaration("weather", "Tells the weather.", {"type": "object", "properties": {}})
OURS = [
    *(
        tracemalloc.Filter(True, f"*/{name}/*")
        for name in ("fishjam_agents_gemini", "fishjam_agents/backends", "genai")
    ),
    tracemalloc.Filter(False, "*/emulator/*"),
]


def held() -> int:
    """Bytes that our side holds, without those of the emulator, which remembers what it heard."""
    gc.collect()
    found = tracemalloc.take_snapshot().filter_traces(OURS).statistics("filename")
    return sum(each.size for each in found)


def test_a_long_call_over_twelve_connections_loses_and_doubles_nothing(run: Run) -> None:
    """Ten minutes each, in a few turns; the end comes between two, in the middle of one, or beside a tool."""
    sizes: dict[int, int] = {}
    said: list[np.ndarray] = []
    written: list[str] = []
    called: list[str] = []
    answered: list[str] = []

    async def turn(talk: Talk, number: int) -> None:
        said.append(numbered(number))
        count = len(talk.of(p.BackendUsage))
        talk.say(said[-1])
        await talk.until(p.BackendUsage, count + 1)

    async def ends_within_a_turn(talk: Talk, emulator: GeminiEmulator, number: int) -> None:
        connections, count = len(emulator.connections), len(talk.of(p.BackendUsage))
        await emulator.connections[-1].go_away(0.2)
        said.append(numbered(number))
        talk.begin_turn()
        talk.audio(said[-1][:800])
        await renewed(emulator, connections)
        talk.audio(said[-1][800:])
        talk.end_turn()
        await talk.until(p.BackendUsage, count + 1)

    async def ends_after_writing(talk: Talk, emulator: GeminiEmulator, number: int) -> None:
        connections, count = len(emulator.connections), len(talk.of(p.BackendUsage))
        await emulator.connections[-1].go_away(10)
        written.append(f"message {number}")
        talk.put(p.TextInput(written[-1]))
        await talk.until(p.BackendUsage, count + 1)
        await turn(talk, number)
        await renewed(emulator, connections)

    async def ends_beside_a_tool(talk: Talk, emulator: GeminiEmulator, number: int) -> None:
        connections, count = len(emulator.connections), len(talk.of(p.BackendUsage))
        called.append(await emulator.connections[-1].call_tool("weather"))
        await talk.until(p.ToolCall, len(called))
        await emulator.connections[-1].go_away(10)
        talk.put(p.ToolResultInput(called[-1], "grey", "weather"))
        await talk.until(p.BackendUsage, count + 1)
        await renewed(emulator, connections)

    async def test(emulator: GeminiEmulator) -> None:
        async with talking(tools=[WEATHER]) as talk:
            for number in range(12):
                for each in range(2):
                    await turn(talk, 10 * number + each)
                ends = (ends_within_a_turn, ends_after_writing, ends_beside_a_tool)[number % 3]
                await ends(talk, emulator, 10 * number + 5)
                if number == 4:
                    # Libraries are loaded and caches full.
                    tracemalloc.start()
                for connection in emulator.connections[number:]:
                    answers = [answer for response in connection.of("tool_response") for answer in response]
                    answered.extend(answer["id"] for answer in answers)
                    connection.forget()
                kept = (p.ReplyAudioEnded, p.BackendUsage, p.ToolCall)
                talk.events[:] = [event for event in talk.events if isinstance(event, kept)]
                if number in (5, 11):
                    sizes[number] = held()
        (last,) = emulator.connections[12:]
        assert heard(last.session) == spoken(said)
        assert [entry.text for entry in last.session.history if entry.text] == written
        assert answered == called
        assert not talk.of(p.BackendFailure)
        replies = [event.reply for event in talk.of(p.ReplyAudioEnded)]
        assert replies == [f"gemini-{n}" for n in range(1, len(said) + len(written) + len(called) + 1)]

    try:
        run(test)
    finally:
        tracemalloc.stop()
    # What the call has to remember: its words, the ids of calls, and the events that this test keeps.
    assert sizes[11] - sizes[5] < 6 * 6_000, sizes
