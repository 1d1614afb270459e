"""Watch over a user who says nothing: told to the app, asked whether they are there, and said goodbye to."""

from __future__ import annotations

import asyncio

from fishjam_agents import events
from fishjam_agents.events import Event
from fishjam_agents.pipeline.background_audio import LONGEST_WAIT
from fishjam_agents.pipeline.bot import Announcer
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.idle import Announcement, IdleSettings
from fishjam_agents.pipeline.room_audio import RoomAudio
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.turns.machine import CANCELLED

_LOOKS = 0.25
"""Seconds between two looks: nobody hears a difference below."""
_GOODBYE = 60.0
"""Seconds a goodbye may take before the call ends without it."""


class IdleWatch:
    """Watches one call. Turns break a silence, other sounds do not.

    Args:
        context: The call.
        settings: The settings; `after` is given.
        bot: What says the prompt and the goodbye.
        audio: The room's audio.
    """

    def __init__(
        self, context: CallContext, settings: IdleSettings, bot: Announcer, audio: RoomAudio
    ) -> None:
        self._context = context
        self._settings = settings
        self._bot = bot
        self._audio = audio
        self._present: set[str] = set()
        self._quiet_since = 0.0
        self._asked_at: float | None = None
        self._next_look = 0.0
        self._times = 0
        self._told = False

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        match event:
            case events.PeerJoined():
                self._present.add(event.peer)
                self._spoke(event.at)
            case events.PeerLeft():
                self._present.discard(event.peer)
                self._spoke(event.at)
            case events.UserTurnEnded():
                self._spoke(event.at)
                self._asked_at = None if event.reason == CANCELLED else event.at
            case events.UserText():
                self._spoke(event.at)
                self._asked_at = event.at
            case events.ReplyStarted() | events.ReplyEnded() | events.ReplyInterrupted():
                self._asked_at = None
                self._quiet_since, self._told = event.at, False
                if isinstance(event, events.ReplyInterrupted) and self._audio.is_anyone_in_turn():
                    self._spoke(event.at)

    def _spoke(self, at: float) -> None:
        self._times = 0
        self._quiet_since, self._told = at, False

    def tick(self, now: float) -> None:
        """Take notice of the time: called every 20 ms with call time."""
        if now < self._next_look:
            return
        self._next_look = now + _LOOKS
        awaited = self._asked_at is not None and now - self._asked_at < LONGEST_WAIT
        if self._audio.is_anyone_in_turn():
            self._spoke(now)
            return
        if not self._present or awaited or self._audio.is_busy:
            self._quiet_since = now
            return
        after = self._settings.after
        if self._told or after is None or now - self._quiet_since < after:
            return
        if self._audio.is_anyone_in_speech():
            # It may be a word; within the time of a verdict it is a turn or nothing.
            return
        self._told = True
        self._times += 1
        self._context.emit(events.UserIdle(now, round(now - self._quiet_since, 3), self._times))
        self._context.start_hook("on_user_idle", self._times)
        self._context.hooks.run(self._act(self._times), "idle")

    async def _act(self, times: int) -> None:
        settings = self._settings
        if settings.prompt is not None and times <= settings.prompts:
            self._say(settings.prompt)
        elif settings.ends:
            if settings.goodbye is not None:
                async with asyncio.timeout(_GOODBYE):
                    await self._say(settings.goodbye)
            if self._times == times:
                self._context.end.request("idle")

    def _say(self, words: Announcement) -> SpeechHandle:
        if words.wav is not None:
            return self._bot.play(words.wav, text=words.text)
        return self._bot.say(words.text or "")
