"""A call as the report shows it: speech, turns, barge-ins, replies and tools, each with its times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TROUBLE = frozenset({"outage", "backend_warning", "backend_failure", "error"})
"""Kinds of notices that a call is better without."""
SOMEBODY = "somebody"
"""Name of a speaker where nobody in a mix was clearly loudest."""

Event = Mapping[str, Any]
Verdict = Literal["confirmed", "withdrawn", "open"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call, seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """Sound of one caller without a pause of 200 ms: `noticed` is when its onset was decided."""

    peer: str
    span: Span
    noticed: float


@dataclass(frozen=True, slots=True)
class UserTurn:
    """A turn of one caller.

    Attributes:
        id: As in the timeline.
        peer: Who spoke.
        span: From onset to the end of its last sound.
        decided: When it was held to be over.
        reason: Why it ended, as `events.Turn.reason` lists it.
        said: Its final transcript, empty without one.
        reply: Id of the reply that answers it, None without one.
        waited: Whether somebody else, caller or bot, was speaking between its end and its answer.
        rule: The rule of the end-of-turn policy that ended it, empty without one.
        probability: That it was complete, as the policy was told; None where it was not.
    """

    id: str
    peer: str
    span: Span
    decided: float
    reason: str
    said: str = ""
    reply: str | None = None
    waited: bool = False
    rule: str = ""
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Sound of a caller over the bot.

    Attributes:
        peer: Who.
        onset: Where the sound begins in the caller's audio.
        suspected: When the bot fell silent; None when another caller had silenced it already.
        verdict: `open` when none came: another caller's barge-in settled it, or the call ended.
        settled: When the verdict was given, None for `open`.
        reply: What it went over.
    """

    peer: str
    onset: float
    suspected: float | None
    verdict: Verdict = "open"
    settled: float | None = None
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of the bot.

    Attributes:
        id: As in the timeline.
        started: When the backend began it.
        first_audio: When its first audio was on the wire; None if it never sounded.
        ended: When its last sample was played or it was cut; None when the call ended first.
        seconds: Audio that was generated, None when it was cut before all was there.
        heard: Seconds that were played, None while it was not over.
        text: All its words.
        heard_text: The words that were heard.
        interrupted: Whether it was cut short.
        sounding: When it sounded. Without a pause while barge-ins were suspected if what was heard says so.
        peer: Whom it answers, None where the timeline does not say.
    """

    id: str
    started: float
    first_audio: float | None = None
    ended: float | None = None
    seconds: float | None = None
    heard: float | None = None
    text: str = ""
    heard_text: str = ""
    interrupted: bool = False
    sounding: tuple[Span, ...] = ()
    peer: str | None = None

    @property
    def unheard(self) -> float:
        """Seconds that were generated and are known not to have been heard."""
        if self.seconds is None or self.heard is None or not self.interrupted:
            return 0.0
        return max(self.seconds - self.heard, 0.0)

    @property
    def unheard_text(self) -> str:
        """The words that were not heard; empty while the reply is not over."""
        return self.text.removeprefix(self.heard_text) if self.heard is not None else ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know that is neither speech nor reply: an outage, a failure, a tool call, a switch."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A call of a tool, over or not.

    Attributes:
        tool: Its name.
        span: When it ran.
        outcome: As `events.ToolCalled` lists it; `running` where the call ended first.
        arguments: JSON, where the timeline has it (`observe.tool_payloads`).
        result: As the model was told, where the timeline has it.
    """

    tool: str
    span: Span
    outcome: str
    arguments: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Everything is in the order of its begin.

    Attributes:
        seconds: Its length.
        lag: How late the loop was at worst, seconds; None where nobody measured it.
        peers: Who was in the room, in the order in which they came.
        speech: What the callers' microphones heard.
        turns: The callers' turns.
        barge_ins: What sounded over the bot.
        replies: The bot's replies.
        tools: The calls of tools.
        notices: What else there is to know.
        events: The timeline itself.
    """

    seconds: float
    lag: float | None
    peers: tuple[str, ...]
    speech: tuple[SpeechSpan, ...]
    turns: tuple[UserTurn, ...]
    barge_ins: tuple[BargeIn, ...]
    replies: tuple[Reply, ...]
    tools: tuple[ToolRun, ...]
    notices: tuple[Notice, ...]
    events: tuple[Event, ...]

    def reply(self, name: str | None) -> Reply | None:
        """The reply of an id."""
        return next((reply for reply in self.replies if reply.id == name), None)
