"""Callers who speak to a bot in a room of the embedded server, from a common zero to the end of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from fishjam_agents.audio.wav import Clip
from fishjam_agents.server import Caller, EmbeddedServer, PreparedClip, Recorder, Recording
from fishjam_agents.server.clock import TICKS_PER_SECOND
from fishjam_agents.session import PeerType
from fishjam_agents.simulation.ending import EndRule

AGENT_RATES = (16000, 24000)
"""Rates at which an agent may hear, Hz (facts: agent `output`)."""
SILENCE_PEAK = 32
"""A bot whose loudest sample is below this (-60 dBFS) says nothing, even if it sends."""


class Scene:
    """One conversation between simulated callers and the bot of a room.

    Zero is the room-clock tick at which every caller is connected and the bot's track is there; everybody's
    first sample is spoken then.

    Args:
        server: The embedded server; it runs.
        room_id: The room.
        clips: What each caller says.
        seconds: Length of the call; None ends it when everybody is done.

    Attributes:
        zero: Room time at which the call began, in seconds; None before.
        callers: The callers, in the order of `clips`, once they joined.
    """

    def __init__(
        self, server: EmbeddedServer, room_id: str, clips: Sequence[Clip], seconds: float | None = None
    ) -> None:
        if not clips:
            raise ValueError("a scene needs at least one caller")
        self.zero: float | None = None
        self.callers: list[Caller] = []
        self._server = server
        self._room = server.rooms.get(room_id)
        self._lines = [PreparedClip(clip) for clip in clips]
        self._rule = EndRule(max(line.seconds for line in self._lines), seconds)
        self._recorder: Recorder | None = None
        self._over: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @property
    def names(self) -> dict[str, str]:
        """Peer id to the name a caller has in a timeline: `caller-1`, `caller-2`, ..."""
        return {caller.id: f"caller-{number}" for number, caller in enumerate(self.callers, 1)}

    async def join(self) -> None:
        """The callers join, with open microphones."""
        for line in self._lines:
            # Resampled before the call, so that no tick waits for it.
            for rate in AGENT_RATES:
                line.at_rate(rate)
        for _ in self._lines:
            self.callers.append(await self._server.add_caller(self._room.id))

    async def play(self, begun: Callable[[], None] = lambda: None) -> Recording | None:
        """Wait for the bot, play the call and record it.

        Args:
            begun: Called at zero.

        Returns:
            What everybody heard; None when `stop` came before zero.
        """

        def tick(ticks: int) -> None:
            position = ticks / TICKS_PER_SECOND
            if self._over.done():
                return
            if self.zero is not None:
                if self._rule.over(position - self.zero, self._bot_sounds()):
                    self._over.set_result(min(position, self.zero + self._rule.limit))
            elif self._bot_is_there():
                self._begin(position)
                begun()

        unsubscribe = self._server.clock.subscribe(tick)
        try:
            end = await self._over
        finally:
            unsubscribe()
        return None if self._recorder is None else self._recorder.stop(end)

    def stop(self) -> None:
        """End the call now."""
        if not self._over.done():
            self._over.set_result(self._server.clock.position)

    def leave(self) -> None:
        """The callers hang up."""
        for caller in self.callers:
            self._room.remove_peer(caller.peer)

    def _begin(self, position: float) -> None:
        self.zero = position
        self._server.clock.reset_lag()
        self._recorder = self._server.record(self._room.id, position)
        for caller, line in zip(self.callers, self._lines, strict=True):
            caller.say(line, position)

    def _bot_is_there(self) -> bool:
        return any(peer.type is PeerType.AGENT and peer.sources for peer in self._room.peers.values())

    def _bot_sounds(self) -> bool:
        for peer in self._room.peers.values():
            if peer.type is not PeerType.AGENT:
                continue
            for source in peer.sources.values():
                for segment in source.segments():
                    samples = segment.samples
                    if len(samples) and max(int(samples.max()), -int(samples.min())) >= SILENCE_PEAK:
                        return True
        return False
