"""What the first connection of a process finds loaded: nothing is imported in the loop that plays audio."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, sys
import numpy as np
from fishjam_agents.backends import port as p
from fishjam_agents.backends.cascade import Message
from fishjam_agents_openai.chat import Chat
from fishjam_agents_openai.emulator import Emulator
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents_openai.speech import Speech
from fishjam_agents_openai.transcription import Transcription
from integrations.openai.tests.realtime_call import Call

async def realtime():
    async with RealtimeEmulator() as server:
        async with Call(server) as call:
            await call.turn()
            await call.until(p.ReplyAudioEnded)

async def parts():
    async with Emulator() as server:
        where = {"base_url": server.base_url, "model": "m"}
        async with Transcription(**where).connect() as part:
            [_ async for _ in part.transcribe(np.zeros(16000, np.int16))]
        async with Chat(**where).connect() as part:
            [_ async for _ in part.reply([Message("user", "Hello.")], [])]
        async with Speech(**where, voice="v").connect() as part:
            [_ async for _ in part.speak("Hello.")]

def built():
    import pydantic
    models, found = [pydantic.BaseModel], set()
    while models:
        model = models.pop()
        models += model.__subclasses__()
        found |= {f"{model.__module__}.{model.__qualname__}"} if model.__pydantic_complete__ else set()
    return found

async def main(call, loads):
    # The thread itself is asyncio's.
    await asyncio.to_thread(len, "")
    await loads.load()
    before = set(sys.modules), built()
    async with asyncio.timeout(20):
        await call()
    assert set(sys.modules) == before[0], sorted(set(sys.modules) - before[0])
    assert built() == before[1], sorted(built() - before[1])
"""


@pytest.mark.parametrize("call", ["realtime, Realtime()", "parts, Chat(model='m')"])
def test_a_first_connection_imports_and_builds_nothing_in_the_loop(call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{SCRIPT}\nasyncio.run(main({call}))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
