"""The call of `run` on the playground: what the page is shown of it, and how it takes part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import CallEnded, Event
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.observe.replay.live import LiveRecorder
from fishjam_agents.observe.timeline import VERSION, shown_event
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.media.recorder import RECORDING_RATE, RecentSound
from fishjam_agents.server.playground import Controls, RegisteredCall
from fishjam_agents.tools.builtin import BUILTIN
from fishjam_agents.worker import JoinedRoom

SOUND_SECONDS = 600
"""Seconds of sound that are kept for the report, the latest: 38 MB at most. A report of a longer call shows
these."""
_SOUND_BYTES = (SOUND_SECONDS + 1) * RECORDING_RATE
"""Bytes of sound a report may hold: all that is kept, at 8 kHz and a byte per sample."""


class LiveCall:
    """One call of a bot in an embedded server, shown while it goes on. An observer of its events.

    Part of `server.playground.PlaygroundCall`. To be made when the bot is in its room and its call has not
    begun.

    Args:
        pipeline: The bot.
        server: The server with its room.
        where: Its room.
    """

    def __init__(self, pipeline: AgentPipeline, server: EmbeddedServer, where: JoinedRoom) -> None:
        self.room_id = where.room_id
        self.bot_peer = where.peer_id
        self.bot = type(pipeline).__name__
        if type(pipeline) is AgentPipeline:
            self.bot = type(pipeline.backend).__name__
        self.controls = Controls(
            push_to_talk=pipeline.turns.mode == "push_to_talk",
            text=pipeline.backend.capabilities.text,
            interrupt=pipeline.backend.capabilities.output_rate > 0,
            camera=_sees(pipeline),
        )
        self._pipeline = pipeline
        self._clock = server.clock
        self._loop = asyncio.get_running_loop()
        self._id: str | None = None
        self._zero: float | None = None
        self._room_zero = 0.0
        self._recorder = server.record(where.room_id, keep=SOUND_SECONDS)
        self._record: LiveRecorder | None = None
        if pipeline.recorder is None or isinstance(pipeline.recorder, CallRecorder):
            self._record = pipeline.recorder = LiveRecorder(pipeline.recorder)
        self.registered: RegisteredCall = server.playground.register(self)
        pipeline.observers.append(self)

    def __call__(self, event: Event) -> None:
        """Take an event of the call."""
        if self._zero is None:
            self._id = self._pipeline.call_id
            self._zero = self._loop.time() - event.at
            self._room_zero = self._clock.now - event.at
        self.registered.publish(shown_event(event.as_dict()))
        if isinstance(event, CallEnded):
            self.registered.close(event.sentence())

    def close(self) -> None:
        """Show it no longer. Does nothing the second time."""
        self.registered.close("the call is over")
        self._recorder.detach()
        if self in self._pipeline.observers:
            self._pipeline.observers.remove(self)

    @property
    def id(self) -> str | None:
        """Part of `PlaygroundCall`."""
        return self._id

    def now(self) -> float:
        """Part of `PlaygroundCall`."""
        return 0.0 if self._zero is None else self._loop.time() - self._zero

    def submit_text(self, text: str, peer: str | None) -> None:
        """Part of `PlaygroundCall`."""
        self._verify_begun()
        self._pipeline.submit_text(text, peer=peer)

    def interrupt(self) -> None:
        """Part of `PlaygroundCall`."""
        self._verify_begun()
        self._pipeline.interrupt()

    async def report(self, events: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> bytes:
        """Part of `PlaygroundCall`."""
        sound = self._recorder.recent(self._clock.position)
        timeline = await asyncio.to_thread(self._timeline, events, names, sound)
        # Nobody who only wants to talk pays for it.
        from fishjam_agents.observe.report.process import render_apart

        return await render_apart(
            room=sound.seconds(),
            samples=sound.samples,
            sample_rate=RECORDING_RATE,
            timeline=timeline,
            name=f"{self.bot}, call {self._id}" if self._id is not None else self.bot,
            sound_limit=_SOUND_BYTES,
        )

    def _timeline(
        self, events: Sequence[Mapping[str, Any]], names: Mapping[str, str], sound: RecentSound
    ) -> dict[str, Any]:
        """Events of the time whose sound is kept, on its time axis."""
        shown = (shown_event(event, self._room_zero - sound.start, names) for event in events)
        # The bot and whoever was there already were in the room a moment before its first sound.
        since = 0.0 if sound.start > self._recorder.position else -1.0
        return {
            "version": VERSION,
            "duration": sound.duration,
            "lag": round(self._clock.worst_lag, 4),
            "events": [{**event, "at": max(event["at"], 0.0)} for event in shown if event["at"] >= since],
        }

    def record(self) -> str:
        """Part of `PlaygroundCall`."""
        if self._record is None:
            raise FishjamAgentsError("this bot has a recorder of its own: read what that has written")
        text = self._record.text(self.now())
        if text is None:
            raise FishjamAgentsError("nothing is recorded of this call: nobody is heard in this process")
        return text

    def _verify_begun(self) -> None:
        if self._id is None or self._pipeline.call_id != self._id:
            raise FishjamAgentsError("the bot is in no call now: try again in a moment")


def _sees(pipeline: AgentPipeline) -> bool:
    """Return whether the bot may look at a camera: by itself, with the tool `look`, or by its own code."""
    if not pipeline.backend.capabilities.images:
        return False
    return (
        pipeline.vision.capture != "demand"
        or BUILTIN["look"] in pipeline.tools
        or type(pipeline) is not AgentPipeline
    )
