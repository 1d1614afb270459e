"""Each part, asked once against an emulator, through the real `openai` client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import Emulator

from fishjam_agents.backends.cascade import Message

HELLO = [Message("system", "Be brief."), Message("user", "Hello?")]
TURN = np.arange(16000, dtype=np.int16)


def run(scenario: Callable[[Emulator], Awaitable[None]], **emulator: Any) -> Emulator:
    async def main() -> Emulator:
        given = {name: deque(value) if isinstance(value, list) else value for name, value in emulator.items()}
        async with Emulator(**given) as server:
            await scenario(server)
            return server

    return asyncio.run(asyncio.wait_for(main(), 20))


async def ask(server: Emulator, messages: Any = HELLO, tools: Any = (), **settings: Any) -> list[Any]:
    async with Chat(base_url=server.base_url, **{"model": "m"} | settings).connect() as chat:
        return [piece async for piece in chat.reply(messages, tools)]


async def understand(server: Emulator, **settings: Any) -> list[Any]:
    async with Transcription(base_url=server.base_url, **{"model": "m"} | settings).connect() as stt:
        return [piece async for piece in stt.transcribe(TURN)]


async def speak(server: Emulator, text: str = "Hi.", **settings: Any) -> bytes:
    async with Speech(base_url=server.base_url, **{"model": "m", "voice": "v"} | settings).connect() as tts:
        return b"".join([piece async for piece in tts.speak(text)])
