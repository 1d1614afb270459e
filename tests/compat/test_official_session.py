"""A session of the official SDK plugs into our pipeline unchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.events import Event
from fishjam_agents.server import EmbeddedServer

fishjam = pytest.importorskip("fishjam", reason="needs the official fishjam-server-sdk: make test-compat")
pytestmark = pytest.mark.compat

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Bot(AgentPipeline):
    backend = Parrot()


def test_an_official_agent_session_runs_the_pipeline() -> None:
    async def scenario() -> tuple[list[Event], np.ndarray]:
        bot = Bot()
        events: list[Event] = []
        answered = asyncio.Event()

        def observe(event: Event) -> None:
            events.append(event)
            if event.kind == "reply_interrupted":
                answered.set()

        bot.observers.append(observe)
        async with EmbeddedServer() as server:
            client = fishjam.FishjamClient(server.url, server.token)
            # It leaves its connections to the garbage collector.
            hang_up = client.client.get_httpx_client().close
            room = await asyncio.to_thread(client.create_room)
            agent = await asyncio.to_thread(client.create_agent, room.id)
            async with agent.connect() as session:
                running = asyncio.create_task(bot.run(session))
                caller = await server.add_caller(room.id)
                recorder = server.record(room.id, views=[caller.id])
                caller.say(read_wav(FIXTURES / "interrupter.wav"))
                async with asyncio.timeout(30):
                    await answered.wait()
                    await asyncio.sleep(0.5)
                bot.stop()
                await running
            recording = recorder.stop(server.clock.position)
            await asyncio.to_thread(client.delete_room, room.id)
            hang_up()
            return events, recording.heard(caller.id)

    events, heard = asyncio.run(scenario())
    kinds = [event.kind for event in events]
    told = [
        "user_turn_ended",
        "reply_first_audio",
        "barge_in_suspected",
        "barge_in_confirmed",
        "reply_interrupted",
    ]
    # What the caller says last may be taken for a turn of its own when the call ends.
    assert [kind for kind in kinds if kind in told][: len(told)] == told
    # The reply was there, and it is gone.
    loud = np.flatnonzero(np.abs(heard) > 500)
    assert len(loud) > 16000
    assert loud[-1] < len(heard) - 4000
