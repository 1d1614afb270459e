"""A user who says nothing: told to the app, asked whether they are there, and in the end said goodbye to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fishjam_agents import events
from fishjam_agents.errors import FishjamAgentsError, SettingError
from fishjam_agents.events import EndReason, Event
from fishjam_agents.pipeline.background_audio import LONGEST_WAIT
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.turns.machine import CANCELLED

_LOOKS = 0.25
"""Seconds between two looks: nobody hears a difference below."""
_GOODBYE = 60.0
"""Seconds a goodbye may take before the call ends without it."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something the bot says by itself: a recording, or a text for a backend that speaks given words.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo.
        text: The words; with `wav`, what it says.
    """

    wav: Path | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.wav is None and not self.text:
            raise SettingError(None, "it needs wav or text", "give one of them", fields=["wav", "text"])


@dataclass(frozen=True, slots=True)
class IdleSettings:
    """Settings of a call in which nobody says anything. Durations in seconds.

    Attributes:
        after: Silence of the room and the bot after which the user counts as idle; None never. It counts from
            the last word of either, while somebody is there and no answer is awaited.
        prompt: What the bot then says ("Are you still there?"); None says nothing.
        prompts: How often in a row, each after another `after`.
        goodbye: What it says when that did not help, before it ends the call.
        end: Whether the call ends then without a goodbye.
    """

    after: float | None = None
    prompt: Announcement | None = None
    prompts: int = 1
    goodbye: Announcement | None = None
    end: bool = False

    def __post_init__(self) -> None:
        if self.after is not None and not 1 <= self.after <= 3600:
            raise SettingError(
                "after", f"must be between 1 and 3600 seconds, not {self.after:g}", section="idle"
            )
        if not 1 <= self.prompts <= 100:
            raise SettingError("prompts", f"must be between 1 and 100, not {self.prompts}", section="idle")
        if self.after is None and (self.prompt is not None or self.goodbye is not None or self.end):
            raise SettingError(
                "after",
                "is missing",
                "give the seconds after which the user counts as idle",
                section="idle",
            )

    @property
    def ends(self) -> bool:
        """True if silence ends the call."""
        return self.end or self.goodbye is not None


class Bot(Protocol):
    """Interface of the pipeline that the idle watch belongs to."""

    def say(self, text: str) -> SpeechHandle:
        """Speak given words."""
        ...

    def play(self, audio: Path, sample_rate: int | None = None, text: str | None = None) -> SpeechHandle:
        """Play a recording."""
        ...

    def stop(self, reason: EndReason = ...) -> None:
        """End the call."""
        ...


class Listening(Protocol):
    """What the watch needs to know of the call."""

    def busy(self) -> bool:
        """Whether the bot speaks, or nobody would be heard."""
        ...

    def anyone_in_turn(self) -> bool:
        """Whether anybody has a turn."""
        ...

    def anyone_in_speech(self) -> bool:
        """Whether a sound is followed of which nobody knows yet what it is."""
        ...


class IdleWatch:
    """Watches one call. Turns break a silence, other sounds do not.

    Args:
        settings: What happens when nobody says anything; `after` is given.
        bot: The pipeline.
        listening: What is heard.
        emit: Takes our events.
        hook: Starts a hook of the pipeline.
        run: Owns a task.
    """

    def __init__(
        self,
        settings: IdleSettings,
        bot: Bot,
        listening: Listening,
        emit: Callable[[Event], None],
        hook: Callable[..., None],
        run: Callable[[Awaitable[None], str], None],
    ) -> None:
        self._settings = settings
        self._bot = bot
        self._listening = listening
        self._emit = emit
        self._hook = hook
        self._run = run
        self._present: set[str] = set()
        self._quiet_since = 0.0
        self._asked_at: float | None = None
        self._next_look = 0.0
        self._times = 0
        self._told = False

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        if isinstance(event, (events.PeerJoined, events.PeerLeft)):
            (self._present.add if isinstance(event, events.PeerJoined) else self._present.discard)(event.peer)
            self._spoke(event.at)
        elif isinstance(event, events.UserTurnEnded):
            self._spoke(event.at)
            self._asked_at = None if event.reason == CANCELLED else event.at
        elif isinstance(event, (events.ReplyStarted, events.ReplyEnded, events.ReplyInterrupted)):
            self._asked_at = None
            self._quiet_since, self._told = event.at, False
            if isinstance(event, events.ReplyInterrupted) and self._listening.anyone_in_turn():
                self._spoke(event.at)

    def _spoke(self, at: float) -> None:
        self._times = 0
        self._quiet_since, self._told = at, False

    def tick(self, now: float) -> None:
        """Called every 20 ms with call time."""
        if now < self._next_look:
            return
        self._next_look = now + _LOOKS
        awaited = self._asked_at is not None and now - self._asked_at < LONGEST_WAIT
        if self._listening.anyone_in_turn():
            self._spoke(now)
            return
        if not self._present or awaited or self._listening.busy():
            self._quiet_since = now
            return
        after = self._settings.after
        if self._told or after is None or now - self._quiet_since < after:
            return
        if self._listening.anyone_in_speech():
            # It may be a word; within the time of a verdict it is a turn or nothing.
            return
        self._told = True
        self._times += 1
        self._emit(events.UserIdle(now, round(now - self._quiet_since, 3), self._times))
        self._hook("on_user_idle", self._times)
        self._run(self._act(self._times), "idle")

    async def _act(self, times: int) -> None:
        settings = self._settings
        if settings.prompt is not None and times <= settings.prompts:
            self._say(settings.prompt)
        elif settings.ends:
            if settings.goodbye is not None:
                async with asyncio.timeout(_GOODBYE):
                    await self._say(settings.goodbye)
            if self._times == times:
                self._bot.stop("idle")

    def _say(self, words: Announcement) -> SpeechHandle:
        if words.wav is not None:
            return self._bot.play(words.wav, text=words.text)
        return self._bot.say(words.text or "")


def check_announcement(words: Announcement, key: str, *, speaks: bool, backend: str) -> None:
    """Check that a backend can say given words.

    Raises:
        FishjamAgentsError: It cannot.
    """
    if words.wav is None and not speaks:
        raise FishjamAgentsError(f"{key} has a text, but {backend} cannot speak given words: give a wav")
