from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.events import Event
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryPeer, MemoryRoom, VirtualClock

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Conversation:
    """A bot in a memory room, and everything that happened."""

    def __init__(self, bot: AgentPipeline, room: MemoryRoom) -> None:
        self.bot = bot
        self.room = room
        self.events: list[Event] = []
        bot.observers.append(self.events.append)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]

    async def joins(self, *names: str) -> list[MemoryPeer]:
        """Peers come in and are quiet for half a second, as people are."""
        peers = [self.room.join(name) for name in names]
        await asyncio.sleep(0.5)
        return peers

    async def until(self, kind: str, count: int = 1) -> Any:
        for _ in range(100_000):
            if len(self.of(kind)) >= count:
                return self.of(kind)[count - 1]
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {kind}: {self.kinds}")


def speech(name: str, rate: int = 16000) -> np.ndarray:
    """A fixture's samples from its first sound to its last."""
    table = json.loads((FIXTURES / "fixtures.json").read_text())
    entry = table[name]
    samples = load_speech(FIXTURES / name, rate)
    start, end = entry["sounds"][0]["start"], entry["sounds"][-1]["end"]
    return samples[round(start * rate) : round(end * rate)]


def tone(seconds: float, level: int = 3000) -> np.ndarray:
    """A tone at the parrot's output rate: no speech, so its echo would mean nothing."""
    return (level * np.sin(np.arange(round(seconds * 24000)) * 0.2)).astype(np.int16)


Script = Callable[[Conversation], Awaitable[None]]


@pytest.fixture
def converse(virtual_clock: VirtualClock) -> Callable[..., Conversation]:
    """Run a bot in a memory room while the script plays, in virtual time."""

    def run(bot: AgentPipeline, script: Script, *, with_view: bool = True, **room: Any) -> Conversation:
        async def main() -> Conversation:
            async with MemoryRoom(**room) as memory:
                conversation = Conversation(bot, memory)
                task = asyncio.create_task(bot.run(memory.session, room=memory if with_view else None))
                player = asyncio.create_task(script(conversation))  # type: ignore[arg-type]
                await asyncio.wait({task, player}, return_when=asyncio.FIRST_COMPLETED)
                if not player.done():
                    player.cancel()
                    await asyncio.gather(player, return_exceptions=True)
                else:
                    bot.stop()
                await task
                if not player.cancelled():
                    player.result()
                assert len(asyncio.all_tasks()) == 1, "a task was left behind"
                return conversation

        return virtual_clock.run(main())

    return run
