"""State and transcript of a call of two, from its events. Pure."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fishjam_agents import events
from fishjam_agents.events import Event, Heard


class BotState(enum.Enum):
    """State of the bot; the value is how people are told."""

    LISTENING = "listening"
    HEARING = "hearing you"
    THINKING = "thinking"
    SPEAKING = "speaking"
    PAUSED = "paused: do you speak over it?"


class Speaker(enum.Enum):
    """Author of a line; the value stands before it."""

    PERSON = "you"
    BOT = "bot"
    NOTE = "*"


@dataclass(frozen=True, slots=True)
class Line:
    """Line of the transcript.

    Attributes:
        at: Call time, seconds.
        speaker: Whose it is.
        text: What was said, and heard.
        unheard: Words that follow, and were not heard.
        note: What is known of it besides.
    """

    at: float
    speaker: Speaker
    text: str
    unheard: str = ""
    note: str = ""


@dataclass(slots=True)
class _Reply:
    text: list[str] = field(default_factory=list)
    seconds: float | None = None
    latency: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    sounds: bool = False


class Conversation:
    """Follows a call. An observer of its events.

    Args:
        tell: Given each line as soon as it is complete.
        has_transcripts: Whether the backend tells a person's words; else a turn is told by its length.

    Attributes:
        saying: Words of the person that may still change.
        latencies: Seconds from the end of each answered turn to the first audio of its answer.
    """

    def __init__(self, tell: Callable[[Line], None], *, has_transcripts: bool) -> None:
        self.saying = ""
        self.latencies: list[float] = []
        self._tell = tell
        self._has_transcripts = has_transcripts
        self._replies: dict[str, _Reply] = {}
        self._in_turn = False
        self._is_paused = False
        self._is_awaited = False
        self._turn_end: float | None = None

    @property
    def state(self) -> BotState:
        """State of the bot now."""
        if self._is_paused:
            return BotState.PAUSED
        if self._in_turn:
            return BotState.HEARING
        if any(reply.sounds for reply in self._replies.values()):
            return BotState.SPEAKING
        return BotState.THINKING if self._is_awaited or self._replies else BotState.LISTENING

    @property
    def replying(self) -> str:
        """Words of the reply that is under way."""
        for reply in self._replies.values():
            return "".join(reply.text).strip()
        return ""

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case events.UserStartedSpeaking():
                self._in_turn = True
            case events.UserTurnEnded():
                self._end_turn(event)
            case events.UserTranscript():
                self._understand(event)
            case events.BargeInSuspected():
                self._is_paused = True
            case events.BargeInConfirmed():
                self._is_paused = False
                self._in_turn = True
            case events.BargeInWithdrawn():
                self._is_paused = False
            case events.ReplyStarted():
                self._replies.setdefault(event.reply, _Reply())
            case events.ReplyText():
                self._replies.setdefault(event.reply, _Reply()).text.append(event.text)
            case events.ReplyFirstAudio():
                self._begin_to_sound(event)
            case events.ReplyGenerated():
                self._replies.setdefault(event.reply, _Reply()).seconds = event.seconds
            case events.ReplyLatency():
                self._replies.setdefault(event.reply, _Reply()).parts = event.parts
            case events.ReplyEnded():
                self._end_reply(event.at, event.heard, interrupted=False)
            case events.ReplyInterrupted():
                self._end_reply(event.at, event.heard, interrupted=True)
            case events.ToolCalled():
                self._tell(Line(event.at, Speaker.NOTE, event.sentence()))
            case events.CallEnded():
                if event.log_level() >= logging.INFO:
                    self._tell(Line(event.at, Speaker.NOTE, event.sentence()))
            case _:
                self._note_trouble(event)

    def _end_turn(self, event: events.UserTurnEnded) -> None:
        self._in_turn = False
        if event.reason == "cancelled":
            return
        self._is_awaited = True
        self._turn_end = event.media_at
        if not self._has_transcripts:
            self._tell(Line(event.at, Speaker.PERSON, f"({event.media_at - event.start:.1f} s of speech)"))

    def _understand(self, event: events.UserTranscript) -> None:
        if event.final:
            self.saying = ""
            if event.text.strip():
                self._tell(Line(event.at, Speaker.PERSON, event.text.strip()))
        else:
            self.saying = event.text.strip()

    def _begin_to_sound(self, event: events.ReplyFirstAudio) -> None:
        reply = self._replies.setdefault(event.reply, _Reply())
        reply.sounds = True
        self._is_awaited = False
        if self._turn_end is not None:
            reply.latency = event.at - self._turn_end
            self.latencies.append(reply.latency)
            self._turn_end = None

    def _end_reply(self, at: float, heard: Heard, *, interrupted: bool) -> None:
        reply = self._replies.pop(heard.reply, None) or _Reply()
        self._is_paused = self._is_paused and bool(self._replies)
        if not reply.sounds:
            # It was the answer, and there is none.
            self._is_awaited = False
        whole = "".join(reply.text).strip()
        text, unheard = whole, ""
        if interrupted:
            text = heard.text
            unheard = whole[len(text) :].strip() if whole.startswith(text) else ""
        if not whole:
            of = f" of {reply.seconds:.1f}" if interrupted and reply.seconds is not None else ""
            text = f"({heard.seconds:.1f}{of} s of speech)"
        self._tell(Line(at, Speaker.BOT, text, unheard, _note(reply, interrupted)))

    def _note_trouble(self, event: Event) -> None:
        # A hook's exception is logged where it was caught; here it is told all the same.
        if event.log_level() >= logging.WARNING or isinstance(event, events.ErrorRaised):
            self._tell(Line(event.at, Speaker.NOTE, event.sentence()))
            if isinstance(event, events.BackendWarning) and event.unanswered is not None:
                self._is_awaited = False


def _note(reply: _Reply, interrupted: bool) -> str:
    notes = []
    if reply.latency is not None:
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in reply.parts.items())
        notes.append(f"after {reply.latency:.2f} s" + (f": {parts}" if parts else ""))
    if interrupted:
        notes.append("interrupted")
    return ", ".join(notes)
