"""Bots of the scenarios about what a bot says, and when it hears."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fishjam_agents import AgentPipeline, Turn
from fishjam_agents.backends import Parrot

RECORDINGS = Path(__file__).parents[2] / "audio_fixtures"


class Lawyer(AgentPipeline):
    """Says first what nobody may cut short."""

    backend = Parrot()

    async def on_peer_joined(self, peer: str) -> None:
        await self.play(RECORDINGS / "bob_long.wav", text="This call is recorded.", interruptible=False)


class Patient(AgentPipeline):
    """Bridges the wait for a slow answer."""

    backend = Parrot(delay=1.5)

    async def on_turn(self, turn: Turn) -> None:
        self.play(RECORDINGS / "bob_question.wav", filler=True)


class Discreet(AgentPipeline):
    """Is muted for the first answer."""

    backend = Parrot()

    async def on_start(self) -> None:
        self.mute()

    async def on_turn(self, turn: Turn) -> None:
        if turn.id != "turn-1":
            self.unmute()


class Busy(AgentPipeline):
    """Hears nothing for four seconds."""

    backend = Parrot()

    async def on_peer_joined(self, peer: str) -> None:
        self.listen(False)
        await asyncio.sleep(4)
        self.listen()
