"""An agent that hears one peer of a room and nobody else.

Run it with FISHJAM_ID and FISHJAM_MANAGEMENT_TOKEN set, a room's id and a peer's id:

    python examples/selective_subscription/hear_one.py ROOM PEER
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from fishjam_agents.fishjam import AgentOptions, AsyncFishjamClient
from fishjam_agents.fishjam.agent import IncomingTrackData


async def hear_one(
    fishjam: AsyncFishjamClient, room_id: str, peer_id: str
) -> AsyncIterator[IncomingTrackData]:
    """Yield the audio of one peer, of tracks it publishes later, too."""
    agent = await fishjam.create_agent(room_id, AgentOptions(subscribe_mode="manual"))
    try:
        await fishjam.subscribe_peer(room_id, agent.id, peer_id)
        async with agent.connect(reconnect=True) as session:
            async for frame in session.receive():
                if isinstance(frame, IncomingTrackData):
                    yield frame
    finally:
        await fishjam.delete_peer(room_id, agent.id)


async def main(room_id: str, peer_id: str) -> None:
    async with AsyncFishjamClient(
        os.environ["FISHJAM_ID"], os.environ["FISHJAM_MANAGEMENT_TOKEN"]
    ) as fishjam:
        seconds = 0.0
        async for frame in hear_one(fishjam, room_id, peer_id):
            seconds += len(frame.data) / 2 / 16000
            print(f"\r{frame.peer_id}: {seconds:.1f} s", end="", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
