from __future__ import annotations

import asyncio

import numpy as np
from fishjam_agents_template import Beep

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import registry
from fishjam_agents.events import Event
from fishjam_agents.testing import MemoryRoom, VirtualClock, speech
from fishjam_agents.testing.conformance import BackendConformance, FakeService, InProcess


def test_it_is_found_by_its_type() -> None:
    assert registry.load("template") is Beep


class TestBeep(BackendConformance):
    """What every backend has to keep to; see docs/backends.md."""

    def fake_service(self) -> FakeService:
        return InProcess(Beep())


def test_it_answers_with_a_beep(virtual_clock: VirtualClock) -> None:
    class Bot(AgentPipeline):
        backend = Beep(pitch=660.0)

    async def call() -> tuple[list[Event], np.ndarray]:
        bot = Bot()
        events: list[Event] = []
        bot.observers.append(events.append)
        async with MemoryRoom() as room:
            running = asyncio.create_task(bot.run(room.session, room=room))
            await room.join("alice").speak(speech(2.0))
            await asyncio.sleep(3)
            bot.stop()
            await running
            return events, room.played()

    events, played = virtual_clock.run(call())
    replies = [e.kind for e in events if e.kind.startswith("reply")]
    assert replies == ["reply_started", "reply_first_audio", "reply_generated", "reply_ended"]
    sound = played[np.flatnonzero(played)[0] :][:12000]
    assert abs(np.argmax(np.abs(np.fft.rfft(sound))) * 2 - 660) < 5
