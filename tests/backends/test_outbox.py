from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends.outbox import Outbox
from fishjam_agents.backends.port import AudioInput, BackendInput, TextInput


def audio(number: int, seconds: float = 0.5) -> AudioInput:
    return AudioInput("alice", np.array([number], np.int16), seconds)


async def drain(outbox: Outbox) -> list[BackendInput]:
    entries = []
    while len(outbox):
        entry = await outbox.peek()
        outbox.sent(entry)
        entries.append(entry)
    return entries


def test_audio_drops_its_own_oldest_and_nothing_else() -> None:
    outbox = Outbox(max_audio=1.0)
    entries: list[BackendInput] = [audio(1), TextInput("a"), audio(2), TextInput("b"), audio(3), audio(4)]
    for entry in entries:
        outbox.put(entry)
    assert outbox.dropped == 1.0
    assert asyncio.run(drain(outbox)) == [entries[1], entries[3], entries[4], entries[5]]


@given(st.lists(st.one_of(st.integers(0, 999), st.text(max_size=3)), max_size=60))
def test_control_is_never_lost_and_nothing_overtakes(items: list[int | str]) -> None:
    outbox = Outbox(max_audio=2.0)
    put = [TextInput(item) if isinstance(item, str) else audio(item) for item in items]
    for entry in put:
        outbox.put(entry)
    got = asyncio.run(drain(outbox))
    positions = [next(i for i, entry in enumerate(put) if entry is g) for g in got]
    assert positions == sorted(positions)
    assert [e for e in got if isinstance(e, TextInput)] == [e for e in put if isinstance(e, TextInput)]
    kept = sum(e.seconds for e in got if isinstance(e, AudioInput))
    assert kept <= 2.0
    assert kept + outbox.dropped == sum(e.seconds for e in put if isinstance(e, AudioInput))


def test_an_entry_that_could_not_be_sent_is_still_there() -> None:
    async def scenario() -> None:
        outbox = Outbox()
        outbox.put(TextInput("a"))
        assert await outbox.peek() is await outbox.peek()

    asyncio.run(scenario())


def test_a_waiting_sender_is_woken() -> None:
    async def scenario() -> BackendInput:
        outbox = Outbox()
        waiting = asyncio.create_task(outbox.peek())
        await asyncio.sleep(0)
        outbox.put(TextInput("a"))
        return await waiting

    assert asyncio.run(scenario()) == TextInput("a")
