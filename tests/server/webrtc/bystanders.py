"""Two peers whom nothing may disturb that a third one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..conftest import Client
from ..sockets import until
from .agent import Agent, attend
from .browser import Tone, join, level


@asynccontextmanager
async def bystanders(client: Client, hiccups: int = 25) -> AsyncIterator[tuple[Agent, str]]:
    """A browser and an agent in another room, whose sound must not stop meanwhile.

    Args:
        client: The backend.
        hiccups: Windows that may be silent: the clients of a crowd make this process late, too.
    """
    room_id = await client.room()
    async with attend(client, room_id) as agent, join(client, room_id) as browser:
        track_id = await browser.publish(Tone(880))
        await agent.hear(0.1, track_id)
        loop = asyncio.get_running_loop()
        began, before = loop.time(), len(agent.frames[track_id])
        yield agent, track_id
        # Late, if the loop was busy, but all of it.
        expected = before + (loop.time() - began) * 50 - 10
        await until(lambda: len(agent.frames[track_id]) >= expected)
        await agent.hear(0.1, track_id)
        frames = agent.frames[track_id][before:]
        assert sum(level(frame) < 3000 for frame in frames) <= hiccups
