"""What the first session of a process finds loaded: nothing is imported in the loop that plays audio."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import asyncio, os, sys
import numpy as np
import fishjam_agents_gemini.loading
from fishjam_agents.backends import port as p
from fishjam_agents.events import Turn
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator
from fishjam_agents_gemini.emulator.assistant import Assistant

WEATHER = p.ToolDeclaration("weather", "The weather.", {"type": "object", "properties": {}})

async def call():
    ended = asyncio.Event()
    async with GeminiEmulator(Assistant()) as server:
        os.environ.update(server.environment)
        # The thread itself is asyncio's.
        await asyncio.to_thread(len, "")
        before = set(sys.modules), built()

        results = []

        def emit(event):
            if isinstance(event, p.ToolCall):
                results.append(p.ToolResultInput(event.call, event.name, "rain"))
            if isinstance(event, p.ReplyAudioEnded):
                ended.set()

        conversation = p.BackendContext("c", emit, "Be brief.", (WEATHER,))
        async with Gemini().connect(conversation) as session:
            reader = asyncio.ensure_future(session.read())
            await session.send(p.TurnStartedInput("ann", 0.0))
            await session.send(p.AudioInput("ann", np.full(16000, 4000, np.int16), 1.0))
            await session.send(p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0)))
            while not results:
                await asyncio.sleep(0.005)
            await session.send(results[0])
            await ended.wait()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
    # Where its certificates are, is asked in the thread.
    more = {name for name in set(sys.modules) - before[0] if not name.startswith("importlib.")}
    assert not more, sorted(more)
    assert built() == before[1], sorted(built() - before[1])

def built():
    import pydantic
    models, found = [pydantic.BaseModel], set()
    while models:
        model = models.pop()
        models += model.__subclasses__()
        found |= {f"{model.__module__}.{model.__qualname__}"} if model.__pydantic_complete__ else set()
    return found

asyncio.run(asyncio.wait_for(call(), 20))
"""


def test_a_first_session_imports_and_builds_nothing_in_the_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
